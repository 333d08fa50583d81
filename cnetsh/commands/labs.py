"""The command `labs`: the built-in labs, what they teach, and their parameters."""

import json
import shlex
from typing import Any

from cnetsh.labs import builtin
from cnetsh.labs.builtin import Sheet


def run(as_json: bool) -> None:
    """List the built-in labs."""
    folder = builtin.templates_folder()
    sheets = {name: builtin.read_sheet(folder / name) for name in builtin.builtin_names()}
    if as_json:
        print(json.dumps([_row(name, sheet) for name, sheet in sheets.items()], indent=1))
    else:
        print("\n\n".join(_text(name, sheet) for name, sheet in sheets.items()))


def _row(name: str, sheet: Sheet) -> dict[str, Any]:
    parameters = {one.name: one.default for one in sheet.parameters.values()}
    return {"lab": name, "title": sheet.title, "teaches": sheet.teaches, "parameters": parameters}


def _text(name: str, sheet: Sheet) -> str:
    rows = [one for one in sheet.parameters.values() if one.default]
    given = " ".join(f"--set {shlex.quote(f'{one.name}={one.default}')}" for one in rows)
    lines = (sheet.title, sheet.teaches.strip(), f"cnetsh plan {name} {given}")
    return f"{name:<11}" + f"\n{'':11}".join(lines)
