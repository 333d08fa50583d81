"""Running a long plan: in units, those of different namespaces side by side.

A unit is consecutive steps of one namespace, which run in one `ip -batch`. Units start in plan
order; one inside a namespace goes on in a worker beside the next ones, so only units of different
namespaces overlap. The workers enter by setns(2) and never fork the interpreter.
"""

import os
import threading
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import groupby

from cnetsh.apply.batch import Lane, spawn
from cnetsh.apply.run import Means, Note, Outcome, alone, batch_line, close, not_run, record
from cnetsh.compare.snapshot import NETNS
from cnetsh.errors import CnetshError
from cnetsh.kinds.change import Change, Move, Remove, refs_of
from cnetsh.plan.steps import Step
from cnetsh.system import namespace
from cnetsh.system.process import Result


@dataclass(slots=True)
class Unit:
    """Consecutive steps of one namespace with their numbers; without lines, one lone command."""

    netns: str
    numbers: list[int]
    steps: list[Step]
    lines: list[str]


def units(steps: Sequence[Step]) -> list[Unit]:
    """Cut a plan: runs of steps of one namespace that fit one `ip -batch`, and lone commands."""
    cut: list[Unit] = []
    numbered = [(number, step, batch_line(step)) for number, step in enumerate(steps)]
    for (netns, batched), run in groupby(
        numbered, key=lambda one: (one[1].netns, one[2] is not None)
    ):
        members = list(run)
        if batched:
            lines = [line for _, _, line in members if line is not None]
            cut.append(Unit(netns, [m[0] for m in members], [m[1] for m in members], lines))
        else:
            cut += [Unit(netns, [number], [step], []) for number, step, _ in members]
    return cut


def side_by_side(steps: Sequence[Step], note: Note, means: Means) -> Outcome:
    """Run a long plan in units; those of different namespaces overlap in a few workers."""
    return _SideBySide(note, means).all(units(steps))


@dataclass(slots=True)
class _SideBySide:
    note: Note
    means: Means
    outcome: Outcome = field(default_factory=Outcome)
    host: Lane | None = None
    busy: dict[str, Future[None]] = field(default_factory=dict)
    guard: threading.Lock = field(default_factory=threading.Lock)

    def all(self, cut: Sequence[Unit]) -> Outcome:
        """Start the units in their order; a free worker takes each that is in a namespace."""
        workers = min(4, 2 * (os.cpu_count() or 1))
        free = threading.Semaphore(workers)
        with ThreadPoolExecutor(workers) as pool:
            for unit in cut:
                if self._stopped():
                    break
                self._start(unit, pool, free)
            self._wait(self.busy)
            self._stopped()
        if self.host:
            self.host.close()
        return self.outcome

    def _start(self, unit: Unit, pool: ThreadPoolExecutor, free: threading.Semaphore) -> None:
        self._wait(_needs(unit, self.busy))
        if not unit.netns or _reaches_out(unit):
            if self._begins(unit):
                self._do(unit)
            return
        free.acquire()
        if not self._begins(unit):
            return
        try:
            self.busy[unit.netns] = future = pool.submit(self._do, unit)
            future.add_done_callback(lambda _: free.release())
        except RuntimeError as error:
            # A pool that can start no thread may still take the unit up when another one is over.
            self._fail(unit.numbers[0], Result(255, "", str(error)))

    def _wait(self, names: Iterable[str]) -> None:
        for name in list(names):
            self.busy.pop(name).result()

    def _stopped(self) -> bool:
        if self.outcome.failed is None and not self.outcome.signal and self.means.stopping():
            self.outcome = Outcome(signal=self.means.stopping())
        return self.outcome.failed is not None or bool(self.outcome.signal)

    def _begins(self, unit: Unit) -> bool:
        """Write down that a unit begins, here where it is in plan order; False when no more do."""
        with self.guard:
            if self._stopped():
                return False
            try:
                self.note(start=unit.numbers)
            except CnetshError as error:
                self._fail(unit.numbers[0], not_run("", error))
                return False
            for number, step in zip(unit.numbers, unit.steps, strict=True):
                self.means.watch.begins(number, step)
            return True

    def _do(self, unit: Unit) -> None:
        began = time.perf_counter()
        try:
            result, taken = self._run(unit)
        except (OSError, CnetshError) as error:
            result, taken = not_run(unit.netns, error), 1
        seconds = time.perf_counter() - began
        with self.guard:
            self._note(unit, result, taken, seconds)

    def _run(self, unit: Unit) -> tuple[Result, int]:
        if self._stopped():
            return Result(0, "", ""), 0
        if not unit.lines:
            return alone(unit.steps[0], self.means.run), 1
        if not unit.netns:
            return self._on_host(unit)
        # The worker needs no way back: it only ever goes from one namespace to the next.
        namespace.enter_network(str(NETNS / unit.netns))
        lane = Lane(spawn)
        lane.feed(unit.lines, self._stopped)
        return close(lane)

    def _on_host(self, unit: Unit) -> tuple[Result, int]:
        lane = self.host or Lane(self.means.start)
        if lane.run(unit.lines, self._stopped):
            self.host = lane
            return Result(0, "", ""), len(unit.lines)
        self.host = None
        return close(lane)

    def _note(self, unit: Unit, result: Result, taken: int, seconds: float) -> None:
        good = max(taken - 1, 0) if result.exit_code else taken
        pairs = list(zip(unit.numbers, unit.steps, strict=True))
        record(self.note, unit.numbers, pairs[:good], result)
        timed = seconds if len(pairs) == 1 else None
        for number, step in pairs[:good]:
            self.means.watch.ended(number, step, Result(0, "", ""), timed)
        if result.exit_code:
            self.means.watch.ended(*pairs[good], result, timed)
            self._fail(pairs[good][0], result)

    def _fail(self, number: int, result: Result) -> None:
        if self.outcome.failed is None:
            self.outcome = Outcome(number, result)


def _needs(unit: Unit, busy: Collection[str]) -> Collection[str]:
    """Give the namespaces that must have come to rest before a unit begins.

    For one inside a namespace that is its own; for one of the host those that it names, or all
    where it deletes something or is a lone command, which may do anything.
    """
    if not busy or (unit.netns and not _reaches_out(unit)):
        return {unit.netns} & set(busy)
    changes = [change for step in unit.steps for change in step.changes]
    if not unit.lines or unit.netns or any(isinstance(change, Remove) for change in changes):
        return busy
    return {name for change in changes for name in _named(change)} & set(busy)


def _named(change: Change) -> Iterator[str]:
    """Give the namespaces that a change names: those that its objects are in, or that it is."""
    refs = (*refs_of(change), change.to) if isinstance(change, Move) else refs_of(change)
    for ref in refs:
        yield ref.name if ref.kind == "netns" else ref.netns


def _reaches_out(unit: Unit) -> bool:
    """Say whether a unit inside a namespace names another one, and so must not overlap with it."""
    changes = (change for step in unit.steps for change in step.changes)
    return any(name != unit.netns for change in changes for name in _named(change))
