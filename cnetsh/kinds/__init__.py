"""All that is known of each kind of kernel object, one file a kind; together the allow-list.

A kind has: `write`, the commands that do a change; `see`, what is there; SAMPLES, commands for the
battery; of what plans may do, TOOLS, what its commands begin with, and `read`, what a command does;
and, where a value can be turned without knowing what it was, `inverse`. EXPLAINED says what such an
object is, and `explain`, where it has one, what one of them means: nobody else has sentences about
it.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from cnetsh.kinds import (
    address,
    fdb,
    link,
    link_words,
    looks,
    name_server,
    neighbour,
    netns,
    policy,
    queue,
    route,
    rule,
    setting,
)
from cnetsh.kinds.change import (
    MARKED,
    NOTHING,
    PLACE,
    Answers,
    Change,
    Changes,
    Command,
    Fact,
    Facts,
    Found,
    Make,
    Reach,
    Ref,
    Remove,
    Seen,
    Set,
    State,
    Words,
    unquoted,
)


class Allowed(Protocol):
    """What a module of this room offers whose commands a plan may have."""

    @property
    def TOOLS(self) -> tuple[str, ...]: ...
    @property
    def SAMPLES(self) -> tuple[str, ...]: ...
    def read(self, command: Command) -> Changes | None: ...


class Kind(Protocol):
    """What a module of this room offers that knows objects."""

    @property
    def SAMPLES(self) -> tuple[str, ...]: ...
    def write(self, change: Change, typed: Command | None = None) -> tuple[str, ...]: ...
    def see(self, answers: Answers, netns: str) -> Seen: ...
    @property
    def EXPLAINED(self) -> str: ...


# By the kind of the objects: of folders that is name_server, of a chain rule.
ALL: dict[str, Kind] = {
    "netns": netns,
    "link": link,
    "address": address,
    "route": route,
    "neighbour": neighbour,
    "queue": queue,
    "fdb": fdb,
    "group": fdb,
    "vlan": fdb,
    "policy": policy,
    "chain": rule,
    "rule": rule,
    "table": rule,
    "setting": setting,
    "home": name_server,
    "folder": name_server,
    "file": name_server,
    "name_server": name_server,
}
MODULES = tuple(dict.fromkeys(ALL.values()))
# In the order in which they are asked.
READERS: tuple[Allowed, ...] = (
    netns, link, address, route, neighbour, queue, rule, setting, name_server, looks,
)  # fmt: skip
# Options of ip that only change how it prints, or which version of IP is meant.
_OPTIONS = {"-4", "-6", "-j", "-d", "-br", "-s", "-o", "-p", "-json", "-details", "-brief"}


def _readers(prefix: str) -> dict[str, tuple[Allowed, ...]]:
    found: dict[str, tuple[Allowed, ...]] = {}
    for kind in READERS:
        for tool in kind.TOOLS:
            if tool.startswith(prefix):
                word = tool.removeprefix(prefix)
                found[word] = (*found.get(word, ()), kind)
    return found


_TOOLS, _OBJECTS = _readers(""), _readers("ip ")


def command_of(words: Words, netns: str = "", given: str = "") -> Command:
    """Give a command's parts: of ip without options and object, of others without the tool."""
    at = 1
    if words and words[0] == "ip":
        while at < len(words) and words[at] in _OPTIONS:
            at += 1
        at += 1
    return Command(netns, words, words[at:], given)


def read(command: Command) -> Changes | None:
    """Give what a command changes; () for one that looks, None for one that is not allowed."""
    netns, words, rest, _ = command
    # A path would be read as a namespace that no other command can name.
    if not words or "/" in netns:
        return None
    if words[0] == "ip":
        readers = _OBJECTS.get(words[len(words) - len(rest) - 1], ())
    else:
        readers = _TOOLS.get(words[0], ())
    for kind in readers:
        changes = kind.read(command)
        if changes is not None:
            return changes
    return None


def spelled(command: Command) -> str:
    """Give the accepted spelling of what a command means, "" where no kind knows one."""
    return setting.spelled(command) or looks.spelled(command) or link_words.spelled(command)


def known_words() -> frozenset[str]:
    """Give the words that commands are made of, names and numbers left out."""
    samples = (word for kind in READERS for text in kind.SAMPLES for word in text.split())
    words = {word for word in samples if word.strip("-").isalpha() and len(word) > 1}
    return frozenset(words | _OBJECTS.keys())


def write(change: Change, typed: Command | None = None) -> tuple[str, ...]:
    """Give the commands that do a change, in the words typed where there are some."""
    return ALL[change.ref.kind].write(change, typed)


def inverse(change: Change) -> Change | None:
    """Give what undoes a change of which nobody noted what was before, None where nothing does.

    What was made is removed; a value can be turned where it has an opposite.
    """
    if isinstance(change, Make):
        return Remove(change.ref, change.facts)
    kind = ALL[change.ref.kind]
    return kind.inverse(change) if isinstance(change, Set) and hasattr(kind, "inverse") else None


# What ip prints only on demand, for it is nearly always so.
_PLAIN = frozenset({"main", "unicast", "global", "boot", "medium"})


def _said(facts: Facts, left_out: tuple[str, ...] = ()) -> str:
    """Give facts as ip prints them."""
    kept = {key: value for key, value in facts.items() if key not in (*left_out, *PLACE)}
    words = [value if key in ("kind", "said") else f"{key} {value}"
             for key, value in kept.items() if not isinstance(value, list | dict)
             and value not in _PLAIN]  # fmt: skip
    return "".join(f" {word}" for word in words if word)


def called(ref: Ref, facts: Facts = NOTHING) -> str:
    """Give an object's name in words, with what tells it from others of the same name."""
    match ref.kind:
        case "netns":
            return f"namespace {ref.name}"
        case "address":
            return f"address {ref.name} on {facts['dev']}"
        case "neighbour" | "fdb" | "group" | "vlan" | "queue" if "dev" in facts:
            name = "" if ref.kind == "queue" else f" {ref.name}"
            return f"{ref.kind}{name}{_said(facts, ('dev',))} on {facts['dev']}"
        case "policy":
            return f"ip rule {ref.name}"
        case "route":
            return f"route {ref.name}{_said(facts)}"
        case "rule":
            tool, table, words = ref.name.split(" ", 2)
            return f"{tool} {table}: -A {unquoted(words)}"
    return f"{ref.kind} {ref.name}"


def explain(ref: Ref, facts: Facts) -> str:
    """Say in some words what an object means as it stands; nothing where its name says all."""
    kind = _known(ref.kind)
    return kind.explain(ref, facts) if hasattr(kind, "explain") else ""


def explained(kind: str) -> str:
    """Say what the objects of a kind are; sockets too, which no command of a plan changes."""
    said: str = _known(kind).EXPLAINED
    return said


def _known(kind: str) -> Any:
    return looks if kind == "socket" else ALL[kind]


def see(answers: Answers, netns: str = "") -> State:
    """Give what is there in one namespace, by what it answered."""
    state: State = {}
    for kind in MODULES:
        for ref, facts in kind.see(answers, netns):
            state.setdefault(ref, []).append(facts)
    return state


def facts_of(state: State) -> Found:
    """Give a state fact by fact: each value, each object, and of each chain the rules in order."""
    found: Found = {}
    rules: dict[Ref, list[tuple[int, str]]] = {}
    for ref, several in state.items():
        if ref.kind in MARKED:
            found |= {Fact(ref, "" if key == "mark" else key): several[0][key]
                      for key in several[0] if key not in _UNCOMPARED}  # fmt: skip
        elif ref.kind == "rule":
            for facts in several:
                words = ref.name.split(" ", 3)[3]
                rules.setdefault(facts["on"], []).append((facts["at"], words))
        elif ref.kind == "chain":
            kept = several[0].get("policy", "own")
            found |= {Fact(ref, "policy"): kept} if kept != "ACCEPT" else {}
        elif ref.kind == "setting":
            found[Fact(ref, "value")] = several[0]["value"]
        elif ref.kind != "name_server":
            found |= _told_apart(ref, several)
    return found | {Fact(ref, "rules"): [words for _, words in sorted(some)]
                    for ref, some in rules.items()}  # fmt: skip


# A carrier comes and goes with the other end, and with it the state of a port.
_UNCOMPARED = PLACE | {"ifindex", "carrier", "state", "vlan_filtering", "stp_state"}


def _told_apart(ref: Ref, several: list[Facts]) -> Found:
    """Give the facts of objects of one name, each by what its kind tells it from the others by."""
    found: Found = {}
    identity = getattr(ALL[ref.kind], "IDENTITY", ("dev",))
    if ref.kind == "route":
        several = [part for facts in several for part in route.by_hop(ref, facts)]
    for facts in several:
        key = " ".join(str(facts[key]) for key in identity if key in facts)
        while Fact(ref, key) in found:
            key += "+"
        kept = facts.keys() - {"on", "at", "unusable"}
        found[Fact(ref, key)] = {key: facts[key] for key in facts if key in kept}
    return found


def places(fact: Fact, value: Any) -> Iterator[Reach]:
    """Give what takes a fact along when it changes."""
    kind = ALL[fact.ref.kind]
    return kind.places(fact, value) if hasattr(kind, "places") else iter(())


def reach(change: Change, before: State) -> Iterator[Reach]:
    """Give what a change takes along, besides what it names."""
    kind = ALL[change.ref.kind]
    return kind.reach(change, before) if hasattr(kind, "reach") else iter(())


def derived(fact: Fact, found: Found) -> bool:
    """Say whether a fact follows from others by itself, and is never set by hand."""
    kind = ALL[fact.ref.kind]
    return hasattr(kind, "derived") and kind.derived(fact, found)


def holder(fact: Fact, value: Any) -> Ref | None:
    """Give what a fact goes with, beside its own object."""
    ref = fact.ref
    match ref.kind:
        case "setting":
            return setting.link_of(ref)
        case "file":
            return Ref("folder", "", ref.name.rpartition("/")[0])
    dev = value.get("dev") if isinstance(value, dict) else None
    return Ref("link", ref.netns, dev) if dev else None


def link_of(fact: Fact, value: Any) -> Ref | None:
    """Give the link that a fact is of, or goes with."""
    home = fact.ref if fact.ref.kind == "link" else holder(fact, value)
    return home if home and home.kind == "link" else None


def turned(fact: Fact, now: Any, wanted: Any) -> list[Change]:
    """Give the changes that make a fact, which is so now, as it is wanted; None: it is not there.

    Nothing where no command does it.
    """
    ref = fact.ref
    if fact.key == "rules":
        return list(rule.realigned(ref, now or [], wanted or []))
    if (ref.kind in MARKED and fact.key) or ref.kind == "setting":
        cleared = fact.key in ("master", "alias")
        return [Set(ref, fact.key, wanted)] if wanted is not None or cleared else []
    if ref.kind in MARKED or ref.kind in ("chain", "policy"):
        gone = wanted is None and ref.kind == "home"
        return [Remove(ref)] if gone else []
    if wanted is None:
        return [Remove(ref, now)]
    if ref.kind == "route" and not route.can_be(now, wanted):
        return []
    return [Make(ref, wanted if now is None else {**wanted, "was": now})]


def renamed(state: State, names: Mapping[Ref, str]) -> State:
    """Give a state with links and namespaces under other names, all that speaks of them too."""
    return {
        renamed_ref(ref, names): [renamed_facts(ref, facts, names) for facts in several]
        for ref, several in state.items()
    }


def renamed_change(change: Change, names: Mapping[Ref, str]) -> Change:
    """Give a change of the same objects under other names."""
    ref = change.ref
    if isinstance(change, Make):
        also = tuple(renamed_ref(one, names) for one in change.also)
        on = renamed_ref(change.on, names) if change.on else None
        return Make(renamed_ref(ref, names), renamed_facts(ref, change.facts, names), also, on)
    if isinstance(change, Remove):
        return Remove(renamed_ref(ref, names), renamed_facts(ref, change.facts, names))
    if isinstance(change, Set) and change.key == "master" and change.value:
        change = change._replace(value=_named(Ref("link", ref.netns, change.value), names))
    return change._replace(ref=renamed_ref(ref, names))


def renamed_ref(ref: Ref, names: Mapping[Ref, str]) -> Ref:
    """Give an object's place under other names."""
    name, link = names.get(ref, ref.name), None
    if ref.kind == "queue":
        name = _named(Ref("link", ref.netns, ref.name), names)
    elif ref.kind == "rule":
        name = rule.renamed_rule(ref, names)
    elif ref.kind == "setting" and (link := setting.link_of(ref)):
        name = ref.name.replace(f"/{link.name}/", f"/{_named(link, names)}/")
    home = Ref("netns", "", ref.netns)
    return Ref(ref.kind, names.get(home, ref.netns), name)


def _named(link: Ref, names: Mapping[Ref, str]) -> str:
    return names.get(link, link.name)


def renamed_facts(ref: Ref, facts: Facts, names: Mapping[Ref, str]) -> Facts:
    """Give facts of an object with the links that they speak of under other names."""
    told = dict(facts)
    for key, value in facts.items():
        if key in ("dev", "master", "below") and value:
            told[key] = _named(Ref("link", ref.netns, value), names)
        elif isinstance(value, Ref):
            told[key] = renamed_ref(value, names)
        elif key == "label" and told["dev"] != facts["dev"]:
            told[key] = value.replace(f"{facts['dev']}:", f"{told['dev']}:", 1)
        elif key == "next":
            told[key] = [renamed_facts(ref, hop, names) for hop in value]
    return told
