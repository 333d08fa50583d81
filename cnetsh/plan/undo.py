"""Which commands undo which steps: undo follows ownership.

What a plan made is deleted as a whole and takes the steps inside it along: those are covered. What
it changed on something that is not its own is put back. Pure functions; nothing is run here.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from cnetsh import kinds
from cnetsh.kinds import port
from cnetsh.kinds.change import Change, Changes, Make, Move, Ref, Set, holders, refs_of
from cnetsh.plan.steps import CHANGING, Plan, Step, as_step, why_no_undo


class Undo(NamedTuple):
    """How one step is undone."""

    step: int  # its index in the plan
    texts: tuple[str, ...] = ()  # the commands as typed; none when nothing has to run
    covered_by: int | None = None  # index of the step whose undo takes this one along
    note: str = ""  # why nothing runs


class _Owners:
    """Who made what, as far as a plan has been read."""

    def __init__(self) -> None:
        self.made: dict[Ref, int] = {}  # the step, at every place that it was moved to
        self.homes: dict[str, int] = {}  # namespaces
        self.joined: dict[Ref, int] = {}  # the step that made each link a port
        # The step whose object takes another's along: a namespace takes a cable with an end in it.
        self.away: dict[int, int] = {}

    def take(self, number: int, changes: Changes) -> None:
        """Take in what a step makes and moves."""
        for change in changes:
            if isinstance(change, Make):
                places: Iterable[Ref] = refs_of(change)
                self.made |= dict.fromkeys(places, number)
                if change.ref.kind == "netns":
                    self.homes[change.ref.name] = number
            elif isinstance(change, Move) and change.ref in self.made:
                places = (change.to,)
                self.made[change.to] = self.made[change.ref]
            else:
                if isinstance(change, Set) and change.key == "master" and change.value is not None:
                    self.joined[change.ref] = number
                continue
            for place in places:
                home = self.homes.get(place.netns)
                if home is not None:
                    self.away[self.made[place]] = home

    def holder(self, number: int, changes: Changes) -> int | None:
        """Give the step that made what a step's first change hangs on."""
        for change in changes:
            # Asked at the step: names are those of its time, links are moved later.
            for ref in holders(change):
                if self.made.get(ref, number) != number:
                    return self.made[ref]
            # What a port is in its bridge goes with its leaving.
            if isinstance(change, Set) and change.key in port.OPTIONS:
                return self.joined.get(change.ref)
        return None


def undos(steps: Sequence[Step], applied: Iterable[int] | None = None) -> list[Undo]:
    """Give the undo of each step that was applied (of all when not said), in plan order.

    Ownership comes from the applied steps alone: a pair whose end has not been moved yet is not
    taken along by the namespace that it would have gone to.
    """
    numbers = sorted(range(len(steps)) if applied is None else applied)
    owners, found = _Owners(), []
    for number in numbers:
        step = steps[number]
        holder = owners.homes.get(step.netns)
        changes: Changes = ()
        # All that is done inside a namespace of the plan's goes with it: half of a large lab.
        if holder is None and (changes := step.changes):
            owners.take(number, changes)
            holder = owners.holder(number, changes)
        found.append((number, changes, holder))
    return [_undo(number, steps[number], changes, _home(number, holder, owners.away))
            for number, changes, holder in found]  # fmt: skip


def _home(number: int, holder: int | None, away: dict[int, int]) -> int | None:
    """Give the step whose undo takes this one along: what goes with another is not deleted."""
    if number in away:
        return away[number]
    return away.get(holder, holder) if holder is not None else None


def _undo(number: int, step: Step, changes: Changes, home: int | None) -> Undo:
    if step.kind not in CHANGING:
        return Undo(number, note="it changes nothing")
    if step.said.undo is not None:
        said = step.said
        return Undo(number, (said.undo,) if said.undo else (), note=said.undo_note)
    if home is not None:
        return Undo(number, covered_by=home)
    # What a command changed last is taken back first.
    texts = tuple(text for change in reversed(changes) for text in _texts(change, step))
    return Undo(number, texts, note="" if texts else why_no_undo(changes[0]))


def _texts(change: Change, step: Step) -> Iterator[str]:
    back = kinds.inverse(change)
    if back:
        yield from kinds.write(back, step.command)


def down_plan(up: Plan, down: Plan) -> Plan:
    """Give the plan of `down`: the template's, or, where it types none, the undos of the steps."""
    if down.steps:
        return down
    found = down_order([one for one in undos(up.steps) if one.texts], ())
    return down._replace(steps=tuple(as_step(text) for one in found for text in one.texts))


def down_order(needed: Sequence[Undo], down: Sequence[Step]) -> list[Undo]:
    """Give the undos in the order of the lab's down template, then the others, the last first."""
    place = {step.text: number for number, step in reversed(list(enumerate(down)))}
    last = len(down)
    return sorted(needed, key=lambda undo: (place.get("".join(undo.texts[-1:]), last), -undo.step))
