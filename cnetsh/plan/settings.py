"""Values of settings that no kernel takes as they stand there: told before a step has run."""

from cnetsh.errors import CnetshError, Mistakes
from cnetsh.kinds.change import Set
from cnetsh.kinds.setting import ROOT, unfit
from cnetsh.plan.steps import Plan


def wanted_value(key: str, value: str) -> str:
    """Give what a setting like net.ipv4.ip_forward wants, "" where the value may be that."""
    return unfit(ROOT + key.removeprefix("net.").replace(".", "/"), value)


def refuse_unfit(plan: Plan, origin: str) -> Plan:
    """Give the plan. Raises CnetshError with a line for each value that no kernel takes."""
    mistakes = Mistakes()
    for step in (step for step in plan.steps if f" tee {ROOT}" in step.text):
        for change in step.changes:
            assert isinstance(change, Set)
            if what := unfit(change.ref.name, change.value):
                line = f"{origin}: line {step.line}: {step.text}"
                mistakes.keep(CnetshError(f"{line}: expected {what}"))
    mistakes.tell()
    return plan
