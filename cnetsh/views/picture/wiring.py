"""Wires that do not run straight: the cheapest way through the free cells of a picture."""

import heapq
from typing import NamedTuple

from cnetsh.views.picture.shapes import Cell, Picture, Wire

STEP, BEND, CROSSING, _BESIDE = 1, 6, 7, 3
_WAYS = ((0, 1), (1, 0), (0, -1), (-1, 0))
DOWN, RIGHT, UP, LEFT = range(4)
_UPRIGHT, _LEVEL = 1, 2


class Job(NamedTuple):
    """A wire to be drawn: from one cell, on a way, to another cell, on a way; and its kind."""

    start: Cell  # on a border, before which the first cell lies
    out: int
    end: Cell  # the same of the last cell
    into: int
    kind: str

    @property
    def first(self) -> Cell:
        return _next(self.start, self.out)

    @property
    def last(self) -> Cell:
        return _next(self.end, (self.into + 2) % 4)

    @property
    def length(self) -> int:
        return abs(self.start[0] - self.end[0]) + abs(self.start[1] - self.end[1])


def _next(cell: Cell, way: int) -> Cell:
    return cell[0] + _WAYS[way][0], cell[1] + _WAYS[way][1]


class Grid:
    """The cells of a picture: what is solid, and which wires lie where."""

    def __init__(self, picture: Picture, jobs: list[Job], width: int, height: int) -> None:
        self.picture, self.width, self.height = picture, width, height
        self.solid = picture.solid()
        # Nobody bends before somebody else's socket.
        self.ends = {cell for job in jobs for cell in (job.first, job.last)}
        self.lain: dict[Cell, int] = {}
        for wire in picture.wires:
            self.take(wire)

    def draw(self, job: Job) -> bool:
        """Draw a wire; say whether it found a way."""
        points = self.way(job)
        if points:
            self.picture.wires.append(Wire((job.start, *points, job.end), job.kind))
            self.take(self.picture.wires[-1])
        return points is not None

    def take(self, wire: Wire) -> None:
        for cell, upright in wire.cells():
            self.lain[cell] = self.lain.get(cell, 0) | (_UPRIGHT if upright else _LEVEL)

    def way(self, job: Job) -> list[Cell] | None:
        """Give the corners of the cheapest way (A*), None where there is none."""
        start, goal = (job.first, job.out), (job.last, job.into)
        own = {job.first, job.last}
        before: dict[tuple[Cell, int], tuple[Cell, int] | None] = {}
        queue = [(0, 0, start, start)]
        while queue:
            _, cost, at, last = heapq.heappop(queue)
            if at in before:
                continue
            before[at] = last if last != at else None
            if at == goal:
                return _corners(before, at)
            for way in range(4):
                cell = _next(at[0], way)
                if way == (at[1] + 2) % 4 or not self._free(cell, own):
                    continue
                if way != at[1] and at[0] in self.lain:
                    continue
                if (more := self._cost(cell, way)) is not None:
                    total = cost + more + (BEND if way != at[1] else 0)
                    left = abs(cell[0] - goal[0][0]) + abs(cell[1] - goal[0][1])
                    heapq.heappush(queue, (total + left, total, (cell, way), at))
        return None

    def _free(self, cell: Cell, own: set[Cell]) -> bool:
        inside = 0 <= cell[0] < self.width and 1 <= cell[1] < self.height
        return inside and (cell in own or not (cell in self.solid or cell in self.ends))

    def _cost(self, cell: Cell, way: int) -> int | None:
        """Give what a step costs; None along a wire, or across its corner."""
        axis = _UPRIGHT if way % 2 == 0 else _LEVEL
        lain = self.lain.get(cell, 0)
        if lain & axis or lain == _UPRIGHT | _LEVEL:
            return None
        x, y = (1, 0) if axis == _UPRIGHT else (0, 1)
        beside = sum(
            bool(self.lain.get((cell[0] + far * x, cell[1] + far * y), 0) & axis)
            for far in (-2, -1, 1, 2)
        )
        return STEP + (CROSSING if lain else 0) + _BESIDE * beside


def _corners(before: dict[tuple[Cell, int], tuple[Cell, int] | None],
             at: tuple[Cell, int]) -> list[Cell]:  # fmt: skip
    points = [at[0]]
    while last := before[at]:
        if last[1] != at[1]:
            points.append(last[0])
        at = last
    points.append(at[0])
    return points[::-1]
