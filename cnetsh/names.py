"""Names, addresses and counts that people type, checked before they come near a command.

The kernel and ip take almost anything: an interface called `$(id)`, `010.0.0.1` as 8.0.0.1, the
broadcast address on a host. Only these functions stand between a typo and the network.
"""

import ipaddress
import re
from collections.abc import Container, Iterable
from typing import NamedTuple, NoReturn

from cnetsh.errors import CnetshError

_BITS = {4: 32, 6: 128}
_COMPARED = 2000  # names with a misspelt one, which takes 20 µs each
_LINK = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,14}")
_NETNS = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")
_NUMBER = re.compile(r"0|[1-9][0-9]{0,8}")
# What ip-link(8) reads as a keyword where the name of a link may stand (measured).
_WHOLE = """dev name up down netns index arp carrier vf mode state vrf qlen mtu group promisc
    trailers allmulticast multicast brd protodown gso_max_size gso_max_segs gro_max_size parentdev
    netns-immutable xdp xdpdrv xdpgeneric xdpoffload"""
# `ip link set br up` sets a broadcast address: any beginning of these words stands for the word.
_SHORTENED = """type txqlen txqueuelen numrxqueues numtxqueues nomaster master link-netnsid help
    dynamic broadcast alias addrgenmode address"""
_KEYWORDS = {word[:end]: word for word in _SHORTENED.split() for end in range(1, len(word) + 1)}
_KEYWORDS |= {word: word for word in _WHOLE.split()}
# Words that ip, the kernel or cnetsh read as something else than the name of an interface.
_OTHERS = """lo all default none any type add help list host self peer via src bonding_masters link
    table notrailers protodown_reason parentbus altname property"""
_RESERVED = frozenset(_WHOLE.split() + _OTHERS.split())


class Ip(NamedTuple):
    """An address of version 4 or 6 as a number; text only where it is printed.

    A plan may have 100,000 of them, and one of ipaddress's takes ten times as long to make.
    """

    version: int
    number: int

    def __str__(self) -> str:
        version, number = self
        if version == 6:
            return str(ipaddress.IPv6Address(number))
        return f"{number >> 24}.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


class Inet(NamedTuple):
    """An address with the prefix length of its network, as `ip address` shows it after `inet`."""

    version: int
    number: int
    length: int

    def __str__(self) -> str:
        version, number, length = self
        if version == 6:
            return f"{ipaddress.IPv6Address(number)}/{length}"
        return f"{number >> 24}.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}/{length}"

    @property
    def ip(self) -> Ip:
        return Ip(self.version, self.number)

    @property
    def host_bits(self) -> int:
        """How many bits are the host's, and not the network's."""
        return _BITS[self.version] - self.length

    @property
    def network(self) -> "Inet":
        """The network: the same with all host bits zero."""
        return self._replace(number=self.number >> self.host_bits << self.host_bits)

    @property
    def last(self) -> int:
        """The network's last address; of IPv4 it is the one of broadcast."""
        return self.number | (1 << self.host_bits) - 1

    @property
    def hosts(self) -> tuple[int, int]:
        """The first and the last address that a host can have, as numbers."""
        if self.host_bits < 2:
            return self.network.number, self.last
        return self.network.number + 1, self.last - (self.version == 4)

    def holds(self, other: "Ip | Inet") -> bool:
        """Say whether an address is in the network."""
        bits = self.host_bits
        return other.version == self.version and other.number >> bits == self.number >> bits


def visible(text: str) -> str:
    r"""Give text with control and non-ASCII characters as \xNN, \uNNNN or \UNNNNNNNN."""
    if text.isascii() and text.isprintable():
        return text
    ascii_only = text.encode("ascii", "backslashreplace").decode("ascii")
    return re.sub(r"[\x00-\x1f\x7f]", lambda found: f"\\x{ord(found[0]):02x}", ascii_only)


def interface_name(text: str, what: str) -> str:
    """Give back a name that ip takes for an interface's. Raises CnetshError; what: its place."""
    _shape(text, what, _LINK, 15)
    if word := keyword(text):
        _refuse(text, what, f"is read by ip as its keyword {word}")
    return text


def keyword(text: str) -> str:
    """Give the keyword as which ip reads a word without dev before it, "" for a link's name."""
    return _KEYWORDS.get(text, "")


def interface_prefix(text: str, what: str) -> str:
    """Give back the beginning of interface names that end in a number. Raises CnetshError."""
    return _shape(text, what, _LINK, 15)


def netns_name(text: str, what: str) -> str:
    """Give back a name for a network namespace, or the beginning of one. Raises CnetshError."""
    return _shape(text, what, _NETNS, 64)


def lab_name(text: str, what: str) -> str:
    """Give back a lab's name, which also names its journal. Raises CnetshError."""
    return _shape(text, what, _NETNS, 64, frozenset())


def count(text: str, what: str, low: int, high: int, limit: str = "") -> int:
    """Give the whole number that text says. Raises CnetshError; limit: why no more than high."""
    if not _NUMBER.fullmatch(text):
        _refuse(text, what, f"is not a whole number from {low} to {high}")
    if int(text) < low or int(text) > high:
        reason = f": {limit}" if limit and int(text) > high else ""
        _refuse(text, what, f"is not between {low} and {high}{reason}")
    return int(text)


def ip(text: str, what: str) -> Ip:
    """Give the address of one host, typed without a prefix length. Raises CnetshError."""
    if "/" in text:
        _refuse(text, what, "has a prefix length, and only the address is wanted")
    return _ip(text, text, what)


def subnet(text: str, what: str) -> Inet:
    """Give a subnet as typed, its host bits kept. Raises CnetshError."""
    host, _, length = text.partition("/")
    found = _ip(host, text, what)
    most = _BITS[found.version]
    if "/" not in text:
        _refuse(text, what, f"has no prefix length, as in {host}/24")
    if not _NUMBER.fullmatch(length) or int(length) > most:
        _refuse(text, what, f"needs a prefix length from /8 to /{most}")
    if int(length) < 8:
        _refuse(text, what, f"is too much: /{length} is shorter than /8")
    return Inet(*found, int(length))


def inet(text: str, what: str) -> Inet:
    """Give a host's address with its prefix length. Raises CnetshError."""
    found = subnet(text, what)
    low, high = found.hosts
    if found.number < low:
        _refuse(text, what, f"is the address of the network {found.network} itself")
    if found.number > high:
        _refuse(text, what, f"is the broadcast address of {found.network}")
    return found


def _refuse(text: str, what: str, reason: str) -> NoReturn:
    shown = visible(text)
    shown = f"{shown[:60]}..." if len(shown) > 63 else shown
    raise CnetshError(f"{what}: '{shown}' {reason}")


def _shape(
    text: str, what: str, allowed: re.Pattern[str], limit: int, reserved: Container[str] = _RESERVED
) -> str:
    if not text:
        _refuse(text, what, "is empty, and a name is wanted")
    if not text.isascii():
        _refuse(text, what, "has characters outside ASCII, which can look like others")
    if len(text) > limit:
        _refuse(text, what, f"has {len(text)} bytes, and {limit} are the most")
    if not allowed.fullmatch(text):
        dot = " ." if allowed is _NETNS else ""
        _refuse(text, what, f"is not a name: a letter first, then letters, digits, - _{dot}")
    if text in reserved:
        _refuse(text, what, "is reserved: ip, the kernel or cnetsh means something else by it")
    return text


def _ip(host: str, text: str, what: str) -> Ip:
    found = _ipv6(host, text, what) if ":" in host else _ipv4(host, text, what)
    if found.is_loopback:
        _refuse(text, what, "is a loopback address, which never leaves its namespace")
    if found.is_multicast:
        _refuse(text, what, "is a multicast address, which no single host has")
    if found.is_unspecified or (found.version == 4 and found.packed[0] in (0, *range(240, 256))):
        _refuse(text, what, "is in a range that no host can have")
    if found.version == 6 and (found.is_link_local or found.ipv4_mapped):
        _refuse(text, what, "is link-local or IPv4-mapped, and means nothing without its link")
    return Ip(found.version, int(found))


def _ipv4(host: str, text: str, what: str) -> ipaddress.IPv4Address:
    parts = host.split(".")
    if len(parts) != 4 or not all(re.fullmatch("[0-9]{1,3}", part) for part in parts):
        _refuse(text, what, "is not an address: four numbers, as in 172.18.0.10")
    if any(len(part) > 1 and part[0] == "0" for part in parts):
        _refuse(text, what, "has a leading zero, and ip would read the number as octal")
    if any(int(part) > 255 for part in parts):
        _refuse(text, what, "has a number above 255")
    return ipaddress.IPv4Address(host)


def _ipv6(host: str, text: str, what: str) -> ipaddress.IPv6Address:
    if re.fullmatch("[0-9A-Fa-f:]{2,39}", host):
        try:
            return ipaddress.IPv6Address(host)
        except ValueError:
            pass
    _refuse(text, what, "is not an IPv6 address, as in fd00::10")


def nearest(name: str, known: Iterable[str], cutoff: float = 0.65) -> str:
    """Give the known name that was probably meant, or nothing."""
    from difflib import get_close_matches

    return next(iter(get_close_matches(name, list(known)[:_COMPARED], 1, cutoff)), "")


def meant(name: str, known: Iterable[str]) -> str:
    """Give ` (did you mean br0?)` for a message about a name that is not there, or nothing."""
    near = nearest(name, known)
    return f" (did you mean {visible(near)}?)" if near else ""
