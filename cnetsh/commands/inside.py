"""Process 1 of a VM: it makes the machine, and runs what comes in by its ports.

All of cnetsh is loaded once, and each command is a copy of this process: Python's start would take
seconds where a processor is emulated.
"""

import contextlib
import fcntl
import os
import pkgutil
import select
import signal
import time
from collections import deque
from importlib import import_module
from pathlib import Path
from typing import NoReturn

import cnetsh
from cnetsh.system import namespace
from cnetsh.system.process import ENVIRONMENT, ask
from cnetsh.targets import far, frames

_FOLDERS = {"/proc": "proc", "/sys": "sysfs", "/dev": "devtmpfs", "/run": "tmpfs"}
# What this process alone does, and the command line; all else is loaded, so that no command has to.
NOT_LOADED = ("cnetsh.__main__", "cnetsh.cli.", "cnetsh.targets.holder")
# A signal that came just before the wait does not end it.
PAUSE = 1.0


def be_init() -> None:
    """Be process 1 of a VM, until it is switched off."""
    for folder, kind in _FOLDERS.items():
        namespace.mount(kind, folder, kind, 0)
    Path("/dev/pts").mkdir()
    namespace.mount("devpts", "/dev/pts", "devpts", 0)
    os.environ.update(ENVIRONMENT, HOME="/root", CNETSH_ON="host")
    listed = Path("/lib/modules", os.uname().release, "loaded").read_text().split()
    ask(("modprobe", "-a", "-q", *listed))
    for found in pkgutil.walk_packages(cnetsh.__path__, "cnetsh."):
        if not found.name.startswith(NOT_LOADED):
            import_module(found.name)
    from cnetsh.commands.changing import build_machine

    if not build_machine():
        ports = [_served(path) for path in sorted(Path("/dev").glob("vport*"))]
        print(f"cnetsh: ready after {time.monotonic():.1f} s", flush=True)
        # Others end here too, whose parents have ended. Without a port there is no way in.
        while os.wait()[0] not in ports:
            pass
    # Who started it sees the machine end, and reads what it said.
    Path("/proc/sysrq-trigger").write_text("o")
    signal.pause()


def _served(path: Path) -> int:
    """Start a process for a port; give its number."""
    pid = os.fork()
    if not pid:
        _Port(path).serve()
    return pid


class _Port:
    """A port of the VM's. Whoever comes says KNOCK first, and HELLO, by which he is answered."""

    # What nobody waits for is hung up, for others wait for the port.
    ends_it = True

    def __init__(self, path: Path) -> None:
        self.fd = os.open(path, os.O_RDWR)
        self._reader = frames.Reader(frames.KNOCK)
        self._read: deque[tuple[bytes, bytes]] = deque()
        # With nobody at its other end a port can neither be read nor polled; SIGIO tells of one.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGIO})
        fcntl.fcntl(self.fd, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(self.fd, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK)

    def serve(self) -> NoReturn:
        """Do what comes in, one command after the other."""
        while True:
            while not self.take() and not self._read:
                signal.sigtimedwait({signal.SIGIO}, PAUSE)
            if not self._read:
                select.select([self.fd], [], [])
                continue
            letter, content = self._read.popleft()
            if letter == frames.HELLO:
                # His word may be here before the kernel says that he is.
                while not self._write(content):
                    signal.sigtimedwait({signal.SIGIO}, PAUSE)
            elif letter == frames.REQUEST:
                far.act(self, content)

    def take(self) -> bool:
        """Read what has come; give whether anybody is at the other end."""
        with contextlib.suppress(BlockingIOError):
            while piece := os.read(self.fd, frames.PIECE):
                self._read.extend(self._reader.frames(piece))
            return False
        return True

    def heard(self) -> list[tuple[bytes, bytes]] | None:
        """Give what has come; None when the caller has gone, or somebody has come anew."""
        here, found = self.take(), []
        while self._read and self._read[0][0] != frames.HELLO:
            found.append(self._read.popleft())
        return found if here and not self._read else None

    def send(self, letter: bytes, content: bytes = b"") -> bool:
        """Say something, and give whether anybody was there; else it is lost."""
        return self._write(frames.framed(letter, content))

    def _write(self, rest: bytes) -> bool:
        while rest:
            try:
                rest = rest[os.write(self.fd, rest) :]
            except BlockingIOError:
                poll = select.poll()
                poll.register(self.fd, select.POLLOUT)
                if any(event & select.POLLHUP for _, event in poll.poll()):
                    return False
        return True
