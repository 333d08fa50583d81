"""The command `down`: a lab that is up is undone, from its journal."""

from dataclasses import replace
from functools import partial
from pathlib import Path

from cnetsh.apply import journal
from cnetsh.apply.journal import Journal, standing
from cnetsh.apply.run import Means
from cnetsh.commands.changing import (
    How,
    Work,
    changing,
    done,
    first_refusal,
    forgetting_record,
    in_use,
    nothing,
    refuse_in_use,
    taking_down,
    unless_killed,
)
from cnetsh.commands.entering import if_running
from cnetsh.commands.naming import elsewhere, not_up, only_one_up
from cnetsh.commands.output import exit_code_of, say, show_error
from cnetsh.commands.progress import Telling
from cnetsh.errors import DONE, LEFT_BEHIND, CnetshError
from cnetsh.labs import choose
from cnetsh.names import nearest
from cnetsh.plan.saved import Saved, read_saved


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
    """Take down a lab, the only one that is up, or every one; give the exit code.

    kill: the processes inside it are ended.
    """
    if lab and every:
        raise CnetshError(f"--all takes down {lab} too", "leave one of them out")
    # The name alone: the journal knows the rest, however the lab was edited since.
    name = choose.name_of(lab) if lab else ""
    known = read_saved(Path(lab)) if lab.endswith(".json") else None
    if known and known.verb != "down":
        # The plan of an `up` says what the lab is, not how it goes.
        known = None

    telling = Telling.typed_here(verbose, quiet, log)
    others = elsewhere(name, on, "down")
    action = partial(_down, name, every, known, kill, How(dry_run), telling, others)
    return unless_killed(if_running(on, action, _is_not_up(name, others)))


def _is_not_up(name: str, elsewhere: str = "") -> str:
    if not name:
        return f"no lab is up{elsewhere}"
    refusal = not_up(name, (), elsewhere)
    told = elsewhere or choose.is_known(name)
    return refusal.message if told else f"{refusal.message}\n  {refusal.hint}"


def _down(
    name: str,
    every: bool,
    known: Saved | None,
    kill: bool,
    how: How,
    telling: Telling,
    elsewhere: str,
) -> int:
    with changing(telling) as means:
        if every:
            return _all_down(kill, how, means, elsewhere)
        if not name and not journal.labs_here():
            return done(lambda: nothing(_is_not_up("", elsewhere)), how)
        one = only_one_up(name)
        return done(lambda: to_take_down(one, kill, means, known, elsewhere), how)


def _all_down(kill: bool, how: How, means: Means, elsewhere: str) -> int:
    """Take down every lab, the last that came up first; what keeps one keeps no other."""
    found, unreadable = journal.all_here()
    for error in unreadable:
        show_error(error)
    codes = [LEFT_BEHIND] if unreadable else []
    for record in found:
        record.close()
        if not means.stopping():
            work = partial(to_take_down, record.lab, kill, means)
            codes.append(exit_code_of(partial(done, work, how)))
    if not codes:
        say(_is_not_up("", elsewhere))
    return max(codes, default=DONE)


def to_take_down(
    name: str, kill: bool, means: Means, known: Saved | None = None, elsewhere: str = ""
) -> Work:
    """Work out how a lab is undone; known: the plan of it that was saved."""
    record = journal.find(name)
    if record is None:
        up = journal.labs_here()
        # What is down already is as was asked; another one's name misspelt is not.
        if nearest(name, up) and not choose.is_known(name) and not elsewhere:
            raise not_up(name, up)
        return nothing(_is_not_up(name, elsewhere))
    if not record.same_boot:
        return forgetting_record(record)
    inside = in_use(record, record.homes)
    work = taking_down(record, means, inside if kill else ())
    refused = first_refusal(
        lambda: refuse_in_use(record, inside, kill), lambda: _refuse_stale(known, record, work)
    )
    known_by = {f"lab {name}": standing(record)}
    return replace(work, refused=refused, relied_on=lambda: known_by)


def _refuse_stale(known: Saved | None, record: Journal, work: Work) -> None:
    if known is None:
        return
    fact = f"lab {record.lab}"
    if known.relied_on and (was := known.relied_on.get(fact)) != (now := standing(record)):
        raise CnetshError(f"the plan is stale: {fact}: was {was}, is {now}", "save it anew")
    known.refuse_stale(work.lines())
