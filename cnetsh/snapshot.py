"""What the kernel says of the target's own namespace, and how two such answers differ.

Only what a plan can change is read; counters, timers and carrier are not. The cost follows what is
in the namespace, a few milliseconds on an ordinary host.
"""

import contextlib
import json
import os
from collections.abc import Collection, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from cnetsh import namespace
from cnetsh.commands import Run, installed, real
from cnetsh.errors import CnetshError

NETNS = Path("/run/netns")
SYSCTL = Path("/proc/sys/net")
LEGACY = {"iptables-legacy-save": "ip_tables_names", "ip6tables-legacy-save": "ip6_tables_names"}
ROUTE_KEYS = ("type", "dst", "via", "gateway", "dev", "table", "protocol", "scope", "prefsrc",
              "metric")  # fmt: skip
Facts = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Links by name, addresses, routes of all tables, rules of both kinds, settings, namespaces.

    rules: iptables-save lines by "tool table"; settings: value by path; namespaces: mark by name,
    0 for a file that is no namespace (left by a killed `ip netns add`).
    """

    links: dict[str, Facts] = field(default_factory=dict)
    addresses: list[Facts] = field(default_factory=list)
    routes: list[Facts] = field(default_factory=list)
    policy: list[Facts] = field(default_factory=list)
    rules: dict[str, list[str]] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)
    namespaces: dict[str, int] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Give plain data that `Snapshot(**data)` reads back."""
        return asdict(self)


def take(run: Run, written: Iterable[str] = (), own: Collection[str] = ()) -> Snapshot:
    """Read the target's own namespace, with the settings that a plan has written.

    The settings of the plan's own links are left out: they go with them. Raises CnetshError when a
    tool answers nothing usable.
    """
    addresses, routes, policy = _ask(run, ("ip",), "address show\nroute show table all\nrule show")
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
        settings=settings(own) | values(written),
        namespaces=namespaces(),
    )


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
        found |= values(names)
    return found


def values(paths: Iterable[str]) -> dict[str, str]:
    """Give the values of those settings that can be read, by path."""
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


class Difference(NamedTuple):
    """One line of what differs: the object's kind and name, the text, the command that mends it.

    command is an argument vector and what it reads; empty where no command can mend it.
    """

    kind: str
    name: str
    text: str
    command: tuple[str, ...] = ()
    stdin: str = ""


def differences(before: Snapshot, now: Snapshot) -> list[Difference]:
    """Give every difference, in the order in which the mending commands have to run."""
    return [
        *_links_differ(before.links, now.links),
        *_addresses_differ(before, now),
        *_routes_differ(before, now),
        *_rules_differ(before.rules, now.rules),
        *_settings_differ(before.settings, now),
        *_namespaces_differ(before.namespaces, now.namespaces),
        *_policy_differs(before, now),
    ]


def _links_differ(before: dict[str, Facts], now: dict[str, Facts]) -> Iterator[Difference]:
    for name in now.keys() - before.keys():
        yield Difference("link", name, f"link {name} is new", ("ip", "link", "delete", name))
    for name in before.keys() - now.keys():
        yield Difference("link", name, f"link {name} is gone")
    for name in sorted(before.keys() & now.keys()):
        was, is_now = before[name], now[name]
        if was["ifindex"] != is_now["ifindex"] or was["kind"] != is_now["kind"]:
            yield Difference("link", name, f"link {name} is another one than before")
            continue
        for key in sorted(was.keys() | is_now.keys()):
            old, new = was.get(key), is_now.get(key)
            if old != new:
                text = f"link {name}: {key} was {old}, is {new}"
                yield Difference("link", name, text, _link_command(name, key, old))


def _link_command(name: str, key: str, old: object) -> tuple[str, ...]:
    match key:
        case "up":
            return ("ip", "link", "set", name, "up" if old else "down")
        case "master":
            return (
                "ip",
                "link",
                "set",
                "dev",
                name,
                *(("master", str(old)) if old else ("nomaster",)),
            )
        case "ifalias":
            return ("ip", "link", "set", "dev", name, "alias", str(old or ""))
        case "txqlen":
            return ("ip", "link", "set", "dev", name, "txqueuelen", str(old))
        case "mtu" | "address":
            return ("ip", "link", "set", "dev", name, key, str(old))
    return ()


def _addresses_differ(before: Snapshot, now: Snapshot) -> Iterator[Difference]:
    for entry, verb, word in _changed(before.addresses, now.addresses, before.links, now.links):
        dev, address = entry["dev"], entry["address"]
        text = f"address {address} on {dev} is {word}"
        yield Difference("link", dev, text, ("ip", "address", verb, address, "dev", dev))


def _routes_differ(before: Snapshot, now: Snapshot) -> Iterator[Difference]:
    for entry, verb, word in _changed(before.routes, now.routes, before.links, now.links):
        text = " ".join(
            f"{key} {value}" for key, value in entry.items() if key not in ("type", "via")
        )
        route = [f"{value}" for value in (entry.get("type"), entry["dst"]) if value != "unicast"]
        keys = {"gateway": "via", "dev": "dev", "table": "table", "protocol": "proto",
                "scope": "scope", "prefsrc": "src", "metric": "metric"}  # fmt: skip
        for key, word_ in keys.items():
            if entry.get(key) is not None:
                route += [word_, str(entry[key])]
        family = ("-6",) if ":" in f"{entry['dst']}{entry.get('gateway', '')}" else ()
        command = ("ip", *family, "route", verb, *route)
        yield Difference(
            "route", entry.get("dev", ""), f"route {text.removeprefix('dst ')} is {word}", command
        )


def _changed(
    before: list[Facts], now: list[Facts], links: dict[str, Facts], links_now: dict[str, Facts]
) -> Iterator[tuple[Facts, str, str]]:
    """Give what is new and what is missing, but for what came or went with its whole link."""
    for entry in now:
        if entry not in before and entry.get("dev", "") not in links_now.keys() - links.keys():
            yield entry, "delete", "new"
    for entry in before:
        if entry not in now and entry.get("dev", "") not in links.keys() - links_now.keys():
            yield entry, "add", "gone"


def _rules_differ(before: dict[str, list[str]], now: dict[str, list[str]]) -> Iterator[Difference]:
    for key in sorted(before.keys() | now.keys()):
        tool, _, table = key.partition(" ")
        was, is_now = before.get(key, []), now.get(key, [])
        for line in _surplus(is_now, was):
            option = ("-X", line[1:].split()[0]) if line[0] == ":" else ("-D", *line.split()[1:])
            yield Difference("rule", line, f"{key}: {line} is new", (tool, "-t", table, *option))
        for line in _surplus(was, is_now):
            option = ("-N", line[1:].split()[0]) if line[0] == ":" else ("-A", *line.split()[1:])
            yield Difference("rule", line, f"{key}: {line} is gone", (tool, "-t", table, *option))
        if was != is_now and sorted(was) == sorted(is_now):
            yield Difference("rule", key, f"{key}: the order of the rules is another one")


def _surplus(some: list[str], others: list[str]) -> list[str]:
    """Give the lines that are in some more often than in others: rules first, then chains."""
    left = list(others)
    surplus = []
    for line in some:
        if line in left:
            left.remove(line)
        else:
            surplus.append(line)
    return sorted(surplus, key=lambda line: line[0] == ":")


def _settings_differ(before: dict[str, str], now: Snapshot) -> Iterator[Difference]:
    # ip_forward first: writing it sets the others (kernel: Documentation/networking/ip-sysctl.rst).
    order = sorted(before, key=lambda path: (not path.endswith("/ip_forward"), path))
    for path in order:
        value = now.settings.get(path, before[path])
        if value != before[path]:
            text = f"{path} was {before[path]}, is {value}"
            yield Difference("setting", path, text, ("tee", path), before[path] + "\n")


def _namespaces_differ(before: dict[str, int], now: dict[str, int]) -> Iterator[Difference]:
    for name in sorted(now.keys() - before.keys()):
        text = f"namespace {name} is new" if now[name] else f"{NETNS}/{name} is a file without one"
        yield Difference("netns", name, text, ("ip", "netns", "delete", name))
    for name in sorted(before.keys() - now.keys()):
        yield Difference("netns", name, f"namespace {name} is gone")
    for name in sorted(before.keys() & now.keys()):
        if before[name] != now[name]:
            yield Difference("netns", name, f"namespace {name} is another one than before")


def _policy_differs(before: Snapshot, now: Snapshot) -> Iterator[Difference]:
    for entry in now.policy:
        if entry not in before.policy:
            yield Difference("policy", "", f"ip rule {entry} is new")
    for entry in before.policy:
        if entry not in now.policy:
            yield Difference("policy", "", f"ip rule {entry} is gone")
