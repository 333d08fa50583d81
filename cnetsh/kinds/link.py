"""Links: cables (veth), bridges, what is made on another link; up or down, and their bridge.

Sources: ip-link(8), bridge(8).
"""

from collections.abc import Iterator
from typing import Any

from cnetsh.kinds import mtu, port
from cnetsh.kinds.change import (
    Answers,
    Change,
    Changes,
    Command,
    Fact,
    Facts,
    Found,
    Make,
    Move,
    Reach,
    Ref,
    Remove,
    Seen,
    Set,
    State,
    Words,
    typed_in,
    values_of,
)
from cnetsh.kinds.link_words import ALONE, KEYS, NEW, REFUSED, SET, by_key, read_value
from cnetsh.kinds.looks import shows
from cnetsh.names import keyword

TOOLS = ("ip link", "ip l")
SAMPLES = (
    "ip link add p0 type veth peer name p1",
    "ip link add p0 type veth peer name p1 netns n0",
    "ip link add p0 netns n0 type veth peer name p1 netns n1",
    "ip link add name br0 address 02:00:00:00:00:01 type bridge",
    "ip link add link p0 name m0 netns n0 type macvlan mode bridge",
    "ip link add name vx0 type vxlan id 5 dstport 4789 local 10.0.0.9 dev p0",
    "ip link add name d0 type dummy",
    "ip link add link p0 name v0 type vlan id 5",
    "ip link add link p0 name i0 netns n0 type ipvlan mode l3",
    "ip link set p0 up",
    "ip link set dev p0 master br0",
    "ip link set dev p0 nomaster",
    "ip link set dev p0 mtu 1400",
    "ip link set dev p0 type bridge_slave hairpin on",
    "ip link set p1 netns n0",
)
# By type: the options that may follow it, and how `ip -j -d link` calls each.
TYPES: dict[str, dict[str, str]] = {
    "veth": {},
    "bridge": {},
    "dummy": {},
    "macvlan": {"mode": "mode"},
    "ipvlan": {"mode": "mode"},
    "vlan": {"id": "id"},
    "vxlan": {"id": "id", "dstport": "port", "remote": "remote", "local": "local", "dev": "link"},
}
# What is seen besides, and written to put it back.
_FLAGS = {"arp": ("NOARP", False), "promisc": ("PROMISC", True), "allmulticast": ("ALLMULTI", True)}
# The kernel gives a MAC address by itself, or somebody has set it (net_device's addr_assign_type).
SET_BY_HAND = "3"


def read(command: Command) -> Changes | None:
    """Give what a command does to links; () for one that looks, None if not allowed."""
    netns, _, rest, _ = command
    match rest:
        # A large lab has thousands of these two, and is planned a tenth faster with them first.
        case ("set", name, "up") if not keyword(name):
            return (Set(Ref("link", netns, name), "up", True),)
        case ("set", "dev", name, "master", bridge) if bridge:
            return (Set(Ref("link", netns, name), "master", bridge),)
        case ("set", *_):
            return _changed(rest[1:], netns)
        case ("add", *_):
            return _added(rest[1:], netns)
        case ("delete" | "del", "dev", name):
            return (Remove(Ref("link", netns, name)),)
        case ("delete" | "del", name) if not keyword(name):
            return (Remove(Ref("link", netns, name)),)
    return () if shows(rest) else None


def _added(rest: Words, netns: str) -> Changes | None:
    given, more = by_key(rest, NEW, "name")
    kind, more = "".join(more[1:2]), more[2:]
    # A type without a row would be made, and nobody knew what goes along with it.
    if kind not in TYPES or "name" not in given:
        return None
    ref = Ref("link", given.pop("netns", netns), given.pop("name"))
    parent, facts = given.pop("link", None), {"kind": kind, **given}
    if kind == "veth":
        return _cable(ref, facts, more, netns) if not parent else None
    options = {key: read_value(key, text) for key, text in zip(more[::2], more[1::2], strict=False)}
    known = options.keys() <= TYPES[kind].keys() and REFUSED not in options.values()
    if not known or 2 * len(options) != len(more):
        return None
    parent = parent or options.get("dev")
    return (Make(ref, facts | options, on=Ref("link", netns, parent) if parent else None),)


def _cable(ref: Ref, facts: dict[str, Any], words: Words, netns: str) -> Changes | None:
    far, more = by_key(words[1:], NEW, "name")
    if words[:1] != ("peer",) or more or "link" in far or "address" in far or "name" not in far:
        return None
    peer = Ref("link", far.get("netns", netns), far["name"])
    if peer == ref:
        return None
    # What is said of the far end is a change of its own, so that it is seen and undone as one.
    sizes = (Set(peer, "mtu", far["mtu"]),) if "mtu" in far else ()
    return (Make(ref, facts, (peer,)), *sizes)


def _changed(rest: Words, netns: str) -> Changes | None:
    """Read `ip link set`: several values may stand in one command, in any order."""
    values, more = by_key(rest, SET, "dev", ALONE)
    if more:
        # Whatever stands behind it ip takes for an option of the port.
        values["hairpin"] = port.TYPED.get(more[1:], REFUSED)
    ref = Ref("link", netns, values.pop("dev", ""))
    if not ref.name or REFUSED in values.values():
        return None
    changes: list[Change] = [
        Move(ref, Ref("link", value, ref.name)) if key == "netns" else Set(ref, key, value)
        for key, value in values.items()
    ]
    return tuple(changes) or None


def write(change: Change, typed: Command | None = None) -> tuple[str, ...]:
    """Give the command that does a change."""
    return (_add(change) if isinstance(change, Make) else _set(change),)


def _set(change: Change) -> str:
    name = change.ref.name
    words: Words = ()
    match change:
        case Set(_, "state", value):
            words = ("bridge", "link", "set", "dev", name, "state", str(value))
            return typed_in(change.ref.netns, *words)
        case Set(_, "stp_state" | "vlan_filtering" as key, value):
            words = ("set", "dev", name, "type", "bridge", key, str(value))
        case Remove():
            words = ("delete", *_plain(name))
        case Move(_, to):
            words = ("set", *_plain(name), "netns", to.netns)
        case Set(_, "up", value):
            words = ("set", *_plain(name), "up" if value else "down")
        case Set(_, "master", None):
            words = ("set", "dev", name, "nomaster")
        case Set(_, key, value) if key in port.OPTIONS:
            words = ("set", "dev", name, "type", "bridge_slave", key, _said(value))
        case Set(_, key, value):
            words = ("set", "dev", name, key, _said(value))
    return typed_in(change.ref.netns, "ip", "link", *words)


def _plain(name: str) -> Words:
    """Give a link's name as it is typed, with dev where ip takes it for a keyword."""
    return ("dev", name) if keyword(name) else (name,)


def _said(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return "" if value is None else str(value)


def _add(change: Make) -> str:
    """Give the command that makes a link; the namespaces of both ends stand in its words."""
    facts, ref = change.facts, change.ref
    # A vxlan names the link that it is on after its type, a macvlan before its own name.
    words = ["link", change.on.name] if change.on and "dev" not in facts else []
    words += ["name", ref.name, *_home(ref)]
    words += [word for key in ("address", "mtu") if key in facts for word in (key, str(facts[key]))]
    words += ["type", facts["kind"]]
    for peer in change.also:
        words += ["peer", "name", peer.name, *_home(peer)]
    for key in TYPES[facts["kind"]]:
        words += [key, str(facts[key])] if key in facts else []
    return typed_in("", "ip", "link", "add", *words)


def _home(ref: Ref) -> tuple[str, ...]:
    return ("netns", ref.netns) if ref.netns else ()


def inverse(change: Change) -> Change | None:
    """Give what undoes a change of which nobody noted the value before, None for what has none."""
    match change:
        case Set(_, "up" | "hairpin", value):
            return change._replace(value=not value)
        case Set(_, "master", value) if value:
            return change._replace(value=None)
    return None


def see(answers: Answers, netns: str) -> Seen:
    """Give the links with what can be set of them, each with what no other link ever gets."""
    for link in answers.addresses:
        if "ifname" in link:
            facts = _facts(link) | _far_end(link, answers, netns)
            facts["mark"] = [link["ifindex"], answers.marks.get(link["ifname"], 0)]
            if how := answers.assigned.get(link["ifname"]):
                facts["assigned"] = how
            yield Ref("link", netns, link["ifname"]), facts


def _facts(link: Any) -> dict[str, Any]:
    info = link.get("linkinfo", {})
    kind, data = info.get("info_kind", ""), info.get("info_data", {})
    flags = link.get("flags", ())
    facts = {key: link.get(said) for key, said in KEYS.items()}
    facts |= {"ifindex": link["ifindex"], "kind": kind, "up": "UP" in flags}
    facts |= {"carrier": "LOWER_UP" in flags}
    facts |= {"master": link.get("master"), "names": link.get("altnames", []), **port.ALONE}
    facts |= {key: (flag in flags) == on for key, (flag, on) in _FLAGS.items()}
    facts |= port.seen(info.get("info_slave_data", {}))
    facts |= {key: 1 for key in port.OF_BRIDGES if data.get(key)}
    for option, said in TYPES.get(kind, {}).items():
        facts[option] = str(data[said]) if said in data else None
    return facts


def reach(change: Change, before: State) -> Iterator[Reach]:
    """Give what a change of a link takes along, besides what it names.

    Down takes addresses and routes of IPv6, all neighbours, and routes of IPv4; leaving a bridge
    the port's options and entries; an MTU below 1280 all of IPv6, also of what follows the MTU; a
    MAC address the neighbours (measured; dev_close, br_del_if, addrconf_ifdown, neigh_changeaddr).
    """
    ref = change.ref
    match change:
        case Set(_, "up"):
            yield from _all_on(ref)
            for peer in values_of(ref, "peer", before):
                yield "local", *peer[1:]
        case Set(_, "mtu"):
            yield from _all_on(ref)
            yield from mtu.reach(ref, before)
        case Set(_, "address"):
            yield "assigned", *ref[1:]
            for link in (ref.name, *values_of(ref, "master", before)):
                yield from _by_address(ref.netns, link)
        case Set(_, "master", value):
            yield from (("port", *ref[1:]), ("fdb", *ref[1:]))
            for bridge in ([value] if value else []) + values_of(ref, "master", before):
                yield from _by_address(ref.netns, bridge)
                yield from mtu.reach(ref._replace(name=bridge), before)


def _by_address(netns: str, link: str) -> Iterator[Reach]:
    """Give what another MAC address costs a link; a bridge's follows that of its ports."""
    yield from (("local", netns, link), ("known", netns, link))


def _all_on(link: Ref) -> Iterator[Reach]:
    for kind in ("address", "local", "route", "neighbour", "queue"):
        yield kind, link.netns, link.name


def places(fact: Fact, value: Any) -> Iterator[Reach]:
    """Give what takes a value of a link along."""
    if fact.key in port.OPTIONS:
        yield "port", *fact.ref[1:]
    if fact.key in ("assigned", "mtu"):
        yield fact.key, *fact.ref[1:]


def derived(fact: Fact, found: Found) -> bool:
    """Say whether the kernel makes a value of others: a bridge's follow those of its ports."""
    if found.get(Fact(fact.ref, "kind")) != "bridge":
        return fact.key == "kind"
    if fact.key == "address":
        return found.get(Fact(fact.ref, "assigned")) != SET_BY_HAND
    # Nothing tells a bridge's own MTU.
    follows = fact.key == "mtu" and found.get(fact) == mtu.least_of_ports(fact, found)
    return fact.key == "kind" or follows


def _far_end(link: Any, answers: Answers, netns: str) -> dict[str, Any]:
    """Give where a cable's other end is, or what a link is on: namespace and ifindex, or name.

    The namespace is the number that it is known by where nobody has said its name.
    """
    number = link.get("link_netnsid")
    home = netns if number is None else answers.ids.get(number, number)
    index = link.get("link_index") or link.get("link")
    return {"far": (home, index)} if index else {}


EXPLAINED = "A link sends frames and takes them in: an end of a cable (veth), a bridge, a card."
_SHOWN = {
    "bridge": "a switch: it passes frames on between its ports",
    "veth": "an end of a cable",
    "macvlan": "shares another link, under a MAC address of its own",
    "vxlan": "frames travel in packets of UDP to another machine",
}


def explain(ref: Ref, facts: Facts) -> str:
    """Say what a link means as it stands; carrier: as `look_closely` has found it."""
    if not facts["up"]:
        return "down: nothing is sent or taken in, and its routes are gone"
    if facts.get("carrier") is False:
        what = "none of its ports" if facts["kind"] == "bridge" else "nothing at its other end"
        return f"up, without a carrier: {what} is up"
    said = _SHOWN.get(facts["kind"], "the way to oneself" if ref.name == "lo" else "")
    if peer := facts.get("peer"):
        said += f": what goes in comes out of {peer.name} in {peer.netns or 'the host'}"
    if facts.get("master"):
        return f"a port of {facts['master']}; {said}".removesuffix("; ")
    return said
