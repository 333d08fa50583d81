"""The table of commands: what each makes or changes, and the command that undoes it.

A command that is not in this table is not run: the table is also the allow-list. Every form was
tried on a kernel; the sources are ip-link(8), ip-address(8), ip-route(8), ip-netns(8), tc(8) and
iptables(8).
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from cnetsh.resolvers import FILE, HOME, folder_of, is_folder

Words = tuple[str, ...]


class Ref(NamedTuple):
    """One object of the kernel: its kind, its namespace ("" = the target's own) and its name."""

    kind: str
    netns: str
    name: str


@dataclass(frozen=True, slots=True)
class Effect:
    """What one command does: kind is "change", "look" or "check".

    makes: objects that exist only because of it. on: the object that it changes, which takes the
    change with it when it goes. undo: the inverse as an argument vector of the same namespace, and
    first, what has to run before it. moves: the object's new place. note: why there is no inverse.
    """

    kind: str = "change"
    makes: tuple[Ref, ...] = ()
    on: Ref | None = None
    undo: Words = ()
    first: Words = ()
    moves: Ref | None = None
    note: str = ""


LOOK = Effect(kind="look")
CHECK = Effect(kind="check")
REMOVES = "what it removes cannot be put back"
PUT_BACK = "put back from the snapshot"
GOES = "it goes with its namespace"


def effect(words: Sequence[str], netns: str = "") -> Effect | None:
    """Give the effect of a command inside a namespace, or None for one that is not allowed."""
    row = _TABLE.get(words[0]) if words else None
    return row(tuple(words), netns) if row else None


def spelled(words: Words) -> Words:
    """Give a command of ip without its options and with its object in full, any other as it is."""
    first = _first(words)
    if words[:1] != ("ip",) or len(words) <= first:
        return words
    return ("ip", _FULL.get(words[first], words[first]), *words[first + 1 :])


def _first(words: Words) -> int:
    """Give the place of the first word that is no option."""
    first = 1
    while len(words) > first and words[first] in _DISPLAY:
        first += 1
    return first


def _ip(words: Words, netns: str) -> Effect | None:
    first = _first(words)
    if len(words) <= first:
        return None
    rest = words[first + 1 :]
    match _FULL.get(words[first], words[first]):
        case "link":
            return _link(rest, netns)
        case "address":
            return _address(rest, netns)
        case "route":
            return _route(words[:first], rest, netns)
        case "netns":
            return _netns(rest, netns)
        case "neigh" | "neighbour" | "rule" | "maddress":
            return LOOK if _shows(rest) else None
    return None


_FULL = {"l": "link", "a": "address", "addr": "address", "r": "route"}
_DISPLAY = {"-4", "-6", "-j", "-d", "-br", "-s", "-o", "-p", "-json", "-details", "-brief"}


def _shows(rest: Words) -> bool:
    return not rest or rest[0] in ("show", "list", "ls")


def _link(rest: Words, netns: str) -> Effect | None:
    match _without_mtu(rest):
        case ("add", name, "type", "veth", "peer", "name", peer):
            return _makes_links(name, (netns, name), (netns, peer))
        case ("add", name, "type", "veth", "peer", "name", peer, "netns", other):
            return _makes_links(name, (netns, name), (other, peer))
        case ("add", one, "netns", home, "type", "veth", "peer", "name", peer, "netns", other):
            return Effect(makes=(Ref("link", home, one), Ref("link", other, peer)), note=GOES)
        case ("add", "name", name, "type", "bridge") | ("add", name, "type", "bridge"):
            return _makes_links(name, (netns, name))
        case ("add", "name", name, "address", _, "type", "bridge"):
            return _makes_links(name, (netns, name))
        case ("add", "link", _, "name", name, "netns", other, "type", "macvlan", "mode", _):
            return Effect(makes=(Ref("link", other, name),), note=GOES)
        case ("set", "dev", name, *change) | ("set", name, *change):
            return _link_set(Ref("link", netns, name), tuple(change))
        case ("delete" | "del", name) | ("delete" | "del", "dev", name):
            return Effect(on=Ref("link", netns, name), note=REMOVES)
    return LOOK if _shows(rest) else None


def _without_mtu(rest: Words) -> Words:
    """Leave out `mtu N` of a link that is added: it is part of what is made."""
    if rest[:1] != ("add",) or "mtu" not in rest:
        return rest
    at = rest.index("mtu")
    return _without_mtu(rest[:at] + rest[at + 2 :])


def _makes_links(name: str, *places: tuple[str, str]) -> Effect:
    makes = tuple(Ref("link", netns, link) for netns, link in places)
    return Effect(makes=makes, undo=("ip", "link", "delete", name))


def _link_set(link: Ref, change: Words) -> Effect | None:
    match change:
        case ("up",):
            return Effect(on=link, undo=("ip", "link", "set", link.name, "down"))
        case ("down",):
            return Effect(on=link, undo=("ip", "link", "set", link.name, "up"))
        case ("master", _):
            return Effect(on=link, undo=("ip", "link", "set", "dev", link.name, "nomaster"))
        case ("type", "bridge_slave", "hairpin", "on" | "off" as state):
            other = "off" if state == "on" else "on"
            return Effect(on=link, undo=("ip", "link", "set", "dev", link.name, *change[:3], other))
        case ("nomaster",):
            return Effect(on=link, note=PUT_BACK)
        case ("netns", other) if not other.isdigit() and "/" not in other:
            # `netns 1` would mean process 1 of the caller's pid namespace, so digits are refused.
            return Effect(on=link, moves=Ref("link", other, link.name), note="delete its pair")
        case ("mtu" | "address" | "alias" | "txqueuelen", _):
            return Effect(on=link, note=PUT_BACK)
    return None


def _address(rest: Words, netns: str) -> Effect | None:
    match rest:
        case ("add", address, "dev", name) | ("add", address, "dev", name, "nodad"):
            if "/" not in address:
                return None
            link = Ref("link", netns, name)
            return Effect(on=link, undo=("ip", "address", "delete", address, "dev", name))
        case ("delete" | "del", _, "dev", name):
            return Effect(on=Ref("link", netns, name), note=REMOVES)
    return LOOK if _shows(rest) else None


def _route(options: Words, rest: Words, netns: str) -> Effect | None:
    match rest:
        case ("add", *route) if _route_keys(tuple(route)):
            undo = (*options, "route", "delete", *route)
            return Effect(on=Ref("route", netns, " ".join(route)), undo=undo)
        case ("delete" | "del", *route):
            return Effect(on=Ref("route", netns, " ".join(route)), note=REMOVES)
        case ("get", _):
            return LOOK
    return LOOK if _shows(rest) else None


def _route_keys(route: Words) -> bool:
    keys = {"via", "dev", "metric", "src", "table"}
    return len(route) >= 3 and len(route) % 2 == 1 and keys.issuperset(route[1::2])


def _netns(rest: Words, netns: str) -> Effect | None:
    match rest:
        case ("add", name) if not netns:
            undo = ("ip", "netns", "delete", name)
            return Effect(makes=(Ref("netns", "", name),), undo=undo)
        case ("delete" | "del", name) if not netns:
            return Effect(on=Ref("netns", "", name), note=REMOVES)
        case () | ("list" | "show",) | ("pids", _):
            return LOOK
    return None


def _tables(words: Words, netns: str) -> Effect | None:
    tool, rest = words[0], words[1:]
    if any(map(_RUNS_A_PROGRAM.fullmatch, rest)):
        return None
    if rest[:1] == ("-w",):
        rest = rest[1:]
    table = rest[1] if rest[:1] == ("-t",) and len(rest) > 1 else "filter"
    option = words[: len(words) - len(rest)] + (("-t", table) if rest[:1] == ("-t",) else ())
    match rest[2:] if rest[:1] == ("-t",) else rest:
        case ("-A" | "-I", chain, *rule) if rule and not rule[0].isdigit():
            ref = Ref("chain", netns, f"{tool} {table} {chain}")
            return Effect(on=ref, undo=(*option, "-D", chain, *rule))
        case ("-N", chain):
            ref = Ref("chain", netns, f"{tool} {table} {chain}")
            return Effect(makes=(ref,), undo=(*option, "-X", chain), first=(*option, "-F", chain))
        case ("-D" | "-F" | "-X", chain, *_):
            return Effect(on=Ref("chain", netns, f"{tool} {table} {chain}"), note=REMOVES)
        case ("-S" | "-L" | "-C", *_):
            return LOOK
    return None


# iptables --modprobe COMMAND, however it is shortened or put together (iptables(8)).
_RUNS_A_PROGRAM = re.compile(r"-[a-zA-Z0-9]*M.*|--mod?(=.*)?|--modp.*")


def _tee(words: Words, netns: str) -> Effect | None:
    if path := setting(words):
        return Effect(on=Ref("setting", netns, path), undo=words)
    match words[1:]:
        case (path,) | ("-a", path) if folder_of(path) and not netns:
            return Effect(on=Ref("folder", "", folder_of(path)), undo=("rm", "-f", path))
    return None


def setting(words: Sequence[str]) -> str:
    """Give the network setting of the kernel that a command writes, "" for any other command."""
    writes = len(words) == 2 and words[0] == "tee" and is_setting(words[1])
    return words[1] if writes else ""


def is_setting(path: str) -> bool:
    """Say whether a path is a network setting of the kernel, /proc/sys/net/…, with no way out."""
    return path.startswith("/proc/sys/net/") and ".." not in path and "//" not in path


def _files(words: Words, netns: str) -> Effect | None:
    if netns:
        return None
    match words:
        case ("mkdir", "-p", path) if path == HOME:
            return Effect(on=Ref("folder", "", path), note="the files of others may be in it")
        case ("mkdir", path) if is_folder(path):
            first = ("rm", "-f", f"{path}/{FILE}")
            return Effect(makes=(Ref("folder", "", path),), undo=("rmdir", path), first=first)
        case ("rmdir", path) if is_folder(path):
            return Effect(on=Ref("folder", "", path), note=REMOVES)
        case ("rm", "-f", path) if folder_of(path):
            return Effect(on=Ref("folder", "", folder_of(path)), note=REMOVES)
    return None


def _tc(words: Words, netns: str) -> Effect | None:
    match words[1:]:
        case ("qdisc", "add", "dev", name, "root", "tbf" | "netem", *_):
            undo = ("tc", "qdisc", "delete", "dev", name, "root")
            return Effect(on=Ref("link", netns, name), undo=undo)
        case ("qdisc", "delete" | "del", "dev", name, "root"):
            return Effect(on=Ref("link", netns, name), note=REMOVES)
        case ("qdisc" | "class" | "filter", "show", *_):
            return LOOK
    return None


def _bridge(words: Words, netns: str) -> Effect | None:
    objects = ("link", "fdb", "vlan", "mdb")
    return LOOK if len(words) > 1 and words[1] in objects and _shows(words[2:]) else None


def _ping(words: Words, netns: str) -> Effect | None:
    floods = any(word[:1] == "-" and word[1:2] != "-" and "f" in word for word in words)
    return None if floods else CHECK


_TABLE: dict[str, Callable[[Words, str], Effect | None]] = {
    "ip": _ip,
    "iptables": _tables,
    "ip6tables": _tables,
    "tee": _tee,
    "mkdir": _files,
    "rm": _files,
    "rmdir": _files,
    "tc": _tc,
    "bridge": _bridge,
    "ping": _ping,
}
