"""Changing a lab that is up into another plan: only what differs is undone and run.

What the new plan lacks is undone first, then what is new is run. When a new step fails, the new
ones are undone and the old ones run again, so that the lab is what it was.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from cnetsh import rollback
from cnetsh.execute import Means, Outcome
from cnetsh.journal import Journal
from cnetsh.lifecycle import run_steps
from cnetsh.plan import Plan, Plans, Step, to_text
from cnetsh.undo import Undo, undos

_NUMBERS = {"start", "end", "over"}


@dataclass(frozen=True, slots=True)
class Change:
    """How two plans differ: the steps to undo, by their number in the journal, and those to run."""

    gone: tuple[int, ...]
    new: tuple[Step, ...]
    undo: tuple[Undo, ...]

    def __bool__(self) -> bool:
        return bool(self.gone or self.new)


def between(record: Journal, plan: Plan) -> Change:
    """Give what makes the lab of a journal into the lab of a plan."""
    old = rollback.plan_of(record, "up").steps
    numbers = sorted(record.applied)
    kept, gone = _split(old, numbers, plan.steps)
    lost = _lost_routes(old, kept, gone)
    gone = sorted([*gone, *lost])
    there = Counter(old[number].text for number in numbers if number not in set(gone))
    undo = [one for one in undos(old, gone) if one.texts]
    ordered = tuple(sorted(undo, key=lambda one: -one.step))
    return Change(tuple(gone), tuple(_surplus(plan.steps, there)), ordered)


def _split(
    old: Sequence[Step], numbers: Sequence[int], steps: Sequence[Step]
) -> tuple[list[int], list[int]]:
    """Give the numbers of the old steps that the new plan has too, and of those that it lacks."""
    wanted = Counter(step.text for step in steps if step.kind == "change")
    kept, gone = [], []
    for number in numbers:
        if old[number].kind != "change" or wanted[old[number].text]:
            wanted[old[number].text] -= 1
            kept.append(number)
        else:
            gone.append(number)
    return kept, gone


def _lost_routes(old: Sequence[Step], kept: Sequence[int], gone: Sequence[int]) -> list[int]:
    """Give the routes that go with an address or a link of theirs, and must be added anew."""
    places = {old[number].netns for number in gone if old[number].inner[1] in ("address", "link")}
    return [
        n for n in kept if old[n].netns in places and old[n].inner[:3] == ("ip", "route", "add")
    ]


def _surplus(steps: Sequence[Step], there: Counter[str]) -> list[Step]:
    new = []
    for step in steps:
        if there[step.text]:
            there[step.text] -= 1
        elif step.kind == "change":
            new.append(step)
    return new


def lines(change: Change) -> list[str]:
    """Give the change as the lines that people compare: - what is undone, + what is run."""
    undone = [f"- {text}" for one in change.undo for text in one.texts]
    return undone + [f"+ {step.text}" for step in change.new]


def apply(record: Journal, plans: Plans, change: Change, means: Means) -> Outcome:
    """Make the change; when a step of it fails, put the lab back to what it was.

    The journal's plan grows by the new steps, and the lab counts as interrupted until the end: a
    crash at any point leaves a journal by which `recover` undoes all of it.
    """
    old = rollback.plan_of(record, "up")
    record.write(up=False)
    rollback.run_undos(rollback.still_needed(change.undo, record, means), record, means)
    rollback.wait_until_gone([old.steps[number] for number in change.gone], record, means)
    _drop(record, old.steps, change.gone)
    outcome = _append(record, change.new, means)
    if outcome.failed is None and not outcome.signal:
        texts = {part.part: to_text(part) for part in (plans.check, plans.down)}
        record.write(header={"title": plans.up.title, **texts}, up=True)
        return outcome
    patient = replace(means, stopping=lambda: 0)
    _undo_new(record, len(old.steps), patient)
    _append(record, [old.steps[number] for number in change.gone], patient)
    record.write(up=True)
    return outcome


def _append(record: Journal, steps: Sequence[Step], means: Means) -> Outcome:
    """Add steps to the end of the journal's plan and run them."""
    so_far = rollback.plan_of(record, "up")
    longer = Plan(so_far.lab, so_far.title, "up", (*so_far.steps, *steps))
    record.write(header={"up": to_text(longer)})

    def note(**written: Any) -> None:
        moved = {
            key: [n + len(so_far.steps) for n in written[key]] for key in _NUMBERS & written.keys()
        }
        record.write(**(written | moved))

    return run_steps(steps, note, means)


def _drop(record: Journal, steps: Sequence[Step], numbers: Sequence[int]) -> None:
    """Take steps out of the lab, with the identities of what they made."""
    refs = [ref for number in numbers for ref in steps[number].effect.makes]
    made: dict[str, list[Any]] = {
        key: [] for ref in refs if (key := f"{ref.kind} {ref.name}") in record.made
    }
    record.write(dropped=list(numbers), made=made)


def _undo_new(record: Journal, first: int, means: Means) -> None:
    """Undo the steps from the first new one on, as far as they came."""
    steps = rollback.plan_of(record, "up").steps
    came = [number for number in record.applied if number >= first]
    todo = [one for one in reversed(undos(steps, came)) if one.texts]
    rollback.run_undos(rollback.still_needed(todo, record, means), record, means)
    rollback.wait_until_gone([steps[number] for number in came], record, means)
    _drop(record, steps, came)


def reason(change: Change, outcome: Outcome) -> str:
    """Say which new step failed, and how."""
    if outcome.failed is None or outcome.result is None:
        return ""
    return f"{change.new[outcome.failed].text}\n  {outcome.result.stderr.strip()}"
