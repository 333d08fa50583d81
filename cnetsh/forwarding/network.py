"""What forwards packets, as typed values: namespaces with links, routes, rules and settings."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
    ip_address,
    ip_interface,
    ip_network,
)
from typing import Any, TypeAlias

from cnetsh.kinds.change import Facts, Ref
from cnetsh.kinds.mtu import ETHERNET
from cnetsh.kinds.setting import ROOT

Address: TypeAlias = IPv4Address | IPv6Address
Interface: TypeAlias = IPv4Interface | IPv6Interface
Prefix: TypeAlias = IPv4Network | IPv6Network
MAIN, LOCAL = "main", "local"


class Unknown(Exception):
    """What the model does not know, so that nothing can be said."""


@lru_cache(65536)
def address(text: str) -> Address:
    """Give an address. Raises ValueError for what is none."""
    return ip_address(text)


@lru_cache(65536)
def interface(text: str) -> Interface:
    """Give an address with its network. Raises ValueError for what is none."""
    return ip_interface(text)


@lru_cache(65536)
def prefix(text: str) -> Prefix:
    """Give a network. Raises ValueError for what is none."""
    return ip_network(text, strict=False)


DEFAULTS = {4: prefix("0.0.0.0/0"), 6: prefix("::/0")}


class Refusal(Exception):
    """The kernel refuses a change, and says why."""


@dataclass(eq=False, slots=True)
class Link:
    """One link."""

    netns: str
    name: str
    kind: str = ""
    up: bool = False
    mtu: int = ETHERNET
    mac: str = ""
    arp: bool = True
    peer: "Link | None" = None
    below: "Link | None" = None  # what it is made on
    master: "Link | None" = None
    far_seen: bool = True  # whether what is at or behind its cable's other end can be seen
    above: "list[Link]" = field(default_factory=list)  # what is made on it
    ports: "dict[Link, None]" = field(default_factory=dict)  # those of a bridge
    addresses: list[Interface] = field(default_factory=list)
    local: list[Address] = field(default_factory=list)  # of IPv6, of this link alone
    # Of its addresses: what ip calls them, and whether another had it first or nobody can tell.
    unusable: dict[Address, tuple[str, bool]] = field(default_factory=dict)
    old: set[Address] = field(default_factory=set)  # no source where there is another (RFC 6724)
    neighbours: dict[Address, str] = field(default_factory=dict)
    proxied: set[Address] = field(default_factory=set)  # for whom it answers
    fdb: dict[str, str] = field(default_factory=dict)  # MAC address to port, given by hand
    options: dict[str, Any] = field(default_factory=dict)  # of a port, or of a bridge
    queue: str = ""  # what it is called, when it may drop
    slow: str = ""  # for how long it holds back, when that is longer than anybody waits
    made: Facts = field(default_factory=dict)  # by which options

    @property
    def ref(self) -> Ref:
        """The object that it is."""
        return Ref("link", self.netns, self.name)

    @property
    def carrier(self) -> bool:
        """Whether something is at the other end, and switched on (operstates.rst)."""
        if self.kind == "veth" and self.far_seen:
            return self.up and self.peer is not None and self.peer.up
        return self.up and (
            self.kind not in ("macvlan", "vlan") or (self.below is not None and self.below.carrier)
        )

    def has(self, wanted: Address) -> bool:
        """Say whether an address is this link's own."""
        there = wanted in self.local or any(one.ip == wanted for one in self.addresses)
        return there and wanted not in self.unusable


@dataclass(eq=False, slots=True)
class Route:
    """One route of a table; link None: it refuses, as its type says."""

    to: Prefix
    link: Link | None
    via: Address | None = None
    metric: int = 0
    source: Address | None = None
    table: str = MAIN
    type: str = "unicast"
    connected: bool = False
    advertised: bool = False  # by a router (RFC 4861)
    name: str = ""  # as ip calls it
    mtu: int = 0
    hops: int = 0  # over how many routers it lets a packet go
    ways: tuple[str, ...] = ()  # the links of several next hops


@dataclass(eq=False, slots=True)
class Netns:
    """One namespace."""

    name: str
    links: dict[str, Link] = field(default_factory=dict)
    routes: list[Route] = field(default_factory=list)
    gone: list[Route] = field(default_factory=list)  # with a link
    chains: dict[str, list[str]] = field(default_factory=dict)  # rules by "tool table chain"
    endings: dict[str, str] = field(default_factory=dict)  # policies that do not accept
    policy: list[Facts] | None = None  # rules of `ip rule`; None: those that the kernel begins with
    settings: dict[str, str] = field(default_factory=dict)
    given: list[Prefix] = field(default_factory=list)  # networks that a route makes its own
    dark: str = ""  # what in it was not read
    # What is worked out of the above when it is first asked for.
    own: dict[Address, Link] | None = None
    tables: "dict[tuple[str, int], list[tuple[int, dict[int, list[Route]]]]] | None" = None

    wide: list[Prefix] = field(default_factory=list)
    known: dict[tuple[str, str], int] = field(default_factory=dict)
    asked: frozenset[str] | None = None

    def changed(self) -> None:
        """Forget what was worked out."""
        self.own = self.tables = self.asked = None
        self.known.clear()

    def value(self, path: str, default: int = 0) -> int:
        """Give a setting by its path below /proc/sys/net."""
        try:
            return int(str(self.settings.get(path, default)), 0)
        except ValueError:
            return default

    def conf(self, version: int, link: str, name: str) -> int:
        """Give a setting of a link; a new one begins with what stands for default."""
        folder = f"ipv{version}/conf"
        begins = self.value(f"{folder}/default/{name}")
        return self.value(f"{folder}/{link}/{name}", begins)

    def larger(self, link: str, name: str) -> int:
        """Give the larger of a link's setting and all's, of IPv4 (ip-sysctl.rst: rp_filter …)."""
        if (link, name) not in self.known:
            every = self.value(f"ipv4/conf/all/{name}")
            self.known[link, name] = max(every, self.conf(4, link, name))
        return self.known[link, name]

    @property
    def addresses(self) -> Iterator[tuple[Interface, Link]]:
        """All addresses with their links."""
        return ((one, link) for link in self.links.values() for one in link.addresses)


@dataclass(eq=False, slots=True)
class Network:
    """All namespaces that can be seen. fresh: the settings that a new namespace begins with."""

    spaces: dict[str, Netns] = field(default_factory=dict)
    fresh: Mapping[str, str] = field(default_factory=dict)
    # What is on whose wire, worked out when it is first asked for.
    floods: dict[Link, Any] = field(default_factory=dict)
    answering: dict[Link, Any] = field(default_factory=dict)
    plain: dict[Link, bool] = field(default_factory=dict)
    routers: list[Netns] | None = None
    macs: dict[str, list[Link]] | None = None

    def changed(self) -> None:
        """Forget what was worked out."""
        self.routers = self.macs = None
        for known in (self.floods, self.answering, self.plain):
            known.clear()
        for space in self.spaces.values():
            space.changed()

    def add(self, name: str) -> None:
        """Make a new namespace, whose lo is down."""
        lo = Link(name, "lo", "lo", mtu=65536)
        self.spaces[name] = Netns(name, {"lo": lo}, settings=dict(self.fresh))

    def space(self, name: str) -> Netns:
        """Give a namespace. Raises Unknown where it cannot be seen."""
        if name not in self.spaces:
            raise Unknown(f"what is in the namespace {name}, which is not seen")
        return self.spaces[name]


def below_net(path: str) -> str:
    """Give a setting's path below /proc/sys/net; ip_forward is the forwarding of all."""
    path = path.removeprefix(ROOT)
    return "ipv4/conf/all/forwarding" if path == "ipv4/ip_forward" else path


def plug(link: Link, bridge: Link | None) -> None:
    """Make a link a port of a bridge, or of none."""
    if link.master:
        link.master.ports.pop(link, None)
    link.master, link.options = bridge, {}
    if bridge:
        bridge.ports[link] = None


def put_on(link: Link, below: Link) -> None:
    """Have a link made on another."""
    link.below = below
    below.above.append(link)
