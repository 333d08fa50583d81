"""YAML text as nodes that know their place: every scalar stays the text that was written."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import yaml

from cnetsh.errors import CnetshError
from cnetsh.names import visible

LARGEST = 1 << 20
DEEPEST = 20

# libyaml reads a large file about ten times faster; both give the same events.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# The stubs of PyYAML know neither the events of libyaml nor that their marks are always there.
_Event: TypeAlias = Any


class Node(NamedTuple):
    """A scalar, list or mapping, with where it stands (from 1) and where its key stands."""

    value: "str | list[Node] | dict[str, Node]"
    origin: str
    line: int
    column: int
    key: tuple[int, int]


def place(node: Node, path: str = "", *, at_key: bool = False) -> str:
    """Give `lab.yaml:7:12: bridges.br0.address`, the beginning of every message about a node."""
    line, column = node.key if at_key else (node.line, node.column)
    where = f"{visible(node.origin)}:{line}:{column}" if line else node.origin
    return f"{where}: {shortened(path)}" if path else where


def shortened(text: str) -> str:
    """Give text that a message can hold: one line, ASCII, at most 80 characters."""
    shown = visible(text)
    return shown if len(shown) <= 80 else f"{shown[:77]}..."


def read(path: Path) -> Node:
    """Give the file's one document. Raise CnetshError for a file that is none, or too clever."""
    origin, shown = str(path), visible(str(path))
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        raise CnetshError(f"{shown}: {(error.strerror or str(error)).lower()}") from None
    if len(data) > LARGEST:
        raise CnetshError(f"{shown}: larger than 1 MiB, the most a lab file may have")
    return parse(_decoded(data, origin), origin)


def parse(text: str, origin: str) -> Node:
    """Give the text's one document as a node; `origin` is the name that messages use."""
    events: Iterator[_Event] = yaml.parse(text, Loader=_LOADER)
    try:
        return _document(events, origin)
    except yaml.MarkedYAMLError as error:
        raise CnetshError(f"{_where(error.problem_mark, origin)}: {_problem(error)}") from None
    except yaml.YAMLError as error:
        raise CnetshError(f"{visible(origin)}: {_reader_problem(error)}") from None


def _decoded(data: bytes, origin: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - (data.rfind(b"\n", 0, error.start) + 1) + 1
        raise CnetshError(f"{visible(origin)}:{line}:{column}: not UTF-8 text") from None


def _where(mark: Any, origin: str) -> str:
    shown = visible(origin)
    return f"{shown}:{mark.line + 1}:{mark.column + 1}" if mark else shown


def _problem(error: yaml.MarkedYAMLError) -> str:
    said = [part for part in (error.context, error.problem) if part]
    return "not YAML: " + ", ".join(" ".join(part.split()) for part in said)


def _reader_problem(error: yaml.YAMLError) -> str:
    character = getattr(error, "character", None)
    shown = f"the character {character!a}" if character is not None else "a character"
    return f"not YAML: {shown} may not stand in it"


def _document(events: Iterator[_Event], origin: str) -> Node:
    root: Node | None = None
    for event in events:
        if isinstance(event, yaml.DocumentStartEvent):
            if root is not None:
                raise _refusal(event, origin, "a second document, expected one lab a file")
            root = _node(events, next(events), origin, 1, (0, 0))
    if root is None:
        raise CnetshError(
            f"{visible(origin)}:1:1: empty, expected a lab", "`cnetsh new NAME` writes one"
        )
    return root


def _node(
    events: Iterator[_Event], event: _Event, origin: str, depth: int, key: tuple[int, int]
) -> Node:
    _plain(event, origin)
    mark = event.start_mark
    value: str | list[Node] | dict[str, Node]
    if isinstance(event, yaml.ScalarEvent):
        value = event.value
    elif depth > DEEPEST:
        raise _refusal(event, origin, f"nested deeper than {DEEPEST} levels")
    elif isinstance(event, yaml.SequenceStartEvent):
        value = _items(events, origin, depth)
    else:
        value = _entries(events, origin, depth)
    return Node(value, origin, mark.line + 1, mark.column + 1, key)


def _items(events: Iterator[_Event], origin: str, depth: int) -> list[Node]:
    items: list[Node] = []
    while not isinstance(event := next(events), yaml.SequenceEndEvent):
        items.append(_node(events, event, origin, depth + 1, (0, 0)))
    return items


def _entries(events: Iterator[_Event], origin: str, depth: int) -> dict[str, Node]:
    entries: dict[str, Node] = {}
    while not isinstance(event := next(events), yaml.MappingEndEvent):
        _plain(event, origin)
        mark = event.start_mark
        if not isinstance(event, yaml.ScalarEvent):
            raise _refusal(event, origin, "a list or mapping as a key, expected a name")
        key = event.value
        if key in entries:
            first = entries[key].key
            raise _refusal(
                event, origin, f"{shortened(key)!r} twice, the first is on line {first[0]}"
            )
        at = (mark.line + 1, mark.column + 1)
        entries[key] = _node(events, next(events), origin, depth + 1, at)
    return entries


def _plain(event: _Event, origin: str) -> None:
    if type(event) is yaml.AliasEvent:
        raise _refusal(
            event, origin, f"an alias (*{shortened(str(event.anchor))}), write the value out"
        )
    # Anchors can make 300 bytes into gigabytes, tags can name types: a lab file needs neither.
    if getattr(event, "anchor", None):
        raise _refusal(
            event, origin, f"an anchor (&{shortened(event.anchor)}), write the value out"
        )
    if getattr(event, "tag", None):
        raise _refusal(event, origin, f"a tag ({shortened(event.tag)}), write the value alone")


def _refusal(event: _Event, origin: str, what: str) -> CnetshError:
    return CnetshError(f"{_where(event.start_mark, origin)}: {what}")
