"""The README's session is what the program prints, and its example of a template works."""

import re
import shlex
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from hosts import Ordinary, report

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
LEFT_OUT = "…"
VARIES = re.compile(r"\d+(\.\d+)?( ?m?s\b)")


def blocks(after: str) -> Iterator[str]:
    """The code blocks after a heading."""
    yield from re.findall(r"^```\n(.*?)^```$", README.partition(after)[2], re.DOTALL | re.MULTILINE)


def lines_of(text: str) -> list[str]:
    return [VARIES.sub(r"T\2", line.rstrip()) for line in text.splitlines()]


def assert_shown(shown: list[str], printed: list[str]) -> None:
    """Every run of lines between two … is there, in order, and nothing else at the ends."""
    at = 0
    runs = [list(run) for left_out, run in groupby(shown, LEFT_OUT.__eq__) if not left_out]
    for run in runs:
        places = range(at, len(printed) - len(run) + 1)
        found = next((p for p in places if printed[p : p + len(run)] == run), None)
        assert found is not None, "\n".join(["not printed:", *run, "but:", *printed])
        assert found == 0 or shown[0] == LEFT_OUT or run is not runs[0], printed[:found]
        at = found + len(run)
    assert at == len(printed) or shown[-1] == LEFT_OUT, printed[at:]


def test_session(ordinary: Ordinary) -> None:
    session = next(blocks("## A session")).strip()
    for each in re.split(r"^\$ ", session, flags=re.MULTILINE)[1:]:
        command, _, shown = each.strip().partition("\n")
        done = ordinary.cnetsh(*shlex.split(command)[1:])
        assert_shown(lines_of(shown), lines_of(done.stdout + done.stderr))


def test_own_template(ordinary: Ordinary) -> None:
    for block in list(blocks("## Your own template"))[:3]:
        name, _, text = block.removeprefix("# ").partition("\n")
        file = ordinary.home / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
        file.chmod(0o644)
        file.parent.chmod(0o755)
    for command in ("up", "check", "down"):
        done = ordinary.cnetsh(command, "./two_rooms")
    assert "two_rooms is down, as before" in done.stderr, report(done)
