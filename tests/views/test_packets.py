"""Which packets some words choose, and that nothing is chosen by a guess."""

import pytest

from cnetsh.errors import CnetshError
from cnetsh.system.frame import Frame
from cnetsh.views.packets import packet_filter

ECHO = Frame(protocol="icmp", source="10.0.0.1", target="10.0.0.2")
SYN = Frame(protocol="tcp", source="fd00::1", target="fd00::2", ports=(40000, 80))


@pytest.mark.parametrize(
    ("words", "echo", "syn"),
    [
        ("", True, True),
        ("icmp", True, False),
        ("tcp and port 80", False, True),
        ("port 40000", False, True),
        ("port 81", False, False),
        ("host 10.0.0.2", True, False),
        ("src 10.0.0.2", False, False),
        ("dst 10.0.0.2 and icmp", True, False),
        ("host fd00:0::2", False, True),
        ("icmp and tcp", False, False),
    ],
)
def test_are_chosen(words: str, echo: bool, syn: bool) -> None:
    choice = packet_filter(words.split())
    assert (choice(ECHO), choice(SYN)) == (echo, syn)
    # One argument or several is the same.
    assert packet_filter([words])(ECHO) == echo


@pytest.mark.parametrize(
    "words", ["icmp tcp", "not icmp", "host", "host example.com", "port 0", "port", "and", "ICMP"]
)
def test_are_refused(words: str) -> None:
    with pytest.raises(CnetshError):
        packet_filter(words.split())


@pytest.mark.parametrize("words", ["icmp or", "icmp and", "tcp or udp", "and"])
def test_are_refused_by_the_words_that_are_wrong(words: str) -> None:
    with pytest.raises(CnetshError, match=f"^not a filter: {words[words.find(' ') + 1 :]}$"):
        packet_filter(words.split())
