"""The command `show`: what the kernel has in a target's namespaces, and what it means."""

import json
import sys
from collections.abc import Sequence
from functools import partial
from typing import TextIO

from cnetsh.apply import journal
from cnetsh.commands.entering import HOST, in_container
from cnetsh.commands.output import paint_of, width_of
from cnetsh.compare import kernel, snapshot
from cnetsh.compare.pairing import paired
from cnetsh.errors import DONE, CnetshError
from cnetsh.system.process import ask
from cnetsh.views import inside
from cnetsh.views.table import PIPED
from cnetsh.views.terminal import ansi, unpainted


def run(name: str, on: str, as_json: bool) -> int:
    """Show a container, a lab that is up, or all of a target; give the exit code."""
    width = width_of(sys.stdout) or PIPED
    coloured = paint_of(sys.stdout) is ansi
    action = partial(_show, name, as_json, width, coloured, sys.stdout)
    return in_container(name or HOST, on, action)


def _show(name: str, as_json: bool, width: int, coloured: bool, into: TextIO) -> int:
    names = _named(name)
    # The host's end tells the other end of most cables.
    state = paired({ref: found for netns in {"", *names}
                    for ref, found in snapshot.look_closely(netns, ask).items()})  # fmt: skip
    found = {netns or HOST: inside.tables(state, netns) for netns in names}
    if as_json:
        rows = {netns: {one.title: one.rows for one in some} for netns, some in found.items()}
        json.dump(rows, into, indent=1)
        into.write("\n")
    else:
        paint = ansi if coloured else unpainted
        texts = (inside.tables_as_text(netns, some, width, paint) for netns, some in found.items())
        into.write("\n".join("".join(f"{line}\n" for line in text) for text in texts))
    into.flush()
    return DONE


def _named(name: str) -> Sequence[str]:
    """Give the namespaces that a name stands for, "" the target's own. Raises CnetshError."""
    there = sorted(name for name, mark in kernel.namespaces().items() if mark)
    if not name:
        return ["", *there]
    if name in (HOST, *there):
        return ["" if name == HOST else name]
    record = journal.find(name)
    if record is None:
        known = ", ".join([HOST, *there])
        raise CnetshError(f"there is no container and no lab {name}", f"there are: {known}")
    record.close()
    return ["", *(one for one in record.homes.values() if one in there)]
