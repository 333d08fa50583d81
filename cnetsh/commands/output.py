"""What is printed for a person, and the texts and files that were asked for.

It is loaded at every start, and so imports little; progress.py shows steps that run.
"""

import contextlib
import errno
import os
import signal
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from cnetsh.errors import DONE, FAILED, CnetshError


def told(action: Callable[[], int], debug: bool = False) -> int:
    """Give the exit code of action, or that of its error: a message, with debug a traceback."""
    try:
        return written(action)
    except (CnetshError, OSError) as error:
        if debug:
            raise
        known = error if isinstance(error, CnetshError) else CnetshError(str(error), code=FAILED)
        show_error(known)
        return known.code


def written(action: Callable[[], int | None]) -> int:
    """Give the exit code of action when all that it printed is written, or 141 to a closed pipe.

    A terminal that has gone is 129. Raises OSError when it cannot be written: at the end, the
    interpreter would fail in its own way.
    """
    try:
        try:
            return action() or DONE
        finally:
            # Not sys.stdout: typer leaves one there that hides a closed pipe.
            (sys.__stdout__ or sys.stdout).flush()
    except OSError as error:
        gone = _hung_up(sys.stdout, error)
        _silence(sys.stdout)
        if isinstance(error, BrokenPipeError):
            return 128 + signal.SIGPIPE
        if gone:
            return 128 + signal.SIGHUP
        raise


def _hung_up(stream: TextIO, error: OSError) -> bool:
    """Say whether a stream's terminal has gone, which can be read before its SIGHUP comes."""
    return error.errno == errno.EIO and stat.S_ISCHR(os.fstat(stream.fileno()).st_mode)


def _silence(stream: TextIO) -> None:
    """Have what a stream still holds, and all that comes, go nowhere."""
    with contextlib.suppress(OSError), Path(os.devnull).open("w") as null:
        os.dup2(null.fileno(), stream.fileno())


def say(text: str) -> None:
    """Print a line for the person at the terminal."""
    show(f"{visible_lines(text)}\n")


def show(text: str) -> None:
    """Print to the terminal as it is; one that is gone or full must not stop a rollback."""
    try:
        print(text, end="", file=sys.stderr, flush=True)
    except OSError:
        _silence(sys.stderr)


def visible_lines(text: str) -> str:
    """Give a text of several lines with its control characters shown."""
    # A start that says nothing goes without plans and how they are shown.
    from cnetsh.views.text import printable

    return "\n".join(printable(line) for line in text.split("\n"))


def show_error(error: CnetshError) -> None:
    """Print what happened and what to do about it."""
    say(f"cnetsh: {error.message}")
    if error.hint:
        say(f"  {error.hint}")


def collected(path: Path | None) -> TextIO:
    """Give the stream for what is asked for: standard output, or one that `kept` writes to path."""
    return scratch() if path else sys.stdout


def scratch() -> TextIO:
    """Give a stream that is a file without a name."""
    return os.fdopen(os.memfd_create("output"), "w+", encoding="utf-8")


def kept(stream: TextIO, path: Path | None, code: int) -> int:
    """Write what was collected to a new file, where all went well; give the exit code."""
    # Where there was nothing to look at, that has been said, and nothing is kept.
    if path and code == DONE and os.fstat(stream.fileno()).st_size:
        stream.seek(0)
        deliver(stream.read(), path)
    return code


def deliver(text: str, path: Path | None) -> None:
    """Print what was asked for, or write it to a new file.

    Raises CnetshError when there is such a file: nothing is overwritten.
    """
    if path is None:
        sys.stdout.write(text)
        return
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise CnetshError(f"{path} is there already", "remove it, or name another file") from None
    except OSError as error:
        raise CnetshError(f"{path} cannot be written: {error.strerror}") from None
    say(f"wrote {path}")
