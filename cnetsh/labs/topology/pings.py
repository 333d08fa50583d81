"""What a topology's checks ask: who must reach whom, and who must not."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from itertools import combinations, permutations
from typing import NamedTuple

from cnetsh import names
from cnetsh.errors import CnetshError, Mistakes
from cnetsh.labs.expected import NO_WAY
from cnetsh.labs.model import Called, Check, Container, Topology
from cnetsh.labs.topology.firewall import Published
from cnetsh.labs.topology.members import HOST, Member, Port
from cnetsh.labs.topology.patience import Patience, patience
from cnetsh.labs.topology.routes import (
    KernelRoute,
    Station,
    gateways,
    host_station,
    ping_returns,
    station_of,
)
from cnetsh.names import Inet, Ip

FEW = 8
OUTSIDE = names.ip("1.1.1.1", "outside")
# The sandbox's own network (templates/sandbox): who is outside there, and the address it knows.
INTERNET, UPLINK = "internet", names.ip("10.0.2.15", "uplink")
PROVIDER, SHARED = names.ip("10.0.2.2", "provider"), "macvlan eth0"
_CALLS = {
    "tcp": "</dev/tcp/{}/{}",
    "udp": "exec 3<>/dev/udp/{}/{} && echo cnetsh >&3 && read -n1 -u3",
}

Members = Mapping[str, Member]
Routes = Mapping[str, tuple[KernelRoute, ...]]  # by the name of the model


class Ping(NamedTuple):
    """One ping, or with a port the call of it.

    fails: the reason why nothing must come back; needs: what the target must have; listen: the
    container's port that is called in the end; control: pings that must work for a failure to
    count; no_control: why there are none.
    """

    source: str  # "" = the host
    target: Ip
    fails: str = ""
    needs: str = ""
    note: str = ""
    port: int = 0
    protocol: str = ""
    listen: str = ""
    patience: Patience = Patience()
    control: tuple["Ping", ...] = ()
    no_control: str = ""

    @property
    def command(self) -> str:
        """The command as it is typed."""
        place = f"ip netns exec {self.source} " if self.source else ""
        if self.port:
            call = _CALLS[self.protocol].format(self.target, self.port)
            return f"{place}timeout {self.patience.within} bash -c '{call}'"
        return f"{place}ping {self.patience.options} {self.target}"

    @property
    def asked(self) -> tuple[str, Ip, int, str]:
        """What tells it from others: who is asked by whom, and at which port."""
        return self.source, self.target, self.port, self.protocol

    @property
    def directives(self) -> Iterator[str]:
        """What is said of the command, as a template does."""
        if self.fails:
            yield f"expect failure: {self.fails}"
            yield from (f"control {one.command}" for one in self.control)
            yield from [f"control none: {self.no_control}"] if self.no_control else ()
        if self.needs:
            yield f"needs {self.needs}"
        if self.listen:
            yield f"listen {self.listen}"


class Pings:
    """The pings of a topology's checks; what the file asks itself is not worked out once more."""

    def __init__(
        self,
        topology: Topology,
        members: Members,
        routes: Routes,
        published: list[Published],
        mistakes: Mistakes,
    ) -> None:
        """Keep a mistake for each check of the file that asks for no address."""
        self._topology, self._members, self._routes = topology, members, routes
        self._published = published
        self._asked = list(_of_file(topology, members, published, mistakes))
        self._said = {ping.asked for ping in self._asked}

    # Only the part "check" asks for the following; of 10,000 containers they take 30 ms.
    @cached_property
    def own(self) -> list[Ping]:
        """What the file asks itself."""
        return [self._ready(ping, ping.fails != _SAID) for ping in self._asked]

    @cached_property
    def gateways(self) -> list[Ping]:
        """For each container the bridge addresses that its default routes go through."""
        return self._unsaid(_to_gateways(self._topology, self._members))

    @cached_property
    def pairs(self) -> list[Ping]:
        """Between containers: every pair of a few, else a ring around each bridge.

        What must not come back is asked of one container of each kind: it takes a second.
        """
        return self._unsaid(self._between)

    @cached_property
    def _between(self) -> list[Ping]:
        return list(_between(self._topology, self._members, self._routes))

    @cached_property
    def beside(self) -> list[Ping]:
        """Of who shares the host's uplink: to who is on it, and to and from the host itself."""
        return self._unsaid(_beside(self._members))

    @cached_property
    def outside(self) -> list[Ping]:
        """To the Internet: NAT brings answers back, an isolated bridge sends nothing."""
        return self._unsaid(_outside(self._topology, self._members))

    @cached_property
    def published(self) -> list[Ping]:
        """To each published port: from the host, from inside and from outside."""
        return self._unsaid(_to_published(self._topology, self._members, self._published))

    def _unsaid(self, found: Iterable[Ping]) -> list[Ping]:
        unsaid = (ping for ping in found if ping.asked not in self._said)
        return [ping for one in unsaid if not _hopeless(ping := self._ready(one))]

    def _ready(self, ping: Ping, reasoned: bool = False) -> Ping:
        """Give a ping with its patience and controls; reasoned: its author knows why it fails."""
        if ping.fails:
            found = self._controls(ping)
            missing = "" if reasoned or None not in found else _NO_CONTROL
            control = tuple(self._ready(one) for one in found if one)
            ping = ping._replace(control=() if missing else control, no_control=missing)
        return ping._replace(patience=patience(self._passed(ping))) if self._slow else ping

    @cached_property
    def _slow(self) -> bool:
        models = self._topology.containers.values()
        return any(one.delay or one.loss for model in models for one in model.interfaces)

    def _passed(self, ping: Ping) -> list[Container]:
        """Give the containers whose links a ping passes, or may pass."""
        called = self._members.get(ping.listen.partition(" ")[0]) or self._owners.get(ping.target)
        found = (self._members.get(ping.source), called)
        ends = [one for one in found if one]
        if len(ends) == 2 and _segments(ends[0]).isdisjoint(_segments(ends[1])):
            ends += [one for one in self._members.values() if one.model.forward and one not in ends]
        return [one.model for one in ends]

    def _controls(self, ping: Ping) -> list[Ping | None]:
        """Give for each end of a ping one that reaches it otherwise, None where there is none."""
        source, owner = self._members.get(ping.source), self._owners.get(ping.target)
        found = [self._near(source.ports, ping.target)] if source else []
        if owner:
            ports = [port for port in owner.ports if ping.target in map(_ip, port.addresses)]
            return [*found, self._near(ports, ping.target)]
        return [*found, Ping("", ping.target) if source else None]

    def _near(self, ports: Iterable[Port], target: Ip) -> Ping | None:
        """Give a ping from a container to its bridge or a neighbour, which must not fail."""
        pairs = [(port, own) for port in ports for own in port.addresses]
        for port, own in sorted(pairs, key=lambda pair: pair[1].version != target.version):
            bridge = self._topology.bridges.get(port.segment)
            near = [*(bridge.addresses if bridge else ()), *self._heard[port.segment]]
            for ip in map(_ip, near):
                if own.holds(ip) and ip != own.ip and (port.container, ip) not in self._refused:
                    return Ping(port.container, ip)
        return None

    @cached_property
    def _refused(self) -> set[tuple[str, Ip]]:
        found = [*self._asked, *self._between]
        return {(ping.source, ping.target) for ping in found if ping.fails and not ping.port}

    @cached_property
    def _owners(self) -> dict[Ip, Member]:
        found = self._members.values()
        return {address.ip: member for member in found for address in member.addresses}

    @cached_property
    def _heard(self) -> dict[str, list[Inet]]:
        """The addresses on each segment."""
        found: dict[str, list[Inet]] = defaultdict(list)
        for member in self._members.values():
            for port in member.ports:
                found[port.segment] += port.addresses
        return found


def _ip(address: Inet) -> Ip:
    return address.ip


def _hopeless(ping: Ping) -> bool:
    """Whether an answer is left to chance: a call by udp sends one packet, and no second one."""
    return ping.patience.hopeless or (ping.patience.lossy and ping.protocol == "udp")


def _segments(member: Member) -> set[str]:
    return {port.segment for port in member.ports}


def _to_gateways(topology: Topology, members: Members) -> Iterator[Ping]:
    hops: dict[str, list[Ip]] = {}
    for name, member in members.items():
        model = member.model
        if model.name not in hops:
            hops[model.name] = [] if model.gateway else list(gateways(member, topology).values())
        for hop in hops[model.name]:
            yield Ping(name, hop)


def _between(topology: Topology, members: Members, routes: Routes) -> Iterator[Ping]:
    shown = _first_of_each(members)
    asked = list(members.values()) if len(members) <= FEW else shown
    routers = [member for member in members.values() if member.model.forward]
    stations = {m.name: station_of(m, routes[m.model.name]) for m in [*asked, *routers]}
    walk = _Walk(topology, stations)
    if len(members) > FEW:
        yield from _rings(members)
    for one, two in combinations(asked, 2):
        yield from walk.works(one, two)
    # What leaves by somebody else's link may come back by ways that the file does not show.
    inside = [member for member in shown if _inside(member, topology)]
    for one, two in permutations(inside, 2):
        yield from walk.fails(one, two)


def _beside(members: Members) -> Iterator[Ping]:
    for member in _first_of_segments(members):
        own = [one.ip for port in member.ports for one in port.addresses if one.holds(UPLINK)]
        if member.ports[0].segment == SHARED and own and not member.model.routes:
            note = f"{member.name} reaches who is on the wire of the host's uplink."
            yield Ping(member.name, PROVIDER, needs=f"netns {INTERNET}", note=note)
            for source, target in ((member.name, UPLINK), ("", own[0])):
                note = f"{source or 'The host'} cannot reach {member.name if not source else HOST}."
                yield Ping(source, target, fails=NO_WAY, needs=f"address {UPLINK}", note=note)


def _outside(topology: Topology, members: Members) -> Iterator[Ping]:
    for member in _first_of_segments(members):
        bridge = topology.bridges.get(member.ports[0].segment)
        if bridge is None or member.model.gateway or 4 not in gateways(member, topology):
            continue
        if bridge.isolated:
            reason, note = f"{bridge.name} is isolated", _NO_WAY_OUT.format(bridge.name)
            yield Ping(member.name, OUTSIDE, fails=reason, note=note)
        elif bridge.nat:
            yield Ping(member.name, OUTSIDE, needs=f"route {OUTSIDE}", note=_TRANSLATED)


def _to_published(
    topology: Topology, members: Members, published: list[Published]
) -> Iterator[Ping]:
    for one in published:
        member, there = members[one.container], topology.bridges[one.bridge].addresses
        hop = next((address.ip for address in there if address.holds(one.host)), None)
        if hop is None:
            continue
        call = Ping("", hop, port=one.port, protocol=one.protocol, listen=_listen(one))
        yield call._replace(note=f"The host's own port leads to {member.name}.")
        if len(member.ports) == 1:
            note = f"{member.name} calls itself: out by its cable, and in again by the same."
            yield call._replace(source=member.name, note=note)
        for other, known in _callers(one, member, members, topology):
            shut = topology.bridges[other.ports[0].segment].isolated
            reason = f"{other.ports[0].segment} is isolated" if shut else ""
            note = f"{other.name} calls the host's port."
            yield call._replace(source=other.name, target=known, note=note, fails=reason)
        way = gateways(member, topology).get(UPLINK.version)
        # What answers by a bridge that is isolated answers nobody outside.
        shut = any(bridge.isolated and way in [*map(_ip, bridge.addresses)]
                   for bridge in topology.bridges.values())  # fmt: skip
        if hop.version == UPLINK.version and not member.model.gateway and not shut:
            needs, note = f"netns {INTERNET}", "From outside, at the host's address there."
            yield call._replace(source=INTERNET, target=UPLINK, needs=needs, note=note)


def _callers(
    one: Published, member: Member, members: Members, topology: Topology
) -> Iterator[tuple[Member, Ip]]:
    """Give a neighbour of a container, and one of each other segment, with the host's address."""
    segments: dict[str, Member] = {}
    for other in members.values():
        if len(other.ports) == 1 and other is not member:
            segments.setdefault(other.ports[0].segment, other)
    for segment, other in list(segments.items())[:FEW]:
        # From another bridge the answer has to find back, by the container's default route.
        found = segment == one.bridge or not member.model.gateway
        if found and (hop := gateways(other, topology).get(one.host.version)):
            yield other, hop


def _listen(one: Published) -> str:
    return f"{one.container} {one.target}/{one.protocol}"


def _of_file(
    topology: Topology, members: Members, published: list[Published], mistakes: Mistakes
) -> Iterator[Ping]:
    for check in topology.checks:
        with mistakes:
            target, inside = _target(check, topology, members)
            source, called = "" if check.source == HOST else check.source, check.target
            listen = _listener(called, target, topology, members, published)
            ping = Ping(source, target, "", "", "", called.port, called.protocol, listen)
            if check.works:
                needs = "" if inside else f"route {target}"
                yield ping._replace(needs=needs, note=check.because)
            else:
                yield ping._replace(fails=check.because or _SAID)


def _listener(
    called: Called, target: Ip, topology: Topology, members: Members, published: list[Published]
) -> str:
    """Give the container's port that is called at an address of the lab's or of the host's."""
    for member in members.values() if called.port else ():
        if any(address.ip == target for address in member.addresses):
            return f"{member.name} {called.port}/{called.protocol}"
    bridges = topology.bridges.values()
    hosts = {UPLINK, *(address.ip for bridge in bridges for address in bridge.addresses)}
    asked = (called.port, called.protocol, target.version)
    leading = {(one.port, one.protocol, one.host.version): one for one in published}
    return _listen(leading[asked]) if target in hosts and asked in leading else ""


_SAID = "the lab file says so"
_NO_CONTROL = "no other ping of this lab reaches both ends"
_NO_WAY_OUT = "{} is isolated, so the Internet is as far away as any other network."
_TRANSLATED = "Out there the packet has the host's address, and the answer finds back by it."


class _Walk(NamedTuple):
    """The stations that packets pass, and the questions asked of them."""

    topology: Topology
    stations: dict[str, Station]

    def works(self, one: Member, two: Member) -> Iterator[Ping]:
        for target in _targets(one, two):
            if self._answers(one, target):
                yield Ping(one.name, target, note=f"{one.name} reaches {two.name}.")

    def fails(self, one: Member, two: Member) -> Iterator[Ping]:
        for target in _targets(one, two):
            if not self._answers(one, target):
                note = f"{one.name} cannot reach {two.name}."
                yield Ping(one.name, target, fails=self._reason(one, two), note=note)

    def _answers(self, one: Member, target: Ip) -> bool:
        return ping_returns(self.stations[one.name], target, self._known(), self._shut())

    def _known(self) -> list[Station]:
        return [*self.stations.values(), host_station(self.topology)]

    def _shut(self) -> frozenset[str]:
        return frozenset(b.name for b in self.topology.bridges.values() if b.isolated)

    def _reason(self, one: Member, two: Member) -> str:
        shut = self._shut()
        segments = [port.segment for port in (*one.ports, *two.ports)]
        return next((f"{one} is isolated" for one in segments if one in shut), NO_WAY)


def _targets(one: Member, two: Member) -> Iterator[Ip]:
    """Give an address of two's for each version that both have, a common segment's first."""
    near = {port.segment for port in one.ports}
    ports = sorted(two.ports, key=lambda port: port.segment not in near)
    theirs = [address.ip for port in ports for address in port.addresses]
    for version in sorted({address.version for address in one.addresses}):
        yield from [ip for ip in theirs if ip.version == version][:1]


def _first_of_segments(members: Members) -> list[Member]:
    """Give the first container of each segment that is on no other."""
    return [member for member in _first_of_each(members) if len(member.ports) == 1]


def _first_of_each(members: Members) -> list[Member]:
    """Give the first container of those that are on the same segments, one or several."""
    firsts: dict[tuple[str, ...], Member] = {}
    for member in members.values():
        if member.ports:
            firsts.setdefault(tuple(sorted(port.segment for port in member.ports)), member)
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
                yield Ping(before.container, port.addresses[0].ip)


def _target(check: Check, topology: Topology, members: Members) -> tuple[Ip, bool]:
    """Give the address that a check asks for, and whether it is one of the lab's own."""
    name = check.target.name
    if name in members:
        addresses = members[name].addresses
    elif name in topology.bridges:
        addresses = list(topology.bridges[name].addresses)
    else:
        ip = names.ip(name, check.place())
        return ip, any(network.holds(ip) for network in _networks(topology, members))
    if not addresses:
        raise CnetshError(f"{check.place()}: {name} has no address to ask for")
    # An address on a network of the source's if there is one, else the first.
    own = members[check.source].addresses if check.source in members else []
    near = [address for address in addresses if any(one.network == address.network for one in own)]
    return (near or addresses)[0].ip, True


def _networks(topology: Topology, members: Members) -> Iterator[Inet]:
    """Give the networks that the lab itself leads to: those of bridges and of routers."""
    for bridge in topology.bridges.values():
        yield from bridge.addresses
    for member in members.values():
        yield from member.addresses if member.model.forward else ()
