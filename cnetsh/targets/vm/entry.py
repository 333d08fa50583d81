"""The way into a VM: started when it does not run, and switched off when it is left idle."""

from collections.abc import Callable
from pathlib import Path

from cnetsh.targets.vm import machine
from cnetsh.targets.vm.kernel import chosen, filling_cache
from cnetsh.targets.vm.machine import MEMORY, VMS, NewMachine
from cnetsh.targets.vm.root import image_of


def ensure(name: str, kernel: str = "", memory: int = MEMORY, more: tuple[Path, ...] = ()) -> None:
    """Start a VM when it does not run. Raises CnetshError when it cannot be."""

    def start() -> None:
        machine.require_tools()
        with filling_cache():
            found = chosen(kernel)
            # Open, for who starts another one with more in it removes this file.
            root = image_of(found, more).open("rb")
        with root:
            machine.start(NewMachine(name, found, root.fileno(), memory))

    VMS.ensure(name, start)


def do(name: str, action: Callable[[], int]) -> int | None:
    """Give the exit code of action, called in a VM; None when none of that name runs."""
    return VMS.enter(name, lambda one: machine.run_in(one, action))
