"""What taps saw of a packet, and of its answer."""

import struct

from cnetsh.probes.trial import Probe, Seen, _seen
from cnetsh.system.taps import Sighting

SYN, RST_ACK = 0x02, 0x14


def tcp(at: int, netns: str, direction: str, ports: tuple[int, int], *rest: int) -> Sighting:
    """A frame of TCP as a tap takes it; rest: the sequence number, what it answers, the flags."""
    number, answers, flags = rest
    segment = struct.pack("!HHIIBBHHH", *ports, number, answers, 5 << 4, flags, 0, 0, 0)
    packet = struct.pack("!BBHHHBBH4s4s", 69, 0, 40, 0, 0, 64, 6, 0, b"\x0a\0\0\1", b"\1\1\1\1")
    frame = bytes(12) + b"\x08\0" + packet + segment
    return Sighting(at, netns, "eth0", direction, frame, True, len(frame))


def test_what_was_seen_before_the_sender_s_own_clock_counts() -> None:
    """A tap that was just opened may put a later time on what went out than others on what came."""
    sightings = [
        tcp(1, "far", "in", (4000, 80), 7, 0, SYN),
        tcp(2, "near", "out", (4000, 80), 7, 0, SYN),
        tcp(3, "near", "in", (80, 4000), 0, 8, RST_ACK),
        tcp(4, "far", "in", (4000, 80), 9, 0, SYN),
    ]
    found = list(_seen(Probe("near", "1.1.1.1", "tcp", 80), sightings, b"", 4000))
    assert found == [
        Seen("request", "far", "eth0", "in"),
        Seen("request", "near", "eth0", "out"),
        Seen("reply", "near", "eth0", "in"),
    ]
