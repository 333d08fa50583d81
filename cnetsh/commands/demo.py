"""The command `demo`: every lab of the article, read, run, checked and undone."""

import os
import re
import select
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from cnetsh.commands import check, down, plan, up
from cnetsh.commands.output import say, show, tell
from cnetsh.errors import DONE
from cnetsh.labs import builtin
from cnetsh.system.signals import held_back
from cnetsh.targets.sandbox import SANDBOXES
from cnetsh.views.terminal import BOLD


def run() -> int:
    """Show the whole way of each lab in a fresh sandbox; give the first exit code that is not 0."""
    _stop_abandoned()
    name = f"demo-{os.getpid()}"
    try:
        for number, lab in enumerate(builtin.LABS):
            code = (_paused() if number else DONE) or _shown(lab, f"sandbox:{name}")
            if code != DONE:
                return code
    finally:
        if box := SANDBOXES.running_as(name):
            SANDBOXES.stop(box)
    say("the demo worked")
    return DONE


def _shown(lab: str, on: str) -> int:
    """Show the whole way of a lab; give the first exit code that is not 0."""
    for words, command in _commands(lab, on):
        tell(f"$ cnetsh {words}", BOLD)
        sys.stdout.flush()
        code = command()
        # What a `down` goes on in spite of ends the demo after it.
        code = 128 + held_back() if held_back() else code
        if code != DONE:
            say(f"the demo ended at: cnetsh {words}")
            return code
    return DONE


def _paused() -> int:
    """Wait for Enter on a terminal; give 0, or the exit code of the signal that ends it."""
    if sys.stdin.isatty() and sys.stdout.isatty():
        show("Enter goes on, Ctrl-C ends it ")
        # What comes after a run in a sandbox is held back.
        while not held_back():
            if select.select([sys.stdin], [], [], 0.1)[0]:
                os.read(sys.stdin.fileno(), 1024)
                return DONE
        show("\n")
        return 128 + held_back()
    return DONE


def _commands(lab: str, on: str) -> Iterator[tuple[str, Callable[[], int]]]:
    # No partial: of one mypy does not see that an argument is missing.
    yield (
        f"plan --format brief {lab}",
        lambda: plan.run(lab, (), False, "brief", None, sudo=True, on="", verbose=False),
    )
    yield f"up -q {lab}", lambda: up.run(lab, (), on, quiet=True)
    yield f"check -q {lab}", lambda: check.run(lab, (), on, False, True, as_json=False)
    yield f"down -q {lab}", lambda: down.run(lab, on, quiet=True)


def _stop_abandoned() -> None:
    """End the sandboxes of demos that were killed."""
    for box in SANDBOXES.running():
        found = re.fullmatch(r"demo-(\d+)", box.name)
        if found and not Path("/proc", found[1]).exists():
            SANDBOXES.stop(box)
