"""What a person sees while steps run: each before it begins, a bar for many, and the log."""

import contextlib
import json
import os
import sys
import time
from functools import partial
from pathlib import Path
from typing import TextIO

from cnetsh.apply.run import SHORT
from cnetsh.commands.output import say, show
from cnetsh.errors import CnetshError
from cnetsh.plan.steps import Step
from cnetsh.system.process import Result


class Echo:
    """Watches a run: echoes each step of a short plan, draws a bar for a long one, writes a log."""

    def __init__(self, verbose: bool = False, log: TextIO | None = None) -> None:
        self._verbose, self._log = verbose, log
        self._verb, self._total, self._count, self._drawn = "", 0, 0, 0.0

    def expect(self, total: int, verb: str = "") -> None:
        """Get ready for so many steps, each shown with verb before it."""
        self._bar_over()
        self._verb, self._total, self._count = verb, total, 0

    def begins(self, number: int, step: Step) -> None:
        """Echo the step before it runs."""
        self._count += 1
        if self._total <= SHORT or self._verbose:
            say(f"{self._verb}[{number + 1}/{self._total}] {step.text}")
        # Ten times a second is enough for an eye.
        elif time.monotonic() - self._drawn > 0.1 or self._count == self._total:
            self._drawn = time.monotonic()
            self._bar()

    def ended(self, number: int, step: Step, result: Result, seconds: float | None) -> None:
        """Log the step's end, and tell its time with --verbose."""
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
        if self._verbose and seconds is not None:
            say(f"{'':8}{seconds * 1000:.1f} ms")

    def over(self) -> None:
        """End the bar's line and the log."""
        self._bar_over()
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

    def _bar(self) -> None:
        if sys.stderr.isatty():
            filled = self._count * 30 // max(self._total, 1)
            bar = "#" * filled + "-" * (30 - filled)
            show(f"\r{self._verb}[{bar}] {self._count}/{self._total}")

    def _bar_over(self) -> None:
        if self._drawn and sys.stderr.isatty():
            show("\n")
        self._drawn = 0.0


class Quiet:
    """Watches a run and says nothing."""

    def expect(self, total: int, verb: str = "") -> None: ...
    def begins(self, number: int, step: Step) -> None: ...
    def ended(self, number: int, step: Step, result: Result, seconds: float | None) -> None: ...


def opened_log(path: Path | None) -> TextIO | None:
    """Open a log for appending, readable by its owner only. Raises CnetshError."""
    if path is None:
        return None
    try:
        only_mine = partial(os.open, mode=0o600)
        return open(path, "a", encoding="utf-8", errors="backslashreplace", opener=only_mine)
    except OSError as error:
        raise CnetshError(f"the log {path} cannot be written: {error.strerror}") from None
