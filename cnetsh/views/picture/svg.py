"""A picture as SVG: cells multiplied, every label as wide as the layout thinks it is.

Its shapes and colours are in the template picture.svg.j2.
"""

import hashlib
from collections.abc import Iterable

from cnetsh.labs.render import rendered
from cnetsh.views.picture.shapes import Box, Cell, Label, Picture, Wire

COLUMN, MARGIN = 7.8, 14.0  # a letter of 13 px in a monospaced font is so wide
# How high a row is, by what stands in it.
_WIRE, _BORDER, _TEXT, _TAG, _SOCKET, _TITLE = 13, 12, 18, 19, 26, 30
_CORNERS = {"nat": 2, "net": 11, "box": 9, "router": 9, "stack": 9, "host": 9}


def as_svg(picture: Picture, told: str) -> str:
    """Give a picture as one SVG document that needs nothing else; told: the same in words."""
    page = _Page(picture)
    values = {
        "picture": picture,
        "told": told,
        "page": page,
        "width": round(2 * MARGIN + (picture.width + 1) * COLUMN),
        "height": round(page.height + MARGIN),
    }
    # Several pictures in one page must not share ids or styles.
    digest = hashlib.sha256(rendered("picture.svg.j2", name="", **values).encode()).hexdigest()
    return rendered("picture.svg.j2", name=f"net-{digest[:8]}", **values)


class _Page:
    """Where columns and rows are on the page, in pixels."""

    def __init__(self, picture: Picture) -> None:
        self._tight = picture.tight
        heights = dict.fromkeys(range(-1, picture.height + 2), _WIRE)
        heights |= dict.fromkeys((y for box in picture.boxes for y in (box.y, box.bottom)), _BORDER)
        heights |= {text.y: _TEXT for text in picture.texts}
        heights |= {text.y: _TAG for text in picture.sockets if text.kind == "tag"}
        heights |= {text.y: _SOCKET if text.y < picture.tight else _TEXT
                    for text in picture.sockets if text.kind != "tag"}  # fmt: skip
        heights |= dict.fromkeys((bar.y0 for bar in picture.bars if not bar.thin), _SOCKET)
        heights |= {text.y: _TITLE for text in picture.texts if text.kind == "title"}
        self.height, self._middles = MARGIN, {}
        for y in range(picture.height + 1):
            self._middles[y] = self.height + heights[y] / 2
            self.height += heights[y]

    def x(self, column: float) -> str:
        """Give the middle of a column."""
        return _number(MARGIN + (column + 0.5) * COLUMN)

    def y(self, row: int, off: float = 0) -> str:
        """Give the middle of a row, or so many pixels below it."""
        return _number(self._middles[row] + off)

    def start(self, column: int, off: float = 0) -> str:
        """Give where a column begins, or so many pixels after it."""
        return _number(MARGIN + column * COLUMN + off)

    def columns(self, count: float) -> str:
        """Give how wide so many columns are."""
        return _number(count * COLUMN)

    def rows(self, first: int, last: int) -> str:
        """Give how far it is from the middle of a row to that of another."""
        return _number(self._middles[last] - self._middles[first])

    def path(self, points: Iterable[Cell]) -> str:
        return "M" + "L".join(f"{self.x(x)} {self.y(y)}" for x, y in points)

    def corner(self, box: Box) -> int:
        return _CORNERS[box.kind]

    def gap(self, wire: Wire) -> tuple[Cell, ...]:
        """Give where a wire may cross others, and has a gap on both sides: if it turns, and a rung.

        A rung has none where it begins, on its upright.
        """
        (x, y), *others = wire.points
        if y >= self._tight and others[0][1] == y:
            return (x + 1, y), *others
        return wire.points if len(others) > 1 else ()

    def shown(self, text: Label) -> tuple[str, str, int]:
        """Give what stands in a socket, without brackets, where it begins, and its columns."""
        inner = text.text[1:-1] if text.text[0] in "[(" else text.text
        at = text.x + (len(inner) < len(text.text))
        return inner.strip(), self.start(at + len(inner) - len(inner.lstrip())), len(inner.strip())


def _number(value: float) -> str:
    return f"{value:.1f}".rstrip("0").rstrip(".")
