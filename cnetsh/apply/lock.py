"""The one lock of a network namespace, for all that changes it."""

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from cnetsh.apply.journal import folder
from cnetsh.errors import CnetshError
from cnetsh.system.files import open_private
from cnetsh.system.process import never

TIMEOUT = 30.0


@contextlib.contextmanager
def held(purpose: Iterable[str], stopping: Callable[[], int] = never) -> Iterator[int]:
    """Hold the one lock of this network namespace for all that changes it; give its descriptor.

    Children inherit it, so that nobody comes in before a command that outlived its cnetsh has ended
    (kernel-facts: flock(2) goes with the open file, not with the process). Raises CnetshError, with
    the holder's name, when it is not free within TIMEOUT seconds or a signal is stopping this.
    """
    fd = open_private(folder() / "lock", os.O_RDWR | os.O_CREAT)
    try:
        _wait_for(fd, stopping)
        # Whom others wait for is only told to people: a full disk must not stop a rollback.
        with contextlib.suppress(OSError):
            os.ftruncate(fd, 0)
            text = f"process {os.getpid()}: {' '.join(purpose)}"
            os.pwrite(fd, text.encode("utf-8", "backslashreplace"), 0)
        os.set_inheritable(fd, True)
        yield fd
    finally:
        os.close(fd)


def held_by() -> int:
    """Give the number of the living process that holds this network's lock, 0 where none does."""
    try:
        fd = open_private(folder() / "lock", os.O_RDWR)
    except CnetshError:
        return 0
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        words = os.pread(fd, 200, 0).decode(errors="replace").partition(":")[0].split()
        pid = int(words[1]) if len(words) == 2 and words[1].isdigit() else 0
        return pid if Path(f"/proc/{pid}").exists() else 0
    finally:
        os.close(fd)
    return 0


def _wait_for(fd: int, stopping: Callable[[], int]) -> None:
    deadline = time.monotonic() + TIMEOUT
    while True:
        try:
            return fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(fd, 200, 0).decode(errors="replace").strip()
        if signal := stopping():
            raise CnetshError(f"stopped while waiting for {holder}", code=128 + signal)
        if time.monotonic() > deadline:
            said = f"another cnetsh is changing this network: {holder}"
            raise CnetshError(said, "wait until it ends")
        time.sleep(0.02)
