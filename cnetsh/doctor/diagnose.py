"""What stands in a lab's way on a target, found before the first step, and only by reading."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from cnetsh.doctor.asked import asked_by
from cnetsh.doctor.evidence import Facts, gather
from cnetsh.doctor.finding import SEVERITIES, Case, Finding, Severity, Sign
from cnetsh.doctor.table import TRAPS, Trap
from cnetsh.names import visible
from cnetsh.plan.steps import Plan

__all__ = [
    "Facts",
    "Finding",
    "Trap",
    "as_text",
    "diagnose",
    "gather",
    "to_json",
    "without",
    "worst",
]


def diagnose(plan: Plan | None, check_host: bool, facts: Facts) -> list[Finding]:
    """Give what was found, the gravest first; without a plan only what concerns labs in general.

    check_host: the target is the machine itself. In a sandbox nothing is refused: it would only
    warn. Raises CnetshError for a plan with an address that is none.
    """
    case = Case(asked_by(plan) if plan else None, facts, check_host)
    found = [_finding(trap, sign, check_host) for trap in TRAPS for sign in trap.look(case)]
    return sorted(found, key=lambda one: (SEVERITIES.index(one.severity), one.id))


def _finding(trap: Trap, sign: Sign, check_host: bool) -> Finding:
    severity: Severity = sign.severity
    if severity == "refuse" and not check_host:
        severity = "warn"
    evidence, effect, advice = (_visible(text) for text in sign[1:])
    return Finding(trap.id, severity, trap.title, evidence, effect, advice, trap.source)


def _visible(text: str) -> str:
    """Names of the kernel's objects may hold what moves a terminal's cursor."""
    return "\n".join(visible(line) for line in text.split("\n"))


def worst(findings: Sequence[Finding]) -> Severity | None:
    """Give the gravest severity, None where nothing was found."""
    return min((one.severity for one in findings), key=SEVERITIES.index, default=None)


def without(findings: Sequence[Finding]) -> Iterator[Trap]:
    """Give the traps of the table that were not found, for what cnetsh does about them anyway."""
    seen = {(one.id, one.title) for one in findings}
    return (trap for trap in TRAPS if (trap.id, trap.title) not in seen)


def to_json(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """Give the findings as plain data."""
    return [asdict(one) for one in findings]


def as_text(finding: Finding) -> str:
    """Give a finding as lines for a person."""
    rows = [("seen", finding.evidence), ("means", finding.effect), ("do", finding.advice)]
    rows.append(("source", finding.source))
    lines = [f"{finding.severity} {finding.id} {finding.title}"]
    for head, text in rows:
        lines += [
            f"  {head if not n else '':<7}{line}" for n, line in enumerate(text.split("\n")) if line
        ]
    return "\n".join(lines)
