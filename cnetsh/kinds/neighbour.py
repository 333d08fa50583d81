"""Permanent neighbours: whom a link knows without asking (ip-neighbour(8), arp(7))."""

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
    six_on,
    typed_in,
)
from cnetsh.kinds.route import canonical_network

TOOLS = ("ip neigh", "ip neighbour")
_PERMANENT = "PERMANENT"
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
            # On lo IPv4 has one neighbour for all addresses (arp_constructor).
            address = "0.0.0.0" if said["dev"] == "lo" and ":" not in address else address
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
        words += ["extern_learn"] if "extern_learn" in facts else []
        words += ["protocol", str(facts["protocol"])] if "protocol" in facts else []
    verb = "delete" if isinstance(change, Remove) else "replace" if "was" in facts else "add"
    return (typed_in(change.ref.netns, "ip", "neigh", verb, *words, "dev", facts["dev"]),)


def see(answers: Answers, netns: str) -> Seen:
    """Give the neighbours and the proxies of all links that were asked for; state: others' alone.

    Those that are not permanent come and go.
    """
    for one in answers.neighbours:
        link = Ref("link", netns, one["dev"])
        facts: dict[str, Any] = {"dev": link.name, "on": link}
        if "proxy" in one:
            facts["proxy"] = True
        else:
            facts["lladdr"] = one.get("lladdr", "")
        facts |= {flag: True for flag in ("router", "extern_learn") if flag in one}
        facts |= {"protocol": one["protocol"]} if "protocol" in one else {}
        if (state := one.get("state", [_PERMANENT])) != [_PERMANENT]:
            facts["state"] = " ".join(state)
        yield Ref("neighbour", netns, canonical_network(str(one["dst"]))), facts


def places(fact: Fact, value: Any) -> Iterator[Reach]:
    """Give the link whose end takes a neighbour along; another MAC address leaves proxies."""
    yield "neighbour", fact.ref.netns, value["dev"]
    if not value.get("proxy"):
        yield "known", fact.ref.netns, value["dev"]
    if ":" in fact.ref.name:
        yield from six_on(fact.ref.netns, value["dev"])
    else:
        yield "four", fact.ref.netns, value["dev"]


EXPLAINED = "A neighbour is on the same link; frames are addressed to its MAC address."
_STATES = {
    "REACHABLE": "it has answered lately",
    "STALE": "it answered once, and is asked again when it is needed",
    "DELAY": "in use, and asked again in a moment",
    "PROBE": "being asked again",
    "INCOMPLETE": "being asked for; no answer so far",
    "FAILED": "asked for, and nobody answered",
    "NOARP": "nobody needs to be asked for it",
    _PERMANENT: "set by hand: it is never asked for",
}


def explain(ref: Ref, facts: Facts) -> str:
    """Say what is known of a neighbour (ip-neighbour(8))."""
    if facts.get("proxy"):
        return f"answered for on {facts['dev']}, in its place"
    return _STATES.get(facts.get("state", _PERMANENT), "")
