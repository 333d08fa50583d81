"""Which undos have still to run, with which values, by what the kernel said before and says now.

A step that changed nothing has no undo, and one that is undone already has none either: so undoing
twice, or after a crash, ends in the same state. Pure functions over two snapshots.
"""

import ipaddress
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from cnetsh.compare.differences import Difference
from cnetsh.compare.snapshot import Snapshot
from cnetsh.errors import CnetshError
from cnetsh.inverse import Ref, setting
from cnetsh.plan.steps import Step, split
from cnetsh.plan.undo import Undo

FORWARDING = ("/ip_forward", "/forwarding", "/accept_redirects")


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known when undoing starts: before the lab, now, and the identity of what it made."""

    before: Snapshot
    now: Snapshot
    made: Mapping[str, Sequence[Any]]

    def ours(self, ref: Ref) -> bool:
        """Say whether an object of the target's own namespace is there and is the one we made.

        A namespace without a mark is what is left of ours: a file that nobody can use.
        """
        there, mark = self._there(ref)
        known = self.made.get(f"{ref.kind} {ref.name}")
        return there and (known is None or known[0] == mark or not mark)

    def foreign(self, ref: Ref) -> bool:
        """Say whether another object has taken the name of one that we made."""
        return self._there(ref)[0] and not self.ours(ref)

    def replaced(self, difference: Difference) -> bool:
        """Say whether what differs is such another object."""
        return self.foreign(Ref(difference.kind, "", difference.name))

    def _there(self, ref: Ref) -> tuple[bool, int]:
        mark = self.now.mark(ref.kind, ref.name)
        return mark is not None and self.before.mark(ref.kind, ref.name) != mark, mark or 0


def needed(undo: Undo, step: Step, seen: Seen) -> Undo | None:
    """Give the undo with the values recorded before, or None when nothing is left to undo."""
    if not undo.texts:
        return None
    does, inner = step.effect, step.words
    if step.said.undo is not None or step.netns:
        return undo
    if does.makes and does.makes[0].kind != "chain":
        return undo if any(seen.ours(ref) for ref in does.makes if not ref.netns) else None
    if does.makes:
        return (
            undo
            if _chain(does.makes[0], seen.now) and not _chain(does.makes[0], seen.before)
            else None
        )
    if path := setting(inner):
        return _setting(undo, path, seen)
    if inner[0] in ("iptables", "ip6tables"):
        return _rule(undo, inner, seen)
    if inner[:2] == ("ip", "link"):
        return _link(undo, inner, does.on, seen)
    if inner[1] == "address":
        return undo if _has(seen.now, inner) and not _has(seen.before, inner) else None
    if does.on and does.on.kind == "route":
        return None if _routed(does.on.name.split(), seen.before) else undo
    if inner[0] == "tc" and does.on:
        return None if _shaper(does.on, seen.before) == _shaper(does.on, seen.now) else undo
    return undo


def _setting(undo: Undo, path: str, seen: Seen) -> Undo | None:
    old, now = seen.before.settings.get(path), seen.now.settings.get(path)
    if old == now:
        return None
    text = f"echo {' '.join((old or '').split())} | tee {path}"
    try:
        split(text)
    except CnetshError:
        # Its value cannot be typed so; what differs in the end is put back in another way.
        return None
    return replace(undo, texts=(text,))


def _chain(ref: Ref, snapshot: Snapshot) -> bool:
    tool, table, chain = ref.name.split()
    tables = (snapshot.rules.get(f"{one} {table}", []) for one in (tool, f"{tool}-legacy"))
    return any(
        line.split()[0] == f":{chain}" for lines in tables for line in lines if line[0] == ":"
    )


def _rule(undo: Undo, inner: tuple[str, ...], seen: Seen) -> Undo | None:
    """Delete our rule: by its text, or by its number where the same rule was there before ours."""
    tool, table, chain, wanted = rule_of(inner)
    before = _positions(seen.before, tool, table, chain, wanted)
    now = _positions(seen.now, tool, table, chain, wanted)
    if not now and not before:
        # Some rules iptables-save words otherwise than they are typed; iptables -D knows them.
        key, start = f"{tool} {table}", f"-A {chain} "
        was, is_now = (
            sum(line.startswith(start) for line in one.rules.get(key, ()))
            for one in (seen.before, seen.now)
        )
        return undo if is_now > was else None
    if len(now) <= len(before):
        return None
    if not before:
        return undo
    at = now[-1] if "-A" in inner else now[0]
    words = inner[: inner.index("-A" if "-A" in inner else "-I")]
    return replace(undo, texts=(shlex.join((*words, "-D", chain, str(at))),))


def count_of(words: Sequence[str], snapshot: Snapshot) -> int:
    """Give how often the rule of an iptables -A or -I command is there."""
    return len(_positions(snapshot, *rule_of(words)))


def rule_of(words: Sequence[str]) -> tuple[str, str, str, tuple[str, ...]]:
    """Give tool, table, chain and the rule in the form that iptables-save prints."""
    table = words[words.index("-t") + 1] if "-t" in words else "filter"
    at = next(at for at, word in enumerate(words) if word in ("-A", "-I"))
    return words[0], table, words[at + 1], canonical(words[at + 2 :])


def canonical(rule: Sequence[str]) -> tuple[str, ...]:
    """Give a rule as the kernel keeps it: the network 172.18.0.0/12 is 172.16.0.0/12."""
    return tuple(
        network(word) if last in ("-s", "-d") else word
        for last, word in zip(("", *rule), rule, strict=False)
    )


def network(word: str) -> str:
    """Give a network or an address of a route as the kernel keeps it, any other word as it is."""
    if word in ("0.0.0.0/0", "::/0"):
        return "default"
    try:
        return str(ipaddress.ip_network(_whole(word), strict=False))
    except ValueError:
        return word


def _whole(word: str) -> str:
    """Give an address that is typed short with all its parts: 10.88/16 is 10.88.0.0/16."""
    address, slash, length = word.partition("/")
    parts = "" if ":" in address else ".0" * (3 - address.count("."))
    return f"{address}{parts}{slash}{length}"


def _positions(
    snapshot: Snapshot, tool: str, table: str, chain: str, wanted: tuple[str, ...]
) -> list[int]:
    """Give the numbers, from 1, of the rules of a chain that are the wanted one."""
    lines = snapshot.rules.get(f"{tool} {table}", [])
    rules = [shlex.split(line)[2:] for line in lines if line.startswith(f"-A {chain} ")]
    return [at for at, rule in enumerate(rules, 1) if canonical(rule) == wanted]


def _link(undo: Undo, inner: tuple[str, ...], link: Ref | None, seen: Seen) -> Undo | None:
    name = link.name if link else ""
    old, now = seen.before.links.get(name), seen.now.links.get(name)
    if old is None or now is None or old["ifindex"] != now["ifindex"]:
        return None
    key = "up" if inner[-1] in ("up", "down") else inner[-2]
    if old.get(key) == now.get(key):
        return None
    if key == "master" and old.get("master"):
        return replace(
            undo, texts=(shlex.join(("ip", "link", "set", "dev", name, "master", old["master"])),)
        )
    return undo


def _has(snapshot: Snapshot, inner: tuple[str, ...]) -> bool:
    address, dev = interface(inner[3]), inner[5]
    return any(one["dev"] == dev and one["address"] == address for one in snapshot.addresses)


def interface(word: str) -> str:
    """Give an address with its prefix as ip prints it: FD00:0::1/64 is fd00::1/64."""
    try:
        return str(ipaddress.ip_interface(_whole(word)))
    except ValueError:
        return word


def _routed(words: Sequence[str], snapshot: Snapshot) -> bool:
    """Say whether a route is there, in the form that the kernel keeps."""
    wanted = {"dst": words[0], **dict(zip(words[1::2], words[2::2], strict=True))}
    keys = {"via": "gateway", "src": "prefsrc"}
    return any(
        all(network(str(route.get(keys.get(key, key)))) == network(value)
            for key, value in wanted.items())
        for route in snapshot.routes
    )  # fmt: skip


def _shaper(link: Ref, snapshot: Snapshot) -> str | None:
    return snapshot.links.get(link.name, {}).get("qdisc")


@dataclass(frozen=True, slots=True)
class Touched:
    """What steps make or change in the target's own namespace.

    names: of links and namespaces. settings: the paths written. rules: the steps of iptables.
    """

    names: frozenset[str]
    settings: frozenset[str]
    rules: tuple[Step, ...]


def touched(steps: Sequence[Step]) -> Touched:
    """Give what steps make or change, for many questions to `concerns`."""
    here = [step for step in steps if not step.netns]
    return Touched(
        frozenset(name for step in here for name in _names(step)),
        frozenset(path for step in here if (path := setting(step.inner))),
        tuple(step for step in here if step.inner[0].endswith("tables")),
    )


def concerns(difference: Difference, by: Touched) -> bool:
    """Say whether a difference is of something that steps made or changed.

    What others did to the host meanwhile is theirs, and is neither put back nor called residue.
    """
    kind, name = difference.kind, difference.name
    if kind == "setting":
        return name in by.settings or any(_family(path, name) for path in by.settings)
    if kind == "rule":
        return any(_of_rule(name, step) for step in by.rules)
    return name in by.names


def _family(written: str, path: str) -> bool:
    """ip_forward sets every interface's forwarding and turns accept_redirects (ip-sysctl.rst)."""
    return (
        written.endswith(("/ip_forward", "/conf/all/forwarding"))
        and path.endswith(FORWARDING)
        and path.split("/")[4] == written.split("/")[4]
    )


def _of_rule(line: str, step: Step) -> bool:
    inner = step.inner
    if "-N" in inner:
        return line.split()[0] == f":{inner[-1]}" or line.startswith(f"-A {inner[-1]} ")
    if "-A" not in inner and "-I" not in inner:
        return False
    _, _, chain, wanted = rule_of(inner)
    words = shlex.split(line)
    return words[:2] == ["-A", chain] and canonical(words[2:]) == wanted


def _names(step: Step) -> set[str]:
    """Give the names of the links and namespaces of the target's own that a step is about."""
    does, words = step.effect, step.words[3:]
    names = {ref.name for ref in (*does.makes, does.on) if ref and not ref.netns}
    for word in ("master", "dev", "link"):
        if word in words[:-1]:
            names.add(words[words.index(word) + 1])
    return names
