"""Ways to build the article's bridge with N containers, and to delete it again.

A way is a generator function: it builds, yields what it has built, and then deletes. All of them
end with the same network: N namespaces with an address of 172.16.0.0/12 and a default route by the
bridge, each on a port of the bridge that is up.
"""

import ctypes
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

GATEWAY = "172.18.0.1"
WORKERS = 4
NEWNET = 0x40000000
LAB = "/run/lab.yaml"
# The variable that names a checkout to run instead of what is installed.
CHECKOUT = "BENCH_CHECKOUT"
CONTAINER = """\
ip netns add net{i}
ip link add veth{i} type veth peer name ceth{i}
ip link set veth{i} up
ip link set dev veth{i} master br0
ip link set ceth{i} netns net{i}
ip netns exec net{i} ip address add {address}/12 dev ceth{i}
ip netns exec net{i} ip link set ceth{i} up
ip netns exec net{i} ip route add default via 172.18.0.1
"""


def address(number: int) -> str:
    """Give the address that is number after 172.18.0.0."""
    return f"172.18.{number >> 8}.{number & 255}"


def named(i: int) -> str:
    """Give the file of the i-th namespace."""
    return f"/run/netns/net{i}"


@dataclass(frozen=True)
class Built:
    """What to verify: the bridge, the namespaces' files, the containers' addresses as numbers.

    again is to be timed while the network is up.
    """

    bridge: str = "br0"
    namespace: Callable[[int], str] = named
    first: int = 10
    step: int = 1
    again: Callable[[], None] | None = None


Way = Callable[[int], Iterator[Built]]


def cnetsh(*words: str) -> None:
    """Run cnetsh on the host. Raises SystemExit when it fails."""
    program, options = [str(Path(sys.executable).with_name("cnetsh"))], {}
    if checkout := os.environ.get(CHECKOUT):
        # Of `python -m` the current folder comes before what is installed.
        program, options = [sys.executable, "-m", "cnetsh"], {"cwd": checkout}
    command = [*program, *words, "--on", "host"]
    ran = subprocess.run(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, **options
    )
    if ran.returncode:
        raise SystemExit(f"{' '.join(command[1:])} ended with {ran.returncode}: {ran.stderr}")


def write_lab(path: Path, groups: Iterable[tuple[str, int]]) -> None:
    """Write a lab file with one bridge, br0 and so on, for each group of so many containers."""
    bridges, containers = ["bridges:"], ["containers:"]
    for number, (name, count) in enumerate(groups):
        subnet = f"{GATEWAY}/12" if number == 0 else f"10.{number}.0.1/16"
        bridges.append(f"  br{number}: {{address: {subnet}}}")
        containers.append(f"  {name}: {{count: {count}, bridge: br{number}}}")
    path.write_text("\n".join(["name: bench", *bridges, *containers]) + "\n")


def lab_file(n: int) -> Iterator[Built]:
    """Build by `cnetsh up` of a lab file: the whole process, its start-up included."""
    write_lab(Path(LAB), [("net", n)])
    cnetsh("up", LAB)
    yield Built(first=2, again=lambda: cnetsh("up", LAB))
    cnetsh("down", LAB)


def bridge_lab(n: int) -> Iterator[Built]:
    """Build by `cnetsh up bridge`, which keeps the article's commands."""
    words = ("up", "bridge", "--set", f"containers={n}")
    cnetsh(*words)
    yield Built(step=10, again=lambda: cnetsh(*words))
    cnetsh("down", "bridge")


def _bash(text: str) -> None:
    subprocess.run(["bash"], input=f"set -e\n{text}", text=True, check=True)


def article(n: int) -> Iterator[Built]:
    """Build by the article's script, grown to n containers and without sudo."""
    head = f"ip link add name br0 type bridge\nip address add {GATEWAY}/12 dev br0\n"
    containers = (CONTAINER.format(i=i, address=address(10 + i)) for i in range(n))
    _bash(head + "ip link set br0 up\n" + "".join(containers))
    yield Built()
    _bash("ip link delete br0\n" + "".join(f"ip netns delete net{i}\n" for i in range(n)))


def batch(lines: Iterable[str]) -> None:
    """Run lines in one `ip -batch` in the calling thread's namespace, without a fork."""
    fd = os.memfd_create("lines", os.MFD_CLOEXEC)
    try:
        os.write(fd, ("\n".join(lines) + "\n").encode())
        os.lseek(fd, 0, os.SEEK_SET)
        streams = [(os.POSIX_SPAWN_DUP2, fd, 0)]
        pid = os.posix_spawnp("ip", ["ip", "-batch", "-"], os.environ, file_actions=streams)
        if code := os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]):
            raise SystemExit(f"ip -batch ended with {code}")
    finally:
        os.close(fd)


def checked(call: str, *arguments: object) -> None:
    """Call a function of libc that Python 3.11 lacks. Raises OSError."""
    if getattr(ctypes.CDLL(None, use_errno=True), call)(*arguments):
        raise OSError(ctypes.get_errno(), call)


def enter(path: str) -> None:
    """Move the calling thread into a network namespace. Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        checked("setns", fd, NEWNET)
    finally:
        os.close(fd)


def _on_host(i: int) -> list[str]:
    return [
        f"netns add net{i}",
        f"link add veth{i} type veth peer name ceth{i} netns net{i}",
        f"link set veth{i} up",
        f"link set dev veth{i} master br0",
    ]


def _in_namespace(i: int) -> None:
    enter(named(i))
    configured = [f"address add {address(10 + i)}/12 dev ceth{i}", f"link set ceth{i} up"]
    batch([*configured, f"route add default via {GATEWAY}"])


def pipeline(n: int) -> Iterator[Built]:
    """Build by the fastest `ip -batch` pipeline: the host first, 4 workers, the bridge up last."""
    head = ["link add name br0 type bridge", f"address add {GATEWAY}/12 dev br0"]
    batch(head + [line for i in range(n) for line in _on_host(i)])
    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(_in_namespace, range(n)))
    batch(["link set br0 up"])
    yield Built()
    batch(["link delete br0", *(f"netns delete net{i}" for i in range(n))])
