"""What a plan leaves behind in the end: what the kernel adds, takes and refuses besides."""

from collections.abc import Callable, Iterable
from ipaddress import IPv4Interface, IPv6Address
from typing import NamedTuple

from cnetsh.forwarding.netfilter import refuse_chain, remove_rule, take_rule
from cnetsh.forwarding.network import (
    MAIN,
    Interface,
    Link,
    Netns,
    Network,
    Refusal,
    Route,
    address,
    below_net,
    interface,
    plug,
    prefix,
    put_on,
)
from cnetsh.forwarding.route import is_local, lookup, own
from cnetsh.forwarding.seen import route_of, take_queue
from cnetsh.kinds.change import Change, Facts, Make, Move, Ref, Remove, Set
from cnetsh.kinds.mtu import ETHERNET, LEAST_OF_SIX, TOO_SMALL

LOOPBACK = (interface("127.0.0.1/8"), interface("::1/128"))
METRIC = {4: 0, 6: 1024}  # what a route gets that says none
CONNECTED = {4: 0, 6: 256}


class Refused(NamedTuple):
    """A change that the kernel will refuse: which, by its number from 0, and why."""

    at: int
    why: str


def settle(changes: Iterable[Change], network: Network) -> list[Refused]:
    """Make of a network what changes make of it, and give those that the kernel refuses."""
    refused = []
    for at, change in enumerate(changes):
        try:
            _take(network, change)
        except Refusal as refusal:
            refused.append(Refused(at, str(refusal)))
        except ValueError as error:
            # The library's words: 'TEXT' does not appear to be an IPv4 or IPv6 interface.
            refused.append(Refused(at, str(error).replace("does not appear to be an", "is no")))
    network.changed()
    return refused


def _take(network: Network, change: Change) -> None:
    ref = change.ref
    if ref.kind == "netns":
        _take_netns(network, change)
        return
    space = _space(network, ref)
    space.changed()
    match ref.kind, change:
        case "link", Make(_, facts, also, on):
            _make_link(network, ref, facts, also, on)
        case "link", _:
            _take_link(network, _there(space, ref.name), change)
        case "address", Make(_, facts):
            _add_address(space, _there(space, facts["dev"]), ref.name)
        case "address", Remove(_, facts):
            _remove_address(space, _there(space, facts["dev"]), ref.name)
        case "route", Make(_, facts):
            _add_route(space, ref, facts)
        case "route", Remove(_, facts):
            _remove_route(space, ref, facts)
        case "neighbour", Make(_, facts):
            _there(space, facts["dev"]).neighbours[address(ref.name)] = facts["lladdr"]
        case "neighbour", Remove(_, facts):
            _there(space, facts["dev"]).neighbours.pop(address(ref.name), None)
        case "queue", Make(_, facts):
            take_queue(_there(space, facts["dev"]), facts)
        case "setting", Set(_, _, value):
            _set(space, below_net(ref.name), value)
        case "chain", Make(_, facts):
            take_rule(space, ref, facts)
        case "rule", Make(_, facts):
            refuse_chain(space, ref)
            take_rule(space, ref, facts)
        case "rule" | "chain", Remove():
            remove_rule(space, ref)


def _space(network: Network, ref: Ref) -> Netns:
    if ref.netns not in network.spaces:
        raise Refusal(f"there is no namespace {ref.netns} at this point")
    return network.spaces[ref.netns]


def _there(space: Netns, name: str) -> Link:
    if name not in space.links:
        place = f" in {space.name}" if space.name else ""
        raise Refusal(f"there is no link {name}{place} at this point")
    return space.links[name]


def _take_netns(network: Network, change: Change) -> None:
    name = change.ref.name
    if isinstance(change, Make):
        if name in network.spaces:
            raise Refusal(f"the namespace {name} is there already")
        network.add(name)
    elif isinstance(change, Remove) and name in network.spaces:
        for link in [*network.spaces[name].links.values()]:
            _drop(network, link)
        del network.spaces[name]


# -- links -------------------------------------------------------------------------------------


def _make_link(
    network: Network, ref: Ref, facts: Facts, also: tuple[Ref, ...], on: Ref | None
) -> None:
    if on and on.kind == "link":
        _there(_space(network, on), on.name)
    # Of a cable both ends can be made, or none is.
    for one in (ref, *also):
        _free(network, one)
    link = _new(network, ref, facts)
    for other in also:
        link.peer = _new(network, other, {"kind": facts["kind"]})
        link.peer.peer = link
    if on and on.kind == "link":
        put_on(link, network.spaces[on.netns].links[on.name])
        link.mtu = facts.get("mtu") or (link.below.mtu if link.below else link.mtu)


def _free(network: Network, ref: Ref) -> Netns:
    """Give the namespace where a link is to be."""
    space = _space(network, ref)
    if ref.name in space.links:
        raise Refusal(f"the link {ref.name} is there already")
    return space


def _new(network: Network, ref: Ref, facts: Facts) -> Link:
    space = network.spaces[ref.netns]
    link = Link(ref.netns, ref.name, facts["kind"], made=facts,
                mtu=facts.get("mtu", ETHERNET), mac=facts.get("address", ""))  # fmt: skip
    space.links[ref.name] = link
    space.changed()
    return link


def _take_link(network: Network, link: Link, change: Change) -> None:
    space = network.spaces[link.netns]
    match change:
        case Set(_, "up", bool(on)):
            _switch(network, link, on)
        case Set(_, "master", None):
            plug(link, None)
        case Set(_, "master", str(name)):
            plug(link, _there(space, name))
        case Set(_, "mtu", int(size)):
            link.mtu = size
            if size < LEAST_OF_SIX:
                _lose_six(space, link)
        case Set(_, "address", str(mac)):
            link.mac = mac
        case Set(_, "arp", bool(on)):
            link.arp = on
        case Set(_, key, value) if key in ("hairpin", "isolated", "learning", "bcast_flood"):
            if not link.master:
                raise Refusal(f"{link.name} is no port of a bridge")
            link.options[key] = value
        case Move(_, to):
            _move(network, link, to)
        case Remove():
            _drop(network, link)


def _switch(network: Network, link: Link, on: bool) -> None:
    """VLANs go down, and come up, with what they are made on (vlan_device_event)."""
    (_up if on else _down)(network.spaces[link.netns], link)
    for child in link.above:
        if child.kind == "vlan":
            _switch(network, child, on)


def _up(space: Netns, link: Link) -> None:
    """Connected routes come when a link is switched on, in that order (fib_netdev_event)."""
    if link.up:
        return
    if link.kind == "vlan" and link.below and not link.below.up:
        raise Refusal(f"{link.name} is made on {link.below.name}, which is down")
    link.up = True
    if link.kind == "lo":
        link.addresses[:0] = [one for one in LOOPBACK if one not in link.addresses]
    elif not space.conf(6, link.name, "disable_ipv6") and link.mtu >= LEAST_OF_SIX:
        # Which one it is follows from the MAC address; here it only has to be its own.
        link.local.append(IPv6Address(0xFE80 << 112 | id(link)))
    for one in link.addresses:
        _connect(space, link, one)


def _down(space: Netns, link: Link) -> None:
    """A link that goes down loses all its routes, also those of others (fib_disable_ip).

    Addresses of IPv4 stay, those of IPv6 go (addrconf_ifdown; keep_addr_on_down is 0).
    """
    link.up = False
    _lose_routes(space, lambda route: route.link is link)
    _lose_six(space, link)


def _lose_routes(space: Netns, gone: Callable[[Route], bool]) -> None:
    space.gone += [route for route in space.routes if gone(route)]
    space.routes = [route for route in space.routes if not gone(route)]


def _lose_six(space: Netns, link: Link) -> None:
    link.addresses = [one for one in link.addresses if one.version == 4]
    link.local, link.unusable = [], {}
    _lose_routes(space, lambda route: route.link is link and route.to.version == 6)


def _move(network: Network, link: Link, to: Ref) -> None:
    """In another namespace a link has lost all but what it is (dev_change_net_namespace)."""
    space = _free(network, to)
    _switch(network, link, False)
    del network.spaces[link.netns].links[link.name]
    plug(link, None)
    link.netns, link.name, link.addresses, link.neighbours, link.queue = *to[1:], [], {}, ""
    space.links[link.name] = link
    space.changed()


def _drop(network: Network, link: Link) -> None:
    """What is deleted takes its other end along, and what is made on it; ports are free again."""
    space = network.spaces[link.netns]
    if space.links.get(link.name) is not link:
        return
    _down(space, link)
    del space.links[link.name]
    space.changed()
    plug(link, None)
    if link.below:
        link.below.above.remove(link)
    for port in [*link.ports]:
        plug(port, None)
    for other in (*link.above, *filter(None, [link.peer])):
        _drop(network, other)


# -- addresses and routes ----------------------------------------------------------------------


def _add_address(space: Netns, link: Link, text: str) -> None:
    if (one := interface(text)) in link.addresses:
        raise Refusal(f"{link.name} has the address {text} already")
    if one.version == 6 and (link.mtu < LEAST_OF_SIX or space.conf(6, link.name, "disable_ipv6")):
        raise Refusal(f"IPv6 is off on {link.name}{TOO_SMALL * (link.mtu < LEAST_OF_SIX)}")
    link.unusable.pop(one.ip, None)
    if one.version == 6 and one.ip.is_link_local:
        link.local.append(one.ip)
        return
    link.addresses.append(one)
    if link.up:
        _connect(space, link, one)


def _connect(space: Netns, link: Link, one: Interface) -> None:
    """Add the route to an address's network, behind those that are equal (fib_add_ifaddr).

    Only the first address of a network on a link has one; what is on lo is local instead.
    """
    first = next(other for other in link.addresses if other.network == one.network)
    if link.kind == "lo" or one.network.prefixlen == one.max_prefixlen or first != one:
        return
    source = one.ip if isinstance(one, IPv4Interface) else None
    space.routes.append(Route(one.network, link, None, CONNECTED[one.version], source,
                              connected=True, name=str(one.network)))  # fmt: skip
    space.tables = None


def _remove_address(space: Netns, link: Link, text: str) -> None:
    """The first address of a network takes the others along, unless they may take its place.

    With an address go the routes that have it as their source (fib_del_ifaddr, ip-sysctl.rst:
    promote_secondaries).
    """
    gone = interface(text)
    link.unusable.pop(gone.ip, None)
    if gone.ip in link.local:
        link.local.remove(gone.ip)
        return
    if gone not in link.addresses:
        raise Refusal(f"{link.name} has no address {text} at this point")
    of_network = [one for one in link.addresses if one.network == gone.network]
    alone = gone.version == 6 or of_network[0] != gone
    away = [gone] if alone or space.larger(link.name, "promote_secondaries") else of_network
    link.addresses = [one for one in link.addresses if one not in away]
    sources = {one.ip for one in away}
    last = gone.version == 4 and not any(one.version == 4 for one in link.addresses)
    left = [one for one in link.addresses if one.network == gone.network]
    _lose_routes(space, lambda route: route.source in sources or (
        route.link is link and ((last and route.to.version == 4) or (
            route.connected and route.to == gone.network and not (left and alone)))))  # fmt: skip
    if left and not any(route.link is link and route.to == gone.network for route in space.routes):
        _connect(space, link, left[0])


def _add_route(space: Netns, ref: Ref, facts: Facts) -> None:
    """A route's next hop has to be on a wire at that moment (fib_check_nh, ip6_route_check_nh)."""
    if "dev" in facts:
        _there(space, facts["dev"])
    try:
        route = route_of(space, ref.name, facts)
    except ValueError:
        raise Refusal(f"{ref.name} is no network, or {facts.get('via')} no address") from None
    route.metric = int(facts.get("metric") or METRIC[route.to.version])
    if route.type == "unicast":
        _find_hop(space, route)
    for other in space.routes:
        if (other.to, other.table, other.metric) == (route.to, route.table, route.metric):
            raise Refusal(f"a route to {ref.name} is there already")
    space.routes.append(route)
    space.tables = None


def _find_hop(space: Netns, route: Route) -> None:
    hop, place = route.via, f" of {space.name}" if space.name else ""
    if hop and route.link is None:
        found = lookup(space, hop, MAIN)
        if is_local(space, hop):
            found = Route(prefix(str(hop)), own(space).get(hop, space.links["lo"]))
        if found is None or found.via or found.type != "unicast":
            raise Refusal(f"the next hop {hop} is in no network{place} at this point")
        route.link = found.link
    link = route.link
    if link is None or not link.up:
        name = link.name if link else "the link"
        raise Refusal(f"{name} is down at this point, so it has no routes")
    if hop and any(one.ip == hop for one, _ in space.addresses):
        # Through one's own address means: on the wire, to whom answers there (fib_check_nh).
        if hop.version == 6:
            raise Refusal(f"the next hop {hop} is an address of {space.name or 'the host'} itself")
        route.via = None
    elif hop and not hop.is_link_local and not is_local(space, hop):
        found = lookup(space, hop, MAIN, link)
        if found is None or found.via:
            raise Refusal(f"the next hop {hop} is in no network of {link.name} at this point")


def _remove_route(space: Netns, ref: Ref, facts: Facts) -> None:
    wanted = route_of(space, ref.name, facts)
    for one in space.routes:
        fits = (one.to, one.table) == (wanted.to, wanted.table)
        fits = fits and wanted.link in (None, one.link) and wanted.via in (None, one.via)
        if fits and ("metric" not in facts or one.metric == wanted.metric):
            space.routes.remove(one)
            space.tables = None
            return
    raise Refusal(f"there is no such route to {ref.name} at this point")


# -- settings and rules ------------------------------------------------------------------------


def _set(space: Netns, path: str, value: str) -> None:
    """One setting of all may set that of every link (ip-sysctl.rst: ip_forward, disable_ipv6)."""
    before = dict(space.settings)
    space.settings[path] = value
    match path.split("/"):
        case [version, "conf", "all", ("forwarding" | "disable_ipv6") as name]:
            for link in ("default", *space.links):
                space.settings[f"{version}/conf/{link}/{name}"] = value
        case [version, "conf", "default", name]:
            # Links that are there keep what they had.
            for link in space.links:
                own = f"{version}/conf/{link}/{name}"
                space.settings.setdefault(own, before.get(path, "0"))
    match path.split("/"):
        case ["ipv6", "conf", name, "disable_ipv6"] if value != "0":
            for one in [*space.links.values()] if name == "all" else [space.links.get(name)]:
                if one:
                    _lose_six(space, one)
        case ["ipv6", "conf", name, "forwarding"] if value != "0":
            _lose_routes(space, lambda route: _forgotten(space, route, name))


def _forgotten(space: Netns, route: Route, name: str) -> bool:
    """Who forwards IPv6 hears no router, unless accept_ra is 2 (ip-sysctl.rst: accept_ra)."""
    link = route.link.name if route.link else ""
    hears = space.settings.get(f"ipv6/conf/{link}/accept_ra", "1") != "1"
    return route.advertised and name in ("all", link) and not hears
