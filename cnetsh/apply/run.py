"""Running the steps of a plan one by one: each is known to the journal before it begins.

A step is echoed, run and timed on its own, in a lane that stays open for the next. For what is
longer than SHORT, see units.py.
"""

import contextlib
import re
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from cnetsh.apply.batch import LONGEST, Lane
from cnetsh.compare.kernel import NETNS, link_mark
from cnetsh.kinds.change import OWNED, Ref
from cnetsh.plan.steps import Step, made_in
from cnetsh.system import files, namespace
from cnetsh.system.process import Result, Run, Start, ask, never, spawn

SHORT = 50
_MARKED = OWNED | {"name_server"}
_PLAIN = re.compile(r"[\w ./:,=@%+!-]*")


class Note(Protocol):
    """Writes down what is about to run, and then how it ended, by step numbers."""

    def __call__(self, **record: Any) -> None: ...


class Watch(Protocol):
    """Is told how many steps come, and of each; seconds is None for one that ran inside a unit."""

    def expect(self, total: int, verb: str = "") -> None: ...
    def begins(self, number: int, step: Step) -> None: ...
    def ended(self, number: int, step: Step, result: Result, seconds: float | None) -> None: ...


class Typed(Protocol):
    """How advice is typed by who follows it: a command of cnetsh's; shell: what runs a line."""

    @property
    def shell(self) -> str: ...
    def command(self, *words: str) -> str: ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """How far it came: a failed step and its result, that of a run that failed, or a signal."""

    failed: int | None = None
    result: Result | None = None
    signal: int = 0

    @property
    def well(self) -> bool:
        """Whether all steps have run and are known to have."""
        return self == Outcome()


@dataclass(slots=True)
class Unit:
    """Consecutive steps of one namespace with their numbers; without lines, one lone command."""

    netns: str
    numbers: list[int]
    steps: list[Step]
    lines: list[str]


@dataclass(frozen=True, slots=True)
class Means:
    """What a run needs: single commands, the host lane's start, a watcher, a stop signal (or 0)."""

    run: Run
    start: Start
    watch: Watch
    stopping: Callable[[], int]
    where: Typed  # the target, for advice
    ask: Run = ask  # commands that only read

    def anew(self, lab: str) -> str:
        """Say how a lab that is up comes up from nothing."""
        return f"{self.where.command('down', lab)}, then up"


def batch_line(step: Step) -> str | None:
    """Give the line that does the step in `ip -batch`, or None where it has to run by itself."""
    inner = step.inner
    if inner[0] != "ip" or inner[1].startswith("-") or step.kind != "change":
        return None
    line = " ".join(inner[1:])
    # A word that is empty or has a blank in it would be none or several words to ip.
    plain = _PLAIN.fullmatch(line) and tuple(line.split()) == inner[1:]
    return line if plain and len(line) < LONGEST else None


def alone(step: Step, run: Run) -> Result:
    """Run one step as one process, inside its namespace when it has one."""
    if not step.netns or step.inner[0] not in ("ip", "tee", "tc"):
        return run(step.argv, stdin=step.stdin)
    return namespace.in_network(str(NETNS / step.netns), lambda: run(step.inner, stdin=step.stdin))


def one_by_one(
    steps: Sequence[Step], note: Note, means: Means, numbers: Sequence[int] = ()
) -> Outcome:
    """Run the steps strictly one after the other, by their numbers; say how far it came."""
    lanes = Lanes(means.start)
    try:
        for number, step in zip(numbers or range(len(steps)), steps, strict=True):
            if signal := means.stopping():
                return Outcome(signal=signal)
            unit = Unit(step.netns, [number], [step], [])
            if refused := begin_unit(unit, note, means):
                return Outcome(number, refused)
            how = timed(unit, partial(_one, step, lanes, means))
            outcome = end_unit(unit, *how, note, means)
            if not outcome.well:
                return outcome
        return Outcome(signal=means.stopping())
    finally:
        lanes.close()


def _one(step: Step, lanes: "Lanes", means: Means) -> tuple[Result, int]:
    line = batch_line(step)
    # A step that runs is never stopped in the middle.
    return lanes.run(step.netns, [line], never) if line else (alone(step, means.run), 1)


def begin_unit(unit: Unit, note: Note, means: Means) -> Result | None:
    """Write down that a unit begins, before it does; give why it cannot."""
    try:
        note(start=unit.numbers)
    except Exception as error:
        return not_run("", error)
    for number, step in zip(unit.numbers, unit.steps, strict=True):
        _tell(means.watch.begins, number, step)
    return None


def timed(unit: Unit, work: Callable[[], tuple[Result, int]]) -> tuple[Result, int, float]:
    """Do a unit's work; give its result, how many steps it took up (-1: unknown), and seconds."""
    began = time.perf_counter()
    try:
        result, taken = work()
    except Exception as error:
        result, taken = not_run(unit.netns, error), -1
    return result, taken, time.perf_counter() - began


def not_run(netns: str, error: Exception) -> Result:
    """Give an error as the result of what could not be run, or not to its end."""
    why = getattr(error, "strerror", "") or str(error) or type(error).__name__
    return Result(255, "", f"namespace {netns}: {why}" if netns else why)


def _tell(watch: Callable[..., None], *of: Any) -> None:
    # What is seen of a run never decides how it ends.
    with contextlib.suppress(Exception):
        watch(*of)


def end_unit(
    unit: Unit, result: Result, taken: int, seconds: float, note: Note, means: Means
) -> Outcome:
    """Write down how a unit ended, with the identity of what it made, and tell the watcher.

    A step that failed stays uncertain, for it may be half done; but what "File exists" speaks of
    was there before it, and is not ours.
    """
    good = max(taken - 1, 0) if result.exit_code else taken
    there = any(words in result.stderr for words in ("File exists", "already exists"))
    uncertain = 1 if result.exit_code and not there else 0
    uncertain = uncertain if taken >= 0 else len(unit.steps)
    # What is inside a namespace is known by that one's identity.
    refs = (ref for step in unit.steps[:good] if not step.netns for ref in marked(step))
    written = {"over": unit.numbers[good + uncertain :], "made": identities(refs)}
    note(end=unit.numbers[:good], **{key: value for key, value in written.items() if value})
    # Nobody knows how long one of several took, nor which of them said something.
    its_own = seconds if len(unit.steps) == 1 else None
    said = Result(0, "", "") if its_own is None else result
    for number, step in zip(unit.numbers[:good], unit.steps, strict=False):
        _tell(means.watch.ended, number, step, said, its_own)
    if not result.exit_code:
        return Outcome()
    _tell(means.watch.ended, unit.numbers[good], unit.steps[good], result, its_own)
    return Outcome(unit.numbers[good], result)


def marked(step: Step) -> list[Ref]:
    """Give the objects that a step makes and that can be told from later ones of their names."""
    return made_in(step.changes, _MARKED)


def identities(refs: Iterable[Ref]) -> dict[str, list[Any]]:
    """Give what tells objects of the target's own namespace from later ones of their names."""
    found = {f"{ref.kind} {ref.name}": _identity(ref) for ref in refs if not ref.netns}
    return {key: mark for key, mark in found.items() if mark}


def _identity(ref: Ref) -> list[Any]:
    with contextlib.suppress(OSError):
        if ref.kind == "netns":
            return [namespace.mark((NETNS / ref.name).stat())]
        if ref.kind == "link" and (index := link_index(ref.name)):
            return [index, link_mark(ref.name)]
        if ref.kind in ("folder", "name_server"):
            return list(files.file_mark(ref.name))
    return []


def link_index(name: str) -> int:
    """Give a link's ifindex, 0 when it is not there."""
    with contextlib.suppress(OSError):
        return socket.if_nametoindex(name)
    return 0


class Lanes:
    """The host's lane, kept for the whole run, and the lane of the namespace that is worked in."""

    def __init__(self, start: Start) -> None:
        self._start = start
        self._open: dict[str, Lane] = {}

    def run(
        self, netns: str, lines: Sequence[str], stopping: Callable[[], int]
    ) -> tuple[Result, int]:
        """Run lines in a namespace's lane; give the result and how many lines were taken."""
        for other in [name for name in self._open if name not in ("", netns)]:
            self._open.pop(other).close()
        if netns not in self._open:
            self._open[netns] = self._lane(netns)
        if self._open[netns].run(lines, stopping):
            return Result(0, "", ""), len(lines)
        return self._open.pop(netns).close()

    def _lane(self, netns: str) -> Lane:
        # Only what runs on the host's side goes through sh.
        if not netns:
            return Lane(self._start)
        return namespace.in_network(str(NETNS / netns), lambda: Lane(spawn))

    def close(self) -> None:
        while self._open:
            self._open.popitem()[1].close()
