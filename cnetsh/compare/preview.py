"""What each step of a plan would find on a live target, and what a plan takes for granted of it."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from cnetsh.compare.scope import Made, is_own, links_of, outside
from cnetsh.errors import CnetshError
from cnetsh.kinds import called
from cnetsh.kinds.change import (
    MARKED,
    NOTHING,
    OWNED,
    Change,
    Changes,
    Facts,
    Make,
    Move,
    Ref,
    Set,
    State,
    holders,
    matches,
    refs_of,
)
from cnetsh.plan.lines import Line, mark_of
from cnetsh.plan.steps import Plan, Step

NOT_UP = "not up"
# Of these a name is taken, or free.
_NAMED = OWNED & MARKED
_NO_COUNT = OWNED | MARKED


class Findings(NamedTuple):
    """What a step would find: a verdict, and by fact what it takes for granted there."""

    verdict: str
    was: Mapping[str, str]


def preview(steps: Sequence[Step], now: State, made: Made = NOTHING) -> list[Findings]:
    """Give for each step: create, change, look, already there, in the way, depends on step N."""
    seen = _Preview(now, made)
    return [seen.find(number, step, step.changes) for number, step in enumerate(steps)]


def as_lines(steps: Sequence[Step], now: State, made: Made = NOTHING) -> tuple[Line, ...]:
    """Give steps that are to run as the lines of a preview, each with what it would find."""
    found = preview(steps, now, made)
    return tuple(Line(_mark(step, one.verdict), step, one.verdict)
                 for step, one in zip(steps, found, strict=True))  # fmt: skip


def _mark(step: Step, verdict: str) -> str:
    if verdict.startswith("depends"):
        # Whatever it does is done to what this plan makes.
        return "+"
    # What no kind knows may do anything.
    mark = "~" if step.kind == "trusted" else mark_of(step.changes)
    # A value that is so already: to set it again changes nothing.
    return "" if verdict == "already there" and mark == "~" else mark


@dataclass(slots=True)
class _Preview:
    now: State
    made: Made
    owner: dict[Ref, int] = field(default_factory=dict)

    def find(self, number: int, step: Step, changes: Changes) -> Findings:
        """Give what a step would find, and remember what it makes for those after it."""
        # Before the step's own objects are known: it does not depend on itself.
        held = (ref for change in changes for ref in holders(change))
        home = next((self.owner[ref] for ref in held if ref in self.owner), None)
        # What is inside a namespace is no business of the target's own.
        here = () if step.netns else changes
        was = {fact: value for one in here for fact, value in self._was(one, step)}
        for change in changes:
            if isinstance(change, Make):
                self.owner |= dict.fromkeys(refs_of(change), number)
            elif isinstance(change, Move) and change.ref in self.owner:
                self.owner[change.to] = self.owner[change.ref]
        return Findings(self._verdict(step, changes, home), was)

    def _verdict(self, step: Step, changes: Changes, home: int | None) -> str:
        made = [ref for one in changes for ref in _named(one)]
        if any(taken(ref, self.now, self.made) for ref in made):
            return "in the way"
        if any(ref in self.now for ref in made):
            return "already there"
        if home is not None:
            return f"depends on step {home + 1}"
        if changes and all(map(self._times, changes)):
            return "already there"
        creates = any(isinstance(one, Make) and one.ref.kind in MARKED for one in changes)
        return "create" if creates else step.kind

    def _times(self, change: Change) -> int:
        """Give how often there is already what a change makes or sets."""
        there = self.now.get(change.ref, ()) if isinstance(change, Make | Set) else ()
        return sum(matches(_typed(change), facts) for facts in there)

    def _was(self, change: Change, step: Step) -> Iterator[tuple[str, str]]:
        for ref in _named(change):
            if not ref.netns:
                yield f"{ref.kind} {ref.name}", "there" if ref in self.now else "absent"
        for ref in links_of(change):
            if ref not in self.owner:
                yield f"link {ref.name}", self._link(ref)
        kind, netns, name = change.ref
        if netns or kind in _NO_COUNT or any(ref in self.owner for ref in holders(change)):
            return
        if kind == "setting":
            yield f"setting {name}", self.now.get(change.ref, [{"value": "absent"}])[0]["value"]
        elif isinstance(change, Make):
            yield f"{kind} {step.text}", f"{self._times(change)} times"

    def _link(self, ref: Ref) -> str:
        keys = ("kind", "up", "master", "mtu")
        there = self.now.get(ref)
        return json.dumps({key: there[0].get(key) for key in keys}) if there else "absent"


def _typed(change: Change) -> Facts:
    return {change.key: change.value} if isinstance(change, Set) else getattr(change, "facts", {})


def _named(change: Change) -> tuple[Ref, ...]:
    """Give the objects that a change makes of those whose name only one can have."""
    named = isinstance(change, Make) and change.ref.kind in _NAMED
    return refs_of(change) if named else ()


def taken(ref: Ref, now: State, made: Made = NOTHING) -> str:
    """Give what has the name of an object to be made and is not the lab's own, "" for nothing."""
    if ref.kind not in _NAMED or ref not in now or is_own(ref, now[ref][0], made):
        return ""
    facts = now[ref][0]
    if ref.kind == "link":
        return f"{facts['kind'] or 'link'} {ref.name}"
    return called(ref) + ("" if facts["mark"] else " (a file that is no namespace)")


def refuse_taken(plan: Plan, now: State, made: Made = NOTHING) -> None:
    """Raise CnetshError, before anything runs, when names that the plan makes are taken."""
    refs = [ref for one in outside(plan.steps) for ref in _named(one)]
    others = {text for ref in refs if (text := taken(ref, now, made))}
    names = {other: ref.name for ref, (facts, *_) in now.items() if ref.kind == "link"
             for other in facts["names"]}  # fmt: skip
    others |= {f"{ref.name}, another name of {names[ref.name]}," for ref in refs
               if ref.kind == "link" and not ref.netns and ref.name in names}  # fmt: skip
    if others:
        raise CnetshError(
            f"{plan.lab} cannot come up: {', '.join(sorted(others))} is in the way and is not "
            "this lab's",
            "another name: in the lab file, or for a built-in lab with --set; or remove it",
        )


def relied_on(plan: Plan, now: State, standing: str = NOT_UP) -> dict[str, str]:
    """Give what a plan takes for granted of its target, by fact; standing: `journal.standing`."""
    found = preview(plan.steps, now)
    known = {fact: value for one in found for fact, value in one.was.items()}
    return {f"lab {plan.lab}": standing, **known, "routes": _routes(now)}


def _routes(now: State) -> str:
    """Give the routes that decide where packets go; those of table local follow the addresses."""
    shown = (
        f"{ref.name} {facts.get('via', '')} {facts.get('dev', '')}"
        for ref, several in now.items()
        for facts in several
        if ref.kind == "route" and facts["table"] == "main"
    )
    return "; ".join(sorted(text for text in shown if not text.startswith(("fe80:", "ff00:"))))


def refuse_changed(
    saved: Mapping[str, str], plan: Plan, now: State, standing: str = NOT_UP
) -> None:
    """Raise CnetshError, with the changes, where a fact that a saved plan relied on is another."""
    facts = relied_on(plan, now, standing) if saved else {}
    # Plans of the version before also say what is not asked any more, and settings with their tabs.
    lines = [
        f"{fact}: was {value}, is {facts[fact]}"
        for fact, value in saved.items()
        if fact in facts and facts[fact].split() != value.split()
    ]
    if lines:
        raise CnetshError(
            "the target is not as it was when the plan was saved:\n  " + "\n  ".join(lines),
            "look at the plan again, and save it anew",
        )
