"""The command `sandbox stop`: a sandbox ends with all that is in it."""

from cnetsh.commands.output import say
from cnetsh.errors import DONE
from cnetsh.targets import sandbox, target


def run(name: str = "default") -> int:
    """End a sandbox, or say that it does not run; give the exit code."""
    # Only a name that a target may have: it is looked for as a file.
    box = sandbox.running_as(target.named(f"sandbox:{name}").name)
    if box:
        sandbox.stop(box)
    say(f"sandbox {name} {'ended' if box else 'does not run'}")
    return DONE
