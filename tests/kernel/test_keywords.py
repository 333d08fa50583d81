"""Links that are called like a word of ip's own: read as ip reads them, or refused."""

from pathlib import Path

import pytest
from endings import assert_as_before
from hosts import Private, report
from others import not_as, often, template

from cnetsh import kinds
from cnetsh.errors import CnetshError
from cnetsh.plan.steps import parse

# Words of ip-link(8), of which ip takes some by their beginning, and some names.
WORDS = """address addrgenmode alias allmulticast altname arp broadcast brd carrier dev down dummy
    dynamic gro_max_size group gso_max_segs gso_max_size help index link link-netnsid master mode
    mtu multicast name netns nomaster numrxqueues numtxqueues parentbus parentdev peer permaddr
    promisc property protodown qlen set state trailers txqlen txqueuelen type up vf vlan vrf xdp
    xdpdrv xdpgeneric xdpoffload eth0 br0"""
# No link is called all (kernel: dev_valid_name).
BEGINNINGS = sorted(
    {word[:end] for word in WORDS.split() for end in range(1, len(word) + 1)} - {"all"}
)
# {way: what makes a link of that name up, or not}; then whether there is one that is up.
WAYS = {
    "set": "ip link add name NAME type bridge; ip link set NAME up",
    "set dev": "ip link add name NAME type bridge; ip link set dev NAME up",
    "add": "ip link add NAME type bridge; ip link set dev NAME up",
    "peer": "ip link add z0 type veth peer NAME; ip link set dev NAME up",
    "delete": "ip link add name NAME type bridge; ip link set dev NAME up; ip link delete NAME",
}
UP = "ip -o link show dev NAME 2>/dev/null | grep -c '[<,]UP[,>]' || true"
AWAY = "for one in NAME z0; do ip link delete dev $one 2>/dev/null || true; done"


def as_ip_reads(private: Private, way: str, words: list[str]) -> dict[str, bool]:
    lines = [
        f"({WAYS[way]}) >/dev/null 2>&1 || true; echo NAME $({UP}); {AWAY}".replace("NAME", word)
        for word in words
    ]
    found = dict(line.split() for line in private.sh("\n".join(lines)).splitlines())
    return {word: number == "1" for word, number in found.items()}


def read(text: str) -> bool:
    words = tuple(text.split())
    return kinds.read(kinds.command_of(words)) is not None


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("part", often("01234", "0"))
def test_no_command_is_read_that_ip_reads_otherwise(private: Private, way: str, part: str) -> None:
    """Each word in one of the ways; `make soak` has it in all of them."""
    words = BEGINNINGS[(int(part) + [*WAYS].index(way)) % len(WAYS) :: len(WAYS)]
    is_up = as_ip_reads(private, way, words)
    command = WAYS[way].split("; ")[{"add": 0, "peer": 0, "delete": 2}.get(way, 1)]
    taken = {word: is_up[word] == (way != "delete") for word in words}
    assert {word: read(command.replace("NAME", word)) for word in words} == taken


# Of links of the lab's own and of others: all is as before, whatever they are called.
LABS = {
    "its own": ("true", "ip link add name NAME type bridge\nip link set dev NAME up"),
    "moved": (
        "true",
        "ip netns add n0\nip link add name NAME type veth peer name y0\n"
        "ip link set dev NAME netns n0\nip netns exec n0 ip link set dev NAME up",
    ),
    "of others": (
        "ip link add name NAME address 02:00:00:00:00:01 type veth"
        " peer name y1 address 02:00:00:00:00:02\n"
        "ip link set dev NAME up; ip link set y1 up; ip address add 10.8.0.1/24 dev NAME",
        "ip link set dev NAME down\nip address add 10.9.0.1/24 dev NAME",
    ),
}


@pytest.mark.parametrize("what", LABS)
@pytest.mark.parametrize("name", often(("d", "m", "n", "a", "br", "up", "dev"), ("d", "m", "dev")))
def test_a_lab_with_such_a_link(private: Private, tmp_path: Path, what: str, name: str) -> None:
    prepared, steps = (text.replace("NAME", name) for text in LABS[what])
    private.sh(prepared)
    before = private.snapshot(settled=0.2)
    private.cnetsh("up", template(tmp_path, "k", steps))
    done = private.cnetsh("check", "k", check=False)
    assert done.returncode == 0, report(done)
    done = private.cnetsh("down", "k", check=False)
    assert_as_before(done, "k")
    assert not_as(private, before) == []


def test_a_refusal_says_as_what_it_would_be_read() -> None:
    with pytest.raises(CnetshError) as refused:
        parse("ip link set d up", "own", "", "up", "own")
    assert "ip reads d as its keyword dynamic without dev before it" in refused.value.message
    assert "say: ip link set dev d up" in refused.value.message
