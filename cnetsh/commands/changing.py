"""How commands come to change a target: its start, its lock and the means."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from cnetsh.apply.lock import held
from cnetsh.apply.run import Means, one_by_one
from cnetsh.apply.up import reason
from cnetsh.commands.output import exit_code_of, say
from cnetsh.commands.progress import Echo, Telling
from cnetsh.errors import DONE, FAILED, LEFT_BEHIND, CnetshError
from cnetsh.labs import choose
from cnetsh.system.process import never, require_descriptors, runner, through_sh
from cnetsh.system.signals import StopSignal
from cnetsh.targets import target
from cnetsh.targets.target import Action, Target


def start_target(where: Target) -> None:
    """Start the target's sandbox when it does not run. Raises CnetshError when it cannot be."""
    # Built in a process of its own, so an error of the building has to be told there.
    target.ensure_target(where, lambda: exit_code_of(build_machine))


def in_started(where: Target, action: Action) -> int:
    """Give the exit code of action, called in a target whose sandbox is started when needed."""
    # The one that was found running may end before it is entered, with its last lab.
    code = None
    while code is None:
        start_target(where)
        code = target.in_target(where, partial(exit_code_of, action))
    return code


def build_machine() -> int:
    """Build the article's virtual machine by a lab of its own, which nothing undoes."""
    plans = choose.plans("sandbox", ())
    # Without journal and lock: nobody else can be in it yet, and a sandbox goes as a whole.
    watch = Echo(Telling(quiet=True))
    means = Means(runner(), through_sh(()), watch, never, target.named("sandbox"))
    outcome = one_by_one(plans.up.steps, lambda **_: None, means)
    if outcome.failed is not None:
        raise CnetshError(reason(plans.up, outcome), code=FAILED)
    return DONE


@contextmanager
def changing(where: Target, telling: Telling | None = None) -> Iterator[Means]:
    """Hold the lock of the target that this process is in, and give the means to change it."""
    require_descriptors()
    # Before the lock: a pipe that nobody reads would keep all others waiting.
    echo = Echo(telling)
    # Children keep the lock open, so it is held until the last of them has ended.
    with StopSignal() as stop, held(sys.argv, stop) as lock:
        # What a plan makes is for all to read, whatever the caller keeps of his own files.
        os.umask(0o022)
        try:
            yield Means(runner(lock), through_sh((lock,)), echo, stop, where)
        finally:
            echo.over()


def unless_killed(where: Target, code: int) -> int:
    """Give the exit code of a run in a target; after its death, say how to undo what it left."""
    # On a host nobody is left to tell it.
    if code != 128 + signal.SIGKILL:
        return code
    say(f"killed: {where.command('recover')} undoes what it left")
    return LEFT_BEHIND
