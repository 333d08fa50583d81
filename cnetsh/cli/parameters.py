"""The parameters that commands have in common, each with its help and what completes it."""

from collections.abc import Callable
from enum import StrEnum
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

# Typer offers the values of an enumeration; the commands take them for plain words.
# The first of them was called rich once.
Format = StrEnum("Format", ["table", "brief", "shell", "json", "markdown", "rich"])
Drawing = StrEnum("Drawing", ["unicode", "ascii", "svg", "mermaid", "dot"])


def option(names: str, help: str, completed: str = "", **more: Any) -> Any:
    """Give what typer is told of an option; completed: what a shell offers for its value."""
    return typer.Option(*names.split(), help=help, autocompletion=_offer(completed), **more)


def argument(help: str, completed: str = "", **more: Any) -> Any:
    """Give what typer is told of an argument; completed: what a shell offers for it."""
    return typer.Argument(help=help, autocompletion=_offer(completed), **more)


def _offer(what: str) -> Callable[[typer.Context, str], list[str]] | None:
    """Give what completes a word in a shell, by the function of that name in completing.py."""

    def offered(ctx: typer.Context, incomplete: str) -> list[str]:
        found = getattr(import_module("cnetsh.commands.completing"), what)(incomplete, ctx.params)
        return [one for one in dict.fromkeys(found) if one.startswith(incomplete)]

    return offered if what else None


Lab = Annotated[
    str,
    argument(
        "A built-in lab, a lab file, a folder with templates, a saved plan, or one that is up.",
        "labs",
    ),
]
Wanted = Annotated[
    str,
    argument("A built-in lab, a lab file, a folder with templates, or a saved plan.", "wanted"),
]
Up = Annotated[
    str, argument("A lab that is up, or its file; may be left out when it is the only one.", "up")
]
Set = Annotated[
    list[str],
    option(
        "--set",
        "Set a parameter of the lab.",
        "settings",
        metavar="KEY=VALUE",
        default_factory=list,
        show_default=False,
    ),
]
On = Annotated[
    str,
    option(
        "--on",
        "Where: sandbox[:NAME], vm[:NAME], host, ssh:[USER@]HOST[:PORT].",
        "targets",
        envvar="CNETSH_ON",
    ),
]
ContainerName = Annotated[
    str, argument("A container, or host for the target itself.", "containers")
]
Box = Annotated[str, argument("Its name.", "sandboxes")]
VM = Annotated[str, argument("Its name.", "vms")]
AsJson = Annotated[bool, option("--json", "Print facts as JSON.")]
Output = Annotated[Path | None, option("-o --output", "Write to this file.")]
DryRun = Annotated[bool, option("--dry-run", "Print what would run now.")]
Yes = Annotated[bool, option("--yes", "Without asking.")]
Kill = Annotated[bool, option("--kill", "End the processes inside what goes.")]
Form = Annotated[Format, option("--format", "How it is printed.")]
Verbose = Annotated[bool, option("--verbose -v", "Every step, with its time.")]
Unsure = Annotated[bool, option("--verbose -v", "Also each check that may end either way.")]
Quiet = Annotated[bool, option("--quiet -q", "How it ended, and what went wrong.")]
Log = Annotated[Path | None, option("--log", "Append a JSON line for every step.")]
Sudo = Annotated[bool, option("--sudo/--no-sudo", "With or without sudo in front.")]
Kernel = Annotated[
    str, option("--kernel", "A version, as 6.1, or kernel packages: a .deb, or a folder with some.")
]
Memory = Annotated[
    int, option("--memory", "Its memory, or more for its files.", metavar="MIB", min=320)
]
Copy = Annotated[
    list[Path],
    option(
        "--copy",
        "A file or folder of this machine that it has besides, at the same place.",
        metavar="PATH",
        default_factory=list,
        show_default=False,
    ),
]
