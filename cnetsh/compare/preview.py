"""What each step of a plan would find on a live target, before anything runs."""

from collections.abc import Mapping, Sequence
from typing import Any

from cnetsh.compare.needed import Seen, count_of, needed
from cnetsh.compare.snapshot import Snapshot
from cnetsh.inverse import Ref, setting
from cnetsh.plan.steps import Step
from cnetsh.plan.undo import Undo


def marks(steps: Sequence[Step], now: Snapshot, made: Mapping[str, Sequence[Any]]) -> list[str]:
    """Give for each step: create, change, look, already there, in the way, depends on step N.

    made: the identities of what the lab itself made when it is up, so that its own things are
    already there and not in the way.
    """
    owner: dict[Ref, int] = {}
    found = []
    for number, step in enumerate(steps):
        found.append(_mark(step, now, made, owner))
        does = step.effect
        owner |= {ref: number for ref in does.makes}
        if does.moves and does.on in owner:
            owner[does.moves] = owner[does.on]
    return found


def _mark(
    step: Step, now: Snapshot, made: Mapping[str, Sequence[Any]], owner: Mapping[Ref, int]
) -> str:
    does = step.effect
    if does.kind != "change":
        return does.kind
    for ref in does.makes:
        if taken := _taken(ref, now, made):
            return taken
    home = (
        owner.get(Ref("netns", "", step.netns))
        if step.netns
        else owner.get(does.on or Ref("", "", ""))
    )
    if home is not None:
        return f"depends on step {home + 1}"
    if does.makes:
        return "create"
    return "already there" if _done(step, now) else "change"


def _taken(ref: Ref, now: Snapshot, made: Mapping[str, Sequence[Any]]) -> str:
    known = made.get(f"{ref.kind} {ref.name}", [None])[0]
    mark = now.mark(ref.kind, ref.name)
    if ref.netns or mark is None:
        return ""
    return "already there" if known == mark else "in the way"


def _done(step: Step, now: Snapshot) -> bool:
    """Say whether a change of something that is not the plan's own is there already."""
    inner = step.words
    if path := setting(inner):
        return now.settings.get(path, "").split() == step.stdin.split()
    if inner[0].endswith("tables") and ("-A" in inner or "-I" in inner):
        return count_of(inner, now) > 0
    # With the present for the past, what would need no undo is there already.
    undo = Undo(0, (" ".join(step.effect.undo),) if step.effect.undo else ())
    after = Seen(Snapshot(), now, {})
    return inner[:2] == ("ip", "address") and needed(undo, step, after) is not None
