"""What this kernel lacks of what a plan needs, tried in a network namespace that is gone at once.

The target's own network is not touched: an unknown kind of link, queue or rule shows there as well.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from cnetsh.compare.snapshot import Snapshot
from cnetsh.doctor.asked import Asked, Rule
from cnetsh.kinds.name_server import HOME
from cnetsh.system.process import Run

# A link of one byte is refused too, but only of a kind that is known; so none is made, whose end
# would hold up the first steps of the lab for 50 ms (kernel: rtnl_create_link, netdev_run_todo).
_LINKS = {
    "veth": "link add probe0 mtu 1 type veth peer name probe1",
    "bridge": "link add probe0 mtu 1 type bridge",
    "macvlan": "link add link lo probe0 mtu 1 type macvlan mode bridge",
}
_UNKNOWN = ("Unknown device type", "not supported")
_QUEUES = {
    "netem": "qdisc replace dev lo root netem delay 1ms",
    "tbf": "qdisc replace dev lo root tbf rate 10mbit burst 100kbit latency 400ms",
}
_CHAINS = {"INPUT", "FORWARD", "OUTPUT", "PREROUTING", "POSTROUTING"}
_FAILED = re.compile(r"(.*)\nCommand failed -:(\d+)")


def lacking(run: Run, planned: Asked, snapshot: Snapshot) -> dict[str, str]:
    """Give what the kernel refused, and its words: netem -> Specified qdisc kind is unknown."""
    present = {str(link.get("kind")) for link in snapshot.links.values()}
    links = {kind: _LINKS[kind] for kind in _LINKS if kind in planned.kinds - present}
    queues = {kind: line for kind, line in _QUEUES.items() if kind in planned.queues}
    refused = _tried(run, "ip", links)
    found = {kind: said for kind, said in refused.items() if any(one in said for one in _UNKNOWN)}
    found |= _tried(run, "tc", queues)
    for tool in ("iptables", "ip6tables"):
        found |= _rules(run, tool, planned.rules, snapshot.rules)
    return found | _settings(planned) | _folders(planned)


def _tried(run: Run, tool: str, lines: Mapping[str, str]) -> dict[str, str]:
    """Try one line for each kind, and give the refused kinds with the kernel's words."""
    if not lines:
        return {}
    batch = "\n".join(lines.values()) + "\n"
    answer = run(("unshare", "--net", tool, "-force", "-batch", "-"), stdin=batch)
    kinds = list(lines)
    refused = _FAILED.findall(answer.stderr)
    return {kinds[int(number) - 1]: words.removeprefix("Error: ") for words, number in refused}


def _settings(planned: Asked) -> dict[str, str]:
    """Give the settings that are not there, but for those of links that the plan makes."""
    paths = {one.path for one in planned.settings if not one.netns}
    absent = {path for path in paths if not Path(path).exists()}
    return {
        path: "there is no such setting"
        for path in sorted(absent)
        if not planned.own_links & set(Path(path).parts)
    }


def _folders(planned: Asked) -> dict[str, str]:
    """Give the folder of name servers where it cannot be written, as in some sandboxes."""
    first = HOME if Path(HOME).is_dir() else "/etc"
    refused = planned.folders and not os.access(first, os.W_OK)
    return {HOME: "nothing can be written there, which dns needs"} if refused else {}


def _rules(
    run: Run, tool: str, rules: Sequence[Rule], present: Mapping[str, Sequence[str]]
) -> dict[str, str]:
    """Try the plan's own rules as a whole; interfaces need not exist for that."""
    mine = [rule for rule in rules if rule.tool == tool and rule.rest[0] in ("-N", "-A", "-I")]
    if not mine:
        return {}
    text = "\n".join(_restored(tool, mine, present)) + "\n"
    answer = run(("unshare", "--net", f"{tool}-restore"), stdin=text)
    if not answer.exit_code or answer.stderr.startswith("unshare:"):
        return {}
    lines = [line for line in answer.stderr.split("\n") if line.strip()]
    bad = re.search(r"line:? (\d+)", answer.stderr)
    rule = text.split("\n")[int(bad[1]) - 1] if bad else ""
    said = next((line for line in lines if not line.endswith(": ")), "it failed")
    return {f"{tool} {rule}".strip(): said}


def _restored(
    tool: str, rules: Sequence[Rule], present: Mapping[str, Sequence[str]]
) -> Iterator[str]:
    for table in dict.fromkeys(rule.table for rule in rules):
        here = [rule.rest for rule in rules if rule.table == table]
        made = {rest[1] for rest in here if rest[0] == "-N"}
        known = present.get(f"{tool} {table}", ())
        others = {line[1:].split()[0] for line in known if line[0] == ":"} - made - _CHAINS
        yield f"*{table}"
        # Chains of others are not in the new namespace, where a jump to them would fail.
        yield from (f":{chain} - [0:0]" for chain in sorted(others))
        for rest in here:
            # A rule for a chain that is nowhere is another fault than the kernel's.
            if rest[1] in made | others | _CHAINS:
                yield " ".join(map(_quoted, rest))
        yield "COMMIT"


def _quoted(word: str) -> str:
    return f'"{word}"' if " " in word else word
