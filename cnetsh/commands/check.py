"""The command `check`: a lab's pings are tried, and what has changed since `up` is told."""

import json
import signal
from collections.abc import Mapping, Sequence
from functools import partial
from typing import NoReturn

from cnetsh import checks
from cnetsh.apply import journal
from cnetsh.commands.changing import tell_version
from cnetsh.commands.entering import entered
from cnetsh.commands.naming import not_up
from cnetsh.commands.output import say, visible_lines
from cnetsh.commands.predicting import network_here
from cnetsh.commands.reasons import HOST, Reason, planned_here, reason_of
from cnetsh.compare import drift, snapshot
from cnetsh.compare.scope import written
from cnetsh.errors import DONE, FAILED
from cnetsh.forwarding.predict import asked_by
from cnetsh.labs import choose
from cnetsh.plan.steps import Step
from cnetsh.system.process import ask
from cnetsh.system.signals import Stop
from cnetsh.targets import target


def run(lab: str, settings: Sequence[str], on: str, as_json: bool) -> int:
    """Check a lab that is up; give the exit code."""
    name = choose.name_of(lab, settings)
    where = target.named(on)

    def missing() -> NoReturn:
        raise not_up(lab)

    return entered(where, partial(_check, name, as_json), missing)


def _check(name: str, as_json: bool) -> int:
    record = journal.find(name)
    if record is None or not record.same_boot:
        raise not_up(name, journal.labs_here())
    record.close()
    tell_version(record)
    # The plan of the journal, not of the lab file: that is what is up.
    plan = journal.plan_of(record, "check")
    in_force = record.in_force(journal.plan_of(record, "up").steps)
    now = snapshot.take(ask, written(in_force.values()))
    found, seen = drift.drift(in_force, now, record.made, ask)
    drifted = [one.text for one in found]
    # Up to here nothing needs an end of its own; the pings do, for they would live on.
    with Stop() as stop:
        # As JSON, all is printed in the end.
        tell = (lambda _: None) if as_json else partial(_tell, stop)
        with checks.forgetting(checks.entering(stop), seen, len(plan.steps)) as ping:
            findings = checks.run_checks(plan, checks.patient(ping, stop), tell, stop)
        if stop():
            say(f"stopped after {len(findings)} of {len(plan.steps)} checks")
            return 128 + stop()
    reasons = _reasons(findings)
    if as_json:
        rows = [
            {"command": one.step.text, "verdict": one.verdict, "detail": one.detail}
            | ({"why": reasons[one.step]._asdict()} if one.step in reasons else {})
            for one in findings
        ]
        print(json.dumps({"lab": name, "checks": rows, "drift": drifted}, indent=1))
    else:
        _tell_reasons(reasons)
    return _summary(name, findings, drifted)


def _reasons(findings: Sequence[checks.Tried]) -> dict[Step, Reason]:
    """Give why checks failed that had to work, as far as the model of forwarding knows."""
    failed = [one.step for one in findings if one.verdict == "failed" and not one.step.said.expect]
    asked = {step: one for step in failed if (one := asked_by(step))}
    if not asked:
        return {}
    network, planned = network_here(), planned_here()
    return {step: reason_of(network, one.sender, one.packet, planned, None)
            for step, one in asked.items()}  # fmt: skip


def _tell_reasons(reasons: Mapping[Step, Reason]) -> None:
    for step, found in reasons.items():
        ends = f"{step.netns or HOST} {step.inner[-1]}"
        known = found.reason or f"nothing that is known stops it: cnetsh why {ends}"
        say(f"why       {step.text}\n{'':9} {known}")
        for text in found.fix:
            say(f"{'':9} would help: {text}")


def _summary(name: str, findings: Sequence[checks.Tried], drifted: Sequence[str]) -> int:
    for line in drifted:
        say(f"changed   {line}")
    verdicts = [one.verdict for one in findings]
    well, failed, untried = map(verdicts.count, ("ok", "failed", "not tried"))
    checked = f"{well} checks ok, {failed} failed, {untried} not tried"
    if not well + failed + untried:
        checked = "it has no checks"
    elif not well + failed:
        checked = f"none of its {untried} checks could be tried"
    say(f"{name}: {checked}, {len(drifted)} changed")
    return FAILED if failed or drifted or (untried and not well) else DONE


def _tell(stop: Stop, finding: checks.Tried) -> None:
    if finding.verdict == "look":
        text = f"{finding.step.text}\n{finding.detail.rstrip()}"
    else:
        text = f"{finding.verdict:<9} {finding.step.text}\n{'':9} {finding.detail}"
    try:
        print(visible_lines(text), flush=True)
    except OSError:
        # Nobody waits for the pings that still run.
        stop.come(signal.SIGPIPE)
        raise
