"""Running the steps of a plan one by one: each is known to the journal before it begins.

A step is echoed, run and timed on its own, in a lane that stays open for the next. For what is
longer than SHORT, see units.py.
"""

import contextlib
import fcntl
import re
import socket
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from cnetsh.apply.batch import LONGEST, Lane, Start, spawn
from cnetsh.compare.snapshot import NETNS
from cnetsh.errors import CnetshError
from cnetsh.kinds.change import Ref
from cnetsh.plan.steps import Step, made_by
from cnetsh.system import namespace
from cnetsh.system.process import Result, Run, ask

SHORT = 50
SIOCGIFHWADDR = 0x8927
_PLAIN = re.compile(r"[\w ./:,=@%+!-]*")
_TRAILER = re.compile(r"^Command failed -:\d+\n?", re.MULTILINE)


class Note(Protocol):
    """Writes down what is about to run, and then how it ended, by step numbers."""

    def __call__(self, **record: Any) -> None: ...


class Watch(Protocol):
    """Is told how many steps come, of each before it runs, and of its end.

    seconds is None for a step that ran inside a unit.
    """

    def expect(self, total: int, verb: str = "") -> None: ...
    def begins(self, number: int, step: Step) -> None: ...
    def ended(self, number: int, step: Step, result: Result, seconds: float | None) -> None: ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """How far it came: the failed step's index and result, or the signal that stopped it.

    A result without a step is a failure of the run itself.
    """

    failed: int | None = None
    result: Result | None = None
    signal: int = 0

    @property
    def well(self) -> bool:
        """Whether all steps have run and are known to have."""
        return self == Outcome()


@dataclass(frozen=True, slots=True)
class Means:
    """What a run needs: single commands, the host lane's start, a watcher, a stop signal (or 0).

    ask: the commands that only read.
    """

    run: Run
    start: Start
    watch: Watch
    stopping: Callable[[], int]
    ask: Run = ask


def batch_line(step: Step) -> str | None:
    """Give the line that does the step in `ip -batch`, or None where it has to run by itself."""
    inner = step.inner
    if inner[0] != "ip" or inner[1].startswith("-") or step.kind != "change":
        return None
    line = " ".join(inner[1:])
    # A word that is empty or has a blank in it would be none or several words to ip.
    plain = _PLAIN.fullmatch(line) and tuple(line.split()) == inner[1:]
    return line if plain and len(line) < LONGEST else None


def alone(step: Step, run: Run) -> Result:
    """Run one step as one process, inside its namespace when it has one."""
    if not step.netns or step.inner[0] not in ("ip", "tee", "tc"):
        return run(step.argv, stdin=step.stdin)
    return namespace.in_network(str(NETNS / step.netns), lambda: run(step.inner, stdin=step.stdin))


def not_run(netns: str, error: OSError | CnetshError) -> Result:
    """Give the result of what could not begin, for want of a namespace, a tool, or of anything."""
    why = error.message if isinstance(error, CnetshError) else error.strerror or str(error)
    return Result(255, "", f"namespace {netns}: {why}" if netns else why)


def one_by_one(steps: Sequence[Step], note: Note, means: Means) -> Outcome:
    """Run the steps strictly one after the other; say how far it came."""
    lanes = _Lanes(means)
    try:
        for number, step in enumerate(steps):
            if signal := means.stopping():
                return Outcome(signal=signal)
            result = _one(number, step, note, means.watch, lanes)
            if result.exit_code:
                return Outcome(number, result)
        return Outcome(signal=means.stopping())
    finally:
        lanes.close()


def _one(number: int, step: Step, note: Note, watch: Watch, lanes: "_Lanes") -> Result:
    try:
        note(start=[number])
    except CnetshError as error:
        return not_run("", error)
    watch.begins(number, step)
    began = time.perf_counter()
    try:
        result = lanes.run(step)
    except (OSError, CnetshError) as error:
        result = not_run(step.netns, error)
    seconds = time.perf_counter() - began
    record(note, [number], [(number, step)] if not result.exit_code else [], result)
    watch.ended(number, step, result, seconds)
    return result


def record(
    note: Note, started: Sequence[int], done: Sequence[tuple[int, Step]], result: Result
) -> None:
    """Write down how a unit ended, with the identity of what it made.

    A step that failed stays uncertain, for it may be half done; but what "File exists" speaks of
    was there before it, and is not ours.
    """
    ended = [number for number, _ in done]
    made = {key: mark for _, step in done for key, mark in identities(step)}
    over = started[len(ended) + (1 if result.exit_code else 0) :]
    if result.exit_code and "File exists" in result.stderr:
        over = started[len(ended) :]
    note(end=ended, **({"over": list(over)} if over else {}), **({"made": made} if made else {}))


def identities(step: Step) -> Iterator[tuple[str, list[Any]]]:
    """Give the identity of what a step made in the target's own namespace.

    Of a link its ifindex, which the kernel does not give twice, and its MAC; of a namespace its
    mark; of a folder its inode, for its times change with what is put into it.
    """
    for ref in () if step.netns else made_by(step):
        if not ref.netns and (mark := identity(ref)):
            yield f"{ref.kind} {ref.name}", mark


def identity(ref: Ref) -> list[Any]:
    """Give what tells an object from another of the same name; empty when it is not there."""
    with contextlib.suppress(OSError):
        if ref.kind == "netns":
            return [namespace.mark((NETNS / ref.name).stat())]
        if ref.kind == "link":
            return [link_index(ref.name), _mac(ref.name)] if link_index(ref.name) else []
        if ref.kind == "folder":
            return [Path(ref.name).lstat().st_ino]
    return []


def link_index(name: str) -> int:
    """Give a link's ifindex, which the kernel does not give twice; 0 when it is not there."""
    with contextlib.suppress(OSError):
        return socket.if_nametoindex(name)
    return 0


def _mac(link: str) -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("256s", link.encode())
        return fcntl.ioctl(any_socket, SIOCGIFHWADDR, request)[18:24].hex(":")


class _Lanes:
    """The host's lane, kept for the whole run, and the lane of the namespace that is worked in."""

    def __init__(self, means: Means) -> None:
        self._means = means
        self._open: dict[str, Lane] = {}

    def run(self, step: Step) -> Result:
        """Run one step in its lane, or alone."""
        line = batch_line(step)
        if line is None:
            return alone(step, self._means.run)
        lane = self.lane(step.netns)
        if lane.run([line], lambda: False):
            return Result(0, "", "")
        del self._open[step.netns]
        return close(lane)[0]

    def lane(self, netns: str) -> Lane:
        """Give the lane of a namespace; that of another namespace, if any, ends."""
        for other in [name for name in self._open if name not in ("", netns)]:
            self._open.pop(other).close()
        if netns not in self._open:
            self._open[netns] = open_lane(netns, self._means.start)
        return self._open[netns]

    def close(self) -> None:
        """End all lanes."""
        while self._open:
            self._open.popitem()[1].close()


def open_lane(netns: str, start: Start) -> Lane:
    """Start a lane in a namespace, by setns and posix_spawn, or in the host's, by start."""
    if not netns:
        return Lane(start)
    return namespace.in_network(str(NETNS / netns), lambda: Lane(spawn))


def close(lane: Lane) -> tuple[Result, int]:
    """Close a lane; give its result without ip's line number, and the number of lines taken."""
    result, taken = lane.close()
    return Result(result.exit_code, "", _TRAILER.sub("", result.stderr)), taken
