"""What is said over a VM's port: frames of a letter, a length and that many bytes."""

import json
import struct
from collections.abc import Iterator
from dataclasses import asdict, dataclass

HEAD = struct.Struct(">cI")
# Both ways: somebody is there, with a word that comes back. From the VM: what is written to a
# stream, its number first; how a command ended. To it: what to do, input, a signal's number, the
# size of the terminal.
HELLO, OUTPUT, ENDED = b"h", b"o", b"x"
REQUEST, INPUT, SIGNAL, SIZE = b"r", b"i", b"s", b"w"
PIECE = 1 << 14
# As many commands may run in a VM at a time.
PORTS = 6


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be done in a VM, as a travelling action; outputs: how many streams it has."""

    action: str
    outputs: int
    argv: list[str]
    environment: dict[str, str]
    terminal: bool = False


@dataclass(frozen=True, slots=True)
class Exit:
    """How a command ended, and the labs that are up in the VM then, or were interrupted."""

    code: int
    labs: list[str]


def framed(letter: bytes, content: bytes = b"") -> bytes:
    """Give a frame's bytes."""
    return HEAD.pack(letter, len(content)) + content


def as_bytes(what: Request | Exit) -> bytes:
    """Give the bytes that a request or an end is sent as."""
    return json.dumps(asdict(what)).encode()


class Reader:
    """Frames out of bytes that come in pieces."""

    def __init__(self) -> None:
        self._waiting = b""

    def frames(self, piece: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Give the frames that are whole with this piece: letter and content."""
        self._waiting += piece
        while len(self._waiting) >= HEAD.size:
            letter, length = HEAD.unpack_from(self._waiting)
            if len(self._waiting) < HEAD.size + length:
                return
            content = self._waiting[HEAD.size : HEAD.size + length]
            self._waiting = self._waiting[HEAD.size + length :]
            yield letter, content
