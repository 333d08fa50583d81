"""What tests/kernel/crash.py tells, for the tests and the soak that start it."""

import json
from collections.abc import Sequence
from typing import Any

from hosts import HERE, Private

Rows = list[dict[str, Any]]
CRASH = str(HERE / "crash.py")
POINTS = ("before intent", "after intent", "during", "before outcome", "after outcome")
KILLED = -9


def crash(host: Private, action: str, *, seconds: float = 600, **options: Any) -> Rows:
    """What the action of crash.py tells of each run, inside a private host."""
    return host.rows(CRASH, action, json.dumps(options), timeout=seconds)


def unequal(rows: Sequence[dict[str, Any]]) -> list[str]:
    """A line for each run after which `recover` did not end well, twice, with an equal kernel."""
    return [
        f"{row['run']}: exit {row['exit']}, recover {row['recover']}, left {row['left']}\n"
        f"{row['said']}{row['recovered']}{row['again']}"
        for row in rows
        if row["left"] or row["recover"] != [0, 0] or "nothing to recover" not in row["again"]
    ]
