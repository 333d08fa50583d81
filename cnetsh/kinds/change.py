"""What a command does to one object of the kernel, and what is there. No kind is known here.

Four verbs say all that a command can do: make, set, remove, move. Two kinds of truth are of one
type, a State: what changes leave behind (`after`), and what the kernel has (`see` of each kind).
"""

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

Words: TypeAlias = tuple[str, ...]
Facts: TypeAlias = Mapping[str, Any]
NOTHING: Mapping[Any, Any] = MappingProxyType({})


class Ref(NamedTuple):
    """One object: its kind, its namespace ("" = the target's own), the kernel's name for it."""

    kind: str
    netns: str
    name: str


class Make(NamedTuple):
    """An object that exists only because of the command."""

    ref: Ref
    facts: Facts  # what was typed of it
    also: tuple[Ref, ...] = ()  # a cable's other end
    on: Ref | None = None  # what takes it along when it goes


class Set(NamedTuple):
    """One value of an object; on: what takes the value along when it goes, beside the object."""

    ref: Ref
    key: str
    value: Any
    on: Ref | None = None


class Remove(NamedTuple):
    """An object that is taken away; facts tell it from others of its name."""

    ref: Ref
    facts: Facts = NOTHING


class Move(NamedTuple):
    """An object that goes to another namespace, where it has lost its state."""

    ref: Ref
    to: Ref


Change: TypeAlias = Make | Set | Remove | Move
Changes: TypeAlias = tuple[Change, ...]
# Several may have one name: two equal rules, a route with two metrics.
State: TypeAlias = dict[Ref, list[Facts]]
# What takes others along when it goes.
OWNED = frozenset({"link", "netns", "folder", "chain"})
# Of these the kernel gives something that tells an object from a later one of the same name.
MARKED = frozenset({"link", "netns", "home", "folder", "file"})
# Where an object hangs and stands, and how it was typed: not what it is.
PLACE = frozenset({
    "peer", "far", "on", "above", "beside", "at", "typed", "first", "nodad", "left", "names",
    "unusable",
})  # fmt: skip


class Fact(NamedTuple):
    """One thing that can be so or otherwise: a value of an object, or that the object is there."""

    ref: Ref
    key: str = ""  # the value's name; of what has no name, what tells it from others


# What is so, by fact; what is not there has none. And what became of it: before and after.
Found: TypeAlias = dict[Fact, Any]
Patch: TypeAlias = dict[Fact, tuple[Any, Any]]
# Facts of one kind that hang together: those of a link, a family of settings.
Reach: TypeAlias = tuple[str, str, str]


class Command(NamedTuple):
    """One command as it is seen inside its namespace."""

    netns: str
    words: Words
    rest: Words  # after the tool and its object: what the kind reads
    given: str = ""  # what a pipe brings


class Answers(NamedTuple):
    """What one namespace answered when it was asked, before any kind has looked at it.

    The first four of `ip -j -d`, entries of `bridge -j fdb`, queues as tc prints them.
    """

    addresses: Sequence[Facts] = ()
    routes: Sequence[Facts] = ()
    neighbours: Sequence[Facts] = ()
    policy: Sequence[Facts] = ()
    entries: Sequence[Facts] = ()
    queues: str = ""
    saved: Mapping[str, str | None] = NOTHING  # of each tool's -save, None if it could not
    settings: Mapping[str, str] = NOTHING  # value by path
    namespaces: Mapping[str, int] = NOTHING  # mark by name
    folders: Mapping[str, Any] = NOTHING  # mark by path of what is in /etc/netns
    files: Mapping[str, Any] = NOTHING  # the same
    texts: Mapping[str, str] = NOTHING  # what is in the files
    ids: Mapping[int, str] = NOTHING  # names of namespaces by the numbers that this one knows
    marks: Mapping[str, int] = NOTHING  # of links, which none gets twice
    assigned: Mapping[str, str] = NOTHING  # how links got their MAC


Seen: TypeAlias = Iterator[tuple[Ref, Facts]]


def six_on(netns: str, link: str) -> Iterator[Reach]:
    """Give what takes a fact of IPv6 on a link along: IPv6's end there, and everywhere."""
    yield "six", netns, link
    yield "six", netns, ""


def typed_in(netns: str, *words: str) -> str:
    """Give the command of these words for a namespace, as it is typed in the target's own."""
    return placed(netns, unquoted(shlex.join(words)))


def unquoted(words: str) -> str:
    """Give words as one types them: in a script a lone exclamation mark needs no quotes."""
    return words.replace("'!'", "!")


def placed(netns: str, text: str) -> str:
    """Give a command as it is typed in the target's own namespace."""
    if not netns:
        return text
    # One without a name is known by its path.
    enter = f"nsenter --net={netns}" if netns.startswith("/") else f"ip netns exec {netns}"
    # The shell outside echoes; what writes runs inside, where the setting is another one.
    if text.startswith("echo "):
        return text.replace("| ", f"| {enter} ")
    return f"{enter} {text}"


def namespace_ref(name: str) -> Ref:
    """Give the object that a named namespace is."""
    return Ref("netns", "", name)


def refs_of(change: Change) -> tuple[Ref, ...]:
    """Give the objects that a change names as its own, at the place where they are before it."""
    return (change.ref, *change.also) if isinstance(change, Make) else (change.ref,)


def values_of(ref: Ref, key: str, state: State) -> list[Any]:
    """Give a value of a link, which may be known from before and from now."""
    return [facts[key] for facts in state.get(ref, ()) if facts.get(key)]


def holders(change: Change) -> Iterator[Ref]:
    """Give what takes a change along when it goes: namespaces first, then what it hangs on."""
    # Both ends of a cable: whichever goes takes the other along.
    for ref in refs_of(change):
        if ref.netns:
            yield namespace_ref(ref.netns)
    if isinstance(change, Make | Set) and change.on:
        yield change.on
    if not isinstance(change, Make):
        yield change.ref


def matches(typed: Facts, found: Facts) -> bool:
    """Say whether what was found is what was typed: the kernel adds facts of its own."""
    return all(key in PLACE or found.get(key) == value for key, value in typed.items())


def after(changes: Iterable[Change]) -> State:
    """Give what changes leave behind: what was asked, not what the kernel adds by itself."""
    folded = _Folded()
    for change in changes:
        folded.take(change)
    return folded.state


class _Folded:
    """A state that grows; held: what goes along with each object, so that no step looks at all."""

    def __init__(self) -> None:
        self.state: State = {}
        self.held: dict[Ref, dict[Ref, None]] = {}

    def take(self, change: Change) -> None:
        match change:
            case Make(ref, facts, also, on):
                self._make(ref, facts, also, on)
            case Set(ref, key, value, on):
                self._hold(ref, on)
                known = self.state.setdefault(ref, [{}])
                known[0] = {**known[0], key: value}
            case Move(ref, to):
                self._move(ref, to)
            case Remove(ref, facts):
                self._remove(ref, facts)

    def _make(self, ref: Ref, facts: Facts, also: tuple[Ref, ...], on: Ref | None) -> None:
        place: dict[str, Any] = {"on": on} if on else {}
        if also:
            place["peer"] = also[0]
        # A list, for iptables takes a rule twice, and routes may differ by their metric alone.
        self.state.setdefault(ref, []).append({**facts, **place})
        self._hold(ref, on)
        for other in also:
            self.state[other] = [{"kind": facts["kind"], "peer": ref}]
            self._hold(other, None)

    def _hold(self, ref: Ref, on: Ref | None) -> None:
        for holder in (namespace_ref(ref.netns) if ref.netns else None, on):
            if holder:
                self.held.setdefault(holder, {})[ref] = None

    def _move(self, ref: Ref, to: Ref) -> None:
        """A link that goes elsewhere keeps what it is, and loses addresses, master and being up."""
        facts = (self.state.pop(ref, None) or [{}])[0]
        # Kernel: dev_change_net_namespace closes the link, which takes addresses and master away.
        kept = ("kind", "peer", "address", "mtu")
        self.state[to] = [{key: facts[key] for key in kept if key in facts}]
        self._hold(to, None)
        if (peer := facts.get("peer")) in self.state:
            self.state[peer] = [{**self.state[peer][0], "peer": to}]
        self._lose(ref)

    def _remove(self, ref: Ref, facts: Facts) -> None:
        """Of equal ones, as two equal rules, one command takes one."""
        there = self.state.get(ref, [])
        found = next((one for one in there if matches(facts, one)), None)
        if left := [one for one in there if one is not found]:
            self.state[ref] = left
        else:
            self._drop(ref)

    def _drop(self, ref: Ref) -> None:
        """Take an object away with all that it takes along, of a cable the other end too."""
        gone = self.state.pop(ref, [])
        self._lose(ref)
        for peer in [one["peer"] for one in gone if one.get("peer") in self.state]:
            self._drop(peer)

    def _lose(self, holder: Ref) -> None:
        for ref in self.held.pop(holder, ()):
            if ref in self.state:
                self._drop(ref)
