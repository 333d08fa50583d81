"""The command `down`: a lab that is up is undone, from its journal."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from cnetsh.apply import journal
from cnetsh.apply.journal import Journal, standing
from cnetsh.apply.run import Means
from cnetsh.commands.changing import changing, unless_killed
from cnetsh.commands.entering import entered
from cnetsh.commands.naming import Sought
from cnetsh.commands.output import exit_code_of, say, show_error
from cnetsh.commands.progress import Telling
from cnetsh.commands.taking_down import forgetting_record, in_use, refuse_in_use, taking_down
from cnetsh.commands.work import How, Work, done, first_refusal, nothing
from cnetsh.errors import DONE, LEFT_BEHIND, CnetshError
from cnetsh.names import nearest
from cnetsh.plan.saved import Saved, read_saved
from cnetsh.targets import target
from cnetsh.targets.target import Target


def run(
    lab: str,
    on: str,
    every: bool = False,
    dry_run: bool = False,
    kill: bool = False,
    verbose: bool = False,
    quiet: bool = False,
    log: Path | None = None,
) -> int:
    """Take down a lab, the only one or every one, with kill what is inside; give the exit code."""
    if lab and every:
        raise CnetshError(f"--all takes down {lab} too", "leave one of them out")
    known = read_saved(Path(lab)) if lab.endswith(".json") else None
    if known and known.verb != "down":
        # The plan of an `up` says what the lab is, not how it goes.
        known = None

    telling, where = Telling.typed_here(verbose, quiet, log), target.named(on)
    sought = Sought.typed_here(lab, on, "down")
    action = partial(_down, sought, every, known, kill, where, How(dry_run), telling)
    return unless_killed(where, entered(where, action, partial(_all_is_down, sought)))


def _all_is_down(lab: Sought) -> int:
    say(_is_not_up(lab))
    return DONE


def _is_not_up(lab: Sought, up: Sequence[str] = ()) -> str:
    """Say that a lab is not up, as was asked. Raises CnetshError where one of a like name is."""
    refusal = lab.not_up(up)
    if lab.up or lab.elsewhere or not lab.name:
        return refusal.message
    if nearest(lab.name, up):
        raise refusal
    return f"{refusal.message}\n  {refusal.hint}"


def _down(
    lab: Sought,
    every: bool,
    known: Saved | None,
    kill: bool,
    where: Target,
    how: How,
    telling: Telling,
) -> int:
    with changing(where, telling) as means:
        if every:
            return _all_down(lab, kill, how, means)
        if not lab.name and not journal.labs_here():
            return done(lambda: nothing(_is_not_up(lab)), how, means)
        one = lab.only()
        return done(lambda: to_take_down(one, kill, means, known), how, means)


def _all_down(lab: Sought, kill: bool, how: How, means: Means) -> int:
    """Take down every lab, the last that came up first; what keeps one keeps no other."""
    found, unreadable = journal.all_here()
    for error in unreadable:
        show_error(error)
    codes = [LEFT_BEHIND] if unreadable else []
    for record in found:
        record.close()
        if not means.stopping():
            work = partial(to_take_down, Sought(record.lab), kill, means)
            codes.append(exit_code_of(partial(done, work, how, means)))
    return max(codes) if codes else _all_is_down(lab)


def to_take_down(lab: Sought, kill: bool, means: Means, known: Saved | None = None) -> Work:
    """Work out how a lab is undone; known: the plan of it that was saved."""
    record = journal.find(lab.name)
    if record is None:
        return nothing(_is_not_up(lab, journal.labs_here()))
    if not record.same_boot:
        return forgetting_record(record)
    inside = in_use(record, record.homes)
    work = taking_down(record, means, inside if kill else ())
    refused = first_refusal(
        lambda: refuse_in_use(record, () if kill else inside),
        lambda: _refuse_stale(known, record, work),
    )
    return replace(work, refused=refused, relied_on=lambda: {f"lab {lab.name}": standing(record)})


def _refuse_stale(known: Saved | None, record: Journal, work: Work) -> None:
    if known is None:
        return
    fact = f"lab {record.lab}"
    if known.relied_on and (was := known.relied_on.get(fact)) != (now := standing(record)):
        raise CnetshError(f"the plan is stale: {fact}: was {was}, is {now}", "save it anew")
    known.refuse_stale(work.lines())
