"""Why the pings fail that a lab file expects to: by the model of forwarding, over the lab's plan.

That they must fail follows from the file alone; a check that expects what the model says would
never tell that the plan does something else.
"""

from cnetsh.plan.steps import Plan

NO_WAY = "the lab file does not lead packets there and back"
MOST_STEPS = 1000  # of a plan that is followed


def with_reasons(check: Plan, up: Plan, sandbox: Plan) -> Plan:
    """Give the checks with the model's reasons for those that fail by no word of the file's."""
    # Most plans go without it.
    from cnetsh.forwarding.predict import verdicts
    from cnetsh.forwarding.seen import new_machine
    from cnetsh.forwarding.settle import settle
    from cnetsh.forwarding.stop import sentence

    if len(up.steps) > MOST_STEPS:
        return check
    network = new_machine({})
    settle([*sandbox.changes, *up.changes], network)
    open_ones = [step for step in check.steps if step.said.expect == NO_WAY]
    reasons = {step: sentence(verdict.stop) for _, step, verdict in verdicts(open_ones, network)
               if verdict.stop and verdict.works is False}  # fmt: skip
    # Who knows the reason needs no other ping beside it.
    steps = tuple(
        step._replace(said=step.said._replace(expect=reasons[step], no_control=""))
        if step in reasons
        else step
        for step in check.steps
    )
    return check._replace(steps=steps)
