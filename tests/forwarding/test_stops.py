"""What stops a packet, one change each: its code, and that what it offers mends it."""

import re
from ipaddress import ip_address
from pathlib import Path

import pytest

from cnetsh import forwarding
from cnetsh.forwarding.netfilter import Packet
from cnetsh.forwarding.network import Network
from cnetsh.forwarding.predict import maker_of
from cnetsh.forwarding.seen import network_of, new_machine
from cnetsh.forwarding.settle import Refused, settle
from cnetsh.forwarding.stop import SAID, Layer, Stop, evidence, fix, sentence
from cnetsh.forwarding.trip import follow
from cnetsh.kinds.change import Ref, Remove
from cnetsh.labs import choose
from cnetsh.plan.steps import changes_of, parse

FOLDER = Path(forwarding.__path__[0])
BRIDGED = {"/proc/sys/net/bridge/bridge-nf-call-iptables": "1"}
TO_NET1, OUT = ("net0", "172.18.0.20"), ("net0", "1.1.1.1")
# What is done to the lab routing, who then asks whom, and what stops it.
BREAKS = {
    "ip netns exec net0 ip link set ceth0 down": (TO_NET1, "link_down"),
    "ip netns exec net0 ip address del 172.18.0.10/12 dev ceth0": (TO_NET1, "no_address"),
    "ip netns exec net0 ip route del default via 172.18.0.1": (OUT, "no_route"),
    "ip link set veth0 down": (TO_NET1, "no_carrier"),
    "ip netns exec net1 ip link set ceth1 down": (TO_NET1, "no_carrier"),
    "ip link set dev veth1 nomaster": (TO_NET1, "not_a_port"),
    "ip link set br0 down": (TO_NET1, "bridge_down"),
    "ip netns exec net0 iptables -A OUTPUT -d 172.18.0.20 -j DROP": (TO_NET1, "firewall"),
    "iptables -I FORWARD -s 172.18.0.10 -j DROP": (OUT, "firewall"),
    "echo 0 | tee /proc/sys/net/ipv4/ip_forward": (OUT, "not_forwarding"),
    "echo 0 | tee /proc/sys/net/ipv4/conf/br0/forwarding": (OUT, "not_forwarding"),
    "iptables -t nat -D POSTROUTING -s 172.18.0.0/12 ! -o br0 -j MASQUERADE": (OUT, "no_nat"),
    "echo 1 | ip netns exec net1 tee /proc/sys/net/ipv4/icmp_echo_ignore_all": (
        TO_NET1, "ping_off",
    ),
    "ip netns exec net0 ip neigh add 172.18.0.20 lladdr 02:00:00:00:00:99 nud permanent dev ceth0":
        (TO_NET1, "fixed_neighbour"),
    "echo 1 | ip netns exec net0 tee /proc/sys/net/ipv4/ip_default_ttl": (OUT, "ttl"),
    "echo 1 | ip netns exec internet tee /proc/sys/net/ipv4/ip_default_ttl": (OUT, "ttl"),
    "iptables -t mangle -A PREROUTING -i br0 -j TTL --ttl-dec 63": (OUT, "ttl_rule"),
}  # fmt: skip
# Nobody can know what was meant.
NOT_MENDED = {"no_address"}


def routing(*lines: str) -> tuple[Network, list[Refused]]:
    network = new_machine(BRIDGED)
    settle(choose.part("sandbox", (), "up").changes, network)
    settle(choose.part("routing", (), "up").changes, network)
    refused = settle([change for line in lines for change in changes_of(line)], network)
    return network, refused


def asks(network: Network, asked: tuple[str, str], **more: int) -> bool | None:
    return follow(network, asked[0], Packet(ip_address(asked[1]), **more)).works


@pytest.mark.parametrize("line", BREAKS)
def test_what_stops_a_packet_is_named_and_mended(line: str) -> None:
    asked, code = BREAKS[line]
    assert asks(routing()[0], asked)
    network, refused = routing(line)
    stop = follow(network, asked[0], Packet(ip_address(asked[1]))).stop
    assert refused == [] and stop and stop.code == code
    assert sentence(stop) and evidence(stop) and stop.layer in Layer
    settle(stop.mend, network)
    # A link that is up again has lost its routes, of which only those of its networks come back.
    assert bool(asks(network, asked)) is (code not in NOT_MENDED)


@pytest.mark.parametrize(
    ("table", "hook", "rule", "code"),
    [
        ("filter", "FORWARD", "-s 172.18.0.10 -j DROP", "firewall"),
        ("nat", "PREROUTING", "-d 1.1.1.1 -j DNAT --to-destination 172.18.0.99", "dnat"),
        ("nat", "PREROUTING", "-d 1.1.1.1 -j NETMAP --to 172.18.0.99/32", "dnat"),
    ],
)
def test_a_rule_in_a_chain_of_its_own_is_taken_from_there(
    table: str, hook: str, rule: str, code: str
) -> None:
    tool = f"iptables -t {table}"
    network, refused = routing(
        f"{tool} -N LAB", f"{tool} -A LAB {rule}", f"{tool} -I {hook} -j LAB"
    )
    stop = follow(network, "net0", Packet(ip_address("1.1.1.1"))).stop
    assert refused == [] and stop and stop.code == code and rule in sentence(stop)
    assert stop.cause and stop.cause.name.startswith(f"iptables {table} LAB ")
    settle(stop.mend, network)
    assert asks(network, OUT)


@pytest.mark.parametrize("asker", ["", "internet"])
def test_a_link_that_is_down_is_to_blame_and_not_the_rule_that_turns_a_packet_to_it(
    asker: str,
) -> None:
    turn = "-d 10.0.2.15 -j DNAT --to-destination 172.18.0.20"
    network, _ = routing(
        f"iptables -t nat -A OUTPUT {turn}", f"iptables -t nat -A PREROUTING {turn}"
    )
    assert asks(network, (asker, "10.0.2.15"))
    settle(changes_of("ip link set br0 down"), network)
    stop = follow(network, asker, Packet(ip_address("10.0.2.15"))).stop
    assert stop and stop.code == "link_down" and "br0" in sentence(stop)


@pytest.mark.parametrize(
    ("lines", "mended"),
    [
        (["route del default via 172.18.0.1", "route add default via 172.18.0.99"],
         ["route delete default via 172.18.0.99 dev ceth0", "route add default via 172.18.0.1"]),
        # By the other route it gets there too, but who asked for one of its own wants one.
        (["route add 1.1.1.0/24 via 172.18.0.99"],
         ["route delete 1.1.1.0/24 via 172.18.0.99 dev ceth0",
          "route add 1.1.1.0/24 via 172.18.0.1"]),
    ],
)  # fmt: skip
def test_instead_of_a_gateway_that_nobody_is_one_that_passes_on_is_asked(
    lines: list[str], mended: list[str]
) -> None:
    network, _ = routing(*(f"ip netns exec net0 ip {line}" for line in lines))
    stop = follow(network, "net0", Packet(ip_address("1.1.1.1"))).stop
    assert stop and stop.code == "nobody"
    assert list(fix(stop)) == [f"ip netns exec net0 ip {line}" for line in mended]
    settle(stop.mend, network)
    assert asks(network, OUT)


def test_what_is_not_known_is_said_as_a_question() -> None:
    """It stands behind `it is not known`."""
    texts = [path.read_text() for path in FOLDER.glob("*.py")]
    words = {one for text in texts for one in re.findall(r'Unknown\(f?"(\w+)', text)}
    assert len(words) > 3 and words <= {"whether", "what", "where", "which", "by"}


@pytest.mark.parametrize(("to", "version"), [("172.18.0.20", 4), ("2001:db8::1", 6)])
def test_whoever_has_no_address_has_none_of_that_version(to: str, version: int) -> None:
    network, _ = routing(*(["ip -n net0 address del 172.18.0.10/12 dev ceth0"] * (version == 4)))
    stop = follow(network, "net0", Packet(ip_address(to))).stop
    assert stop and sentence(stop).startswith(f"net0 has no address of IPv{version}")


def test_where_nobody_passes_on_no_gateway_is_better_than_another() -> None:
    network, _ = routing(
        "echo 0 | tee /proc/sys/net/ipv4/ip_forward",
        "ip netns exec net0 ip route del default via 172.18.0.1",
        "ip netns exec net0 ip route add default via 172.18.0.99",
    )
    stop = follow(network, "net0", Packet(ip_address("1.1.1.1"))).stop
    assert stop and stop.code == "nobody" and fix(stop) == ()


def test_a_port_that_is_redirected_says_to_which() -> None:
    rule = "iptables -t nat -A PREROUTING -p tcp --dport 80 -j REDIRECT --to-ports 81"
    network, _ = routing(f"ip netns exec net1 {rule}")
    verdict = follow(network, "net0", Packet(ip_address("172.18.0.20"), proto="tcp", port=80))
    assert verdict.works and verdict.turn
    assert "net1 turns 172.18.0.20 port 80 into 172.18.0.20 port 81" in sentence(verdict.turn)


def test_rules_that_choose_a_table_are_asked_as_the_kernel_says_them() -> None:
    network, _ = routing()
    main = {"priority": 32766, "src": "all", "table": "main"}
    # ip says the network as it was typed, with bits of a host in it.
    network.spaces[""].policy = [
        {"priority": 32765, "src": "172.18.0.0", "srclen": 12, "table": "200"}, main,
    ]  # fmt: skip
    assert asks(network, OUT)
    network.spaces["net0"].policy = [{"priority": 0, "src": "all", "table": "local"}]
    stop = follow(network, "net0", Packet(ip_address("1.1.1.1"))).stop
    assert stop and stop.code == "no_rule" and stop.layer == Layer.POLICY


REFUSED = {
    "ip netns add net0": "the namespace net0 is there already",
    "ip link add name br0 type bridge": "the link br0 is there already",
    "ip link set eth7 up": "there is no link eth7 at this point",
    "ip netns exec net9 ip link set lo up": "there is no namespace net9 at this point",
    "ip address add 172.18.0.1/12 dev br0": "br0 has the address 172.18.0.1/12 already",
    "ip route add default via 10.0.2.7": "a route to default is there already",
    "ip route add 10.9.0.0/16 via 10.8.0.1":
        "a next hop", "ip link set dev veth0 type bridge_slave hairpin on": "",
    "ip link set dev eth0 type bridge_slave hairpin on": "eth0 is no port of a bridge",
    "iptables -A LAB -j ACCEPT": "there is no chain LAB in the table filter at this point",
}  # fmt: skip


@pytest.mark.parametrize("line", REFUSED)
def test_what_the_kernel_refuses(line: str) -> None:
    if REFUSED[line] == "a next hop":
        # The default route leads there, but not directly.
        assert [one.why for one in routing(line)[1]] == [
            "the next hop 10.8.0.1 is in no network at this point"
        ]
    else:
        assert [one.why for one in routing(line)[1]] == [REFUSED[line]] * bool(REFUSED[line])


def test_a_link_that_went_down_lost_its_routes() -> None:
    links = ("ip netns exec net0 ip link set ceth0 down", "ip netns exec net0 ip link set ceth0 up")
    network, _ = routing(*links)
    assert asks(network, TO_NET1) and asks(network, OUT) is False
    stop = follow(network, "net0", Packet(ip_address("1.1.1.1"))).stop
    assert stop and sentence(stop) == (
        "net0 has no route to 1.1.1.1; it had one, which went when ceth0 was switched off for a "
        "while"
    )


def test_a_port_that_rules_ask_for() -> None:
    network, _ = routing("iptables -I FORWARD -p tcp --dport 80 -j DROP")
    assert asks(network, OUT)
    assert follow(network, *_tcp("1.1.1.1", 81)).works
    stop = follow(network, *_tcp("1.1.1.1", 80)).stop
    assert stop and stop.code == "firewall"
    # A rule is told as it is typed, not as a shell would quote it.
    network.spaces[""].chains["iptables filter FORWARD"] = ["'!' -o br0 -j DROP"]
    stop = follow(network, *_tcp("1.1.1.1", 81)).stop
    assert stop and stop.words["rule"] == "-A FORWARD ! -o br0 -j DROP"


# What may stop a packet from net0 to net1, and what is not known then.
MAY_STOP = {
    "tc qdisc add dev veth1 root tbf rate 1mbit burst 10kb limit 60":
        "whether the queue tbf of veth1 in the host drops it",
    "echo 8 | ip netns exec net1 tee /proc/sys/net/ipv4/conf/all/arp_ignore":
        "whether 172.18.0.20 is known from a question of its own",
    "echo 0 | ip netns exec net0 tee /proc/sys/net/ipv4/neigh/ceth0/mcast_solicit":
        "whether 172.18.0.20 is known from a question of its own",
}  # fmt: skip


@pytest.mark.parametrize("line", MAY_STOP)
def test_what_may_stop_a_packet_hides_nothing_that_does(line: str) -> None:
    verdict = follow(routing(line)[0], "net0", Packet(ip_address(TO_NET1[1])))
    assert (verdict.works, verdict.stop, verdict.open) == (None, None, MAY_STOP[line])
    network, _ = routing(line, "ip netns exec net1 iptables -A INPUT -p icmp -j DROP")
    verdict = follow(network, "net0", Packet(ip_address(TO_NET1[1])))
    assert verdict.works is False and verdict.stop and verdict.stop.code == "firewall"


def test_of_two_who_have_an_address_one_alone_may_stop_a_packet() -> None:
    plan = choose.part("routing", ("containers=3",), "up")
    network = new_machine(BRIDGED)
    drop = "ip netns exec net1 iptables -A INPUT -p icmp -j DROP"
    twice = "ip netns exec net2 ip address add 172.18.0.20/12 dev ceth2"
    more = [change for line in (drop, twice) for change in changes_of(line)]
    assert settle([*plan.changes, *more], network) == []
    packet = Packet(ip_address(TO_NET1[1]))
    verdict = follow(network, "net0", packet)
    assert verdict.works is None and verdict.open == "who of net1 and net2 gets it"
    at_net1, at_net2 = (follow(network, "net0", packet, seen=[one]) for one in ("net1", "net2"))
    assert at_net1.stop and at_net1.stop.code == "firewall" and at_net2.stop is None


def _tcp(to: str, port: int) -> tuple[str, Packet]:
    return "net0", Packet(ip_address(to), proto="tcp", port=port)


def test_what_must_not_be_cut_stops_where_it_is_too_long() -> None:
    network, _ = routing("ip link set dev eth0 mtu 1000")
    long = Packet(ip_address("1.1.1.1"), size=1400, whole=True)
    stop = follow(network, "net0", long).stop
    assert stop and (stop.code, stop.link) == ("mtu", "eth0")
    assert asks(network, OUT)


@pytest.mark.parametrize("to", ["127.0.0.1", "::1"])
def test_who_asks_itself_while_lo_is_down_gets_no_answer_from_elsewhere(to: str) -> None:
    stop = follow(routing()[0], "net0", Packet(ip_address(to))).stop
    assert stop and (stop.code, stop.space) == ("lo_down", "net0")


def test_a_rule_that_would_translate_and_is_not_reached_is_put_first() -> None:
    network, _ = routing("iptables -t nat -I POSTROUTING -s 172.18.0.0/16 -j RETURN")
    stop = follow(network, "net0", Packet(ip_address(OUT[1]))).stop
    assert stop and stop.code == "no_nat"
    rule = "-s 172.16.0.0/12 ! -o br0 -j MASQUERADE"
    assert sentence(stop).endswith(f"; the rule {rule} would translate it, but it never gets there")
    assert fix(stop) == (f"iptables -w -t nat -I POSTROUTING {rule}",)
    settle(stop.mend, network)
    assert asks(network, OUT)


def test_the_step_that_makes_a_route_is_of_the_version_of_the_packet() -> None:
    steps = parse("ip route add default via 10.0.2.99\nip route add default via fd00::9", "own", "",
                  "up", "own").steps  # fmt: skip
    stop = Stop("nobody", "", "eth0", {"to": "10.0.2.99"}, Ref("route", "", "default"))
    assert maker_of(steps, stop) == f"step 1: {steps[0].text}"
    six = stop._replace(words={"to": "fd00::9"})
    assert maker_of(steps, six) == f"step 2: {steps[1].text}"
    # Somebody else's, of another table.
    gone = Remove(stop.cause, {"type": "blackhole", "table": "77"})
    assert maker_of(steps, stop._replace(mend=(gone,))) == ""


TURNED = "iptables -t nat -A PREROUTING -d 172.18.0.1 -p tcp --dport 8080 -j DNAT --to-destination "
PLAIN_BRIDGES = "echo 0 | tee /proc/sys/net/bridge/bridge-nf-call-iptables"


def test_an_answer_that_does_not_come_back_by_who_turned_the_packet_is_nobodys() -> None:
    network, _ = routing(PLAIN_BRIDGES, f"{TURNED}172.18.0.20:80")
    packet = Packet(ip_address("172.18.0.1"), proto="tcp", port=8080)
    stop = follow(network, "net0", packet).stop
    assert stop and sentence(stop) == (
        "the host turns 172.18.0.1 into 172.18.0.20, whose answer does not come back through it, "
        "so net0 does not take it"
    )
    settle(stop.mend, network)
    assert follow(network, "net0", packet).works
    # What a bridge has iptables ask is turned back there.
    assert follow(routing(f"{TURNED}172.18.0.20:80")[0], "net0", packet).works


def test_what_is_turned_to_lo_is_not_known_to_arrive() -> None:
    network, _ = routing(f"{TURNED}127.0.0.1:80")
    found = follow(network, "net0", Packet(ip_address("172.18.0.1"), proto="tcp", port=8080))
    assert found.works is None and "route_localnet" in found.unknown


@pytest.mark.parametrize(("priority", "known"), [(0, True), (100, None)])
def test_own_addresses_that_are_not_looked_for_first_are_not_known(
    priority: int, known: bool | None
) -> None:
    rules = [{"priority": priority, "table": "local"}, {"priority": 32766, "table": "main"}]
    lo = Ref("link", "", "lo"), [{"up": True, "kind": ""}]
    address = Ref("address", "", "10.9.9.9/32"), [{"dev": "lo"}]
    seen = {Ref("policy", "", str(one["priority"])): [one] for one in rules}
    network = network_of(dict([lo, address]) | seen)
    assert follow(network, "", Packet(ip_address("10.9.9.9"))).works is known


ON_WIRE = "ip netns exec net0 ip route {} 172.31.0.9 dev ceth0"


@pytest.mark.parametrize("single", [False, True])
def test_who_takes_all_for_neighbours_is_told_the_way_by_a_router(single: bool) -> None:
    network, _ = routing(
        *([ON_WIRE.format("add")] if single else []),
        "ip netns add far",
        "ip link add v9 type veth peer name c9 netns far",
        "ip address add 172.31.0.1/16 dev v9",
        "ip link set v9 up",
        "ip netns exec far ip address add 172.31.0.9/16 dev c9",
        "ip netns exec far ip link set c9 up",
        "ip netns exec far ip route add default via 172.31.0.1",
    )
    stop = follow(network, "net0", Packet(ip_address("172.31.0.9"))).stop
    assert stop and stop.code == "another_wire"
    # Another route to just that would be refused.
    *gone, added = fix(stop)
    assert gone == ([ON_WIRE.format("delete")] if single else [])
    assert added == "ip netns exec net0 ip route add 172.31.0.9 via 172.18.0.1"
    settle(stop.mend, network)
    assert asks(network, ("net0", "172.31.0.9"))


def test_every_code_has_a_layer_words_and_evidence() -> None:
    for layer, text, command in SAID.values():
        assert layer in Layer and text and command


NO_MASQUERADE = "iptables -t nat -D POSTROUTING -s 172.18.0.0/12 ! -o br0 -j MASQUERADE"


@pytest.mark.parametrize(("words", "works"), [
    ("mangle -A PREROUTING -j TTL --ttl-set 0x40", True),
    ("mangle -A PREROUTING -j TTL --ttl-set 01", False),
    ("mangle -A PREROUTING -j TTL --ttl-set few", None),
    ("mangle -A PREROUTING -m mark --mark 00 -j DROP", False),
    ("mangle -A PREROUTING -m mark --mark few -j DROP", None),
    ("mangle -A PREROUTING -m iprange --src-range one-other -j DROP", None),
    ("mangle -A PREROUTING -p udp --dport domain -j DROP", None),
    ("nat -A PREROUTING -p udp -j DNAT --to-destination 1.2.3", None),
    ("nat -A PREROUTING -p udp -j REDIRECT --to-ports domain", None),
    ("nat -A PREROUTING -p udp -j NETMAP --to there", None),
    ("nat -A POSTROUTING -p udp -j SNAT --to-source 10.0.2.15:1024-2048", True),
    ("nat -A POSTROUTING -p udp -j SNAT --to-source 10.0.2.15-10.0.2.15:1024", True),
    ("nat -A POSTROUTING -p udp -j SNAT --to-source :1024-2048", None),
])  # fmt: skip
def test_words_of_rules_are_read_as_iptables_does_or_not_known(
    words: str, works: bool | None
) -> None:
    network, _ = routing(*[NO_MASQUERADE] * ("SNAT" in words), f"iptables -t {words}")
    packet = Packet(ip_address("1.1.1.1"), proto="udp", port=53)
    assert follow(network, "net0", packet).works is works


OF_PORTS = {"priority": 171, "src": "all", "ipproto": "tcp", "dport": 80, "table": "79"}


@pytest.mark.parametrize(("rule", "known"), [
    ({**OF_PORTS, "iif": "eth9"}, True),
    ({**OF_PORTS, "dst": "9.9.9.9"}, True),
    ({**OF_PORTS, "iif": "eth9", "not": None}, True),
    (OF_PORTS, False),
])  # fmt: skip
def test_a_rule_by_what_is_not_modelled_matters_where_the_rest_of_it_fits(
    rule: dict[str, object], known: bool
) -> None:
    network, _ = routing()
    main = {"priority": 32766, "src": "all", "table": "main"}
    network.spaces[""].policy = [rule, main]
    verdict = follow(network, "net0", Packet(ip_address("1.1.1.1")))
    assert (verdict.works is not None) is known
    assert known or "rule 171 fits, which asks for dport, ipproto" in verdict.open


def test_a_wrong_turn_of_another_table_is_mended_there() -> None:
    network, _ = routing("ip route add default via 172.18.0.20 table 9")
    rules = [{"priority": 9, "src": "all", "dst": "1.1.1.1", "table": "9"},
             {"priority": 32766, "src": "all", "table": "main"}]  # fmt: skip
    network.spaces[""].policy = rules
    stop = follow(network, "net0", Packet(ip_address("1.1.1.1"))).stop
    assert stop and fix(stop)[-1].endswith("table 9")
    settle(stop.mend, network)
    assert asks(network, OUT)
