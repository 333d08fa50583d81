"""The command `labs`: the built-in labs, what they teach, and their parameters."""

import json
import shlex
from pathlib import Path
from typing import Any

from cnetsh.commands.output import tell
from cnetsh.errors import CnetshError
from cnetsh.labs import builtin, choose
from cnetsh.labs.builtin import LabSheet, Parameter
from cnetsh.names import visible
from cnetsh.views.terminal import BOLD


def run(lab: str, as_json: bool) -> None:
    """List the built-in labs, or explain the parameters of one."""
    names = [lab] if lab else builtin.LABS
    sheets = {name: builtin.read_sheet(_folder(name)) for name in names}
    if as_json:
        print(json.dumps([_row(name, sheet) for name, sheet in sheets.items()], indent=1))
        return
    for name, sheet in sheets.items():
        tell(f"{name:<11}{sheet.title}", BOLD)
        tell(f"{'':11}{sheet.teaches.strip()}" if sheet.teaches else "")
    if not lab:
        tell("cnetsh labs LAB explains its parameters")
        return
    to_be_set = sheets[lab].to_be_set
    for one in sheets[lab].parameters.values():
        _explain(one, one.name in to_be_set)
    texts = {one.name: one.default or "..." for one in sheets[lab].parameters.values()
             if one.default or one.name in to_be_set}  # fmt: skip
    given = [f"--set {shlex.quote(f'{name}={text}')}" for name, text in texts.items()]
    tell("")
    tell(" ".join(["cnetsh plan", shlex.quote(lab), *given]), whole=True)


def _folder(name: str) -> Path:
    """Give a lab's folder. Raises CnetshError for a name that none has."""
    if name in (*builtin.LABS, builtin.SANDBOX):
        return builtin.shipped("templates") / name
    if name.endswith(choose.FILES) and Path(name).is_file():
        said = "has no parameters, as built-in labs and folders with templates have"
        raise CnetshError(f"{visible(name)} {said}", f"cnetsh plan {shlex.quote(name)}")
    if not builtin.is_lab(name):
        raise choose.unknown(name)
    return Path(name)


def _explain(one: Parameter, to_be_set: bool) -> None:
    """Tell what a parameter is, and what may be set, or has to be."""
    low, high = one.range or (0, 0)
    kind = f"{one.kind} from {low:,} to {high:,}" if one.range else one.kind
    tell(f"  {one.name:<13}  {one.help}".rstrip())
    without = "; to be set" if to_be_set else ""
    without = without if one.default is None else f"; {one.default} when left out"
    tell(f"{'':17}{kind}{without}")
    if one.limit:
        tell(f"{'':17}{one.limit}")


def _row(name: str, sheet: LabSheet) -> dict[str, Any]:
    parameters = {one.name: one.default for one in sheet.parameters.values()}
    return {"lab": name, "title": sheet.title, "teaches": sheet.teaches, "parameters": parameters}
