"""Who runs: a folder of this user's for each kind of what is started, and a file for each name.

One that runs holds the lock of its file for as long as it lives, however it ends; what the file
says is written when it is there for others. Those who are inside share the lock of a second file.
"""

import contextlib
import fcntl
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from cnetsh.errors import FAILED, CnetshError
from cnetsh.system.files import open_private, private_folder, runtime_folder
from cnetsh.targets.frames import Exit

# Long enough for the kernel to take down what is in it.
STOP_TIMEOUT = 10.0


class Running(Protocol):
    """One that runs: its name, and the process that it ends with."""

    @property
    def name(self) -> str: ...
    @property
    def pid(self) -> int: ...
    @property
    def labs(self) -> list[str]:
        """The names of the labs that are up in it or were interrupted there."""


One = TypeVar("One", bound=Running)


@dataclass(frozen=True, slots=True)
class Registry(Generic[One]):
    """The folder of all that is of one kind, such as sandboxes; one: of a name and what it said."""

    kind: str
    plural: str
    one: Callable[..., One]

    def folder(self) -> Path:
        """Give the folder itself, made when missing."""
        return private_folder(runtime_folder() / self.plural)

    def file(self, name: str, suffix: str) -> Path:
        return self.folder() / f"{name}.{suffix}"

    def names(self) -> list[str]:
        """Give the names of those that run."""
        known = sorted(path.stem for path in self.folder().glob("*.holder"))
        return [name for name in known if self.said(name)]

    def running(self) -> list[One]:
        """Give every one of this user that runs, by name."""
        return [one for name in self.names() if (one := self.running_as(name))]

    def running_as(self, name: str) -> One | None:
        """Give the one of that name when it runs and is built."""
        said = self.said(name)
        return self.one(name, **said) if said else None

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

    def say(self, name: str, fd: int, text: str) -> None:
        """Write what the one of that name says of itself. Raises CnetshError when it cannot."""
        try:
            # It writes on where there was room for a part alone, and then says why not.
            with os.fdopen(fd, "r+", encoding="utf-8", closefd=False) as file:
                file.truncate()
                file.write(text)
        except OSError as error:
            raise CnetshError(
                f"the state file {self.file(name, 'holder')} cannot be written: {error.strerror}",
                "make room there; XDG_RUNTIME_DIR says where else",
                FAILED,
            ) from None

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

    def ensure(self, name: str, start: Callable[[], object]) -> None:
        """Have one of that name run, which start does where none is there."""
        if not self.running_as(name):
            with self.use(name, fcntl.LOCK_EX):
                if not self.running_as(name):
                    # That one may have been killed.
                    self.file(name, "keep").unlink(missing_ok=True)
                    start()

    def enter(self, name: str, do: Callable[[One], Exit]) -> int | None:
        """Give the exit code of what is done in one, None when none runs; stop one left idle."""
        # Asked under the lock alone: whoever held it before us may have ended it.
        with self.use(name):
            one = self.running_as(name)
            if one is None:
                return None
            ended = do(one)
        if not (ended.labs or self.kept(name)):
            self._stop_if_idle(name)
        return ended.code

    def _stop_if_idle(self, name: str) -> None:
        # Whoever is inside holds the lock too, and will come here after us; a lab may be up by now.
        with contextlib.suppress(BlockingIOError), self.use(name, fcntl.LOCK_EX | fcntl.LOCK_NB):
            one = self.running_as(name)
            if one and not (self.kept(name) or one.labs):
                self.stop(one)

    def stop(self, one: One) -> None:
        """End one with everything in it and wait until it is gone. Raises CnetshError if not."""
        # Before, for afterwards somebody may start it anew.
        for file in self.folder().glob(f"{one.name}.*"):
            if file.suffix not in (".use", ".holder"):
                file.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            os.kill(one.pid, signal.SIGKILL)
        deadline = time.monotonic() + STOP_TIMEOUT
        while self.running_as(one.name) == one:
            if time.monotonic() > deadline:
                said = f"{self.kind} {one.name} does not end: process {one.pid}"
                raise CnetshError(said, code=FAILED)
            time.sleep(0.01)
