"""Processes: how commands are started, with nothing of the caller's around them.

Tools are looked up once, in the system's folders only, so that neither a PATH nor a plan decides
which program runs; children get a clean environment and a session of their own, so that Ctrl-C
reaches cnetsh and not a half-done command. Only the host's side of a plan goes through `sh`.
"""

import contextlib
import ctypes
import errno
import os
import resource
import select
import signal
import stat
import time
import traceback
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import IO, Any, Protocol

from cnetsh.errors import CnetshError
from cnetsh.system.signals import SIGNALS

FOLDERS = ("/usr/sbin", "/usr/bin", "/sbin", "/bin")
ENVIRONMENT = {"PATH": ":".join(FOLDERS), "LC_ALL": "C", "LANG": "C"}
PACKAGES = {"ip": "iproute2", "tc": "iproute2", "bridge": "iproute2"}
PACKAGES |= {"ping": "iputils-ping", "ssh": "openssh-client"}
# As timeout(1) has it.
TIMED_OUT = 124
POLL = 0.2
# Four lanes and the host's, each with six, and four commands through sh, each with ten.
DESCRIPTORS = 100
# POSIX_SPAWN_SETSID of glibc 2.26 and musl.
SETSIGMASK, SETSID = 0x08, 0x80
# Larger than posix_spawnattr_t of both, which is 336 bytes on 64 bits, and than sigset_t.
_OPAQUE = ctypes.c_longlong * 64
_libc = ctypes.CDLL(None)


@dataclass(frozen=True, slots=True)
class Result:
    """How a command ended: its exit code (124 after a timeout) and its whole output."""

    exit_code: int
    stdout: str
    stderr: str


class Run(Protocol):
    """Run one command to its end; a command that fails gives its exit code and does not raise."""

    def __call__(self, argv: Sequence[str], stdin: str = "", timeout: float = 60.0) -> Result: ...


class Child(Protocol):
    """A started process: its pid, and how to wait for its exit code."""

    @property
    def pid(self) -> int: ...
    def wait(self) -> int: ...


# Starts a program with the descriptors of its input, output and errors. Raises OSError.
Start = Callable[[Sequence[str], Sequence[int]], Child]


@cache
def tool(name: str) -> str:
    """Give a tool's path. Raises CnetshError if it is missing, or others than root can write it."""
    for folder in FOLDERS:
        path = Path(folder, name)
        if path.is_file() and os.access(path, os.X_OK):
            # As root we would run the program of whoever can write there.
            if path.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH):
                hint = f"chmod go-w {path}"
                raise CnetshError(f"{path} can be written by others than root", hint)
            return str(path)
    package = PACKAGES.get(name, name.removesuffix("-save"))
    raise CnetshError(f"{name} is not installed", f"install the package {package}")


def installed(name: str) -> bool:
    return any(Path(folder, name).is_file() for folder in FOLDERS)


def real(name: str) -> str:
    """Give the file that a tool's name leads to, which tells one iptables back end from another."""
    return str(Path(tool(name)).resolve())


def require_descriptors() -> None:
    """Raise CnetshError when this process may not open as many files as a run needs."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    left = limit - len(list(Path("/proc/self/fd").iterdir()))
    if left < DESCRIPTORS:
        raise CnetshError(f"cnetsh needs {DESCRIPTORS} file descriptors", "ulimit -n 1024")


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """Let this process take so many bytes more, and raise MemoryError where it asks for others."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limits = (pages * resource.getpagesize() + size, before[0])
    most = min(one for one in limits if one != resource.RLIM_INFINITY)
    resource.setrlimit(resource.RLIMIT_AS, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def never() -> int:
    """Say that no signal has come."""
    return 0


def ask(
    argv: Sequence[str], stdin: str = "", timeout: float = 60.0, stopping: Callable[[], int] = never
) -> Result:
    """Run one command that only reads, a Run too; it is ended when stopping says so.

    A snapshot asks half a dozen of them, and `sh` takes three times as long to start one.
    """
    return _answer(spawn, argv, stdin, timeout, stopping)


def attempt(argv: Sequence[str], stdin: str, timeout: float, stopping: Callable[[], int]) -> Result:
    """Run one command like `ask`, which takes every signal: by one timeout(1) ends what it runs."""
    return _answer(partial(spawn, held=()), argv, stdin, timeout, stopping)


def runner(*keep: int) -> Run:
    """Give a Run whose children inherit the descriptors `keep`, so that a lock outlives cnetsh."""
    return partial(_answer, through_sh(keep))


def _answer(
    start: Start,
    argv: Sequence[str],
    stdin: str = "",
    timeout: float = 60.0,
    stopping: Callable[[], int] = never,
) -> Result:
    # With files, sh starts no thread for a stream; its threads poll ten times a second.
    with _file(stdin) as given, _file() as stdout, _file() as stderr:
        streams = (given.fileno(), stdout.fileno(), stderr.fileno())
        child = start((tool(argv[0]), *argv[1:]), streams)
        ended = _ends(child.pid, timeout, stopping)
        if not ended:
            # With what it has started: it leads a session of its own.
            os.killpg(child.pid, signal.SIGKILL)
        exit_code = child.wait()
        if not ended:
            return Result(TIMED_OUT, "", f"no answer within {timeout:g} s, so it was ended")
        return Result(exit_code, _text(stdout), _text(stderr))


def _ends(pid: int, timeout: float, stopping: Callable[[], int]) -> bool:
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
        # A signal that came just before select does not end it, so it is asked for anew.
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


@dataclass(frozen=True, slots=True)
class _Spawned:
    pid: int

    def wait(self) -> int:
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def spawn(argv: Sequence[str], streams: Sequence[int], held: Collection[int] = SIGNALS) -> Child:
    """Start a program, in the calling thread's namespace, by posix_spawn(3). Raises OSError.

    held: the signals that it does not take.

    Called directly, for Python's own keeps all other threads waiting until the child has begun.
    Measured, interleaved, four runs: up of 1,000 in 2.52-2.74 s with it, 2.88-3.15 s with
    os.posix_spawn.
    """
    actions, attributes, mask, pid = _OPAQUE(), _OPAQUE(), _OPAQUE(), ctypes.c_int()
    _checked(_libc.posix_spawn_file_actions_init(actions))
    _checked(_libc.posix_spawnattr_init(attributes))
    try:
        flags = ctypes.c_short(SETSID | SETSIGMASK)
        _checked(_libc.posix_spawnattr_setflags(attributes, flags))
        # Until the child has its session, a Ctrl-C would end it; these it never takes at all.
        _libc.sigemptyset(mask)
        for number in held:
            _libc.sigaddset(mask, number)
        _checked(_libc.posix_spawnattr_setsigmask(attributes, mask))
        for theirs, ours in enumerate(streams):
            _checked(_libc.posix_spawn_file_actions_adddup2(actions, ours, theirs))
        words = _texts(argv), _texts([f"{key}={value}" for key, value in ENVIRONMENT.items()])
        program = os.fsencode(argv[0])
        _checked(_libc.posix_spawn(ctypes.byref(pid), program, actions, attributes, *words))
    finally:
        _libc.posix_spawn_file_actions_destroy(actions)
        _libc.posix_spawnattr_destroy(attributes)
    return _Spawned(pid.value)


def spawn_own(argv: Sequence[str], streams: Sequence[int], apart: bool) -> Child:
    """Start a program in the caller's environment and, unless apart, terminal. Raises OSError."""
    actions = [(os.POSIX_SPAWN_DUP2, ours, theirs) for theirs, ours in enumerate(streams)]
    # What Python has this process ignore, a program would ignore too.
    how: dict[str, Any] = {"setsigmask": (), "setsigdef": (signal.SIGPIPE,), "setsid": apart}
    return _Spawned(os.posix_spawn(argv[0], tuple(argv), os.environ, file_actions=actions, **how))


def _texts(words: Sequence[str]) -> "ctypes.Array[ctypes.c_char_p]":
    return (ctypes.c_char_p * (len(words) + 1))(*map(os.fsencode, words), None)


def _checked(number: int) -> None:
    if number:
        raise OSError(number, os.strerror(number))


class _ThroughSh:
    def __init__(self, process: Any) -> None:
        self._process, self.pid = process, int(process.pid)

    def wait(self) -> int:
        import sh

        with contextlib.suppress(sh.ErrorReturnCode):
            self._process.wait()
        return int(self._process.exit_code)


def through_sh(keep: Collection[int]) -> Start:
    """Give a Start that goes through `sh`; the child inherits the descriptors keep."""

    def start(argv: Sequence[str], streams: Sequence[int]) -> Child:
        import sh

        # Its defaults would be a terminal and the caller's environment.
        how: dict[str, Any] = {"_env": ENVIRONMENT, "_tty_out": False, "_new_session": True}
        how |= zip(("_in", "_out", "_err"), streams, strict=True)
        how |= {"_pass_fds": set(keep), "_return_cmd": True, "_bg": True, "_bg_exc": False}
        try:
            return _ThroughSh(sh.Command(argv[0])(*argv[1:], **how))
        except sh.ForkException as error:
            raise OSError(errno.EAGAIN, str(error).strip().split("\n")[-1]) from None
        except (RuntimeError, ValueError) as error:
            # There was no thread for it, or it was killed before it said its session's number.
            _end_unheard_child(error)
            said = "killed as it began" if isinstance(error, ValueError) else str(error)
            raise OSError(errno.EAGAIN, said) from None

    return start


def _end_unheard_child(error: Exception) -> None:
    """End the child that had begun when sh raised the error, and with it forgot its number.

    A frame of sh's still has it. The list of a thread's children does not tell which it is: those
    of another thread that ends just now are added to it.
    """
    for frame, _ in traceback.walk_tb(error.__traceback__):
        process = frame.f_locals.get("self")
        if type(process).__name__ == "OProc" and (pid := getattr(process, "pid", 0)):
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
