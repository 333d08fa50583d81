"""The command `diff`: what `up` would change on a target now, or how two plans differ."""

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TextIO

from cnetsh.commands.changing import changing, in_started
from cnetsh.commands.output import collected, deliver, kept
from cnetsh.commands.sheets import form_of, shown
from cnetsh.commands.up import Wanted, as_given, to_bring_up
from cnetsh.commands.work import tell_findings
from cnetsh.compare.plans import differing
from cnetsh.doctor.finding import findings_as_json
from cnetsh.errors import DONE, FAILED, CnetshError
from cnetsh.plan.lines import Line, numbered
from cnetsh.plan.saved import as_saved
from cnetsh.plan.steps import Plan
from cnetsh.targets import target
from cnetsh.views.text import Sheet, expected


def run(
    lab: str,
    other: str,
    settings: Sequence[str],
    on: str,
    form: str,
    output: Path | None,
    sudo: bool,
) -> int:
    """Show what `up LAB` would do on a target, or how two plans differ; give 1 where they do."""
    form = form_of(form, output)
    if other:
        return _of_two(lab, other, settings, form, output, sudo)
    where = target.named(on)
    wanted = Wanted(
        as_given(lab, settings), where, allow_overlap=True, allow_cut_off=True, kill=True
    )
    into = collected(output)
    code = in_started(where, partial(_on_target, wanted, form, sudo, into))
    kept(into, output, DONE if code == FAILED else code)
    return code


def _on_target(wanted: Wanted, form: str, sudo: bool, into: TextIO) -> int:
    with changing(wanted.where) as means:
        work = to_bring_up(wanted, means)
    if work.refused:
        tell_findings(work.warnings, wanted.where)
        raise work.refused
    plans, warnings = wanted.plans, findings_as_json(work.warnings)
    lines = [*work.lines(), *(work.drifted.lines if work.drifted else ())]
    if form == "json":
        into.write(as_saved(plans, "up", lines, work.relied_on(), warnings))
    else:
        sheet = Sheet(plans.up.title, "up", numbered(plans.up, lines), warnings)
        into.write(shown(sheet, form, sudo))
    into.flush()
    return FAILED if lines else DONE


def _of_two(
    old: str, new: str, settings: Sequence[str], form: str, output: Path | None, sudo: bool
) -> int:
    if settings:
        hint = "save that one first: cnetsh plan LAB --set KEY=VALUE -o FILE.json"
        raise CnetshError("--set is not known here to which it belongs", hint)
    before, after = as_given(old, ()).plans, as_given(new, ()).plans
    lines, checks = differing(before, after), list(_checks(before.check, after.check))
    # What is only looked at is no command to type.
    whole = lines if form == "shell" else [*lines, *checks]
    sheet = Sheet(f"{after.up.lab}: from {old} to {new}", "up", whole)
    deliver(as_saved(after, "up", lines) if form == "json" else shown(sheet, form, sudo), output)
    return FAILED if whole else DONE


def _checks(old: Plan, new: Plan) -> Iterator[Line]:
    """Give the checks that only one of two plans has."""
    for mark, some, others in (("-", old, new), ("+", new, old)):
        left = Counter((step.text, step.said) for step in others.steps)
        for step in some.steps:
            left[step.text, step.said] -= 1
            if left[step.text, step.said] < 0:
                yield Line(mark, step._replace(section="Checks", why=expected(step)))
