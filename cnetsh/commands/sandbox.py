"""The commands `sandbox start|stop|list`: the article's virtual machines, without a lab."""

from dataclasses import asdict

from cnetsh.commands import started
from cnetsh.commands.changing import start_target
from cnetsh.targets import target
from cnetsh.targets.sandbox import SANDBOXES


def start_sandbox(name: str) -> None:
    """Start a sandbox that stays until it is stopped."""
    start_target(target.named(f"sandbox:{name}"))
    started.keep(SANDBOXES, name, lambda box: f"(process {box.holder})")


def stop_sandbox(name: str) -> None:
    started.stop(SANDBOXES, name)


def list_sandboxes(as_json: bool) -> None:
    if as_json:
        started.show_json(SANDBOXES, lambda box: asdict(box) | {"labs": box.labs})
    else:
        started.tell_all(SANDBOXES, lambda box: f"{box.holder:<8} {' '.join(box.labs)}")
