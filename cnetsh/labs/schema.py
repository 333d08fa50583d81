"""What a lab file may hold: one JSON Schema, for editors and for the tool's own messages."""

import difflib
import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

from cnetsh.errors import CnetshError
from cnetsh.labs.builtin import templates_folder
from cnetsh.labs.yaml import Node, place, shortened

Schema: TypeAlias = Mapping[str, Any]

_ARTICLES = {
    "object": "a mapping",
    "array": "a list",
    "string": "text",
    "integer": "a number",
    "boolean": "true or false",
}
_NOTHING = ("", "~", "null")


def path() -> Path:
    """Give the file that holds the schema; `cnetsh schema` prints it as it is."""
    return templates_folder() / "topology" / "schema.json"


@cache
def load() -> Schema:
    """Give the schema of lab files."""
    schema: Schema = json.loads(path().read_text(encoding="utf-8"))
    return schema


def check(node: Node, schema: Schema, path: str = "") -> None:
    """Raise CnetshError for the first thing in the node that the schema does not allow."""
    schema = _resolved(schema)
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    if isinstance(node.value, dict):
        _need("object" in kinds, node, path, "a mapping", schema)
        _check_mapping(node, node.value, schema, path)
    elif isinstance(node.value, list):
        _need("array" in kinds, node, path, "a list", schema)
        for number, item in enumerate(node.value):
            check(item, schema["items"], f"{path}[{number}]")
    else:
        _check_scalar(node, node.value, kinds, schema, path)


def _resolved(schema: Schema) -> Schema:
    name = str(schema["$ref"]).rpartition("/")[2] if "$ref" in schema else ""
    resolved: Schema = load()["$defs"][name] if name else schema
    return resolved


def _expected(schema: Schema) -> str:
    if "expected" in schema:
        return str(schema["expected"])
    if "enum" in schema:
        return " or ".join(schema["enum"])
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    return " or ".join(_ARTICLES[kind] for kind in kinds if kind != "null")


def _need(fits: bool, node: Node, path: str, found: str, schema: Schema) -> None:
    if not fits:
        raise CnetshError(f"{place(node, path)}: {found}, expected {_expected(schema)}")


def _check_mapping(node: Node, entries: dict[str, Node], schema: Schema, path: str) -> None:
    for name in schema.get("required", ()):
        if name not in entries:
            raise CnetshError(f"{place(node, path)}: no `{name}`, expected one")
    known: Schema = schema.get("properties", {})
    other = schema.get("additionalProperties", False)
    for name, entry in entries.items():
        inner = f"{path}.{name}" if path else name
        if name in known:
            check(entry, known[name], inner)
        elif other:
            _check_key(entry, name, schema, inner)
            check(entry, other, inner)
        else:
            raise _unknown_key(entry, name, inner, known)


def _check_key(entry: Node, name: str, schema: Schema, path: str) -> None:
    names = schema.get("propertyNames")
    if names and not re.fullmatch(names["pattern"], name):
        found = place(entry, at_key=True)
        raise CnetshError(f"{found}: {shortened(path)}: expected {names['expected']}")


def _unknown_key(entry: Node, name: str, path: str, known: Schema) -> CnetshError:
    near = difflib.get_close_matches(name, known, 1)
    hint = f"did you mean `{near[0]}`?" if near else ""
    expected = f"expected {', '.join(sorted(known))}"
    meant = f" (did you mean {near[0]}?)" if near else ""
    found = place(entry, path, at_key=True)
    return CnetshError(f"{found}: unknown key{meant}, {expected}", hint)


def _check_scalar(node: Node, text: str, kinds: list[str], schema: Schema, path: str) -> None:
    if text in _NOTHING and "null" in kinds:
        return
    shown = f"'{shortened(text)}'" if text else "nothing"
    _need(_fits(text, kinds), node, path, shown, schema)
    if "pattern" in schema:
        _need(bool(re.fullmatch(schema["pattern"], text)), node, path, shown, schema)
    if "enum" in schema:
        _need(text in schema["enum"], node, path, shown, schema)
    if "minimum" in schema and not schema["minimum"] <= int(text) <= schema["maximum"]:
        between = f"{schema['minimum']} to {schema['maximum']}"
        raise CnetshError(f"{place(node, path)}: {text}, expected a number from {between}")


def _fits(text: str, kinds: list[str]) -> bool:
    if "string" in kinds:
        return text != ""
    if "integer" in kinds:
        return re.fullmatch("[0-9]{1,9}", text) is not None
    return "boolean" in kinds and text in ("true", "false")
