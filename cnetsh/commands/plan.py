"""The command `plan`: a lab's steps as a table, commands, JSON, markdown, or to be saved."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO

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

if TYPE_CHECKING:
    from cnetsh.targets.target import Target


class _Form(NamedTuple):
    """How a plan is shown: that of `up` or `down`, as what, with checks that may end either way."""

    which: str
    form: str
    sudo: bool
    verbose: bool

    def shown(self, plan: Plan, found: Sequence[Line] = (), **more: Any) -> str:
        """Give a plan as text, with a line over it; found: its lines with what is there."""
        lines = lines_of(plan)
        over = overview(self.which, lines)
        sheet = Sheet(plan.title, self.which, found or lines, over=over, **more)
        return shown(sheet, self.form, self.sudo)

    def part(self, plans: Plans) -> Plan:
        """Give the plan of `up`, or that of `down` with what follows from the undos."""
        return down_plan(plans.up, plans.down) if self.which == "down" else plans.up

    def saved(self, plans: Plans, **seen: Any) -> str:
        """Give plans as JSON."""
        # A plan that is only shown goes without it.
        from cnetsh.plan.saved import as_saved

        return as_saved(plans, self.which, **seen)


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
    how = _Form("down" if down else "up", form_of(form, output), sudo, verbose)
    if lab.endswith(".json") and not settings:
        deliver(_of_file(Path(lab), down, how), output)
        return DONE
    with resolved(lab, on) as name:
        if on and how.form != "shell":
            return _on_target(choose.plans(name, settings), how, on, output)
        if how.form == "table" and not down:
            _foretold(choose.parts(name, settings), how, output)
        else:
            deliver(_text(name, settings, how), output)
    return DONE


def _text(lab: str, settings: Sequence[str], how: _Form) -> str:
    if how.form == "shell":
        # Commands and nothing else, wherever they would run.
        return as_shell(choose.commands(lab, settings, how.which), how.sudo)
    if how.form == "json":
        return how.saved(choose.plans(lab, settings))
    # The other parts need not be rendered for it.
    return how.shown(choose.part(lab, settings, how.which))


def _foretold(parts: Iterator[Plan], how: _Form, output: Path | None) -> None:
    """Show a plan as a table, and what of its checks will surprise in a sandbox."""
    # The other forms go without it, which takes a while to load.
    from cnetsh.commands.predicting import foretell_in_sandbox, is_long

    up = next(parts)
    check = None if is_long(up) else next(parts)
    deliver(how.shown(up), output)
    foretell_in_sandbox(up, check, how.verbose)


def _of_file(path: Path, down: bool, how: _Form) -> str:
    """Give a saved plan: what it does, where that was another thing than all of its steps."""
    from cnetsh.plan.saved import read_saved

    found = read_saved(path)
    if how.form == "json":
        return path.read_text(encoding="utf-8")
    how = how if down else how._replace(which=found.verb)
    lines = found.lines if how.which == found.verb else ()
    return how.shown(how.part(found.plans), lines, warnings=found.warnings)


def _on_target(plans: Plans, how: _Form, on: str, output: Path | None) -> int:
    """Show what `up` or `down` would do on a target, of all steps; where no sandbox runs, these."""
    # Only here is a target looked at: without all this a plan is there in half the time.
    from cnetsh.commands.entering import entered
    from cnetsh.targets import target

    into, where = collected(output), target.named(on)
    seen, unseen = partial(_compared, plans, how, where, into), partial(_without, plans, how, into)
    return kept(into, output, entered(where, seen, unseen))


def _without(plans: Plans, how: _Form, into: TextIO) -> int:
    """Show a plan where nothing is known of a target."""
    into.write(how.saved(plans) if how.form == "json" else how.shown(how.part(plans)))
    into.flush()
    if how.which == "up" and how.form == "table":
        from cnetsh.commands.predicting import foretell_in_sandbox

        foretell_in_sandbox(plans.up, plans.check, how.verbose)
    return DONE


def _compared(plans: Plans, how: _Form, where: "Target", into: TextIO) -> int:
    """Show what `up` or `down` would do here, where this is called."""
    from cnetsh.apply import journal
    from cnetsh.commands.changing import changing
    from cnetsh.commands.down import to_take_down
    from cnetsh.commands.naming import Sought
    from cnetsh.commands.up import Wanted, to_bring_up
    from cnetsh.commands.work import tell_findings
    from cnetsh.doctor.finding import findings_as_json
    from cnetsh.plan.saved import Saved

    plan = plans.down if how.which == "down" else plans.up
    with changing(where) as means:
        if how.which == "up":
            work = to_bring_up(Wanted(Saved(plans), where, kill=True), means)
        elif journal.find(plan.lab) is None:
            return _without(plans, how, into)
        else:
            work = to_take_down(Sought(plan.lab), True, means)
    lines, warnings = work.lines(), findings_as_json(work.warnings)
    # The other forms have them in what they print.
    if how.form in ("table", "brief"):
        tell_findings(work.warnings, where)
    if work.refused:
        say(f"refused now: {work.refused.message}", WRONG)
    if how.form == "json":
        text = how.saved(plans, lines=lines, relied_on=work.relied_on(), warnings=warnings)
    else:
        drifted = work.drifted.lines if work.drifted else ()
        found = over_plan(plan, [*lines, *drifted]) if how.which == "up" else lines
        text = how.shown(plan, found, warnings=warnings)
    into.write(text)
    into.flush()
    if work.surprises and how.form == "table":
        from cnetsh.commands.predicting import tell_surprises

        tell_surprises(work.surprises, how.verbose)
    return DONE
