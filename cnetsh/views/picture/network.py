"""A network in the terms of its pictures: what hears each other, and the containers on it."""

from collections.abc import Iterator
from dataclasses import dataclass

from cnetsh.kinds.change import Facts, Ref, State

Place = tuple[str, str]  # namespace ("" is the host), link


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
    namespaces = ["", *(ref.name for ref in state if ref.kind == "netns")]
    addresses = _addresses(state)
    drops, cables = _plugged(links, addresses)
    bridges = (
        Segment(name, "bridge", True, addresses.get(("", name), ()), tuple(on))
        for name, on in drops.items()
    )
    segments = (*bridges, *_on_links(links, addresses), *cables)
    return Graph(title, tuple(namespaces), segments, addresses, _routes(state))


def _addresses(state: State) -> dict[Place, tuple[str, ...]]:
    """Give the addresses of each link, but for those that the kernel gives by itself."""
    found: dict[Place, tuple[str, ...]] = {}
    for ref in state:
        for one in state[ref] if ref.kind == "address" else ():
            if one.get("scope", "global") == "global":
                place = (ref.netns, one["dev"])
                found[place] = (*found.get(place, ()), ref.name)
    return found


def _routes(state: State) -> dict[str, tuple[str, ...]]:
    """Give for each namespace the routes that lead over a next hop."""
    found: dict[str, tuple[str, ...]] = {}
    for ref in state:
        for one in state[ref] if ref.kind == "route" else ():
            if "via" in one:
                found[ref.netns] = (*found.get(ref.netns, ()), f"{ref.name} via {one['via']}")
    return found


def _plugged(
    links: dict[Ref, Facts], addresses: dict[Place, tuple[str, ...]]
) -> tuple[dict[str, list[Drop]], list[Segment]]:
    """Give the drops of each bridge of the host, and the cables that are in none."""
    bridges = (ref for ref, facts in links.items() if facts.get("kind") == "bridge")
    drops: dict[str, list[Drop]] = {ref.name: [] for ref in bridges if not ref.netns}
    cables, done = [], set()
    for one, facts in links.items():
        two = facts.get("peer")
        if two is None or one in done:
            continue
        done.add(two)
        for near, far in ((one, two), (two, one)):
            if not near.netns and (bridge := links[near].get("master")):
                drops.setdefault(bridge, []).append(Drop(far.netns, far.name, near.name))
                break
        else:
            cables.append(_cable(one, two, addresses))
    return drops, cables


def _cable(one: Ref, two: Ref, addresses: dict[Place, tuple[str, ...]]) -> Segment:
    near = [end for end in (one, two) if not end.netns]
    far = [end for end in (one, two) if end.netns]
    own = tuple(text for end in near for text in addresses.get(("", end.name), ()))
    host_end = near[0].name if near else ""
    drops = tuple(Drop(end.netns, end.name, host_end) for end in far)
    return Segment(" - ".join(end.name for end in (near or far)), "cable", bool(near), own, drops)


def _on_links(
    links: dict[Ref, Facts], addresses: dict[Place, tuple[str, ...]]
) -> Iterator[Segment]:
    """Give the links of the host that links in containers share."""
    parents: dict[str, list[Drop]] = {}
    for ref, facts in links.items():
        if facts.get("kind") == "macvlan":
            parent = facts["on"].name if "on" in facts else "a link of the host"
            parents.setdefault(parent, []).append(Drop(ref.netns, ref.name, ""))
    for parent, on in parents.items():
        yield Segment(parent, "macvlan", True, addresses.get(("", parent), ()), tuple(on))
