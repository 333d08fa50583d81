"""The command `new`: a commented lab file to start from."""

from pathlib import Path

from cnetsh.commands.output import deliver
from cnetsh.labs.reference import starter_file


def run(name: str, output: Path | None) -> None:
    """Write a lab file, by default NAME.yaml."""
    name = name.removesuffix(".yaml")
    deliver(starter_file(name), output or Path(f"{name}.yaml"))
