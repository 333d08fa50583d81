"""Links, addresses, routes, queues and settings of a state, as a picture speaks of them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_interface
from typing import NamedTuple, TypeAlias, TypeVar

from cnetsh.kinds.change import Facts, Ref, State
from cnetsh.kinds.mtu import ETHERNET
from cnetsh.kinds.setting import ROOT
from cnetsh.names import visible

Place: TypeAlias = tuple[str, str]  # namespace ("" is the host), link
Key = TypeVar("Key")
Value = TypeVar("Value")
# Routes that the kernel keeps for itself, and those that lead nowhere.
_OWN = frozenset({"local", "broadcast", "multicast", "anycast"})
_NOWHERE = frozenset({"blackhole", "unreachable", "prohibit", "throw"})
_FORWARDING = {
    "ipv4/ip_forward": "IPv4",
    "ipv4/conf/all/forwarding": "IPv4",
    "ipv6/conf/all/forwarding": "IPv6",
}


class DrawnLink(NamedTuple):
    """A link: what it is, what it is in, where its other end or what it is made on is."""

    kind: str  # "" where nobody has said it
    up: bool
    carrier: bool | None  # None where nobody has looked
    master: str
    peer: Place | None
    on: Place | None
    mtu: int
    number: str  # of a VLAN or VXLAN


@dataclass(frozen=True, slots=True)
class Inventory:
    """What a state says, by place, every name as it may be printed."""

    namespaces: tuple[str, ...]
    made: frozenset[str]  # of the namespaces, those that are there and not only spoken of
    links: dict[Place, DrawnLink]
    addresses: dict[Place, tuple[str, ...]]
    routes: dict[str, tuple[tuple[str, Facts], ...]]
    queues: dict[Place, str]
    settings: dict[str, tuple[tuple[str, str], ...]]
    servers: dict[str, tuple[str, ...]]
    inside: dict[str, tuple[Place, ...]]  # links by namespace
    ports: dict[str, tuple[Place, ...]]  # of the host's bridges

    def state_of(self, place: Place) -> str:
        """Give what is wrong with a link, in words: down, no carrier, or nothing."""
        link = self.links.get(place)
        if link is None or (link.up and self._carrier(place, link)):
            return ""
        return "no carrier" if link.up else "down"

    def _carrier(self, place: Place, link: DrawnLink) -> bool:
        if link.carrier is not None:
            return link.carrier
        if link.kind == "veth":
            return link.peer not in self.links or self.links[link.peer].up
        if link.kind == "bridge" and not place[0]:
            return any(not self.state_of(port) for port in self.ports.get(place[1], ()))
        return not link.on or not self.state_of(link.on)

    def mtu_of(self, place: Place) -> int:
        """Give a link's MTU: a bridge's is the smallest of its ports' unless somebody set it."""
        link = self.links[place]
        if link.kind == "bridge" and not link.mtu and not place[0]:
            sizes = [self.links[port].mtu or ETHERNET for port in self.ports.get(place[1], ())]
            return min(sizes, default=ETHERNET)
        return link.mtu or ETHERNET

    def forwards(self, netns: str) -> list[str] | None:
        """Give the versions of IP that a namespace forwards, None where nothing says it."""
        found = {_FORWARDING[key]: value for key, value in self.settings.get(netns, ())
                 if key in _FORWARDING}  # fmt: skip
        return sorted(key for key, value in found.items() if value != "0") if found else None

    def other_settings(self, netns: str) -> Iterator[str]:
        """Give a namespace's settings but forwarding, each as a line."""
        for key, value in self.settings.get(netns, ()):
            if key not in _FORWARDING:
                yield f"{'.'.join(key.split('/')[-2:])} = {value}"

    def routes_of(self, netns: str) -> Iterator[tuple[str, str]]:
        """Give a namespace's routes but those that its addresses bring: where to, by what way."""
        for to, facts in self.routes.get(netns, ()):
            table = facts.get("table", "main")
            if table != "local" and facts.get("type") not in _OWN and (way := _way(facts)):
                yield to, way if table == "main" else f"{way} (table {table})"

    def networks(self) -> dict[str, list[str]]:
        """Give the networks that the host's addresses bring routes to: the links, first used."""
        found: dict[str, list[str]] = {}
        up = {name for (home, name), one in self.links.items() if one.up and not home} - {"lo"}
        for (netns, link), texts in self.addresses.items():
            for text in texts if not netns and link in up else ():
                network = network_on(text)
                if network and network.prefixlen < network.max_prefixlen:
                    found.setdefault(str(network), []).append(link)
        for to, links in found.items():
            there = [facts.get("dev") for one, facts in self.routes.get("", ()) if one == to]
            links.sort(key=lambda link: there.index(link) if link in there else len(there))
        return found


def _way(facts: Facts) -> str:
    if facts.get("type") in _NOWHERE:
        return str(facts["type"])
    hops = [hop.get("gateway", hop.get("dev", "")) for hop in facts.get("next", ())]
    way = facts.get("via") or ", ".join(hops)
    dev = "" if facts.get("proto") == "kernel" else facts.get("dev", "")
    return visible(str(way or dev))


def network_on(address: str) -> IPv4Network | IPv6Network | None:
    """Give the network of an address as it was typed, None where it is none."""
    try:
        return ip_interface(address).network
    except ValueError:
        return None


def inventory(state: State) -> Inventory:
    """Give what a state shows, whether a plan leaves it or the kernel has it."""
    links = {_place(ref): _link(found[0]) for ref, found in state.items() if ref.kind == "link"}
    made = [visible(ref.name) for ref in state if ref.kind == "netns"]
    # A plan may also put a link into a namespace that somebody else has made.
    every = dict.fromkeys([*made, *(home for home, _ in links if home)])
    return Inventory(
        tuple(every),
        frozenset(made),
        links,
        # What the kernel gives a link by itself has a narrower scope, and is not told by a plan.
        _grouped(
            ((visible(ref.netns), visible(facts["dev"])), visible(ref.name))
            for ref, facts in _of(state, "address")
            if facts.get("scope", "global") == "global"
        ),
        _grouped((visible(ref.netns), (visible(ref.name), facts))
                 for ref, facts in _of(state, "route")),
        {_place(ref): _shape(facts) for ref, facts in _of(state, "queue")},
        _grouped((visible(ref.netns),
                  (visible(ref.name.removeprefix(ROOT)), visible(facts["value"])))
                 for ref, facts in _of(state, "setting")),
        _grouped((visible(ref.name.split("/")[-2]), facts["server"])
                 for ref, facts in _of(state, "name_server")),
        _grouped((place[0], place) for place in links),
        _grouped((link.master, place) for place, link in links.items()
                 if link.master and not place[0]),
    )  # fmt: skip


def _of(state: State, kind: str) -> Iterator[tuple[Ref, Facts]]:
    return ((ref, facts) for ref, found in state.items() if ref.kind == kind for facts in found)


def _grouped(pairs: Iterable[tuple[Key, Value]]) -> dict[Key, tuple[Value, ...]]:
    found: dict[Key, list[Value]] = {}
    for key, value in pairs:
        found.setdefault(key, []).append(value)
    return {key: tuple(values) for key, values in found.items()}


def _place(ref: Ref) -> Place:
    return visible(ref.netns), visible(ref.name)


def _link(facts: Facts) -> DrawnLink:
    peer, on = facts.get("peer"), facts.get("on")
    return DrawnLink(
        facts.get("kind", ""),
        # Of what a plan only speaks of nothing else is known.
        facts.get("up", "kind" not in facts),
        facts.get("carrier"),
        visible(facts.get("master") or ""),
        _place(peer) if peer else None,
        _place(on) if on else None,
        facts.get("mtu") or 0,
        str(facts.get("id") or ""),
    )


def _shape(facts: Facts) -> str:
    """Give what a queue does to packets: 10mbit +20ms 1% loss, as typed or as tc prints it."""
    words = list(facts.get("typed") or facts.get("said", "").split())
    said = {word: words[at + 1] for at, word in enumerate(words[:-1])}
    parts = (said.get("rate", "").lower(), said.get("delay"), said.get("loss"))
    forms = ("{}", "+{}", "{} loss")
    return visible(
        " ".join(form.format(one) for form, one in zip(forms, parts, strict=True) if one)
    )
