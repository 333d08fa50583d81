"""How far a lab reaches: what its steps make or change, and what it shares with other labs.

Two labs may both switch forwarding on, or use the same bridge of the host. Who goes first hands
what it found there over to the others, so that the last one to go puts it back.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from cnetsh.compare.differences import Difference
from cnetsh.compare.snapshot import Snapshot
from cnetsh.kinds import setting
from cnetsh.kinds.change import Change, Make, Remove, Set, refs_of
from cnetsh.plan.steps import Step


@dataclass(frozen=True, slots=True)
class Scope:
    """What steps make or change in the target's own namespace.

    names: of links, namespaces and folders. settings: the paths written. rules: the made ones, and
    the chains.
    """

    names: frozenset[str]
    settings: frozenset[str]
    rules: frozenset[str]


def scope_of(steps: Iterable[Step]) -> Scope:
    """Give what steps make or change, for many questions to `concerns`."""
    changes = [change for step in steps if not step.netns for change in step.changes]
    made = [change.ref for change in changes if isinstance(change, Make)]
    return Scope(
        frozenset(name for change in changes for name in names_of(change)),
        frozenset(one.ref.name for one in changes if one.ref.kind == "setting"),
        frozenset(ref.name for ref in made if ref.kind in ("rule", "chain")),
    )


def names_of(change: Change) -> Iterator[str]:
    """Give the names of what a change is about: its objects, and the links that it speaks of."""
    on = change.on if isinstance(change, Make | Set) else None
    yield from (ref.name for ref in (*refs_of(change), on) if ref and not ref.netns)
    if isinstance(change, Set) and change.key == "master" and change.value:
        yield change.value
    if isinstance(change, Make | Remove) and "dev" in change.facts:
        yield change.facts["dev"]


def concerns(difference: Difference, scope: Scope) -> bool:
    """Say whether a difference is of something that steps made or changed.

    What others did to the host meanwhile is theirs, and is neither put back nor called residue.
    """
    kind, name = difference.kind, difference.name
    if kind == "setting":
        return name in scope.settings or any(_family(path, name) for path in scope.settings)
    if kind in ("rule", "chain"):
        chain = " ".join(name.split(" ", 3)[:3])
        return name in scope.rules or chain in scope.rules
    return name in scope.names


def _family(written: str, path: str) -> bool:
    """Say whether a path is set along with one that is written, of the same version of IP."""
    same_version = path.split("/")[4] == written.split("/")[4]
    return same_version and path.endswith(setting.along(written))


@dataclass(frozen=True, slots=True)
class Others:
    """What the other labs of the target reach, by the lab's name."""

    labs: dict[str, Scope]

    def touch(self, difference: Difference) -> list[str]:
        """Name the labs whose steps made or changed what differs."""
        return [name for name, scope in self.labs.items() if concerns(difference, scope)]

    def keep(self, difference: Difference) -> list[str]:
        """Name the labs that need a setting, or a link's state, as it is."""
        held = difference.kind == "setting" or difference.command[:3] == ("ip", "link", "set")
        return self.touch(difference) if held else []

    def keep_from(self, step: Step) -> list[str]:
        """Name the labs for which a step must not be undone."""
        if not self.labs or step.netns:
            return []
        values = [one.ref for one in step.changes if isinstance(one, Set)]
        said = (Difference(ref.kind, ref.name, "", ("ip", "link", "set")) for ref in values)
        return [name for difference in said for name in self.keep(difference)]


def handed_over(
    theirs: Snapshot, kept: Iterable[Difference], before: Snapshot, now: Snapshot
) -> dict[str, Any]:
    """Give another lab's snapshot of before it, as if the lab that goes had never been there.

    What had come since before the one that goes, and is not there now, is not in it; what is kept
    for the other lab gets the value that it had then. Done twice, it is the same.
    """
    facts = theirs.to_json()
    for part in ("links", "namespaces", "folders"):
        for name in facts[part].keys() - getattr(before, part).keys() - getattr(now, part).keys():
            del facts[part][name]
    for part in ("addresses", "routes", "policy", "neighbours"):
        facts[part] = _as_if(facts[part], getattr(before, part), getattr(now, part))
    for table, lines in facts["rules"].items():
        known = before.rules.get(table, []), now.rules.get(table, [])
        facts["rules"][table] = _as_if(lines, *known)
    for one in kept:
        if one.kind == "setting":
            facts["settings"][one.name] = before.settings[one.name]
        elif theirs.links.get(one.name, {}).get("ifindex") == before.links[one.name]["ifindex"]:
            facts["links"][one.name] = before.links[one.name]
    return facts


def _as_if(theirs: Sequence[Any], before: Sequence[Any], now: Sequence[Any]) -> list[Any]:
    """Leave out what is gone now, but for what is gone of before too: that others removed."""
    return _without(theirs, _without(_without(theirs, now), _without(before, now)))


def _without(some: Iterable[Any], others: Iterable[Any]) -> list[Any]:
    """Give what is in some more often than in others."""
    left, surplus = Counter(map(json.dumps, others)), []
    for entry in some:
        left[key := json.dumps(entry)] -= 1
        if left[key] < 0:
            surplus.append(entry)
    return surplus
