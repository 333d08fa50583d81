"""The routes of a topology's containers, and where a packet between two of them ends up."""

from collections.abc import Iterable, Mapping
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
    ip_address,
    ip_interface,
    ip_network,
)
from typing import NamedTuple, TypeAlias

from cnetsh import names
from cnetsh.errors import CnetshError
from cnetsh.labs.model import Topology
from cnetsh.labs.topology.members import Member, unknown

Ip: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network
Interface: TypeAlias = IPv4Interface | IPv6Interface

HOST = "host"
MOST_HOPS = 16


class Station(NamedTuple):
    """A network stack that packets pass: a container, or the host."""

    name: str
    addresses: tuple[tuple[str, Interface], ...]  # segment, address
    routes: tuple[tuple[Network, Ip], ...]
    forwards: bool


def routes(member: Member, topology: Topology, members: Mapping[str, Member]) -> tuple[str, ...]:
    """Give a container's routes as `ip route add` takes them: `default via 172.18.0.1`.

    Raises CnetshError for a next hop that the container cannot reach directly.
    """
    found = [f"default via {hop}" for hop in _gateways(member, topology, members).values()]
    for route in member.model.routes:
        hops = _hops(member, route.via, route.where, members)
        version = ip_network(route.to).version
        if version not in hops:
            raise CnetshError(
                f"{route.where}: {route.via} has no IPv{version} address for {route.to}"
            )
        found.append(f"{route.to} via {hops[version]}")
    return tuple(found)


def gateways(member: Member, topology: Topology) -> dict[int, Ip]:
    """Give the addresses of the member's bridges that its default routes go through, by version."""
    hops: dict[int, Ip] = {}
    own = [ip_interface(text).network for port in member.ports for text in port.addresses]
    for port in member.ports:
        bridge = topology.bridges.get(port.segment)
        for address in bridge.addresses if bridge else ():
            if address.network in own:
                hops.setdefault(address.version, address.ip)
    return hops


def station(member: Member, routes: Iterable[str]) -> Station:
    """Give a container as what passes packets on."""
    addresses = [
        (port.segment, ip_interface(text)) for port in member.ports for text in port.addresses
    ]
    pairs = [line.split(" via ") for line in routes]
    table = [(_destination(to, via), ip_address(via)) for to, via in pairs]
    return Station(member.name, tuple(addresses), tuple(table), member.model.forward)


def host(topology: Topology) -> Station:
    """Give the host as what passes packets on between the lab's bridges."""
    addresses = [
        (bridge.name, address)
        for bridge in topology.bridges.values()
        for address in bridge.addresses
        if not bridge.external
    ]
    return Station(HOST, tuple(addresses), (), True)


def answers(source: Station, target: Ip, stations: Iterable[Station], shut: frozenset[str]) -> bool:
    """Say whether a ping from source to target comes back; `shut` are the isolated bridges."""
    known = list(stations)
    there = _walk(source, target, known, shut)
    first = _next(source, target)
    if there is None or first is None:
        return False
    own = [
        ip.ip
        for segment, ip in source.addresses
        if (segment, ip.version) == (first[0], target.version)
    ]
    return bool(own) and _walk(there, own[0], known, shut) is source


def _walk(
    source: Station, target: Ip, stations: list[Station], shut: frozenset[str]
) -> Station | None:
    here, came = source, ""
    for _ in range(MOST_HOPS):
        if any(address.ip == target for _, address in here.addresses):
            return here
        if came and not here.forwards:
            return None
        hop = _next(here, target)
        if hop is None or (here.name == HOST and came and not shut.isdisjoint((came, hop[0]))):
            return None
        owner = [other for other in stations if _owns(other, *hop)]
        if not owner:
            return None
        here, came = owner[0], hop[0]
    return None


def _owns(station: Station, segment: str, hop: Ip) -> bool:
    return any(where == segment and address.ip == hop for where, address in station.addresses)


def _next(here: Station, target: Ip) -> tuple[str, Ip] | None:
    """Give the segment and next hop towards target: the longest prefix wins, as in the kernel."""
    direct = [(a.network.prefixlen, s, target) for s, a in here.addresses if target in a.network]
    further = [
        (network.prefixlen, segment, hop)
        for network, hop in here.routes
        if target in network
        for segment, address in here.addresses
        if hop in address.network
    ]
    best = max(direct + further, key=lambda found: found[0], default=None)
    return best[1:] if best else None


def _destination(to: str, via: str) -> Network:
    if to == "default":
        return ip_network("::/0" if ":" in via else "0.0.0.0/0")
    return ip_network(to)


def _gateways(member: Member, topology: Topology, members: Mapping[str, Member]) -> dict[int, Ip]:
    said = member.model.gateway
    if said is None:
        return gateways(member, topology)
    return {} if said.via == "none" else _hops(member, said.via, said.where, members)


def _hops(member: Member, via: str, where: str, members: Mapping[str, Member]) -> dict[int, Ip]:
    """Give the next hop's address for each version of IP it has on a link of the member's."""
    links = [(port.segment, ip_interface(text)) for port in member.ports for text in port.addresses]
    if via in members:
        hops = _shared(links, members[via])
        if not hops:
            raise CnetshError(
                f"{where}: {via} is on no link of {member.name}'s, expected a neighbour"
            )
        return hops
    if not any(character in via for character in ".:"):
        unknown(where, via, members, "an address or a container")
    hop = names.ip(via, where)
    if not any(hop in address.network for _, address in links):
        raise CnetshError(
            f"{where}: {via} is in no subnet of {member.name}'s, expected a neighbour"
        )
    if any(hop == address.ip for _, address in links):
        raise CnetshError(f"{where}: {via} is {member.name}'s own address, expected a neighbour's")
    return {hop.version: hop}


def _shared(links: list[tuple[str, Interface]], router: Member) -> dict[int, Ip]:
    hops: dict[int, Ip] = {}
    for port in router.ports:
        for address in map(ip_interface, port.addresses):
            if (port.segment, address.network) in {(s, a.network) for s, a in links}:
                hops.setdefault(address.version, address.ip)
    return hops
