"""What the commands do in a target, and the exit codes they end with."""

import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cnetsh import check as checking
from cnetsh import drift, journal, lifecycle, load, rollback, sandbox, snapshot, target
from cnetsh.commands import FOLDERS, runner, tool
from cnetsh.console import Echo, Quiet, say, show_error, show_others, show_residue
from cnetsh.errors import DONE, FAILED, LEFT_BEHIND, REFUSED, CnetshError
from cnetsh.execute import Means, one_by_one
from cnetsh.journal import Journal
from cnetsh.lanes import through_sh
from cnetsh.lifecycle import Ended
from cnetsh.load import Plans
from cnetsh.rollback import Undone
from cnetsh.target import Action, Target

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, slots=True)
class Options:
    """How to run: every step shown, a log, one process a step, seconds of --try, overlaps accepted."""

    verbose: bool = False
    log: Path | None = None
    step: bool = False
    trial: int = 0
    allow_overlap: bool = False


class Stop:
    """The signal that asked to stop, 0 while none came; the running command ends first."""

    def __init__(self) -> None:
        self.signal = 0
        for number in SIGNALS:
            signal.signal(number, self._take)

    def _take(self, number: int, _: object) -> None:
        self.signal = self.signal or number

    def __call__(self) -> int:
        return self.signal


@contextmanager
def _changing(options: Options) -> Iterator[Means]:
    """Hold the target's lock and give the means to change it."""
    stop = Stop()
    with journal.lock(sys.argv) as lock:
        echo = Echo(options.verbose, options.log)
        try:
            yield Means(runner(lock), through_sh((lock,)), echo, stop)
        finally:
            echo.over()


def _guarded(action: Action) -> Action:
    """Give the action with its errors told, for a process of which only the exit code is seen."""

    def guarded() -> int:
        try:
            return action()
        except CnetshError as error:
            show_error(error)
            return error.code

    return guarded


def _inside(on: str, action: Action, otherwise: str = "") -> int:
    """Call action in a target; a sandbox that does not run has nothing to act on."""
    where = target.parse(on)
    if not target.runs(where):
        say(otherwise or f"sandbox {where.name} does not run")
        return DONE
    return target.inside(where, _guarded(action))


def up(lab: str, settings: Sequence[str], on: str, dry_run: bool, options: Options) -> int:
    """Bring a lab up; give the exit code."""
    plans, where = load.plans(lab, settings), target.parse(on)
    if dry_run:
        total = len(plans.up.steps)
        for number, step in enumerate(plans.up.steps, 1):
            print(f"[{number}/{total}] {step.text}")
        return DONE
    target.ensure(where, _guarded(_build_sandbox))
    return target.inside(where, _guarded(lambda: _up(plans, where, options)))


def _build_sandbox() -> int:
    """Build the article's virtual machine by a lab of its own, which nothing undoes."""
    plans = load.plans("sandbox", ())
    means = Means(runner(), through_sh(()), Quiet(), lambda: 0)
    outcome = one_by_one(plans.up.steps, lambda **_: None, means)
    if outcome.failed is not None:
        raise CnetshError(lifecycle.reason(plans.up, outcome), code=FAILED)
    return DONE


def _up(plans: Plans, where: Target, options: Options) -> int:
    lab = plans.up.lab
    with _changing(options) as means:
        if _is_up(lab):
            say(f"{lab} is up already")
            return DONE
        before = snapshot.take(means.run)
        ended = lifecycle.bring_up(plans, before, means, options.step)
        if ended.undone is None:
            say(f"{lab} is up: {len(plans.up.steps)} steps in {ended.seconds:.2f} s")
            return _confirmed(lab, options.trial, means) if options.trial else DONE
        return _rolled_back(plans, ended)


def _is_up(lab: str) -> bool:
    """Say whether a lab is up. Raises CnetshError when an earlier run was interrupted."""
    record = journal.find(lab)
    if record is None:
        return False
    record.close()
    if not record.same_boot:
        say(f"{lab} went with the last reboot; its record is removed")
        record.remove()
        return False
    if not record.up:
        raise CnetshError(f"an earlier run of {lab} was interrupted", "cnetsh recover undoes it")
    return True


def _rolled_back(plans: Plans, ended: Ended) -> int:
    """Tell why and how a run was undone; give the exit code."""
    outcome, undone = ended.outcome, ended.undone
    if outcome.failed is not None:
        say(lifecycle.reason(plans.up, outcome))
        say(f"  {lifecycle.advice(plans.up, outcome)}")
    if undone and (code := _left(undone)):
        return code
    say("undone: the target is as it was before")
    return 128 + outcome.signal if outcome.signal else FAILED


def _left(undone: Undone) -> int:
    """Tell what an undo left; give 3 when something of the lab is left, else 0."""
    show_others(undone.others)
    if undone.residue:
        show_residue(undone.residue)
        return LEFT_BEHIND
    return DONE


def _confirmed(lab: str, seconds: int, means: Means) -> int:
    """Keep a lab that is confirmed with Enter in time, and undo it otherwise."""
    import select

    say(f"press Enter within {seconds} s to keep {lab}; otherwise it is undone")
    deadline = time.monotonic() + seconds
    watched = [sys.stdin]
    while not means.stopping() and time.monotonic() < deadline:
        ready, _, _ = select.select(watched, [], [], 0.1)
        if ready and os.read(sys.stdin.fileno(), 1024):
            say(f"{lab} stays up")
            return DONE
        # The end of input is a terminal that went away, or none: that confirms nothing.
        watched = [] if ready else watched
    record = journal.find(lab)
    assert record
    undone = lifecycle.undo(record, means)
    say("not confirmed: undone")
    return _left(undone) or (128 + means.stopping() if means.stopping() else FAILED)


def name_of(lab: str) -> str:
    """Give the name of a lab that is up under it: a file's own, else the word itself."""
    if lab.endswith((".yaml", ".yml", ".json")) or "/" in lab:
        return load.plans(lab, ()).up.lab
    return lab


def down(lab: str, on: str, kill: bool, options: Options) -> int:
    """Take a lab down; give the exit code."""
    name = name_of(lab)
    return _inside(on, lambda: _down(name, kill, options), f"{name} is not up")


def _down(name: str, kill: bool, options: Options) -> int:
    with _changing(options) as means:
        record = journal.find(name)
        if record is None:
            say(f"{name} is not up")
            return DONE
        if not record.same_boot:
            return _forget(record)
        _empty(record, kill)
        return _undone(record, means)


def _undone(record: Journal, means: Means) -> int:
    began = time.monotonic()
    undone = lifecycle.undo(record, means)
    if code := _left(undone):
        return code
    say(f"{record.lab} is down, the target as before, in {time.monotonic() - began:.2f} s")
    return DONE


def _forget(record: Journal) -> int:
    """Remove the record of a lab that a reboot took: nothing is left to undo."""
    record.remove()
    say(f"{record.lab} went with the last reboot; nothing was executed, its record is removed")
    return DONE


def _empty(record: Journal, kill: bool) -> None:
    """Refuse to go on while processes are in the lab's namespaces, or end just those."""
    inside = rollback.inside(record)
    if inside and kill:
        inside = rollback.kill(inside, lambda: rollback.inside(record))
    if inside:
        names = ", ".join(f"{one.pid} ({one.name}) in {one.netns}" for one in inside)
        raise CnetshError(
            f"{record.lab} is in use by process {names}", "end it, or --kill ends just those"
        )


def recover(on: str, options: Options) -> int:
    """Undo every interrupted run of a target; give the exit code."""
    return _inside(on, lambda: _recover(options), "nothing to recover")


def _recover(options: Options) -> int:
    with _changing(options) as means:
        waiting = [one for one in journal.all_here() if not one.up or not one.same_boot]
        codes = [_forget(one) if not one.same_boot else _undone(one, means) for one in waiting]
    if not waiting:
        say("nothing to recover")
    return max(codes, default=DONE)


def check(lab: str, settings: Sequence[str], on: str, as_json: bool) -> int:
    """Check a lab that is up; give the exit code."""
    name = name_of(lab) if not settings else load.plans(lab, settings).up.lab
    return _inside(on, lambda: _check(name, as_json), f"{name} is not up") or DONE


def _check(name: str, as_json: bool) -> int:
    record = journal.find(name)
    if record is None or not record.same_boot:
        raise CnetshError(f"{name} is not up", f"cnetsh up {name}")
    record.close()
    run = runner()
    up_steps, plan = rollback.plan_of(record, "up").steps, rollback.plan_of(record, "check")
    drifted = drift.drift(up_steps, snapshot.take(run), record.made, run)
    tell = (lambda _: None) if as_json else _tell
    findings = checking.run_checks(plan, run, tell)
    failed = [one for one in findings if one.verdict == "failed"]
    if as_json:
        rows = [
            {"command": one.step.text, "verdict": one.verdict, "detail": one.detail}
            for one in findings
        ]
        print(json.dumps({"lab": name, "checks": rows, "drift": drifted}, indent=1))
    for line in drifted:
        say(f"changed   {line}")
    count = sum(one.verdict == "ok" for one in findings)
    say(f"{name}: {count} checks ok, {len(failed)} failed, {len(drifted)} changed")
    return FAILED if failed or drifted else DONE


def _tell(finding: checking.Finding) -> None:
    from cnetsh.console import visible_lines

    if finding.verdict == "look":
        print(f"{finding.step.text}\n{visible_lines(finding.detail.rstrip())}")
    else:
        print(visible_lines(f"{finding.verdict:<9} {finding.step.text}\n{'':9} {finding.detail}"))


def status(on: str, as_json: bool) -> int:
    """List the labs of a target; give the exit code."""
    where = target.parse(on)
    if not target.runs(where):
        return _show_status([], as_json)
    return target.inside(where, _guarded(lambda: _status(as_json)))


def _status(as_json: bool) -> int:
    rows = []
    for record in journal.all_here():
        record.close()
        state = "up" if record.up else "interrupted"
        containers = [key[6:] for key in record.made if key.startswith("netns ")]
        rows.append(
            {
                "lab": record.lab,
                "title": record.header["title"],
                "state": state if record.same_boot else "gone by reboot",
                "started": record.header["started"],
                "containers": containers,
            }
        )
    return _show_status(rows, as_json)


def _show_status(rows: Sequence[dict[str, object]], as_json: bool) -> int:
    if as_json:
        print(json.dumps(rows, indent=1))
        return DONE
    for row in rows:
        names = row["containers"]
        assert isinstance(names, list)
        shown = " ".join(names[:6]) + (f" … {len(names)} in all" if len(names) > 6 else "")
        print(f"{row['lab']:<12} {row['state']:<12} {shown}")
    if not rows:
        say("no lab is up")
    return DONE


def execute_in(name: str, command: Sequence[str], on: str) -> int:
    """Run a command in a container, or in the target itself; give its exit code."""
    where = target.parse(on)
    if not target.runs(where):
        raise CnetshError(f"{where} does not run, so there is no {name}", "cnetsh up LAB starts it")
    return target.inside(where, _guarded(lambda: _execute_in(name, command)))


def _execute_in(name: str, command: Sequence[str]) -> int:
    names = snapshot.namespaces()
    if name != "host" and not names.get(name):
        known = ", ".join(sorted(names)) or "none"
        raise CnetshError(f"there is no container {name}", f"there are: {known}")
    path = f"{os.environ.get('PATH', '')}:{':'.join(FOLDERS)}"
    argv = list(command) if name == "host" else [tool("ip"), "netns", "exec", name, *command]
    sys.stdout.flush()
    with contextlib.suppress(FileNotFoundError):
        os.execvpe(argv[0], argv, {**os.environ, "PATH": path})
    raise CnetshError(f"there is no command {command[0]}", code=127)


def start_sandbox(name: str) -> int:
    """Start a sandbox that stays until it is stopped; give the exit code."""
    where = target.parse(f"sandbox:{name}")
    target.ensure(where, _guarded(_build_sandbox))
    box = sandbox.find(name)
    if box is None:
        raise CnetshError(f"sandbox {name} ended at once", code=FAILED)
    sandbox.keep(box)
    say(f"sandbox {name} runs (process {box.holder}); it stays until: cnetsh sandbox stop {name}")
    return DONE


def stop_sandbox(name: str) -> int:
    """End a sandbox with all that is in it; give the exit code."""
    box = sandbox.find(target.parse(f"sandbox:{name}").name)
    if box:
        sandbox.stop(box)
    say(f"sandbox {name} {'ended' if box else 'does not run'}")
    return DONE


def list_sandboxes(as_json: bool) -> int:
    """List the sandboxes that run; give the exit code."""
    rows = [
        {
            "name": box.name,
            "holder": box.holder,
            "init": box.init,
            "kept": box.kept,
            "labs": box.labs,
        }
        for box in sandbox.running()
    ]
    if as_json:
        print(json.dumps(rows, indent=1))
        return DONE
    for row in rows:
        print(f"{row['name']:<12} process {row['holder']:<8} {' '.join(row['labs'])}")  # type: ignore[arg-type]
    if not rows:
        say("no sandbox runs")
    return DONE
