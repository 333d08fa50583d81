"""The command `plan`: a lab's steps as a table, commands, JSON, markdown, or to be saved."""

import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TextIO

from cnetsh.commands.naming import known
from cnetsh.commands.output import collected, deliver, kept
from cnetsh.errors import DONE
from cnetsh.labs import choose
from cnetsh.plan.steps import Plan, Plans
from cnetsh.plan.undo import undos
from cnetsh.views import text
from cnetsh.views.table import ansi, plain, table

BY_NAME = {".json": "saved", ".md": "markdown", ".sh": "shell"}
PIPED = 120  # columns, where no terminal says how many it has


def run(
    lab: str,
    settings: Sequence[str],
    down: bool,
    form: str,
    output: Path | None,
    sudo: bool,
    on: str,
) -> int:
    """Show a plan, with `on` also what each step would find there; give the exit code."""
    with known(lab, on) as name:
        return _run(name, settings, down, _form(form, output), output, sudo, on)


def _run(
    lab: str,
    settings: Sequence[str],
    down: bool,
    form: str,
    output: Path | None,
    sudo: bool,
    on: str,
) -> int:
    if on and form not in ("shell", "markdown"):
        return _on_target(choose.plans(lab, settings), down, form, output, on)
    if form == "saved":
        deliver(_saved(choose.plans(lab, settings)), output)
        return DONE
    if form == "rich" and not down:
        return _foretold(choose.plans(lab, settings), output)
    # The other parts need not be rendered for it.
    plan = choose.part(lab, settings, "down" if down else "up")
    deliver(text.as_shell(plan, sudo) if form == "shell" else _shown(plan, form), output)
    return DONE


def _foretold(plans: Plans, output: Path | None) -> int:
    """Show a plan, and what of its checks will surprise in a sandbox."""
    # The other formats go without it, which takes a while to load.
    from cnetsh.commands.predicting import foretell_in_sandbox

    deliver(_shown(plans.up, "rich"), output)
    foretell_in_sandbox(plans)
    return DONE


def _form(form: str, output: Path | None) -> str:
    """Give the format: that of the file's name when only a file is named."""
    if output and form == "rich":
        return BY_NAME.get(output.suffix, "shell")
    return "saved" if output and form == "json" and output.suffix == ".json" else form


def _on_target(plans: Plans, down: bool, form: str, output: Path | None, on: str) -> int:
    """Show a plan as above; where no sandbox runs, there is nothing to find."""
    # Only here is a target looked at: without all this a plan is there in half the time.
    from cnetsh.commands.entering import entered
    from cnetsh.targets import target

    show = partial(_show, plans, down, form, into := collected(output))
    tells = form == "rich" and not down
    looks = _compared_and_foretold if tells else _compared
    alone = _alone_and_foretold if tells else _alone
    where = target.named(on)
    code = entered(where, partial(looks, plans, down, show), partial(alone, plans, show))
    return kept(into, output, code)


def _alone(plans: Plans, show: Callable[..., int]) -> int:
    return show((), {})


def _alone_and_foretold(plans: Plans, show: Callable[..., int]) -> int:
    from cnetsh.commands.predicting import foretell_in_sandbox

    code = show((), {})
    foretell_in_sandbox(plans)
    return code


def _compared_and_foretold(plans: Plans, down: bool, show: Callable[..., int]) -> int:
    """Do as below, and tell what of a lab's checks will surprise."""
    from cnetsh.apply import journal
    from cnetsh.commands.predicting import foretell_here

    code = _compared(plans, down, show)
    if journal.find(plans.up.lab) is None:
        foretell_here(plans)
    return code


def _compared(plans: Plans, down: bool, show: Callable[..., int]) -> int:
    """Show a plan with what its steps find here, where this is called."""
    from cnetsh.apply import journal
    from cnetsh.compare import snapshot
    from cnetsh.compare.preview import preview, relied_on
    from cnetsh.compare.scope import written
    from cnetsh.system.process import ask

    steps = plans.up.steps
    now, record = snapshot.take(ask, written(steps)), journal.find(plans.up.lab)
    record = record if record and record.same_boot else None
    found = preview(steps, now, record.made if record else {})
    seen = () if down else [one.verdict for one in found]
    return show(seen, relied_on(plans.up.lab, found, now, journal.standing(record)))


def _show(
    plans: Plans,
    down: bool,
    form: str,
    into: TextIO,
    seen: Sequence[str],
    known: Mapping[str, str],
) -> int:
    plan = plans.down if down else plans.up
    into.write(_saved(plans, known) if form == "saved" else _shown(plan, form, seen))
    into.flush()
    return DONE


def _saved(plans: Plans, relied_on: Mapping[str, str] = MappingProxyType({})) -> str:
    # A plan that is only shown goes without it.
    from cnetsh.plan import saved

    return saved.as_saved(plans, relied_on)


def _shown(plan: Plan, form: str, seen: Sequence[str] = ()) -> str:
    """Give a plan as text; seen marks its steps."""
    known = undos(plan.steps)
    if form == "json":
        return text.as_json(plan, known, seen)
    if form == "markdown":
        return text.as_markdown(plan, known)
    terminal = sys.stdout.isatty()
    width = shutil.get_terminal_size().columns if terminal else PIPED
    paint = ansi if terminal and not os.environ.get("NO_COLOR") else plain
    return "".join(f"{line}\n" for line in table(plan, known, width, paint, seen))
