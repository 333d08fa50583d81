"""Measures `up` of a lab file by this checkout beside another one, in pairs that take turns.

Usage: against.py PATH [--pairs N] [--containers N]. Ends with 1 when the median of all ratios
is above the bar, or when a run was broken.
"""

import argparse
import compileall
import statistics
import sys
from pathlib import Path

from private import BrokenError, measured
from ways import CHECKOUT

ROOT = Path(__file__).resolve().parents[2]
INSIDE = str(Path(__file__).with_name("inside.py"))
BAR = 1.05


def chosen() -> argparse.Namespace:
    """Give the options."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("other", metavar="PATH", type=Path, help="another checkout of cnetsh")
    parser.add_argument("--pairs", metavar="N", type=int, default=7)
    parser.add_argument("--containers", metavar="N", type=int, default=1000)
    return parser.parse_args()


def seconds(checkout: Path, n: int) -> float:
    """Give how long one `up` of n containers takes by a checkout, start-up included.

    The network is verified and deleted. Raises BrokenError.
    """
    setting = f"{CHECKOUT}={checkout}"
    return float(measured(["env", setting, sys.executable, INSIDE, "lab", str(n)])["up"])


def pair(turn: int, other: Path, n: int) -> float:
    """Give one ratio, this checkout to the other; which of them is first takes turns."""
    order = (ROOT, other) if turn % 2 else (other, ROOT)
    took = {checkout: seconds(checkout, n) for checkout in order}
    ratio = took[ROOT] / took[other]
    print(f"{took[ROOT]:.3f} s, the other {took[other]:.3f} s: {ratio:.3f}", flush=True)
    return ratio


def main() -> int:
    options = chosen()
    other = options.other.resolve()
    for checkout in (ROOT, other):
        if not (checkout / "cnetsh").is_dir():
            raise SystemExit(f"{checkout} is no checkout of cnetsh")
        compileall.compile_dir(checkout / "cnetsh", quiet=2)
    try:
        ratios = [pair(turn, other, options.containers) for turn in range(options.pairs)]
    except BrokenError as error:
        raise SystemExit(f"broken: {error}") from None
    median = statistics.median(ratios)
    words = "ok" if median <= BAR else "short"
    what = f"`up` of {options.containers:,} against the other checkout"
    print(f"{what}: {median:.3f}, wanted at most {BAR} x: {words} ({len(ratios)} pairs)")
    return int(median > BAR)


if __name__ == "__main__":
    sys.exit(main())
