"""The command `up`: a lab is brought up, or changed when it is up and its plan differs."""

import contextlib
import os
import select
import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TextIO

from cnetsh.apply import change, journal
from cnetsh.apply.change import Changing
from cnetsh.apply.ending import Undone
from cnetsh.apply.journal import Journal
from cnetsh.apply.repair import Repairing
from cnetsh.apply.run import Means, Outcome
from cnetsh.apply.up import (
    Ended,
    bring_up,
    reason,
    refuse,
    refuse_foreign,
    refuse_untrusted,
    to_undo,
    undo,
)
from cnetsh.commands import taking_down
from cnetsh.commands.changing import changing, in_started, unless_killed
from cnetsh.commands.entering import tell_version
from cnetsh.commands.output import say
from cnetsh.commands.progress import Telling, how_repaired
from cnetsh.commands.work import How, Work, asked, done, first_refusal, nothing
from cnetsh.compare import kernel, snapshot
from cnetsh.compare.preview import as_lines, refuse_changed, refuse_taken, relied_on
from cnetsh.compare.scope import without_links, written
from cnetsh.doctor.finding import Finding
from cnetsh.errors import DONE, LEFT_BEHIND, CnetshError
from cnetsh.forwarding.predict import Surprise
from cnetsh.kinds.change import State
from cnetsh.labs import choose
from cnetsh.names import visible
from cnetsh.plan.lines import Line, amount, counted
from cnetsh.plan.saved import Saved, read_saved
from cnetsh.plan.steps import Plan, Plans, Step
from cnetsh.targets import target
from cnetsh.targets.target import Target


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be up, and where: a saved plan relies on what it has seen there."""

    saved: Saved
    where: Target
    allow_overlap: bool = False
    allow_cut_off: bool = False
    kill: bool = False
    trial: int = 0
    typed: TextIO | None = None  # where it is confirmed that a trial is to stay
    verbose: bool = False  # checks are told of that may end either way

    @property
    def plans(self) -> Plans:
        return self.saved.plans


def run(
    lab: str,
    settings: Sequence[str],
    on: str,
    dry_run: bool = False,
    yes: bool = False,
    trial: int = 0,
    allow_overlap: bool = False,
    allow_cut_off: bool = False,
    kill: bool = False,
    trust: bool = False,
    verbose: bool = False,
    quiet: bool = False,
    log: Path | None = None,
) -> int:
    """Bring a lab up; give the exit code. yes: change it without asking; trial: seconds in which
    it has to be confirmed; kill: the processes inside what a change takes away are ended."""
    where = target.named(on)
    if allow_cut_off and not trial:
        # Nobody would be there to take it back.
        hint = f"cnetsh {shlex.join(sys.argv[1:])} --try 60"
        raise CnetshError("--allow-cut-off runs only together with --try SECONDS", hint)
    found = as_given(lab, settings)
    if found.verb != "up":
        raise CnetshError(f"{lab} is a plan of {found.verb}", where.command(found.verb, lab))
    if not trust:
        refuse_untrusted(found.plans.up)
    typed = sys.stdin if trial else None
    wanted = Wanted(found, where, allow_overlap, allow_cut_off, kill, trial, typed, verbose)
    telling = Telling.typed_here(verbose, quiet, log)
    action = partial(_up, wanted, How.typed_here(dry_run, yes), telling)
    return unless_killed(where, in_started(where, action))


def _up(wanted: Wanted, how: How, telling: Telling) -> int:
    with changing(wanted.where, telling) as means:
        return done(lambda: to_bring_up(wanted, means), how, means)


def as_given(lab: str, settings: Sequence[str]) -> Saved:
    """Give a lab's plans, with what they rely on when they were saved."""
    # One with settings is refused below: a saved plan is finished.
    if lab.endswith(".json") and not settings:
        return read_saved(Path(lab))
    return Saved(choose.plans(lab, settings))


def to_bring_up(wanted: Wanted, means: Means) -> Work:
    """Work out what there is to do for a lab to be up. Raises CnetshError for what is refused."""
    record = journal.find(wanted.plans.up.lab)
    if record is None or not record.same_boot:
        return _bringing_up(wanted, record, means)
    taking_down.refuse_interrupted(record, means.where)
    tell_version(record)
    known = Changing.of(record, wanted.plans, means)
    if known is None:
        drifted = Repairing.of(record, means.ask)
        return nothing(f"{record.lab} is up already{_but(drifted, wanted.where)}", drifted)
    return _changing(known, wanted, means)


def _but(found: Repairing, where: Target) -> str:
    """Say what of a lab that is up is not as planned, and what puts it right."""
    if not found.drifted:
        return ""
    lines = "".join(f"\n  {one.text}" for one in found.drifted)
    return f", but has drifted:{lines}\n{how_repaired(found.record.lab, where)}"


def _bringing_up(wanted: Wanted, record: Journal | None, means: Means) -> Work:
    """Work out how a lab comes up; record: one that went with the last reboot."""
    plans = wanted.plans
    # A look at a plan goes without it.
    from cnetsh.commands.predicting import surprises_before

    # One look serves all that follows: what may be refused, and what the undo puts back.
    seen = kernel.whole(means.ask)
    before = snapshot.take(means.ask, written(plans.up.steps), seen=seen)
    surprises = surprises_before(plans, seen)
    findings = _findings(wanted, before, means, surprises)
    refused = first_refusal(
        lambda: refuse_changed(wanted.saved.relied_on, plans.up, before),
        lambda: _refuse_dangerous(wanted, findings),
        lambda: refuse(plans.up, before),
    )

    def carry_out() -> int:
        if record:
            taking_down.forgetting_record(record).carry_out()
        ended = bring_up(plans, before, means)
        if ended.undone is not None:
            return _rolled_back(plans.up, ended, means)
        steps = amount(len(plans.up.steps), "step", "steps")
        say(f"{plans.up.lab} is up: {steps} in {ended.seconds:.2f} s")
        return _confirmed(wanted, means)

    return Work(
        carry_out, lambda: as_lines(plans.up.steps, before), warnings=findings,
        surprises=surprises, refused=refused, relied_on=lambda: relied_on(plans.up, before),
    )  # fmt: skip


def _findings(
    wanted: Wanted, before: State, means: Means, surprises: list[Surprise], new: Sequence[Step] = ()
) -> list[Finding]:
    """Give what doctor warns of; new: the steps to run of a lab that is up."""
    # A look at a plan goes without the traps, which take a while to load.
    from cnetsh.commands.predicting import tell_unknown
    from cnetsh.doctor import diagnose, evidence

    if wanted.verbose:
        tell_unknown(surprises)
    facts = evidence.gather(means.ask, before, wanted.plans.up)
    found = diagnose.diagnose(not wanted.where.is_private, facts, new, surprises)
    return [one for one in found if one.severity != "note"]


def _refuse_dangerous(wanted: Wanted, findings: Sequence[Finding]) -> None:
    """Raise CnetshError for what would damage the host or cannot work, and was not accepted."""
    options = {"--allow-cut-off --try 60" if one.id in ("P15", "P28") else "--allow-overlap"
               for one in findings if one.severity == "refuse"}  # fmt: skip
    options -= {"--allow-overlap"} if wanted.allow_overlap else set()
    options -= {"--allow-cut-off --try 60"} if wanted.allow_cut_off else set()
    lacks = any(one.severity == "lacks" for one in findings)
    if lacks or options:
        hint = "nothing was executed" if lacks else f"{' '.join(sorted(options))} accepts it"
        traps = dict.fromkeys(one.id for one in findings if one.keeps_down)
        raise CnetshError(f"{wanted.plans.up.lab} is not brought up here: {', '.join(traps)}", hint)


def _rolled_back(plan: Plan, ended: Ended, means: Means) -> int:
    """Tell why and how a run was undone; give the exit code."""
    if text := reason(plan, ended.outcome):
        say(text)
    assert ended.undone
    code = taking_down.tell_ended(ended.undone, means.where, "undone")
    return code or taking_down.undone_by(ended.outcome.signal)


def _confirmed(wanted: Wanted, means: Means) -> int:
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
    undone = undo(to_undo(record, means))
    code = taking_down.tell_ended(undone, means.where, "not confirmed: undone")
    return code or taking_down.undone_by(means.stopping())


def _has_typed(stream: TextIO) -> bool:
    # The end of input is a terminal that went away, or none: that confirms nothing.
    with contextlib.suppress(OSError):
        return bool(os.read(stream.fileno(), 1024))
    return False


def _changing(known: Changing, wanted: Wanted, means: Means) -> Work:
    """Work out how a lab that is up is made into the plan's."""
    # A look at a plan goes without it.
    from cnetsh.commands.predicting import surprises_of_change

    record, plans, new = known.record, wanted.plans, known.change.new
    seen = kernel.whole(means.ask)
    now = snapshot.take(means.ask, written(plans.up.steps), seen=seen)
    standing = journal.standing(record)
    # What is the lab's own goes, or is there already.
    surprises = surprises_of_change(plans, known.undoing.changes, new, seen)
    findings = _findings(wanted, without_links(now, record.links), means, surprises, new)
    inside = taking_down.in_use(record, known.homes)
    added = (line if line.found == "in the way" else line._replace(found="")
             for line in as_lines(new, now, record.made))  # fmt: skip
    lines = (*known.undoing.lines, *added)
    refused = first_refusal(
        lambda: refuse_changed(wanted.saved.relied_on, plans.up, now, standing),
        lambda: wanted.saved.refuse_stale(lines),
        lambda: refuse_foreign(plans.up),
        lambda: refuse_taken(plans.up._replace(steps=new), now, record.made),
        lambda: _refuse_dangerous(wanted, findings),
        lambda: taking_down.refuse_in_use(record, () if wanted.kill else inside),
    )
    drifted = Repairing.of(record, means.ask, known.change.gone)

    def carry_out() -> int:
        taking_down.end(record, known.homes, inside)
        outcome, undone = change.apply(known, means)
        record.close()
        return _changed(known, outcome, undone, wanted, means)

    return Work(
        carry_out, lambda: lines, _differs(record, wanted, drifted),
        taking_down.then_put_back(known.undoing), shown=True, asks=_asked(record, wanted, lines),
        drifted=drifted, warnings=findings, refused=refused,
        relied_on=lambda: relied_on(plans.up, now, standing),
    )  # fmt: skip


def _differs(record: Journal, wanted: Wanted, drifted: Repairing) -> str:
    """Say that a lab that is up is to be changed: that its plan is another one, or its file."""
    plans, but = wanted.plans, _but(drifted, wanted.where)
    up = f"{record.lab} is up{but}\n" if but else f"{record.lab} is up and "
    if _is_another(record, plans):
        return f"{record.lab} is up{but}\nfrom {record.header['source']}; this is {plans.source}:"
    return f"{up}its plan has changed:"


def _is_another(record: Journal, plans: Plans) -> bool:
    """Say whether a lab that is up is from another file, which happens to have the same name."""
    return plans.source not in ("", record.header.get("source") or plans.source)


def _asked(record: Journal, wanted: Wanted, lines: Sequence[Line]) -> str:
    if wanted.saved.does:
        # Just these commands have been looked at.
        return ""
    if _is_another(record, wanted.plans):
        what = f"run this on {wanted.where} ({counted(lines)})"
        return f"{what}, into another file's lab of that name?"
    return asked(lines, wanted.where)


def _changed(
    known: Changing, outcome: Outcome, undone: Undone, wanted: Wanted, means: Means
) -> int:
    """Tell how a change went; give the exit code."""
    record = known.record
    for line in undone.notes:
        say(f"  {visible(line)}")
    if outcome.well:
        but = "is changed, but not all that went is undone"
        say(f"{record.lab} {but if undone.left else 'is up as planned now'}")
        code = taking_down.tell_left(undone.left, means.where)
        return _confirmed(wanted, means) or code
    if text := change.why_not(known.change, outcome):
        say(text)
    if not record.stands:
        say(
            "the lab could not be put back to what it was: to undo all of it:\n"
            f"  {means.where.command('recover')}"
        )
        return LEFT_BEHIND
    if undone.left:
        say("the change is undone, but not all of it:")
        return taking_down.tell_left(undone.left, means.where)
    say("the change is undone: the lab is as it was before")
    return taking_down.undone_by(outcome.signal)
