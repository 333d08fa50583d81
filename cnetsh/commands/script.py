"""The command `script`: a lab as a shell script that needs no cnetsh."""

from collections.abc import Sequence
from pathlib import Path

from cnetsh.commands.naming import resolved
from cnetsh.commands.output import deliver
from cnetsh.labs import choose
from cnetsh.views.script import as_script


def run(lab: str, settings: Sequence[str], output: Path | None, sudo: bool, on: str) -> None:
    with resolved(lab, on) as name:
        plans = choose.plans(name, settings)
    text = as_script(plans.up, plans.down, plans.check, sudo, teaches=plans.teaches)
    deliver(text, output)
