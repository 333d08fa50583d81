"""How commands undo a lab: what is in its way, what an undo says before it and in the end."""

import shlex
import time
from collections.abc import Mapping, Sequence

from cnetsh.apply.ending import Undone
from cnetsh.apply.journal import Journal
from cnetsh.apply.run import Means, Typed
from cnetsh.apply.undoing import Left, Undoing
from cnetsh.apply.up import to_undo, undo
from cnetsh.commands.entering import tell_version
from cnetsh.commands.output import say
from cnetsh.commands.work import Work
from cnetsh.errors import DONE, FAILED, LEFT_BEHIND, CnetshError
from cnetsh.names import visible
from cnetsh.system import processes
from cnetsh.system.processes import Inside


def taking_down(record: Journal, means: Means, inside: Sequence[Inside] = ()) -> Work:
    """Work out how a journal's lab is undone; inside: the processes that are ended first."""
    if not record.same_boot:
        return forgetting_record(record)
    tell_version(record)
    known = to_undo(record, means)

    def carry_out() -> int:
        began = time.monotonic()
        end(record, record.homes, inside)
        undone = undo(known)
        seconds = f"in {time.monotonic() - began:.2f} s"
        return tell_ended(undone, means.where, f"{record.lab} is down", seconds)

    said = f"ends {process_list(inside)} first" if inside else ""
    return Work(carry_out, lambda: known.lines, said, then_put_back(known))


def then_put_back(known: Undoing) -> str:
    """Say what comes after the commands of an undo, which nobody knows before."""
    costs = any(known.changes) and known.at_stake
    return "then what that costs others is put back as it is now" if costs else ""


def in_use(record: Journal, homes: Mapping[int, str]) -> list[Inside]:
    """Give the processes in namespaces that are to go."""
    # A process keeps its namespace alive, and all links in it, whatever is deleted.
    return processes.found_in(homes, record.held)


def refuse_in_use(record: Journal, inside: Sequence[Inside]) -> None:
    """Raise CnetshError while there are processes in namespaces that are not to be ended."""
    if inside:
        hint = "end it, or --kill ends just those"
        raise CnetshError(f"{record.lab} is in use by {process_list(inside)}", hint)


def refuse_interrupted(record: Journal, where: Typed) -> None:
    """Raise CnetshError for a lab that is not whole."""
    if record.left:
        left = "; ".join(record.left)
        hint = where.command("down", record.lab)
        raise CnetshError(f"{record.lab} is down, but left: {left}", hint)
    if not record.stands:
        hint = f"{where.command('recover')} undoes it"
        raise CnetshError(f"an earlier run of {record.lab} was interrupted", hint)


def undone_by(signal: int) -> int:
    """Give the exit code of what was undone: by the signal that stopped it, or a failure."""
    return 128 + signal if signal else FAILED


def end(record: Journal, homes: Mapping[int, str], inside: Sequence[Inside]) -> None:
    """End just those processes. Raises CnetshError for one that does not."""
    left = processes.kill(inside, lambda: in_use(record, homes)) if inside else []
    refuse_in_use(record, left)


def process_list(inside: Sequence[Inside]) -> str:
    """Give processes in words."""
    return "process " + ", ".join(f"{one.pid} ({one.name}) in {one.netns}" for one in inside)


def forgetting_record(record: Journal) -> Work:
    """Give what removes the record of a lab that a reboot took: nothing is left to undo."""
    gone = f"{record.lab} went with the last reboot: only its record is left"

    def carry_out() -> int:
        record.remove()
        say("nothing was executed, its record is removed")
        return DONE

    return Work(carry_out, said=gone)


def tell_ended(undone: Undone, where: Typed, what: str, seconds: str = "") -> int:
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
    return tell_left(undone.left, where)


def tell_left(left: Sequence[Left], where: Typed) -> int:
    """Name what is left, each with the command that ends that; give 3 if any is."""
    if not left:
        return DONE
    say("left behind:")
    for one in left:
        say(f"  {visible(one.text)}")
        if one.advice:
            say(f"    {where.shell} {shlex.quote(one.advice)}", whole=True)
    return LEFT_BEHIND
