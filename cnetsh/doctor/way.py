"""The way from the target's own namespace to an address, by a state that a plan changes.

No model of forwarding: what is asked is whether the host itself still sends and hears as before. A
state that was seen has what the kernel did by itself; what it does upon a change stands here.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv6Address,
    IPv6Interface,
    ip_address,
    ip_interface,
    ip_network,
)
from typing import Any, NamedTuple, TypeAlias

from cnetsh.doctor.packet import Flow, stopped
from cnetsh.kinds.change import Change, Facts, Make, Move, Ref, Remove, Set, State
from cnetsh.kinds.setting import ROOT

Address: TypeAlias = IPv4Address | IPv6Address
Interface: TypeAlias = IPv4Interface | IPv6Interface
SMALLEST = {4: 576, 6: 1280}  # RFC 791, RFC 8200; below, IPv6 ends on the link
# What the packet of an ordinary connection has not got.
_SPECIAL = frozenset({"oif", "fwmark", "ipproto", "sport", "dport", "uid_start", "tos", "l3mdev"})


class Route(NamedTuple):
    """One route; an address leads there when, without its last `rest` bits, it is `prefix`."""

    version: int
    rest: int
    prefix: int
    table: str
    dev: str
    via: str
    src: str
    metric: int
    type: str
    proto: str


class Way(NamedTuple):
    """How packets go to an address and come back; link "": they do not.

    neighbour: a MAC given by hand; below: what carries the link; troubles: what stops them.
    """

    link: str = ""
    gateway: str = ""
    source: str = ""
    mac: str = ""
    neighbour: str = ""
    below: frozenset[str] = frozenset()
    troubles: frozenset[str] = frozenset()

    def __str__(self) -> str:
        """Give the way as `ip route get` prints it."""
        return f"{self.link} via {self.gateway}" if self.gateway else self.link


class Host:
    """The target's own namespace, as far as its own packets are concerned."""

    def __init__(self, state: State, policy: Iterable[Facts]) -> None:
        self.policy = sorted(policy, key=lambda rule: rule.get("priority", 0)) or [{}]
        self.links: dict[str, dict[str, Any]] = {}
        self.addresses: dict[str, list[Interface]] = {}
        self.routes: list[Route] = []
        self.neighbours: dict[tuple[str, str], str] = {}
        self.settings: dict[str, str] = {}
        self.rules: dict[str, list[str]] = {}
        self.dropping: set[str] = set()
        own = [(ref, facts) for ref, found in state.items() if not ref.netns for facts in found]
        # Of all that was seen, only rules have a place.
        for ref, facts in sorted(own, key=lambda one: one[1].get("at", 0)):
            self._know(ref, facts)
        # Only what was there can be lost.
        self.seen = tuple(self.links)

    def _know(self, ref: Ref, facts: Facts) -> None:
        match ref.kind:
            case "link":
                self.links[ref.name] = {**facts}
            case "address":
                self.addresses.setdefault(facts["dev"], []).append(ip_interface(ref.name))
            case "route":
                self.routes += _routes(ref.name, facts)
            case "neighbour" if "lladdr" in facts:
                self.neighbours[facts["dev"], ref.name] = facts["lladdr"]
            case "setting":
                self.settings[ref.name] = facts["value"]
            case "chain" if facts.get("policy") == "DROP":
                self.dropping.add(ref.name)
            case "rule":
                chain, rule = _parts(ref)
                there = self.rules.setdefault(chain, [])
                there.insert(0 if facts.get("first") else len(there), rule)

    def take(self, change: Change) -> None:
        """Do a change, with what the kernel does then; what has no meaning it refuses."""
        with suppress(ValueError):
            self._take(change.ref, change)

    def _take(self, ref: Ref, change: Change) -> None:
        match ref.kind, change:
            case "link", Set(_, "up", up):
                (self._up if up else self._down)(ref.name)
            case "link", Set(_, key, value):
                self.links.setdefault(ref.name, {})[key] = value
                if key == "mtu" and value < SMALLEST[6]:
                    self._lose(ref.name, version=6)
            case "link", Remove() | Move():
                self._lose(ref.name)
                self.addresses.pop(ref.name, None)
                self.links.pop(ref.name, None)
            case "setting", Set(_, _, value):
                self._set(ref.name, value)
            case "address", Make(_, facts):
                self._know(ref, facts)
                self._connect(facts["dev"], self.addresses[facts["dev"]][-1:])
            case "address", Remove(_, facts):
                self._remove_address(facts["dev"], ip_interface(ref.name))
            case "route", Make(_, facts) if "dev" not in facts:
                # The link is chosen now, whatever becomes of the route to the gateway.
                if hop := self._route(ip_address(facts.get("via", "")), Flow()):
                    self._know(ref, {**facts, "dev": hop.dev})
            case "route", Remove(_, facts):
                self._remove_route(ref.name, facts)
            case "neighbour", Remove(_, facts):
                self.neighbours.pop((facts["dev"], ref.name), None)
            case "rule" | "chain", Remove():
                self._remove_rule(*_parts(ref))
            case _, Make(_, facts):
                self._know(ref, facts)

    def _up(self, name: str) -> None:
        link = self.links.setdefault(name, {})
        if not link.get("up"):
            link["up"] = True
            self._connect(name, self.addresses.get(name, ()))

    def _connect(self, dev: str, found: Iterable[Interface]) -> None:
        """Add the routes to the networks of a link that is up, behind those that are equal."""
        for one in found if self.links.get(dev, {}).get("up") else ():
            if one.network.prefixlen < one.max_prefixlen:
                metric = 256 if one.version == 6 else 0
                facts = {"dev": dev, "src": str(one.ip), "metric": metric}
                self.routes += _routes(str(one.network), facts)

    def _down(self, name: str) -> None:
        self.links.setdefault(name, {})["up"] = False
        self._lose(name)

    def _lose(self, dev: str, version: int = 0) -> None:
        """Lose the routes of a link, and its addresses of IPv6; with a version, only of that."""
        kept: list[Interface] = [one for one in self.addresses.get(dev, ()) if one.version == 4]
        self.addresses[dev] = kept
        self._forget(lambda one: one.dev == dev and one.version in (version or 4, 6))

    def _forget(self, gone: Callable[[Route], bool]) -> None:
        self.routes = [one for one in self.routes if not gone(one)]

    def _remove_address(self, dev: str, gone: Interface) -> None:
        there = self.addresses.get(dev, [])
        away = [one for one in there if one.network == gone.network]
        # The first of a network takes the others along, unless they may take its place.
        if gone.version == 6 or away[:1] != [gone] or self._value("promote_secondaries", dev):
            away = [gone]
        left = self.addresses[dev] = [one for one in there if one not in away]
        sources, last = {str(one.ip) for one in away}, not any(one.version == 4 for one in left)
        place = _routes(str(gone.network), {})[0][:3]
        self._forget(lambda one: one.src in sources or (one.dev == dev and (
            one[:3] == place or (last and one.version == 4))))  # fmt: skip
        # Who is left takes its place, behind what is equal.
        self._connect(dev, [one for one in left if one.network == gone.network][:1])

    def _remove_route(self, to: str, facts: Facts) -> None:
        places = [one[:3] for one in _routes(to, facts)]
        for one in self.routes:
            if one[:3] in places and all(str(getattr(one, key)) == facts[key] for key in facts):
                self.routes.remove(one)
                return

    def _remove_rule(self, chain: str, rule: str) -> None:
        there = [_plain(one) for one in self.rules.get(chain, ())]
        # Where none is worded like it, it may be any of them: all are gone, as with -F.
        self.rules[chain] = there if _plain(rule) in there else [_plain(rule)]
        self.rules[chain].remove(_plain(rule))

    def _set(self, path: str, value: str) -> None:
        self.settings[path] = value
        match path.removeprefix(ROOT).split("/"):
            case "ipv6", "conf", link, "disable_ipv6" if value != "0":
                for dev in [*self.links] if link == "all" else [link]:
                    self._lose(dev, version=6)
            case "ipv6", "conf", link, "forwarding" if value != "0":
                self._forget(lambda one: one.proto == "ra" and link in ("all", one.dev)
                             and self._setting(6, one.dev, "accept_ra", "1") == 1)  # fmt: skip

    def _setting(self, version: int, link: str, name: str, default: str = "0") -> int:
        value = self.settings.get(f"{ROOT}ipv{version}/conf/{link}/{name}", default)
        with suppress(ValueError):
            return int(value, 0)
        return 0

    def _value(self, name: str, dev: str) -> int:
        """Give a setting of IPv4 as it counts for a link: the larger of its own and that of all."""
        return max(self._setting(4, one, name) for one in ("all", dev))

    def home(self, address: str) -> str:
        """Give the link that has an address of the host's own, "" where it is none."""
        wanted = ip_address(address) if address else None
        for dev, found in self.addresses.items():
            # What is on lo is local with all its network.
            if wanted and any(one.ip == wanted or (dev == "lo" and wanted in one.network)
                              for one in found):  # fmt: skip
                return dev
        return ""

    def way(self, to: Address, flow: Flow) -> Way:
        """Give the way to an address, for packets like those of a flow."""
        source = flow.source if self.home(flow.source) else ""
        if self.home(str(to)):
            down = not self.links.get("lo", {}).get("up")
            return Way("lo", source=source, troubles=frozenset(["lo is down"] * down))
        route = self._route(to, flow)
        if route is None or route.type != "unicast":
            return Way(source=source)
        hop = ip_address(route.via or str(to))
        dev = route.dev
        if not flow.source:
            own = (str(one.ip) for one in self.addresses.get(dev, ()) if one.version == to.version)
            source = route.src or next(own, "")
        mac = str(self.links.get(dev, {}).get("address"))
        neighbour = self.neighbours.get((dev, str(hop)), "")
        found = frozenset(self._troubles(dev, source, to, flow))
        return Way(dev, route.via, source, mac, neighbour, self._below(dev), found)

    def _below(self, dev: str) -> frozenset[str]:
        """Give what carries a link and is up: the ports of a bridge, or the link that it is on."""
        under = self.links.get(dev, {}).get("far")
        up = [(name, self.links.get(name, {})) for name in self.seen]
        return frozenset(name for name, one in up if one.get("up")
                         and (one.get("master") == dev or ("", name) == under))  # fmt: skip

    def _troubles(self, dev: str, source: str, to: Address, flow: Flow) -> Iterator[str]:
        both = any(str(one.ip) == flow.source for one in self.addresses.get(dev, ()))
        home = dev if both else self.home(flow.source)
        # Where the address is, they come in, also when the answer goes by another link.
        inward = home if home not in ("", "lo") else dev
        for name in dict.fromkeys((inward, dev)):
            link = self.links.get(name, {})
            if not link.get("up"):
                yield f"{name} is down"
            if master := link.get("master"):
                takes = "takes" if name == dev else "may take"
                yield f"{name} is a port of {master}, which {takes} what comes in"
            if (link.get("mtu") or SMALLEST[6]) < SMALLEST[to.version]:
                yield f"the MTU of {name} is below {SMALLEST[to.version]}"
        ignored = self._value("arp_ignore", inward) if to.version == 4 else 0
        if ignored == 8 or (ignored in (1, 2) and home == "lo"):
            yield f"{inward} answers no ARP"
        elif ignored == 2:
            yield f"{inward} may answer no ARP, when it is asked from another network"
        if to.version == 4 and inward != dev and self._value("rp_filter", inward) == 1:
            yield f"rp_filter of {inward} may drop what comes in, for the answer goes by {dev}"
        if source:
            yield from stopped(self.rules, self.dropping, flow, (inward, dev), source, str(to))

    def _route(self, to: Address, flow: Flow) -> Route | None:
        """Give the route that the tables have for an address, asked in the order of the rules."""
        for rule in self.policy:
            if not _asks(rule, to, flow):
                continue
            if "table" not in rule and rule.get("action"):
                return None
            table, least = rule.get("table", "main"), int(rule.get("suppress_prefixlen", -1))
            found = [
                one for one in self.routes
                if (one.version, one.table) == (to.version, table) and flow.link in ("", one.dev)
                if int(to) >> one.rest == one.prefix
            ]  # fmt: skip
            best = min(found, key=lambda one: (one.rest, one.metric), default=None)
            if best and to.max_prefixlen - best.rest > least and best.type != "throw":
                return best
        return None


def _parts(ref: Ref) -> tuple[str, str]:
    tool, table, chain, *rule = ref.name.split(" ", 3)
    return f"{tool} {table} {chain}", "".join(rule)


def _plain(rule: str) -> str:
    """Give a rule without what iptables-save says besides."""
    return rule.replace("-m tcp ", "").replace("-m udp ", "")


def _routes(to: str, facts: Facts) -> list[Route]:
    """Give a route, one of each version of IP where `default` does not tell which is meant."""
    dev, via, src = (str(facts.get(key, "")) for key in ("dev", "via", "src"))
    if via:
        ip_address(via)
    scope, table = facts.get("scope", ""), str(facts.get("table", "main"))
    # Of one without gateway ip prints the scope global for IPv6, and link for IPv4.
    known = via or ("::" if scope == "global" else str(scope))
    either = [] if ":" in known else ["0.0.0.0/0"]
    either += ["::/0"] if ":" in known or not known else []
    found = []
    for one in map(ip_network, either if to == "default" else [to]):
        rest = one.max_prefixlen - one.prefixlen
        place = (one.version, rest, int(one.network_address) >> rest)
        more = (int(facts.get("metric") or 0), facts.get("type", "unicast"), facts.get("proto", ""))
        found.append(Route(*place, table, dev, via, src, *more))
    return found


def _asks(rule: Facts, to: Address, flow: Flow) -> bool:
    """Say whether a rule of `ip rule` has its table asked for packets of the host's own."""
    fits = not rule.keys() & _SPECIAL and rule.get("iif", "lo") == "lo"
    for key, address in (("src", flow.source), ("dst", str(to))):
        if rule.get(key, "all") != "all":
            text = f"{rule[key]}/{rule.get(f'{key}len', '')}".rstrip("/")
            network = ip_network(text, strict=False)
            fits = fits and bool(address) and ip_address(address) in network
    return fits != ("not" in rule)
