"""The command `examples`: lab files that come with cnetsh, to read, change and bring up."""

from pathlib import Path

from cnetsh.commands.output import deliver, tell
from cnetsh.errors import CnetshError
from cnetsh.labs.builtin import shipped
from cnetsh.labs.file import load_file
from cnetsh.names import nearest


def run(name: str, output: Path | None) -> None:
    """List the examples, or give one. Raises CnetshError for a name that is none."""
    files = {file.stem: file for file in sorted(shipped("examples").glob("*.yaml"))}
    if name in files:
        deliver(_text(files[name]), output)
    elif name:
        near = nearest(name, files)
        hint = f"did you mean {near}?" if near else "`cnetsh examples` lists them"
        raise CnetshError(f"no example is called {name}", hint)
    else:
        width = max(map(len, files))
        for stem, file in files.items():
            tell(f"{stem:<{width}}  {load_file(file, []).title}")


def _text(file: Path) -> str:
    # The first line tells an editor where the schema stands beside the examples, and only there.
    return file.read_text(encoding="utf-8").split("\n", 1)[1]
