"""The command `graph`: the picture of a lab's plan, or of what the kernel has."""

import shutil
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TextIO

from cnetsh.commands.naming import resolved
from cnetsh.commands.output import collected, deliver, kept, unicode_fits
from cnetsh.errors import DONE, CnetshError
from cnetsh.kinds.change import Ref, State, after
from cnetsh.labs import builtin, choose
from cnetsh.views.picture.draw import PAGE, draw
from cnetsh.views.picture.network import DrawnNetwork, drawn_network

# What the end of a file's name says of the form.
_ENDINGS = {".svg": "svg", ".mmd": "mermaid", ".mermaid": "mermaid", ".dot": "dot", ".gv": "dot"}


def run(
    lab: str,
    settings: Sequence[str],
    form: str | None,
    live: bool,
    on: str,
    output: Path | None,
    width: int | None,
) -> int:
    """Draw a lab, or with `live` what a target has; give the exit code."""
    form = form or _form(output)
    width = width or (PAGE if form == "svg" else shutil.get_terminal_size().columns)
    drawn = partial(draw, form=form, width=width)
    if not (lab or live):
        raise CnetshError("no lab is named", "name one, or --live draws all that is there")
    plan = None
    if lab:
        with resolved(lab, on) as name:
            plan = choose.part(name, settings, "up")
    if live:
        # Only this needs a target, which takes as long to load as a plan takes to draw.
        from cnetsh.commands.entering import HOST, in_container

        wanted, into = after(plan.changes) if plan else None, collected(output)
        show = partial(_show, wanted, f"{lab or on}, as it is now", drawn, into)
        return kept(into, output, in_container(HOST, on, show))
    assert plan
    sandbox = on.partition(":")[0] == builtin.SANDBOX
    # A sandbox is made by a plan too; of another target nobody has looked at the links.
    start = choose.part(builtin.SANDBOX, (), "up").changes if sandbox else ()
    network = drawn_network(plan.title or plan.lab, after([*start, *plan.changes]), sandbox)
    deliver(drawn(network), output)
    return DONE


def _form(output: Path | None) -> str:
    if output and output.suffix.lower() in (".png", ".jpg", ".jpeg", ".gif", ".pdf", ".webp"):
        raise CnetshError(f"{output}: pictures are not written so", f"known: {', '.join(_ENDINGS)}")
    if output:
        return _ENDINGS.get(output.suffix.lower(), "unicode")
    return "unicode" if unicode_fits(sys.stdout) else "ascii"


def _show(
    wanted: State | None, title: str, drawn: Callable[[DrawnNetwork], str], into: TextIO
) -> int:
    from cnetsh.compare.snapshot import look_everywhere
    from cnetsh.system.process import ask

    homes = {ref.netns or ref.name for ref in wanted or () if ref.netns or ref.kind == "netns"}
    state = look_everywhere(ask, [ref for ref in wanted or () if ref.kind == "setting"], homes)
    into.write(drawn(drawn_network(title, _of_lab(state, wanted) if wanted else state)))
    into.flush()
    return DONE


def _of_lab(state: State, wanted: State) -> State:
    """Give a state with those of the target's own links that are a lab's, or lead out."""
    names = {ref.name for ref in wanted if ref.kind == "link" and not ref.netns}
    names |= {facts.get("master", "") for several in wanted.values() for facts in several}
    names |= {facts.get("dev", "") for facts in state.get(Ref("route", "", "default"), ())}
    found = State()
    for ref, several in state.items():
        links = [ref.name] if ref.kind == "link" else [facts.get("dev") for facts in several]
        mine = [facts for facts, link in zip(several, links, strict=True)
                if ref.netns or not link or link in names]  # fmt: skip
        if mine:
            found[ref] = mine
    return found
