"""What others do while labs are up stays, and what the labs did goes: a twin host is the judge."""

import re
from collections.abc import Iterator

import meanwhile
import pytest
from hosts import Private

pytestmark = pytest.mark.long

PARTS, EACH = 5, 12
RARE = range(meanwhile.sequences.RARE_FROM, meanwhile.sequences.RARE_FROM + 300, EACH)
ALONE = range(meanwhile.sequences.ALONE_FROM, meanwhile.sequences.ALONE_FROM + 300, EACH)


@pytest.mark.parametrize(
    "first",
    [
        *range(0, PARTS * EACH, EACH),
        ALONE[0],
        *(pytest.param(seed, marks=pytest.mark.soak) for seed in (*RARE, *ALONE[1:])),
    ],
)
def test_sequences(private: Private, first: int) -> None:
    """Sixty, and twelve of labs alone; `make soak` plays two thousand, and three hundred of these.

    Three hundred more have what few do.
    """
    seeds = range(first, first + EACH)
    answers = meanwhile.answers_of(private, seeds, 1200)
    print(meanwhile.summary(answers))
    bad = [meanwhile.whole_answer(each) for each in answers if each["class"] in meanwhile.BAD]
    assert not bad, "\n\n".join(bad)


def test_show_is_a_script() -> None:
    """What is shown can be typed, for any seed."""
    for seed in range(200):
        lines = list(meanwhile.sequences.shown(meanwhile.sequences.sequence(seed)))
        assert any(line.startswith("cnetsh up ") for line in lines)
        assert lines[-1].startswith("cnetsh down ")


def test_no_bridges_are_joined_in_a_ring() -> None:
    """What is broadcast there would go round for ever, as fast as the machine can."""
    for seed in range(1000):
        masters = dict(meanwhile.sequences.ON_A_BRIDGE)
        for text in typed(meanwhile.sequences.sequence(seed)):
            if found := re.match(r"ip link set (?:dev )?(\S+) (?:master (\S+)|nomaster)", text):
                masters[found[1]] = found[2] or ""
                assert not in_a_ring(masters), (seed, text)


def typed(one: meanwhile.Sequence) -> Iterator[str]:
    """All that is typed, by labs too, in its order."""
    for event in one.events:
        lab = one.labs[event.lab]
        yield event.command.text
        if event.what in meanwhile.UPS:
            files = lab.changed if event.what == "change" else lab.files
            yield from "\n".join(files.values()).splitlines()


def in_a_ring(masters: dict[str, str]) -> bool:
    """Whether a cable joins two bridges that the cables before it have joined already."""
    island = {bridge: {bridge} for bridge in masters.values() if bridge}
    for near, far in meanwhile.sequences.FAR.items():
        ends = [masters.get(link) for link in (near, far)]
        if near < far and all(ends):
            one, other = (island[end] for end in ends if end)
            if one is other:
                return True
            island |= dict.fromkeys(one | other, one | other)
    return False


# One of each kind of fact that a lab may cost others; after each the oracle sees another host.
CHANGES = """
ip link set eth7 mtu 1400
ip link set eth7 alias theirs
ip link set eth7 txqueuelen 7
ip link set eth7 address 02:00:00:00:00:aa
ip link set eth7 promisc on
ip link set d0 up
ip link set q8 master br9
ip link set br9 type bridge ageing_time 1000
ip link set br8 address 02:00:00:00:00:bb
ip address add 10.9.0.1/24 dev eth7
ip address add 10.9.1.1/24 dev eth7 label eth7:x
ip -6 address add 2001:db8:9::1/64 dev eth7 nodad
ip -6 address add 2001:db8:8::1/64 dev eth7 nodad noprefixroute
ip address change 2001:db8:9::1/64 dev eth7 valid_lft 1000 preferred_lft 900
ip route add 203.0.113.0/24 via 10.66.0.254
ip route change 203.0.113.0/24 via 10.66.0.254 mtu 1300
ip route add 203.0.113.0/24 via 10.66.0.254 metric 9
ip route add 203.0.114.0/24 via 10.66.0.254 table 99
ip -6 route add 2001:db8:99::/48 via 2001:db8:7::fd
ip neigh add 10.66.0.50 lladdr 02:00:00:00:00:50 nud permanent dev eth7
ip neigh add proxy 10.66.0.51 dev eth7
ip -6 neigh add proxy 2001:db8:7::51 dev eth7
bridge link set dev p9 cost 5
bridge link set dev p9 guard on
bridge fdb add 02:00:00:00:00:52 dev p9 master static
bridge fdb add 02:00:00:00:00:53 dev p9 master static sticky
bridge link set dev p9 mcast_router 2
bridge mdb add dev br9 port p9 grp 239.1.1.9 permanent
ip -6 route add 2001:db8:98::/48 via 2001:db8:7::fd
ip -6 route change 2001:db8:98::/48 via 2001:db8:7::fd expires 900
ip neigh add 10.66.0.52 lladdr 02:00:00:00:00:52 nud permanent protocol static dev eth7
ip nexthop add id 9 via 10.66.0.253 dev eth7
ip link property add dev eth7 altname also-eth7
nft add table inet theirs
ip rule add from 10.1.0.0/16 table 99
ip -6 rule add from 2001:db8:1::/48 table 99
tc qdisc add dev eth7 root tbf rate 1mbit burst 32kb latency 50ms
tc qdisc change dev eth7 root tbf rate 2mbit burst 32kb latency 50ms
iptables -A OUTPUT -s 10.1.0.0/16 -j DROP
iptables -A OUTPUT -s 10.1.0.0/16 -j DROP
iptables -I OUTPUT 2 -j ACCEPT
iptables -t nat -N THEIRS2
ip6tables -A OUTPUT -j ACCEPT
echo 1 > /proc/sys/net/ipv4/conf/eth7/log_martians
echo 50 > /proc/sys/net/ipv6/conf/default/hop_limit
echo 77 > /proc/sys/net/ipv4/neigh/eth7/gc_stale_time
ip -n f0 link set lo up
ip -n f0 route add 203.0.113.0/24 via 10.6.0.9
ip netns add f1
mkdir /etc/netns/f1
touch /etc/netns/f1/resolv.conf
ip link set g0 down
ip link delete d1
""".strip().splitlines()


def test_the_oracle_sees_every_change(private: Private) -> None:
    assert list(meanwhile.inside(private, "unseen", CHANGES)) == [[]]


def test_two_hosts_without_labs_are_equal(private: Private) -> None:
    """What differs later is a lab's doing, and not chance."""
    assert list(meanwhile.inside(private, "alone", list(range(300, 304)))) == [[]] * 4
