"""The command `check`: a lab's pings are tried, and what has changed since `up` is told."""

import json
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from cnetsh.apply import journal
from cnetsh.apply.repair import Repairing
from cnetsh.apply.run import SHORT
from cnetsh.commands.entering import HOST, entered, tell_version
from cnetsh.commands.naming import Sought
from cnetsh.commands.output import say, tell, unicode_fits
from cnetsh.commands.progress import Meter, how_repaired, tell_where_typed
from cnetsh.errors import DONE, FAILED
from cnetsh.kinds import looks
from cnetsh.plan.lines import amount
from cnetsh.plan.steps import Plan, Step
from cnetsh.probes import checks
from cnetsh.system.process import ask
from cnetsh.system.signals import StopSignal
from cnetsh.targets import target
from cnetsh.targets.target import Target
from cnetsh.views.terminal import DOUBT, WRONG

if TYPE_CHECKING:
    from cnetsh.commands.reasons import Reason

_MOST = 20  # lines of what a look shows


class Shown(NamedTuple):
    """How much is shown of checks, and as what."""

    verbose: bool
    quiet: bool
    as_json: bool
    where: Target


def run(
    lab: str, settings: Sequence[str], on: str, verbose: bool, quiet: bool, as_json: bool
) -> int:
    """Check a lab that is up; give the exit code."""
    sought = Sought.typed_here(lab, on, "check", settings)
    where = target.named(on)
    action = partial(_check, sought, Shown(verbose, quiet, as_json, where))
    return entered(where, action, sought.refuse)


def _check(lab: Sought, how: Shown) -> int:
    record = lab.up_here()
    record.close()
    tell_version(record)
    # The plan of the journal, not of the lab file: that is what is up.
    plan = journal.plan_of(record, "check")
    known = Repairing.of(record, ask)
    drifted = [one.text for one in known.drifted]
    # Up to here nothing needs an end of its own; the pings do, for they would live on.
    with StopSignal() as stop:
        forgetting = checks.forgetting(checks.entering(stop), known.state, len(plan.steps))
        with _telling(plan, how, stop) as telling, forgetting as ping:
            findings = checks.run_checks(plan, checks.patient(ping, stop), telling, stop)
        if stop():
            say(f"stopped after {len(findings)} of {len(plan.steps)} checks")
            return 128 + stop()
    reasons = _reasons(findings)
    if how.as_json:
        rows = [
            {"command": one.step.text, "verdict": one.verdict, "detail": one.detail}
            | ({"why": reasons[one.step]._asdict()} if one.step in reasons else {})
            for one in findings
        ]
        print(json.dumps({"lab": record.lab, "checks": rows, "drift": drifted}, indent=1))
    else:
        _repeat([one for one in findings if one.verdict == "failed"], reasons, how.where)
    if drifted:
        say(how_repaired(record.lab, how.where))
    if not record.stands:
        say(f"{record.lab} is not whole; why: {how.where.command('status')}")
    return _summary(record.lab, findings, drifted)


def _reasons(findings: Sequence[checks.CheckResult]) -> dict[Step, "Reason"]:
    """Give why checks failed that had to work, as far as the model of forwarding knows."""
    failed = [one.step for one in findings if one.verdict == "failed" and not one.step.said.expect]
    if not failed:
        return {}
    # Only what fails needs the model, which takes a while to load.
    from cnetsh.commands.predicting import networks_here
    from cnetsh.commands.reasons import Sending, planned_here, reason_of
    from cnetsh.forwarding.predict import asked_by

    asked = {step: one for step in failed if (one := asked_by(step))}
    if not asked:
        return {}
    networks, planned = networks_here(), planned_here()
    network = next(networks)
    return {step: reason_of(Sending(network, networks, one.sender, one.packet), planned, None)
            for step, one in asked.items()}  # fmt: skip


def _repeat(
    failed: Sequence[checks.CheckResult], reasons: Mapping[Step, "Reason"], where: Target
) -> None:
    """Tell at the end what has failed, with all that is known of it: each reason once."""
    alike: dict[tuple[str, ...], list[checks.CheckResult]] = {}
    for one in failed:
        known = reasons.get(one.step)
        key = (known.reason, *known.fix) if known and known.reason else (one.step.text,)
        alike.setdefault(key, []).append(one)
    for some in alike.values():
        for one in some:
            say(f"failed    {_called(one.step)}", WRONG)
            say(f"          {one.step.text}", whole=True)
            say(f"          {one.detail}")
        if found := reasons.get(some[0].step):
            asked = where.command("why", some[0].step.netns or HOST, some[0].step.inner[-1])
            say(f"why       {found.reason or f'nothing that is known stops it: {asked}'}")
            for text in found.fix:
                say(f"          would help: {text}", whole=True)
    if any(one.fix for one in reasons.values()):
        tell_where_typed(where)


def _summary(name: str, findings: Sequence[checks.CheckResult], drifted: Sequence[str]) -> int:
    for line in drifted:
        say(f"changed   {line}")
    verdicts = [one.verdict for one in findings]
    well, failed, untried = map(verdicts.count, ("ok", "failed", "not tried"))
    checked = f"{amount(well, 'check', 'checks')} ok, {failed} failed, {untried} not tried"
    if not well + failed + untried:
        checked = "it has no checks"
    elif not well + failed:
        checked = f"none of its {untried} checks could be tried"
    say(f"{name}: {checked}, {len(drifted)} changed")
    return FAILED if failed or drifted or (untried and not well) else DONE


@contextmanager
def _telling(
    plan: Plan, how: Shown, stop: StopSignal
) -> Iterator[Callable[[checks.CheckResult], None]]:
    """Give what tells of each check; as JSON, or quietly, all is told in the end."""
    bar = Meter(len(plan.steps))
    line = partial(
        _as_typed if how.verbose else _in_a_line, max(map(_width, plan.steps), default=0)
    )

    def told(one: checks.CheckResult) -> None:
        if how.quiet or how.as_json:
            # As `up` does: what is over at once needs no bar.
            if len(plan.steps) > SHORT:
                bar.advance()
            return
        try:
            line(one)
            sys.stdout.flush()
        except OSError:
            # Nobody waits for the pings that still run.
            stop.come(signal.SIGPIPE)
            raise

    try:
        yield told
    finally:
        bar.over()


def _as_typed(_: int, one: checks.CheckResult) -> None:
    if one.verdict == "look":
        tell(one.step.text, whole=True)
        tell(one.detail.rstrip())
    else:
        tell(f"{one.verdict:<9} {one.step.text}", whole=True)
        tell(f"{'':9} {one.detail}")


def _in_a_line(width: int, one: checks.CheckResult) -> None:
    if one.verdict == "look":
        tell(one.step.text, whole=True)
        lines = one.detail.splitlines()
        tell("\n".join(lines[:_MOST]))
        if len(lines) > _MOST:
            say(f"{len(lines) - _MOST} more lines: -v shows all")
        return
    expected = f"fails, as it must: {one.step.said.expect}" if one.step.said.expect else one.took
    said = expected if one.verdict == "ok" else one.detail
    style = {"failed": WRONG, "not tried": DOUBT}.get(one.verdict, "")
    tell(f"{_called(one.step):<{width}}  {one.verdict}  {said}".rstrip(), style)


def _width(step: Step) -> int:
    return len(_called(step)) if step.kind == "check" else 0


def _called(step: Step) -> str:
    """Give a check in a few words: who asks whom."""
    arrow = "→" if unicode_fits(sys.stdout) else "->"
    call = looks.call(step.inner)
    if call:
        return f"{step.netns or HOST} {arrow} {call.address}:{call.port}/{call.protocol}"
    return f"{step.netns or HOST} {arrow} {step.inner[-1]}"
