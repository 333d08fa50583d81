"""Taps are closed side by side, as each waits for all processors."""

from threading import Barrier
from typing import Any

from cnetsh.system.taps import Taps


class WaitsForAnother:
    """A tap that is closed only while another one is."""

    def __init__(self, both: Barrier) -> None:
        self.both = both

    def close(self) -> None:
        self.both.wait(timeout=30)


def test_two_are_closed_at_once() -> None:
    both, taps = Barrier(2), Taps({})
    waiting: Any = {WaitsForAnother(both): "", WaitsForAnother(both): ""}
    taps._taps = waiting
    taps.close()
    assert not both.broken
