"""Checking a lab: what must work does, and what must fail fails, for the reason it gives."""

from collections.abc import Callable
from dataclasses import dataclass

from cnetsh.commands import Result, Run
from cnetsh.plan import Plan, Step

TRIES = 3


@dataclass(frozen=True, slots=True)
class Finding:
    """How one check ended: verdict is "ok", "failed", "not tried" or "look"; detail says why."""

    step: Step
    verdict: str
    detail: str


def run_checks(plan: Plan, run: Run, tell: Callable[[Finding], None]) -> list[Finding]:
    """Run every check of a plan, tell of each as it ends, and give them all."""
    findings = []
    for step in plan.steps:
        findings.append(_check(step, run))
        tell(findings[-1])
    return findings


def _check(step: Step, run: Run) -> Finding:
    if missing := _lacks(step.said.needs, run):
        return Finding(step, "not tried", missing)
    result = run(step.argv, stdin=step.stdin)
    if step.kind == "look":
        return Finding(step, "look", result.stdout or result.stderr)
    if step.said.expect:
        return _must_fail(step, result)
    # The first packets after a link came up may be lost: addresses and bridge ports take a moment.
    for _ in range(TRIES - 1):
        if not result.exit_code:
            break
        result = run(step.argv, stdin=step.stdin)
    return Finding(step, "failed" if result.exit_code else "ok", _said(result))


def _must_fail(step: Step, result: Result) -> Finding:
    # ping answers 1 for silence and 2 for no way there; anything else is not about the network.
    if result.exit_code not in (0, 1, 2) or "network namespace" in result.stderr:
        return Finding(step, "failed", f"it could not be tried: {_said(result)}")
    if result.exit_code:
        return Finding(step, "ok", f"fails, as it must: {step.said.expect} ({_said(result)})")
    return Finding(step, "failed", f"it works and must not: {step.said.expect}")


def _lacks(needs: str, run: Run) -> str:
    """Say what the target lacks for a check to make sense; nothing when it has all."""
    if not needs:
        return ""
    kind, address = needs.split()
    answer = run(("ip", "route", "get", address))
    if kind == "route":
        return f"the target has no route to {address}" if answer.exit_code else ""
    local = answer.stdout.startswith("local ")
    return "" if local else f"the target does not have the address {address}"


def _said(result: Result) -> str:
    """Give the line of ping's answer that tells how it ended."""
    lines = [line for line in (result.stdout + "\n" + result.stderr).split("\n") if line.strip()]
    telling = ("Unreachable", "unreachable", "packet loss", "time=")
    for word in telling:
        for line in lines:
            if word in line:
                return line.strip()
    return lines[-1].strip() if lines else f"exit code {result.exit_code}"
