"""The command `doctor`: what stands in a lab's way on a target."""

import json
from collections.abc import Sequence
from functools import partial

from cnetsh.commands.changing import in_started, start_target
from cnetsh.commands.naming import resolved
from cnetsh.commands.output import say, tell
from cnetsh.commands.predicting import surprises_here, tell_unknown
from cnetsh.commands.work import tell_findings
from cnetsh.compare import kernel, snapshot
from cnetsh.doctor import diagnose, evidence
from cnetsh.doctor.finding import findings_as_json
from cnetsh.errors import DONE, REFUSED, CnetshError
from cnetsh.labs import choose
from cnetsh.plan.steps import Plans
from cnetsh.system.process import ask
from cnetsh.system.signals import release
from cnetsh.targets import target
from cnetsh.targets.target import Target


def run(lab: str, settings: Sequence[str], on: str, verbose: bool, as_json: bool) -> int:
    """Tell what stands in a lab's way on a target; give 2 when it would be refused."""
    plans, where = None, target.named(on)
    if lab:
        with resolved(lab, on) as name:
            plans = choose.plans(name, settings)
    try:
        start_target(where)
    except CnetshError:
        if where.kind != "sandbox":
            raise
        # No sandbox can start: why, is what doctor is asked, and it can tell from here.
        release()
        return _tell(None, False, verbose, as_json, Target("host"))
    action = partial(_tell, plans, not where.is_private, verbose, as_json, where)
    return in_started(where, action)


def _tell(plans: Plans | None, on_host: bool, verbose: bool, as_json: bool, where: Target) -> int:
    plan = plans.up if plans else None
    said = kernel.whole(ask)
    seen = evidence.gather(ask, snapshot.take(ask, seen=said), plan)
    # What a lab that is up is like, `check` tells.
    new = plans if plans and plans.up.lab not in seen.labs else None
    surprises = surprises_here(new, said) if new else []
    findings = diagnose.diagnose(on_host, seen, (), surprises)
    if as_json:
        print(json.dumps(findings_as_json(findings), indent=1))
    else:
        tell_findings(findings, where, tell)
    if verbose:
        tell_unknown(surprises)
    if not findings:
        say("nothing stands in the way")
    return REFUSED if any(one.keeps_down for one in findings) else DONE
