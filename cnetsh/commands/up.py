"""The command `up`: a lab is brought up, or changed when it is up and its plan differs."""

import contextlib
import os
import select
import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TextIO

from cnetsh.apply import change, journal
from cnetsh.apply.journal import Journal
from cnetsh.apply.run import Means
from cnetsh.apply.up import Ended, bring_up, reason, refuse_foreign, refuse_untrusted, undo
from cnetsh.commands.changing import (
    changing,
    forget,
    refuse_in_use,
    started,
    tell_ended,
    tell_version,
    unless_killed,
)
from cnetsh.commands.output import say
from cnetsh.commands.progress import opened_log
from cnetsh.compare import snapshot
from cnetsh.compare.preview import refuse_changed, refuse_taken
from cnetsh.compare.scope import without_links, written
from cnetsh.errors import DONE, FAILED, LEFT_BEHIND, CnetshError
from cnetsh.kinds.change import State
from cnetsh.labs import choose
from cnetsh.plan import saved
from cnetsh.plan.steps import Plan, Plans, Step
from cnetsh.targets import target


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What is to be up, and where: a saved plan relies on what it has seen there.

    typed: where it is confirmed that a trial is to stay.
    """

    plans: Plans
    relied_on: Mapping[str, str]
    on_host: bool
    allow_overlap: bool
    allow_cut_off: bool
    kill: bool
    trial: int
    typed: TextIO | None


def run(
    lab: str,
    settings: Sequence[str],
    on: str,
    dry_run: bool = False,
    trial: int = 0,
    allow_overlap: bool = False,
    allow_cut_off: bool = False,
    kill: bool = False,
    trust: bool = False,
    verbose: bool = False,
    log: Path | None = None,
) -> int:
    """Bring a lab up; give the exit code. trial: seconds in which it has to be
    confirmed; kill: the processes inside what a change takes away are ended."""
    where = target.named(on)
    if allow_cut_off and not trial:
        # Nobody would be there to take it back.
        hint = f"cnetsh {shlex.join(sys.argv[1:])} --try 60"
        raise CnetshError("--allow-cut-off runs only together with --try SECONDS", hint)
    plans, relied_on = _read(lab, settings)
    if not trust:
        refuse_untrusted(plans.up)
    if dry_run:
        for number, step in enumerate(plans.up.steps, 1):
            print(f"[{number}/{len(plans.up.steps)}] {step.text}")
        return DONE
    on_host, typed = not where.is_private, sys.stdin if trial else None
    wanted = _Wanted(plans, relied_on, on_host, allow_overlap, allow_cut_off, kill, trial, typed)
    return unless_killed(started(where, partial(_up, wanted, verbose, opened_log(log))))


def _read(lab: str, settings: Sequence[str]) -> tuple[Plans, Mapping[str, str]]:
    """Give a lab's plans, and what they rely on when they were saved."""
    # One with settings is refused below: a saved plan is finished.
    if lab.endswith(".json") and not settings:
        found = saved.read_saved(Path(lab))
        return found.plans, found.relied_on
    return choose.plans(lab, settings), {}


def _up(wanted: _Wanted, verbose: bool, log: TextIO | None) -> int:
    plans = wanted.plans
    with changing(verbose, log) as means:
        if record := _is_up(plans.up.lab):
            return _changed(record, wanted, means)
        # One look serves all that follows: what may be refused, and what the undo puts back.
        before = snapshot.take(means.ask, written(plans.up.steps))
        refuse_changed(wanted.relied_on, plans.up, before)
        _refuse_dangerous(wanted, before, means)
        ended = bring_up(plans, before, means)
        if ended.undone is not None:
            return _rolled_back(plans.up, ended)
        say(f"{plans.up.lab} is up: {len(plans.up.steps)} steps in {ended.seconds:.2f} s")
        return _confirmed(wanted, means)


def _is_up(lab: str) -> Journal | None:
    """Give the journal of a lab that is up. Raises CnetshError when a run was interrupted."""
    record = journal.find(lab)
    if record is None:
        return None
    if not record.same_boot:
        forget(record)
        return None
    if not record.stands:
        record.close()
        raise CnetshError(f"an earlier run of {lab} was interrupted", "cnetsh recover undoes it")
    tell_version(record)
    return record


def _refuse_dangerous(
    wanted: _Wanted, before: State, means: Means, new: Sequence[Step] = ()
) -> None:
    """Tell what doctor finds; refuse what would damage the host or cannot work.

    new: the steps to run of a lab that is up.
    """
    # A dry run goes without the traps, which take a while to load.
    from cnetsh.commands.predicting import surprises_before
    from cnetsh.doctor import diagnose

    plan = wanted.plans.up
    facts = diagnose.gather(means.ask, before, plan)
    surprises = [] if new else surprises_before(wanted.plans)
    findings = diagnose.diagnose(plan, wanted.on_host, facts, new, surprises)
    for one in findings:
        if one.severity != "note":
            say(diagnose.as_text(one))
    options = {_option(one.id) for one in findings if one.severity == "refuse"}
    options -= {"--allow-overlap"} if wanted.allow_overlap else set()
    options -= {"--allow-cut-off --try 60"} if wanted.allow_cut_off else set()
    lacks = diagnose.worst(findings) == "lacks"
    if lacks or options:
        hint = "nothing was executed" if lacks else f"{' '.join(sorted(options))} accepts it"
        raise CnetshError(f"{plan.lab} is not brought up here, see above", hint)


def _option(trap: str) -> str:
    """Give what has to be typed to run a plan in spite of a trap that refuses it."""
    return "--allow-cut-off --try 60" if trap in ("P15", "P28") else "--allow-overlap"


def _rolled_back(plan: Plan, ended: Ended) -> int:
    """Tell why and how a run was undone; give the exit code."""
    if text := reason(plan, ended.outcome):
        say(text)
    assert ended.undone
    return tell_ended(ended.undone, "undone") or _undone_by(ended.outcome.signal)


def _undone_by(signal: int) -> int:
    """Give the exit code of what was undone: by the signal that stopped it, or a failure."""
    return 128 + signal if signal else FAILED


def _confirmed(wanted: _Wanted, means: Means) -> int:
    """Keep a lab that is confirmed with Enter in time, and undo it otherwise."""
    if not wanted.typed:
        return DONE
    lab, seconds = wanted.plans.up.lab, wanted.trial
    say(f"press Enter within {seconds} s to keep {lab}; otherwise it is undone")
    deadline = time.monotonic() + seconds
    watched = [wanted.typed]
    while not means.stopping() and time.monotonic() < deadline:
        ready, _, _ = select.select(watched, [], [], 0.1)
        if ready and _has_typed(wanted.typed):
            say(f"{lab} stays up")
            return DONE
        watched = [] if ready else watched
    record = journal.find(lab)
    # The lock is held since it came up, so nobody else can have taken it down.
    assert record
    undone = undo(record, means)
    return tell_ended(undone, "not confirmed: undone") or _undone_by(means.stopping())


def _has_typed(stream: TextIO) -> bool:
    # The end of input is a terminal that went away, or none: that confirms nothing.
    with contextlib.suppress(OSError):
        return bool(os.read(stream.fileno(), 1024))
    return False


def _changed(record: Journal, wanted: _Wanted, means: Means) -> int:
    """Make a lab that is up into the plan's: show what differs, and run just that."""
    plans = wanted.plans
    difference = change.between(record, plans.up)
    if not difference:
        record.close()
        say(f"{record.lab} is up already")
        return DONE
    now = snapshot.take(means.ask, written(plans.up.steps))
    refuse_changed(wanted.relied_on, plans.up, now, journal.standing(record))
    refuse_foreign(plans.up)
    refuse_taken(replace(plans.up, steps=difference.new), now, record.made)
    # What is the lab's own goes, or is there already.
    _refuse_dangerous(wanted, without_links(now, record.links), means, difference.new)
    refuse_in_use(record, change.homes_of(record, difference), wanted.kill)
    say(f"{record.lab} is up and its plan has changed:")
    # Shown is what runs: an undo that has nothing to do any more is left out of both.
    for line in change.lines(record, difference, means):
        say(f"  {line}")
    outcome = change.apply(record, plans, difference, means)
    record.close()
    if outcome.well:
        say(f"{record.lab} is up as planned now")
        return _confirmed(wanted, means)
    if text := change.why_not(difference, outcome):
        say(text)
    if not record.stands:
        say("the lab could not be put back to what it was: cnetsh recover undoes all of it")
        return LEFT_BEHIND
    say("the change is undone: the lab is as it was before")
    return _undone_by(outcome.signal)
