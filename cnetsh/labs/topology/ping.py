"""How long a ping waits, and how often it is sent, where links hold packets back or lose them."""

from collections.abc import Iterable
from math import ceil, inf, log, prod
from typing import NamedTuple

from cnetsh.labs.model import Container

MOST = 50  # seconds, less than any command may take
_BETWEEN = 0.2  # seconds: a user may send no faster (ping(8), -i)
_ALL_LOST = 1e-4  # how often a ping may fail where only chance loses packets; it is tried again
_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0}


class Patience(NamedTuple):
    """How many seconds a ping needs to be sure of an answer, and whether packets get lost."""

    seconds: float = 1
    lossy: bool = False

    @property
    def options(self) -> str:
        """The options of ping(8): one answer is enough; where packets get lost many are sent."""
        return f"-c1 -i{_BETWEEN} -w{self.within}" if self.lossy else f"-c1 -W{self.within}"

    @property
    def within(self) -> float:
        """The seconds that a command waits at most."""
        return min(MOST, self.seconds)

    @property
    def hopeless(self) -> bool:
        """Whether a ping says nothing of the lab: hardly one comes back, or none in time."""
        return self.seconds > MOST


def patience(models: Iterable[Container]) -> Patience:
    """Give the patience of a ping through all links of these containers."""
    cables = [one for model in models for one in model.interfaces]
    # Each end of a link holds back, and loses, what it sends.
    back = 2 * sum(_seconds(one.delay) for one in cables)
    kept = prod((1 - float(one.loss.rstrip("%") or 0) / 100) ** 2 for one in cables)
    # First a neighbour is asked for, which takes the same way.
    wait = max(1, ceil(2 * back + 0.5))
    if kept == 1:
        return Patience(wait)
    sent = log(_ALL_LOST) / log(1 - kept) if kept else inf
    return Patience(wait + ceil(_BETWEEN * sent) if sent < MOST / _BETWEEN else inf, True)


def _seconds(delay: str) -> float:
    number = delay.rstrip("mus")
    return float(number) * _SECONDS[delay.removeprefix(number)] if delay else 0
