"""Addresses of links (ip-address(8))."""

import re
from ipaddress import ip_interface

from cnetsh.kinds.change import (
    Answers,
    Change,
    Changes,
    Command,
    Make,
    Ref,
    Remove,
    Seen,
    typed_in,
)
from cnetsh.kinds.looks import shows

TOOLS = ("ip address", "ip addr", "ip a")
SAMPLES = ("ip address add 10.0.0.1/8 dev p0", "ip -6 addr add FD00:0::1/64 dev p0 nodad")
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
    """Give the command that does a change."""
    assert isinstance(change, Make | Remove)
    text = typed.rest[1] if typed else change.ref.name
    verb = "delete" if isinstance(change, Remove) else "add"
    nodad = ("nodad",) if isinstance(change, Make) and change.facts.get("nodad") else ()
    words = ("ip", "address", verb, text, "dev", change.facts["dev"], *nodad)
    return (typed_in(change.ref.netns, *words),)


def see(answers: Answers, netns: str) -> Seen:
    """Give the addresses of all links."""
    for link in answers.addresses:
        for info in link.get("addr_info", ()):
            name = f"{info.get('local', '')}/{info.get('prefixlen', '')}"
            link_ref = Ref("link", netns, link["ifname"])
            facts = {"dev": link["ifname"], "scope": info.get("scope"), "on": link_ref}
            yield Ref("address", netns, name), facts
