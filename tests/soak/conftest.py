"""Private hosts as in tests/kernel, and a table of the figures that were reached."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "kernel"))

import oracle
from hosts import Ordinary, Private, end_host, host_env, ordinary_user, start_holder

Figure = Callable[[str, int, int], None]
REACHED = pytest.StashKey[list[tuple[str, int, int]]]()


@pytest.fixture(scope="session", autouse=True)
def machine_untouched() -> Iterator[None]:
    """The machine's own network stays as it was."""
    before = oracle.outline()
    yield
    assert oracle.diff(before, oracle.outline()) == []


@pytest.fixture
def new_private() -> Iterator[Callable[[], Private]]:
    """Makes any number of private hosts; all end with the test."""
    holders = []

    def make() -> Private:
        holder = start_holder()
        holders.append(holder)
        assert holder.stdout and holder.stdout.readline() == "ready\n", "no namespaces here"
        return Private(holder.pid, host_env())

    try:
        yield make
    finally:
        for holder in holders:
            end_host(holder)


@pytest.fixture
def private(new_private: Callable[[], Private]) -> Private:
    """One private host."""
    return new_private()


@pytest.fixture
def ordinary(installed: Path) -> Iterator[Ordinary]:
    """An ordinary user."""
    with ordinary_user(installed) as user:
        yield user


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
