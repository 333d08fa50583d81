"""The command `demo`: every lab of the article, read, run, checked and undone."""

from cnetsh.commands import check, down, plan, up
from cnetsh.commands.output import say
from cnetsh.errors import DONE
from cnetsh.labs import builtin

# Of its own, so that no lab of the user's is in the way.
ON = "sandbox:demo"


def run() -> int:
    """Show the whole way of each lab in a sandbox of its own; give the worst exit code."""
    worst = DONE
    for name in builtin.builtin_names():
        print(f"\n$ cnetsh plan {name}", flush=True)
        plan.run(name, (), down=False, form="rich", output=None, sudo=True, on="")
        print(f"\n$ cnetsh up {name}", flush=True)
        worst = max(worst, up.run(name, (), ON))
        print(f"\n$ cnetsh check {name}", flush=True)
        worst = max(worst, check.run(name, (), ON, as_json=False))
        print(f"\n$ cnetsh down {name}", flush=True)
        worst = max(worst, down.run(name, ON))
    say("the demo " + ("worked" if worst == DONE else "failed"))
    return worst
