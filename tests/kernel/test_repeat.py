"""The same again and again: nothing gathers, nothing is in the way of the next run."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import oracle
from hosts import Private, report
from runs import Rows, crash


@contextmanager
def load() -> Iterator[None]:
    """Two processes that want all of two processors."""
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2)]
    try:
        yield
    finally:
        for each in busy:
            each.kill()
            each.wait()


def wrong(rows: Rows) -> Rows:
    return [row for row in rows if row["exit"] or row["left"]]


class TestUpAndDown:
    def test_many_times_leave_nothing(self, private: Private) -> None:
        rows = crash(private, "cycles", lab="container", number=8, settings=[])
        assert wrong(rows) == [] and rows[-1]["run"] == "container cycle 8"

    def test_at_once_after_each_other_under_load(self, private: Private) -> None:
        """`ip netns delete` is asynchronous: names may still be taken when it is over."""
        with load():
            rows = crash(private, "cycles", lab="bridge", number=3, settings=[])
        assert wrong(rows) == [] and rows[-1]["run"] == "bridge cycle 3"

    def test_of_a_long_plan_leave_nothing(self, private: Private) -> None:
        rows = crash(private, "cycles", lab="routing", number=1, settings=["containers=50"])
        assert wrong(rows) == []

    def test_twice(self, private: Private) -> None:
        before = private.snapshot()
        private.cnetsh("up", "routing")
        there = private.snapshot(settled=0.2)
        again = private.cnetsh("up", "routing")
        assert "is up already" in again.stderr and "[1/" not in again.stderr, report(again)
        assert oracle.diff(there, private.snapshot()) == []
        private.cnetsh("down", "routing")
        again = private.cnetsh("down", "routing")
        assert "is not up" in again.stderr and "undo" not in again.stderr, report(again)
        assert oracle.diff(before, private.snapshot()) == []

    def test_without_up(self, private: Private) -> None:
        before = private.snapshot()
        assert "is not up" in private.cnetsh("down", "bridge").stderr
        assert "nothing to recover" in private.cnetsh("recover").stderr
        assert oracle.diff(before, private.snapshot()) == []
