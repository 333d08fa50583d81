"""The command `graph`: the picture of a lab's plan, or of what the kernel has."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TextIO

from cnetsh.commands.output import collected, deliver, kept
from cnetsh.errors import DONE
from cnetsh.kinds.change import after
from cnetsh.labs import choose
from cnetsh.views.picture.draw import draw
from cnetsh.views.picture.network import graph_of


def run(
    lab: str, settings: Sequence[str], form: str, live: bool, on: str, output: Path | None
) -> int:
    """Draw a lab, or with `live` the kernel of a target; give the exit code."""
    if live:
        return _live(form, on, output)
    plan = choose.part(lab, settings, "up")
    deliver(draw(graph_of(plan.title or plan.lab, after(plan.changes)), form), output)
    return DONE


def _live(form: str, on: str, output: Path | None) -> int:
    # Only this needs a target, which takes as long to load as a plan takes to draw.
    from cnetsh.commands.entering import if_running

    into = collected(output)
    return kept(into, output, if_running(on, partial(_show, form, into)))


def _show(form: str, into: TextIO) -> int:
    from cnetsh.compare.snapshot import look_everywhere
    from cnetsh.system.process import ask

    into.write(draw(graph_of("", look_everywhere(ask)), form))
    into.flush()
    return DONE
