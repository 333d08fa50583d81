"""Measures `up` and `down` by this checkout beside another one, in pairs that take turns.

Usage: against.py PATH [--pairs N] [--containers N]. Ends with 1 when the median of a figure's
ratios is above its bar, or when a run was broken.
"""

import argparse
import compileall
import statistics
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from private import BrokenError, measured
from ways import CHECKOUT

ROOT = Path(__file__).resolve().parents[2]
INSIDE = str(Path(__file__).with_name("inside.py"))
# How many times as long as the other checkout takes, at most. With two containers the start of the
# program is most of the time, so it is taken off there.
BARS = {"`up`": 1.05, "`down`": 1.1, "`up bridge` of 2 less start-up": 1.15}


def chosen() -> argparse.Namespace:
    """Give the options."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("other", metavar="PATH", type=Path, help="another checkout of cnetsh")
    parser.add_argument("--pairs", metavar="N", type=int, default=9)
    parser.add_argument("--containers", metavar="N", type=int, default=1000)
    return parser.parse_args()


def seconds(checkout: Path, n: int) -> Mapping[str, float]:
    """Give what a checkout takes to bring n containers up and down, and two, in the order of BARS.

    Each network is verified and deleted. Raises BrokenError.
    """
    setting = f"{CHECKOUT}={checkout}"
    many, two = (
        measured(["env", setting, sys.executable, INSIDE, way, str(number)])
        for way, number in (("lab", n), ("bridge", 2))
    )
    return dict(zip(BARS, (many["up"], many["down"], two["up - again"]), strict=True))


def pairs(other: Path, n: int, number: int) -> Iterator[Mapping[str, float]]:
    """Give the ratios of each pair, this checkout to the other; which is first takes turns."""
    for turn in range(number):
        order = (ROOT, other) if turn % 2 else (other, ROOT)
        took = {checkout: seconds(checkout, n) for checkout in order}
        ratios = {figure: took[ROOT][figure] / took[other][figure] for figure in BARS}
        print(", ".join(f"{figure} {ratio:.3f}" for figure, ratio in ratios.items()), flush=True)
        yield ratios


def main() -> int:
    options = chosen()
    other = options.other.resolve()
    for checkout in (ROOT, other):
        if not (checkout / "cnetsh").is_dir():
            raise SystemExit(f"{checkout} is no checkout of cnetsh")
        compileall.compile_dir(checkout / "cnetsh", quiet=2)
    try:
        ratios = list(pairs(other, options.containers, options.pairs))
    except BrokenError as error:
        raise SystemExit(f"broken: {error}") from None
    medians = {figure: statistics.median(pair[figure] for pair in ratios) for figure in BARS}
    print(f"{options.containers:,} containers, medians of {options.pairs} pairs:")
    for figure, bar in BARS.items():
        words = "ok" if medians[figure] <= bar else "short"
        print(f"{figure}: {medians[figure]:.3f}, wanted at most {bar} x: {words}")
    return int(any(medians[figure] > bar for figure, bar in BARS.items()))


if __name__ == "__main__":
    sys.exit(main())
