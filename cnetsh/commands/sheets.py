"""What commands share that show a plan, or what would be done: the form of it."""

import os
import shutil
import sys
from pathlib import Path

from cnetsh.views.table import ansi, plain, table
from cnetsh.views.text import Sheet, as_markdown, as_shell

BY_NAME = {".json": "json", ".md": "markdown", ".sh": "shell"}
PIPED = 120  # columns, where nobody says how many there are


def form_of(form: str, output: Path | None) -> str:
    """Give the form: that of the file's name when only a file is named."""
    if output and form in ("table", "rich"):
        return BY_NAME.get(output.suffix, "shell")
    return form


def shown(sheet: Sheet, form: str, sudo: bool = True) -> str:
    """Give a sheet as text in a form for people."""
    if form == "shell":
        return as_shell((line.step for line in sheet.lines), sudo)
    return as_markdown(sheet) if form == "markdown" else _as_table(sheet)


def _as_table(sheet: Sheet) -> str:
    # The terminal's own, or what COLUMNS says, piped or not.
    width = shutil.get_terminal_size((PIPED, 0)).columns
    paint = ansi if sys.stdout.isatty() and not os.environ.get("NO_COLOR") else plain
    return "".join(f"{line}\n" for line in table(sheet, width, paint))
