"""What is wrong with a picture, by its cells: overlaps, clipped text, wires through boxes."""

from collections import Counter
from collections.abc import Iterator
from itertools import combinations

from cnetsh.views.picture.shapes import Bar, Box, Cell, Label, Picture


def faults(picture: Picture) -> list[str]:
    """Every fault of a picture in words; a good one has none."""
    return [
        *_boxes(picture),
        *_sockets(picture),
        *_texts(picture),
        *_bars(picture),
        *_wires(picture),
        *_crossings(picture),
    ]


def _cells(text: Label) -> set[Cell]:
    return {(x, text.y) for x in range(text.x, text.right + 1)}


def _area(box: Box) -> tuple[int, int, int, int]:
    more = int(box.several)
    return box.x, box.y, box.right + more, box.bottom + more


def _boxes(picture: Picture) -> Iterator[str]:
    inner = [box for box in picture.boxes if box.kind != "host"]
    for one, other in combinations(inner, 2):
        (a, b, c, d), (e, f, g, h) = _area(one), _area(other)
        if a <= g and e <= c and b <= h and f <= d:
            yield f"two boxes overlap: {one} {other}"
    for box in picture.boxes:
        if box.x < 0 or box.right + box.several >= picture.width + 1:
            yield f"a box is outside: {box} of {picture.width}"


def _sockets(picture: Picture) -> Iterator[str]:
    taken: dict[Cell, Label] = {}
    for text in picture.sockets:
        for cell in _cells(text):
            if cell in taken:
                yield f"two sockets overlap: {text} {taken[cell]}"
                break
            taken[cell] = text
        if text.x < 0 or text.right > picture.width:
            yield f"a socket is outside: {text}"
    for text in picture.texts:
        if any(cell in taken for cell in _cells(text)):
            yield f"a socket is over a text: {text}"


def _texts(picture: Picture) -> Iterator[str]:
    taken: set[Cell] = set()
    for text in picture.texts:
        if taken & _cells(text):
            yield f"two texts overlap: {text}"
        taken |= _cells(text)
        around = [box for box in picture.boxes if box.x < text.x <= box.right
                  and box.y < text.y < box.bottom]  # fmt: skip
        home = min(around, key=lambda box: box.w * box.h, default=None)
        if home and text.right >= home.right:
            yield f"a text leaves its box: {text} {home}"
        wide = len(text.text) * 1.25 if text.kind == "title" else text.right
        if text.x < 0 or wide > picture.width + 1:
            yield f"a text is clipped: {text} of {picture.width}"


def _on(bar: Bar) -> set[Cell]:
    return {(x, y) for x in range(bar.x0, bar.x1 + 1) for y in range(bar.y0, bar.y1 + 1)}


def _bars(picture: Picture) -> Iterator[str]:
    for one, other in combinations(picture.bars, 2):
        # A bar goes on in a thin one, which ends at it.
        thin = [bar for bar in (one, other) if bar.thin]
        joints = {(bar.x0, y) for bar in thin for y in (bar.y0, bar.y1)}
        if (both := _on(one) & _on(other)) and not (thin and both <= joints):
            yield f"two bars meet: {one} {other}"
    for bar in picture.bars:
        if bar.label and bar.at + len(bar.label) > bar.x1 + 1:
            yield f"a label is longer than its bar: {bar}"
        if bar.x0 < 0 or bar.x1 > picture.width:
            yield f"a bar is outside: {bar}"
        for text in picture.sockets:
            if _on(bar) & _cells(text):
                yield f"a socket is over a bar: {text} {bar}"
        for text in picture.texts:
            if _on(bar) & _cells(text):
                yield f"a bar is over a text: {text} {bar}"


def _wires(picture: Picture) -> Iterator[str]:
    inner = [box for box in picture.boxes if box.kind != "host"]
    texts = {cell: text for text in picture.texts for cell in _cells(text)}
    sockets = {cell: text for text in picture.sockets for cell in _cells(text)}
    bars = {cell: bar for bar in picture.bars if not bar.thin for cell in _on(bar)}
    for wire in picture.wires:
        ends = {wire.points[0], wire.points[-1]}
        for cell, upright in wire.cells():
            for box in inner:
                a, b, c, d = _area(box)
                if a <= cell[0] <= c and b <= cell[1] <= d and cell not in ends:
                    yield f"a wire runs through a box: {wire} {box}"
            if cell in texts:
                yield f"a wire runs through a text: {wire} {texts[cell]}"
            if (bar := bars.get(cell)) and cell not in ends:
                yield f"a wire runs through a bar: {wire} {bar}"
            if text := sockets.get(cell):
                middle = abs(cell[0] - (text.x + text.right) / 2) <= 1 or text.kind == "no"
                # On a ladder the rung itself runs through its sockets.
                if not (middle if upright else cell[1] >= picture.tight) and cell not in ends:
                    yield f"a wire runs through a socket: {wire} {text}"


def _crossings(picture: Picture) -> Iterator[str]:
    """Wires may cross at right angles, and meet where one ends."""
    lain: dict[Cell, Counter[bool]] = {}
    ends = {point for wire in picture.wires for point in (wire.points[0], wire.points[-1])}
    corners = {point for wire in picture.wires for point in wire.points[1:-1]}
    for wire in picture.wires:
        for cell, upright in set(wire.cells()):
            lain.setdefault(cell, Counter())[upright] += 1
    for cell, ways in lain.items():
        several = max(ways.values()) > 1 or (cell in corners and sum(ways.values()) > 2)
        if several and cell not in ends and cell not in picture.dots:
            yield f"two wires are one at {cell}"
