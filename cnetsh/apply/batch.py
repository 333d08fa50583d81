"""A lane: one `ip -batch -` process that is fed line by line, and that can be stopped at any line.

Its standard input is a SOCK_SEQPACKET socket, one packet a line. glibc reads one packet at a time,
so ip takes line k+1 only after line k has run: what is left in the socket was never run, and the
last line taken is the one that failed, also for the errors for which ip prints no line number.
"""

import contextlib
import fcntl
import os
import re
import select
import socket
import termios
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from cnetsh.system.process import Result, Start, tool

# ip reads at most 4,095 bytes at once and would silently cut a longer packet.
LONGEST = 4095
# Some eighty lines ahead keep ip busy; those end before a stop is over, and after a killed cnetsh.
BUFFER = 1 << 15
POLL, LONGEST_POLL = 0.0001, 0.005
# Once it is taken, the line before it is over.
BLANK = b"\n"
# The number is that of the line in the batch, which nobody has typed.
_TRAILER = re.compile(r"^Command failed -:\d+\n?", re.MULTILINE)


class Lane:
    """A running `ip -batch -`; feed it lines, settle to be sure they have run, then close it."""

    def __init__(self, start: Start) -> None:
        self._ours, self._theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
        self._ours.setblocking(False)
        self._errors = os.fdopen(os.memfd_create("stderr"), "rb")
        # Of each packet whether it is a line; a blank one is none.
        self._packets: list[bool] = []
        with Path(os.devnull).open("wb") as null:
            streams = self._theirs.fileno(), null.fileno(), self._errors.fileno()
            self._child = start((tool("ip"), "-batch", "-"), streams)
        # Tells of the child's end; None when it has ended already.
        self._pidfd: int | None = None
        try:
            self._pidfd = os.pidfd_open(self._child.pid)
        except ProcessLookupError:
            pass
        except OSError:
            self._ours.shutdown(socket.SHUT_WR)
            self._child.wait()
            raise

    def run(self, lines: Iterable[str], stopping: Callable[[], int]) -> bool:
        """Hand lines over and wait until all have run; False: `close` says how far it came."""
        # What an earlier run handed over has run: close tells of the last run alone.
        self._packets.clear()
        fed = self.feed(lines, stopping)
        return fed and self._send(BLANK, False, stopping) and self._drained()

    def feed(self, lines: Iterable[str], stopping: Callable[[], int]) -> bool:
        """Hand over command lines until all are, the process has ended, or it is to stop.

        What was handed over runs: to take it back, ip would have to be halted, and halted for good
        when this process is killed meanwhile.
        """
        return all(self._send(line.encode() + b"\n", True, stopping) for line in lines)

    def close(self) -> tuple[Result, int]:
        """End the input, wait, and give the result and how many lines of the last run ip has taken.

        When the exit code is not 0, the last line taken is the one that failed.
        """
        with contextlib.suppress(OSError):
            self._ours.shutdown(socket.SHUT_WR)
        exit_code = self._child.wait()
        # What is still in the socket was never read.
        with contextlib.suppress(BlockingIOError):
            while self._theirs.recv(LONGEST + 1, socket.MSG_DONTWAIT):
                self._packets.pop()
        with self._errors as errors:
            errors.seek(0)
            stderr = errors.read().decode("utf-8", "surrogateescape")
        self._ours.close()
        self._theirs.close()
        if self._pidfd is not None:
            os.close(self._pidfd)
        return Result(exit_code, "", _TRAILER.sub("", stderr)), sum(self._packets)

    def _send(self, packet: bytes, counts: bool, stopping: Callable[[], int]) -> bool:
        while not stopping():
            try:
                self._ours.send(packet)
            except BlockingIOError:
                if self._ended([self._ours], 0.1):
                    return False
                continue
            except OSError:
                return False
            self._packets.append(counts)
            return True
        return False

    def _drained(self) -> bool:
        began = time.monotonic()
        # What is queued in the socket has not been read.
        while any(fcntl.ioctl(self._ours, termios.TIOCOUTQ, b"\0" * 4)):
            # A short command is noticed at once, and a long unit is not slowed down by looking.
            if self._ended([], min(LONGEST_POLL, POLL + (time.monotonic() - began) / 16)):
                return False
        return True

    def _ended(self, writable: list[socket.socket], seconds: float) -> bool:
        """Say whether the process has ended; wait for that, or for room in a socket."""
        if self._pidfd is None:
            return True
        ended, _, _ = select.select([self._pidfd], writable, [], seconds)
        return bool(ended)
