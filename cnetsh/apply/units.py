"""Running a long plan: in units, those of different namespaces side by side.

A unit is consecutive steps of one namespace, which run in one `ip -batch`. Units start in plan
order; one inside a namespace goes on in a worker beside the next ones, so only units of different
namespaces overlap. The deletion of bridges goes on beside that of namespaces: the kernel needs its
lock of all networks for each port, and none to take a namespace's name away. The workers enter by
setns(2) and never fork the interpreter.
"""

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field

from cnetsh.apply.batch import Lane
from cnetsh.apply.run import (
    SHORT,
    Lanes,
    Means,
    Note,
    Outcome,
    Unit,
    alone,
    batch_line,
    begin_unit,
    end_unit,
    not_run,
    one_by_one,
    timed,
)
from cnetsh.compare.kernel import NETNS, is_bridge
from cnetsh.kinds.change import Change, Move, Remove, refs_of
from cnetsh.plan.steps import Step
from cnetsh.system import namespace
from cnetsh.system.process import Result, spawn

# The target's own, which the main thread never leaves.
OWN = "/proc/self/ns/net"


def run_steps(
    steps: Sequence[Step], note: Note, means: Means, numbers: Sequence[int] = ()
) -> Outcome:
    """Run steps: one by one when they are few, else in units. Nothing is ever raised.

    numbers: what the steps are called, where that is not from 0 on.
    """
    try:
        return (one_by_one if len(steps) <= SHORT else side_by_side)(steps, note, means, numbers)
    except Exception as error:
        return Outcome(result=not_run("", error))


def units(steps: Sequence[Step], numbers: Sequence[int] = ()) -> list[Unit]:
    """Cut a plan: runs of steps of one namespace that fit one `ip -batch`, and lone commands."""
    cut: list[Unit] = []
    last = None
    for number, step in zip(numbers or range(len(steps)), steps, strict=True):
        line, place = batch_line(step), (step.netns, _deleted(step))
        if line is None or not cut or not cut[-1].lines or place != last:
            cut.append(Unit(step.netns, [], [], []))
        cut[-1].numbers.append(number)
        cut[-1].steps.append(step)
        if line is not None:
            cut[-1].lines.append(line)
        last = place
    return cut


def side_by_side(
    steps: Sequence[Step], note: Note, means: Means, numbers: Sequence[int] = ()
) -> Outcome:
    """Run a long plan in units; those of different namespaces overlap in a few workers."""
    return _SideBySide(note, means, Lanes(means.start)).all(units(steps, numbers))


@dataclass(slots=True)
class _SideBySide:
    """host: used by the main thread alone; guard: for the outcome, the note and the watcher."""

    note: Note
    means: Means
    host: Lanes
    outcome: Outcome = field(default_factory=Outcome)
    busy: dict[str, Future[None]] = field(default_factory=dict)
    guard: threading.Lock = field(default_factory=threading.Lock)

    def all(self, cut: Sequence[Unit]) -> Outcome:
        """Start the units in their order; a free worker takes each that is in a namespace."""
        # Nearly all that they do waits for the kernel's one lock of all networks (rtnl).
        workers = min(4, 2 * (os.cpu_count() or 1))
        free = threading.Semaphore(workers)
        with closing(self.host), ThreadPoolExecutor(workers) as pool:
            for unit in cut:
                if self._stopped():
                    break
                self._start(unit, pool, free)
            self._wait(self.busy)
            self._stopped()
        return self.outcome

    def _start(self, unit: Unit, pool: ThreadPoolExecutor, free: threading.Semaphore) -> None:
        reach = _reach(unit)
        # All must have come to rest before a lone command of the host, which may do anything.
        self._wait([name for name in self.busy if reach is None or name in reach])
        if not unit.netns and not _deletes_bridges(unit):
            if self._begins(unit):
                self._do(unit, self._on_host)
            return
        free.acquire()
        if not self._begins(unit):
            return
        try:
            self.busy[unit.netns] = future = pool.submit(self._do, unit, self._in_worker)
            future.add_done_callback(lambda _: free.release())
        except RuntimeError as error:
            # A pool that can start no thread may still take the unit up when another one is over.
            self._fail(Outcome(unit.numbers[0], Result(255, "", str(error))))
        if unit.netns and reach is None:
            self._wait(list(self.busy))

    def _wait(self, names: Iterable[str]) -> None:
        for name in list(names):
            self.busy.pop(name).result()

    def _stopped(self) -> bool:
        if self.outcome.failed is None and not self.outcome.signal and self.means.stopping():
            self.outcome = Outcome(signal=self.means.stopping())
        return self.outcome.failed is not None or bool(self.outcome.signal)

    def _begins(self, unit: Unit) -> bool:
        # Written down here, where it is in plan order, and not by the worker.
        with self.guard:
            if self._stopped():
                return False
            if refused := begin_unit(unit, self.note, self.means):
                self._fail(Outcome(unit.numbers[0], refused))
            return not refused

    def _do(self, unit: Unit, batch: Callable[[Unit], tuple[Result, int]]) -> None:
        how = timed(unit, lambda: self._run(unit, batch))
        with self.guard:
            self._fail(end_unit(unit, *how, self.note, self.means))

    def _run(self, unit: Unit, batch: Callable[[Unit], tuple[Result, int]]) -> tuple[Result, int]:
        if self._stopped():
            return Result(0, "", ""), 0
        return batch(unit) if unit.lines else (alone(unit.steps[0], self.means.run), 1)

    def _on_host(self, unit: Unit) -> tuple[Result, int]:
        return self.host.run("", unit.lines, self._stopped)

    def _in_worker(self, unit: Unit) -> tuple[Result, int]:
        # It needs no way back: it only ever goes from one namespace to the next.
        namespace.enter_network(str(NETNS / unit.netns) if unit.netns else OWN)
        lane = Lane(spawn)
        try:
            lane.feed(unit.lines, self._stopped)
        finally:
            how = lane.close()
        return how

    def _fail(self, outcome: Outcome) -> None:
        # The first failure is the one to be told, also when a signal came before it.
        if self.outcome.failed is None and outcome.failed is not None:
            self.outcome = outcome


def _reach(unit: Unit) -> set[str] | None:
    """Give the namespaces that must have come to rest before a unit begins, None for all.

    For one inside a namespace that is its own, and the host. All are it for one that names another
    besides, for one of the host that deletes something, and for a lone command there, which may do
    anything. What deletes namespaces has those alone.
    """
    named: set[str] = set()
    removes = False
    for change in (change for step in unit.steps for change in step.changes):
        named.update(_named(change))
        removes = removes or isinstance(change, Remove)
    if unit.netns:
        return {unit.netns, ""} if named <= {unit.netns} else None
    if unit.lines and _deleted(unit.steps[0]) == "netns":
        return named
    return named | {""} if unit.lines and not removes else None


def _deleted(step: Step) -> str:
    """Give the kind of object that a step of the host deletes, "" for one that does more."""
    found = {change.ref.kind if isinstance(change, Remove) else "" for change in step.changes}
    return found.pop() if len(found) == 1 and not step.netns else ""


def _deletes_bridges(unit: Unit) -> bool:
    """Say whether a unit deletes bridges, which go with no namespace, and nothing else."""
    links = (change.ref.name for step in unit.steps for change in step.changes)
    return bool(unit.lines) and _deleted(unit.steps[0]) == "link" and all(map(is_bridge, links))


def _named(change: Change) -> Iterator[str]:
    """Give the namespaces that a change names: those that its objects are in, or that it is."""
    refs = (*refs_of(change), change.to) if isinstance(change, Move) else refs_of(change)
    for ref in refs:
        yield ref.name if ref.kind == "netns" else ref.netns
