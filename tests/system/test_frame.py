"""Frames as they were seen on a wire, and what is left of one that is cut anywhere."""

import pytest

from cnetsh.system import frame
from cnetsh.system.frame import IS_AT, WHO_HAS

ENDS = "020000000002 020000000001 "
IPV4_HEAD = "45 00 0054 1234 4000 40 {} 0000 0a000001 0a000002"
IPV6_ENDS = "fd00" + "00" * 13 + "01" + "fd00" + "00" * 13 + "02"
ECHO = "08 00 0000 0007 0001 6162"
SYN = "9c40 0050 00000bad 00000000 50 02 ffff 0000 0000"
ARP = "0001 0800 06 04 {} 020000000001 0a000001 000000000000 0a000002"
SOLICITED = "88 00 0000 60000000 " + "fd00" + "00" * 13 + "01" + " 02 01 02000000000a"


def ipv4(protocol: str, body: str) -> str:
    return f"{ENDS} 0800 {IPV4_HEAD.format(protocol)} {body}"


def ipv6(following: str, body: str) -> str:
    size = len(bytes.fromhex(body))
    return f"{ENDS} 86dd 60000000 {size:04x} {following} 40 {IPV6_ENDS} {body}"


QUOTED = IPV4_HEAD.format("11") + "d431 0035 0010 0000"
FRAMES = {
    "arp question": (f"{ENDS} 0806 {ARP.format('0001')}", "arp who has 10.0.0.2, asks 10.0.0.1"),
    "arp answer": (f"{ENDS} 0806 {ARP.format('0002')}", "arp 10.0.0.1 is at 02:00:00:00:00:01"),
    "echo": (ipv4("01", ECHO), "icmp 10.0.0.1 > 10.0.0.2 echo request"),
    "no port": (
        ipv4("01", f"03 03 0000 00000000 {QUOTED}"),
        "icmp 10.0.0.1 > 10.0.0.2 port unreachable [udp 10.0.0.1 54321 > 10.0.0.2 53]",
    ),
    "unknown icmp": (ipv4("01", "2a 01 0000 00000000"), "icmp 10.0.0.1 > 10.0.0.2 type 42 code 1"),
    "syn": (ipv4("06", SYN), "tcp 10.0.0.1 40000 > 10.0.0.2 80 SYN"),
    "udp": (ipv4("11", "d431 0035 000a 0000 6869"), "udp 10.0.0.1 54321 > 10.0.0.2 53"),
    "a vlan": (ipv4("01", ECHO).replace("0800", "8100 0005 0800", 1),
               "icmp 10.0.0.1 > 10.0.0.2 echo request"),
    "sctp": (ipv4("84", "00"), "132 10.0.0.1 > 10.0.0.2"),
    "lldp": (f"{ENDS} 88cc 0207", "0x88cc 02:00:00:00:00:01 > 02:00:00:00:00:02"),
    "echo of ipv6": (ipv6("3a", "80 00 0000 0007 0001"), "icmp6 fd00::1 > fd00::2 echo request"),
    "behind headers": (
        ipv6("00", "2c 00 000000000000 3a 00 0001 00000009 80 00 0000 0007 0001"),
        "icmp6 fd00::1 > fd00::2 echo request",
    ),
    "a later fragment": (ipv6("2c", "3a 00 0010 00000009 61"), "icmp6 fd00::1 > fd00::2 fragment"),
    "nd answer": (ipv6("3a", SOLICITED), "icmp6 fd00::1 is at 02:00:00:00:00:0a"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "words"), FRAMES.values(), ids=FRAMES)
def test_says(text: str, words: str) -> None:
    assert str(frame.read_frame(bytes.fromhex(text))) == words


@pytest.mark.parametrize("text", [text for text, _ in FRAMES.values()], ids=list(FRAMES))
def test_cut_anywhere_is_read_as_far_as_it_goes(text: str) -> None:
    data = bytes.fromhex(text)
    for end in range(len(data)):
        assert str(frame.read_frame(data[:end])) is not None
        assert str(frame.read_frame(data[14:end], ethernet=False)) is not None


def test_what_tells_one_packet_from_others() -> None:
    echo = frame.read_frame(bytes.fromhex(ipv4("01", ECHO)))
    assert (echo.number, echo.payload, echo.ttl, echo.size) == (0x70001, b"ab", 64, 84)
    syn = frame.read_frame(bytes.fromhex(ipv4("06", SYN)))
    assert (syn.ports, syn.number, syn.answers, syn.says) == ((40000, 80), 0xBAD, 0, "SYN")
    error = frame.read_frame(bytes.fromhex(ipv4("01", f"03 04 0000 0000 0578 {QUOTED}")))
    assert error.number == 1400 and error.quoted and error.quoted.ports == (54321, 53)
    tagged = frame.read_frame(bytes.fromhex(FRAMES["a vlan"][0]))
    assert (tagged.vlan, tagged.from_mac) == (5, "02:00:00:00:00:01")


def test_a_link_without_ethernet_begins_with_ip() -> None:
    bare = bytes.fromhex(ipv4("01", ECHO))[14:]
    assert str(frame.read_frame(bare, ethernet=False)) == "icmp 10.0.0.1 > 10.0.0.2 echo request"


def test_questions_for_neighbours_are_alike_in_both_versions() -> None:
    asked = "87 00 0000 00000000 " + "fd00" + "00" * 13 + "02"
    for text, target in ((FRAMES["arp question"][0], "10.0.0.2"), (ipv6("3a", asked), "fd00::2")):
        found = frame.read_frame(bytes.fromhex(text))
        assert (found.says, found.target) == (WHO_HAS, target)
    for name, source in (("arp answer", "10.0.0.1"), ("nd answer", "fd00::1")):
        found = frame.read_frame(bytes.fromhex(FRAMES[name][0]))
        assert (found.says, found.source) == (IS_AT, source)
