"""Which commands undo which steps: undo follows ownership.

What a plan made is deleted as a whole and takes the steps inside it along: those are covered. What
it changed on something that is not its own is put back. Pure functions; nothing is run here.
"""

import shlex
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from cnetsh.inverse import Ref
from cnetsh.plan.steps import Step


@dataclass(frozen=True, slots=True)
class Undo:
    """How one step is undone.

    step: its index in the plan. texts: the commands as typed; none when nothing has to run.
    covered_by: index of the step whose undo takes this one along. note: why nothing runs.
    """

    step: int
    texts: tuple[str, ...] = ()
    covered_by: int | None = None
    note: str = ""


def undos(steps: Sequence[Step], applied: Iterable[int] | None = None) -> list[Undo]:
    """Give the undo of each step that was applied (of all when not said), in plan order.

    Ownership comes from the applied steps alone: a pair whose end has not been moved yet is not
    taken along by the namespace that it would have gone to.
    """
    numbers = sorted(range(len(steps)) if applied is None else applied)
    owner, covers = _owners(steps, numbers)
    return [_undo(number, steps[number], owner, covers) for number in numbers]


def _owners(
    steps: Sequence[Step], numbers: Collection[int]
) -> tuple[dict[Ref, int], dict[int, int]]:
    """Give the step that made each object, and for a step whose object goes with another's it."""
    owner: dict[Ref, int] = {}
    covers: dict[int, int] = {}
    for number in numbers:
        does = steps[number].effect
        for ref in does.makes:
            owner[ref] = number
        places = [ref for ref in (*does.makes, does.moves) if ref and ref.kind == "link"]
        if does.moves and does.on in owner:
            owner[does.moves] = owner[does.on]
        for ref in places:
            home = owner.get(Ref("netns", "", ref.netns)) if ref.netns else None
            if home is not None and ref in owner:
                covers[owner[ref]] = home
    return owner, covers


def _undo(number: int, step: Step, owner: dict[Ref, int], covers: dict[int, int]) -> Undo:
    does, said = step.effect, step.said
    if does.kind != "change" or step.kind == "look":
        return Undo(number, note="it changes nothing")
    if said.undo is not None:
        return Undo(number, (said.undo,) if said.undo else (), note=said.undo_note)
    home = _home(number, step, owner, covers)
    if home is not None:
        return Undo(number, covered_by=home)
    if does.undo[:1] == ("tee",):
        other = "1" if step.stdin == "0\n" else "0"
        return Undo(number, (_in(step.netns, f"echo {other} | {' '.join(does.undo)}"),))
    commands = [shlex.join(words) for words in (does.first, does.undo) if words]
    texts = tuple(_in(step.netns, text.replace("'!'", "!")) for text in commands)
    return Undo(number, texts, note="" if texts else does.note)


def _in(netns: str, text: str) -> str:
    """Give the command as it is typed outside the namespace."""
    if not netns:
        return text
    if text.startswith("echo "):
        return text.replace("| ", f"| ip netns exec {netns} ")
    return f"ip netns exec {netns} {text}"


def _home(number: int, step: Step, owner: dict[Ref, int], covers: dict[int, int]) -> int | None:
    """Give the step whose undo takes this one along."""
    inside = owner.get(Ref("netns", "", step.netns)) if step.netns else None
    if inside is not None:
        return inside
    if number in covers:
        return covers[number]
    made_by = owner.get(step.effect.on) if step.effect.on else None
    if made_by is None or made_by == number:
        return None
    return covers.get(made_by, made_by)


def down_order(needed: Sequence[Undo], down: Sequence[Step]) -> list[Undo]:
    """Give the undos in the order in which the lab's down template types them.

    What the template does not name comes after, in reverse order of the steps.
    """
    place = {step.text: number for number, step in reversed(list(enumerate(down)))}
    last = len(down)
    return sorted(needed, key=lambda undo: (place.get(undo.texts[-1], last), -undo.step))
