"""What a field of a lab file may hold: each kind reads its node and says its JSON Schema.

`stated` gives a field of a dataclass its kind, its help and an example; such a dataclass is the one
statement of a mapping of the file, and `Mapping` reads it.
"""

import re
from collections.abc import Callable, Container
from collections.abc import Mapping as Entries
from dataclasses import dataclass, field, fields
from functools import cached_property
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias, TypeVar, dataclass_transform

import yaml

from cnetsh.errors import CnetshError, Mistakes
from cnetsh.labs.yaml import Node, place_of, shortened
from cnetsh.names import meant

Given = TypeVar("Given")
_Kind: TypeAlias = "Text | ListOf | Named | Mapping"
# What YAML reads as null: `br0:` with nothing after it is a bridge that says nothing.
_NOTHING = ("", "~", "null")


class Field(NamedTuple):
    """What the file's format says of one field; `attribute` is its name in the dataclass."""

    key: str
    attribute: str
    kind: _Kind
    help: str
    example: str
    required: bool


@dataclass_transform(frozen_default=True, kw_only_default=True)
def statement(cls: type[Given]) -> type[Given]:
    """Make a class of `stated` fields a dataclass that mypy takes for a frozen one.

    Python's own guard would cost 0.1 ms a class, what nobody uses 0.2 ms.
    """
    return dataclass(kw_only=True, eq=False, repr=False)(cls)


@statement
class Stated:
    """A mapping of the file as a value; `node` and `path` are where it stands, `name` its key."""

    node: Node
    path: str
    name: str = ""

    def place(self, key: str = "", *, at_key: bool = False) -> str:
        """Give the beginning of a message about the mapping itself, or about one of its entries."""
        if key:
            path = f"{self.path}.{key}" if self.path else key
            return place_of(_mapping(self.node)[key], path, at_key=at_key)
        return place_of(self.node, self.path, at_key=bool(self.node.key.text))

    def says(self, *keys: str) -> list[str]:
        """Give those of the keys that the file has here."""
        return [key for key in keys if key in _mapping(self.node)]

    def agree(self) -> None:
        """Raise CnetshError for fields that do not go together."""


def stated(kind: _Kind, help: str, example: str, *, key: str = "", required: bool = False) -> Any:
    """Give a field of a `Stated` dataclass; `key` is its name in the file where it has another."""
    said = (key, kind, help, example, required)
    return field(default_factory=lambda: kind.empty, metadata={"stated": said})


def unexpected(node: Node, path: str, expected: str) -> CnetshError:
    """Give the error about a node that is not what was expected."""
    kinds = {dict: "a mapping", list: "a list"}
    text = node.value if isinstance(node.value, str) else ""
    found = kinds.get(type(node.value), f"'{shortened(text)}'" if text else "nothing")
    return CnetshError(f"{place_of(node, path)}: {found}, expected {expected}")


class Text(NamedTuple):
    """Words of a pattern; `means` makes the value of the text, given its place."""

    expected: str = "text"
    pattern: str = ""
    means: Callable[[str, str], Any] = lambda text, _: text
    json: Entries[str, Any] = MappingProxyType({"type": "string"})
    empty: Any = ""

    def fits(self, text: str) -> bool:
        return bool(text) and (not self.pattern or bool(re.fullmatch(self.pattern, text)))

    def read(self, node: Node, path: str, mistakes: Mistakes) -> Any:
        """Give the value. Raises CnetshError for another text, and for what is no text."""
        if not isinstance(node.value, str) or not self.fits(node.value):
            raise unexpected(node, path, self.expected)
        # An editor that has the schema says so too.
        if node.quoted and "string" not in self.json["type"]:
            raise unexpected(node, path, f"{self.expected}, without quotation marks")
        return self.means(node.value, place_of(node, path))

    def schema(self) -> dict[str, Any]:
        """Give the JSON Schema; where it says nothing else it has the pattern."""
        # A pattern of numbers, true and false would be asked of text that JSON does not have there.
        words = "string" in self.json["type"] and "enum" not in self.json and self.pattern
        return {**self.json, **({"pattern": f"^{self.pattern}$"} if words else {})}


def choice(values: Entries[str, Any], empty: Any) -> Text:
    """Give the kind of one of a few words, each with its value."""
    json = {"type": "boolean"} if "true" in values else {"type": "string", "enum": list(values)}
    pattern = "|".join(map(re.escape, values))
    return Text(" or ".join(values), pattern, lambda text, _: values[text], json, empty)


def number(low: int, high: int) -> Text:
    """Give the kind of a whole number; 0 where none is said."""
    expected = f"a number from {low} to {high}"

    def means(text: str, where: str) -> int:
        if not low <= int(text) <= high:
            raise CnetshError(f"{where}: {text}, expected {expected}")
        return int(text)

    json = {"type": "integer", "minimum": low, "maximum": high}
    return Text(expected, "[0-9]{1,9}", means, json, 0)


class ListOf(NamedTuple):
    """A list, as a tuple; with `alone` a single one may stand without its brackets."""

    one: _Kind
    alone: bool = False
    empty: tuple[Any, ...] = ()

    @property
    def expected(self) -> str:
        return f"{self.one.expected}, or a list of them" if self.alone else "a list"

    def read(self, node: Node, path: str, mistakes: Mistakes) -> tuple[Any, ...]:
        if self.alone and isinstance(node.value, str) and node.value:
            return (self.one.read(node, path, mistakes),)
        if not isinstance(node.value, list):
            raise unexpected(node, path, self.expected)
        found = []
        for number, item in enumerate(node.value):
            with mistakes:
                found.append(self.one.read(item, f"{path}[{number}]", mistakes))
        return tuple(found)

    def schema(self) -> dict[str, Any]:
        of = self.one.schema()
        return {"type": [of["type"], "array"] if self.alone else "array", "items": of}


class Named(NamedTuple):
    """Values by name; `key` says which names there may be, `wants` what another value is to be."""

    one: _Kind
    key: Text
    expected: str = "a mapping"
    wants: Callable[[str, Any], str] = lambda name, value: ""
    empty: Entries[str, Any] = MappingProxyType({})

    def read(self, node: Node, path: str, mistakes: Mistakes) -> dict[str, Any]:
        if not isinstance(node.value, dict):
            raise unexpected(node, path, self.expected)
        found = {}
        for name, entry in node.value.items():
            with mistakes:
                self._check(entry, f"{path}.{name}")
            with mistakes:
                found[name] = self.one.read(entry, f"{path}.{name}", mistakes)
                if expected := self.wants(name, found[name]):
                    raise unexpected(entry, f"{path}.{name}", expected)
        return found

    def _check(self, entry: Node, path: str) -> None:
        where = place_of(entry, path, at_key=True)
        if self.key.pattern and not self.key.fits(entry.key.text):
            raise CnetshError(f"{where}: expected {self.key.expected}")
        self.key.means(entry.key.text, where)

    def schema(self) -> dict[str, Any]:
        names = {"propertyNames": self.key.schema()} if self.key.pattern else {}
        return {"type": "object", **names, "additionalProperties": self.one.schema()}


@dataclass(frozen=True, eq=False, repr=False)
class Mapping:
    """The fields of a dataclass; with `optional` the file may say nothing after the key."""

    model: type[Stated]
    optional: bool = False
    expected = "a mapping"
    empty = None

    @cached_property
    def fields(self) -> dict[str, Field]:
        """The fields of the mapping by their keys."""
        found = {}
        for each in fields(self.model):
            if "stated" in each.metadata:
                key, *said = each.metadata["stated"]
                found[key or each.name] = Field(key or each.name, each.name, *said)
        return found

    def read(self, node: Node, path: str, mistakes: Mistakes) -> Any:
        if self.optional and node.value in _NOTHING:
            node = node._replace(value={})
        if not isinstance(node.value, dict):
            spaced = _spaced(str(node.value), self.fields)
            raise unexpected(node, path, spaced or self.expected)
        values: dict[str, Any] = {"name": node.key.text}
        before = len(mistakes)
        for key, known in self.fields.items():
            if known.required and key not in node.value:
                with mistakes:
                    raise CnetshError(f"{place_of(node, path)}: no `{key}`, expected one")
        for key, entry in node.value.items():
            inner = f"{path}.{key}" if path else key
            with mistakes:
                if key not in self.fields:
                    raise _unknown_key(entry, inner, sorted(self.fields))
                known = self.fields[key]
                values[known.attribute] = known.kind.read(entry, inner, mistakes)
        made = self.model(node=node, path=path, **values)
        with mistakes:
            # Of a mapping that was read in part it is not known what goes together.
            if len(mistakes) == before:
                made.agree()
        return made

    def schema(self) -> dict[str, Any]:
        known = self.fields.values()
        required = [one.key for one in known if one.required]
        return {
            "type": ["object", "null"] if self.optional else "object",
            **({"required": required} if required else {}),
            "additionalProperties": False,
            "properties": {
                one.key: {
                    "description": one.help,
                    **one.kind.schema(),
                    "examples": [yaml.safe_load(one.example)],
                }
                for one in known
            },
        }


def _mapping(node: Node) -> dict[str, Node]:
    return node.value if isinstance(node.value, dict) else {}


def _spaced(text: str, known: Container[str]) -> str:
    """Give what was meant by a key of which YAML takes no end, for there is no space behind it."""
    key, _, value = text.partition(":")
    said = f"a space behind the colon: {key}: {value}"
    return shortened(said) if value and key in known else ""


def _unknown_key(entry: Node, path: str, known: list[str]) -> CnetshError:
    if spaced := _spaced(entry.key.text, known):
        return CnetshError(f"{place_of(entry, path, at_key=True)}: expected {spaced}")
    found = f"{place_of(entry, path, at_key=True)}: unknown key{meant(entry.key.text, known)}"
    return CnetshError(f"{found}, expected {', '.join(known)}")
