"""The lab file for editors and readers, from its one statement: JSON Schema, starter, page."""

from cnetsh.errors import CnetshError
from cnetsh.labs.fields import Field, Mapping, Stated
from cnetsh.labs.model import LAB, Bridge, Check, Container, ContainerRoute, Interface, Topology
from cnetsh.labs.render import rendered
from cnetsh.names import visible

_MAPPINGS: dict[str, type[Stated]] = {
    "lab": Topology,
    "bridge": Bridge,
    "container": Container,
    "interface": Interface,
    "route": ContainerRoute,
    "check": Check,
}
_INTRODUCTION = """\
# The lab file

A lab file describes a network: `cnetsh plan FILE.yaml` shows the commands that build it,
`cnetsh up FILE.yaml` runs them. `cnetsh new NAME` writes a commented one to start from,
`cnetsh schema` the JSON Schema for an editor; [`examples/`](../examples) has six to read. All
mistakes of a file are told at once, each with file, line, column and what was expected.

It is YAML without anchors, aliases and tags, of at most 1 MiB. Only `name` and `containers` must be
there. This page is written by `make golden` from the same statement that reads the file.
"""


def lab_schema() -> dict[str, object]:
    """Give the JSON Schema of lab files."""
    dialect = "https://json-schema.org/draft/2020-12/schema"
    return {"$schema": dialect, "title": "A cnetsh lab file", **Mapping(Topology).schema()}


def starter_file(name: str) -> str:
    """Give a commented lab file of that name. Raises CnetshError for a name no lab can have."""
    if not LAB.fits(name):
        raise CnetshError(f"{visible(name)!r}: expected {LAB.expected}")
    lines = {
        what: {key: _line(field) for key, field in Mapping(model).fields.items()}
        for what, model in _MAPPINGS.items()
    }
    return rendered("starter.yaml.j2", name=name, **lines)


def reference_page() -> str:
    """Give docs/lab-file.md: a table of fields for each mapping of the file."""
    parts = [_INTRODUCTION]
    for what, model in _MAPPINGS.items():
        rows = "".join(_row(field) for field in Mapping(model).fields.values())
        table = f"| field | holds | what it is for | example |\n|---|---|---|---|\n{rows}"
        parts.append(f"## {what.capitalize()}\n\n{model.__doc__}\n\n{table}")
    return "\n".join(parts)


def _line(field: Field) -> str:
    return f"{f'{field.key}: {field.example}':<43} # {field.help}"


def _row(field: Field) -> str:
    needed = " (must be there)" if field.required else ""
    return f"| `{field.key}` | {field.kind.expected} | {field.help}{needed} | `{field.example}` |\n"
