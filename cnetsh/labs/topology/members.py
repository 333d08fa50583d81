"""The containers of a topology one by one, with the names and addresses of their cables' ends."""

import difflib
import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import count
from typing import NamedTuple, NoReturn

from cnetsh.errors import CnetshError
from cnetsh.labs.model import Container, Interface, Topology
from cnetsh.labs.topology import addresses
from cnetsh.labs.yaml import shortened

PORTS = 1023  # BR_MAX_PORTS of the kernel's net/bridge/br_private.h; port 0 is not used
NAMES = 100_000
CABLES = 1_000_000  # numbered, they leave eight of the fifteen bytes of a link's name to the lab's
LONGEST = 8


class Port(NamedTuple):
    """One interface of one container; ports on the same segment hear each other."""

    container: str
    host: str  # the cable's host end, "" where there is none
    peer: str  # the end in the container
    segment: str  # the bridge's name, or text with a space, which no bridge can have
    addresses: tuple[str, ...]


class Member(NamedTuple):
    """One container; the copies that `count` makes share one model."""

    name: str
    model: Container
    ports: tuple[Port, ...]


def members(topology: Topology) -> list[Member]:
    """Give every container in the file's order, each with its ports.

    Raises CnetshError for names that are unknown or there twice, and for too many ports.
    """
    for container in topology.containers.values():
        _refuse_interfaces(container, topology)
    _refuse_crowd(topology)
    assigned = addresses.assign(topology)
    ends, found = _ends(topology), []
    for model in topology.containers.values():
        plugs = [
            (interface, _segment(model, number, topology), assigned[model.name, number])
            for number, interface in enumerate(model.interfaces)
        ]
        for copy in range(max(model.count, 1)):
            name = f"{model.name}{copy}" if model.count else model.name
            ports = [_port(name, plug, segment, rows[copy], ends) for plug, segment, rows in plugs]
            found.append(Member(name, model, tuple(ports)))
    _refuse_twice(found)
    return found


def unknown(where: str, name: str, known: Iterable[str], expected: str) -> NoReturn:
    """Raise CnetshError for a name that is not there, with the nearest one that is."""
    near = difflib.get_close_matches(name, list(known)[:2000], 1)
    meant = f" (did you mean {near[0]}?)" if near else ""
    raise CnetshError(f"{where}: unknown '{shortened(name)}'{meant}, expected {expected}")


def _port(
    name: str,
    interface: Interface,
    segment: str,
    addresses: tuple[str, ...],
    ends: Iterator[tuple[str, str]],
) -> Port:
    cabled = bool(interface.bridge)
    if interface.name and (interface.host or not cabled):
        return Port(name, interface.host, interface.name, segment, addresses)
    host, peer = next(ends)
    host = (interface.host or host) if cabled else ""
    return Port(name, host, interface.name or peer, segment, addresses)


def _ends(topology: Topology) -> Iterator[tuple[str, str]]:
    """Give names for host end and peer; labs share the host, and each container is its own."""
    prefix = _prefix(topology.name)
    taken = set(topology.bridges)
    for container in topology.containers.values():
        for interface in container.interfaces:
            taken.update((interface.name, interface.host, interface.macvlan))
    for number in count():
        host, peer = f"{prefix}-{number}", f"ceth{number}"
        if host not in taken and peer not in taken:
            yield host, peer


def _prefix(lab: str) -> str:
    """Give what a lab's host ends are called by; a long name is cut and a hash keeps it apart."""
    if len(lab) <= LONGEST:
        return lab
    digest = hashlib.sha256(lab.encode()).hexdigest()[:4]
    return f"{lab[: LONGEST - 5]}-{digest}"


def _segment(container: Container, number: int, topology: Topology) -> str:
    interface = container.interfaces[number]
    if interface.bridge:
        return interface.bridge
    if interface.macvlan:
        return f"macvlan {interface.macvlan}"
    cable = _towards(container, interface.container).index(interface)
    one, two = sorted((container.name, interface.container))
    return f"cable {one} {two} {cable}"


def _towards(container: Container, name: str) -> list[Interface]:
    return [interface for interface in container.interfaces if interface.container == name]


def _refuse_interfaces(container: Container, topology: Topology) -> None:
    for interface in container.interfaces:
        if interface.bridge and interface.bridge not in topology.bridges:
            unknown(interface.where, interface.bridge, topology.bridges, "a bridge of this file")
        if interface.container:
            _refuse_cable(container, interface, topology)
        if interface.host and (container.count or not interface.bridge):
            reason = "copies need a host end each" if container.count else "no host end here"
            raise CnetshError(f"{interface.where}: `host` is set, expected none: {reason}")
    names = Counter(interface.name for interface in container.interfaces if interface.name)
    for name, times in names.items():
        if times > 1:
            raise CnetshError(f"{container.where}: two interfaces called {name}, expected one")


def _refuse_cable(container: Container, interface: Interface, topology: Topology) -> None:
    other = topology.containers.get(interface.container)
    if other is None:
        unknown(interface.where, interface.container, topology.containers, "a container")
    if other is container or other.count or container.count:
        raise CnetshError(f"{interface.where}: expected another container, one without `count`")
    here, there = _towards(container, other.name), _towards(other, container.name)
    if here.index(interface) >= len(there):
        expected = f"expected one in {other.name} with `container: {container.name}`"
        raise CnetshError(f"{interface.where}: the cable's other end is not there, {expected}")


def _refuse_crowd(topology: Topology) -> None:
    ports: Counter[str] = Counter()
    total = cables = 0
    for container in topology.containers.values():
        copies = max(container.count, 1)
        total += copies
        for interface in container.interfaces:
            ports[interface.bridge] += copies
            if interface.bridge and ports[interface.bridge] > PORTS:
                found = f"{ports[interface.bridge]} containers on {interface.bridge}"
                raise CnetshError(f"{interface.where}: {found}, expected at most {PORTS} ports")
        cables += copies * len(container.interfaces)
        if cables > CABLES:
            raise CnetshError(f"{container.where}: {cables} cables, expected at most {CABLES}")
        if total > NAMES:
            raise CnetshError(f"{container.where}: {total} containers, expected at most {NAMES}")


def _refuse_twice(found: list[Member]) -> None:
    if len({member.name for member in found}) != len(found):
        name = next(n for n, times in Counter(m.name for m in found).items() if times > 1)
        where = [member.model.where for member in found if member.name == name][1]
        raise CnetshError(f"{where}: a second container called {name}, the copies of `count` too")
    ports = [(port.host, member) for member in found for port in member.ports if port.host]
    if len({host for host, _ in ports}) != len(ports):
        host = next(n for n, times in Counter(host for host, _ in ports).items() if times > 1)
        second = [member for name, member in ports if name == host][1]
        raise CnetshError(f"{second.model.where}: a second host end called {host}, expected one")
