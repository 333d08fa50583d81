"""What of a target is a lab's own, what of others' its steps name, and how far they reach."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from cnetsh import kinds
from cnetsh.compare.kernel import with_uppers
from cnetsh.kinds import mtu, setting
from cnetsh.kinds.change import (
    OWNED,
    Change,
    Fact,
    Facts,
    Make,
    Move,
    Reach,
    Ref,
    Remove,
    Set,
    State,
    holders,
    matches,
    namespace_ref,
    refs_of,
)
from cnetsh.plan.steps import Step

# The identities of what a lab made, by "kind name": what no other object ever gets.
Made: TypeAlias = Mapping[str, Sequence[Any]]


@dataclass(frozen=True, slots=True)
class Scope:
    """own: the objects made; named: the changes by object; reach: what they take along besides."""

    own: frozenset[Ref]
    named: Mapping[Ref, Sequence[Change]]
    reach: frozenset[Reach]

    def holds(self, fact: Fact, value: Any) -> bool:
        """Say whether a fact is of an object of the lab's own, or goes with one."""
        ref, home = fact.ref, kinds.holder(fact, value)
        inside = bool(ref.netns) and namespace_ref(ref.netns) in self.own
        return inside or ref in self.own or home in self.own

    def names(self, fact: Fact, value: Any) -> bool:
        """Say whether a step names a fact, which has, or had, this value."""
        return any(is_named_by(change, fact, value) for change in self.named.get(fact.ref, ()))

    def takes_along(self, fact: Fact, value: Any) -> bool:
        """Say whether a fact may have changed with what the steps name."""
        return not self.reach.isdisjoint(kinds.places(fact, value))

    def concerns(self, fact: Fact, value: Any) -> bool:
        """Say whether the steps name a fact, or may have changed it along with what they name."""
        return self.names(fact, value) or self.takes_along(fact, value)


def is_named_by(change: Change, fact: Fact, value: Any) -> bool:
    """Say whether a change names a fact, which has, or had, this value."""
    if _fact_home(change) != fact.ref:
        return False
    match change:
        case Set(_, key):
            return fact.key == key
        case Make(ref, facts) | Remove(ref, facts):
            if isinstance(value, dict):
                return matches(facts, value)
            return fact.key == ("rules" if ref.kind == "rule" else "")
    return False


NOWHERE = Scope(frozenset(), {}, frozenset())


def scope_of(steps: Iterable[Step], before: State) -> Scope:
    """Give what steps make, name and reach; before: the target as they found it."""
    own: set[Ref] = set()
    named: dict[Ref, list[Change]] = {}
    reach: set[Reach] = set()
    for change in outside(steps):
        if isinstance(change, Make) and change.ref.kind in OWNED:
            own.update(refs_of(change))
        elif isinstance(change, Move):
            own.update({change.to} if change.ref in own else ())
        elif change.ref in own or getattr(change, "on", None) in own:
            # A port of the lab's may cost a bridge of others the address made by its MAC.
            if isinstance(change, Set) and change.key == "master":
                reach.update(one for one in kinds.reach(change, before)
                             if Ref("link", *one[1:]) not in own)  # fmt: skip
        else:
            named.setdefault(_fact_home(change), []).append(change)
            reach.update(kinds.reach(change, before))
    return Scope(frozenset(own), named, frozenset(reach))


def outside(steps: Iterable[Step]) -> Iterator[Change]:
    """Give the changes of those steps that are not inside a namespace which the steps make.

    Half of a large lab is inside: that goes with its namespace, and need not be read.
    """
    homes: set[str] = set()
    for step in steps:
        if step.netns in homes:
            continue
        changes = step.changes
        homes.update(one.ref.name for one in changes
                     if isinstance(one, Make) and one.ref.kind == "netns")  # fmt: skip
        yield from changes


def _fact_home(change: Change) -> Ref:
    """Give the object whose facts a change names: of a rule that is its chain."""
    on = change.on if isinstance(change, Make) else None
    return on if on and change.ref.kind == "rule" else change.ref


def leans_on(change: Change) -> Iterator[Ref]:
    """Give what takes a change along when it goes, and the link that it speaks of."""
    yield from holders(change)
    link = None
    if isinstance(change, Move) and change.to.netns:
        yield namespace_ref(change.to.netns)
    elif isinstance(change, Set) and change.key == "master":
        link = change.value
    elif isinstance(change, Make | Remove):
        link = change.facts.get("dev")
    if link:
        yield Ref("link", change.ref.netns, link)


def links_of(change: Change) -> set[Ref]:
    """Give the links of the target's own namespace that a change hangs on, or speaks of."""
    return {ref for ref in leans_on(change) if ref.kind == "link" and not ref.netns}


def written(steps: Iterable[Step]) -> set[str]:
    """Give the settings of the target's own namespace that steps write or set besides."""
    paths: set[str] = set()
    resized: set[str] = set()
    for change in outside(steps):
        if change.ref.kind == "setting" and not change.ref.netns:
            paths.add(change.ref.name)
        paths.update(setting.reached(change))
        resized.add(mtu.resized(change))
    resized.discard("")
    return paths.union(setting.of_six([*with_uppers(resized), "default"] if resized else ()))


def is_own(ref: Ref, facts: Facts, made: Made) -> bool:
    """Say whether an object that is there is the one that a lab made, by its identity.

    made: identities by kind and name, as the journal has them. A namespace without a mark is what
    is left of ours: a file that nobody can use.
    """
    known, mark = made.get(f"{ref.kind} {ref.name}"), facts.get("mark")
    if known is None or mark is None:
        return known is not None
    if ref.kind == "netns":
        return not mark or known[0] == mark
    # The version before has written down of a link its MAC address, of a folder just the inode.
    return all(one == other for one, other in zip(known, mark, strict=False)
               if isinstance(one, int))  # fmt: skip


def without_links(state: State, names: Collection[str]) -> State:
    """Give a state of the target's own namespace without some links and what goes with them."""
    left = {ref: some for ref, some in state.items() if ref.kind != "link" or ref.name not in names}
    # A vxlan goes with what it is on, too, but is a thing of its own.
    kept = {ref: [one for one in some if ref.kind == "link" or one.get("dev") not in names]
            for ref, some in left.items()}  # fmt: skip
    return {ref: some for ref, some in kept.items() if some}
