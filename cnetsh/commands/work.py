"""What a command would do now, as a value: shown by a dry run, asked for, carried out."""

import os
import select
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

from cnetsh.apply.repair import Repairing
from cnetsh.apply.run import Means, Typed
from cnetsh.commands.output import say, show
from cnetsh.commands.progress import tell_where_typed
from cnetsh.doctor.finding import Finding, finding_lines
from cnetsh.errors import DONE, CnetshError
from cnetsh.names import visible
from cnetsh.plan.lines import Line, counted
from cnetsh.targets.target import Target
from cnetsh.views.terminal import DOUBT, WRONG

if TYPE_CHECKING:
    from cnetsh.forwarding.predict import Surprise


@dataclass(frozen=True, slots=True)
class Work:
    """What a command would do now: a dry run shows it, the command itself carries it out."""

    carry_out: Callable[[], int]
    lines: Callable[[], Sequence[Line]] = tuple  # those that run, in their order
    said: str = ""  # before them
    then: str = ""  # after them
    shown: bool = False  # the lines are told before they run
    asks: str = ""  # a question before they do
    drifted: Repairing | None = None  # what is not as planned, and what repairs it
    warnings: Sequence[Finding] = ()  # what doctor has found
    surprises: Sequence["Surprise"] = ()  # in steps and checks of a lab that comes up
    refused: CnetshError | None = None  # why it is not done
    relied_on: Callable[[], Mapping[str, str]] = dict  # what a saved plan of it takes for granted


@dataclass(frozen=True, slots=True)
class How:
    """How work is to be done: only shown; or without asking, or with an answer from a terminal."""

    dry_run: bool = False
    yes: bool = True
    typed: TextIO | None = None
    line: str = ""  # what can be typed instead of an answer

    @classmethod
    def typed_here(cls, dry_run: bool, yes: bool) -> "How":
        """Give what was typed on the command line of this process."""
        typed = sys.stdin if sys.stdin.isatty() else None
        return cls(dry_run, yes, typed, f"cnetsh {shlex.join(sys.argv[1:])} --yes")


def tell_findings(
    found: Sequence[Finding], where: Typed, tell: Callable[[str, str, bool], None] = say
) -> None:
    """Tell what doctor has found, the first line of each in the colour of what it comes to."""
    for one in found:
        style = {"lacks": WRONG, "refuse": WRONG, "warn": DOUBT}.get(one.severity, "")
        for line, whole in finding_lines(one):
            tell(line, style, whole)
            style = ""
    if any(one.commands for one in found):
        tell_where_typed(where, tell)


def done(decide: Callable[[], Work], how: How, means: Means) -> int:
    """Show what there is to do, or do it; give the exit code."""
    work = decide()
    tell_findings(work.warnings, means.where)
    if work.said:
        say(work.said)
    if work.refused:
        raise work.refused
    if how.dry_run:
        return _printed(work)
    for line in work.lines() if work.shown else ():
        say(f"  {line.mark or ' '} {line.step.text}", whole=True)
    if work.asks and not how.yes:
        _ask(work.asks, how, means.stopping)
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


def asked(lines: Sequence[Line], where: Target) -> str:
    """Give the question before lines are run, "" where nothing is lost and no host is changed."""
    quiet = where.is_private and all(line.mark != "-" for line in lines)
    return "" if quiet else f"run this on {where} ({counted(lines)})?"


def nothing(said: str, drifted: Repairing | None = None) -> Work:
    """Give the work of a command that has nothing to do, and says so."""
    return Work(lambda: DONE, said=said, drifted=drifted)
