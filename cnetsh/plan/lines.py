"""The lines of a preview: commands in the order in which they run, each with a mark.

A line is what runs: a dry run prints the lines that the same command without it carries out.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from cnetsh.kinds.change import Changes, Make, Move, Remove, Set
from cnetsh.plan.steps import Plan, Step
from cnetsh.plan.undo import Undo, undos

# In the order in which they are counted.
MARKS = {"+": "create", "~": "change", "-": "remove", "!": "repair"}
_OF = {Make: "+", Move: "+", Remove: "-", Set: "~"}


class Line(NamedTuple):
    """A command of a preview, as a step."""

    mark: str  # one of MARKS, "" for what is so already or only looks
    step: Step
    found: str = ""  # what it finds on a target
    undo: Undo | None = None  # of a step of the plan


def lines_of(plan: Plan) -> list[Line]:
    """Give a plan's steps as the lines of a preview, where no target has been looked at."""
    return [Line("", step, "", undo)
            for step, undo in zip(plan.steps, undos(plan.steps), strict=True)]  # fmt: skip


def numbered(plan: Plan, lines: Sequence[Line]) -> list[Line]:
    """Give lines with the undo, and so the number, of those that are steps of a plan."""
    whole = _by_step(lines_of(plan))
    return [line._replace(undo=one.undo) if (one := _found(whole, line.step)) else line
            for line in lines]  # fmt: skip


def over_plan(plan: Plan, lines: Sequence[Line]) -> list[Line]:
    """Give a plan's steps with the lines that run in their places, the others before them."""
    runs, whole = _by_step(lines), lines_of(plan)
    known = _by_step(whole)
    steps = [
        run._replace(undo=one.undo) if (run := _found(runs, one.step)) else
        one._replace(found="already there")
        for one in whole
    ]  # fmt: skip
    return [*(line for line in lines if not _found(known, line.step)), *steps]


def _by_step(lines: Sequence[Line]) -> dict[Step | str, Line]:
    # One that is run again is the journal's step, and has the words alone in common.
    words: dict[Step | str, Line] = {line.step.text: line for line in reversed(list(lines))}
    return words | {line.step: line for line in lines}


def _found(lines: Mapping[Step | str, Line], step: Step) -> Line | None:
    return lines.get(step) or lines.get(step.text)


def mark_of(changes: Changes) -> str:
    """Give the mark of a command by what it changes: what it makes comes before the rest."""
    found = {_OF[type(change)] for change in changes}
    return next((mark for mark in "+-~" if mark in found), "")


_COUNTED = {"namespace": "namespaces", "cable": "cables", "rule": "rules"}


def overview(part: str, lines: Sequence[Line]) -> str:
    """Say in a line how much a plan is: 21 steps, 2 namespaces, 1 rule; undo: 5 commands."""
    steps = [line for line in lines if line.undo]
    what = {"up": ("step", "steps"), "check": ("check", "checks")}
    said = [amount(len(steps), *what.get(part, ("command", "commands")))]
    if part != "up":
        return said[0]
    made = Counter([_what(change) for line in steps for change in line.step.changes
                    if isinstance(change, Make)])  # fmt: skip
    said += [amount(made[one], one, many) for one, many in _COUNTED.items() if made[one]]
    undo = sum(len(line.undo.texts) for line in steps if line.undo)
    return f"{', '.join(said)}; undo: {amount(undo, 'command', 'commands')}"


def _what(made: Make) -> str:
    """Give what an object that a command makes is counted as, "" where it is not."""
    kind = made.ref.kind
    if kind == "link":
        return "cable" if made.facts.get("kind") == "veth" else ""
    return {"netns": "namespace", "rule": "rule"}.get(kind, "")


def amount(many: int, one: str, more: str) -> str:
    """Give a number of things in words, one of them by its own word."""
    return f"{many:,} {one if many == 1 else more}"


def counted(lines: Sequence[Line]) -> str:
    """Give how many lines there are of each mark: +10 ~2 -2 !1."""
    number = Counter(line.mark for line in lines)
    return " ".join(f"{mark}{number[mark]}" for mark in MARKS if number[mark])
