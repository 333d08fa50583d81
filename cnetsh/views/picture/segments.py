"""A network in the terms of its pictures: segments, and the containers that hang on them."""

from dataclasses import dataclass

End = tuple[str, str]  # namespace ("" is the host), link


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
    addresses: dict[End, tuple[str, ...]]
    routes: dict[str, tuple[str, ...]]
