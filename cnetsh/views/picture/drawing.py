"""A picture as text: its cells printed, in box-drawing characters or in plain ASCII."""

from collections.abc import Iterable
from itertools import pairwise

from cnetsh.views.picture.shapes import Box, Cell, Picture, Wire

_N, _S, _W, _E = 1, 2, 4, 8
_MASKS = (1, 2, 3, 4, 8, 12, 10, 6, 9, 5, 11, 7, 14, 13, 15)
_LIGHT = dict(zip(_MASKS, "│││───┌┐└┘├┤┬┴┼", strict=True))
_HEAVY = dict(zip(_MASKS, "┃┃┃━━━┏┓┗┛┣┫┳┻╋", strict=True))
# A bar's own ends, and those of the wire that meets it there.
_MIXED = {(12, 2): "┯", (12, 1): "┷", (12, 3): "┿", (3, 8): "┠", (3, 4): "┨", (3, 12): "╂",
          (1, 8): "┖", (1, 12): "┸", (9, 2): "┡"}  # fmt: skip
_BROKEN = {"│": "┆", "─": "┄"}
_PLAIN: dict[str, int | str | None] = dict(zip("─━┄│┃┆═║→←…≤", "-=-||:=#><~<", strict=True))
_PLAIN |= dict.fromkeys("┌┐└┘├┤┬┴┼┏┓┗┛┣┫┳┻╋╔╗╚╝┯┷┿┠┨╂┖┸┡", "+")


def as_unicode(picture: Picture) -> str:
    """Give a picture as lines of text."""
    cells = _boxes(picture.boxes) | _lines(picture)
    for bar in picture.bars:
        cells |= _written(bar.at - 1, bar.y0, f" {bar.label} ") if bar.label else {}
    for text in (*picture.sockets, *picture.texts):
        cells |= _written(text.x, text.y, text.text)
    rows: dict[int, dict[int, str]] = {}
    for (x, y), letter in cells.items():
        rows.setdefault(y, {})[x] = letter
    lines = []
    for y in range(max(rows) + 1):
        row = rows.get(y, {})
        lines.append("".join(row.get(x, " ") for x in range(max(row, default=-1) + 1)).rstrip())
    return "\n".join(lines) + "\n"


def as_ascii(picture: Picture) -> str:
    return as_unicode(picture).translate(str.maketrans(_PLAIN))


def _written(x: int, y: int, text: str) -> dict[Cell, str]:
    return {(x + number, y): letter for number, letter in enumerate(text)}


def _boxes(boxes: Iterable[Box]) -> dict[Cell, str]:
    """Give the borders that no wire's end is drawn into: of routers, and of a stack's second."""
    cells: dict[Cell, str] = {}
    for box in boxes:
        level, upright, corners = ("═", "║", "╔╗╚╝") if box.kind == "router" else ("─", "│", "┌┐└┘")
        x1, y1 = box.right, box.bottom
        if box.several:
            cells |= {(x1 + 1, y): upright for y in range(box.y + 1, y1 + 1)}
            cells |= {(x, y1 + 1): level for x in range(box.x + 2, x1 + 1)}
            cells |= {(x1 + 1, box.y): corners[1], (x1 + 1, y1 + 1): corners[3]}
            cells[box.x + 1, y1 + 1] = corners[2]
        if box.kind == "router":
            cells |= {(x, y): level for x in range(box.x, x1 + 1) for y in (box.y, y1)}
            cells |= {(x, y): upright for x in (box.x, x1) for y in range(box.y, y1 + 1)}
            cells |= dict(zip([(box.x, box.y), (x1, box.y), (box.x, y1), (x1, y1)], corners,
                              strict=True))  # fmt: skip
    return cells


def _lines(picture: Picture) -> dict[Cell, str]:
    """Give wires, bars and borders, joined where they meet."""
    light = _ends(wire.points for wire in picture.wires)
    for bar in (bar for bar in picture.bars if bar.kind == "own"):
        _trace(light, ((bar.x0, bar.y0), (bar.x1, bar.y1)))
    for box in (box for box in picture.boxes if box.kind != "router"):
        _trace(light, _border(box))
    doubled = {cell for box in picture.boxes if box.kind == "router"
               for cell, _ in Wire(_border(box), "").cells()}  # fmt: skip
    broken = {cell for wire in picture.wires if wire.kind in ("dead", "down")
              for cell, _ in wire.cells()}  # fmt: skip
    cells = {}
    for cell, mask in light.items():
        if cell not in doubled:
            letter = _LIGHT[mask]
            cells[cell] = _BROKEN.get(letter, letter) if cell in broken else letter
    heavy = (bar for bar in picture.bars if bar.kind != "own")
    for cell, mask in _ends(((bar.x0, bar.y0), (bar.x1, bar.y1)) for bar in heavy).items():
        met = light.get(cell, 0) & ~mask
        cells[cell] = _MIXED.get((mask, met)) or _HEAVY[mask]
    return cells


def _border(box: Box) -> tuple[Cell, ...]:
    x0, y0, x1, y1 = box.x, box.y, box.right, box.bottom
    return (x0, y0), (x1, y0), (x1, y1), (x0, y1), (x0, y0)


def _ends(lines: Iterable[tuple[Cell, ...]]) -> dict[Cell, int]:
    """Give for each cell in which directions a line leaves it."""
    found: dict[Cell, int] = {}
    for points in lines:
        _trace(found, points)
    return found


def _trace(found: dict[Cell, int], points: tuple[Cell, ...]) -> None:
    for (x0, y0), (x1, y1) in pairwise(points):
        length = max(abs(x1 - x0), abs(y1 - y0))
        dx, dy = (x1 > x0) - (x1 < x0), (y1 > y0) - (y1 < y0)
        out, back = {(1, 0): (_E, _W), (-1, 0): (_W, _E), (0, 1): (_S, _N), (0, -1): (_N, _S)}.get(
            (dx, dy), (0, 0)
        )
        for step in range(length + 1):
            cell = (x0 + dx * step, y0 + dy * step)
            found[cell] = found.get(cell, 0) | (out if step < length else 0) | (back if step else 0)
