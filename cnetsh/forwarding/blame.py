"""Where a packet went astray, which is often not where it was lost."""

import itertools
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from cnetsh.forwarding.conntrack import Tracker
from cnetsh.forwarding.neighbour import by_route, down, near, no_address, route_ref, six_off
from cnetsh.forwarding.netfilter import REPLY, REQUEST, Fate, Packet, fits, target_of
from cnetsh.forwarding.network import (
    DEFAULTS,
    MAIN,
    Address,
    Interface,
    Link,
    Netns,
    Network,
    Route,
    Unknown,
    prefix,
)
from cnetsh.forwarding.route import equals_of, lookup, own, passes_on
from cnetsh.forwarding.stop import Stop, Stopped, in_words
from cnetsh.kinds.change import Make, Ref, Remove, typed_in, unquoted

# Where a packet is lost by these, an earlier decision may be to blame.
_ASTRAY = frozenset({"not_forwarding", "no_route", "own_address", "nobody", "another_wire", "loop"})


class Turn(NamedTuple):
    """A routing decision: where, which, for whom, and on which leg."""

    space: Netns
    route: Route
    to: Address
    leg: str


def blamed(network: Network, stop: Stop, turns: list[Turn]) -> Stop:
    """Give the wrong turn that led to a stop: the last one where the target was near otherwise."""
    if stop.code not in _ASTRAY | {"no_nat"}:
        return stop
    # What nobody outside can answer may be an answer that should not have gone there.
    leg = REPLY if stop.code == "no_nat" else stop.leg
    for turn in reversed(turns):
        if turn.leg != leg:
            continue
        asleep = _asleep(turn.space, turn.to, turn.route.to.prefixlen)
        if found := asleep or _wrong(network, turn):
            return found.on(leg)
    return _gateway(network, stop, turns)


def translated(tracker: Tracker, stop: Stop) -> Stop | None:
    """Blame the rule that turned a packet, or its answer, to somebody who is not there."""
    back = stop.leg == REPLY
    for space, flows in tracker.flows.items() if stop.code in _ASTRAY else ():
        for flow in flows:
            fate, now = (flow.hidden, flow.now_source) if back else (flow.turned, flow.now_to)
            if fate and str(now) == stop.words.get("to"):
                then = "which " + ("nobody has" if stop.code == "nobody" else "is not reached")
                was, code = (flow.source, "snat") if back else (flow.to, "dnat")
                words = {"was": str(was), "to": str(now), "then": then}
                return by_rule(code, space, fate, words).on(stop.leg)
    return None


def turned_by(tracker: Tracker) -> Stop | None:
    """Give the rule that turned a request, which is to blame where nobody listens there."""
    for space, flows in tracker.flows.items():
        for flow in flows:
            if flow.turned:
                was, to = f"{flow.to} port {flow.port}", f"{flow.now_to} port {flow.now_port}"
                words = {"was": was, "to": to, "then": "where nobody listens",
                         "port": str(flow.now_port)}  # fmt: skip
                return by_rule("dnat", space, flow.turned, words).on(REQUEST)
    return None


def answered_past(
    tracker: Tracker, sender: Netns, back: Packet, asked: Address
) -> Stopped | Unknown:
    """Blame who turned a packet, where the answer does not come back that way.

    Whoever asks by TCP or UDP takes it for somebody else's; as the turner's own the packet would
    have it come back there.
    """
    words = {"was": str(asked), "to": str(back.source), "asker": in_words(sender.name)}
    for space, flows in tracker.flows.items():
        for flow in flows:
            if flow.turned and flow.now_to == back.source and back.proto != "icmp":
                chain = Ref("chain", space, f"{back.tool} nat POSTROUTING")
                rule = f"{chain.name} -s {flow.source} -d {flow.now_to} -j MASQUERADE"
                more = Make(Ref("rule", space, rule), {}, on=chain)
                return Stopped(Stop("past", space, "", words, mend=(more,), leg=REQUEST))
    return Unknown(f"whether an answer from {back.source} counts")


def by_rule(code: str, space: str, fate: Fate, words: dict[str, str]) -> Stop:
    """Give the stop that a rule makes, which is mended without it."""
    ref = Ref("rule", space, f"{fate.chain} {fate.rule}")
    return Stop(code, space, "", {**words, "rule": fate.rule}, ref, mend=(Remove(ref),))


def _asleep(space: Netns, to: Address, length: int) -> Stop | None:
    """Give the stop at a link that is down, whose network would be nearer than a route's prefix."""
    for link in space.links.values():
        nets = [one for one in link.addresses if to in one.network and one.ip != to]
        if nets and not link.up and nets[0].network.prefixlen > length:
            return down(link, str(nets[0].ip))
    return None


def _wrong(network: Network, turn: Turn) -> Stop | None:
    space, route, to, _ = turn
    if route.link is None or route.type != "unicast":
        return None
    by = f"its route to {route.name}"
    words = {"to": str(to), "by": by, "without": "", "via": str(route.via)}
    others = [
        link
        for link in space.links.values()
        if link is not route.link and link.up and not link.master and link.kind != "lo"
    ]
    for link in others:
        if near(network, space, Route(prefix(str(to)), link), to):
            return _elsewhere(turn, link, words)
    own_net = any(to in one.network for one in route.link.addresses)
    if route.via and own_net and near(network, space, replace(route, via=None), to):
        mend = _aside(space, route, to, dev=route.link.name)
        return by_route("neighbour_by_router", space, route, words, mend)
    return None


def _elsewhere(turn: Turn, link: Link, words: dict[str, str]) -> Stop:
    space, route, to, _ = turn
    code, words["near"], equal = "wrong_turn", link.name, equals_of(space, route)
    if not any(one.version == to.version for one in link.addresses):
        words["without"] = f", on which {in_words(space.name)} has no address"
    if any(one.link is link for one in equal) and len(equal) > 1:
        code = "first_of_equals"
        words |= {"net": route.name, "count": str(len(equal))}
    return by_route(code, space, route, words, _aside(space, route, to, dev=link.name))


def _aside(space: Netns, route: Route, to: Address, **by: str) -> tuple[Make | Remove, ...]:
    """Give what leads to one address as it should: a route of its own, or without a wrong one."""
    ref = Ref("route", space.name, str(to))
    beside = {} if route.table == MAIN else {"table": route.table}
    new = Make(ref, by | beside)
    if route.to.prefixlen == route.to.max_prefixlen:
        return (Remove(ref, ({"dev": route.link.name} if route.link else {}) | beside), new)
    return (new,)


def _gateway(network: Network, stop: Stop, turns: list[Turn]) -> Stop:
    """Blame a route to a gateway that is nobody or passes nothing on, when another one there would.

    Without one nobody knows what was meant.
    """
    last = turns[-1] if turns else None
    wide = last and stop.code == "another_wire" and not last.route.via
    led = last and stop.code in ("not_forwarding", "nobody") and last.route.via
    if last is None or not (wide or led):
        return stop
    owner = next((one for one in network.spaces.values() if last.to in own(one)), None)
    but = "" if wide else stop.space
    better = _routers(network, last.space, last.to.version, but=but, owner=owner)
    if not better:
        return stop
    if wide:
        past = _aside(last.space, last.route, last.to, via=str(better[0]))
        return stop._replace(mend=past)
    words = {"to": str(last.to), "via": str(last.route.via), "other": in_words(stop.space)}
    ref, table = route_ref(last.space, last.route), last.route.table
    beside = {} if table == MAIN else {"table": table}
    old = {"via": str(last.route.via), **({"dev": last.route.link.name} if last.route.link else {})}
    mend = (Remove(ref, old | beside), Make(ref, {"via": str(better[0])} | beside))
    if stop.code == "nobody":
        return stop._replace(mend=mend)
    return Stop("gateway_no_router", last.space.name, "", words, ref, "", mend, leg=stop.leg)


def _routers(
    network: Network, space: Netns, version: int, but: str = "", owner: Netns | None = None
) -> list[Address]:
    """Give the addresses on a namespace's wires of those that pass packets on, or of the owner."""
    found = []
    for one, link in space.addresses:
        if one.version != version or not link.up:
            continue
        for other in (*routers_of(network), *filter(None, [owner])):
            if other is space or (other.name == but and but):
                continue
            for hop, home in own(other).items():
                inside = hop.version == version and hop in one.network and hop != one.ip
                leads = other is owner or passes_on(other, home, version)
                if inside and leads and near(network, space, Route(one.network, link), hop):
                    found.append(hop)
    return found


def routers_of(network: Network) -> list[Netns]:
    """Give the namespaces in which anything is passed on."""
    if network.routers is None:
        network.routers = [space for space in network.spaces.values() if any(
            value != "0" and path.endswith("/forwarding") for path, value in space.settings.items()
        )]  # fmt: skip
    return network.routers


def no_route(network: Network, space: Netns, packet: Packet) -> Stop:
    """Say why a namespace has no route: nothing to send by, or none that leads there."""
    to, back = packet.to, packet.leg == REPLY
    if back and space.name == "internet" and to.is_private:
        return _no_nat(network, space, packet).on(REQUEST)
    links = [link for link in space.links.values() if link.kind != "lo"]
    if not links:
        return no_address(space, to.version)
    gone = next((one for one in reversed(space.gone)
                 if one.to.version == to.version and to in one.to), None)  # fmt: skip
    lost = gone.link if gone else None
    nearer = _asleep(space, to, 0) or _bare(network, space, links, to) or _unasked(space, to)
    if nearer:
        return nearer
    words = {"to": str(to), "back": "back " * back, "gone": ""}
    if lost and lost.netns != space.name:
        words["gone"] = f"; it had one by {lost.name}, which has gone to {in_words(lost.netns)}"
    elif lost and not lost.up:
        words["gone"] = f"; it went when {lost.name} was switched off"
    elif lost:
        words["gone"] = f"; it had one, which went when {lost.name} was switched off for a while"
    default = Ref("route", space.name, "default")
    return Stop("no_route", space.name, "", words, default, mend=(*_new_route(network, space, to),))


def _bare(network: Network, space: Netns, links: list[Link], to: Address) -> Stop | None:
    """Say what a namespace lacks before a route: a link that is up, an address, its prefix."""
    off = [link for link in links if space.conf(6, link.name, "disable_ipv6")]
    if to.version == 6 and off:
        return six_off(off[0])
    if not any(link.up for link in links):
        return down(links[0])
    own_ones = [(one, link) for one, link in space.addresses
                if one.version == to.version and link.kind != "lo"
                and one.ip not in link.unusable]  # fmt: skip
    asleep = [(one, link) for one, link in own_ones if not link.up]
    if asleep and not _has_default(space, to.version):
        return down(asleep[0][1], str(asleep[0][0].ip))
    if not own_ones:
        return no_address(space, to.version)
    for other in network.spaces.values():
        for theirs, _ in other.addresses:
            for one, link in own_ones:
                if theirs.ip == to and one.ip in theirs.network and to not in one.network:
                    return _narrow(space, one, link, theirs)
    return None


def _unasked(space: Netns, to: Address) -> Stop | None:
    """Give the stop where no rule leads to the table with the route, or a network has none.

    The rule for the table main is one like others (ip-rule(8)), and so is the route that comes with
    an address (fib_add_ifaddr).
    """
    six = ["-6"] if to.version == 6 else []
    if found := lookup(space, to, MAIN):
        add = typed_in(space.name, "ip", *six, "rule", "add", "priority", "32766", "table", MAIN)
        words = {"to": str(to), "six": " ".join(six), "help": add}
        return Stop("no_rule", space.name, "", words, route_ref(space, found))
    for one, link in space.addresses:
        if to in one.network and link.up and link.kind != "lo":
            net = Ref("route", space.name, str(one.network))
            words = {"own": str(one), "net": net.name, "to": str(to)}
            return Stop("no_network", space.name, link.name, words, net,
                        mend=(Make(net, {"dev": link.name}),))  # fmt: skip
    return None


def _narrow(space: Netns, one: Interface, link: Link, theirs: Interface) -> Stop:
    length = theirs.network.prefixlen
    words = {"own": str(one), "to": str(theirs.ip), "length": str(length)}
    on = {"dev": link.name}
    old, new = (Ref("address", space.name, text) for text in (str(one), f"{one.ip}/{length}"))
    return Stop("prefix", space.name, link.name, words, old,
                mend=(Remove(old, on), Make(new, on)))  # fmt: skip


def _new_route(network: Network, space: Netns, to: Address) -> Iterator[Make]:
    owner = next((one for one in network.spaces.values() if to in own(one)), None)
    hops = _routers(network, space, to.version, owner=owner)
    if hops:
        default = "default" if not _has_default(space, to.version) else str(to)
        yield Make(Ref("route", space.name, default), {"via": str(hops[0])})


def _has_default(space: Netns, version: int) -> bool:
    return any(route.to == DEFAULTS[version] for route in space.routes)


def _no_nat(network: Network, space: Netns, packet: Packet) -> Stop:
    """The sandbox's Internet leads only to the machine's own address, as the real one does."""
    words = {"source": str(packet.to), "why": "; no rule translates it"}
    if found := _untracked(network):
        space, key, rule = found
        words["why"] = f"; it is not tracked, and so not translated: {rule}"
        ref = Ref("rule", space.name, f"{key} {rule}")
        return Stop("no_nat", space.name, "", words, ref, mend=(Remove(ref),))
    home = network.spaces[""]
    mend = tuple(_masquerade(home, packet.to))
    if late := _not_reached(home, packet):
        words["why"] = f"; the rule {unquoted(late)} would translate it, but it never gets there"
        mend = tuple(one._replace(facts={"first": True}) for one in mend)
        return Stop("no_nat", "", "", words, mend=mend)
    for one in network.spaces.values():
        for key, rules in one.chains.items():
            for rule in rules if " nat " in key else ():
                # What a published port needs is for packets that are answered by neighbours.
                if "MASQUERADE" in rule and "--ctstate DNAT" not in rule:
                    words["why"] = _why_not(one, rule)
                    ref = Ref("rule", one.name, f"{key} {rule}")
                    return Stop("no_nat", one.name, "", words, ref, mend=mend)
    return Stop("no_nat", "", "", words, mend=mend)


def _not_reached(home: Netns, answer: Packet) -> str:
    """Give the rule that what an answer is for would fit, "" where there is none."""
    assert answer.source
    way = lookup(home, answer.source, MAIN)
    out = way.link.name if way and way.link else ""
    asked = Packet(answer.source, answer.to, answer.proto, answer.port, goes=out)
    found = (rule for key, rules in home.chains.items() if " nat " in key for rule in rules
             if target_of(rule) == "MASQUERADE" and fits(home, rule, asked))  # fmt: skip
    return next(found, "")


def _masquerade(space: Netns, source: Address) -> Iterator[Make]:
    """Give the rule that has what a network sends elsewhere leave with the address of its way."""
    tool = "ip6tables" if source.version == 6 else "iptables"
    for one, link in space.addresses:
        if source in one.network:
            chain = Ref("chain", space.name, f"{tool} nat POSTROUTING")
            rule = f"{chain.name} -s {one.network} ! -o {link.name} -j MASQUERADE"
            yield Make(Ref("rule", space.name, rule), {}, on=chain)


def _untracked(network: Network) -> tuple[Netns, str, str] | None:
    for space in network.spaces.values():
        for key, rules in space.chains.items():
            for rule in rules:
                if "--notrack" in rule or target_of(rule) == "NOTRACK":
                    return space, key, rule
    return None


def _why_not(space: Netns, rule: str) -> str:
    words = rule.split()
    names = [name for option, name in itertools.pairwise(words) if option in ("-o", "-i")]
    absent = [name for name in names if name.rstrip("+") not in space.links and name[-1:] != "+"]
    rule = unquoted(rule)
    if absent:
        return f"; the rule {rule} names a link {absent[0]}, which is not there"
    return f"; the rule {rule} does not fit it"
