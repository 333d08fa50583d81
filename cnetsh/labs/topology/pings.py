"""What a topology's checks ask: who must reach whom, and who must not."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from itertools import combinations, permutations

from cnetsh import names
from cnetsh.errors import CnetshError, Mistakes
from cnetsh.labs.expected import NO_WAY
from cnetsh.labs.model import Called, Check, Container, Topology
from cnetsh.labs.topology.firewall import Published
from cnetsh.labs.topology.members import HOST, Member, Members, Port
from cnetsh.labs.topology.ping import Ping, patience
from cnetsh.labs.topology.routes import (
    KernelRoute,
    gateways,
    host_station,
    ping_returns,
    station_of,
)
from cnetsh.names import Inet, Ip

_FEW = 8
_OUTSIDE = names.ip("1.1.1.1", "outside")
# The sandbox's own network (templates/sandbox): who is outside there, and the address it knows.
_INTERNET, _UPLINK = "internet", names.ip("10.0.2.15", "uplink")
_PROVIDER, _SHARED = names.ip("10.0.2.2", "provider"), "macvlan eth0"

Routes = Mapping[str, tuple[KernelRoute, ...]]  # by the name of the model
_SAID = "the lab file says so"
_NO_CONTROL = "no other ping of this lab reaches both ends"
_NO_WAY_OUT = "{} is isolated, so the Internet is as far away as any other network."
_TRANSLATED = "Out there the packet has the host's address, and the answer finds back by it."


def _unsaid(asking: Callable[["Pings"], Iterable[Ping]]) -> cached_property[list[Ping]]:
    """Have pings worked out when they are asked for, but those that the file asks itself."""

    def found(pings: "Pings") -> list[Ping]:
        ready = (pings.ready(one) for one in asking(pings) if one.asked not in pings.said)
        return [ping for ping in ready if not ping.hopeless]

    return cached_property(found)


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
        self._shut = frozenset(one.name for one in topology.bridges.values() if one.isolated)
        self._asked: list[Ping] = []
        for check in topology.checks:
            with mistakes:
                self._asked.append(self._of_file(check))
        self.said = {ping.asked for ping in self._asked}

    # Only the part "check" asks for the following; of 10,000 containers they take 30 ms.
    @cached_property
    def own(self) -> list[Ping]:
        """What the file asks itself."""
        return [self.ready(ping, ping.fails != _SAID) for ping in self._asked]

    @_unsaid
    def gateways(self) -> Iterator[Ping]:
        """For each container the bridge addresses that its default routes go through."""
        hops: dict[str, list[Ip]] = {}
        for name, member in self._members.items():
            model = member.model
            if model.name not in hops:
                found = gateways(member, self._topology)
                hops[model.name] = [] if model.gateway else list(found.values())
            for hop in hops[model.name]:
                yield Ping(name, hop)

    @_unsaid
    def pairs(self) -> list[Ping]:
        """Between containers: every pair of a few, else a ring around each bridge.

        What must not come back is asked of one container of each kind: it takes a second.
        """
        return self._between

    @_unsaid
    def beside(self) -> Iterator[Ping]:
        """Of who shares the host's uplink: to who is on it, and to and from the host itself."""
        for member in _first_of_segments(self._members):
            own = [one.ip for port in member.ports for one in port.addresses if one.holds(_UPLINK)]
            if member.ports[0].segment == _SHARED and own and not member.model.routes:
                note = f"{member.name} reaches who is on the wire of the host's uplink."
                yield Ping(member.name, _PROVIDER, needs=f"netns {_INTERNET}", note=note)
                for source, target in ((member.name, _UPLINK), ("", own[0])):
                    whom = HOST if source else member.name
                    note = f"{source or 'The host'} cannot reach {whom}."
                    yield Ping(source, target, fails=NO_WAY, needs=f"address {_UPLINK}", note=note)

    @_unsaid
    def outside(self) -> Iterator[Ping]:
        """To the Internet: NAT brings answers back, an isolated bridge sends nothing."""
        for member in _first_of_segments(self._members):
            bridge = self._topology.bridges.get(member.ports[0].segment)
            if bridge is None or member.model.gateway or 4 not in self._gateways(member):
                continue
            if bridge.isolated:
                reason, note = f"{bridge.name} is isolated", _NO_WAY_OUT.format(bridge.name)
                yield Ping(member.name, _OUTSIDE, fails=reason, note=note)
            elif bridge.nat:
                yield Ping(member.name, _OUTSIDE, needs=f"route {_OUTSIDE}", note=_TRANSLATED)

    @_unsaid
    def published(self) -> Iterator[Ping]:
        """To each published port: from the host, from inside and from outside."""
        for one in self._published:
            there = self._topology.bridges[one.bridge].addresses
            if hop := next((address.ip for address in there if address.holds(one.host)), None):
                yield from self._to_published(one, hop)

    def _to_published(self, one: Published, hop: Ip) -> Iterator[Ping]:
        member, bridges = self._members[one.container], self._topology.bridges.values()
        call = Ping("", hop, port=one.port, protocol=one.protocol, listen=_listen(one))
        yield call._replace(note=f"The host's own port leads to {member.name}.")
        if len(member.ports) == 1:
            note = f"{member.name} calls itself: out by its cable, and in again by the same."
            yield call._replace(source=member.name, note=note)
        for other, known in self._callers(one, member):
            segment, note = other.ports[0].segment, f"{other.name} calls the host's port."
            reason = f"{segment} is isolated" if segment in self._shut else ""
            yield call._replace(source=other.name, target=known, note=note, fails=reason)
        way = self._gateways(member).get(_UPLINK.version)
        # What answers by a bridge that is isolated answers nobody outside.
        shut = any(one.isolated and way in [*map(_ip, one.addresses)] for one in bridges)
        if hop.version == _UPLINK.version and not member.model.gateway and not shut:
            needs, note = f"netns {_INTERNET}", "From outside, at the host's address there."
            yield call._replace(source=_INTERNET, target=_UPLINK, needs=needs, note=note)

    def _callers(self, one: Published, member: Member) -> Iterator[tuple[Member, Ip]]:
        """Give a neighbour and one of each other segment, with the address of the host there."""
        segments: dict[str, Member] = {}
        for other in self._members.values():
            if len(other.ports) == 1 and other is not member:
                segments.setdefault(other.ports[0].segment, other)
        for segment, other in list(segments.items())[:_FEW]:
            # From another bridge the answer has to find back, by the container's default route.
            found = segment == one.bridge or not member.model.gateway
            if found and (hop := self._gateways(other).get(one.host.version)):
                yield other, hop

    def _gateways(self, member: Member) -> dict[int, Ip]:
        return gateways(member, self._topology)

    # ── between containers ──
    @cached_property
    def _between(self) -> list[Ping]:
        members = self._members
        shown = _first_of_each(members)
        asked = list(members.values()) if len(members) <= _FEW else shown
        routers = [member for member in members.values() if member.model.forward]
        stations = {m.name: station_of(m, self._routes[m.model.name]) for m in [*asked, *routers]}
        known = [*stations.values(), host_station(self._topology)]

        def returns(one: Member, target: Ip, shut: frozenset[str] = self._shut) -> bool:
            return ping_returns(stations[one.name], target, known, shut)

        def reason(one: Member, two: Member, target: Ip) -> str:
            if not returns(one, target, frozenset()):
                return NO_WAY
            shut = (port.segment for port in (*one.ports, *two.ports) if port.segment in self._shut)
            walls = (each for each in shut if not returns(one, target, frozenset([each])))
            return next((f"{each} is isolated" for each in walls), NO_WAY)

        found = list(_rings(members)) if len(members) > _FEW else []
        found += [Ping(one.name, target, note=f"{one.name} reaches {two.name}.")
                  for one, two in combinations(asked, 2)
                  for target in _targets(one, two) if returns(one, target)]  # fmt: skip
        # What leaves by somebody else's link may come back by ways that the file does not show.
        inside = [member for member in shown if self._is_inside(member)]
        for one, two in permutations(inside, 2):
            note = f"{one.name} cannot reach {two.name}."
            found += [Ping(one.name, target, fails=reason(one, two, target), note=note)
                      for target in _targets(one, two) if not returns(one, target)]  # fmt: skip
        return found

    def _is_inside(self, member: Member) -> bool:
        bridges = [self._topology.bridges.get(port.segment) for port in member.ports]
        shared = any(interface.macvlan for interface in member.model.interfaces)
        return not shared and not any(bridge and bridge.external for bridge in bridges)

    # ── what the file asks ──
    def _of_file(self, check: Check) -> Ping:
        target, inside = self._target(check)
        source, called = "" if check.source == HOST else check.source, check.target
        listen = self._listener(called, target)
        ping = Ping(source, target, port=called.port, protocol=called.protocol, listen=listen)
        if not check.works:
            return ping._replace(fails=check.because or _SAID)
        return ping._replace(needs="" if inside else f"route {target}", note=check.because)

    def _listener(self, called: Called, target: Ip) -> str:
        """Give the container's port that is called at an address of the lab's or of the host's."""
        for member in self._members.values() if called.port else ():
            if any(address.ip == target for address in member.addresses):
                return f"{member.name} {called.port}/{called.protocol}"
        bridges = self._topology.bridges.values()
        hosts = {_UPLINK, *(address.ip for bridge in bridges for address in bridge.addresses)}
        asked = (called.port, called.protocol, target.version)
        leading = {(one.port, one.protocol, one.host.version): one for one in self._published}
        return _listen(leading[asked]) if target in hosts and asked in leading else ""

    def _target(self, check: Check) -> tuple[Ip, bool]:
        """Give the address that a check asks for, and whether it is one of the lab's own."""
        name, members, bridges = check.target.name, self._members, self._topology.bridges
        if name in members:
            addresses = members[name].addresses
        elif name in bridges:
            addresses = list(bridges[name].addresses)
        else:
            ip = names.ip(name, check.place())
            return ip, any(network.holds(ip) for network in self._networks())
        if not addresses:
            raise CnetshError(f"{check.place()}: {name} has no address to ask for")
        # An address on a network of the source's if there is one, else the first.
        own = members[check.source].addresses if check.source in members else []
        near = [one for one in addresses if any(each.network == one.network for each in own)]
        return (near or addresses)[0].ip, True

    def _networks(self) -> Iterator[Inet]:
        """Give the networks that the lab itself leads to: those of bridges and of routers."""
        for bridge in self._topology.bridges.values():
            yield from bridge.addresses
        for member in self._members.values():
            yield from member.addresses if member.model.forward else ()

    # ── patience and controls ──
    def ready(self, ping: Ping, reasoned: bool = False) -> Ping:
        """Give a ping with its patience and controls; reasoned: its author knows why it fails."""
        if ping.fails:
            found = self._controls(ping)
            missing = "" if reasoned or None not in found else _NO_CONTROL
            control = tuple(self.ready(one) for one in found if one)
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


def _segments(member: Member) -> set[str]:
    return {port.segment for port in member.ports}


def _listen(one: Published) -> str:
    return f"{one.container} {one.target}/{one.protocol}"


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
    return list(firsts.values())[:_FEW]


def _rings(members: Members) -> Iterator[Ping]:
    last: dict[str, Port] = {}
    for member in members.values():
        for port in member.ports:
            before = last.get(port.segment)
            last[port.segment] = port
            if before and port.addresses:
                yield Ping(before.container, port.addresses[0].ip)
