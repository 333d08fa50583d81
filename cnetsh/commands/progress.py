"""What a person sees while steps run: each before it begins, a bar for many, and the log."""

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TextIO

from cnetsh.apply.run import SHORT, Typed
from cnetsh.commands.output import say, show, width_of
from cnetsh.errors import CnetshError
from cnetsh.plan.steps import Step
from cnetsh.system.process import Result

WORTH_A_PACE = 0.5  # seconds, after which it is known how fast it goes


@dataclass(frozen=True, slots=True)
class Telling:
    """How much is told of a run: with verbose each step and its time, with quiet how it ended."""

    verbose: bool = False
    quiet: bool = False
    log: TextIO | None = None

    @classmethod
    def typed_here(cls, verbose: bool, quiet: bool, log: Path | None) -> "Telling":
        """Give what was typed on the command line of this process. Raises CnetshError."""
        if verbose and quiet:
            raise CnetshError("--verbose and --quiet contradict each other", "leave one out")
        return cls(verbose, quiet, opened_log(log))


def how_repaired(lab: str, where: Typed) -> str:
    """Say what puts a lab right that has drifted on a target."""
    return f"to put it right:\n  {where.command('repair', lab)}"


def tell_where_typed(where: Typed, tell: Callable[..., None] = say) -> None:
    """Say where commands that were told are typed, if not here; tell: as they were."""
    # Typed outside of its target, a line would change what has that name there.
    if where.shell.startswith("cnetsh "):
        tell(f"commands are typed so: {where.shell} 'COMMAND'", whole=True)


class Meter:
    """Shows on a terminal how far a long work is, in a line that is ended when the work is."""

    def __init__(self, total: int, verb: str = "") -> None:
        self._total, self._verb, self._count = total, verb, 0
        self._began, self._drawn, self._width = time.monotonic(), 0.0, 0

    def advance(self) -> None:
        self._count += 1
        # Ten times a second is enough for an eye.
        if time.monotonic() - self._drawn > 0.1 or self._count == self._total:
            self._drawn = time.monotonic()
            self._draw()
        if self._count == self._total:
            self.over()

    def over(self) -> None:
        """End the line, so that what is said next has one of its own."""
        if self._width:
            show("\n")
        self._width = 0

    def _draw(self) -> None:
        if not sys.stderr.isatty():
            return
        text = f"{self._count}/{self._total}{self._pace()}"
        # A terminal begins a new line behind its last column.
        cells = min(30, (width_of(sys.stderr) or 80) - len(self._verb) - len(text) - 4)
        filled = self._count * cells // self._total
        bar = f"[{'#' * filled}{'-' * (cells - filled)}] " if cells > 4 else ""
        line = f"{self._verb}{bar}{text}"
        show(f"\r{line:<{self._width}}")
        self._width = max(self._width, len(line))

    def _pace(self) -> str:
        """Say how many there are a second, and how long the rest will take at that."""
        seconds = time.monotonic() - self._began
        if seconds < WORTH_A_PACE:
            return ""
        pace = self._count / seconds
        rest = (self._total - self._count) / pace
        return f", {pace:,.0f}/s" + (f", {rest:.0f} s left" if rest else "")


class Echo:
    """Watches a run: echoes each step of a short plan, draws a bar for a long one, writes a log."""

    def __init__(self, how: Telling | None = None) -> None:
        self._how = how or Telling()
        self._log = self._how.log
        self._verb, self._total, self._bar = "", 0, Meter(0)

    def expect(self, total: int, verb: str = "") -> None:
        """Get ready for so many steps, each shown with verb before it."""
        self._bar.over()
        self._verb, self._total, self._bar = verb, total, Meter(total, verb)

    def begins(self, number: int, step: Step) -> None:
        """Echo the step before it runs."""
        if self._total > SHORT and not self._how.verbose:
            self._bar.advance()
        elif not self._how.quiet:
            say(f"{self._verb}[{number + 1}/{self._total}] {step.text}", whole=True)

    def ended(self, number: int, step: Step, result: Result, seconds: float | None) -> None:
        """Log the step's end, and tell its time with --verbose."""
        if result.exit_code:
            self._bar.over()
        if self._log:
            record = {
                "time": time.time(),
                "verb": self._verb.strip() or "run",
                "step": number + 1,
                "command": step.text,
                "argv": list(step.argv),
                "exit_code": result.exit_code,
                "stderr": result.stderr,
                # Not known of a step that ran inside a batch.
                "milliseconds": None if seconds is None else round(seconds * 1000, 3),
            }
            self._write(json.dumps(record) + "\n")
        if self._how.verbose and seconds is not None:
            say(f"{'':8}{seconds * 1000:.1f} ms")

    def over(self) -> None:
        """End the bar's line and the log."""
        self._bar.over()
        if self._log:
            # What could not be written is still in it.
            with contextlib.suppress(OSError):
                self._log.close()
            self._log = None

    def _write(self, line: str) -> None:
        log = self._log
        assert log
        try:
            log.write(line)
            # At once, for cnetsh may be killed.
            log.flush()
        except OSError as error:
            self.over()
            say(f"the log {log.name} cannot be written: {error.strerror}; it ends here")


def opened_log(path: Path | None) -> TextIO | None:
    """Open a log for appending, readable by its owner only. Raises CnetshError."""
    if path is None:
        return None
    try:
        only_mine = partial(os.open, mode=0o600)
        return open(path, "a", encoding="utf-8", errors="backslashreplace", opener=only_mine)
    except OSError as error:
        raise CnetshError(f"the log {path} cannot be written: {error.strerror}") from None
