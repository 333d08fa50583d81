"""A plan as text: the bare commands, JSON, or a page of markdown; table.py has it for a terminal.

Pure functions of a plan and its undos (`undo.undos(plan.steps)`).
"""

import json
import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from cnetsh.names import visible
from cnetsh.plan.steps import Plan, Step, split
from cnetsh.plan.undo import Undo


def typed(text: str, sudo: bool = True) -> str:
    """Give a command as a user types it: with sudo in front of what needs root."""
    if not sudo:
        return text
    # The one pipe there is: the shell echoes, and only tee needs to be root.
    return text.replace("| ", "| sudo ", 1) if text[:5] == "echo " else f"sudo {text}"


def as_shell(plan: Plan, sudo: bool = True) -> str:
    """Give the bare commands, one a line."""
    return "".join([f"{typed(step.text, sudo)}\n" for step in plan.steps])


def as_json(plan: Plan, undos: Sequence[Undo], marks: Sequence[str] = ()) -> str:
    """Give a plan as JSON, one step a line: `lab`, `title`, `part` and `steps`, each with

    * `number`, from 1, `command` as it is typed without sudo, `argv` and `stdin` as they are run;
    * `namespace` ("" = the target's own), `section`, `why`, `kind` (change, look or check);
    * `undo`, a list of commands, `covered_by`, the number of the step whose undo takes this one
      along, or null, and `undo_note`, why nothing has to run; `state`, where marks are given;
    * `expect_failure`, why it must fail, and `needs`, what the target must have for it to be tried
      ("route 1.1.1.1", "address 10.0.2.15", "netns internet"), and `listen`, the port that it calls
      ("web 80/tcp"), at which cnetsh listens where nothing else does; all "" for most steps.
    """
    heads = (f'"{key}": {json.dumps(getattr(plan, key))},\n' for key in ("lab", "title", "part"))
    entries = [_entry(step, undo) for step, undo in zip(plan.steps, undos, strict=True)]
    for entry, mark in zip(entries, marks, strict=False):
        entry["state"] = mark
    # In one call, for an encoder is made at each. Inside of a string the quotes would be escaped.
    steps = json.dumps(entries)[1:-1].replace(', {"number": ', ',\n{"number": ')
    return f'{{\n{"".join(heads)}"steps": [\n{steps}\n]\n}}\n'


def _entry(step: Step, undo: Undo) -> dict[str, object]:
    argv, stdin = split(step.text)
    return {
        "number": undo.step + 1,
        "command": step.text,
        "argv": argv,
        "stdin": stdin,
        "namespace": step.netns,
        "section": step.section,
        "why": step.why,
        "kind": step.kind,
        "undo": undo.texts,
        "covered_by": None if undo.covered_by is None else undo.covered_by + 1,
        "undo_note": undo.note,
        "expect_failure": step.said.expect,
        "needs": step.said.needs,
        "control": step.said.control,
        "listen": step.said.listen,
    }


def printable(text: str) -> str:
    """Give text without what a terminal would obey, or show in an order of its own."""
    if text.isprintable():
        return text
    return "".join([letter if letter.isprintable() else visible(letter) for letter in text])


class Row(NamedTuple):
    """A step as a table shows it: its number, from 1, and what its last column says.

    typed: those are commands.
    """

    number: int
    command: str
    why: str
    last: tuple[str, ...]
    typed: bool


def rows(plan: Plan, undos: Sequence[Undo]) -> list[tuple[str, list[Row]]]:
    """Give the steps of each section as they are shown, with the section's title."""
    steps = zip(plan.steps, undos, strict=True)
    return [
        (printable(title), [_row(plan.part, step, undo) for step, undo in found])
        for title, found in groupby(steps, key=lambda one: one[0].section)
    ]


def _row(part: str, step: Step, undo: Undo) -> Row:
    words = undo.texts or (undo.note,)
    if part == "check":
        words = (_expected(step),)
    elif undo.covered_by is not None:
        words = (f"covered by step {undo.covered_by + 1}",)
    last = tuple(map(printable, words))
    why = f"Taken on trust. {step.why}".strip() if step.kind == "trusted" else step.why
    return Row(undo.step + 1, printable(step.text), printable(why), last, words == undo.texts)


def last_heading(part: str) -> str:
    """Give the heading of the last column; what takes a lab down is not undone and needs none."""
    return {"up": "Undo", "check": "Expected"}.get(part, "")


_THERE_IS = {"route": "a route to", "address": "the address", "netns": "the namespace"}


def _expected(step: Step) -> str:
    if step.said.expect:
        return f"fails: {step.said.expect}"
    if step.said.needs:
        kind, _, address = step.said.needs.partition(" ")
        return f"works, where there is {_THERE_IS[kind]} {address}"
    return "works" if step.kind == "check" else "look and see"


# In narration a code span is meant; any other markup in it is text.
_CODE_SPAN = re.compile(r"(`[^`]+`)")
_MARKUP = re.compile(r"([\\`*_\[\]<>|~#])")


def as_markdown(plan: Plan, undos: Sequence[Undo]) -> str:
    """Give a page of markdown with a table for each section."""
    heading = last_heading(plan.part)
    lines = [f"# {_prose(printable(plan.title))}"]
    for section, found in rows(plan, undos):
        lines += ["", f"## {_prose(section)}"] if section else []
        lines += ["", f"| # | Command | Why |{heading and f' {heading} |'}"]
        lines += ["|--:|---|---|---|" if heading else "|--:|---|---|"]
        lines += [f"| {' | '.join(_cells(row, heading))} |" for row in found]
    return "\n".join(lines) + "\n"


def _cells(row: Row, heading: str) -> Iterator[str]:
    yield from (str(row.number), _code(row.command), _prose(row.why))
    if heading:
        yield "<br>".join(map(_code if row.typed else _prose, row.last))


def _code(text: str) -> str:
    """Give a code span; in a table a bar ends the cell even there."""
    fence = "``" if "`" in text else "`"
    inner = f" {text} " if "`" in text else text
    return f"{fence}{inner}{fence}".replace("|", r"\|")


def _prose(text: str) -> str:
    """Give text that is markup nowhere but in its own code spans."""
    pieces = _CODE_SPAN.split(text)
    pieces[::2] = [_MARKUP.sub(r"\\\1", piece.replace("&", "&amp;")) for piece in pieces[::2]]
    pieces[1::2] = [_code(piece[1:-1]) for piece in pieces[1::2]]
    return "".join(pieces)
