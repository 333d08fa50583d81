"""What the commands that run nothing print."""

import json
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from cnetsh.labs import choose
from cnetsh.plan.steps import Plan, Plans
from cnetsh.plan.undo import Undo, undos
from cnetsh.views import text

PIPED = 120  # columns, where no terminal says how many it has


def labs(as_json: bool) -> str:
    """Give the built-in labs with their titles and parameters."""
    from cnetsh.labs import builtin

    sheets = {
        name: builtin.read(builtin.templates_folder() / name) for name in builtin.builtin_names()
    }
    if as_json:
        rows = [
            {
                "lab": name,
                "title": sheet.title,
                "teaches": sheet.teaches,
                "parameters": {one.name: one.default for one in sheet.parameters.values()},
            }
            for name, sheet in sheets.items()
        ]
        return json.dumps(rows, indent=1) + "\n"
    lines = []
    for name, sheet in sheets.items():
        lines += [f"{name:<11}{sheet.title}", f"{'':11}{sheet.teaches.strip()}"]
        given = " ".join(
            f"{one.name}={one.default}" for one in sheet.parameters.values() if one.default
        )
        lines.append(f"{'':11}--set {given}\n")
    return "\n".join(lines)


def plan(lab: str, settings: Sequence[str], down: bool, form: str, sudo: bool) -> str:
    """Give a plan in one of its forms."""
    if form == "saved":
        return form_of(choose.plans(lab, settings), down, form)
    chosen = choose.part(lab, settings, "down" if down else "up")
    return text.shell(chosen, sudo) if form == "shell" else _one_form(chosen, form)


def form_of(
    plans: Plans,
    down: bool,
    form: str,
    seen: Sequence[str] = (),
    relied_on: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """Give plans as text: seen marks the steps, relied_on goes into a plan that is saved."""
    if form == "saved":
        from cnetsh.plan import saved

        return saved.to_json(plans, relied_on)
    return _one_form(plans.down if down else plans.up, form, seen)


def _one_form(chosen: Plan, form: str, seen: Sequence[str] = ()) -> str:
    known = undos(chosen.steps)
    if form == "json":
        return text.as_json(chosen, known, seen)
    if form == "markdown":
        return text.markdown(chosen, known)
    return _table(chosen, known, seen)


def _table(chosen: Plan, known: Sequence[Undo], seen: Sequence[str]) -> str:
    from cnetsh.views.table import ansi, plain, table

    terminal = sys.stdout.isatty()
    width = shutil.get_terminal_size().columns if terminal else PIPED
    paint = ansi if terminal and not os.environ.get("NO_COLOR") else plain
    return "".join(f"{line}\n" for line in table(chosen, known, width, paint, seen))


def script(lab: str, settings: Sequence[str], sudo: bool) -> str:
    """Give a lab as a stand-alone shell script."""
    from cnetsh.views import script as writing

    plans = choose.plans(lab, settings)
    return writing.script(plans.up, plans.down, plans.check, sudo, teaches=plans.teaches)


def graph(lab: str, settings: Sequence[str], form: str) -> str:
    """Give a lab's picture."""
    from cnetsh.kinds.change import after
    from cnetsh.views.picture.draw import draw
    from cnetsh.views.picture.network import graph_of

    plan = choose.part(lab, settings, "up")
    return draw(graph_of(plan.title or plan.lab, after(plan.changes)), form)


def schema() -> str:
    """Give the JSON Schema of lab files."""
    from cnetsh.labs import schema as rules

    return json.dumps(rules.load(), indent=2) + "\n"


def starter(name: str) -> str:
    """Give a commented lab file to start from."""
    from cnetsh.labs import file

    return file.starter(name)
