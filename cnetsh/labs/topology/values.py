"""A checked model as finished values for the general templates: names, addresses, order."""

import gc
import hashlib
from collections.abc import Iterator, Mapping
from decimal import Decimal
from math import ceil
from typing import Any

from cnetsh.errors import CnetshError
from cnetsh.labs.model import Interface, Topology
from cnetsh.labs.topology import firewall, pings
from cnetsh.labs.topology.members import Member, Port, members
from cnetsh.labs.topology.routes import routes as routes_of

_FORWARDING = {4: "net/ipv4/ip_forward", 6: "net/ipv6/conf/all/forwarding"}
_UNITS = {"bit": 1, "kbit": 10**3, "mbit": 10**6, "gbit": 10**9}

Members = Mapping[str, Member]


def finished(topology: Topology) -> dict[str, object]:
    """Give what the templates in templates/topology need, as plain data.

    Raises CnetshError, with the place in the lab file, for what does not fit together.
    """
    # Many small tuples and no cycles: the collector would only walk them again and again.
    collecting = gc.isenabled()
    gc.disable()
    try:
        return _finished(topology)
    finally:
        if collecting:
            gc.enable()


def _finished(topology: Topology) -> dict[str, object]:
    known = {member.name: member for member in members(topology)}
    ports = [port for member in known.values() for port in member.ports]
    forwards = firewall.forwards(topology, known)
    firewalls = firewall.rules(topology, known)
    links = _links(topology, known, ports)
    return {
        "lab": topology.name,
        "chain": firewall.chain(topology.name),
        "forwarding": [_FORWARDING[version] for version in forwards],
        "firewalls": [rules._asdict() for rules in firewalls],
        "hairpins": list(dict.fromkeys(p.end for rules in firewalls for p in rules.published)),
        "needs": sorted({rules.tool for rules in firewalls} | _asked(links)),
        **_bridges(topology, ports),
        **links,
        **_containers(topology, known),
    }


def needs(values: Mapping[str, object]) -> list[str]:
    """Give what a lab asks for besides namespaces, veths and bridges, from its finished values.

    Each is one of netem, tbf, macvlan, iptables and ip6tables; built-in labs ask for nothing here.
    """
    found: Any = values.get("needs", [])
    return list(found)


def mac(lab: str, bridge: str) -> str:
    """Give a bridge's address, always the same one, from the range for local use.

    A bridge without one takes its ports' lowest and changes it as they come and go, and neighbours
    then remember the wrong one (kernel, br_stp_recalculate_bridge_id).
    """
    digest = hashlib.sha256(f"{lab}/{bridge}".encode()).digest()
    return ":".join(f"{byte:02x}" for byte in (2, *digest[:5]))


def _bridges(topology: Topology, ports: list[Port]) -> dict[str, object]:
    own = [bridge for bridge in topology.bridges.values() if not bridge.external]
    # A neighbour solicitation sent while a bridge has just come up is lost, and IPv6 waits a second
    # for the next; with IPv4 alone the bridge is up last, which spares it floods as ports come up.
    early = {port.segment for port in ports for text in port.addresses if ":" in text}
    return {
        "bridges": [(bridge.name, mac(topology.name, bridge.name)) for bridge in own],
        "bridge_addresses": [
            (bridge.name, str(address), _nodad(str(address)))
            for bridge in own
            for address in bridge.addresses
        ],
        "early": [bridge.name for bridge in own if bridge.name in early],
        "late": [bridge.name for bridge in own if bridge.name not in early],
    }


def _links(topology: Topology, known: Members, ports: list[Port]) -> dict[str, list[Any]]:
    return {
        "namespaces": list(known),
        "resolvers": [
            (member.name, list(zip(("", "-a ", "-a "), member.model.dns, strict=False)))
            for member in known.values()
            if member.model.dns
        ],
        "ports": [port[:4] for port in ports if port.host],
        "cables": _cables(ports),
        "macvlans": [
            (port.segment.removeprefix("macvlan "), port.peer, port.container)
            for port in ports
            if port.segment.startswith("macvlan ")
        ],
        "mtus": list(_mtus(topology, ports)),
        "shapes": list(_shapes(topology, known)),
    }


def _asked(links: Mapping[str, list[Any]]) -> set[str]:
    disciplines = {qdisc.partition(" ")[0] for _, _, qdisc in links["shapes"]}
    return disciplines | ({"macvlan"} if links["macvlans"] else set())


def _containers(topology: Topology, known: Members) -> dict[str, object]:
    routes: dict[str, tuple[str, ...]] = {}
    settings: dict[str, tuple[tuple[str, str], ...]] = {}
    for member in known.values():
        if member.model.name not in routes:
            routes[member.model.name] = routes_of(member, topology, known)
            settings[member.model.name] = tuple(_settings(member))
    insides = [
        (
            member.name,
            settings[member.model.name],
            _addresses(member),
            [port.peer for port in member.ports],
            routes[member.model.name],
        )
        for member in known.values()
    ]
    own = pings.own(topology, known)
    said = {ping[:2] for ping in own}
    derived = {
        "gateways": pings.to_gateways(topology, known),
        "pairs": pings.between(topology, known, routes),
        "outside": pings.outside(topology, known),
    }
    kept = {key: [ping for ping in pings if ping[:2] not in said] for key, pings in derived.items()}
    return {"containers": insides, "own": own, **kept}


def _nodad(address: str) -> str:
    return " nodad" if ":" in address else ""


def _addresses(member: Member) -> list[tuple[str, str, str]]:
    return [(text, port.peer, _nodad(text)) for port in member.ports for text in port.addresses]


def _settings(member: Member) -> Iterator[tuple[str, str]]:
    """Give value and path; forwarding comes first because writing it resets others."""
    addresses = [text for port in member.ports for text in port.addresses]
    if member.model.forward:
        for version in sorted({6 if ":" in text else 4 for text in addresses}):
            yield "1", _FORWARDING[version]
    for path, value in member.model.sysctls:
        yield value, path


def _cables(ports: list[Port]) -> list[tuple[str, str, str, str]]:
    ends: dict[str, list[Port]] = {}
    for port in ports:
        if port.segment.startswith("cable "):
            ends.setdefault(port.segment, []).append(port)
    return [(one.peer, one.container, two.peer, two.container) for one, two in ends.values()]


def _mtus(topology: Topology, ports: list[Port]) -> Iterator[tuple[str, str, int]]:
    """Give namespace ("" is the host's), link and bytes: a bridge's MTU is its smallest port's."""
    sizes = {bridge.name: bridge.mtu for bridge in topology.bridges.values() if bridge.mtu}
    for port in ports if sizes else ():
        if port.segment in sizes:
            yield "", port.host, sizes[port.segment]
            yield port.container, port.peer, sizes[port.segment]


def _shapes(topology: Topology, known: Members) -> Iterator[tuple[str, str, str]]:
    """Give namespace ("" is the host's), link and queueing discipline, for both ends of a cable."""
    models = topology.containers.values()
    if not any(_qdisc(interface) for model in models for interface in model.interfaces):
        return
    cables = _shaped_cables(known)
    for member in known.values():
        for port, interface in zip(member.ports, member.model.interfaces, strict=True):
            qdisc = cables.get(port.segment) or _qdisc(interface)
            if qdisc and port.host:
                yield "", port.host, qdisc
            if qdisc:
                yield member.name, port.peer, qdisc


def _shaped_cables(known: Members) -> dict[str, str]:
    """Give the discipline of cables between containers: what is said of one end is for both."""
    shaped: dict[str, str] = {}
    for member in known.values():
        for port, interface in zip(member.ports, member.model.interfaces, strict=True):
            qdisc = _qdisc(interface)
            if interface.container and qdisc:
                other = shaped.setdefault(port.segment, qdisc)
                if other != qdisc:
                    found = f"{qdisc!r} here, {other!r} at the other end"
                    raise CnetshError(f"{interface.where}: {found}, expected the same or one alone")
    return shaped


def _qdisc(interface: Interface) -> str:
    """Give tc's words, "" for a link that is left alone; netem can also hold a rate."""
    rate, delay, loss = interface.rate, interface.delay, interface.loss
    if delay or loss:
        words = {"delay": delay, "loss": loss, "rate": rate}
        return " ".join(["netem", *(f"{key} {value}" for key, value in words.items() if value)])
    return f"tbf rate {rate} burst {_burst(rate)}kbit latency 400ms" if rate else ""


def _burst(rate: str) -> int:
    """Give what may pass at once, in kbit: 10 ms' worth, and never less than two full packets."""
    unit = rate.lstrip("0123456789.")
    bits = Decimal(rate.removesuffix(unit)) * _UNITS[unit]
    return max(32, ceil(bits / 100 / 1000))
