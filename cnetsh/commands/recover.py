"""The command `recover`: what interrupted runs left in a target is undone."""

from functools import partial
from pathlib import Path

from cnetsh.apply import journal
from cnetsh.commands.changing import changing, unless_killed
from cnetsh.commands.entering import entered
from cnetsh.commands.output import say, show_error
from cnetsh.commands.progress import Telling
from cnetsh.commands.taking_down import taking_down
from cnetsh.commands.work import How, done
from cnetsh.errors import DONE, LEFT_BEHIND
from cnetsh.targets import target
from cnetsh.targets.target import Target


def run(on: str, dry_run: bool, verbose: bool, quiet: bool, log: Path | None) -> int:
    where = target.named(on)
    action = partial(_recover, where, How(dry_run), Telling.typed_here(verbose, quiet, log))
    return unless_killed(where, entered(where, action, _nothing))


def _recover(where: Target, how: How, telling: Telling) -> int:
    with changing(where, telling) as means:
        # All under one lock, so that no lab comes up between two that share something.
        found, unreadable = journal.all_here()
        waiting = [one for one in found if not one.stands or not one.same_boot]
        # Each is worked out when it is its turn: the one before it may have changed what is there.
        codes = [done(partial(taking_down, one, means), how, means) for one in waiting]
    for error in unreadable:
        # One that is damaged must not keep the others from being undone.
        show_error(error)
        codes.append(LEFT_BEHIND)
    return max(codes) if codes else _nothing()


def _nothing() -> int:
    say("nothing to recover")
    return DONE
