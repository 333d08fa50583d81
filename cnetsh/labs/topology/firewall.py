"""What a topology asks of iptables and ip6tables, in chains of its own."""

import hashlib
from collections.abc import Iterable
from typing import NamedTuple

from cnetsh.errors import CnetshError, Mistakes
from cnetsh.labs.model import Bridge, Publish, Topology
from cnetsh.labs.topology.members import Member, Members, Port
from cnetsh.names import Inet

# bytes of a chain's name: XT_EXTENSION_MAXNAMELEN of linux/netfilter/x_tables.h, less 1
LONGEST = 28
SUFFIX = "-DNAT"
_TOOLS = {4: ("iptables", "127.0.0.0/8", 32), 6: ("ip6tables", "::1/128", 128)}


class Published(NamedTuple):
    """A port of the host and where it leads."""

    port: int
    protocol: str
    target: int
    bridge: str
    host: Inet  # the container's address as a network of one
    end: str  # the host end of its cable
    socket: str  # the container's address and port as --to-destination takes them
    container: str


class Translation(NamedTuple):
    """A network whose packets get another source address, and the bridge that it is behind."""

    network: Inet
    bridge: str


class Firewall(NamedTuple):
    """The rules of one tool, iptables or ip6tables."""

    tool: str
    loopback: str
    isolated: list[str]
    inside: list[str]  # bridges whose containers talk to each other alone
    open: list[str]
    published: list[Published]
    untranslated: list[str]
    translated: list[Translation]
    hairpins: list[Translation]


def chain_name(lab: str) -> str:
    """Give the name of the lab's own chains; a long lab name is cut and a hash keeps it apart."""
    name = f"CNETSH-{lab}"
    if len(name) + len(SUFFIX) <= LONGEST:
        return name
    digest = hashlib.sha256(lab.encode()).hexdigest()[:6]
    return f"{name[: LONGEST - len(SUFFIX) - 7]}-{digest}"


def forwarded_versions(topology: Topology) -> list[int]:
    """Give the versions of IP for which the host must pass packets on."""
    routed = _routed(topology)
    published = any(container.publish for container in topology.containers.values())
    # Neighbours on one bridge reach each other by layer 2, for which nobody forwards.
    if len(routed) < 2 and not published and not any(bridge.nat for bridge in routed):
        return []
    return sorted({address.version for bridge in routed for address in bridge.addresses})


def firewalls_of(topology: Topology, members: Members, mistakes: Mistakes) -> list[Firewall]:
    """Give the rules for each version of IP that the lab uses, or none for a lab that needs none.

    A single plain bridge needs none unless the file says `firewall: true`. A mistake is kept for
    each port that is published twice or leads nowhere.
    """
    own, published = topology.own_bridges, _published(topology, members, mistakes)
    single = len(own) == 1 and not own[0].isolated
    plain = single and not forwarded_versions(topology)
    if not own or not (topology.firewall if topology.firewall is not None else not plain):
        return []
    versions = {address.version for bridge in own for address in bridge.addresses}
    names = {bridge.name for bridge in own}
    ports = (port for member in members.values() for port in member.ports if port.segment in names)
    versions |= {address.version for port in ports for address in port.addresses}
    return [_firewall(version, topology, published[version]) for version in sorted(versions)]


def _firewall(version: int, topology: Topology, published: list[Published]) -> Firewall:
    tool, loopback, _ = _TOOLS[version]
    own = topology.own_bridges
    routed = _routed(topology) if forwarded_versions(topology) else []
    open = [bridge.name for bridge in routed]
    nat = [bridge for bridge in routed if bridge.nat]
    leading = {published.bridge for published in published}
    return Firewall(
        tool,
        loopback,
        [bridge.name for bridge in own if bridge.isolated],
        [name for name in (bridge.name for bridge in own) if name not in open],
        open,
        published,
        open if nat and len(routed) > 1 else [],
        _translations(nat, version),
        _translations((bridge for bridge in routed if bridge.name in leading), version),
    )


def _routed(topology: Topology) -> list[Bridge]:
    return [bridge for bridge in topology.own_bridges if bridge.addresses and not bridge.isolated]


def _translations(bridges: Iterable[Bridge], version: int) -> list[Translation]:
    return [
        Translation(address.network, bridge.name)
        for bridge in bridges
        for address in bridge.addresses
        if address.version == version
    ]


def _published(
    topology: Topology, members: Members, mistakes: Mistakes
) -> dict[int, list[Published]]:
    found: dict[int, list[Published]] = {4: [], 6: []}
    seen: dict[str, str] = {}
    for container in topology.containers.values():
        for publish in container.publish:
            with mistakes:
                if container.count:
                    expected = "expected no `count` here"
                    raise CnetshError(f"{publish.where}: copies cannot share a port, {expected}")
                port = f"{publish.port}/{publish.protocol}"
                if port in seen:
                    already = f"{port} is published already, by {seen[port]}"
                    raise CnetshError(f"{publish.where}: {already}")
                seen[port] = publish.where
                for each in _leads(members[container.name], publish, topology):
                    found[each.host.version].append(each)
    return found


def _leads(member: Member, publish: Publish, topology: Topology) -> list[Published]:
    usable = {bridge.name for bridge in _routed(topology)}
    for port in member.ports:
        if port.segment in usable:
            return [_entry(publish, port, address) for address in port.addresses]
    expected = "expected the container on a bridge of the lab's own with an address, not isolated"
    raise CnetshError(f"{publish.where}: no way to {member.name}, {expected}")


def _entry(publish: Publish, port: Port, address: Inet) -> Published:
    six = address.version == 6
    # The brackets are a pattern for a shell, and every command must also run in one.
    socket = f"'[{address.ip}]:{publish.target}'" if six else f"{address.ip}:{publish.target}"
    host = address._replace(length=_TOOLS[address.version][2])
    said = (publish.port, publish.protocol, publish.target)
    return Published(*said, port.segment, host, port.host, socket, port.container)
