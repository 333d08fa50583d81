"""How a command is declared: only the one that is called is built, and only its file loaded."""

import re
from collections.abc import Callable
from enum import StrEnum
from functools import wraps
from importlib import import_module
from shutil import get_terminal_size
from typing import Any

import typer
from typer.core import TyperGroup

from cnetsh.cli.completion import use_ours
from cnetsh.commands.output import flushed

# In the order of the help.
DECLARED: dict[str, Any] = {}


class _Lazy(TyperGroup):
    """Builds just the command that is asked for: typer takes long over the parameters of all."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        # Typer lists their names, and suggests one for a word that is none.
        self.commands = DECLARED

    def make_context(self, info_name: Any, args: Any, parent: Any = None, **extra: Any) -> Any:
        # What many type first.
        args = [*args[1:], "--help"] if args[:1] == ["help"] else args
        width = get_terminal_size().columns
        # Nobody else says how wide a narrow terminal is: help is laid out for 50 columns at least.
        extra |= {"terminal_width": width} if width < 52 else {}
        return super().make_context(info_name, args, parent, **extra)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except Exception as error:
            refused: Any = error
            # typer names no class for it: an option that is none, and which may have been meant.
            if hasattr(refused, "possibilities"):
                # What is like it among the few of its own is not what was meant.
                refused.possibilities = None
                behind = "a command's own stand behind it: cnetsh COMMAND [OPTIONS]"
                refused.message = f"{refused.message.rstrip('.')}; {behind}"
            raise

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        declared: Any = self.commands.get(cmd_name)
        return declared and typer.main.get_command(declared)


def _typer(**settings: Any) -> typer.Typer:
    # No rich help: it would be imported for every command (typer's documented switch).
    return typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False, **settings)


use_ours()
app = _typer(
    cls=_Lazy, no_args_is_help=True, context_settings={"help_option_names": ["-h", "--help"]}
)


def declares(file: str, name: str = "", **settings: Any) -> Callable[[Callable[..., None]], None]:
    """Have a function declare the command of a file in commands/, or that of a group by name."""

    def declare(parameters: Callable[..., None]) -> None:
        @wraps(parameters)
        def call(**given: Any) -> None:
            module = import_module(f"cnetsh.commands.{file}")
            run = getattr(module, parameters.__name__.removeprefix("_") if name else "run")
            words = {key: str(one) for key, one in given.items() if isinstance(one, StrEnum)}
            raise typer.Exit(flushed(lambda: run(**given | words)))

        one = DECLARED.setdefault(file, _typer(add_completion=False))
        # Its first sentence; what is no short help is cut in the list of commands.
        short = re.split(r"(?<=\.) ", parameters.__doc__ or "")[0]
        one.command(name or file, short_help=short, **settings)(call)

    return declare


def group(name: str, text: str) -> None:
    """Declare a command that has others below it."""
    DECLARED[name] = _typer(help=text, short_help=text, no_args_is_help=True, add_completion=False)
