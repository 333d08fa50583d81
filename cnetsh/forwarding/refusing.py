"""What stops a packet for sure: a size, a rule, a route or a setting that refuses it."""

from collections.abc import Iterator

from cnetsh.forwarding.blame import by_rule, no_route
from cnetsh.forwarding.neighbour import by_route, route_ref
from cnetsh.forwarding.netfilter import (
    REPLY,
    UNTRACKED,
    Fate,
    Packet,
    bridge_calls,
    filters,
    verdict,
)
from cnetsh.forwarding.network import MAIN, Link, Netns, Network, Route, Unknown
from cnetsh.forwarding.stop import Stop, Stopped, by_setting, by_value, in_words
from cnetsh.kinds.change import Make, Ref, Remove, Set, typed_in, unquoted
from cnetsh.kinds.mtu import ETHERNET

# Within this a frame that is too long still passes: the room for a VLAN's tag
# (is_skb_forwardable, linux/netdevice.h).
TAG = 4


def refuses_ping(space: Netns, packet: Packet) -> None:
    place = "ipv4/icmp_echo_ignore_all" if packet.to.version == 4 else "ipv6/icmp/echo_ignore_all"
    if packet.proto == "icmp" and space.value(place):
        raise Stopped(by_setting("ping_off", space.name, place, "0"))


def fits_link(link: Link, packet: Packet) -> None:
    """A packet longer than the link's MTU is cut, unless it must not be (RFC 1191)."""
    if packet.size > link.mtu and packet.whole:
        words = {"mtu": str(link.mtu), "size": str(packet.size)}
        more = (Set(link.ref, "mtu", ETHERNET),) if link.mtu < ETHERNET else ()
        raise Stopped(Stop("mtu", link.netns, link.name, words, link.ref, "mtu", more))


def fits_route(space: Netns, route: Route, packet: Packet) -> None:
    """A route may say less than its link takes (ip-route(8): mtu; ip_dst_mtu_maybe_forward)."""
    if route.mtu and packet.size > route.mtu and packet.whole and route.link:
        words = {"net": route.name, "mtu": str(route.mtu), "size": str(packet.size),
                 "to": str(packet.to), "help": _plain(space, route)}  # fmt: skip
        raise Stopped(by_route("mtu_route", space, route, words))


def _plain(space: Netns, route: Route) -> str:
    """Give the command that leaves of a route only where it leads."""
    link = route.link.name if route.link else None
    options = [("via", route.via), ("dev", link), ("src", route.source),
               ("metric", route.metric or None), ("table", route.table)]  # fmt: skip
    said = [str(word) for one in options if one[1] not in (None, MAIN) for word in one]
    by = ("proto", "kernel", "scope", "link") if route.connected else ()
    six = ["-6"] * (route.to.version == 6)
    return typed_in(space.name, "ip", *six, "route", "change", route.name, *said, *by)


def first_ttl(space: Netns, route: Route) -> int:
    """Give the TTL, or hop limit, of a namespace's own packets: what the route says comes first.

    Of IPv6 the link counts by which they leave, not all (ip4_dst_hoplimit, ip6_dst_hoplimit).
    """
    if route.hops or route.to.version == 4:
        return route.hops or int(space.settings.get("ipv4/ip_default_ttl", 64))
    return space.conf(6, route.link.name if route.link else "lo", "hop_limit") or 64


def ages(sender: tuple[Netns, Route], space: Netns, packet: Packet) -> Stop | None:
    """Count a packet's TTL down; with none left it goes no further (ip_forward, ip6_forward).

    sender: who sent it, by which route.
    """
    if packet.ttl is None:
        raise Unknown(f"whether its TTL is enough at {in_words(space.name)}")
    packet.ttl -= 1
    if packet.ttl > 0:
        return None
    first, route = sender
    words = {"at": in_words(space.name), "to": str(packet.to), "net": route.name}
    if packet.aged:
        return by_rule("ttl_rule", *packet.aged, words)
    if route.hops:
        words |= {"hops": str(route.hops), "help": _plain(first, route)}
        return Stop("ttl_route", first.name, "", words, route_ref(first, route))
    assert route.link
    path = f"ipv6/conf/{route.link.name}/hop_limit"
    path = path if packet.to.version == 6 else "ipv4/ip_default_ttl"
    return by_setting("ttl", first.name, path, "64", words)


def fits_wire(link: Link, one: Link, packet: Packet) -> None:
    """What is too long for a bridge's port, or for who receives it, is dropped silently.

    A bridge itself takes whatever a port took (br_pass_frame_up).
    """
    size = min(packet.size, link.mtu)
    if one.kind not in ("lo", "bridge") and size > one.mtu + TAG:
        words = {"mtu": str(one.mtu), "size": str(size)}
        raise Stopped(by_value("mtu_wire", one.ref, "mtu", link.mtu, words))


def lo_down(space: Netns, packet: Packet) -> Stop:
    lo, words = space.links["lo"], {"to": str(packet.to)}
    return by_value("lo_down", lo.ref, "up", True, words)


def loop(space: Netns, link: Link, packet: Packet) -> Stop:
    return Stop("loop", space.name, link.name, {"to": str(packet.to)})


def passes(space: Netns, packet: Packet, chain: str, bridge: Link | None = None) -> None:
    """Ask the tables of a chain in their order. Raises Stopped, or Unknown.

    bridge: which has them asked, if one does.
    """
    for key in filters(space, packet, chain):
        fate = verdict(space, key, packet)
        if fate.target in UNTRACKED:
            packet.untracked = fate.rule
        if fate.target in ("DROP", "REJECT"):
            told = ""
            if bridge:
                by = bridge_calls(space, bridge, packet)
                told = f" ({by} is 1, so what the bridge {bridge.name} passes on asks it)"
            raise Stopped(_not_let_through(space, packet, fate, told))


def _not_let_through(space: Netns, packet: Packet, by: Fate, bridged: str = "") -> Stop:
    """Give the stop at what drops a packet; what drops all that is passed on is left as it is."""
    stop = dropped(space.name, by, bridged)
    every = not by.rule or by.rule.startswith("-j ")
    passed_on = packet.came and packet.goes
    return stop._replace(mend=tuple(_before(space, packet, by))) if every and passed_on else stop


def _before(space: Netns, packet: Packet, by: Fate) -> Iterator[Make]:
    """Give rules that let a flow through before others are asked.

    Docker calls a chain for such rules before its own, and leaves alone what is in it.
    """
    tool, table, chain = by.chain.split(" ")
    above = space.chains.get(f"{tool} {table} FORWARD", [])
    # What nothing leads to before the packet is dropped lets nobody through.
    above = above[: above.index(by.rule)] if by.rule in above else above
    first = "DOCKER-USER" if "-j DOCKER-USER" in above else chain
    home = Ref("chain", space.name, f"{tool} {table} {first}")
    there, back = (f"-i {packet.came} -o {packet.goes}", f"-i {packet.goes} -o {packet.came}")
    known = " -m conntrack --ctstate RELATED,ESTABLISHED"
    rules = [there, back + known] if there != back else [there]
    if packet.leg == REPLY:
        rules = [there + known * (packet.state == "ESTABLISHED")]
    for rule in rules:
        ref = Ref("rule", space.name, f"{home.name} {rule} -j ACCEPT")
        yield Make(ref, {"first": True}, on=home)


def dropped(space: str, by: Fate, bridged: str = "") -> Stop:
    """Give the stop at a rule, or at the policy of a chain; bridged: why a bridge asks it."""
    tool, table, chain = by.chain.split(" ")
    told = f"-A {chain} {unquoted(by.rule)}" if by.rule else f"policy {chain} {by.target}"
    words = {"verb": "drops" if by.target == "DROP" else "refuses", "rule": told, "tool": tool,
             "table": table, "chain": chain, "bridged": bridged}  # fmt: skip
    if by.rule:
        ref = Ref("rule", space, f"{by.chain} {by.rule}")
        return Stop("firewall", space, "", words, ref, mend=(Remove(ref),))
    return by_value("firewall", Ref("chain", space, by.chain), "policy", "ACCEPT", words)


def not_passed_on(space: Netns, link: Link, packet: Packet) -> Stop:
    version = packet.to.version
    every = space.value("ipv4/conf/all/forwarding")
    path = "ipv6/conf/all/forwarding" if version == 6 else "ipv4/ip_forward"
    path = f"ipv4/conf/{link.name}/forwarding" if version == 4 and every else path
    return by_setting("not_forwarding", space.name, path, "1", {"to": str(packet.to)}, link.name)


def denied(network: Network, space: Netns, route: Route | None, packet: Packet) -> Stop | None:
    """Say why a routing decision is none: no route, one that refuses, or nobody's address."""
    to = packet.to
    if route is None:
        return no_route(network, space, packet)
    if route.type not in ("unicast", "local", "several"):
        words = {"to": str(to), "kind": route.type, "net": route.name, "rule": route.name,
                 "six": "-6" if to.version == 6 else ""}  # fmt: skip
        if route.name.startswith("rule "):
            gone = Remove(Ref("policy", space.name, route.name),
                          {"priority": route.name.split()[1], "family": to.version})  # fmt: skip
            return Stop("refusing_rule", space.name, "", words, gone.ref, mend=(gone,))
        ref = Ref("route", space.name, route.name)
        off = Remove(ref, {"type": route.type, "table": route.table})
        return Stop("refusing_route", space.name, "", words, ref, mend=(off,))
    small = route.to.prefixlen >= route.to.max_prefixlen - 1
    last = to.version == 4 and to == route.to.broadcast_address
    if route.connected and last and not small and packet.leg != REPLY:
        words = {"to": str(to), "net": route.name}
        return Stop("broadcast", space.name, "", words)
    return None
