"""A packet's way there and its answer's way back, hop by hop, or the first thing that stops it."""

from collections.abc import Collection
from dataclasses import replace
from typing import NamedTuple

from cnetsh.forwarding import neighbour, refusing
from cnetsh.forwarding.blame import Turn, answered_past, blamed, translated, turned_by
from cnetsh.forwarding.conntrack import Flow, Tracker
from cnetsh.forwarding.doubting import doubted
from cnetsh.forwarding.neighbour import next_hop
from cnetsh.forwarding.netfilter import REPLY, REQUEST, Packet, as_question, bridge_calls
from cnetsh.forwarding.network import Address, Link, Netns, Network, Route, Unknown, address, prefix
from cnetsh.forwarding.route import decide, is_local, passes_on, source_of
from cnetsh.forwarding.stop import Stop, Stopped, by_value, in_words, unsure
from cnetsh.forwarding.wire import Crossing, End, having, strays

MOST_HOPS = 255  # the largest TTL, where rules do not give it anew
# On lo IPv4 has one neighbour for all addresses (arp_constructor).
ANYBODY = address("0.0.0.0")


class Hop(NamedTuple):
    """One sighting of a packet: leg, where, and how: out, in, bridge or lo; by: route, to: whom."""

    leg: str
    space: str
    link: str
    how: str
    by: Route | None = None
    to: str = ""


class Doubt(NamedTuple):
    """What may stop a packet, which only a packet that is sent can tell."""

    stop: Stop
    out: Hop  # the last one before
    astray: tuple[str, str] | None = None  # namespace and link where it is seen then instead


class Verdict(NamedTuple):
    """What becomes of a packet."""

    works: bool | None  # None where that is not known
    path: tuple[Hop, ...] = ()
    stop: Stop | None = None  # of two who have the address at the one that was taken
    unknown: str = ""  # why it is not known
    doubts: tuple[Doubt, ...] = ()  # what else may stop it
    turn: Stop | None = None  # the rule that turned it, to blame where nobody listens

    @property
    def open(self) -> str:
        """What is not known."""
        return self.unknown or (unsure(self.doubts[0].stop) if self.doubts else "")


def follow(
    network: Network, sender: str, packet: Packet, only: str = "", seen: Collection[str] = ()
) -> Verdict:
    """Give what becomes of a packet from a namespace, and of its answer.

    only: its one link; seen: the namespaces that took it in, where that is known.
    """
    trip = _Trip(network, seen)
    try:
        trip.there_and_back(sender, replace(packet), only)
    except Stopped as no:
        first = no.stop.on(trip.leg)
        try:
            stop = blamed(network, first, trip.turns)
            if stop is first:
                stop = translated(trip.tracker, stop) or stop
        except Unknown:
            stop = first
        if stop.code == "no_nat" and (why := trip.dark()):
            return trip.verdict(None, unknown=why)
        # Of two who have an address the other may answer.
        twice = any(one.stop.code == "twice" for one in trip.doubts)
        return trip.verdict(None if twice else False, stop)
    except Unknown as what:
        return trip.verdict(None, unknown=str(what))
    if why := trip.dark():
        return trip.verdict(None, unknown=why)
    return trip.verdict(None if trip.doubts else True)._replace(turn=turned_by(trip.tracker))


class _Trip:
    """One exchange. turns: the routing decisions in their order, to find the wrong one."""

    def __init__(self, network: Network, seen: Collection[str]) -> None:
        self.network, self.seen = network, seen
        self.tracker = Tracker()
        self.path: list[Hop] = []
        self.turns: list[Turn] = []
        self.learned: neighbour.Learned = {}
        self.doubts: list[Doubt] = []
        self.came: Link | None = None
        self.leg = REQUEST
        self.sender: tuple[Netns, Route]

    def verdict(self, works: bool | None, stop: Stop | None = None, unknown: str = "") -> Verdict:
        return Verdict(works, tuple(self.path), stop, unknown, tuple(self.doubts))

    def dark(self) -> str:
        """Give what was not read of a namespace on the way."""
        spaces = self.network.spaces
        found = (spaces[hop.space].dark for hop in self.path)
        return next((f"what {dark} does" for dark in found if dark), "")

    def there_and_back(self, sender: str, packet: Packet, only: str) -> None:
        space = self.network.space(sender)
        if only and only not in space.links:
            raise Unknown(f"what leaves by {only}, which is not in {in_words(sender)}")
        if not only and packet.to.version == 6 and packet.to.is_link_local:
            raise Unknown(f"which link {packet.to} is on")
        asked = packet.to
        at = self.go(space, packet, space.links.get(only))
        refusing.refuses_ping(at, packet)
        assert packet.source
        back = Packet(packet.source, packet.to, packet.proto, packet.port, packet.size, leg=REPLY,
                      kind="echo-reply")  # fmt: skip
        local = back.to.version == 6 and back.to.is_link_local
        home = self.go(at, back, self.came if local else None)
        if home is not space:
            words = {"to": str(back.to), "other": in_words(home.name)}
            raise Stopped(Stop("answer_to_another", at.name, "", words))
        if back.source != asked and (packet.proto != "icmp" or asked.version == 4):
            raise answered_past(self.tracker, space, back, asked)

    def go(self, space: Netns, packet: Packet, only: Link | None) -> Netns:
        """Take a packet from a namespace to where it is at home, and give that."""
        self.leg = packet.leg
        route = self.begun(space, packet, only)
        packet.came, packet.goes, packet.at = "", route.link.name if route.link else "", space.name
        packet.ttl, self.sender = refusing.first_ttl(space, route), (space, route)
        flow, route = self.sends(space, packet, route)
        for _ in range(MOST_HOPS):
            if route.type == "local":
                self.loops(space, packet, flow)
                return space
            assert route.link
            refusing.passes(space, packet, "POSTROUTING")
            self.tracker.leave(space, packet, flow, route.link)
            link = self.crosses(space, route, packet)
            space, self.came = self.network.spaces[link.netns], link
            flow = self.comes(space, link, packet, route.link)
            if is_local(space, packet.to):
                self.tracker.arrive(packet, flow)
                refusing.passes(space, packet, "INPUT")
                return space
            route = self.passed_on(space, link, packet)
        raise Stopped(refusing.loop(space, link, packet))

    def begun(self, space: Netns, packet: Packet, only: Link | None) -> Route:
        """Give the route of a namespace's own packet, which lends it its source.

        Who connects is asked again with that source (ip_route_connect); ping does so to try, and
        then sends by the first answer (ping(8)).
        """
        if packet.to.is_loopback and not space.links["lo"].up:
            raise Stopped(refusing.lo_down(space, packet))
        route = self.decided(space, packet, None, only)
        if packet.source:
            return route
        packet.source = source_of(space, route, packet.to)
        if packet.source is None:
            assert route.link
            raise Stopped(neighbour.no_address(space, packet.to.version, route.link))
        again = route if space.policy is None else self.decided(space, packet, None, only)
        if packet.proto == "icmp" and (again.link, again.via) != (route.link, route.via):
            raise Unknown(f"by which of two routes {in_words(space.name)} sends to {packet.to}")
        return again

    def decided(
        self, space: Netns, packet: Packet, came: Link | None, only: Link | None = None
    ) -> Route:
        route = decide(space, packet.to, packet.source, came, only, packet.mark)
        if stop := refusing.denied(self.network, space, route, packet):
            raise Stopped(stop)
        assert route
        if route.type == "several":
            raise Unknown(f"which of several next hops {in_words(space.name)} takes to {packet.to}")
        self.turns.append(Turn(space, route, packet.to, packet.leg))
        return route

    def sends(self, space: Netns, packet: Packet, route: Route) -> tuple[Flow | None, Route]:
        """Have a namespace send its own packet: OUTPUT may turn it elsewhere."""
        was = packet.to, packet.mark
        flow = self.tracker.enter(space, packet, "OUTPUT")
        refusing.passes(space, packet, "OUTPUT")
        # Another mark is another decision too (ip_route_me_harder).
        turned = (packet.to, packet.mark) != was
        return flow, self.decided(space, packet, None) if turned else route

    def loops(self, space: Netns, packet: Packet, flow: Flow | None) -> None:
        """Hand a packet to oneself, through lo, which has to be up."""
        lo = space.links["lo"]
        if not lo.up:
            raise Stopped(refusing.lo_down(space, packet))
        self.path.append(Hop(packet.leg, space.name, "lo", "lo"))
        hop = ANYBODY if packet.to.version == 4 else packet.to
        if hop in lo.neighbours:
            raise Stopped(neighbour.fixed_neighbour(lo, hop))
        packet.goes = "lo"
        self.tracker.leave(space, packet, flow, lo)
        packet.came, packet.goes = "lo", ""
        refusing.passes(space, packet, "INPUT")

    def crosses(self, space: Netns, route: Route, packet: Packet) -> Link:
        """Carry a packet over a wire, and give the link where it arrives."""
        link = route.link
        assert link
        packet.goes = link.name
        refusing.fits_link(link, packet)
        refusing.fits_route(space, route, packet)
        out = Hop(packet.leg, space.name, link.name, "out", route, str(packet.to))
        try:
            end, doubt = next_hop(self.network, space, route, packet, self.learned, self.seen)
        except Stopped as no:
            if no.stop.code != "flooding":
                self.strays(no.stop, out, route.via or packet.to, packet)
                raise
            self.path.append(out)
            self.doubts.append(Doubt(no.stop.on(self.leg), out))
            raise Unknown("") from None
        if packet.to.version == 6:
            self.asks(space, route, end, packet)
        self.path.append(out)
        self.doubts += [Doubt(doubt.on(self.leg), out)] if doubt else []
        self.doubts += [Doubt(stop.on(self.leg), out, astray) for stop, astray in
                        doubted(self.network, link, end, packet)]  # fmt: skip
        self.comes_by(link, end, packet)
        return end.link

    def comes_by(self, link: Link, end: End, packet: Packet) -> None:
        """Carry a frame to an end; at what a macvlan is made on it is seen too (macvlan.c)."""
        under = [Hop(packet.leg, one.netns, one.name, "under") for one in
                 dict.fromkeys((link.below, end.link.below)) if one]  # fmt: skip
        self.path += under[:1] if link.below else []
        for one in end.through:
            if one.come:
                refusing.fits_wire(link, one.come, packet)
                self.path.append(Hop(packet.leg, one.bridge.netns, one.bridge.name, "bridge"))
                self.bridged(one, packet)
            refusing.fits_wire(link, one.goes, packet)
        refusing.fits_wire(link, end.link, packet)
        self.path += under[1:] if link.below else under
        self.path.append(Hop(packet.leg, end.link.netns, end.link.name, "in"))

    def strays(self, stop: Stop, out: Hop, hop: Address, packet: Packet) -> None:
        """Note where a frame is seen that goes to a wrong MAC address, or out by lo.

        Without ARP it goes to the link's own (arp_constructor), and what lo sends is dropped there.
        """
        link = self.network.spaces[out.space].links[out.link]
        blind = stop.code == "arp_off" and stop.link == link.name and stop.space == link.netns
        if link.kind == "lo":
            self.path.append(out)
        if stop.code != "fixed_neighbour" and not blind:
            return
        ends = strays(self.network, link, link.neighbours.get(hop))
        self.path += [out] if ends or link.kind == "bridge" else []
        for end in ends:
            self.path += [Hop(out.leg, one.bridge.netns, one.bridge.name, "bridge")
                          for one in end.through]  # fmt: skip
            self.path.append(Hop(out.leg, end.link.netns, end.link.name, "in"))
            space = self.network.spaces[end.link.netns]
            if end.link.kind == "bridge" and bridge_calls(space, end.link, packet):
                self.tracker.enter(space, replace(packet, came=end.link.name), "PREROUTING")
                flow = self.tracker.flows[space.name][-1:]
                if flow and flow[0].turned:
                    raise Unknown(f"where {in_words(space.name)} sends what it translates")

    def asks(self, space: Netns, route: Route, end: End, packet: Packet) -> None:
        """IPv6 asks for a neighbour by IPv6, which rules see as any packet (RFC 4861)."""
        assert route.link
        far = self.network.spaces[end.link.netns]
        hop = route.via or packet.to
        if hop in route.link.neighbours:
            return
        # Who has it is asked in a group of its own (RFC 4291: solicited-node).
        group = prefix("ff02::1:ff00:0/104")[int(hop) & 0xFFFFFF]
        asks = as_question(packet, "neighbour-solicitation", packet.source, group)
        answer = as_question(packet, "neighbour-advertisement", hop, packet.source or hop)
        going, coming = ("OUTPUT", "POSTROUTING"), ("PREROUTING", "INPUT")
        for one, chains, question, came, goes in (
            (space, going, asks, "", route.link.name),
            (far, coming, asks, end.link.name, ""),
            (far, going, answer, "", end.link.name),
            (space, coming, answer, route.link.name, ""),
        ):
            question.came, question.goes = came, goes
            for chain in chains:
                refusing.passes(one, question, chain)
            if question.aged:
                # Who is asked takes only what no router has passed on (RFC 4861).
                raise Unknown(f"whether {question.aged[1].rule} spares questions for neighbours")
        for crossing in end.through:
            bridge = self.network.spaces[crossing.bridge.netns]
            if crossing.come and bridge_calls(bridge, crossing.bridge, packet):
                asks.came = asks.goes = crossing.bridge.name
                refusing.passes(bridge, asks, "FORWARD", crossing.bridge)

    def bridged(self, crossing: Crossing, packet: Packet) -> None:
        """br_netfilter: what a bridge passes on goes through the chains of IP of its namespace.

        As -i and -o its rules see the bridge (bridge.rst, br_nf_pre_routing).
        """
        bridge = crossing.bridge
        space = self.network.spaces[bridge.netns]
        if not bridge_calls(space, bridge, packet):
            return
        packet.enter(space.name)
        before, to = (packet.came, packet.goes), packet.to
        packet.came, packet.goes, packet.untracked = bridge.name, "", ""
        refusing.passes(space, packet, "PREROUTING", bridge)
        flow = self.tracker.enter(space, packet, "PREROUTING")
        packet.goes = bridge.name
        if packet.to != to:
            route = decide(space, packet.to, packet.source, None)
            if route is None or route.link is not bridge:
                words = {"to": str(packet.to)}
                raise Stopped(Stop("bridge_nat", space.name, bridge.name, words))
        refusing.passes(space, packet, "FORWARD", bridge)
        self.tracker.leave(space, packet, flow, bridge)
        packet.came, packet.goes = before

    def comes(self, space: Netns, link: Link, packet: Packet, sent: Link) -> Flow | None:
        """Take a packet in: PREROUTING, then whether its source may come this way."""
        was = packet.to
        packet.enter(space.name)
        packet.came, packet.goes, packet.untracked = link.name, "", ""
        refusing.passes(space, packet, "PREROUTING")
        flow = self.tracker.enter(space, packet, "PREROUTING")
        if packet.to.is_loopback:
            raise Unknown(f"whether {in_words(space.name)} takes what comes in by {link.name} "
                          f"for {packet.to} (route_localnet)")  # fmt: skip
        if packet.to != was:
            self.turns_back(space, link, packet, sent, was)
        if stop := neighbour.refusal(space, link, packet.source, packet.to):
            raise Stopped(stop)
        return flow

    def turns_back(
        self, space: Netns, bridge: Link, packet: Packet, sent: Link, was: Address
    ) -> None:
        """DNAT to a bridge's own wire does not leave by the port that it came by.

        With br_netfilter the bridge sends it on itself, and only a port with hairpin on gets back
        what it sent (br_nf_pre_routing_finish, bridge(8)).
        """
        if bridge.kind != "bridge" or not bridge_calls(space, bridge, packet):
            return
        for end in having(self.network, bridge, packet.to):
            port = end.through[0].goes if end.through else None
            if port and port is sent.peer and not port.options.get("hairpin"):
                words = {"was": str(was), "to": str(packet.to)}
                raise Stopped(by_value("hairpin", port.ref, "hairpin", True, words))

    def passed_on(self, space: Netns, link: Link, packet: Packet) -> Route:
        """Give the route by which a namespace passes a packet on, which it may not do."""
        version = packet.to.version
        if not passes_on(space, link, version):
            raise Stopped(refusing.not_passed_on(space, link, packet))
        route = self.decided(space, packet, link)
        if old := refusing.ages(self.sender, space, packet):
            been = [hop for hop in self.path if (hop.leg, *hop[1:4]) == (
                packet.leg, space.name, link.name, "in")]  # fmt: skip
            raise Stopped(refusing.loop(space, link, packet) if been[1:] else old)
        if link is not route.link and packet.source and packet.source.is_link_local:
            # Back by the same link it goes (ip6_forward).
            words = {"to": str(packet.source)}
            near = Stop("link_local", space.name, link.name, words)
            raise Stopped(neighbour.unusable(self.sender[0]) or near)
        packet.goes = route.link.name if route.link else ""
        refusing.passes(space, packet, "FORWARD")
        return route
