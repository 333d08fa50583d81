"""What commands share that work in a target: it is entered, and errors are told inside."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, NoReturn

from cnetsh import __version__
from cnetsh.commands.output import exit_code_of, say
from cnetsh.compare import kernel
from cnetsh.errors import CnetshError
from cnetsh.targets import target
from cnetsh.targets.target import Action, Target

if TYPE_CHECKING:
    from cnetsh.apply.journal import Journal

HOST = "host"  # the target itself, where a container may be named


def entered(where: Target, action: Action, otherwise: Callable[[], int]) -> int:
    """Give the exit code of action, called in a target, or of otherwise where no sandbox runs."""
    code = target.in_target(where, partial(exit_code_of, action))
    return otherwise() if code is None else code


def in_container(name: str, on: str, action: Action) -> int:
    """Call action in the target that a container is to be in. Raises CnetshError."""
    where, so = target.named(on), "" if name == HOST else f", so there is no {name}"
    return entered(where, action, partial(refuse_asleep, where, so))


def refuse_asleep(where: Target, so: str = "") -> NoReturn:
    """Raise CnetshError for a target that does not run; so: what comes of it."""
    raise CnetshError(f"{where} does not run{so}", f"{where.command('up', 'LAB')} starts it")


def refuse_no_container(name: str) -> None:
    """Raise CnetshError, with those that are here, for a name that no container has."""
    there = kernel.namespaces()
    if name != HOST and not there.get(name):
        known = ", ".join([HOST, *sorted(there)])
        raise CnetshError(f"there is no container {name}", f"there are: {known}")


def tell_version(record: "Journal") -> None:
    """Tell of a lab that another version of cnetsh has brought up."""
    if record.other_version:
        say(f"{record.lab} was brought up by cnetsh {record.other_version}; this is {__version__}")
