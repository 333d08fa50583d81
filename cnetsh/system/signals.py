"""The signals that ask cnetsh to stop: they end it, are noted, or are passed on to a child.

Python runs handlers in the main thread alone, between two of its instructions. When the kernel
gives a signal to another thread, or to that one just before a wait, nothing ends the wait, and the
handler is as late as what is waited for.
"""

import errno
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_HELD = {*SIGNALS, signal.SIGUSR1, signal.SIGCHLD}


def end_at_once() -> None:
    """Have a signal end this process with 128 and its number, until somebody takes care of it.

    An exception would come up anywhere, also where nobody can catch it. What the caller has this
    process ignore, as nohup(1) does, stays ignored; but of a child's end it must hear.
    """
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for number in SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, lambda number, _: os._exit(128 + number))


class StopSignal:
    """The signal that asked to stop, 0 while none came; the running command ends first.

    Each is written into a file as it arrives, in whichever thread, and any thread can read there
    which was the first. Used in a `with`; what comes after it is too late to change anything.
    """

    def __enter__(self) -> "StopSignal":
        self._numbers = os.memfd_create("signals")
        os.set_blocking(self._numbers, False)
        signal.set_wakeup_fd(self._numbers)
        for number in SIGNALS:
            signal.signal(number, lambda *_: None)
        return self

    def __exit__(self, *_: object) -> None:
        signal.set_wakeup_fd(-1)
        os.close(self._numbers)

    def come(self, number: int) -> None:
        """Stop as if that signal had come."""
        os.write(self._numbers, bytes([number]))

    def __call__(self) -> int:
        first = os.pread(self._numbers, 1, 0)
        return first[0] if first else 0


@contextmanager
def terminal_kept() -> Iterator[None]:
    """Have the terminal back from a shell that has ended in a sandbox: it cannot name who is here.

    Whoever came in front meanwhile, while this ran in the background, keeps it.
    """
    ours = _in_front() == os.getpgrp()
    try:
        yield
    finally:
        if ours and not _is_alive(_in_front()):
            _give_terminal(os.getpgrp())


def take_terminal() -> None:
    """Come in front of the terminal in a group of one's own, where who is there has no number here.

    pid_namespaces(7): a process outside is 0, and a shell wants to give the terminal back to it.
    """
    if _in_front() == 0:
        # Every start loads this file, and few begin a shell.
        import termios

        with suppress(termios.error):
            # Who is in the background is stopped here, until it is in front.
            termios.tcdrain(0)
        os.setpgid(0, 0)
        _give_terminal(os.getpgrp())


def _in_front() -> int:
    try:
        return os.tcgetpgrp(0)
    except OSError:
        return -1


def _is_alive(group: int) -> bool:
    """Say whether a group in front has processes; it is -1 where there is no terminal."""
    if group > 0:
        try:
            os.killpg(group, 0)
        except OSError as error:
            return error.errno == errno.EPERM
    return group != 0


def _give_terminal(group: int) -> None:
    # tcsetpgrp(3): who is not in front is stopped, unless the signal is held.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTOU})
    with suppress(OSError):
        os.tcsetpgrp(0, group)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTTOU})


def hold_back() -> None:
    """Hold signals back: a child is to be started, and `follow` passes them on to it.

    They stay held when it has ended, for its exit code says what this process has done.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, _HELD)


def release() -> None:
    """Let signals come again: those that were held, at once."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _HELD)


def held_back() -> int:
    """Give the first of the signals that are held and ask to stop, 0 where there is none."""
    return min(signal.sigpending() & set(SIGNALS), default=0)


def wait_for(pid: int) -> int:
    """Wait for a child, pass on to it what was held and what comes, and give its exit code.

    As in every shell, that is 128 and the signal's number where one has ended it.
    """
    code = followed(pid, partial(os.kill, pid))
    return code if code >= 0 else 128 - code


def followed(pid: int, pass_on: Callable[[int], None]) -> int:
    """Do the same by pass_on; give a negative exit code for the signal that ended the child.

    What has come is held again, for the next child: this one may have gone on in spite of it.
    """
    passed: set[int] = set()
    while True:
        number = signal.sigwait(_HELD)
        if number != signal.SIGCHLD:
            pass_on(number)
            passed |= {number} & set(SIGNALS)
        elif (ended := os.waitpid(pid, os.WNOHANG))[0]:
            for number in passed:
                os.kill(os.getpid(), number)
            return os.waitstatus_to_exitcode(ended[1])
