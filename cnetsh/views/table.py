"""A plan as a table for people, as wide as they like; a narrow one has the reasons below.

Laid out here, without a library: importing one would take longer than planning a thousand
containers, and laying out their eight thousand steps ten times as long.
"""

import unicodedata
from collections.abc import Callable, Iterator, Sequence
from itertools import zip_longest
from typing import NamedTuple

from cnetsh.plan.lines import counted
from cnetsh.views.text import Row, Sheet, last_heading, printable, rows

NARROW = 100  # below it the reasons stand under the commands: a column would be too thin
GAP = "  "
# The parameters of SGR (ECMA-48): 36 is cyan, which is read on light and dark alike.
BOLD, DIM, ITALIC, HEADING = "1", "2", "3", "1;36"
Paint = Callable[[str, str], str]


class Piece(NamedTuple):
    """A part of a cell, from a line of its own: its text, style and how far it is moved in."""

    text: str
    style: str = ""
    indent: int = 0


_NOTHING = Piece("")


def plain(text: str, _: str) -> str:
    """Give text as it is, for a file or a pipe."""
    return text


def ansi(text: str, style: str) -> str:
    """Give text in a style, for a terminal."""
    return f"\x1b[{style}m{text}\x1b[0m" if style and text else text


class _Layout(NamedTuple):
    """The headings of the columns, and their widths."""

    headings: list[str]
    widths: list[int]


def table(sheet: Sheet, width: int, paint: Paint = plain) -> Iterator[str]:
    """Give the lines of a table of a sheet's lines, at most width columns wide.

    What a command finds on the target stands below it.
    """
    sections = rows(sheet)
    layout = _layout([row for _, found in sections for row in found], sheet, width)
    yield paint(f"{printable(sheet.title)} ({sheet.part})", BOLD)
    if not sheet.lines:
        yield "nothing to do"
        return
    yield from _printed([[Piece(name, BOLD)] for name in layout.headings], layout, paint)
    for section, found in sections:
        yield from ("", paint(section, HEADING)) if section else ()
        for row in found:
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
    for pieces in zip_longest(*columns, fillvalue=_NOTHING):
        line, spaces = "", 0
        for (text, style, _), width in zip(pieces, layout.widths, strict=True):
            # Spaces go before the next text, never at a line's end, and are not painted.
            if text:
                line += " " * spaces + paint(text, style)
                spaces = width - columns_of(text) + len(GAP)
            else:
                spaces += width + len(GAP)
        yield line


def _lines(cell: Sequence[Piece], width: int) -> Iterator[Piece]:
    for piece in cell:
        if not piece.indent and columns_of(piece.text) <= width:
            yield piece
            continue
        for line in wrapped(piece.text, width - piece.indent):
            yield Piece(" " * piece.indent + line, piece.style)


def wrapped(text: str, width: int) -> list[str]:
    """Give text in lines of at most width columns; a word that is longer is cut."""
    if columns_of(text) <= width:
        return [text]
    lines, used = [""], 0
    # Nearly all text is ASCII, and a large plan has a million words.
    measure = len if text.isascii() else columns_of
    for word in text.split(" "):
        size = measure(word)
        if used and used + 1 + size <= width:
            lines[-1] += f" {word}"
            used += 1 + size
        else:
            lines += [word] if size <= width else _cut(word, width)
            used = measure(lines[-1])
    return [line for line in lines if line]


def _cut(word: str, width: int) -> Iterator[str]:
    piece = ""
    for letter in word:
        if columns_of(piece + letter) > width:
            yield piece
            piece = ""
        piece += letter
    yield piece


def columns_of(text: str) -> int:
    """Give how many columns of a terminal text takes: a Chinese letter takes two."""
    if text.isascii():
        return len(text)
    # An accent that is a letter of its own takes none.
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)
    return len(text) + wide - sum(map(bool, map(unicodedata.combining, text)))
