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
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from cnetsh.errors import FAILED, CnetshError
from cnetsh.system import namespace
from cnetsh.system.files import labs_below, open_private
from cnetsh.system.namespace import MOUNT, NET, PID, USER, setns
from cnetsh.system.signals import SIGNALS, hold_back, release, wait_for
from cnetsh.targets.frames import Exit
from cnetsh.targets.registry import Registry

HOLDER = Path(__file__).with_name("holder.py")


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A running sandbox: its name, the holder's pid, and the pid of process 1 inside it."""

    name: str
    holder: int
    init: int

    @property
    def labs(self) -> list[str]:
        return labs_below(Path(f"/proc/{self.init}/root"))

    @property
    def pid(self) -> int:
        return self.init

    @property
    def lives(self) -> bool:
        """Whether what is in it is there: with process 1 it goes, and then ends who holds it."""
        known = SANDBOXES.running_as(self.name)
        return known == self and Path(f"/proc/{self.init}/ns/net").exists()


SANDBOXES = Registry("sandbox", "sandboxes", Sandbox)


def ensure_sandbox(name: str, build: Callable[[], int]) -> None:
    """Start a sandbox when it does not run; build makes its network.

    Raises CnetshError when it cannot be started or built. Half a sandbox never stays: a signal that
    comes meanwhile ends the building, and then this process.
    """

    def start() -> None:
        with _building(name) as box:
            code = _in_child(box, build)
            if code - 128 in SIGNALS:
                sys.exit(code)
            if code:
                raise CnetshError("the sandbox was started, but its network could not be built")

    SANDBOXES.ensure(name, start)


def in_sandbox(name: str, action: Callable[[], int]) -> int | None:
    """Give the exit code of action, called in a sandbox; None when none of that name runs."""
    return SANDBOXES.enter(name, partial(_done, action))


def _done(action: Callable[[], int], box: Sandbox) -> Exit:
    code = _in_child(box, action)
    if not box.lives:
        # Whatever the code says: what was done there has gone with it.
        name = "" if box.name == "default" else f":{box.name}"
        said = f"sandbox{name} has ended meanwhile, with all that was in it"
        raise CnetshError(said, code=FAILED)
    return Exit(code, box.labs)


@contextmanager
def _building(name: str) -> Iterator[Sandbox]:
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
        SANDBOXES.say(name, lock, answer)
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


def _move_into(box: Sandbox) -> None:
    """Move this process into a sandbox; only its children are in the pid namespace."""
    # The user first, who may enter the others; mounts last, for then /proc shows other processes.
    home = Path("/")
    with contextlib.suppress(OSError):
        # Somebody may have removed it.
        home = Path.cwd()
    kinds = {"user": USER, "net": NET, "pid": PID, "mnt": MOUNT}
    try:
        fds = [os.open(f"/proc/{box.init}/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC) for kind in kinds]
        for fd, kind in zip(fds, kinds.values(), strict=True):
            setns(fd, kind)
            os.close(fd)
    except OSError as error:
        raise CnetshError(f"sandbox {box.name} cannot be entered: {error.strerror}") from None
    # Below /run a sandbox has other folders than its caller.
    with contextlib.suppress(OSError):
        os.chdir(home)


def _in_child(box: Sandbox, action: Callable[[], int]) -> int:
    """Call action in a child: a process that entered a pid namespace can make no threads."""
    sys.stdout.flush()
    sys.stderr.flush()
    hold_back()
    pid = os.fork()
    if not pid:
        os._exit(_entered(box, action))
    return wait_for(pid)


def _entered(box: Sandbox, action: Callable[[], int]) -> int:
    namespace.die_with_parent(signal.SIGKILL)
    _move_into(box)
    # Only a grandchild is in the pid namespace; the kernel forgets the wish to die at every fork.
    pid = os.fork()
    if pid:
        return wait_for(pid)
    namespace.die_with_parent(signal.SIGKILL)
    try:
        release()
        code = action()
    except BaseException:
        code = FAILED
        traceback.print_exc()
    finally:
        # Nothing may come out of this process but its exit code: the parent goes on in the code.
        os._exit(code)
