"""The commands `vm start|stop|list|run`: throw-away virtual machines, without a lab."""

import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TextIO

from cnetsh.commands import exec, started
from cnetsh.commands.output import exit_code_of
from cnetsh.targets import target
from cnetsh.targets.vm import machine
from cnetsh.targets.vm.machine import VMS


def start_vm(name: str, kernel: str, memory: int) -> None:
    """Start a VM that stays until it is stopped."""
    name = target.named(f"vm:{name}").name
    machine.ensure_vm(name, kernel, memory)
    started.keep(VMS, name, lambda one: f"Linux {one.kernel}")


def stop_vm(name: str) -> None:
    started.stop(VMS, name)


def list_vms(as_json: bool) -> None:
    if as_json:
        started.show_json(VMS, asdict)
    else:
        started.tell_all(VMS, lambda one: f"{one.pid:<8} Linux {one.kernel} ({one.accelerator})")


def run_in_vm(
    command: Sequence[str], copy: Sequence[Path], kernel: str, memory: int, deadline: int
) -> int:
    """Run a command in a VM of its own; give its exit code, 124 after the deadline."""
    name = f"run-{os.getpid()}"
    try:
        machine.ensure_vm(name, kernel, memory, tuple(path.resolve() for path in copy))
        action = partial(_in_folder, str(Path.cwd()), command, (sys.stdin, sys.stdout))
        one = VMS.running_as(name)
        assert one
        return machine.run_in(one, partial(exit_code_of, action), deadline).code
    finally:
        if left := VMS.running_as(name):
            VMS.stop(left)
        VMS.file(name, "use").unlink(missing_ok=True)


def _in_folder(folder: str, command: Sequence[str], streams: Sequence[TextIO]) -> int:
    Path(folder).mkdir(parents=True, exist_ok=True)
    os.chdir(folder)
    return exec.become("host", command, streams)
