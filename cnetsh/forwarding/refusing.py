"""What stops a packet for sure: a size, a rule, a route or a setting that refuses it."""

from collections.abc import Iterator

from cnetsh.forwarding.blame import no_route
from cnetsh.forwarding.neighbour import route_ref
from cnetsh.forwarding.netfilter import REPLY, REQUEST, Fate, Packet
from cnetsh.forwarding.network import Link, Netns, Network, Route
from cnetsh.forwarding.stop import Stop, Stopped, by_value
from cnetsh.kinds.change import Make, Ref, Remove, Set, typed_in, unquoted
from cnetsh.kinds.mtu import ETHERNET
from cnetsh.kinds.setting import ROOT, dotted

# Within this a frame that is too long still passes: the room for a VLAN's tag
# (is_skb_forwardable, linux/netdevice.h).
TAG = 4


def refuses_ping(space: Netns, packet: Packet) -> None:
    place = "ipv4/icmp_echo_ignore_all" if packet.to.version == 4 else "ipv6/icmp/echo_ignore_all"
    if packet.proto == "icmp" and space.value(place):
        ref = Ref("setting", space.name, f"{ROOT}{place}")
        raise Stopped(by_value("ping_off", REQUEST, ref, "value", "0", {"dotted": dotted(place)}))


def fits_link(link: Link, packet: Packet) -> None:
    """A packet longer than the link's MTU is cut, unless it must not be (RFC 1191)."""
    if packet.size > link.mtu and packet.whole:
        words = {"mtu": str(link.mtu), "size": str(packet.size)}
        more = (Set(link.ref, "mtu", ETHERNET),) if link.mtu < ETHERNET else ()
        raise Stopped(Stop("mtu", packet.leg, link.netns, link.name, words, link.ref, "mtu", more))


def fits_route(space: Netns, route: Route, packet: Packet) -> None:
    """A route may say less than its link takes (ip-route(8): mtu; ip_dst_mtu_maybe_forward)."""
    if route.mtu and packet.size > route.mtu and packet.whole and route.link:
        options = [("via", route.via), ("dev", route.link.name), ("src", route.source),
                   ("metric", route.metric or None)]  # fmt: skip
        said = [str(word) for one in options if one[1] for word in one]
        by = ("proto", "kernel", "scope", "link") if route.connected else ()
        change = typed_in(space.name, "ip", "route", "change", route.name, *said, *by)
        words = {"net": route.name, "mtu": str(route.mtu), "size": str(packet.size),
                 "to": str(packet.to), "help": change}  # fmt: skip
        raise Stopped(Stop("mtu_route", packet.leg, space.name, route.link.name, words,
                           route_ref(space, route)))  # fmt: skip


def fits_wire(link: Link, one: Link, packet: Packet) -> None:
    """What is too long for a bridge's port, or for who receives it, is dropped silently.

    A bridge itself takes whatever a port took (br_pass_frame_up).
    """
    size = min(packet.size, link.mtu)
    if one.kind not in ("lo", "bridge") and size > one.mtu + TAG:
        words = {"mtu": str(one.mtu), "size": str(size)}
        raise Stopped(by_value("mtu_wire", packet.leg, one.ref, "mtu", link.mtu, words))


def not_let_through(space: Netns, packet: Packet, by: Fate, bridged: str = "") -> Stop:
    """Give the stop at what drops a packet; what drops all that is passed on is left as it is."""
    stop = dropped(packet.leg, space.name, by, bridged)
    every = not by.rule or by.rule.startswith("-j ")
    passed_on = packet.came and packet.goes
    return stop._replace(mend=tuple(_before(space, packet, by))) if every and passed_on else stop


def _before(space: Netns, packet: Packet, by: Fate) -> Iterator[Make]:
    """Give rules that let a flow through before others are asked.

    Docker calls a chain for such rules before its own, and leaves alone what is in it.
    """
    tool, table, chain = by.chain.split(" ")
    docker = f"{tool} {table} DOCKER-USER"
    home = Ref("chain", space.name, docker if docker in space.chains else f"{tool} {table} {chain}")
    there, back = (f"-i {packet.came} -o {packet.goes}", f"-i {packet.goes} -o {packet.came}")
    known = " -m conntrack --ctstate RELATED,ESTABLISHED"
    rules = [there, back + known] if there != back else [there]
    if packet.leg == REPLY:
        rules = [there + known * (packet.state == "ESTABLISHED")]
    for rule in rules:
        ref = Ref("rule", space.name, f"{home.name} {rule} -j ACCEPT")
        yield Make(ref, {"first": True}, on=home)


def dropped(leg: str, space: str, by: Fate, bridged: str = "") -> Stop:
    """Give the stop at a rule, or at the policy of a chain; bridged: why a bridge asks it."""
    tool, table, chain = by.chain.split(" ")
    told = f"-A {chain} {unquoted(by.rule)}" if by.rule else f"policy {chain} {by.target}"
    words = {"verb": "drops" if by.target == "DROP" else "refuses", "rule": told, "tool": tool,
             "table": table, "chain": chain, "bridged": bridged}  # fmt: skip
    if by.rule:
        ref = Ref("rule", space, f"{by.chain} {by.rule}")
        return Stop("firewall", leg, space, "", words, ref, mend=(Remove(ref),))
    return by_value("firewall", leg, Ref("chain", space, by.chain), "policy", "ACCEPT", words)


def not_passed_on(space: Netns, link: Link, packet: Packet) -> Stop:
    version = packet.to.version
    every = space.value("ipv4/conf/all/forwarding")
    path = "ipv6/conf/all/forwarding" if version == 6 else "ipv4/ip_forward"
    path = f"ipv4/conf/{link.name}/forwarding" if version == 4 and every else path
    ref = Ref("setting", space.name, ROOT + path)
    words = {"to": str(packet.to), "setting": dotted(path), "dotted": dotted(path)}
    return by_value("not_forwarding", packet.leg, ref, "value", "1", words, link.name)


def no_address(space: Netns, route: Route, packet: Packet) -> Stop:
    link = route.link
    assert link
    return Stop("no_address", packet.leg, space.name, link.name, {}, link.ref)


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
            return Stop("refusing_rule", packet.leg, space.name, "", words, gone.ref, mend=(gone,))
        ref = Ref("route", space.name, route.name)
        off = Remove(ref, {"type": route.type, "table": route.table})
        return Stop("refusing_route", packet.leg, space.name, "", words, ref, mend=(off,))
    small = route.to.prefixlen >= route.to.max_prefixlen - 1
    last = to.version == 4 and to == route.to.broadcast_address
    if route.connected and last and not small and packet.leg == REQUEST:
        words = {"to": str(to), "net": route.name}
        return Stop("broadcast", packet.leg, space.name, "", words)
    return None
