"""One packet really sent, a tap in every namespace: whether it is answered, where it was seen."""

import errno
import os
import re
import socket
import struct
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

from cnetsh.compare.kernel import NETNS, within
from cnetsh.system.frame import IS_AT, WHO_HAS
from cnetsh.system.process import attempt, never
from cnetsh.system.taps import Sighting, Taps

WAITS = (1.0, 1.2)  # seconds for an answer, try by try: the first may be lost to a new neighbour
ECHO = {4: (8, socket.AF_INET, socket.IPPROTO_ICMP), 6: (128, socket.AF_INET6, 58)}
HEADERS = {4: 28, 6: 48}  # bytes of IP and ICMP
ANSWERED = "answered"
TOO_LONG = "EMSGSIZE"
REFUSED = "ECONNREFUSED"  # nobody listens, or somebody says so
# The legs of a neighbour's question and of its answer, by the address that is asked for.
ASKS, ANSWERS = "the question who has {}", "the answer who has {}"


class Probe(NamedTuple):
    """What is sent: from which namespace, to which address, icmp, tcp or udp, how many bytes."""

    sender: str
    to: str
    proto: str = "icmp"
    port: int = 0
    size: int = 0

    @property
    def version(self) -> int:
        return 6 if ":" in self.to else 4


class Seen(NamedTuple):
    """Where the packet or its answer was seen: leg, namespace, link, and in or out."""

    leg: str
    space: str
    link: str
    direction: str
    aside: bool = False  # whether it came for another MAC address than the link's


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """How a trial ended."""

    answered: bool
    error: str  # what the system said to the sender, by its name, or ""
    seen: tuple[Seen, ...]
    said: tuple[tuple[str, str], ...] = ()  # errors of ICMP about the packet, with who sent each
    asked: tuple[Seen, ...] = ()  # questions for neighbours meanwhile, and answers


class Drop(NamedTuple):
    """What nftables says of a packet that it dropped: where, by which rule, "" for the policy."""

    space: str
    table: str
    chain: str
    rule: str
    handle: str


def tried(asked: Probe, spaces: Sequence[str], waits: Sequence[float] = WAITS) -> ProbeResult:
    """Send a packet, twice if unanswered; give how it ended. spaces: with taps. Raises OSError."""
    paths = {name: str(NETNS / name) if name else "" for name in spaces}
    # Who has asked for a neighbour in vain waits before asking anew (neigh_timer_handler).
    questions: tuple[Seen, ...] = ()
    with Taps(paths) as taps:
        for wait in waits:
            with closing(_socket(asked)) as opened:
                found = _once(asked, opened, taps, wait)
            questions += found.asked
            if found.answered or found.error:
                break
    return replace(found, asked=questions)


def _socket(asked: Probe) -> socket.socket:
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


def _once(asked: Probe, opened: socket.socket, taps: Taps, wait: float) -> ProbeResult:
    sign = os.urandom(8)
    error = _said(lambda: _send(asked, opened, sign))
    ended: list[str] = [error] if error else []

    def over() -> int:
        found = _said(lambda: _hear(asked, opened, sign))
        if not ended and found:
            ended.append(found)
        return len(ended)

    sightings = list(taps.sightings(wait, over))
    # The taps may have more than the socket was waited for.
    sightings += taps.sightings(0.02)
    port = opened.getsockname()[1] if asked.proto != "icmp" else 0
    answered = ended == [ANSWERED]
    # Between namespaces the order is that of the kernel's clock.
    sightings.sort(key=lambda one: one.when)
    seen = tuple(_seen(asked, sightings, sign, port))
    said = tuple(_told(asked, sightings, sign))
    questions = tuple(_questions(sightings))
    return ProbeResult(answered, "" if answered else "".join(ended), seen, said, questions)


def _said(action: Callable[[], str]) -> str:
    """Give what an action gives, or what the system says against it, by its name."""
    try:
        return action()
    except BlockingIOError:
        return ""
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, str(error))


def _send(asked: Probe, opened: socket.socket, sign: bytes) -> str:
    opened.connect((asked.to, asked.port))
    if asked.proto == "icmp":
        opened.send(_echo(asked, sign))
    elif asked.proto == "udp":
        opened.send(sign + bytes(max(0, asked.size - HEADERS[asked.version] - 8)))
    return ""


def _echo(asked: Probe, sign: bytes) -> bytes:
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


def _hear(asked: Probe, opened: socket.socket, sign: bytes) -> str:
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


def _seen(asked: Probe, sightings: Sequence[Sighting], sign: bytes, port: int) -> Iterator[Seen]:
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
            yield Seen(leg, one.netns, one.link, one.direction, one.aside)


def _questions(sightings: Sequence[Sighting]) -> Iterator[Seen]:
    """Give the sightings of all questions for neighbours, and of their answers."""
    for one in sightings:
        known = one.frame
        if known.says in (WHO_HAS, IS_AT):
            asks = known.says == WHO_HAS
            leg = ASKS.format(known.target) if asks else ANSWERS.format(known.source)
            yield Seen(leg, one.netns, one.link, one.direction)


def _told(asked: Probe, sightings: Sequence[Sighting], sign: bytes) -> Iterator[tuple[str, str]]:
    """Give the errors about the packet: TCP is known by whom it goes to, others by their sign."""
    for one in sightings:
        about = one.frame.quoted
        if about and (sign in about.payload or (asked.proto == "tcp" and about.target == asked.to
                                                and about.ports[1] == asked.port)):  # fmt: skip
            yield one.netns, one.frame.says


# Seconds: until nft has begun at most, until it listens then, until it has told all.
BEGINS, LISTENS, TELLS = 2.0, 0.2, 2.7
_TABLE = "cnetsh_trace"
_HOOKS = {"inet": ("prerouting", "output"), "bridge": ("prerouting", "output"),
          "arp": ("input", "output")}  # fmt: skip
_PACKET = re.compile(r"^trace id (\w+) .* packet: (.*)", re.M)
_DROP = re.compile(r"^trace id (\w+) (\w+ \S+) (\S+) "
                   r"(?:rule (.*) # handle (\d+) \(verdict drop\)|policy drop)", re.M)  # fmt: skip


def traced(asked: Probe, links: Mapping[str, Sequence[str]]) -> tuple[ProbeResult, list[Drop]]:
    """Send a packet while nftables tells what becomes of it in namespaces, given with links.

    The tables that have it tell so are of the nft that listens, and gone when it ends, however that
    is (nft(8): owner).
    """
    with ThreadPoolExecutor(len(links)) as pool:
        telling = [pool.submit(_listen, space, names) for space, names in links.items()]
        deadline = time.monotonic() + BEGINS
        while not all(map(_has_begun, links)) and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(LISTENS)
        for wait in WAITS:
            # Who asked in vain before asks anew a second later.
            trial = tried(asked, [*links], waits=(wait,))
            if trial.answered:
                break
        texts = [one.result() for one in telling]
    return trial, [Drop(space, *said) for space, text in zip(links, texts, strict=True)
                   for said in _drops(asked, text)]  # fmt: skip


def _listen(space: str, names: Sequence[str]) -> str:
    argv = ("timeout", str(TELLS), "nft", "-a", "-i")
    lines = [*_tracing(names), "monitor trace"]
    return within(space, partial(attempt, argv, "\n".join(lines) + "\n", 9, never)).stdout


def _has_begun(space: str) -> bool:
    argv = ("nft", "list", "tables")
    return _TABLE in within(space, partial(attempt, argv, "", 9, never)).stdout


def _tracing(names: Sequence[str]) -> Iterator[str]:
    """Give what has nftables tell of all packets; a family that the kernel lacks is left out."""
    devices = ", ".join(f'"{name}"' for name in names if name != "lo")
    places = [(family, hook, "") for family, hooks in _HOOKS.items() for hook in hooks]
    places += [("netdev", "ingress", f" devices = {{ {devices} }}")] if devices else []
    for family, hook, where in places:
        table = f"{family} {_TABLE}"
        yield f"add table {table} {{ flags owner; }}"
        yield f"add chain {table} {hook} {{ type filter hook {hook}{where} priority -500; }}"
        yield f"add rule {table} {hook} meta nftrace set 1"


def _drops(asked: Probe, text: str) -> Iterator[tuple[str, str, str, str]]:
    """Give table, chain, rule and handle of what dropped the packet, or a question for it."""
    packets: dict[str, str] = {}
    for name, said in _PACKET.findall(text):
        packets.setdefault(name, said)
    sign = f" id {os.getpid() & 0xFFFF} " if asked.proto == "icmp" else f"port {asked.port} "
    for name, table, chain, rule, handle in _DROP.findall(text):
        said = packets.get(name, "")
        if "arp " in said or "nd-neighbor" in said or (asked.proto in said and sign in said):
            yield table, chain, rule, handle
