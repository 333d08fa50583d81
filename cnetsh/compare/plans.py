"""How two plans differ: what makes a lab of the one into a lab of the other.

What the new plan lacks goes, with all that goes along; then comes what is new.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile

from cnetsh.compare.preview import as_lines
from cnetsh.compare.scope import leans_on
from cnetsh.errors import CnetshError
from cnetsh.kinds import port
from cnetsh.kinds.change import (
    OWNED,
    Change,
    Changes,
    Make,
    Move,
    Ref,
    Set,
    namespace_ref,
    refs_of,
)
from cnetsh.plan.lines import Line, mark_of, numbered
from cnetsh.plan.steps import CHANGING, Plan, Plans, Step, as_step
from cnetsh.plan.undo import Undo, down_order, undos

# The changes of a lab's steps by their numbers in its journal.
Read = Mapping[int, Changes]


@dataclass(frozen=True, slots=True)
class LiveChange:
    """How two plans differ: the steps to undo, by their number in the journal, and those to run."""

    gone: tuple[int, ...]
    new: tuple[Step, ...]

    def __bool__(self) -> bool:
        return bool(self.gone or self.new)


def between(old: Mapping[int, Step], plan: Plan, anew: str = "") -> LiveChange:
    """Give what makes a lab, of these steps by their numbers, into the lab of a plan.

    Raises CnetshError where that is not known; anew: what can be done then.
    """
    _refuse_trusted(old.values(), plan, anew)
    read = {number: step.changes for number, step in old.items()}
    numbers = list(old)
    lacking = {numbers[at] for at in _surplus(list(old.values()), plan.steps)}
    lacking |= _out_of_order(old, read, lacking, plan.steps)
    gone = _with_what_goes_along(read, lacking)
    gone |= _lost_routes(old, read, gone) | _lost_options(read, gone)
    # Once more: what goes along may have been the first of several that have an order.
    gone |= _out_of_order(old, read, gone, plan.steps)
    there = [old[number] for number in numbers if number not in gone]
    new = tuple(plan.steps[at] for at in _surplus(plan.steps, there))
    return LiveChange(tuple(sorted(gone)), new)


def _refuse_trusted(old: Collection[Step], plan: Plan, anew: str) -> None:
    same = [step.text for step in old] == [step.text for step in plan.steps]
    if not same and any(step.kind == "trusted" for step in (*old, *plan.steps)):
        why = "a step is taken on trust, so what goes with what is not known"
        raise CnetshError(f"how {plan.lab} changes cannot be told: {why}", anew)


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
            if any(ref in away for change in changes for ref in leans_on(change))
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


def _lost_options(read: Read, gone: Collection[int]) -> set[int]:
    """Give what ports are that leave their bridge: in another one they begin anew."""
    left = {change.ref for number in gone for change in read[number]
            if isinstance(change, Set) and change.key == "master"}  # fmt: skip
    return {
        number
        for number, changes in read.items()
        for change in changes
        if isinstance(change, Set) and change.ref in left and change.key in port.OPTIONS
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
