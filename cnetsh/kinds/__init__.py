"""All that is known of each kind of kernel object, one file a kind; together the allow-list.

A kind has: TOOLS, what its commands begin with; `read`, what a command does; `write`, the commands
that do a change; `see`, what is there; SAMPLES, commands for the battery; and, where a value can be
turned without knowing what it was, `inverse`.
"""

from typing import Protocol

from cnetsh.kinds import (
    address,
    link,
    looks,
    name_server,
    neighbour,
    netns,
    queue,
    route,
    rule,
    setting,
)
from cnetsh.kinds.change import (
    NOTHING,
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
    Words,
)


class Kind(Protocol):
    """What a module of this room offers."""

    @property
    def TOOLS(self) -> tuple[str, ...]: ...
    @property
    def SAMPLES(self) -> tuple[str, ...]: ...
    def read(self, command: Command) -> Changes | None: ...
    def write(self, change: Change, typed: Command | None = None) -> tuple[str, ...]: ...
    def see(self, answers: Answers, netns: str) -> Seen: ...


# By the kind of the objects: of folders that is name_server, of a chain rule.
ALL: dict[str, Kind] = {
    "netns": netns,
    "link": link,
    "address": address,
    "route": route,
    "neighbour": neighbour,
    "queue": queue,
    "chain": rule,
    "rule": rule,
    "setting": setting,
    "home": name_server,
    "folder": name_server,
    "name_server": name_server,
}
MODULES = tuple(dict.fromkeys(ALL.values()))
_INVERSES = {"link": link.inverse, "setting": setting.inverse}
# Options of ip that only change how it prints, or which version of IP is meant.
_OPTIONS = {"-4", "-6", "-j", "-d", "-br", "-s", "-o", "-p", "-json", "-details", "-brief"}


def _readers(prefix: str) -> dict[str, tuple[Kind, ...]]:
    found: dict[str, tuple[Kind, ...]] = {}
    for kind in (*MODULES, looks):
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
    _, words, rest, _ = command
    if not words:
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


def write(change: Change, typed: Command | None = None) -> tuple[str, ...]:
    """Give the commands that do a change, in the words typed where there are some."""
    return ALL[change.ref.kind].write(change, typed)


def inverse(change: Change) -> Change | None:
    """Give what undoes a change of which nobody noted what was before, None where nothing does.

    What was made is removed; a value can be turned where it has an opposite.
    """
    if isinstance(change, Make):
        return Remove(change.ref, change.facts)
    if isinstance(change, Set) and change.ref.kind in _INVERSES:
        return _INVERSES[change.ref.kind](change)
    return None


def called(ref: Ref, facts: Facts = NOTHING) -> str:
    """Give an object's name in words, with what tells it from others of the same name."""
    match ref.kind:
        case "netns":
            return f"namespace {ref.name}"
        case "address":
            return f"address {ref.name} on {facts['dev']}"
        case "route":
            said = [f"{key} {value}" for key, value in facts.items() if value != "main"]
            return " ".join(["route", ref.name, *said])
        case "rule":
            tool, table, words = ref.name.split(" ", 2)
            return f"{tool} {table}: -A {words}".replace("'!'", "!")
    return f"{ref.kind} {ref.name}"


def see(answers: Answers, netns: str = "") -> State:
    """Give what is there in one namespace, by what it answered."""
    state: State = {}
    for kind in MODULES:
        for ref, facts in kind.see(answers, netns):
            state.setdefault(ref, []).append(facts)
    return state
