"""The way into a VM: started when it does not run, and switched off when it is left idle."""

from collections.abc import Callable
from pathlib import Path

from cnetsh.targets.vm import machine
from cnetsh.targets.vm.kernel import chosen
from cnetsh.targets.vm.machine import MEMORY, VMS, NewMachine


def ensure(name: str, kernel: str = "", memory: int = MEMORY, more: tuple[Path, ...] = ()) -> None:
    """Start a VM when it does not run. Raises CnetshError when it cannot be."""

    def start() -> None:
        machine.require_tools()
        machine.start(NewMachine(name, chosen(kernel), memory, more))

    VMS.ensure(name, start)


def do(name: str, action: Callable[[], int]) -> int | None:
    """Give the exit code of action, called in a VM; None when none of that name runs."""
    return VMS.enter(name, lambda one: machine.run_in(one, action))
