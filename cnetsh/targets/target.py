"""Where a plan runs: a sandbox, the host, another machine. It is entered once; then all is alike.

Inside, the process sees the target's network, mounts and processes as its own, so the rest of
cnetsh knows no target: it runs commands and reads files.
"""

import contextlib
import os
import re
import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NoReturn

from cnetsh.errors import CnetshError
from cnetsh.system.process import tool
from cnetsh.targets import sandbox
from cnetsh.targets.ssh.connection import place

# A function of a module and what it is called with: it can travel to another machine. The caller's
# streams that it works with are among its arguments.
Action = partial[int]
# These are cnetsh's own, and nobody depends on their network.
PRIVATE = ("sandbox", "vm")


@dataclass(frozen=True, slots=True)
class Target:
    """A target by kind ("sandbox", "vm", "host", "ssh") and name: a sandbox's, or a machine's."""

    kind: str
    name: str = ""

    @property
    def is_private(self) -> bool:
        """Whether it is cnetsh's own, and nobody depends on its network."""
        return self.kind in PRIVATE

    def command(self, *words: str) -> str:
        """Give a command of cnetsh's as it is typed to work on this one."""
        usual = os.environ.get("CNETSH_ON") or "sandbox"
        option = () if str(self) == usual == "sandbox" else ("--on", str(self))
        return f"cnetsh {shlex.join((*words, *option))}"

    @property
    def shell(self) -> str:
        """What has a line run in it, by who types it."""
        return "sudo sh -c" if self.kind == "host" else f"{self.command('exec', 'host')} -- sh -c"

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}" if self.name not in ("", "default") else self.kind


def named(text: str) -> Target:
    """Read what may stand behind --on. Raises CnetshError for anything else."""
    kind, _, name = text.partition(":")
    of_its_own = re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]{0,30}", name or "default")
    if kind in PRIVATE and of_its_own:
        return Target(kind, name or "default")
    if text == "host":
        return Target("host")
    if kind == "ssh" and place(name):
        return Target("ssh", name)
    hint = "known: sandbox[:NAME], vm[:NAME], host, ssh:[USER@]HOST[:PORT]"
    if kind in PRIVATE:
        hint += "; NAME is a letter, then letters, digits, _ and -, at most 31 in all"
    raise CnetshError(f"unknown target {text!r}", hint)


def ensure_target(target: Target, build: Callable[[], int]) -> None:
    """Start the target if it does not run; build: a sandbox's network. Raises CnetshError."""
    if target.kind == "sandbox":
        sandbox.ensure_sandbox(target.name, build)
    elif target.kind == "vm":
        # It is loaded where it is used, as ssh is: most go without.
        from cnetsh.targets.vm import machine

        machine.ensure_vm(target.name)


def in_target(target: Target, action: Action) -> int | None:
    """Give the exit code of action, called in the target; None when no such sandbox or VM runs.

    On the host that is this process, which becomes root through sudo when it is not. For a sandbox
    it is a child, which the kernel ends with this process. Another machine is told by ssh, a VM by
    its port. A sandbox or VM left idle is stopped.
    """
    if target.kind == "sandbox":
        return sandbox.in_sandbox(target.name, action)
    if target.kind == "ssh":
        from cnetsh.targets.ssh import session

        return session.by_ssh(target.name, action)
    if target.kind == "vm":
        from cnetsh.targets.vm import machine

        return machine.in_vm(target.name, action)
    if os.geteuid():
        _become_root()
    return action()


def _become_root() -> NoReturn:
    """Start again under sudo: one password at the start, none in the middle of a plan."""
    sudo = tool("sudo")
    with contextlib.suppress(OSError):
        print("cnetsh: the host's network needs root: starting again with sudo", file=sys.stderr)
    program = [sys.executable, "-I", "-m", "cnetsh", *sys.argv[1:]]
    # sudo gives a clean environment, which is as it should be but for these.
    kept = [f"{key}={os.environ[key]}" for key in ("CNETSH_ON", "NO_COLOR") if key in os.environ]
    os.execv(sudo, [sudo, "--", *(["/usr/bin/env", *kept] if kept else []), *program])
