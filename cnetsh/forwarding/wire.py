"""What is on one wire: where a frame arrives, through which bridges, and who answers there."""

from typing import NamedTuple

from cnetsh.forwarding.network import Address, Link, Netns, Network
from cnetsh.forwarding.route import decide, is_local, own, passes_on, refused_source

FEW = 50  # ends; what many links reach is not kept for each of them


class Crossing(NamedTuple):
    """A bridge that a frame goes through; come None: the bridge's own link sends it."""

    bridge: Link
    come: Link | None
    goes: Link


class End(NamedTuple):
    """Where a frame arrives, and the bridges on the way."""

    link: Link
    through: tuple[Crossing, ...] = ()


class Held(NamedTuple):
    """What holds frames up on a wire: a code, the link where, and another that it is about."""

    code: str
    link: Link
    other: Link | None = None


Flood = tuple[list[End], list[Held]]


def flood(network: Network, link: Link) -> Flood:
    """Give where a frame to all arrives that a link sends, and what holds some of it up."""
    if link not in network.floods:
        spread = _Spread([], [], set(), "")
        spread.leave(link)
        found = (spread.ends, spread.held)
        if link.kind != "bridge" and len(spread.ends) > FEW:
            return found
        network.floods[link] = found
    known: Flood = network.floods[link]
    return known


class _Spread(NamedTuple):
    """A frame that spreads over a wire. tag: the number of its VLAN, "" without one."""

    ends: list[End]
    held: list[Held]
    done: set[tuple[Link, str]]
    tag: str

    def leave(self, link: Link, through: tuple[Crossing, ...] = ()) -> None:
        """Send it from a link; a macvlan's goes to its sisters, and to the wire of its parent."""
        if link.kind == "bridge":
            self.done.add((link, self.tag))
            self.flood(link, None, through)
        elif link.kind == "macvlan" and link.below:
            if link.made.get("mode") == "bridge":
                self.children(link.below, through, link)
            if link.below.up:
                self.leave(link.below, through)
        else:
            self.wire(link, through)

    def wire(self, link: Link, through: tuple[Crossing, ...]) -> None:
        """Send it along a cable; the other end hears nothing while it is down."""
        if link.kind in ("dummy", "lo"):
            return
        if link.kind == "vlan" and link.below and not self.tag:
            self._replace(tag=link.made.get("id") or "?").leave(link.below, through)
        elif link.kind != "veth" or not link.far_seen:
            self.held.append(Held("unseen", link))
        elif link.peer is None or not link.peer.up:
            self.held.append(Held("no_carrier", link, link.peer))
        else:
            self.arrive(link.peer, through)

    def arrive(self, link: Link, through: tuple[Crossing, ...]) -> None:
        """Have it come in by a link: a port hands all to its bridge (br_handle_frame)."""
        bridge = link.master
        if bridge is None:
            self.hear(link, through)
        elif not bridge.up:
            # All its ports are disabled then, by itself (br_stp_disable_bridge).
            self.held.append(Held("bridge_down", bridge))
        elif not _forwards(link):
            self.held.append(Held("port_state", link))
        elif (bridge, self.tag) in self.done:
            # What came by another port comes again, and again.
            self.held.append(Held("ring", link))
        else:
            self.done.add((bridge, self.tag))
            self.hear(bridge, through)
            self.flood(bridge, link, through)

    def hear(self, link: Link, through: tuple[Crossing, ...]) -> None:
        """Have a link get it, and what is made on it; with a tag it is for the latter alone."""
        if not self.tag:
            self.ends.append(End(link, through))
        self.children(link, through)

    def children(
        self, link: Link, through: tuple[Crossing, ...], sister: Link | None = None
    ) -> None:
        """Hand it to what is made on a link; of sisters only those in mode bridge (macvlan.c).

        One with a tag is for the VLAN of its number, which takes that off (vlan_do_receive).
        """
        for child in link.above:
            numbered = child.kind == "vlan"
            if child is sister or self.tag != (child.made.get("id") if numbered else ""):
                continue
            if not numbered and (child.master or (sister and child.made.get("mode") != "bridge")):
                continue
            if child.kind not in ("macvlan", "vlan"):
                self.held.append(Held("unseen", child))
            elif child.up:
                self._replace(tag="").arrive(child, through)
            else:
                self.held.append(Held("link_down", child))

    def flood(self, bridge: Link, come: Link | None, through: tuple[Crossing, ...]) -> None:
        """Send it out of all ports but the one it came by (br_flood)."""
        for port in bridge.ports:
            if port is come:
                continue
            if held := _held_at(port, come):
                self.held.append(held)
            else:
                self.wire(port, (*through, Crossing(bridge, come, port)))


def _forwards(port: Link) -> bool:
    """Say whether a port takes part: a bridge disables one without a carrier by itself."""
    said = port.options.get("state", "forwarding")
    return said == "forwarding" or (said == "disabled" and not port.carrier)


def _held_at(port: Link, come: Link | None) -> Held | None:
    """Say what keeps a broadcast from leaving by a port (bridge(8): isolated, bcast_flood)."""
    if not _forwards(port):
        return Held("port_state", port)
    if not port.up:
        return Held("port_down", port)
    if port.options.get("bcast_flood") is False:
        return Held("flooding", port)
    if come and come.options.get("isolated") and port.options.get("isolated"):
        return Held("isolated", port, come)
    return None


def having(network: Network, link: Link, wanted: Address) -> list[End]:
    """Give the ends of a link's wire that have an address, or answer for those of others.

    What is plugged into a bridge shares that bridge's table, or a thousand containers would have a
    thousand each.
    """
    far = link.peer
    bridge = far.master if far and link.kind == "veth" and far.up and link.up else None
    if far and bridge and bridge.up and _is_plain(network, bridge):
        ends = [End(end.link, (Crossing(bridge, far, end.through[0].goes), *end.through[1:]))
                for end in _known(network, bridge, wanted) if end.link is not link]  # fmt: skip
        here = network.spaces[bridge.netns]
        return [*ends, End(bridge)] if is_local(here, wanted) or _proxies(here, bridge) else ends
    return _known(network, link, wanted)


def _is_plain(network: Network, bridge: Link) -> bool:
    """Say whether all ports of a bridge are alike, and nothing is made on it."""
    if bridge not in network.plain:
        network.plain[bridge] = not (bridge.above or any(port.options for port in bridge.ports))
    return network.plain[bridge]


def _known(network: Network, link: Link, wanted: Address) -> list[End]:
    known = network.answering.get(link)
    if known is None:
        known = network.answering[link] = _by_address(network, link)
    found = known.get(wanted, []) + known.get(None, [])
    # What lies on lo is local with its whole network, and stands in no table.
    wide: list[End] = known.get("wide", [])
    return found + [end for end in wide if end not in found
                    and is_local(network.spaces[end.link.netns], wanted)]  # fmt: skip


def _by_address(network: Network, link: Link) -> dict[Address | str | None, list[End]]:
    found: dict[Address | str | None, list[End]] = {}
    for end in flood(network, link)[0]:
        space = network.spaces[end.link.netns]
        for one in own(space):
            found.setdefault(one, []).append(end)
        if _proxies(space, end.link):
            found.setdefault(None, []).append(end)
        if any(not one.is_loopback for one in space.wide):
            found.setdefault("wide", []).append(end)
    return found


def _proxies(space: Netns, link: Link) -> bool:
    return bool(link.proxied or space.larger(link.name, "proxy_arp"))


def answers(network: Network, end: Link, wanted: Address, asker: Address | None) -> bool:
    """Say whether an end answers who has an address.

    ARP: for every address of its namespace, unless arp_ignore says otherwise, and only an asker
    whose source it would accept (arp_process); with proxy_arp also for those behind another link.
    IPv6: a link for its own addresses alone (ndisc_recv_ns).
    """
    space = network.spaces[end.netns]
    if not end.arp:
        return False
    if wanted.version == 6:
        return end.has(wanted) and not space.conf(6, end.name, "disable_ipv6")
    if not is_local(space, wanted):
        return _answers_for(space, end, wanted)
    return not (unheeded(space, end, wanted, asker)
                or refused_source(space, end, asker, wanted)[0])  # fmt: skip


def unheeded(space: Netns, end: Link, wanted: Address, asker: Address | None) -> str:
    """Give the setting that keeps an end from answering for an address of its namespace, or "".

    arp_ignore: with 1 it has to be the link's, with 2 one network of the link has to hold the asker
    too, with 3 it has to be an address, with 8 none is told; what stands for nothing is as 0.
    arp_filter: the answer has to leave by the link (arp_process; ip-sysctl.rst).
    """
    if ignore := space.larger(end.name, "arp_ignore"):
        near = (wanted in one.network and (asker or wanted) in one.network for one in end.addresses)
        mine = end.has(wanted)
        told = {1: mine, 2: mine and any(near), 3: wanted in own(space), 8: False}
        if not told.get(ignore, True):
            return "arp_ignore"
    if asker is None or not space.larger(end.name, "arp_filter"):
        return ""
    route = decide(space, asker, wanted, None)
    return "" if route and (route.link is end or end.name in route.ways) else "arp_filter"


def _answers_for(space: Netns, end: Link, wanted: Address) -> bool:
    """Say whether an end answers for an address beyond it (arp_fwd_proxy, pneigh_lookup)."""
    proxies = wanted in end.proxied or space.larger(end.name, "proxy_arp")
    if not proxies or not passes_on(space, end, 4):
        return False
    route = decide(space, wanted, None, None)
    return route is not None and route.type == "unicast" and route.link is not end


def strays(network: Network, link: Link, mac: str | None) -> list[End]:
    """Give where a frame is seen that goes to a MAC address; None: to that of the link itself.

    A bridge sends it where it knows it to be, to all ports if it knows nothing of it, and never
    back where it came from (br_handle_frame_finish).
    """
    ends, held = flood(network, link)
    ends = [*ends, *(End(one.link.peer) for one in held
                     if one.code == "flooding" and one.link.peer)]  # fmt: skip
    if mac is None:
        return [end for end in ends if not end.through]
    return [end for end in ends if end.link.mac == mac] or ends


def macs(network: Network) -> dict[str, list[Link]]:
    """Give the MAC addresses that several ends of cables have; ports and bridges share theirs."""
    if network.macs is None:
        found: dict[str, list[Link]] = {}
        for space in network.spaces.values():
            for link in space.links.values():
                if link.mac and link.kind == "veth" and not link.master:
                    found.setdefault(link.mac, []).append(link)
        network.macs = {mac: links for mac, links in found.items() if len(links) > 1}
    return network.macs
