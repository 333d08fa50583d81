"""Whatever goes wrong while steps run is a failed step, and never comes out of the run."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from samples import plan

from cnetsh.apply.run import SHORT, Means, Outcome, one_by_one
from cnetsh.apply.units import run_steps, side_by_side
from cnetsh.commands.progress import Echo, Telling
from cnetsh.plan.steps import Step
from cnetsh.system.process import Child, Result, never, spawn
from cnetsh.targets.target import named

ERRORS = [
    ValueError("not enough values to unpack (expected 2, got 1)"),
    RuntimeError("can't start new thread"),
    OSError(5, "Input/output error"),
    MemoryError("no room"),
    KeyError("key"),
]
# Lone commands of the target, lone ones of a namespace, which a worker runs, and lines of a batch.
# None of them does anything to the machine where it should run for real.
LONE = "echo 1 | tee /proc/sys/net/ipv4/conf/no-such-link/forwarding"
INSIDE = "ip netns exec n{} iptables -A INPUT -j ACCEPT"
LINE = "ip link set dev lo up"
OK = Result(0, "", "")
LENGTHS = [3, SHORT + 3]


def steps_of(line: str, number: int) -> Sequence[Step]:
    text = "\n".join(line.format(at % 7) for at in range(number))
    return plan(text).steps


def fine(argv: Sequence[str], stdin: str = "", timeout: float = 60.0) -> Result:
    return OK


def raising(error: Exception, at: int = 0, otherwise: Any = None) -> Callable[..., Any]:
    """Works until it has been called so many times."""
    calls = [0]

    def fails(*_: Any, **__: Any) -> Any:
        calls[0] += 1
        if calls[0] > at:
            raise error
        return otherwise

    return fails


class Notes:
    """Keeps what is written down, as a journal does; fails where record has such a key."""

    def __init__(self, key: str = "", error: Exception | None = None) -> None:
        self.key, self.error = key, error
        self.started, self.ended, self.over = set[int](), set[int](), set[int]()

    def __call__(self, **record: Any) -> None:
        if self.error and self.key in record:
            raise self.error
        self.started.update(record.get("start", ()))
        self.ended.update(record.get("end", ()))
        self.over.update(record.get("over", ()))

    @property
    def uncertain(self) -> set[int]:
        return self.started - self.ended - self.over


def cat(argv: Sequence[str], streams: Sequence[int]) -> Child:
    """Takes the lines of a batch and does nothing with them."""
    return spawn(("/bin/cat",), streams)


def means(**given: Any) -> Means:
    usual = {"run": fine, "start": cat, "watch": Echo(Telling(quiet=True)), "stopping": never}
    return Means(**usual | {"where": named("host")} | given)


def failed(outcome: Outcome, error: Exception) -> bool:
    """Whether it ended with that error, in one line."""
    said = outcome.result.stderr if outcome.result else ""
    return not outcome.well and (getattr(error, "strerror", "") or str(error)) in said


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
class TestAnErrorOfAnyKind:
    @pytest.mark.parametrize("number", LENGTHS)
    @pytest.mark.parametrize("line", [LONE, INSIDE])
    @pytest.mark.parametrize("at", [0, 2])
    def test_of_a_command(self, error: Exception, number: int, line: str, at: int) -> None:
        notes = Notes()
        outcome = run_steps(steps_of(line, number), notes, means(run=raising(error, at, OK)))
        assert failed(outcome, error) and outcome.failed in notes.uncertain

    @pytest.mark.parametrize("number", LENGTHS)
    def test_of_a_batch_that_cannot_be_started(self, error: Exception, number: int) -> None:
        notes = Notes()
        outcome = run_steps(steps_of(LINE, number), notes, means(start=raising(error)))
        assert failed(outcome, error) and outcome.failed == 0 and 0 in notes.uncertain

    @pytest.mark.parametrize("number", LENGTHS)
    def test_of_a_batch_that_has_begun_leaves_all_of_it_uncertain(
        self, error: Exception, number: int
    ) -> None:
        class Lost:
            def __init__(self, argv: Sequence[str], streams: Sequence[int]) -> None:
                # It takes three lines and ends, and nobody can tell how.
                script = "read -r a; read -r a; read -r a; exit 1"
                self._child = spawn(("/bin/bash", "-c", script), streams)
                self.pid = self._child.pid

            def wait(self) -> int:
                self._child.wait()
                raise error

        notes = Notes()
        outcome = run_steps(steps_of(LINE, number), notes, means(start=Lost))
        assert failed(outcome, error) and notes.started == notes.uncertain | notes.ended
        assert {0, 1, 2} <= notes.started

    @pytest.mark.parametrize("number", LENGTHS)
    @pytest.mark.parametrize("line", [LONE, INSIDE, LINE])
    @pytest.mark.parametrize("key", ["start", "end"])
    def test_of_the_note(self, error: Exception, number: int, line: str, key: str) -> None:
        outcome = run_steps(steps_of(line, number), Notes(key, error), means())
        assert failed(outcome, error) and (outcome.failed == 0) == (key == "start")

    @pytest.mark.parametrize("number", LENGTHS)
    @pytest.mark.parametrize("line", [LONE, INSIDE])
    def test_of_what_asks_for_signals(self, error: Exception, number: int, line: str) -> None:
        asking = means(stopping=raising(error, 2, 0))
        assert failed(run_steps(steps_of(line, number), Notes(), asking), error)

    @pytest.mark.parametrize("run", [one_by_one, side_by_side])
    @pytest.mark.parametrize("line", [LONE, INSIDE, LINE])
    def test_of_who_watches_does_not_matter(
        self, error: Exception, run: Callable[..., Outcome], line: str
    ) -> None:
        class Absent(Echo):
            expect = begins = ended = raising(error)

        notes = Notes()
        assert run(steps_of(line, 20), notes, means(watch=Absent())).well
        assert notes.ended == set(range(20))
