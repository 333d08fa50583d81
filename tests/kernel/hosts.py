"""Hosts and users of our own for tests that need a real kernel."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import oracle
from warm import served

HERE = Path(__file__).resolve().parent
NOBODY = 65534
# Seconds after which what has not ended hangs, however busy the machine is.
PATIENCE = 120
ROOT = os.geteuid() == 0
AS_MAPPED_ROOT = () if ROOT else ("--user", "--map-root-user")
# Enters what `unshare` made; a process that is already root inside must not drop its groups there.
INTO_MAPPED_ROOT = () if ROOT else ("--user", "--preserve-credentials")
# A new /sys shows the new namespace's interfaces; what is written to /etc stays in the first tmpfs,
# below the second. The holder ends at the end of its input, so also when pytest is killed.
HOLDER = """
mount -t tmpfs tmpfs /run && mkdir /run/etc /run/work || exit
layers=lowerdir=/etc,upperdir=/run/etc,workdir=/run/work,userxattr
mount -t overlay overlay -o $layers /etc && mount -t tmpfs tmpfs /run && ip link set lo up || exit
mount -t sysfs sysfs /sys 2>/dev/null
echo ready && exec cat
"""


@dataclass(frozen=True)
class Private:
    """A host of our own: root's view of new namespaces, an empty /run, an /etc of its own."""

    pid: int
    env: dict[str, str]

    def enter(self, argv: list[str]) -> list[str]:
        """The command line that runs argv inside; its pid becomes argv's, as nsenter execs it."""
        target = ["nsenter", "--target", str(self.pid), *INTO_MAPPED_ROOT]
        return [*target, "--net", "--mount", "--", *argv]

    def run(self, argv: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        options = {"capture_output": True, "text": True, "timeout": 300, "env": self.env} | options
        return subprocess.run(self.enter(argv), **options)

    def start(self, argv: list[str], **options: Any) -> "subprocess.Popen[str]":
        """For tests that kill it, write to it or run several at once."""
        return subprocess.Popen(self.enter(argv), **{"text": True, "env": self.env} | options)

    def sh(self, script: str) -> str:
        """The output of shell lines that must work, to prepare what a test needs."""
        done = self.run(["sh", "-euc", script])
        assert done.returncode == 0, f"{script}\n{done.stderr}"
        return done.stdout

    def cnetsh(
        self, *arguments: str, check: bool = True, **options: Any
    ) -> subprocess.CompletedProcess[str]:
        """cnetsh of this checkout as root of this host, with CNETSH_ON=host."""
        if loaded(options):
            done = served(sys.executable).run(self.pid, arguments, **{"env": self.env} | options)
        else:
            done = self.run([sys.executable, "-m", "cnetsh", *arguments], **options)
        assert not check or done.returncode == 0, report(done)
        return done

    def python(self, *words: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """A script, `PATH ARGUMENT…` or `-c CODE …`, by a Python that has loaded cnetsh."""
        return served(sys.executable).run(self.pid, ("python", *words), self.env, **options)

    def rows(self, *words: str, **options: Any) -> list[Any]:
        """What such a script prints as lines of JSON; it has to end well."""
        done = self.python(*words, **options)
        assert done.returncode == 0, report(done)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def snapshot(self, settled: float = 0.0) -> oracle.Facts:
        """What the kernel says at rest; where others work on, after `settled` seconds of rest."""
        done = served(sys.executable).run(self.pid, ("oracle", str(settled)), self.env)
        assert done.returncode == 0, report(done)
        return dict(json.loads(done.stdout))


def loaded(options: dict[str, Any]) -> bool:
    """Whether cnetsh may be a fork of a Python that has loaded it, or has to be started.

    Python looks at its locale just when it starts, and at what it writes to when it ends.
    """
    usual = options.get("env", host_env()).get("LC_ALL") == "C.UTF-8"
    return usual and not options.keys() - {"env", "cwd", "input", "timeout"}


def start_holder() -> "subprocess.Popen[str]":
    argv = ["unshare", *AS_MAPPED_ROOT, "--net", "--mount", "--propagation", "private"]
    return subprocess.Popen(
        [*argv, "sh", "-c", HOLDER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=host_env(),
    )


def host_env() -> dict[str, str]:
    kept = {key: os.environ[key] for key in ("HOME", "USER", "CI") if key in os.environ}
    return kept | {"PATH": oracle.PATH, "LC_ALL": "C.UTF-8", "CNETSH_ON": "host"}


def end_host(holder: "subprocess.Popen[str]") -> None:
    """Ends the processes inside the host's namespaces, known by the namespace, then the holder."""
    if holder.poll() is None:
        for pid in living_in(namespaces_of(holder.pid)) - {holder.pid}:
            kill(pid)
    holder.kill()
    holder.communicate()


def namespaces_of(pid: int) -> set[int]:
    """Inodes of the process's network namespace and of those named in its /run/netns."""
    own = Path(f"/proc/{pid}/ns/net").stat().st_ino
    machine = Path("/proc/self/ns/net").stat().st_ino
    with ignored_if_gone():
        named = Path(f"/proc/{pid}/root/run/netns")
        files = list(named.iterdir()) if named.is_dir() else []
        return {own, *(file.stat().st_ino for file in files)} - {machine}
    return {own} - {machine}


def living_in(namespaces: set[int]) -> set[int]:
    found = set()
    for pid in all_pids():
        with ignored_if_gone():
            if Path(f"/proc/{pid}/ns/net").stat().st_ino in namespaces:
                found.add(pid)
    return found


def all_pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208


def kill(pid: int) -> None:
    with ignored_if_gone():
        os.kill(pid, signal.SIGKILL)


@contextmanager
def ignored_if_gone() -> Iterator[None]:
    """Processes and namespaces may end while one looks at them, and some belong to others."""
    with suppress(FileNotFoundError, ProcessLookupError, PermissionError):
        yield


def report(done: subprocess.CompletedProcess[str]) -> str:
    return f"exit {done.returncode}\n--- stdout\n{done.stdout}\n--- stderr\n{done.stderr}"


@dataclass(frozen=True)
class Ordinary:
    """An ordinary user with a home of its own and the cnetsh of the built wheel."""

    home: Path
    program: Path
    become: tuple[str, ...]
    env: dict[str, str]
    mark: int
    before: frozenset[int]

    def run(self, argv: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        options = {"capture_output": True, "text": True, "timeout": 300, "env": self.env} | options
        return subprocess.run([*self.become, *argv], cwd=self.home, **options)

    def start(self, argv: list[str], **options: Any) -> "subprocess.Popen[str]":
        options = {"text": True, "env": self.env} | options
        return subprocess.Popen([*self.become, *argv], cwd=self.home, **options)

    def cnetsh(
        self, *arguments: str, check: bool = True, **options: Any
    ) -> subprocess.CompletedProcess[str]:
        python = str(self.program.parent / "python")
        program = served(python).command if loaded(options) else [str(self.program)]
        done = self.run([*program, *arguments], **options)
        assert not check or done.returncode == 0, report(done)
        return done

    @property
    def oracle(self) -> list[str]:
        """A command that prints a snapshot, for `cnetsh exec ... -- COMMAND`."""
        return [str(self.program.parent / "python"), "-I", "-S", str(self.home / "oracle.py")]

    def processes(self) -> dict[int, str]:
        """This user's living processes, pid and command line, since the test began."""
        found = {}
        for pid in set(all_pids()) - self.before:
            with ignored_if_gone():
                if belongs(pid, self.mark):
                    argv = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                    found[pid] = b" ".join(argv).decode(errors="replace").strip()
        return found


def belongs(pid: int, mark: int) -> bool:
    """Whether the process carries our user's group or, in tests without root, is ours at all."""
    status = dict(
        line.split(":\t", 1)
        for line in Path(f"/proc/{pid}/status").read_text().splitlines()
        if ":\t" in line
    )
    if status["State"].startswith("Z"):
        return False
    if ROOT:
        return str(mark) in status["Groups"].split()
    return pid != os.getpid() and status["Uid"].split()[0] == str(os.getuid())


@contextmanager
def ordinary_user(installed: Path) -> Iterator[Ordinary]:
    """Uid 65534 (or who runs the tests) in /tmp with a clean environment; all of it ends."""
    folder = Path(tempfile.mkdtemp(prefix="cnetsh-user-"))
    folder.chmod(0o755)
    try:
        user = new_user(folder, installed)
        yield user
        for pid in user.processes():
            kill(pid)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def new_user(folder: Path, installed: Path) -> Ordinary:
    home, runtime = folder / "home", folder / "run"
    for each in (home, runtime):
        each.mkdir(mode=0o700)
    shutil.copy(HERE / "oracle.py", home)
    # A group of its own follows a process into every namespace and is never lost: an exact mark.
    mark = 1_000_000_000 + time.monotonic_ns() % 1_000_000_000
    become: tuple[str, ...] = ()
    if ROOT:
        for each in (home, runtime, home / "oracle.py"):
            os.chown(each, NOBODY, NOBODY)
        ids = ("--reuid", str(NOBODY), "--regid", str(NOBODY), "--groups", str(mark))
        become = ("setpriv", *ids, "--")
    env = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",  # as Debian gives it: without sbin
        "HOME": str(home),
        "XDG_RUNTIME_DIR": str(runtime),
        "LC_ALL": "C.UTF-8",
    }
    return Ordinary(home, installed, become, env, mark, frozenset(all_pids()))


def wait_for(condition: Callable[[], bool], seconds: float = PATIENCE) -> bool:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True
