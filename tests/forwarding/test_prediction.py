"""What is told of a plan before it runs: every check that there is, and mistakes of reports."""

import re
from ipaddress import ip_address
from pathlib import Path

import pytest
from generated import lab_file as generated

from cnetsh.compare.plans import between, differing
from cnetsh.errors import CnetshError
from cnetsh.forwarding.netfilter import Packet
from cnetsh.forwarding.network import Network
from cnetsh.forwarding.predict import Surprise, alike, foretold, surprise_lines, verdicts
from cnetsh.forwarding.seen import new_machine
from cnetsh.forwarding.settle import settle
from cnetsh.forwarding.stop import sentence
from cnetsh.forwarding.trip import follow
from cnetsh.labs import builtin, choose
from cnetsh.plan.steps import Plans, parse

EXAMPLES = sorted((Path(__file__).resolve().parents[2] / "examples").glob("*.yaml"))
BRIDGED = {"/proc/sys/net/bridge/bridge-nf-call-iptables": "1",
           "/proc/sys/net/bridge/bridge-nf-call-ip6tables": "1"}  # fmt: skip


def machine(*lines: str) -> Network:
    """The sandbox, as it is before a lab, and what some lines make of it."""
    network = new_machine(BRIDGED)
    assert settle(choose.part("sandbox", (), "up").changes, network) == []
    plan = parse("\n".join(lines), "t", "", "down", "t")
    assert settle(plan.changes, network) == []
    return network


def surprises(up: str, check: str = "", *before: str, part: str = "down") -> list[Surprise]:
    plans = [parse(up, "t", "", part, "t"), parse(check, "t", "", "check", "t")]
    return [one for one in foretold(*plans, machine(*before)) if one.part != "pair"]


def lab_file(tmp_path: Path, text: str) -> list[Surprise]:
    path = tmp_path / "lab.yaml"
    path.write_text(text)
    plans = choose.plans(str(path))
    return foretold(plans.up, plans.check, machine())


@pytest.mark.parametrize("lab", [*builtin.LABS, *map(str, EXAMPLES)])
def test_every_check_of_labs_and_examples_ends_as_it_says(lab: str) -> None:
    plans = choose.plans(lab)
    network = machine()
    assert settle(plans.up.changes, network) == []
    found = [(step, verdict) for _, step, verdict in verdicts(plans.check.steps, network)]
    assert len(found) == sum(step.kind == "check" for step in plans.check.steps)
    for step, verdict in found:
        assert verdict.works is not bool(step.said.expect), (step.text, verdict)


def test_a_check_is_not_known_where_a_rule_may_keep_it_from_being_tried() -> None:
    network = machine()
    rule = {"priority": 171, "src": "all", "ipproto": "tcp", "table": "79"}
    network.spaces[""].policy = [rule, {"priority": 32766, "src": "all", "table": "main"}]
    check = "#: needs route 1.1.1.1\nping -c1 1.1.1.1"
    told = foretold(parse("", "t", "", "down", "t"), parse(check, "t", "", "check", "t"), network)
    assert [one.part for one in told] == ["unknown"]
    assert "rule 171 fits, which asks for ipproto" in told[0].says


TWO_LINKS = """
name: seg
bridges: {left: , right: }
containers:
  l1: {bridge: left, address: 192.168.5.11/24}
  r1: {bridge: right, address: 192.168.5.21/24}
  mid:
    interfaces:
      - {bridge: left, name: toleft, address: 192.168.5.1/24}
      - {bridge: right, name: toright, address: 192.168.5.2/24}
"""


def test_of_two_links_in_one_subnet_the_first_takes_all(tmp_path: Path) -> None:
    says = [one.says for one in lab_file(tmp_path, TWO_LINKS)]
    reason = "mid has 2 equal routes to 192.168.5.0/24 and takes the first, by toleft, but "
    wire = "will not reach each other: {} looks for {} on {}, but it is on another wire: {} in {}"
    assert says == [
        wire.format("l1", "192.168.5.21", "ceth0", "ceth1", "r1"),
        wire.format("r1", "192.168.5.11", "ceth1", "ceth0", "l1"),
        f"will not reach each other: on the way back {reason}192.168.5.21 is behind toright",
        f"will not reach each other: {reason}192.168.5.21 is behind toright",
    ]


NAT = """
ip netns add ns1
ip link add veth1 type veth peer name vpeer1
ip link set vpeer1 netns ns1
ip addr add 10.200.1.1/24 dev veth1
ip link set veth1 up
ip netns exec ns1 ip addr add 10.200.1.2/24 dev vpeer1
ip netns exec ns1 ip link set vpeer1 up
ip netns exec ns1 ip link set lo up
ip netns exec ns1 ip route add default via 10.200.1.1
echo 1 | tee /proc/sys/net/ipv4/ip_forward
iptables -t nat -A POSTROUTING -s 10.200.1.0/24 -o {} -j MASQUERADE
"""
OUT = "ip netns exec ns1 ping -c1 -W1 1.1.1.1"


def test_a_rule_that_names_a_link_which_is_not_there_is_to_blame() -> None:
    (one,) = surprises(NAT.format("enp1s0"), OUT)
    assert surprise_lines([one]) == [
        "check 1 will fail: it left as 10.200.1.2, an address that nobody outside can answer; the "
        "rule -s 10.200.1.0/24 -o enp1s0 -j MASQUERADE names a link enp1s0, which is not there",
        f"  {OUT}",
        "  made so by step 11: iptables -t nat -A POSTROUTING -s 10.200.1.0/24 -o enp1s0 "
        "-j MASQUERADE",
        "  would help: iptables -w -t nat -A POSTROUTING -s 10.200.1.0/24 ! -o veth1 -j MASQUERADE",
    ]
    assert surprises(NAT.format("eth0"), OUT) == []


def test_what_is_said_of_several_is_said_once() -> None:
    found = surprises(NAT.format("enp1s0"), "\n".join([OUT] * 8))
    (several,) = alike([*found, found[0]._replace(part="step")], "check")
    lines = surprise_lines(several)
    assert lines[0].startswith("checks 1, 2, 3, 4, 5, 6 will fail: it left as 10.200.1.2")
    assert lines[1:8] == [f"  {OUT}"] * 6 + ["  and 2 more"]
    assert sum(line.startswith("  would help: ") for line in lines) == 1


# What a host may have before: the last line drops what it passes on.
DROPPING = {
    "a last rule": ["iptables -A FORWARD -j DROP"],
    "one that refuses": ["iptables -A FORWARD -j REJECT --reject-with icmp-port-unreachable"],
    "Docker's": ["iptables -N DOCKER-USER", "iptables -A FORWARD -j DOCKER-USER",
                 "iptables -A FORWARD -j DROP"],
    "Docker's chain, to which nothing leads": ["iptables -N DOCKER-USER",
                                               "iptables -A FORWARD -j DROP"],
}  # fmt: skip


@pytest.mark.parametrize("before", DROPPING.values(), ids=DROPPING)
def test_what_a_host_does_not_pass_on_is_let_through_by_rules_before(before: list[str]) -> None:
    (one,) = surprises(NAT.format("eth0"), OUT, *before)
    chain = "DOCKER-USER" if len(before) > 2 else "FORWARD"
    assert one.part == "check" and "the host " in one.says and before[-1][9:] in one.says
    assert one.fix == (
        f"iptables -w -t filter -I {chain} -i veth1 -o eth0 -j ACCEPT",
        f"iptables -w -t filter -I {chain} -i eth0 -o veth1 -m conntrack "
        "--ctstate RELATED,ESTABLISHED -j ACCEPT",
    )
    assert surprises(NAT.format("eth0"), OUT, *before, *one.fix) == []


def test_that_a_host_passes_nothing_on_is_told_where_no_check_tries_it() -> None:
    before = DROPPING["a last rule"]
    (one,) = surprises(NAT.format("eth0"), "", *before)
    assert (one.part, one.text) == ("way", "ns1 to the outside")
    assert one.says == "will not get through: the host drops it: -A FORWARD -j DROP"
    assert surprises(NAT.format("eth0"), "", *before, *one.fix) == []
    # What a plan does itself is meant so.
    assert surprises(NAT.format("eth0") + before[0], "") == []


def test_that_a_bridge_asks_a_firewall_is_told_where_no_check_tries_it() -> None:
    up = "\n".join(step.text for step in choose.part("bridge", (), "up").steps)
    (one,) = surprises(up, "", *DROPPING["a last rule"])
    assert one.part == "way" and "bridge-nf-call-iptables is 1" in one.says
    assert one.fix == ("iptables -w -t filter -I FORWARD -i br0 -o br0 -j ACCEPT",)
    assert surprises(up, "", *DROPPING["a last rule"], *one.fix) == []


def test_a_rule_for_published_ports_is_not_to_blame_for_what_leaves() -> None:
    """It translates the question of a neighbour, never a packet to the Internet."""
    hairpin = (
        "iptables -t nat -A POSTROUTING -s 10.200.1.0/24 -m conntrack --ctstate DNAT -j MASQUERADE"
    )
    other = "iptables -t nat -A POSTROUTING -s 10.8.0.0/24 ! -o veth9 -j MASQUERADE"
    (one,) = surprises(NAT.format("enp1s0").rpartition("iptables")[0] + f"{hairpin}\n{other}", OUT)
    assert "the rule -s 10.8.0.0/24 ! -o veth9 " in surprise_lines([one])[0]


CABLE = """
ip netns add room
ip link add outside type veth peer name inside
ip link set inside netns room
ip netns exec room ip address add 192.168.5.3/24 dev inside
ip netns exec room ip link set inside up
ip address add 192.168.5.1/24 dev outside
"""


def test_a_cable_with_one_end_down_has_no_carrier() -> None:
    there, back = "ip netns exec room ping -c1 -W1 192.168.5.1", "ping -c1 -W1 192.168.5.3"
    one, other = surprises(CABLE, f"{there}\n{back}")
    assert one.says == ("will fail: inside in room has no carrier: its other end outside in the "
                        "host is down")  # fmt: skip
    assert other.says == "will fail: outside in the host, which has 192.168.5.1, is down"
    assert one.fix == other.fix == ("ip link set outside up",)
    assert surprises(f"{CABLE}ip link set outside up", f"{there}\n{back}") == []


def test_a_bridge_of_others_that_is_down_passes_nothing(tmp_path: Path) -> None:
    text = """
name: pre
bridges: {br-linux: {external: true}}
containers:
  n1: {bridge: br-linux, address: 10.50.0.1/24, gateway: none}
  n2: {bridge: br-linux, address: 10.50.0.2/24, gateway: none}
"""
    (tmp_path / "lab.yaml").write_text(text)
    plans = choose.plans(str(tmp_path / "lab.yaml"))
    down = machine("ip link add br-linux type bridge")
    told = [one for one in foretold(plans.up, plans.check, down) if one.part == "check"]
    assert [one.says for one in told] == [
        "will fail: the bridge br-linux in the host is down, so 10.50.0.2 gets no frames of n1"
    ]
    assert told[0].fix == ("ip link set br-linux up",)
    up = machine("ip link add br-linux type bridge", "ip link set br-linux up")
    assert foretold(plans.up, plans.check, up) == []


MACVLAN = "a macvlan and its own host never reach each other through eth0"


def test_a_macvlan_and_its_host_never_meet(tmp_path: Path) -> None:
    text = """
name: mv
containers:
  app:
    interfaces: [{macvlan: eth0, address: 10.0.2.149/24}]
checks:
  - {from: app, to: 10.0.2.15}
  - {from: host, to: 10.0.2.149}
"""
    checks = [one for one in lab_file(tmp_path, text) if one.part == "check"]
    assert [one.says for one in checks] == [f"will fail: {MACVLAN}"] * 2
    assert [one.step.split(":")[0] for one in checks] == ["step 2"] * 2


TWO = """
ip netns add a
ip netns add b
ip link add e0 netns a type veth peer name e0 netns b
ip netns exec a ip address add 10.0.0.1/24 dev e0
ip netns exec b ip address add 10.0.0.2/24 dev e0
ip netns exec a ip link set e0 up
"""


@pytest.mark.parametrize(
    ("check", "told"),
    [
        ("", ["pair", "pair"]),
        ("ip netns exec a ping -c1 -W1 10.0.0.2", ["check"]),
        ("ip netns exec b ping -c1 -W1 10.0.0.1", ["check"]),
        ("#: expect failure: the cable is not plugged in\n"
         "ip netns exec a ping -c1 -W1 10.0.0.2", ["pair"]),
    ],
)  # fmt: skip
def test_neighbours_are_told_of_where_no_check_wants_them_together(
    check: str, told: list[str]
) -> None:
    plans = [parse(text, "t", "", part, "t") for text, part in ((TWO, "down"), (check, "check"))]
    assert [one.part for one in foretold(*plans, machine())] == told


def test_what_a_lab_file_derives_of_a_macvlan_is_as_it_expects(tmp_path: Path) -> None:
    interface = "{macvlan: eth0, address: 10.0.2.149/24}"
    text = f"name: mv\ncontainers: {{app: {{interfaces: [{interface}]}}}}\n"
    # Of neighbours who cannot meet doctor tells all the same.
    assert {one.part for one in lab_file(tmp_path, text)} == {"pair"}
    check = choose.part(str(tmp_path / "lab.yaml"), (), "check")
    assert [(one.netns, one.inner[-1], one.said.expect, one.said.needs) for one in check.steps] == [
        ("app", "10.0.2.2", "", "netns internet"),
        ("app", "10.0.2.15", MACVLAN, "address 10.0.2.15"),
        ("", "10.0.2.149", MACVLAN, "address 10.0.2.15"),
    ]
    up = choose.part(str(tmp_path / "lab.yaml"), (), "up")
    assert any(one.why.endswith(f"; {MACVLAN}.") for one in up.steps)


POINT_TO_POINT = """
ip netns add testing
ip link add vethp type veth peer name eth0 netns testing
ip address add 172.16.29.1/32 dev vethp
ip link set vethp up
ip route add 172.16.29.6/32 dev vethp
ip netns exec testing ip address add 172.16.29.6/24 dev eth0
ip netns exec testing ip link set eth0 up
ip netns exec testing ip route del 172.16.29.0/24 dev eth0
ip netns exec testing ip route add 172.16.29.1/32 dev eth0
ip netns exec testing ip route add default via 172.16.29.1
echo 1 | tee /proc/sys/net/ipv4/ip_forward
iptables -t nat -A POSTROUTING -s 172.16.29.6/32 ! -d 172.16.29.0/24 -j MASQUERADE
"""


def test_a_host_route_with_another_prefix_length_is_no_mistake() -> None:
    check = "ip netns exec testing ping -c1 -W1 1.1.1.1\nping -c1 -W1 172.16.29.6"
    assert surprises(POINT_TO_POINT, check) == []


PORT_ADDRESS = """
ip netns add red
ip link add vhost type veth peer name vns
ip link set vns netns red
ip addr add 192.168.1.1/24 dev vhost
ip netns exec red ip addr add 192.168.1.2/24 dev vns
ip link set vhost up
ip netns exec red ip link set vns up
ip link add br0 type bridge
ip link set br0 up
ip addr add 192.168.1.254/24 dev br0
ip link set vhost master br0
"""


def test_a_port_of_a_bridge_has_no_use_for_an_address() -> None:
    (one,) = surprises(PORT_ADDRESS, "ip netns exec red ping -c1 -W1 192.168.1.254")
    assert one.says == ("will fail: the host sends 192.168.1.2 by vhost, a port of br0; what comes "
                        "back to a port belongs to the bridge")  # fmt: skip
    assert one.step == "step 11: ip link set vhost master br0"
    assert one.fix == ("ip address delete 192.168.1.1/24 dev vhost",)


ROUTER = """
ip netns add a
ip netns add r
ip netns add b
ip link add a0 netns a type veth peer name r0 netns r
ip link add b0 netns b type veth peer name r1 netns r
ip netns exec a ip link set a0 up
ip netns exec r ip link set r0 up
ip netns exec r ip link set r1 up
ip netns exec b ip link set b0 up
ip netns exec a ip address add 10.1.0.2/24 dev a0
ip netns exec r ip address add 10.1.0.1/24 dev r0
ip netns exec r ip address add 10.2.0.1/24 dev r1
ip netns exec b ip address add 10.2.0.2/24 dev b0
echo 1 | ip netns exec r tee /proc/sys/net/ipv4/ip_forward
ip netns exec a ip route add default via 10.1.0.1
"""
ACROSS = "ip netns exec a ping -c1 -W1 10.2.0.2"


def test_a_way_back_that_is_missing_is_named_with_the_step_that_is_missing() -> None:
    (one,) = surprises(ROUTER, ACROSS)
    assert one.says == "will fail: b has no route back to 10.1.0.2"
    assert one.fix == ("ip netns exec b ip route add default via 10.2.0.1",)
    assert surprises(f"{ROUTER}{one.fix[0]}", ACROSS) == []


def test_what_must_fail_and_works_is_told() -> None:
    back = f"{ROUTER}ip netns exec b ip route add default via 10.2.0.1"
    (one,) = surprises(back, f"#: expect failure: no way back\n{ACROSS}")
    assert one.says == "will work, and must fail: no way back"


def test_steps_that_the_kernel_refuses_are_told_and_nothing_after_them() -> None:
    early = "ip netns exec b ip route add default via 10.2.0.1"
    up = f"ip netns add b\n{early}"
    (one,) = surprises(up, ACROSS)
    assert (one.part, one.number) == ("step", 2)
    assert one.says == "will be refused: the next hop 10.2.0.1 is in no network of b at this point"
    (one,) = surprises("ip address add 10.2.0.1/33 dev lo", "")
    assert one.says == "will be refused: '10.2.0.1/33' is no IPv4 or IPv6 interface"
    small = (
        "ip link add br6 type bridge\nip link set br6 mtu 600\nip address add fd00::1/64 dev br6"
    )
    (one,) = surprises(small, "")
    assert one.says == "will be refused: IPv6 is off on br6: its MTU is below 1280"


def test_after_a_step_that_is_taken_on_trust_nothing_is_foretold() -> None:
    """A rule of `ip rule` may lead elsewhere, and what makes a link is needed by the next step."""
    rule = "#: undo ip rule delete priority 9\nip rule add to 10.2.0.2 table 9 priority 9"
    (one,) = surprises(f"{ROUTER}{rule}", ACROSS, part="up")
    assert one.part == "unknown" and one.says.endswith("what ip rule add to 10.2.0.2 table 9 "
                                                       "priority 9 does")  # fmt: skip
    tunnel = "#: undo ip link delete gre1\nip link add gre1 type gre remote 10.2.0.2"
    assert surprises(f"{tunnel}\nip link set gre1 up", part="up") == []
    (one,) = surprises(f"ip address add 10.2.0.1/33 dev lo\n{rule}", ACROSS, part="up")
    assert one.part == "step"


def test_what_is_not_modelled_is_not_known() -> None:
    network = machine(*NAT.format("eth0").strip().split("\n"))
    network.spaces[""].chains["iptables filter FORWARD"] = ["-m connmark --mark 7 -j DROP"]
    verdict = follow(network, "ns1", Packet(ip_address("1.1.1.1")))
    assert verdict.works is None
    assert verdict.unknown == "what -m connmark --mark 7 -j DROP does in FORWARD of the host"


@pytest.mark.parametrize(
    ("rules", "works"),
    [
        (["-i veth1 -j MARK --set-mark 7"], False),
        (["-i veth1 -j MARK --set-xmark 0x107/0xffffffff"], False),
        (["-i veth1 -j MARK --set-mark 9"], True),
        (["-i eth0 -j MARK --set-mark 7"], False),  # the answer comes in there
        (["-i veth2 -j MARK --set-mark 7"], True),
        (["-j MARK --set-mark 1", "-m mark --mark 1 -j MARK --set-xmark 0x6/0x0"], False),
        (["-m connmark --mark 1 -j MARK --set-mark 7"], None),
        (["-m connmark --mark 1 -j ACCEPT", "-j MARK --set-mark 7"], None),
        (["-j CONNMARK --restore-mark"], None),
        (["-j CONNMARK --save-mark"], True),
    ],
)
def test_a_rule_decides_by_the_mark_that_others_set(rules: list[str], works: bool) -> None:
    network = machine(*NAT.format("eth0").strip().split("\n"))
    space = network.spaces[""]
    space.chains["iptables mangle PREROUTING"] = rules
    refuses = {"priority": 100, "src": "all", "action": "prohibit", "fwmark": "0x7",
               "fwmask": "0xff"}  # fmt: skip
    space.policy = [refuses, {"priority": 32766, "src": "all", "table": "main"}]
    verdict = follow(network, "ns1", Packet(ip_address("1.1.1.1")))
    assert verdict.works is works
    assert works is not False or (verdict.stop and verdict.stop.code == "refusing_rule")


def test_another_namespace_sees_no_mark() -> None:
    network = machine(*NAT.format("eth0").strip().split("\n"))
    network.spaces["ns1"].chains["iptables mangle OUTPUT"] = ["-j MARK --set-mark 7"]
    network.spaces[""].chains["iptables filter FORWARD"] = ["-m mark --mark 7 -j DROP"]
    assert follow(network, "ns1", Packet(ip_address("1.1.1.1"))).works
    network.changed()
    network.spaces["ns1"].chains["iptables mangle POSTROUTING"] = ["-m mark --mark 7 -j DROP"]
    assert follow(network, "ns1", Packet(ip_address("1.1.1.1"))).works is False


def test_of_a_hundred_containers_every_pair_is_told() -> None:
    network = machine(
        *(step.text for step in choose.part("bridge", ("containers=100",), "up").steps)
    )
    hosts = [f"172.18.{number // 256}.{number % 256}" for number in range(10, 1010, 10)]
    assert all(follow(network, "net7", Packet(ip_address(to))).works for to in hosts[:7])
    stop = follow(network, "net7", Packet(ip_address("1.1.1.1"))).stop
    assert stop
    assert sentence(stop) == ("the host does not pass on 1.1.1.1, which comes in by br0: "
                              "net.ipv4.ip_forward is 0")  # fmt: skip


@pytest.mark.parametrize(
    ("rules", "works"),
    [
        (("-m limit --limit 1/s -j ACCEPT",), True),
        (("-m limit --limit 1/s -j DROP", "-j DROP"), False),
        (("-m limit --limit 1/s -j RETURN", "-j DROP"), None),
        (("-p icmp -j NFQUEUE",), None),
        (("-p icmp -j TTL --ttl-set 9",), True),
        (("-p tcp -j NFQUEUE", "-j TCPMSS --clamp-mss-to-pmtu", "-j ACCEPT"), True),
    ],
)
def test_what_cannot_be_decided_matters_only_where_it_makes_a_difference(
    rules: tuple[str, ...], works: bool | None
) -> None:
    network = machine()
    network.spaces[""].chains["iptables filter OUTPUT"] = list(rules)
    assert follow(network, "", Packet(ip_address("1.1.1.1"))).works is works


def test_who_forwards_forgets_the_router_that_told_of_itself() -> None:
    network = machine("ip -6 route add default via fe80::1 dev eth0")
    (route,) = [one for one in network.spaces[""].routes if one.name == "default" and
                one.to.version == 6]  # fmt: skip
    on = "echo {} | tee /proc/sys/net/ipv6/conf/{}/{}".format
    for advertised, *lines in (
        (False, on(1, "all", "forwarding")),
        (True, on(2, "eth0", "accept_ra"), on(1, "all", "forwarding")),
        (True, on(0, "eth0", "forwarding")),
    ):
        route.advertised = advertised
        assert settle(parse("\n".join(lines), "t", "", "down", "t").changes, network) == []
        assert route in network.spaces[""].routes
    line = on(1, "eth0", "accept_ra") + "\n" + on(1, "all", "forwarding")
    settle(parse(line, "t", "", "down", "t").changes, network)
    assert route not in network.spaces[""].routes


def test_a_rule_goes_however_its_address_was_spelled() -> None:
    network = machine()
    network.spaces[""].chains["iptables filter INPUT"] = ["-s 10.9.0.1/32 -p tcp -m tcp -j DROP"]
    text = "iptables -D INPUT -s 10.9.0.1 -p tcp -j DROP"
    assert settle(parse(text, "t", "", "down", "t").changes, network) == []
    assert network.spaces[""].chains["iptables filter INPUT"] == []


def made_up(seed: int, tmp_path: Path) -> Plans | None:
    """The plans of a generated lab file, None for one that is refused."""
    path = tmp_path / f"{seed}.yaml"
    path.write_text(re.sub("^name: .*", "name: g", generated(seed), flags=re.M))
    try:
        return choose.plans(str(path))
    except CnetshError:
        return None


@pytest.mark.parametrize("seed", range(40))
def test_a_changed_lab_ends_as_a_fresh_one(seed: int, tmp_path: Path) -> None:
    old, new = made_up(seed, tmp_path), made_up(seed + 1, tmp_path)
    if not old or not new:
        return
    network = machine()
    assert settle(old.up.changes, network) == []
    runs = between(dict(enumerate(old.up.steps)), new.up).new
    gone = [line.step for line in differing(old, new) if line.step not in runs]
    settle([change for step in gone for change in step.changes], network)
    fresh = foretold(new.up, new.check, machine())
    assert foretold(new.up, new.check, network, frozenset(runs)) == fresh


@pytest.mark.parametrize("seed", range(40))
def test_what_a_lab_file_derives_is_as_it_says_also_on_slow_and_lossy_links(
    seed: int, tmp_path: Path
) -> None:
    plans = made_up(seed, tmp_path)
    found = foretold(plans.up, plans.check, machine()) if plans else []
    # What the file itself states wrongly is told, and what a lossy link may lose.
    wrong = [one for one in found if "the lab file says so" not in one.says]
    assert [one for one in wrong if "whether the queue netem of " not in one.says] == []
