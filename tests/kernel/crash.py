"""Runs labs that fail, are killed or repeated; after each it says what the oracle still sees.

A script for the inside of a private host: `python crash.py ACTION JSON`, one line of JSON for each
run. Python starts once for many runs, and each run is a forked process, so that it can be killed.
"""

import fcntl
import json
import os
import random
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import Any

import oracle

from cnetsh import kinds
from cnetsh.apply import journal, rollback, units
from cnetsh.apply.journal import Journal
from cnetsh.apply.lock import held
from cnetsh.apply.run import Means, Note, one_by_one
from cnetsh.apply.undoing import undoing
from cnetsh.commands.check import run as run_check
from cnetsh.commands.down import run as run_down
from cnetsh.commands.output import exit_code_of
from cnetsh.commands.progress import Echo, Telling
from cnetsh.commands.recover import run as run_recover
from cnetsh.commands.up import run as run_up
from cnetsh.compare import snapshot
from cnetsh.compare.scope import written
from cnetsh.labs import choose
from cnetsh.plan.steps import Plans
from cnetsh.system.process import runner, spawn, through_sh
from cnetsh.targets.target import named

POINTS = ("before intent", "after intent", "during", "before outcome", "after outcome")
CRASHED = 70


def in_child(action: Callable[[], int]) -> tuple[int, str]:
    """The exit code (negative: the signal) of a process that does the action, and what it said."""
    with tempfile.TemporaryFile() as said:
        pid = os.fork()
        if not pid:
            os.dup2(said.fileno(), 1)
            os.dup2(said.fileno(), 2)
            code = CRASHED
            try:
                code = exit_code_of(action)
            except BaseException:
                traceback.print_exc()
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        said.seek(0)
        return code, said.read().decode(errors="replace")


def holders() -> Iterator[dict[str, Any]]:
    """Starts a child each way, lets go of the lock, and says whether the child still holds it."""
    for name in ("sh", "posix_spawn"):
        with held(["crash"]) as lock:
            start = through_sh((lock,)) if name == "sh" else spawn
            child = start(("/usr/bin/sleep", "600"), (0, 1, 2))
        path = journal.folder() / "lock"
        still = _is_locked(path)
        os.kill(child.pid, signal.SIGKILL)
        with suppress(Exception):
            child.wait()
        yield {"run": name, "held": still, "after": _is_locked(path)}


def _is_locked(path: Path) -> bool:
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def up(lab: str, settings: list[str] | None = None) -> int:
    return run_up(lab, settings or [], "host", yes=True, allow_overlap=True)


def down(lab: str) -> int:
    return run_down(lab, "host")


def check(lab: str) -> int:
    return run_check(lab, [], "host", verbose=False, quiet=True, as_json=False)


def recover() -> int:
    return run_recover("host", dry_run=False, verbose=False, quiet=False, log=None)


def failing(folders: list[str]) -> Iterator[dict[str, Any]]:
    """Brings up each of these labs, in which some step fails."""
    before = oracle.at_rest()
    for folder in folders:
        code, said = in_child(lambda folder=folder: up(folder))
        left = oracle.diff(before, oracle.at_rest())
        yield {"run": folder, "exit": code, "said": said, "left": left}
        if left:
            return


def cycles(
    lab: str, number: int, settings: list[str], seconds: float = 1e9
) -> Iterator[dict[str, Any]]:
    """Brings a lab up and takes it down so many times, or for so long, without a pause.

    All in this one process, so that it would gather what leaks. The kernel is looked at after each
    thousand and at the end.
    """
    before, end = oracle.at_rest(), time.monotonic() + seconds
    quietly(lambda: up(lab, settings) or down(lab))
    start = residue()
    for cycle in range(1, number + 1):
        code, said = quietly(lambda: up(lab, settings) or down(lab))
        last = code or cycle == number or time.monotonic() > end
        if last or cycle % 1000 == 0:
            left = oracle.diff(before, oracle.at_rest()) + oracle.diff(start, residue())
            yield {"run": f"{lab} cycle {cycle}", "exit": code, "said": said, "left": left}
            if last or left:
                return


def taken(labs: list[tuple[str, list[str]]]) -> Iterator[dict[str, Any]]:
    """Brings each of these labs up, if this kernel can have it, and takes it down."""
    before = oracle.at_rest()
    for lab, settings in labs:
        code, said = in_child(lambda lab=lab, settings=settings: up(lab, settings))
        if not code:
            _, more = in_child(lambda lab=lab: down(lab))
            said += more
        left = oracle.diff(before, oracle.at_rest())
        yield {"run": f"{lab} {settings}", "exit": code, "said": said, "left": left}


def quietly(action: Callable[[], int]) -> tuple[int, str]:
    """The exit code of the action, done in this process, and what it said."""
    with tempfile.TemporaryFile() as said:
        stderr = os.dup(2)
        os.dup2(said.fileno(), 2)
        try:
            code = exit_code_of(action)
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
        said.seek(0)
        return code, said.read().decode(errors="replace")


def residue() -> oracle.Facts:
    """What the oracle does not look at: mounts, files, descriptors, processes in the namespace."""
    own = os.stat("/proc/self/ns/net").st_ino  # noqa: PTH116
    return {
        "mounts": sorted(
            line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()
        ),
        "files": sorted(str(path) for path in Path("/run").rglob("*")),
        "descriptors": sorted(os.listdir("/proc/self/fd")),  # noqa: PTH208
        "processes": sorted(_living(own)),
    }


def _living(inode: int) -> Iterator[str]:
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (entry / "ns/net").stat().st_ino == inode:
                yield entry.name


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_soon(seconds: float) -> None:
    """A thread that kills this process while its command runs."""
    threading.Thread(target=lambda: (time.sleep(seconds), die()), daemon=True).start()


def deadly(note: Note, step: int, point: str, delay: float) -> Note:
    """A note that writes, and ends the process at one of the five points of a step."""

    def write(**record: Any) -> None:
        starts, ends = step in record.get("start", ()), step in record.get("end", ())
        if (starts and point == "before intent") or (ends and point == "before outcome"):
            die()
        note(**record)
        if (starts and point == "after intent") or (ends and point == "after outcome"):
            die()
        if starts and point == "during":
            die_soon(delay)

    return write


def means(lock: int) -> Means:
    watch = Echo(Telling(quiet=True))
    return Means(runner(lock), through_sh((lock,)), watch, lambda: 0, named("host"))


def killed_up(plans: Plans, step: int, point: str, delay: float, long: bool) -> int:
    """An `up` that is killed at a point of a step; long plans run in units, side by side."""
    with held(["crash"]) as lock:
        with_lock = means(lock)
        before = snapshot.take(with_lock.run, written(plans.up.steps))
        record = journal.create(plans, kinds.facts_of(before))
        note = deadly(record.write, step, point, delay)
        run = units.side_by_side if long else one_by_one
        outcome = run(plans.up.steps, note, with_lock)
        if not outcome.well:
            print(outcome)
            return 1
        if point == "during":
            signal.pause()  # a short plan may be over before its end comes
        record.write(up=True)
    return 0


def killed(
    lab: str, settings: list[str], grid: list[tuple[int, str]], long: bool = False, seed: int = 1
) -> Iterator[dict[str, Any]]:
    """Kills `up` at each point of the grid, then recovers, twice."""
    plans, before, chance = choose.plans(lab, settings), oracle.at_rest(), random.Random(seed)
    for step, point in grid:
        delay = chance.uniform(0, 0.002)
        code, said = in_child(
            lambda s=step, p=point, d=delay: killed_up(plans, s, p, d, long)  # type: ignore[misc]
        )
        yield {"run": f"{lab} {step} {point} {delay:.4f}", "exit": code, "said": said} | (
            recovered(before)
        )


def killed_and_held(lab: str, settings: list[str], step: int) -> Iterator[dict[str, Any]]:
    """Kills `up` before a unit's outcome, and recovers while somebody keeps the namespaces open."""
    plans, before = choose.plans(lab, settings), oracle.at_rest()
    code, said = in_child(lambda: killed_up(plans, step, "before outcome", 0, long=True))
    fds = [os.open(path, os.O_RDONLY) for path in Path("/run/netns").iterdir()]
    yield {"run": f"{lab} {step}", "exit": code, "said": said, "held": len(fds)} | recovered(before)


def recovered(
    before: oracle.Facts, look: Callable[[], oracle.Facts] = oracle.at_rest
) -> dict[str, Any]:
    first, said = in_child(recover)
    second, said_again = in_child(recover)
    return {
        "recover": [first, second],
        "recovered": said,
        "again": said_again,
        "left": oracle.diff(before, look()),
    }


class Deadly(Journal):
    """A journal whose process ends before (even) or after (odd) one of its writes."""

    __slots__ = ("countdown",)
    countdown: list[int]  # one for several journals

    @classmethod
    def of(cls, found: Journal, countdown: list[int]) -> "Deadly":
        record = cls(**{one.name: getattr(found, one.name) for one in fields(found)})
        record.countdown = countdown
        return record

    def write(self, **record: Any) -> None:
        self._tick()
        Journal.write(self, **record)
        self._tick()

    def remove(self) -> None:
        self._tick()
        Journal.remove(self)
        self._tick()

    def _tick(self) -> None:
        if self.countdown[0] == 0:
            die()
        self.countdown[0] -= 1


def killed_recover(countdown: int, delay: float) -> int:
    """A `recover` that is killed: at a write of a journal, or delay seconds after it."""
    left = [countdown]
    with held(["crash"]) as lock:
        for found in [one for one in journal.all_here()[0] if not one.stands]:
            record = Deadly.of(found, left)
            if delay:
                die_soon(delay)
            what = undoing(record, means(lock))
            for other in what.beside:
                other.journal = Deadly.of(other.journal, left)
            undone = rollback.roll_back(what)
            if not undone.left:
                record.remove()
    return 0


def recover_killed(lab: str, steps: list[int], seed: int) -> Iterator[dict[str, Any]]:
    """Kills `up` after a step, then `recover` at each of its writes, then recovers."""
    plans, before, chance = choose.plans(lab, ()), oracle.at_rest(), random.Random(seed)
    for step in steps:
        countdown, code = 0, -signal.SIGKILL
        while code == -signal.SIGKILL:
            in_child(lambda s=step: killed_up(plans, s, "after outcome", 0, False))  # type: ignore[misc]
            delay = chance.uniform(0, 0.1) if countdown % 3 == 2 else 0.0
            code, said = in_child(
                lambda n=countdown, d=delay: killed_recover(n if not d else 1000, d)  # type: ignore[misc]
            )
            run = f"{lab} {step} write {countdown} {delay:.4f}"
            yield {"run": run, "exit": code, "said": said} | recovered(before)
            countdown += 1


def beside_killed(
    lab: str, settings: list[str], other: str, name: str, every: int
) -> Iterator[dict[str, Any]]:
    """Kills `recover` at every so many writes beside another lab that needs the same setting.

    Then the other lab goes down after the next `recover`, and is checked until then, or before it.
    """
    plans, before = choose.plans(lab, settings), oracle.at_rest()
    last = len(plans.up.steps) - 1
    for first in (recover, lambda: down(name)):
        countdown, code = 1, -signal.SIGKILL
        while code == -signal.SIGKILL:
            in_child(lambda: killed_up(plans, last, "after outcome", 0, False))
            quietly(lambda: up(other))
            code, said = in_child(lambda n=countdown: killed_recover(n, 0))  # type: ignore[misc]
            codes, row = [], {"run": countdown, "exit": code}
            for action in (first, recover, lambda: down(name)):
                ended, more = in_child(action)
                codes.append(ended)
                said += more
                if len(codes) == 1 and first is recover:
                    row["checked"], _ = in_child(lambda: check(name))
            left = oracle.diff(before, oracle.at_rest())
            yield row | {"codes": codes, "said": said, "left": left}
            countdown += every if first is recover else 2 * every


ACTIONS = {
    "beside_killed": beside_killed,
    "failing": failing,
    "killed": killed,
    "killed_and_held": killed_and_held,
    "recover_killed": recover_killed,
    "cycles": cycles,
    "taken": taken,
    "holders": holders,
}


def tell(actions: dict[str, Any]) -> None:
    """Does the action that was asked for, and prints a line of JSON for each run."""
    for line in actions[sys.argv[1]](**json.loads(sys.argv[2])):
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    tell(ACTIONS)
