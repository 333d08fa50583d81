"""The command `down`: a lab that is up is undone, from its journal."""

from functools import partial
from pathlib import Path
from typing import TextIO

from cnetsh.apply import journal
from cnetsh.commands.changing import changing, forget, refuse_in_use, take_down, unless_killed
from cnetsh.commands.entering import if_running
from cnetsh.commands.naming import not_up
from cnetsh.commands.output import say
from cnetsh.commands.progress import opened_log
from cnetsh.errors import DONE
from cnetsh.labs import choose
from cnetsh.mistakes import nearest


def run(
    lab: str, on: str, kill: bool = False, verbose: bool = False, log: Path | None = None
) -> int:
    """Take a lab down; give the exit code. kill: the processes inside it are ended."""
    # The name alone: the journal knows the rest, however the lab was edited since.
    name = choose.name_of(lab)
    action = partial(_down, name, kill, verbose, opened_log(log))
    return unless_killed(if_running(on, action, _is_not_up(name)))


def _is_not_up(name: str) -> str:
    refusal = not_up(name)
    return refusal.message if choose.is_known(name) else f"{refusal.message}\n  {refusal.hint}"


def _down(name: str, kill: bool, verbose: bool, log: TextIO | None) -> int:
    with changing(verbose, log) as means:
        record = journal.find(name)
        if record is None:
            up = journal.labs_here()
            # What is down already is as was asked; another one's name misspelt is not.
            if nearest(name, up) and not choose.is_known(name):
                raise not_up(name, up)
            say(_is_not_up(name))
            return DONE
        if not record.same_boot:
            return forget(record)
        refuse_in_use(record, record.homes, kill)
        return take_down(record, means)
