"""Whether what a plan made is still there as it was planned: each object missing or changed."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from cnetsh import kinds
from cnetsh.compare.scope import Made, is_own, written
from cnetsh.compare.snapshot import look_inside, refuse_unread, take
from cnetsh.kinds.change import (
    MARKED,
    NOTHING,
    PLACE,
    Change,
    Facts,
    Make,
    Move,
    Ref,
    Set,
    State,
    after,
    matches,
    namespace_ref,
)
from cnetsh.plan.steps import Step
from cnetsh.system.process import Run


class Drifted(NamedTuple):
    """Something that is not as it was planned."""

    ref: Ref
    key: str  # of a value, "" for the object itself
    text: str  # in words
    wanted: Any  # the value
    number: int
    step: Step  # the last one that made or set it


def drift(steps: Mapping[int, Step], made: Made, run: Run) -> tuple[list[Drifted], State]:
    """Give what of a lab is missing or not as planned, and what is there, in its namespaces too."""
    return drift_from(steps, take(run, written(steps.values())), made, run)


def drift_from(
    steps: Mapping[int, Step], now: State, made: Made, run: Run
) -> tuple[list[Drifted], State]:
    """Give the drift where the target's own namespace has been looked at. Raises CnetshError."""
    changes = [(change, number) for number, step in steps.items() for change in step.changes]
    planned = _planned(changes)
    wanted, state = _asked(after(change for change, _ in changes), now, run)
    refuse_unread(wanted, state)
    found = []
    for ref, key, text in missing(wanted, state, made):
        asked = ((ref, text), (ref, key), (ref, ""))
        number = next(planned[one] for one in asked if one in planned)
        if ref.kind != "rule" or _is_missing(steps[number], run):
            value = wanted[ref][0][key] if key else None
            text = f"{text} (planned: {steps[number].text})"
            found.append(Drifted(ref, key, text, value, number, steps[number]))
    return found, state


def _planned(changes: Iterable[tuple[Change, int]]) -> dict[tuple[Ref, str], int]:
    """Give the last step that makes each object, or sets each value."""
    planned: dict[tuple[Ref, str], int] = {}
    for change, number in changes:
        planned |= dict.fromkeys(_keys(change), number)
        # What a step sets something of need not be made by any.
        if isinstance(change, Set):
            planned.setdefault((change.ref, ""), number)
    return planned


def _asked(wanted: State, now: State, run: Run) -> tuple[State, State]:
    """Give what can be asked for of what is wanted, and what there is, also inside namespaces."""
    homes = {ref.netns for ref in wanted if ref.netns}
    entered = {name for name in homes if now.get(namespace_ref(name), [{"mark": 0}])[0]["mark"]}
    asked = {
        ref: facts
        for ref, facts in wanted.items()
        # The folder of all namespaces is nobody's own.
        if (not ref.netns or ref.netns in entered) and ref.kind != "home"
    }
    written = [ref for ref in asked if ref.kind == "setting"]
    # In most namespaces a lab has no rules, and iptables-save would have to be started in each.
    walled = {ref.netns for ref in asked if ref.kind in ("rule", "chain")}
    return asked, now | look_inside(entered, run, written, walled)


def missing(wanted: State, now: State, made: Made = NOTHING) -> Iterator[tuple[Ref, str, str]]:
    """Give what is not there as wanted: the object, the key of a value ("" = all of it), words."""
    for ref, known in wanted.items():
        there = now.get(ref, [])
        marked = ref.kind in MARKED and not ref.netns
        recorded = marked and f"{ref.kind} {ref.name}" in made
        if there and recorded and not (there[0]["mark"] and is_own(ref, there[0], made)):
            yield ref, "", f"{kinds.called(ref)} is another one than the lab made"
        else:
            yield from ((ref, key, text) for key, text in _differs(ref, known, there))


def _keys(change: Change) -> Iterator[tuple[Ref, str]]:
    """Give the objects, and of a value the key, that a step answers for.

    Of several of one name, as two routes to default, also what is said of the one that is missing.
    """
    match change:
        case Make(ref, facts, also):
            yield from ((one, "") for one in (ref, *also))
            yield ref, _gone(ref, facts)
        case Set(ref, key):
            yield ref, key
        case Move(_, to):
            yield to, ""


def _differs(
    ref: Ref, wanted: Sequence[Facts], there: Sequence[Facts]
) -> Iterator[tuple[str, str]]:
    """Give what of an object is not as it is wanted: the key of a value, and the words for it."""
    if there and ref.kind in MARKED | {"setting"}:
        for key, value in wanted[0].items():
            if key not in PLACE and (is_now := there[0].get(key)) != value:
                yield key, _not_as(ref, key, value, is_now)
        return
    if ref.kind == "name_server":
        servers = [[one["server"] for one in some] for some in (wanted, there)]
        if servers[0] != servers[1]:
            yield "", f"{ref.name} is {'changed' if there else 'missing'}"
        return
    left = list(there)
    for one in wanted:
        match = next((other for other in left if matches(one, other)), None)
        if match is None:
            yield "", _gone(ref, one)
        else:
            left.remove(match)


def _gone(ref: Ref, facts: Facts) -> str:
    return f"{kinds.called(ref, facts)} is missing"


def _not_as(ref: Ref, key: str, value: Any, is_now: Any) -> str:
    match key:
        case "up":
            return f"link {ref.name} is not {'up' if value else 'down'}"
        case "master":
            return f"link {ref.name} is not a port of {value or 'nothing'}"
        case "hairpin":
            return f"hairpin of {ref.name} is not {'on' if value else 'off'}"
        case "value":
            return f"{ref.name} is {is_now}"
    return f"{key} of {ref.kind} {ref.name} is {is_now}"


def _is_missing(step: Step, run: Run) -> bool:
    """Ask for a rule: some iptables-save words otherwise than they are typed, -C knows them."""
    inside = ("ip", "netns", "exec", step.netns) if step.netns else ()
    asked = tuple("-C" if word in ("-A", "-I") else word for word in step.inner)
    return bool(run((*inside, *asked)).exit_code)
