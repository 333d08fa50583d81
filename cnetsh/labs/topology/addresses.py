"""Addresses for every interface of a topology: those that were written, and the next free ones."""

from collections.abc import Iterator
from itertools import chain, islice, pairwise

from cnetsh.errors import CnetshError, Mistakes
from cnetsh.labs.fields import Stated
from cnetsh.labs.model import Bridge, Container, Interface, Topology
from cnetsh.names import Inet, Ip

_Rows = list[tuple[Inet, ...]]
_Taken = dict[int, dict[int, tuple[Stated, str]]]  # by version and number: who, by which key


def assign(topology: Topology) -> dict[tuple[str, int], _Rows]:
    """Give, by container and number of its interface, each copy's addresses. Raises CnetshError."""
    mistakes, taken = Mistakes(), _Taken()
    taken |= {4: {}, 6: {}}
    for bridge in topology.bridges.values():
        for address in bridge.addresses:
            with mistakes:
                _take(taken, address.ip, bridge, "")
    _refuse_overlap(topology, mistakes)
    rows = {}
    for container, number, interface in _interfaces(topology):
        if interface.addresses:
            with mistakes:
                rows[container.name, number] = _written(container, interface, topology, taken)
    # After all that were written, so that none of them is given to somebody else.
    free = {
        bridge.name: [_free(address, taken[address.version]) for address in bridge.addresses]
        for bridge in topology.bridges.values()
    }
    for container, number, interface in _interfaces(topology):
        if not interface.addresses:
            with mistakes:
                rows[container.name, number] = _next(container, interface, free)
    mistakes.tell()
    return rows


def _interfaces(topology: Topology) -> Iterator[tuple[Container, int, Interface]]:
    for container in topology.containers.values():
        for number, interface in enumerate(container.interfaces):
            yield container, number, interface


def _written(
    container: Container, interface: Interface, topology: Topology, taken: _Taken
) -> _Rows:
    copies = max(container.count, 1)
    bridge = topology.bridges.get(interface.bridge)
    for address in interface.addresses:
        _refuse_elsewhere(address, interface, bridge)
        if address.number + copies - 1 > address.hosts[1]:
            where = interface.place("address")
            raise CnetshError(f"{where}: no room for {copies} from {address} on")
        for copy in range(copies):
            _take(taken, Ip(address.version, address.number + copy), interface, "address")
    return [
        tuple(Inet(version, first + copy, length) for version, first, length in interface.addresses)
        for copy in range(copies)
    ]


def _next(
    container: Container, interface: Interface, free: dict[str, list[Iterator[Inet]]]
) -> _Rows:
    """Give the next free addresses, one of each of the bridge's subnets for each copy."""
    sources = free.get(interface.bridge)
    where = interface.place(interface.end)
    if not sources:
        raise CnetshError(f"{where}: no `address`, expected one: {_why(interface)}")
    copies = max(container.count, 1)
    rows = list(islice(zip(*sources, strict=False), copies))
    if len(rows) < copies:
        raise CnetshError(f"{where}: the subnet has no address left")
    return rows


def _why(interface: Interface) -> str:
    if interface.bridge:
        return f"{interface.bridge} has no address, so no subnet to take one from"
    return "only a bridge with an address has a subnet to take one from"


def _free(address: Inet, taken: dict[int, tuple[Stated, str]]) -> Iterator[Inet]:
    version, own, length = address
    first, last = address.hosts
    # From the bridge's own address up, then from the beginning: as people number by hand.
    for number in chain(range(own + 1, last + 1), range(first, own)):
        if number not in taken:
            yield Inet(version, number, length)


def _take(taken: _Taken, ip: Ip, owner: Stated, key: str) -> None:
    if ip.number in taken[ip.version]:
        other, by = taken[ip.version][ip.number]
        raise CnetshError(f"{owner.place(key)}: {ip} is taken already, by {other.place(by)}")
    taken[ip.version][ip.number] = owner, key


def _refuse_elsewhere(address: Inet, interface: Interface, bridge: Bridge | None) -> None:
    networks = [known.network for known in bridge.addresses] if bridge else []
    if networks and address.network not in networks:
        subnets = " or ".join(map(str, networks))
        found = f"{interface.place('address')}: {address} is not in {interface.bridge}'s subnet"
        raise CnetshError(f"{found}, expected one in {subnets}")


def _refuse_overlap(topology: Topology, mistakes: Mistakes) -> None:
    # In order of their first address only neighbours can overlap.
    subnets = sorted(
        (address.version, address.network.number, address.last, bridge.name, address)
        for bridge in topology.bridges.values()
        for address in bridge.addresses
    )
    for (version, _, last, name, one), (other, first, _, second, two) in pairwise(subnets):
        if version == other and first <= last and name != second:
            with mistakes:
                where = topology.bridges[second].place()
                raise CnetshError(f"{where}: {two} overlaps {one} of {name}")
