"""The files that cnetsh is made of, as they are sent to another machine."""

from importlib.machinery import PathFinder
from pathlib import Path

from cnetsh.targets.ssh.starter import Files

PACKAGE = Path(__file__).resolve().parent.parent.parent
# What an action needs: the command line stays here.
DEPENDENCIES = ("jinja2", "markupsafe", "sh", "yaml")
# A folder of labs has these; nothing that a compiler made is among them.
ENDINGS = (".py", ".j2", ".yaml", ".zshrc")


def files() -> Files:
    """Give cnetsh and its dependencies as a folder of modules, by path, with their texts."""
    found = _texts(PACKAGE, "cnetsh")
    if not (PACKAGE / "templates").is_dir():
        found |= _texts(PACKAGE.parent / "templates", "cnetsh/templates")
    for name in DEPENDENCIES:
        spec = PathFinder.find_spec(name)
        assert spec and spec.origin
        file = Path(spec.origin)
        found |= _texts(file.parent, name) if spec.parent else {file.name: file.read_text("utf-8")}
    return found


def _texts(folder: Path, name: str) -> Files:
    return {
        f"{name}/{file.relative_to(folder)}": file.read_text(encoding="utf-8")
        for file in folder.rglob("*")
        if (file.suffix or file.name) in ENDINGS
    }
