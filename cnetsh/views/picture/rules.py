"""What firewall rules mean for a picture: who leaves as whom, published ports, isolation."""

import shlex
from collections.abc import Iterator
from typing import NamedTuple

from cnetsh.kinds.change import State
from cnetsh.names import visible

_MOST = 4  # lines, for a host may have hundreds
_ENDS = frozenset({"ACCEPT", "DROP", "REJECT", "RETURN", "QUEUE", "LOG"})


class DrawnRule(NamedTuple):
    """A rule, or with no words the policy of a chain."""

    netns: str
    tool: str
    table: str
    chain: str
    words: tuple[str, ...]

    def value(self, option: str) -> str:
        """Give what follows an option, with a `!` before it where the option is turned."""
        if option not in self.words[:-1]:
            return ""
        at = self.words.index(option)
        return ("!" if at and self.words[at - 1] == "!" else "") + self.words[at + 1]

    @property
    def target(self) -> str:
        """What the rule does."""
        return self.value("-j")


class PublishedPort(NamedTuple):
    """A port of the host that leads to a socket in a container."""

    port: str
    protocol: str
    address: str
    target: str

    def __str__(self) -> str:
        return f"{self.port}/{self.protocol} → {self.address}:{self.target}"


def rules_of(state: State) -> list[DrawnRule]:
    """Give all rules, and the policies that are not ACCEPT."""
    found = []
    for ref, several in state.items():
        if ref.kind == "rule":
            tool, table, chain, text = ref.name.split(" ", 3)
            words = tuple(visible(word) for word in shlex.split(text))
            found += [DrawnRule(visible(ref.netns), tool, table, chain, words)] * len(several)
        elif ref.kind == "chain" and several[0].get("policy", "ACCEPT") != "ACCEPT":
            tool, table, chain = ref.name.split(" ", 2)
            words = ("-j", several[0]["policy"])
            found.append(DrawnRule(visible(ref.netns), tool, table, f"{chain} policy", words))
    return found


def unread_namespaces(state: State) -> set[str]:
    """Give the namespaces whose rules were not read, or not all of them."""
    return {visible(ref.netns) for ref in state if ref.kind == "table"}


def translations(rules: list[DrawnRule], netns: str, address: str, own: str) -> Iterator[str]:
    """Give a line for each rule that gives packets of a namespace another source address.

    address: that of the link that they leave by, "" where it is not known; own: whose it is.
    """
    for rule in rules:
        # What is answered from a published port is turned back, and leaves for nowhere.
        if rule.netns != netns or rule.value("--ctstate") == "DNAT":
            continue
        lent = address if rule.tool == "iptables" and address else own
        to = {"MASQUERADE": lent, "SNAT": rule.value("--to-source")}.get(rule.target)
        if to:
            out = rule.value("-o")
            by = f" by {out}" if out and not out.startswith("!") else ""
            yield f"{rule.value('-s') or 'all'} leaves{by} as {to}"


def published(rules: list[DrawnRule]) -> Iterator[PublishedPort]:
    """Give the ports of the host that lead elsewhere."""
    for rule in rules:
        if rule.target == "DNAT" and not rule.netns:
            address, _, port = rule.value("--to-destination").rpartition(":")
            own = rule.value("--dport") or "every port"
            yield PublishedPort(own, rule.value("-p") or "all", address or port, port)


def isolated(rules: list[DrawnRule]) -> set[str]:
    """Give the bridges that nothing is forwarded into or out of."""
    ways = {(rule.value("-i"), rule.value("-o")) for rule in rules
            if rule.target == "DROP" and not rule.netns}  # fmt: skip
    return {bridge for bridge, out in ways if out == f"!{bridge}" and (out, bridge) in ways}


def let_through(rules: list[DrawnRule]) -> list[str]:
    """Give the links from which the host's rules let packets go on, whatever its policy is."""
    return list(dict.fromkeys(
        rule.value("-i") for rule in rules
        if rule.target == "ACCEPT" and rule.table == "filter" and not rule.netns
        and rule.value("-i") and not rule.value("-o") and not rule.value("-p")
    ))  # fmt: skip


def filter_lines(rules: list[DrawnRule], netns: str) -> Iterator[str]:
    """Give a line for each rule that stops packets; of a container for each that decides."""
    apart = isolated(rules)
    lines = []
    for rule in rules:
        ways = {rule.value("-i").lstrip("!"), rule.value("-o").lstrip("!")}
        wanted = _ENDS if netns else ("DROP", "REJECT")
        if rule.netns == netns and rule.target in wanted and not (ways <= apart and len(ways) == 1):
            lines.append(_said(rule))
    yield from lines[:_MOST]
    if len(lines) > _MOST:
        yield f"and {len(lines) - _MOST} more rules"


def _said(rule: DrawnRule) -> str:
    """Give a rule without its comment and what comes by itself: INPUT -p tcp --dport 22 → DROP."""
    words, kept = list(rule.words), []
    while words:
        word = words.pop(0)
        if word in ("-j", "-m", "--comment", "--reject-with"):
            words.pop(0)
        else:
            kept.append(word)
    six = "IPv6 " if rule.tool.startswith("ip6") else ""
    return f"{six}{' '.join([rule.chain, *kept])} → {rule.target}"
