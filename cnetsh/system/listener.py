"""Ports that answer for the time of a check, inside of containers, where nothing else listens."""

import contextlib
import errno
import os
import select
import socket
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple, TypeAlias

from cnetsh.system import namespace

RECEIVE_PKTINFO6 = 49  # IPV6_RECVPKTINFO of linux/in6.h
PKTINFO = 8  # IP_PKTINFO of linux/in.h
LARGEST, BESIDE = 1 << 16, 64


class Socket(NamedTuple):
    """A port of a namespace, given by its path; protocol: tcp or udp."""

    path: str
    number: int
    protocol: str


@dataclass
class Listener:
    """An open port: how many it has heard, and whose turn it is, for one at a time can be told."""

    socket: socket.socket
    protocol: str
    heard: int = 0
    turn: threading.Lock = field(default_factory=threading.Lock)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def hears_more_than(self, known: int, seconds: float) -> bool:
        """Say whether somebody else than those known was heard, or is within so many seconds."""
        with self.changed:
            return self.changed.wait_for(lambda: self.heard > known, seconds)

    def answer(self) -> None:
        """Take in who waits: a caller is accepted and let go, a packet is sent back as it came."""
        # The caller may be gone already, and what is sent back may be refused.
        with contextlib.suppress(OSError):
            if self.protocol == "tcp":
                self.socket.accept()[0].close()
                self._hear()
            else:
                self._send_back()

    def _hear(self) -> None:
        with self.changed:
            self.heard += 1
            self.changed.notify_all()

    def _send_back(self) -> None:
        data, beside, _, caller = self.socket.recvmsg(LARGEST, BESIDE)
        self._hear()
        # From the address that was asked, by whatever link leads back: its number is left out.
        end = 12 if self.socket.family == socket.AF_INET else 16
        asked = [(level, kind, bytes(4) + value[4:12] if end == 12 else value[:16] + bytes(4))
                 for level, kind, value in beside]  # fmt: skip
        self.socket.sendmsg([data], asked, 0, caller)


Listeners: TypeAlias = Mapping[Socket, Listener]


@contextmanager
def listening(ports: Iterable[Socket]) -> Iterator[Listeners]:
    """Open those of the ports where nothing listens, answer whoever comes, and close them."""
    found = {port: one for port in dict.fromkeys(ports) if (one := _listener(port))}
    end = os.eventfd(0)
    thread = threading.Thread(target=_answer, args=(list(found.values()), end), daemon=True)
    try:
        if found:
            thread.start()
        yield found
    finally:
        if thread.ident:
            os.eventfd_write(end, 1)
            thread.join()
        os.close(end)
        for one in found.values():
            one.socket.close()


def _answer(listeners: list[Listener], end: int) -> None:
    waiting, by = select.poll(), {one.socket.fileno(): one for one in listeners}
    for number in (end, *by):
        waiting.register(number, select.POLLIN)
    ended = False
    while not ended:
        for number, _ in waiting.poll():
            if number == end:
                ended = True
            else:
                by[number].answer()


def _listener(port: Socket) -> Listener | None:
    for family in (socket.AF_INET6, socket.AF_INET):
        try:
            opened = partial(_opened, family, port)
            return Listener(namespace.in_network(port.path, opened), port.protocol)
        except OSError as error:
            # Without IPv6 the other is left; a port that is taken is taken in both.
            if error.errno != errno.EAFNOSUPPORT:
                return None
    return None


def _opened(family: int, port: Socket) -> socket.socket:
    """Open a port at all addresses of the caller's namespace. Raises OSError where it is taken."""
    kind = socket.SOCK_STREAM if port.protocol == "tcp" else socket.SOCK_DGRAM
    opened = socket.socket(family, kind | socket.SOCK_NONBLOCK)
    try:
        if family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        if port.protocol == "tcp":
            # Those who have called lately keep nobody from listening, as of any server.
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        elif family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, RECEIVE_PKTINFO6, 1)
        else:
            opened.setsockopt(socket.IPPROTO_IP, PKTINFO, 1)
        opened.bind(("", port.number))
        if port.protocol == "tcp":
            opened.listen()
        return opened
    except BaseException:
        opened.close()
        raise
