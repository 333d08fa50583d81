"""The far side of an action: a child does it, on pipes or a terminal pumped to the caller.

Process 1 of a VM is one, at each of its ports, and what ssh starts on another machine.
"""

import contextlib
import fcntl
import gc
import json
import os
import pickle
import pty
import select
import signal
import sys
import termios
import traceback
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn, Protocol

from cnetsh.errors import FAILED
from cnetsh.system.files import labs_below
from cnetsh.system.namespace import die_with_parent
from cnetsh.system.signals import SIGNALS, end_at_once, hold_back, release
from cnetsh.targets import frames
from cnetsh.targets.frames import Exit, Reader, Request
from cnetsh.targets.travel import unpacked


class Caller(Protocol):
    """Who has it done: where he is heard, and whether the action ends when he goes."""

    fd: int
    ends_it: bool

    def heard(self) -> Iterable[tuple[bytes, bytes]] | None:
        """Give what has come; None when the caller has gone."""

    def send(self, letter: bytes, content: bytes = b"") -> object:
        """Say something; it is lost when nobody is there."""


class Streams:
    """Who has started this process. What has begun goes on without him."""

    fd, ends_it = 0, False

    def __init__(self) -> None:
        self._reader = Reader()

    def heard(self) -> Iterable[tuple[bytes, bytes]] | None:
        piece = os.read(0, frames.PIECE)
        return self._reader.frames(piece) if piece else None

    def send(self, letter: bytes, content: bytes = b"") -> None:
        rest = frames.framed(letter, content)
        with contextlib.suppress(OSError):
            while rest:
                rest = rest[os.write(1, rest) :]


def act(caller: Caller, content: bytes) -> None:
    """Do what a request says, and tell how it ended."""
    code = _Child(caller, pickle.loads(zlib.decompress(content))).run()
    caller.send(frames.ENDED, json.dumps(asdict(Exit(code, labs_below(Path("/"))))).encode())


class _Child:
    """The process that does an action, with what connects it to the caller."""

    def __init__(self, caller: Caller, request: Request) -> None:
        self.caller = caller
        self.outputs: dict[int, int] = {}
        if request.size:
            self.input, theirs = pty.openpty()
            termios.tcsetwinsize(self.input, request.size)
            self.outputs[self.input], given = 1, [theirs] * 3
        else:
            theirs, self.input = os.pipe()
            given = [theirs]
        while len(given) < request.streams:
            ours, theirs = os.pipe()
            self.outputs[ours] = len(given)
            given.append(theirs)
        os.set_blocking(self.input, False)
        # What it has not taken yet, and whether more may come.
        self.waiting, self.more = b"", True
        # What comes before the child is ready waits for it.
        hold_back()
        self.pid = os.fork()
        if not self.pid:
            _become(request, given)
        for fd in {*given}:
            os.close(fd)
        self.end = os.pidfd_open(self.pid)
        for number in SIGNALS:
            signal.signal(number, lambda number, _: self._signalled(number))
        release()

    def run(self) -> int:
        """Pass on what comes from either side until the child has ended; give its exit code."""
        self.caller.send(frames.BEGUN)
        here = True
        while True:
            watched = [self.end, *self.outputs, *([self.caller.fd] if here else [])]
            ready, free, _ = select.select(watched, [self.input] * bool(self.waiting), [])
            for fd in {*ready} & self.outputs.keys():
                self._told(fd)
            if free:
                self._give()
            if self.caller.fd in ready:
                here = self._heard()
            if ready == [self.end]:
                return self._ended()

    def _told(self, fd: int) -> None:
        # A terminal whose last user has gone cannot be read any more.
        with contextlib.suppress(OSError):
            if piece := os.read(fd, frames.PIECE):
                self.caller.send(frames.STREAM, bytes([self.outputs[fd]]) + piece)
                return
        self._close(fd)

    def _heard(self) -> bool:
        """Take what has come; give whether the caller is still there."""
        came = self.caller.heard()
        for letter, content in came or ():
            match letter:
                case frames.STREAM if content[0]:
                    # Nobody reads it any more.
                    self._close(*(fd for fd, number in self.outputs.items()
                                  if number == content[0]))  # fmt: skip
                case frames.STREAM:
                    self._take(content[1:])
                case frames.SIGNAL:
                    self._signalled(int(content))
                case frames.SIZE if self.input in self.outputs:
                    rows, columns = map(int, content.split())
                    termios.tcsetwinsize(self.input, (rows, columns))
        if came is None:
            self._hang_up()
        return came is not None

    def _take(self, piece: bytes) -> None:
        self.waiting += piece
        self.more = self.more and bool(piece)
        self._give()

    def _give(self) -> None:
        """Give it what it takes without this side waiting, which it may be waiting for itself."""
        try:
            taken = os.write(self.input, self.waiting)
            self.waiting = self.waiting[taken:]
            self.caller.send(frames.TAKEN, b"%d" % taken)
        except BlockingIOError:
            pass
        except OSError:
            # It has closed its input.
            self.waiting, self.more = b"", False
        # A terminal is output too, and closed as such.
        if not (self.waiting or self.more or self.input in self.outputs):
            self._close(self.input)

    def _hang_up(self) -> None:
        """Have it as with a terminal that goes away, or without more to come."""
        if self.input in self.outputs:
            self._close(self.input)
        self._take(b"")
        if self.caller.ends_it:
            self._signalled(signal.SIGHUP)

    def _signalled(self, number: int) -> None:
        # As long as it has no session, it has started nothing either.
        for kill in (os.killpg, os.kill):
            with contextlib.suppress(ProcessLookupError):
                return kill(self.pid, number)

    def _close(self, *fds: int) -> None:
        for fd in {*fds} & {self.input, *self.outputs} - {-1}:
            os.close(fd)
            self.outputs.pop(fd, None)
            if fd == self.input:
                self.input, self.waiting = -1, b""

    def _ended(self) -> int:
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        self._close(self.input, *self.outputs)
        os.close(self.end)
        return code if code >= 0 else 128 - code


def _become(request: Request, streams: Sequence[int]) -> NoReturn:
    """Do what is asked for in this process, with these streams."""
    code = FAILED
    try:
        die_with_parent(signal.SIGKILL)
        # A signal is for all that it starts, as at a terminal.
        os.setsid()
        end_at_once()
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        gc.disable()
        for to, fd in enumerate(streams[:3]):
            os.dup2(fd, to)
        if request.size:
            fcntl.ioctl(0, termios.TIOCSCTTY)
        os.environ.update(request.environment)
        sys.argv = request.argv
        # As the caller opens a log; each line at once, for this process may be killed.
        how: dict[str, Any] = {"buffering": 1, "encoding": "utf-8", "errors": "backslashreplace"}
        more = [os.fdopen(fd, "w", newline="\n", **how) for fd in streams[3:]]
        files = [sys.stdin, sys.stdout, sys.stderr, *more]
        code = unpacked(request.action, files)()
        for one in files[1:]:
            one.flush()
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)
