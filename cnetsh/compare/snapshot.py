"""What the kernel says of the target's own namespace.

Only what a plan can change is read; counters, timers and carrier are not. The cost follows what is
in the namespace, a few milliseconds on an ordinary host.
"""

import contextlib
import json
import os
from collections.abc import Collection, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from cnetsh import kinds
from cnetsh.errors import CnetshError
from cnetsh.kinds.change import Answers, State
from cnetsh.kinds.link import TYPES, paired
from cnetsh.kinds.name_server import HOME
from cnetsh.system import namespace
from cnetsh.system.process import Run, installed, real

NETNS = Path("/run/netns")
SYSCTL = Path("/proc/sys/net")
LEGACY = {"iptables-legacy-save": "ip_tables_names", "ip6tables-legacy-save": "ip6_tables_names"}
# Of these the kernel gives something that tells an object from a later one of the same name.
MARKED = frozenset({"link", "netns", "folder"})
ROUTE_KEYS = ("type", "dst", "via", "gateway", "dev", "table", "protocol", "scope", "prefsrc",
              "metric")  # fmt: skip
Facts = dict[str, Any]
_QUESTIONS = "address show\nroute show table all\nneigh show nud permanent"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Links by name, addresses, routes, rules of both kinds, settings, neighbours, and names.

    rules: iptables-save lines by "tool table"; settings: value by path; namespaces: mark by name,
    0 for a file that is no namespace (left by a killed `ip netns add`); folders: the inode of each
    path in /etc/netns.
    """

    links: dict[str, Facts] = field(default_factory=dict)
    addresses: list[Facts] = field(default_factory=list)
    routes: list[Facts] = field(default_factory=list)
    policy: list[Facts] = field(default_factory=list)
    rules: dict[str, list[str]] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)
    namespaces: dict[str, int] = field(default_factory=dict)
    folders: dict[str, int] = field(default_factory=dict)
    neighbours: list[Facts] = field(default_factory=list)

    def mark(self, kind: str, name: str) -> int | None:
        """Give what tells an object from another of the same name; None where there is none."""
        match kind:
            case "link":
                return self.links.get(name, {}).get("ifindex")
            case "netns":
                return self.namespaces.get(name)
            case "folder":
                return self.folders.get(name)
        return None

    def to_json(self) -> dict[str, Any]:
        """Give plain data that `Snapshot(**data)` reads back."""
        return asdict(self)


def take(run: Run, written: Iterable[str] = (), own: Collection[str] = ()) -> Snapshot:
    """Read the target's own namespace, with the settings that a plan has written.

    The settings of the plan's own links are left out: they go with them. Raises CnetshError when a
    tool answers nothing usable.
    """
    addresses, routes, neighbours, policy = _ask(run, ("ip",), f"{_QUESTIONS}\nrule show")
    (policy6,) = _ask(run, ("ip", "-6"), "rule show")
    links = {link["ifname"]: _link(link) for link in addresses if "ifname" in link}
    return Snapshot(
        links=links,
        addresses=[
            _address(link, info) for link in addresses for info in link.get("addr_info", ())
        ],
        routes=[_route(route) for route in routes if not _follows(route)],
        policy=policy + policy6,
        rules=_rules(run),
        settings=settings(own) | readable(written),
        namespaces=namespaces(),
        folders=folders(),
        neighbours=neighbours,
    )


def state_of(snapshot: Snapshot) -> State:
    """Give a snapshot as the objects of the target's own namespace, with what is known of each."""
    # By link once: a thousand links that each look through all addresses take seconds.
    held: dict[str, list[Facts]] = {}
    for one in snapshot.addresses:
        local, _, length = one["address"].partition("/")
        info = {"local": local, "prefixlen": length, "scope": one["scope"]}
        held.setdefault(one["dev"], []).append(info)
    links = [_answered(name, one, held.get(name, [])) for name, one in snapshot.links.items()]
    answers = Answers(links, snapshot.routes, snapshot.neighbours, _saved(snapshot.rules),
                      snapshot.settings, snapshot.namespaces, snapshot.folders)  # fmt: skip
    return kinds.see(answers)


def _answered(name: str, link: Facts, addresses: list[Facts]) -> Facts:
    """Give a link as `ip -j -d address` told of it."""
    slave = {"info_slave_data": {"hairpin": True}} if link.get("hairpin") else {}
    info = {"info_kind": link["kind"], "info_data": link.get("info_data", {}), **slave}
    flags = ["UP"] if link["up"] else []
    return link | {"ifname": name, "flags": flags, "linkinfo": info, "addr_info": addresses}


def look_inside(netns: str, run: Run, paths: Iterable[str] = ()) -> State:
    """Give what is in a named namespace, with the settings at paths.

    Raises OSError where there is none, and CnetshError as `take` does.
    """
    return namespace.in_network(str(NETNS / netns), lambda: _look(netns, run, paths, {}))


def look_everywhere(run: Run) -> State:
    """Give what is in the target's own namespace and in the named ones, ends of cables paired."""
    names = dict(sorted(namespaces().items()))
    state = kinds.see(Answers(namespaces=names)) | _look_around("", run)
    for name in (name for name, mark in names.items() if mark):
        state |= namespace.in_network(str(NETNS / name), partial(_look_around, name, run))
    return paired(state)


def _look_around(netns: str, run: Run) -> State:
    return _look(netns, run, (), _ids(run))


def _look(netns: str, run: Run, paths: Iterable[str], ids: dict[int, str]) -> State:
    addresses, routes, neighbours = _ask(run, ("ip",), _QUESTIONS)
    answers = Answers(addresses, routes, neighbours, settings=readable(paths), ids=ids)
    return kinds.see(answers, netns)


def _ids(run: Run) -> dict[int, str]:
    """Give the names of namespaces by the numbers that this one knows them by.

    Where none has a name, the answer is not even an empty list.
    """
    known = json.loads(run(("ip", "-j", "netns", "list")).stdout or "[]")
    return {one["id"]: one["name"] for one in known if "id" in one}


def _saved(rules: dict[str, list[str]]) -> dict[str, str]:
    """Give rules by their table as each tool's -save prints them."""
    texts: dict[str, str] = {}
    for key, lines in rules.items():
        tool, _, table = key.partition(" ")
        texts[tool] = texts.get(tool, "") + "\n".join([f"*{table}", *lines, ""])
    return texts


def _ask(run: Run, tool: tuple[str, ...], questions: str) -> list[list[Facts]]:
    """Ask several things of one process; each answer is a line of JSON."""
    answer = run((*tool, "-j", "-d", "-batch", "-"), stdin=questions + "\n")
    lines = [line for line in answer.stdout.split("\n") if line]
    asked = questions.count("\n") + 1
    if answer.exit_code or len(lines) != asked:
        raise CnetshError(f"the kernel's state cannot be read: {answer.stderr.strip()}")
    # A name may hold a control character, which ip prints as it is: not JSON, strictly speaking.
    return [json.loads(line, strict=False) for line in lines]


def _link(link: Facts) -> Facts:
    keys = ("ifindex", "mtu", "master", "address", "ifalias", "txqlen", "link_index",
            "link_netnsid", "addrgenmode")  # fmt: skip
    kept = {key: link[key] for key in keys if key in link}
    kind = link.get("linkinfo", {}).get("info_kind", "")
    if link.get("qdisc") in ("tbf", "netem"):
        # The others come and go with the link's state; these two are somebody's wish.
        kept["qdisc"] = link["qdisc"]
    if link.get("linkinfo", {}).get("info_slave_data", {}).get("hairpin"):
        kept["hairpin"] = "on"
    if TYPES.get(kind):
        # What was typed after the type, which the kernel keeps for as long as there is the link.
        kept["info_data"] = link["linkinfo"].get("info_data", {})
    return kept | {"kind": kind, "up": "UP" in link.get("flags", ())}


def _route(route: Facts) -> Facts:
    return {key: route[key] for key in ROUTE_KEYS if key in route}


def _follows(route: Facts) -> bool:
    """Say whether the kernel made a route of table local by itself for an address.

    For IPv6 that is a second or two later, when nobody else has claimed the address.
    """
    return bool(route.get("table") == "local" and route.get("protocol") == "kernel")


def _address(link: Facts, info: Facts) -> Facts:
    address = f"{info.get('local', '')}/{info.get('prefixlen', '')}"
    return {"dev": link["ifname"], "address": address, "scope": info.get("scope", "")}


def _rules(run: Run) -> dict[str, list[str]]:
    """Give the rules, the chains that are not built in, and the policies other than ACCEPT."""
    tables: dict[str, list[str]] = {}
    for saver in _savers():
        table = ""
        for line in run((saver,)).stdout.split("\n"):
            if line.startswith("*"):
                table = f"{saver.removesuffix('-save')} {line[1:]}"
            elif line.startswith(":") and " ACCEPT " not in line:
                tables.setdefault(table, []).append(line.partition(" [")[0])
            elif line.startswith("-"):
                tables.setdefault(table, []).append(line)
    return tables


def _savers() -> Iterator[str]:
    """Give the tools that list rules; a machine without iptables has none."""
    main = [name for name in ("iptables-save", "ip6tables-save") if installed(name)]
    yield from main
    for name, tables in LEGACY.items():
        # Asking the legacy tools makes their tables, so they are asked only where some are in use.
        with contextlib.suppress(OSError):
            used = Path("/proc/net", tables).read_text().strip()
            if used and installed(name) and not any("legacy" in real(one) for one in main):
                yield name


def settings(own: Collection[str] = ()) -> dict[str, str]:
    """Give the kernel settings that a plan, or forwarding, changes: value by path under /proc.

    Those of the links own are left out.
    """
    found: dict[str, str] = {}
    for family in ("ipv4", "ipv6"):
        conf = SYSCTL / family / "conf"
        folders = (SYSCTL / family, conf / "all", conf / "default")
        names = [name for folder in folders for name in _files(folder)]
        with contextlib.suppress(OSError):
            links = [link for link in conf.iterdir() if link.name not in own]
            names += [f"{link}/forwarding" for link in links]
        found |= readable(names)
    return found


def readable(paths: Iterable[str]) -> dict[str, str]:
    """Give what stands in those files and settings that can be read, by path."""
    found: dict[str, str] = {}
    for path in paths:
        # Some are write-only, and an interface may go meanwhile.
        with contextlib.suppress(OSError, UnicodeDecodeError):
            found[path] = _read(path)
    return found


def _read(path: str) -> str:
    """Read a setting; there are hundreds, and Path.read_text takes three times as long."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(fd, 4096).decode().strip()
    finally:
        os.close(fd)


def _files(folder: Path) -> Iterable[str]:
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        return [entry.path for entry in entries if entry.is_file()]
    return []


def namespaces() -> dict[str, int]:
    """Give the mark of every named network namespace, 0 for a file that is none."""
    kind = Path("/proc/self/ns/net").stat().st_dev
    found: dict[str, int] = {}
    with contextlib.suppress(OSError):
        for path in NETNS.iterdir():
            with contextlib.suppress(OSError):
                status = path.stat()
                found[path.name] = namespace.mark(status) if status.st_dev == kind else 0
    return found


def folders() -> dict[str, int]:
    """Give the inode of everything in /etc/netns by its path."""
    found: dict[str, int] = {}
    with contextlib.suppress(OSError):
        for path in Path(HOME).iterdir():
            with contextlib.suppress(OSError):
                found[str(path)] = path.lstat().st_ino
    return found
