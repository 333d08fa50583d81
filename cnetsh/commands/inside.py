"""Process 1 of a VM: it makes the machine, and runs what comes in by its ports.

All of cnetsh is loaded once, and each command is a copy of this process: Python's start would take
seconds where a processor is emulated.
"""

import base64
import contextlib
import fcntl
import json
import os
import pkgutil
import pty
import select
import signal
import sys
import termios
import time
import traceback
from collections import deque
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import NoReturn

import cnetsh
from cnetsh.commands.output import exit_code_of
from cnetsh.errors import FAILED
from cnetsh.system import namespace
from cnetsh.system.process import ENVIRONMENT, ask
from cnetsh.system.signals import end_at_once
from cnetsh.targets import travel
from cnetsh.targets.vm import frames
from cnetsh.targets.vm.frames import Exit, Request

FOLDERS = {"/proc": "proc", "/sys": "sysfs", "/dev": "devtmpfs", "/run": "tmpfs"}
# What this process alone does, and the command line; all else is loaded, so that no command has to.
NOT_LOADED = ("cnetsh.__main__", "cnetsh.cli.", "cnetsh.targets.holder")
# A signal that came just before the wait does not end it.
PAUSE = 1.0


def begin() -> None:
    """Be process 1 of a VM, until it is switched off."""
    for folder, kind in FOLDERS.items():
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
        for port in sorted(Path("/dev").glob("vport*")):
            if not os.fork():
                _Port(port).serve()
        print(f"cnetsh: ready after {time.monotonic():.1f} s", flush=True)
        with contextlib.suppress(ChildProcessError):
            while True:
                os.wait()
    # Who started it sees the machine end, and reads what it said.
    Path("/proc/sysrq-trigger").write_text("o")
    signal.pause()


class _Port:
    """A port of the VM's. Whoever comes says HELLO first, and is told by it that he is heard."""

    def __init__(self, path: Path) -> None:
        self.fd = os.open(path, os.O_RDWR)
        self._reader = frames.Reader()
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
                while not self.send(frames.HELLO, content):
                    signal.sigtimedwait({signal.SIGIO}, PAUSE)
            elif letter == frames.REQUEST:
                code = _Command(self, Request(**json.loads(content))).run()
                labs = sorted(path.stem for path in Path("/run/cnetsh").glob("*/*.journal"))
                self.send(frames.ENDED, frames.as_bytes(Exit(code, labs)))

    def take(self) -> bool:
        """Read what has come; give whether anybody is at the other end."""
        with contextlib.suppress(BlockingIOError):
            while piece := os.read(self.fd, frames.PIECE):
                self._read.extend(self._reader.frames(piece))
            return False
        return True

    def heard(self) -> Iterator[tuple[bytes, bytes]]:
        """Give what has been read, up to the word of somebody who comes anew."""
        while self._read and self._read[0][0] != frames.HELLO:
            yield self._read.popleft()

    @property
    def left(self) -> bool:
        """Whether somebody has come anew, so that the one before must have gone."""
        return bool(self._read)

    def send(self, letter: bytes, content: bytes = b"") -> bool:
        """Say something, and give whether anybody was there; else it is lost."""
        rest = frames.framed(letter, content)
        while rest:
            try:
                rest = rest[os.write(self.fd, rest) :]
            except BlockingIOError:
                poll = select.poll()
                poll.register(self.fd, select.POLLOUT)
                if any(event & select.POLLHUP for _, event in poll.poll()):
                    return False
        return True


class _Command:
    """A command that runs, with what connects it to a port."""

    def __init__(self, port: _Port, request: Request) -> None:
        self.port = port
        if request.terminal:
            self.input, theirs = pty.openpty()
            self.outputs, given = {self.input: 1}, [theirs, theirs, theirs]
        else:
            theirs, self.input = os.pipe()
            self.outputs, given = {}, [theirs]
        while len(given) <= request.outputs:
            ours, theirs = os.pipe()
            self.outputs[ours] = len(given)
            given.append(theirs)
        self.pid = os.fork()
        if not self.pid:
            _become(request, given)
        for fd in {*given}:
            os.close(fd)
        self.end = os.pidfd_open(self.pid)

    def run(self) -> int:
        """Pass on what comes from either side until the command has ended; give its exit code."""
        poll = select.poll()
        for fd in (self.port.fd, self.end, *self.outputs):
            poll.register(fd, select.POLLIN)
        # What followed the request may have been read along with it.
        self._heard()
        while True:
            ready = dict(poll.poll())
            for fd in ready.keys() & self.outputs.keys():
                if not self._told(fd):
                    poll.unregister(fd)
                    del self.outputs[fd]
                    os.close(fd)
            if self.port.fd in ready and not self._heard():
                # As with a terminal that goes away, what nobody waits for is hung up.
                poll.unregister(self.port.fd)
                self._signalled(signal.SIGHUP)
            elif ready.keys() == {self.end}:
                return self._ended()

    def _told(self, fd: int) -> bool:
        """Pass on what the command has said; give whether more may come."""
        # A terminal whose last user has gone cannot be read any more.
        with contextlib.suppress(OSError):
            if piece := os.read(fd, frames.PIECE):
                self.port.send(frames.OUTPUT, bytes([self.outputs[fd]]) + piece)
                return True
        return False

    def _heard(self) -> bool:
        """Pass on what has come in; give whether the caller is still there."""
        here = self.port.take()
        for letter, content in self.port.heard():
            # It may have closed its input, or ended.
            with contextlib.suppress(OSError):
                match letter:
                    case frames.INPUT if content:
                        os.write(self.input, content)
                    case frames.INPUT:
                        self._close_input()
                    case frames.SIGNAL:
                        self._signalled(int(content))
                    case frames.SIZE:
                        rows, columns = map(int, content.split())
                        termios.tcsetwinsize(self.input, (rows, columns))
        return here and not self.port.left

    def _close_input(self) -> None:
        # A terminal is output too, and closed as such.
        if self.input not in (-1, *self.outputs):
            os.close(self.input)
            self.input = -1

    def _signalled(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def _ended(self) -> int:
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        self._close_input()
        for fd in (self.end, *self.outputs):
            os.close(fd)
        return code if code >= 0 else 128 - code


def _become(request: Request, streams: Sequence[int]) -> NoReturn:
    """Do what is asked for in this process, with these streams."""
    code = FAILED
    try:
        os.setsid()
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        end_at_once()
        for to, fd in enumerate(streams[:3]):
            os.dup2(fd, to)
        if request.terminal:
            fcntl.ioctl(0, termios.TIOCSCTTY)
        os.environ.update(request.environment)
        sys.argv = request.argv
        files = [sys.stdin, sys.stdout, sys.stderr, *(os.fdopen(fd, "w") for fd in streams[3:])]
        code = exit_code_of(travel.unpacked(base64.b64decode(request.action), files))
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)
