"""Routes (ip-route(8))."""

from ipaddress import ip_network

from cnetsh.kinds.address import with_all_parts
from cnetsh.kinds.change import Answers, Change, Changes, Command, Make, Ref, Remove, Seen, typed_in
from cnetsh.kinds.looks import shows

TOOLS = ("ip route", "ip r")
SAMPLES = (
    "ip route add default via 10.0.0.2",
    "ip route add 10.9/16 via 10.0.0.2 dev p0 metric 7",
    "ip -6 route add fd01::/64 via fd00::2",
)
# How `ip -j route` calls what `ip route add` types.
KEYS = {"via": "gateway", "dev": "dev", "table": "table", "src": "prefsrc", "metric": "metric"}
# In the order in which they are written; proto and scope are only seen, of routes of others.
_SEEN = {
    **{key: KEYS[key] for key in ("via", "dev", "table")},
    **{"proto": "protocol", "scope": "scope", "src": "prefsrc", "metric": "metric"},
}


def read(command: Command) -> Changes | None:
    """Give what a command does to a route; () for one that looks, None if not allowed."""
    match command.rest:
        case ("add", to, *rest) if rest and _keyed(rest):
            return (Make(Ref("route", command.netns, canonical_network(to)), _facts(rest)),)
        case ("delete" | "del", to, *rest) if _keyed(rest):
            return (Remove(Ref("route", command.netns, canonical_network(to)), _facts(rest)),)
        case ("get", _):
            return ()
    return () if shows(command.rest) else None


def _keyed(rest: list[str]) -> bool:
    keys = rest[::2]
    return len(rest) % 2 == 0 and KEYS.keys() >= set(keys) and len(set(keys)) == len(keys)


def _facts(rest: list[str]) -> dict[str, str]:
    facts = {"table": "main", **dict(zip(rest[::2], rest[1::2], strict=True))}
    if "via" in facts:
        facts["via"] = canonical_network(facts["via"])
    return facts


def canonical_network(text: str) -> str:
    """Give a network or an address as the kernel keeps it, any other word as it is.

    10.88/16 is 10.88.0.0/16, 172.18.0.0/12 is 172.16.0.0/12, and 10.0.0.1/32 just 10.0.0.1.
    """
    if text in ("default", "0.0.0.0/0", "::/0"):
        return "default"
    if "/" not in text and ":" not in text:
        return text
    try:
        found = ip_network(with_all_parts(text), strict=False)
    except ValueError:
        return text
    whole = found.prefixlen == found.max_prefixlen
    return str(found.network_address) if whole else str(found)


def write(change: Change, typed: Command | None = None) -> tuple[str, ...]:
    """Give the command that does a change, with ip's options where it was typed with some."""
    assert isinstance(change, Make | Remove)
    verb = "delete" if isinstance(change, Remove) else "add"
    if typed:
        options = typed.words[1 : len(typed.words) - len(typed.rest) - 1]
        return (typed_in(change.ref.netns, "ip", *options, "route", verb, *typed.rest[1:]),)
    family = ("-6",) if ":" in change.ref.name + str(change.facts.get("via", "")) else ()
    kind = (change.facts["type"],) if change.facts.get("type", "unicast") != "unicast" else ()
    told = {key: str(change.facts.get(key, "")) for key in _SEEN}
    said = [
        word for key, value in told.items() if value not in ("", "main") for word in (key, value)
    ]
    words = (*family, "route", verb, *kind, change.ref.name, *said)
    return (typed_in(change.ref.netns, "ip", *words),)


def see(answers: Answers, netns: str) -> Seen:
    """Give the routes of all tables, also those that the kernel made for its addresses."""
    for route in answers.routes:
        names = {**_SEEN, "type": "type"}
        facts = {key: str(route[said]) for key, said in names.items() if said in route}
        name = canonical_network(str(route["dst"]))
        yield Ref("route", netns, name), {"table": "main", **facts}
