"""A network as it can be drawn: what a plan builds, or what the kernel has."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from cnetsh.plan.steps import Plan
from cnetsh.system.process import Run
from cnetsh.views.picture.drawing import as_ascii, as_dot, as_mermaid
from cnetsh.views.picture.segments import Drop, End, Graph, Segment
from cnetsh.views.picture.svg import as_svg

_FORMS = {"ascii": as_ascii, "mermaid": as_mermaid, "dot": as_dot, "svg": as_svg}


@dataclass(slots=True)
class _Found:
    """What has been seen so far."""

    namespaces: list[str] = field(default_factory=lambda: [""])
    bridges: list[str] = field(default_factory=list)
    cables: list[tuple[End, End]] = field(default_factory=list)
    shared: list[tuple[str, End]] = field(default_factory=list)
    moved: dict[End, End] = field(default_factory=dict)
    masters: dict[str, str] = field(default_factory=dict)
    addresses: dict[End, list[str]] = field(default_factory=dict)
    routes: dict[str, list[str]] = field(default_factory=dict)


def draw(graph: Graph, form: str) -> str:
    """Give the graph as text; form is ascii, mermaid, dot or svg."""
    return _FORMS[form](graph)


def from_plan(plan: Plan) -> Graph:
    """Give what the plan's steps build, whatever template they come from."""
    found = _Found()
    for step in plan.steps:
        if step.kind == "change":
            _read(found, step.netns, step.inner)
    return _graph(plan.title or plan.lab, found)


def _read(found: _Found, netns: str, words: Sequence[str]) -> None:
    match words:
        case ("ip", "netns", "add", name):
            found.namespaces.append(name)
        case ("ip", "link", "add", *rest):
            _read_link(found, netns, rest)
        case ("ip", "link", "set", "dev", name, "master", bridge) | (
            ("ip", "link", "set", name, "master", bridge)
        ) if not netns:
            found.masters[name] = bridge
        case ("ip", "link", "set", name, "netns", other):
            found.moved[netns, name] = (other, name)
        case ("ip", "address" | "addr", "add", address, "dev", link, *_):
            found.addresses.setdefault((netns, link), []).append(address)
        case ("ip", "route", "add", *route):
            found.routes.setdefault(netns, []).append(" ".join(route))


def _read_link(found: _Found, netns: str, rest: Sequence[str]) -> None:
    kind = _after(rest, "type", "")
    name = rest[0] if rest[0] not in ("name", "link") else _after(rest, "name", "")
    first, _, second = (" ".join(rest)).partition(" peer ")
    here = _after(first.split(), "netns", netns)
    if kind == "bridge" and not here:
        found.bridges.append(name)
    elif kind == "macvlan":
        found.shared.append((_after(rest, "link", ""), (here, name)))
    elif kind == "veth":
        far = second.split()
        found.cables.append(((here, name), (_after(far, "netns", netns), _after(far, "name", ""))))


def _after(words: Sequence[str], key: str, otherwise: str) -> str:
    return words[words.index(key) + 1] if key in words[:-1] else otherwise


def live(run: Run) -> Graph:
    """Give what the target's kernel has: its own namespace and the named ones."""
    names = sorted(entry["name"] for entry in _json(run, "ip", "-j", "netns", "list"))
    found = _Found(namespaces=["", *names])
    links = {netns: _json(run, *_in(netns), "-j", "-d", "address") for netns in found.namespaces}
    for netns, entries in links.items():
        _see_links(found, netns, entries)
        for version in ("-4", "-6"):
            routes = _json(run, *_in(netns), version, "-j", "route")
            found.routes.setdefault(netns, []).extend(
                f"{route['dst']} via {route['gateway']}" for route in routes if "gateway" in route
            )
    _see_cables(found, links, {netns: _ids(run, netns) for netns in found.namespaces})
    return _graph("", found)


def _in(netns: str) -> list[str]:
    return ["ip", "-n", netns] if netns else ["ip"]


def _json(run: Run, *argv: str) -> list[dict[str, Any]]:
    # A link of somebody else's may have a control character in its name: not strict.
    entries = json.loads(run(argv).stdout or "[]", strict=False)
    return [entry for entry in entries if entry]


def _ids(run: Run, netns: str) -> dict[int, str]:
    """Give the names of namespaces by the number that one namespace knows them by."""
    listed = _json(run, *_in(netns), "-j", "netns", "list")
    return {entry["id"]: entry["name"] for entry in listed if "id" in entry}


def _see_links(found: _Found, netns: str, entries: Iterable[dict[str, Any]]) -> None:
    for entry in entries:
        name, kind = entry["ifname"], entry.get("linkinfo", {}).get("info_kind")
        if kind == "bridge" and not netns:
            found.bridges.append(name)
        if kind == "macvlan":
            found.shared.append((entry.get("link", "a link of the host"), (netns, name)))
        if "master" in entry and not netns:
            found.masters[name] = entry["master"]
        for known in entry.get("addr_info", ()):
            if known.get("scope") == "global":
                text = f"{known['local']}/{known['prefixlen']}"
                found.addresses.setdefault((netns, name), []).append(text)


def _see_cables(
    found: _Found, links: dict[str, list[dict[str, Any]]], ids: dict[str, dict[int, str]]
) -> None:
    """Pair the ends: each tells the other's number, and by which number it knows its namespace."""
    places: dict[tuple[str | None, int], str] = {
        (netns, entry["ifindex"]): entry["ifname"]
        for netns, entries in links.items()
        for entry in entries
    }
    seen: set[End] = set()
    for netns, entries in links.items():
        for entry in entries:
            here = (netns, entry["ifname"])
            if entry.get("linkinfo", {}).get("info_kind") != "veth" or here in seen:
                continue
            number = entry.get("link_netnsid")
            there = netns if number is None else ids[netns].get(number)
            peer = entry.get("link") or places.get((there, entry.get("link_index", 0)))
            if there is not None and peer:
                seen |= {here, (there, peer)}
                found.cables.append((here, (there, peer)))


def _graph(title: str, found: _Found) -> Graph:
    addresses = {end: tuple(texts) for end, texts in found.addresses.items()}
    drops: dict[str, list[Drop]] = {name: [] for name in (*found.bridges, *found.masters.values())}
    cables = []
    for pair in found.cables:
        one, two = (found.moved.get(end, end) for end in pair)
        for near, far in ((one, two), (two, one)):
            if not near[0] and near[1] in found.masters:
                drops[found.masters[near[1]]].append(Drop(*far, near[1]))
                break
        else:
            cables.append(_cable(one, two, addresses))
    bridges = [
        Segment(name, "bridge", True, addresses.get(("", name), ()), tuple(on))
        for name, on in drops.items()
    ]
    parents = dict.fromkeys(parent for parent, _ in found.shared)
    shared = [_shared(parent, found, addresses) for parent in parents]
    routes = {netns: tuple(lines) for netns, lines in found.routes.items() if lines}
    segments = (*bridges, *shared, *cables)
    return Graph(title, tuple(found.namespaces), segments, addresses, routes)


def _cable(one: End, two: End, addresses: dict[End, tuple[str, ...]]) -> Segment:
    near = [end for end in (one, two) if not end[0]]
    far = [end for end in (one, two) if end[0]]
    own = tuple(text for end in near for text in addresses.get(end, ()))
    host_end = near[0][1] if near else ""
    drops = tuple(Drop(netns, link, host_end) for netns, link in far)
    return Segment(" - ".join(end[1] for end in (near or far)), "cable", bool(near), own, drops)


def _shared(parent: str, found: _Found, addresses: dict[End, tuple[str, ...]]) -> Segment:
    drops = tuple(Drop(netns, link, "") for name, (netns, link) in found.shared if name == parent)
    return Segment(parent, "macvlan", True, addresses.get(("", parent), ()), drops)
