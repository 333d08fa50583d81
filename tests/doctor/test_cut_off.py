"""What cuts the host off, asked of the outcome: made-up hosts, and the steps of a plan on them."""

import time
from collections.abc import Iterable
from dataclasses import replace
from ipaddress import ip_interface
from pathlib import Path

import answers
import pytest
from samples import plan

from cnetsh.doctor import machine
from cnetsh.doctor.asked import Requirements, requirements_of
from cnetsh.doctor.cut_off import Lifeline, lifelines, losses
from cnetsh.doctor.diagnose import Finding
from cnetsh.doctor.evidence import Evidence
from cnetsh.doctor.machine import SshSession
from cnetsh.kinds.change import Facts, Ref, State
from cnetsh.labs import builtin, choose
from cnetsh.plan.steps import Plan, Step

EXAMPLES = sorted((Path(__file__).resolve().parents[2] / "examples").glob("*.yaml"))
SETTINGS = "/proc/sys/net"
PEER = "203.0.113.9"
SSH = SshSession(PEER, 50000, "10.66.0.1", 22)
SSH6 = SshSession("2001:db8:9::9", 50000, "fd00:66::1", 22)
MAC = "02:00:00:00:00:07"
GATE = "02:00:00:00:00:fe"

THE_SSH = f"the ssh session from {PEER}"
THE_GATE = "the gateway 10.66.0.254"
THE_SERVER = "the name server 10.66.0.53"


def link(name: str, **facts: object) -> State:
    known = {"kind": "", "up": True, "mtu": 1500, "address": MAC, "master": None}
    return {Ref("link", "", name): [known | facts]}


def address(dev: str, *texts: str) -> State:
    return {Ref("address", "", text): [{"dev": dev, "scope": "global"}] for text in texts}


def connected(dev: str, text: str, metric: str = "") -> State:
    one = ip_interface(text)
    facts = {"table": "main", "dev": dev, "proto": "kernel", "src": str(one.ip)}
    metric = metric or ("256" if one.version == 6 else "")
    return route(str(one.network), **facts, **({"metric": metric} if metric else {}))


def route(to: str, **facts: str) -> State:
    return {Ref("route", "", to): [{"type": "unicast", "table": "main", **facts}]}


def rules(chain: str, *lines: str, policy: str = "") -> State:
    on = Ref("chain", "", chain)
    found: State = {on: [{"policy": policy}]} if policy else {}
    for at, line in enumerate(lines, 1):
        found.setdefault(Ref("rule", "", f"{chain} {line}"), []).append({"at": at, "on": on})
    return found


def setting(path: str, value: str) -> State:
    return {Ref("setting", "", f"{SETTINGS}/{path}"): [{"value": value}]}


def joined(*states: State) -> State:
    found: dict[Ref, list[Facts]] = {}
    for state in states:
        for ref, facts in state.items():
            found.setdefault(ref, []).extend(facts)
    return found


V4 = joined(
    link("lo", mtu=65536, address="00:00:00:00:00:00"),
    address("lo", "127.0.0.1/8", "::1/128"),
    link("eth7"),
    address("eth7", "10.66.0.1/24"),
    connected("eth7", "10.66.0.1/24"),
    route("default", via="10.66.0.254", dev="eth7"),
)
UPLINK = joined(
    V4,
    address("eth7", "fd00:66::1/64"),
    connected("eth7", "fd00:66::1/64"),
    connected("eth7", "fe80::7/64"),
    route("default", via="fe80::fe", dev="eth7", proto="ra", metric="1024"),
)
SECOND = joined(
    link("eth8", address="02:00:00:00:00:08"),
    address("eth8", "10.88.0.1/24"),
    connected("eth8", "10.88.0.1/24"),
)
BRIDGED = joined(
    {ref: facts for ref, facts in UPLINK.items() if ref.name == "lo" or "127" in ref.name},
    link("eth7", master="br9"),
    link("br9", kind="bridge"),
    address("br9", "10.66.0.1/24"),
    connected("br9", "10.66.0.1/24"),
    route("default", via="10.66.0.254", dev="br9"),
)
DHCP = joined(
    {ref: facts for ref, facts in UPLINK.items() if ref.name != "10.66.0.0/24"},
    connected("eth7", "10.66.0.1/24", metric="100"),
)
TABLE = joined(
    UPLINK, SECOND, route("default", via="10.88.0.254", dev="eth8", table="9"),
)  # fmt: skip
FROM = ({"priority": 9, "src": "10.66.0.1", "table": "9"}, {"priority": 99, "src": "all",
        "table": "main"})  # fmt: skip
CABLE = "ip link add v0 type veth peer name v1\nip link set v0 up\nip link set v1 up\n"
BRIDGE = "ip link add name bx type bridge\nip link set bx up\n"
CLOSED = rules(
    "iptables filter INPUT", "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
    "-p tcp -m tcp --dport 22 -j ACCEPT", policy="DROP",
)  # fmt: skip
GONE = "#: undo ip link set lo up\n"


def asked(ssh: SshSession | None = SSH, *servers: str) -> Evidence:
    return Evidence(ssh=ssh, nameservers=servers)


def lost(
    text: str | Plan,
    host: State = UPLINK,
    seen: Evidence | None = None,
    policy: Iterable[Facts] = (),
) -> list[str]:
    """Each loss as "step N: whose: words"."""
    steps = requirements_of(plan(text) if isinstance(text, str) else text)
    whose = lifelines(host, tuple(policy), seen or asked(SSH, "10.66.0.53"))
    found = losses(steps.here, host, tuple(policy), whose)
    return list(dict.fromkeys(f"step {one.step.number}: {one.name}: {one.why}" for one in found))


# commands, host, what the first line has to say
CUTS = {
    "link down": ("ip link set eth7 down", UPLINK, ["step 1", THE_SSH, "no route"]),
    "link enslaved": (
        f"{BRIDGE}ip link set dev eth7 master bx", UPLINK, ["step 3", THE_SSH, "port of bx"],
    ),
    "more specific route": (
        f"{CABLE}ip route add {PEER}/32 dev v0", UPLINK,
        ["step 4", THE_SSH, "by v0 instead of eth7 via 10.66.0.254"],
    ),
    "link deleted": (f"{GONE}ip link delete eth7", UPLINK, ["step 1", THE_SSH, "10.66.0.1 is no"]),
    "link moved away": (
        "ip netns add n\n#: undo none: it is gone\nip link set eth7 netns n", UPLINK,
        ["step 2", THE_SSH],
    ),
    "port taken out of the bridge of the way": (
        "ip link set dev eth7 nomaster", BRIDGED, ["step 1", THE_SSH, "eth7"],
    ),
    "port of the bridge of the way down": (
        "ip link set eth7 down", BRIDGED, ["step 1", THE_SSH, "eth7"],
    ),
    "port stolen by another bridge": (
        f"{BRIDGE}ip link set dev eth7 master bx", BRIDGED, ["step 3", THE_SSH, "eth7"],
    ),
    "link that the link of the way is on": (
        "ip link set eth8 down",
        joined(
            {ref: facts for ref, facts in UPLINK.items() if ref != Ref("link", "", "eth7")},
            link("eth7", kind="macvlan", on=Ref("link", "", "eth8")), SECOND,
        ),
        ["step 1", THE_SSH, "eth8"],
    ),
    "default route gone": (
        "#: undo ip route add default via 10.66.0.254\nip route delete default via 10.66.0.254",
        UPLINK, ["step 1", THE_SSH, "no route"],
    ),
    "a better default route": (
        f"{CABLE}ip address add 10.7.0.1/24 dev v0\nip route add default via 10.7.0.2",
        joined(
            {ref: facts for ref, facts in UPLINK.items() if ref.name != "default"},
            route("default", via="10.66.0.254", dev="eth7", metric="100"),
        ),
        ["step 5", THE_SSH, "by v0 via 10.7.0.2 instead of eth7"],
    ),
    "the half of the Internet with the peer": (
        f"{CABLE}ip route add 128.0.0.0/1 dev v0", UPLINK, ["step 4", THE_SSH, "v0"],
    ),
    "a route of a table that a rule asks first": (
        f"{CABLE}ip route add {PEER} dev v0 table 9", TABLE, ["step 4", THE_SSH, "v0"],
    ),
    "the link of that table down": (
        "ip link set eth8 down", TABLE, ["step 1", THE_SSH, "instead of eth8"],
    ),
    "on-link name server's network deleted": (
        "#: undo ip address add fd00:66::1/64 dev eth7\nip address delete fd00:66::1/64 dev eth7",
        joined(
            {ref: facts for ref, facts in UPLINK.items() if ref.name != "fd00:66::/64"},
            route("fd00:66::/64", dev="eth7", proto="kernel", metric="256"),
        ),
        ["step 1", "the name server fd00:66::53", "by eth7 via fe80::fe instead of eth7"],
    ),
    "server's address deleted": (
        "#: undo ip address add 10.66.0.1/24 dev eth7\nip address delete 10.66.0.1/24 dev eth7",
        joined(UPLINK, address("eth7", "10.66.0.2/24")), ["step 1", THE_SSH, "10.66.0.1"],
    ),
    "an own address like the peer's": (
        f"{CABLE}ip address add {PEER}/24 dev v0", UPLINK, ["step 4", THE_SSH, "lo"],
    ),
    "an own address like the gateway's": (
        f"{CABLE}ip address add 10.66.0.254/24 dev v0", UPLINK, ["step 4", THE_GATE, "lo"],
    ),
    "a network within the uplink's": (
        f"{CABLE}ip address add 10.66.0.250/29 dev v0", UPLINK, ["step 4", THE_GATE, "v0"],
    ),
    "a network before one with a metric": (
        f"{CABLE}ip address add 10.66.0.9/24 dev v0", DHCP, ["step 4", THE_GATE, "v0"],
    ),
    "a network of a link that comes up later": (
        "ip link add v0 type veth peer name v1\nip address add 10.66.0.250/29 dev v0\n"
        "ip link set v0 up", UPLINK, ["step 3", THE_GATE, "v0"],
    ),
    "INPUT drops all": (
        "iptables -I INPUT -j DROP", UPLINK, ["step 1", THE_SSH, "INPUT stops"],
    ),
    "OUTPUT rejects by the link": (
        "iptables -A OUTPUT -o eth7 -j REJECT", UPLINK, ["step 1", THE_SSH, "OUTPUT stops"],
    ),
    "INPUT drops the peer's network": (
        "iptables -w -t filter -A INPUT -s 203.0.113.0/24 -p tcp --dport 22 -j DROP", UPLINK,
        ["step 1", THE_SSH, "INPUT stops"],
    ),
    "INPUT drops what is not from the own network": (
        "iptables -A INPUT ! -s 10.66.0.0/24 -i eth+ -j DROP", UPLINK,
        ["step 1", THE_SSH, "INPUT stops"],
    ),
    "an own chain drops": (
        "iptables -N LAB\niptables -A LAB -p tcp --dport 20:25 -j DROP\niptables -I INPUT -j LAB",
        UPLINK, ["step 3", THE_SSH, "INPUT stops"],
    ),
    "new connections": (
        "iptables -A INPUT -p tcp --dport 22 -m conntrack --ctstate NEW -j DROP", UPLINK,
        ["step 1", THE_SSH, "INPUT may stop"],
    ),
    "what cannot be decided": (
        "iptables -A INPUT -p tcp -m limit --limit 5/s -j DROP", UPLINK,
        ["step 1", THE_SSH, "INPUT may stop"],
    ),
    "the raw table": (
        "iptables -t raw -A PREROUTING -i eth7 -j DROP", UPLINK, ["step 1", THE_SSH, "PREROUTING"],
    ),
    "the port of ssh published": (
        "iptables -t nat -A PREROUTING -p tcp --dport 22 -j DNAT --to-destination 10.9.0.2", UPLINK,
        ["step 1", THE_SSH, "nat PREROUTING may stop"],
    ),
    "the accepting rules deleted where the policy drops": (
        "#: undo iptables -A INPUT -p tcp --dport 22 -j ACCEPT\n"
        "iptables -D INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n"
        "#: undo iptables -A INPUT -p tcp --dport 22 -j ACCEPT\n"
        "iptables -D INPUT -p tcp --dport 22 -j ACCEPT",
        joined(UPLINK, CLOSED), ["step 2", THE_SSH, "INPUT stops"],
    ),
    "back to the policy, which drops": (
        "iptables -I INPUT -j RETURN", joined(UPLINK, CLOSED), ["step 1", THE_SSH, "INPUT stops"],
    ),
    "the chain emptied where the policy drops": (
        "#: undo iptables -A INPUT -p tcp --dport 22 -j ACCEPT\niptables -F INPUT",
        joined(UPLINK, CLOSED), ["step 1", THE_SSH, "INPUT stops"],
    ),
    "a small MTU": ("ip link set eth7 mtu 500", UPLINK, ["step 1", THE_SSH, "MTU"]),
    "no ARP": (
        f"echo 8 | tee {SETTINGS}/ipv4/conf/eth7/arp_ignore", UPLINK, ["step 1", THE_SSH, "ARP"],
    ),
    "the link that the session comes in by": (
        "ip link set eth7 down",
        joined(UPLINK, SECOND, route("203.0.113.0/24", via="10.88.0.254", dev="eth8")),
        ["step 1", THE_SSH, "eth7 is down"],
    ),
    "a filter of the link that the session comes in by": (
        "iptables -A INPUT -i eth7 -p tcp -j DROP",
        joined(UPLINK, SECOND, route("203.0.113.0/24", via="10.88.0.254", dev="eth8")),
        ["step 1", THE_SSH, "INPUT stops"],
    ),
    "what is open stays so, and nothing new is let in": (
        "#: undo iptables -A INPUT -p tcp --dport 22 -j ACCEPT\n"
        "iptables -D INPUT -p tcp --dport 22 -j ACCEPT",
        joined(UPLINK, CLOSED), ["step 1", THE_SSH, "INPUT may stop"],
    ),
    "no ARP for other networks": (
        f"echo 2 | tee {SETTINGS}/ipv4/conf/all/arp_ignore", UPLINK,
        ["step 1", THE_SSH, "eth7 may answer no ARP"],
    ),
    "no ARP on all links": (
        f"echo 8 | tee {SETTINGS}/ipv4/conf/all/arp_ignore", UPLINK, ["step 1", THE_SSH, "ARP"],
    ),
    "no ARP for addresses of other links": (
        f"echo 1 | tee {SETTINGS}/ipv4/conf/all/arp_ignore",
        joined(
            {ref: facts for ref, facts in UPLINK.items() if ref.name != "10.66.0.1/24"},
            address("lo", "10.66.0.1/32"),
        ),
        ["step 1", THE_SSH, "ARP"],
    ),
    "strict, and the answer goes by another link": (
        f"echo 1 | tee {SETTINGS}/ipv4/conf/all/rp_filter",
        joined(UPLINK, SECOND, route("203.0.113.0/24", via="10.88.0.254", dev="eth8")),
        ["step 1", THE_SSH, "rp_filter of eth7"],
    ),
    "another MAC": (
        "ip link set eth7 address 02:00:00:00:00:99", UPLINK, ["step 1", THE_SSH, "may", "MAC"],
    ),
    "a wrong MAC for the gateway": (
        "ip neigh add 10.66.0.254 lladdr 02:00:00:00:00:99 nud permanent dev eth7", UPLINK,
        ["step 1", THE_SSH, "may", "02:00:00:00:00:99"],
    ),
    "lo down, where the name server is": (
        GONE + "ip link set lo down", UPLINK, ["step 1", "the name server 127.0.0.53", "lo"],
    ),
}  # fmt: skip


SERVERS = ("10.66.0.53", "127.0.0.53", "fd00:66::53")


@pytest.mark.parametrize(("text", "host", "says"), CUTS.values(), ids=CUTS)
def test_cuts_off(text: str, host: State, says: list[str]) -> None:
    policy = FROM if host is TABLE else ()
    found = lost(text, host, asked(SSH, *SERVERS), policy)
    assert any(all(word in line for word in says) for line in found), found


CUTS6 = {
    "IPv6 off": f"echo 1 | tee {SETTINGS}/ipv6/conf/all/disable_ipv6",
    "IPv6 off on the link": f"echo 1 | tee {SETTINGS}/ipv6/conf/eth7/disable_ipv6",
    "an MTU without IPv6": "ip link set eth7 mtu 1279",
    "forwarding forgets the router": f"echo 1 | tee {SETTINGS}/ipv6/conf/all/forwarding",
    "forwarding of the link": f"echo 1 | tee {SETTINGS}/ipv6/conf/eth7/forwarding",
    "ip6tables": "ip6tables -A INPUT -p tcp --dport 22 -j DROP",
    "a route": f"{CABLE}ip -6 route add 2001:db8:9::/48 dev v0",
    "down, and up again": "ip link set eth7 down\nip link set eth7 up",
}


@pytest.mark.parametrize("text", CUTS6.values(), ids=CUTS6)
def test_cuts_off_a_session_by_ipv6(text: str) -> None:
    host = joined(UPLINK, setting("ipv6/conf/eth7/accept_ra", "1"))
    assert any(
        f"the ssh session from {SSH6.peer}: " in line for line in lost(text, host, asked(SSH6))
    )


HOSTILE = (
    "echo abc | tee /proc/sys/net/ipv4/conf/all/rp_filter",
    "echo 08 | tee /proc/sys/net/ipv4/conf/eth7/arp_ignore",
    "ip route add nowhere via nobody",
    "ip route add 10.9.0.0/16 via nobody dev eth7",
    "ip route add 10.9.0.0/16 dev eth7 metric much",
    "ip route add default via 10.99.0.1",
    "ip neigh add nobody lladdr x nud permanent dev nowhere",
    "#: undo none: x\nip address delete nothing dev eth7",
    "#: undo none: x\niptables -D INPUT -j NOWHERE",
    "iptables -A INPUT -s nobody.example -p udp --dport domain -j ACCEPT",
    "iptables -A INPUT -j",
)


@pytest.mark.parametrize("text", HOSTILE)
def test_what_means_nothing_cuts_nothing_off(text: str) -> None:
    assert lost(text) == []


def test_the_link_of_a_gateway_is_chosen_when_the_route_is_made() -> None:
    gone = "#: undo none: x\nip route delete default\n"
    text = f"{gone}ip route add default via 10.66.0.254\n{gone.replace('default', '10.66.0.0/24')}"
    assert not any(THE_SSH in line for line in lost(text, V4))
    assert any(THE_SSH in line for line in lost(gone, V4))


def test_a_way_by_several_gateways_is_not_known() -> None:
    host = joined({ref: facts for ref, facts in V4.items() if ref.name != "default"},
                  route("default"))  # fmt: skip
    assert lost("ip link set eth7 mtu 500", host, asked()) == []


STAYS = {
    "another link down": ("ip link set eth8 down", joined(UPLINK, SECOND)),
    "another link enslaved": (
        f"{BRIDGE}ip link set dev eth8 master bx", joined(UPLINK, SECOND),
    ),
    "a route elsewhere": (f"{CABLE}ip route add 198.51.100.0/24 dev v0", UPLINK),
    "a default route with a worse metric": (
        f"{CABLE}ip address add 10.7.0.1/24 dev v0\nip route add default via 10.7.0.2 metric 900",
        UPLINK,
    ),
    "a route of a table that nobody asks": (f"{CABLE}ip route add {PEER} dev v0 table 9", UPLINK),
    "the same network once more, and later": (
        f"{CABLE}ip address add 10.66.0.9/24 dev v0", UPLINK,
    ),
    "a primary address deleted where the next takes its place": (
        "#: undo ip address add 10.66.0.3/24 dev eth7\nip address delete 10.66.0.3/24 dev eth7",
        joined(
            {ref: facts for ref, facts in V4.items() if "10.66.0" not in ref.name},
            address("eth7", "10.66.0.3/24", "10.66.0.1/24"),
            connected("eth7", "10.66.0.3/24"),
            setting("ipv4/conf/all/promote_secondaries", "1"),
        ),
    ),
    "the server's address once more, on a port": (
        "ip address add 10.66.0.1/24 dev eth7",
        joined(
            {ref: facts for ref, facts in BRIDGED.items() if ref.name != "eth7"},
            address("eth7", "10.66.0.3/24"), link("eth7", master="br9"),
        ),
    ),
    "a second address": ("ip address add 10.66.0.7/24 dev eth7", UPLINK),
    "down and up, and all as before": (
        "ip link set eth7 down\nip link set eth7 up\nip route add default via 10.66.0.254",
        V4,
    ),
    "up, as it is already": ("ip link set eth7 up", UPLINK),
    "another port of the bridge of the way": (
        f"{CABLE}ip link set dev v0 master br9", BRIDGED,
    ),
    "a filter for another port": ("iptables -A INPUT -p tcp --dport 80 -j DROP", UPLINK),
    "a filter for another link": ("iptables -I INPUT -i v0 -j DROP", UPLINK),
    "a filter for another source": ("iptables -A INPUT -s 10.31.0.0/16 -j DROP", UPLINK),
    "a filter behind one that accepts": (
        "iptables -A INPUT -j DROP",
        joined(
            UPLINK,
            rules("iptables filter INPUT", "-m state --state RELATED,ESTABLISHED -j ACCEPT",
                  "-p tcp -m tcp --dport 22 -j ACCEPT", "-i eth7 -j ACCEPT"),
        ),
    ),
    "a filter of what is passed on": ("iptables -I FORWARD -j DROP", UPLINK),
    "what drops only invalid packets": (
        "iptables -I INPUT -m conntrack --ctstate INVALID -j DROP", UPLINK,
    ),
    "a filter where all is dropped already": (
        "iptables -A INPUT -j DROP",
        joined(UPLINK, rules("iptables filter INPUT", "-j DROP")),
    ),
    "a chain that nobody enters": ("iptables -N LAB\niptables -A LAB -j DROP", UPLINK),
    "a chain that returns": (
        "iptables -N LAB\niptables -A LAB -i eth7 -j RETURN\niptables -A LAB -j DROP\n"
        "iptables -I INPUT -j LAB", UPLINK,
    ),
    "masquerading by the link": (
        "iptables -t nat -A POSTROUTING -o eth7 -j MASQUERADE", UPLINK,
    ),
    "another port published": (
        "iptables -t nat -A PREROUTING -i eth7 -p tcp --dport 8080 -j DNAT --to 10.9.0.2:80",
        UPLINK,
    ),
    "the policy of the other back end": (
        "iptables -A INPUT -p tcp --dport 80 -j DROP",
        joined(UPLINK, rules("iptables-legacy filter INPUT", policy="DROP")),
    ),
    "a smaller MTU": ("ip link set eth7 mtu 1400", UPLINK),
    "a queue length, an alias": ("ip link set eth7 txqueuelen 500 alias lan", UPLINK),
    "ARP for the own addresses of the link": (
        f"echo 1 | tee {SETTINGS}/ipv4/conf/all/arp_ignore", UPLINK,
    ),
    "strict, and the answer goes back": (
        f"echo 1 | tee {SETTINGS}/ipv4/conf/all/rp_filter", UPLINK,
    ),
    "strict, but loose on the link": (
        f"echo 1 | tee {SETTINGS}/ipv4/conf/all/rp_filter",
        joined(
            UPLINK, SECOND, route("203.0.113.0/24", via="10.88.0.254", dev="eth8"),
            setting("ipv4/conf/eth7/rp_filter", "2"),
        ),
    ),
    "forwarding of IPv4": (f"echo 1 | tee {SETTINGS}/ipv4/ip_forward", UPLINK),
    "forwarding of IPv6, with the router heard all the same": (
        f"echo 1 | tee {SETTINGS}/ipv6/conf/all/forwarding",
        joined(UPLINK, setting("ipv6/conf/eth7/accept_ra", "2")),
    ),
    "forwarding of IPv6, with a router that a daemon hears": (
        f"echo 1 | tee {SETTINGS}/ipv6/conf/all/forwarding",
        joined(UPLINK, setting("ipv6/conf/eth7/accept_ra", "0")),
    ),
    "IPv6 off on links to come": (
        f"echo 1 | tee {SETTINGS}/ipv6/conf/default/disable_ipv6", UPLINK,
    ),
    "the right MAC for the gateway": (
        f"ip neigh add 10.66.0.254 lladdr {GATE} nud permanent dev eth7",
        joined(UPLINK, {Ref("neighbour", "", "10.66.0.254"): [{"dev": "eth7", "lladdr": GATE}]}),
    ),
    "a neighbour that is not on the way": (
        "ip neigh add 10.66.0.9 lladdr 02:00:00:00:00:99 nud permanent dev eth7", UPLINK,
    ),
    "a namespace's own": (
        "ip netns add n\nip -n n link set lo up\nip netns exec n iptables -A INPUT -j DROP\n"
        f"ip -n n route add {PEER} dev lo", UPLINK,
    ),
    "no host to be cut off": ("ip link set eth7 down", {}),
}  # fmt: skip


@pytest.mark.parametrize(("text", "host"), STAYS.values(), ids=STAYS)
def test_stays(text: str, host: State) -> None:
    assert lost(text, host) == []


def test_names_all_that_is_lost_and_the_step_of_each() -> None:
    text = f"{CABLE}ip address add 10.66.0.250/29 dev v0\nip link set eth7 down"
    assert sorted(lost(text)) == [
        f"step 4: {THE_GATE}: it is looked for by v0 instead of eth7",
        f"step 5: {THE_GATE}: no route leads there",
        "step 5: the gateway fe80::fe: no route leads there",
        f"step 5: {THE_SERVER}: no route leads there",
        f"step 5: {THE_SSH}: no route leads there",
    ]


def test_without_a_session_the_gateway_and_the_servers_are_asked_for() -> None:
    found = lost("ip link set eth7 down", seen=asked(None, "10.66.0.53"))
    assert [line.split(": ")[1] for line in found] == [
        THE_GATE, "the gateway fe80::fe", THE_SERVER,
    ]  # fmt: skip


def test_a_way_out_without_a_gateway() -> None:
    ppp = joined(link("ppp0"), address("ppp0", "192.0.2.7/32"),
                 route("default", dev="ppp0", scope="link"))  # fmt: skip
    assert lost("ip link set ppp0 down", ppp, asked(None)) == [
        "step 1: the way out by ppp0: no route leads there"
    ]


@pytest.mark.parametrize("zone", ["eth7", "eth8"])
def test_a_session_of_one_link_alone(zone: str) -> None:
    host = joined(UPLINK, SECOND, connected("eth8", "fe80::8/64"),
                  address("eth7", "fe80::7/64"), address("eth8", "fe80::8/64"))  # fmt: skip
    ssh = SshSession("fe80::9", 50000, f"fe80::{zone[-1]}", 22, zone)
    found = lost("ip link set eth8 down", host, asked(ssh))
    assert bool(found) == (zone == "eth8"), found


@pytest.mark.parametrize("name", builtin.LABS)
def test_the_articles_labs_cut_nothing_off(name: str) -> None:
    up = choose.part(name, (), "up")
    assert lost(up, UPLINK) == lost(up, BRIDGED) == lost(up, TABLE, policy=FROM) == []


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_the_examples_cut_nothing_off(file: Path) -> None:
    up = choose.plans(str(file), ()).up
    host = joined(UPLINK, CLOSED, setting("ipv6/conf/eth7/accept_ra", "2"))
    assert lost(up, BRIDGED) == lost(up, host) == []


class TestPolicy:
    """Rules of `ip rule` decide the table; what a packet has not got does not match."""

    @pytest.mark.parametrize(
        ("rule", "asks"),
        [
            ({"src": "all"}, True),
            ({"src": "10.66.0.0", "srclen": 24}, True),
            ({"src": "10.67.0.0", "srclen": 24}, False),
            ({"src": "10.67.0.0", "srclen": 24, "not": None}, True),
            ({"src": "all", "dst": "203.0.113.0", "dstlen": 24}, True),
            ({"src": "all", "dst": "198.51.100.1"}, False),
            ({"src": "all", "fwmark": "0x5"}, False),
            ({"src": "all", "fwmark": "0x5", "not": None}, True),
            ({"src": "all", "oif": "eth7"}, False),
            ({"src": "all", "iif": "eth7"}, False),
            ({"src": "all", "iif": "lo"}, True),
        ],
    )
    def test_which_table_is_asked(self, rule: Facts, asks: bool) -> None:
        policy = ({"priority": 9, "table": "9", **rule}, {"priority": 99, "table": "main"})
        found = lost("ip link set eth8 down", TABLE, asked(), policy)
        assert any(THE_SSH in line for line in found) == asks, found

    def test_a_table_without_its_default_route(self) -> None:
        rule = {"priority": 9, "src": "all", "table": "9", "suppress_prefixlen": 0}
        policy = (rule, {"priority": 99, "table": "main"})
        assert not any(THE_SSH in line for line in lost("ip link set eth8 down", TABLE,
                                                        asked(), policy))  # fmt: skip

    def test_nobody_is_lost_who_was_not_reached(self) -> None:
        policy = ({"priority": 9, "src": "all", "action": "blackhole"},)
        assert lost("ip link set eth7 down", V4, asked(), policy) == []


class TestFinding:
    """The trap in the table, on what doctor has seen."""

    SEEN = answers.seen(
        links={
            "lo": {"ifindex": 1, "kind": "", "up": True},
            "eth7": {"ifindex": 2, "kind": "", "up": True, "address": MAC, "mtu": 1500},
        },
        addresses=[{"dev": "eth7", "address": "10.66.0.1/24"}],
        routes=[
            {"type": "unicast", "dst": "default", "gateway": "10.66.0.254", "dev": "eth7"},
            {"type": "unicast", "dst": "10.66.0.0/24", "dev": "eth7", "protocol": "kernel"},
        ],
        rules={"iptables filter": [":INPUT DROP", "-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT"]},
    )

    def found(
        self, up: Plan, seen: Evidence | None = None, on_host: bool = True, new: Iterable[Step] = ()
    ) -> list[Finding]:
        findings = answers.diagnosed(up, on_host, seen or Evidence(self.SEEN, ssh=SSH), new)
        return [one for one in findings if one.id == "P28"]

    def test_says_the_step_and_what_is_lost(self) -> None:
        (one,) = self.found(plan("ip link set eth7 down"))
        assert one.severity == "refuse"
        assert one.evidence == "step 1: ip link set eth7 down"
        assert one.effect.split("\n") == [
            f"{THE_SSH}: no route leads there", f"{THE_GATE}: no route leads there",
        ]  # fmt: skip

    def test_is_one_for_each_step(self) -> None:
        found = self.found(plan("ip link set eth7 mtu 500\niptables -I INPUT -j DROP"))
        assert [one.evidence.split(":")[0] for one in found] == ["step 1"]
        # The policy drops all but ssh already.
        found = self.found(plan("iptables -I INPUT -j DROP\nip link set eth7 mtu 500"))
        assert [(one.evidence[:6], one.effect.split(":")[0]) for one in found] == [
            ("step 1", THE_SSH),
            ("step 2", THE_GATE),
        ]

    def test_does_not_apply_to_a_sandbox(self) -> None:
        assert self.found(plan("ip link set eth7 down"), on_host=False) == []

    def test_of_a_lab_that_is_up_only_new_steps_are_asked(self) -> None:
        up = plan("ip link set eth7 up\nip link set eth7 down")
        seen = Evidence(self.SEEN, ssh=SSH, labs=frozenset({"own"}))
        assert self.found(up, seen) == []
        assert self.found(up, seen, new=up.steps[:1]) == []
        (one,) = self.found(up, seen, new=up.steps[1:])
        assert one.evidence == "step 2: ip link set eth7 down"

    def test_a_network_within_which_the_peer_is(self) -> None:
        up = plan("ip link add v0 type veth peer name v1\nip link set v0 up\n"
                  "ip address add 203.0.113.1/24 dev v0")  # fmt: skip
        (one,) = self.found(up)
        assert "v0 instead of eth7" in one.effect


BRIDGES = """ip link add name br{0} type bridge
ip link set br{0} up
ip address add 10.{0}.0.1/16 dev br{0}
"""
CONTAINER = """ip netns add n{0}
ip link add v{0} type veth peer name c{0}
ip link set v{0} up
ip link set dev v{0} master br{1}
ip link set c{0} netns n{0}
ip -n n{0} address add 10.{1}.{2}.9/16 dev c{0}
ip -n n{0} link set c{0} up
ip -n n{0} route add default via 10.{1}.0.1
"""


def test_a_large_plan_costs_next_to_nothing() -> None:
    """Beside the one reading of all its steps, which the other traps need too."""
    text = "".join(BRIDGES.format(n) for n in range(40))
    text += "".join(CONTAINER.format(n, n // 250, n % 250) for n in range(10_000))
    began = time.process_time()
    steps = requirements_of(plan(text))
    reading = time.process_time() - began
    assert steps.here[-1].number > 80_000
    whom = lifelines(UPLINK, (), asked(SSH, "10.66.0.53"))
    assert best(steps, whom) < reading / 8


def best(steps: Requirements, whom: list[Lifeline]) -> float:
    times = []
    for _ in range(5):
        # Of this process: the machine may have other work.
        began = time.process_time()
        assert list(losses(steps.here, UPLINK, (), whom)) == []
        times.append(time.process_time() - began)
    return min(times)


class TestSession:
    @pytest.mark.parametrize(
        ("connection", "found"),
        [
            (f"{PEER} 50000 10.66.0.1 22", SSH),
            (f"::ffff:{PEER} 50000 ::ffff:10.66.0.1 22", SSH),
            (
                "fe80::1%eth0 50000 fe80::2%eth0 22",
                SshSession("fe80::1", 50000, "fe80::2", 22, "eth0"),
            ),
            ("nonsense", None),
            ("a b c d", None),
        ],
    )
    def test_is_what_ssh_says(
        self, monkeypatch: pytest.MonkeyPatch, connection: str, found: SshSession | None
    ) -> None:
        monkeypatch.setenv("SSH_CONNECTION", connection)
        assert machine.ssh_session() == found


def test_a_name_server_that_is_no_address_is_left_out() -> None:
    facts = replace(asked(None), nameservers=("dns.example",))
    assert [one.name for one in lifelines({}, (), facts)] == []
