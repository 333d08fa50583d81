"""How two snapshots differ, line by line, each with the command that mends it."""

import shlex
from collections.abc import Iterator
from typing import NamedTuple

from cnetsh import kinds
from cnetsh.compare.snapshot import NETNS, Facts, Snapshot, state_of
from cnetsh.kinds.change import Make, Remove, State, matches
from cnetsh.plan.steps import split

# These have words of their own below.
_TOLD = {"link", "address", "route", "queue", "rule", "chain", "setting", "netns", "folder"}


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
        *_folders_differ(before.folders, now.folders),
        *_policy_differs(before, now),
        *_rest_differs(state_of(before), state_of(now)),
    ]


def _links_differ(before: dict[str, Facts], now: dict[str, Facts]) -> Iterator[Difference]:
    for name in sorted(now.keys() - before.keys()):
        yield Difference("link", name, f"link {name} is new", ("ip", "link", "delete", name))
    for name in sorted(before.keys() - now.keys()):
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
        case "hairpin":
            words = ("type", "bridge_slave", "hairpin", str(old or "off"))
            return ("ip", "link", "set", "dev", name, *words)
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
            option = (
                ("-X", line[1:].split()[0]) if line[0] == ":" else ("-D", *shlex.split(line)[1:])
            )
            yield Difference("rule", line, f"{key}: {line} is new", (tool, "-t", table, *option))
        for line in _surplus(was, is_now):
            option = (
                ("-N", line[1:].split()[0]) if line[0] == ":" else ("-A", *shlex.split(line)[1:])
            )
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


def _folders_differ(before: dict[str, int], now: dict[str, int]) -> Iterator[Difference]:
    for path in sorted(now.keys() - before.keys()):
        yield Difference("folder", path, f"folder {path} is new", ("rm", "-r", path))
    for path in sorted(before.keys() - now.keys()):
        yield Difference("folder", path, f"folder {path} is gone")
    for path in sorted(before.keys() & now.keys()):
        if before[path] != now[path]:
            yield Difference("folder", path, f"folder {path} is another one than before")


def _rest_differs(before: State, now: State) -> Iterator[Difference]:
    """Compare the objects of all kinds but those above, which are told in words of their own."""
    for ref in (ref for ref in {**before, **now} if ref.kind not in _TOLD):
        for word, more, less in (("new", now, before), ("gone", before, now)):
            for facts in more.get(ref, ()):
                if not any(matches(facts, one) for one in less.get(ref, ())):
                    change = Remove(ref, facts) if word == "new" else Make(ref, facts)
                    (text,) = kinds.write(change)
                    dev = facts.get("dev", ref.name)
                    yield Difference("link", dev, f"{ref.kind} {ref.name} is {word}", *split(text))


def _policy_differs(before: Snapshot, now: Snapshot) -> Iterator[Difference]:
    for entry in now.policy:
        if entry not in before.policy:
            yield Difference("policy", "", f"ip rule {entry} is new")
    for entry in before.policy:
        if entry not in now.policy:
            yield Difference("policy", "", f"ip rule {entry} is gone")
