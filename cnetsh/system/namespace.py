"""Entering and making namespaces: setns(2), unshare(2), mount(2), which Python 3.11 does not have.

Stands alone (no import from cnetsh), because the sandbox's holder runs it under `python -I -S`.
"""

import ctypes
import errno
import os
import socket
import struct
import sys
import threading
from collections.abc import Callable
from typing import TypeVar

USER, NET, MOUNT, PID = 0x10000000, 0x40000000, 0x00020000, 0x20000000
MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REC, MS_PRIVATE = 0x2, 0x4, 0x8, 0x4000, 0x40000
PR_SET_PDEATHSIG = 1
SO_NETNS_COOKIE = 71
POLL = 0.2

Answer = TypeVar("Answer")
_libc = ctypes.CDLL(None, use_errno=True)


def setns(fd: int, kind: int) -> None:
    """Move the calling thread into the namespace behind a descriptor. Raises OSError."""
    _checked(_libc.setns(fd, kind), "setns")


def unshare(kinds: int) -> None:
    """Put the calling process into new namespaces. Raises OSError."""
    _checked(_libc.unshare(kinds), "unshare")


def mount(source: str, target: str, kind: str, flags: int, data: str = "") -> None:
    """Mount a filesystem, as mount(2) does. Raises OSError."""
    words = (text.encode() for text in (source, target, kind))
    _checked(_libc.mount(*words, ctypes.c_ulong(flags), data.encode()), f"mount {target}")


def die_with_parent(signal: int) -> None:
    """Have the kernel send this process a signal when its parent ends, however it ends."""
    _checked(_libc.prctl(PR_SET_PDEATHSIG, signal, 0, 0, 0), "prctl")


def enter_network(path: str) -> None:
    """Move the calling thread into the network namespace at path, for good. Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        setns(fd, NET)
    finally:
        os.close(fd)


def in_network(path: str, action: Callable[[], Answer]) -> Answer:
    """Give what action gives when called in the network namespace at path, in a thread of its own.

    The thread ends with the action, so nothing has to be moved back. Raises OSError when there
    is no such namespace, or no thread for it.
    """
    return _in_thread(lambda: enter_network(path), action)


def show_links() -> None:
    """Have /sys show the links of the calling thread's network namespace, to this thread alone.

    Raises OSError.
    """
    unshare(MOUNT)
    mount("none", "/", "none", MS_REC | MS_PRIVATE)
    mount("sysfs", "/sys", "sysfs", 0)


def in_new_network(action: Callable[[], Answer]) -> Answer:
    """Give what action gives in a new network namespace, which ends with it. Raises OSError."""
    return _in_thread(lambda: unshare(NET), action)


def _in_thread(enter: Callable[[], None], action: Callable[[], Answer]) -> Answer:
    answers: list[Answer] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            enter()
            answers.append(action())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=work)
    try:
        thread.start()
    except RuntimeError as error:
        raise OSError(errno.EAGAIN, str(error)) from None
    # A signal that came just before a wait does not end it, and Python handles it only then.
    while thread.is_alive():
        thread.join(POLL)
    if errors:
        raise errors[0]
    return answers[0]


def mark(status: os.stat_result) -> int:
    """Give the number that tells a named namespace from all others: its inode and its age.

    The kernel gives an inode to the next namespace as soon as it is free (fs/proc/generic.c).
    """
    return status.st_ctime_ns << 32 | status.st_ino


def number_of(path: str) -> int:
    """Give the number that the own network namespace knows another by, -1 where it has none.

    Raises OSError. rtnetlink(7); linux/net_namespace.h: RTM_GETNSID with the attribute NETNSA_FD.
    """
    with open(path, "rb") as there, socket.socket(socket.AF_NETLINK, socket.SOCK_RAW) as asked:  # noqa: PTH123
        asked.send(struct.pack("=IHHIIB3xHHi", 28, 90, 1, 1, 0, 0, 8, 3, there.fileno()))
        answer = asked.recv(4096)
    # Behind both headers stands the first attribute, NETNSA_NSID; what is no RTM_NEWNSID has none.
    found: int = struct.unpack_from("=i", answer, 24)[0] if answer[4:6] == b"\x58\0" else -1
    return found


def own_network() -> int:
    """Give the number of this process's network namespace, which no other gets until a reboot.

    Before Linux 5.14 it is the inode's, which the kernel gives again.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as any_socket:
        try:
            cookie = any_socket.getsockopt(socket.SOL_SOCKET, SO_NETNS_COOKIE, 8)
        except OSError:
            return os.stat("/proc/self/ns/net").st_ino  # noqa: PTH116
    return int.from_bytes(cookie, sys.byteorder)


def _checked(answer: int, what: str) -> None:
    if answer:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
