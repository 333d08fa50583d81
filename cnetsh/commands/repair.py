"""The command `repair`: what of a lab that is up has drifted is put back as it was planned."""

from dataclasses import replace
from functools import partial
from pathlib import Path

from cnetsh.apply.repair import Repairing, repair
from cnetsh.apply.run import Means, Outcome
from cnetsh.commands.changing import changing, unless_killed
from cnetsh.commands.entering import entered
from cnetsh.commands.naming import Sought
from cnetsh.commands.output import say
from cnetsh.commands.progress import Telling
from cnetsh.commands.taking_down import refuse_interrupted, undone_by
from cnetsh.commands.work import How, Work, asked, done, nothing
from cnetsh.errors import DONE, LEFT_BEHIND
from cnetsh.system.process import never
from cnetsh.targets import target
from cnetsh.targets.target import Target


def run(
    lab: str, on: str, dry_run: bool, yes: bool, verbose: bool, quiet: bool, log: Path | None
) -> int:
    """Put back what of a lab has drifted; give the exit code. yes: without asking."""
    how = How.typed_here(dry_run, yes)
    telling = Telling.typed_here(verbose, quiet, log)
    sought, where = Sought.typed_here(lab, on, "repair"), target.named(on)
    action = partial(_repair, sought, where, how, telling)
    return unless_killed(where, entered(where, action, sought.refuse))


def _repair(lab: Sought, where: Target, how: How, telling: Telling) -> int:
    with changing(where, telling) as means:
        return done(lambda: _work(lab, where, means), how, means)


def _work(lab: Sought, where: Target, means: Means) -> Work:
    record = lab.up_here()
    refuse_interrupted(record, where)
    known = Repairing.of(record, means.ask)
    if not known.drifted:
        return nothing(f"{record.lab} is as planned")
    known.refuse(means.anew(record.lab))

    def carry_out() -> int:
        outcome = repair(known, means)
        record.close()
        return _told(known, outcome, means)

    said = "\n  ".join([f"{record.lab} has drifted:", *(one.text for one in known.drifted)])
    asks = asked(known.lines, where)
    return Work(carry_out, lambda: known.lines, said, shown=True, asks=asks)


def _told(known: Repairing, outcome: Outcome, means: Means) -> int:
    """Tell how a repair ended, by what is there now; give the exit code."""
    lab, patient = known.record.lab, replace(means, stopping=never)
    left = Repairing.of(known.record, patient.ask).drifted
    if not outcome.well:
        if outcome.failed is not None and outcome.result:
            say(f"{known.todo[outcome.failed].text}\n  {outcome.result.stderr.strip()}")
        before = {one.text for one in known.drifted}
        # What was removed, to be made again, does not come back.
        lost = [one.text for one in left if one.text not in before]
        say("\n  ".join([f"the repair is undone, but now of {lab} also:", *lost])
            if lost else f"the repair is undone: {lab} is not as planned, as before")  # fmt: skip
        return LEFT_BEHIND if lost and not outcome.signal else undone_by(outcome.signal)
    say("\n  ".join([f"{lab} is still not as planned:", *(one.text for one in left)])
        if left else f"{lab} is as planned again")  # fmt: skip
    return LEFT_BEHIND if left else DONE
