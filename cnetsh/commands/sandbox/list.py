"""The command `sandbox list`: the sandboxes that run, each with its labs."""

import json

from cnetsh.commands.output import say
from cnetsh.errors import DONE
from cnetsh.targets import sandbox

KEYS = ("name", "holder", "init", "kept", "labs")


def run(as_json: bool = False) -> int:
    """List the sandboxes that run; give the exit code."""
    boxes = sandbox.running()
    if as_json:
        print(json.dumps([{key: getattr(box, key) for key in KEYS} for box in boxes], indent=1))
        return DONE
    for box in boxes:
        print(f"{box.name:<12} process {box.holder:<8} {' '.join(box.labs)}")
    if not boxes:
        say("no sandbox runs")
    return DONE
