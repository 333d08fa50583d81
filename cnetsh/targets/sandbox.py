"""The sandbox: a private user, network, mount and pid namespace of an ordinary user.

It protects from mistakes; it is not a security boundary. A sandbox lives as long as the lock on its
registry file is held, which is as long as its holder lives; it is there for others once the file
says which processes hold it, which is written when all in it is built.
"""

import contextlib
import fcntl
import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cnetsh.errors import FAILED, CnetshError
from cnetsh.system.files import open_private
from cnetsh.system.namespace import MOUNT, NET, PID, USER, setns
from cnetsh.system.signals import hold_back
from cnetsh.targets.registry import Registry

SANDBOXES = Registry("sandboxes")
HOLDER = Path(__file__).with_name("holder.py")
# Long enough for the kernel to take down what is in it.
STOP_TIMEOUT = 10.0


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A running sandbox: its name, the holder's pid, and the pid of process 1 inside it."""

    name: str
    holder: int
    init: int

    @property
    def labs(self) -> list[str]:
        """The names of the labs that are up in it or were interrupted there."""
        journals = Path(f"/proc/{self.init}/root/run/cnetsh").glob("*/*.journal")
        return sorted(path.stem for path in journals)

    @property
    def lives(self) -> bool:
        """Whether what is in it is there: with process 1 it goes, and then ends who holds it."""
        return running_as(self.name) == self and Path(f"/proc/{self.init}/ns/net").exists()

    @property
    def kept(self) -> bool:
        """Whether it was started by hand, and so stays when its last lab is down."""
        return SANDBOXES.kept(self.name)


def running_as(name: str) -> Sandbox | None:
    """Give the sandbox of that name when it runs."""
    said = SANDBOXES.said(name)
    return Sandbox(name, **said) if said else None


def running() -> list[Sandbox]:
    """Give every sandbox of this user that runs, by name."""
    return [box for name in SANDBOXES.names() if (box := running_as(name))]


@contextmanager
def building(name: str) -> Iterator[Sandbox]:
    """Start a sandbox, still empty, for who builds it; it ends when that fails, or he is killed.

    Used under the exclusive use lock. Raises CnetshError where it is refused.
    """
    lock = open_private(SANDBOXES.file(name, "holder"), os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    # The one who was killed while he built another is followed by his sandbox at once.
    fcntl.flock(lock, fcntl.LOCK_EX)
    hold_back()
    answer, building = _start_holder(lock)
    try:
        try:
            box = Sandbox(name, **json.loads(answer))
        except ValueError:
            # It may be process 1 that failed, after the holder has told its number.
            raise _refusal(answer.rpartition("}")[2]) from None
        yield box
        os.write(lock, answer.encode())
    finally:
        os.close(building)
        os.close(lock)


def _start_holder(lock: int) -> tuple[str, int]:
    """Start the holder; give its answer, and the descriptor that it lives by at first."""
    # Both ends of its pipes are closed here or there, so there is no time to wait for.
    theirs, building = os.pipe()
    read, write = os.pipe()
    null = os.open(os.devnull, os.O_RDWR)
    program = [sys.executable, "-I", "-S", str(HOLDER)]
    streams = [(os.POSIX_SPAWN_DUP2, fd, to) for to, fd in enumerate((theirs, write, null, lock))]
    os.posix_spawn(sys.executable, program, {}, file_actions=streams, setsid=True)
    for fd in (theirs, write, null):
        os.close(fd)
    with os.fdopen(read) as answer:
        return answer.read(), building


def _refusal(answer: str) -> CnetshError:
    setting = "/proc/sys/kernel/apparmor_restrict_unprivileged_userns"
    limits = "user.max_user_namespaces and kernel.unprivileged_userns_clone"
    cause = f"the settings to look at are {limits}; inside a container its profile decides"
    with contextlib.suppress(OSError):
        if Path(setting).read_text().strip() == "1":
            cause = "AppArmor refuses them: kernel.apparmor_restrict_unprivileged_userns is 1"
    return CnetshError(
        f"this machine refuses a user namespace, so no sandbox can start ({answer or 'it ended'})",
        f"{cause}. Also possible: --on host as root in a virtual machine, or plan and script, "
        "which run nothing",
    )


def stop(box: Sandbox) -> None:
    """End a sandbox with everything in it and wait until it is gone. Raises CnetshError if not."""
    SANDBOXES.file(box.name, "keep").unlink(missing_ok=True)
    with contextlib.suppress(ProcessLookupError):
        os.kill(box.init, signal.SIGKILL)
    deadline = time.monotonic() + STOP_TIMEOUT
    while running_as(box.name) == box:
        if time.monotonic() > deadline:
            raise CnetshError(f"sandbox {box.name} does not end: process {box.holder}", code=FAILED)
        time.sleep(0.01)


def stop_if_idle(name: str) -> None:
    """End a sandbox that nobody keeps, in which no lab is left and no command is running."""
    # Whoever is inside holds the lock too, and will come here after us.
    with contextlib.suppress(BlockingIOError), SANDBOXES.use(name, fcntl.LOCK_EX | fcntl.LOCK_NB):
        box = running_as(name)
        if box and not box.kept and not box.labs:
            stop(box)


def move_into(box: Sandbox) -> None:
    """Move this process into a sandbox; only its children are in the pid namespace."""
    # The user first, who may enter the others; mounts last, for then /proc shows other processes.
    kinds = {"user": USER, "net": NET, "pid": PID, "mnt": MOUNT}
    try:
        fds = [os.open(f"/proc/{box.init}/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC) for kind in kinds]
        home = _here()
        for fd, kind in zip(fds, kinds.values(), strict=True):
            setns(fd, kind)
            os.close(fd)
    except OSError as error:
        raise CnetshError(f"sandbox {box.name} cannot be entered: {error.strerror}") from None
    # Below /run a sandbox has other folders than its caller.
    with contextlib.suppress(OSError):
        os.chdir(home)


def _here() -> Path:
    """Give the current folder, which somebody may have removed."""
    try:
        return Path.cwd()
    except OSError:
        return Path("/")
