"""What a topology's checks ask: who must reach whom, and who must not."""

from collections.abc import Iterator, Mapping
from ipaddress import ip_interface
from itertools import combinations, permutations
from typing import NamedTuple

from cnetsh import names
from cnetsh.errors import CnetshError
from cnetsh.labs.model import Check, Topology
from cnetsh.labs.topology.members import Member, Port, unknown
from cnetsh.labs.topology.routes import HOST, Ip, Station, answers, gateways, host, station

FEW = 8
OUTSIDE = "1.1.1.1"

Members = Mapping[str, Member]
Routes = Mapping[str, tuple[str, ...]]


class Ping(NamedTuple):
    """One ping: `fails` is the reason why it must not come back, `needs` a route it takes."""

    source: str  # "" = the host
    target: str
    fails: str
    needs: str
    note: str


def to_gateways(topology: Topology, members: Members) -> list[Ping]:
    """Give for each container the pings to the bridge addresses its default routes go through."""
    hops: dict[str, list[str]] = {}
    found = []
    for name, member in members.items():
        model = member.model
        if model.name not in hops:
            own = {} if model.gateway else gateways(member, topology)
            hops[model.name] = [str(hop) for hop in own.values()]
        found += [Ping(name, hop, "", "", "") for hop in hops[model.name]]
    return found


def between(topology: Topology, members: Members, routes: Routes) -> list[Ping]:
    """Give pings between containers: every pair of a few, else a ring around each bridge.

    What must not come back is asked of one container of each segment: such a ping takes a second.
    """
    shown = _first_of_segments(members)
    asked = list(members.values()) if len(members) <= FEW else shown
    routers = [member for member in members.values() if member.model.forward]
    stations = {m.name: station(m, routes[m.model.name]) for m in [*asked, *routers]}
    walk = _Walk(topology, stations)
    found = [] if len(members) <= FEW else list(_rings(members))
    for one, two in combinations(asked, 2):
        found += walk.works(one, two)
    # What leaves by somebody else's link may come back by ways that the file does not show.
    inside = [member for member in shown if _inside(member, topology)]
    for one, two in permutations(inside, 2):
        found += walk.fails(one, two)
    return found


def outside(topology: Topology, members: Members) -> list[Ping]:
    """Give pings to the Internet: NAT brings the answers back, an isolated bridge sends nothing."""
    found = []
    for member in _first_of_segments(members):
        bridge = topology.bridges.get(member.ports[0].segment)
        if bridge is None or member.model.gateway or 4 not in gateways(member, topology):
            continue
        if bridge.isolated:
            reason = f"{bridge.name} is isolated"
            found.append(Ping(member.name, OUTSIDE, reason, "", _NO_WAY_OUT.format(bridge.name)))
        elif bridge.nat:
            found.append(Ping(member.name, OUTSIDE, "", OUTSIDE, _TRANSLATED))
    return found


def own(topology: Topology, members: Members) -> list[Ping]:
    """Give the file's own checks. Raise CnetshError for names that it does not have."""
    found = []
    for check in topology.checks:
        if check.source != HOST and check.source not in members:
            unknown(check.where, check.source, (HOST, *members), "a container or host")
        target, inside = _target(check, topology, members)
        reason = "" if check.works else (check.because or "the lab file says so")
        needs = "" if inside or not check.works else target
        source = "" if check.source == HOST else check.source
        found.append(Ping(source, target, reason, needs, check.because if check.works else ""))
    return found


_NO_WAY_OUT = "{} is isolated, so the Internet is as far away as any other network."
_TRANSLATED = "Out there the packet has the host's address, and the answer finds back by it."


class _Walk(NamedTuple):
    """The stations that packets pass, and the questions asked of them."""

    topology: Topology
    stations: dict[str, Station]

    def works(self, one: Member, two: Member) -> Iterator[Ping]:
        for target in self._targets(one, two):
            if self._answers(one, target):
                yield Ping(one.name, str(target), "", "", f"{one.name} reaches {two.name}.")

    def fails(self, one: Member, two: Member) -> Iterator[Ping]:
        for target in self._targets(one, two):
            if not self._answers(one, target):
                reason = self._reason(one, two)
                yield Ping(
                    one.name, str(target), reason, "", f"{one.name} cannot reach {two.name}."
                )

    def _answers(self, one: Member, target: Ip) -> bool:
        known = [*self.stations.values(), host(self.topology)]
        return answers(self.stations[one.name], target, known, self._shut())

    def _shut(self) -> frozenset[str]:
        return frozenset(b.name for b in self.topology.bridges.values() if b.isolated)

    def _targets(self, one: Member, two: Member) -> Iterator[Ip]:
        """Give an address of two's for each version that both have, a common segment's first."""
        near = {port.segment for port in one.ports}
        ports = sorted(two.ports, key=lambda port: port.segment not in near)
        theirs = [ip_interface(text).ip for port in ports for text in port.addresses]
        ours = {ip_interface(text).version for port in one.ports for text in port.addresses}
        for version in sorted(ours):
            yield from [ip for ip in theirs if ip.version == version][:1]

    def _reason(self, one: Member, two: Member) -> str:
        shut = self._shut()
        for port in (*one.ports, *two.ports):
            if port.segment in shut:
                return f"{port.segment} is isolated"
        return f"nothing passes packets on between {one.name} and {two.name}"


def _first_of_segments(members: Members) -> list[Member]:
    """Give the first container of each segment that is on no other."""
    firsts: dict[str, Member] = {}
    for member in members.values():
        if len(member.ports) == 1:
            firsts.setdefault(member.ports[0].segment, member)
    return list(firsts.values())[:FEW]


def _inside(member: Member, topology: Topology) -> bool:
    bridges = [topology.bridges.get(port.segment) for port in member.ports]
    shared = any(interface.macvlan for interface in member.model.interfaces)
    return not shared and not any(bridge and bridge.external for bridge in bridges)


def _rings(members: Members) -> Iterator[Ping]:
    last: dict[str, Port] = {}
    for member in members.values():
        for port in member.ports:
            before = last.get(port.segment)
            last[port.segment] = port
            if before and port.addresses:
                target = port.addresses[0].partition("/")[0]
                yield Ping(before.container, target, "", "", "")


def _target(check: Check, topology: Topology, members: Members) -> tuple[str, bool]:
    """Give the address that a check asks for, and whether it is one of the lab's own."""
    if check.target in members:
        addresses = [text for port in members[check.target].ports for text in port.addresses]
    elif check.target in topology.bridges:
        addresses = [str(address) for address in topology.bridges[check.target].addresses]
    elif not any(character in check.target for character in ".:"):
        known = (*members, *topology.bridges)
        unknown(check.where, check.target, known, "a container, a bridge or an address")
    else:
        return _written(check, topology, members)
    if not addresses:
        raise CnetshError(f"{check.where}: {check.target} has no address to ask for")
    return _preferred(check, addresses, members).partition("/")[0], True


def _written(check: Check, topology: Topology, members: Members) -> tuple[str, bool]:
    ip = names.ip(check.target, check.where)
    bridges = topology.bridges.values()
    inside = any(ip in address.network for bridge in bridges for address in bridge.addresses)
    return str(ip), inside or any(
        ip in ip_interface(text).network
        for member in members.values()
        if member.model.forward
        for port in member.ports
        for text in port.addresses
    )


def _preferred(check: Check, addresses: list[str], members: Members) -> str:
    """Give an address on a network of the source's if there is one, else the first."""
    if check.source not in members:
        return addresses[0]
    networks = {
        ip_interface(text).network
        for port in members[check.source].ports
        for text in port.addresses
    }
    return next(
        (text for text in addresses if ip_interface(text).network in networks), addresses[0]
    )
