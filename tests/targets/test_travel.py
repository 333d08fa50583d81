"""An action and its streams there and back, and the frames that carry them."""

import io
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TextIO

import pytest

from cnetsh.targets import frames, travel
from cnetsh.targets.frames import Reader


def written(streams: Sequence[TextIO], text: str) -> int:
    for number, stream in enumerate(streams):
        stream.write(f"{number} {text}")
    return 7


def test_an_action_writes_to_the_streams_of_who_unpacks_it(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as log:
        parcel = travel.packed(partial(written, (sys.stdout, log), "text"))
    assert parcel.streams == [sys.stdin, sys.stdout, sys.stderr, log] and not parcel.reads
    theirs = [io.StringIO() for _ in parcel.streams]
    assert travel.unpacked(parcel.content, theirs)() == 7
    assert [one.getvalue() for one in theirs] == ["", "0 text", "", "1 text"]


def test_it_is_known_whether_an_action_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    assert travel.packed(partial(written, (sys.stdin,), "")).reads
    assert not travel.packed(partial(written, (), "")).reads


def test_a_function_of_no_module_does_not_travel() -> None:
    with pytest.raises(AttributeError):
        travel.packed(partial(lambda: 0))


@pytest.mark.parametrize("length", range(1, 40))
def test_frames_come_whole_however_they_are_cut(length: int) -> None:
    given = [(frames.STREAM, b"one"), (frames.SIGNAL, b""), (frames.STREAM, bytes(range(60)))]
    sent = b"".join(frames.framed(*one) for one in given)
    reader, found = Reader(), []
    for at in range(0, len(sent), length):
        found += list(reader.frames(sent[at : at + length]))
    assert found == given


@pytest.mark.parametrize("length", range(1, 40))
def test_frames_begin_after_the_word_each_time_it_is_said(length: int) -> None:
    frame = frames.framed(frames.STREAM, b"one")
    sent = b"welcome" + frame[:5] + b"the word" + frame + frame[:-1] + b"the word" + frame * 2
    reader, found = Reader(b"the word"), []
    for at in range(0, len(sent), length):
        found += list(reader.frames(sent[at : at + length]))
        if not reader.begun:
            assert reader.noise.encode() in b"welcome" + frame[:5] + b"the word"
    assert found[-2:] == [(frames.STREAM, b"one")] * 2
    # Of the one that was cut off nobody knows.
    assert len(found) <= 4
