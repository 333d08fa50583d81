"""How two snapshots differ, line by line, each with the command that mends it."""

import shlex
from collections.abc import Iterator
from typing import NamedTuple

from cnetsh import kinds
from cnetsh.compare.snapshot import MARKED, NETNS, Snapshot, state_of
from cnetsh.kinds.change import PLACE, Change, Facts, Make, Ref, Remove, Set, State

# The order in which mending has to run.
_ORDER = ("link", "queue", "address", "neighbour", "route", "rule", "chain", "setting", "netns")


class Difference(NamedTuple):
    """One line of what differs: the object's kind and name, the text, the command that mends it.

    The name of what hangs on a link is the link's. command is an argument vector and what it reads;
    empty where no command can mend it.
    """

    kind: str
    name: str
    text: str
    command: tuple[str, ...] = ()
    stdin: str = ""


def differences(before: Snapshot, now: Snapshot) -> list[Difference]:
    """Give every difference, in the order in which the mending commands have to run."""
    was, is_now = state_of(before), state_of(now)
    refs = sorted({**was, **is_now}, key=_place)
    lines = [line for ref in refs for line in _differs(ref, was, is_now)]
    return [*lines, *_orders_differ(before, now), *_policy_differs(before, now)]


def _place(ref: Ref) -> tuple[int, bool, str]:
    order = _ORDER.index(ref.kind) if ref.kind in _ORDER else len(_ORDER)
    # ip_forward first: writing it sets the others (kernel: Documentation/networking/ip-sysctl.rst).
    return order, not ref.name.endswith("/ip_forward"), ref.name


def _differs(ref: Ref, before: State, now: State) -> Iterator[Difference]:
    was, is_now = before.get(ref, []), now.get(ref, [])
    if ref.kind not in MARKED | {"setting"}:
        yield from _listed(ref, before, now, "new")
        yield from _listed(ref, now, before, "gone")
    elif was and is_now:
        same = all(was[0].get(key) == is_now[0].get(key) for key in ("ifindex", "mark", "kind"))
        another = Difference(ref.kind, ref.name, f"{kinds.called(ref)} is another one than before")
        yield from _values_differ(ref, was[0], is_now[0]) if same else [another]
    elif is_now and ref.kind != "setting":
        ghost = f"{NETNS}/{ref.name} is a file without one"
        empty = ref.kind == "netns" and not is_now[0]["mark"]
        yield _line(ref, ghost if empty else f"{kinds.called(ref)} is new", Remove(ref))
    elif was and ref.kind != "setting":
        yield Difference(ref.kind, ref.name, f"{kinds.called(ref)} is gone")


def _values_differ(ref: Ref, was: Facts, is_now: Facts) -> Iterator[Difference]:
    name = ref.name if ref.kind == "setting" else f"{kinds.called(ref)}:"
    for key in sorted((was.keys() | is_now.keys()) - PLACE):
        old, new = was.get(key), is_now.get(key)
        if old != new:
            words = name if ref.kind == "setting" else f"{name} {key}"
            yield _line(ref, f"{words} was {old}, is {new}", Set(ref, key, old))


def _listed(ref: Ref, less: State, more: State, word: str) -> Iterator[Difference]:
    """Tell what there is more of under one name, but for what came or went with its whole link."""
    # Counted, for two equal rules are two.
    left = [_what(facts) for facts in less.get(ref, ())]
    for facts in map(_what, more.get(ref, ())):
        link = Ref("link", "", facts.get("dev", ""))
        if facts in left:
            left.remove(facts)
        elif link in less or link not in more:
            mend = Remove(ref, facts) if word == "new" else Make(ref, facts)
            yield _line(ref, f"{kinds.called(ref, facts)} is {word}", mend)


def _what(facts: Facts) -> Facts:
    return {key: value for key, value in facts.items() if key not in PLACE}


def _line(ref: Ref, text: str, mend: Change) -> Difference:
    if isinstance(mend, Set) and ref.kind == "setting":
        # Not by way of its text: some values cannot be typed.
        return Difference(ref.kind, ref.name, text, ("tee", ref.name), f"{mend.value}\n")
    facts = {} if isinstance(mend, Set) else mend.facts  # type: ignore[union-attr]
    commands = kinds.write(mend) if "policy" not in facts else ()
    name = facts.get("dev", ref.name)
    return Difference(ref.kind, name, text, tuple(shlex.split(commands[-1])) if commands else ())


def _orders_differ(before: Snapshot, now: Snapshot) -> Iterator[Difference]:
    for key in before.rules.keys() & now.rules.keys():
        was, is_now = before.rules[key], now.rules[key]
        if was != is_now and sorted(was) == sorted(is_now):
            yield Difference("rule", key, f"{key}: the order of the rules is another one")


def _policy_differs(before: Snapshot, now: Snapshot) -> Iterator[Difference]:
    for word, more, less in (("new", now, before), ("gone", before, now)):
        for entry in more.policy:
            if entry not in less.policy:
                yield Difference("policy", "", f"ip rule {entry} is {word}")
