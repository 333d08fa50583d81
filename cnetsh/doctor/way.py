"""The way from the target's own namespace to an address, as the model of forwarding has it.

Whom it leads to cannot be seen: what is asked is whether the host still sends and hears as before.
"""

from collections.abc import Iterator
from typing import NamedTuple

from cnetsh.forwarding.netfilter import REPLY, REQUEST, Packet, ends, filters
from cnetsh.forwarding.network import MAIN, Address, Link, Netns, Network, Route, Unknown
from cnetsh.forwarding.route import decide, is_local, lookup, own

SMALLEST = {4: 576, 6: 1280}  # RFC 791, RFC 8200; below, IPv6 ends on the link
_CHAINS = {"in": ("PREROUTING", "INPUT"), "out": ("OUTPUT", "POSTROUTING")}
_STOPS = frozenset({"DROP", "REJECT", "DNAT", "REDIRECT", "NETMAP", "NFQUEUE", "TPROXY"})


class Traffic(NamedTuple):
    """The packets between the host and somebody, as far as rules tell them apart."""

    source: Address | None = None  # the host's address where it is fixed
    link: str = ""  # the only one that leads there
    proto: str = ""  # "": whichever
    port: int = 0  # where they are sent to
    first: str = "out"  # whether the first packet comes in or goes out


class Way(NamedTuple):
    """How packets go to an address and come back."""

    link: str = ""  # "": they do not
    gateway: Address | None = None
    source: Address | None = None
    mac: str = ""
    neighbour: str = ""  # a MAC given by hand
    below: frozenset[str] = frozenset()  # what carries the link
    troubles: frozenset[str] = frozenset()  # what stops them

    def __str__(self) -> str:
        """Give the way as `ip route get` prints it."""
        return f"{self.link} via {self.gateway}" if self.gateway else self.link


def way(network: Network, to: Address, flow: Traffic) -> Way:
    """Give the way to an address, for packets like those of a flow."""
    space = network.spaces[""]
    source = flow.source if _home(space, flow.source) else None
    if _home(space, to):
        down = not space.links["lo"].up
        return Way("lo", source=source, troubles=frozenset(["lo is down"] * down))
    route = _route(space, to, flow)
    if route is None or route.link is None or route.type != "unicast":
        return Way(source=source)
    link = route.link
    if not flow.source:
        first = (one.ip for one in link.addresses if one.version == to.version)
        source = route.source or next(first, None)
    below = [*link.ports, *filter(None, [link.below])]
    return Way(
        link.name, route.via, source, link.mac, link.neighbours.get(route.via or to, ""),
        frozenset(one.name for one in below if one.up),
        frozenset(_troubles(space, link, source, to, flow)),
    )  # fmt: skip


def _home(space: Netns, wanted: Address | None) -> Link | None:
    """Give the link that has an address of the host's own, None where it is none."""
    if wanted is None:
        return None
    local = wanted.is_loopback or is_local(space, wanted)
    return own(space).get(wanted) or (space.links["lo"] if local else None)


def _route(space: Netns, to: Address, flow: Traffic) -> Route | None:
    only = space.links.get(flow.link)
    if flow.link and only is None:
        return None
    try:
        if to.version == 6 and to.is_link_local:
            return lookup(space, to, MAIN, only)
        return decide(space, to, flow.source, None, only)
    except Unknown:
        return None


def _troubles(
    space: Netns, link: Link, source: Address | None, to: Address, flow: Traffic
) -> Iterator[str]:
    both = flow.source is not None and link.has(flow.source)
    home = link if both else _home(space, flow.source)
    # Where the address is, they come in, also when the answer goes by another link.
    inward = home if home and home.kind != "lo" else link
    for one in dict.fromkeys((inward, link)):
        if not one.up:
            yield f"{one.name} is down"
        if one.master:
            takes = "takes" if one is link else "may take"
            yield f"{one.name} is a port of {one.master.name}, which {takes} what comes in"
        if one.mtu < SMALLEST[to.version]:
            yield f"the MTU of {one.name} is below {SMALLEST[to.version]}"
    ignored = space.larger(inward.name, "arp_ignore") if to.version == 4 else 0
    if ignored == 8 or (ignored in (1, 2) and home and home.kind == "lo"):
        yield f"{inward.name} answers no ARP"
    elif ignored == 2:
        yield f"{inward.name} may answer no ARP, when it is asked from another network"
    strict = to.version == 4 and space.larger(inward.name, "rp_filter") == 1
    if inward is not link and strict:
        back = f"the answer goes by {link.name}"
        yield f"rp_filter of {inward.name} may drop what comes in, for {back}"
    if source:
        yield from _stopped(space, flow, Packet(source, to, came=inward.name))
        yield from _stopped(space, flow, Packet(to, source, goes=link.name))


def _stopped(space: Netns, flow: Traffic, packet: Packet) -> Iterator[str]:
    """Give the chains that stop, or may stop, what comes in or goes out."""
    side = "in" if packet.came else "out"
    packet.proto, packet.port = flow.proto, flow.port
    packet.leg = REQUEST if side == flow.first else REPLY
    for chain in _CHAINS[side]:
        for key in filters(space, packet, chain):
            found = _ends(space, key, packet, "ESTABLISHED")
            if packet.leg == REQUEST:
                found |= _ends(space, key, packet, "NEW")
            if True in found:
                yield f"{key} {'may stop' if False in found else 'stops'} its packets"
        # What is open stays so, for only the first packet of a connection comes here.
        first = f"{packet.tool} nat {chain}"
        if packet.leg == REQUEST and True in _ends(space, first, packet, "NEW"):
            yield f"{first} may stop its packets"


def _ends(space: Netns, key: str, packet: Packet, state: str) -> set[bool]:
    """Say whether a chain stops a packet; both where that cannot be told."""
    packet.state = state
    return {fate.target in _STOPS for fate in ends(space, key, packet)}
