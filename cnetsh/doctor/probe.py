"""What this kernel lacks of what a plan needs, tried in a network namespace that is gone at once.

The target's own network is not touched: an unknown kind of link, queue or rule shows there as well.
"""

import contextlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from cnetsh.doctor.asked import IptablesCommand, Requirements
from cnetsh.errors import CnetshError
from cnetsh.kinds.change import State
from cnetsh.kinds.name_server import HOME
from cnetsh.kinds.setting import nearest_setting
from cnetsh.system.process import Run

# A link of one byte is refused too, but only of a kind that is known; so none is made, whose end
# would hold up the first steps of the lab for 50 ms (kernel: rtnl_create_link, netdev_run_todo).
_LINKS = {
    "veth": "link add probe0 mtu 1 type veth peer name probe1",
    "bridge": "link add probe0 mtu 1 type bridge",
    "macvlan": "link add link lo probe0 mtu 1 type macvlan mode bridge",
    # Of these one is refused that is on no link, if they are known.
    "ipvlan": "link add probe0 mtu 1 type ipvlan",
    "vlan": "link add probe0 mtu 1 type vlan",
    "vxlan": "link add probe0 mtu 1 type vxlan",
    "dummy": "link add probe0 type dummy",
}
# ip's words and the kernel's; other refusals are of the probe itself, not of the kind.
_UNKNOWN = ("Unknown device type", "not supported")
_QUEUES = {
    "netem": "qdisc replace dev lo root netem delay 1ms",
    "tbf": "qdisc replace dev lo root tbf rate 10mbit burst 100kbit latency 400ms",
}
_CHAINS = {"INPUT", "FORWARD", "OUTPUT", "PREROUTING", "POSTROUTING"}
# What another namespace has as this one: no link has to be made for it.
_ALWAYS = re.compile(r"/proc/sys/net/ipv[46](/(conf|neigh)/(all|default))?/[^/]+")
_FAILED = re.compile(r"(.*)\nCommand failed -:(\d+)")


def lacking(run: Run, asked: Requirements, now: State) -> dict[str, str]:
    """Give what the kernel refused, and its words: netem -> Specified qdisc kind is unknown."""
    # What is in use already needs no trial.
    kinds = asked.kinds - {now[ref][0]["kind"] for ref in now if ref.kind == "link"}
    # Where nothing can be tried, nothing is known to lack.
    with contextlib.suppress(CnetshError):
        links = _tried(run, "ip", _LINKS, kinds).items()
        found = {kind: said for kind, said in links if any(one in said for one in _UNKNOWN)}
        found |= _tried(run, "tc", _QUEUES, kinds)
        for tool in ("iptables", "ip6tables"):
            found |= _rules(run, tool, asked.rules, now)
        return found | _settings(asked) | _folders(asked)
    return {}


def _tried(run: Run, tool: str, known: Mapping[str, str], asked: set[str]) -> dict[str, str]:
    """Try one line for each kind, and give the refused kinds with the kernel's words."""
    kinds = [kind for kind in known if kind in asked]
    if not kinds:
        return {}
    batch = "".join(f"{known[kind]}\n" for kind in kinds)
    answer = run(("unshare", "--net", tool, "-force", "-batch", "-"), stdin=batch)
    refused = _FAILED.findall(answer.stderr)
    return {kinds[int(number) - 1]: words.removeprefix("Error: ") for words, number in refused}


def _settings(asked: Requirements) -> dict[str, str]:
    """Give the settings that are not there, but for those of links that the plan makes."""
    written = {path for path, _ in asked.settings} | {*filter(_ALWAYS.fullmatch, asked.inside)}
    paths = sorted(path for path in written if not Path(path).exists())
    own = asked.own_links
    lacking = {path: nearest_setting(Path(path)) for path in paths if not own & {*Path(path).parts}}
    return {path: "there is no such setting" + (f", but {name}" if name else "")
            for path, name in lacking.items()}  # fmt: skip


def _folders(asked: Requirements) -> dict[str, str]:
    """Give the folder of name servers where it cannot be written, as in some sandboxes."""
    first = HOME if Path(HOME).is_dir() else "/etc"
    refused = asked.folders and not os.access(first, os.W_OK)
    return {HOME: "nothing can be written there, which dns needs"} if refused else {}


def _rules(run: Run, tool: str, rules: Sequence[IptablesCommand], now: State) -> dict[str, str]:
    """Try the plan's own rules as a whole; interfaces need not exist for that."""
    mine = [rule for rule in rules if rule.tool == tool and rule.words[0] in ("-N", "-A", "-I")]
    if not mine:
        return {}
    lines = list(_restored(tool, mine, now))
    answer = run(("unshare", "--net", f"{tool}-restore"), stdin="\n".join(lines) + "\n")
    if not answer.exit_code or answer.stderr.startswith("unshare:"):
        return {}
    bad = re.search(r"line:? (\d+)", answer.stderr)
    rule = lines[int(bad[1]) - 1] if bad else ""
    # The first line may only say which program it is.
    said = (line for line in answer.stderr.split("\n") if line.strip() and line[-2:] != ": ")
    return {f"{tool} {rule}".strip(): next(said, "it failed")}


def _restored(tool: str, rules: Sequence[IptablesCommand], now: State) -> Iterator[str]:
    present = [ref.name.split() for ref in now if ref.kind == "chain"]
    for table in dict.fromkeys(rule.table for rule in rules):
        here = [rule.words for rule in rules if rule.table == table]
        made = {words[1] for words in here if words[0] == "-N"}
        known = {chain for *place, chain in present if place == [tool, table]}
        others = known - made - _CHAINS
        yield f"*{table}"
        # Chains of others are not in the new namespace, where a jump to them would fail.
        yield from (f":{chain} - [0:0]" for chain in sorted(others))
        for words in here:
            # A rule for a chain that is nowhere is another fault than the kernel's.
            if words[1] in made | others | _CHAINS:
                yield " ".join(f'"{word}"' if " " in word else word for word in words)
        yield "COMMIT"
