"""The command `new`: a commented lab file to start from."""

from pathlib import Path

from cnetsh.commands.output import deliver
from cnetsh.labs import file


def run(name: str, output: Path | None) -> None:
    """Write a lab file, by default NAME.yaml."""
    deliver(file.starter(name), output or Path(f"{name}.yaml"))
