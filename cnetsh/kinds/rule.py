"""Rules of iptables and ip6tables, and chains of one's own (iptables(8)).

A rule's name is its tool, its table, its chain and its words, as iptables-save prints them.
"""

import re
import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from difflib import SequenceMatcher
from itertools import pairwise

from cnetsh.kinds.change import (
    Answers,
    Change,
    Changes,
    Command,
    Facts,
    Make,
    Ref,
    Remove,
    Seen,
    Set,
    State,
    typed_in,
)
from cnetsh.kinds.route import canonical_network

TOOLS = ("iptables", "ip6tables")
SAMPLES = (
    "iptables -t nat -A POSTROUTING -s 172.18.0.0/12 ! -o br0 -j MASQUERADE",
    "iptables -w -I FORWARD -i p0 -j DROP",
    "ip6tables -w -t filter -N LAB",
)
# What iptables-save prints in words of its own, and always prints as it was typed.
_SHORT = {
    "--protocol": "-p", "--source": "-s", "--src": "-s", "--destination": "-d", "--dst": "-d",
    "--in-interface": "-i", "--out-interface": "-o", "--match": "-m", "--jump": "-j",
    "--goto": "-g",
}  # fmt: skip
_KEPT = ("-p", "-s", "-d", "-i", "-o", "-j", "-g")
# iptables --modprobe COMMAND, however it is shortened or put together (iptables(8)).
_RUNS_A_PROGRAM = re.compile(r"-[a-zA-Z0-9]*M.*|--mod?(=.*)?|--modp.*")

_UNREAD = re.compile(r"# Table `(\w+)' (?:is|contains) incompatible")


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
    chain = Ref("chain", command.netns, " ".join((tool, table, *rest[1:2])))
    match rest:
        case ("-A" | "-I" as verb, _, *words) if words and not words[0].isdigit():
            # A number after -I is refused: where the rule then stands depends on others' rules.
            facts = {"first": True} if verb == "-I" else {}
            return (Make(_rule(chain, words), facts, on=chain),)
        case ("-D", _, *words) if words:
            return (Remove(_rule(chain, words)),)
        case ("-N", _):
            return (Make(chain, {}),)
        case ("-F" | "-X", _):
            return (Remove(chain),)
        case ("-S" | "-L" | "-C", *_):
            return ()
    return None


def _rule(chain: Ref, words: list[str]) -> Ref:
    return Ref("rule", chain.netns, f"{chain.name} {canonical_rule(words)}")


def canonical_rule(words: list[str]) -> str:
    """Give a rule as the kernel keeps it: the network 172.18.0.0/12 is 172.16.0.0/12."""
    words = [_SHORT.get(word, word) for word in words]
    # A protocol's own match comes with it, and iptables-save says so.
    own = {("-m", words[at + 1]) for at, word in enumerate(words[:-1]) if word == "-p"}
    cut = {at for at in range(len(words)) if tuple(words[at : at + 2]) in own}
    words = [word for at, word in enumerate(words) if not {at, at - 1} & cut]
    pairs = zip(("", *words), words, strict=False)
    return shlex.join(canonical_network(word) if last in ("-s", "-d") else word
                      for last, word in pairs)  # fmt: skip


def may_be(typed: str, printed: str) -> bool:
    """Say whether iptables-save may print a typed rule so.

    A match may get other words (state is conntrack) and more of them; all else stays as it is, but
    for what was typed as a name that is looked up, or as the number of a protocol.
    """
    ours, its = _kept(typed), _kept(printed)
    return all(ours.get(word) == its.get(word) or _is_looked_up(word, ours.get(word, ""))
               for word in _KEPT)  # fmt: skip


def is_one(typed: list[str], printed: list[str]) -> bool:
    """Say whether two chains may be the same one: nothing tells that but the rules in them."""
    return bool(printed) and len(typed) == len(printed) and all(map(may_be, typed, printed))


def renamed_rule(ref: Ref, names: Mapping[Ref, str]) -> str:
    """Give a rule's name with its chain, and the one that it leads to, under other names."""
    tool, table, *words = ref.name.split(" ")
    for at, last in enumerate(("-j", *words)):
        if last in ("-j", "-g") and at < len(words):
            known = Ref("chain", ref.netns, f"{tool} {table} {words[at]}")
            words[at] = names.get(known, known.name).split(" ")[2]
    return " ".join((tool, table, *words))


def _kept(rule: str) -> dict[str, str]:
    words = shlex.split(rule)
    return {word: f"{sign if sign == '!' else ''}{value}"
            for sign, word, value in zip(("", *words), words, words[1:], strict=False)
            if word in _KEPT and value != "default"}  # fmt: skip


def _is_looked_up(word: str, value: str) -> bool:
    value = value.removeprefix("!")
    if word == "-p":
        return value.isdigit()
    return word in ("-s", "-d") and value[:1].isalpha() and ":" not in value


def write(change: Change, typed: Command | None = None) -> tuple[str, ...]:
    """Give the command that does a change; a chain is emptied before it is deleted."""
    tool, table, chain, *rule = shlex.split(change.ref.name)
    if isinstance(change, Set):
        words = (tool, "-w", "-t", table, "-P", chain, str(change.value))
        return (typed_in(change.ref.netns, *words),)
    assert isinstance(change, Make | Remove)
    option: tuple[str, ...] = (tool, "-w", "-t", table)
    if typed:
        at = next(at for at, word in enumerate(typed.words) if word in ("-A", "-I", "-N"))
        option, rule = typed.words[:at], list(typed.words[at + 2 :])
    if change.ref.kind == "rule":
        return (typed_in(change.ref.netns, *option, *_placed(change, chain, rule)),)
    verbs = ("-F", "-X") if isinstance(change, Remove) else ("-N",)
    return tuple(typed_in(change.ref.netns, *option, verb, chain) for verb in verbs)


def _placed(change: Make | Remove, chain: str, rule: list[str]) -> tuple[str, ...]:
    """Give the words for a rule, with its number in the chain where one was asked for."""
    if isinstance(change, Remove):
        return "-D", chain, *([str(change.facts["number"])] if "number" in change.facts else rule)
    number = [str(change.facts["at"])] if change.facts.get("at") else []
    verb = "-I" if number or change.facts.get("first") else "-A"
    return verb, chain, *number, *rule


def see(answers: Answers, netns: str) -> Seen:
    """Give what is in the tables, each rule with its number in its chain, from 1."""
    for tool, saved in answers.saved.items():
        table, places = "", Counter[str]()
        for one in ["*"] if saved is None else _UNREAD.findall(saved):
            # What is in it is not known, which is not the same as nothing.
            yield Ref("table", netns, f"{tool} {one}"), {"unread": True}
        for line in _lines(saved or ""):
            if line[:1] == "*":
                table = line[1:]
            elif line[:1] == ":":
                chain, policy, *_ = line[1:].split()
                facts = {"policy": policy} if policy != "-" else {}
                yield Ref("chain", netns, f"{tool} {table} {chain}"), facts
            elif line[:1] == "-":
                # iptables-save quotes comments as a shell does, but for an apostrophe.
                _, chain, *rule = shlex.split(line.replace("\\'", "'"))
                places[f"{table} {chain}"] += 1
                on = Ref("chain", netns, f"{tool} {table} {chain}")
                yield _rule(on, rule), {"at": places[f"{table} {chain}"], "on": on}


def _lines(saved: str) -> Iterator[str]:
    """Give the lines of a table; a comment may hold line breaks, which are printed as they are."""
    line = ""
    for part in saved.split("\n"):
        line = f"{line}\n{part}" if line else part
        if line[:1] != "-" or _closed(line):
            yield line
            line = ""


def _closed(line: str) -> bool:
    try:
        return bool(shlex.split(line))
    except ValueError:
        return False


def is_unread(ref: Ref, state: State) -> bool:
    """Say whether a rule or chain is in a table that could not be read."""
    if ref.kind not in ("rule", "chain"):
        return False
    tool, table, *_ = ref.name.split(" ", 2)
    return any(Ref("table", ref.netns, f"{tool} {name}") in state for name in ("*", table))


def _aligned(one: list[str], other: list[str]) -> list[tuple[str, int, int, int, int]]:
    return list(SequenceMatcher(None, one, other, autojunk=False).get_opcodes())


def realigned(chain: Ref, now: list[str], wanted: list[str]) -> Iterator[Change]:
    """Give what makes a chain's rules into others: by place, from the last to the first."""
    steps = _aligned(now, wanted)
    for _, first, last, start, end in reversed(steps):
        if now[first:last] != wanted[start:end]:
            for at in range(last, first, -1):
                yield removal(chain, now, at)
            for words in reversed(wanted[start:end]):
                made = Ref("rule", chain.netns, f"{chain.name} {words}")
                yield Make(made, {"at": first + 1}, on=chain)


def removal(chain: Ref, rules: list[str], at: int) -> Remove:
    """Give what removes the rule at a place of a chain, from 1.

    By its words, where no other has the same: in its place there may be one of others by the time
    that the command runs. Of equal ones -D takes the first, which may be somebody else's.
    """
    words = rules[at - 1]
    gone = Remove(Ref("rule", chain.netns, f"{chain.name} {words}"), {"at": at})
    return by_number(gone) if rules.count(words) > 1 else gone


def by_number(gone: Remove) -> Remove:
    """Give what removes the rule that stands there now: not all words are read as printed."""
    return gone._replace(facts={**gone.facts, "number": gone.facts["at"]})


def added(before: list[str], after: list[str]) -> list[int]:
    """Give where in a chain the rules stand that came since before."""
    steps = _aligned(before, after)
    return [at for word, _, _, start, end in steps if word != "equal" for at in range(start, end)]


def without(added_to: list[str], places: Iterable[int], now: list[str]) -> list[str]:
    """Give a chain as it is now without rules that stood at places of what it was then.

    One that is not where it was is the one in the same words that came since.
    """
    there = {at: start + at - first
             for word, first, last, start, _ in _aligned(added_to, now) if word == "equal"
             for at in range(first, last)}  # fmt: skip
    came = [at for at in range(len(now)) if at not in there.values()]
    taken = set()
    for place in places:
        alike = [there[place]] if place in there else [
            at for at in came if now[at] == added_to[place] and at not in taken]  # fmt: skip
        taken.update(alike[:1])
    return [words for at, words in enumerate(now) if at not in taken]


EXPLAINED = "Packets pass the rules of a chain in order; the first one that decides is the last."
_ENDS = {
    "ACCEPT": "let through: no later rule of the chain is asked",
    "DROP": "thrown away, and nobody is told",
    "REJECT": "refused, and the sender is told",
    "MASQUERADE": "gets the address of the link that it leaves by, and the answer finds back",
    "SNAT": "gets another source, and the answer finds back",
    "DNAT": "gets another destination",
    "REDIRECT": "gets a port of this machine's as its destination",
    "RETURN": "goes back to where the chain was called",
    "MARK": "gets a mark, which other rules ask for",
}


def explain(ref: Ref, facts: Facts) -> str:
    """Say what becomes of a packet that a rule is for, or that no rule of a chain was for."""
    if ref.kind == "chain":
        return f"what no rule decides is {_ENDS.get(facts.get('policy', ''), 'handed back')}"
    words = ref.name.split()
    target = next((two for one, two in pairwise(words) if one in ("-j", "-g")), "")
    return _ENDS.get(target, f"goes on in {target}" if target else "is counted, and goes on")


def put_back(before: list[str], after: list[str], now: list[str]) -> list[str]:
    """Give a chain as it is now with the rules that came between before and after in their place.

    That is behind the last one that stood above it and still is there.
    """
    steps = _aligned(after, now)
    there = {at: start + at - first for word, first, last, start, _ in steps if word == "equal"
             for at in range(first, last)}  # fmt: skip
    wanted = [(there_at, words) for there_at, words in enumerate(now)]
    for at in (one for one in added(before, after) if one not in there):
        above = max((there[other] for other in there if other < at), default=-1)
        place = sum(stands <= above for stands, _ in wanted)
        wanted.insert(place, (above, after[at]))
    return [words for _, words in wanted]


def merged(before: list[str], wanted: list[str], now: list[str]) -> list[str]:
    """Give a chain as it was wanted when it was as before, with what others did to it since."""
    if now == before:
        return wanted
    was, is_wanted, there = Counter(before), Counter(wanted), Counter(now)
    # Others have deleted what else is missing, and added what else is too much.
    gone = (was - is_wanted) & (there - is_wanted)
    made = (is_wanted - was) & (is_wanted - there)
    found = []
    for _, first, last, start, end in _aligned(wanted, now):
        if wanted[first:last] == now[start:end]:
            found += now[start:end]
            continue
        for words in wanted[first:last]:
            found += [words] if made[words] > 0 else []
            made[words] -= 1
        for words in now[start:end]:
            found += [words] if gone[words] <= 0 else []
            gone[words] -= 1
    return found
