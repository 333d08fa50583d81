"""A checked model as finished values for the general templates: names, addresses, order."""

import hashlib
from collections.abc import Iterable, Iterator
from decimal import Decimal
from math import ceil
from typing import Any, NamedTuple

from cnetsh.errors import CnetshError, Mistakes
from cnetsh.labs.model import Cable, Topology
from cnetsh.labs.topology import firewall
from cnetsh.labs.topology.members import Member, Members, Port, members
from cnetsh.labs.topology.pings import Pings
from cnetsh.labs.topology.routes import KernelRoute, kernel_routes
from cnetsh.names import Inet

_FORWARDING = {4: "net/ipv4/ip_forward", 6: "net/ipv6/conf/all/forwarding"}
_UNITS = {"bit": 1, "kbit": 10**3, "mbit": 10**6, "gbit": 10**9}

Printed = dict[str, object]  # a thing that a template prints, by the names of its fields


class LinkAddress(NamedTuple):
    """An address that a link is given; `nodad` stands behind one of IPv6."""

    link: str
    address: Inet
    nodad: str


class ContainerInside(NamedTuple):
    """What is done inside a container."""

    name: str
    settings: list[Printed]  # path under /proc/sys, value
    addresses: list[LinkAddress]
    links: list[str]
    routes: tuple[KernelRoute, ...]


def topology_values(topology: Topology) -> dict[str, object]:
    """Give what the templates in templates/topology need. Raises CnetshError with the places."""
    known, mistakes = members(topology), Mistakes()
    ports = [port for member in known.values() for port in member.ports]
    firewalls = firewall.firewalls_of(topology, known, mistakes)
    found = {
        **_bridges(topology, ports),
        **_links(topology, known, ports, mistakes),
        **_containers(topology, known, [p for one in firewalls for p in one.published], mistakes),
    }
    mistakes.tell()
    return {
        "lab": topology.name,
        "chain": firewall.chain_name(topology.name),
        "forwarding": [_FORWARDING[each] for each in firewall.forwarded_versions(topology)],
        "firewalls": firewalls,
        "hairpins": list(dict.fromkeys(p.end for rules in firewalls for p in rules.published)),
        **found,
    }


def mac(lab: str, bridge: str) -> str:
    """Give a bridge's address, always the same one, from the range for local use.

    A bridge without one takes its ports' lowest and changes it as they come and go, and neighbours
    then remember the wrong one (kernel, br_stp_recalculate_bridge_id).
    """
    digest = hashlib.sha256(f"{lab}/{bridge}".encode()).digest()
    return ":".join(f"{byte:02x}" for byte in (2, *digest[:5]))


def _bridges(topology: Topology, ports: list[Port]) -> dict[str, object]:
    own = topology.own_bridges
    # A neighbour solicitation sent while a bridge has just come up is lost, and IPv6 waits a second
    # for the next; with IPv4 alone the bridge is up last, which spares it floods as ports come up.
    early = {port.segment for port in ports for one in port.addresses if one.version == 6}
    return {
        "bridges": [
            {"name": bridge.name, "mac": mac(topology.name, bridge.name)} for bridge in own
        ],
        "bridge_addresses": [
            one for bridge in own for one in _on_link(bridge.name, bridge.addresses)
        ],
        "early": [bridge.name for bridge in own if bridge.name in early],
        "late": [bridge.name for bridge in own if bridge.name not in early],
    }


def _links(
    topology: Topology, known: Members, ports: list[Port], mistakes: Mistakes
) -> dict[str, list[Any]]:
    return {
        "namespaces": list(known),
        "resolvers": [member for member in known.values() if member.model.dns],
        "ports": [port for port in ports if port.host],
        "cables": _cables(ports),
        "macvlans": [
            {"parent": port.segment.removeprefix("macvlan "), "port": port}
            for port in ports
            if port.segment.startswith("macvlan ")
        ],
        "mtus": list(_mtus(topology, ports)),
        "shapes": list(_shapes(topology, known, mistakes)),
    }


def _containers(
    topology: Topology, known: Members, published: list[firewall.Published], mistakes: Mistakes
) -> dict[str, object]:
    routes: dict[str, tuple[KernelRoute, ...]] = {}
    settings: dict[str, list[Printed]] = {}
    for member in known.values():
        model = member.model.name
        if model not in routes:
            routes[model], settings[model] = (), list(_settings(member))
            with mistakes:
                routes[model] = kernel_routes(member, topology, known)
    insides = [
        ContainerInside(
            member.name,
            settings[member.model.name],
            [one for port in member.ports for one in _on_link(port.peer, port.addresses)],
            [port.peer for port in member.ports],
            routes[member.model.name],
        )
        for member in known.values()
    ]
    pings = Pings(topology, known, routes, published, mistakes)
    return {"containers": insides, "pings": pings}


def _on_link(link: str, addresses: Iterable[Inet]) -> list[LinkAddress]:
    return [LinkAddress(link, one, " nodad" if one.version == 6 else "") for one in addresses]


def _settings(member: Member) -> Iterator[Printed]:
    """Give a container's settings; forwarding comes first because writing it resets others."""
    if member.model.forward:
        for version in sorted({address.version for address in member.addresses}):
            yield {"path": _FORWARDING[version], "value": "1"}
    for key, value in member.model.sysctls.items():
        yield {"path": key.replace(".", "/"), "value": value}


def _cables(ports: list[Port]) -> list[Printed]:
    ends: dict[str, list[Port]] = {}
    for port in ports:
        if port.segment.startswith("cable "):
            ends.setdefault(port.segment, []).append(port)
    return [{"one": one, "two": two} for one, two in ends.values()]


def _mtus(topology: Topology, ports: list[Port]) -> Iterator[Printed]:
    """Give the MTU of both ends of a cable: a bridge's is its smallest port's."""
    sizes = {bridge.name: bridge.mtu for bridge in topology.bridges.values() if bridge.mtu}
    for port in ports if sizes else ():
        if port.segment in sizes:
            yield {"container": "", "link": port.host, "mtu": sizes[port.segment]}
            yield {"container": port.container, "link": port.peer, "mtu": sizes[port.segment]}


def _shapes(topology: Topology, known: Members, mistakes: Mistakes) -> Iterator[Printed]:
    """Give the queueing discipline of both ends of a cable."""
    # Most labs shape nothing, and 100,000 containers need not be asked one by one.
    models = topology.containers.values()
    if not any(_qdisc(interface) for model in models for interface in model.interfaces):
        return
    cables = _shaped_cables(known, mistakes)
    for member in known.values():
        for port, interface in zip(member.ports, member.model.interfaces, strict=True):
            qdisc = cables.get(port.segment) or _qdisc(interface)
            if qdisc and port.host:
                yield {"container": "", "link": port.host, "qdisc": qdisc}
            if qdisc:
                yield {"container": member.name, "link": port.peer, "qdisc": qdisc}


def _shaped_cables(known: Members, mistakes: Mistakes) -> dict[str, str]:
    """Give the discipline of cables between containers: what is said of one end is for both."""
    shaped: dict[str, str] = {}
    for member in known.values():
        for port, interface in zip(member.ports, member.model.interfaces, strict=True):
            qdisc = _qdisc(interface)
            if not interface.container or not qdisc:
                continue
            other = shaped.setdefault(port.segment, qdisc)
            with mistakes:
                if other != qdisc:
                    found = f"{interface.place('container')}: {qdisc!r} here, {other!r}"
                    raise CnetshError(f"{found} at the other end, expected the same or one alone")
    return shaped


def _qdisc(cable: Cable) -> str:
    """Give tc's words, "" for a link that is left alone; netem can also hold a rate."""
    rate, delay, loss = cable.rate, cable.delay, cable.loss
    if delay or loss:
        words = {"delay": delay, "loss": loss, "rate": rate}
        return " ".join(["netem", *(f"{key} {value}" for key, value in words.items() if value)])
    return f"tbf rate {rate} burst {_burst(rate)}kbit latency 400ms" if rate else ""


def _burst(rate: str) -> int:
    """Give what may pass at once, in kbit: 10 ms' worth, and never less than two full packets."""
    unit = rate.lstrip("0123456789.")
    bits = Decimal(rate.removesuffix(unit)) * _UNITS[unit]
    return max(32, ceil(bits / 100 / 1000))
