"""What labs of one target share: it stays for as long as one of them uses it.

Two labs may both switch forwarding on, or use the same bridge of the host. Who goes first hands what
it found there over to the others, so that the last one to go puts it back.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from cnetsh.needed import Touched, concerns
from cnetsh.plan import Step
from cnetsh.snapshot import Difference, Snapshot

_LISTS = ("addresses", "routes", "policy")
_BY_NAME = ("links", "settings", "namespaces")


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
        on, inner = step.effect.on, step.inner
        if on is None or step.netns or not (inner[0] == "tee" or inner[1:3] == ("link", "set")):
            return []
        return self.keep(Difference(on.kind, on.name, "", ("ip", "link", "set")))


def handed_over(
    theirs: Snapshot, kept: Iterable[Difference], before: Snapshot, was: Snapshot, now: Snapshot
) -> dict[str, Any]:
    """Give another lab's snapshot of before it, as if the lab that goes had never been there.

    What the undo changed, from was to now, is changed there too; what it kept for the other gets
    the value of before.
    """
    facts = theirs.to_json()
    for part in _BY_NAME:
        _follow(facts[part], getattr(was, part), getattr(now, part))
    for part in _LISTS:
        facts[part] = _followed(facts[part], getattr(was, part), getattr(now, part))
    for table in was.rules.keys() | now.rules.keys():
        lines = was.rules.get(table, []), now.rules.get(table, [])
        facts["rules"][table] = _followed(facts["rules"].get(table, []), *lines)
    for one in kept:
        if one.kind == "setting":
            facts["settings"][one.name] = before.settings[one.name]
        elif theirs.links.get(one.name, {}).get("ifindex") == before.links[one.name]["ifindex"]:
            facts["links"][one.name] = before.links[one.name]
    return facts


def _follow(theirs: dict[str, Any], was: dict[str, Any], now: dict[str, Any]) -> None:
    for key in was.keys() | now.keys():
        if was.get(key) != now.get(key) and theirs.get(key) == was.get(key):
            if key in now:
                theirs[key] = now[key]
            else:
                del theirs[key]


def _followed(theirs: Sequence[Any], was: Sequence[Any], now: Sequence[Any]) -> list[Any]:
    """Give a list after the same entries have gone and come; one may be there several times."""
    gone, result = _surplus(was, now), list(theirs)
    for entry in gone:
        if entry in result:
            result.remove(entry)
    return result + [entry for entry in _surplus(now, was) if entry not in result]


def _surplus(some: Sequence[Any], others: Sequence[Any]) -> list[Any]:
    left, surplus = list(others), []
    for entry in some:
        if entry in left:
            left.remove(entry)
        else:
            surplus.append(entry)
    return surplus
