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
}
# How `ip -j link` calls what `ip link set` types, and what may also be given to a new link.
KEYS = {"mtu": "mtu", "address": "address", "alias": "ifalias", "txqueuelen": "txqlen"}
_NEW = ("name", "link", "netns", "address", "mtu")


def read(command: Command) -> Changes | None:
    """Give what a command does to links; () for one that looks, None if not allowed."""
    match command.rest:
        case ("add", *rest):
            return _added(tuple(rest), command.netns)
        case ("set", *rest):
            return _changed(rest, command.netns)
        case ("delete" | "del", "dev", name) | ("delete" | "del", name):
            return (Remove(Ref("link", command.netns, name)),)
    return () if shows(command.rest) else None


def _added(rest: Words, netns: str) -> Changes | None:
    given, kind, more = _new(rest)
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
    if more[:1] != ("peer",) or kind or not far.keys() <= {"name", "netns", "mtu"}:
        return None
    if not far.get("name"):
        return None
    peer = Ref("link", far.get("netns", netns), far["name"])
    if peer == ref:
        return None
    sizes = (Set(peer, "mtu", far["mtu"]),) if "mtu" in far else ()
    return (Make(ref, facts, (peer,)), *sizes)


def _new(words: Words) -> tuple[dict[str, Any], str, Words]:
    """Give a new link's options, its type ("" = none is said) and the words after that.

    A word without a key is the name. What is said twice makes all of it unreadable.
    """
    given: dict[str, Any] = {}
    at = 0
    while at < len(words):
        word, value = words[at], words[at + 1] if at + 1 < len(words) else ""
        if word == "type":
            return given, value, words[at + 2 :]
        keyed = word in _NEW
        key, value = (word, value) if keyed else ("name", word)
        if key in given or not value or (key == "mtu" and not value.isdigit()):
            return {}, "?", ()
        given[key] = int(value) if key == "mtu" else value.lower() if key == "address" else value
        at += 2 if keyed else 1
    return given, "", ()


def _changed(rest: list[str], netns: str) -> Changes | None:
    """Read `ip link set`: several values may stand in one command, in any order."""
    name, pairs, words = "", {}, iter(rest)
    for word in words:
        key, value = _pair(word, words)
        if key == "dev" and not name:
            name = str(value)
        elif key in pairs or key == "dev" or not _allowed(key, value):
            return None
        else:
            pairs[key] = value
    ref = Ref("link", netns, name)
    return tuple(_change(ref, *pair) for pair in pairs.items()) if name and pairs else None


def _pair(word: str, words: Any) -> tuple[str, object]:
    """Give what a word of `ip link set` says, with those after it that belong to it."""
    match word:
        case "up" | "down":
            return "up", word == "up"
        case "nomaster":
            return "master", None
        case "type":
            slave, key, value = next(words, ""), next(words, ""), next(words, "")
            state = {"on": True, "off": False}.get(value)
            return ("hairpin", state) if (slave, key) == ("bridge_slave", "hairpin") else ("", "")
        case "dev" | "master" | "netns":
            return word, next(words, "")
    if word in KEYS:
        value = next(words, None)
        # The kernel prints a MAC address in small letters, however it was typed.
        return word, value.lower() if value and word == "address" else value
    return "dev", word


def _allowed(key: str, value: object) -> bool:
    """Say whether a value may be set.

    `netns 1` would mean process 1 of the caller's pid namespace, so digits are refused.
    """
    match key:
        case "netns":
            return bool(value) and not str(value).isdigit() and "/" not in str(value)
        case "master":
            return value is None or bool(value)
        case "mtu" | "txqueuelen":
            return str(value).isdigit()
        case "up" | "hairpin" | "alias" | "address":
            return value is not None
    return False


def _change(ref: Ref, key: str, value: object) -> Change:
    if key == "netns":
        return Move(ref, Ref("link", str(value), ref.name))
    return Set(ref, key, int(str(value)) if key in ("mtu", "txqueuelen") else value)


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
        found = link.get(said) if option == "dev" else data.get(said)
        facts[option] = None if found is None else str(found)
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
