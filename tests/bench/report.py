"""The figures as a page, as a picture, and as JSON."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from rows import WAYS, Row, find
from targets import Target, ratio, targets

SIZES = (2, 10, 100, 1000)
WORDS = {True: "ok", False: "short", None: "not measured"}
MEANS = """\
# How fast it is

![how many times as fast as the article's script](bench.svg)

Seconds, medians; in brackets how many times as fast as the article's script; then the number of
runs. The ways take turns, each run in a network namespace of its own, and each network is verified
after it is built. `cnetsh` is timed as a whole process with its start-up; its lab `bridge` keeps
the article's commands. The script is bash without sudo; the others are timed without the start of
their interpreter. `down` lasts until the links are gone. Start-up, where it is taken off, is
`cnetsh up` of the same lab with 2 containers when it is up already.
"""
# Written by hand: what profiles say of the targets that are missed, and which designs were tried.
REASONS = Path(__file__).with_name("reasons.md").read_text()


def table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Give a markdown table, or nothing without lines; columns after the first are numbers."""
    ruler = ["---", *("---:" for _ in head[1:])]
    whole = (head, ruler, *lines) if lines else ()
    return "".join(f"| {' | '.join(line)} |\n" for line in whole)


def compared(rows: Sequence[Row], unit: str) -> str:
    """Give the table of all ways and sizes for `up` or `down`."""
    sizes = sorted({row.n for row in rows if row.table == "ways"})
    lines = [
        [name, *(_cell(rows, way, n, unit) for n in sizes)]
        for way, name in WAYS.items()
        if any(row.what == way and unit in row.figures for row in rows)
    ]
    return table([f"`{unit}` of", *(f"{n:,}" for n in sizes)], lines)


def _cell(rows: Sequence[Row], way: str, n: int, unit: str) -> str:
    row = next((row for row in rows if (row.what, row.n) == (way, n)), None)
    if row is None:
        return ""
    if row.broken:
        return "broken"
    if (time := row.median(unit)) is None:
        return ""
    faster = ratio(find(rows, "article", n, unit), time)
    times = f" ({_short(faster)}x)" if faster and way != "article" else ""
    return f"{_short(time)} s{times}, {row.runs}"


def _short(figure: float) -> str:
    """Give a number with two digits that count."""
    return f"{figure:.0f}" if figure >= 10 else f"{figure:#.2g}"


def progress(row: Row) -> str:
    """Give the last run in one line."""
    last = (f"{k} {v[-1]:.3f}{' s' if k not in ('MiB', 'seconds') else ''}"
            for k, v in row.figures.items())  # fmt: skip
    return f"{row.what}: {', '.join(last)}"


def processes(rows: Sequence[Row]) -> str:
    """Give the table of starts and plans."""
    lines = [
        [f"`{row.what}`{f', {row.n:,} containers' if row.n else ''}", *_cost(row), str(row.runs)]
        for row in rows
        if row.table in ("start", "plan")
    ]
    return table(["process", "seconds", "most memory, MiB", "runs"], lines)


def daily(rows: Sequence[Row]) -> str:
    """Give the table of what is done with a lab that is up, and of how `up` and `down` grow."""
    days = [row for row in rows if row.table == "day"]
    head = list(dict.fromkeys(unit for row in days for unit in row.figures))
    lines = [
        [
            f"{row.what}, {row.n:,} containers",
            *(_seconds(row, unit) for unit in head),
            str(row.runs),
        ]
        for row in days
    ]
    return table(["seconds", *(f"`{unit}`" for unit in head), "runs"], lines)


def _seconds(row: Row, unit: str) -> str:
    median = row.median(unit)
    return "broken" if row.broken else "" if median is None else _short(median)


def _cost(row: Row) -> Iterator[str]:
    for unit in ("seconds", "MiB"):
        median = row.median(unit)
        yield "broken" if row.broken or median is None else f"{median:.3g}"


def judged(lines: Sequence[Target], whole: bool) -> str:
    """Give the table of targets; those that were not measured only when it is to be whole."""
    words = [
        [
            one.what,
            "" if one.measured is None else f"{one.measured:.3g}",
            f"{'≥' if one.at_least else '≤'} {one.wanted:g} {one.unit}",
            WORDS[one.ok],
        ]
        for one in lines
        if whole or one.measured is not None
    ]
    return table(["what", "measured", "wanted", ""], words)


def markdown(rows: Sequence[Row], machine: Mapping[str, str], whole: bool = True) -> str:
    """Give the page; not the whole one when only a part was measured."""
    where = "; ".join(f"{key} {value}" for key, value in machine.items())
    pages = [MEANS, compared(rows, "up"), compared(rows, "down"), daily(rows), processes(rows)]
    pages += [judged(targets(rows), whole), f"{where}. Measured anew by `make bench`.\n"]
    pages += [REASONS] if whole else []
    return "\n".join(page for page in pages if page)


def as_json(rows: Sequence[Row], machine: Mapping[str, str]) -> str:
    """Give every figure that was taken."""
    judged = [asdict(one) | {"ok": one.ok} for one in targets(rows)]
    found = {"machine": machine, "rows": [asdict(row) for row in rows], "targets": judged}
    return json.dumps(found, indent=1, ensure_ascii=False) + "\n"


def write(folder: Path, rows: Sequence[Row], machine: Mapping[str, str], picture: str) -> None:
    """Write bench.json, bench.md and bench.svg."""
    folder.mkdir(exist_ok=True)
    (folder / "bench.json").write_text(as_json(rows, machine))
    (folder / "bench.md").write_text(markdown(rows, machine))
    (folder / "bench.svg").write_text(picture)
