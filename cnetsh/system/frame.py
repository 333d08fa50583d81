"""What the bytes of a frame say: Ethernet, ARP, IPv4 and IPv6, ICMP, TCP and UDP.

Sources: RFC 826, 791, 8200, 792, 4443, 4861, 9293, 768; IEEE 802.1Q for the tag of a VLAN.
"""

import socket
import struct
from typing import NamedTuple, Optional

ARP, IPV4, IPV6, TAG = 0x0806, 0x0800, 0x86DD, 0x8100
PROTOCOLS = {1: "icmp", 2: "igmp", 6: "tcp", 17: "udp", 47: "gre", 50: "esp", 58: "icmp6"}
# How a question for a neighbour and its answer are called, of ARP and of IPv6 alike.
WHO_HAS, IS_AT = "who has", "is at"
_ICMP = {(0, 0): "echo reply", (8, 0): "echo request", (3, 0): "net unreachable",
         (3, 1): "host unreachable", (3, 2): "protocol unreachable", (3, 3): "port unreachable",
         (3, 4): "fragmentation needed", (3, 9): "net prohibited", (3, 10): "host prohibited",
         (3, 13): "admin prohibited", (5, 1): "redirect", (11, 0): "time exceeded"}  # fmt: skip
_ICMP6 = {(128, 0): "echo request", (129, 0): "echo reply", (1, 0): "no route",
          (1, 1): "admin prohibited", (1, 3): "address unreachable", (1, 4): "port unreachable",
          (2, 0): "packet too big", (3, 0): "time exceeded", (133, 0): "router solicitation",
          (134, 0): "router advertisement", (135, 0): WHO_HAS, (136, 0): IS_AT, (143, 0): "mld",
          (137, 0): "redirect"}  # fmt: skip
_FLAGS = ((0x02, "SYN"), (0x01, "FIN"), (0x04, "RST"), (0x08, "PSH"), (0x10, "ACK"))
# Headers of IPv6 that say in 8 bytes, less 8, how long they are: hop by hop, routing, destination.
_EXTENSIONS, _FRAGMENT = (0, 43, 60), 44


class Frame(NamedTuple):
    """What one frame says. What it does not have is "", 0 or empty.

    says: the words of ICMP, the flags of TCP, of a neighbour's question (source asks for target)
    WHO_HAS and of its answer (source has the MAC address `at`) IS_AT.
    """

    from_mac: str = ""
    to_mac: str = ""
    vlan: int = 0
    protocol: str = ""  # arp, icmp, icmp6, tcp, udp, or a number
    source: str = ""
    target: str = ""
    says: str = ""
    at: str = ""
    ports: tuple[int, int] = (0, 0)
    number: int = 0  # of an echo, or of TCP, or the MTU of "too big"
    answers: int = 0  # the sequence that TCP acknowledges
    ttl: int = 0
    size: int = 0  # bytes of the IP packet
    payload: bytes = b""  # what is carried behind all headers
    quoted: Optional["Frame"] = None  # the packet that an error of ICMP is about

    def __str__(self) -> str:
        if self.says == WHO_HAS:
            return f"{self.protocol} who has {self.target}, asks {self.source or self.from_mac}"
        if self.says == IS_AT:
            return f"{self.protocol} {self.source} is at {self.at}"
        ends = (self.source, self.target) if self.source else (self.from_mac, self.to_mac)
        way = " > ".join(map(str, ends))
        if any(self.ports):
            way = f"{ends[0]} {self.ports[0]} > {ends[1]} {self.ports[1]}"
        said = f"{self.protocol} {way} {self.says}".rstrip()
        return f"{said} [{self.quoted}]" if self.quoted else said


def read_frame(frame: bytes, ethernet: bool = True) -> Frame:
    """Give what a frame says, as far as it can be read; ethernet: False where it begins with IP."""
    if not ethernet:
        return _ip(frame, Frame())
    if len(frame) < 14:
        return Frame()
    kind, at = int.from_bytes(frame[12:14]), 14
    known = Frame(frame[6:12].hex(":"), frame[:6].hex(":"))
    if kind == TAG and len(frame) >= 18:
        kind, at = int.from_bytes(frame[16:18]), 18
        known = known._replace(vlan=int.from_bytes(frame[14:16]) & 0xFFF)
    if kind == ARP:
        return _arp(frame[at:], known)
    if kind in (IPV4, IPV6):
        return _ip(frame[at:], known)
    return known._replace(protocol=f"{kind:#06x}", payload=frame[at:])


def _arp(body: bytes, known: Frame) -> Frame:
    if len(body) < 28:
        return known._replace(protocol="arp")
    says = {1: WHO_HAS, 2: IS_AT}.get(int.from_bytes(body[6:8]), "")
    source, target = socket.inet_ntoa(body[14:18]), socket.inet_ntoa(body[24:28])
    at = body[8:14].hex(":") if says == IS_AT else ""
    known = known._replace(source=source, target=target, says=says, at=at)
    return known._replace(protocol="arp", size=28)


def _ip(packet: bytes, known: Frame) -> Frame:
    version = packet[0] >> 4 if packet else 0
    if version == 4 and len(packet) >= 20:
        return _ipv4(packet, known)
    return _ipv6(packet, known) if version == 6 and len(packet) >= 40 else known


def _ipv4(packet: bytes, known: Frame) -> Frame:
    size, part = struct.unpack("!2xH2xH", packet[:8])
    source, target = socket.inet_ntoa(packet[12:16]), socket.inet_ntoa(packet[16:20])
    known = known._replace(source=source, target=target, ttl=packet[8], size=size)
    # What Ethernet pads a short packet with is none of it; an offloaded one says 0.
    body = packet[(packet[0] & 15) * 4 : size or None]
    return _carried(packet[9], body, known) if not part & 0x1FFF else _part(packet[9], known)


def _ipv6(packet: bytes, known: Frame) -> Frame:
    size, kind, ttl = struct.unpack("!4xHBB", packet[:8])
    ends = [socket.inet_ntop(socket.AF_INET6, packet[at : at + 16]) for at in (8, 24)]
    known = known._replace(source=ends[0], target=ends[1], ttl=ttl, size=size + 40)
    body = packet[40 : size + 40 if size else None]
    while len(body) >= 8 and kind in (*_EXTENSIONS, _FRAGMENT):
        if kind == _FRAGMENT and int.from_bytes(body[2:4]) & 0xFFF8:
            return _part(body[0], known)
        length = 8 if kind == _FRAGMENT else body[1] * 8 + 8
        kind, body = body[0], body[length:]
    return _carried(kind, body, known)


def _part(kind: int, known: Frame) -> Frame:
    """Give a fragment that is not the first, which has no ports."""
    return known._replace(protocol=PROTOCOLS.get(kind, str(kind)), says="fragment")


def _carried(kind: int, body: bytes, known: Frame) -> Frame:
    known = known._replace(protocol=PROTOCOLS.get(kind, str(kind)), payload=body)
    match known.protocol:
        case "icmp" if len(body) >= 8:
            return _icmp(body, known, _ICMP, body[0] in (3, 5, 11))
        case "icmp6" if len(body) >= 8:
            return _icmp(body, known, _ICMP6, body[0] < 128)
        case "tcp" if len(body) >= 14:
            *ports, number, answers, offset, flags = struct.unpack("!HHIIBB", body[:14])
            says = " ".join(word for bit, word in _FLAGS if flags & bit)
            known = known._replace(number=number, answers=answers, says=says)
            return known._replace(ports=tuple(ports), payload=body[(offset >> 4) * 4 :])
        case "udp" if len(body) >= 8:
            return known._replace(ports=struct.unpack("!HH", body[:4]), payload=body[8:])
    return known


def _icmp(body: bytes, known: Frame, words: dict[tuple[int, int], str], error: bool) -> Frame:
    kind, code = body[0], body[1]
    number, payload = int.from_bytes(body[4:8]), body[8:]
    says = words.get((kind, code), f"type {kind} code {code}")
    # The address that a neighbour's message is about stands inside (RFC 4861, 4.3 and 4.4).
    if says in (WHO_HAS, IS_AT) and len(body) >= 24:
        about = socket.inet_ntop(socket.AF_INET6, payload[:16])
        known = known._replace(target=about) if says == WHO_HAS else known._replace(source=about)
    if says == IS_AT:
        # An option may say the MAC address; without it the frame's own is meant.
        at = payload[18:24].hex(":") if payload[16:18] == b"\2\1" else known.from_mac
        known = known._replace(at=at)
    if (kind, code) == (3, 4):
        number &= 0xFFFF
    quoted = _ip(payload, Frame()) if error else None
    return known._replace(says=says, number=number, payload=payload, quoted=quoted)
