"""Where a plan runs: a sandbox, the host, another machine. It is entered once; then all is alike.

Inside, the process sees the target's network, mounts and processes as its own, so the rest of
cnetsh knows no target: it runs commands and reads files.
"""

import contextlib
import fcntl
import os
import re
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NoReturn

from cnetsh.errors import FAILED, CnetshError
from cnetsh.system import namespace
from cnetsh.system.process import tool
from cnetsh.system.signals import SIGNALS, hold_back, release, wait_for
from cnetsh.targets import sandbox
from cnetsh.targets.ssh.connection import place

# A function of a module and what it is called with: it can travel to another machine. The caller's
# streams that it works with are among its arguments.
Action = partial[int]


@dataclass(frozen=True, slots=True)
class Target:
    """A target by kind ("sandbox", "vm", "host", "ssh") and name: a sandbox's, or a machine's."""

    kind: str
    name: str = ""

    @property
    def is_private(self) -> bool:
        """Whether it is cnetsh's own, and nobody depends on its network."""
        return self.kind in ("sandbox", "vm")

    @property
    def option(self) -> str:
        """What says on a command line that it is this one: nothing for the usual one."""
        return "" if str(self) == "sandbox" else f" --on {self}"

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}" if self.name not in ("", "default") else self.kind


def named(text: str) -> Target:
    """Read what may stand behind --on. Raises CnetshError for anything else."""
    kind, _, name = text.partition(":")
    of_its_own = re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]{0,30}", name or "default")
    if kind in ("sandbox", "vm") and of_its_own:
        return Target(kind, name or "default")
    if text == "host":
        return Target("host")
    if kind == "ssh" and place(name):
        return Target("ssh", name)
    hint = "known: sandbox[:NAME], vm[:NAME], host, ssh:[USER@]HOST[:PORT]"
    raise CnetshError(f"unknown target {text!r}", hint)


def ensure(target: Target, build: Callable[[], int]) -> None:
    """Start the target's sandbox or VM when it does not run; build makes a sandbox's network.

    Raises CnetshError when it cannot be started or built. Half a sandbox never stays: a signal that
    comes meanwhile ends the building, and then this process.
    """
    if target.kind == "vm":
        # It is loaded where it is used, as ssh is: most go without.
        from cnetsh.targets.vm import entry

        entry.ensure(target.name)
    if target.kind != "sandbox" or sandbox.running_as(target.name):
        return
    with sandbox.SANDBOXES.use(target.name, fcntl.LOCK_EX):
        if sandbox.running_as(target.name):
            return
        with sandbox.building(target.name) as box:
            code = _in_child(box, build)
            if code - 128 in SIGNALS:
                sys.exit(code)
            if code:
                raise CnetshError("the sandbox was started, but its network could not be built")


def in_target(target: Target, action: Action) -> int | None:
    """Give the exit code of action, called in the target; None when no such sandbox or VM runs.

    On the host that is this process, which becomes root through sudo when it is not. For a sandbox
    it is a child, which the kernel ends with this process. Another machine is told by ssh, a VM by
    its port. A sandbox or VM left idle is stopped.
    """
    if target.kind == "host":
        if os.geteuid():
            _become_root()
        return action()
    if target.kind == "ssh":
        from cnetsh.targets.ssh import session

        return session.do(target.name, action)
    if target.kind == "vm":
        from cnetsh.targets.vm import entry

        return entry.in_vm(target.name, action)
    # Asked under the lock alone: whoever held it before us may have ended the sandbox.
    with sandbox.SANDBOXES.use(target.name):
        box = sandbox.running_as(target.name)
        if box is None:
            return None
        code = _in_child(box, action)
        if not box.lives:
            # Whatever the code says: what was done there has gone with it.
            raise CnetshError(f"{target} has ended meanwhile, with all that was in it", code=FAILED)
    sandbox.stop_if_idle(target.name)
    return code


def _become_root() -> NoReturn:
    """Start again under sudo: one password at the start, none in the middle of a plan."""
    sudo = tool("sudo")
    with contextlib.suppress(OSError):
        print("cnetsh: the host's network needs root: starting again with sudo", file=sys.stderr)
    program = [sys.executable, "-I", "-m", "cnetsh", *sys.argv[1:]]
    # sudo gives a clean environment, which is as it should be but for these.
    kept = [f"{key}={os.environ[key]}" for key in ("CNETSH_ON", "NO_COLOR") if key in os.environ]
    os.execv(sudo, [sudo, "--", *(["/usr/bin/env", *kept] if kept else []), *program])


def _in_child(box: sandbox.Sandbox, action: Callable[[], int]) -> int:
    """Call action in a child: a process that entered a pid namespace can make no threads."""
    sys.stdout.flush()
    sys.stderr.flush()
    hold_back()
    pid = os.fork()
    if not pid:
        os._exit(_entered(box, action))
    return wait_for(pid)


def _entered(box: sandbox.Sandbox, action: Callable[[], int]) -> int:
    namespace.die_with_parent(signal.SIGKILL)
    sandbox.move_into(box)
    # Only a grandchild is in the pid namespace; the kernel forgets the wish to die at every fork.
    pid = os.fork()
    if pid:
        return wait_for(pid)
    namespace.die_with_parent(signal.SIGKILL)
    try:
        release()
        code = action()
    except BaseException:
        code = FAILED
        traceback.print_exc()
    finally:
        # Nothing may come out of this process but its exit code: the parent goes on in the code.
        os._exit(code)
