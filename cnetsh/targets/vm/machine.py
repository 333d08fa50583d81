"""VMs: QEMU is started and watched until the VM answers, and does what comes by its ports.

One that runs is known by the lock of its file, which QEMU holds for as long as it lives.
"""

import contextlib
import fcntl
import json
import math
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from cnetsh import __version__
from cnetsh.errors import FAILED, CnetshError
from cnetsh.system.files import open_private
from cnetsh.system.process import Child, installed, spawn, tool
from cnetsh.system.signals import SIGNALS, hold_back
from cnetsh.targets.frames import Exit
from cnetsh.targets.near import Near
from cnetsh.targets.registry import Registry
from cnetsh.targets.travel import packed
from cnetsh.targets.vm.kernel import Kernel, cache, chosen, filling_cache
from cnetsh.targets.vm.root import image_of

QEMU = "qemu-system-x86_64"
_PACKAGES = {QEMU: "qemu-system-x86", "depmod": "kmod", "ldd": "libc-bin"}
MEMORY = 384  # MiB
# Seconds until a VM must have answered. A processor of its own takes two.
DEADLINES = {"kvm": 15.0, "tcg": 600.0}
USUAL = 10.0
CONSOLE_LINES = 12
# As many commands may run in a VM at a time.
_PORTS = 6
# Kills a process when what this reads ends before a line has come.
WATCH = 'read -r over || kill -KILL "$1"'
# Becomes a program once a line has come, and ends without one.
GATE = 'read -r go && exec "$@" </dev/null'
# Programs are mapped at the same addresses each time: what QEMU has translated of one is good for
# all that run it later, which halves what a lab takes.
_OPTIONS = "console=ttyS0 quiet panic=-1 nokaslr norandmaps mitigations=off random.trust_cpu=on"
CPU = "qemu64,+cx16,+popcnt,+sse4.1,+sse4.2,+ssse3,+rdrand"
ACCELERATORS = {
    "kvm": ("-accel", "kvm", "-cpu", "host"),
    # A processor without what takes long to save at each switch (AVX): a third less to emulate. And
    # half of the memory that QEMU would take for what it has translated.
    "tcg": ("-accel", "tcg,tb-size=64", "-cpu", CPU),
}


@dataclass(frozen=True, slots=True)
class Machine:
    """A VM that runs: its name, QEMU's pid, its kernel, by what its processor works, its cnetsh."""

    name: str
    pid: int
    kernel: str
    accelerator: str
    version: str

    @property
    def labs(self) -> list[str]:
        return run_in(self, partial(int)).labs


VMS = Registry("vm", "vms", Machine)


@dataclass(frozen=True, slots=True)
class NewMachine:
    """A VM to be started: its kernel, the open file of its root, its memory in MiB."""

    name: str
    kernel: Kernel
    root: int
    memory: int


def require_tools() -> None:
    """Raise CnetshError when something is missing, with the one command that installs it."""
    missing = sorted(package for name, package in _PACKAGES.items() if not installed(name))
    if missing:
        command = f"sudo apt-get install --no-install-recommends {' '.join(missing)}"
        raise CnetshError(f"a VM needs {' and '.join(missing)}", command)
    if os.uname().machine != "x86_64":
        raise CnetshError(f"VMs are for x86_64 only, and this is {os.uname().machine}")


def ensure_vm(
    name: str, kernel: str = "", memory: int = MEMORY, more: tuple[Path, ...] = ()
) -> None:
    """Start a VM when it does not run. Raises CnetshError when it cannot be."""

    def start() -> None:
        require_tools()
        with filling_cache():
            found = chosen(kernel)
            # Open, for who starts another one with more in it removes this file.
            root = image_of(found, more).open("rb")
        with root:
            # It is unpacked into half of the memory that is left beside it (measured).
            size = os.fstat(root.fileno()).st_size >> 20
            _start(NewMachine(name, found, root.fileno(), max(memory, 4 * size)))

    VMS.ensure(name, start)


def in_vm(name: str, action: Callable[[], int]) -> int | None:
    """Give the exit code of action, called in a VM; None when none of that name runs."""
    return VMS.enter(name, lambda one: run_in(one, action))


def _start(wanted: NewMachine) -> None:
    """Start a VM and wait until it answers.

    Where the machine's own /dev/kvm does not boot it, a processor is emulated, now and from then
    on. Raises CnetshError, with what its console said last, when it does not boot either way.
    """
    for accelerator in accelerators():
        usual, how = _usual(accelerator), "by KVM" if accelerator == "kvm" else "emulated"
        _say(
            f"starting vm {wanted.name}: Linux {wanted.kernel.version}, {how}, about {usual:.0f} s"
        )
        began = time.monotonic()
        try:
            _boot(wanted, accelerator)
            (cache() / f"seconds-{accelerator}").write_text(f"{time.monotonic() - began:.1f}")
            return
        except _NotBooted as error:
            if accelerator == "tcg":
                message = f"vm {wanted.name} does not boot: {error.message}"
                raise CnetshError(message, error.hint, code=FAILED) from None
            kvm_file().write_text(f"{os.uname().release}\n{error.message}\n")
            _say(f"KVM does not boot it here ({error.message}); from now on it is emulated")


def _say(text: str) -> None:
    with contextlib.suppress(OSError):
        print(text, file=sys.stderr, flush=True)


class _NotBooted(CnetshError):
    pass


def accelerators() -> Iterator[str]:
    """Give what is to be tried; a KVM that has failed under this kernel is not tried again."""
    usable = os.access("/dev/kvm", os.R_OK | os.W_OK)
    with contextlib.suppress(FileNotFoundError):
        usable = usable and kvm_file().read_text().split("\n")[0] != os.uname().release
    if usable:
        yield "kvm"
    yield "tcg"


def kvm_file() -> Path:
    """Give the file that says that KVM has failed, and under which kernel."""
    return cache() / "kvm-fails"


def _usual(accelerator: str) -> float:
    with contextlib.suppress(OSError, ValueError):
        return float((cache() / f"seconds-{accelerator}").read_text())
    return USUAL


def _boot(wanted: NewMachine, accelerator: str) -> None:
    lock = open_private(VMS.file(wanted.name, "holder"), os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    console = VMS.file(wanted.name, "console")
    fcntl.flock(lock, fcntl.LOCK_EX)
    hold_back()
    try:
        with _qemu(wanted, accelerator, lock, console) as child:
            near = Near(packed(partial(int)))
            ended = _followed(wanted.name, near, DEADLINES[accelerator])
            if ended and ended.code - 128 in SIGNALS:
                sys.exit(ended.code)
            if not ended or not near.begun:
                raise _NotBooted(*_why(console), code=FAILED)
            kernel = wanted.kernel.version
            said = {"pid": child.pid, "kernel": kernel, "accelerator": accelerator}
            VMS.say(wanted.name, lock, json.dumps(said | {"version": __version__}))
    finally:
        os.close(lock)


@contextmanager
def started(argv: Sequence[str], streams: Sequence[int]) -> Iterator[Child]:
    """Start a program, on streams from its output on, that ends when this fails or is killed."""
    (gate, go), (read, write) = os.pipe(), os.pipe()
    child = spawn((tool("sh"), "-c", GATE, "sh", *argv), [gate, *streams])
    watch = spawn((tool("sh"), "-c", WATCH, "sh", str(child.pid)), [read] * 3)
    os.write(go, b"\n")
    for fd in (gate, go, read):
        os.close(fd)
    try:
        yield child
        os.write(write, b"\n")
    finally:
        os.close(write)
        watch.wait()


def _why(console: Path) -> tuple[str, str]:
    text = console.read_text(errors="replace") if console.exists() else ""
    lines = text.strip().splitlines()
    if not lines:
        return "its console said nothing", ""
    panic = next((line for line in lines if "Kernel panic" in line), lines[-1])
    return panic, "\n  ".join(["its console said last:", *lines[-CONSOLE_LINES:]])


@contextmanager
def _qemu(wanted: NewMachine, accelerator: str, lock: int, console: Path) -> Iterator[Child]:
    """Start QEMU, which holds the lock from then on; its ports are sockets that wait already."""
    said = open_private(console, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
    sockets = [_listening(wanted.name, number) for number in range(_PORTS)]
    given = [said, said, lock, *(one.fileno() for one in sockets), wanted.root]
    # Out of the way of the numbers that they get there.
    streams = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 64) for fd in given]
    argv = [
        tool(QEMU), "-name", wanted.name, "-machine", "pc", *ACCELERATORS[accelerator],
        "-m", str(wanted.memory), "-display", "none", "-nodefaults", "-no-user-config",
        "-no-reboot", "-serial", "stdio", "-device", "virtio-serial-pci",
        "-kernel", str(wanted.kernel.image), "-initrd", f"/proc/self/fd/{len(given)}",
        "-append", _OPTIONS,
    ]  # fmt: skip
    for number in range(_PORTS):
        argv += ["-chardev", f"socket,id=port{number},fd={number + 4},server=on,wait=off"]
        argv += ["-device", f"virtserialport,chardev=port{number},nr={number + 1}"]
    with started(argv, streams) as child:
        for fd in (said, *streams):
            os.close(fd)
        for one in sockets:
            one.close()
        yield child


@contextmanager
def _address(name: str, number: int) -> Iterator[str]:
    """Give the path of a port's socket, short enough for one wherever it is (unix(7))."""
    path = VMS.file(name, f"port{number}")
    folder = os.open(path.parent, os.O_PATH | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def _listening(name: str, number: int) -> socket.socket:
    one = socket.socket(socket.AF_UNIX)
    with _address(name, number) as path:
        Path(path).unlink(missing_ok=True)
        one.bind(path)
    one.listen(1)
    return one


def run_in(one: Machine, action: Callable[[], int], seconds: float = math.inf) -> Exit:
    """Do an action in a VM, 124 when the time is over. Raises CnetshError when the VM ends."""
    if one.version != __version__:
        said = f"vm {one.name} was started by cnetsh {one.version}; this is {__version__}"
        raise CnetshError(said, f"cnetsh vm stop {one.name}")
    near = Near(packed(action))
    hold_back()
    ended = _followed(one.name, near, seconds)
    if ended is None:
        said = f"vm {one.name} has ended meanwhile, with all that was in it"
        raise CnetshError(said, _why(VMS.file(one.name, "console"))[1], code=FAILED)
    if not near.begun:
        sys.exit(ended.code)
    return ended


def _followed(name: str, near: Near, seconds: float) -> Exit | None:
    """Have an action done by a port that nobody else uses; None when the VM has ended."""
    for number in range(_PORTS):
        lock = open_private(VMS.file(name, f"lock{number}"), os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with socket.socket(socket.AF_UNIX) as port:
                with _address(name, number) as path:
                    port.connect(path)
                return near.follow(port.fileno(), port.fileno(), seconds=seconds)
        except BlockingIOError:
            continue
        except (ConnectionError, FileNotFoundError):
            return None
        finally:
            os.close(lock)
    raise CnetshError(f"{_PORTS} commands are running in vm {name} already", "end one first")
