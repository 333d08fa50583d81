"""The command `graph`: the picture of a lab's plan, or of what the kernel has."""

import os
import shutil
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TextIO

from cnetsh.commands.naming import known
from cnetsh.commands.output import collected, deliver, kept
from cnetsh.errors import DONE, CnetshError
from cnetsh.kinds.change import Ref, State, after
from cnetsh.labs import builtin, choose
from cnetsh.views.picture.draw import PAGE, draw
from cnetsh.views.picture.network import Network, network_of

# What the end of a file's name says of the form.
ENDINGS = {".svg": "svg", ".mmd": "mermaid", ".mermaid": "mermaid", ".dot": "dot", ".gv": "dot"}


def run(
    lab: str,
    settings: Sequence[str],
    form: str | None,
    live: bool,
    on: str,
    output: Path | None,
    width: int | None,
) -> int:
    """Draw a lab, or with `live` the kernel of a target; give the exit code.

    form: None is what the file's name says, else text; width: None is the terminal's.
    """
    form = form or _form(output)
    width = width or (PAGE if form == "svg" else shutil.get_terminal_size().columns)
    drawn = partial(draw, form=form, width=width)
    if live:
        return _live(lab, settings, drawn, on, output)
    if not lab:
        raise CnetshError("no lab is named", "cnetsh graph LAB, or cnetsh graph --live")
    with known(lab, on) as name:
        plan = choose.part(name, settings, "up")
    sandbox = on.partition(":")[0] == builtin.SANDBOX
    # A sandbox is made by a plan too; of another target nobody has looked at the links.
    start = choose.part(builtin.SANDBOX, (), "up").changes if sandbox else ()
    network = network_of(plan.title or plan.lab, after([*start, *plan.changes]), sandbox)
    deliver(drawn(network), output)
    return DONE


def _form(output: Path | None) -> str:
    if output:
        return ENDINGS.get(output.suffix.lower(), "unicode")
    said = os.environ.get("LC_ALL") or os.environ.get("LANG", "")
    plain = said in ("C", "POSIX") or "utf" not in (sys.stdout.encoding or "").lower()
    return "ascii" if plain else "unicode"


def _live(
    lab: str,
    settings: Sequence[str],
    drawn: Callable[[Network], str],
    on: str,
    output: Path | None,
) -> int:
    # Only this needs a target, which takes as long to load as a plan takes to draw.
    from cnetsh.commands.entering import if_running

    # The lab's file may be out of sight in the target.
    name, wanted = "", State()
    if lab:
        name = choose.name_of(lab, settings)
        if choose.is_file(lab) or name in builtin.builtin_names():
            wanted = after(choose.part(lab, settings, "up").changes)
    into = collected(output)
    show = partial(_show, name, wanted, drawn, f"{lab or on}, as it is now", into)
    return kept(into, output, if_running(on, show))


def _show(
    name: str, wanted: State, drawn: Callable[[Network], str], title: str, into: TextIO
) -> int:
    from cnetsh.compare.snapshot import look_everywhere
    from cnetsh.system.process import ask

    wanted = _up(name, wanted) if name else wanted
    homes = {ref.netns or ref.name for ref in wanted if ref.netns or ref.kind == "netns"}
    state = look_everywhere(ask, [ref for ref in wanted if ref.kind == "setting"], homes)
    into.write(drawn(network_of(title, _of_lab(state, wanted) if name else state)))
    into.flush()
    return DONE


def _up(name: str, planned: State) -> State:
    """Give what a lab has made where it is up, else what its plan makes. Raises CnetshError."""
    from cnetsh.apply import journal

    record = journal.find(name)
    if record is None and not planned:
        raise CnetshError(f"{name} is not up", "cnetsh status lists what is")
    if record is None:
        return planned
    record.close()
    return after(journal.plan_of(record, "up").changes)


def _of_lab(state: State, wanted: State) -> State:
    """Give a state with those of the target's own links that are a lab's, or lead out."""
    names = {ref.name for ref in wanted if ref.kind == "link" and not ref.netns}
    names |= {facts.get("dev", "") for facts in state.get(Ref("route", "", "default"), ())}
    found = State()
    for ref, several in state.items():
        links = [ref.name] if ref.kind == "link" else [facts.get("dev") for facts in several]
        mine = [facts for facts, link in zip(several, links, strict=True)
                if ref.netns or not link or link in names]  # fmt: skip
        if mine:
            found[ref] = mine
    return found
