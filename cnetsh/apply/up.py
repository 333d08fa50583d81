"""Bringing a lab up, taking it down, and recovering what an interrupted run left."""

import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from cnetsh import kinds
from cnetsh.apply.ending import Undone
from cnetsh.apply.journal import Journal, Record, create, rows
from cnetsh.apply.rollback import roll_back
from cnetsh.apply.run import Means, Outcome
from cnetsh.apply.undoing import Undoing, undoing
from cnetsh.apply.units import run_steps
from cnetsh.compare import snapshot
from cnetsh.compare.preview import refuse_taken
from cnetsh.compare.revert import patch
from cnetsh.compare.scope import scope_of, without_links
from cnetsh.compare.snapshot import TABLES
from cnetsh.errors import LEFT_BEHIND, NO_PROCESS, CnetshError
from cnetsh.kinds.change import Change, Make, Move, Ref, State, namespace_ref, refs_of
from cnetsh.plan.steps import Plan, Plans, Step, made_by
from cnetsh.system.process import Result

# By what the kernel, Python or the journal says.
ROOT_ONLY = "the target allows it to root only: use the sandbox, or --on host as root"
ADVICE = {
    "Operation not permitted": ROOT_ONLY,
    "Permission denied": ROOT_ONLY,
    "the journal ": "the step was not run: make room there",
    "Resource temporarily unavailable": NO_PROCESS,
    "new thread": NO_PROCESS,
    "is not installed": "install its package",
    "Exchange full": "a bridge has at most 1,023 ports (kernel: BR_MAX_PORTS)",
}


@dataclass(frozen=True, slots=True)
class Ended:
    """How an `up` ended: the outcome, what a rollback left (None when none was needed), seconds."""

    outcome: Outcome
    undone: Undone | None
    seconds: float


def refuse_foreign(plan: Plan) -> None:
    """Raise CnetshError for a step whose undo would be a guess.

    The snapshot is of the target's own namespace, so it knows nothing of what is inside others;
    and a link that is moved loses its state (kernel: dev_change_net_namespace).
    """
    made: set[Ref] = set()
    for number, step in enumerate(plan.steps, 1):
        changes = step.changes
        for change in changes:
            made.update(refs_of(change) if isinstance(change, Make) else ())
            foreign = _foreign(change, made)
            if foreign and step.said.undo is None:
                raise CnetshError(
                    f"{plan.lab}: step {number}: {step.text}: {foreign} is not made by this plan, "
                    "so it could not be put back as it was",
                    "say how it is undone with a line before: #: undo COMMAND",
                )
            if isinstance(change, Move):
                made.add(change.to)


def _foreign(change: Change, made: Collection[Ref]) -> str:
    """Name what a change depends on, if it is not the plan's own and could not be put back."""
    homes = [ref.netns for ref in refs_of(change)]
    # Of a pair either end takes the other along, and one in the target's own can be deleted.
    if all(home and namespace_ref(home) not in made for home in homes):
        return f"namespace {homes[0]}"
    if isinstance(change, Make) and change.on and change.on.kind == "folder":
        return "" if change.on in made else f"folder {change.on.name}"
    if isinstance(change, Move) and change.ref not in made:
        return f"link {change.ref.name}"
    return ""


def refuse_untrusted(plan: Plan) -> None:
    """Raise CnetshError for steps that no kind knows: whether their undo fits, nobody can say."""
    found = [f"step {at}: {one.text}" for at, one in enumerate(plan.steps, 1)
             if one.kind == "trusted"]  # fmt: skip
    if found:
        why = "what it changes is not known, only what its #: undo says"
        hint = "--trust takes that on trust"
        raise CnetshError("\n".join(f"{plan.lab}: {one}: {why}" for one in found), hint)


def refuse(plan: Plan, now: State) -> None:
    """Raise CnetshError for a plan whose names are taken, or of which no sure undo is known."""
    refuse_foreign(plan)
    refuse_taken(plan, now)
    snapshot.refuse_unread((change.ref for change in plan.changes), now)


def bring_up(plans: Plans, before: State, means: Means) -> Ended:
    """Run the plan, or undo what of it ran. The lock is held; before: the target after `refuse`."""
    began = time.monotonic()
    record = create(plans, kinds.facts_of(before))
    means.watch.expect(len(plans.up.steps))
    outcome = run_steps(plans.up.steps, record.write, means)
    if outcome.well:
        try:
            record.write(**_did(record, plans.up.steps, before, means))
        except Exception as error:
            # Whatever it is: what was begun is undone.
            outcome = Outcome(result=Result(1, "", str(getattr(error, "message", error))))
    if not outcome.well:
        return Ended(outcome, undo(to_undo(record, means)), time.monotonic() - began)
    record.close()
    return Ended(outcome, None, time.monotonic() - began)


def _did(record: Journal, steps: Sequence[Step], before: State, means: Means) -> Record:
    """Give what the steps have done to what is not their own, by a look at the target."""
    scope = scope_of(steps, before)
    if not scope.named and not scope.reach:
        return {"up": True, "patch": []}
    known, paths = record.before, [ref.name for ref in before if ref.kind == "setting"]
    named, reached = {ref.kind for ref in scope.named}, {kind for kind, *_ in scope.reach}
    if named <= TABLES and reached <= {"setting"}:
        # A lab that borrows no link: to ask for its own thousand would take a tenth of its time.
        known = {fact: was for fact, was in known.items() if fact.ref.kind in TABLES}
        seen = snapshot.take_tables(means.ask, paths)
    else:
        seen = snapshot.take(means.ask, paths, record.links)
    now = kinds.facts_of(without_links(seen, record.links))
    if any(fact.ref.kind == "table" for fact in now):
        # What cannot be read is not known; the undo asks again.
        return {"up": True}
    return {"up": True, "patch": rows(patch(known, now, scope))}


def to_undo(record: Journal, means: Means) -> Undoing:
    """Work out what undoes a journal's lab. Raises CnetshError when that cannot be told."""
    with _left_behind(record, means):
        return undoing(record, means)


def undo(known: Undoing) -> Undone:
    """Undo a lab, whatever signal comes; its journal stays where something is left."""
    record = known.sight.journal
    with _left_behind(record, known.sight.means):
        undone = roll_back(known)
    if all(one.final for one in undone.left):
        record.remove()
    else:
        record.close()
    return undone


@contextmanager
def _left_behind(record: Journal, means: Means) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        record.close()
        raise CnetshError(
            f"{record.lab} is not undone: {getattr(error, 'message', str(error)) or repr(error)}",
            f"{means.where.command('down', record.lab)} undoes what is left",
            LEFT_BEHIND,
        ) from None


def reason(plan: Plan, outcome: Outcome) -> str:
    """Say which step failed, how, and what to do; nothing when it was a signal."""
    result = outcome.result or Result(1, "", "")
    if outcome.failed is None:
        return result.stderr
    step = plan.steps[outcome.failed]
    said = result.stderr.strip() or f"exit code {result.exit_code}"
    lines = (f"step {outcome.failed + 1} failed: {step.text}", said, _advice(step, said))
    return "\n  ".join(filter(None, lines))


def _advice(step: Step, said: str) -> str:
    if "File exists" in said:
        made = ", ".join(f"{ref.kind} {ref.name}" for ref in made_by(step)) or step.text
        return f"{made} was there already: remove it, or give it another name"
    return next((advice for words, advice in ADVICE.items() if words in said), "")
