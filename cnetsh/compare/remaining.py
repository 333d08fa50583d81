"""Which undos have still to run, with which values, by what the kernel said before and says now.

A step that changed nothing has no undo, and one that is undone already has none either: so undoing
twice, or after a crash, ends in the same state. Pure functions over two snapshots.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cnetsh import kinds
from cnetsh.compare.differences import Difference
from cnetsh.compare.snapshot import MARKED, Snapshot, state_of
from cnetsh.errors import CnetshError
from cnetsh.kinds.change import Change, Make, Ref, Remove, Set, State, matches, refs_of
from cnetsh.plan.steps import Step, split
from cnetsh.plan.undo import Undo


@dataclass(frozen=True, slots=True)
class Sight:
    """What is known when undoing starts: before the lab, now, and the identity of what it made."""

    before: Snapshot
    now: Snapshot
    made: Mapping[str, Sequence[Any]]
    states: tuple[State, State] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "states", (state_of(self.before), state_of(self.now)))

    def ours(self, ref: Ref) -> bool:
        """Say whether an object of the target's own namespace is there and is the one we made.

        A namespace without a mark is what is left of ours: a file that nobody can use.
        """
        there, mark = self._there(ref)
        known = self.made.get(f"{ref.kind} {ref.name}")
        return there and (known is None or known[0] == mark or not mark)

    def foreign(self, ref: Ref) -> bool:
        """Say whether another object has taken the name of one that we made."""
        return self._there(ref)[0] and not self.ours(ref)

    def replaced(self, difference: Difference) -> bool:
        """Say whether what differs is such another object."""
        return self.foreign(Ref(difference.kind, "", difference.name))

    def _there(self, ref: Ref) -> tuple[bool, int]:
        mark = self.now.mark(ref.kind, ref.name)
        return mark is not None and self.before.mark(ref.kind, ref.name) != mark, mark or 0


def remaining(undo: Undo, step: Step, sight: Sight) -> Undo | None:
    """Give the undo with the values recorded before, or None when nothing is left to undo."""
    if not undo.texts:
        return None
    if step.said.undo is not None or step.netns:
        return undo
    texts = tuple(text for change in reversed(step.changes) for text in _texts(change, step, sight))
    return undo._replace(texts=texts) if texts else None


def _texts(change: Change, step: Step, sight: Sight) -> Iterator[str]:
    back = _inverse(change, sight)
    for text in kinds.write(back, step.command) if back else ():
        try:
            split(text)
        except CnetshError:
            # A value that cannot be typed so is put back in another way: it differs in the end.
            continue
        yield text


def _inverse(change: Change, sight: Sight) -> Change | None:
    """Give what is still to do to take a change back, by what was there and what is."""
    before, now = sight.states
    if isinstance(change, Make):
        if change.ref.kind in MARKED:
            ours = any(sight.ours(ref) for ref in refs_of(change) if not ref.netns)
            return Remove(change.ref, change.facts) if ours else None
        return _unmade(change, before, now)
    if isinstance(change, Set):
        return _turned_back(change, before, now)
    return None


def _unmade(change: Make, before: State, now: State) -> Change | None:
    had, has = found(change, before), found(change, now)
    if not had and not has and change.ref.kind == "rule":
        # Some rules iptables-save words otherwise than they are typed; iptables -D knows them.
        gained = _in_chain(change.on, now) > _in_chain(change.on, before)
        return Remove(change.ref, change.facts) if gained else None
    if len(has) <= len(had):
        return None
    place = {}
    if had and "at" in has[0]:
        # The same rule was there before ours, so it has to be told by its number.
        # What was inserted is the first of its like, what was appended the last.
        place = {"at": has[0 if change.facts.get("first") else -1]["at"]}
    return Remove(change.ref, {**change.facts, **place})


def _in_chain(chain: Ref | None, state: State) -> int:
    return sum(one.get("on") == chain for ref in state if ref.kind == "rule" for one in state[ref])


def _turned_back(change: Set, before: State, now: State) -> Change | None:
    old, new = before.get(change.ref), now.get(change.ref)
    # Another link of the same name has a state of its own.
    if not old or not new or old[0].get("ifindex") != new[0].get("ifindex"):
        return None
    was = old[0].get(change.key)
    return None if was == new[0].get(change.key) else change._replace(value=was)


def found(change: Make, state: State) -> list[Any]:
    """Give those of the objects in a state that are what a change makes."""
    return [facts for facts in state.get(change.ref, ()) if matches(change.facts, facts)]
