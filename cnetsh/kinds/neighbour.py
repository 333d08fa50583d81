"""Permanent neighbours: whom a link knows without asking (ip-neighbour(8), arp(7))."""

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
    six_on,
    typed_in,
)
from cnetsh.kinds.route import canonical_network

TOOLS = ("ip neigh", "ip neighbour")
IDENTITY = ("dev", "proxy")
SAMPLES = ("ip neigh add 10.0.0.7 lladdr 02:00:00:00:00:07 nud permanent dev p0",)


def read(command: Command) -> Changes | None:
    """Give what a command does to a permanent neighbour, None if it is about others."""
    match command.rest:
        case ("add", address, *rest):
            said = dict(zip(rest[::2], rest[1::2], strict=False))
            # Without nud permanent the entry would be gone before anybody compares.
            if len(rest) != 6 or said.keys() != {"lladdr", "nud", "dev"}:
                return None
            facts = {"dev": said["dev"], "lladdr": said["lladdr"].lower()}
            link, ref = Ref("link", command.netns, said["dev"]), _ref(command.netns, address)
            return (Make(ref, facts, on=link),) if said["nud"] == "permanent" else None
        case ("delete" | "del", address, "dev", dev):
            return (Remove(_ref(command.netns, address), {"dev": dev}),)
    return None


def _ref(netns: str, address: str) -> Ref:
    return Ref("neighbour", netns, canonical_network(address))


def write(change: Change, typed: Command | None = None) -> tuple[str, ...]:
    """Give the command that does a change."""
    assert isinstance(change, Make | Remove)
    facts, words = change.facts, [change.ref.name]
    if facts.get("proxy"):
        words = ["proxy", change.ref.name]
    elif isinstance(change, Make):
        words += ["lladdr", facts["lladdr"], *(["router"] if facts.get("router") else [])]
        words += ["nud", "permanent"]
    verb = "delete" if isinstance(change, Remove) else "replace" if "was" in facts else "add"
    return (typed_in(change.ref.netns, "ip", "neigh", verb, *words, "dev", facts["dev"]),)


def see(answers: Answers, netns: str) -> Seen:
    """Give the permanent neighbours and the proxies of all links; others come and go."""
    for one in answers.neighbours:
        link = Ref("link", netns, one["dev"])
        facts: dict[str, Any] = {"dev": link.name, "on": link}
        if "proxy" in one:
            facts["proxy"] = True
        else:
            facts["lladdr"] = one.get("lladdr", "")
        if "router" in one:
            facts["router"] = True
        yield Ref("neighbour", netns, canonical_network(str(one["dst"]))), facts


def places(fact: Fact, value: Any) -> Iterator[Reach]:
    """Give the link whose end takes a neighbour along."""
    yield "neighbour", fact.ref.netns, value["dev"]
    if ":" in fact.ref.name:
        yield from six_on(fact.ref.netns, value["dev"])
