"""What a terminal shows of what a program writes to it."""

import os
import pty
import select
import struct
import subprocess
import termios
from collections.abc import Callable, Sequence
from fcntl import ioctl
from typing import Any

import pyte

# Seconds; a busy machine needs many.
PATIENCE = 60


def read_to_its_end(ours: int) -> bytes:
    """All that comes from a terminal until its other end is closed; then this one is, too."""
    text = b""
    try:
        while piece := os.read(ours, 65536):
            text += piece
    except OSError:
        pass  # as a terminal says that nobody is at its other end
    os.close(ours)
    return text


def in_front(
    start: Callable[..., "subprocess.Popen[str]"], argv: Sequence[str], look: str
) -> tuple[int, str]:
    """How a shell ends, and what it says, that is typed a job, Ctrl-C, a look and `exit 7`.

    The terminal is its controlling one, as where a person types, of 33 rows and 77 columns.
    """
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(ours, (33, 77))
    shell = start(["setsid", "--ctty", *argv], stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    # One job, so that Ctrl-C finds it in front as soon as it has said something.
    os.write(ours, b"sh -c 'stty size; exec sleep 100'\n")
    said = _read_until(ours, b"33 77")
    os.write(ours, b"\3" + f"{look}; exit 7\n".encode())
    said += read_to_its_end(ours)
    return shell.wait(), said.decode()


def _read_until(ours: int, wanted: bytes) -> bytes:
    said = b""
    while wanted not in said:
        assert select.select([ours], [], [], PATIENCE)[0], said
        said += os.read(ours, 1024)
    return said


def written(
    start: Callable[..., "subprocess.Popen[str]"], columns: int, typed: str = "", **options: Any
) -> str:
    """What a program that is started so writes to a terminal that is so wide."""
    ours, theirs = pty.openpty()
    ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    child = start(stdin=theirs, stdout=theirs, stderr=theirs, **options)
    os.close(theirs)
    os.write(ours, typed.encode())
    text = read_to_its_end(ours)
    child.wait()
    return text.decode()


def screen(text: str, columns: int) -> list[str]:
    """The rows of a terminal that got a text, without the empty ones below it."""
    # All of it stays on the screen.
    emulated = pyte.Screen(columns, text.count("\n") + len(text) // columns + 1)
    pyte.Stream(emulated).feed(text)
    rows = [row.rstrip() for row in emulated.display]
    return rows[: max((number for number, row in enumerate(rows, 1) if row), default=0)]
