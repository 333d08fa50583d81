"""The lab file for editors and readers, from its one statement: JSON Schema and starter."""

from cnetsh.errors import CnetshError
from cnetsh.labs.fields import Field, Mapping, Stated
from cnetsh.labs.model import LAB, Bridge, Check, Container, ContainerRoute, Interface, Topology
from cnetsh.labs.render import rendered
from cnetsh.names import visible

MAPPINGS: dict[str, type[Stated]] = {
    "lab": Topology,
    "bridge": Bridge,
    "container": Container,
    "interface": Interface,
    "route": ContainerRoute,
    "check": Check,
}


def lab_schema() -> dict[str, object]:
    dialect = "https://json-schema.org/draft/2020-12/schema"
    return {"$schema": dialect, "title": "A cnetsh lab file", **Mapping(Topology).schema()}


def starter_file(name: str) -> str:
    """Give a commented lab file of that name. Raises CnetshError for a name no lab can have."""
    if not LAB.fits(name):
        raise CnetshError(f"'{visible(name)}': expected {LAB.expected}")
    lines = {
        what: {key: _line(field) for key, field in Mapping(model).fields.items()}
        for what, model in MAPPINGS.items()
    }
    return rendered("starter.yaml.j2", name=name, **lines)


def _line(field: Field) -> str:
    return f"{f'{field.key}: {field.example}':<43} # {field.help}"
