"""What commands share that change a target: its start, its lock, the means, how an undo is told."""

import os
import select
import shlex
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TextIO

from cnetsh.apply.ending import Left, Undone
from cnetsh.apply.journal import Journal
from cnetsh.apply.lock import held
from cnetsh.apply.repair import Repairing
from cnetsh.apply.run import Means, one_by_one
from cnetsh.apply.undoing import Undoing
from cnetsh.apply.up import reason, to_undo, undo
from cnetsh.commands.entering import tell_version
from cnetsh.commands.output import exit_code_of, say, show
from cnetsh.commands.progress import Echo, Quiet, Telling
from cnetsh.doctor.finding import Finding, finding_text
from cnetsh.errors import DONE, FAILED, LEFT_BEHIND, CnetshError
from cnetsh.labs import choose
from cnetsh.names import visible
from cnetsh.plan.lines import Line, counted
from cnetsh.system import processes
from cnetsh.system.process import never, require_descriptors, runner, through_sh
from cnetsh.system.processes import Inside
from cnetsh.system.signals import StopSignal
from cnetsh.targets import target
from cnetsh.targets.target import Action, Target
from cnetsh.views.terminal import DOUBT, WRONG


def start_target(where: Target) -> None:
    """Start the target's sandbox when it does not run. Raises CnetshError when it cannot be."""
    # Built in a process of its own, so an error of the building has to be told there.
    target.ensure(where, lambda: exit_code_of(build_machine))


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
    means = Means(runner(), through_sh(()), Quiet(), lambda: 0)
    outcome = one_by_one(plans.up.steps, lambda **_: None, means)
    if outcome.failed is not None:
        raise CnetshError(reason(plans.up, outcome), code=FAILED)
    return DONE


@contextmanager
def changing(telling: Telling | None = None) -> Iterator[Means]:
    """Hold the target's lock and give the means to change it."""
    require_descriptors()
    # Before the lock: a pipe that nobody reads would keep all others waiting.
    echo = Echo(telling)
    # Children keep the lock open, so it is held until the last of them has ended.
    with StopSignal() as stop, held(sys.argv, stop) as lock:
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


@dataclass(frozen=True, slots=True)
class Work:
    """What a command would do now: a dry run shows it, the same command without it carries it out.

    lines: the commands that run, in their order; said: what there is to say before them, and then
    after; shown: the lines are told before they run; asks: a question before they do; drifted: what
    is not as planned, and what repairs it; warnings: what doctor has found; refused: why it is not
    done; relied_on: what a saved plan of it takes for granted.
    """

    carry_out: Callable[[], int]
    lines: Callable[[], Sequence[Line]] = tuple
    said: str = ""
    then: str = ""
    shown: bool = False
    asks: str = ""
    drifted: Repairing | None = None
    warnings: Sequence[Finding] = ()
    refused: CnetshError | None = None
    relied_on: Callable[[], Mapping[str, str]] = dict


@dataclass(frozen=True, slots=True)
class How:
    """How work is to be done: only shown; or without asking, or with an answer from a terminal.

    line: what can be typed instead of an answer.
    """

    dry_run: bool = False
    yes: bool = True
    typed: TextIO | None = None
    line: str = ""

    @classmethod
    def typed_here(cls, dry_run: bool, yes: bool) -> "How":
        """Give what was typed on the command line of this process."""
        typed = sys.stdin if sys.stdin.isatty() else None
        return cls(dry_run, yes, typed, f"cnetsh {shlex.join(sys.argv[1:])} --yes")


def tell_finding(one: Finding, tell: Callable[[str, str], None]) -> None:
    """Tell what doctor has found, its first line in the colour of what it comes to."""
    first, *rest = finding_text(one).split("\n")
    styles = {"lacks": WRONG, "refuse": WRONG, "warn": DOUBT}
    tell(first, styles.get(one.severity, ""))
    for line in rest:
        tell(line, "")


def done(decide: Callable[[], Work], how: How, stopping: Callable[[], int] = never) -> int:
    """Show what there is to do, or do it; give the exit code."""
    work = decide()
    for one in work.warnings:
        tell_finding(one, say)
    if work.said:
        say(work.said)
    if work.refused:
        raise work.refused
    if how.dry_run:
        return _printed(work)
    for line in work.lines() if work.shown else ():
        say(f"  {line.mark or ' '} {line.step.text}", whole=True)
    if work.asks and not how.yes:
        _ask(work.asks, how, stopping)
        again = decide()
        if again.refused or again.lines() != work.lines():
            raise again.refused or CnetshError("the target has changed: nothing was executed")
        work = again
    return work.carry_out()


def _printed(work: Work) -> int:
    lines = work.lines()
    for line in lines:
        print(f"{line.mark or ' '} {visible(line.step.text)}")
    for text in filter(None, (counted(lines), work.then)):
        say(text)
    return DONE


def _ask(question: str, how: How, stopping: Callable[[], int]) -> None:
    """Raise CnetshError unless somebody says yes."""
    if how.typed is None:
        raise CnetshError(f"{question} Nobody is there to say so: nothing was executed", how.line)
    show(f"{question} [y/N] ")
    answer = ""
    while not answer and not stopping():
        if select.select([how.typed], [], [], 0.1)[0]:
            answer = os.read(how.typed.fileno(), 1024).decode(errors="replace") or "n"
    # Enter ends the line of the question; the end of the input and Ctrl-C do not.
    show("" if answer.endswith("\n") else "\n")
    if signal := stopping():
        raise CnetshError("nothing was executed", code=128 + signal)
    if answer.strip().lower() not in ("y", "yes"):
        raise CnetshError("nothing was executed", how.line)


def first_refusal(*checks: Callable[[], object]) -> CnetshError | None:
    """Give the error of the first of some checks that raises one."""
    for check in checks:
        try:
            check()
        except CnetshError as error:
            return error
    return None


def asked(lines: Sequence[Line], on: str) -> str:
    """Give the question before lines are run, "" where nothing is lost and no host is changed."""
    quiet = target.named(on).is_private and all(line.mark != "-" for line in lines)
    return "" if quiet else f"run this on {on} ({counted(lines)})?"


def nothing(said: str, drifted: Repairing | None = None) -> Work:
    """Give the work of a command that has nothing to do, and says so."""
    return Work(lambda: DONE, said=said, drifted=drifted)


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
        return tell_ended(undone, f"{record.lab} is down", f"in {time.monotonic() - began:.2f} s")

    said = f"ends {process_list(inside)} first" if inside else ""
    return Work(carry_out, lambda: known.lines, said, then_put_back(known))


def then_put_back(known: Undoing) -> str:
    """Say what comes after the commands of an undo, which nobody knows before."""
    return "then what that costs others is put back as it is now" if known.at_stake else ""


def in_use(record: Journal, homes: Mapping[int, str]) -> list[Inside]:
    """Give the processes in namespaces that are to go."""
    # A process keeps its namespace alive, and all links in it, whatever is deleted.
    return processes.found_in(homes, record.held)


def refuse_in_use(record: Journal, inside: Sequence[Inside], kill: bool) -> None:
    """Raise CnetshError while there are processes in namespaces, unless just those may end."""
    if inside and not kill:
        hint = "end it, or --kill ends just those"
        raise CnetshError(f"{record.lab} is in use by {process_list(inside)}", hint)


def refuse_interrupted(record: Journal) -> None:
    """Raise CnetshError for a lab that is not whole."""
    if record.left:
        left = "; ".join(record.left)
        raise CnetshError(f"{record.lab} is down, but left: {left}", f"cnetsh down {record.lab}")
    if not record.stands:
        hint = "cnetsh recover undoes it"
        raise CnetshError(f"an earlier run of {record.lab} was interrupted", hint)


def undone_by(signal: int) -> int:
    """Give the exit code of what was undone: by the signal that stopped it, or a failure."""
    return 128 + signal if signal else FAILED


def end(record: Journal, homes: Mapping[int, str], inside: Sequence[Inside]) -> None:
    """End just those processes. Raises CnetshError for one that does not."""
    left = processes.kill(inside, lambda: in_use(record, homes)) if inside else []
    refuse_in_use(record, left, False)


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
    return tell_left(undone.left)


def tell_left(left: Sequence[Left]) -> int:
    """Name what is left, each with the command that ends that; give 3 when there is something."""
    if not left:
        return DONE
    say("left behind:")
    for one in left:
        say(f"  {visible(one.text)}")
        if one.advice:
            say(f"    sudo sh -c {shlex.quote(one.advice)}", whole=True)
    return LEFT_BEHIND
