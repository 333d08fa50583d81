"""A plan as a table for people, as wide as they like; a narrow one has the reasons below.

Laid out here, without a library: importing one would take longer than planning a thousand
containers, and laying out their eight thousand steps ten times as long.
"""

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import NamedTuple, TypeAlias

from cnetsh.plan.lines import counted
from cnetsh.views.terminal import (
    BOLD,
    DIM,
    HEADING,
    ITALIC,
    Paint,
    columns_of,
    printable,
    unpainted,
    wrapped,
)
from cnetsh.views.text import Row, Sheet, last_heading, sections

NARROW = 100  # below it the reasons stand under the commands: a column would be too thin
GAP = "  "
PIPED = 120  # columns, where nobody says how many there are


class Piece(NamedTuple):
    """A part of a cell, from a line of its own: its text, style and how far it is moved in."""

    text: str
    style: str = ""
    indent: int = 0


_NOTHING = ("", "")
# What stands in one column of one line: a text, and its style.
Styled: TypeAlias = tuple[str, str]


class _Layout(NamedTuple):
    """The headings of the columns, and their widths."""

    headings: list[str]
    widths: list[int]


def table(sheet: Sheet, width: int, paint: Paint = unpainted) -> Iterator[str]:
    """Give the lines of a table of a sheet's lines, at most width columns wide.

    0: as wide as the commands are, which then stand in one line each, with some room for the rest.
    What a command finds on the target stands below it.
    """
    parts = sections(sheet)
    found = [row for _, some in parts for row in some]
    layout = _layout(found, sheet, width or PIPED)
    layout = layout if width else _unbroken(layout, found)
    yield paint(f"{printable(sheet.title)} ({sheet.part})", BOLD)
    yield from wrapped(sheet.over, width or PIPED) if sheet.over else ()
    if not sheet.lines:
        yield "nothing to do"
        return
    yield from _printed([[Piece(name, BOLD)] for name in layout.headings], layout, paint)
    for section, some in parts:
        yield from ("", paint(section, HEADING)) if section else ()
        for row in some:
            # Most rows of a large plan take one line.
            if line := _in_one_line(row, layout, paint):
                yield line
            else:
                yield from _printed(_cells(row, layout), layout, paint)
    if count := counted(sheet.lines):
        yield from ("", paint(count, BOLD))


def _layout(found: Sequence[Row], sheet: Sheet, width: int) -> _Layout:
    """Give each column what it needs, and what is left to the reasons."""
    heading = last_heading(sheet.part)
    first = [max([1, *(len(row.number) for row in found)]), *([1] if sheet.marked else [])]
    names = ["Command", "Why"] if width >= NARROW else ["Command, and why"]
    names += [heading] if heading else []
    free = max(width, 40) - sum(first) - len(GAP) * (len(first) + len(names) - 1)
    last = max([len("Expected"), *(len(text) for row in found for text in row.last)])
    last = last if heading else 0
    if width >= NARROW:
        command = min(max([20, *(len(row.command) for row in found)]), free * 2 // 5)
        last = min(last, (free - command) * 9 // 20)
        widths = [command, free - command - last, last]
    else:
        last = min(last, free * 2 // 5)
        widths = [free - last, last]
    headings = ["#".rjust(first[0]), *([""] if sheet.marked else []), *names]
    return _Layout(headings, [*first, *widths][: len(headings)])


def _unbroken(layout: _Layout, found: Sequence[Row]) -> _Layout:
    """Give a layout in which every command has a line, for what reads lines out of a pipe."""
    widths = dict(zip(layout.headings, layout.widths, strict=True))
    longest = {
        "Command": [row.command for row in found],
        "Undo": [text for row in found if row.typed for text in row.last],
    }
    for heading in longest.keys() & widths.keys():
        widths[heading] = max([widths[heading], *map(len, longest[heading])])
    return _Layout(layout.headings, list(widths.values()))


def _in_one_line(row: Row, layout: _Layout, paint: Paint) -> str:
    """Give a row as a line, "" where it takes several."""
    number, mark, command, found, why, last, typed = row
    if found or len(last) > 1:
        return ""
    line = [(number.rjust(layout.widths[0]), ""), (command, BOLD), (why, "")]
    if "" in layout.headings:
        line.insert(1, (mark, BOLD))
    if "Why" not in layout.headings and line.pop()[0]:
        return ""
    line.append(("".join(last), "" if typed else DIM))
    return _joined(line, layout, paint)


def _cells(row: Row, layout: _Layout) -> list[list[Piece]]:
    cells = [[Piece(row.number.rjust(layout.widths[0]))]]
    if "" in layout.headings:
        cells.append([Piece(row.mark, BOLD)])
    command = [Piece(row.command, BOLD)]
    if row.found:
        command.append(Piece(f"({row.found})", ITALIC))
    if "Why" in layout.headings:
        cells += [command, [Piece(row.why)]]
    else:
        cells.append([*command, *([Piece(row.why, indent=2)] if row.why else [])])
    last = [Piece(text, "" if row.typed else DIM) for text in row.last]
    return [*cells, last][: len(layout.widths)]


def _printed(cells: Sequence[Sequence[Piece]], layout: _Layout, paint: Paint) -> Iterator[str]:
    columns = [list(_lines(cell, width)) for cell, width in zip(cells, layout.widths, strict=True)]
    for line in zip_longest(*columns, fillvalue=_NOTHING):
        yield _joined(line, layout, paint)


def _joined(line: Sequence[Styled], layout: _Layout, paint: Paint) -> str:
    """Give the columns of a line side by side, "" where one of them is too narrow."""
    joined = []
    # What takes a lab down has no last column.
    for (text, style), width in zip(line, layout.widths, strict=False):
        room = width - columns_of(text)
        if room < 0:
            return ""
        joined.append(paint(text, style) + " " * room)
    return GAP.join(joined).rstrip()


def _lines(cell: Sequence[Piece], width: int) -> Iterator[Styled]:
    for piece in cell:
        for line in wrapped(piece.text, width - piece.indent):
            yield " " * piece.indent + line, piece.style
