"""A plan, or what a command would do, as bare commands or a page of markdown; table.py has it for
a terminal. Pure functions.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from cnetsh.plan.lines import Line, counted
from cnetsh.plan.steps import Step
from cnetsh.views.terminal import printable


def typed(text: str, sudo: bool = True) -> str:
    """Give a command as a user types it: with sudo in front of what needs root."""
    if not sudo:
        return text
    # The one pipe there is: the shell echoes, and only tee needs to be root.
    return text.replace("| ", "| sudo ", 1) if text[:5] == "echo " else f"sudo {text}"


def as_shell(texts: Iterable[str], sudo: bool = True) -> str:
    """Give the bare commands, one a line."""
    return "".join([f"{typed(text, sudo)}\n" for text in texts])


class Sheet(NamedTuple):
    """What is shown of a plan, or of what a command would do."""

    title: str
    part: str  # that of the plan, which says what the last column is
    lines: Sequence[Line]
    warnings: Sequence[Mapping[str, Any]] = ()  # doctor's findings
    over: str = ""  # a line over a whole plan

    @property
    def marked(self) -> bool:
        """Whether it says what runs on a target, or how two plans differ."""
        return any(line.mark or line.found for line in self.lines)


class Row(NamedTuple):
    """A line as a table shows it: its number in the plan, and what its last column says."""

    number: str
    mark: str
    command: str
    found: str
    why: str
    last: tuple[str, ...]
    typed: bool  # last are commands


# What a mark says already.
_SAID = ("create", "change", "look", "check")


def sections(sheet: Sheet) -> list[tuple[str, list[Row]]]:
    """Give the lines of each section as they are shown, with the section's title."""
    return [
        (printable(title), [_row(sheet.part, line) for line in found])
        for title, found in groupby(sheet.lines, key=lambda line: line.step.section)
    ]


def _row(part: str, line: Line) -> Row:
    mark, step, found, undo = line
    number = str(undo.step + 1) if undo else ""
    words = undo.texts or (undo.note,) if undo else ()
    typed = not undo or bool(undo.texts)
    if part == "check":
        words, typed = (expected(step),), False
    elif undo and undo.covered_by is not None:
        words = (f"covered by step {undo.covered_by + 1}",)
    found = "" if found in _SAID else found
    last = tuple([printable(word) for word in words])
    why = f"Taken on trust. {step.why}".strip() if step.kind == "trusted" else step.why
    return Row(number, mark, printable(step.text), found, printable(why), last, typed)


def last_heading(part: str) -> str:
    """Give the heading of the last column; what takes a lab down is not undone and needs none."""
    return {"up": "Undo", "check": "Expected"}.get(part, "")


_THERE_IS = {"route": "a route to", "address": "the address", "netns": "the namespace"}


def expected(step: Step) -> str:
    """Say how a check must end."""
    kind, _, address = step.said.needs.partition(" ")
    where = f", where there is {_THERE_IS[kind]} {address}" if kind else ""
    if step.said.expect:
        return f"fails{where}: {step.said.expect}"
    return f"works{where}" if step.kind == "check" else "look and see"


# In narration a code span is meant; any other markup in it is text.
_CODE_SPAN = re.compile(r"(`[^`]+`)")
_MARKUP = re.compile(r"([\\`*_\[\]<>|~#])")


def as_markdown(sheet: Sheet) -> str:
    """Give a page of markdown with a table for each section."""
    heading, marked = last_heading(sheet.part), sheet.marked
    names = ["#", *([""] if marked else []), "Command", "Why", *filter(None, [heading])]
    lines = [f"# {_prose(printable(sheet.title))}"]
    lines += ["", sheet.over] if sheet.over else []
    if count := counted(sheet.lines):
        lines += ["", f"`{count}`"]
    for warning in sheet.warnings:
        lines += ["", *_warned(warning)]
    lines += [] if sheet.lines else ["", "Nothing to do."]
    for section, found in sections(sheet):
        lines += ["", f"## {_prose(section)}"] if section else []
        lines += ["", f"| {' | '.join(names)} |", f"|--:|{'---|' * (len(names) - 1)}"]
        lines += [f"| {' | '.join(_cells(row, heading, marked))} |" for row in found]
    return "\n".join(lines) + "\n"


def _warned(warning: Mapping[str, Any]) -> Iterator[str]:
    """Give one of doctor's findings as a quotation."""
    yield f"> **{warning['severity']} {warning['id']}** {_prose(warning['title'])}"
    for key in ("evidence", "effect", "advice"):
        yield from (f"> - {_prose(line)}" for line in warning[key].split("\n") if line)
    yield from (f"> - {_code(line)}" for line in warning.get("commands", ()))


def _cells(row: Row, heading: str, marked: bool) -> Iterator[str]:
    yield row.number
    if marked:
        yield f"`{row.mark}`" if row.mark else ""
    yield _code(row.command) + (f"<br>({row.found})" if row.found else "")
    yield _prose(row.why)
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
