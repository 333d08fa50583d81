"""The commands `sandbox start|stop|list`: the article's virtual machines, without a lab."""

import json

from cnetsh.commands.changing import start_target
from cnetsh.commands.output import say, tell
from cnetsh.errors import FAILED, CnetshError
from cnetsh.targets import sandbox, target

KEYS = ("name", "holder", "init", "kept", "labs")


def run_start(name: str) -> None:
    """Start a sandbox that stays until it is stopped."""
    # It may run already, started by an `up`: then it stays from now on.
    start_target(target.named(f"sandbox:{name}"))
    box = sandbox.running_as(name)
    if box is None:
        raise CnetshError(f"sandbox {name} ended at once", code=FAILED)
    sandbox.SANDBOXES.keep(name)
    say(f"sandbox {name} runs (process {box.holder}); it stays until: cnetsh sandbox stop {name}")


def run_stop(name: str) -> None:
    """End a sandbox, or say that it does not run."""
    # Only a name that a target may have: it is looked for as a file.
    box = sandbox.running_as(target.named(f"sandbox:{name}").name)
    if box:
        sandbox.stop(box)
    say(f"sandbox {name} {'ended' if box else 'does not run'}")


def run_list(as_json: bool) -> None:
    """List the sandboxes that run, each with its labs."""
    boxes = sandbox.running()
    if as_json:
        print(json.dumps([{key: getattr(box, key) for key in KEYS} for box in boxes], indent=1))
        return
    for box in boxes:
        tell(f"{box.name:<12} process {box.holder:<8} {' '.join(box.labs)}")
    if not boxes:
        say("no sandbox runs")
