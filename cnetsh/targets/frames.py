"""What is said between here and a far side: frames of a letter, a length and that many bytes.

To a VM they go by one of its ports, to another machine by ssh's input and output. Nothing of a far
side's is unpickled here.
"""

import json
import pickle
import struct
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass

HEAD = struct.Struct(">cI")
# Both ways: bytes of the stream whose number comes first; none are its end.
STREAM = b"b"
# To the far side: what to do, a signal's number, the size of the terminal.
REQUEST, SIGNAL, SIZE = b"r", b"s", b"w"
# From it: it has begun, and listens; how it ended.
BEGUN, ENDED = b"g", b"x"
# At a VM's port: somebody is there, with a word that comes back.
HELLO = b"h"
# Of ssh's starter: the code of cnetsh is wanted, and is that; why it does not begin.
CODE, REFUSED = b"c", b"n"
PIECE = 1 << 14


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
    """Give a frame's bytes."""
    return HEAD.pack(letter, len(content)) + content


def write_request(request: Request) -> bytes:
    """Give the bytes that a request is sent as."""
    return zlib.compress(pickle.dumps(request))


def read_request(content: bytes) -> Request:
    """Give the request that was sent."""
    request: Request = pickle.loads(zlib.decompress(content))
    return request


def write_exit(ended: Exit) -> bytes:
    """Give the bytes that an end is sent as."""
    return json.dumps(asdict(ended)).encode()


def read_exit(content: bytes) -> Exit:
    """Give the end that was sent."""
    return Exit(**json.loads(content))


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
