"""An action on its way to another machine: a function and what it is called with, as bytes.

Streams of the caller's among the arguments stay where they are: the far side gets one of its own
for each, and what is written there comes back.
"""

import io
import pickle
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TextIO, cast


@dataclass(frozen=True, slots=True)
class Parcel:
    """An action as bytes; the caller's streams: input, output, errors and more; those it takes."""

    content: bytes
    streams: list[TextIO]
    taken: frozenset[TextIO]

    @property
    def reads(self) -> bool:
        """Whether what the caller is given has to reach it."""
        return self.streams[0] in self.taken

    @property
    def terminal(self) -> bool:
        """Whether it takes the caller's terminal, to read from and write to."""
        return all(one in self.taken and one.isatty() for one in self.streams[:2])


class _Pickler(pickle.Pickler):
    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file)
        self.streams: list[TextIO] = [sys.stdin, sys.stdout, sys.stderr]
        self.taken: set[TextIO] = set()

    def persistent_id(self, one: Any) -> int | None:
        """Give the number of a stream, None for all else."""
        if not isinstance(one, io.TextIOBase):
            return None
        stream = cast(TextIO, one)
        if stream not in self.streams:
            self.streams.append(stream)
        self.taken.add(stream)
        return self.streams.index(stream)


def packed(action: Callable[[], int]) -> Parcel:
    """Give an action as it travels. Its function is one of a module, not a lambda."""
    file = io.BytesIO()
    pickler = _Pickler(file)
    pickler.dump(action)
    return Parcel(file.getvalue(), pickler.streams, frozenset(pickler.taken))


class _Unpickler(pickle.Unpickler):
    def __init__(self, content: bytes, streams: Sequence[TextIO]) -> None:
        super().__init__(io.BytesIO(content))
        self.streams = streams

    def persistent_load(self, pid: Any) -> TextIO:
        return self.streams[int(pid)]


def unpacked(content: bytes, streams: Sequence[TextIO]) -> Callable[[], int]:
    """Give the action that packed made bytes of, with these streams in place of the caller's."""
    action: Callable[[], int] = _Unpickler(content, streams).load()
    return action
