"""How far packets go, and who is asked for and answers: settings, flags, and rings of bridges."""

from ipaddress import ip_address

import pytest
from test_stops import OUT, TO_NET1, asks, routing

from cnetsh.forwarding.netfilter import Packet
from cnetsh.forwarding.network import Network, interface
from cnetsh.forwarding.seen import network_of, new_machine
from cnetsh.forwarding.settle import settle
from cnetsh.forwarding.stop import evidence, fix, sentence
from cnetsh.forwarding.trip import follow
from cnetsh.kinds.change import Make, Ref, Remove, State
from cnetsh.kinds.setting import ROOT
from cnetsh.plan.steps import changes_of


@pytest.mark.parametrize(("ttl", "works"), [("1", False), ("2", True)])
def test_a_ttl_is_counted_down_by_who_passes_a_packet_on(ttl: str, works: bool) -> None:
    network, _ = routing(f"echo {ttl} | ip netns exec net0 tee {ROOT}ipv4/ip_default_ttl")
    assert asks(network, OUT) is works and asks(network, TO_NET1)


def test_of_a_hop_limit_that_of_the_link_counts_and_not_that_of_all() -> None:
    limit = f"echo 1 | ip netns exec net0 tee {ROOT}ipv6/conf/%s/hop_limit"
    lines = [
        f"echo 1 | tee {ROOT}ipv6/conf/all/forwarding",
        "ip address add fd01::1/64 dev br0", "ip address add fd02::1/64 dev eth0",
        "ip netns exec net0 ip address add fd01::2/64 dev ceth0",
        "ip netns exec net0 ip -6 route add default via fd01::1",
        "ip netns exec internet ip address add fd02::2/64 dev uplink",
        "ip netns exec internet ip -6 route add default via fd02::1",
        limit % "all",
    ]  # fmt: skip
    assert asks(routing(*lines)[0], ("net0", "fd02::2"))
    network, _ = routing(*lines, limit % "ceth0")
    stop = follow(network, "net0", Packet(ip_address("fd02::2"))).stop
    assert stop and stop.code == "ttl" and "conf.ceth0.hop_limit" in evidence(stop)
    settle(stop.mend, network)
    assert asks(network, ("net0", "fd02::2"))


def test_what_goes_in_a_ring_is_not_said_to_have_a_short_life() -> None:
    network, _ = routing(
        "iptables -t nat -D POSTROUTING -s 172.18.0.0/12 ! -o br0 -j MASQUERADE",
        "ip netns exec internet ip route add 192.168.9.0/24 via 10.0.2.15",
        "ip route add 192.168.9.0/24 via 10.0.2.2",
    )
    network.spaces["internet"].settings["ipv4/conf/uplink/forwarding"] = "1"
    stop = follow(network, "net0", Packet(ip_address("192.168.9.9"))).stop
    assert stop and stop.code == "loop"


def test_two_cables_between_bridges_make_a_ring() -> None:
    lines = ["ip link add br1 type bridge", "ip link set br1 up"]
    for number in range(2):
        one, other = f"one{number}", f"other{number}"
        lines += [f"ip link add {one} type veth peer name {other}"]
        lines += [f"ip link set {one} master br0", f"ip link set {other} master br1"]
        lines += [f"ip link set {one} up", f"ip link set {other} up"]
    verdict = follow(routing(*lines)[0], "net0", Packet(ip_address(TO_NET1[1])))
    assert verdict.works is None and "is a second way to the bridge br" in verdict.open
    assert asks(routing(*lines[:-1])[0], TO_NET1)


def two_on_a_wire(*more: tuple[Ref, dict[str, object]]) -> Network:
    """Two namespaces with a cable, as they are seen, and what is said besides of them."""
    state: State = {}
    for name, far in (("a", "b"), ("b", "a")):
        peer = Ref("link", far, "e0")
        state[peer._replace(netns=name)] = [
            {"kind": "veth", "up": True, "carrier": True, "peer": peer}
        ]
        state[Ref("link", name, "lo")] = [{"kind": "", "up": True}]
        number = "12"[name == "b"]
        state[Ref("address", name, f"10.9.0.{number}/24")] = [{"dev": "e0"}]
        state[Ref("address", name, f"fd09::{number}/64")] = [{"dev": "e0"}]
        for net in ("10.9.0.0/24", "fd09::/64"):
            state[Ref("route", name, net)] = [{"dev": "e0", "proto": "kernel"}]
    for ref, facts in more:
        state[ref] = [{**state.get(ref, [{}])[0], **facts}]
    return network_of(state)


def test_an_address_that_another_had_first_is_nobodys() -> None:
    assert asks(two_on_a_wire(), ("a", "fd09::2"))
    network = two_on_a_wire((Ref("address", "b", "fd09::2/64"), {"unusable": True}))
    for sender in "ab":
        stop = follow(network, sender, Packet(ip_address("fd09::2"))).stop
        assert stop and sentence(stop) == "b may not use fd09::2 on e0: another had it first"
    stop = follow(network, "b", Packet(ip_address("fd09::1"))).stop
    assert stop and stop.code == "unusable"
    settle(stop.mend, network)
    assert asks(network, ("a", "fd09::2")) and asks(network, ("b", "fd09::1"))


@pytest.mark.parametrize("text", ["fd09::9/64", "fe80::9/64"])
def test_an_address_that_is_taken_away_is_no_more_refused(text: str) -> None:
    one = Ref("address", "b", text)
    network = two_on_a_wire((one, {"dev": "e0", "unusable": True}))
    link = network.spaces["b"].links["e0"]
    assert settle([Remove(one, {"dev": "e0"})], network) == []
    assert not link.has(interface(text).ip) and not link.unusable
    assert settle([Make(one, {"dev": "e0", "nodad": True})], network) == []
    assert link.has(interface(text).ip)


@pytest.mark.parametrize(("carrier", "usable"), [(True, True), (False, False)])
def test_an_address_that_is_still_looked_for_is_had_where_that_will_end(
    carrier: bool, usable: bool
) -> None:
    more = [
        (Ref("address", "b", "fd09::2/64"), {"unusable": False}),
        (Ref("link", "b", "e0"), {"carrier": carrier}),
    ]
    assert asks(two_on_a_wire(*more), ("b", "fd09::2")) is usable


def test_a_route_may_say_over_how_many_routers_a_packet_goes() -> None:
    hops = {"via": "10.9.0.2", "dev": "e0", "metrics": {"hoplimit": 1}}
    network = two_on_a_wire(
        (Ref("setting", "b", f"{ROOT}ipv4/ip_forward"), {"value": "1"}),
        (Ref("setting", "b", f"{ROOT}ipv4/conf/e0/forwarding"), {"value": "1"}),
        (Ref("route", "b", "10.8.0.0/24"), {"dev": "e0"}),
        (Ref("route", "a", "10.8.0.0/24"), hops),
    )
    stop = follow(network, "a", Packet(ip_address("10.8.0.1"))).stop
    assert stop and stop.code == "ttl_route"
    assert fix(stop) == ("ip netns exec a ip route change 10.8.0.0/24 via 10.9.0.2 dev e0",)


@pytest.mark.parametrize(
    ("name", "value", "open_"),
    [("arp_filter", "1", "whether 10.9.0.2 is known"), ("arp_ignore", "3", "")],
)
def test_what_keeps_a_question_from_being_answered(name: str, value: str, open_: str) -> None:
    """The answer would leave by another link, as another route to the asker comes first."""
    network = two_on_a_wire(
        (Ref("setting", "b", f"{ROOT}ipv4/conf/e0/{name}"), {"value": value}),
        (Ref("link", "b", "e1"), {"kind": "dummy", "up": True}),
        (Ref("route", "b", "10.9.0.1"), {"dev": "e1"}),
    )
    assert follow(network, "a", Packet(ip_address("10.9.0.2"))).open.startswith(open_)


def test_what_leaves_by_a_host_without_an_address_is_not_followed_past_its_masquerade() -> None:
    network = new_machine({f"{ROOT}bridge/bridge-nf-call-iptables": "1"})
    lines = ["ip link add br0 type bridge", "ip link set br0 up"]
    for number in (0, 1):
        lines += [
            f"ip netns add a{number}",
            f"ip link add v{number} type veth peer name c netns a{number}",
            f"ip link set v{number} up", f"ip link set v{number} master br0",
            f"ip -n a{number} address add 10.7.0.{number + 1}/24 dev c",
            f"ip -n a{number} link set c up",
        ]  # fmt: skip
    lines.append("iptables -t nat -A POSTROUTING -j MASQUERADE")
    assert settle([change for line in lines for change in changes_of(line)], network) == []
    verdict = follow(network, "a0", Packet(ip_address("10.7.0.2")))
    assert verdict.works is None and verdict.open == "which address -j MASQUERADE gives it"
