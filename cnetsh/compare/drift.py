"""Whether what a plan made is still there as it was planned: each object missing or changed."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cnetsh.compare import needed
from cnetsh.compare.needed import network
from cnetsh.compare.snapshot import NETNS, Facts, Snapshot
from cnetsh.inverse import Ref, setting
from cnetsh.plan.steps import Step
from cnetsh.resolvers import FILE
from cnetsh.system import namespace
from cnetsh.system.process import Run

ASK = "address show\nroute show table all\n"


@dataclass(frozen=True, slots=True)
class Seen:
    """One namespace as it is: links by name, (link, address) pairs and routes."""

    links: Mapping[str, Facts]
    addresses: frozenset[tuple[str, str]]
    routes: Sequence[Facts]


def drift(steps: Sequence[Step], now: Snapshot, made: Mapping[str, Any], run: Run) -> list[str]:
    """Give a line for each planned object that is missing or not as planned.

    made: the identities that the journal has, by "kind name".
    """
    seen: dict[str, Seen | None] = {"": _of_snapshot(now)}
    gone = {does.on for does in (step.effect for step in steps) if does.moves and does.on}
    lines = []
    for step in _in_force(steps):
        if step.netns not in seen:
            seen[step.netns] = _look(step.netns, now, run)
        found = seen[step.netns]
        texts = [*_off(step, found, now, made, gone), *_rule_off(step, now, run)]
        lines += [f"{text} (planned: {step.text})" for text in texts]
    return lines + list(_files_off(steps))


def _in_force(steps: Iterable[Step]) -> list[Step]:
    """Leave out what a later move has taken away: a link loses its state when it is moved."""
    kept: list[Step] = []
    for step in steps:
        does = step.effect
        if does.kind != "change":
            continue
        if does.moves:
            kept = [one for one in kept if one.effect.on != does.on]
        kept.append(step)
    return kept


def _of_snapshot(now: Snapshot) -> Seen:
    pairs = frozenset((one["dev"], one["address"]) for one in now.addresses)
    return Seen(now.links, pairs, now.routes)


def _look(netns: str, now: Snapshot, run: Run) -> Seen | None:
    if not now.namespaces.get(netns):
        return None
    argv = ("ip", "-j", "-d", "-batch", "-")
    answer = namespace.inside(str(NETNS / netns), lambda: run(argv, stdin=ASK))
    parts = [json.loads(line, strict=False) for line in answer.stdout.split("\n") if line]
    links, routes = parts if len(parts) == 2 else ([], [])
    facts = {one["ifname"]: {"up": "UP" in one["flags"]} for one in links if "ifname" in one}
    pairs = frozenset(
        (one["ifname"], f"{info.get('local')}/{info.get('prefixlen')}")
        for one in links
        for info in one.get("addr_info", ())
    )
    return Seen(facts, pairs, routes)


def _off(
    step: Step, seen: Seen | None, now: Snapshot, made: Mapping[str, Any], gone: set[Ref]
) -> Iterator[str]:
    if seen is None:
        yield f"namespace {step.netns} is missing"
        return
    inner, does = step.inner, step.effect
    for ref in does.makes:
        if not ref.netns and ref not in gone:
            yield from _made(ref, now, made)
    if (path := setting(inner)) and not step.netns:
        value = now.settings.get(path, step.stdin)
        if value.split() != step.stdin.split():
            yield f"{path} is {value}"
    if inner[0] == "ip":
        yield from _ip_off(step.words, does.on, seen)


def _rule_off(step: Step, now: Snapshot, run: Run) -> Iterator[str]:
    inner = step.inner
    if step.netns or not inner[0].endswith("tables") or not {"-A", "-I"} & set(inner):
        return
    if not needed.count_of(inner, now):
        # Some rules iptables-save words otherwise than they are typed; iptables -C knows them.
        asked = tuple("-C" if word in ("-A", "-I") else word for word in inner)
        if run(asked).exit_code:
            yield f"rule {' '.join(inner)} is missing"


def _files_off(steps: Iterable[Step]) -> Iterator[str]:
    planned: dict[str, str] = {}
    for step in steps:
        if step.text.endswith(FILE) and step.stdin:
            path = step.inner[-1]
            planned[path] = planned.get(path, "") + step.stdin
    for path, text in planned.items():
        if (found := _text(path)) != text:
            wanted = "; ".join(text.split("\n")[:-1])
            yield f"{path} is {'changed' if found else 'missing'} (planned: {wanted})"


def _text(path: str) -> str:
    with suppress(OSError):
        return Path(path).read_text(errors="replace")
    return ""


def _made(ref: Ref, now: Snapshot, made: Mapping[str, Any]) -> Iterator[str]:
    mark, known = now.mark(ref.kind, ref.name), made.get(f"{ref.kind} {ref.name}")
    if known and mark is None:
        yield f"{ref.kind} {ref.name} is missing"
    elif known and known[0] != mark:
        yield f"{ref.kind} {ref.name} is another one than the lab made"


def _ip_off(inner: tuple[str, ...], on: Ref | None, seen: Seen) -> Iterator[str]:
    match inner[1:]:
        case ("address", "add", address, "dev", link, *_):
            if (link, needed.interface(address)) not in seen.addresses:
                yield f"address {address} on {link} is missing"
        case ("link", "set", *_, "up" | "down" as state) if on:
            if on.name not in seen.links:
                yield f"link {on.name} is missing"
            elif seen.links[on.name].get("up") != (state == "up"):
                yield f"link {on.name} is not {state}"
        case ("link", "set", *_, "master", bridge) if on and on.name in seen.links:
            if seen.links[on.name].get("master") != bridge:
                yield f"link {on.name} is not a port of {bridge}"
        case ("link", "set", *_, "hairpin", state) if on and on.name in seen.links:
            if seen.links[on.name].get("hairpin", "off") != state:
                yield f"hairpin of {on.name} is not {state}"
        case ("route", "add", dst, *rest):
            if not any(_is_route(route, dst, rest) for route in seen.routes):
                yield f"route {dst} {' '.join(rest)} is missing"


def _is_route(route: Facts, dst: str, rest: Sequence[str]) -> bool:
    wanted = dict(zip(rest[::2], rest[1::2], strict=False))
    gateway = network(route.get("gateway", ""))
    return (
        network(route.get("dst", "")) == network(dst)
        and network(wanted.get("via", "")) in ("", gateway)
        and wanted.get("dev") in (None, route.get("dev"))
    )
