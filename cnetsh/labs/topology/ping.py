"""One ping or call as it is typed, and how long it waits.

Where links hold packets back or lose them it is sent more often.
"""

from collections.abc import Iterable, Iterator
from math import ceil, inf, log, prod
from typing import NamedTuple

from cnetsh.labs.model import Container
from cnetsh.names import Ip

_MOST = 50  # seconds, less than any command may take
_BETWEEN = 0.2  # seconds: a user may send no faster (ping(8), -i)
_ALL_LOST = 1e-4  # how often a ping may fail where only chance loses packets; it is tried again
_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0}
_CALLS = {
    "tcp": "</dev/tcp/{}/{}",
    "udp": "exec 3<>/dev/udp/{}/{} && echo cnetsh >&3 && read -n1 -u3",
}


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
        return min(_MOST, self.seconds)

    @property
    def hopeless(self) -> bool:
        """Whether a ping says nothing of the lab: hardly one comes back, or none in time."""
        return self.seconds > _MOST


class Ping(NamedTuple):
    """One ping, or with a port the call of it."""

    source: str  # "" = the host
    target: Ip
    fails: str = ""  # why nothing must come back
    needs: str = ""  # what the target must have
    note: str = ""
    port: int = 0
    protocol: str = ""
    listen: str = ""  # the container's port that is called in the end
    patience: Patience = Patience()
    control: tuple["Ping", ...] = ()  # that must work for a failure to count
    no_control: str = ""  # why there are none

    @property
    def command(self) -> str:
        """The command as it is typed."""
        place = f"ip netns exec {self.source} " if self.source else ""
        if self.port:
            call = _CALLS[self.protocol].format(self.target, self.port)
            return f"{place}timeout {self.patience.within} bash -c '{call}'"
        return f"{place}ping {self.patience.options} {self.target}"

    @property
    def asked(self) -> tuple[str, Ip, int, str]:
        """What tells it from others: who is asked by whom, and at which port."""
        return self.source, self.target, self.port, self.protocol

    @property
    def directives(self) -> Iterator[str]:
        """What is said of the command, as a template does."""
        if self.fails:
            yield f"expect failure: {self.fails}"
            yield from (f"control {one.command}" for one in self.control)
            yield from [f"control none: {self.no_control}"] if self.no_control else ()
        if self.needs:
            yield f"needs {self.needs}"
        if self.listen:
            yield f"listen {self.listen}"

    @property
    def hopeless(self) -> bool:
        """Whether an answer is left to chance: a call by udp sends one packet, and no second."""
        return self.patience.hopeless or (self.patience.lossy and self.protocol == "udp")


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
    return Patience(wait + ceil(_BETWEEN * sent) if sent < _MOST / _BETWEEN else inf, True)


def _seconds(delay: str) -> float:
    number = delay.rstrip("mus")
    return float(number) * _SECONDS[delay.removeprefix(number)] if delay else 0
