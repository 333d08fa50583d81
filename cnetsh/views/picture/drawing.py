"""A graph as text that people and tools draw: ASCII, Mermaid and Graphviz; SVG is in `svg`."""

from collections.abc import Iterable

from cnetsh.names import visible
from cnetsh.views.picture.network import Drop, Graph, Segment


def as_ascii(graph: Graph) -> str:
    """Give a tree for the terminal: each segment with the containers on it."""
    lines = [visible(graph.title), ""] if graph.title else []
    lines.append("host")
    for segment in graph.segments:
        branch, stem = ("+-- ", "|    ") if segment.on_host else ("", "")
        lines.append(f"{branch}{'  '.join(headline(segment))}")
        lines += [f"{stem}|-- {row}" for row in _aligned(graph, segment)]
    drops = by_namespace(graph.segments)
    alone = [name for name in graph.namespaces[1:] if name not in drops]
    lines += [f"{visible(name)}  (no cable)" for name in alone]
    return "\n".join(lines) + "\n"


def as_mermaid(graph: Graph) -> str:
    """Give a Mermaid flowchart, as GitHub and many editors draw it."""
    lines = ["flowchart TB", "  subgraph host"]
    for number, segment in enumerate(graph.segments):
        shape = f"s{number}{{{{{_mermaid(headline(segment))}}}}}"
        lines.insert(len(lines) if segment.on_host else 1, f"    {shape}")
    lines.append("  end")
    ids = {name: f"n{number}" for number, name in enumerate(graph.namespaces)}
    lines += [f"  {ids[name]}({_mermaid(lines)})" for name, lines in boxes(graph).items()]
    for number, segment in enumerate(graph.segments):
        for drop in segment.drops:
            lines.append(f"  s{number} ---|{_mermaid(cable(drop))}| {ids[drop.namespace]}")
    return "\n".join(lines) + "\n"


def as_dot(graph: Graph) -> str:
    """Give a Graphviz graph, for `dot -Tpng`."""
    host: list[str] = ['    label="host"; style=dashed;']
    outside: list[str] = []
    for number, segment in enumerate(graph.segments):
        node = f"s{number} [shape=hexagon, label={_dot(headline(segment))}];"
        (host if segment.on_host else outside).append(f"    {node}")
    ids = {name: f"n{number}" for number, name in enumerate(graph.namespaces)}
    nodes = [f"  {ids[name]} [label={_dot(lines)}];" for name, lines in boxes(graph).items()]
    edges = [
        f"  s{number} -- {ids[drop.namespace]} [label={_dot(cable(drop))}];"
        for number, segment in enumerate(graph.segments)
        for drop in segment.drops
    ]
    head = ["graph lab {", "  node [shape=box, style=rounded];", "  subgraph cluster_host {"]
    return "\n".join([*head, *host, "  }", *outside, *nodes, *edges, "}"]) + "\n"


def headline(segment: Segment) -> list[str]:
    """Give a segment's name, what it is where that is not plain, and the host's addresses on it."""
    kind = {"bridge": "bridge", "macvlan": "shared link", "cable": "cable"}[segment.kind]
    return [f"{kind} {visible(segment.name)}", *map(visible, segment.addresses)]


def boxes(graph: Graph) -> dict[str, list[str]]:
    """Give what stands in each container's box: its name, its links' addresses, its routes."""
    drops = by_namespace(graph.segments)
    return {
        name: [visible(line) for line in _box(graph, name, drops.get(name, []))]
        for name in graph.namespaces[1:]
    }


def _box(graph: Graph, name: str, drops: list[Drop]) -> list[str]:
    links = dict.fromkeys(drop.link for drop in drops)
    own = [f"{link}  {_addresses(graph, name, link)}".rstrip() for link in links]
    return [name, *own, *graph.routes.get(name, ())]


def cable(drop: Drop) -> list[str]:
    """Give a cable's ends: the host's, if it has one, and the container's."""
    return [visible(end) for end in (drop.host_end, drop.link) if end]


def by_namespace(segments: Iterable[Segment]) -> dict[str, list[Drop]]:
    """Give each container's ways onto the segments, in their order."""
    found: dict[str, list[Drop]] = {}
    for segment in segments:
        for drop in segment.drops:
            found.setdefault(drop.namespace, []).append(drop)
    return found


def _aligned(graph: Graph, segment: Segment) -> list[str]:
    rows = [
        (
            " -- ".join(cable(drop)),
            visible(drop.namespace),
            _addresses(graph, drop.namespace, drop.link),
            visible(", ".join(graph.routes.get(drop.namespace, ()))),
        )
        for drop in segment.drops
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _addresses(graph: Graph, name: str, link: str) -> str:
    return visible(" ".join(graph.addresses.get((name, link), ())))


def _mermaid(lines: list[str]) -> str:
    text = "<br>".join(line.replace('"', "#quot;").replace("<", "#lt;") for line in lines)
    return f'"{text}"'


def _dot(lines: list[str]) -> str:
    return '"' + "\\n".join(line.replace("\\", "\\\\").replace('"', '\\"') for line in lines) + '"'
