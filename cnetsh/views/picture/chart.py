"""A network for other tools to lay out, with the same facts: Mermaid, and Graphviz's dot."""

from collections.abc import Iterator
from typing import NamedTuple

from cnetsh.views.picture.network import DrawnContainer, DrawnNetwork, DrawnPort


class ChartNode(NamedTuple):
    """A node: its name in the chart, its lines, its shape, and whether it is in the host."""

    name: str
    lines: list[str]
    shape: str
    inside: bool = False


class Edge(NamedTuple):
    """An edge between two nodes by name, with what stands on it; broken: it does not work."""

    one: str
    other: str
    lines: list[str]
    broken: bool = False


def _nodes(network: DrawnNetwork) -> Iterator[ChartNode]:
    if network.hosted:
        if network.outside:
            yield ChartNode("outside", [network.outside.name], "pill")
        if network.translated:
            yield ChartNode("nat", ["NAT", *network.translated], "square", True)
        yield ChartNode("stack", ["IP stack", network.heading, *network.ways], "square", True)
    for number, rail in enumerate(network.rails):
        label = rail.label if rail.kind == "bridge" else f"{rail.name}  {rail.label}"
        yield ChartNode(f"s{number}", [label], "bar", True)
    for number, one in enumerate(network.containers):
        if one.name:
            yield ChartNode(f"n{number}", [one.name, *(line.text for line in one.lines)],
                       "router" if one.router else "box")  # fmt: skip


def _edges(network: DrawnNetwork) -> Iterator[Edge]:
    outside, top = network.outside, "nat" if network.translated else "stack"
    if outside and network.hosted:
        lines = [f"{outside.link} {outside.state}".strip(), outside.address]
        yield Edge("outside", top, [line for line in lines if line], bool(outside.state))
    if top == "nat" and network.hosted:
        yield Edge("nat", "stack", [])
    rails = {rail.name: f"s{number}" for number, rail in enumerate(network.rails)}
    for rail in network.rails:
        if rail.wired:
            lines = ["no forwarding"] if rail.isolated else []
            yield Edge("stack", rails[rail.name], lines, bool(rail.state))
    names = {one.name: f"n{number}" for number, one in enumerate(network.containers)}
    for one in network.containers:
        yield from _cables(one, rails, names)


def _cables(one: DrawnContainer, rails: dict[str, str], names: dict[str, str]) -> Iterator[Edge]:
    ends = [(rails.get(port.rail, "outside"), port) for port in one.ports if port.rail]
    if not one.name:
        (first, near), (second, far) = ends
        lines = [*_ends(near), *_ends(far)]
        yield Edge(first, second, lines, bool(near.host_state or far.host_state))
        return
    for end, port in ends:
        yield Edge(end, names[one.name], _ends(port), bool(port.state or port.host_state))
    for port in one.ports:
        if port.other and (one.name, port.link) < port.other:
            lines = [f"{port.link} {port.state}".strip(), port.tag, port.other[1]]
            yield Edge(names[one.name], names[port.other[0]], [line for line in lines if line],
                       bool(port.state))  # fmt: skip


def _ends(port: DrawnPort) -> list[str]:
    own = port.host if port.host != port.rail else ""
    ends = [f"{own} {port.host_state}" if own else "", port.tag, f"{port.link} {port.state}"]
    return [end.strip() for end in ends if end.strip()]


def as_mermaid(network: DrawnNetwork) -> str:
    """Give a Mermaid flowchart, as GitHub and many editors draw it."""
    shapes = {"pill": "([{}])", "square": "[{}]", "bar": "{{{{{}}}}}", "box": "({})",
              "router": "[[{}]]"}  # fmt: skip
    nodes = list(_nodes(network))
    lines = ["---", f"title: {_mermaid([network.title])}", "---"] if network.title else []
    lines.append("flowchart TB")
    inside = [node for node in nodes if node.inside]
    for node in nodes:
        if node in inside[:1]:
            lines.append('  subgraph host["host"]')
        indent = "    " if node.inside else "  "
        lines.append(f"{indent}{node.name}{shapes[node.shape].format(_mermaid(node.lines))}")
        if node in inside[-1:]:
            lines.append("  end")
    for edge in _edges(network):
        line = "-.-" if edge.broken else "---"
        label = f"|{_mermaid(edge.lines)}|" if edge.lines else ""
        lines.append(f"  {edge.one} {line}{label} {edge.other}")
    return "\n".join(lines) + "\n"


def as_dot(network: DrawnNetwork) -> str:
    """Give a Graphviz graph, for `dot -Tsvg`."""
    shapes = {"pill": "shape=oval", "square": "shape=box", "bar": "shape=box, style=bold",
              "box": "shape=box, style=rounded", "router": "shape=box, peripheries=2"}  # fmt: skip
    nodes = list(_nodes(network))
    lines = ["graph lab {", f"  label={_dot([network.title])}; labelloc=t;"]
    lines.append('  subgraph cluster_host { label="host"; style=dashed;')
    for inside in (True, False):
        for node in (node for node in nodes if node.inside == inside):
            lines.append(f"    {node.name} [{shapes[node.shape]}, label={_dot(node.lines)}];")
        lines += ["  }"] if inside else []
    for edge in _edges(network):
        style = ", style=dashed" if edge.broken else ""
        lines.append(f"  {edge.one} -- {edge.other} [label={_dot(edge.lines)}{style}];")
    return "\n".join([*lines, "}"]) + "\n"


def _mermaid(lines: list[str]) -> str:
    # Mermaid has entities of its own, and reads tags in a label.
    text = "<br>".join(line.replace('"', "#quot;").replace("<", "#lt;") for line in lines)
    return f'"{text}"'


def _dot(lines: list[str]) -> str:
    return '"' + "\\n".join(line.replace("\\", "\\\\").replace('"', '\\"') for line in lines) + '"'
