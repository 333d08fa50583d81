"""What a picture shows of a state: the host, what containers hang on there, and the containers."""

from collections.abc import Iterator
from dataclasses import dataclass
from textwrap import wrap
from typing import NamedTuple

from cnetsh.kinds.change import State
from cnetsh.kinds.mtu import ETHERNET
from cnetsh.names import visible
from cnetsh.views.picture import rules
from cnetsh.views.picture.links import DrawnLink, Inventory, Place, inventory, network_on
from cnetsh.views.picture.rules import DrawnRule, PublishedPort
from cnetsh.views.picture.shapes import line_kind, socket_of

_INTERNET = "internet"
PORTS_TOLD = 12
_LONGEST = 44  # columns of a line in a container's box


class DrawnPort(NamedTuple):
    """A link of a container that leads out of it; states are words, "" for a link that works."""

    link: str
    state: str = ""
    rail: str = ""  # what it hangs on in the host
    host: str = ""  # the cable's end there
    host_state: str = ""
    other: Place | None = None  # its end in another container
    tag: str = ""  # what is done to packets on it

    @property
    def socket(self) -> str:
        return socket_of(self.link, self.state) if self.link else ""

    @property
    def host_socket(self) -> str:
        return socket_of(self.host, self.host_state) if self.host else ""

    @property
    def wire_kind(self) -> str:
        return line_kind(self.state, self.host_state)


class BoxLine(NamedTuple):
    """A line in a box: plain, strong or faint."""

    text: str
    kind: str = "line"


class DrawnContainer(NamedTuple):
    """A container, or several of a kind; without a name, a cable with both ends in the host."""

    name: str
    lines: tuple[BoxLine, ...]
    ports: tuple[DrawnPort, ...]
    router: bool = False
    several: int = 1


class Rail(NamedTuple):
    """What cables hang on in the host: a bridge, a link of its own, or one that others share."""

    name: str
    kind: str
    label: str
    wired: bool  # whether the host's IP stack has an address on it
    state: str = ""
    isolated: bool = False

    @property
    def bar_kind(self) -> str:
        """How its bar is drawn; that of a link in no bridge only holds the name."""
        if self.kind == "link":
            return "own"
        bars = {"down": "down", "no carrier": "dead"}
        return "iso" if self.isolated else bars.get(self.state, "bar")

    @property
    def wire_kind(self) -> str:
        """How its wire to the IP stack is drawn."""
        return "iso" if self.isolated else line_kind(self.state)


class Outside(NamedTuple):
    """What is behind the host: what it is called, and the host's link to it, "" if not known."""

    name: str
    link: str = ""
    state: str = ""
    address: str = ""


@dataclass(frozen=True, slots=True)
class DrawnNetwork:
    """What a picture shows; rails and containers are in the order in which they are drawn."""

    title: str
    hosted: bool  # whether the host has a part in it
    outside: Outside | None
    translated: tuple[str, ...]  # what it does to addresses
    heading: str  # what its IP stack does
    ways: tuple[str, ...]  # its routes, and the rest
    rails: tuple[Rail, ...]
    containers: tuple[DrawnContainer, ...]


def drawn_network(title: str, state: State, sight: bool = True) -> DrawnNetwork:
    """Give what a picture of a state shows; sight: the host's own links are in the state."""
    reader = _Reader(inventory(state), rules.rules_of(state), rules.unread_namespaces(state))
    return reader.read(title, sight)


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads a state part by part."""

    known: Inventory
    rules: list[DrawnRule]
    unread: set[str]

    def read(self, title: str, sight: bool) -> DrawnNetwork:
        outside = self._outside() if sight else Outside("elsewhere")
        behind = self.known.links[("", outside.link)].peer if outside and outside.link else None
        names = [name for name in self.known.namespaces if not behind or name != behind[0]]
        ports = list(rules.published(self.rules))
        containers = [self._container(name, outside, ports) for name in names]
        containers += self._joints()
        rails = self._rails(containers, outside)
        address = outside.address.partition("/")[0] if outside else ""
        ports_there = any(port.rail for one in containers for port in one.ports)
        rest = list(self._rest(outside, rails))
        nat = [*rules.translations(self.rules, "", address, "the host"), *map(str, ports)]
        return DrawnNetwork(
            visible(title),
            bool(rails or nat or rest or ports_there),
            outside,
            tuple(dict.fromkeys(nat)),
            self._heading(),
            (*self._routes(outside), *rest),
            tuple(_side_by_side(rails, containers)),
            tuple(containers),
        )

    def _outside(self) -> Outside | None:
        """Give the host's link of the default route, if it leads out of what is drawn."""
        for to, facts in self.known.routes.get("", ()):
            name = visible(facts.get("dev") or self._link_to(facts.get("via", "")))
            link = self.known.links.get(("", name))
            if to != "default" or link is None or link.kind == "bridge" or link.master:
                continue
            home = link.peer[0] if link.peer else _INTERNET
            links = [name for _, name in self.known.inside.get(home, ()) if name != "lo"]
            if home and len(links) < 2:
                address = " ".join(self.known.addresses.get(("", name), ()))
                what = "Internet" if home == _INTERNET else home
                return Outside(what, name, self.known.state_of(("", name)), address)
        return None

    def _link_to(self, via: str) -> str:
        """Give the host's link that has an address in the network of a next hop."""
        for (netns, link), texts in self.known.addresses.items():
            for text in texts if not netns else ():
                whole, hop = network_on(text), network_on(via)
                if whole and hop and hop.version == whole.version and hop[0] in whole:
                    return link
        return ""

    # ── containers ──
    def _container(
        self, name: str, outside: Outside | None, published: list[PublishedPort]
    ) -> DrawnContainer:
        places = self.known.inside.get(name, ())
        links = {place: self.known.links[place] for place in places if place[1] != "lo"}
        ports = tuple(port for place, link in links.items() if (port := self._port(place, link)))
        forwards = self.known.forwards(name) or []
        router = bool(forwards) and len(links) > 1
        lines = [BoxLine("router: forwards " + " and ".join(forwards), "strong")] if router else []
        lines += self._on_links(links, {port.link for port in ports})
        lines += self._more(name, links, published)
        if forwards and not router:
            lines.append(BoxLine("forwards " + " and ".join(forwards), "faint"))
        wrapped = [
            BoxLine(part, line.kind) for line in lines for part in broken(line.text, _LONGEST)
        ]
        return DrawnContainer(name, tuple(wrapped), ports, router)

    def _on_links(self, links: dict[Place, DrawnLink], out: set[str]) -> Iterator[BoxLine]:
        for place, link in links.items():
            name = place[1]
            head = "" if len(links) == 1 and out else f"{name} "
            mtu = self.known.mtu_of(place)
            more = f"  MTU {mtu}" if mtu != ETHERNET else ""
            if name not in out:
                state = self.known.state_of(place)
                more += "".join(f"  {word}" for word in (_made_as(link), state) if word)
            elif link.kind == "vlan":
                more += f"  VLAN {link.number}"
            texts = self.known.addresses.get(place, ())
            if not texts:
                yield BoxLine(f"{head}no address{more}", "faint")
            for number, text in enumerate(texts):
                yield BoxLine(f"{head}{text}{more if not number else ''}")

    def _more(
        self, name: str, links: dict[Place, DrawnLink], published: list[PublishedPort]
    ) -> Iterator[BoxLine]:
        for to, way in self.known.routes_of(name):
            yield BoxLine(f"{to} → {way}")
        if servers := self.known.servers.get(name):
            yield BoxLine("DNS " + " ".join(servers))
        own = {text.partition("/")[0] for place in links
               for text in self.known.addresses.get(place, ())}  # fmt: skip
        doors = [f"port {one.target}/{one.protocol} ← host {one.port}" for one in published
                 if one.address.strip("[]") in own]  # fmt: skip
        yield from map(BoxLine, dict.fromkeys(doors))
        for text in rules.translations(self.rules, name, "", "this container"):
            yield BoxLine(f"NAT {text}")
        yield from map(BoxLine, rules.filter_lines(self.rules, name))
        for text in self.known.other_settings(name):
            yield BoxLine(text, "faint")
        lo = self.known.links.get((name, "lo"))
        if name in self.known.made and not (lo and lo.up):
            yield BoxLine("lo is down", "faint")

    def _port(self, place: Place, link: DrawnLink) -> DrawnPort | None:
        """Give a link as the way out of a container, None for one that leads nowhere."""
        state = self.known.state_of(place)
        if link.peer in self.known.links:
            assert link.peer
            tag = self._tag(place, link.peer)
            home, end = link.peer
            if home:
                # What holds both ways stands at one end.
                both = self.known.queues.get(place) == self.known.queues.get(link.peer)
                tag = tag if not both or place > link.peer else ""
                return DrawnPort(place[1], state, other=link.peer, tag=tag)
            rail = self.known.links[link.peer].master or end
            return DrawnPort(place[1], state, rail, end, self.known.state_of(link.peer), tag=tag)
        if link.on and not link.on[0]:
            words = [f"{_made_as(link)} on {link.on[1]}", self.known.queues.get(place, "")]
            return DrawnPort(place[1], state, link.on[1], tag=" ".join(filter(None, words)))
        return None

    def _tag(self, near: Place, far: Place) -> str:
        """Give what is done to packets: both ways, or out of the container and into it."""
        out, back = self.known.queues.get(near, ""), self.known.queues.get(far, "")
        if out == back or far[0]:
            return out if out == back else f"{out} out" if out else ""
        return "  ".join(f"{text} {way}" for text, way in ((out, "out"), (back, "in")) if text)

    def _joints(self) -> Iterator[DrawnContainer]:
        """Give the cables that have both ends in the host."""
        for place, link in self.known.links.items():
            if place[0] or link.peer not in self.known.links or link.peer[0] or link.peer < place:
                continue
            both = sorted(
                (place, link.peer), key=lambda end: (self.known.addresses.get(end, ()), end)
            )
            ends = [
                DrawnPort("", "", self.known.links[end].master or end[1], end[1],
                     self.known.state_of(end), tag=self.known.queues.get(end, ""))
                for end in both
            ]  # fmt: skip
            yield DrawnContainer("", (), tuple(ends))

    # ── the host ──
    def _rails(self, containers: list[DrawnContainer], outside: Outside | None) -> list[Rail]:
        ports = [port for one in containers for port in one.ports if port.rail]
        bridges = [name for (home, name), link in self.known.links.items()
                   if not home and link.kind == "bridge"]  # fmt: skip
        own = {port.rail for port in ports if port.rail == port.host}
        round_it = outside.link if outside else ""
        names = dict.fromkeys([*bridges, *(port.rail for port in ports if port.rail != round_it)])
        # One that others are made on is drawn as a bar.
        own -= {port.rail for port in ports if port.rail != port.host}
        drawn = {port.host for port in ports}
        return [self._rail(name, name in own, drawn) for name in names]

    def _rail(self, name: str, own: bool, drawn: set[str]) -> Rail:
        link, state = self.known.links.get(("", name)), self.known.state_of(("", name))
        addresses = self.known.addresses.get(("", name), ())
        if own:
            return Rail(name, "link", " ".join(addresses) or "no address", True, state)
        isolated = name in rules.isolated(self.rules)
        words = [name, *addresses]
        if link and link.kind == "bridge":
            words += [*([] if addresses else ["(no address)"]), *self._of_bridge(name, drawn)]
        elif not self.known.ports.get(name):
            words.append("shared")
        words += [state, "isolated" if isolated else ""]
        label = "  ".join(filter(None, words))
        return Rail(name, "bridge", label, bool(addresses), state, isolated)

    def _of_bridge(self, name: str, drawn: set[str]) -> Iterator[str]:
        mtu = self.known.mtu_of(("", name))
        if mtu != ETHERNET:
            yield f"MTU {mtu}"
        on_it = self.known.ports.get(name, ())
        rest = [end for _, end in on_it if end not in drawn]
        if rest:
            yield f"with {', '.join(rest)}" if len(rest) < 4 else f"with {len(rest)} other ports"
        if len(on_it) > PORTS_TOLD:
            yield f"{len(on_it):,} ports"

    def _heading(self) -> str:
        forwards = self.known.forwards("")
        if forwards is None:
            return "forwarding not set"
        return "forwards " + (" and ".join(forwards) or "nothing")

    def _routes(self, outside: Outside | None) -> Iterator[str]:
        round_it = outside.link if outside else ""
        for to, way in self.known.routes_of(""):
            yield f"{to} → {way}"
        for to, links in self.known.networks().items():
            for number, link in enumerate(links):
                if link != round_it:
                    yield f"{to} → {link}" + (" (second: unused)" if number else "")

    def _rest(self, outside: Outside | None, rails: list[Rail]) -> Iterator[str]:
        """Give what else is to be said of the host: rules, and links that are not drawn."""
        if through := rules.let_through(self.rules):
            yield f"FORWARD lets {', '.join(through)} through"
        yield from rules.filter_lines(self.rules, "")
        if "" in self.unread:
            yield "not all firewall rules were read"
        if inside := len(self.unread - {""}):
            yield f"firewall rules inside {inside:,} containers were not read"
        drawn = {rail.name for rail in rails} | {"lo", outside.link if outside else ""}
        for (home, name), one in self.known.links.items():
            # One that a plan only speaks of has no kind.
            if not home and name not in drawn and not one.master and one.kind:
                addresses = self.known.addresses.get(("", name), ())
                words = (name, *addresses, _made_as(one), self.known.state_of(("", name)))
                yield "link " + " ".join(filter(None, words))


def broken(text: str, width: int) -> list[str]:
    """Give a text in lines of at most so many columns, the others moved in."""
    return wrap(text, width, subsequent_indent="  ", break_on_hyphens=False)


def _made_as(link: DrawnLink) -> str:
    """Give what a link is where it is no cable: VLAN 5, macvlan, bridge."""
    if link.kind in ("vlan", "vxlan"):
        return f"{link.kind.upper()} {link.number}"
    return link.kind if link.kind != "veth" else ""


def _side_by_side(rails: list[Rail], containers: list[DrawnContainer]) -> Iterator[Rail]:
    """Give the rails so that those which share a container are neighbours."""
    together: dict[str, dict[str, None]] = {rail.name: {} for rail in rails}
    for one in containers:
        names = [port.rail for port in one.ports if port.rail in together]
        for name in names:
            together[name] |= dict.fromkeys(other for other in names if other != name)
    waiting = {rail.name: rail for rail in rails}
    # From the ends of chains on, so that nobody is left out in the middle.
    for start in sorted(waiting, key=lambda name: len(together[name]) > 1):
        name = start if start in waiting else ""
        while name:
            yield waiting.pop(name)
            name = next((other for other in together[name] if other in waiting), "")
