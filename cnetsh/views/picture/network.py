"""A network in the terms of its pictures: what hears each other, and the containers on it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from cnetsh.kinds.change import Facts, Ref, State
from cnetsh.names import visible

Place: TypeAlias = tuple[str, str]  # namespace ("" is the host), link
Key = TypeVar("Key")
Value = TypeVar("Value")
_NAMES = {"bridge": "bridge", "macvlan": "shared link", "cable": "cable"}


@dataclass(frozen=True, slots=True)
class Drop:
    """One container's way onto a segment: by the cable's host end, if it has one."""

    namespace: str
    link: str
    host_end: str


@dataclass(frozen=True, slots=True)
class Segment:
    """What hears each other: a bridge, a cable or a shared link, with the containers on it.

    kind is bridge, cable or macvlan; addresses are the host's on it.
    """

    name: str
    kind: str
    on_host: bool
    addresses: tuple[str, ...]
    drops: tuple[Drop, ...]


@dataclass(frozen=True, slots=True)
class Graph:
    """Namespaces ("" is the host), segments, and each link's addresses and namespace's routes."""

    title: str
    namespaces: tuple[str, ...]
    segments: tuple[Segment, ...]
    addresses: dict[Place, tuple[str, ...]]
    routes: dict[str, tuple[str, ...]]


def graph_of(title: str, state: State) -> Graph:
    """Give what a state shows, whether a plan leaves it or the kernel has it."""
    links = {ref: found[0] for ref, found in state.items() if ref.kind == "link"}
    made = (ref.name for ref in state if ref.kind == "netns")
    # A plan may also put a link into a namespace that somebody else has made.
    namespaces = tuple(dict.fromkeys(["", *made, *(ref.netns for ref in links)]))
    # What the kernel gives a link by itself has a narrower scope, and is not told by a plan.
    addresses = _grouped(
        ((ref.netns, facts["dev"]), ref.name)
        for ref, facts in _of_kind(state, "address")
        if facts.get("scope", "global") == "global"
    )
    # Only routes over a next hop: the others say what the addresses say.
    routes = _grouped(
        (ref.netns, f"{ref.name} via {facts['via']}")
        for ref, facts in _of_kind(state, "route")
        if "via" in facts
    )
    return Graph(title, namespaces, tuple(_segments(links, addresses)), addresses, routes)


def _of_kind(state: State, kind: str) -> Iterator[tuple[Ref, Facts]]:
    return ((ref, facts) for ref, found in state.items() if ref.kind == kind for facts in found)


def _grouped(pairs: Iterable[tuple[Key, Value]]) -> dict[Key, tuple[Value, ...]]:
    found: dict[Key, list[Value]] = {}
    for key, value in pairs:
        found.setdefault(key, []).append(value)
    return {key: tuple(values) for key, values in found.items()}


def _segments(
    links: dict[Ref, Facts], addresses: dict[Place, tuple[str, ...]]
) -> Iterator[Segment]:
    """Give the host's bridges, then its links that containers share, then cables in no bridge."""
    cables = list(_cables(links))
    plugged = _grouped(
        (bridge, Drop(far.netns, far.name, near.name)) for bridge, near, far in cables if bridge
    )
    own = (ref for ref, facts in links.items() if facts.get("kind") == "bridge")
    # A bridge may have nothing in it, or be somebody else's, of which a plan tells the name alone.
    for name in dict.fromkeys([*(ref.name for ref in own if not ref.netns), *plugged]):
        on_it = plugged.get(name, ())
        yield Segment(name, "bridge", True, addresses.get(("", name), ()), on_it)
    for parent, drops in _grouped(_macvlans(links)).items():
        yield Segment(parent, "macvlan", True, addresses.get(("", parent), ()), drops)
    for bridge, near, far in cables:
        if not bridge:
            yield _cable(near, far, addresses)


def _cables(links: dict[Ref, Facts]) -> Iterator[tuple[str, Ref, Ref]]:
    """Give each cable once: the host's bridge that an end is in, that end, and the other one."""
    seen = set()
    for one, facts in links.items():
        two = facts.get("peer")
        if two is None or one in seen:
            continue
        seen.add(two)
        for near, far in ((one, two), (two, one)):
            if not near.netns and (bridge := links[near].get("master")):
                yield bridge, near, far
                break
        else:
            yield "", one, two


def _cable(one: Ref, two: Ref, addresses: dict[Place, tuple[str, ...]]) -> Segment:
    near = [end for end in (one, two) if not end.netns]
    far = [end for end in (one, two) if end.netns]
    name = " - ".join(end.name for end in (near or far))
    own = tuple(text for end in near for text in addresses.get(("", end.name), ()))
    host_end = near[0].name if near else ""
    drops = tuple(Drop(end.netns, end.name, host_end) for end in far)
    return Segment(name, "cable", bool(near), own, drops)


def _macvlans(links: dict[Ref, Facts]) -> Iterator[tuple[str, Drop]]:
    for ref, facts in links.items():
        if facts.get("kind") == "macvlan":
            parent = facts["on"].name if "on" in facts else "a link of the host"
            yield parent, Drop(ref.netns, ref.name, "")


def by_namespace(segments: Iterable[Segment]) -> dict[str, tuple[Drop, ...]]:
    """Give each container's ways onto the segments, in their order."""
    return _grouped((drop.namespace, drop) for segment in segments for drop in segment.drops)


def headline(segment: Segment) -> list[str]:
    """Give a segment's name, what it is where that is not plain, and the host's addresses on it."""
    return [f"{_NAMES[segment.kind]} {visible(segment.name)}", *map(visible, segment.addresses)]


def labels(graph: Graph) -> dict[str, list[str]]:
    """Give what stands in each container's box: its name, its links' addresses, its routes."""
    ways = by_namespace(graph.segments)
    # The host has a box only where both ends of a cable are its own.
    names = [name for name in graph.namespaces if name or name in ways]
    found = {}
    for name in names:
        links = dict.fromkeys(drop.link for drop in ways.get(name, ()))
        own = [f"{link}  {on_link(graph, name, link)}".rstrip() for link in links]
        lines = (name or "host", *own, *graph.routes.get(name, ()))
        found[name] = [visible(line) for line in lines]
    return found


def on_link(graph: Graph, namespace: str, link: str) -> str:
    """Give the addresses of a link."""
    return visible(" ".join(graph.addresses.get((namespace, link), ())))
