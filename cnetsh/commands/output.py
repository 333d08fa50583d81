"""What is printed for a person, and the texts and files that were asked for.

It is loaded at every start, and so imports little; progress.py shows steps that run.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path

from cnetsh.errors import FAILED, CnetshError


def told(action: Callable[[], int], debug: bool = False) -> int:
    """Give the exit code of action, or that of its error: a message, with debug a traceback."""
    try:
        return action()
    except BrokenPipeError:
        # Nobody reads on; what is still in the buffer must not fail again when the program ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except (CnetshError, OSError) as error:
        if debug:
            raise
        known = error if isinstance(error, CnetshError) else CnetshError(str(error), code=FAILED)
        show_error(known)
        return known.code


def say(text: str) -> None:
    """Print a line for the person at the terminal; one who has left must not stop a rollback."""
    try:
        print(visible_lines(text), file=sys.stderr, flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


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
    print(f"wrote {path}", file=sys.stderr)
