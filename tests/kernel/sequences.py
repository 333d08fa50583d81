"""Sequences by a seed: a host with things of its own, labs on it, and what others do meanwhile.

Each command says what facts it is about (`names`) and what else it may take along (`reach`), in
words of this file, so that a difference can be traced to two commands that were about the same.
"""

import random
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.append(str(HERE.parent))

from generated import lab_file  # noqa: E402

FOLDER = "/run/sequence"
IPV4, IPV6 = "/proc/sys/net/ipv4", "/proc/sys/net/ipv6"


@dataclass(frozen=True)
class Command:
    """A command; own: it is about an object of a lab, so that it is meant to fail on the twin."""

    text: str
    names: frozenset[str] = frozenset()
    reach: frozenset[str] = frozenset()
    own: bool = False


@dataclass(frozen=True)
class Lab:
    """A lab as `up` takes it, the files it is made of, now and after a live change."""

    name: str
    given: str
    files: dict[str, str]
    changed: dict[str, str] = field(default_factory=dict)
    names: frozenset[str] = frozenset()
    reach: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Event:
    """One thing that happens: `others` a command; `up`, `change` and `down` a lab by its place."""

    what: str
    lab: int = 0
    command: Command = Command("")


@dataclass(frozen=True)
class Sequence:
    """All that happens, and the host that it happens on."""

    seed: int
    start: str
    labs: tuple[Lab, ...]
    events: tuple[Event, ...]


def command(text: str, names: str, reach: str = "", own: bool = False) -> Command:
    return Command(text, frozenset(names.split()), frozenset(reach.split()), own)


# --- the host

# An uplink eth7 and one for the default route, a bridge with two ports and one with none but a
# link beside it, a link that is down, and what is made on an uplink and a bridge. Each MAC is
# given: those of two hosts have to be equal.
LINKS = """
link set lo up
link add eth0 address 02:00:00:00:00:01 type veth peer name eth0x address 02:00:00:00:01:01
link add eth7 address 02:00:00:00:00:07 type veth peer name eth7x address 02:00:00:00:01:07
link add p9 address 02:00:00:00:00:09 type veth peer name q9 address 02:00:00:00:01:09
link add p8 address 02:00:00:00:00:08 type veth peer name q8 address 02:00:00:00:01:08
link add d0 address 02:00:00:00:00:0d type veth peer name d1 address 02:00:00:00:01:0d
link add br9 type bridge
link set p9 master br9
link add br8 type bridge
link set p8 master br8
link set d1 master br8
link add link eth7 name m7 address 02:00:00:00:02:07 type macvlan mode bridge
link add link br9 name m9 address 02:00:00:00:02:09 type macvlan mode bridge
"""
UP = ("eth0x", "eth0", "eth7x", "eth7", "q9", "p9", "q8", "p8", "br9", "br8", "m7", "m9")
ADDRESSES = """
address add 10.0.9.15/24 dev eth0
address add 10.66.0.1/24 dev eth7
address add 10.66.0.2/24 dev eth7
address add 10.5.0.1/24 dev br9
address add 2001:db8:7::1/64 dev eth7
address add 2001:db8:5::1/64 dev br9 nodad
address add 10.67.0.1/24 dev m7
address add 2001:db8:a7::1/64 dev m7 nodad
address add 2001:db8:a9::1/64 dev m9 nodad
route add default via 10.0.9.2 dev eth0
route add 198.51.100.0/24 via 10.66.0.254 mtu 1400
route add 198.18.0.0/16 dev eth7 metric 50
route add 2001:db8:77::/48 via 2001:db8:7::fe
route add default via 10.66.0.254 table 77
neigh add 10.66.0.9 lladdr 02:aa:00:00:00:09 nud permanent dev eth7
neigh add 10.5.0.9 lladdr 02:aa:00:00:00:59 nud permanent dev br9
neigh add 2001:db8:7::9 lladdr 02:aa:00:00:00:79 nud permanent dev eth7
neigh add proxy 10.66.0.77 dev eth7
rule add from 10.66.0.0/24 table 77 pref 200
"""
PORTS = """
link set dev p9 cost 77 isolated on
link set dev p8 hairpin on priority 5
fdb add 02:bb:00:00:00:99 dev p9 master static
fdb add 02:bb:00:00:00:98 dev p8 master static
"""
RULES4 = """*filter
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:THEIRS - [0:0]
-A INPUT -s 10.77.0.0/16 -j DROP
-A INPUT -p tcp -m tcp --dport 80 -j THEIRS
-A FORWARD -p tcp -m tcp --dport 80 -j DROP
-A FORWARD -j ACCEPT
-A FORWARD -p tcp -m tcp --dport 80 -j DROP
-A THEIRS -s 10.78.0.0/16 -j RETURN
COMMIT
*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
-A POSTROUTING -s 10.79.0.0/16 -o eth0 -j MASQUERADE
COMMIT
"""
RULES6 = """*filter
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
-A INPUT -s 2001:db8:bad::/48 -j DROP
-A FORWARD -j ACCEPT
-A FORWARD -s 2001:db8:bad::/48 -j DROP
COMMIT
"""
WRITTEN = (
    f"{IPV4}/conf/eth7/rp_filter 2",
    f"{IPV4}/conf/eth7x/proxy_arp 1",
    f"{IPV4}/conf/br9/forwarding 1",
    f"{IPV6}/conf/eth7x/disable_ipv6 1",
    f"{IPV6}/conf/q8/accept_ra 0",
    f"{IPV4}/conf/default/rp_filter 1",
    f"{IPV4}/ip_forward 1",
    f"{IPV6}/conf/all/forwarding 1",
    f"{IPV6}/conf/br9/addr_gen_mode 1",
    f"{IPV4}/ip_default_ttl 70",
)
FOREIGN_SPACE = """
ip netns add f0
ip link add g0 address 02:00:00:00:00:f0 type veth peer name g1 address 02:00:00:00:01:f0 netns f0
ip -n f0 link set g1 up
ip link set g0 up
ip -n f0 address add 10.6.0.2/24 dev g1
ip address add 10.6.0.1/24 dev g0
"""


def start(dice: random.Random) -> str:
    """Lines of a shell that prepare the host."""
    # Without the search for duplicates there is nothing to wait for; with it, now and then.
    quick = "0" if dice.random() < 0.85 else "1"
    settings = [line for line in WRITTEN if dice.random() < 0.35]
    tbf = dice.random() < 0.5
    lines = [
        *(f"echo {quick} > {IPV6}/conf/{which}/accept_dad" for which in ("all", "default")),
        _here("ip -batch -", LINKS),
        *(f"echo {value} > {path}" for path, value in map(str.split, settings)),
        _here("ip -batch -", "".join(f"link set {link} up\n" for link in UP)),
        _here("ip -batch -", ADDRESSES),
        _here("bridge -batch -", PORTS),
        _here("iptables-restore", RULES4) if dice.random() < 0.7 else "",
        _here("ip6tables-restore", RULES6) if dice.random() < 0.4 else "",
        "tc qdisc add dev p8 root tbf rate 5mbit burst 32kb latency 50ms" if tbf else "",
        FOREIGN_SPACE.strip() if dice.random() < 0.2 else "",
    ]
    return "\n".join(line for line in lines if line) + "\n"


def _here(program: str, text: str) -> str:
    return f"{program} <<'.'\n{text.strip()}\n."


# --- what a lab and others may both do to things that are there

FOREIGN = ("eth7", "p9", "q9", "p8", "q8", "br9", "br8", "d0", "eth7x", "eth0")
ON_A_BRIDGE = {"p9": "br9", "p8": "br8", "d1": "br8"}
FAR = {"eth7": "eth7x", "p9": "q9", "p8": "q8", "eth0": "eth0x", "d0": "d1"}
FAR |= {far: near for near, far in FAR.items()}
Dice = random.Random


def _all_of(link: str) -> str:
    return f"{link}.addresses6 {link}.routes {link}.neighbours {link}.settings"


def _of_bridge(link: str) -> str:
    bridge = ON_A_BRIDGE.get(link, "")
    return f" {bridge}.mac {bridge}.mtu" if bridge else ""


def mtu(dice: Dice, who: str) -> Command:
    link = dice.choice(FOREIGN)
    size = dice.choice((1300, 1400, 1450, 1500, 1280, 1200))
    reach = _of_bridge(link) + (f" {_all_of(link)}" if size < 1280 else f" {link}.routes")
    names = f"{link}.mtu{_pinned(link, who)}"
    return command(f"ip link set dev {link} mtu {size}", names, reach)


def _pinned(link: str, who: str) -> str:
    """A bridge whose MTU was set by hand follows its ports no more, and nothing changes that."""
    if who == "others":
        return f" {ON_A_BRIDGE.get(link)}.pinned"
    return f" {link}.pinned" if link.startswith("br") else ""


def up_or_down(dice: Dice, who: str) -> Command:
    link, where = dice.choice(FOREIGN), dice.choice(("up", "down", "down"))
    far = f" {FAR[link]}.routes {FAR[link]}.addresses6" if link in FAR else ""
    return command(f"ip link set {link} {where}", f"{link}.up", f"{_all_of(link)}{far}")


def alias(dice: Dice, who: str) -> Command:
    link = dice.choice(FOREIGN)
    return command(f"ip link set dev {link} alias {who}", f"{link}.alias")


def queue_length(dice: Dice, who: str) -> Command:
    link = dice.choice(FOREIGN)
    return command(
        f"ip link set dev {link} txqueuelen {dice.randint(10, 99)}", f"{link}.txqueuelen"
    )


def mac(dice: Dice, who: str) -> Command:
    link = dice.choice(("eth7", "q9", "q8", "p9", "eth7x", "d0"))
    number = dice.randint(16, 99)
    reach = f"{link}.neighbours {link}.addresses6{_of_bridge(link)}"
    names = f"{link}.mac" + (f" {_one_loss(ON_A_BRIDGE.get(link, ''))}" if who != "others" else "")
    return command(f"ip link set dev {link} address 02:cc:00:00:00:{number}", names, reach)


def _one_loss(bridge: str) -> str:
    """A bridge of which down takes nothing but neighbours, which another MAC takes as well.

    Where a lab has taken them already, nothing tells that it was down for a while.
    """
    return f"{bridge}.known" if bridge == "br9" else ""


def master(dice: Dice, who: str) -> Command:
    # Never two cables between two bridges, nor both ends of one in a bridge: what is broadcast
    # in such a ring takes the machine. So q8 joins only a lab's own bridge, and d0 only br9.
    link = dice.choice(("p9", "p8", "eth7x", "eth7x", "d0"))
    bridge = dice.choice(("br9", "br8", ""))
    bridge = "" if link == "d0" and bridge == "br8" else bridge
    text = f"ip link set dev {link} " + (f"master {bridge}" if bridge else "nomaster")
    bridges = "br9.mac br9.mtu br8.mac br8.mtu"
    # What others set of a port in another bridge may be meant for its place there: it is told.
    names = f"{link}.master" + (
        " br8.pinned br9.pinned" if who == "others" else f" {link}.port {_one_loss('br9')}"
    )
    return command(text, names, f"{link}.port {link}.table {link}.routes {bridges}")


def hairpin(dice: Dice, who: str) -> Command:
    link, state = dice.choice(("p9", "p8")), dice.choice(("on", "off"))
    return command(f"ip link set dev {link} type bridge_slave hairpin {state}", f"{link}.hairpin")


def address(dice: Dice, who: str) -> Command:
    link = dice.choice(("eth7", "br9", "br8", "q9", "d0", "eth0"))
    number = {"a": 11, "b": 12}.get(who, dice.randint(13, 20))
    # It sets all settings of its link by hand, which then follow no default.
    more = "" if who == "others" else " set4.default"
    if dice.random() < 0.6:
        net = dice.choice((f"10.{number}.0.{number}/24", f"10.66.0.{number}/24", "10.9.0.1/24"))
        return command(f"ip address add {net} dev {link}", f"{link}.{net}{more}")
    net = f"2001:db8:{number}::1/64"
    return command(f"ip -6 address add {net} dev {link} nodad", f"{link}.{net}")


def route(dice: Dice, who: str) -> Command:
    number = {"a": 1, "b": 2}.get(who, dice.randint(3, 9))
    to = dice.choice((f"203.0.{number}.0/24", "192.0.2.0/24"))
    way = dice.choice(
        ("via 10.66.0.254", "via 10.5.0.254 dev br9", "dev eth7", "via 10.0.9.3 metric 77")
    )
    if dice.random() < 0.25:
        to = f"2001:db8:{number}ff::/48"
        return command(f"ip -6 route add {to} via 2001:db8:7::fd dev eth7", f"route.{to}")
    return command(f"ip route add {to} {way}", f"route.{to}")


def neighbour(dice: Dice, who: str) -> Command:
    number = {"a": 31, "b": 32}.get(who, dice.randint(33, 39))
    link, net = dice.choice((("eth7", "10.66.0"), ("br9", "10.5.0")))
    to = f"{net}.{number}"
    text = f"ip neigh add {to} lladdr 02:dd:00:00:00:{number} nud permanent dev {link}"
    return command(text, f"{link}.neigh.{to}", f"{link}.one_neighbour")


PLACES = ("INPUT", "FORWARD", "OUTPUT")
MATCHES = (
    "-p tcp --dport 80 -j DROP",
    "-s 10.77.0.0/16 -j DROP",
    "-i br9 -j ACCEPT",
    "-p udp --dport 53 -j ACCEPT",
    "-j ACCEPT",
)


def rule(dice: Dice, who: str) -> Command:
    tool = "ip6tables" if dice.random() < 0.25 else "iptables"
    chain = dice.choice(PLACES)
    match = _match(dice, tool, chain)
    if dice.random() < 0.5:
        return command(f"{tool} -A {chain} {match}", _same(tool, chain, match))
    # What is typed with a number means another rule after an insert.
    places = f" {tool}.{chain}.places" if who != "others" else ""
    return command(f"{tool} -I {chain} {match}", _same(tool, chain, match) + places)


def _same(tool: str, chain: str, match: str) -> str:
    return f"{tool}.{chain}.{match}".replace(" ", "_")


def _match(dice: Dice, tool: str, chain: str) -> str:
    match = dice.choice([one for one in MATCHES if chain != "OUTPUT" or "-i" not in one])
    return _in_family(tool, match)


def _in_family(tool: str, match: str) -> str:
    return match.replace("10.77.0.0/16", "2001:db8:bad::/48") if tool == "ip6tables" else match


def nat_rule(dice: Dice, who: str) -> Command:
    net = {"a": "10.11.0.0/16", "b": "10.12.0.0/16"}.get(who, "10.79.0.0/16")
    text = f"iptables -t nat -A POSTROUTING -s {net} -o eth0 -j MASQUERADE"
    return command(text, "")


def queue(dice: Dice, who: str) -> Command:
    link, rate = dice.choice(("eth7", "q9", "eth7x", "p8")), dice.choice((1, 2, 10))
    text = f"tc qdisc add dev {link} root tbf rate {rate}mbit burst 32kb latency 50ms"
    return command(text, f"{link}.queue")


SETTINGS4 = ("rp_filter", "proxy_arp", "accept_redirects", "log_martians", "arp_ignore")
SETTINGS6 = ("accept_ra", "accept_redirects", "hop_limit", "autoconf")
WHERE = ("all", "default", "eth7", "br9", "q8", "p9")


def setting(dice: Dice, who: str) -> tuple[str, str, str, str]:
    """Path, value, what it is about and what it reaches."""
    kind = dice.random()
    where = dice.choice(WHERE)
    if kind < 0.2:
        value = dice.choice("01")
        reach = "set4.forwarding set4.accept_redirects set4.send_redirects"
        return f"{IPV4}/ip_forward", value, "set4.forwarding", reach
    if kind < 0.35:
        reach = "set6.proxy_ndp set6.accept_ra"
        return f"{IPV6}/conf/{where}/forwarding", dice.choice("01"), "set6.forwarding", reach
    if kind < 0.5:
        links = FOREIGN if where in ("all", "default") else (where,)
        reach = " ".join(_all_of(link) for link in links)
        return f"{IPV6}/conf/{where}/disable_ipv6", dice.choice("011"), "set6.disable_ipv6", reach
    if kind < 0.55:
        value = dice.choice("01")
        return f"{IPV6}/conf/{where}/addr_gen_mode", value, "set6.addr_gen_mode", ""
    if kind < 0.65:
        return f"{IPV4}/ip_default_ttl", str(dice.randint(40, 90)), "set4.ip_default_ttl", ""
    if kind < 0.7:
        return f"{IPV4}/conf/{where}/forwarding", dice.choice("01"), "set4.forwarding", ""
    if kind < 0.87:
        name = dice.choice(SETTINGS4)
        return (
            f"{IPV4}/conf/{where}/{name}",
            dice.choice("012"[: 2 + (name[0] == "r")]),
            f"set4.{name}",
            "",
        )
    name = dice.choice(SETTINGS6)
    value = str(dice.randint(30, 90)) if name == "hop_limit" else dice.choice("01")
    return f"{IPV6}/conf/{where}/{name}", value, f"set6.{name}", ""


def lab_setting(dice: Dice, who: str) -> Command:
    path, value, names, reach = setting(dice, who)
    lost = [f"{link}.six" for link in FOREIGN if f"{link}.addresses6" in reach.split()]
    lost += ["begun.default"] if "/conf/default/" in path else []
    return command(f"echo {value} | tee {path}", " ".join([names, *lost]), reach)


def own_setting(dice: Dice, who: str) -> Command:
    path, value, names, reach = setting(dice, who)
    names += " set4.default" if path.startswith(f"{IPV4}/conf/default/") else ""
    return command(f"echo {value} > {path}", names, reach)


Maker = Callable[[Dice, str], Command]
BOTH: dict[Maker, int] = {
    mtu: 3, up_or_down: 2, alias: 1, queue_length: 1, mac: 2, master: 2, hairpin: 1,
    address: 4, route: 3, neighbour: 2, rule: 4, nat_rule: 1, queue: 1,
}  # fmt: skip


# --- what only a lab does: objects of its own among foreign ones


def own_cable(dice: Dice, who: str) -> list[Command]:
    near, far = f"v0{who}", f"v1{who}"
    lines = [command(f"ip link add {near} type veth peer name {far}", f"{near} {far}")]
    bridge = dice.choice(("br9", "br8", ""))
    if bridge:
        text = f"ip link set dev {near} master {bridge}"
        lines.append(command(text, "", f"{bridge}.mac {bridge}.mtu"))
    lines.append(command(f"ip link set {near} up", ""))
    lines.append(command(f"ip link set {far} up", ""))
    if dice.random() < 0.4:
        net = f"10.2{'12'[who == 'b']}.0.1/24"
        lines.append(command(f"ip address add {net} dev {near}", ""))
    return lines


def own_bridge(dice: Dice, who: str) -> list[Command]:
    bridge, link = f"bx{who}", dice.choice(("q8", "eth7x", "eth7x", ""))
    lines = [command(f"ip link add name {bridge} type bridge", bridge)]
    if link:
        text = f"ip link set dev {link} master {bridge}"
        lines.append(command(text, f"{link}.master", f"{link}.port {link}.table {link}.routes"))
    lines.append(command(f"ip link set {bridge} up", ""))
    lines.append(command(f"ip address add 10.3{'12'[who == 'b']}.0.1/24 dev {bridge}", ""))
    return lines


def own_space(dice: Dice, who: str) -> list[Command]:
    space, near, far = f"n0{who}", f"w0{who}", f"w1{who}"
    net = f"10.4{'12'[who == 'b']}.0.2/24"
    return [
        command(f"ip netns add {space}", space),
        command(f"ip link add {near} type veth peer name {far} netns {space}", f"{near} {far}"),
        command(f"ip link set {near} up", ""),
        command(f"ip netns exec {space} ip link set {far} up", ""),
        command(f"ip netns exec {space} ip address add {net} dev {far}", ""),
    ]


def own_chain(dice: Dice, who: str) -> list[Command]:
    chain = f"LAB{who.upper()}"
    return [
        command(f"iptables -N {chain}", chain),
        command(f"iptables -A {chain} -s 10.80.0.0/16 -j DROP", ""),
        command(f"iptables -{dice.choice('AI')} INPUT -j {chain}", "iptables.INPUT.places"),
    ]


OWN_THINGS = (own_cable, own_bridge, own_space, own_chain)


# --- what only others do


def rename(dice: Dice, who: str) -> list[Command]:
    link = dice.choice(("q8", "d0", "eth7x", "p8", "eth7"))
    names, new = f"{link}.name", f"z{link}"
    return [
        command(f"ip link set {link} down", f"{names} {link}.up", _all_of(link)),
        command(f"ip link set {link} name {new}", names, f"{new}.name"),
        command(f"ip link set {new} up", f"{names} {link}.up"),
    ]


def delete_link(dice: Dice, who: str) -> list[Command]:
    link = dice.choice(("p8", "q8", "d0", "br8", "eth7"))
    return [command(f"ip link delete {link}", f"{link}.gone", f"{_all_of(link)}{_of_bridge(link)}")]


def new_link(dice: Dice, who: str) -> list[Command]:
    number = dice.randint(1, 3)
    near, far, a, b = (
        f"x{number}",
        f"y{number}",
        f"02:ee:00:00:00:0{number}",
        f"02:ee:00:00:01:0{number}",
    )
    lines = [command(f"ip link add {near} address {a} type veth peer name {far} address {b}", near)]
    lines += [command(f"ip link set {link} up", near) for link in (near, far)]
    if dice.random() < 0.6:
        lines.append(command(f"ip address add 10.5{number}.0.1/24 dev {near}", near))
    if dice.random() < 0.3:
        lines.append(command(f"ip link set {far} master br9", near, "br9.mac br9.mtu"))
    return lines


def new_bridge(dice: Dice, who: str) -> list[Command]:
    return [
        command("ip link add br7 address 02:ee:00:00:00:77 type bridge", "br7"),
        command("ip link set br7 up", "br7"),
        command("ip address add 10.57.0.1/24 dev br7", "br7"),
    ]


def new_space(dice: Dice, who: str) -> list[Command]:
    return [
        command("ip netns add theirs", "theirs"),
        command("ip netns exec theirs ip link set lo up", "theirs"),
    ]


def replaced_address(dice: Dice, who: str) -> list[Command]:
    one = dice.choice(("10.66.0.1/24 dev eth7", "10.66.0.2/24 dev eth7", "10.5.0.1/24 dev br9",
                       "2001:db8:7::1/64 dev eth7", "2001:db8:5::1/64 dev br9"))  # fmt: skip
    link = one.rpartition(" ")[2]
    lines = [command(f"ip address del {one}", f"{link}.{one.split()[0]}", f"{link}.routes")]
    if dice.random() < 0.5:
        lines.append(command("ip address add 10.88.0.1/24 dev eth7 label eth7:x", ""))
    return lines


def replaced_route(dice: Dice, who: str) -> list[Command]:
    text, key = dice.choice((
        ("ip route replace default via 10.0.9.3 dev eth0", "route.default"),
        ("ip route del 198.51.100.0/24", "route.198.51.100.0/24"),
        ("ip route replace 198.51.100.0/24 via 10.66.0.253 mtu 1300", "route.198.51.100.0/24"),
        ("ip -6 route del 2001:db8:77::/48", "route.2001:db8:77::/48"),
        ("ip route add 203.0.113.0/25 via 10.66.0.254 table 78", "route.203.0.113.0/25"),
        ("ip -6 route add 2001:db8:66::/48 via fe80::1 dev eth7", "route.2001:db8:66::/48"),
        ("ip route add blackhole 203.0.113.128/25", "route.203.0.113.128/25"),
    ))  # fmt: skip
    return [command(text, key)]


def policy(dice: Dice, who: str) -> list[Command]:
    text = dice.choice((
        "ip rule add from 10.66.0.2 table 78 pref 150",
        "ip rule del pref 200",
        "ip rule add to 10.99.0.0/16 table 77",
        "ip rule add iif eth7 table 77 pref 300",
        "ip -6 rule add from 2001:db8:7::/64 table 77 pref 160",
    ))  # fmt: skip
    return [command(text, "policy")]


def placed_rule(dice: Dice, who: str) -> list[Command]:
    chain, tool = dice.choice(PLACES), "ip6tables" if dice.random() < 0.2 else "iptables"
    match, kind = _match(dice, tool, chain), dice.random()
    if kind < 0.3:
        return [command(f"{tool} -D {chain} {dice.choice('12')}", f"{tool}.{chain}.places")]
    if kind < 0.6:
        text = f"{tool} -I {chain} {dice.choice('23')} {match}"
        return [command(text, f"{tool}.{chain}.places")]
    if kind < 0.9:
        return [command(f"{tool} -D {chain} {match}", _same(tool, chain, match))]
    return [command(f"{tool} -F {chain}", "")]


def restored(dice: Dice, who: str) -> list[Command]:
    return [command("iptables-save | iptables-restore", "")]


def own_neighbour(dice: Dice, who: str) -> list[Command]:
    text = dice.choice((
        "ip neigh del 10.66.0.9 dev eth7",
        "ip neigh replace 10.66.0.9 lladdr 02:dd:00:00:00:ff nud permanent dev eth7",
        "ip neigh add proxy 10.66.0.78 dev eth7",
        "ip -6 neigh add 2001:db8:7::8 lladdr 02:dd:00:00:00:fe nud permanent dev eth7",
    ))  # fmt: skip
    return [command(text, "eth7.neigh.10.66.0.9", "eth7.neighbours")]


def table(dice: Dice, who: str) -> list[Command]:
    port = dice.choice(("p9", "p8"))
    text = dice.choice((
        f"bridge fdb add 02:bb:00:00:00:{dice.randint(10, 20)} dev {port} master static",
        "bridge fdb del 02:bb:00:00:00:99 dev p9 master",
        f"bridge link set dev {port} cost {dice.randint(5, 50)} guard on",
        f"bridge link set dev {port} isolated {dice.choice(('on', 'off'))}",
        f"bridge link set dev {port} learning off flood off",
    ))  # fmt: skip
    return [command(text, f"{port}.port", f"{port}.table")]


def other_queue(dice: Dice, who: str) -> list[Command]:
    link = dice.choice(("eth7", "q9", "p8"))
    text = dice.choice((
        f"tc qdisc replace dev {link} root tbf rate 7mbit burst 16kb latency 20ms",
        f"tc qdisc del dev {link} root",
    ))  # fmt: skip
    return [command(text, f"{link}.queue")]


def flipped(dice: Dice, who: str) -> list[Command]:
    link = dice.choice(FOREIGN)
    far = f" {FAR[link]}.routes" if link in FAR else ""
    # Where a lab has taken the addresses of IPv6 already, nothing tells that this would have, too.
    names, reach = f"{link}.up {link}.six {_one_loss(link)}", f"{_all_of(link)}{far}"
    return [command(f"ip link set {link} {where}", names, reach) for where in ("down", "up")]


THEIRS: dict[Callable[[Dice, str], list[Command]], int] = {
    rename: 2, delete_link: 1, new_link: 3, new_bridge: 1, new_space: 1, replaced_address: 3,
    replaced_route: 3, policy: 3, placed_rule: 4, restored: 1, own_neighbour: 2, table: 3,
    other_queue: 1, flipped: 2,
}  # fmt: skip


# --- what few do: those below have been played to their end without it


def rare_route(dice: Dice, who: str) -> list[Command]:
    to = f"203.0.{dice.randint(120, 125)}.0/24"
    six = f"2001:db8:{dice.randint(120, 125)}::/48"
    text = dice.choice((
        f"ip route add {to} nexthop via 10.66.0.253 weight 2 nexthop via 10.5.0.7 weight 1",
        f"ip route add {to} via 10.66.0.254 realms 5 rtt 50ms initcwnd 20 features ecn",
        f"ip route add {to} dev eth7 table 79 tos 8 proto static src 10.66.0.1",
        f"ip -6 route add {six} via 2001:db8:7::fd expires 5000",
        f"ip -6 route add {six} via fe80::1 dev eth7 proto ra metric 1024 expires 5000 pref high",
        f"ip -6 route add {six} from 2001:db8:99::/48 via 2001:db8:7::fd",
    ))  # fmt: skip
    return [command(text, f"route.{text.split()[3 if '-6' not in text else 4]}")]


def rare_address(dice: Dice, who: str) -> list[Command]:
    number, link = dice.randint(40, 45), dice.choice(("eth7", "br9", "eth0"))
    text = dice.choice((
        f"ip address add 10.{number}.0.1/24 dev {link} valid_lft 5000 preferred_lft 4000",
        f"ip address add 10.{number}.0.1 peer 10.{number}.0.2/32 dev {link} metric 70",
        f"ip address add 10.{number}.0.1/24 dev {link} noprefixroute label {link}:mine",
        f"ip -6 address add 2001:db8:{number}::1/64 dev {link} nodad home mngtmpaddr",
        f"ip -6 address add 2001:db8:{number}::1/64 dev {link} nodad noprefixroute metric 70",
        f"ip -6 address add 2001:db8:{number}::1/64 dev {link} nodad valid_lft 900 preferred_lft 0",
    ))  # fmt: skip
    return [command(text, f"{link}.{number}")]


def rare_port(dice: Dice, who: str) -> list[Command]:
    port, bridge = dice.choice((("p9", "br9"), ("p8", "br8")))
    text = dice.choice((
        f"bridge mdb add dev {bridge} port {port} grp 239.1.1.{dice.randint(1, 3)} permanent",
        f"bridge fdb add 02:bb:00:00:01:0{dice.randint(1, 3)} dev {port} master static sticky",
        f"bridge link set dev {port} mcast_router {dice.choice('02')}",
        f"bridge link set dev {port} neigh_suppress on mcast_to_unicast on",
    ))  # fmt: skip
    return [command(text, f"{port}.port", f"{port}.table")]


def rare_neighbour(dice: Dice, who: str) -> list[Command]:
    to = f"10.66.0.{dice.randint(50, 55)} lladdr 02:dd:00:00:01:01 nud permanent"
    more = dice.choice(("router", "protocol static", "extern_learn"))
    return [command(f"ip neigh add {to} {more} dev eth7", f"eth7.neigh.{to.split()[0]}")]


def rare_name(dice: Dice, who: str) -> list[Command]:
    """Another name beside, the old one beside a new one, or two links that change theirs."""
    link, kind = dice.choice(("eth7", "q8", "p9", "br9")), dice.random()
    if kind < 0.4:
        text = f"ip link property add dev {link} altname also-{link}"
        return [command(text, f"{link}.altname")]
    steps = [f"set {link} down", f"set {link} name z{link}", f"set z{link} up"]
    steps += [f"property add dev z{link} altname {link}"]
    if kind < 0.7:
        steps = ["set eth7 down", "set q8 down", "set eth7 name swapped", "set q8 name eth7"]
        steps += ["set swapped name q8", "set eth7 up", "set q8 up"]
    links = (link, "eth7", "q8", "eth7x")
    # As with `flipped`, nothing tells what it would have taken that a lab has taken already.
    lost = " ".join(f"{one}.six {_one_loss(one)}" for one in links)
    names = lost + "".join(f" {one}.name {one}.up {_all_of(one)}" for one in links)
    return [command(f"ip link {one}", names) for one in steps]


def made_anew(dice: Dice, who: str) -> list[Command]:
    """Another cable under the names of one that is gone."""
    near, far = dice.choice((("eth7", "eth7x"), ("q9", "p9"), ("d0", "d1")))
    add = f"add {near} address 02:00:00:00:03:01 type veth peer name {far}"
    steps = [
        f"delete {near}",
        f"{add} address 02:00:00:00:03:02",
        f"set {near} up",
        f"set {far} up",
    ]
    names = " ".join(f"{one}.gone {one}.up {_all_of(one)}" for one in (near, far))
    return [command(f"ip link {one}", names, _of_bridge(far)) for one in steps]


def away_and_back(dice: Dice, who: str) -> list[Command]:
    """To another namespace, which costs a link all that it had."""
    link = dice.choice(("q8", "d0", "eth7"))
    # As with `flipped`, nothing tells that it would have taken what a lab has taken already.
    # Nor whether it has begun with a default of the lab's, or somebody has typed that.
    names = f"{link}.up {link}.away {link}.six begun.default {_all_of(link)}"
    steps = ["ip netns add away", f"ip link set {link} netns away"]
    back = f"ip -n away link set {link} netns $$; :"
    steps += [back, f"ip link set {link} up"] if dice.random() < 0.7 else []
    return [command(one, names, _of_bridge(link)) for one in steps]


def rare_rule(dice: Dice, who: str) -> list[Command]:
    chain, net = dice.choice(PLACES), f"10.{dice.randint(50, 55)}.0.0/16"
    return [command(dice.choice((
        f"iptables-legacy -A {chain} -s {net} -j DROP",
        f"nft insert rule ip filter {chain} ip saddr {net} counter drop",
        "nft add table inet theirs",
        "iptables -P FORWARD DROP",
        "iptables -Z",
        "iptables -t mangle -A FORWARD -p tcp -j MARK --set-mark 7",
        f"iptables -A {chain} -m comment --comment 'it is mine' -s {net} -j ACCEPT",
        "iptables-save | awk '/^-A FORWARD/ {a[n++] = $0; next} "
        "/COMMIT/ {while (n) print a[--n]} {print}' | iptables-restore",
    )), f"iptables.{chain}.places iptables.FORWARD.places")]  # fmt: skip


def rare_policy(dice: Dice, who: str) -> list[Command]:
    return [command(dice.choice((
        "ip rule add fwmark 7 table 79 pref 170",
        "ip rule add iif br9 ipproto tcp dport 80 table 79 pref 171",
        "ip rule add from 10.66.0.0/24 prohibit pref 172",
        "ip -6 rule add oif eth7 goto 32766 pref 173",
    )), "policy")]  # fmt: skip


def made_on(dice: Dice, who: str) -> list[Command]:
    """What is made on a link of the host's own."""
    link, number = dice.choice(("eth7", "br9", "eth0")), dice.randint(1, 2)
    mac = f"address 02:ee:00:00:02:0{number}"
    text = dice.choice((
        f"ip link add link {link} name on{number} {mac} type macvlan mode bridge",
        f"ip link add on{number} {mac} type vxlan id {number} dstport 4789 dev {link}",
    ))  # fmt: skip
    # What it is made on gives it its MTU once.
    return [command(text, f"on{number} {link}.mtu", f"{link}.up")]


RARE: dict[Callable[[Dice, str], list[Command]], int] = {
    rare_route: 4, rare_address: 4, rare_port: 3, rare_neighbour: 2, rare_name: 2, made_anew: 1,
    away_and_back: 1, rare_rule: 3, rare_policy: 1, made_on: 1,
}  # fmt: skip
# From these seeds on they are played, too, and what others do to a lab's own things elsewhere.
RARE_FROM, LATE_FROM = 10_000, 30_000
# From here on nobody else is there: labs come, change and go beside each other.
ALONE_FROM = 1_000_000


def elsewhere(lab: Lab) -> list[list[str]]:
    """Where others take what a lab made: both ends of a cable away, a chain to another name."""
    spaces, links = objects(lab)
    choices = [[f"iptables -E {chain} HIS"] for chain in ("LABA", "LABB")]
    for near in (link for link in links if link[0] in "vw"):
        far = near.replace("0", "1", 1)
        inside = f"ip netns exec {spaces[0]} " if near[0] == "w" and spaces else ""
        ends = [f"ip link set {near} netns far", f"{inside}ip link set {far} netns far"]
        choices.append(["ip netns add far", *ends])
    return choices


def against(
    lab: str, spaces: list[str], links: list[str], dice: Dice, more: list[list[str]]
) -> list[Command]:
    """What others do to the objects of a lab itself, or hang on them."""
    choices: list[list[str]] = [[f"ip netns delete {space}"] for space in spaces] + more
    choices += [
        [f"ip netns delete {space}", f"ip netns add {space}"] for space in spaces if space != "f0"
    ]
    for number, link in enumerate(links):
        mac = f"02:ef:00:00:00:0{number}"
        choices += [
            [f"ip link delete {link}"],
            [f"ip link set {link} down"],
            [f"ip link set {link} mtu 1350"],
            [
                f"ip link set {link} down",
                f"ip link set {link} name r{link}",
                f"ip link set r{link} up",
            ],
            [
                f"ip link delete {link}",
                f"ip link add {link} address {mac} type bridge",
                f"ip link set {link} up",
            ],
            [f"ip address add 10.90.{number}.1/24 dev {link}"],
            [f"ip link set eth7x master {link}"],
            [f"ip route add 192.0.2.128/25 dev {link}"],
        ]
    if not choices:
        return []
    return [command(text, lab, own=True) for text in dice.choice(choices)]


# --- labs


def template(dice: Dice, who: str) -> Lab:
    """A folder with a few commands, most of them about things that are there."""
    first, second = _steps(dice, who), _steps(dice, who)
    changed = _mixed(dice, first, second)
    name = f"t{who}"
    everything = [one for group in (*first, *changed) for one in group]
    return Lab(
        name,
        f"./{name}",
        _folder(name, first),
        _folder(name, changed),
        frozenset().union(*(one.names for one in everything)),
        frozenset().union(*(one.reach for one in everything)),
    )


def _steps(dice: Dice, who: str) -> list[list[Command]]:
    makers = dice.choices(list(BOTH), list(BOTH.values()), k=dice.randint(1, 4))
    groups = [[maker(dice, who)] for maker in makers]
    groups += [[lab_setting(dice, who)] for _ in range(dice.choice((0, 0, 1, 2)))]
    groups += [make(dice, who) for make in OWN_THINGS if dice.random() < 0.25]
    dice.shuffle(groups)
    return [group for number, group in enumerate(groups) if group not in groups[:number]]


def _mixed(
    dice: Dice, first: list[list[Command]], second: list[list[Command]]
) -> list[list[Command]]:
    kept = [group for group in first if dice.random() < 0.6]
    taken = {group[0].text.split(" type ")[0] for group in kept}
    return kept + [group for group in second[:2] if group[0].text.split(" type ")[0] not in taken]


def _folder(name: str, groups: list[list[Command]]) -> dict[str, str]:
    steps = "".join(f"{one.text}\n" for group in groups for one in group)
    return {f"{name}/lab.yaml": "title: t\n", f"{name}/up.sh.j2": steps or "ip link set lo up\n"}


def external(dice: Dice, who: str) -> Lab:
    """Containers on a bridge of the host's own."""
    number = 61 if who == "a" else 71
    nat = dice.random() < 0.4
    own = "\n  brn" + who + ": {address: 10.1" + str(number) + ".0.1/24, nat: true}" if nat else ""

    def text(count: int) -> str:
        lines = f"name: e{who}\nbridges:\n  br9: {{external: true}}{own}\ncontainers:\n"
        for at in range(count):
            lines += f"  y{who}{at}: {{bridge: br9, address: 10.5.0.{number + at}/24}}\n"
        return lines + (f"  z{who}: {{bridge: brn{who}}}\n" if nat else "")

    file = f"e{who}.yaml"
    names, reach = FORWARDS if nat else ("", "")
    return Lab(
        f"e{who}", file, {file: text(2)}, {file: text(3)},
        frozenset(names.split()), frozenset(f"{reach} br9.mac br9.mtu".split()),
    )  # fmt: skip


FORWARDS = (
    "set4.forwarding iptables.FORWARD.places",
    "set4.accept_redirects set4.send_redirects",
)
EXAMPLES = sorted((ROOT / "examples").glob("*.yaml"))


def ready(dice: Dice, who: str) -> Lab:
    """A built-in lab, an example, or a lab file made by a seed."""
    names, reach = (frozenset(words.split()) for words in FORWARDS)
    kind = dice.random()
    if kind < 0.3:
        name = dice.choice(("veth", "container", "bridge", "routing"))
        return Lab(name, name, {}, {}, names, reach)
    if kind < 0.6:
        file = dice.choice(EXAMPLES).read_text()
        name = next(line.split()[1] for line in file.splitlines() if line.startswith("name:"))
        names |= {"set6.forwarding"} if "::" in file else set()
        return Lab(name, "x.yaml", {"x.yaml": file}, {}, names, reach)
    seed = dice.randint(0, 400)
    text, other = lab_file(seed), lab_file(seed + 1000).replace(f"g{seed + 1000}", f"g{seed}")
    names |= {"set6.forwarding"}
    return Lab(f"g{seed}", "g.yaml", {"g.yaml": text}, {"g.yaml": other}, names, reach)


# --- the sequence


def sequence(seed: int) -> Sequence:
    return _alone(seed) if seed >= ALONE_FROM else _with_others(seed)


def _alone(seed: int) -> Sequence:
    """Two or three labs in any order, each up, changed and down as often as it comes."""
    dice = random.Random(seed)
    begin = start(dice)
    makers = dice.choices((template, external), (4, 1), k=dice.choice((2, 2, 3)))
    labs = tuple(maker(dice, who) for maker, who in zip(makers, "abc", strict=False))
    events: list[Event] = []
    there: set[int] = set()
    for number in dice.choices(range(len(labs)), k=dice.randint(3, 8)):
        what = dice.choice(("change", "down")) if number in there else "up"
        events.append(Event(what, number))
        there ^= {number} if what != "change" else set()
    events += [Event("down", number) for number in dice.sample(sorted(there), len(there))]
    return Sequence(seed, begin, labs, tuple(events))


def _with_others(seed: int) -> Sequence:
    dice = random.Random(seed)
    begin = start(dice)
    labs = [_lab(dice, "a", True)]
    if dice.random() < 0.35:
        labs.append(_lab(dice, "b", labs[0].name[0] in "te"))
    rare = seed >= RARE_FROM
    groups = [_others(dice, rare) for _ in range(dice.choice((0, 0, 1, 2)))]
    before = [Event("others", command=one) for group in groups for one in group]
    rows = [Event("up", number) for number in range(len(labs))]
    if dice.random() < 0.25 and labs[0].changed:
        rows.append(Event("change", 0))
    meanwhile = [_meanwhile(dice, labs, rare, seed >= LATE_FROM) for _ in range(dice.randint(1, 7))]
    downs = [Event("down", number) for number in dice.sample(range(len(labs)), len(labs))]
    return Sequence(
        seed,
        begin,
        tuple(labs),
        tuple(before + rows[:1] + _dealt(dice, rows[1:] + downs, meanwhile)),
    )


def _lab(dice: Dice, who: str, any_kind: bool) -> Lab:
    kind = dice.random()
    if kind < 0.6 or not any_kind:
        return template(dice, who)
    return external(dice, who) if kind < 0.78 else ready(dice, who)


def _meanwhile(dice: Dice, labs: list[Lab], rare: bool, late: bool) -> list[Command]:
    if dice.random() < 0.15:
        lab = dice.choice(labs)
        return against(lab.name, *objects(lab), dice, elsewhere(lab) if late else [])
    return _others(dice, rare)


def _others(dice: Dice, rare: bool) -> list[Command]:
    if rare and dice.random() < 0.5:
        return dice.choices(list(RARE), list(RARE.values()))[0](dice, "others")
    kind = dice.random()
    if kind < 0.4:
        return [dice.choices(list(BOTH), list(BOTH.values()))[0](dice, "others")]
    if kind < 0.55:
        return [own_setting(dice, "others")]
    return dice.choices(list(THEIRS), list(THEIRS.values()))[0](dice, "others")


def _dealt(dice: Dice, rows: list[Event], groups: list[list[Command]]) -> list[Event]:
    """What the labs do in its order, with what others do before each of it, the last `down` too."""
    places = sorted(dice.randrange(len(rows)) for _ in groups)
    found: list[Event] = []
    for number, row in enumerate(rows):
        for place, group in zip(places, groups, strict=True):
            if place == number:
                found += [Event("others", command=one) for one in group]
        found.append(row)
    return found


def objects(lab: Lab) -> tuple[list[str], list[str]]:
    """Namespaces and links that a lab makes in the host."""
    spaces, links = [], []
    if lab.name in ("ta", "tb"):
        for words in (line.split() for line in "".join(lab.files.values()).splitlines()):
            if words[:3] == ["ip", "netns", "add"]:
                spaces.append(words[3])
            elif words[:3] == ["ip", "link", "add"]:
                links.append(words[4] if words[3] == "name" else words[3])
    elif lab.name in ("ea", "eb"):
        spaces.append(f"y{lab.name[1:]}0")
    elif lab.name[0] == "g":
        spaces.append("c0")
        links += ["br0", "br1"]
    else:
        spaces += {"bridge": ["net0", "net1"], "veth": []}.get(lab.name, ["net0"])
        links += ["br0"] if lab.name in ("bridge", "routing") else ["veth0"]
    return spaces, links


# --- a sequence as commands to type


def shown(one: Sequence) -> Iterator[str]:
    yield f"# sequence {one.seed}: as root in a private host, with CNETSH_ON=host"
    yield one.start
    for lab in one.labs:
        yield from files(lab.files)
    for event in one.events:
        yield from _event(one, event)


def files(texts: dict[str, str]) -> Iterator[str]:
    for path, text in texts.items():
        folder = f"mkdir -p {path.rpartition('/')[0]}; " if "/" in path else ""
        yield f"{folder}cat > {path} <<'.'\n{text}."


def _event(one: Sequence, event: Event) -> Iterator[str]:
    lab = one.labs[event.lab]
    if event.what == "others":
        yield f"{event.command.text}    # others"
    elif event.what == "down":
        yield f"cnetsh down {lab.name}"
    else:
        yield from files(lab.changed if event.what == "change" else {})
        yield f"cnetsh up {lab.given} --yes --allow-overlap"
