"""The files that cnetsh is made of, as a VM has them: compiled too, and with the command line."""

from collections.abc import Iterator
from importlib.machinery import PathFinder
from pathlib import Path

from cnetsh.targets.ssh.code import DEPENDENCIES, PACKAGE

# What typer needs, whichever it is of; without rich, for the help is printed without it.
COMMAND_LINE = ("typer", "click", "shellingham", "annotated_doc", "typing_extensions")


def code_files() -> Iterator[tuple[str, Path]]:
    """Give the files by the name that they have in a folder of modules."""
    yield from _below(PACKAGE, "cnetsh")
    for name in ("templates", "examples"):
        yield from _below(PACKAGE.parent / name, name)
    for name in (*DEPENDENCIES, *COMMAND_LINE):
        if (spec := PathFinder.find_spec(name)) and spec.origin:
            file = Path(spec.origin)
            yield from _below(file.parent, name) if spec.parent else ((file.name, file),)


def _below(folder: Path, name: str) -> Iterator[tuple[str, Path]]:
    return (
        (f"{name}/{one.relative_to(folder)}", one) for one in folder.rglob("*") if one.is_file()
    )
