"""Who is asked for on a wire, who answers, and why nobody does."""

from collections.abc import Collection, Mapping
from typing import NamedTuple, TypeAlias

from cnetsh.forwarding.netfilter import Packet
from cnetsh.forwarding.network import Address, Link, Netns, Network, Route, Unknown
from cnetsh.forwarding.route import (
    asks_as,
    equals_of,
    is_local,
    lent,
    own,
    passes_on,
    refused_source,
)
from cnetsh.forwarding.stop import Layer, Stop, Stopped, by_setting, by_value, in_words
from cnetsh.forwarding.wire import End, Held, answers, flood, having, unheeded
from cnetsh.kinds.change import Change, Make, Ref, Remove, Set, typed_in

Learned: TypeAlias = dict[tuple[Link, Address], Link]
# What keeps a question from being asked, or answered: who has asked itself is known without one.
_SILENT = frozenset({"arp_ignored", "never_asks"})
# What shares a link with its host, which gets nothing of what it sends.
_SHARING = {"macvlan": "a macvlan", "ipvlan": "an ipvlan"}


def next_hop(
    network: Network, space: Netns, route: Route, packet: Packet, learned: Learned,
    seen: Collection[str],
) -> tuple[End, Stop | None]:  # fmt: skip
    """Give where a packet's frame arrives, and what may keep it from there.

    learned: who is known by a question of their own, link by link and address: whoever is asked
    remembers who asked (arp_process, neigh_event_ns). seen: the namespaces that took it in, for
    where two answer. Raises Stopped.
    """
    link, hop = route.link, route.via or packet.to
    assert link
    if hop.version != packet.to.version:
        raise Unknown("whether a next hop of the other version of IP answers")
    if not link.up:
        raise Stopped(down(link))
    asker = asks_as(space, link, hop, packet.source)
    found = [end for end in _fixed(network, link, hop) if _takes(network, end.link, hop)]
    if hop not in link.neighbours:
        asked, asked_us = having(network, link, hop), learned.get((link, hop))
        found = [end for end in asked
                 if end.link is asked_us or answers(network, end.link, hop, asker)]  # fmt: skip
    if hop not in link.neighbours and not link.arp:
        raise Stopped(by_value("arp_off", link.ref, "arp", True))
    if link.master:
        words = {"to": str(hop), "bridge": link.master.name}
        gone = tuple(Remove(Ref("address", space.name, str(one)), {"dev": link.name})
                     for one in link.addresses)  # fmt: skip
        raise Stopped(Stop("port_address", space.name, link.name, words, link.ref, "master", gone))
    known = hop in link.neighbours or (link, hop) in learned
    doubt = None if known else _deaf(space, link, hop)
    if not found:
        doubt = _Question(network, space, route, link, hop, asker).unanswered()
        # It may be known from a question of its own.
        found = [end for end in having(network, link, hop) if end.link.name == doubt.link]
        if doubt.code not in _SILENT:
            raise Stopped(doubt)
    if len({end.link.netns for end in found}) > 1:
        spaces = sorted({in_words(end.link.netns) for end in found})
        found = [end for end in found if end.link.netns in seen] or found
        doubt = _twice(space, hop, found[0].link, " and ".join(spaces))
    if asker and hop not in link.neighbours:
        learned[found[0].link, asker] = link
    return found[0], doubt


def _twice(space: Netns, hop: Address, owner: Link, both: str) -> Stop:
    # Whoever knows the wrong one goes on sending there.
    forget = typed_in(space.name, "ip", "neigh", "flush", "to", str(hop))
    words = {"to": str(hop), "both": both, "help": forget}
    away = tuple(Remove(Ref("address", owner.netns, str(one)), {"dev": owner.name})
                 for one in owner.addresses if one.ip == hop)  # fmt: skip
    return Stop("twice", owner.netns, owner.name, words, mend=away)


def _deaf(space: Netns, link: Link, hop: Address) -> Stop | None:
    """Give the stop where nobody is asked for, or no answer is heard.

    Without mcast_solicit none is asked (arp(7), neigh_event_send); of what one is refused oneself
    IPv6 hears no answer of others (ndisc_recv_na).
    """
    if hop in link.unusable:
        return unusable(space, hop)
    path = f"ipv{hop.version}/neigh/{link.name}/mcast_solicit"
    if space.settings.get(path) != "0":
        return None
    return by_setting("never_asks", space.name, path, "3", {"to": str(hop)}, link.name)


def unusable(space: Netns, wanted: Address | None = None) -> Stop | None:
    """Give the stop at an address that its own namespace may not use, any where none is wanted.

    IPv6 looks for others who have it first, for which its link has to have a carrier, and who finds
    one never uses it (RFC 4862; addrconf_dad_work, addrconf_dad_stop).
    """
    for link in space.links.values():
        for one, (text, taken) in link.unusable.items():
            if one == wanted or (wanted is None and not one.is_link_local):
                ref, on = Ref("address", space.name, text), {"dev": link.name}
                words = {"to": str(one), "why": "another had it first" if taken else
                         "without a carrier nobody can tell whether another has it"}  # fmt: skip
                again = (Remove(ref, on), Make(ref, {**on, "nodad": True}))
                return Stop("unusable", space.name, link.name, words, ref, mend=again)
    return None


def no_address(space: Netns, version: int, link: Link | None = None) -> Stop:
    """Give the stop at a namespace with no address to send from, or none that it may use.

    link: by which it was to leave, if that is known.
    """
    links = [link for link in space.links.values() if link.kind != "lo"]
    if not links:
        return Stop("no_link", space.name)
    if version == 6 and (refused := unusable(space)):
        return refused
    local = version == 6 and any(one.local for one in links)
    words = {"version": str(version), "beside": " but those of one link alone" * local}
    link = link or links[0]
    return Stop("no_address", space.name, link.name, words, link.ref)


def _fixed(network: Network, link: Link, hop: Address) -> list[End]:
    mac = link.neighbours.get(hop)
    if mac is None:
        return []
    return [end for end in flood(network, link)[0] if end.link.mac == mac]


def _takes(network: Network, link: Link, hop: Address) -> bool:
    """Say whether a packet for an address does not end silently where a frame arrives."""
    space = network.spaces[link.netns]
    return is_local(space, hop) or passes_on(space, link, hop.version)


def down(link: Link, having: str = "") -> Stop:
    """Give the stop at a link that is not switched on, or at what a VLAN is made on."""
    if link.kind == "vlan" and link.below and not link.below.up:
        return down(link.below)
    words = {"having": f", which has {having}," if having else ""}
    return by_value("link_down", link.ref, "up", True, words)


def fixed_neighbour(link: Link, hop: Address, *whose: str) -> Stop:
    """Give the stop at a neighbour given by hand that is not who has the address."""
    words = {"to": str(hop), "mac": link.neighbours[hop],
             "whose": (*whose, f"nobody on {link.name}")[0]}  # fmt: skip
    mend = Remove(Ref("neighbour", link.netns, str(hop)), {"dev": link.name})
    return Stop("fixed_neighbour", link.netns, link.name, words, mend.ref, mend=(mend,))


def cable(link: Link) -> Stop:
    """Give the stop at a cable without a carrier."""
    far = link.peer
    if far is None:
        return Stop("no_end", link.netns, link.name, cause=link.ref)
    if not link.up:
        return down(link)
    words = {"far": f"{far.name} in {in_words(far.netns)}"}
    up = (Set(far.ref, "up", True),)
    return Stop("no_carrier", link.netns, link.name, words, far.ref, "up", up)


def six_off(link: Link) -> Stop:
    """Give the stop at a link without IPv6."""
    path = f"ipv6/conf/{link.name}/disable_ipv6"
    return by_setting("six_off", link.netns, path, "0", link=link.name)


def _by_larger(code: str, space: Netns, link: Link, name: str, words: dict[str, str]) -> Stop:
    """Give the stop that a setting of IPv4 makes, that of all where it is the larger one."""
    every = space.value(f"ipv4/conf/all/{name}")
    place = "all" if every and every >= space.conf(4, link.name, name) else link.name
    words["value"] = str(space.larger(link.name, name))
    return by_setting(code, space.name, f"ipv4/conf/{place}/{name}", "0", words, link.name)


def refusal(space: Netns, link: Link, source: Address | None, to: Address) -> Stop | None:
    """Give the stop where a source is refused on the way in, None where it is not."""
    code, route = refused_source(space, link, source, to)
    if not code:
        return None
    if code == "own_address":
        return Stop(code, space.name, link.name, {"source": str(source)}, link.ref)
    by = route.link.name if route and route.link else ""
    way = f"its own way there is by {by}" if by else "it has no route there"
    return _by_larger(code, space, link, "rp_filter", {"source": str(source), "way": way})


def route_ref(space: Netns, route: Route) -> Ref:
    """Give a route as an object."""
    return Ref("route", space.name, route.name or str(route.to))


def by_route(
    code: str, space: Netns, route: Route, words: Mapping[str, str], mend: tuple[Change, ...] = ()
) -> Stop:
    """Give the stop that a route makes at its link."""
    link = route.link.name if route.link else ""
    return Stop(code, space.name, link, words, route_ref(space, route), mend=mend)


def _parted(link: Link, home: Link) -> Stop | None:
    """Say why two links never hear each other, whatever else is on their wires."""
    words = {"near": f"{home.name} in {in_words(home.netns)}"}
    for child, under in ((link, home), (home, link)):
        if child.below is under and child.kind in _SHARING:
            a_kind = {"a_kind": _SHARING[child.kind]}
            return Stop("macvlan", under.netns, under.name, a_kind, child.ref)
    if link.kind == "macvlan" and link.below and home.below is link.below:
        words["under"] = link.below.name
        return Stop("macvlan_mode", link.netns, link.name, words, link.ref)
    for key in ("id", "dstport") if link.kind == home.kind in ("vlan", "vxlan") else ():
        mine, other = (str(one.made.get(key)) for one in (link, home))
        if mine != other:
            words |= {"key": key, "value": mine, "other": other}
            return Stop("apart", link.netns, link.name, words, link.ref)
    return None


def near(network: Network, space: Netns, route: Route, hop: Address) -> bool:
    """Say whether somebody answers for an address on a route's link."""
    if route.link is None or not route.link.up or route.link.master:
        return False
    asker = lent(space, route.link, hop, hop.version)
    return any(answers(network, end.link, hop, asker) for end in having(network, route.link, hop))


class _Question(NamedTuple):
    """A question that nobody answers: who asks by which route and link, for whom, as whom."""

    network: Network
    space: Netns
    route: Route
    link: Link
    hop: Address
    asker: Address | None

    def unanswered(self) -> Stop:
        """Say why nobody answers, the nearest cause first."""
        network, space, route, link, hop, _ = self
        if hop in link.neighbours:
            there = [f"{end.link.name} in {in_words(end.link.netns)}"
                     for end in _fixed(network, link, hop)]  # fmt: skip
            return fixed_neighbour(link, hop, *there)
        if link.kind == "veth" and not link.carrier:
            return cable(link)
        if link.kind == "veth" and link.peer and not link.far_seen:
            raise Unknown(f"what is behind {link.name} of {in_words(space.name)}")
        if silent := self._silent():
            return silent
        for one in network.spaces.values() if hop.version == 6 else ():
            if refused := unusable(one, hop):
                return refused
        homes = [other for one in network.spaces.values()
                 if (other := own(one).get(hop)) is not None]  # fmt: skip
        if homes and (parted := _parted(link, homes[0])):
            return parted
        held = [one for one in flood(network, link)[1] if one.code != "ring"]
        if any(one.code == "unseen" for one in held):
            raise Unknown(f"what is on the wire of {link.name} of {in_words(space.name)}")
        gate = f" (the gateway of {in_words(space.name)}'s route to {route.name})"
        words = {"to": str(hop), "gate": gate if route.via else ""}
        if homes:
            return self._elsewhere(homes[0], held, words)
        nobody = by_route("nobody", space, route, words)
        return nobody._replace(layer_=None if route.via else Layer.ADDRESS)

    def _silent(self) -> Stop | None:
        """Say why one that is asked and has the address does not answer."""
        hop = self.hop
        for end in having(self.network, self.link, hop):
            space, link = self.network.spaces[end.link.netns], end.link
            if not link.arp:
                return by_value("arp_off", link.ref, "arp", True)
            if hop.version == 6 and link.has(hop):
                return six_off(link)
            if hop.version == 4 and is_local(space, hop):
                if name := unheeded(space, link, hop, self.asker):
                    words = {"to": str(hop), "name": name}
                    return _by_larger("arp_ignored", space, link, name, words)
                return refusal(space, link, self.asker, hop)
        return None

    def _elsewhere(self, home: Link, held: list[Held], words: dict[str, str]) -> Stop:
        """Say why somebody who has the address is not reached on this wire."""
        space, route = self.space, self.route
        if twin := self._twin():
            return twin
        if not home.up and home.peer and home.peer.up and home.peer.master:
            return cable(home.peer)
        if not home.up and home.kind != "lo":
            return down(home, str(self.hop))
        if bare := self._unplugged(home):
            return bare
        if held:
            return _held(held[0], self.hop, in_words(space.name))
        words["near"] = f"{home.name} in {in_words(home.netns)}"
        return by_route("another_wire", space, route, words)

    def _twin(self) -> Stop | None:
        """Give the stop where the first of equal routes is not the one that leads there."""
        network, space, route, link, hop, _ = self
        equal = equals_of(space, route)
        for one in equal:
            if one.link and one.link is not link and near(network, space, one, hop):
                words = {"to": str(hop), "net": route.name, "count": str(len(equal)),
                         "near": one.link.name}  # fmt: skip
                more = Make(Ref("route", space.name, str(hop)), {"dev": one.link.name})
                return by_route("first_of_equals", space, route, words, (more,))
        return None

    def _unplugged(self, home: Link) -> Stop | None:
        """Give the stop where the cable of who has it is no port of the bridge that is asked."""
        ends, port = flood(self.network, self.link)[0], home.peer
        # Only a cable that nobody plugged in anywhere, and without an address, was meant for it.
        if port is None or port.master or port.addresses:
            return None
        for bridge in {end.link for end in ends if end.link.kind == "bridge"}:
            if bridge.netns == port.netns:
                words = {"far": in_words(home.netns), "whose": f"no port of {bridge.name}"}
                return by_value("not_a_port", port.ref, "master", bridge.name, words)
        return None


def _held(held: Held, hop: Address, asker: str) -> Stop:
    link = held.link
    bridge = link if link.kind == "bridge" else link.master
    words = {"to": str(hop), "asker": asker, "bridge": bridge.name if bridge else "",
             "other": held.other.name if held.other else "",
             "state": str(link.options.get("state", ""))}  # fmt: skip
    match held.code:
        case "no_carrier":
            return cable(link)
        case "link_down":
            return down(link)
        case "bridge_down" | "port_down":
            return by_value(held.code, link.ref, "up", True, words)
        case "isolated":
            return by_value("isolated", link.ref, "isolated", False, words)
        case "flooding":
            return by_value("flooding", link.ref, "bcast_flood", True, words)
    plain: tuple[Change, ...] = (Set(link.ref, "state", "forwarding"),)
    if bridge and bridge.options.get("stp_state"):
        ports = (Set(port.ref, "state", "forwarding") for port in bridge.ports)
        plain = (Set(bridge.ref, "stp_state", 0), *ports)
    return Stop(held.code, link.netns, link.name, words, link.ref, "state", plain)
