"""The command `down`: a lab that is up is undone, from its journal."""

from dataclasses import replace
from functools import partial
from pathlib import Path

from cnetsh.apply import journal
from cnetsh.apply.journal import Journal, standing
from cnetsh.apply.run import Means
from cnetsh.commands.changing import changing, unless_killed
from cnetsh.commands.entering import if_running
from cnetsh.commands.naming import Sought, elsewhere
from cnetsh.commands.output import exit_code_of, say, show_error
from cnetsh.commands.progress import Telling
from cnetsh.commands.taking_down import forgetting_record, in_use, refuse_in_use, taking_down
from cnetsh.commands.work import How, Work, done, first_refusal, nothing
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
    sought = Sought(name, elsewhere(name, on, "down"))
    action = partial(_down, sought, every, known, kill, How(dry_run), telling)
    return unless_killed(if_running(on, action, _is_not_up(sought)))


def _is_not_up(lab: Sought) -> str:
    if not lab.name:
        return f"no lab is up{lab.elsewhere}"
    refusal = lab.not_up()
    told = lab.elsewhere or choose.is_known(lab.name)
    return refusal.message if told else f"{refusal.message}\n  {refusal.hint}"


def _down(
    lab: Sought, every: bool, known: Saved | None, kill: bool, how: How, telling: Telling
) -> int:
    with changing(telling) as means:
        if every:
            return _all_down(lab, kill, how, means)
        if not lab.name and not journal.labs_here():
            return done(lambda: nothing(_is_not_up(lab)), how)
        one = lab.only()
        return done(lambda: to_take_down(one, kill, means, known), how)


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
            codes.append(exit_code_of(partial(done, work, how)))
    if not codes:
        say(_is_not_up(lab))
    return max(codes, default=DONE)


def to_take_down(lab: Sought, kill: bool, means: Means, known: Saved | None = None) -> Work:
    """Work out how a lab is undone; known: the plan of it that was saved."""
    record = journal.find(lab.name)
    if record is None:
        up = journal.labs_here()
        # What is down already is as was asked; another one's name misspelt is not.
        if nearest(lab.name, up) and not choose.is_known(lab.name) and not lab.elsewhere:
            raise lab.not_up(up)
        return nothing(_is_not_up(lab))
    if not record.same_boot:
        return forgetting_record(record)
    inside = in_use(record, record.homes)
    work = taking_down(record, means, inside if kill else ())
    refused = first_refusal(
        lambda: refuse_in_use(record, inside, kill), lambda: _refuse_stale(known, record, work)
    )
    return replace(work, refused=refused, relied_on=lambda: {f"lab {lab.name}": standing(record)})


def _refuse_stale(known: Saved | None, record: Journal, work: Work) -> None:
    if known is None:
        return
    fact = f"lab {record.lab}"
    if known.relied_on and (was := known.relied_on.get(fact)) != (now := standing(record)):
        raise CnetshError(f"the plan is stale: {fact}: was {was}, is {now}", "save it anew")
    known.refuse_stale(work.lines())
