"""What commands share that change a target: its lock, the means, and how an undo is told."""

import shlex
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cnetsh.apply import journal
from cnetsh.apply.journal import Journal
from cnetsh.apply.rollback import Undone
from cnetsh.apply.run import Means
from cnetsh.apply.up import undo
from cnetsh.commands.output import say
from cnetsh.commands.progress import Echo
from cnetsh.compare.differences import Difference
from cnetsh.errors import DONE, LEFT_BEHIND
from cnetsh.system.process import require_descriptors, runner, through_sh
from cnetsh.system.signals import Stop


@contextmanager
def changing(verbose: bool, log: Path | None) -> Iterator[Means]:
    """Hold the target's lock and give the means to change it."""
    require_descriptors()
    # Children keep the lock open, so it is held until the last of them has ended.
    with Stop() as stop, journal.lock(sys.argv, stop) as lock:
        echo = Echo(verbose, log)
        try:
            yield Means(runner(lock), through_sh((lock,)), echo, stop)
        finally:
            echo.over()


def take_down(record: Journal, means: Means) -> int:
    """Undo a journal's lab and tell how that went; give the exit code."""
    began = time.monotonic()
    undone = undo(record, means)
    if code := tell_left(undone):
        return code
    say(f"{record.lab} is down, the target as before, in {time.monotonic() - began:.2f} s")
    return DONE


def forget(record: Journal) -> int:
    """Remove the record of a lab that a reboot took: nothing is left to undo."""
    record.remove()
    say(f"{record.lab} went with the last reboot; nothing was executed, its record is removed")
    return DONE


def tell_left(undone: Undone) -> int:
    """Tell what an undo left; give 3 when something of the lab is left, else 0."""
    for one in undone.others:
        say(f"  changed meanwhile, not by this lab, left as it is: {one.text}")
    for line in undone.kept:
        say(f"  {line}")
    if not undone.residue:
        return DONE
    say("left behind:")
    for one in undone.residue:
        say(f"  {one.text}{_mend(one)}")
    return LEFT_BEHIND


def _mend(one: Difference) -> str:
    """Give the line with the command that removes a residue, where there is one."""
    command = shlex.join(one.command)
    # As in the plan: the one pipe there is writes a setting.
    if one.stdin:
        command = f"echo {one.stdin.strip()} | {command}"
    return f"\n    sudo sh -c {shlex.quote(command)}" if command else ""
