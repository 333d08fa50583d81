"""What each kind tells of what a kernel answered, and what is made of it again.

The answers are those of `ip -j -d`, bridge, tc and iptables-save, without what nobody asks for.
"""

import shlex
from typing import Any

import pytest

from cnetsh import kinds
from cnetsh.compare.pairing import paired
from cnetsh.kinds import rule
from cnetsh.kinds.change import Answers, Change, Fact, Make, Ref, Remove, Set, State, after
from cnetsh.plan.steps import changes_of

FOREVER = 4294967295
PORT = {
    "ifindex": 3, "link": "p1", "ifname": "p0", "mtu": 1500, "master": "br0", "txqlen": 1000,
    "flags": ["BROADCAST", "MULTICAST", "NOARP", "ALLMULTI", "PROMISC", "UP", "LOWER_UP"],
    "address": "f2:db:20:2e:f4:cf", "ifalias": "what it is for", "promiscuity": 3,
    "linkinfo": {
        "info_kind": "veth", "info_slave_kind": "bridge",
        "info_slave_data": {
            "state": "forwarding", "priority": 32, "cost": 7, "hairpin": True, "learning": False,
            "id": "0x8001", "hold_timer": 0.0, "multicast_router": 1, "isolated": True,
        },
    },
}  # fmt: skip
END = {"ifindex": 2, "link": "p0", "ifname": "p1", "linkinfo": {"info_kind": "veth"}}
BRIDGE = {"ifindex": 4, "ifname": "br0", "linkinfo": {"info_kind": "bridge"}, "address": "02:bb"}


def seen(kind: str, **answers: Any) -> list[tuple[str, dict[str, Any]]]:
    """The objects of a kind: their names, and their facts without the link that they are on."""
    state = kinds.see(Answers(**answers))
    return [
        (ref.name, {key: value for key, value in facts.items() if key != "on"})
        for ref, several in state.items()
        for facts in several
        if ref.kind == kind
    ]


def written(state: State) -> list[str]:
    """The commands that make what is there, but for links."""
    facts = kinds.facts_of(state)
    changes = [one for fact in facts for one in kinds.turned(fact, None, facts[fact])]
    return [text for one in changes if one.ref.kind != "link" for text in kinds.write(one)]


def test_a_port_of_a_bridge() -> None:
    answers = {"addresses": [PORT, END, BRIDGE], "marks": {"p0": 77}, "assigned": {"br0": "1"}}
    (_, port), (_, end), (_, bridge) = seen("link", **answers)
    assert port == {
        "ifindex": 3, "mark": [3, 77], "kind": "veth", "up": True, "master": "br0",
            "carrier": True,
        "mtu": 1500, "address": "f2:db:20:2e:f4:cf", "alias": "what it is for", "txqueuelen": 1000,
        "arp": False, "promisc": True, "allmulticast": True,
        "priority": 32, "cost": 7, "hairpin": True, "learning": False, "isolated": True,
        "mcast_router": 1,
        "names": [], "far": ("", "p1"),
    }  # fmt: skip
    assert (end["mark"], end["up"], end["arp"], end["promisc"]) == ([2, 0], False, True, False)
    assert bridge["assigned"] == "1"
    cable = paired(kinds.see(Answers(**answers)))
    assert cable[Ref("link", "", "p0")][0]["peer"] == Ref("link", "", "p1")


@pytest.mark.parametrize(
    ("info", "name", "facts", "command"),
    [
        ({}, "10.0.0.1/24", {}, "10.0.0.1/24 dev p1"),
        ({"label": "p1:7"}, "10.0.0.1/24", {}, "10.0.0.1/24 dev p1"),
        (
            {"label": "p1:web", "broadcast": "10.0.0.255", "metric": 7, "noprefixroute": True,
             "dynamic": True, "valid_life_time": 500, "preferred_life_time": 100},
            "10.0.0.1/24",
            {"label": "p1:web", "brd": "10.0.0.255", "metric": 7, "noprefixroute": True,
             "ends": True, "left": [500, 100]},
            "10.0.0.1/24 dev p1 brd 10.0.0.255 label p1:web metric 7 noprefixroute "
            "valid_lft 500 preferred_lft 100",
        ),
        (
            {"local": "10.0.0.9", "address": "10.0.0.10", "prefixlen": 32, "scope": "link"},
            "10.0.0.9/32", {"to": "10.0.0.10/32", "scope": "link"},
            "10.0.0.9 peer 10.0.0.10/32 dev p1 scope link",
        ),
        (
            {"local": "fd00::1", "prefixlen": 64, "nodad": True, "deprecated": True,
             "preferred_life_time": 0},
            "fd00::1/64", {"ends": True, "left": ["forever", 0]},
            "fd00::1/64 dev p1 valid_lft forever preferred_lft 0",
        ),
    ],
)  # fmt: skip
def test_addresses(info: dict[str, Any], name: str, facts: dict[str, Any], command: str) -> None:
    lasting = {"valid_life_time": FOREVER, "preferred_life_time": FOREVER, "scope": "global"}
    told = {"local": "10.0.0.1", "prefixlen": 24, "label": "p1"} | lasting | info
    link = {**END, "addr_info": [told]}
    assert seen("address", addresses=[link]) == [(name, {"dev": "p1", "scope": "global"} | facts)]
    nodad = " nodad" if ":" in name else ""
    (text,) = written(kinds.see(Answers([link])))
    assert text.replace(nodad, "") == f"ip address add {command}"
    assert nodad in text


@pytest.mark.parametrize(
    ("route", "facts", "command"),
    [
        (
            {"dst": "10.9.0.0/16", "tos": "0x08", "gateway": "10.1.0.7", "dev": "p1", "table": "77",
             "prefsrc": "10.1.0.1", "metric": 7, "flags": ["onlink"],
             "metrics": [{"mtu": 1400, "advmss": 900}]},
            {"tos": "0x08", "via": "10.1.0.7", "dev": "p1", "table": "77", "src": "10.1.0.1",
             "metric": "7", "flags": ["onlink"], "metrics": {"mtu": 1400, "advmss": 900}},
            "10.9.0.0/16 tos 0x08 via 10.1.0.7 dev p1 table 77 proto boot scope global "
            "src 10.1.0.1 metric 7 onlink mtu 1400 advmss 900",
        ),
        (
            {"dst": "10.8.0.0/16", "nexthops": [
                {"gateway": "10.1.0.7", "dev": "p1", "weight": 3, "flags": []},
                {"dev": "br0", "weight": 1, "flags": []}]},
            {"next": [{"gateway": "10.1.0.7", "dev": "p1", "weight": 3},
                      {"dev": "br0", "weight": 1}]},
            "10.8.0.0/16 proto boot scope global "
            "nexthop via 10.1.0.7 dev p1 weight 3 nexthop dev br0 weight 1",
        ),
        (
            {"dst": "10.7.0.0/16", "via": {"family": "inet6", "host": "fe80::9"}, "dev": "p1"},
            {"via": "inet6 fe80::9", "dev": "p1"},
            "10.7.0.0/16 via inet6 fe80::9 dev p1 proto boot scope global",
        ),
        (
            {"type": "blackhole", "dst": "10.6.0.0/16"}, {"type": "blackhole"},
            "blackhole 10.6.0.0/16 proto boot scope global",
        ),
        (
            {"dst": "fd09::/64", "gateway": "fd00::9", "dev": "p1", "metric": 512, "pref": "high"},
            {"via": "fd00::9", "dev": "p1", "metric": "512", "pref": "high"},
            "fd09::/64 via fd00::9 dev p1 proto boot scope global metric 512 pref high",
        ),
    ],
)  # fmt: skip
def test_routes(route: dict[str, Any], facts: dict[str, Any], command: str) -> None:
    said = {"type": "unicast", "table": "main", "protocol": "boot", "scope": "global", "flags": []}
    known = {"type": "unicast", "table": "main", "proto": "boot", "scope": "global"} | facts
    assert seen("route", routes=[said | route]) == [(route["dst"], known)]
    (text,) = written(kinds.see(Answers(routes=[said | route])))
    six = " -6" if route["dst"].startswith("fd") else ""
    assert text.replace("ip -6", "ip") == f"ip route add {command}" and six in text


def test_neighbours() -> None:
    neighbours = [
        {"dst": "10.1.0.7", "dev": "p1", "lladdr": "02:00:00:00:00:07", "state": ["PERMANENT"]},
        {"dst": "fd00::7", "dev": "p1", "lladdr": "02:00:00:00:00:07", "router": None},
        {"dst": "10.1.0.8", "dev": "p1", "proxy": None},
    ]
    mac = {"dev": "p1", "lladdr": "02:00:00:00:00:07"}
    assert seen("neighbour", neighbours=neighbours) == [
        ("10.1.0.7", mac),
        ("fd00::7", mac | {"router": True}),
        ("10.1.0.8", {"dev": "p1", "proxy": True}),
    ]
    assert written(kinds.see(Answers(neighbours=neighbours))) == [
        "ip neigh add 10.1.0.7 lladdr 02:00:00:00:00:07 nud permanent dev p1",
        "ip neigh add fd00::7 lladdr 02:00:00:00:00:07 router nud permanent dev p1",
        "ip neigh add proxy 10.1.0.8 dev p1",
    ]


def test_entries_of_bridges_that_somebody_wants() -> None:
    entries = [
        {"mac": "33:33:00:00:00:01", "ifname": "p0", "flags": ["self"], "state": "permanent"},
        {"mac": PORT["address"], "ifname": "p0", "master": "br0", "state": "permanent"},
        {"mac": "02:00:00:00:00:07", "ifname": "p0", "master": "br0", "state": ""},
        {"mac": "02:00:00:00:00:aa", "ifname": "p0", "master": "br0", "state": "static"},
        {"mac": "02:00:00:00:00:bb", "ifname": "p0", "master": "br0", "state": "permanent",
         "vlan": 5},
    ]  # fmt: skip
    by = {"dev": "p0", "by": "master"}
    found = seen("fdb", addresses=[PORT], entries=entries)
    assert found == [
        ("02:00:00:00:00:aa", by | {"state": "static"}),
        ("02:00:00:00:00:bb", by | {"state": "permanent", "vlan": 5}),
    ]
    assert written(kinds.see(Answers([PORT], entries=entries))) == [
        "bridge fdb replace 02:00:00:00:00:aa dev p0 master static",
        "bridge fdb replace 02:00:00:00:00:bb dev p0 master vlan 5 permanent",
    ]


def test_groups_and_vlans_of_a_port() -> None:
    """A bridge joins groups for itself, and its own VLANs stay with it."""
    joined = {"index": 4, "dev": "br0", "port": "p0", "grp": "239.1.1.1", "state": "permanent"}
    own = {**joined, "port": "br0"}
    vlans = [
        {"vlan": 1, "flags": ["PVID", "Egress Untagged"]},
        {"vlan": 5, "vlanEnd": 6},
    ]
    entries: list[dict[str, Any]] = [
        {"mdb": [joined, own, {**joined, "state": "temp"}], "router": {}},
        {"ifname": "p0", "vlans": vlans},
        {"ifname": "br0", "vlans": vlans},
    ]
    assert written(kinds.see(Answers([PORT], entries=entries))) == [
        "bridge mdb add dev br0 port p0 grp 239.1.1.1 permanent",
        "bridge vlan add dev p0 vid 1 pvid untagged",
        "bridge vlan add dev p0 vid 5",
        "bridge vlan add dev p0 vid 6",
    ]


def test_a_route_is_written_as_ip_takes_what_it_prints() -> None:
    metrics = [{"rtt": 50, "ecn": None, "congestion": "cubic"}]
    plain = {"dst": "10.1.0.0/16", "dev": "p0"}
    routes: list[dict[str, Any]] = [
        {**plain, "gateway": "10.0.0.9", "metrics": metrics, "flow": {"from": 1, "to": 5}},
        {**plain, "via": {"family": "inet6", "host": "fe80::5"}},
        {"dst": "fd01::/64", "from": "fd02::/64", "dev": "p0", "expires": 9, "pref": "medium"},
    ]
    assert written(kinds.see(Answers(routes=routes))) == [
        "ip route add 10.1.0.0/16 via 10.0.0.9 dev p0 realms 1/5 rtt 50ms features ecn "
        "congctl cubic",
        "ip route add 10.1.0.0/16 via inet6 fe80::5 dev p0",
        "ip -6 route add fd01::/64 from fd02::/64 dev p0 pref medium expires 9",
    ]


def test_each_next_hop_of_ipv6_goes_alone() -> None:
    hops = [{"gateway": "fd00::1", "dev": "p0", "weight": 1}, {"gateway": "fd01::1", "dev": "p1"}]
    routes = [{"dst": "fd09::/64", "pref": "medium", "nexthops": hops}]
    found = kinds.facts_of(kinds.see(Answers(routes=routes)))
    assert [
        kinds.write(kinds.turned(fact, None, value)[0])[0] for fact, value in found.items()
    ] == [
        f"ip -6 route append fd09::/64 pref medium nexthop via {via} dev {dev} weight 1"
        for via, dev in (("fd00::1", "p0"), ("fd01::1", "p1"))
    ]


def test_queues_of_somebodys_choice() -> None:
    queues = (
        "qdisc noqueue 0: dev p0 root refcnt 2 \n"
        "qdisc tbf 85e8: dev p1 root refcnt 3 rate 1Mbit burst 10Kb lat 10ms \n"
        "qdisc pfifo_fast 0: dev eth0 root refcnt 2 bands 3 priomap 1 2 2\n"
        "qdisc fq_codel 0: dev eth1 parent 1:2 limit 77p\n"
    )
    said = "rate 1Mbit burst 10Kb lat 10ms"
    assert seen("queue", queues=queues) == [("p1", {"dev": "p1", "kind": "tbf", "said": said})]
    assert written(kinds.see(Answers(queues=queues))) == [
        f"tc qdisc replace dev p1 root tbf {said}"
    ]


def test_rules_of_routing() -> None:
    told = {"priority": 500, "src": "10.0.0.1", "table": "77", "protocol": "unspec"}
    six = {"family": 6, "priority": 0, "src": "all", "table": "local", "protocol": "kernel"}
    # As `ip -j rule` has them: a word alone has null for its value.
    alone = {"priority": 7, "not": None, "src": "10.9.0.0", "iif": "x", "iif_detached": None}
    assert seen("policy", policy=[alone]) == [
        ("priority 7 not src 10.9.0.0 iif x iif_detached", alone)
    ]
    assert seen("policy", policy=[told, six]) == [
        ("priority 500 src 10.0.0.1 table 77 protocol unspec", told),
        ("family 6 priority 0 src all table local protocol kernel", six),
    ]


NAT = "iptables nat POSTROUTING"
SAVED = """\
# Generated by iptables-save v1.8.9 (nf_tables)
*filter
:FORWARD DROP [7:9]
:OUTPUT ACCEPT [0:0]
:LAB - [0:0]
-A FORWARD -s 10.0.0.0/8 ! -i p0 -m comment --comment "a \\'b\\' \\"c\\"" -j DROP
-A LAB -j RETURN
-A LAB -j RETURN
COMMIT
*nat
:POSTROUTING ACCEPT [0:0]
-A POSTROUTING -m comment --comment "it is
two lines" -j MASQUERADE
COMMIT
# Table `raw' is incompatible, use 'nft' tool.
"""


class TestFirewall:
    def test_chains_and_rules_by_their_place(self) -> None:
        saved = {"iptables": SAVED}
        assert seen("chain", saved=saved) == [
            ("iptables filter FORWARD", {"policy": "DROP"}),
            ("iptables filter OUTPUT", {"policy": "ACCEPT"}),
            ("iptables filter LAB", {}),
            (NAT, {"policy": "ACCEPT"}),
        ]
        filtered, *twice, lines = seen("rule", saved=saved)
        assert twice == [("iptables filter LAB -j RETURN", {"at": at}) for at in (1, 2)]
        assert lines == (f"{NAT} -m comment --comment 'it is\ntwo lines' -j MASQUERADE", {"at": 1})
        (text,) = kinds.write(Make(Ref("rule", "", filtered[0]), {"at": 1}))
        words = ["-s", "10.0.0.0/8", "!", "-i", "p0", "-m", "comment", "--comment", "a 'b' \"c\""]
        assert shlex.split(text)[4:] == ["-I", "FORWARD", "1", *words, "-j", "DROP"]

    def test_what_could_not_be_read_is_not_nothing(self) -> None:
        assert seen("table", saved={"iptables": SAVED, "ip6tables": None}) == [
            ("iptables raw", {"unread": True}),
            ("ip6tables *", {"unread": True}),
        ]

    def test_fact_by_fact(self) -> None:
        chain = Ref("chain", "", "iptables filter LAB")
        forward, nat = (chain._replace(name=name) for name in ("iptables filter FORWARD", NAT))
        found = kinds.facts_of(kinds.see(Answers(saved={"iptables": SAVED})))
        # A chain that the kernel has by itself, and that accepts, tells nothing.
        assert found.keys() == {
            Fact(forward, "policy"), Fact(forward, "rules"), Fact(chain, "policy"),
            Fact(chain, "rules"), Fact(nat, "rules"), Fact(Ref("table", "", "iptables raw")),
        }  # fmt: skip
        assert (found[forward, "policy"], found[chain, "policy"]) == ("DROP", "own")
        assert found[chain, "rules"] == ["-j RETURN", "-j RETURN"]


CHAIN = Ref("chain", "", "iptables filter FORWARD")


@pytest.mark.parametrize(
    ("now", "wanted", "commands"),
    [
        ("abc", "abc", []),
        ("", "ab", ["-I FORWARD 1 -j b", "-I FORWARD 1 -j a"]),
        ("abc", "", ["-D FORWARD -j c", "-D FORWARD -j b", "-D FORWARD -j a"]),
        ("aba", "ab", ["-D FORWARD 3"]),
        ("abcb", "b", ["-D FORWARD 4", "-D FORWARD -j c", "-D FORWARD -j a"]),
        ("abc", "axc", ["-D FORWARD -j b", "-I FORWARD 2 -j x"]),
        ("ab", "ba", ["-D FORWARD -j b", "-I FORWARD 1 -j b"]),
    ],
)
def test_a_chain_is_made_into_another(now: str, wanted: str, commands: list[str]) -> None:
    changes = list(rule.realigned(CHAIN, rules(now), rules(wanted)))
    texts = [text for one in changes for text in kinds.write(one)]
    assert [text.removeprefix("iptables -w -t filter ") for text in texts] == commands
    chain = rules(now)
    for one in changes:
        at = one.facts["at"] - 1
        if isinstance(one, Remove):
            del chain[at]
        else:
            chain.insert(at, one.ref.name.split(" ", 3)[3])
    assert chain == rules(wanted)


@pytest.mark.parametrize(
    ("typed", "printed"),
    [
        ("-p tcp --syn -j DROP", "-p tcp --tcp-flags FIN,SYN,RST,ACK SYN -j DROP"),
        ("-m state --state NEW -j ACCEPT", "-m conntrack --ctstate NEW -j ACCEPT"),
        ("-p 6 -s gateway -j DROP", "-s 10.0.0.1 -p tcp -j DROP"),
        ("--source 0/0 --protocol udp --jump DROP", "-p udp -j DROP"),
    ],
)
def test_a_rule_may_be_printed_in_other_words(typed: str, printed: str) -> None:
    assert rule.may_be(rule.canonical_rule(typed.split()), printed)
    for other in ("-o b", "! -i a", "-d 10.7.7.7"):
        assert not rule.may_be(rule.canonical_rule(typed.split()), f"{other} {printed}")


@pytest.mark.parametrize(
    ("before", "wanted", "now", "merged"),
    [
        ("ab", "b", "b", "b"),
        ("ab", "b", "ab", "b"),
        ("ab", "b", "xb", "xb"),
        ("ab", "b", "axb", "xb"),
        ("ab", "b", "", ""),
        ("ab", "bab", "xab", "bxab"),
        ("ab", "ba", "ab", "ba"),
        ("eeeaee", "eeee", "exeee", "exeee"),
    ],
)
def test_what_others_do_to_a_chain_meanwhile_stays(
    before: str, wanted: str, now: str, merged: str
) -> None:
    assert rule.merged(rules(before), rules(wanted), rules(now)) == rules(merged)


def rules(letters: str) -> list[str]:
    return [f"-j {letter}" for letter in letters]


@pytest.mark.parametrize(
    ("before", "after", "places"), [("", "ab", [0, 1]), ("aa", "aaa", [2]), ("ab", "xayb", [0, 2])]
)
def test_where_rules_were_added(before: str, after: str, places: list[int]) -> None:
    assert rule.added(rules(before), rules(after)) == places


@pytest.mark.parametrize(
    ("then", "places", "now", "left"),
    [
        ("abc", [1], "abc", "ac"),
        # Of equal ones that which stands at the place.
        ("aba", [2], "xaba", "xab"),
        # One that somebody has taken already takes no other along.
        ("abc", [1], "ac", "ac"),
        ("ab", [0, 1], "xaybz", "xyz"),
    ],
)
def test_a_chain_without_rules_that_were_added(
    then: str, places: list[int], now: str, left: str
) -> None:
    assert rule.without(rules(then), places, rules(now)) == rules(left)


class TestFacts:
    def test_each_value_is_one_and_what_an_object_is(self) -> None:
        found = kinds.facts_of(paired(kinds.see(Answers([PORT, END], marks={"p0": 77}))))
        port = {fact.key: found[fact] for fact in found if fact.ref.name == "p0"}
        assert (port[""], port["cost"], port["alias"]) == ([3, 77], 7, "what it is for")
        assert port.keys().isdisjoint({"ifindex", "peer", "far", "mark"})

    def test_they_stand_in_the_order_in_which_they_were_seen(self) -> None:
        """What is put back of a port is then written alike each time."""
        state = kinds.see(Answers([PORT, END]))
        seen = next(facts for ref, (facts,) in state.items() if ref.name == "p0")
        found = [fact.key for fact in kinds.facts_of(state) if fact.ref.name == "p0" and fact.key]
        assert found == [key for key in seen if key in found]

    def test_of_equal_names_each_has_one(self) -> None:
        routes = [{"dst": "default", "dev": dev, "metric": 7} for dev in ("p1", "p0", "p0")]
        found = kinds.facts_of(kinds.see(Answers(routes=routes)))
        assert [fact.key for fact in found] == ["p1 main 7", "p0 main 7", "p0 main 7+"]

    def test_of_files_and_settings(self) -> None:
        path = "/etc/netns/n0/resolv.conf"
        answers = Answers(
            folders={"/etc/netns": [1, 5], "/etc/netns/n0": [2, 6]},
            files={path: [3, 7]},
            texts={path: "# mine\nnameserver 1.1.1.1"},
            settings={"/proc/sys/net/ipv4/ip_local_port_range": "1024\t2048"},
            namespaces={"n0": 9},
        )
        found = {(fact.ref.kind, fact.key): value
                 for fact, value in kinds.facts_of(kinds.see(answers)).items()}  # fmt: skip
        assert found == {
            # Whose folder of all it is counts for nothing: that it is there.
            ("home", ""): True,
            ("folder", ""): [2, 6],
            ("file", ""): [3, 7, "# mine\nnameserver 1.1.1.1"],
            ("setting", "value"): "1024 2048",
            ("netns", ""): 9,
        }


LINK, SETTING = Ref("link", "", "p0"), Ref("setting", "", "/proc/sys/net/ipv4/ip_forward")
ADDRESS, HOME = Ref("address", "", "10.0.0.1/8"), Ref("home", "", "/etc/netns")
HERE, THERE = {"dev": "p0", "scope": "global"}, {"dev": "p0", "scope": "link"}


@pytest.mark.parametrize(
    ("fact", "now", "wanted", "changes"),
    [
        (Fact(LINK, "up"), False, True, [Set(LINK, "up", True)]),
        (Fact(LINK, "master"), "br0", None, [Set(LINK, "master", None)]),
        # A value that is no more, as a port's option of what is no port, and a link.
        (Fact(LINK, "cost"), 7, None, []),
        (Fact(LINK), [3, 77], None, []),
        (Fact(LINK), None, [3, 77], []),
        (Fact(SETTING, "value"), "1", "0", [Set(SETTING, "value", "0")]),
        (Fact(SETTING, "value"), "1", None, []),
        (Fact(ADDRESS, "p0"), HERE, None, [Remove(ADDRESS, HERE)]),
        (Fact(ADDRESS, "p0"), None, HERE, [Make(ADDRESS, HERE)]),
        (Fact(ADDRESS, "p0"), THERE, HERE, [Make(ADDRESS, {**HERE, "was": THERE})]),
        (Fact(HOME), True, None, [Remove(HOME)]),
        (Fact(Ref("policy", "", "priority 7")), {}, None, []),
        (Fact(CHAIN, "policy"), "DROP", None, []),
    ],
)  # fmt: skip
def test_what_makes_a_fact_as_it_is_wanted(
    fact: Fact, now: Any, wanted: Any, changes: list[Change]
) -> None:
    assert kinds.turned(fact, now, wanted) == changes


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("master", None, "dev p0 nomaster"),
        ("up", False, "p0 down"),
        ("mtu", 1400, "dev p0 mtu 1400"),
        ("alias", "what it is", "dev p0 alias 'what it is'"),
        ("alias", None, "dev p0 alias ''"),
        ("txqueuelen", 7, "dev p0 txqueuelen 7"),
        ("arp", False, "dev p0 arp off"),
        ("promisc", True, "dev p0 promisc on"),
        ("cost", 7, "dev p0 type bridge_slave cost 7"),
        ("isolated", True, "dev p0 type bridge_slave isolated on"),
    ],
)
def test_a_value_is_put_back(key: str, value: Any, words: str) -> None:
    assert kinds.write(Set(LINK, key, value)) == (f"ip link set {words}",)


@pytest.mark.parametrize(
    "text",
    [
        "ip neigh add 10.0.0.7 lladdr 02:00:00:00:00:07 nud permanent dev p0",
        "tc qdisc add dev p0 root netem delay 1ms",
    ],
)
def test_a_name_in_words_tells_nothing_of_the_place(text: str) -> None:
    ((ref, [facts]),) = after(changes_of(text)).items()
    assert kinds.called(ref, facts) in (
        "neighbour 10.0.0.7 lladdr 02:00:00:00:00:07 on p0", "queue netem on p0"
    )  # fmt: skip
