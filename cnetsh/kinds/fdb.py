"""What somebody gave a bridge of its ports: MAC addresses, groups, VLANs (bridge(8)).

No plan makes any; a port that leaves its bridge loses them.
"""

from collections.abc import Iterator
from typing import Any

from cnetsh.kinds.change import (
    Answers,
    Change,
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

SAMPLES = ()
IDENTITY = ("dev", "vlan", "by", "src")


def write(change: Change, typed: Command | None = None) -> tuple[str, ...]:
    """Give the command that does a change."""
    assert isinstance(change, Make | Remove)
    name, facts, gone = change.ref.name, change.facts, isinstance(change, Remove)
    verb, vlan = "del" if gone else "add", str(facts["vlan"]) if "vlan" in facts else ""
    match change.ref.kind:
        case "vlan":
            words = ["vlan", verb, "dev", facts["dev"], "vid", name]
        case "group":
            words = ["mdb", verb, "dev", facts["bridge"], "port", facts["dev"], "grp", name]
            words += [*(("src", facts["src"]) if "src" in facts else ()), "permanent"]
            words += ["vid", vlan] if vlan else []
        case _:
            words = ["fdb", "del" if gone else "replace", name, "dev", facts["dev"], facts["by"]]
            words += ["vlan", vlan] if vlan else []
            words += [] if gone else [facts["state"]]
    flags = () if gone else facts.get("flags", ())
    return (typed_in(change.ref.netns, "bridge", *words, *flags),)


# How `bridge vlan add` types what it prints.
_FLAGS = {"PVID": "pvid", "Egress Untagged": "untagged"}


def see(answers: Answers, netns: str) -> Seen:
    """Give the entries of somebody's wish; a link's own addresses and groups come by themselves."""
    own = {link.get("address") for link in answers.addresses}
    for ref, facts in known(answers, netns):
        given = facts["state"] == "permanent" and facts["by"] == "master" and ref.name not in own
        if facts["state"] == "static" or given:
            yield ref, facts
    yield from _groups(answers, netns)
    yield from _vlans(answers, netns)


def _groups(answers: Answers, netns: str) -> Seen:
    """Give the groups that somebody joined ports to; a bridge joins some for itself."""
    for one in (one for shown in answers.entries for one in shown.get("mdb", ())):
        if one["state"] == "permanent" and one["port"] != one["dev"]:
            link = Ref("link", netns, one["port"])
            facts = {"dev": link.name, "bridge": one["dev"], "on": link}
            facts |= {"vlan": one["vid"]} if "vid" in one else {}
            facts |= {"src": one["src"]} if "src" in one else {}
            yield Ref("group", netns, one["grp"]), facts


def _vlans(answers: Answers, netns: str) -> Seen:
    """Give the VLANs of ports; a bridge's own stay with it."""
    ports = {link.get("ifname") for link in answers.addresses if link.get("master")}
    for shown in answers.entries:
        link = Ref("link", netns, shown.get("ifname", ""))
        for one in shown.get("vlans", ()) if link.name in ports else ():
            flags = [_FLAGS[flag] for flag in one.get("flags", ()) if flag in _FLAGS]
            for number in range(one["vlan"], one.get("vlanEnd", one["vlan"]) + 1):
                facts = {"dev": link.name, "flags": flags, "on": link}
                yield Ref("vlan", netns, str(number)), facts


def known(answers: Answers, netns: str) -> Seen:
    """Give all entries but those of groups; state is "" of one that was learned."""
    for one in (one for one in answers.entries if "mac" in one):
        # The first bit of a MAC address tells a group (IEEE 802).
        if not int(one["mac"][:2], 16) & 1:
            link = Ref("link", netns, one["ifname"])
            by = "master" if "master" in one else "self"
            facts: dict[str, Any] = {"dev": link.name, "by": by, "on": link}
            facts |= {key: one[key] for key in ("vlan",) if key in one}
            facts |= {"flags": ["sticky"]} if "sticky" in one.get("flags", ()) else {}
            yield Ref("fdb", netns, one["mac"]), facts | {"state": one.get("state", "")}


def places(fact: Fact, value: Any) -> Iterator[Reach]:
    """Give what takes an entry along: its port's leaving the bridge."""
    yield "fdb", fact.ref.netns, value["dev"]


EXPLAINED = "A bridge sends a frame to where its MAC address or group is, else to its whole VLAN."


def explain(ref: Ref, facts: Facts) -> str:
    """Say how a bridge came to know a MAC address; a group and a VLAN say all themselves."""
    if ref.kind != "fdb":
        return ""
    said = {"": f"a frame from there came in by {facts['dev']}", "static": "set by hand: it stays"}
    return said.get(facts["state"], f"of {facts['dev']} itself")
