"""How ip reads the words of `ip link`: values by their keys, a name without one, numbers.

Sources: ip-link(8), strtoul(3), iproute2's iplink_parse.
"""

import re
import shlex
from collections.abc import Collection, Mapping
from typing import Any

from cnetsh.kinds.change import NOTHING, Command, Words
from cnetsh.names import keyword

# How `ip -j link` calls what `ip link set` types, and what may also be given to a new link.
KEYS = {"mtu": "mtu", "address": "address", "alias": "ifalias", "txqueuelen": "txqlen"}
# What may be said of a new link, and of one that is there: with a value, and by a word alone.
NEW = frozenset({"name", "link", "netns", "address", "mtu"})
SET = frozenset({"dev", "master", "netns", *KEYS})
ALONE: dict[str, tuple[str, Any]] = {
    "up": ("up", True),
    "down": ("up", False),
    "nomaster": ("master", None),
}
REFUSED = object()
_NUMBERS = frozenset({"mtu", "txqueuelen"})
_NUMBERED = frozenset({"id", "dstport"})
# With a 0 before it in octal.
_NUMBER = re.compile("[1-9][0-9]*|0[0-7]*|0[xX][0-9a-fA-F]+")


def by_key(
    words: Words, keys: Collection[str], name: str, alone: Mapping[str, tuple[str, Any]] = NOTHING
) -> tuple[dict[str, Any], Words]:
    """Give what words say by key, in any order, and the words from `type` on.

    A word without a key is the link's name. One that may not be given, or a key that comes twice,
    makes all of it unreadable, which says nothing.
    """
    found: dict[str, Any] = {}
    at, end = 0, len(words)
    while at < end and (word := words[at]) != "type":
        at += 1
        if word in keys:
            key, value = word, read_value(word, words[at]) if at < end else REFUSED
            at += 1
        elif word in alone:
            key, value = alone[word]
        else:
            key, value = name, REFUSED if keyword(word) else read_value(name, word)
        if value is REFUSED or key in found:
            return {}, ()
        found[key] = value
    return found, words[at:]


def read_value(key: str, word: str) -> Any:
    """Give a value as the kernel has it, REFUSED for one that may not be given."""
    if key in _NUMBERS or key in _NUMBERED:
        known = _NUMBER.fullmatch(word) is not None
        number = int(word, 8 if word.isdigit() and word[0] == "0" else 0) if known else 0
        return (number if key in _NUMBERS else str(number)) if known else REFUSED
    if key == "netns" and (word.isdigit() or "/" in word):
        # `netns 1` would mean process 1 of the caller's pid namespace.
        return REFUSED
    # The kernel prints a MAC address in small letters, however it was typed.
    word = word.lower() if key == "address" else word
    return word if word or key == "alias" else REFUSED


def misread(command: Command) -> str:
    """Say as what ip would read a link's name, "" where that is not why a command is refused."""
    match command.words[:2], command.rest:
        case ("ip", "link" | "l"), ("set" | "add" | "delete" | "del", name, *_):
            word = "" if name in (*NEW, *SET, *ALONE, "type") else keyword(name)
            say = "name" if command.rest[0] == "add" else "dev"
            return f"ip reads {name} as its keyword {word} without {say} before it" if word else ""
    return ""


def spelled(command: Command) -> str:
    """Give the spelling of a command that has a link's name where ip expects a keyword."""
    if not misread(command):
        return ""
    verb, *more = command.rest
    return shlex.join(("ip", "link", verb, "name" if verb == "add" else "dev", *more))
