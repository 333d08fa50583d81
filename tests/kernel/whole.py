"""All that can be lost of a host: what oracle.py sees, and what is lost without a word.

Addresses with their flags, permanent and proxy neighbours, the options of ports and bridges, static
entries of a bridge's table and its groups, VLANs, queues, next hops, tables of nft, other names,
and how a link got its MAC. One process for many questions, so that thousands of hosts can be
compared. Independent of cnetsh, as oracle.py is.
"""

import json
import re
import subprocess
from typing import Any

import oracle
from oracle import Facts

QUESTIONS = """link show
address show
route show table all
neigh show nud permanent
neigh show proxy
rule show
nexthop show
token list
"""
# What counts, runs or follows from the rest; `state` and `designated` are spanning tree's.
RUNS = re.compile(
    r"timer|_id$|^id$|^no$|^root_p|topology|designated|^state$|config_pending|_str$|^refcnt$"
)
LINK_KEYS = (
    *("mtu", "master", "address", "ifalias", "txqlen", "group", "inet6_addr_gen_mode"),
    *("altnames", "protodown"),
)
# Not nodad: an address that was valid is put back without another look for duplicates.
ADDRESS_FLAGS = ("secondary", "noprefixroute", "home", "mngtmpaddr", "deprecated")
ADDRESS_KEYS = ("local", "prefixlen", "address", "broadcast", "scope", "label", "metric")
FOREVER = 4294967295
# Given by the kernel in the order in which queues are made; smaller ones are typed.
OWN_HANDLE = 0x8000
IPTABLES = re.compile(r"table ip6? (filter|nat|mangle|raw|security) ")


def whole() -> Facts:
    """All facts of this process's network namespace, of the named ones in it, and their files."""
    inside = {name: _inside(name) for name in oracle.names()}
    return facts() | {"namespaces": inside, "files": oracle.files()}


def facts() -> Facts:
    """All facts of the network namespace that this process is in."""
    answers = _batch("-d", questions=QUESTIONS)
    shown, addresses, routes, neighbours, proxies, policy, nexthops, tokens = answers
    policy6 = _batch("-6", questions="rule show\n")[0]
    links = {link["ifname"]: link for link in shown}
    return {
        "links": {name: _link(link) for name, link in links.items()},
        "ports": {name: data for name, link in links.items() if (data := _port(link))},
        "addresses": {link["ifname"]: _addresses(link) for link in addresses if "ifname" in link},
        "routes": sorted(_route(route) for route in routes),
        "locked": oracle.locked(routes),
        "neighbours": sorted(_neighbour(one) for one in neighbours + proxies if "dev" in one),
        "table": _static(links),
        "groups": oracle._groups(_json("bridge", "-j", "mdb", "show") if _bridges(shown) else []),
        "vlans": _shown("bridge", "-j", "vlan", "show") if _with_vlans(shown) else [],
        "queues": sorted(_queues()) if any(map(_made, shown)) else [],
        "policy": [oracle._line(rule) for rule in policy + policy6],
        "nexthops": sorted(oracle._line(one) for one in nexthops),
        "tokens": sorted(oracle._line(one) for one in tokens if one.get("token") != "::"),
        "rules": oracle.rules(),
        "tables": _tables_of_nft(),
        "settings": oracle.settings(),
    }


def _inside(name: str) -> Facts:
    if oracle.names()[name] == "ghost":
        return {"kind": "ghost"}
    with oracle._entered(oracle.NAMES / name):
        return {"kind": "nsfs"} | facts()


def _with_vlans(links: list[Facts]) -> bool:
    options = [link.get("linkinfo", {}).get("info_data", {}) for link in links]
    return any(each.get("vlan_filtering") for each in options)


def _bridges(links: list[Facts]) -> list[Facts]:
    return [one for one in links if one.get("linkinfo", {}).get("info_kind") == "bridge"]


def _tables_of_nft() -> list[str]:
    """The tables that are not those of iptables, which print themselves."""
    text = oracle._run("nft", "-s", "list", "ruleset", check=False) if oracle._which("nft") else ""
    tables = re.split(r"^(?=table )", text, flags=re.M)
    return sorted(one for one in tables if one.startswith("table ") and not IPTABLES.match(one))


def _batch(*options: str, questions: str) -> list[list[Facts]]:
    """The answers of one `ip` to many questions."""
    done = subprocess.run(
        [str(oracle._which("ip")), "-j", *options, "-batch", "-"],
        input=questions,
        capture_output=True,
        encoding="utf-8",
        check=True,
        timeout=oracle.PATIENCE,
        env={"PATH": oracle.PATH, "LC_ALL": "C"},
    )
    answers = [json.loads(line, strict=False) for line in done.stdout.splitlines() if line.strip()]
    return [[one for one in answer if one] for answer in answers]


def _json(*argv: str) -> list[Facts]:
    return [one for one in json.loads(oracle._run(*argv) or "[]", strict=False) if one]


def _shown(*argv: str) -> list[str]:
    return sorted(oracle._line(one) for one in _json(*argv))


def _link(link: Facts) -> Facts:
    found = {key: link[key] for key in LINK_KEYS if key in link}
    about = link.get("linkinfo", {})
    return found | {
        "kind": about.get("info_kind", ""),
        "flags": sorted(link["flags"]),
        "assigned": _assigned(link["ifname"]),
        "options": _still(about.get("info_data", {})),
    }


def _assigned(name: str) -> str:
    # Of this process's own /sys, so not for links in a named namespace.
    return oracle._read(f"/sys/class/net/{name}/addr_assign_type")


def _port(link: Facts) -> Facts:
    return _still(link.get("linkinfo", {}).get("info_slave_data", {}))


def _still(options: Facts) -> Facts:
    return {key: value for key, value in options.items() if not RUNS.search(key)}


def _addresses(link: Facts) -> list[str]:
    """In their order where it matters: of IPv4 the first of a subnet is the one that is used."""
    found = [(one["family"], _address(one)) for one in link["addr_info"]]
    fours = [line for family, line in found if family == "inet"]
    return fours + sorted(line for family, line in found if family != "inet")


def _address(one: Facts) -> str:
    kept = {key: one[key] for key in ADDRESS_KEYS if key in one}
    if "label" in kept:
        # The kernel numbers them when it renames their link, a lab's among them.
        kept["label"] = re.sub(r":\d+$", "", kept["label"])
    flags = [flag for flag in (*ADDRESS_FLAGS, "tentative", "dadfailed") if one.get(flag)]
    ends = ["ends"] if one.get("valid_life_time", FOREVER) != FOREVER else []
    return " ".join([f"{key} {value}" for key, value in kept.items()] + flags + ends)


def _route(route: Facts) -> str:
    kept = oracle.route_of(route)
    kept["flags"] = [flag for flag in kept.get("flags", []) if flag not in ("linkdown", "dead")]
    return oracle._line(kept)


def _neighbour(one: Facts) -> str:
    return oracle._line({key: value for key, value in one.items() if key != "state"})


def _static(links: dict[str, Facts]) -> list[str]:
    """What somebody put into the tables of bridges; MACs of the host's own links come and go."""
    own = {link.get("address") for link in links.values()}
    entries = _json("bridge", "-j", "fdb", "show")
    found = [one for one in entries if one.get("state") in ("static", "permanent")]
    return sorted(
        oracle._line(one)
        for one in found
        if one["mac"] not in own and not one["mac"].startswith(("33:33", "01:00:5e"))
    )


def _made(link: Facts) -> bool:
    return link.get("qdisc") not in ("noop", "noqueue")


def _queues() -> list[str]:
    found = _json("tc", "-j", "qdisc", "show")
    return [_queue(one) for one in found if one["kind"] not in ("noop", "noqueue")]


def _queue(queue: Facts) -> str:
    kept: dict[str, Any] = {key: value for key, value in queue.items() if key != "refcnt"}
    if int(str(kept["handle"]).split(":")[0] or "0", 16) >= OWN_HANDLE:
        del kept["handle"]
    return oracle._line(kept)
