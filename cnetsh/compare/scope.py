"""What labs of one target share: it stays for as long as one of them uses it.

Two labs may both switch forwarding on, or use the same bridge of the host. Who goes first hands
what it found there over to the others, so that the last one to go puts it back.
"""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from cnetsh.compare.differences import Difference
from cnetsh.compare.needed import Touched, concerns
from cnetsh.compare.snapshot import Snapshot
from cnetsh.inverse import setting
from cnetsh.plan.steps import Step


@dataclass(frozen=True, slots=True)
class Others:
    """What the other labs of the target touch, by the lab's name."""

    labs: dict[str, Touched]

    def touch(self, difference: Difference) -> list[str]:
        """Name the labs whose steps made or changed what differs."""
        return [name for name, touched in self.labs.items() if concerns(difference, touched)]

    def keep(self, difference: Difference) -> list[str]:
        """Name the labs that need a setting, or a link's state, as it is."""
        shared = difference.kind == "setting" or difference.command[:3] == ("ip", "link", "set")
        return self.touch(difference) if shared else []

    def keep_from(self, step: Step) -> list[str]:
        """Name the labs for which a step must not be undone."""
        if not self.labs or step.netns:
            return []
        on, inner = step.effect.on, step.words
        if on is None or not (setting(inner) or inner[1:3] == ("link", "set")):
            return []
        return self.keep(Difference(on.kind, on.name, "", ("ip", "link", "set")))


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
    for part in ("addresses", "routes", "policy"):
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
