"""One packet really sent, a tap in every namespace: whether it is answered, where it was seen."""

import errno
import os
import socket
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import NamedTuple

from cnetsh.compare.snapshot import NETNS, within
from cnetsh.system.process import never
from cnetsh.system.taps import Sighting, Taps

WAITS = (1.0, 1.2)  # seconds for an answer, try by try: the first may be lost to a new neighbour
ECHO = {4: (8, socket.AF_INET, socket.IPPROTO_ICMP), 6: (128, socket.AF_INET6, 58)}
HEADERS = {4: 28, 6: 48}  # bytes of IP and ICMP
ANSWERED = "answered"
TOO_LONG = "EMSGSIZE"
REFUSED = "ECONNREFUSED"  # nobody listens, or somebody says so


class Asked(NamedTuple):
    """What is sent: from which namespace, to which address, icmp, tcp or udp, how many bytes."""

    sender: str
    to: str
    proto: str = "icmp"
    port: int = 0
    size: int = 0

    @property
    def version(self) -> int:
        """The version of IP."""
        return 6 if ":" in self.to else 4


class Seen(NamedTuple):
    """Where the packet or its answer was seen: leg, namespace, link, and in or out."""

    leg: str
    space: str
    link: str
    direction: str


@dataclass(frozen=True, slots=True)
class Tried:
    """How a trial ended. error: what the system said to the sender, by its name, or ""."""

    answered: bool
    error: str
    seen: tuple[Seen, ...]


def tried(asked: Asked, spaces: Sequence[str], stopping: Callable[[], int] = never) -> Tried:
    """Send a packet, twice where nothing comes back, and give how that ended.

    spaces: the namespaces with a tap. Raises OSError where none can be opened.
    """
    paths = {name: str(NETNS / name) if name else "" for name in spaces}
    with Taps(paths) as taps:
        for wait in WAITS:
            with closing(_socket(asked)) as opened:
                found = _once(asked, opened, taps, wait, stopping)
            if found.answered or found.error or stopping():
                break
    return found


def _socket(asked: Asked) -> socket.socket:
    family = ECHO[asked.version][1]
    kinds = {"tcp": (socket.SOCK_STREAM, 0), "udp": (socket.SOCK_DGRAM, 0)}
    kind = kinds.get(asked.proto, (socket.SOCK_RAW, ECHO[asked.version][2]))
    opened = within(asked.sender, lambda: socket.socket(family, *kind))
    opened.setblocking(False)
    if asked.size:
        # What has a size must not be cut (ip(7): IP_MTU_DISCOVER, IP_PMTUDISC_DO; ipv6(7)).
        level, option = (socket.IPPROTO_IP, 10) if asked.version == 4 else (41, 23)
        opened.setsockopt(level, option, 2)
    return opened


def _once(
    asked: Asked, opened: socket.socket, taps: Taps, wait: float, stopping: Callable[[], int]
) -> Tried:
    sign = os.urandom(8)
    error = _said(lambda: _send(asked, opened, sign))
    ended: list[str] = [error] if error else []

    def over() -> int:
        found = _said(lambda: _hear(asked, opened, sign))
        if not ended and found:
            ended.append(found)
        return stopping() or len(ended)

    sightings = list(taps.sightings(wait, over))
    # The taps may have more than the socket was waited for.
    sightings += taps.sightings(0.02)
    port = opened.getsockname()[1] if asked.proto != "icmp" else 0
    answered = ended == [ANSWERED]
    # Between namespaces the order is that of the kernel's clock.
    sightings.sort(key=lambda one: one.when)
    seen = tuple(_seen(asked, sightings, sign, port))
    return Tried(answered, "" if answered else "".join(ended), seen)


def _said(action: Callable[[], str]) -> str:
    """Give what an action gives, or what the system says against it, by its name."""
    try:
        return action()
    except BlockingIOError:
        return ""
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, str(error))


def _send(asked: Asked, opened: socket.socket, sign: bytes) -> str:
    opened.connect((asked.to, asked.port))
    if asked.proto == "icmp":
        opened.send(_echo(asked, sign))
    elif asked.proto == "udp":
        opened.send(sign + bytes(max(0, asked.size - HEADERS[asked.version] - 8)))
    return ""


def _echo(asked: Asked, sign: bytes) -> bytes:
    kind = ECHO[asked.version][0]
    more = max(48, asked.size - HEADERS[asked.version] - 8 if asked.size else 0)
    body = struct.pack("!BBHHH", kind, 0, 0, os.getpid() & 0xFFFF, 1) + sign + bytes(more)
    # For IPv6 the kernel works it out (RFC 3542).
    total = 0 if asked.version == 6 else _checksum(body)
    return body[:2] + struct.pack("!H", total) + body[4:]


def _checksum(body: bytes) -> int:
    """Give the checksum of RFC 1071."""
    body += bytes(len(body) % 2)
    total: int = sum(struct.unpack(f"!{len(body) // 2}H", body))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _hear(asked: Asked, opened: socket.socket, sign: bytes) -> str:
    """Give ANSWERED when an answer is there. Raises OSError with what the system says."""
    if asked.proto == "tcp":
        if found := opened.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            raise OSError(found, os.strerror(found))
        with suppress(OSError):
            opened.getpeername()
            return ANSWERED
        return ""
    data = opened.recv(65536)
    if asked.proto == "udp":
        return ANSWERED
    start = 0 if asked.version == 6 else (data[0] & 15) * 4
    return ANSWERED if data[start] in (0, 129) and sign in data else ""


def _seen(asked: Asked, sightings: Sequence[Sighting], sign: bytes, port: int) -> Iterator[Seen]:
    """Give the sightings of the packet and of its answer.

    TCP has nothing of our own in it: its first sequence number stays, whoever translates it.
    """
    # Looked for first: the clock of a tap that was just opened may be late.
    first = next(
        (one.frame.number for one in sightings if one.netns == asked.sender
         and "SYN" in one.frame.says and one.frame.ports == (port, asked.port)), 0
    )  # fmt: skip
    for one in sightings:
        known, leg = one.frame, ""
        if asked.proto == "icmp":
            if sign in known.payload:
                leg = {"echo request": "request", "echo reply": "reply"}.get(known.says, "")
        elif asked.proto == "udp":
            leg = "request" if sign in known.payload and known.protocol == "udp" else ""
        elif known.protocol == "tcp":
            if first and known.number == first and "SYN" in known.says:
                leg = "request"
            elif first and known.answers == first + 1 and known.says != "ACK":
                leg = "reply"
        if leg:
            yield Seen(leg, one.netns, one.link, one.direction)
