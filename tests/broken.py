"""Standard streams that cannot be written, for tests of what is done about it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

# How, and what is said of it: of who has gone, nothing.
WAYS = {
    "a closed pipe": "",
    "a full disk": "No space left on device",
    "closed": "Bad file descriptor",
    "a terminal that is gone": "",
}
# The exit code of a command that only looks; a terminal's SIGHUP comes a moment after it is gone.
CODES = dict.fromkeys(WAYS, 1) | {"a closed pipe": 141, "a terminal that is gone": 129}


@contextmanager
def broken(way: str, *streams: str) -> Iterator[dict[str, Any]]:
    """Options for subprocess: these streams cannot be written, the other one is a pipe."""
    options: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    if way == "closed":
        numbers = ("stdin", "stdout", "stderr")
        # In the child, after it got them: subprocess has no word for it.
        close = [partial(os.close, numbers.index(stream)) for stream in streams]
        yield options | {"preexec_fn": lambda: [one() for one in close]}
        return
    fd = _unwritable(way)
    yield options | dict.fromkeys(streams, fd)
    os.close(fd)


def _unwritable(way: str) -> int:
    if way == "a full disk":
        return os.open("/dev/full", os.O_WRONLY)
    other, fd = os.pipe() if way == "a closed pipe" else os.openpty()
    os.close(other)
    return fd


def cnetsh(way: str, words: str, *streams: str, **more: str) -> "subprocess.CompletedProcess[str]":
    """cnetsh where streams (by default its output) cannot be written; more: of the environment."""
    # Python would write each piece at once; as a rule it is what fills a buffer, or all at the end.
    unwanted = ("CNETSH_ON", "PYTHONUNBUFFERED")
    env = {key: value for key, value in os.environ.items() if key not in unwanted} | more
    with broken(way, *(streams or ["stdout"])) as options:
        argv = [sys.executable, "-m", "cnetsh", *words.split()]
        return subprocess.run(argv, text=True, timeout=120, env=env, **options)
