"""The figures of one way at one size."""

import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from private import BrokenError

# The order in which they are shown, and what they are called.
WAYS = {
    "lab": "`cnetsh`, a lab file",
    "bridge": "`cnetsh`, the lab `bridge`",
    "article": "the article's script",
    "pipeline": "fastest `ip -batch` pipeline",
    "pyroute2": "pyroute2",
    "cni": "CNI bridge + host-local",
    "mininet": "mininet",
}


@dataclass
class Row:
    """What was measured, of how many containers, and in which table; figures by their unit."""

    what: str
    n: int
    table: str
    figures: dict[str, list[float]] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)

    def add(self, found: Mapping[str, float]) -> None:
        """Take in one run."""
        for unit, figure in found.items():
            self.figures.setdefault(unit, []).append(round(figure, 4))

    def take(self, run: Callable[[], Mapping[str, float]]) -> None:
        """Take in a run, or how it was broken, and say so."""
        try:
            self.add(run())
        except BrokenError as error:
            self.broken.append(str(error))
            print(f"{self.what}, {self.n} containers: broken: {error}", file=sys.stderr)

    @property
    def runs(self) -> int:
        return max((len(figures) for figures in self.figures.values()), default=0)

    def median(self, unit: str) -> float | None:
        """Give the median, or None when nothing was measured."""
        return statistics.median(self.figures[unit]) if unit in self.figures else None


def find(rows: Sequence[Row], what: str, n: int, unit: str) -> float | None:
    """Give the median of a way at a size, or None."""
    return next((row.median(unit) for row in rows if (row.what, row.n) == (what, n)), None)
