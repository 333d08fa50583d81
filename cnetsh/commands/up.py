"""The command `up`: a lab is brought up, or changed when it is up and its plan differs."""

import os
import select
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cnetsh.apply import change, journal, rollback
from cnetsh.apply.journal import Journal
from cnetsh.apply.run import Means
from cnetsh.apply.up import Ended, bring_up, reason, refuse_foreign, refuse_in_the_way, undo
from cnetsh.commands.changing import changing, forget, started, tell_left
from cnetsh.commands.output import say
from cnetsh.compare import snapshot
from cnetsh.compare.reliance import refuse_changed
from cnetsh.compare.scope import scope_of
from cnetsh.compare.snapshot import Snapshot
from cnetsh.errors import DONE, FAILED, LEFT_BEHIND, CnetshError
from cnetsh.labs import choose
from cnetsh.plan import saved
from cnetsh.plan.steps import Plan, Plans
from cnetsh.targets import target


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What is to be up, and where: a saved plan relies on what it has seen there."""

    plans: Plans
    relied_on: Mapping[str, str]
    on_host: bool
    allow_overlap: bool


def run(
    lab: str,
    settings: Sequence[str],
    on: str,
    dry_run: bool = False,
    trial: int = 0,
    allow_overlap: bool = False,
    verbose: bool = False,
    log: Path | None = None,
) -> int:
    """Bring a lab up; give the exit code. trial: seconds in which it has to be confirmed."""
    where = target.named(on)
    plans, relied_on = _read(lab, settings)
    if dry_run:
        for number, step in enumerate(plans.up.steps, 1):
            print(f"[{number}/{len(plans.up.steps)}] {step.text}")
        return DONE
    wanted = _Wanted(plans, relied_on, where.kind == "host", allow_overlap)
    return started(where, lambda: _up(wanted, trial, verbose, log))


def _read(lab: str, settings: Sequence[str]) -> tuple[Plans, Mapping[str, str]]:
    """Give a lab's plans, and what they rely on when they were saved."""
    # One with settings is refused below: a saved plan is finished.
    if lab.endswith(".json") and not settings:
        found = saved.read_saved(Path(lab))
        return found.plans, found.relied_on
    return choose.plans(lab, settings), {}


def _up(wanted: _Wanted, trial: int, verbose: bool, log: Path | None) -> int:
    plans = wanted.plans
    with changing(verbose, log) as means:
        if record := _is_up(plans.up.lab):
            return _changed(record, wanted, means)
        # One look serves all that follows: what may be refused, and what the undo puts back.
        before = snapshot.take(means.ask, scope_of(plans.up.steps).settings)
        refuse_changed(wanted.relied_on, plans.up, before)
        _refuse_dangerous(wanted, before, means)
        ended = bring_up(plans, before, means)
        if ended.undone is not None:
            return _rolled_back(plans.up, ended)
        say(f"{plans.up.lab} is up: {len(plans.up.steps)} steps in {ended.seconds:.2f} s")
        return _confirmed(plans.up.lab, trial, means) if trial else DONE


def _is_up(lab: str) -> Journal | None:
    """Give the journal of a lab that is up. Raises CnetshError when a run was interrupted."""
    record = journal.find(lab)
    if record is None:
        return None
    if not record.same_boot:
        forget(record)
        return None
    if not record.up:
        record.close()
        raise CnetshError(f"an earlier run of {lab} was interrupted", "cnetsh recover undoes it")
    return record


def _refuse_dangerous(wanted: _Wanted, before: Snapshot, means: Means) -> None:
    """Tell what doctor finds; refuse what would damage the host or cannot work."""
    # A dry run goes without the traps, which take a while to load.
    from cnetsh.doctor import diagnose

    plan = wanted.plans.up
    facts = diagnose.gather(means.ask, before, plan)
    findings = diagnose.diagnose(plan, wanted.on_host, facts)
    for one in findings:
        if one.severity != "note":
            say(diagnose.as_text(one))
    worst = diagnose.worst(findings)
    if worst == "lacks" or (worst == "refuse" and not wanted.allow_overlap):
        hint = "--allow-overlap accepts it" if worst == "refuse" else "nothing was executed"
        raise CnetshError(f"{plan.lab} is not brought up here, see above", hint)


def _rolled_back(plan: Plan, ended: Ended) -> int:
    """Tell why and how a run was undone; give the exit code."""
    if text := reason(plan, ended.outcome):
        say(text)
    if ended.undone and (code := tell_left(ended.undone)):
        return code
    say("undone: the target is as it was before")
    return _undone_by(ended.outcome.signal)


def _undone_by(signal: int) -> int:
    """Give the exit code of what was undone: by the signal that stopped it, or a failure."""
    return 128 + signal if signal else FAILED


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
    # The lock is held since it came up, so nobody else can have taken it down.
    assert record
    undone = undo(record, means)
    say("not confirmed: undone")
    return tell_left(undone) or _undone_by(means.stopping())


def _changed(record: Journal, wanted: _Wanted, means: Means) -> int:
    """Make a lab that is up into the plan's: show what differs, and run just that."""
    plans = wanted.plans
    difference = change.between(record, plans.up)
    if not difference:
        record.close()
        say(f"{record.lab} is up already")
        return DONE
    now = snapshot.take(means.ask, scope_of(plans.up.steps).settings)
    refuse_changed(wanted.relied_on, plans.up, now, journal.standing(record))
    refuse_foreign(plans.up)
    refuse_in_the_way(replace(plans.up, steps=difference.new), now, record.made)
    _refuse_dangerous(wanted, now, means)
    say(f"{record.lab} is up and its plan has changed:")
    # Shown is what runs: an undo that has nothing to do any more is left out of both.
    undone = rollback.undos_left(difference.gone, record, means)
    for line in change.lines(undone, difference.new):
        say(f"  {line}")
    outcome = change.apply(record, plans, difference, means)
    record.close()
    if outcome.well:
        say(f"{record.lab} is up as planned now")
        return DONE
    if text := change.why_not(difference, outcome):
        say(text)
    if not record.up:
        say("the lab could not be put back to what it was: cnetsh recover undoes all of it")
        return LEFT_BEHIND
    say("the change is undone: the lab is as it was before")
    return _undone_by(outcome.signal)
