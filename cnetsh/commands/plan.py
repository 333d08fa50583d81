"""The command `plan`: a lab's steps as a table, commands, JSON, markdown, or to be saved."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TextIO

from cnetsh.commands.naming import resolved
from cnetsh.commands.output import collected, deliver, kept, say
from cnetsh.commands.sheets import form_of, shown
from cnetsh.errors import DONE
from cnetsh.labs import choose
from cnetsh.plan.lines import Line, lines_of, over_plan, overview
from cnetsh.plan.steps import Plan, Plans
from cnetsh.plan.undo import down_plan
from cnetsh.views.terminal import WRONG
from cnetsh.views.text import Sheet, as_shell


def run(
    lab: str,
    settings: Sequence[str],
    down: bool,
    form: str,
    output: Path | None,
    sudo: bool,
    on: str,
    verbose: bool,
) -> int:
    """Show a plan, with `on` also what each step would find there; give the exit code."""
    form = form_of(form, output)
    if lab.endswith(".json") and not settings:
        return _as_saved(Path(lab), down, form, output, sudo)
    with resolved(lab, on) as name:
        return _run(name, settings, down, form, output, sudo, on, verbose)


def _run(
    lab: str,
    settings: Sequence[str],
    down: bool,
    form: str,
    output: Path | None,
    sudo: bool,
    on: str,
    verbose: bool,
) -> int:
    which = "down" if down else "up"
    if form == "shell":
        # Commands and nothing else, wherever they would run.
        deliver(as_shell(choose.commands(lab, settings, which), sudo), output)
    elif on:
        return _on_target(lab, settings, which, form, output, on, verbose)
    elif form == "json":
        deliver(_saved(choose.plans(lab, settings), which), output)
    elif form in ("markdown", "brief") or down:
        # The other parts need not be rendered for it.
        deliver(shown(_whole(choose.part(lab, settings, which), which), form), output)
    else:
        _foretold(choose.parts(lab, settings), output, verbose)
    return DONE


def _foretold(parts: Iterator[Plan], output: Path | None, verbose: bool) -> None:
    """Show a plan as a table, and what of its checks will surprise in a sandbox."""
    # The other forms go without it, which takes a while to load.
    from cnetsh.commands.predicting import foretell_in_sandbox, is_long

    up = next(parts)
    check = None if is_long(up) else next(parts)
    deliver(shown(_whole(up, "up"), "table"), output)
    foretell_in_sandbox(up, check, verbose)


def _whole(plan: Plan, which: str, found: Sequence[Line] = (), **more: Any) -> Sheet:
    """Give a plan as a sheet, with a line over it; found: its lines with what is there."""
    lines = lines_of(plan)
    return Sheet(plan.title, which, found or lines, over=overview(which, lines), **more)


def _saved(plans: Plans, verb: str, **seen: Any) -> str:
    # A plan that is only shown goes without it.
    from cnetsh.plan.saved import as_saved

    return as_saved(plans, verb, **seen)


def _as_saved(path: Path, down: bool, form: str, output: Path | None, sudo: bool) -> int:
    """Show a saved plan: what it does, where that was another thing than all of its steps."""
    from cnetsh.plan.saved import read_saved

    found = read_saved(path)
    which = "down" if down else found.verb
    if form == "json":
        deliver(path.read_text(encoding="utf-8"), output)
        return DONE
    plans = found.plans
    plan = down_plan(plans.up, plans.down) if which == "down" else plans.up
    lines = found.lines if which == found.verb else ()
    deliver(shown(_whole(plan, which, lines, warnings=found.warnings), form, sudo), output)
    return DONE


def _on_target(
    lab: str, settings: Sequence[str], which: str, form: str, output: Path | None, on: str,
    verbose: bool,
) -> int:  # fmt: skip
    """Show what `up` or `down` would do on a target, of all steps; where no sandbox runs, these."""
    # Only here is a target looked at: without all this a plan is there in half the time.
    from cnetsh.commands.entering import entered
    from cnetsh.targets import target

    plans, into = choose.plans(lab, settings), collected(output)
    seen = partial(_compared, plans, which, form, on, into, verbose)
    code = entered(target.named(on), seen, partial(_without, plans, which, form, into, verbose))
    return kept(into, output, code)


def _without(plans: Plans, which: str, form: str, into: TextIO, verbose: bool) -> int:
    """Show a plan where nothing is known of a target."""
    plan = down_plan(plans.up, plans.down) if which == "down" else plans.up
    into.write(_saved(plans, which) if form == "json" else shown(_whole(plan, which), form))
    into.flush()
    if which == "up" and form in ("table", "rich"):
        from cnetsh.commands.predicting import foretell_in_sandbox, is_long

        foretell_in_sandbox(plans.up, None if is_long(plans.up) else plans.check, verbose)
    return DONE


def _compared(plans: Plans, which: str, form: str, on: str, into: TextIO, verbose: bool) -> int:
    """Show what `up` or `down` would do here, where this is called."""
    from cnetsh.apply import journal
    from cnetsh.commands.changing import changing, tell_finding
    from cnetsh.commands.down import to_take_down
    from cnetsh.commands.up import Wanted, to_bring_up
    from cnetsh.doctor.diagnose import findings_as_json
    from cnetsh.plan.saved import Saved

    plan = plans.down if which == "down" else plans.up
    with changing() as means:
        if which == "down" and journal.find(plan.lab) is None:
            return _without(plans, which, form, into, verbose)
        if which == "down":
            work = to_take_down(plan.lab, True, means)
        else:
            work = to_bring_up(Wanted(Saved(plans), on, kill=True), means)
    lines, warnings = work.lines(), findings_as_json(work.warnings)
    # The other forms have them in what they print.
    for one in work.warnings if form in ("table", "rich", "brief") else ():
        tell_finding(one, say)
    if work.refused:
        say(f"refused now: {work.refused.message}", WRONG)
    if form == "json":
        text = _saved(plans, which, lines=lines, relied_on=work.relied_on(), warnings=warnings)
    else:
        drifted = work.drifted.lines if work.drifted else ()
        found = over_plan(plan, [*lines, *drifted]) if which == "up" else lines
        text = shown(_whole(plan, which, found, warnings=warnings), form)
    into.write(text)
    into.flush()
    if which == "up" and form in ("table", "rich") and journal.find(plan.lab) is None:
        from cnetsh.commands.predicting import foretell_here

        foretell_here(plans, verbose)
    return DONE
