"""What one namespace decides about a packet: which addresses are its own, which route, whose name.

Every decision stands in a function of its own, with where it is known from.
"""

from collections.abc import Iterator
from ipaddress import IPv6Address
from typing import NamedTuple

from cnetsh.forwarding.network import LOCAL, MAIN, Address, Link, Netns, Route, Unknown, prefix
from cnetsh.kinds.change import Facts

LINK_LOCAL = prefix("fe80::/64")
# Of a rule of `ip rule`: what the model reads, and what says nothing of the packet.
_READ = frozenset({"src", "srclen", "dst", "dstlen", "iif", "oif", "fwmark", "fwmask", "not",
                   "table", "action"})  # fmt: skip
_SILENT = frozenset({"priority", "protocol", "family", "suppress_prefixlen"})


def is_local(space: Netns, wanted: Address) -> bool:
    """Say whether an address is the namespace's own, on whatever link, up or not.

    Linux has a weak host model: an address belongs to the host, not to the link. What is on lo is
    local with its whole network (fib_add_ifaddr, RTN_LOCAL).
    """
    if wanted in own(space):
        return True
    return any(wanted in one for one in space.wide) if space.wide else False


def own(space: Netns) -> dict[Address, Link]:
    """Give a namespace's addresses with their links."""
    if space.own is None:
        space.own = {}
        both = [(one.ip, link) for one, link in space.addresses]
        both += [(mine, link) for link in space.links.values() for mine in link.local]
        for mine, link in both:
            if mine not in link.unusable:
                space.own.setdefault(mine, link)
        lo = space.links["lo"]
        space.wide = [*space.given]
        space.wide += [one.network for one in lo.addresses if lo.up and one.version == 4
                      and one.network.prefixlen < one.max_prefixlen]  # fmt: skip
    return space.own


def lookup(space: Netns, to: Address, table: str, only: Link | None = None) -> Route | None:
    """Give a table's route to an address: the longest prefix, the least metric, then the first.

    Equal routes stand in the order in which they came, and the first is taken (fib_select_default);
    only: the link that a packet is bound to.
    """
    for rest, places in _index(space).get((table, to.version), ()):
        found = [one for one in places.get(int(to) >> rest, ()) if only in (None, one.link)]
        if found:
            # min keeps the first of equals.
            return min(found, key=lambda route: route.metric)
    return None


def equals_of(space: Netns, route: Route) -> list[Route]:
    """Give the routes of a namespace that are equal to one, of which the first is taken."""
    same = (route.to, route.metric, route.table)
    return [one for one in space.routes if (one.to, one.metric, one.table) == same]


def _index(space: Netns) -> dict[tuple[str, int], list[tuple[int, dict[int, list[Route]]]]]:
    if space.tables is None:
        found: dict[tuple[str, int], dict[int, dict[int, list[Route]]]] = {}
        for route in space.routes:
            rest = route.to.max_prefixlen - route.to.prefixlen
            places = found.setdefault((route.table, route.to.version), {}).setdefault(rest, {})
            places.setdefault(int(route.to.network_address) >> rest, []).append(route)
        space.tables = {key: sorted(table.items()) for key, table in found.items()}
    return space.tables


def decide(
    space: Netns, to: Address, source: Address | None, came: Link | None, only: Link | None = None,
    mark: int | None = 0,
) -> Route | None:  # fmt: skip
    """Give the route of a packet: own addresses first, then the tables in the order of the rules.

    ip-rule(8): the table local has priority 0. came: the link it came in by; only: see lookup;
    mark: None where it is not known.
    Raises Unknown for a rule by what is not modelled.
    """
    if isinstance(to, IPv6Address) and to.is_link_local and to not in own(space):
        return Route(LINK_LOCAL, only or came)
    bound = only is not None and not only.has(to)
    if is_local(space, to) and not bound:
        return Route(prefix(str(to)), space.links["lo"], table=LOCAL, type="local")
    for table, least in _asked(space, _Asks(to, source, came, only, mark)):
        if isinstance(table, Route):
            return table
        found = lookup(space, to, table, only)
        if found and found.type != "throw" and found.to.prefixlen > least:
            return found
    # Bound to a link, IPv4 takes whom it seeks for a neighbour there (ip_route_output_key_hash).
    return Route(prefix(str(to)), only) if only and to.version == 4 else None


class _Asks(NamedTuple):
    """What a rule may ask of a packet."""

    to: Address
    source: Address | None
    came: Link | None
    only: Link | None
    mark: int | None


def _asked(space: Netns, packet: _Asks) -> Iterator[tuple[str | Route, int]]:
    """Give the tables that the rules name for a packet, or the refusal of a rule.

    Of a table with suppress_prefixlength only longer prefixes count (ip-rule(8)).
    """
    if space.policy is None:
        yield MAIN, -1
        return
    six = [one for one in space.policy if (one.get("family") == 6) == (packet.to.version == 6)]
    for rule in sorted(six, key=lambda one: int(one.get("priority", 0))):
        if not _fits(rule, packet):
            continue
        if rule.get("action", "to_tbl") != "to_tbl":
            kind = str(rule["action"])
            yield Route(prefix(str(packet.to)), None, type=kind, name=_said(rule)), -1
        elif rule.get("table") not in (LOCAL, None):
            yield str(rule["table"]), int(rule.get("suppress_prefixlen", -1))


def _said(rule: Facts) -> str:
    return f"rule {rule.get('priority')}"


def _fits(rule: Facts, packet: _Asks) -> bool:
    """Say whether a rule fits (fib_rule_match): oif only what is bound to a link before."""
    came, goes = (link.name if link else "" for link in (packet.came, packet.only))
    fits: bool = rule.get("iif", came or "lo") == (came or "lo") and rule.get("oif", goes) == goes
    more = rule.keys() - _READ - _SILENT
    if "fwmark" in rule and packet.mark is None:
        more |= {"fwmark"}
    elif "fwmark" in rule:
        mask = int(rule.get("fwmask", "0xffffffff"), 0)
        fits = fits and (packet.mark or 0) & mask == int(rule["fwmark"], 0)
    for key, has in (("src", packet.source), ("dst", packet.to)):
        if rule.get(key, "all") != "all":
            network = prefix(f"{rule[key]}/{rule.get(f'{key}len', '')}".rstrip("/"))
            fits = fits and has is not None and has in network
    if more and fits:
        raise Unknown(f"whether {_said(rule)} fits, which asks for {', '.join(sorted(more))}")
    return fits != ("not" in rule)


def lent(space: Netns, link: Link, to: Address | None, version: int) -> Address | None:
    """Give the source address that a link lends (inet_select_addr, ipv6_dev_get_saddr).

    The first of the link in the target's network, else its first, else any of the namespace.
    """
    if version == 6:
        return _lent_six(space, link, to)
    here = [one for one in link.addresses if one.version == 4]
    for one in here:
        if to is not None and to in one.network:
            return one.ip
    others = (one.ip for one, _ in space.addresses if one.version == 4 and not one.ip.is_loopback)
    return here[0].ip if here else next(others, None)


def _lent_six(space: Netns, link: Link, to: Address | None) -> Address | None:
    """RFC 6724, in its order: of the same scope, and with most leading bits of the target."""
    if to is None or to.is_link_local:
        return _of_link(link)
    every = [(one.ip, other) for one, other in space.addresses
             if one.version == 6 and not one.is_loopback and other.has(one.ip)]  # fmt: skip
    # What is going out of use comes last, then what is of another link.
    every = [one for one in every if one[0] not in one[1].old] or every
    here = [ip for ip, other in every if other is link] or [ip for ip, _ in every]
    best = sorted(here, key=lambda one: (int(one) ^ int(to)).bit_length())
    if len(best) > 1 and (int(best[0]) ^ int(best[1])).bit_length() > 64:
        same = (int(best[0]) ^ int(to)).bit_length() == (int(best[1]) ^ int(to)).bit_length()
        if same:
            raise Unknown(f"which of its addresses {space.name or 'the host'} sends with")
    return best[0] if best else _of_link(link)


def _of_link(link: Link) -> Address | None:
    """Of a link's own addresses the newest is taken (ipv6_link_dev_addr)."""
    return next((one for one in reversed(link.local) if link.has(one)), None)


def asks_as(space: Netns, link: Link, hop: Address, source: Address | None) -> Address | None:
    """Give the source of a question for a neighbour (arp_solicit; ip-sysctl.rst: arp_announce).

    A packet's own where it is one of ours; with 1 only where one network of the link has both, with
    2 always what the link lends.
    """
    announce = space.larger(link.name, "arp_announce") if hop.version == 4 else 0
    both = (any(hop in one.network and source in one.network for one in link.addresses)
            if announce == 1 and source else not announce)  # fmt: skip
    if source and both and is_local(space, source):
        return source
    return lent(space, link, hop, hop.version)


def source_of(space: Netns, route: Route, to: Address) -> Address | None:
    """Give the address that a packet of the namespace's own is sent from (fib_result_prefsrc)."""
    if route.type == "local":
        return to
    assert route.link
    if route.source:
        return route.source
    if to.version == 6:
        return _lent_six(space, route.link, to)
    return lent(space, route.link, route.via or (to if route.connected else None), 4)


def refused_source(
    space: Netns, link: Link, source: Address | None, to: Address
) -> tuple[str, Route | None]:
    """Say whether a source is refused on the way in, "" if not, and the route that leads there.

    One's own address as source is a martian, unless accept_local; with rp_filter 1 the way back
    has to leave by the same link, with 2 by any; the larger of all and the link's counts. Rules of
    `ip rule` see the answer, from whom it is for (fib_validate_source, ip-sysctl.rst). IPv6 has
    none of this.
    """
    if source is None or source.version == 6:
        return "", None
    mine = source in own(space) or source.is_loopback
    if mine and not space.larger(link.name, "accept_local"):
        return "own_address", None
    strict = space.larger(link.name, "rp_filter")
    if not strict:
        return "", None
    route = decide(space, source, to, None)
    if route is None or route.type not in ("unicast", "several"):
        return "rp_filter", route
    by_it = route.link is link or link.name in route.ways
    return ("", route) if by_it or strict == 2 else ("rp_filter", route)


def passes_on(space: Netns, link: Link, version: int) -> bool:
    """Say whether what comes in by a link is passed on.

    Of IPv4 the link's own forwarding counts, where the packet comes in; of IPv6 that of all
    (ip_route_input_slow, ip6_forward; ip-sysctl.rst).
    """
    if version == 6:
        return bool(space.value("ipv6/conf/all/forwarding"))
    return bool(space.conf(4, link.name, "forwarding"))
