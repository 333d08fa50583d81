"""What is said between here and a far side: frames of a letter, a length and that many bytes.

To a VM they go by one of its ports, to another machine by ssh's input and output. Nothing of a far
side's is unpickled here.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

_HEAD = struct.Struct(">cI")
# Both ways: bytes of the stream whose number comes first; none are its end.
STREAM = b"b"
# To the far side: what to do, a signal's number, the size of the terminal.
REQUEST, SIGNAL, SIZE = b"r", b"s", b"w"
# From it: it has begun, and listens; so many bytes of the input are taken; how it ended.
BEGUN, TAKEN, ENDED = b"g", b"t", b"x"
# To it, ahead of all: a word that comes back ahead of its frames, for there may be other things
# on the way, such as what a shell says at its start.
HELLO = b"h"
# At a VM's port ahead of that, for who was there before may have gone in the midst of a frame.
KNOCK = b"\0cnetsh" * 3
# Of ssh's starter: the code of cnetsh is wanted, and is that; why it does not begin.
CODE, REFUSED = b"c", b"n"
PIECE = 1 << 14
# So much input may be on its way, for the far side has no room for what nobody takes.
ON_ITS_WAY = 1 << 18
# What is kept of that which is no frame.
LINES = 1 << 12


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be done far away, as a travelling action; size: the terminal's that it takes."""

    action: bytes
    streams: int
    argv: list[str]
    environment: dict[str, str]
    size: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Exit:
    """How an action ended, and the labs that are up there then, or were interrupted."""

    code: int
    labs: list[str]


def framed(letter: bytes, content: bytes = b"") -> bytes:
    return _HEAD.pack(letter, len(content)) + content


class Reader:
    """Frames out of bytes that come in pieces; word: it is said ahead of them, and may be again."""

    def __init__(self, word: bytes = b"") -> None:
        self._word, self._waiting, self._last = word, b"", b""
        self.begun = not word

    def frames(self, piece: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Give the frames that are whole with this piece: letter and content."""
        self._waiting += piece
        if self._word:
            self._look_for_word(piece)
        if not self.begun:
            self._waiting = self._waiting[-LINES:]
            return
        while len(self._waiting) >= _HEAD.size:
            letter, length = _HEAD.unpack_from(self._waiting)
            if len(self._waiting) < _HEAD.size + length:
                return
            content = self._waiting[_HEAD.size : _HEAD.size + length]
            self._waiting = self._waiting[_HEAD.size + length :]
            yield letter, content

    def _look_for_word(self, piece: bytes) -> None:
        # A frame that was cut off may have taken the beginning of the word for its own.
        come = self._last + piece
        if self._word in come:
            self.begun, self._waiting = True, come.rpartition(self._word)[2]
        self._last = come[1 - len(self._word) :]

    @property
    def noise(self) -> str:
        """What was said last where no frame has come yet."""
        return "" if self.begun else self._waiting.decode(errors="replace").strip()
