"""Where everything is in an SVG picture: segments are bars, containers hang on them.

Its shapes and colours are in the template picture.svg.j2.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from cnetsh.labs.render import rendered
from cnetsh.names import visible
from cnetsh.views.picture.network import Graph, Segment, by_namespace, headline, labels

# A letter of the template's font is so wide; a line of it is 16 high, as the template has it too.
CHARACTER, LINE = 6.7, 16
TRACK, MARGIN, TOP = 40, 24, 44
SIDE_BY_SIDE = 32  # between the wires of one container


class Column(NamedTuple):
    """A container's box: its left edge, size, and what stands in it."""

    left: float
    width: float
    height: int
    lines: list[str]


class Track(NamedTuple):
    """A segment from its first wire to its last: each with its place, and its end's name."""

    kind: str
    label: str
    y: int
    left: float
    right: float
    wires: list[tuple[float, str]]


def as_svg(graph: Graph) -> str:
    """Give the picture as one SVG document that needs nothing else."""
    columns = _columns(graph)
    host = [segment for segment in graph.segments if segment.on_host]
    others = [segment for segment in graph.segments if not segment.on_host]
    boxes = TOP + len(host) * TRACK + (52 if columns else 20)
    bottom = boxes + max((column.height for column in columns.values()), default=12)
    right = max((column.left + column.width for column in columns.values()), default=200)
    width = max(right, *(_width(_label(one)) + 2 * MARGIN for one in host), 240) + MARGIN
    return rendered(
        "picture.svg.j2",
        title=visible(graph.title),
        width=f"{width:g}",
        inner=f"{width - MARGIN:g}",
        height=bottom + len(others) * TRACK + MARGIN,
        host_height=len(host) * TRACK + 24,
        boxes=boxes,
        on_host=list(_tracks(host, columns, TOP)),
        # Cables that the host has no end of are below the boxes.
        between=_tracks(others, columns, bottom + 24),
        columns=columns.values(),
    )


def _columns(graph: Graph) -> dict[str, Column]:
    """Give the containers from left to right: by their first segment, those on several last."""
    segments, ways = enumerate(graph.segments), by_namespace(graph.segments)
    last_first = reversed([(drop.namespace, at) for at, one in segments for drop in one.drops])
    first, none = dict(last_first), len(graph.segments)
    texts, found, left = labels(graph), {}, MARGIN + 16.0
    for name in sorted(texts, key=lambda one: (first.get(one, none), len(ways.get(one, ())))):
        lines = texts[name]
        width = max(90.0, max(map(_width, lines)) + 20)
        found[name] = Column(left, width, len(lines) * LINE + 12, lines)
        left += width + 18
    return found


def _label(segment: Segment) -> str:
    return "  ".join(headline(segment))


def _width(text: str) -> float:
    return len(text) * CHARACTER


def _tracks(segments: Sequence[Segment], columns: dict[str, Column], top: int) -> Iterator[Track]:
    """Give each segment's place: a container on several has their wires side by side."""
    ways, placed = by_namespace(segments), Counter[str]()
    for number, segment in enumerate(segments):
        wires, label = [], _label(segment)
        for drop in segment.drops:
            column, several = columns[drop.namespace], len(ways[drop.namespace])
            aside = (placed[drop.namespace] - (several - 1) / 2) * SIDE_BY_SIDE
            placed[drop.namespace] += 1
            # Side by side there is no room for the names of the host's ends.
            end = visible(drop.host_end) if several == 1 else ""
            wires.append((column.left + column.width / 2 + aside, end))
        spots = [x for x, _ in wires] or [MARGIN + 12, MARGIN + _width(label) - 12]
        yield Track(segment.kind, label, top + number * TRACK, min(spots), max(spots), wires)
