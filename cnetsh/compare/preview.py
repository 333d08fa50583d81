"""What each step of a plan would find on a live target, before anything runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cnetsh.compare.remaining import found
from cnetsh.compare.snapshot import MARKED, Snapshot, state_of
from cnetsh.kinds.change import Change, Changes, Make, Move, Ref, Set, State, holders, refs_of
from cnetsh.plan.steps import Step


def preview(steps: Sequence[Step], now: Snapshot, made: Mapping[str, Sequence[Any]]) -> list[str]:
    """Give for each step: create, change, look, already there, in the way, depends on step N.

    made: the identities of what the lab itself made when it is up, so that its own things are
    already there and not in the way.
    """
    seen = _Preview(now, made, state_of(now))
    return [seen.verdict(number, step, step.changes) for number, step in enumerate(steps)]


@dataclass(slots=True)
class _Preview:
    now: Snapshot
    made: Mapping[str, Sequence[Any]]
    state: State
    owner: dict[Ref, int] = field(default_factory=dict)

    def verdict(self, number: int, step: Step, changes: Changes) -> str:
        """Give what a step would find, and remember what it makes for those after it."""
        # Before the step's own objects are known: it does not depend on itself.
        home = self._home(changes)
        for change in changes:
            if isinstance(change, Make):
                self.owner |= dict.fromkeys(refs_of(change), number)
            elif isinstance(change, Move) and change.ref in self.owner:
                self.owner[change.to] = self.owner[change.ref]
        taken = [text for one in changes if isinstance(one, Make) for text in self._taken(one)]
        if taken:
            return taken[0]
        if home is not None:
            return f"depends on step {home + 1}"
        if changes and all(map(self._there, changes)):
            return "already there"
        creates = any(isinstance(one, Make) and one.ref.kind in MARKED for one in changes)
        return "create" if creates else step.kind

    def _home(self, changes: Changes) -> int | None:
        held = (ref for change in changes for ref in holders(change))
        return next((self.owner[ref] for ref in held if ref in self.owner), None)

    def _taken(self, change: Make) -> list[str]:
        """Say for each object to be made whether it is there, and whose."""
        texts = []
        for ref in refs_of(change):
            mark = None if ref.netns else self.now.mark(ref.kind, ref.name)
            known = self.made.get(f"{ref.kind} {ref.name}", [None])[0]
            if mark is not None:
                texts.append("already there" if known == mark else "in the way")
        return texts

    def _there(self, change: Change) -> bool:
        """Say whether a change of what is not the plan's own has nothing left to do."""
        if isinstance(change, Make):
            return bool(found(change, self.state))
        known = self.state.get(change.ref, [{}])[0]
        return isinstance(change, Set) and change.key in known and known[change.key] == change.value
