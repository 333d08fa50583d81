"""Addresses for every interface of a topology: those that were written, and the next free ones."""

from collections.abc import Iterator
from ipaddress import IPv6Address
from itertools import chain, islice, pairwise

from cnetsh.errors import CnetshError
from cnetsh.labs.model import Address, Bridge, Container, Interface, Topology

Texts = tuple[str, ...]
Taken = dict[int, dict[int, str]]


def assign(topology: Topology) -> dict[tuple[str, int], list[Texts]]:
    """Give, by container and number of its interface, the addresses of each of its copies.

    Raises CnetshError for an address that is there twice or outside its bridge's subnet, for
    subnets that overlap, and for a subnet that is full.
    """
    taken: Taken = {4: {}, 6: {}}
    for bridge in topology.bridges.values():
        for address in bridge.addresses:
            _take(taken, address.version, int(address.ip), bridge.where)
    _refuse_overlap(topology)
    written = dict(_written(topology, taken))
    free = {
        bridge.name: [_free(address, taken[address.version]) for address in bridge.addresses]
        for bridge in topology.bridges.values()
    }
    return written | dict(_assigned(topology, free))


def text(version: int, number: int) -> str:
    """Give an address as text; much faster than ipaddress for IPv4."""
    if version == 6:
        return IPv6Address(number).compressed
    return f"{number >> 24}.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


def _interfaces(topology: Topology) -> Iterator[tuple[Container, int, Interface]]:
    for container in topology.containers.values():
        for number, interface in enumerate(container.interfaces):
            yield container, number, interface


def _written(topology: Topology, taken: Taken) -> Iterator[tuple[tuple[str, int], list[Texts]]]:
    for container, number, interface in _interfaces(topology):
        if not interface.addresses:
            continue
        bridge = topology.bridges.get(interface.bridge)
        for address in interface.addresses:
            _refuse_elsewhere(address, interface, bridge)
        copies = max(container.count, 1)
        columns = [_row(address, copies, interface, taken) for address in interface.addresses]
        yield (container.name, number), list(zip(*columns, strict=True))


def _row(address: Address, copies: int, interface: Interface, taken: Taken) -> list[str]:
    first, network = int(address.ip), address.network
    last = int(network.broadcast_address) - (address.version == 4 and network.prefixlen < 31)
    if first + copies - 1 > last:
        raise CnetshError(f"{interface.addressed}: no room for {copies} from {address} on")
    for number in range(first, first + copies):
        _take(taken, address.version, number, interface.addressed)
    length = network.prefixlen
    return [f"{text(address.version, first + copy)}/{length}" for copy in range(copies)]


def _assigned(
    topology: Topology, free: dict[str, list[Iterator[str]]]
) -> Iterator[tuple[tuple[str, int], list[Texts]]]:
    for container, number, interface in _interfaces(topology):
        if interface.addresses:
            continue
        sources = free.get(interface.bridge)
        if not sources:
            raise CnetshError(f"{interface.where}: no `address`, expected one: {_why(interface)}")
        copies = max(container.count, 1)
        columns = [list(islice(source, copies)) for source in sources]
        if any(len(column) < copies for column in columns):
            raise CnetshError(f"{interface.where}: the subnet has no address left")
        yield (container.name, number), list(zip(*columns, strict=True))


def _why(interface: Interface) -> str:
    if interface.bridge:
        return f"{interface.bridge} has no address, so no subnet to take one from"
    return "only a bridge with an address has a subnet to take one from"


def _free(address: Address, taken: dict[int, str]) -> Iterator[str]:
    network, own = address.network, int(address.ip)
    first, last = int(network.network_address), int(network.broadcast_address)
    if network.max_prefixlen - network.prefixlen > 1:
        first, last = first + 1, last - (address.version == 4)
    for number in chain(range(own + 1, last + 1), range(first, own)):
        if number not in taken:
            yield f"{text(address.version, number)}/{network.prefixlen}"


def _take(taken: Taken, version: int, number: int, where: str) -> None:
    other = taken[version].get(number)
    if other is not None:
        shown = text(version, number)
        raise CnetshError(f"{where}: {shown} is taken already, by {other}")
    taken[version][number] = where


def _refuse_elsewhere(address: Address, interface: Interface, bridge: Bridge | None) -> None:
    networks = [known.network for known in bridge.addresses] if bridge else []
    if networks and address.network not in networks:
        subnets = " or ".join(str(network) for network in networks)
        found = f"{interface.addressed}: {address} is not in {interface.bridge}'s subnet"
        raise CnetshError(f"{found}, expected one in {subnets}")


def _refuse_overlap(topology: Topology) -> None:
    ranges = sorted(
        (address.version, int(address.network[0]), int(address.network[-1]), bridge.name, address)
        for bridge in topology.bridges.values()
        for address in bridge.addresses
    )
    for one, two in pairwise(ranges):
        if one[0] == two[0] and two[1] <= one[2] and one[3] != two[3]:
            where = topology.bridges[two[3]].where
            raise CnetshError(f"{where}: {two[4]} overlaps {one[4]} of {one[3]}")
