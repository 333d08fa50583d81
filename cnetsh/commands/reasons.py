"""Why a packet arrives or does not, by the model, by one real packet, and by the plans."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from operator import itemgetter
from typing import NamedTuple, TypeAlias

from cnetsh import kinds
from cnetsh.apply import journal
from cnetsh.apply.repair import Repairing
from cnetsh.commands.suspects import Answered, gap_of, is_possible, passed, suspect, unmodelled
from cnetsh.compare import drift
from cnetsh.errors import DONE, FAILED, STOPPED
from cnetsh.forwarding.netfilter import Packet
from cnetsh.forwarding.network import Address, Network, interface
from cnetsh.forwarding.predict import maker_of
from cnetsh.forwarding.settle import settle
from cnetsh.forwarding.stop import Layer, Stop, evidence, fix, in_words, sentence
from cnetsh.forwarding.trip import Hop, Verdict, follow
from cnetsh.kinds.change import Change, Make, Ref, Remove, Set, after, typed_in
from cnetsh.kinds.setting import ROOT
from cnetsh.probes.trial import Probe, ProbeResult, Seen
from cnetsh.system.process import ask

# Where a reason by these names something to add, only the plan knows what was meant.
_MEANT = frozenset({Layer.ADDRESS, Layer.ROUTE, Layer.NEIGHBOUR, Layer.NAT, Layer.RECEIVER})
_SURE = frozenset({"no_network", "never_asks"})  # what mends these is known all the same
# Who has lost all, and who has what an address was asked for: whatever the layer, as a tunnel's.
_LOST = frozenset({"no_link", "nobody"})
_MOST = 4  # commands of a fix
_ARRIVES = 2
# The labs that are up, by their names.
Planned: TypeAlias = Mapping[str, Repairing]


class Reason(NamedTuple):
    """How a packet fares."""

    arrives: bool | None  # None where nobody tried and the model does not know
    hops: tuple[str, ...]
    layer: str = ""  # one of Layer's
    reason: str = ""
    evidence: str = ""  # a command that shows the reason
    step: str = ""  # of which lab's plan it comes
    fix: tuple[str, ...] = ()  # commands

    @property
    def code(self) -> int:
        """The exit code that says how much is known."""
        if self.arrives:
            return DONE
        return STOPPED if self.layer in ("", Layer.UNKNOWN) else FAILED


def planned_here() -> Planned:
    """Give what the labs that are up here planned, and what puts back what is not so any more."""
    found = {}
    for record in journal.all_here()[0]:
        if record.same_boot:
            found[record.lab] = Repairing.of(record, ask)
        record.close()
    return found


@dataclass(frozen=True)
class Sending:
    """One packet in a network; others: more networks like it, to be changed and tried."""

    network: Network
    others: Iterator[Network]
    sender: str
    packet: Packet

    def comes(self, stop: Stop, changes: Iterable[Change]) -> int:
        """Give how far it comes after changes: _ARRIVES, there and back, 1 past a stop, else 0."""
        again = self.after(changes)
        if again is None:
            return 0
        past = again.stop is None or _place(again.stop) != _place(stop)
        return _ARRIVES if again.works else int(past)

    def after(self, changes: Iterable[Change]) -> Verdict | None:
        """Give what becomes of it after changes, None where no more can be tried."""
        network = next(self.others, None)
        if network is None:
            return None
        settle(changes, network)
        return follow(network, self.sender, replace(self.packet))


def _place(stop: Stop) -> tuple[str, ...]:
    return stop.code, stop.leg, stop.space, stop.link


def reason_of(case: Sending, planned: Planned, trial: ProbeResult | None) -> Reason:
    """Give how a packet fares; trial: how one fared that was sent."""
    network, sender, packet = case.network, case.sender, case.packet
    trial = trial and replace(trial, seen=tuple(_concerned(network, trial.seen)))
    came = {one.space for one in (trial.seen if trial else ()) if one.direction == "in"}
    verdict = follow(network, sender, replace(packet), seen=came)
    path = tuple(map(told_hop, verdict.path))
    if trial is None:
        return _by_model(verdict, path, planned, case)
    if trial.answered:
        mistaken = sentence(verdict.stop) if verdict.stop and verdict.works is False else ""
        note = f"it arrives, though it should not: {mistaken}" if mistaken else ""
        return Reason(True, path if verdict.works else _told(trial), reason=note)
    if verdict.stop and not verdict.doubts:
        return _stopped(verdict.stop, path, planned, case)
    asked = Probe(sender, str(packet.to), packet.proto, packet.port, packet.size * packet.whole)
    try:
        stop = suspect(network, verdict, asked, trial, partial(_step_of, planned))
    except Answered as later:
        told = path if verdict.works else _told(later.trial)
        return Reason(True, told, reason="it arrives, but another that was sent before it did not")
    if stop := stop or _of_two(network, sender, packet, verdict, trial):
        path = tuple(map(told_hop, passed(verdict, trial)))
        return _stopped(stop, path, planned, case)
    return _unknown(verdict, trial)


def _told(trial: ProbeResult) -> tuple[str, ...]:
    """Give where a packet was seen; a second try goes the same way."""
    return tuple(dict.fromkeys(map(_told_seen, trial.seen)))


def _concerned(network: Network, seen: Iterable[Seen]) -> Iterator[Seen]:
    """Leave out who only got a copy, as a bridge sends all what it knows no port for."""
    for one in seen:
        link = network.spaces[one.space].links.get(one.link)
        if not one.aside or link is None or link.master or link.above:
            yield one


def _of_two(
    network: Network, sender: str, packet: Packet, verdict: Verdict, trial: ProbeResult
) -> Stop | None:
    """Give what stops a packet for sure, or that two have the address, where only one answers."""
    for doubt in verdict.doubts if verdict.works is None else ():
        stop = doubt.stop
        if stop.code == "twice" and verdict.stop and is_possible(doubt, None, trial):
            others = frozenset(network.spaces) - {stop.space}
            other = follow(network, sender, replace(packet), seen=others)
            return verdict.stop if other.stop else stop
    return verdict.stop if verdict.works is False else None


def _by_model(verdict: Verdict, path: tuple[str, ...], planned: Planned, case: Sending) -> Reason:
    if verdict.stop and verdict.works is False:
        return _stopped(verdict.stop, path, planned, case)
    unknown = verdict.open or unmodelled({hop.space: None for hop in verdict.path})
    if not unknown:
        return Reason(True, path)
    return Reason(None, path, Layer.UNKNOWN, f"it is not known {unknown}")


def _stopped(stop: Stop, path: tuple[str, ...], planned: Planned, case: Sending) -> Reason:
    by_plan = stop.code in _LOST or (stop.layer in _MEANT and stop.code not in _SURE)
    near, owner, said = stop, _loser(planned, case), sentence(stop)
    if owner is not None:
        # Who is asked instead of him is not to be changed.
        near, by_plan = stop._replace(space=owner, mend=()), True
        if stop.code == "nobody":
            said += f"; {in_words(owner)} had it"
            # With its address it has lost the link, or that alone.
            gone = any(one.ref[:2] == ("link", owner) and not one.key for one in lost_of(planned))
            stop = stop._replace(layer_=Layer.LINK if gone else Layer.ADDRESS)
    if wall := _wall_behind(stop, planned, case):
        said = f"{said}; with 1, {sentence(wall)}"
        return Reason(False, path, stop.layer, said, evidence(stop), _step_of(planned, wall))
    meant = tuple(_meant(near, planned, case)) if by_plan and "help" not in stop.words else ()
    step = _step_of(planned, stop)
    return Reason(False, path, stop.layer, said, evidence(stop), step, meant or fix(stop))


def _wall_behind(stop: Stop, planned: Planned, case: Sending) -> Stop | None:
    """Give the rule of a lab that keeps back what the host then passes on, so that it need not."""
    again = case.after(stop.mend) if stop.code == "not_forwarding" and planned else None
    wall = again.stop if again and again.works is False else None
    by_lab = wall and wall.layer == Layer.FIREWALL and _step_of(planned, wall)
    return wall if by_lab else None


def _loser(planned: Planned, case: Sending) -> str | None:
    """Give the namespace that has lost the address a packet goes to, which nobody has now."""
    to = case.packet.to
    if any(one.ip == to for space in case.network.spaces.values() for one, _ in space.addresses):
        return None
    return next((one.ref.netns for one in lost_of(planned) if one.ref.kind == "address"
                 and not one.key and interface(one.ref.name).ip == to), None)  # fmt: skip


def _step_of(planned: Planned, stop: Stop) -> str:
    makers = ((lab, maker_of([*known.steps.values()], stop)) for lab, known in planned.items())
    return next((f"{lab}, {maker}" for lab, maker in makers if maker), "")


def _cleared(stop: Stop, planned: Planned) -> Iterator[Change]:
    """Give what takes away, or turns, the wrong thing that stands in the place of the planned."""
    for change in stop.mend:
        wrong = isinstance(change, Remove) and not _is_planned(change, planned)
        if wrong or isinstance(change, Set):
            yield change


def _is_planned(gone: Remove, planned: Planned) -> bool:
    """Say whether what would be taken away is what a plan has made."""
    made = [change.facts for lab in planned.values() for step in lab.steps.values()
            if step.netns == gone.ref.netns for change in step.changes
            if isinstance(change, Make) and change.ref == gone.ref]  # fmt: skip
    return any(all(gone.facts.get(key, value) == value for key, value in facts.items())
               for facts in made)  # fmt: skip


def _meant(stop: Stop, planned: Planned, case: Sending) -> Iterator[str]:
    """Give the steps of a plan whose work is undone, near a stop: done again they mend it."""
    first, network = tuple(_cleared(stop, planned)), case.network
    if again := repaired(planned, network, stop.space):
        yield from (*_written(first), *again)
        return
    lost = [one for one in lost_of(planned) if one.ref.kind in ("link", "address", "route", "rule")]
    near = [one for one in lost if one.ref.netns == stop.space]
    about = [one for one in lost if stop.words.get("to", "?") in one.ref.name]
    # A wire may be plugged in anywhere.
    wires = [one for one in lost if one.ref.kind == "link"]
    found = _helpful([near, about, wires], partial(_comes, stop, first, case))
    back, six = dict(_brought_back(found, planned, network)), [*_with_six(found, network)]
    # What is brought back is not made again.
    again = [one.step.text for one in found if one.ref not in back]
    texts = [*dict.fromkeys(again)][:_MOST]
    if found:
        yield from dict.fromkeys((*_written(first), *back.values(), *_written(six), *texts))


def restored(
    network: Network, planned: Planned, sending: Callable[[Address], Sending], owner: str,
    version: int,
) -> tuple[str, ...]:  # fmt: skip
    """Give what brings back an address that a namespace has lost, as far as a packet needs it."""
    if again := repaired(planned, network, owner):
        return tuple(again)
    for one in lost_of(planned):
        of_owner = one.ref.kind == "address" and one.ref.netns == owner and not one.key
        if of_owner and (ip := interface(one.ref.name).ip).version == version:
            case = sending(ip)
            stop = follow(network, case.sender, replace(case.packet)).stop
            return tuple(_meant(stop._replace(space=owner), planned, case)) if stop else ()
    return ()


def _written(changes: Iterable[Change]) -> Iterator[str]:
    return (text for change in changes for text in kinds.write(change))


def _comes(
    stop: Stop, first: Sequence[Change], case: Sending, lost: Sequence[drift.Drifted]
) -> int:
    """Give how far the packet comes when what is lost is there again."""
    six = _with_six(lost, case.network)
    steps = dict.fromkeys(one.step for one in lost)
    return case.comes(stop, [*first, *six, *(change for step in steps for change in step.changes)])


def _helpful(
    several: Sequence[list[drift.Drifted]], comes: Callable[[Sequence[drift.Drifted]], int]
) -> list[drift.Drifted]:
    """Give of what is lost that with which the packet comes furthest; of the like the first."""
    asked = {tuple(one.text for one in some): some for some in several if some}
    if len(asked) < 2 and all(len(some) == 1 for some in asked.values()):
        return next(iter(asked.values()), [])
    found, far = max(((some, comes(some)) for some in asked.values()), key=itemgetter(1))
    enough = [one for one in found if comes([one]) == far] if far == _ARRIVES else []
    return enough or found


def lost_of(planned: Planned) -> list[drift.Drifted]:
    """Give what is not as the labs that are up planned it."""
    return [one for known in planned.values() for one in known.drifted]


def repaired(planned: Planned, network: Network, space: str) -> list[str]:
    """Give what repairs the lab of which a namespace has lost a link for good, with all on it."""
    there = network.spaces[space].links if space in network.spaces else {}
    for known in planned.values():
        lost = [one.ref for one in known.drifted if one.ref[:2] == ("link", space)
                and not one.key and one.ref.name not in there]  # fmt: skip
        if any(_gone_to(ref, planned, network) is None for ref in lost):
            return [one.text for one in known.todo]
    return []


def _with_six(lost: Sequence[drift.Drifted], network: Network) -> Iterator[Change]:
    """Give what lets links have an address of IPv6 again."""
    for one in lost:
        words = one.step.inner
        if one.ref.kind == "address" and ":" in one.ref.name and "dev" in words:
            link, space = words[words.index("dev") + 1], one.ref.netns
            if network.space(space).conf(6, link, "disable_ipv6"):
                path = Ref("setting", space, f"{ROOT}ipv6/conf/{link}/disable_ipv6")
                yield Set(path, "value", "0")


def _brought_back(
    lost: Sequence[drift.Drifted], planned: Planned, network: Network
) -> Iterator[tuple[Ref, str]]:
    """Give the links that have gone to another namespace, each with what brings it back."""
    gone = dict.fromkeys(one.ref for one in lost if one.ref.kind == "link" and one.ref.netns)
    for ref in gone:
        if (home := _gone_to(ref, planned, network)) is not None:
            yield ref, typed_in(home, "ip", "link", "set", ref.name, "netns", ref.netns)


def _gone_to(ref: Ref, planned: Planned, network: Network) -> str | None:
    """Give the namespace that a link has gone to. Many have another of the same name, as eth0."""
    steps = (step for known in planned.values() for step in known.steps.values())
    made = after(change for step in steps if ref.name in step.text for change in step.changes)
    known = {fact.ref for lab in planned.values() for fact in lab.record.before} | made.keys()
    far = made.get(ref, [{}])[0].get("peer")
    for name, space in network.spaces.items():
        link = space.links.get(ref.name)
        if link is None or link.ref in known:
            continue
        # A cable is known by its other end.
        if far is None or (link.peer is not None and link.peer.name == far.name):
            return name
    return None


def _unknown(verdict: Verdict, trial: ProbeResult) -> Reason:
    gap, seen = gap_of(verdict, trial), _told(trial)
    place = f"it was last seen here: {seen[-1]}" if seen else "it was seen nowhere"
    asked = [one for one in trial.asked if gap and one.leg.endswith(f" {gap.asked}")]
    if asked and not seen:
        place += f"; {asked[-1].leg} was last seen here: {_told_seen(asked[-1])}"
    may = [sentence(one.stop) for one in verdict.doubts if is_possible(one, gap, trial)]
    why = f": it is not known {verdict.unknown}" if verdict.unknown else ""
    why = f"; possible: {'; '.join(may)}" if may else why
    said = f" ({trial.error})" if trial.error else ""
    text = f"{place}{said}; what stops it there is not known{why}"
    return Reason(False, seen, Layer.UNKNOWN, text)


def told_hop(hop: Hop) -> str:
    """Give a hop in words."""
    back = "back: " if hop.leg == "reply" else ""
    match hop.how:
        case "out":
            via = f" to {hop.by.via}" if hop.by and hop.by.via else ""
            by = f", by the route to {hop.by.name}" if hop.by and hop.by.name else ""
            return f"{back}{in_words(hop.space)}: out by {hop.link}{via}{by}"
        case "bridge":
            return f"{back}{in_words(hop.space)}: through the bridge {hop.link}"
        case "under":
            return f"{back}{in_words(hop.space)}: through {hop.link}, on which the link is made"
        case "lo":
            return f"{back}{in_words(hop.space)}: to itself, by lo"
    return f"{back}{in_words(hop.space)}: in by {hop.link}"


def _told_seen(one: Seen) -> str:
    back = "back: " if one.leg == "reply" else ""
    return f"{back}{in_words(one.space)}: {one.direction} by {one.link}"
