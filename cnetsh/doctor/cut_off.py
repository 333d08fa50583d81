"""What cuts the host off: whether, after a plan, the same way leads to whom one would miss."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cache, partial
from ipaddress import ip_address
from typing import NamedTuple

from cnetsh.doctor.asked import Here
from cnetsh.doctor.evidence import Evidence
from cnetsh.doctor.finding import Case, Sign
from cnetsh.doctor.way import Traffic, Way, way
from cnetsh.forwarding.network import Address, Network
from cnetsh.forwarding.seen import network_of
from cnetsh.forwarding.settle import settle
from cnetsh.kinds.change import Change, Facts, Make, Move, Ref, Remove, Set, State, refs_of

# Of either half of the Internet, as VPNs divide it, and nobody's that one would ask for.
_OUTSIDE = ("100.0.0.1", "200.0.0.1", "2a00::1")
# What the packet of an ordinary connection has not got.
_SPECIAL = frozenset({"oif", "fwmark", "ipproto", "sport", "dport", "uid_start", "tos", "l3mdev"})
_ADVICE = "from a console; or with --allow-cut-off --try 60: undone, unless confirmed in time"


class Lifeline(NamedTuple):
    """Whom one would miss: what it is called, an address that stands for it, the packets."""

    name: str
    to: Address
    flow: Traffic


class Loss(NamedTuple):
    """A step after which the way to somebody is lost, whose, and why."""

    step: Here
    name: str
    why: str


def cut_off(case: Case) -> Iterator[Sign]:
    """P28: the ways to the ssh session, the gateways and the name servers, before and after."""
    here = [one for one in case.asked.here if case.runs(one.step)] if case.on_host else []
    if not here:
        return
    state, policy = case.seen.state()
    # What was seen does not have what a lab that is up has made itself.
    there = [one for one in case.asked.here if not case.runs(one.step)
             and not case.ours.isdisjoint(_links(one.change))]  # fmt: skip
    found: dict[str, dict[str, str]] = {}
    lost = losses(here, state, policy, lifelines(state, policy, case.seen), there)
    for one in sorted(lost, key=lambda one: one.step.number):
        step = f"step {one.step.number}: {one.step.step.text}"
        found.setdefault(step, {}).setdefault(one.name, one.why)
    for step, whose in found.items():
        effect = "\n".join(f"{name}: {why}" for name, why in whose.items())
        yield Sign("refuse", step, effect, _ADVICE)


def lifelines(state: State, policy: Sequence[Facts], seen: Evidence) -> list[Lifeline]:
    """Give whom one would miss: the ssh session, the gateways, the name servers."""
    found = []
    if ssh := seen.ssh:
        flow = Traffic(ip_address(ssh.server), ssh.link, "tcp", ssh.server_port, "in")
        found.append(Lifeline(f"the ssh session from {ssh.peer}", ip_address(ssh.peer), flow))
    for facts in state.get(Ref("route", "", "default"), ()):
        if via := facts.get("via"):
            flow = Traffic(link=facts["dev"] if via.startswith("fe80") else "")
            found.append(Lifeline(f"the gateway {via}", ip_address(via), flow))
    network = _network(state, policy)
    for one in map(ip_address, _OUTSIDE):
        if (by := way(network, one, Traffic())).link:
            name = f"the gateway {by.gateway}" if by.gateway else f"the way out by {by.link}"
            found.append(Lifeline(name, one, Traffic()))
    for server in seen.nameservers:
        with suppress(ValueError):
            text, _, link = server.partition("%")
            flow = Traffic(link=link, proto="udp", port=53)
            found.append(Lifeline(f"the name server {server}", ip_address(text), flow))
    return found


def _network(state: State, policy: Sequence[Facts]) -> Network:
    network = network_of(state)
    network.spaces[""].policy = [*filter(None, map(_ordinary, policy))] or None
    return network


def _ordinary(rule: Facts) -> Facts:
    """Give a rule of `ip rule` as it counts for an ordinary connection, nothing where it does not.

    What such a packet has not got fits none that asks for it, and each that asks for the opposite.
    """
    if not rule.keys() & _SPECIAL:
        return rule
    kept = ("priority", "table", "action", "family", "suppress_prefixlen")
    return {key: rule[key] for key in kept if key in rule} if "not" in rule else {}


def losses(
    here: Sequence[Here],
    state: State,
    policy: Sequence[Facts],
    whom: Sequence[Lifeline],
    there: Sequence[Here] = (),
) -> Iterator[Loss]:
    """Give whose way is another one at the end, and the step that made it so; there: done."""
    idle = _idle([*there, *here])
    there, here = (
        [one for one in some if one.change.ref.kind != "link" or one.change.ref.name not in idle]
        for some in (there, here)
    )

    @cache
    def ways(count: int) -> list[Way]:
        network = _network(state, policy)
        for one in (*there, *here[:count]):
            _take(network, one.change)
        return [way(network, one.to, one.flow) for one in whom]

    def why(at: int, count: int) -> str:
        return why_lost(ways(0)[at], ways(count)[at], whom[at])

    def is_lost(at: int, place: int) -> bool:
        return bool(why(at, place + 1))

    for at, target in enumerate(whom):
        if why(at, len(here)):
            place = bisect_left(range(len(here)), True, key=partial(is_lost, at))
            yield Loss(here[place], target.name, why(at, place + 1))


def _links(change: Change) -> set[str]:
    """Give the links that a change is about."""
    own = {ref.name for ref in refs_of(change) if ref.kind == "link" and not ref.netns}
    return own | {change.facts.get("dev", "")} if isinstance(change, Make) else own


def _idle(here: Sequence[Here]) -> set[str]:
    """Give the links that a plan makes and that get no address and no route: often thousands."""
    cables, used = [], {""}
    for _, _, change in here:
        if isinstance(change, Make):
            if change.ref.kind == "link":
                cables.append([ref.name for ref in refs_of(change) if not ref.netns])
            used.add(change.facts.get("dev", ""))
        elif isinstance(change, Set) and change.key == "master":
            used.add(change.value)
        elif isinstance(change, Move) and change.to.name in used:
            used.add(change.ref.name)
    return {name for cable in cables if used.isdisjoint(cable) for name in cable}


def _take(network: Network, change: Change) -> None:
    """Do a change, wherever a link may come from or go to."""
    away = change.to.netns if isinstance(change, Move) else ""
    for netns in {away, *(ref.netns for ref in refs_of(change))} - {*network.spaces}:
        network.add(netns)
    refused = settle([change], network)
    if refused and isinstance(change, Remove) and change.ref.kind == "rule":
        # Where none is worded like it, it may be any of them: all are gone, as with -F.
        settle([Remove(Ref("chain", "", " ".join(change.ref.name.split()[:3])))], network)


def why_lost(before: Way, after: Way, target: Lifeline) -> str:
    """Say why one way is not the other, "" where it is as good."""
    if not before.link:
        return ""
    silent = before.source and not after.source
    if silent and (target.flow.source or before[:2] == after[:2]):
        return f"{before.source} is no address of the host any more"
    if not after.link:
        return "no route leads there"
    if before[:2] != after[:2]:
        return f"it is looked for by {after} instead of {before}"
    if before.mac != after.mac:
        return f"neighbours may not find {after.link} by its new MAC"
    if after.neighbour not in ("", before.neighbour):
        return f"{after.gateway or target.to} may have another MAC than {after.neighbour}"
    if gone := before.below - after.below:
        return f"{after.link} may hear nothing without {', '.join(sorted(gone))}"
    worse = (
        one for one in after.troubles if one.replace("may stop", "stops") not in before.troubles
    )
    return ", ".join(sorted({*worse} - before.troubles))
