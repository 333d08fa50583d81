"""The command `recover`: what interrupted runs left in a target is undone."""

from functools import partial
from pathlib import Path
from typing import TextIO

from cnetsh.apply import journal
from cnetsh.commands.changing import changing, forget, take_down, unless_killed
from cnetsh.commands.entering import if_running
from cnetsh.commands.output import say, show_error
from cnetsh.commands.progress import opened_log
from cnetsh.errors import DONE, LEFT_BEHIND


def run(on: str, verbose: bool = False, log: Path | None = None) -> int:
    """Undo every interrupted run of a target; give the exit code."""
    return unless_killed(
        if_running(on, partial(_recover, verbose, opened_log(log)), "nothing to recover")
    )


def _recover(verbose: bool, log: TextIO | None) -> int:
    with changing(verbose, log) as means:
        # All under one lock, so that no lab comes up between two that share something.
        found, unreadable = journal.all_here()
        waiting = [one for one in found if not one.stands or not one.same_boot]
        codes = [take_down(one, means) if one.same_boot else forget(one) for one in waiting]
    for error in unreadable:
        # One that is damaged must not keep the others from being undone.
        show_error(error)
        codes.append(LEFT_BEHIND)
    if not codes:
        say("nothing to recover")
    return max(codes, default=DONE)
