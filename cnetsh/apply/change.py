"""Changing a lab that is up into another plan: only what differs is undone and run.

What the new plan lacks is undone first, with all that goes along; then what is new is run. When a
new step fails, the new ones are undone and the old ones run again, so that the lab is what it was.
"""

import os
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Any

from cnetsh.apply.ending import Ending, Undone
from cnetsh.apply.journal import Header, Journal, Record, plan_of, rows
from cnetsh.apply.rollback import take_back
from cnetsh.apply.run import Means, Outcome, marked
from cnetsh.apply.sharing import hand_over
from cnetsh.apply.sight import Sight, done_by
from cnetsh.apply.undoing import Undoing
from cnetsh.apply.units import run_steps
from cnetsh.apply.up import settled
from cnetsh.compare.preview import as_lines
from cnetsh.compare.revert import composed, patch, predicted, same, without_own
from cnetsh.compare.scope import Scope, scope_of
from cnetsh.errors import CnetshError
from cnetsh.kinds.change import (
    OWNED,
    Change,
    Changes,
    Make,
    Move,
    Patch,
    Ref,
    Remove,
    Set,
    holders,
    namespace_ref,
    refs_of,
)
from cnetsh.plan.lines import Line, mark_of, numbered
from cnetsh.plan.steps import CHANGING, Plan, Plans, Step, as_step, made_by, to_text
from cnetsh.plan.undo import Undo, down_order, undos
from cnetsh.system.process import Result, never

# The changes of a lab's steps by their numbers in its journal.
Read = Mapping[int, Changes]


@dataclass(frozen=True, slots=True)
class LiveChange:
    """How two plans differ: the steps to undo, by their number in the journal, and those to run."""

    gone: tuple[int, ...]
    new: tuple[Step, ...]

    def __bool__(self) -> bool:
        return bool(self.gone or self.new)


def between(old: Mapping[int, Step], plan: Plan) -> LiveChange:
    """Give what makes a lab, of these steps by their numbers, into the lab of a plan."""
    _refuse_trusted(old.values(), plan)
    read = {number: step.changes for number, step in old.items()}
    numbers = list(old)
    lacking = {numbers[at] for at in _surplus(list(old.values()), plan.steps)}
    lacking |= _out_of_order(old, read, lacking, plan.steps)
    gone = _with_what_goes_along(read, lacking)
    gone |= _lost_routes(old, read, gone)
    # Once more: what goes along may have been the first of several that have an order.
    gone |= _out_of_order(old, read, gone, plan.steps)
    there = [old[number] for number in numbers if number not in gone]
    new = tuple(plan.steps[at] for at in _surplus(plan.steps, there))
    return LiveChange(tuple(sorted(gone)), new)


def _refuse_trusted(old: Collection[Step], plan: Plan) -> None:
    """Raise CnetshError where it is not known what a change would take along."""
    same = [step.text for step in old] == [step.text for step in plan.steps]
    if not same and any(step.kind == "trusted" for step in (*old, *plan.steps)):
        why = "a step is taken on trust, so what goes with what is not known"
        raise CnetshError(
            f"{plan.lab} is up and cannot be changed: {why}", f"cnetsh down {plan.lab}, then up"
        )


def differing(old: Plans, new: Plans) -> list[Line]:
    """Give how the labs of two plans differ, as the lines that make one into the other.

    No target is looked at: of what the old one has set, nobody knows what was before it.
    """
    change = between(dict(enumerate(old.up.steps)), new.up)
    gone = [one for one in undos(old.up.steps, change.gone) if one.covered_by is None]
    lines = [line for one in down_order(gone, old.down.steps)
             for line in _taken_back(old.up.steps[one.step], one)]  # fmt: skip
    added = [line._replace(found="") for line in as_lines(change.new, {})]
    return [*lines, *numbered(new.up, added)]


def _taken_back(step: Step, undo: Undo) -> Iterator[Line]:
    for text in undo.texts:
        mark = mark_of(as_step(text).changes) or "-"
        yield Line(mark, step._replace(text=text, why=f"undoes: {step.text}"))
    if not undo.texts:
        yield Line("~", step._replace(why=f"is taken back: {undo.note or 'as it was before'}"))


def _surplus(steps: Sequence[Step], others: Iterable[Step]) -> list[int]:
    """Give where in the steps those stand that change something and that the others lack."""
    # Counted, for two equal steps make two equal rules.
    left, surplus = Counter(step.text for step in others), []
    for at, step in enumerate(steps):
        left[step.text] -= 1
        if left[step.text] < 0 and step.kind in CHANGING:
            surplus.append(at)
    return surplus


def _with_what_goes_along(read: Read, lacking: Collection[int]) -> set[int]:
    """Add what is lost with the objects that go, and what has to go because it cannot be undone."""
    makers, gone = makers_in(read), set(lacking)
    while True:
        gone = leaning(read, gone)
        redone = (ref for number in gone for change in read[number] for ref in _redone(change))
        more = {makers[ref] for ref in redone if ref in makers}
        if more <= gone:
            return gone
        gone |= more


def leaning(read: Read, numbers: Collection[int]) -> set[int]:
    """Give steps with all those that are lost with what they make."""
    makers, gone = makers_in(read), set(numbers)
    while True:
        away = {ref for ref, number in makers.items() if number in gone}
        more = {
            number
            for number, changes in read.items()
            if any(ref in away for change in changes for ref in _leans_on(change))
        }
        if more <= gone:
            return gone
        gone |= more


def makers_in(read: Read) -> dict[Ref, int]:
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


def _lost_routes(old: Mapping[int, Step], read: Read, gone: Collection[int]) -> set[int]:
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
    old: Mapping[int, Step], read: Read, gone: Collection[int], steps: Sequence[Step]
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


@dataclass(frozen=True, slots=True)
class Changing:
    """A change of a lab that is up, worked out before anything is touched.

    left: what the steps that stay have done to things of others.
    """

    plans: Plans
    change: LiveChange
    undoing: Undoing
    left: Patch

    @classmethod
    def of(cls, record: Journal, plans: Plans, means: Means) -> "Changing | None":
        """Work out a change, None where nothing differs.

        Raises CnetshError where others use what is to go.
        """
        steps = plan_of(record, "up").steps
        change = between(record.in_force(steps), plans.up)
        if not change:
            return None
        # What is undone is undone to its end, whatever signal comes; then nothing new begins.
        sight = Sight.of(record, replace(means, stopping=never), (*steps, *change.new))
        going, left = _parted(sight, change.gone)
        found = Undoing.of(sight, change.gone, going)
        for line in (line for some in found.todo.blocked.values() for line in some):
            raise CnetshError(f"{record.lab} is not changed: {line.text}", line.advice)
        return cls(plans, change, found, left)

    @property
    def record(self) -> Journal:
        """The lab's journal."""
        return self.undoing.sight.journal

    @property
    def homes(self) -> dict[int, str]:
        """The names of the namespaces that the change takes away, by their marks."""
        gone = (self.undoing.sight.steps[number] for number in self.change.gone)
        return self.record.homes_among(ref for step in gone for ref in made_by(step))


def apply(what: Changing, means: Means) -> tuple[Outcome, Undone]:
    """Make the change; when a step of it fails, put the lab back to what it was.

    The journal's plan grows by the new steps, and the lab counts as interrupted until the end: a
    crash at any point leaves a journal by which `recover` undoes all of it. So does an old step
    that cannot be run again.
    """
    record, plans, new, sight = what.record, what.plans, what.change.new, what.undoing.sight
    first = len(sight.steps) - len(new)
    record.write(up=False, header={"pid": os.getpid()})
    texts: Header = {"title": plans.up.title, "check": to_text(plans.check)}
    texts |= {
        "down": to_text(plans.down),
        "source": plans.source or record.header.get("source", ""),
    }
    undone = Undone()
    try:
        undone = _undo(what.undoing, what.left)
        _remember(sight, new)
        outcome = _append(sight, new, means)
        outcome = settled(record, outcome, lambda: {"header": texts, **_did(sight, new)})
    except Exception as error:
        # Whatever it is, and wherever: what was changed is put back.
        outcome = Outcome(result=Result(1, "", str(getattr(error, "message", error))))
    if not outcome.well:
        # Written down or not, it stays interrupted unless all is again as it was.
        with suppress(Exception):
            undone = _put_back(record, what.change, first, sight.means)
    return outcome, undone


def _put_back(record: Journal, change: LiveChange, new: int, means: Means) -> Undone:
    """Undo the new steps, those from that number on, and run again what was undone for them."""
    steps = plan_of(record, "up").steps
    old = [steps[number] for number in change.gone if number in record.dropped]
    sight = Sight.of(record, means, (*steps, *old))
    done = predicted(record.before, sight.now, _own_of(sight, steps[new:]))
    record.patch = composed(record.patch or {}, done)
    added = [number for number in record.applied if number >= new]
    going, left = _parted(sight, added)
    undone = _undo(Undoing.of(sight, added, going), left)
    sight.begun = sight.now
    again = _append(sight, old, means)
    if again.well:
        record.write(**_did(sight, old))
    return undone


def _parted(sight: Sight, numbers: Collection[int]) -> tuple[Patch, Patch]:
    """Give what steps that go have done to things of others, and what those that stay have."""
    done = sight.journal.patch
    if done is None:
        done = done_by(sight.journal, sight.now, sight.scope)
    applied, known = sight.journal.applied, sight.known
    going = scope_of([sight.steps[one] for one in sorted(numbers)], known)
    staying = scope_of([sight.steps[one] for one in sorted(applied - set(numbers))], known)
    gone: Patch = {}
    left: Patch = {}
    for fact, (was, mine) in done.items():
        value = mine if was is None else was
        if fact.key == "rules" and fact.ref in going.named:
            without = without_own(was or [], mine or [], going.named[fact.ref])
            gone[fact] = without, mine
            left |= {} if same(was, without) else {fact: (was, without)}
        elif going.concerns(fact, value) and not staying.concerns(fact, value):
            gone[fact] = was, mine
        else:
            left[fact] = was, mine
    return gone, left


def _undo(what: Undoing, left: Patch) -> Undone:
    """Undo some steps of the lab as far as they are still its own, and take them out of it."""
    sight, record = what.sight, what.sight.journal
    hand_over(what.handed)
    begun, taken = sight.now, take_back(what)
    # What a step that failed has not done cannot be undone either.
    taken = taken._replace(failed=tuple(one for one in taken.failed if one.step in record.done))
    left = left | taken.missed(sight.now)
    steps = [sight.steps[number] for number in sorted(what.numbers)]
    ending = Ending(sight, steps, taken, begun, what.beside, what.handed.stays)
    undone = Undone(ending.left, notes=ending.pinned)
    # What is still there stays the lab's, so that its next undo tries again.
    there = _still_there(sight, what.numbers)
    numbers = [number for number in what.numbers if number not in there]
    # With the identities of what they made: the next of the same name is another one.
    gone = (sight.steps[number] for number in numbers)
    names = (f"{ref.kind} {ref.name}" for step in gone for ref in marked(step))
    made: dict[str, list[Any]] = {name: [] for name in names if name in record.made}
    record.write(dropped=numbers, made=made, patch=rows(left), aim=[])
    for other in what.beside:
        other.journal.close()
    return undone


def _still_there(sight: Sight, numbers: Collection[int]) -> set[int]:
    """Give those of the steps undone whose objects are there all the same, or lean on such."""
    read = {number: sight.steps[number].changes for number in numbers}
    there = {one for one in numbers if any(map(sight.ours, made_by(sight.steps[one])))}
    return leaning(read, there)


def _remember(sight: Sight, new: Sequence[Step]) -> None:
    """Have the journal know how all that the lab touches only from now on was before."""
    record, scope = sight.journal, _own_of(sight, new)
    base: Patch = {}
    for fact in {**record.before, **sight.now}:
        was, is_now = record.before.get(fact), sight.now.get(fact)
        value = is_now if was is None else was
        if not same(was, is_now) and not scope.holds(fact, value) and scope.concerns(fact, value):
            base |= {} if fact in (record.patch or {}) else {fact: (None, is_now)}
    record.write(base=rows(base))
    sight.begun = sight.now


def _own_of(sight: Sight, new: Sequence[Step]) -> Scope:
    """Give what steps name and reach; the lab's own is that of all its steps."""
    scope = scope_of(new, sight.known)
    return replace(scope, own=scope.own | sight.scope.own)


def _did(sight: Sight, steps: Sequence[Step]) -> Record:
    """Give what the lab has done so far to what is not its own, with these steps."""
    before = sight.begun
    did = patch(before, sight.look(), _own_of(sight, steps))
    return {"up": True, "patch": rows(composed(sight.journal.patch or {}, did))}


def _append(sight: Sight, steps: Sequence[Step], means: Means) -> Outcome:
    # They are at the end of the journal's plan from now on, so that they have numbers there.
    record, first = sight.journal, len(sight.steps) - len(steps)
    record.write(header={"up": to_text(Plan(record.lab, "", "up", tuple(sight.steps)))})

    def note(**written: Any) -> None:
        for key in {"start", "end", "over"} & written.keys():
            written[key] = [first + number for number in written[key]]
        record.write(**written)

    means.watch.expect(len(steps))
    return run_steps(steps, note, means)


def why_not(change: LiveChange, outcome: Outcome) -> str:
    """Say which new step failed, and how."""
    said = outcome.result.stderr.strip() if outcome.result else ""
    return said if outcome.failed is None else f"{change.new[outcome.failed].text}\n  {said}"
