"""What stands in a lab's way on a target, found before the first step, and only by reading."""

from collections.abc import Iterable

from cnetsh.doctor.evidence import Evidence
from cnetsh.doctor.finding import SEVERITIES, Case, Finding, Severity, Sign
from cnetsh.doctor.table import TRAPS, Trap
from cnetsh.forwarding.predict import Surprise
from cnetsh.names import visible
from cnetsh.plan.steps import Step


def diagnose(
    on_host: bool,
    seen: Evidence,
    new: Iterable[Step] = (),
    surprises: Iterable[Surprise] = (),
) -> list[Finding]:
    """Give what was found, the gravest first; without a plan only what concerns labs in general.

    on_host: the target is the machine itself; in a sandbox nothing is refused. new: the steps to
    run of a lab that is up.
    """
    case = Case(seen.asked, seen, on_host, frozenset(new), tuple(surprises))
    found = [_finding(trap, sign, on_host) for trap in TRAPS for sign in trap.look(case)]
    return sorted(found, key=lambda one: (SEVERITIES.index(one.severity), one.id))


def _finding(trap: Trap, sign: Sign, on_host: bool) -> Finding:
    refused_elsewhere = sign.severity == "refuse" and not on_host
    severity: Severity = "warn" if refused_elsewhere else sign.severity
    # Names of the kernel's objects may hold what moves a terminal's cursor.
    seen, effect, advice = ("\n".join(map(visible, text.split("\n"))) for text in sign[1:4])
    commands = tuple(map(visible, sign.commands))
    return Finding(trap.id, severity, trap.title, seen, effect, advice, commands, trap.source)
