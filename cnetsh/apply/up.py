"""Bringing a lab up, taking it down, and recovering what an interrupted run left."""

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from cnetsh.apply.journal import Journal, create
from cnetsh.apply.rollback import Undone, roll_back
from cnetsh.apply.run import Means, Outcome
from cnetsh.apply.units import run_steps
from cnetsh.compare.remaining import Sight
from cnetsh.compare.snapshot import Snapshot
from cnetsh.errors import LEFT_BEHIND, CnetshError
from cnetsh.kinds.change import NOTHING, Change, Make, Move, Ref, namespace_ref, refs_of
from cnetsh.plan.steps import Plan, Plans, Step, made_by, to_text
from cnetsh.system.process import Result, never

Made = Mapping[str, Sequence[Any]]
# By what the kernel, Python or the journal says.
ROOT_ONLY = "the target allows it to root only: use the sandbox, or --on host as root"
NO_PROCESS = "there can be no more processes: ulimit -u, or pids.max of the control group"
ADVICE = {
    "Operation not permitted": ROOT_ONLY,
    "Permission denied": ROOT_ONLY,
    "the journal ": "the step was not run: make room there",
    "Resource temporarily unavailable": NO_PROCESS,
    "new thread": NO_PROCESS,
    "Exchange full": "a bridge has at most 1,023 ports (kernel: BR_MAX_PORTS)",
}
OTHERWISE = "cnetsh doctor tells what this target lacks"


@dataclass(frozen=True, slots=True)
class Ended:
    """How an `up` ended: the outcome, what a rollback left (None when none was needed), seconds."""

    outcome: Outcome
    undone: Undone | None
    seconds: float


def refuse_in_the_way(plan: Plan, now: Snapshot, made: Made = NOTHING) -> None:
    """Raise CnetshError, before anything runs, when names that the plan makes are taken.

    made: the identities of what the lab itself has made, which will go or is there already.
    """
    sight = Sight(Snapshot(), now, made)
    refs = {ref for step in plan.steps for ref in made_by(step)}
    foreign = [ref for ref in refs if f"{ref.kind} {ref.name}" not in made or not sight.ours(ref)]
    if taken := {text for ref in foreign if (text := _occupied(ref, now))}:
        raise CnetshError(
            f"{plan.lab} cannot come up: {', '.join(sorted(taken))} is in the way and is not "
            "this lab's",
            "another name: in the lab file, or for a built-in lab with --set; or remove it",
        )


def _occupied(ref: Ref, now: Snapshot) -> str:
    if ref.kind == "link" and not ref.netns and ref.name in now.links:
        return f"{now.links[ref.name]['kind'] or 'link'} {ref.name}"
    if ref.kind == "netns" and ref.name in now.namespaces:
        ghost = "" if now.namespaces[ref.name] else " (a file that is no namespace)"
        return f"namespace {ref.name}{ghost}"
    return f"folder {ref.name}" if ref.kind == "folder" and ref.name in now.folders else ""


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


def bring_up(plans: Plans, before: Snapshot, means: Means) -> Ended:
    """Run the plan; when a step fails or a signal comes, undo what was done. The lock must be held.

    before: the target, with the settings that the plan writes. Raises CnetshError, with nothing
    executed, when a name is taken or there is no sure undo.
    """
    began = time.monotonic()
    refuse_foreign(plans.up)
    refuse_in_the_way(plans.up, before)
    texts = {part.part: to_text(part) for part in (plans.up, plans.check, plans.down)}
    header = {"title": plans.up.title, **texts, "before": before.to_json()}
    record = create(plans.up.lab, header)
    means.watch.expect(len(plans.up.steps))
    outcome = run_steps(plans.up.steps, record.write, means)
    outcome = settled(record, outcome)
    if not outcome.well:
        return Ended(outcome, undo(record, means), time.monotonic() - began)
    record.close()
    return Ended(outcome, None, time.monotonic() - began)


def settled(record: Journal, outcome: Outcome, **more: Any) -> Outcome:
    """Write down, when all went well, that the lab is up; give how that ended."""
    if not outcome.well:
        return outcome
    try:
        record.write(up=True, **more)
    except CnetshError as error:
        return Outcome(result=Result(1, "", error.message))
    return outcome


def undo(record: Journal, means: Means) -> Undone:
    """Undo a journal's lab to the end, whatever signal comes; remove it when nothing is left.

    Raises CnetshError when not even that can be told.
    """
    try:
        undone = roll_back(record, replace(means, stopping=never))
    except (OSError, CnetshError) as error:
        record.close()
        raise CnetshError(
            f"{record.lab} is not undone: {getattr(error, 'strerror', None) or error}",
            "cnetsh recover, or down, undoes what is left",
            LEFT_BEHIND,
        ) from None
    if undone.residue:
        record.close()
    else:
        record.remove()
    return undone


def reason(plan: Plan, outcome: Outcome) -> str:
    """Say which step failed, how, and what to do; nothing when it was a signal."""
    result = outcome.result or Result(1, "", "")
    if outcome.failed is None:
        return result.stderr
    step = plan.steps[outcome.failed]
    said = result.stderr.strip() or f"exit code {result.exit_code}"
    return f"step {outcome.failed + 1} failed: {step.text}\n  {said}\n  {_advice(step, said)}"


def _advice(step: Step, said: str) -> str:
    if "File exists" in said:
        made = ", ".join(f"{ref.kind} {ref.name}" for ref in made_by(step)) or step.text
        return f"{made} was there already: remove it, or give it another name"
    return next((advice for words, advice in ADVICE.items() if words in said), OTHERWISE)
