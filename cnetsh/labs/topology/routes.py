"""The routes of a topology's containers, and where a packet between two of them ends up."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from cnetsh import names
from cnetsh.errors import CnetshError
from cnetsh.labs.model import Topology
from cnetsh.labs.topology.members import HOST, Member, Members
from cnetsh.names import Inet, Ip

_MOST_HOPS = 16


@dataclass(frozen=True)
class KernelRoute:
    """A route of a container's, which all its copies share."""

    to: Inet | None  # None = default
    via: Ip

    @cached_property
    def text(self) -> str:
        """The route as `ip route add` takes it: `default via 172.18.0.1`."""
        return f"{self.to or 'default'} via {self.via}"

    def leads_to(self, target: Ip) -> bool:
        """Say whether packets to the target may take it."""
        return self.to.holds(target) if self.to else self.via.version == target.version

    @property
    def length(self) -> int:
        """The prefix length: of several routes the longest wins."""
        return self.to.length if self.to else 0


class Station(NamedTuple):
    """A network stack that packets pass: a container, or the host."""

    name: str
    addresses: list[tuple[str, Inet]]  # segment, address
    routes: tuple[KernelRoute, ...]
    forwards: bool


def kernel_routes(member: Member, topology: Topology, members: Members) -> tuple[KernelRoute, ...]:
    """Give a container's routes, default ones first. Raises CnetshError for a hop out of reach."""
    model, said = member.model, member.model.gateway
    hops = gateways(member, topology)
    if said:
        where = model.place("gateway")
        hops = {} if said == "none" else _hops(member, said, where, members)
    found = [KernelRoute(None, hop) for hop in hops.values()]
    for route in model.routes:
        where = route.place("via")
        hops = _hops(member, route.via, where, members)
        if route.to.version not in hops:
            missing = f"no IPv{route.to.version} address for {route.to}"
            raise CnetshError(f"{where}: {route.via} has {missing}")
        found.append(KernelRoute(route.to, hops[route.to.version]))
    return tuple(found)


def gateways(member: Member, topology: Topology) -> dict[int, Ip]:
    """Give the addresses of the member's bridges that its default routes go through, by version."""
    own = [address.network for address in member.addresses]
    bridges = (topology.bridges.get(port.segment) for port in member.ports)
    return _by_version(address for bridge in bridges if bridge for address in bridge.addresses
                          if address.network in own)  # fmt: skip


def _by_version(addresses: Iterable[Inet]) -> dict[int, Ip]:
    """Give the first address of each version of IP."""
    found: dict[int, Ip] = {}
    for address in addresses:
        found.setdefault(address.version, address.ip)
    return found


def station_of(member: Member, routes: tuple[KernelRoute, ...]) -> Station:
    """Give a container as what passes packets on."""
    return Station(member.name, member.on_segments, routes, member.model.forward)


def host_station(topology: Topology) -> Station:
    """Give the host as what passes packets on between the lab's bridges."""
    own = topology.own_bridges
    addresses = [(bridge.name, address) for bridge in own for address in bridge.addresses]
    return Station(HOST, addresses, (), True)


def ping_returns(
    source: Station, target: Ip, stations: Iterable[Station], shut: frozenset[str]
) -> bool:
    """Say whether a ping from source to target comes back; `shut` are the isolated bridges."""
    known = list(stations)
    there = last_station(source, target, known, shut)
    first = hop_towards(source, target)
    if there is None or first is None:
        return False
    # The kernel answers to the address that it saw: the one on the link that the ping left by.
    own = [
        address.ip
        for segment, address in source.addresses
        if (segment, address.version) == (first[0], target.version)
    ]
    return bool(own) and last_station(there, own[0], known, shut) is source


def last_station(
    source: Station, target: Ip, stations: Iterable[Station], shut: frozenset[str]
) -> Station | None:
    """Give the station that packets from source to target end at, None where they get lost."""
    here, came, known = source, "", list(stations)
    for _ in range(_MOST_HOPS):
        if any(address.ip == target for _, address in here.addresses):
            return here
        # What is not addressed to it a host drops, unless it forwards.
        if came and not here.forwards:
            return None
        hop = hop_towards(here, target)
        if hop is None or (here.name == HOST and came and not shut.isdisjoint((came, hop[0]))):
            return None
        owner = [other for other in known
                 if any((where, one.ip) == hop for where, one in other.addresses)]  # fmt: skip
        if not owner:
            return None
        here, came = owner[0], hop[0]
    return None


def hop_towards(here: Station, target: Ip) -> tuple[str, Ip] | None:
    """Give the segment and next hop towards target: the longest prefix wins, as in the kernel."""
    direct = [(a.length, segment, target) for segment, a in here.addresses if a.holds(target)]
    further = [
        (route.length, segment, route.via)
        for route in here.routes
        if route.leads_to(target)
        for segment, address in here.addresses
        if address.holds(route.via)
    ]
    best = max(direct + further, key=lambda found: found[0], default=None)
    return best[1:] if best else None


def _hops(member: Member, via: str, where: str, members: Members) -> dict[int, Ip]:
    """Give the next hop's address for each version of IP it has on a link of the member's."""
    links = member.on_segments
    if via in members:
        hops = _neighbours(links, members[via])
        if not hops:
            found = f"{via} is on no link of {member.name}'s"
            raise CnetshError(f"{where}: {found}, expected a neighbour")
        return hops
    hop = names.ip(via, where)
    if not any(address.holds(hop) for _, address in links):
        found = f"{via} is in no subnet of {member.name}'s"
        raise CnetshError(f"{where}: {found}, expected a neighbour")
    if any(hop == address.ip for _, address in links):
        found = f"{via} is {member.name}'s own address"
        raise CnetshError(f"{where}: {found}, expected a neighbour's")
    return {hop.version: hop}


def _neighbours(links: list[tuple[str, Inet]], router: Member) -> dict[int, Ip]:
    near = {(segment, address.network) for segment, address in links}
    return _by_version(address for segment, address in router.on_segments
                          if (segment, address.network) in near)  # fmt: skip
