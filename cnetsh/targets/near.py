"""An action that is done far away, seen from here: what goes there, what comes back, its end.

Signals are told to the far side as what is typed is: the end of the way there does not stop it.
"""

import contextlib
import json
import math
import os
import pickle
import select
import shutil
import signal
import sys
import termios
import time
import tty
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from cnetsh.system.process import TIMED_OUT
from cnetsh.system.signals import SIGNALS
from cnetsh.targets import frames
from cnetsh.targets.frames import Exit, Reader, Request
from cnetsh.targets.travel import Parcel

_POLL = 0.2
# Seconds that what has been told to stop has to begin.
_PATIENCE = 2.0
# What an action prints there depends on these of the caller's.
_ENVIRONMENT = ("NO_COLOR", "TERM")


class Near:
    """The caller's end of the way to a far side; code: what cnetsh is, where that is wanted."""

    def __init__(self, parcel: Parcel, code: Callable[[], bytes] = bytes) -> None:
        self.parcel, self.code = parcel, code
        # Whether the action has begun there, and why it did not.
        self.begun, self.refused = False, ""
        self.word = os.urandom(16)
        self.reader = Reader(self.word)
        # How it ends where it does not begin by then.
        self.stopped, self.patience = Exit(TIMED_OUT, []), math.inf
        self.size = _size() if parcel.terminal else None
        self.reads = parcel.reads
        self.unsent, self.untaken = b"", 0
        self.closed = set[int]()

    def follow(
        self, to: int, back: int, first: bytes = frames.KNOCK, seconds: float = math.inf
    ) -> Exit | None:
        """Have it done, its streams the caller's; None when the far side says no more.

        first: what is sent ahead. After so many seconds it has ended with 124, whatever it does.
        Used while signals are held back.
        """
        for stream in self.parcel.streams[1:]:
            stream.flush()
        os.set_blocking(to, False)
        self.unsent = first
        self._say(frames.HELLO, self.word)
        self._say(frames.REQUEST, zlib.compress(pickle.dumps(self._request())))
        with _raw(self.parcel.terminal):
            return self._followed(to, back, time.monotonic() + seconds)

    def _request(self) -> Request:
        kept = {key: os.environ[key] for key in _ENVIRONMENT if key in os.environ}
        parcel = self.parcel
        return Request(parcel.content, len(parcel.streams), sys.argv, kept, self.size)

    def _followed(self, to: int, back: int, deadline: float) -> Exit | None:
        while time.monotonic() < (deadline if self.begun else min(deadline, self.patience)):
            # What is typed waits until the way is free: nobody could stop it on its way.
            given = [self.parcel.streams[0].fileno()] if self._listens else []
            ready, free, _ = select.select([back, *given], [to] * bool(self.unsent), [], _POLL)
            if free:
                self._send(to)
            self._pass_on()
            if {*given} & {*ready}:
                piece = _read(given[0])
                self.reads = bool(piece)
                self.untaken += len(piece)
                self._say(frames.STREAM, b"\0" + piece)
            if back in ready:
                if not (piece := _read(back)):
                    return None
                for letter, content in self.reader.frames(piece):
                    if letter == frames.ENDED:
                        return Exit(**json.loads(content))
                    self._heard(letter, content)
        return self.stopped

    @property
    def _listens(self) -> bool:
        room = not self.unsent and self.untaken < frames.ON_ITS_WAY
        return self.begun and self.reads and room

    def _say(self, letter: bytes, content: bytes) -> None:
        self.unsent += frames.framed(letter, content)

    def _send(self, to: int) -> None:
        try:
            self.unsent = self.unsent[os.write(to, self.unsent) :]
        except BlockingIOError:
            pass
        except OSError:
            # Why nobody is there any more is told by the end of what comes back.
            self.unsent = b""

    def _pass_on(self) -> None:
        while came := signal.sigtimedwait(SIGNALS, 0):
            self._say(frames.SIGNAL, b"%d" % came.si_signo)
            # What begins later still hears of it.
            self.stopped = Exit(128 + came.si_signo, [])
            self.patience = time.monotonic() + _PATIENCE
        if self.size and self.size != _size():
            self.size = _size()
            self._say(frames.SIZE, b"%d %d" % self.size)

    def _heard(self, letter: bytes, content: bytes) -> None:
        match letter:
            case frames.BEGUN:
                self.begun = True
            case frames.STREAM if content[0] not in self.closed:
                self._write(content[0], content[1:])
            case frames.TAKEN:
                self.untaken -= int(content)
            case frames.CODE:
                self._say(frames.CODE, self.code())
            case frames.REFUSED:
                self.refused = content.decode(errors="replace")

    def _write(self, number: int, content: bytes) -> None:
        stream = self.parcel.streams[number]
        try:
            while content:
                content = content[os.write(stream.fileno(), content) :]
        except OSError as error:
            # What is still on its way is lost, and what writes there is told, as by a pipe.
            self.closed.add(number)
            self._say(frames.STREAM, bytes([number]))
            if not isinstance(error, BrokenPipeError):
                with contextlib.suppress(OSError):
                    print(f"{stream.name} cannot be written: {error.strerror}", file=sys.stderr)


def _read(fd: int) -> bytes:
    # A connection that was torn is at its end, and so is a terminal that has gone.
    with contextlib.suppress(OSError):
        return os.read(fd, frames.PIECE)
    return b""


def _size() -> tuple[int, int]:
    found = shutil.get_terminal_size()
    return found.lines, found.columns


@contextmanager
def _raw(terminal: bool) -> Iterator[None]:
    """Have what is typed go there as it is: the terminal there makes signals of it."""
    if not terminal:
        yield
        return
    before = termios.tcgetattr(sys.stdin)
    # What has been typed ahead is for it too.
    tty.setraw(sys.stdin, termios.TCSADRAIN)
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
