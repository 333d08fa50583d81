"""YAML text as nodes that know their place: every scalar stays the text that was written."""

import re
from codecs import BOM_UTF8
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

from cnetsh.errors import CnetshError
from cnetsh.names import visible
from cnetsh.system.files import read_inside

_LARGEST = 1 << 20
DEEPEST = 20
# YAML forbids tabs in front of a key, and libyaml's messages do not say the word.
_TAB = re.compile("^ *\t", re.MULTILINE)
# Without a space a key is text, and what comes below it is refused in words of YAML's own.
_TIGHT = re.compile(r"^[ -]*([a-z]+):([^\s:/].*)$", re.MULTILINE)

# libyaml composes a large file about ten times faster; both give the same nodes.
if TYPE_CHECKING:
    from yaml import SafeLoader as Loader
else:
    Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Key(NamedTuple):
    """The key that a value stands under, and where; a list's items have none."""

    text: str = ""
    line: int = 0
    column: int = 0


_NO_KEY = Key()


class Node(NamedTuple):
    """A scalar, list or mapping, with where it stands (from 1) and its key."""

    value: "str | list[Node] | dict[str, Node]"
    origin: str
    line: int = 0
    column: int = 0
    key: Key = _NO_KEY
    quoted: bool = False  # whether it is text in quotation marks, whatever it says


def place_of(node: Node, path: str = "", *, at_key: bool = False) -> str:
    """Give `lab.yaml:7:12: bridges.br0.address`, the beginning of every message about a node."""
    line, column = node.key[1:] if at_key else (node.line, node.column)
    where = f"{visible(node.origin)}:{line}:{column}" if line else node.origin
    return f"{where}: {shortened(path)}" if path else where


def shortened(text: str) -> str:
    """Give text that a message can hold: one line, ASCII, at most 80 characters."""
    shown = visible(text)
    return shown if len(shown) <= 80 else f"{shown[:77]}..."


def compose_file(path: Path) -> Node:
    """Give the file's one document. Raise CnetshError for a file that is none, or too clever."""
    try:
        with path.open("rb") as file:
            return _composed(file.read(_LARGEST + 1), path)
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise CnetshError(f"{visible(str(path))}: {why}") from None


def compose_inside(folder: Path, name: str) -> Node:
    """Give the one document of a file in somebody's folder, and of no file outside it."""
    data = read_inside(folder, name, _LARGEST + 1)
    if data is None:
        raise CnetshError(f"{visible(str(folder))}: no {name} in this folder")
    return _composed(data, folder / name)


def _composed(data: bytes, path: Path) -> Node:
    origin = str(path)
    if len(data) > _LARGEST:
        raise CnetshError(f"{visible(origin)}: larger than 1 MiB, the most a lab file may have")
    return compose_document(_decoded(data, origin), origin)


def compose_document(text: str, origin: str) -> Node:
    """Give the text's one document as a node; `origin` is the name that messages use."""
    shown = visible(origin)
    try:
        # Before it is composed: the nodes show neither anchors nor which tags were written.
        _refuse_clever(text)
        root = yaml.compose(text, Loader=_Shallow)
        if root is None:
            hint = "`cnetsh new NAME` writes one"
            raise CnetshError(f"{shown}:1:1: empty, expected a lab", hint)
        return _node(root, origin)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"{shown}:{mark.line + 1}:{mark.column + 1}" if mark else shown
        raise CnetshError(f"{where}: {_problem(error)}", _hint(error, text)) from None
    except yaml.YAMLError as error:
        letter = getattr(error, "character", None)
        what = "a character" if letter is None else f"the character {letter!a}"
        raise CnetshError(f"{shown}: not YAML: {what} may not stand in it") from None


def _hint(error: yaml.MarkedYAMLError, text: str) -> str:
    """Say what often keeps a text from being YAML."""
    if _TAB.search(text):
        return "indent with spaces: YAML takes no tabs there"
    mark = error.problem_mark
    if mark and "mapping values" in str(error.problem):
        lines = [line for line in text.split("\n")[: mark.line + 1] if line.strip()]
        # Where a key with its space is before it in its own line, that above is whole.
        near = lines[-1:] if ": " in lines[-1][: mark.column] else lines[-2:]
        if tight := _TIGHT.search("\n".join(near)):
            return f"a space is missing: {shortened(f'{tight[1]}: {tight[2]}')}"
    return ""


class _Refusal(yaml.MarkedYAMLError):
    """What is YAML, and yet no lab file."""


class _Shallow(Loader):
    """Goes down only so far: libyaml recurses on the C stack, which a megabyte of `[` overflows."""

    _depth = 0

    def descend_resolver(self, parent: Any, index: Any) -> None:
        self._depth += 1
        if self._depth > DEEPEST + 1:
            raise _refusal(f"nested deeper than {DEEPEST} levels", parent)

    def ascend_resolver(self) -> None:
        self._depth -= 1


def _refuse_clever(text: str) -> None:
    """Anchors can make 300 bytes into gigabytes, tags can name types: a lab needs neither."""
    if not any(sign in text for sign in "&*!"):
        return
    for event in yaml.parse(text, Loader=Loader):
        anchor, tag = getattr(event, "anchor", None), getattr(event, "tag", None)
        if isinstance(event, yaml.AliasEvent):
            raise _refusal(f"an alias (*{shortened(str(anchor))}), write the value out", event)
        if anchor:
            raise _refusal(f"an anchor (&{shortened(anchor)}), write the value out", event)
        if tag:
            raise _refusal(f"a tag ({shortened(tag)}), write the value alone", event)


def _refusal(what: str, at: Any) -> _Refusal:
    return _Refusal(problem=what, problem_mark=at.start_mark)


def _node(found: yaml.Node, origin: str, key: Key = _NO_KEY) -> Node:
    value: Any = found.value
    if isinstance(found, yaml.MappingNode):
        value = _entries(found, origin)
    elif isinstance(found, yaml.SequenceNode):
        value = [_node(item, origin) for item in found.value]
    quoted = isinstance(found, yaml.ScalarNode) and found.style in ("'", '"')
    mark = found.start_mark
    return Node(value, origin, mark.line + 1, mark.column + 1, key, quoted)


def _entries(found: yaml.MappingNode, origin: str) -> dict[str, Node]:
    entries: dict[str, Node] = {}
    for key, value in found.value:
        if not isinstance(key, yaml.ScalarNode):
            raise _refusal("a list or mapping as a key, expected a name", key)
        if first := entries.get(key.value):
            what = f"'{shortened(key.value)}' twice, the first is on line {first.key.line}"
            raise _refusal(what, key)
        at = Key(key.value, key.start_mark.line + 1, key.start_mark.column + 1)
        entries[key.value] = _node(value, origin, at)
    return entries


def _decoded(data: bytes, origin: str) -> str:
    try:
        return data.removeprefix(BOM_UTF8).decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - (data.rfind(b"\n", 0, error.start) + 1) + 1
        raise CnetshError(f"{visible(origin)}:{line}:{column}: not UTF-8 text") from None


def _problem(error: yaml.MarkedYAMLError) -> str:
    if isinstance(error, _Refusal):
        return str(error.problem)
    # Nothing else is left for the composer to refuse once there are no aliases.
    if isinstance(error, yaml.composer.ComposerError):
        return "a second document, expected one lab a file"
    said = [part for part in (error.context, error.problem) if part]
    return "not YAML: " + ", ".join(" ".join(part.split()) for part in said)
