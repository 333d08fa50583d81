"""Text as a terminal shows it: what it obeys made visible, in its width, in colour.

It is loaded at every start, and so imports little. Pure functions.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator

from cnetsh.names import visible

# The parameters of SGR (ECMA-48): 36 is cyan, which is read on light and dark alike.
BOLD, DIM, ITALIC, HEADING = "1", "2", "3", "1;36"
WRONG, DOUBT = "31", "33"
Paint = Callable[[str, str], str]
# What a line begins with that is typed, or pasted: it is never broken.
_TYPED = ("cnetsh ", "sudo ", "would help: ")
# What the rest of a line stands below of: a word set off by spaces, or nothing.
_HEAD = re.compile(r" *(?:\S+ {2,})?")


def printable(text: str) -> str:
    """Give text without what a terminal would obey, or show in an order of its own."""
    if text.isprintable():
        return text
    return "".join([letter if letter.isprintable() else visible(letter) for letter in text])


def unpainted(text: str, _: str) -> str:
    """Give text as it is, for a file or a pipe."""
    return text


def ansi(text: str, style: str) -> str:
    """Give text in a style, for a terminal."""
    return f"\x1b[{style}m{text}\x1b[0m" if style and text else text


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


def fitted(line: str, width: int) -> list[str]:
    """Give a line in pieces of at most width columns, the others moved in; 0: of any width."""
    if not width or columns_of(line) <= width or line.lstrip().startswith(_TYPED):
        return [line]
    found = _HEAD.match(line)
    head = found[0] if found and len(found[0]) <= width // 2 else ""
    # What is moved in already goes on below itself.
    moved_in = " " * (len(head) if head.strip() or len(head) > 2 else len(head) + 2)
    first, *rest = wrapped(line[len(head) :], width - len(moved_in))
    return [head + first, *(moved_in + each for each in rest)]
