"""What commands share that show a plan, or what would be done: the form of it."""

import sys
from pathlib import Path

from cnetsh.commands.output import paint_of, width_of
from cnetsh.plan.lines import counted
from cnetsh.views.table import table
from cnetsh.views.terminal import fitted, printable
from cnetsh.views.text import Sheet, as_markdown, as_shell

BY_NAME = {".json": "json", ".md": "markdown", ".sh": "shell"}


def form_of(form: str, output: Path | None) -> str:
    """Give the form: that of the file's name when only a file is named; rich was once a table."""
    form = "table" if form == "rich" else form
    return BY_NAME.get(output.suffix, "shell") if output and form == "table" else form


def shown(sheet: Sheet, form: str, sudo: bool = True) -> str:
    """Give a sheet as text in a form for people."""
    if form == "shell":
        return as_shell((line.step.text for line in sheet.lines), sudo)
    if form == "brief":
        line = f"{printable(sheet.title)} ({sheet.part}): {sheet.over or counted(sheet.lines)}"
        return "".join([f"{piece}\n" for piece in fitted(line, width_of(sys.stdout))])
    if form == "markdown":
        return as_markdown(sheet)
    lines = table(sheet, width_of(sys.stdout), paint_of(sys.stdout))
    return "".join([f"{line}\n" for line in lines])
