"""What is a lab's own, what its steps name of others', and how far they reach."""

import pytest
from samples import plan

from cnetsh.compare.scope import is_own, scope_of, written
from cnetsh.kinds.change import Fact, Ref, State
from cnetsh.plan.steps import Step

FORWARD = "/proc/sys/net/ipv4/ip_forward"
ADDRESS = Ref("address", "", "10.0.0.1/8")
NAT = Ref("chain", "", "iptables nat POSTROUTING")
BRIDGE = """ip link add br0 type bridge
ip netns add n0
ip link add v0 type veth peer name c0
ip link set dev v0 master br0
ip link set c0 netns n0
ip -n n0 link set c0 up
"""


def steps(text: str) -> tuple[Step, ...]:
    return plan(text).steps


def link(name: str) -> Ref:
    return Ref("link", "", name)


def test_own_is_what_is_made_also_where_it_is_moved_to() -> None:
    scope = scope_of(steps(BRIDGE), {})
    assert scope.own == {
        link("br0"), link("v0"), link("c0"), Ref("netns", "", "n0"), Ref("link", "n0", "c0"),
    }  # fmt: skip
    # With nothing of others' in reach `up` need not look again at a thousand links.
    assert dict(scope.named) == {} and scope.reach == frozenset()


@pytest.mark.parametrize(
    ("ref", "key", "value", "held"),
    [
        (link("v0"), "mtu", 1500, True),
        (link("eth0"), "mtu", 1500, False),
        # With the link that it is on, also where somebody else has given it.
        (Ref("address", "", "10.0.0.1/8"), "v0", {"dev": "v0"}, True),
        (Ref("setting", "", "/proc/sys/net/ipv4/conf/br0/forwarding"), "value", "1", True),
        (Ref("setting", "", "/proc/sys/net/ipv4/conf/all/forwarding"), "value", "1", False),
        (Ref("route", "n0", "default"), "", {"dev": "lo"}, True),
        (Ref("route", "n1", "default"), "", {"dev": "lo"}, False),
    ],
)
def test_what_goes_with_the_labs_own(ref: Ref, key: str, value: object, held: bool) -> None:
    assert scope_of(steps(BRIDGE), {}).holds(Fact(ref, key), value) == held


@pytest.mark.parametrize(
    ("text", "fact", "value", "named"),
    [
        ("ip link set eth0 mtu 1400", Fact(link("eth0"), "mtu"), 1500, True),
        ("ip link set eth0 mtu 1400", Fact(link("eth0"), "up"), True, False),
        ("ip link set eth0 mtu 1400", Fact(link("eth1"), "mtu"), 1500, False),
        (f"echo 1 | tee {FORWARD}", Fact(Ref("setting", "", FORWARD), "value"), "0", True),
        ("ip address add 10.0.0.1/8 dev eth0", Fact(ADDRESS, "eth0"), {"dev": "eth0"}, True),
        ("ip address add 10.0.0.1/8 dev eth0", Fact(ADDRESS, "eth1"), {"dev": "eth1"}, False),
        ("iptables -t nat -A POSTROUTING -j MASQUERADE", Fact(NAT, "rules"), [], True),
        ("iptables -t nat -A POSTROUTING -j MASQUERADE", Fact(NAT, "policy"), "DROP", False),
    ],
)  # fmt: skip
def test_what_steps_name(text: str, fact: Fact, value: object, named: bool) -> None:
    assert scope_of(steps(text), {}).names(fact, value) == named


ON_ETH0 = {"dev": "eth0"}
BEFORE: State = {
    link("eth0"): [{"master": "br9", "peer": link("eth1")}],
    link("eth1"): [{"peer": link("eth0")}],
}


@pytest.mark.parametrize(
    ("text", "fact", "value", "along"),
    [
        # A link that goes down loses what is on it, and its peer the address made by its carrier.
        ("ip link set eth0 down", Fact(Ref("route", "", "default"), ""), ON_ETH0, True),
        ("ip link set eth0 down", Fact(Ref("address", "", "fd00::1/64"), ""), ON_ETH0, True),
        ("ip link set eth0 down",
         Fact(Ref("address", "", "fe80::1/64"), ""), {"dev": "eth1"}, True),
        ("ip link set eth0 down", Fact(Ref("route", "", "default"), ""), {"dev": "eth2"}, False),
        # A port that leaves its bridge loses its options.
        ("ip link set dev eth0 nomaster", Fact(link("eth0"), "cost"), 7, True),
        ("ip link set dev eth0 nomaster", Fact(link("eth0"), "mtu"), 1500, False),
        ("ip link set dev eth0 nomaster",
         Fact(Ref("address", "", "fe80::1/64"), ""), {"dev": "br9"}, True),
        # A port of the lab's own costs a foreign bridge the address made by its MAC.
        ("ip link add v0 type veth peer name c0\nip link set dev v0 master br9",
         Fact(Ref("address", "", "fe80::1/64"), ""), {"dev": "br9"}, True),
        ("ip link set dev eth0 mtu 1200",
         Fact(Ref("setting", "", "/proc/sys/net/ipv6/conf/eth0/hop_limit"), "value"), "64", True),
        (f"echo 1 | tee {FORWARD}",
         Fact(Ref("setting", "", "/proc/sys/net/ipv4/conf/eth0/forwarding"), "value"), "0", True),
        (f"echo 1 | tee {FORWARD}",
         Fact(Ref("setting", "", "/proc/sys/net/ipv6/conf/eth0/forwarding"), "value"), "0", False),
        ("echo 1 | tee /proc/sys/net/ipv6/conf/all/disable_ipv6",
         Fact(Ref("route", "", "fd09::/64"), ""), ON_ETH0, True),
        ("echo 1 | tee /proc/sys/net/ipv6/conf/all/disable_ipv6",
         Fact(Ref("route", "", "10.9.0.0/16"), ""), ON_ETH0, False),
    ],
)  # fmt: skip
def test_what_steps_take_along(text: str, fact: Fact, value: object, along: bool) -> None:
    assert scope_of(steps(text), BEFORE).takes_along(fact, value) == along


def test_settings_written_are_those_of_the_targets_own() -> None:
    text = f"ip netns add n0\necho 1 | tee {FORWARD}\n"
    inside = "echo 9 | ip netns exec n0 tee /proc/sys/net/core/somaxconn"
    paths = written(steps(text + inside))
    assert {FORWARD, "/proc/sys/net/ipv4/conf/all/accept_redirects"} <= paths
    assert not any("somaxconn" in path for path in paths)


@pytest.mark.parametrize(
    ("kind", "known", "mark", "own"),
    [
        ("link", [7, 70], [7, 70], True),
        # The ifindex was asked for again; another number of /sys tells.
        ("link", [7, 70], [7, 71], False),
        # The version before knew the ifindex and the MAC address.
        ("link", [7, "02:00:00:00:00:07"], [7, 70], True),
        ("link", [7, "02:00:00:00:00:07"], [8, 70], False),
        ("netns", [4711], 4711, True),
        ("netns", [4711], 4712, False),
        # A mount that is gone leaves a file, which nobody can use.
        ("netns", [4711], 0, True),
        ("folder", [3, 55], [3, 55], True),
        # The inode is free at once, the time of birth is not.
        ("folder", [3, 55], [3, 56], False),
        ("folder", [3], [3, 56], True),
        ("link", None, [7, 70], False),
    ],
)
def test_the_labs_own_is_known_by_its_identity(
    kind: str, known: list[object] | None, mark: object, own: bool
) -> None:
    made = {f"{kind} x": known} if known else {}
    assert is_own(Ref(kind, "", "x"), {"mark": mark}, made) == own
