"""Processes: how commands of a plan are started, through `sh`, with nothing of the caller's around.

Tools are looked up once, in the system's folders only, so that neither a PATH nor a plan decides
which program runs; children get a clean environment and a session of their own, so that Ctrl-C
reaches cnetsh and not a half-done command.
"""

import contextlib
import errno
import os
import resource
import select
import signal
import stat
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import IO, Any, Protocol

from cnetsh.errors import CnetshError
from cnetsh.system.posix_spawn import posix_spawn

FOLDERS = ("/usr/sbin", "/usr/bin", "/sbin", "/bin")
ENVIRONMENT = {"PATH": ":".join(FOLDERS), "LC_ALL": "C", "LANG": "C"}
PACKAGES = {"ip": "iproute2", "tc": "iproute2", "bridge": "iproute2", "ping": "iputils-ping"}
TIMED_OUT = 124
POLL = 0.2
# Four lanes and the host's, each with six, and four commands through sh, each with ten.
DESCRIPTORS = 100


@dataclass(frozen=True, slots=True)
class Result:
    """How a command ended: its exit code (124 after a timeout) and its whole output."""

    exit_code: int
    stdout: str
    stderr: str


class Run(Protocol):
    """Run one command to its end; a command that fails gives its exit code and does not raise."""

    def __call__(self, argv: Sequence[str], stdin: str = "", timeout: float = 60.0) -> Result: ...


@cache
def tool(name: str) -> str:
    """Give the absolute path of a system tool.

    Raises CnetshError when it is not installed, or when someone else could have replaced it.
    """
    for folder in FOLDERS:
        path = Path(folder, name)
        if path.is_file() and os.access(path, os.X_OK):
            _refuse_replaceable(path)
            return str(path)
    package = PACKAGES.get(name, name.removesuffix("-save"))
    raise CnetshError(f"{name} is not installed", f"install the package {package}")


def require_descriptors() -> None:
    """Raise CnetshError when this process may not open as many files as a run needs."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    left = limit - len(list(Path("/proc/self/fd").iterdir()))
    if left < DESCRIPTORS:
        raise CnetshError(f"cnetsh needs {DESCRIPTORS} file descriptors", "ulimit -n 1024")


def installed(name: str) -> bool:
    """Say whether a system tool is there."""
    return any(Path(folder, name).is_file() for folder in FOLDERS)


def real(name: str) -> str:
    """Give the file that a tool's name leads to, which tells one iptables back end from another."""
    return str(Path(tool(name)).resolve())


def _refuse_replaceable(path: Path) -> None:
    """Refuse a tool that others can write: as root it would run their program."""
    mode = path.stat().st_mode
    if mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise CnetshError(f"{path} can be written by others than root", f"chmod go-w {path}")


def runner(*keep: int) -> Run:
    """Give a Run whose children inherit the descriptors `keep`, so that a lock outlives cnetsh."""
    return partial(_run, keep)


def never() -> int:
    """Say that no signal has come."""
    return 0


def ask(
    argv: Sequence[str],
    stdin: str = "",
    timeout: float = 60.0,
    stopping: Callable[[], int] = never,
) -> Result:
    """Run one command that only reads, a Run too, without forking the interpreter.

    A snapshot asks half a dozen of them, and `sh` takes three times as long to start one. It is
    ended when stopping says so.
    """
    with _file(stdin) as given, _file() as stdout, _file() as stderr:
        streams = [(file.fileno(), number) for number, file in enumerate((given, stdout, stderr))]
        pid = posix_spawn(tool(argv[0]), argv, ENVIRONMENT, streams)
        ended = _ends(pid, timeout, stopping)
        if not ended:
            os.kill(pid, signal.SIGKILL)
        exit_code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if not ended:
            return _late(timeout)
        return Result(exit_code, _text(stdout), _text(stderr))


def _late(timeout: float) -> Result:
    return Result(TIMED_OUT, "", f"no answer within {timeout:g} s, so it was ended")


def options(keep: Sequence[int]) -> dict[str, Any]:
    """Give what every `sh` call is baked with; sh(1)'s default would be a terminal and a str."""
    return {
        "_env": ENVIRONMENT,
        "_tty_out": False,
        "_return_cmd": True,
        "_new_session": True,
        "_pass_fds": set(keep),
    }


@contextmanager
def starting() -> Iterator[None]:
    """Have sh raise OSError when it cannot start a process, and leave none that it started."""
    import sh

    try:
        yield
    except sh.ForkException as error:
        raise OSError(errno.EAGAIN, str(error).strip().split("\n")[-1]) from None
    except RuntimeError as error:
        # There is no thread for the process, which runs already, and sh has forgotten its number.
        with contextlib.suppress(OSError, IndexError):
            children = Path(f"/proc/self/task/{threading.get_native_id()}/children").read_text()
            os.kill(newest := int(children.split()[-1]), signal.SIGKILL)
            os.waitpid(newest, 0)
        raise OSError(errno.EAGAIN, str(error)) from None


def _run(
    keep: Sequence[int], argv: Sequence[str], stdin: str = "", timeout: float = 60.0
) -> Result:
    import sh

    command = sh.Command(tool(argv[0])).bake(**options(keep))
    # With files, sh starts no thread for a stream; its threads poll ten times a second.
    with _file(stdin) as given, _file() as stdout, _file() as stderr:
        exit_code = 0
        try:
            with starting():
                process = command(
                    *argv[1:], _in=given, _out=stdout, _err=stderr, _bg=True, _bg_exc=False
                )
            if not _ends(process.pid, timeout):
                process.kill()
                return _late(timeout)
            process.wait()
        except sh.ErrorReturnCode as failed:
            exit_code = failed.exit_code
        return Result(exit_code, _text(stdout), _text(stderr))


def _ends(pid: int, timeout: float, stopping: Callable[[], int] = never) -> bool:
    """Wait for a process to end, at most timeout seconds; sh's own _timeout costs 0.1 s."""
    try:
        fd = os.pidfd_open(pid)
    except OSError:
        # It has ended already, or there is no descriptor left to watch it with.
        with contextlib.suppress(ChildProcessError):
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        return True
    deadline = time.monotonic() + timeout
    try:
        while not stopping() and (left := deadline - time.monotonic()) > 0:
            if select.select([fd], [], [], min(left, POLL))[0]:
                return True
        return False
    finally:
        os.close(fd)


def _file(text: str = "") -> IO[bytes]:
    file = os.fdopen(os.memfd_create("cnetsh"), "w+b", buffering=0)
    file.write(text.encode("utf-8", "surrogateescape"))
    file.seek(0)
    return file


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode("utf-8", "surrogateescape")
