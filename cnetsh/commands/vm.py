"""The commands `vm start|stop|list|run`: throw-away virtual machines, without a lab."""

import json
import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TextIO

from cnetsh.commands import exec
from cnetsh.commands.output import exit_code_of, say, tell
from cnetsh.targets import target
from cnetsh.targets.vm import entry, machine
from cnetsh.targets.vm.machine import VMS

KEYS = ("name", "pid", "kernel", "accelerator", "kept")


def run_start(name: str, kernel: str, memory: int) -> None:
    """Start a VM that stays until it is stopped."""
    name = target.named(f"vm:{name}").name
    entry.ensure(name, kernel, memory)
    VMS.keep(name)
    if one := machine.running_as(name):
        # It may have been there already, with another kernel than was asked for.
        say(f"vm {name} runs Linux {one.kernel}; it stays until: cnetsh vm stop {name}")


def run_stop(name: str) -> None:
    """End a VM, or say that it does not run."""
    one = machine.running_as(target.named(f"vm:{name}").name)
    if one:
        machine.stop(one)
    say(f"vm {name} {'ended' if one else 'does not run'}")


def run_list(as_json: bool) -> None:
    """List the VMs that run."""
    found = machine.running()
    if as_json:
        print(json.dumps([{key: getattr(one, key) for key in KEYS} for one in found], indent=1))
        return
    for one in found:
        tell(f"{one.name:<12} process {one.pid:<8} Linux {one.kernel} ({one.accelerator})")
    if not found:
        say("no vm runs")


def run_run(
    command: Sequence[str], copy: Sequence[Path], kernel: str, memory: int, deadline: int
) -> int:
    """Run a command in a VM of its own; give its exit code, 124 after the deadline."""
    name = f"run-{os.getpid()}"
    try:
        entry.ensure(name, kernel, memory, tuple(path.resolve() for path in copy))
        action = partial(_in_folder, str(Path.cwd()), command, (sys.stdin, sys.stdout))
        one = machine.running_as(name)
        assert one
        return entry.run_in(one, partial(exit_code_of, action), deadline).code
    finally:
        if left := machine.running_as(name):
            machine.stop(left)
        VMS.file(name, "use").unlink(missing_ok=True)


def _in_folder(folder: str, command: Sequence[str], streams: Sequence[TextIO]) -> int:
    Path(folder).mkdir(parents=True, exist_ok=True)
    os.chdir(folder)
    return exec.become("host", command, streams)
