"""The command `down`: a lab that is up is undone, from its journal."""

from pathlib import Path

from cnetsh.apply import journal
from cnetsh.apply.journal import Journal
from cnetsh.commands.changing import changing, forget, take_down
from cnetsh.commands.entering import if_running
from cnetsh.commands.output import say
from cnetsh.errors import DONE, CnetshError
from cnetsh.labs import choose
from cnetsh.system import processes


def run(
    lab: str, on: str, kill: bool = False, verbose: bool = False, log: Path | None = None
) -> int:
    """Take a lab down; give the exit code. kill: the processes inside it are ended."""
    # The name alone: the journal knows the rest, however the lab was edited since.
    name = choose.name_of(lab)
    return if_running(on, lambda: _down(name, kill, verbose, log), f"{name} is not up")


def _down(name: str, kill: bool, verbose: bool, log: Path | None) -> int:
    with changing(verbose, log) as means:
        record = journal.find(name)
        if record is None:
            say(f"{name} is not up")
            return DONE
        if not record.same_boot:
            return forget(record)
        _empty(record, kill)
        return take_down(record, means)


def _empty(record: Journal, kill: bool) -> None:
    """Refuse to go on while processes are in the lab's namespaces, or end just those."""
    # A process keeps its namespace alive, and all links in it, whatever is deleted.
    found = processes.found_in(record.homes, record.held)
    if found and kill:
        found = processes.kill(found, lambda: processes.found_in(record.homes, record.held))
    if found:
        names = ", ".join(f"{one.pid} ({one.name}) in {one.netns}" for one in found)
        raise CnetshError(
            f"{record.lab} is in use by process {names}", "end it, or --kill ends just those"
        )
