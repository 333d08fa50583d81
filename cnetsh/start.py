"""The entry point: the command that was asked for, and one place where errors are told.

A start is a tenth of a second and should stay one.
"""

import gc
import os
import sys

from cnetsh import errors
from cnetsh.errors import CnetshError
from cnetsh.system.signals import end_at_once

# Until main begins, Ctrl-C is a traceback of Python's; the module typing alone takes longer than
# all else that is imported up to there.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from typer import Typer
    from typer.models import CommandInfo


def main() -> "NoReturn":
    """Run the command line; an error that a user can act on is one message, not a traceback."""
    end_at_once()
    # Imports and plans are many objects without cycles: walking them costs a tenth of the start.
    gc.disable()
    debug = _take_debug()
    try:
        _app()()
    except CnetshError as error:
        if debug:
            raise
        from cnetsh.commands.progress import show_error

        show_error(error)
        sys.exit(error.code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(errors.FAILED)
    except OSError as error:
        if debug:
            raise
        print(f"cnetsh: {error}", file=sys.stderr)
        sys.exit(errors.FAILED)
    sys.exit(errors.DONE)


def _take_debug() -> bool:
    """Say whether --debug was given, and take it out; what stands after -- is not for us."""
    end = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    ours = [word for word in sys.argv[:end] if word != "--debug"]
    sys.argv[:end] = ours
    return len(ours) < end


def _app() -> "Typer":
    """Give the app with just the command that was asked for, all when it is none.

    Typer would look at the parameters of all of them, which takes as long as a short plan.
    """
    from cnetsh.cli import app

    named = [one for one in app.registered_commands if [_name(one)] == sys.argv[1:2]]
    if named:
        app.registered_commands, app.registered_groups = named, []
        # A group of one command would be taken for that command itself.
        app.callback()(lambda: None)
    return app


def _name(command: "CommandInfo") -> str:
    return command.name or (command.callback.__name__ if command.callback else "")
