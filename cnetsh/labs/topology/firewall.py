"""What a topology asks of iptables and ip6tables, in chains of its own."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from cnetsh.errors import CnetshError
from cnetsh.labs.model import Bridge, Publish, Topology
from cnetsh.labs.topology.members import Member, Port

LONGEST = (
    28  # bytes of a chain's name: XT_EXTENSION_MAXNAMELEN of linux/netfilter/x_tables.h, less 1
)
SUFFIX = "-DNAT"
_TOOLS = {4: ("iptables", "127.0.0.0/8", 32), 6: ("ip6tables", "::1/128", 128)}


class Published(NamedTuple):
    """A port of the host and where it leads."""

    port: int
    protocol: str
    target: int
    bridge: str
    host: str  # the container's address as a network of one
    end: str  # the host end of its cable
    socket: str  # the container's address and port as --to-destination takes them


class Firewall(NamedTuple):
    """The rules of one tool, iptables or ip6tables."""

    tool: str
    loopback: str
    isolated: list[str]
    inside: list[str]  # bridges whose containers talk to each other alone
    open: list[str]
    published: list[Published]
    untranslated: list[str]
    translated: list[tuple[str, str]]  # network, bridge
    hairpins: list[tuple[str, str]]


def chain(lab: str) -> str:
    """Give the name of the lab's own chains; a long lab name is cut and a hash keeps it apart."""
    name = f"CNETSH-{lab}"
    if len(name) + len(SUFFIX) <= LONGEST:
        return name
    digest = hashlib.sha256(lab.encode()).hexdigest()[:6]
    return f"{name[: LONGEST - len(SUFFIX) - 7]}-{digest}"


def forwards(topology: Topology, members: Mapping[str, Member]) -> list[int]:
    """Give the versions of IP for which the host must pass packets on."""
    routed = _routed(topology)
    published = any(member.model.publish for member in members.values())
    if len(routed) < 2 and not published and not any(bridge.nat for bridge in routed):
        return []
    return sorted({address.version for bridge in routed for address in bridge.addresses})


def rules(topology: Topology, members: Mapping[str, Member]) -> list[Firewall]:
    """Give the rules for each version of IP that the lab uses, or none for a lab that needs none.

    A single plain bridge needs none unless the file says `firewall: true`. Raises CnetshError for a
    port that is published twice or leads nowhere.
    """
    own, published = _own(topology), _published(topology, members)
    single = len(own) == 1 and not own[0].isolated
    plain = single and not forwards(topology, members)
    if not own or not (topology.firewall if topology.firewall is not None else not plain):
        return []
    versions = {6 if ":" in text else 4 for text in _texts(topology, members)}
    return [_rules(version, topology, members, published[version]) for version in sorted(versions)]


def _rules(
    version: int, topology: Topology, members: Mapping[str, Member], published: list[Published]
) -> Firewall:
    tool, loopback, _ = _TOOLS[version]
    own = _own(topology)
    routed = _routed(topology) if forwards(topology, members) else []
    nat = [bridge for bridge in routed if bridge.nat]
    leading = {published.bridge for published in published}
    return Firewall(
        tool,
        loopback,
        [bridge.name for bridge in own if bridge.isolated],
        [bridge.name for bridge in own if bridge not in routed],
        [bridge.name for bridge in routed],
        published,
        [bridge.name for bridge in routed if nat and len(routed) > 1],
        _networks(nat, version),
        _networks((bridge for bridge in routed if bridge.name in leading), version),
    )


def _routed(topology: Topology) -> list[Bridge]:
    return [bridge for bridge in _own(topology) if bridge.addresses and not bridge.isolated]


def _texts(topology: Topology, members: Mapping[str, Member]) -> Iterator[str]:
    names = {bridge.name for bridge in _own(topology)}
    for member in members.values():
        for port in member.ports:
            if port.segment in names:
                yield from port.addresses
    for bridge in _own(topology):
        yield from map(str, bridge.addresses)


def _own(topology: Topology) -> list[Bridge]:
    return [bridge for bridge in topology.bridges.values() if not bridge.external]


def _networks(bridges: Iterable[Bridge], version: int) -> list[tuple[str, str]]:
    return [
        (str(address.network), bridge.name)
        for bridge in bridges
        for address in bridge.addresses
        if address.version == version
    ]


def _published(topology: Topology, members: Mapping[str, Member]) -> dict[int, list[Published]]:
    found: dict[int, list[Published]] = {4: [], 6: []}
    seen: dict[tuple[int, str], str] = {}
    for member in members.values():
        for publish in member.model.publish:
            key = (publish.port, publish.protocol)
            if key in seen:
                text = f"{publish.port}/{publish.protocol}"
                raise CnetshError(f"{publish.where}: {text} is published already, by {seen[key]}")
            seen[key] = publish.where
            for version, entry in _leads(member, publish, topology):
                found[version].append(entry)
    return found


def _leads(member: Member, publish: Publish, topology: Topology) -> list[tuple[int, Published]]:
    if member.model.count:
        raise CnetshError(f"{publish.where}: copies cannot share a port, expected no `count` here")
    usable = {bridge.name for bridge in _routed(topology)}
    for port in member.ports:
        if port.segment in usable:
            return [_entry(publish, port, text.partition("/")[0]) for text in port.addresses]
    expected = "expected the container on a bridge of the lab's own with an address, not isolated"
    raise CnetshError(f"{publish.where}: no way to {member.name}, {expected}")


def _entry(publish: Publish, port: Port, address: str) -> tuple[int, Published]:
    version = 6 if ":" in address else 4
    # The brackets are a pattern for a shell, and every command must also run in one.
    socket = f"'[{address}]:{publish.target}'" if version == 6 else f"{address}:{publish.target}"
    network = f"{address}/{_TOOLS[version][2]}"
    return version, Published(
        publish.port, publish.protocol, publish.target, port.segment, network, port.host, socket
    )
