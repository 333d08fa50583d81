"""What labs of one target share: it stays for as long as one of them uses it.

Two labs may both switch forwarding on, or use the same bridge of the host. Who goes first hands
what it found there over to the others, so that the last one to go puts it back.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from cnetsh.differences import Difference
from cnetsh.needed import Touched, concerns
from cnetsh.plan import Step
from cnetsh.snapshot import Snapshot


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
        on, inner = step.effect.on, step.words
        if on is None or step.netns or not (inner[0] == "tee" or inner[1:3] == ("link", "set")):
            return []
        return self.keep(Difference(on.kind, on.name, "", ("ip", "link", "set")))


def handed_over(
    theirs: Snapshot, kept: Iterable[Difference], before: Snapshot, was: Snapshot, now: Snapshot
) -> dict[str, Any]:
    """Give another lab's snapshot of before it, as if the lab that goes had never been there.

    What went between was and now is not there either; what is kept for the other lab gets the value
    that it had before the one that goes.
    """
    facts = theirs.to_json()
    for part in ("links", "namespaces"):
        for name in getattr(was, part).keys() - getattr(now, part).keys():
            facts[part].pop(name, None)
    for part in ("addresses", "routes", "policy"):
        facts[part] = _without(facts[part], _without(getattr(was, part), getattr(now, part)))
    for table, lines in was.rules.items():
        gone = _without(lines, now.rules.get(table, []))
        facts["rules"][table] = _without(facts["rules"].get(table, []), gone)
    for one in kept:
        if one.kind == "setting":
            facts["settings"][one.name] = before.settings[one.name]
        elif theirs.links.get(one.name, {}).get("ifindex") == before.links[one.name]["ifindex"]:
            facts["links"][one.name] = before.links[one.name]
    return facts


def _without(some: Sequence[Any], gone: Sequence[Any]) -> list[Any]:
    left = list(some)
    for entry in gone:
        if entry in left:
            left.remove(entry)
    return left
