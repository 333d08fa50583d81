"""Private hosts as in tests/kernel, and a table of the figures that were reached."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "kernel"))

from fixtures import machine_untouched, new_private, ordinary, private

__all__ = ["machine_untouched", "new_private", "ordinary", "private"]
Figure = Callable[[str, int, int], None]
REACHED = pytest.StashKey[list[tuple[str, int, int]]]()


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Figure:
    """`figure(what, reached, wanted)` puts a line into the table; fewer than wanted fails."""
    reached = request.config.stash.setdefault(REACHED, [])

    def note(what: str, good: int, wanted: int) -> None:
        reached.append((what, good, wanted))
        assert good >= wanted, f"{what}: {good} of {wanted}"

    return note


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print the table."""
    for what, good, wanted in config.stash.get(REACHED, []):
        mark = "short" if good < wanted else "ok"
        terminalreporter.write_line(f"{what:<66}{good:>8} of {wanted:>7}  {mark}")
