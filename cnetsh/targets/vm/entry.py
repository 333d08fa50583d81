"""The way into a VM: started when it does not run, and switched off when it is left idle."""

import contextlib
import fcntl
import math
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from cnetsh.errors import FAILED, CnetshError
from cnetsh.system.signals import hold_back
from cnetsh.targets import travel
from cnetsh.targets.frames import Exit
from cnetsh.targets.near import Near
from cnetsh.targets.vm import machine
from cnetsh.targets.vm.kernel import chosen
from cnetsh.targets.vm.machine import MEMORY, VMS, Machine, NewMachine


def ensure(name: str, kernel: str = "", memory: int = MEMORY, more: tuple[Path, ...] = ()) -> None:
    """Start a VM when it does not run. Raises CnetshError when it cannot be."""
    if _ready(name):
        return
    with VMS.use(name, fcntl.LOCK_EX):
        if not _ready(name):
            machine.require_tools()
            machine.start(NewMachine(name, chosen(kernel), memory, more))


def in_vm(name: str, action: Callable[[], int]) -> int | None:
    """Give the exit code of action, called in a VM; None when none of that name runs."""
    with VMS.use(name):
        one = _ready(name)
        if one is None:
            return None
        ended = run_in(one, action)
    if not ended.labs and not one.kept:
        _stop_if_idle(name)
    return ended.code


def run_in(one: Machine, action: Callable[[], int], seconds: float = math.inf) -> Exit:
    """Do an action in a VM, its streams the caller's.

    After so many seconds it has ended with 124, whatever it does. Raises CnetshError when the VM
    ends meanwhile.
    """
    near = Near(travel.packed(action))
    hold_back()
    ended = machine.follow(one.name, near, seconds)
    if ended is None:
        raise CnetshError(*machine.why_ended(one), code=FAILED)
    if not near.begun:
        sys.exit(ended.code)
    return ended


def _ready(name: str) -> Machine | None:
    one = machine.running_as(name)
    return one if one and one.ready else None


def _stop_if_idle(name: str) -> None:
    # Whoever is inside holds the lock too, and will come here after us; a lab may be up by now.
    with contextlib.suppress(BlockingIOError), VMS.use(name, fcntl.LOCK_EX | fcntl.LOCK_NB):
        if (one := _ready(name)) and not run_in(one, partial(int)).labs:
            machine.stop(one)
