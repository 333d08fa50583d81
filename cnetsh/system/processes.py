"""The processes inside a lab's namespaces, which they keep alive: who they are, and their end."""

import contextlib
import os
import select
import signal
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from cnetsh.system import namespace

KILL_TIMEOUT = 3.0


class Inside(NamedTuple):
    """A process that is in a namespace and keeps it alive."""

    pid: int
    name: str
    netns: str
    inode: int


def found_in(homes: Mapping[int, str], held: Iterable[Sequence[Any]] = ()) -> list[Inside]:
    """Name the processes that are in namespaces, given by mark, or those of held that still are."""
    found = {one for one in (Inside(*known) for known in held) if _stays(one)}
    for entry in Path("/proc").glob("[0-9]*"):
        # A process may end meanwhile, and those of other users cannot be looked into.
        with contextlib.suppress(OSError):
            status = (entry / "ns/net").stat()
            if home := homes.get(namespace.mark(status)):
                name = (entry / "comm").read_text(errors="replace").strip()
                found.add(Inside(int(entry.name), name, home, status.st_ino))
    return sorted(found)


def _stays(one: Inside) -> bool:
    # The namespace has lost its name, and its mark with it; but for as long as the process is in
    # it, the inode's number is not given again.
    with contextlib.suppress(OSError):
        entry = Path(f"/proc/{one.pid}")
        named = (entry / "comm").read_text(errors="replace").strip() == one.name
        return named and (entry / "ns/net").stat().st_ino == one.inode
    return False


def kill(processes: Sequence[Inside], still: Callable[[], list[Inside]]) -> list[Inside]:
    """End just those processes, politely, then for good; give those that live on.

    A pidfd names the process itself, so a pid that was given again is not hit.
    """
    for number in (signal.SIGTERM, signal.SIGKILL):
        for process in set(processes) & set(still()):
            with contextlib.suppress(OSError):
                fd = os.pidfd_open(process.pid)
                signal.pidfd_send_signal(fd, number)
                select.select([fd], [], [], KILL_TIMEOUT / len(processes))
                os.close(fd)
    return still()
