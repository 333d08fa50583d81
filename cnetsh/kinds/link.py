"""Links: cables (veth), bridges, what is made on another link; up or down, and their bridge.

Sources: ip-link(8), bridge(8).
"""

from collections.abc import Iterator
from typing import Any

from cnetsh.kinds.change import (
    Answers,
    Change,
    Changes,
    Command,
    Facts,
    Make,
    Move,
    Ref,
    Remove,
    Seen,
    Set,
    State,
    Words,
    typed_in,
)
from cnetsh.kinds.looks import shows

TOOLS = ("ip link", "ip l")
SAMPLES = (
    "ip link add p0 type veth peer name p1",
    "ip link add p0 type veth peer name p1 netns n0",
    "ip link add p0 netns n0 type veth peer name p1 netns n1",
    "ip link add name br0 address 02:00:00:00:00:01 type bridge",
    "ip link add link p0 name m0 netns n0 type macvlan mode bridge",
    "ip link add name vx0 type vxlan id 5 dstport 4789 local 10.0.0.9 dev p0",
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
    "macvlan": {"mode": "mode"},
    "vxlan": {"id": "id", "dstport": "port", "remote": "remote", "local": "local", "dev": "link"},
}
# How `ip -j link` calls what `ip link set` types, and what may also be given to a new link.
KEYS = {"mtu": "mtu", "address": "address", "alias": "ifalias", "txqueuelen": "txqlen"}
_NUMBERS = frozenset({"mtu", "txqueuelen"})
_NEW = frozenset({"name", "link", "netns", "address", "mtu", "type"})
_SET = frozenset({"dev", "master", "netns", *KEYS})
_REFUSED = object()
_ALONE: dict[str, tuple[str, Any]] = {
    "up": ("up", True),
    "down": ("up", False),
    "nomaster": ("master", None),
}
_SLAVE: dict[Words, bool] = {
    ("bridge_slave", "hairpin", "on"): True,
    ("bridge_slave", "hairpin", "off"): False,
}


def read(command: Command) -> Changes | None:
    """Give what a command does to links; () for one that looks, None if not allowed."""
    netns, _, rest, _ = command
    match rest:
        # A large lab has thousands of these two, and is planned a tenth faster with them first.
        case ("set", name, "up") if name not in _SET:
            return (Set(Ref("link", netns, name), "up", True),)
        case ("set", "dev", name, "master", bridge) if bridge:
            return (Set(Ref("link", netns, name), "master", bridge),)
        case ("set", *_):
            return _changed(rest[1:], netns)
        case ("add", *_):
            return _added(rest[1:], netns)
        case ("delete" | "del", "dev", name) | ("delete" | "del", name):
            return (Remove(Ref("link", netns, name)),)
    return () if shows(rest) else None


def _added(rest: Words, netns: str) -> Changes | None:
    given, kind, more = _new(rest)
    # A type without a row would be made, and nobody knew what goes along with it.
    if kind not in TYPES or "name" not in given:
        return None
    ref = Ref("link", given.pop("netns", netns), given.pop("name"))
    parent, facts = given.pop("link", None), {"kind": kind, **given}
    if kind == "veth":
        return _cable(ref, facts, more, netns) if not parent else None
    options = dict(zip(more[::2], more[1::2], strict=False))
    if len(more) % 2 or len(options) != len(more) // 2 or not options.keys() <= TYPES[kind].keys():
        return None
    parent = parent or options.get("dev")
    return (Make(ref, facts | options, on=Ref("link", netns, parent) if parent else None),)


def _cable(ref: Ref, facts: dict[str, Any], more: Words, netns: str) -> Changes | None:
    far, kind, _ = _new(more[1:])
    if more[:1] != ("peer",) or kind or "link" in far or "address" in far:
        return None
    if not far.get("name"):
        return None
    peer = Ref("link", far.get("netns", netns), far["name"])
    if peer == ref:
        return None
    # What is said of the far end is a change of its own, so that it is seen and undone as one.
    sizes = (Set(peer, "mtu", far["mtu"]),) if "mtu" in far else ()
    return (Make(ref, facts, (peer,)), *sizes)


def _new(words: Words) -> tuple[dict[str, Any], str, Words]:
    """Give a new link's options, its type ("" = none is said) and the words after that.

    A word without a key is the name. What is said twice makes all of it unreadable.
    """
    given: dict[str, Any] = {}
    at, end = 0, len(words)
    while at < end:
        key, value = "name", words[at]
        at += 1
        if value in _NEW:
            key, value = value, words[at] if at < end else ""
            at += 1
            if key == "type":
                return given, value, words[at:]
        if key in given or (typed := _typed(key, value)) is _REFUSED:
            return {}, "?", ()
        given[key] = typed
    return given, "", ()


def _changed(rest: Words, netns: str) -> Changes | None:
    """Read `ip link set`: several values may stand in one command, in any order."""
    pairs: dict[str, Any] = {}
    at, end = 0, len(rest)
    while at < end:
        key, value = _ALONE.get(rest[at], ("dev", rest[at]))
        at += 1
        if value in _SET:
            key, value = value, _typed(value, rest[at]) if at < end else _REFUSED
            at += 1
        elif value == "type":
            key, value = "hairpin", _SLAVE.get(rest[at : at + 3], _REFUSED)
            at += 3
        if value is _REFUSED or key in pairs:
            return None
        pairs[key] = value
    name = pairs.pop("dev", None)
    ref = Ref("link", netns, name or "")
    return tuple([_change(ref, *pair) for pair in pairs.items()]) if name and pairs else None


def _typed(key: str, value: str) -> Any:
    """Give a value as the kernel has it, _REFUSED for one that may not be given."""
    if key in _NUMBERS:
        return int(value) if value.isdigit() else _REFUSED
    if key == "netns" and (value.isdigit() or "/" in value):
        # `netns 1` would mean process 1 of the caller's pid namespace.
        return _REFUSED
    # The kernel prints a MAC address in small letters, however it was typed.
    value = value.lower() if key == "address" else value
    return value if value or key == "alias" else _REFUSED


def _change(ref: Ref, key: str, value: Any) -> Change:
    return Move(ref, Ref("link", value, ref.name)) if key == "netns" else Set(ref, key, value)


def write(change: Change, typed: Command | None = None) -> tuple[str, ...]:
    """Give the command that does a change."""
    return (_add(change) if isinstance(change, Make) else _set(change),)


def _set(change: Change) -> str:
    name = change.ref.name
    match change:
        case Remove():
            words: Words = ("delete", name)
        case Move(_, to):
            words = ("set", name, "netns", to.netns)
        case Set(_, "up", value):
            words = ("set", name, "up" if value else "down")
        case Set(_, "master", None):
            words = ("set", "dev", name, "nomaster")
        case Set(_, "hairpin", value):
            state = "on" if value else "off"
            words = ("set", "dev", name, "type", "bridge_slave", "hairpin", state)
        case Set(_, key, value):
            words = ("set", "dev", name, key, str(value or ""))
    return typed_in(change.ref.netns, "ip", "link", *words)


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
    """Give the links with what a lab can set of them, each with its ifindex."""
    for link in answers.addresses:
        if "ifname" in link:
            yield Ref("link", netns, link["ifname"]), _facts(link) | _far_end(link, answers, netns)


def _facts(link: Any) -> dict[str, Any]:
    info = link.get("linkinfo", {})
    kind, data = info.get("info_kind", ""), info.get("info_data", {})
    facts = {key: link.get(said) for key, said in KEYS.items()}
    facts |= {"ifindex": link["ifindex"], "kind": kind, "up": "UP" in link.get("flags", ())}
    facts |= {"master": link.get("master"), "hairpin": _hairpin(info)}
    for option, said in TYPES.get(kind, {}).items():
        facts[option] = str(data[said]) if said in data else None
    return facts


def _far_end(link: Any, answers: Answers, netns: str) -> dict[str, Any]:
    """Give where a cable's other end is, or what a link is on: namespace and ifindex, or name.

    The namespace is None where the number that it is known by has no name.
    """
    number = link.get("link_netnsid")
    home = netns if number is None else answers.ids.get(number)
    index = link.get("link_index") or link.get("link")
    return {"far": (home, index)} if index else {}


def paired(state: State) -> State:
    """Give what several namespaces have, with the other end of every cable where it is known."""
    # ip tells the other end by name in the same namespace, else by its number there.
    places: dict[Any, Ref] = {(ref.netns, ref.name): ref for ref, _ in _links(state)}
    places |= {(ref.netns, found[0]["ifindex"]): ref for ref, found in _links(state)}
    more: dict[Ref, dict[str, Ref]] = {}
    for ref, found in _links(state):
        if far := places.get(found[0].get("far")):
            cable = found[0]["kind"] == "veth"
            more |= {ref: {"peer": far}, far: {"peer": ref}} if cable else {ref: {"on": far}}
    return state | {ref: [{**state[ref][0], **known}] for ref, known in more.items()}


def _links(state: State) -> Iterator[tuple[Ref, list[Facts]]]:
    return ((ref, found) for ref, found in state.items() if ref.kind == "link")


def _hairpin(info: Any) -> bool:
    return bool(info.get("info_slave_data", {}).get("hairpin"))
