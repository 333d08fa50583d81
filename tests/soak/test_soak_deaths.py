"""The long figures of signals and deaths: on hosts, and of the sandbox that a first `up` builds."""

from collections.abc import Callable

import pytest
from hosts import Ordinary, Private
from test_deaths import deaths, summary, wrong
from test_first_up import wrong_beside_the_last_down, wrong_when_killed, wrong_when_stopped

pytestmark = pytest.mark.soak
Figure = Callable[[str, int, int], None]
DAY = 86_400


def test_signals_and_deaths(private: Private, figure: Figure) -> None:
    rows = deaths(private, range(1000, 2000), DAY)
    print(summary(rows), *wrong(rows)[:10], sep="\n")
    good = len(rows) - len(wrong(rows))
    figure("a signal or death at random: exit code true, recover: the twin", good, 1000)


@pytest.mark.parametrize(
    ("what", "search", "tries"),
    [
        ("SIGKILL in a first up: no half of a sandbox", wrong_when_killed, 400),
        ("a signal in a first up: the exit code is true", wrong_when_stopped, 400),
        ("an up beside the last down: both are well", wrong_beside_the_last_down, 100),
    ],
)
def test_the_first_up(
    ordinary: Ordinary,
    figure: Figure,
    what: str,
    search: Callable[[Ordinary, int, int], list[str]],
    tries: int,
) -> None:
    found = search(ordinary, tries, 2)
    print(*found[:10], sep="\n")
    figure(what, tries - len(found), tries)
