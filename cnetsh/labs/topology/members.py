"""The containers of a topology one by one, with the names and addresses of their cables' ends."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import count
from typing import NamedTuple, TypeAlias

from cnetsh.errors import CnetshError, Mistakes
from cnetsh.labs.fields import Stated
from cnetsh.labs.model import Container, Interface, Topology
from cnetsh.labs.topology.addresses import assign
from cnetsh.labs.yaml import shortened
from cnetsh.names import Inet, meant

HOST = "host"  # what checks call the target itself
_PORTS = 1023  # BR_MAX_PORTS of the kernel's net/bridge/br_private.h; port 0 is not used
_NAMES = 100_000
CABLES = 1_000_000  # numbered, they leave eight of the fifteen bytes of a link's name to the lab's
_LONGEST = 8
WHOLE = 11  # bytes of a lab's name that a link's can hold beside a dash and three digits


class Port(NamedTuple):
    """One interface of one container; ports on the same segment hear each other."""

    container: str
    host: str  # the cable's host end, "" where there is none
    peer: str  # the end in the container
    segment: str  # the bridge's name, or text with a space, which no bridge can have
    addresses: tuple[Inet, ...]


class Member(NamedTuple):
    """One container; the copies that `count` makes share one model."""

    name: str
    model: Container
    ports: tuple[Port, ...]

    @property
    def addresses(self) -> list[Inet]:
        return [address for port in self.ports for address in port.addresses]

    @property
    def on_segments(self) -> list[tuple[str, Inet]]:
        """The addresses, each with the segment that it is on."""
        return [(port.segment, address) for port in self.ports for address in port.addresses]


Members: TypeAlias = Mapping[str, Member]


def members(topology: Topology) -> dict[str, Member]:
    """Give every container by its name in the file's order, with its ports. Raises CnetshError."""
    mistakes = Mistakes()
    refuse_unknown(topology, mistakes)
    with mistakes:
        # First, because a file of a megabyte can ask for a thousand million names.
        _refuse_crowd(topology)
        _refuse_unknown_hops(topology, mistakes)
    for container in topology.containers.values():
        _refuse_interfaces(container, topology, mistakes)
    mistakes.tell()
    rows = assign(topology)
    ends, found = _ends(topology), []
    for model in topology.containers.values():
        plugs = [
            (interface, _segment(model, number, topology), rows[model.name, number])
            for number, interface in enumerate(model.interfaces)
        ]
        for copy, name in enumerate(_names(model)):
            ports = [_port(name, plug, segment, rows[copy], ends) for plug, segment, rows in plugs]
            found.append(Member(name, model, tuple(ports)))
    _refuse_twice(found, topology)
    return {member.name: member for member in found}


def refuse_unknown(topology: Topology, mistakes: Mistakes) -> None:
    """Keep a mistake for each interface that leads to a bridge or container that is not there."""
    bridges, containers = topology.bridges, topology.containers
    for container in containers.values():
        for one in container.interfaces:
            with mistakes:
                _refuse_if_unknown(one, "bridge", one.bridge, bridges, "a bridge of this file")
            with mistakes:
                _refuse_if_unknown(one, "container", one.container, containers, "a container")


def _refuse_unknown_hops(topology: Topology, mistakes: Mistakes) -> None:
    """The same for next hops, and for what checks name."""
    known = {name: "" for model in topology.containers.values() for name in _names(model)}
    hops: list[tuple[Stated, str, str]] = []
    for model in topology.containers.values():
        hops += [(route, "via", route.via) for route in model.routes]
        hops += [(model, "gateway", model.gateway)] if model.gateway != "none" else []
    for stated, key, via in hops:
        with mistakes:
            if not _is_address(via):
                _refuse_if_unknown(stated, key, via, known, "an address or a container")
    sources, targets = {HOST: "", **known}, known | dict.fromkeys(topology.bridges, "")
    for check in topology.checks:
        with mistakes:
            _refuse_if_unknown(check, "", check.source, sources, "a container or host")
        with mistakes:
            if not _is_address(check.target.name):
                expected = "a container, a bridge or an address"
                _refuse_if_unknown(check, "", check.target.name, targets, expected)


def _is_address(text: str) -> bool:
    return "." in text or ":" in text


def _refuse_if_unknown(
    stated: Stated, key: str, name: str, known: Mapping[str, object], expected: str
) -> None:
    if name and name not in known:
        found = f"{stated.place(key)}: unknown '{shortened(name)}'{meant(name, known)}"
        raise CnetshError(f"{found}, expected {expected}")


def _names(model: Container) -> list[str]:
    return [f"{model.name}{copy}" for copy in range(model.count)] if model.count else [model.name]


def _port(
    name: str,
    interface: Interface,
    segment: str,
    addresses: tuple[Inet, ...],
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
    lab, short = topology.name, _short(topology.name)
    # Bridges and host ends share the host's namespace, where a name is there once.
    taken = set(topology.bridges)
    for container in topology.containers.values():
        for interface in container.interfaces:
            taken.update((interface.name, interface.host, interface.macvlan))
    for number in count():
        # By the number alone: a name must not change when the lab grows.
        prefix = lab if len(lab) <= WHOLE and number < 1000 else short
        host, peer = f"{prefix}-{number}", f"ceth{number}"
        if host not in taken and peer not in taken:
            yield host, peer


def _short(lab: str) -> str:
    """Give a lab's name where it is not too long, else cut, and kept apart by a hash."""
    if len(lab) <= _LONGEST:
        return lab
    digest = hashlib.sha256(lab.encode()).hexdigest()[:4]
    return f"{lab[: _LONGEST - 5]}-{digest}"


def _segment(container: Container, number: int, topology: Topology) -> str:
    interface = container.interfaces[number]
    if interface.bridge:
        return interface.bridge
    if interface.macvlan:
        return f"macvlan {interface.macvlan}"
    # Two containers may have several cables: the first of the one meets the first of the other.
    cable = _towards(container, interface.container).index(interface)
    one, two = sorted((container.name, interface.container))
    return f"cable {one} {two} {cable}"


def _towards(container: Container, name: str) -> list[Interface]:
    return [interface for interface in container.interfaces if interface.container == name]


def _refuse_interfaces(container: Container, topology: Topology, mistakes: Mistakes) -> None:
    for interface in container.interfaces:
        where = interface.place(interface.end)
        with mistakes:
            if interface.container in topology.containers:
                _refuse_cable(container, interface, topology)
        with mistakes:
            if interface.host and (container.count or not interface.bridge):
                reason = "copies need a host end each" if container.count else "no host end here"
                raise CnetshError(f"{where}: `host` is set, expected none: {reason}")
    names = Counter(interface.name for interface in container.interfaces if interface.name)
    for name, times in names.items():
        with mistakes:
            if times > 1:
                twice = f"two interfaces called {name}, expected one"
                raise CnetshError(f"{container.place()}: {twice}")


def _refuse_cable(container: Container, interface: Interface, topology: Topology) -> None:
    where, other = interface.place("container"), topology.containers[interface.container]
    if other is container or other.count or container.count:
        raise CnetshError(f"{where}: expected another container, one without `count`")
    here, there = _towards(container, other.name), _towards(other, container.name)
    if here.index(interface) >= len(there):
        expected = f"expected one in {other.name} with `container: {container.name}`"
        raise CnetshError(f"{where}: the cable's other end is not there, {expected}")


def _refuse_crowd(topology: Topology) -> None:
    ports: Counter[str] = Counter()
    total = cables = 0
    for container in topology.containers.values():
        copies = max(container.count, 1)
        total += copies
        for interface in container.interfaces:
            ports[interface.bridge] += copies
            if interface.bridge and ports[interface.bridge] > _PORTS:
                found = f"{ports[interface.bridge]} containers on {interface.bridge}"
                where = interface.place("bridge")
                raise CnetshError(f"{where}: {found}, expected at most {_PORTS} ports")
        cables += copies * len(container.interfaces)
        if cables > CABLES:
            raise CnetshError(f"{container.place()}: {cables} cables, expected at most {CABLES}")
        if total > _NAMES:
            raise CnetshError(f"{container.place()}: {total} containers, expected at most {_NAMES}")


def _refuse_twice(found: list[Member], topology: Topology) -> None:
    if len({member.name for member in found}) != len(found):
        name = next(n for n, times in Counter(m.name for m in found).items() if times > 1)
        where = [member.model.place() for member in found if member.name == name][1]
        raise CnetshError(f"{where}: a second container called {name}, the copies of `count` too")
    ports = [(port.host, member) for member in found for port in member.ports if port.host]
    if len({host for host, _ in ports}) != len(ports):
        host = next(n for n, times in Counter(host for host, _ in ports).items() if times > 1)
        second = [member for name, member in ports if name == host][1]
        raise CnetshError(f"{second.model.place()}: a second host end called {host}, expected one")
    if host := next((name for name, _ in ports if name in topology.bridges), ""):
        model = next(member.model for name, member in ports if name == host)
        what = f"a host end called {host} as a bridge is, expected another name"
        raise CnetshError(f"{model.place()}: {what}")
