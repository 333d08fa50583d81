"""What a terminal shows of what a program writes to it."""

import os
import pty
import struct
import subprocess
import termios
from collections.abc import Callable
from fcntl import ioctl
from typing import Any

import pyte


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
