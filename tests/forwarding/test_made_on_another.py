"""Links made on others: VLANs, tunnels, and what shares a card; make vm-test tries them."""

from ipaddress import ip_address

import pytest
from test_stops import routing

from cnetsh.forwarding.netfilter import Packet
from cnetsh.forwarding.stop import Layer, fix, sentence
from cnetsh.forwarding.trip import Verdict, follow

VLAN = "link ceth{at} name v type vlan id {id}"
VXLAN = "name v type vxlan id {id} dstport 4789 dev ceth{at}"
APART = "v in net0 has id 5, and v in net1 has id 6, so they do not hear each other"


def pair(made: str, near: int = 5, far: int = 5) -> list[str]:
    """A link in each of two containers, made on its card."""
    lines = [f"link add {made}", "address add 192.168.5.1{at}/24 dev v", "link set v up"]
    return [f"ip netns exec net{at} ip {line}".format(at=at, id=number)
            for at, number in enumerate((near, far)) for line in lines]  # fmt: skip


def follows(*lines: str, sender: str = "net0", to: str = "192.168.5.11") -> Verdict:
    network, refused = routing(*lines)
    assert refused == []
    return follow(network, sender, Packet(ip_address(to)))


def test_of_a_vlan_a_frame_goes_through_the_bridge_to_those_of_its_number() -> None:
    found = follows(*pair(VLAN))
    assert found.works and [hop.link for hop in found.path[:5]] == [
        "v",
        "ceth0",
        "br0",
        "ceth1",
        "v",
    ]
    assert follows(*pair(VLAN), to="172.18.0.20").works


@pytest.mark.parametrize("home", ["br0.5", "br5"])
def test_a_bridge_has_a_vlan_of_its_own_and_another_bridge_has_it_as_a_port(home: str) -> None:
    lines = [
        "ip link add link br0 name br0.5 type vlan id 5",
        "ip link add name br5 type bridge",
        "ip link set br0.5 up",
        "ip link set br5 up",
        f"ip address add 192.168.5.1/24 dev {home}",
        *(["ip link set dev br0.5 master br5"] if home == "br5" else []),
        *pair(VLAN),
    ]
    assert follows(*lines, to="192.168.5.1").works
    assert follows(*lines, sender="").works


@pytest.mark.parametrize("made", [VLAN, VXLAN])
def test_those_of_two_numbers_do_not_hear_each_other(made: str) -> None:
    stop = follows(*pair(made, 5, 6)).stop
    assert stop and (stop.layer, sentence(stop)) == (Layer.CABLE, APART)


@pytest.mark.parametrize("link", ["v", "ceth1"])
def test_a_vlan_that_is_down_is_named_and_mended(link: str) -> None:
    stop = follows(*pair(VLAN), f"ip netns exec net1 ip link set {link} down").stop
    assert stop and fix(stop) == (f"ip netns exec net1 ip link set {link} up",)


def test_a_vlan_goes_down_and_comes_up_with_what_it_is_made_on() -> None:
    down, up = (f"ip netns exec net1 ip link set ceth1 {way}" for way in ("down", "up"))
    assert follows(*pair(VLAN), down).works is False
    assert follows(*pair(VLAN), down, up).works
    _, refused = routing(down, *pair(VLAN))
    assert [one.why for one in refused] == ["v is made on ceth1, which is down"]


def test_a_vlan_without_a_number_reaches_nobody() -> None:
    assert follows(*pair(VLAN.removesuffix(" id {id}"))).works is False


def test_a_tunnel_is_not_modelled() -> None:
    assert follows(*pair(VXLAN)).works is None


@pytest.mark.parametrize("kind", ["macvlan mode bridge", "ipvlan mode l2"])
def test_what_shares_a_card_never_reaches_its_own_host(kind: str) -> None:
    found = follows(
        "ip netns add far",
        f"ip link add link eth0 name i0 netns far type {kind}",
        "ip netns exec far ip address add 10.0.2.50/24 dev i0",
        "ip netns exec far ip link set i0 up",
        sender="far",
        to="10.0.2.15",
    )
    assert found.stop
    said = f"{kind.split()[0]} and its own host never reach each other through eth0"
    assert sentence(found.stop).endswith(said)


def test_what_is_made_on_a_bridge_hears_what_its_ports_bring() -> None:
    lines = [
        "ip netns add far",
        "ip link add link br0 name m0 netns far type macvlan mode bridge",
        "ip netns exec far ip address add 172.18.0.50/12 dev m0",
        "ip netns exec far ip link set m0 up",
    ]
    assert follows(*lines, to="172.18.0.50").works


def test_what_holds_a_packet_back_for_too_long_may_stop_it() -> None:
    doubts = follows("tc qdisc add dev veth1 root netem delay 3s", to="172.18.0.20").doubts
    assert [sentence(one.stop) for one in doubts] == [
        "the queue netem of veth1 in the host holds it back for 3s, longer than anybody waits"
    ] * 2
    quick = follows("tc qdisc add dev veth1 root netem delay 300ms", to="172.18.0.20")
    assert quick.works and not quick.doubts
