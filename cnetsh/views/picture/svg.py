"""A graph as an SVG picture: segments are bars, containers hang on them."""

from collections import Counter
from collections.abc import Iterator
from html import escape
from typing import NamedTuple

from cnetsh.names import visible
from cnetsh.views.picture.drawing import boxes, by_namespace, headline
from cnetsh.views.picture.network import Graph, Segment

CHARACTER, LINE, TRACK, MARGIN, TOP = 6.7, 16, 40, 24, 44

_STYLE = """
  .paper { fill: #ffffff } .host { fill: #f4f6f9; stroke: #9aa5b1; stroke-dasharray: 5 4 }
  .box { fill: #ffffff; stroke: #3e4c59 } .wire { stroke: #7b8794; stroke-width: 1.5; fill: none }
  .bridge { fill: #2f6fdb } .cable { fill: #8a63d2 } .macvlan { fill: #d9822b }
  text { font: 11px ui-monospace, Menlo, Consolas, monospace; fill: #1f2933 }
  .title { font-size: 15px; font-weight: bold } .name { font-weight: bold } .faint { fill: #616e7c }
"""


class Column(NamedTuple):
    """A container's place: left edge, width and what stands in its box."""

    left: float
    width: float
    lines: list[str]


def as_svg(graph: Graph) -> str:
    """Give the picture as one SVG document that needs nothing else."""
    columns = _columns(graph)
    host = [segment for segment in graph.segments if segment.on_host]
    others = [segment for segment in graph.segments if not segment.on_host]
    right = max((column.left + column.width for column in columns.values()), default=200)
    width = max(right, *(_text_width(s) + 2 * MARGIN for s in host), 240) + MARGIN
    top = TOP + len(host) * TRACK + (52 if columns else 20)
    tallest = max((len(column.lines) for column in columns.values()), default=0)
    bottom = top + tallest * LINE + 12
    drawn = [*_host_frame(width, len(host)), *_on_host(host, columns, top)]
    drawn += _others(others, columns, top, bottom)
    for column in columns.values():
        drawn += _box(column, top)
    return _document(graph.title, width, bottom + len(others) * TRACK + MARGIN, drawn)


def _columns(graph: Graph) -> dict[str, Column]:
    """Give the containers from left to right: by their first segment, those on several last."""
    on: dict[str, list[int]] = {}
    for number, segment in enumerate(graph.segments):
        for drop in segment.drops:
            on.setdefault(drop.namespace, []).append(number)
    texts, found, left = boxes(graph), {}, MARGIN + 16.0
    for name in sorted(texts, key=lambda name: (on.get(name, [len(on)])[0], len(on.get(name, ())))):
        width = max(90.0, max(map(len, texts[name])) * CHARACTER + 20)
        found[name] = Column(left, width, texts[name])
        left += width + 18
    return found


def _text_width(segment: Segment) -> float:
    return len("  ".join(headline(segment))) * CHARACTER


def _spots(segments: list[Segment], columns: dict[str, Column]) -> Iterator[list[float]]:
    """Give where each segment's drops are: a container on several has them side by side."""
    total = {name: len(drops) for name, drops in by_namespace(segments).items()}
    placed: Counter[str] = Counter()
    for segment in segments:
        spots = []
        for drop in segment.drops:
            column, nth = columns[drop.namespace], placed[drop.namespace]
            placed[drop.namespace] += 1
            aside = (nth - (total[drop.namespace] - 1) / 2) * 32
            spots.append(column.left + column.width / 2 + aside)
        yield spots


def _host_frame(width: float, tracks: int) -> list[str]:
    height = tracks * TRACK + 24
    return [
        f'<rect class="host" x="{MARGIN / 2:g}" y="{TOP - 8:g}" rx="8" '
        f'width="{width - MARGIN:g}" height="{height:g}"/>',
        f'<text class="faint" x="{width - MARGIN:g}" y="{TOP + height - 16:g}" '
        'text-anchor="end">host</text>',
    ]


def _on_host(host: list[Segment], columns: dict[str, Column], boxes: float) -> list[str]:
    wires, bars = [], []
    alone = {name for name, drops in by_namespace(host).items() if len(drops) == 1}
    for number, (segment, spots) in enumerate(zip(host, _spots(host, columns), strict=True)):
        y = TOP + number * TRACK
        for drop, x in zip(segment.drops, spots, strict=True):
            wires.append(f'<path class="wire" d="M{x:g} {y + 22:g}V{boxes:g}"/>')
            if drop.namespace in alone and drop.host_end:
                label = escape(visible(drop.host_end))
                wires.append(f'<text class="faint" x="{x + 5:g}" y="{boxes - 8:g}">{label}</text>')
        nobody = [MARGIN + 12.0, MARGIN + _text_width(segment) - 12]
        bars += _bar(segment, spots or nobody, y)
    return wires + bars


def _bar(segment: Segment, spots: list[float], y: float) -> list[str]:
    left, right = min(spots) - 12, max(spots) + 12
    return [
        f'<rect class="{segment.kind}" x="{left:g}" y="{y + 18:g}" rx="4" '
        f'width="{right - left:g}" height="8"/>',
        f'<text x="{left:g}" y="{y + 12:g}">{escape("  ".join(headline(segment)))}</text>',
    ]


def _others(
    others: list[Segment], columns: dict[str, Column], boxes: float, bottom: float
) -> list[str]:
    """Draw the cables that the host has no end of: below the boxes."""
    drawn = []
    for number, (segment, spots) in enumerate(zip(others, _spots(others, columns), strict=True)):
        y = bottom + number * TRACK + 24
        down = " ".join(f"M{x:g} {boxes:g}V{y:g}" for x in spots)
        drawn.append(f'<path class="wire" d="{down} M{min(spots):g} {y:g}H{max(spots):g}"/>')
        label = escape("  ".join(headline(segment)))
        drawn.append(f'<text x="{min(spots) + 6:g}" y="{y - 6:g}">{label}</text>')
    return drawn


def _box(column: Column, top: float) -> list[str]:
    height = len(column.lines) * LINE + 12
    drawn = [
        f'<rect class="box" x="{column.left:g}" y="{top:g}" rx="6" '
        f'width="{column.width:g}" height="{height:g}"/>'
    ]
    for number, line in enumerate(column.lines):
        kind = "name" if number == 0 else "faint" if " via " in line else "link"
        y = top + 18 + number * LINE
        drawn.append(
            f'<text class="{kind}" x="{column.left + 10:g}" y="{y:g}">{escape(line)}</text>'
        )
    return drawn


def _document(title: str, width: float, height: float, drawn: list[str]) -> str:
    shown = escape(visible(title))
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" '
        f'width="{width:g}" height="{height:g}" role="img">'
    )
    body = [
        f"<title>{shown}</title>",
        f"<style>{_STYLE}</style>",
        f'<rect class="paper" width="{width:g}" height="{height:g}"/>',
        f'<text class="title" x="{MARGIN / 2:g}" y="24">{shown}</text>',
        *drawn,
    ]
    return "\n".join([head, *(f"  {line}" for line in body), "</svg>"]) + "\n"
