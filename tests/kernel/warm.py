"""cnetsh as a fork of a Python that has loaded it: its start is most of what a short command costs.

A script, `warm.py SOCKET`: it loads cnetsh and forks for whoever comes with warm_call.py. The
command runs in the caller's namespaces and folder, with his environment, input and outputs, and its
exit code is his. A test of signals, terminals or the start itself starts the program instead.
"""

import ast
import ctypes
import gc
import importlib
import json
import os
import pkgutil
import re
import runpy
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

import oracle

HERE = Path(__file__).resolve().parent
# In the order in which they are entered: the user first, who may enter the others.
NAMESPACES = ("user", "net", "mnt")
LARGEST = 1 << 20
LABS = ("veth", "container", "conflict", "bridge", "routing")
PR_SET_DUMPABLE = 4  # linux/prctl.h


@dataclass(frozen=True)
class Served:
    """Where cnetsh is served, by a process that ends when its input does, so with its starter."""

    python: str
    socket: Path
    server: "subprocess.Popen[bytes]"

    @property
    def command(self) -> list[str]:
        """What stands before cnetsh's arguments."""
        return [self.python, "-I", "-S", str(HERE / "warm_call.py"), str(self.socket)]

    def run(
        self,
        host: int,
        words: Sequence[str],
        env: dict[str, str],
        cwd: str | Path = ".",
        input: str = "",
        timeout: float = 600,
    ) -> "subprocess.CompletedProcess[str]":
        """What comes of a command as one who is in that process's network and mounts gives it.

        No process is started to call; it is for who may enter them, so not for another user.
        """
        printed, out = os.pipe()
        said, err = os.pipe()
        namespaces = [os.open(f"/proc/{host}/ns/{kind}", os.O_RDONLY) for kind in NAMESPACES]
        files = [typed(input), out, err, *namespaces]
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as server:
            server.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, LARGEST)
            server.connect(str(self.socket))
            request = repr((str(Path(cwd).absolute()), env, list(words))).encode()
            socket.send_fds(server, [request], files)
            for fd in files:
                os.close(fd)
            texts = read_all([printed, said], [*self.command, *words], timeout)
            code = int(server.recv(64) or 70)
        return subprocess.CompletedProcess([*self.command, *words], code, *texts)


def typed(text: str) -> int:
    """A descriptor from which the text is read; a pipe takes no more than this without a reader."""
    if len(text) > 60_000:
        with tempfile.TemporaryFile() as file:
            file.write(text.encode())
            file.seek(0)
            return os.dup(file.fileno())
    read, write = os.pipe()
    os.write(write, text.encode())
    os.close(write)
    return read


def read_all(fds: list[int], argv: list[str], seconds: float) -> list[str]:
    """What comes from pipes until their other ends are closed."""
    end, texts = time.monotonic() + seconds, {fd: b"" for fd in fds}
    poll = select.poll()
    for fd in fds:
        poll.register(fd, select.POLLIN)
    waiting = set(fds)
    try:
        while waiting:
            if (left := end - time.monotonic()) <= 0:
                raise subprocess.TimeoutExpired(argv, seconds, b"".join(texts.values()))
            for fd, _ in poll.poll(left * 1000):
                piece = os.read(fd, 65536)
                texts[fd] += piece
                if not piece:
                    poll.unregister(fd)
                    waiting.remove(fd)
    finally:
        for fd in fds:
            os.close(fd)
    return [texts[fd].decode() for fd in fds]


@cache
def served(python: str) -> Served:
    """The cnetsh of a Python, loaded, for every user."""
    folder = Path(tempfile.mkdtemp(prefix="cnetsh-warm-"))
    folder.chmod(0o755)
    server = subprocess.Popen(
        [python, __file__, str(folder / "socket")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={"PATH": oracle.PATH, "LC_ALL": "C.UTF-8"},
    )
    assert server.stdout and server.stdout.readline() == b"ready\n"
    return Served(python, folder / "socket", server)


def serve(path: str) -> None:
    load()
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listening.bind(path)
    # It does for a user just what he could do himself.
    Path(path).chmod(0o777)
    listening.listen(64)
    print("ready", flush=True)
    poll = select.poll()
    poll.register(0, select.POLLIN)
    poll.register(listening, select.POLLIN)
    running: dict[int, Command] = {}
    while True:
        for fd, _ in poll.poll():
            if fd == 0:
                Path(path).unlink()
                Path(path).parent.rmdir()
                os._exit(0)
            elif fd == listening.fileno():
                command = Command(listening.accept()[0])
                running |= dict.fromkeys(command.ends, command)
                # A caller says nothing more, but goes when a deadline of the test's has come.
                for end, events in zip(command.ends, (select.POLLIN, 0), strict=True):
                    poll.register(end, events)
            elif command := running.get(fd):
                for end in command.ends:
                    poll.unregister(end)
                    del running[end]
                command.end()


class Command:
    """A command that runs, and who waits for it."""

    def __init__(self, caller: socket.socket) -> None:
        self.caller = caller
        given, files, _, _ = socket.recv_fds(caller, LARGEST, 6)
        who = caller.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        self.pid = os.fork()
        if not self.pid:
            try:
                be_user(*struct.unpack("3i", who))
                become(files, *ast.literal_eval(given.decode()))
            except BaseException:
                traceback.print_exc()
            os._exit(70)
        for fd in files:
            os.close(fd)
        self.ends = (os.pidfd_open(self.pid), caller.fileno())

    def end(self) -> None:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.ends[0], signal.SIGKILL)
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        with suppress(OSError):
            self.caller.send(str(code).encode())
        os.close(self.ends[0])
        self.caller.close()


def load() -> None:
    """Imports the whole package once, and not in each of many processes that are forked then."""
    import cnetsh

    for module in pkgutil.walk_packages(cnetsh.__path__, "cnetsh."):
        # What starts by itself, and what stands alone outside of the package.
        if module.name not in ("cnetsh.__main__", "cnetsh.targets.holder"):
            importlib.import_module(module.name)
    # What is imported when it is needed, and the templates as Jinja has compiled them.
    import sh  # noqa: F401

    from cnetsh.labs import choose
    from cnetsh.labs.builtin import shipped

    for lab in (*LABS, str(shipped("examples") / "dual-stack-nat.yaml")):
        choose.plans(lab)
    # As the program does; and what is never collected is never copied for a forked process.
    gc.collect()
    gc.disable()
    gc.freeze()


def be_user(pid: int, user: int, group: int) -> None:
    """Have the rights of that process's user, and no others."""
    if user == os.geteuid():
        return
    found = re.search(r"(?m)^Groups:(.*)", Path(f"/proc/{pid}/status").read_text())
    assert found
    os.setgroups([int(each) for each in found[1].split()])
    os.setresgid(group, group, group)
    os.setresuid(user, user, user)
    # As after a start of its own; else its /proc files, also those of its namespaces, are root's.
    ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 1)


def become(
    files: list[int], folder: str, environment: dict[str, str], arguments: list[str]
) -> NoReturn:
    """Be cnetsh with what the caller gave: inputs and outputs, then namespaces, are files."""
    for kind, fd in zip(NAMESPACES, files[3:], strict=True):
        if os.fstat(fd).st_ino != Path(f"/proc/self/ns/{kind}").stat().st_ino:
            enter(fd)
        os.close(fd)
    for to, fd in enumerate(files[:3]):
        os.dup2(fd, to)
        os.close(fd)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    escaped = "surrogateescape"
    sys.stdin = open(0, errors=escaped)  # noqa: SIM115
    sys.stdout = sys.__stdout__ = open(1, "w", errors=escaped, closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", 1, errors="backslashreplace", closefd=False)  # noqa: SIM115
    sys.argv = ["cnetsh", *arguments]
    os._exit(ended())


def ended() -> int:
    """The exit code of cnetsh or a script, as Python would end with it."""
    code: Any = 0
    try:
        called()
    except SystemExit as end:
        code = end.code or 0
    except BaseException:
        traceback.print_exc()
        code = 1
    try:
        sys.stdout.flush()
    except OSError:
        return 120
    return code if isinstance(code, int) else 1


def called() -> None:
    """What the words of the call are for: the oracle, Python with a script, or cnetsh."""
    from cnetsh.__main__ import begin

    what, *words = sys.argv[1:] or [""]
    if what == "oracle":
        print(json.dumps(oracle.at_rest(float(words[0]))))
    elif what == "python":
        sys.argv = words
        if words[0] == "-c":
            sys.argv = ["-c", *words[2:]]
            exec(compile(words[1], "-c", "exec"), {"__name__": "__main__"})
        else:
            runpy.run_path(words[0], run_name="__main__")
    else:
        begin()


def enter(fd: int) -> None:
    if ctypes.CDLL(None, use_errno=True).setns(fd, 0):
        raise OSError(ctypes.get_errno(), "setns")


if __name__ == "__main__":
    serve(sys.argv[1])
