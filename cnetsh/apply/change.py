"""Changing a lab that is up into another plan: only what differs is undone and run.

What the new plan lacks is undone first, with all that goes along; then what is new is run. When a
new step fails, the new ones are undone and the old ones run again, so that the lab is what it was.
"""

import os
import shlex
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from cnetsh import kinds
from cnetsh.apply.ending import Undone
from cnetsh.apply.journal import Header, Journal, Record, plan_of, rows
from cnetsh.apply.rollback import take_back
from cnetsh.apply.run import Means, Outcome, marked
from cnetsh.apply.sharing import hand_over, tell_values
from cnetsh.apply.sight import Sight, done_by, refuse_others
from cnetsh.apply.undoing import Undoing
from cnetsh.apply.units import run_steps
from cnetsh.compare.drift import drift_from
from cnetsh.compare.plans import LiveChange, between, leaning
from cnetsh.compare.revert import (
    composed,
    inherited,
    is_a_ports,
    patch,
    predicted,
    same,
    without_own,
)
from cnetsh.compare.scope import Scope, scope_of
from cnetsh.compare.snapshot import refuse_unread
from cnetsh.errors import CnetshError
from cnetsh.kinds.change import Fact, Make, Patch
from cnetsh.plan.steps import Plan, Plans, Step, made_by, to_text
from cnetsh.system.process import Result, never


@dataclass(frozen=True, slots=True)
class Changing:
    """A change of a lab that is up, worked out before anything is touched."""

    plans: Plans
    change: LiveChange
    undoing: Undoing
    left: Patch  # of what the steps that stay have done to others'

    @classmethod
    def of(cls, record: Journal, plans: Plans, means: Means) -> "Changing | None":
        """Work out a change, None where nothing differs. Raises CnetshError where it cannot be."""
        steps = plan_of(record, "up").steps
        anew = means.anew(record.lab)
        change = between(record.in_force(steps), plans.up, anew)
        if not change:
            return None
        # What is undone is undone to its end, whatever signal comes; then nothing new begins.
        sight = Sight.of(record, replace(means, stopping=never), (*steps, *change.new))
        refuse_unread((one.ref for step in sight.steps for one in step.changes), sight.state)
        refuse_others(record, sight.names, change.new, anew)
        going, left = _parted(sight, change.gone)
        found = Undoing.of(sight, change.gone, going)
        for line in (line for some in found.blocked.values() for line in some):
            advice = f"{means.where.shell} {shlex.quote(line.advice)}" if line.advice else ""
            raise CnetshError(f"{record.lab} is not changed: {line.text}", advice)
        return cls(plans, change, found, left)

    @property
    def record(self) -> Journal:
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
    source = plans.source or record.header.get("source", "")
    texts = Header(title=plans.up.title, source=source, check=to_text(plans.check),
                   down=to_text(plans.down))  # fmt: skip
    undone = Undone()
    try:
        undone = _undo(what.undoing, what.left)
        _remember(sight, new)
        outcome = _append(sight, new, means)
        if outcome.well:
            record.write(header=texts, **_did(sight, new))
    except Exception as error:
        # Whatever it is, and wherever: what was changed is put back.
        outcome = Outcome(result=Result(1, "", str(getattr(error, "message", error))))
    if not outcome.well:
        # Written down or not, it stays interrupted unless all is again as it was.
        with suppress(Exception):
            undone = _put_back(sight, what.change, first)
    return outcome, undone


def _put_back(failed: Sight, change: LiveChange, new: int) -> Undone:
    """Undo the new steps, those from that number on, and run again what was undone for them."""
    record, means, begun = failed.journal, failed.means, failed.begun
    steps = plan_of(record, "up").steps
    if rest := sorted(record.applied & set(change.gone)):
        # What went was cut short: first to its end, so that all of it runs again.
        _take_out(Sight.of(record, means, steps), rest)
    old = [steps[number] for number in change.gone if number in record.dropped]
    sight = Sight.of(record, means, (*steps, *old))
    added = sorted(number for number in record.applied if number >= new)
    # What had gone before they began, or is within reach of none that ran, they have not taken.
    done = predicted(begun, sight.now, _own_of(sight, [steps[number] for number in added]))
    record.patch = composed(record.patch or {}, done)
    undone = _take_out(sight, added)
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


def _take_out(sight: Sight, numbers: Collection[int]) -> Undone:
    """Undo steps of the lab as it is now, and take them out of it."""
    going, left = _parted(sight, numbers)
    return _undo(Undoing.of(sight, numbers, going), left)


def _undo(what: Undoing, left: Patch) -> Undone:
    """Undo some steps of the lab as far as they are still its own, and take them out of it."""
    sight, record = what.sight, what.sight.journal
    hand_over(what.handed)
    ending = take_back(what)
    # What a step that failed has not done cannot be undone either, nor what is gone already.
    failed = [one for one in ending.failed if one.step in record.done]
    lost = _lost(sight, {one.step for one in failed if one.step is not None})
    ending = replace(ending, failed=[one for one in failed if one.step not in lost])
    left = left | ending.missed
    undone = Undone(ending.left, notes=ending.pinned)
    # What is still there stays the lab's, so that its next undo tries again.
    read = {number: sight.steps[number].changes for number in what.numbers}
    seen = {one for one in read if any(map(sight.ours, made_by(sight.steps[one])))}
    there = leaning(read, seen)
    numbers = [number for number in what.numbers if number not in there]
    # With the identities of what they made: the next of the same name is another one.
    gone = (sight.steps[number] for number in numbers)
    names = (f"{ref.kind} {ref.name}" for step in gone for ref in marked(step))
    made: dict[str, list[Any]] = {name: [] for name in names if name in record.made}
    record.write(dropped=numbers, made=made, patch=rows(left), aim=[])
    for other in what.beside:
        other.journal.close()
    return undone


def _lost(sight: Sight, numbers: Collection[int]) -> set[int]:
    """Give those of some steps of which a namespace that the lab keeps has nothing any more."""
    only = {number: sight.steps[number] for number in numbers
            if all(isinstance(one, Make) for one in sight.steps[number].changes)}  # fmt: skip
    found = drift_from(only, sight.state, sight.journal.made, sight.means.ask)[0] if only else ()
    return {one.number for one in found if not one.key}


def _remember(sight: Sight, new: Sequence[Step]) -> None:
    """Have the journal know how all that the lab touches only from now on was before."""
    record, scope = sight.journal, _own_of(sight, new)
    done = record.patch or {}
    base: Patch = {}
    for fact in {**record.before, **sight.now}:
        was, is_now = record.before.get(fact), sight.now.get(fact)
        value = is_now if was is None else was
        if same(was, is_now) or fact in done or scope.holds(fact, value):
            continue
        # What a port is in a bridge goes with its being there, which is the lab's doing already.
        link = kinds.link_of(fact, value) if is_a_ports(fact, value) else None
        is_moved = link is not None and Fact(link, "master") in done
        if scope.concerns(fact, value) and not is_moved:
            base[fact] = None, is_now
    record.write(base=rows(base))
    sight.begun = sight.now


def _own_of(sight: Sight, new: Sequence[Step]) -> Scope:
    """Give what steps name and reach; the lab's own is that of all its steps."""
    scope = scope_of(new, sight.known)
    return replace(scope, own=scope.own | sight.scope.own)


def _did(sight: Sight, steps: Sequence[Step]) -> Record:
    """Give what the lab has done so far to what is not its own, with these steps.

    The other labs are told first: after a crash this one is still known to be interrupted.
    """
    record, before, scope = sight.journal, sight.begun, _own_of(sight, steps)
    first, now = inherited(record.patch or {}, record.before, before), sight.look()
    # What the lab has cost before may have come with these steps, as another thing.
    again: Patch = {fact: (None, now[fact]) for fact, (_, mine) in first.items()
                    if mine is None and before.get(fact) is None and fact in now
                    and scope.takes_along(fact, now[fact])}  # fmt: skip
    done = composed(first, again | patch(before, now, scope))
    tell_values(record, done)
    return {"up": True, "patch": rows(done)}


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
