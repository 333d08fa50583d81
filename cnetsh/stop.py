"""The signals that ask cnetsh to stop."""

import signal

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stop:
    """The signal that asked to stop, 0 while none came; the running command ends first."""

    def __init__(self) -> None:
        self.signal = 0
        for number in SIGNALS:
            signal.signal(number, self._take)

    def _take(self, number: int, _: object) -> None:
        self.signal = self.signal or number

    def __call__(self) -> int:
        return self.signal
