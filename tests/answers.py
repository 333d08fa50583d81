"""What a kernel could have answered, as the state that is read from it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from cnetsh import kinds
from cnetsh.doctor.asked import requirements_of
from cnetsh.doctor.diagnose import diagnose
from cnetsh.doctor.evidence import Evidence
from cnetsh.doctor.finding import Finding
from cnetsh.forwarding.predict import Surprise
from cnetsh.kinds.change import NOTHING, Answers, State
from cnetsh.plan.steps import Plan, Step


def seen(
    links: Mapping[str, Mapping[str, Any]] = NOTHING,
    addresses: Sequence[Mapping[str, Any]] = (),
    rules: Mapping[str, Sequence[str]] = NOTHING,
    **more: Any,
) -> State:
    """The state of links by name, their addresses, the lines of each table, and other answers."""
    named = {**{one["dev"]: {} for one in addresses}, **links}
    answered = [_link(name, facts, addresses) for name, facts in named.items()]
    return kinds.see(Answers(addresses=answered, saved=_saved(rules), **more))


def diagnosed(
    plan: Plan | None,
    on_host: bool,
    facts: Evidence,
    new: Iterable[Step] = (),
    surprises: Iterable[Surprise] = (),
) -> list[Finding]:
    """What doctor finds of a plan where these facts are so."""
    asked = requirements_of(plan) if plan else None
    return diagnose(on_host, replace(facts, asked=asked), new, surprises)


def _link(
    name: str, facts: Mapping[str, Any], addresses: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """A link as `ip -j -d address` tells of it; kind and up are short for what is said there."""
    info = [
        dict(zip(("local", "prefixlen"), one["address"].split("/"), strict=True), scope="global")
        for one in addresses
        if one["dev"] == name
    ]
    said = {"ifindex": 7, "flags": ["UP"] if facts.get("up") else []}
    said["linkinfo"] = {"info_kind": facts.get("kind", "")}
    return {"ifname": name, **said, **facts, "addr_info": info}


def _saved(rules: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """What each tool's -save prints of its tables."""
    texts: dict[str, str] = {}
    for key, lines in rules.items():
        tool, _, table = key.partition(" ")
        texts[tool] = texts.get(tool, "") + "\n".join([f"*{table}", *lines, ""])
    return texts
