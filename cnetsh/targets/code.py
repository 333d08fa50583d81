"""The files that cnetsh is made of, as other machines and VMs get them."""

from collections.abc import Iterator
from importlib.machinery import PathFinder
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent.parent
# What an action needs.
DEPENDENCIES = ("jinja2", "markupsafe", "sh", "yaml")
# What typer needs, whichever it is of; without rich, for the help is printed without it.
COMMAND_LINE = ("typer", "click", "shellingham", "annotated_doc", "typing_extensions")
# A folder of labs has these; nothing that a compiler made is among them.
_ENDINGS = (".py", ".j2", ".yaml", ".zshrc")


def texts() -> dict[str, str]:
    """Give what an action needs, by path in a folder of modules: the command line stays here."""
    return {
        name: file.read_text(encoding="utf-8")
        for name, file in _files(("templates",), DEPENDENCIES)
        if (file.suffix or file.name) in _ENDINGS
    }


def files() -> Iterator[tuple[str, Path]]:
    """Give all by path in a folder of modules: compiled too, and with the command line."""
    return _files(("templates", "examples"), (*DEPENDENCIES, *COMMAND_LINE))


def _files(shipped: tuple[str, ...], packages: tuple[str, ...]) -> Iterator[tuple[str, Path]]:
    yield from _below(_PACKAGE, "cnetsh")
    for name in shipped:
        # They are in the package where that is installed.
        if not (_PACKAGE / name).is_dir():
            yield from _below(_PACKAGE.parent / name, f"cnetsh/{name}")
    for name in packages:
        if (spec := PathFinder.find_spec(name)) and spec.origin:
            file = Path(spec.origin)
            yield from _below(file.parent, name) if spec.parent else ((file.name, file),)


def _below(folder: Path, name: str) -> Iterator[tuple[str, Path]]:
    return (
        (f"{name}/{one.relative_to(folder)}", one) for one in folder.rglob("*") if one.is_file()
    )
