"""What commands share that change a target: its start, its lock, the means, how an undo is told."""

import os
import shlex
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import TextIO

from cnetsh.apply import journal
from cnetsh.apply.ending import Undone
from cnetsh.apply.journal import Journal
from cnetsh.apply.run import Means, one_by_one
from cnetsh.apply.up import reason, undo
from cnetsh.commands.output import say, told
from cnetsh.commands.progress import Echo, Quiet
from cnetsh.errors import DONE, FAILED, LEFT_BEHIND, CnetshError
from cnetsh.labs import choose
from cnetsh.names import visible
from cnetsh.system import processes
from cnetsh.system.process import require_descriptors, runner, through_sh
from cnetsh.system.signals import Stop
from cnetsh.targets import target
from cnetsh.targets.target import Action, Target
from cnetsh.version import VERSION


def start_target(where: Target) -> None:
    """Start the target's sandbox when it does not run. Raises CnetshError when it cannot be."""
    # Built in a process of its own, so an error of the building has to be told there.
    target.ensure(where, lambda: told(build_machine))


def started(where: Target, action: Action) -> int:
    """Give the exit code of action, called in a target whose sandbox is started when needed."""
    # The one that was found running may end before it is entered, with its last lab.
    code = None
    while code is None:
        start_target(where)
        code = target.in_target(where, partial(told, action))
    return code


def build_machine() -> int:
    """Build the article's virtual machine by a lab of its own, which nothing undoes."""
    plans = choose.plans("sandbox", ())
    # Without journal and lock: nobody else can be in it yet, and a sandbox goes as a whole.
    means = Means(runner(), through_sh(()), Quiet(), lambda: 0)
    outcome = one_by_one(plans.up.steps, lambda **_: None, means)
    if outcome.failed is not None:
        raise CnetshError(reason(plans.up, outcome), code=FAILED)
    return DONE


@contextmanager
def changing(verbose: bool, log: TextIO | None) -> Iterator[Means]:
    """Hold the target's lock and give the means to change it."""
    require_descriptors()
    # Before the lock: a pipe that nobody reads would keep all others waiting.
    echo = Echo(verbose, log)
    # Children keep the lock open, so it is held until the last of them has ended.
    with Stop() as stop, journal.lock(sys.argv, stop) as lock:
        # What a plan makes is for all to read, whatever the caller keeps of his own files.
        os.umask(0o022)
        try:
            yield Means(runner(lock), through_sh((lock,)), echo, stop)
        finally:
            echo.over()


def unless_killed(code: int) -> int:
    """Give the exit code of a run in a target; after its death, say how to undo what it left."""
    # On a host nobody is left to tell it.
    if code != 128 + signal.SIGKILL:
        return code
    say("killed: cnetsh recover undoes what it left")
    return LEFT_BEHIND


def take_down(record: Journal, means: Means) -> int:
    """Undo a journal's lab and tell how that went; give the exit code."""
    tell_version(record)
    began = time.monotonic()
    undone = undo(record, means)
    return tell_ended(undone, f"{record.lab} is down", f"in {time.monotonic() - began:.2f} s")


def tell_version(record: Journal) -> None:
    """Tell of a lab that another version of cnetsh has brought up."""
    if record.other_version:
        say(f"{record.lab} was brought up by cnetsh {record.other_version}; this is {VERSION}")


def refuse_in_use(record: Journal, homes: Mapping[int, str], kill: bool) -> None:
    """Raise CnetshError while processes are in namespaces that are to go, or end just those."""
    # A process keeps its namespace alive, and all links in it, whatever is deleted.
    found = processes.found_in(homes, record.held)
    if found and kill:
        found = processes.kill(found, lambda: processes.found_in(homes, record.held))
    if found:
        names = ", ".join(f"{one.pid} ({one.name}) in {one.netns}" for one in found)
        raise CnetshError(
            f"{record.lab} is in use by process {names}", "end it, or --kill ends just those"
        )


def forget(record: Journal) -> int:
    """Remove the record of a lab that a reboot took: nothing is left to undo."""
    record.remove()
    say(f"{record.lab} went with the last reboot; nothing was executed, its record is removed")
    return DONE


def tell_ended(undone: Undone, what: str, seconds: str = "") -> int:
    """Tell how an undo ended; give 3 when something of the lab is left, else 0."""
    for line in undone.notes:
        say(f"  {visible(line)}")
    if not undone.left and not undone.others:
        say(", ".join(filter(None, (what, "as before", seconds))))
        return DONE
    if undone.others:
        meanwhile = f"{what}, as before, but for what others changed meanwhile:"
        say("not as before, besides:" if undone.left else meanwhile)
    for line in undone.others:
        say(f"  {visible(line)}")
    if not undone.left:
        return DONE
    say("left behind:")
    for one in undone.left:
        say(
            f"  {visible(one.text)}"
            + (f"\n    sudo sh -c {shlex.quote(one.advice)}" if one.advice else "")
        )
    return LEFT_BEHIND
