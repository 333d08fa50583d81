"""Builds, verifies and deletes once, in the private network that it is started in; prints JSON.

Usage: inside.py WAY N [memory]
"""

import contextlib
import json
import os
import resource
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import peers
import ways
from ways import GATEWAY, Built, address

WAYS: dict[str, ways.Way] = {
    "lab": ways.lab_file,
    "bridge": ways.bridge_lab,
    "article": ways.article,
    "pipeline": ways.pipeline,
    "mininet": peers.mininet,
    "cni": peers.cni,
    "pyroute2": peers.pyroute2,
}

# A process seen so often has not just been forked.
OFTEN = 10


def seconds(call: Callable[[], object]) -> float:
    """Give the wall-clock time of a call."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def links() -> int:
    """Give the number of links besides lo."""
    return len(Path("/proc/self/net/dev").read_text().splitlines()) - 3


def said(*argv: str) -> str:
    """Give what a command prints."""
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


def verify(built: Built, n: int) -> None:
    """Stop unless N namespaces are there, N ports are up, and 3 containers are configured."""
    namespaces = len({Path(built.namespace(i)).stat().st_ino for i in range(n)})
    up = said("ip", "-o", "link", "show", "master", built.bridge, "up")
    found = (namespaces, len(up.splitlines()), links())
    if found != (n, n, n + 1):
        raise SystemExit(f"namespaces, ports and links: {found} for {n} containers")
    for i in {0, n // 2, n - 1}:
        inside = ("nsenter", f"--net={built.namespace(i)}", "ip")
        addresses, routes = said(*inside, "-o", "-4", "address"), said(*inside, "route")
        wanted = f" {address(built.first + i * built.step)}/12 "
        if wanted not in addresses or f"default via {GATEWAY} " not in routes:
            raise SystemExit(f"container {i} has {addresses}{routes}, and not{wanted}")


def _delete(steps: Iterator[Built]) -> None:
    """Delete, and wait until the links are gone, which is after the commands have returned."""
    next(steps, None)
    while links():
        time.sleep(0.002)


def _family(pid: int) -> Iterator[tuple[int, int]]:
    """Give all processes below one, each with its parent."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            yield int(child), pid
            yield from _family(int(child))


def _command(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text()


def _memory(pid: int) -> int:
    """Give the memory of a process in KiB, its part of what it shares with others included."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


def _together(seen: Counter[int]) -> int:
    """Give the memory of all processes below this one in KiB, and count them in seen."""
    family = list(_family(os.getpid()))
    # One that is about to become another program still has its parent's memory, not its own.
    own = [pid for pid, up in family if seen[pid] >= OFTEN or _command(pid) != _command(up)]
    seen.update(pid for pid, _ in family)
    return sum(_memory(pid) for pid in own)


def most_memory(call: Callable[[], object]) -> float:
    """Give the most memory that the processes started by call have at one time, in MiB.

    Looks 20 times a second, so it is not for a run that is timed.
    """
    over, most, seen = threading.Event(), [0], Counter[int]()

    def watch() -> None:
        while not over.wait(0.05):
            # A process may end while it is looked at.
            with contextlib.suppress(OSError):
                most.append(_together(seen))

    watcher = threading.Thread(target=watch)
    watcher.start()
    call()
    over.set()
    watcher.join()
    return max(most) / 1024


def main() -> None:
    n = int(sys.argv[2])
    steps = WAYS[sys.argv[1]](n)
    built: list[Built] = []

    def build() -> None:
        built.append(next(steps))

    timed = most_memory if sys.argv[3:] == ["memory"] else seconds
    found = {"up": timed(build)}
    # The largest single process, whichever it was.
    found["MiB"] = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    verify(built[0], n)
    if built[0].again:
        found["again"] = seconds(built[0].again)
        found["up - again"] = found["up"] - found["again"]
    found["down"] = seconds(lambda: _delete(steps))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
