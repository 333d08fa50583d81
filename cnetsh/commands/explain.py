"""The command `explain`: what a kind of kernel object, a finding or a command is about."""

from collections.abc import Iterator

from cnetsh import kinds
from cnetsh.commands.output import tell
from cnetsh.doctor.table import TRAPS
from cnetsh.errors import DONE, CnetshError
from cnetsh.kinds.change import Make, Move, Remove
from cnetsh.plan.steps import parse
from cnetsh.plan.undo import undos

KINDS = (*kinds.ALL, "socket")


def run(thing: str) -> int:
    """Explain a thing in some lines; give the exit code."""
    for line in _lines(thing.strip()):
        tell(line)
    return DONE


def _lines(thing: str) -> Iterator[str]:
    traps = [trap for trap in TRAPS if trap.id == thing.upper()]
    if thing in KINDS:
        yield f"{thing}: {kinds.explained(thing)}"
    elif traps:
        for trap in traps:
            yield f"{trap.id}: {trap.title}"
            yield f"  known from: {trap.source}"
        yield "cnetsh doctor LAB looks for it"
    elif " " in thing:
        yield from _command(thing)
    else:
        raise CnetshError(
            f"nothing is known of {thing!r}", f"known: {', '.join(KINDS)}, P01 and so on, a command"
        )


def _command(text: str) -> Iterator[str]:
    """Give what a command changes and how that is undone. Raises CnetshError if it is unknown."""
    plan = parse(text, "explain", "", "down", "explain")
    verbs = {Make: "makes", Remove: "removes", Move: "moves"}
    for change in plan.changes:
        facts = getattr(change, "facts", {})
        yield f"{verbs.get(type(change), 'sets')} {kinds.called(change.ref, facts)}"
        yield f"  {kinds.explained(change.ref.kind)}"
    for undo in undos(plan.steps):
        yield f"undo: {'; '.join(undo.texts) or undo.note}"
