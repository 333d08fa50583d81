"""What is started for a VM does not outlive a cnetsh that is killed, whatever the moment."""

import os
import select
import signal
import sys
from types import FrameType
from typing import Any, NoReturn

from cnetsh.targets.vm import machine

REACHED = 7


def killed_at(number: int, mark: int) -> NoReturn:
    """Start a program, and be killed before that line of this package's file runs."""
    left = number

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal left
        if frame.f_code.co_filename != machine.__file__:
            return None
        if event == "line":
            left -= 1
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    sys.settrace(trace)
    with machine.started(("/bin/sleep", "600"), [mark, mark, mark]) as child:
        os.kill(child.pid, signal.SIGKILL)
    os._exit(REACHED)


def test_a_program_ends_with_the_one_that_is_killed_at_any_line() -> None:
    ended, number = 0, 0
    while ended != REACHED:
        number += 1
        read, mark = os.pipe()
        pid = os.fork()
        if not pid:
            killed_at(number, mark)
        os.close(mark)
        ended = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        # Nobody holds the other end any more.
        gone, _, _ = select.select([read], [], [], 5)
        os.close(read)
        assert gone, f"left behind, when killed at line {number}"
    assert number > 8
