"""Journals of the version before: their labs were up while cnetsh was upgraded."""

import shlex
from collections.abc import Mapping
from typing import Any

from cnetsh import kinds
from cnetsh.compare.pairing import paired
from cnetsh.kinds import looks
from cnetsh.kinds.change import Answers, Facts, Found, typed_in
from cnetsh.plan.steps import command_in

# What that version has seen of each kind; of values it had these keys.
_LINK = frozenset({"up", "mtu", "master", "address", "alias", "txqueuelen", "hairpin"})
_VALUES = {
    "address": ("dev", "scope"),
    "route": ("type", "via", "dev", "table", "proto", "scope", "src", "metric"),
}
_WHOLE = frozenset({"netns", "setting", "chain", "table", "file"})


def before_of(old: Mapping[str, Any]) -> Found:
    """Give what was there before, as that version has written it down."""
    held: dict[str, list[Facts]] = {}
    for one in old["addresses"]:
        local, _, length = one["address"].partition("/")
        info = {"local": local, "prefixlen": length, "scope": one["scope"]}
        held.setdefault(one["dev"], []).append(info)
    links = [_answered(name, link, held.get(name, [])) for name, link in old["links"].items()]
    answers = Answers(
        addresses=links,
        routes=old["routes"],
        saved=_saved(old["rules"]),
        settings=old["settings"],
        namespaces=old["namespaces"],
        folders={path: [inode] for path, inode in old["folders"].items()},
    )
    return reduced(kinds.facts_of(paired(kinds.see(answers))))


def _answered(name: str, link: Facts, addresses: list[Facts]) -> Facts:
    slave = {"info_slave_data": {"hairpin": True}} if link.get("hairpin") else {}
    flags = ["UP"] if link["up"] else []
    info = {"info_kind": link["kind"], **slave}
    return {**link, "ifname": name, "flags": flags, "linkinfo": info, "addr_info": addresses}


def _saved(rules: Mapping[str, list[str]]) -> dict[str, str | None]:
    texts: dict[str, str | None] = {}
    for key, lines in rules.items():
        tool, _, table = key.partition(" ")
        texts[tool] = (texts.get(tool) or "") + "\n".join([f"*{table}", *lines, ""])
    return texts


def reduced(found: Found) -> Found:
    """Give of what is there what that version has seen too, for only that can be compared."""
    left: Found = {}
    for fact, value in found.items():
        kind = fact.ref.kind
        if kind in ("link", "folder") and not fact.key:
            left[fact] = value[:1]
        elif kind in _WHOLE or (kind == "link" and fact.key in _LINK):
            left[fact] = value
        elif kind in _VALUES and "next" not in value:
            left[fact] = {key: value[key] for key in _VALUES[kind] if key in value}
    return left


def ending(text: str) -> str:
    """Give the text of checks in which every ping ends, which was not asked of them once."""
    return "\n".join(map(_ending, text.split("\n")))


def _ending(line: str) -> str:
    if line.startswith("#") or "ping" not in line:
        return line
    command = command_in(line)
    if not looks.endless(command.words):
        return line
    return typed_in(command.netns, *shlex.split(looks.spelled(command)))
