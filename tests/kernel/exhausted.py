"""Runs labs on a machine that runs out of something; after each it says what the oracle sees.

A script for the inside of a private host: `python exhausted.py ACTION JSON`, one line of JSON for
each run.
"""

import os
import resource
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import oracle
from crash import down, in_child, means, quietly, recovered, tell, up

from cnetsh.apply import journal
from cnetsh.apply.lock import held
from cnetsh.apply.up import bring_up, reason
from cnetsh.commands.progress import Echo, Telling
from cnetsh.compare import snapshot
from cnetsh.labs import choose
from cnetsh.plan.steps import Step
from cnetsh.system.process import Result


def full(lab: str, settings: list[str], every: int) -> Iterator[dict[str, Any]]:
    """Brings a lab up where its journal may only grow to so many bytes: the last write is short."""
    quietly(lambda: up(lab, settings))
    whole = next(journal.folder().glob("*.journal")).read_bytes()
    quietly(lambda: down(lab))
    before = oracle.at_rest()
    for size in range(whole.index(b"\n") - 20, len(whole), every):
        code, said = in_child(lambda size=size: limited(resource.RLIMIT_FSIZE, size, lab, settings))
        left = oracle.diff(before, oracle.at_rest())
        yield {"run": size, "exit": code, "said": said, "left": left}


def limited(what: int, most: int, lab: str, settings: list[str]) -> int:
    resource.setrlimit(what, (most, resource.getrlimit(what)[1]))
    return up(lab, settings)


class Starving(Echo):
    """Has no descriptor left to open when one step begins; for good, or until it or any fails."""

    def __init__(self, step: int, for_good: bool) -> None:
        super().__init__(Telling(quiet=True))
        self._step, self._for_good = step, for_good
        self._limits = resource.getrlimit(resource.RLIMIT_NOFILE)

    def begins(self, number: int, step: Step) -> None:
        if number == self._step:
            used = {int(name) for name in os.listdir("/proc/self/fd")}  # noqa: PTH208
            free = next(number for number in range(1000) if number not in used)
            resource.setrlimit(resource.RLIMIT_NOFILE, (free, self._limits[1]))

    def ended(self, number: int, step: Step, result: Result, seconds: float | None) -> None:
        if (number == self._step or result.exit_code) and not self._for_good:
            resource.setrlimit(resource.RLIMIT_NOFILE, self._limits)


def starved(
    lab: str, settings: list[str], steps: list[int], for_good: bool
) -> Iterator[dict[str, Any]]:
    """Brings a lab up, without a descriptor for what a step needs, and recovers."""
    plans, before = choose.plans(lab, settings), oracle.at_rest()
    for step in steps:

        def run(step: int = step) -> int:
            with held(["exhausted"]) as lock:
                starving = replace(means(lock), watch=Starving(step, for_good))
                ended = bring_up(plans, snapshot.take(starving.ask), starving)
                print(reason(plans.up, ended.outcome))
                return 0 if ended.undone is None else 3 if ended.undone.left else 1

        code, said = in_child(run)
        if code == 0:
            quietly(lambda: down(lab))
        yield {"run": step, "exit": code, "said": said} | recovered(before)


ACTIONS = {"full": full, "starved": starved}

if __name__ == "__main__":
    tell(ACTIONS)
