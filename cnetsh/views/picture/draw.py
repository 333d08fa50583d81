"""A graph as text, in one of the forms that people and tools draw."""

from cnetsh.views.picture.drawing import as_ascii, as_dot, as_mermaid
from cnetsh.views.picture.network import Graph
from cnetsh.views.picture.svg import as_svg

_FORMS = {"ascii": as_ascii, "mermaid": as_mermaid, "dot": as_dot, "svg": as_svg}


def draw(graph: Graph, form: str) -> str:
    """Give the graph as text; form is ascii, mermaid, dot or svg."""
    return _FORMS[form](graph)
