"""What the commands do in a target, and the exit codes they end with."""

import os
import select
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from cnetsh.apply import journal, rollback
from cnetsh.apply.batch import through_sh
from cnetsh.apply.journal import Journal
from cnetsh.apply.rollback import Undone
from cnetsh.apply.run import Means, one_by_one
from cnetsh.apply.up import Ended, bring_up, reason, refuse_foreign, refuse_in_the_way, undo
from cnetsh.commands.progress import Echo, Quiet, say, show_error, show_others, show_residue
from cnetsh.compare import snapshot
from cnetsh.compare.reliance import refuse_changed
from cnetsh.compare.scope import scope_of
from cnetsh.compare.snapshot import Snapshot
from cnetsh.errors import DONE, FAILED, LEFT_BEHIND, CnetshError
from cnetsh.labs import choose
from cnetsh.plan import saved
from cnetsh.plan.steps import Plans
from cnetsh.system import processes
from cnetsh.system.process import require_descriptors, runner
from cnetsh.system.signals import Stop
from cnetsh.targets import target
from cnetsh.targets.target import Action, Target


@dataclass(frozen=True, slots=True)
class Options:
    """How to run: steps shown, a log, seconds of --try, overlaps accepted."""

    verbose: bool = False
    log: Path | None = None
    trial: int = 0
    allow_overlap: bool = False


@contextmanager
def _changing(options: Options) -> Iterator[Means]:
    """Hold the target's lock and give the means to change it."""
    require_descriptors()
    with Stop() as stop, journal.lock(sys.argv, stop) as lock:
        echo = Echo(options.verbose, options.log)
        try:
            yield Means(runner(lock), through_sh((lock,)), echo, stop)
        finally:
            echo.over()


def guarded(action: Action) -> Action:
    """Give the action with its errors told, for a process of which only the exit code is seen."""

    def guarded() -> int:
        try:
            return action()
        except CnetshError as error:
            show_error(error)
            return error.code
        except BrokenPipeError:
            raise
        except OSError as error:
            show_error(CnetshError(str(error)))
            return FAILED

    return guarded


def inside(on: str, action: Action, otherwise: str = "") -> int:
    """Call action in a target; a sandbox that does not run has nothing to act on."""
    where = target.named(on)
    if not target.runs(where):
        say(otherwise or f"sandbox {where.name} does not run")
        return DONE
    return target.in_target(where, guarded(action))


def up(lab: str, settings: Sequence[str], on: str, dry_run: bool, options: Options) -> int:
    """Bring a lab up; give the exit code."""
    where = target.named(on)
    relied_on: Mapping[str, str] = {}
    if lab.endswith(".json"):
        found = saved.read(Path(lab))
        plans, relied_on = found.plans, found.relied_on
    else:
        plans = choose.plans(lab, settings)
    if dry_run:
        total = len(plans.up.steps)
        for number, step in enumerate(plans.up.steps, 1):
            print(f"[{number}/{total}] {step.text}")
        return DONE
    target.ensure(where, guarded(build_sandbox))
    return target.in_target(where, guarded(lambda: _up(plans, relied_on, where, options)))


def build_sandbox() -> int:
    """Build the article's virtual machine by a lab of its own, which nothing undoes."""
    plans = choose.plans("sandbox", ())
    means = Means(runner(), through_sh(()), Quiet(), lambda: 0)
    outcome = one_by_one(plans.up.steps, lambda **_: None, means)
    if outcome.failed is not None:
        raise CnetshError(reason(plans.up, outcome), code=FAILED)
    return DONE


def _up(plans: Plans, relied_on: Mapping[str, str], where: Target, options: Options) -> int:
    with _changing(options) as means:
        if record := _is_up(plans.up.lab):
            return _changed(record, plans, relied_on, where, means, options)
        before = snapshot.take(means.ask, scope_of(plans.up.steps).settings)
        refuse_changed(relied_on, plans.up, before)
        _refuse_dangerous(plans, before, where, means, options)
        ended = bring_up(plans, before, means)
        if ended.undone is not None:
            return _rolled_back(plans, ended)
        say(f"{plans.up.lab} is up: {len(plans.up.steps)} steps in {ended.seconds:.2f} s")
        return _confirmed(plans.up.lab, options.trial, means) if options.trial else DONE


def _refuse_dangerous(
    plans: Plans, before: Snapshot, where: Target, means: Means, options: Options
) -> None:
    """Tell what doctor finds; refuse what would damage the host or cannot work."""
    from cnetsh.doctor import diagnose

    findings = diagnose.diagnose(
        plans.up, where.kind == "host", diagnose.gather(means.ask, before, plans.up)
    )
    for one in findings:
        if one.severity != "note":
            say(diagnose.as_text(one))
    worst = diagnose.worst(findings)
    if worst == "lacks" or (worst == "refuse" and not options.allow_overlap):
        hint = "--allow-overlap accepts it" if worst == "refuse" else "nothing was executed"
        raise CnetshError(f"{plans.up.lab} is not brought up here, see above", hint)


def _changed(
    record: Journal,
    plans: Plans,
    relied_on: Mapping[str, str],
    where: Target,
    means: Means,
    options: Options,
) -> int:
    """Make a lab that is up into the plan's: show what differs, and run just that."""
    from cnetsh.apply import change

    difference = change.between(record, plans.up)
    if not difference:
        record.close()
        say(f"{record.lab} is up already")
        return DONE
    now = snapshot.take(means.ask, scope_of(plans.up.steps).settings)
    refuse_changed(relied_on, plans.up, now, journal.standing(record))
    refuse_foreign(plans.up)
    refuse_in_the_way(replace(plans.up, steps=difference.new), now, record.made)
    _refuse_dangerous(plans, now, where, means, options)
    say(f"{record.lab} is up and its plan has changed:")
    undone = rollback.still_needed(difference.undo, record, means)
    for line in change.lines(undone, difference.new):
        say(f"  {line}")
    outcome = change.apply(record, plans, difference, means)
    record.close()
    if outcome.well:
        say(f"{record.lab} is up as planned now")
        return DONE
    if text := change.reason(difference, outcome):
        say(text)
    if not record.up:
        say("the lab could not be put back to what it was: cnetsh recover undoes all of it")
        return LEFT_BEHIND
    say("the change is undone: the lab is as it was before")
    return 128 + outcome.signal if outcome.signal else FAILED


def _is_up(lab: str) -> Journal | None:
    """Give the journal of a lab that is up. Raises CnetshError when a run was interrupted."""
    record = journal.find(lab)
    if record is None:
        return None
    if not record.same_boot:
        _forget(record)
        return None
    if not record.up:
        record.close()
        raise CnetshError(f"an earlier run of {lab} was interrupted", "cnetsh recover undoes it")
    return record


def _rolled_back(plans: Plans, ended: Ended) -> int:
    """Tell why and how a run was undone; give the exit code."""
    outcome, undone = ended.outcome, ended.undone
    if text := reason(plans.up, outcome):
        say(text)
    if undone and (code := _left(undone)):
        return code
    say("undone: the target is as it was before")
    return 128 + outcome.signal if outcome.signal else FAILED


def _left(undone: Undone) -> int:
    """Tell what an undo left; give 3 when something of the lab is left, else 0."""
    show_others(undone.others)
    for line in undone.kept:
        say(f"  {line}")
    if undone.residue:
        show_residue(undone.residue)
        return LEFT_BEHIND
    return DONE


def _confirmed(lab: str, seconds: int, means: Means) -> int:
    """Keep a lab that is confirmed with Enter in time, and undo it otherwise."""
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
    undone = undo(record, means)
    say("not confirmed: undone")
    return _left(undone) or (128 + means.stopping() if means.stopping() else FAILED)


def down(lab: str, on: str, kill: bool, options: Options) -> int:
    """Take a lab down; give the exit code."""
    name = choose.name_of(lab)
    return inside(on, lambda: _down(name, kill, options), f"{name} is not up")


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
    undone = undo(record, means)
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
    found = processes.found_in(record.homes, record.held)
    if found and kill:
        found = processes.kill(found, lambda: processes.found_in(record.homes, record.held))
    if found:
        names = ", ".join(f"{one.pid} ({one.name}) in {one.netns}" for one in found)
        raise CnetshError(
            f"{record.lab} is in use by process {names}", "end it, or --kill ends just those"
        )


def recover(on: str, options: Options) -> int:
    """Undo every interrupted run of a target; give the exit code."""
    return inside(on, lambda: _recover(options), "nothing to recover")


def _recover(options: Options) -> int:
    with _changing(options) as means:
        waiting = [one for one in journal.all_here() if not one.up or not one.same_boot]
        codes = [_forget(one) if not one.same_boot else _undone(one, means) for one in waiting]
    if not waiting:
        say("nothing to recover")
    return max(codes, default=DONE)
