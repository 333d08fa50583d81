"""Who runs: a folder of this user's for each kind of what is started, and a file for each name.

One that runs holds the lock of its file for as long as it lives, however it ends; what the file
says is written when it is there for others. Those who are inside share the lock of a second file.
"""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cnetsh.system.files import open_private, private_folder, runtime_folder


@dataclass(frozen=True, slots=True)
class Registry:
    """The folder of all that is of one kind, such as sandboxes."""

    kind: str

    def folder(self) -> Path:
        """Give the folder itself, made when missing."""
        return private_folder(runtime_folder() / self.kind)

    def file(self, name: str, suffix: str) -> Path:
        """Give a file of that name."""
        return self.folder() / f"{name}.{suffix}"

    def names(self) -> list[str]:
        """Give the names of all that run or did so."""
        return sorted(path.stem for path in self.folder().glob("*.holder"))

    def said(self, name: str) -> dict[str, Any] | None:
        """Give what the one of that name has said of itself, when it runs and is built."""
        path = self.file(name, "holder")
        if not path.exists():
            return None
        fd = open_private(path, os.O_RDWR)
        try:
            # Shared, so that two who ask at once do not take each other for the holder.
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            with contextlib.suppress(ValueError):
                return dict(json.loads(os.pread(fd, 4096, 0)))
        finally:
            os.close(fd)
        return None

    @contextmanager
    def use(self, name: str, mode: int = fcntl.LOCK_SH) -> Iterator[None]:
        """Hold the use lock of a name, shared by all who are inside."""
        fd = open_private(self.file(name, "use"), os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(fd, mode)
            yield
        finally:
            os.close(fd)

    def kept(self, name: str) -> bool:
        """Say whether it was started by hand, and so stays when its last lab is down."""
        return self.file(name, "keep").exists()

    def keep(self, name: str) -> None:
        """Have it stay when its last lab is down."""
        os.close(open_private(self.file(name, "keep"), os.O_WRONLY | os.O_CREAT))
