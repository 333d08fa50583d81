"""Rules of iptables and ip6tables, and chains of one's own (iptables(8)).

A rule's name is its tool, its table, its chain and its words, as iptables-save prints them.
"""

import re
import shlex
from collections import Counter

from cnetsh.kinds.change import Answers, Change, Changes, Command, Make, Ref, Remove, Seen, typed_in
from cnetsh.kinds.route import canonical_network

TOOLS = ("iptables", "ip6tables")
SAMPLES = (
    "iptables -t nat -A POSTROUTING -s 172.18.0.0/12 ! -o br0 -j MASQUERADE",
    "iptables -w -I FORWARD -i p0 -j DROP",
    "ip6tables -w -t filter -N LAB",
)
# iptables --modprobe COMMAND, however it is shortened or put together (iptables(8)).
_RUNS_A_PROGRAM = re.compile(r"-[a-zA-Z0-9]*M.*|--mod?(=.*)?|--modp.*")


def read(command: Command) -> Changes | None:
    """Give what a command does to a rule or chain; () for one that looks, None if not allowed."""
    tool, *rest = command.words
    if any(map(_RUNS_A_PROGRAM.fullmatch, rest)):
        return None
    if rest[:1] == ["-w"]:
        rest = rest[1:]
    table = "filter"
    if rest[:1] == ["-t"] and len(rest) > 1:
        table, rest = rest[1], rest[2:]
    match rest:
        case ("-A" | "-I" as verb, chain, *words) if words and not words[0].isdigit():
            # A number after -I is refused: where the rule then stands depends on others' rules.
            on = Ref("chain", command.netns, f"{tool} {table} {chain}")
            facts = {"first": True} if verb == "-I" else {}
            return (Make(_rule(on, words), facts, on=on),)
        case ("-D", chain, *words) if words:
            return (Remove(_rule(Ref("chain", command.netns, f"{tool} {table} {chain}"), words)),)
        case ("-N", chain):
            return (Make(Ref("chain", command.netns, f"{tool} {table} {chain}"), {}),)
        case ("-F" | "-X", chain):
            return (Remove(Ref("chain", command.netns, f"{tool} {table} {chain}")),)
        case ("-S" | "-L" | "-C", *_):
            return ()
    return None


def _rule(chain: Ref, words: list[str]) -> Ref:
    return Ref("rule", chain.netns, f"{chain.name} {canonical_rule(words)}")


def canonical_rule(words: list[str]) -> str:
    """Give a rule as the kernel keeps it: the network 172.18.0.0/12 is 172.16.0.0/12."""
    pairs = zip(("", *words), words, strict=False)
    return shlex.join(canonical_network(word) if last in ("-s", "-d") else word
                      for last, word in pairs)  # fmt: skip


def write(change: Change, typed: Command | None = None) -> tuple[str, ...]:
    """Give the command that does a change; a chain is emptied before it is deleted."""
    assert isinstance(change, Make | Remove)
    tool, table, chain, *rule = shlex.split(change.ref.name)
    option: tuple[str, ...] = (tool, "-t", table)
    if typed:
        at = next(at for at, word in enumerate(typed.words) if word in ("-A", "-I", "-N"))
        option, rule = typed.words[:at], list(typed.words[at + 2 :])
    if change.ref.kind == "rule":
        added = "-I" if change.facts.get("first") else "-A"
        # By its number where the same rule was there before: -D takes the first that fits.
        number = change.facts.get("at")
        words = (str(number),) if number else tuple(rule)
        verb = "-D" if isinstance(change, Remove) else added
        return (typed_in(change.ref.netns, *option, verb, chain, *words),)
    verbs = ("-F", "-X") if isinstance(change, Remove) else ("-N",)
    return tuple(typed_in(change.ref.netns, *option, verb, chain) for verb in verbs)


def see(answers: Answers, netns: str) -> Seen:
    """Give what is in the tables, each rule with its number in its chain, from 1."""
    for tool, saved in answers.saved.items():
        table, places = "", Counter[str]()
        for line in saved.split("\n"):
            if line[:1] == "*":
                table = line[1:]
            elif line[:1] == ":":
                chain, policy, *_ = line[1:].split()
                facts = {"policy": policy} if policy != "-" else {}
                yield Ref("chain", netns, f"{tool} {table} {chain}"), facts
            elif line[:1] == "-":
                # iptables-save quotes comments as a shell does.
                _, chain, *rule = shlex.split(line)
                places[f"{table} {chain}"] += 1
                on = Ref("chain", netns, f"{tool} {table} {chain}")
                yield _rule(on, rule), {"at": places[f"{table} {chain}"], "on": on}
