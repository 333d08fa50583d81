"""Entries that somebody gave a bridge's table of MAC addresses (bridge(8)); no plan makes any."""

from collections.abc import Iterator
from typing import Any

from cnetsh.kinds.change import (
    Answers,
    Change,
    Changes,
    Command,
    Fact,
    Make,
    Reach,
    Ref,
    Remove,
    Seen,
    typed_in,
)

TOOLS = ()
SAMPLES = ()
IDENTITY = ("dev", "vlan", "by")


def read(command: Command) -> Changes | None:
    """Give nothing: such a command is not allowed in a plan."""
    return None


def write(change: Change, typed: Command | None = None) -> tuple[str, ...]:
    """Give the command that does a change."""
    assert isinstance(change, Make | Remove)
    facts = change.facts
    words = [change.ref.name, "dev", facts["dev"], facts["by"]]
    words += ["vlan", str(facts["vlan"])] if "vlan" in facts else []
    if isinstance(change, Remove):
        return (typed_in(change.ref.netns, "bridge", "fdb", "del", *words),)
    return (typed_in(change.ref.netns, "bridge", "fdb", "replace", *words, facts["state"]),)


def see(answers: Answers, netns: str) -> Seen:
    """Give the entries of somebody's wish; a link's own addresses and groups come by themselves."""
    own = {link.get("address") for link in answers.addresses}
    for one in answers.entries:
        given = one.get("state") == "permanent" and "master" in one and one["mac"] not in own
        if one.get("state") == "static" or given:
            link = Ref("link", netns, one["ifname"])
            facts = {"dev": link.name, "by": "master" if "master" in one else "self", "on": link}
            facts |= {"state": one["state"]} | {key: one[key] for key in ("vlan",) if key in one}
            yield Ref("fdb", netns, one["mac"]), facts


def places(fact: Fact, value: Any) -> Iterator[Reach]:
    """Give what takes an entry along: its port's leaving the bridge."""
    yield "fdb", fact.ref.netns, value["dev"]
