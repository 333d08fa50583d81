"""Routes (ip-route(8))."""

from collections.abc import Iterator
from functools import lru_cache
from ipaddress import ip_network
from typing import Any

from cnetsh.kinds.address import with_all_parts
from cnetsh.kinds.change import (
    Answers,
    Change,
    Changes,
    Command,
    Fact,
    Facts,
    Found,
    Make,
    Reach,
    Ref,
    Remove,
    Seen,
    Words,
    typed_in,
)
from cnetsh.kinds.looks import shows

TOOLS = ("ip route", "ip r")
SAMPLES = (
    "ip route add default via 10.0.0.2",
    "ip route add 10.9/16 via 10.0.0.2 dev p0 metric 7",
    "ip -6 route add fd01::/64 via fd00::2",
)
# How `ip -j route` calls what `ip route add` types.
KEYS = {"via": "gateway", "dev": "dev", "table": "table", "src": "prefsrc", "metric": "metric"}
# In the order in which they are written; the others are only seen, of routes of others.
_SEEN = {
    **{"from": "from", "tos": "tos", "via": "gateway", "dev": "dev", "table": "table"},
    **{"proto": "protocol", "scope": "scope", "src": "prefsrc", "metric": "metric"},
    **{"pref": "pref"},
}
# What no command gives back: the number of a next hop that is gone, and what packets are put into.
_UNWRITTEN = {"nhid": "nhid", "encap": "encap"}
# How ip types metrics that it prints by another name, and times, which it prints in milliseconds.
_METRICS = {"ecn": "features ecn", "congestion": "congctl"}
_TIMES = frozenset({"rtt", "rttvar", "rto_min"})
# What tells routes to one network apart, as `ip route delete` takes it.
IDENTITY = ("type", "from", "tos", "via", "dev", "table", "metric", "next")


def read(command: Command) -> Changes | None:
    """Give what a command does to a route; () for one that looks, None if not allowed."""
    netns, _, rest, _ = command
    match rest:
        case ("add", to, _, *_) | ("delete" | "del", to, *_):
            verb, facts = Make if rest[0] == "add" else Remove, _facts(rest[2:])
            return (verb(Ref("route", netns, canonical_network(to)), facts),) if facts else None
        case ("get", _):
            return ()
    return () if shows(rest) else None


def _facts(words: Words) -> dict[str, str] | None:
    """Give what is said of a route by key, None where a word has no meaning or a second one."""
    said = dict(zip(words[::2], words[1::2], strict=False))
    if 2 * len(said) != len(words) or not said.keys() <= KEYS.keys():
        return None
    # IPv6 may be typed in many ways, and is found by the one that the kernel prints.
    if "via" in said:
        said["via"] = canonical_network(said["via"])
    return {"table": "main", **said}


# A thousand namespaces have the same networks.
@lru_cache(4096)
def canonical_network(text: str) -> str:
    """Give a network or an address as the kernel keeps it, any other word as it is.

    10.88/16 is 10.88.0.0/16, 172.18.0.0/12 is 172.16.0.0/12, and 10.0.0.1/32 just 10.0.0.1.
    """
    if text in ("default", "all"):
        return "default"
    if "/" not in text and ":" not in text:
        return text
    try:
        found = ip_network(with_all_parts(text), strict=False)
    except ValueError:
        return text
    if not found.prefixlen:
        return "default"
    whole = found.prefixlen == found.max_prefixlen
    return str(found.network_address) if whole else str(found)


def write(change: Change, typed: Command | None = None) -> tuple[str, ...]:
    """Give the command that does a change, with ip's options where it was typed with some."""
    assert isinstance(change, Make | Remove)
    verb = "delete" if isinstance(change, Remove) else "add"
    if typed:
        options = typed.words[1 : len(typed.words) - len(typed.rest) - 1]
        # With ip's own options, for `default` alone does not tell the version of IP.
        return (typed_in(change.ref.netns, "ip", *options, "route", verb, *typed.rest[1:]),)
    family = ("-6",) if _is_six(change.ref.name, change.facts) else ()
    kind = (change.facts["type"],) if change.facts.get("type", "unicast") != "unicast" else ()
    facts = change.facts
    if isinstance(change, Remove):
        facts = {key: facts[key] for key in IDENTITY if key in facts}
    verb = "replace" if "was" in facts else verb
    # What is left of several next hops is there, and takes another one.
    verb = "append" if verb == "add" and "beside" in facts else verb
    words = (*family, "route", verb, *kind, change.ref.name, *_said(facts))
    return (typed_in(change.ref.netns, "ip", *words),)


def _said(facts: Facts) -> Iterator[str]:
    hops = list(facts.get("next", ()))
    if "beside" in facts:
        hops = [{"gateway": facts["via"], "dev": facts["dev"], "weight": facts["beside"]}]
    for key in (one for one in _SEEN if not (hops and one in ("via", "dev"))):
        if facts.get(key) not in (None, "", "main"):
            yield from (key, *str(facts[key]).split())
    if "onlink" in facts.get("flags", ()):
        yield "onlink"
    if "realms" in facts:
        yield from ("realms", facts["realms"])
    for key, value in facts.get("metrics", {}).items():
        yield from _METRICS.get(key, key).split()
        yield from ("lock",) if key in facts.get("locked", ()) else ()
        yield from () if value is None else (f"{value}ms" if key in _TIMES else str(value),)
    for seconds in facts.get("left", ()):
        yield from ("expires", str(seconds))
    for hop in hops:
        via = ("via", hop["gateway"]) if hop.get("gateway") else ()
        yield from ("nexthop", *via, "dev", hop["dev"], "weight", str(hop.get("weight", 1)))


def see(answers: Answers, netns: str) -> Seen:
    """Give the routes of all tables, also those that the kernel made for its addresses."""
    for route in answers.routes:
        yield Ref("route", netns, canonical_network(str(route["dst"]))), _facts_of(route)


def _facts_of(route: Facts) -> dict[str, Any]:
    names = {**_SEEN, **_UNWRITTEN, "type": "type"}
    facts = {key: str(route[said]) for key, said in names.items() if said in route}
    if "via" in route:
        facts["via"] = f"{route['via']['family']} {route['via']['host']}"
    more: dict[str, Any] = {"table": "main", **facts}
    if "onlink" in route.get("flags", ()):
        more["flags"] = ["onlink"]
    if "flow" in route:
        more["realms"] = "/".join(map(str, route["flow"].values()))
    if "expires" in route:
        # It is counted down: that it ends is the fact.
        more |= {"ends": "in time", "left": [route["expires"]]}
    if route.get("metrics"):
        more["metrics"] = {key: value for one in route["metrics"] for key, value in one.items()}
        more |= {"locked": route["locked"]} if route.get("locked") else {}
    if route.get("nexthops"):
        kept = ("gateway", "dev", "weight")
        more["next"] = [{key: hop[key] for key in kept if key in hop} for hop in route["nexthops"]]
    return more


def places(fact: Fact, value: Any) -> Iterator[Reach]:
    """Give the links whose end takes a route along."""
    devs = [value.get("dev"), *(hop.get("dev") for hop in value.get("next", ()))]
    for dev in filter(None, devs):
        yield "route", fact.ref.netns, dev
        yield "six" if _is_six(fact.ref.name, value) else "four", fact.ref.netns, dev
    if _is_six(fact.ref.name, value):
        yield "six", fact.ref.netns, ""


def _is_six(to: str, facts: Facts) -> bool:
    # Only routes of IPv6 have a preference (RFC 4191); one of IPv4 says of what family its via is.
    via = str(facts.get("via", ""))
    return ":" in to or "pref" in facts or (":" in via and " " not in via)


def excludes(made: Make, typed: Command, there: Facts) -> bool:
    """Say whether the kernel takes a route, as it was typed, only without one that is there."""
    # A default without a gateway is of IPv6 by ip's option alone.
    six = "-6" in typed.words or _is_six(made.ref.name, made.facts)
    usual = {"table": "main", "from": "", "tos": "", "metric": "1024" if six else "0"}
    return six == _is_six(made.ref.name, there) and all(
        there.get(key, least) == made.facts.get(key, least) for key, least in usual.items()
    )


def can_be(now: Facts | None, wanted: Facts) -> bool:
    """Say whether a command gives a route what it is wanted with."""
    if "encap" in wanted:
        return False
    # Without the number of its next hop it is there, and leads the same way; a group's is not gone.
    return "nhid" not in wanted or (now is None and "next" not in wanted)


def by_hop(ref: Ref, facts: Facts) -> list[Facts]:
    """Give a route by what of it goes alone: of IPv6 that is each of its next hops."""
    if "next" not in facts or "nhid" in facts or not _is_six(ref.name, facts):
        return [facts]
    whole = {key: value for key, value in facts.items() if key != "next"}
    return [
        {**whole, "via": hop.get("gateway"), "dev": hop["dev"], "beside": hop.get("weight", 1)}
        for hop in facts["next"]
    ]


def derived(fact: Fact, found: Found) -> bool:
    """Say whether the kernel made the route for an address, or keeps it for itself."""
    facts = found.get(fact) or {}
    kinds = ("local", "broadcast", "multicast", "anycast")
    return facts.get("proto") == "kernel" or facts.get("type") in kinds


EXPLAINED = "A packet goes by the route with the longest prefix that its destination is in."
_REFUSED = {
    "unreachable": "the sender is told: no route",
    "blackhole": "thrown away, and nobody is told",
    "prohibit": "the sender is told: prohibited",
}


def explain(ref: Ref, facts: Facts) -> str:
    """Say what becomes of a packet that goes by a route."""
    to = "what no other route is for" if ref.name == "default" else "it"
    if facts.get("type", "unicast") in _REFUSED:
        return _REFUSED[facts["type"]]
    if "next" in facts:
        return f"{to} is spread over {len(facts['next'])} next hops"
    if hop := facts.get("via"):
        hop = hop.rpartition(" ")[2]
        return f"{to} goes to {hop}, a neighbour on {facts.get('dev')}, who passes it on"
    by = "neighbour discovery" if ":" in ref.name else "ARP"
    return f"{to} is on {facts.get('dev')} itself: the neighbour is asked for by {by}"
