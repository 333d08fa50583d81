"""Packets as they are seen: chosen by some words, told in a line, or as a file for other tools.

The file is pcap with times in nanoseconds (draft-ietf-opsawg-pcap), which tcpdump and others read.
"""

import struct
import time
from collections.abc import Callable, Sequence
from typing import TypeAlias

from cnetsh import names
from cnetsh.errors import CnetshError
from cnetsh.system.frame import Frame
from cnetsh.system.taps import Sighting

_MAGIC, _ETHERNET, _RAW, _LONGEST = 0xA1B23C4D, 1, 101, 1 << 18
Choice: TypeAlias = Callable[[Frame], bool]
_PROTOCOLS = ("arp", "icmp", "icmp6", "tcp", "udp")
_KNOWN = f"{', '.join(_PROTOCOLS)}, host ADDRESS, src ADDRESS, dst ADDRESS, port N, joined by and"


def packet_filter(words: Sequence[str]) -> Choice:
    """Give which packets some words choose, none: all. Raises CnetshError for what is not known."""
    terms: list[Choice] = []
    left = [part for word in words for part in word.split()]
    while left:
        terms.append(_term(left))
        if left and (left[0] != "and" or len(left) == 1):
            raise _refusal(" ".join(left))
        left = left[1:]
    return lambda frame: all(term(frame) for term in terms)


def _term(left: list[str]) -> Choice:
    """Take one term from the front of the words that are left."""
    word = left.pop(0)
    if word in _PROTOCOLS:
        return lambda frame: frame.protocol == word
    value = left.pop(0) if left else ""
    match word:
        case "port" if value:
            port = names.count(value, "port", 1, 65535)
            return lambda frame: port in frame.ports
        case "host" | "src" | "dst" if value:
            address = str(names.ip(value, word))
            return lambda frame: address in _ends(frame, word)
    raise _refusal(f"{word} {value}".strip())


def _ends(frame: Frame, word: str) -> tuple[str, ...]:
    known = {"src": (frame.source,), "dst": (frame.target,)}
    return known.get(word, (frame.source, frame.target))


def _refusal(said: str) -> CnetshError:
    return CnetshError(f"not a filter: {said}", f"known: {_KNOWN}")


def line(seen: Sighting) -> str:
    """Give a packet in a line: when, which way, and what it says."""
    seconds, rest = divmod(seen.when, 10**9)
    clock = time.strftime("%H:%M:%S", time.localtime(seconds))
    size = f" ({seen.length} bytes)" if seen.length else ""
    return f"{clock}.{rest // 1000:06} {seen.direction:<3} {seen.frame}{size}"


def head(ethernet: bool) -> bytes:
    """Give the head of a file of packets; all are of one link."""
    kind = _ETHERNET if ethernet else _RAW
    return struct.pack("<IHHiIII", _MAGIC, 2, 4, 0, 0, _LONGEST, kind)


def record(seen: Sighting) -> bytes:
    """Give a packet as it stands in a file."""
    seconds, rest = divmod(seen.when, 10**9)
    return struct.pack("<IIII", seconds, rest, len(seen.data), seen.length) + seen.data
