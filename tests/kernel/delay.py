"""A cable between two network namespaces that is long: each frame arrives so much later.

`python delay.py PID LINK PID LINK SECONDS`: for a kernel without netem; it ends with its input.
"""

import collections
import fcntl
import os
import select
import struct
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from cnetsh.system import namespace

TUNSETIFF, TAP, NO_HEADER = 0x400454CA, 0x0002, 0x1000  # linux/if_tun.h
FRAME = 1 << 16


def end(pid: str, link: str) -> int:
    """A descriptor of the cable's end, which is a link there."""

    def opened() -> int:
        fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", link.encode(), TAP | NO_HEADER))
        return fd

    return namespace.in_network(f"/proc/{pid}/ns/net", opened)


def carry(ends: tuple[int, int], seconds: float) -> None:
    waiting: collections.deque[tuple[float, int, bytes]] = collections.deque()
    poll = select.poll()
    for fd in (*ends, sys.stdin.fileno()):
        poll.register(fd, select.POLLIN)
    while True:
        left = max(0.0, waiting[0][0] - time.monotonic()) * 1000 if waiting else None
        for fd, _ in poll.poll(left):
            if fd not in ends:
                return
            arrives, other = time.monotonic() + seconds, ends[fd == ends[0]]
            waiting.append((arrives, other, os.read(fd, FRAME)))
        while waiting and waiting[0][0] <= time.monotonic():
            _, other, frame = waiting.popleft()
            os.write(other, frame)


if __name__ == "__main__":
    both = end(*sys.argv[1:3]), end(*sys.argv[3:5])
    print("ready", flush=True)
    carry(both, float(sys.argv[5]))
