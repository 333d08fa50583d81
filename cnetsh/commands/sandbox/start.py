"""The command `sandbox start`: the article's virtual machine, without a lab."""

from cnetsh.commands.changing import start_target
from cnetsh.commands.output import say
from cnetsh.errors import DONE, FAILED, CnetshError
from cnetsh.targets import sandbox, target


def run(name: str = "default") -> int:
    """Start a sandbox that stays until it is stopped; give the exit code."""
    # It may run already, started by an `up`: then it stays from now on.
    start_target(target.named(f"sandbox:{name}"))
    box = sandbox.running_as(name)
    if box is None:
        raise CnetshError(f"sandbox {name} ended at once", code=FAILED)
    sandbox.keep(box)
    say(f"sandbox {name} runs (process {box.holder}); it stays until: cnetsh sandbox stop {name}")
    return DONE
