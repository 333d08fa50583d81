"""What the kernel says about a network namespace and the named ones in it, in comparable form.

Independent of cnetsh, so that it can judge it. As a script it prints the snapshot of the namespace
that it runs in as JSON: `nsenter ... python oracle.py`. Standard library only, for any interpreter.
"""

import ctypes
import fnmatch
import json
import os
import re
import shutil
import socket
import struct
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

Facts = dict[str, Any]

NAMES = Path("/run/netns")
FILES = Path("/etc/netns")
SETTINGS = Path("/proc/sys/net")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# A command waits for whoever has the kernel's one lock, on a busy machine long.
PATIENCE = 300
CLONE_NEWNET = 0x40000000
# linux/if.h, linux/if_addr.h, linux/rtnetlink.h, linux/netlink.h, linux/ipv6_route.h
UP, RUNNING, LOWER_UP = 0x1, 0x40, 0x10000
# An address in use elsewhere stays tentative, with a flag that says so.
TENTATIVE, CHECKED = 0x40, 0x48
RTF_LOCAL = 0x80000000
RTM_NEWLINK, RTM_GETLINK = 16, 18
REQUEST_DUMP = 0x301

# Differ although nobody changed them: random keys made on first use, and lists of loaded modules.
VOLATILE = (
    "ipv4/tcp_fastopen_key",
    "ipv4/fib_multipath_hash_seed",
    "ipv4/tcp_available_congestion_control",
    "ipv4/tcp_allowed_congestion_control",
    "ipv6/conf/*/stable_secret",
)
VOLATILE_SETTING = re.compile("|".join(fnmatch.translate(each) for each in VOLATILE))
ADDRESS_KEYS = (
    *("family", "local", "prefixlen", "peer", "broadcast", "scope", "label", "tentative"),
    *("metric", "noprefixroute", "nodad", "home", "mngtmpaddr"),
)
QUESTIONS = (
    "address show",
    "neigh show nud permanent",
    "neigh show proxy",
    "route show table all",
    "rule show",
)
FOREVER = 2**32 - 1
# Of a bridge's port, what somebody may have set; the others are numbers and timers of the kernel.
PORT_KEYS = (
    *("priority", "cost", "hairpin", "guard", "root_block", "fastleave", "learning", "flood"),
    *("proxy_arp", "proxy_arp_wifi", "multicast_router", "mcast_flood", "bcast_flood"),
    *("mcast_to_unicast", "neigh_suppress", "group_fwd_mask", "vlan_tunnel", "isolated", "locked"),
)
VOLATILE_ROUTE_KEYS = ("expires", "used", "users", "age", "error", "cache")
COUNTERS = re.compile(r"^(:.*) \[\d+:\d+\]$")
EMPTY_CHAIN = re.compile(r":\S+ ACCEPT")
MAC = re.compile(r"\b(?:[0-9a-f]{2}:){5}[0-9a-f]{2}\b")
LINK_LOCAL = re.compile(r"\bfe80::[0-9a-f:]+")
# A host joins one solicited-node group for each of its addresses: the group is made of the address.
SOLICITED = re.compile(r"\bff02::1:ff[0-9a-f:]+")


def snapshot() -> Facts:
    """The facts of this process's network namespace, of each named one, and their files."""
    inside = {name: _inside(name) for name in names()}
    return facts() | {"namespaces": inside, "files": files()}


def facts() -> Facts:
    """All that can be set in this process's network namespace."""
    shown, permanent, proxies, found, policy = _answers("ip -d", *QUESTIONS)
    entries, vlans, groups = _answers("bridge", "fdb show", "vlan show", "mdb show")
    return {
        "links": _links(shown),
        "ports": _ports(shown),
        "fdb": _static(entries),
        "vlans": [_line(port) for port in vlans],
        "groups": _groups(groups),
        "queues": _queues(_shown("tc", "qdisc", "show")),
        "addresses": _addresses(shown),
        "neighbours": sorted(_line(each) for each in permanent + proxies),
        "routes": _routes(found),
        "locked": locked(found),
        "policy": [_line(rule) for rule in policy + _ip("-6", "rule", "show")],
        "rules": rules(),
        "settings": settings(),
    }


def at_rest(calm: float = 0.0, limit: float = 60.0) -> Facts:
    """The snapshot when nothing is bound to move any more, nor has moved for `calm` seconds.

    The kernel tells of carriers once a second at most, and looks for duplicates of IPv6 addresses.
    """
    end, since, (seen, moves) = time.monotonic() + limit, time.monotonic(), pulse()
    while moves or time.monotonic() - since < calm:
        if time.monotonic() > end:
            raise TimeoutError(f"the kernel does not come to rest within {limit} s: {seen}")
        time.sleep(0.03)
        now, moves = pulse()
        if moves or now != seen:
            # One carrier brings another, a bridge's after its port's.
            since, seen, calm = time.monotonic(), now, max(calm, 0.1)
    return snapshot()


def pulse() -> tuple[list[object], bool]:
    """What moves by itself in each namespace, cheap to read, and whether it is bound to move on."""
    found = [_moving()]
    for name in (name for name, kind in names().items() if kind == "nsfs"):
        with suppress(OSError), _entered(NAMES / name):
            found.append(_moving())
    return [seen for seen, _ in found], any(moves for _, moves in found)


def _moving() -> tuple[object, bool]:
    links, addresses = _flags(), _lines("if_inet6")
    late = any(one & UP and bool(one & LOWER_UP) != bool(one & RUNNING) for one in links.values())
    checked = any(
        int(flags, 16) & CHECKED == TENTATIVE and links.get(int(index, 16), 0) & LOWER_UP
        for _, index, _, _, flags, _ in map(str.split, addresses)
    )
    return (links, addresses), late or checked or _without_local(addresses)


def _without_local(addresses: list[str]) -> bool:
    """Whether an address of IPv6 that is valid has no route to itself yet.

    The kernel makes that one later, from a queue of its own (addrconf_dad_work).
    """
    valid = {one.split()[0] for one in addresses if not int(one.split()[4], 16) & TENTATIVE}
    routes = map(str.split, _lines("ipv6_route") if valid else ())
    return not valid <= {to for to, *_, flags, _ in routes if int(flags, 16) & RTF_LOCAL}


def _lines(name: str) -> list[str]:
    """A list of this thread's namespace; one read gives no more than a page of it."""
    path = Path("/proc/thread-self/net", name)
    return path.read_text().splitlines() if path.exists() else []


def _flags() -> dict[int, int]:
    """The flags of each link by its index, asked for as in rtnetlink(7)."""
    found = {}
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW) as asked:
        asked.send(struct.pack("=IHHII16x", 32, RTM_GETLINK, REQUEST_DUMP, 1, 0))
        while True:
            data, at = asked.recv(1 << 18), 0
            while at < len(data):
                length, kind = struct.unpack_from("=IH", data, at)
                if kind != RTM_NEWLINK:
                    return found
                index, flags = struct.unpack_from("=iI", data, at + 20)
                found[index] = flags
                at += length + 3 & ~3


def outline() -> Facts:
    """What no test may have changed on the machine itself; nothing is entered to read it."""
    return {
        "links": _links(_ip("-d", "link", "show")),
        "routes": _routes(_ip("-d", "route", "show", "table", "all")),
        "rules": rules(),
        "ip_forward": (SETTINGS / "ipv4/ip_forward").read_text().strip(),
        "namespaces": names(),
        "files": files(),
    }


def _links(shown: list[Facts]) -> Facts:
    """Per interface what `ip link` tells about it, without what changes by itself."""
    return {
        link["ifname"]: {
            "kind": link.get("linkinfo", {}).get("info_kind", ""),
            "flags": sorted(link["flags"]),
            "mtu": link["mtu"],
            "master": link.get("master", ""),
            "address": link.get("address", ""),
            "alias": link.get("ifalias", ""),
            "txqlen": link.get("txqlen", 0),
            "group": link.get("group", ""),
            "addr_gen_mode": link.get("inet6_addr_gen_mode", ""),
        }
        for link in shown
    }


def _ports(shown: list[Facts]) -> Facts:
    """Per port of a bridge its options there."""
    found = {link["ifname"]: link.get("linkinfo", {}).get("info_slave_data", {}) for link in shown}
    return {
        name: {key: options[key] for key in PORT_KEYS if key in options}
        for name, options in found.items()
        if options
    }


def _static(entries: list[Facts]) -> list[str]:
    return sorted(_line(each) for each in entries if each["state"] == "static")


def _groups(shown: list[Facts]) -> list[str]:
    """Those that somebody joined ports to: a bridge joins some for itself."""
    entries = [one for each in shown for one in each["mdb"]]
    made = [one for one in entries if one["state"] == "permanent" and one["port"] != one["dev"]]
    return sorted(_line({key: one[key] for key in one if key != "index"}) for one in made)


def _queues(queues: list[Facts]) -> list[str]:
    """Those that somebody set: the kernel's own have no handle, and his own a random one."""
    chosen = [each for each in queues if each["handle"] != "0:"]
    return sorted(_line({key: each[key] for key in each if key != "handle"}) for each in chosen)


def _addresses(shown: list[Facts]) -> list[str]:
    return sorted(
        f"{link['ifname']} {_line(_address(each))}" for link in shown for each in link["addr_info"]
    )


def _address(info: Facts) -> Facts:
    """With whether it ends, for how long it still lives is another answer each second."""
    ends = {
        key: "ends"
        for key in ("valid_life_time", "preferred_life_time")
        if info.get(key, FOREVER) != FOREVER
    }
    return {key: info[key] for key in ADDRESS_KEYS if key in info} | ends


def _routes(found: list[Facts]) -> list[str]:
    return sorted(_line(route_of(route)) for route in found)


def locked(found: list[Facts]) -> list[str]:
    """The routes with a metric that is locked, which ip tells only in its text."""
    known = any("metrics" in route for route in found)
    lines = _run("ip", "-o", "route", "show", "table", "all").splitlines() if known else []
    return sorted(line.split(" expires ")[0].strip() for line in lines if " lock " in line)


def route_of(route: Facts) -> Facts:
    """With whether it ends, for how long it still lives is another answer each second.

    The next hops of IPv6 stand in the order in which they came; a packet goes by its own sum.
    """
    kept = {key: route[key] for key in route if key not in VOLATILE_ROUTE_KEYS}
    kept |= {"expires": "ends"} if "expires" in route else {}
    kept |= {"nexthops": sorted(route["nexthops"], key=_line)} if "nexthops" in route else {}
    return kept


def rules() -> Facts:
    """Lines per back end and table; what stays of a table after its last rule counts as nothing."""
    return {
        f"{argv[0]} {table}": lines
        for family in ("iptables", "ip6tables")
        for argv in _rule_commands(family)
        for table, lines in _tables(_run(*argv, check=False))
    }


def _rule_commands(family: str) -> list[list[str]]:
    if not _which(f"{family}-nft-save"):
        return [[f"{family}-save"]] if _which(f"{family}-save") else []
    legacy = f"{family}-legacy-save"
    tables = _legacy_tables(family.removesuffix("tables")) if _which(legacy) else []
    return [[f"{family}-nft-save"], *([legacy, "-t", table] for table in tables)]


def _legacy_tables(family: str) -> list[str]:
    """Only the present ones: to ask for another table would load a module of the machine."""
    try:
        return Path(f"/proc/net/{family}_tables_names").read_text().split()
    except FileNotFoundError:
        return []
    except PermissionError:
        return _likely_tables(family) if os.geteuid() == 0 else []


def _likely_tables(family: str) -> list[str]:
    """Root of a user namespace may read the tables, but not the list of those in use."""
    modules = Path("/sys/module")
    if (modules / f"{family}_tables/initstate").exists():
        return [
            each.name.removeprefix(f"{family}table_") for each in modules.glob(f"{family}table_*")
        ]
    return ["filter", "nat", "mangle", "raw", "security"]


def _tables(saved: str) -> Iterator[tuple[str, list[str]]]:
    for table in re.split(r"^\*", saved, flags=re.M)[1:]:
        name, *lines = table.splitlines()
        kept = [COUNTERS.sub(r"\1", line) for line in lines if line.startswith((":", "-"))]
        if kept := [line for line in kept if not EMPTY_CHAIN.fullmatch(line)]:
            yield name, kept


def settings() -> dict[str, str]:
    """Every readable kernel setting below net.ipv4 and net.ipv6."""
    found = {}
    for folder, names in _folders():
        # A name below an open folder is found in a third of the time, and there are thousands.
        at = os.open(SETTINGS / folder, os.O_RDONLY)
        for name in names:
            found[f"{folder}/{name}"] = _read(name, at)
        os.close(at)
    return found


def _folders() -> Iterator[tuple[str, list[str]]]:
    """Each folder with its files; the folders of all links hold the same."""
    for family in ("ipv4", "ipv6"):
        for parent in (family, *_inner(family)):
            if parent.endswith(("/conf", "/neigh")):
                for link in os.listdir(SETTINGS / parent):  # noqa: PTH208
                    yield f"{parent}/{link}", _files(f"{parent}/lo")
            else:
                yield parent, _files(parent)


@cache
def _inner(family: str) -> list[str]:
    folders = [each for each in (SETTINGS / family).rglob("*") if each.is_dir()]
    names = [str(each.relative_to(SETTINGS)) for each in folders]
    return [name for name in names if not re.search("/(conf|neigh)/", name)]


@cache
def _files(folder: str) -> list[str]:
    return [
        each.name
        for each in (SETTINGS / folder).iterdir()
        if each.is_file() and not VOLATILE_SETTING.fullmatch(f"{folder}/{each.name}")
    ]


def _read(path: str, below: int | None = None) -> str:
    try:
        descriptor = os.open(path, os.O_RDONLY, dir_fd=below)
    except OSError:
        return ""  # a write-only trigger such as route/flush
    try:
        return os.read(descriptor, 65536).decode().strip()
    finally:
        os.close(descriptor)


def names() -> dict[str, str]:
    """The named namespaces: "nsfs", or "ghost" where there is only a file of that name."""
    own = Path("/proc/self/ns/net").stat().st_dev
    files = sorted(NAMES.iterdir()) if NAMES.is_dir() else []
    return {file.name: "nsfs" if file.stat().st_dev == own else "ghost" for file in files}


def files() -> dict[str, str]:
    """What is in /etc/netns for `ip netns exec` to show; there it may be and be empty."""
    found = sorted(FILES.rglob("*")) if FILES.is_dir() else []
    return {str(file): file.read_text() if file.is_file() else "folder" for file in found}


def _inside(name: str) -> Facts:
    if names()[name] == "ghost":
        return {"kind": "ghost"}
    with _entered(NAMES / name):
        return {"kind": "nsfs"} | facts()


@contextmanager
def _entered(namespace: Path) -> Iterator[None]:
    """os.setns exists from Python 3.12 on only."""
    back = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    there = os.open(namespace, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _setns(there)
        try:
            yield
        finally:
            _setns(back)
    finally:
        os.close(there)
        os.close(back)


def _setns(descriptor: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns: " + os.strerror(ctypes.get_errno()))


def _ip(*arguments: str) -> list[Facts]:
    if "-6" in arguments and not Path("/proc/net/if_inet6").exists():
        return []
    return _shown("ip", *arguments)


def _shown(tool: str, *arguments: str) -> list[Facts]:
    # They do not escape an ESC in the name of an interface, which strict JSON refuses.
    text = _run(tool, "-j", *arguments)
    return [each for each in json.loads(text or "[]", strict=False) if each]


def _answers(tool: str, *questions: str) -> list[list[Facts]]:
    """The answers of one process to several questions."""
    text = _run(*tool.split(), "-j", "-batch", "-", asked="\n".join(questions))
    # An alias may have a line break of its own, which they do not escape either.
    found, decoder = [], json.JSONDecoder(strict=False)
    while text := text.lstrip():
        answer, end = decoder.raw_decode(text)
        found.append([each for each in answer if each])
        text = text[end:]
    assert len(found) == len(questions), found
    return found


def _run(*argv: str, check: bool = True, asked: str = "") -> str:
    program = _which(argv[0])
    if not program:
        raise FileNotFoundError(f"{argv[0]} is not installed")
    done = subprocess.run(
        [program, *argv[1:]],
        input=asked,
        capture_output=True,
        encoding="utf-8",
        errors="surrogateescape",
        check=check,
        timeout=PATIENCE,
        env={"PATH": PATH, "LC_ALL": "C"},
    )
    return done.stdout


def _which(tool: str) -> str | None:
    return shutil.which(tool, path=PATH)


def _line(facts_of_one: Facts) -> str:
    return json.dumps(facts_of_one, sort_keys=True)


def diff(before: Facts, after: Facts, where: str = "") -> list[str]:
    """One line per difference with its place: `links/br0: - {...}` is gone, `+` new, `->` other."""
    lines: list[str] = []
    for key in sorted(before.keys() | after.keys()):
        place = f"{where}/{key}" if where else key
        if key not in after:
            lines.append(f"{place}: - {_short(before[key])}")
        elif key not in before:
            lines.append(f"{place}: + {_short(after[key])}")
        elif isinstance(before[key], dict) and isinstance(after[key], dict):
            lines += diff(before[key], after[key], place)
        elif isinstance(before[key], list) and isinstance(after[key], list):
            lines += _list_diff(before[key], after[key], place)
        elif before[key] != after[key]:
            lines.append(f"{place}: {before[key]!r} -> {after[key]!r}")
    return lines


def _list_diff(before: list[str], after: list[str], place: str) -> list[str]:
    gone, new = Counter(before) - Counter(after), Counter(after) - Counter(before)
    lines = [f"{place}: - {each}" for each in gone.elements()]
    lines += [f"{place}: + {each}" for each in new.elements()]
    if not lines and before != after:
        lines.append(f"{place}: another order: {before} -> {after}")
    return lines


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) < 300 else text[:300] + "..."


def shape(snapshot_: Facts) -> Facts:
    """The snapshot without what the kernel chose at random: MACs, and addresses made of them."""
    return dict(_mapped(snapshot_, _without_chance))


def _without_chance(text: str) -> str:
    if text == "00:00:00:00:00:00":
        return text
    return SOLICITED.sub("SOLICITED", LINK_LOCAL.sub("LINK-LOCAL", MAC.sub("MAC", text)))


def _mapped(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, dict):
        return {key: _mapped(each, change) for key, each in value.items()}
    if isinstance(value, list):
        return [_mapped(each, change) for each in value]
    return change(value) if isinstance(value, str) else value


if __name__ == "__main__":
    print(json.dumps(at_rest()))
