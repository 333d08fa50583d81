"""The command `demo`: every lab of the article, read, run, checked and undone."""

import os
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from cnetsh.commands import check, down, plan, up
from cnetsh.commands.output import say
from cnetsh.errors import DONE
from cnetsh.labs import builtin
from cnetsh.system.signals import held_back
from cnetsh.targets import sandbox


def run() -> int:
    """Show the whole way of each lab in a fresh sandbox; give the first exit code that is not 0."""
    _stop_abandoned()
    name = f"demo-{os.getpid()}"
    try:
        for words, command in _commands(f"sandbox:{name}"):
            print(f"\n$ cnetsh {words}", flush=True)
            code = command()
            # What a `down` goes on in spite of ends the demo after it.
            code = 128 + held_back() if held_back() else code
            if code != DONE:
                say(f"the demo ended at: cnetsh {words}")
                return code
    finally:
        if box := sandbox.running_as(name):
            sandbox.stop(box)
    say("the demo worked")
    return DONE


def _commands(on: str) -> Iterator[tuple[str, Callable[[], int]]]:
    for lab in builtin.builtin_names():
        shown = partial(plan.run, down=False, form="rich", output=None, sudo=True, on="")
        yield f"plan {lab}", partial(shown, lab, ())
        yield f"up {lab}", partial(up.run, lab, (), on)
        yield f"check {lab}", partial(check.run, lab, (), on, as_json=False)
        yield f"down {lab}", partial(down.run, lab, on)


def _stop_abandoned() -> None:
    """End the sandboxes of demos that were killed."""
    for box in sandbox.running():
        found = re.fullmatch(r"demo-(\d+)", box.name)
        if found and not Path("/proc", found[1]).exists():
            sandbox.stop(box)
