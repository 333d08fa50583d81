"""Entries that somebody gave a bridge's table of MAC addresses (bridge(8)); no plan makes any."""

from collections.abc import Iterator
from typing import Any

from cnetsh.kinds.change import (
    Answers,
    Change,
    Changes,
    Command,
    Fact,
    Facts,
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
    for ref, facts in known(answers, netns):
        given = facts["state"] == "permanent" and facts["by"] == "master" and ref.name not in own
        if facts["state"] == "static" or given:
            yield ref, facts


def known(answers: Answers, netns: str) -> Seen:
    """Give all entries but those of groups; state is "" of one that was learned."""
    for one in answers.entries:
        # The first bit of a MAC address tells a group (IEEE 802).
        if not int(one["mac"][:2], 16) & 1:
            link = Ref("link", netns, one["ifname"])
            facts = {"dev": link.name, "by": "master" if "master" in one else "self", "on": link}
            facts |= {key: one[key] for key in ("vlan",) if key in one}
            yield Ref("fdb", netns, one["mac"]), facts | {"state": one.get("state", "")}


def places(fact: Fact, value: Any) -> Iterator[Reach]:
    """Give what takes an entry along: its port's leaving the bridge."""
    yield "fdb", fact.ref.netns, value["dev"]


EXPLAINED = (
    "A bridge sends a frame only to the port where its MAC address is known to be, else to all."
)


def explain(ref: Ref, facts: Facts) -> str:
    """Say how a bridge came to know a MAC address."""
    said = {"": f"a frame from there came in by {facts['dev']}", "static": "set by hand: it stays"}
    return said.get(facts["state"], f"of {facts['dev']} itself")
