"""The signals that ask cnetsh to stop.

Python runs handlers in the main thread alone, between two of its instructions. So a handler is
late when the signal came just before a wait, and later still when no thread ends that wait.
"""

import os
import signal

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stop:
    """The signal that asked to stop, 0 while none came; the running command ends first.

    Each is written into a file as it arrives, in whichever thread, and any thread can read there
    which was the first. The file is open as long as signals may come: until the process ends.
    """

    def __init__(self) -> None:
        self._numbers = os.memfd_create("signals")
        os.set_blocking(self._numbers, False)
        signal.set_wakeup_fd(self._numbers)
        for number in SIGNALS:
            signal.signal(number, lambda *_: None)

    def __call__(self) -> int:
        first = os.pread(self._numbers, 1, 0)
        return first[0] if first else 0
