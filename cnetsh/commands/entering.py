"""What commands share that work in a target: its sandbox is started, and errors are told inside."""

from cnetsh.apply.run import Means, one_by_one
from cnetsh.apply.up import reason
from cnetsh.commands.output import say, told
from cnetsh.commands.progress import Quiet
from cnetsh.errors import DONE, FAILED, CnetshError
from cnetsh.labs import choose
from cnetsh.system.process import runner, through_sh
from cnetsh.targets import target
from cnetsh.targets.target import Action, Target


def entered(where: Target, action: Action) -> int:
    """Give the exit code of action, called in a target that runs."""
    return target.in_target(where, lambda: told(action))


def if_running(on: str, action: Action, otherwise: str = "") -> int:
    """Call action in a target; a sandbox that does not run has nothing to act on."""
    where = target.named(on)
    if target.runs(where):
        return entered(where, action)
    say(otherwise or f"sandbox {where.name} does not run")
    return DONE


def start_target(where: Target) -> None:
    """Start the target's sandbox when it does not run. Raises CnetshError when it cannot be."""
    # Built in a process of its own, so an error of the building has to be told there.
    target.ensure(where, lambda: told(_build_sandbox))


def _build_sandbox() -> int:
    """Build the article's virtual machine by a lab of its own, which nothing undoes."""
    plans = choose.plans("sandbox", ())
    # Without journal and lock: nobody else can be in it yet, and a sandbox goes as a whole.
    means = Means(runner(), through_sh(()), Quiet(), lambda: 0)
    outcome = one_by_one(plans.up.steps, lambda **_: None, means)
    if outcome.failed is not None:
        raise CnetshError(reason(plans.up, outcome), code=FAILED)
    return DONE
