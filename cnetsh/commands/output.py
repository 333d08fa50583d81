"""What is printed for a person, and the texts and files that were asked for.

It is loaded at every start, and so imports little; progress.py shows steps that run.
"""

import contextlib
import errno
import os
import signal
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, TextIO

from cnetsh.errors import DONE, FAILED, NO_PROCESS, CnetshError
from cnetsh.views.terminal import WRONG, Paint, ansi, fitted, printable, unpainted

UNWRITTEN = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EBADF)


def exit_code_of(action: Callable[[], int], debug: bool = False) -> int:
    """Give the exit code of action, or that of its error: a message, with debug a traceback."""
    try:
        return flushed(action)
    except (CnetshError, OSError) as error:
        if debug:
            raise
        known = error if isinstance(error, CnetshError) else _told(error)
        show_error(known)
        return known.code


def _told(error: OSError) -> CnetshError:
    if error.filename in (None, "<stdout>") and error.errno in UNWRITTEN:
        # Of every other file the name is known.
        said = f"standard output cannot be written: {error.strerror}"
        return CnetshError(said, "let it go elsewhere: > FILE", FAILED)
    where = f"{error.filename}: " if error.filename else ""
    hint = NO_PROCESS if error.errno == errno.EAGAIN else ""
    return CnetshError(f"{where}{error.strerror or error}", hint, FAILED)


def flushed(action: Callable[[], int | None]) -> int:
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


def say(text: str, style: str = "", whole: bool = False) -> None:
    """Print a line for the person at the terminal; whole: it is never broken."""
    # What is said into a file is looked for there by its lines, whatever COLUMNS is.
    show(_laid_out(text, sys.stderr, style, whole or not sys.stderr.isatty()))


def tell(text: str, style: str = "", whole: bool = False) -> None:
    """Print a line of what was asked for; whole: it is never broken, for it may be pasted."""
    sys.stdout.write(_laid_out(text, sys.stdout, style, whole))


def _laid_out(text: str, stream: TextIO, style: str, whole: bool) -> str:
    """Give lines in a stream's width, with their control characters shown."""
    paint, width = paint_of(stream), 0 if whole else width_of(stream)
    told = (printable(each.expandtabs()) for each in text.split("\n"))
    lines = (line for each in told for line in fitted(each, width))
    return "".join([f"{paint(line, style)}\n" for line in lines])


def width_of(stream: TextIO) -> int:
    """Give how many columns a stream has: as COLUMNS says, or its terminal; 0 is any number."""
    if (said := os.environ.get("COLUMNS", "")).isdigit():
        return int(said)
    # Of a pipe or a file nobody says how wide it is shown.
    with contextlib.suppress(OSError, ValueError):
        return os.get_terminal_size(stream.fileno()).columns
    return 0


def paint_of(stream: TextIO) -> Paint:
    """Give what colours text for a stream: nothing does where it is no terminal."""
    refused = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return ansi if stream.isatty() and not refused else unpainted


def unicode_fits(stream: TextIO) -> bool:
    """Say whether a stream can show more than ASCII."""
    said = os.environ.get("LC_ALL") or os.environ.get("LANG", "")
    return said not in ("C", "POSIX") and "utf" in (stream.encoding or "").lower()


def show(text: str) -> None:
    """Print to the terminal as it is; one that is gone or full must not stop a rollback."""
    # Where both go into one file, each thing is where it was said.
    with contextlib.suppress(OSError):
        sys.stdout.flush()
    try:
        print(text, end="", file=sys.stderr, flush=True)
    except OSError:
        _silence(sys.stderr)


def show_error(error: CnetshError) -> None:
    """Print what happened and what to do about it."""
    say(f"cnetsh: {error.message}", WRONG)
    if error.hint:
        say(f"  {error.hint}")


@contextlib.contextmanager
def naming_file(file: IO[str]) -> Iterator[None]:
    """Have the error of what is written name the file, which the system does not."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, file.name) from None


def collected(path: Path | None) -> TextIO:
    """Give the stream for what is asked for: standard output, or one that `kept` delivers."""
    # A pager has to be started outside of a target.
    return scratch() if path or sys.stdout.isatty() else sys.stdout


def scratch() -> TextIO:
    """Give a stream that is a file without a name."""
    return os.fdopen(os.memfd_create("output"), "w+", encoding="utf-8")


def kept(stream: TextIO, path: Path | None, code: int) -> int:
    """Deliver what was collected, to a new file where all went well; give the exit code."""
    if stream is sys.stdout:
        return code
    # Where there was nothing to look at, that has been said, and nothing is kept.
    if (path is None or code == DONE) and os.fstat(stream.fileno()).st_size:
        stream.seek(0)
        deliver(stream.read(), path)
    return code


def deliver(text: str, path: Path | None) -> None:
    """Print a text, a long one by the pager, or make a file of it but "-". Raises CnetshError."""
    if path is None or path == Path("-"):
        if sys.stdout.isatty():
            # What is piped goes without it.
            from cnetsh.system.pager import paged

            text = "" if paged(text) else text
        sys.stdout.write(text)
        return
    try:
        with path.open("x", encoding="utf-8") as file:
            try:
                file.write(text)
                file.flush()
            except OSError:
                # Half a file would be in the way of the next try.
                path.unlink()
                raise
    except FileExistsError:
        raise CnetshError(f"{path} is there already", "remove it, or name another file") from None
    except OSError as error:
        raise CnetshError(f"{path} cannot be written: {error.strerror}") from None
    say(f"wrote {path}")
