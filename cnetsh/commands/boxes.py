"""The commands `sandbox start|stop|list` and `demo`."""

import json
import sys

from cnetsh.commands import act, look, pages
from cnetsh.commands.progress import say
from cnetsh.errors import DONE, FAILED, CnetshError
from cnetsh.targets import sandbox, target

DEMO = "sandbox:demo"


def start(name: str) -> int:
    """Start a sandbox that stays until it is stopped; give the exit code."""
    where = target.named(f"sandbox:{name}")
    target.ensure(where, act.guarded(act.build_sandbox))
    box = sandbox.running_as(name)
    if box is None:
        raise CnetshError(f"sandbox {name} ended at once", code=FAILED)
    sandbox.keep(box)
    say(f"sandbox {name} runs (process {box.holder}); it stays until: cnetsh sandbox stop {name}")
    return DONE


def stop(name: str) -> int:
    """End a sandbox with all that is in it; give the exit code."""
    box = sandbox.running_as(target.named(f"sandbox:{name}").name)
    if box:
        sandbox.stop(box)
    say(f"sandbox {name} {'ended' if box else 'does not run'}")
    return DONE


def running(as_json: bool) -> int:
    """List the sandboxes that run; give the exit code."""
    boxes = sandbox.running()
    if as_json:
        keys = ("name", "holder", "init", "kept", "labs")
        print(json.dumps([{key: getattr(box, key) for key in keys} for box in boxes], indent=1))
        return DONE
    for box in boxes:
        print(f"{box.name:<12} process {box.holder:<8} {' '.join(box.labs)}")
    if not boxes:
        say("no sandbox runs")
    return DONE


def demo() -> int:
    """Read, run, check and undo every lab of the article in a sandbox of its own."""
    from cnetsh.labs import builtin

    worst = DONE
    for name in builtin.builtin_names():
        print(f"\n$ cnetsh plan {name}", flush=True)
        sys.stdout.write(pages.plan(name, (), False, "rich", True))
        print(f"\n$ cnetsh up {name}", flush=True)
        worst = max(worst, act.up(name, (), DEMO, False, act.Options()))
        print(f"\n$ cnetsh check {name}", flush=True)
        worst = max(worst, look.check(name, (), DEMO, False))
        print(f"\n$ cnetsh down {name}", flush=True)
        worst = max(worst, act.down(name, DEMO, False, act.Options()))
    say("the demo " + ("worked" if worst == DONE else "failed"))
    return worst
