"""Changing a lab that is up into another plan: only what differs is undone and run.

What the new plan lacks is undone first, with all that goes along; then what is new is run. When a
new step fails, the new ones are undone and the old ones run again, so that the lab is what it was.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Any

from cnetsh.apply.journal import Journal, plan_of
from cnetsh.apply.rollback import neighbours, put_back, run_undos, undos_left, wait_until_gone
from cnetsh.apply.run import Means, Outcome
from cnetsh.apply.units import run_steps
from cnetsh.apply.up import settled
from cnetsh.compare import snapshot
from cnetsh.compare.differences import Difference
from cnetsh.compare.scope import Others, concerns, scope_of
from cnetsh.compare.snapshot import Snapshot
from cnetsh.errors import CnetshError
from cnetsh.kinds.change import (
    OWNED,
    Change,
    Changes,
    Make,
    Move,
    Ref,
    Remove,
    Set,
    holders,
    namespace_ref,
    refs_of,
)
from cnetsh.plan.steps import Plan, Plans, Step, made_by, to_text
from cnetsh.plan.undo import Undo
from cnetsh.system.process import never

# The changes of a lab's steps by their numbers in its journal.
Read = Mapping[int, Changes]


@dataclass(frozen=True, slots=True)
class LiveChange:
    """How two plans differ: the steps to undo, by their number in the journal, and those to run."""

    gone: tuple[int, ...]
    new: tuple[Step, ...]

    def __bool__(self) -> bool:
        return bool(self.gone or self.new)


def between(record: Journal, plan: Plan) -> LiveChange:
    """Give what makes the lab of a journal into the lab of a plan."""
    old, numbers = plan_of(record, "up").steps, sorted(record.applied)
    read = {number: old[number].changes for number in numbers}
    others = neighbours(record)
    surplus = {numbers[at] for at in _surplus([old[n] for n in numbers], plan.steps)}
    # What another lab needs stays, and stays this lab's too: the last of them puts it back.
    lacking = {number for number in surplus if not others.keep_from(old[number])}
    lacking |= _out_of_order(old, read, lacking, plan.steps)
    gone = _with_what_goes_along(read, lacking)
    gone |= _lost_routes(old, read, gone)
    # Once more: what goes along may have been the first of several that have an order.
    gone |= _out_of_order(old, read, gone, plan.steps)
    there = [old[number] for number in numbers if number not in gone]
    new = tuple(plan.steps[at] for at in _surplus(plan.steps, there))
    return LiveChange(tuple(sorted(gone)), new)


def _surplus(steps: Sequence[Step], others: Iterable[Step]) -> list[int]:
    """Give where in the steps those stand that change something and that the others lack."""
    # Counted, for two equal steps make two equal rules.
    left, surplus = Counter(step.text for step in others), []
    for at, step in enumerate(steps):
        left[step.text] -= 1
        if left[step.text] < 0 and step.kind == "change":
            surplus.append(at)
    return surplus


def _with_what_goes_along(read: Read, lacking: Collection[int]) -> set[int]:
    """Add what is lost with the objects that go, and what has to go because it cannot be undone."""
    makers, gone = _makers(read), set(lacking)
    while True:
        away = {ref for ref, number in makers.items() if number in gone}
        more = {
            number
            for number, changes in read.items()
            if any(ref in away for change in changes for ref in _leans_on(change))
        }
        redone = (ref for number in gone for change in read[number] for ref in _redone(change))
        more |= {makers[ref] for ref in redone if ref in makers}
        if more <= gone:
            return gone
        gone |= more


def _makers(read: Read) -> dict[Ref, int]:
    """Give the step that made each object, also at the place that it was moved to."""
    makers: dict[Ref, int] = {}
    for number, changes in read.items():
        for change in changes:
            if isinstance(change, Make) and change.ref.kind in OWNED:
                makers |= dict.fromkeys(refs_of(change), number)
            elif isinstance(change, Move) and change.ref in makers:
                makers[change.to] = makers[change.ref]
    return makers


def _leans_on(change: Change) -> Iterator[Ref]:
    """Give what takes a change along when it goes, and the link that it speaks of."""
    yield from holders(change)
    link = None
    if isinstance(change, Move) and change.to.netns:
        yield namespace_ref(change.to.netns)
    elif isinstance(change, Set) and change.key == "master":
        link = change.value
    elif isinstance(change, Make | Remove):
        link = change.facts.get("dev")
    if link:
        yield Ref("link", change.ref.netns, link)


def _redone(change: Change) -> tuple[Ref, ...]:
    """Give what is made anew because a change has no undo in place: nobody noted what was."""
    match change:
        case Set(Ref("setting", netns)) if netns:
            return (namespace_ref(netns),)
        case Set(Ref("link"), key, value) if (key, bool(value)) != ("master", True):
            return (change.ref,)
        case Move():
            return (change.ref,)
        case Make(Ref("name_server")) if change.on:
            return (change.on,)
    return ()


def _lost_routes(old: Sequence[Step], read: Read, gone: Collection[int]) -> set[int]:
    """Give the routes that go with an address or a link of theirs, and must be added anew."""
    lost = ("address", "link")
    places = {old[n].netns for n in gone for change in read[n] if change.ref.kind in lost}
    return {
        number
        for number, changes in read.items()
        for change in changes
        if isinstance(change, Make) and change.ref.kind == "route" and old[number].netns in places
    }


def _out_of_order(
    old: Sequence[Step], read: Read, gone: Collection[int], steps: Sequence[Step]
) -> set[int]:
    """Give rules and name servers that would not be in their place: the first that fits decides."""
    wanted = _appended({number: step.changes for number, step in enumerate(steps)})

    def fits(pair: tuple[int, int]) -> bool:
        return pair[0] not in gone and old[pair[0]].text == steps[pair[1]].text

    lost: set[int] = set()
    for place, numbers in _appended(read).items():
        pairs = zip(numbers, wanted.get(place, ()), strict=False)
        # Whatever stands behind the first that does not fit would come before it.
        lost.update(numbers[len(list(takewhile(fits, pairs))) :])
    return lost


def _appended(read: Read) -> dict[Ref, list[int]]:
    """Give the steps that append to each chain and each file of name servers."""
    places: dict[Ref, list[int]] = {}
    for number, changes in read.items():
        for change in changes:
            if not isinstance(change, Make) or not change.on or change.facts.get("first"):
                continue
            if change.ref.kind in ("rule", "name_server"):
                places.setdefault(change.on, []).append(number)
    return places


def lines(undone: Iterable[Undo], new: Iterable[Step]) -> list[str]:
    """Give a change as the lines that people compare: - what is undone, + what is run."""
    minus = [f"- {text}" for one in undone for text in one.texts]
    return minus + [f"+ {step.text}" for step in new]


def apply(record: Journal, plans: Plans, change: LiveChange, means: Means) -> Outcome:
    """Make the change; when a step of it fails, put the lab back to what it was.

    The journal's plan grows by the new steps, and the lab counts as interrupted until the end: a
    crash at any point leaves a journal by which `recover` undoes all of it. So does an old step
    that cannot be run again.
    """
    old = plan_of(record, "up").steps
    record.write(up=False)
    _undo(record, change.gone, means)
    _remember(record, change.new, means)
    texts = {part.part: to_text(part) for part in (plans.check, plans.down)}
    outcome = _append(record, change.new, means)
    outcome = settled(record, outcome, header={"title": plans.up.title, **texts})
    if outcome.well:
        return outcome
    patient = replace(means, stopping=never)
    _undo(record, [number for number in record.applied if number >= len(old)], patient)
    again = _append(record, [old[number] for number in change.gone], patient)
    # Not written, it stays interrupted, and recover undoes it.
    with suppress(CnetshError):
        record.write(up=again.well)
    return outcome


def _append(record: Journal, steps: Sequence[Step], means: Means) -> Outcome:
    # They are added to the end of the journal's plan, so that they have numbers there.
    so_far = plan_of(record, "up")
    longer = replace(so_far, steps=(*so_far.steps, *steps))
    record.write(header={"up": to_text(longer)})

    def note(**written: Any) -> None:
        first = len(so_far.steps)
        for key in {"start", "end", "over"} & written.keys():
            written[key] = [first + number for number in written[key]]
        record.write(**written)

    means.watch.expect(len(steps))
    return run_steps(steps, note, means)


def _undo(record: Journal, numbers: Collection[int], means: Means) -> None:
    """Undo some steps of the lab as far as they are still its own, and take them out of it."""
    steps, before = plan_of(record, "up").steps, Snapshot(**record.header["before"])
    going = [steps[number] for number in numbers]
    run_undos(undos_left(numbers, record, means), record, means)
    wait_until_gone(going, record, means)
    # With the identities of what they made: the next of the same name is another one.
    names = (f"{ref.kind} {ref.name}" for step in going for ref in made_by(step))
    made: Mapping[str, list[Any]] = {name: [] for name in names if name in record.made}
    record.write(dropped=list(numbers), made=made)
    staying = {record.lab: scope_of(record.in_force(steps))}
    others = Others(neighbours(record).labs | staying)
    # The links that the lab keeps were not there before it either.
    ours = scope_of(going)
    foreign = replace(ours, names=ours.names & before.links.keys())
    put_back(before, foreign, others, means)


def _remember(record: Journal, new: Sequence[Step], means: Means) -> None:
    """Have the journal know how all that the lab touches only from now on was before."""
    there = record.in_force(plan_of(record, "up").steps)
    ours, known = scope_of(new), scope_of(there)
    now, before = snapshot.take(means.ask, ours.settings, record.links), record.header["before"]
    fresh = (ours.names - known.names - record.links) & now.links.keys()
    before = before | {"links": before["links"] | {name: now.links[name] for name in fresh}}
    for part in ("addresses", "routes"):
        # Those that a link has now, for it may have changed since the lab came up.
        kept = [one for one in before[part] if one.get("dev") not in fresh]
        before[part] = kept + [one for one in getattr(now, part) if one.get("dev") in fresh]
    before["settings"] = before["settings"] | {
        path: value
        for path, value in now.settings.items()
        if concerns(one := Difference("setting", path, ""), ours) and not concerns(one, known)
    }
    record.write(header={"before": before})


def why_not(change: LiveChange, outcome: Outcome) -> str:
    """Say which new step failed, and how."""
    said = outcome.result.stderr.strip() if outcome.result else ""
    return said if outcome.failed is None else f"{change.new[outcome.failed].text}\n  {said}"
