"""What stands in a lab's way on a target, found before the first step, and only by reading."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from cnetsh.doctor.asked import requirements_of
from cnetsh.doctor.evidence import Evidence, gather
from cnetsh.doctor.finding import SEVERITIES, Case, Finding, Severity, Sign
from cnetsh.doctor.table import TRAPS, Trap
from cnetsh.forwarding.predict import Surprise
from cnetsh.names import visible
from cnetsh.plan.steps import Plan, Step

__all__ = ["Evidence", "Finding", "diagnose", "findings_as_json", "gather", "worst"]


def diagnose(
    plan: Plan | None,
    check_host: bool,
    seen: Evidence,
    new: Iterable[Step] = (),
    surprises: Iterable[Surprise] = (),
) -> list[Finding]:
    """Give what was found, the gravest first; without a plan only what concerns labs in general.

    check_host: the target is the machine itself; in a sandbox nothing is refused. new: the steps to
    run of a lab that is up. Raises CnetshError for a plan with an address that is none.
    """
    # To read a large plan takes a while.
    asked = seen.asked or (requirements_of(plan) if plan else None)
    case = Case(asked, seen, check_host, frozenset(new), tuple(surprises))
    found = [_finding(trap, sign, check_host) for trap in TRAPS for sign in trap.look(case)]
    return sorted(found, key=lambda one: (SEVERITIES.index(one.severity), one.id))


def _finding(trap: Trap, sign: Sign, check_host: bool) -> Finding:
    refused_elsewhere = sign.severity == "refuse" and not check_host
    severity: Severity = "warn" if refused_elsewhere else sign.severity
    # Names of the kernel's objects may hold what moves a terminal's cursor.
    seen, effect, advice = ("\n".join(map(visible, text.split("\n"))) for text in sign[1:4])
    commands = tuple(map(visible, sign.commands))
    return Finding(trap.id, severity, trap.title, seen, effect, advice, commands, trap.source)


def worst(findings: Sequence[Finding]) -> Severity | None:
    """Give the gravest severity, None where nothing was found."""
    return min((one.severity for one in findings), key=SEVERITIES.index, default=None)


def findings_as_json(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """Give the findings as plain data."""
    return [asdict(one) for one in findings]
