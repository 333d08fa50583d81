"""The shapes of a picture, placed in character cells: columns from the left, rows from the top."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple, TypeAlias

Cell: TypeAlias = tuple[int, int]  # column, row
_UP, _DASHED, _DOTTED = "up", "dead", "down"


class Box(NamedTuple):
    """A box with its border: host, stack (the host's IP stack), nat, box or router."""

    x: int
    y: int
    w: int
    h: int
    kind: str
    several: bool = False  # it stands for more containers than one

    @property
    def right(self) -> int:
        return self.x + self.w - 1

    @property
    def bottom(self) -> int:
        return self.y + self.h - 1


class Bar(NamedTuple):
    """A bridge: a bar with its label from column `at` on, or a thin one that leads on to others."""

    x0: int
    y0: int
    x1: int
    y1: int
    label: str
    kind: str  # bar, iso (isolated), own (a link in no bridge), dead (no carrier) or down
    at: int = 0

    @property
    def thin(self) -> bool:
        """Whether it is an upright that only leads on."""
        return self.x0 == self.x1


class Label(NamedTuple):
    """Text from a cell on. As a socket, tag or pill, it has a frame of its own."""

    x: int
    y: int
    text: str
    kind: str

    @property
    def right(self) -> int:
        return self.x + len(self.text) - 1


class Wire(NamedTuple):
    """A line from corner to corner: up, dead (no carrier), down, or iso (nothing is forwarded)."""

    points: tuple[Cell, ...]
    kind: str

    def cells(self) -> Iterator[tuple[Cell, bool]]:
        """Give the cells that it is in, and whether it runs upright there; a corner comes twice."""
        for (x0, y0), (x1, y1) in pairwise(self.points):
            for x in range(min(x0, x1), max(x0, x1) + 1):
                for y in range(min(y0, y1), max(y0, y1) + 1):
                    yield (x, y), x0 == x1


@dataclass(slots=True)
class Picture:
    """A picture as it grows: what is drawn, and how large it is."""

    title: str
    width: int = 0
    boxes: list[Box] = field(default_factory=list)
    bars: list[Bar] = field(default_factory=list)
    wires: list[Wire] = field(default_factory=list)
    sockets: list[Label] = field(default_factory=list)
    texts: list[Label] = field(default_factory=list)
    dots: list[Cell] = field(default_factory=list)  # where a wire leaves another
    tight: int = 1 << 30  # from this row on sockets are as high as a line

    def socket(self, middle: int, y: int, text: str, kind: str) -> Label:
        """Add a framed text around a column, and give it."""
        self.sockets.append(Label(middle - len(text) // 2, y, text, kind))
        return self.sockets[-1]

    def wire(self, kind: str, *points: Cell) -> None:
        self.wires.append(Wire(points, kind))

    @property
    def height(self) -> int:
        """How many rows it has."""
        rows = [box.bottom + box.several for box in self.boxes]
        rows += [y for wire in self.wires for _, y in wire.points]
        rows += [text.y for text in (*self.texts, *self.sockets)]
        return 1 + max([*rows, *(bar.y1 for bar in self.bars)])

    def solid(self) -> set[Cell]:
        """Give the cells that no wire may run through, with a column around each thing."""
        cells: set[Cell] = set()
        for box in self.boxes:
            more = int(box.several)
            cells |= _area(box.x - 1, box.y, box.right + 1 + more, box.bottom + more)
        for bar in self.bars:
            cells |= _area(bar.x0 - 1, bar.y0, bar.x1 + 1, bar.y1)
        for text in (*self.sockets, *self.texts):
            cells |= _area(text.x - 1, text.y, text.right + 1, text.y)
        return cells

    def without_idle_rows(self, spare: Iterable[tuple[int, int]]) -> None:
        """Take out the rows of pairs in which nothing lies across, but two of each."""
        used = {text.y for text in (*self.sockets, *self.texts)}
        used |= {y for box in self.boxes for y in range(box.y, box.bottom + 1)}
        used |= {bar.y0 for bar in self.bars if not bar.thin}
        used |= {y for wire in self.wires for (_, y), upright in wire.cells() if not upright}
        idle = [[y for y in range(a, b + 1) if y not in used] for a, b in spare]
        gone = {y for rows in idle for y in rows[: max(0, len(rows) - 2)]}
        self._move({y: y - sum(each < y for each in gone) for y in range(self.height + 2)})

    def _move(self, to: dict[int, int]) -> None:
        self.sockets = [text._replace(y=to[text.y]) for text in self.sockets]
        self.texts = [text._replace(y=to[text.y]) for text in self.texts]
        self.bars = [bar._replace(y0=to[bar.y0], y1=to[bar.y1]) for bar in self.bars]
        self.dots = [(x, to[y]) for x, y in self.dots]
        self.wires = [Wire(tuple((x, to[y]) for x, y in wire.points), wire.kind)
                      for wire in self.wires]  # fmt: skip
        self.boxes = [box._replace(y=to[box.y], h=to[box.bottom] - to[box.y] + 1)
                      for box in self.boxes]  # fmt: skip


def _area(x0: int, y0: int, x1: int, y1: int) -> set[Cell]:
    return {(x, y) for x in range(x0, x1 + 1) for y in range(y0, y1 + 1)}


def socket_of(name: str, state: str = "") -> str:
    """Give what stands in a socket: the link's name, and what is wrong with it."""
    return f"[{name} {state}]" if state else f"[{name}]"


def line_kind(*states: str) -> str:
    """Give how a wire is drawn whose ends and bridges are in these states."""
    return _DOTTED if "down" in states else _DASHED if "no carrier" in states else _UP
