"""A plan as a table for people, as wide as they like; a narrow one has the reasons below.

Laid out here, without a library: importing one would take longer than planning a thousand
containers, and laying out their eight thousand steps ten times as long.
"""

import unicodedata
from collections.abc import Callable, Iterator, Sequence
from itertools import zip_longest
from typing import NamedTuple

from cnetsh.plan.steps import Plan, Step
from cnetsh.plan.undo import Undo
from cnetsh.views.text import last_column, last_heading, printable, sections

NARROW = 100
GAP = "  "
BOLD, DIM, ITALIC, HEADING = "1", "2", "3", "1;36"
Paint = Callable[[str, str], str]


class Piece(NamedTuple):
    """A part of a cell, from a line of its own: its text, style and how far it is moved in."""

    text: str
    style: str = ""
    indent: int = 0


def plain(text: str, _: str) -> str:
    """Give text as it is, for a file or a pipe."""
    return text


def ansi(text: str, style: str) -> str:
    """Give text in a style, for a terminal (ECMA-48, SGR)."""
    return f"\x1b[{style}m{text}\x1b[0m" if style and text else text


class _Layout(NamedTuple):
    """The widths of the columns, the heading of the last one ("" = none), a column of reasons."""

    widths: tuple[int, ...]
    last: str
    wide: bool


def table(
    plan: Plan, undos: Sequence[Undo], width: int, paint: Paint = plain, marks: Sequence[str] = ()
) -> Iterator[str]:
    """Give the lines of a table of the steps, at most width columns wide.

    marks: for each step what it would find on the target, shown below its command.
    """
    layout = _layout(plan, undos, width)
    yield paint(f"{printable(plan.title)} ({plan.part})", BOLD)
    yield from _row([[Piece(name, BOLD)] for name in _names(layout)], layout, paint)
    for section, rows in sections(plan, undos):
        yield from ("", paint(section, HEADING)) if section else ()
        for step, undo in rows:
            mark = marks[undo.step] if marks else ""
            yield from _row(list(_cells(plan.part, step, undo, mark, layout)), layout, paint)


def _layout(plan: Plan, undos: Sequence[Undo], width: int) -> _Layout:
    number = len(str(len(plan.steps)))
    heading = last_heading(plan.part)
    last = _longest_last(plan, undos) if heading else 0
    free = max(width, 40) - number - len(GAP) * (2 if heading else 1)
    if width < NARROW:
        last = min(last, free * 2 // 5)
        widths: tuple[int, ...] = (number, free - last, last)
    else:
        free -= len(GAP)
        command = min(max([20, *(len(step.text) for step in plan.steps)]), free * 2 // 5)
        last = min(last, (free - command) * 9 // 20)
        widths = (number, command, free - command - last, last)
    return _Layout(widths if heading else widths[:-1], heading, width >= NARROW)


def _longest_last(plan: Plan, undos: Sequence[Undo]) -> int:
    longest = len("Expected")
    for step, undo in zip(plan.steps, undos, strict=True):
        commands, words = last_column(plan.part, step, undo)
        longest = max(longest, len(words), *map(len, commands))
    return longest


def _names(layout: _Layout) -> list[str]:
    middle = ["Command", "Why"] if layout.wide else ["Command, and why"]
    return ["#".rjust(layout.widths[0]), *middle, *([layout.last] if layout.last else [])]


def _cells(part: str, step: Step, undo: Undo, mark: str, layout: _Layout) -> Iterator[list[Piece]]:
    yield [Piece(str(undo.step + 1).rjust(layout.widths[0]))]
    command, why = [Piece(printable(step.text), BOLD)], Piece(printable(step.why))
    if mark:
        command.append(Piece(f"({mark})", ITALIC))
    if layout.wide:
        yield command
        yield [why]
    else:
        yield [*command, why._replace(indent=2)] if why.text else command
    if layout.last:
        commands, words = last_column(part, step, undo)
        yield [Piece(text) for text in commands] or [Piece(words, DIM)]


def _row(cells: Sequence[Sequence[Piece]], layout: _Layout, paint: Paint) -> Iterator[str]:
    columns = [list(_lines(cell, width)) for cell, width in zip(cells, layout.widths, strict=True)]
    for pieces in zip_longest(*columns, fillvalue=Piece("")):
        line, spaces = "", ""
        for piece, width in zip(pieces, layout.widths, strict=True):
            if piece.text:
                line += spaces + paint(piece.text, piece.style)
                spaces = ""
            spaces += " " * (width - columns_of(piece.text)) + GAP
        yield line


def _lines(cell: Sequence[Piece], width: int) -> Iterator[Piece]:
    for piece in cell:
        for line in wrapped(piece.text, width - piece.indent):
            yield Piece(" " * piece.indent + line, piece.style)


def wrapped(text: str, width: int) -> list[str]:
    """Give text in lines of at most width columns; a word that is longer is cut."""
    if columns_of(text) <= width:
        return [text]
    lines, line = [], ""
    for word in text.split(" "):
        longer = f"{line} {word}" if line else word
        if columns_of(longer) <= width:
            line = longer
            continue
        if line:
            lines.append(line)
        *cut, line = _cut(word, width)
        lines += cut
    return [*lines, line]


def _cut(word: str, width: int) -> Iterator[str]:
    start = at = used = 0
    for at, letter in enumerate(word):
        used += columns_of(letter)
        if used > width:
            yield word[start:at]
            start, used = at, columns_of(letter)
    yield word[start:]


def columns_of(text: str) -> int:
    """Give how many columns of a terminal text takes: a Chinese letter takes two."""
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)
    return len(text) + wide - sum(map(bool, map(unicodedata.combining, text)))
