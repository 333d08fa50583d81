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

from cnetsh.apply import journal, rollback
from cnetsh.apply.journal import Journal
from cnetsh.apply.run import Means, Outcome
from cnetsh.apply.up import run_steps
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
from cnetsh.plan.undo import Undo, undos
from cnetsh.system.process import Result

_NUMBERS = {"start", "end", "over"}


@dataclass(frozen=True, slots=True)
class LiveChange:
    """How two plans differ: the steps to undo, by their number in the journal, and those to run."""

    gone: tuple[int, ...]
    new: tuple[Step, ...]
    undo: tuple[Undo, ...]

    def __bool__(self) -> bool:
        return bool(self.gone or self.new)


def between(record: Journal, plan: Plan) -> LiveChange:
    """Give what makes the lab of a journal into the lab of a plan."""
    old, numbers = journal.plan_of(record, "up").steps, sorted(record.applied)
    read = {number: old[number].changes for number in numbers}
    others = _others(record, ())
    # What another lab needs stays, and stays this lab's too: the last of them puts it back.
    lacking = {n for n in _lacking(old, numbers, plan.steps) if not others.keep_from(old[n])}
    lacking |= _out_of_order(old, read, lacking, plan.steps)
    gone = _with_what_goes_along(read, lacking)
    gone |= _lost_routes(old, read, gone)
    gone |= _out_of_order(old, read, gone, plan.steps)
    there = Counter(old[number].text for number in numbers if number not in gone)
    undo = tuple(one for one in reversed(undos(old, gone)) if one.texts)
    return LiveChange(tuple(sorted(gone)), tuple(_surplus(plan.steps, there)), undo)


def _lacking(old: Sequence[Step], numbers: Sequence[int], steps: Sequence[Step]) -> set[int]:
    """Give the numbers of the old steps that the new plan does not have."""
    wanted = Counter(step.text for step in steps if step.kind == "change")
    gone = set()
    for number in numbers:
        if old[number].kind == "change" and not wanted[old[number].text]:
            gone.add(number)
        wanted[old[number].text] -= 1
    return gone


def _with_what_goes_along(read: Mapping[int, Changes], lacking: Collection[int]) -> set[int]:
    """Add what is lost with the objects that go, and what has to go because it cannot be undone."""
    makers, gone = _makers(read), set(lacking)
    while True:
        redone = (ref for number in gone for one in read[number] for ref in _redone(one))
        gone |= {makers[ref] for ref in redone if ref in makers}
        away = {ref for ref, number in makers.items() if number in gone}
        more = {n for ref, n in makers.items() if ref.netns and namespace_ref(ref.netns) in away}
        more |= {number for number, changes in read.items() if _hangs_on(changes, away)}
        if more <= gone:
            return gone
        gone |= more


def _makers(read: Mapping[int, Changes]) -> dict[Ref, int]:
    """Give the step that made each object, also at the place that it was moved to."""
    makers: dict[Ref, int] = {}
    for number, changes in read.items():
        for change in changes:
            if isinstance(change, Make) and change.ref.kind in OWNED:
                makers |= dict.fromkeys(refs_of(change), number)
            elif isinstance(change, Move) and change.ref in makers:
                makers[change.to] = makers[change.ref]
    return makers


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


def _hangs_on(changes: Changes, away: Collection[Ref]) -> bool:
    """Say whether a step's changes go with any of the objects, or speak of a link among them."""
    for change in changes:
        if any(ref in away for ref in holders(change)):
            return True
        link = change.value if isinstance(change, Set) and change.key == "master" else None
        if isinstance(change, Make | Remove):
            link = change.facts.get("dev")
        if link and Ref("link", change.ref.netns, link) in away:
            return True
    return False


def _lost_routes(
    old: Sequence[Step], read: Mapping[int, Changes], gone: Collection[int]
) -> set[int]:
    """Give the routes that go with an address or a link of theirs, and must be added anew."""
    lost = ("address", "link")
    places = {old[n].netns for n in gone for change in read[n] if change.ref.kind in lost}
    return {
        number
        for number, changes in read.items()
        if any(isinstance(one, Make) and one.ref.kind == "route" for one in changes)
        and old[number].netns in places
    }


def _out_of_order(
    old: Sequence[Step],
    read: Mapping[int, Changes],
    gone: Collection[int],
    steps: Iterable[Step],
) -> set[int]:
    """Give rules and name servers that would not be in their place: the first that fits decides."""
    lines = _in_order((None, step.text, step.changes) for step in steps)
    wanted = {place: [text for _, text in found] for place, found in lines.items()}
    lost: set[int] = set()
    there = _in_order((number, old[number].text, changes) for number, changes in read.items())
    for place, found in there.items():
        pairs = zip(found, wanted.get(place, ()), strict=False)
        same = takewhile(lambda pair: pair[0][1] == pair[1] and pair[0][0] not in gone, pairs)
        lost.update(number for number, _ in found[len(list(same)) :] if number is not None)
    return lost


def _in_order(
    lines: Iterable[tuple[int | None, str, Changes]],
) -> dict[Ref, list[tuple[int | None, str]]]:
    """Give what is appended to each chain and each file of name servers, with the numbers."""
    places: dict[Ref, list[tuple[int | None, str]]] = {}
    for number, text, changes in lines:
        for change in changes:
            if _is_appended(change) and isinstance(change, Make) and change.on:
                places.setdefault(change.on, []).append((number, text))
    return places


def _is_appended(change: Change) -> bool:
    match change:
        case Make(Ref("rule"), facts):
            return not facts.get("first")
        case Make(Ref("name_server")):
            return True
    return False


def _surplus(steps: Sequence[Step], there: Counter[str]) -> Iterator[Step]:
    for step in steps:
        if there[step.text]:
            there[step.text] -= 1
        elif step.kind == "change":
            yield step


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
    old = journal.plan_of(record, "up").steps
    record.write(up=False)
    _undo(record, change.gone, means)
    _remember(record, change.new, means)
    outcome = _append(record, change.new, means)
    if outcome.well:
        texts = {part.part: to_text(part) for part in (plans.check, plans.down)}
        try:
            record.write(header={"title": plans.up.title, **texts}, up=True)
            return outcome
        except CnetshError as error:
            outcome = Outcome(result=Result(1, "", error.message))
    patient = replace(means, stopping=lambda: 0)
    _undo(record, [number for number in record.applied if number >= len(old)], patient)
    again = _append(record, [old[number] for number in change.gone], patient)
    with suppress(CnetshError):
        record.write(up=again.well)
    return outcome


def _append(record: Journal, steps: Sequence[Step], means: Means) -> Outcome:
    """Add steps to the end of the journal's plan and run them."""
    so_far = journal.plan_of(record, "up")
    longer = Plan(so_far.lab, so_far.title, "up", (*so_far.steps, *steps))
    record.write(header={"up": to_text(longer)})

    def note(**written: Any) -> None:
        moved = {
            key: [n + len(so_far.steps) for n in written[key]] for key in _NUMBERS & written.keys()
        }
        record.write(**(written | moved))

    return run_steps(steps, note, means)


def _undo(record: Journal, numbers: Collection[int], means: Means) -> None:
    """Undo some steps of the lab as far as they are still its own, and take them out of it."""
    steps = journal.plan_of(record, "up").steps
    going, before = [steps[number] for number in numbers], Snapshot(**record.header["before"])
    todo = [one for one in reversed(undos(steps, numbers)) if one.texts]
    rollback.run_undos(rollback.still_needed(todo, record, means), record, means)
    rollback.wait_until_gone(going, record, means)
    others = _others(record, record.applied - set(numbers))
    _drop(record, going, numbers)
    # The links that the lab keeps were not there before it either.
    ours = scope_of(going)
    foreign = replace(ours, names=ours.names & before.links.keys())
    rollback.put_back(before, foreign, others, means)


def _others(record: Journal, staying: Iterable[int]) -> Others:
    """Give what the other labs touch, and what the staying steps of this one do."""
    neighbours = journal.beside(record)
    for one in neighbours:
        one.close()
    labs = [(one, one.applied) for one in neighbours] + [(record, set(staying))]
    return Others(
        {
            one.lab: scope_of([journal.plan_of(one, "up").steps[number] for number in numbers])
            for one, numbers in labs
        }
    )


def _drop(record: Journal, going: Sequence[Step], numbers: Collection[int]) -> None:
    """Take steps out of the lab, with the identities of what they made."""
    made: Mapping[str, list[Any]] = {
        key: []
        for step in going
        for ref in made_by(step)
        if (key := f"{ref.kind} {ref.name}") in record.made
    }
    record.write(dropped=list(numbers), made=made)


def _remember(record: Journal, new: Sequence[Step], means: Means) -> None:
    """Have the journal know how all that the lab touches only from now on was before."""
    steps = journal.plan_of(record, "up").steps
    ours, known = scope_of(new), scope_of([steps[number] for number in record.applied])
    own = {key.removeprefix("link ") for key in record.made}
    now, facts = snapshot.take(means.ask, ours.settings, own), dict(record.header["before"])
    fresh = (ours.names - known.names - own) & now.links.keys()
    facts["links"] = facts["links"] | {name: now.links[name] for name in fresh}
    for part in ("addresses", "routes"):
        kept = [one for one in facts[part] if one.get("dev") not in fresh]
        facts[part] = kept + [one for one in getattr(now, part) if one.get("dev") in fresh]
    facts["settings"] = facts["settings"] | {
        path: value
        for path, value in now.settings.items()
        if concerns(one := Difference("setting", path, ""), ours) and not concerns(one, known)
    }
    record.write(header={"before": facts})


def reason(change: LiveChange, outcome: Outcome) -> str:
    """Say which new step failed, and how."""
    said = outcome.result.stderr.strip() if outcome.result else ""
    return said if outcome.failed is None else f"{change.new[outcome.failed].text}\n  {said}"
