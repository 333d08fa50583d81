"""An action that a far side does, over pipes: what goes there, what comes back, and how it ends."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from cnetsh.targets import frames

PROGRAM = """
import os, signal, sys
from functools import partial
from cnetsh.commands import exec
from cnetsh.system.signals import hold_back
from cnetsh.targets import far, frames, travel
from cnetsh.targets.near import Near

(theirs, to), (back, ours) = os.pipe(), os.pipe()
if not os.fork():
    for fd in (to, back):
        os.close(fd)
    os.dup2(theirs, 0)
    os.dup2(ours, 1)
    word, request = (content for letter, content in far.Streams().heard())
    # What looks like a frame, as a shell may say it.
    os.write(1, frames.framed(frames.ENDED, b"0") + b"hello\\n" * 3000 + word)
    far.act(far.Streams(), request)
    os._exit(0)
os.close(theirs)
os.close(ours)
action = partial(exec.become, "host", sys.argv[1:], (sys.stdin, sys.stdout))
hold_back()
ended = Near(travel.packed(action)).follow(to, back, b"")
print(ended and ended.code, file=sys.stderr)
"""


def start(*words: str, **streams: int) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-c", PROGRAM, *words], **streams)


@pytest.mark.parametrize("size", [0, 1, 3_000_000])
def test_all_that_is_given_comes_back(size: int) -> None:
    """Also more than both ways hold, while both sides have something to say."""
    given = os.urandom(size)
    done = start("cat", stdin=-1, stdout=-1, stderr=-1).communicate(given, timeout=30)
    assert done == (given, b"0\n")


@pytest.mark.parametrize(
    "script, said",
    [
        ("exit 255", b"255\n"),
        ("kill -9 $$", b"137\n"),
        ("echo x >&2; exec 0<&-; exit 3", b"x\n3\n"),
        # Who is still there in the background is not waited for.
        ("sleep 60 & exit 0", b"0\n"),
    ],
)
def test_how_it_ended_is_known(script: str, said: bytes) -> None:
    words: Sequence[str] = ("sh", "-c", script)
    done = start(*words, stdin=-1, stdout=-1, stderr=-1).communicate(b"x" * 300_000, timeout=30)
    assert done == (b"", said)


def test_what_nobody_reads_is_not_written_for_ever() -> None:
    process = start("yes", stdin=-1, stdout=-1, stderr=-1)
    assert process.stdout and process.stderr
    assert process.stdout.read(2) == b"y\n"
    process.stdout.close()
    # As on the host, where Python has it ignore SIGPIPE too.
    assert process.stderr.read().endswith(b"Broken pipe\n1\n")
    process.wait()


def test_what_cannot_be_written_is_told_once() -> None:
    with Path("/dev/full").open("wb") as full:
        process = start("yes", stdout=full.fileno(), stderr=-1)
        said = process.communicate(timeout=30)[1].decode()
    assert said.count("<stdout> cannot be written: No space left on device\n") == 1
    assert said.endswith("Broken pipe\n1\n")


def test_what_it_does_not_read_waits_here() -> None:
    """A VM has no room for it."""
    process = start("sleep", "60", stdin=-1, stderr=-1)
    assert process.stdin and process.stderr
    os.set_blocking(process.stdin.fileno(), False)
    given, since = 0, time.monotonic()
    while time.monotonic() < since + 2:
        with contextlib.suppress(BlockingIOError):
            given += os.write(process.stdin.fileno(), bytes(frames.PIECE))
            continue
        time.sleep(0.01)
    assert given < 2_000_000
    process.send_signal(signal.SIGTERM)
    assert process.stderr.read() == b"143\n"
    process.communicate()


def test_a_signal_is_told_even_where_nothing_is_read(tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    process = start("sh", "-c", f"touch {begun}; exec sleep 60", stdin=-1, stderr=-1)
    while not begun.exists():
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=30)[1] == b"143\n"
