"""What commands share that change a target: its start, its lock, the means, how an undo is told."""

import shlex
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cnetsh.apply import journal
from cnetsh.apply.journal import Journal
from cnetsh.apply.rollback import Undone
from cnetsh.apply.run import Means, one_by_one
from cnetsh.apply.up import reason, undo
from cnetsh.commands.output import say, told
from cnetsh.commands.progress import Echo, Quiet
from cnetsh.compare.differences import Difference
from cnetsh.errors import DONE, FAILED, LEFT_BEHIND, CnetshError
from cnetsh.labs import choose
from cnetsh.system.process import require_descriptors, runner, through_sh
from cnetsh.system.signals import Stop
from cnetsh.targets import target
from cnetsh.targets.target import Action, Target


def start_target(where: Target) -> None:
    """Start the target's sandbox when it does not run. Raises CnetshError when it cannot be."""
    # Built in a process of its own, so an error of the building has to be told there.
    target.ensure(where, lambda: told(_build_sandbox))


def started(where: Target, action: Action) -> int:
    """Give the exit code of action, called in a target whose sandbox is started when needed."""
    # The one that was found running may end before it is entered, with its last lab.
    code = None
    while code is None:
        start_target(where)
        code = target.in_target(where, lambda: told(action))
    return code


def _build_sandbox() -> int:
    """Build the article's virtual machine by a lab of its own, which nothing undoes."""
    plans = choose.plans("sandbox", ())
    # Without journal and lock: nobody else can be in it yet, and a sandbox goes as a whole.
    means = Means(runner(), through_sh(()), Quiet(), lambda: 0)
    outcome = one_by_one(plans.up.steps, lambda **_: None, means)
    if outcome.failed is not None:
        raise CnetshError(reason(plans.up, outcome), code=FAILED)
    return DONE


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
