"""Signals, deaths and a full disk at random moments: the exit code is true, and all is undone."""

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from hosts import HERE, Private
from runs import Rows

pytestmark = pytest.mark.long

PARTS, EACH = 5, 12


def deaths(host: Private, seeds: Sequence[int], seconds: float = 600) -> Rows:
    asked = json.dumps({"seeds": list(seeds)})
    return host.rows(str(HERE / "deaths.py"), asked, timeout=seconds)


def wrong(rows: Rows) -> list[str]:
    return [told(row) for row in rows if row["wrong"]]


def told(row: dict[str, Any]) -> str:
    lines = [f"{row['run']}: exit {row['exit']}", str(row["wrong"]), row["said"], *row["ends"]]
    return "\n".join(lines)


def summary(rows: Rows) -> str:
    """How many runs of each command went wrong, and in which way."""
    runs = Counter(row["command"] for row in rows)
    ways = Counter((row["command"], row["how"], way) for row in rows for way in row["wrong"])
    lines = [f"{command}: {number} runs" for command, number in runs.items()]
    lines += [f"{' '.join(way)}: {number}" for way, number in ways.items()]
    gone = sum(row["gone"] for row in rows)
    return "\n".join([*lines, f"a sandbox that ended after its lab was said to be up: {gone}"])


@pytest.mark.parametrize("part", range(PARTS))
def test_the_exit_code_is_true_and_recover_leaves_the_twin(private: Private, part: int) -> None:
    """Sixty in all; `make soak` tries a thousand."""
    rows = deaths(private, range(part * EACH, (part + 1) * EACH))
    print(summary(rows))
    assert not wrong(rows), "\n".join(wrong(rows))
