"""Measures cnetsh beside the article's script, `ip -batch` pipelines and other programs.

Everything measured is written to docs/bench.json, docs/bench.md and docs/bench.svg, a part of it
only printed. Ends with 1 only when a run was broken.
"""

import argparse
import compileall
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import installed
import picture
import planning
import report
from private import measured
from rows import WAYS, Row

ROOT = Path(__file__).parents[2]
INSIDE, DAILY = (str(Path(__file__).with_name(name)) for name in ("inside.py", "daily.py"))
SLOW = ("article", "mininet", "cni", "pyroute2")


def chosen() -> argparse.Namespace:
    """Give the options."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="2, 10 and 100 containers, own ways")
    parser.add_argument("--full", action="store_true", help="3 runs also of slow ways with 1,000")
    parser.add_argument(
        "--only", metavar="NAME", action="append", help=f"{', '.join(WAYS)}, plan, day"
    )
    parser.add_argument("--sizes", metavar="N", type=int, nargs="+", help="numbers of containers")
    parser.add_argument("--json", metavar="FILE", type=Path, help="figures to FILE, not to docs/")
    parser.add_argument("--no-install", action="store_true", help="only peers that are there")
    return parser.parse_args()


def rounds(n: int) -> int:
    """Give how often a way is run: the shorter it is, the more its figures spread."""
    return 5 if n <= 10 else 3


def turns(ways: Sequence[str], n: int, full: bool) -> Iterator[str]:
    """Give the ways in the order of their runs; with 1,000 containers slow ones come just once."""
    slow = [way for way in ways if way in SLOW] if n >= 1000 and not full else []
    quick = [way for way in ways if way not in slow]
    count = rounds(n)
    for turn in range(count):
        start = turn % max(1, len(quick))
        yield from [*quick[start:], *quick[:start], *slow[turn::count]]


def compare(ways: Mapping[str, str], n: int, full: bool) -> list[Row]:
    """Run the ways by turns with n containers, each by its interpreter."""
    rows = {way: Row(way, n, "ways") for way in ways if way != "bridge" or n in (2, 100)}
    for way in turns(list(rows), n, full):
        rows[way].take(lambda way=way: measured([ways[way], INSIDE, way, str(n)]))
        tell(f"{n:,} containers, {report.progress(rows[way])}")
    return list(rows.values())


def together(n: int) -> list[Row]:
    """Measure the memory of all processes of `up` at one time, in a run that is not timed."""
    row = Row("lab in all", n, "memory")
    command = [sys.executable, INSIDE, "lab", str(n), "memory"]
    row.take(lambda: {"MiB in all": measured(command)["up"]})
    return [row]


def days(quick: bool) -> list[Row]:
    """Measure what is done with a lab that is up, and how `up` and `down` grow, by turns."""
    rows = [Row("a day", n, "day") for n in ((100,) if quick else (100, 1000))]
    rows += [] if quick else [Row("five bridges", n, "day") for n in (1000, 4000)]
    for _ in range(3):
        for row in rows:
            more = ["1", "all"] if row.what == "a day" else ["5"]
            row.take(
                lambda row=row, more=more: measured([sys.executable, DAILY, str(row.n), *more])
            )
            tell(f"{row.n:,} containers, {report.progress(row)}")
    return rows


def plans(quick: bool) -> list[Row]:
    """Measure starts and plans."""
    wanted = planning.QUICK if quick else planning.PLANS
    rows = [*planning.starts(5 if quick else 11), *planning.plans(wanted, 3)]
    for row in rows:
        tell(f"{row.n:,} containers, {report.progress(row)}")
    return rows


def tell(text: str) -> None:
    """Say how it goes on."""
    print(text, file=sys.stderr, flush=True)


def said(*argv: str) -> str:
    """Give what a command prints, or nothing."""
    try:
        return subprocess.run(argv, capture_output=True, text=True, cwd=ROOT).stdout.strip()
    except OSError:
        return ""


def machine(load: float) -> dict[str, str]:
    """Give what the figures depend on."""
    processor = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            processor = line.partition(": ")[2]
    return {
        "date": time.strftime("%Y-%m-%d"),
        "commit": said("git", "rev-parse", "--short", "HEAD"),
        "CPUs": f"{os.cpu_count()} ({processor})",
        "kernel": platform.release(),
        "Python": platform.python_version(),
        "iproute2": said("ip", "-V").rpartition("-")[2].partition(",")[0],
        "load before and after": f"{load:.1f} and {os.getloadavg()[0]:.1f}",
    }


def interpreters(options: argparse.Namespace) -> dict[str, str]:
    """Give the ways to measure with their interpreters, and say which are not there."""
    found = dict.fromkeys(("lab", "bridge", "article", "pipeline"), sys.executable)
    wanted = options.only or [*found] if options.quick else options.only or [*WAYS]
    if set(wanted) & set(SLOW[1:]):
        found |= installed.interpreters(not options.no_install)
    if lacking := [way for way in wanted if way in WAYS and way not in found]:
        tell(f"not measured, for it is not installed: {', '.join(lacking)}")
    return {way: found[way] for way in WAYS if way in wanted and way in found}


def measure(options: argparse.Namespace) -> list[Row]:
    """Take all figures that are asked for."""
    ways = interpreters(options)
    sizes = options.sizes or report.SIZES[: 3 if options.quick else 4]
    rows = plans(options.quick) if not options.only or "plan" in options.only else []
    for n in sizes if ways else ():
        rows += compare(ways, n, options.full)
    rows += days(options.quick) if not options.only or "day" in options.only else []
    if "lab" in ways and 1000 in sizes:
        rows += together(1000)
    return rows


def main() -> int:
    options = chosen()
    whole = not (options.quick or options.only or options.sizes)
    load = os.getloadavg()[0]
    compileall.compile_dir(ROOT / "cnetsh", quiet=2)
    rows = measure(options)
    facts = machine(load)
    if options.json:
        options.json.write_text(report.as_json(rows, facts))
    elif whole:
        footer = f"{facts['CPUs']}, Linux {facts['kernel']}, {facts['date']}; make bench"
        report.write(ROOT / "docs", rows, facts, picture.draw(rows, f"CPUs: {footer}"))
    print(report.markdown(rows, facts, whole))
    return 1 if any(row.broken for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
