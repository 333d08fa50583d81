"""What commands share that work in a target: it is entered, and errors are told inside."""

from cnetsh.commands.output import say, told
from cnetsh.errors import DONE
from cnetsh.targets import target
from cnetsh.targets.target import Action, Target


def entered(where: Target, action: Action) -> int:
    """Give the exit code of action, called in a target that runs."""
    return target.in_target(where, lambda: told(action))


def if_running(on: str, action: Action, otherwise: str = "") -> int:
    """Call action in a target; a sandbox that does not run has nothing to act on."""
    where = target.named(on)
    if target.runs(where):
        return entered(where, action)
    say(otherwise or f"sandbox {where.name} does not run")
    return DONE
