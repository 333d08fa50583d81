"""How a fact that differs is told."""

from typing import Any

from cnetsh import kinds
from cnetsh.kinds import rule
from cnetsh.kinds.change import Fact, unquoted


def told(fact: Fact, was: Any, is_now: Any) -> list[str]:
    """Give the lines that say how a fact differs."""
    ref = fact.ref
    if fact.key == "rules":
        return _rules_told(ref.name, was or [], is_now or [])
    if ref.kind == "setting" or fact.key == "policy":
        name = ref.name if ref.kind == "setting" else f"{kinds.called(ref)}: {fact.key}"
        return [f"{name} was {was}, is {is_now}"]
    if fact.key and not isinstance(was or is_now, dict):
        return [f"{kinds.called(ref)}: {fact.key} was {was}, is {is_now}"]
    named = kinds.called(ref, is_now if was is None else was)
    if was is None:
        return [f"{named} is new"]
    if is_now is None:
        return [f"{named} is gone"]
    if not isinstance(was, dict):
        return [f"{named} is another one than before"]
    then = kinds.called(ref, is_now)
    if then != named:
        return [f"{named} is now {then}"]
    # Not all that it has is in what it is called by.
    return [f"{named}: {key} was {was.get(key, 'none')}, is {is_now.get(key, 'none')}"
            for key in {**was, **is_now} if was.get(key) != is_now.get(key)]  # fmt: skip


def _rules_told(chain: str, was: list[str], is_now: list[str]) -> list[str]:
    tool, table, name = chain.split()
    if sorted(was) == sorted(is_now):
        return [f"{tool} {table}: the order of the rules of {name} is another one"]
    lines = [f"{tool} {table}: -A {name} {is_now[at]} is new" for at in rule.added(was, is_now)]
    gone = [f"{tool} {table}: -A {name} {was[at]} is gone" for at in rule.added(is_now, was)]
    return [unquoted(line) for line in lines + gone]
