"""A graph as text, in one of the forms that people and tools draw: ASCII, Mermaid, dot and SVG."""

from collections.abc import Callable

from cnetsh.names import visible
from cnetsh.views.picture.network import (
    Drop,
    Graph,
    Segment,
    by_namespace,
    headline,
    labels,
    on_link,
)
from cnetsh.views.picture.svg import as_svg


def draw(graph: Graph, form: str) -> str:
    """Give the graph as text; form is ascii, mermaid, dot or svg."""
    forms = {"ascii": _as_ascii, "mermaid": _as_mermaid, "dot": _as_dot, "svg": as_svg}
    return forms[form](graph)


def _as_ascii(graph: Graph) -> str:
    """Give a tree for the terminal: each segment with the containers on it."""
    lines = [visible(graph.title), ""] if graph.title else []
    lines.append("host")
    for segment in graph.segments:
        branch, stem = ("+-- ", "|    ") if segment.on_host else ("", "")
        lines.append(f"{branch}{'  '.join(headline(segment))}")
        lines += [f"{stem}|-- {row}" for row in _aligned(graph, segment)]
    ways = by_namespace(graph.segments)
    lines += [f"{visible(one)}  (no cable)" for one in graph.namespaces[1:] if one not in ways]
    return "\n".join(lines) + "\n"


def _aligned(graph: Graph, segment: Segment) -> list[str]:
    rows = [
        (
            " -- ".join(_ends(drop)),
            visible(drop.namespace),
            on_link(graph, drop.namespace, drop.link),
            visible(", ".join(graph.routes.get(drop.namespace, ()))),
        )
        for drop in segment.drops
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


def _as_mermaid(graph: Graph) -> str:
    """Give a Mermaid flowchart, as GitHub and many editors draw it."""
    forms = ("    s{}{{{{{}}}}}", "  n{}({})", "  s{} ---|{}| n{}")
    host, outside, others = _nodes_and_edges(graph, _mermaid, *forms)
    return "\n".join(["flowchart TB", *outside, "  subgraph host", *host, "  end", *others]) + "\n"


def _as_dot(graph: Graph) -> str:
    """Give a Graphviz graph, for `dot -Tpng`."""
    forms = (
        "    s{} [shape=hexagon, label={}];",
        "  n{} [label={}];",
        "  s{0} -- n{2} [label={1}];",
    )
    host, outside, others = _nodes_and_edges(graph, _dot, *forms)
    head = ["graph lab {", "  node [shape=box, style=rounded];", "  subgraph cluster_host {"]
    head.append('    label="host"; style=dashed;')
    return "\n".join([*head, *host, "  }", *outside, *others, "}"]) + "\n"


def _nodes_and_edges(
    graph: Graph, quoted: Callable[[list[str]], str], segment: str, box: str, edge: str
) -> tuple[list[str], list[str], list[str]]:
    """Give the segments on the host, those between containers, and the containers with cables."""
    numbers = {name: number for number, name in enumerate(graph.namespaces)}
    host: list[str] = []
    outside: list[str] = []
    edges: list[str] = []
    for number, one in enumerate(graph.segments):
        shape = segment.format(number, quoted(headline(one)))
        (host if one.on_host else outside).append(shape)
        for drop in one.drops:
            edges.append(edge.format(number, quoted(_ends(drop)), numbers[drop.namespace]))
    boxes = [box.format(numbers[name], quoted(lines)) for name, lines in labels(graph).items()]
    return host, outside, [*boxes, *edges]


def _ends(drop: Drop) -> list[str]:
    """Give a cable's ends: the host's, if it has one, and the container's."""
    return [visible(end) for end in (drop.host_end, drop.link) if end]


def _mermaid(lines: list[str]) -> str:
    # Mermaid has entities of its own, and reads tags in a label.
    text = "<br>".join(line.replace('"', "#quot;").replace("<", "#lt;") for line in lines)
    return f'"{text}"'


def _dot(lines: list[str]) -> str:
    return '"' + "\\n".join(line.replace("\\", "\\\\").replace('"', '\\"') for line in lines) + '"'
