"""Addresses of links (ip-address(8))."""

import re
from collections.abc import Iterator
from ipaddress import ip_interface
from typing import Any

from cnetsh.kinds.change import (
    Answers,
    Change,
    Changes,
    Command,
    Fact,
    Facts,
    Found,
    Make,
    Reach,
    Ref,
    Remove,
    Seen,
    State,
    six_on,
    typed_in,
)
from cnetsh.kinds.looks import shows

TOOLS = ("ip address", "ip addr", "ip a")
SAMPLES = ("ip address add 10.0.0.1/8 dev p0", "ip -6 addr add FD00:0::1/64 dev p0 nodad")
# What ip adds to an address by a word alone, and prints so.
_FLAGS = ("noprefixroute", "home", "mngtmpaddr")
FOREVER = 4294967295  # seconds, INFINITY_LIFE_TIME
# What is typed as the kernel prints it needs no ipaddress object, which takes ten times as long.
_PLAIN = re.compile(r"(?:(?:[1-9]\d{0,2}|0)\.){3}(?:[1-9]\d{0,2}|0)/[1-9]\d?")


def read(command: Command) -> Changes | None:
    """Give what a command does to an address; () for one that looks, None if not allowed."""
    match command.rest:
        # Without a prefix length ip takes /32, which is nearly never meant.
        case ("add", text, "dev", dev, *more) if "/" in text and more in ([], ["nodad"]):
            facts = {"dev": dev, "nodad": True} if more else {"dev": dev}
            link = Ref("link", command.netns, dev)
            return (Make(_ref(command.netns, text), facts, on=link),)
        case ("delete" | "del", text, "dev", dev):
            return (Remove(_ref(command.netns, text), {"dev": dev}),)
    return () if shows(command.rest) else None


def _ref(netns: str, text: str) -> Ref:
    return Ref("address", netns, text if _PLAIN.fullmatch(text) else canonical_address(text))


def canonical_address(text: str) -> str:
    """Give an address with its prefix length as ip prints it: FD00:0::1/64 is fd00::1/64."""
    try:
        return str(ip_interface(with_all_parts(text)))
    except ValueError:
        return text


def with_all_parts(text: str) -> str:
    """Give an IPv4 address that is typed short with all its parts: 10.88/16 is 10.88.0.0/16."""
    address, slash, length = text.partition("/")
    parts = "" if ":" in address else ".0" * (3 - address.count("."))
    return f"{address}{parts}{slash}{length}"


def write(change: Change, typed: Command | None = None) -> tuple[str, ...]:
    """Give the command that does a change; what was valid before needs no look for duplicates."""
    assert isinstance(change, Make | Remove)
    facts, where = change.facts, [typed.rest[1] if typed else change.ref.name]
    if "to" in facts:
        where = [change.ref.name.partition("/")[0], "peer", facts["to"]]
    verb = "delete" if isinstance(change, Remove) else "replace" if "was" in facts else "add"
    words = ("ip", "address", verb, *where, "dev", facts["dev"])
    if isinstance(change, Make):
        words = (*words, *_said(facts, ":" in change.ref.name))
    return (typed_in(change.ref.netns, *words),)


def _said(facts: Facts, six: bool) -> Iterator[str]:
    """Give the words for what was typed, or seen, of an address."""
    for word in ("brd", "label", "metric", "scope"):
        if facts.get(word) not in (None, "global"):
            yield from (word, str(facts[word]))
    yield from (word for word in _FLAGS if facts.get(word))
    for word, seconds in zip(("valid_lft", "preferred_lft"), facts.get("left", ()), strict=False):
        yield from (word, str(seconds))
    # What was there needs no look for duplicates; only what was seen has a scope.
    if facts.get("nodad") or (six and "scope" in facts):
        yield "nodad"


def see(answers: Answers, netns: str) -> Seen:
    """Give the addresses of all links."""
    for link in answers.addresses:
        for info in link.get("addr_info", ()):
            name = f"{info.get('local', '')}/{info.get('prefixlen', '')}"
            yield Ref("address", netns, name), _facts(info, Ref("link", netns, link["ifname"]))


def _facts(info: Facts, link: Ref) -> dict[str, Any]:
    facts: dict[str, Any] = {"dev": link.name, "on": link, "scope": info.get("scope")}
    if "address" in info:
        facts["to"] = f"{info['address']}/{info['prefixlen']}"
    # A rename of the link makes these labels anew, so they are nobody's wish.
    name, _, number = info.get("label", link.name).rpartition(":")
    if not (number == link.name or (name == link.name and number.isdigit())):
        facts["label"] = info["label"]
    told = {"brd": "broadcast", "metric": "metric", "temporary": "temporary"}
    told |= dict(zip(_FLAGS, _FLAGS, strict=True))
    facts |= {key: info[said] for key, said in told.items() if said in info}
    # Nobody's wish either: while the kernel looks for duplicates, and when it has found one.
    facts |= {"unusable": "dadfailed" in info} if "tentative" in info else {}
    left = [info.get(f"{word}_life_time", FOREVER) for word in ("valid", "preferred")]
    if left != [FOREVER, FOREVER]:
        # They are counted down: that they end is the fact.
        facts |= {"ends": True, "left": [word if word != FOREVER else "forever" for word in left]}
    return facts


def places(fact: Fact, value: Any) -> Iterator[Reach]:
    """Give what takes an address along."""
    kind = "local" if is_link_local(fact) else "address"
    yield kind, fact.ref.netns, value["dev"]
    if ":" in fact.ref.name:
        yield from six_on(fact.ref.netns, value["dev"])


def is_link_local(fact: Fact) -> bool:
    """Say whether it is an address that the kernel makes of a link's MAC address."""
    return fact.ref.kind == "address" and fact.ref.name.startswith("fe80:")


def is_four(fact: Fact) -> bool:
    """Say whether it is an address of IPv4."""
    return fact.ref.kind == "address" and ":" not in fact.ref.name


def derived(fact: Fact, found: Found) -> bool:
    """Say whether the kernel makes the address by itself, as it does for privacy (RFC 8981)."""
    temporary = (found.get(fact) or {}).get("temporary", False)
    return is_link_local(fact) or fact.ref.name == "::1/128" or temporary


def reach(change: Change, before: State) -> Iterator[Reach]:
    """Give what goes with an address: the routes that it is the source of.

    With the first one of a network of IPv4 the others of it go, and with the last one of a link its
    neighbours (promote_secondaries in ip-sysctl.rst; kernel: fib_disable_ip).
    """
    if isinstance(change, Remove):
        for kind in ("route",) if ":" in change.ref.name else ("route", "address", "neighbour"):
            yield kind, change.ref.netns, change.facts["dev"]


EXPLAINED = "An address is what others write on a packet; its prefix says who is on the same link."


def explain(ref: Ref, facts: Facts) -> str:
    """Say what an address means where it is."""
    if facts.get("scope") == "host":
        return "reached from inside alone"
    if facts.get("scope") == "link":
        return f"for neighbours on {facts['dev']} alone"
    if "to" in facts:
        return f"its one neighbour on {facts['dev']} is {facts['to']}"
    network = ip_interface(ref.name).network
    if network.num_addresses == 1:
        return "brings no neighbours: others are reached by a route"
    return f"all of {network} is expected on {facts['dev']} itself"
