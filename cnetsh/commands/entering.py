"""What commands share that work in a target: it is entered, and errors are told inside."""

from collections.abc import Callable
from functools import partial

from cnetsh.commands.output import say, told
from cnetsh.errors import DONE
from cnetsh.targets import target
from cnetsh.targets.target import Action, Target


def entered(where: Target, action: Action, otherwise: Callable[[], int]) -> int:
    """Give the exit code of action, called in a target, or of otherwise where no sandbox runs."""
    code = target.in_target(where, partial(told, action))
    return otherwise() if code is None else code


def if_running(on: str, action: Action, otherwise: str = "") -> int:
    """Call action in a target; a sandbox or VM that does not run has nothing to act on."""
    where = target.named(on)

    def missing() -> int:
        say(otherwise or f"{where.kind} {where.name} does not run")
        return DONE

    return entered(where, action, missing)
