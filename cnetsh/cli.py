"""The command line: what can be typed, and what the program ends with.

A function here only declares a command: its parameters are what can be typed, its docstring is the
help. The file of that name in commands/ does it, and is loaded when the command is called: `run`,
or run_NAME for a command of a group, takes the same parameters and gives the exit code or None.
"""

import os
import re
import sys
from collections.abc import Callable
from enum import StrEnum
from functools import wraps
from importlib import import_module
from pathlib import Path
from shutil import get_terminal_size
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from cnetsh import __version__
from cnetsh.commands.output import exit_code_of, flushed

# Typer offers the values of an enumeration; the commands take them for plain words.
# The first of them was called rich once.
Format = StrEnum("Format", ["table", "brief", "shell", "json", "markdown", "rich"])
Drawing = StrEnum("Drawing", ["unicode", "ascii", "svg", "mermaid", "dot"])


def _offer(what: str) -> Callable[[typer.Context, str], list[str]]:
    """Give what completes a word in a shell, by the function of that name in completing.py."""

    def offered(ctx: typer.Context, incomplete: str) -> list[str]:
        found = getattr(import_module("cnetsh.commands.completing"), what)(incomplete, ctx.params)
        return [one for one in dict.fromkeys(found) if one.startswith(incomplete)]

    return offered


Lab = Annotated[
    str,
    typer.Argument(
        autocompletion=_offer("labs"),
        help="A built-in lab, a lab file, a folder with templates, a saved plan, "
        "or one that is up.",
    ),
]
Up = Annotated[
    str,
    typer.Argument(
        autocompletion=_offer("up"),
        help="A lab that is up, or its file; may be left out when it is the only.",
    ),
]
Set = Annotated[
    list[str],
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        autocompletion=_offer("settings"),
        help="Set a parameter of the lab.",
        default_factory=list,
        show_default=False,
    ),
]
On = Annotated[
    str,
    typer.Option(
        "--on",
        envvar="CNETSH_ON",
        autocompletion=_offer("targets"),
        help="Where: sandbox[:NAME], vm[:NAME], host, ssh:[USER@]HOST[:PORT].",
    ),
]
ContainerName = Annotated[
    str,
    typer.Argument(
        autocompletion=_offer("containers"), help="A container, or host for the target itself."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print facts as JSON.")]
Output = Annotated[Path | None, typer.Option("-o", "--output", help="Write to this file.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print what would run now.")]
Yes = Annotated[bool, typer.Option("--yes", help="Without asking.")]
Kill = Annotated[bool, typer.Option("--kill", help="End the processes inside what goes.")]
Form = Annotated[Format, typer.Option("--format", help="How it is printed.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Every step, with its time.")]
Unsure = Annotated[
    bool, typer.Option("--verbose", "-v", help="Also each check that may end either way.")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="How it ended, and what went wrong.")]
Log = Annotated[Path | None, typer.Option("--log", help="Append a JSON line for every step.")]
Sudo = Annotated[bool, typer.Option("--sudo/--no-sudo", help="With or without sudo in front.")]

# In the order of the help.
_declared: dict[str, Any] = {}


class _Lazy(TyperGroup):
    """Builds just the command that is asked for: typer takes long over the parameters of all."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        # Typer lists their names, and suggests one for a word that is none.
        self.commands = _declared

    def make_context(self, info_name: Any, args: Any, parent: Any = None, **extra: Any) -> Any:
        width = get_terminal_size().columns
        # Nobody else says how wide a narrow terminal is: help is laid out for 50 columns at least.
        extra |= {"terminal_width": width} if width < 52 else {}
        return super().make_context(info_name, args, parent, **extra)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        declared: Any = self.commands.get(cmd_name)
        return declared and typer.main.get_command(declared)


def _typer(**settings: Any) -> typer.Typer:
    # No rich help: it would be imported for every command (typer's documented switch).
    return typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False, **settings)


app = _typer(
    cls=_Lazy, no_args_is_help=True, context_settings={"help_option_names": ["-h", "--help"]}
)


def _command(file: str, name: str = "", **settings: Any) -> Callable[[Callable[..., None]], None]:
    """Have a function declare the command of a file in commands/, or that of a group by name."""

    def declare(parameters: Callable[..., None]) -> None:
        @wraps(parameters)
        def call(**given: Any) -> None:
            module = import_module(f"cnetsh.commands.{file}")
            run = getattr(module, f"run_{name}" if name else "run")
            words = {key: str(one) for key, one in given.items() if isinstance(one, StrEnum)}
            raise typer.Exit(flushed(lambda: run(**given | words)))

        one = _declared.setdefault(file, _typer(add_completion=False))
        # Its first sentence; what is no short help is cut in the list of commands.
        short = re.split(r"(?<=\.) ", parameters.__doc__ or "")[0]
        one.command(name or file, short_help=short, **settings)(call)

    return declare


def _group(name: str, text: str) -> None:
    """Declare a command that has others below it."""
    _declared[name] = _typer(help=text, short_help=text, no_args_is_help=True, add_completion=False)


def _version(asked: bool) -> None:
    if asked:
        print(f"cnetsh {__version__}")
        raise typer.Exit


def _unpaged(asked: bool) -> None:
    if asked:
        os.environ["PAGER"] = "cat"


@app.callback()
def _cnetsh(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say which it is.")
    ] = False,
    no_pager: Annotated[
        bool, typer.Option("--no-pager", callback=_unpaged, help="Print long plans at once.")
    ] = False,
) -> None:
    """Linux container networks that you can read before you run them, run, check and undo."""


@_command("labs")
def _labs(
    lab: Annotated[
        str,
        typer.Argument(
            autocompletion=_offer("labs"), help="One of them, or a folder with templates."
        ),
    ] = "",
    as_json: AsJson = False,
) -> None:
    """List the built-in labs, or explain the parameters of one."""


@_command("plan")
def _plan(
    lab: Lab,
    settings: Set,
    down: Annotated[bool, typer.Option("--down", help="The plan of `down`.")] = False,
    form: Form = Format.table,
    output: Output = None,
    sudo: Sudo = True,
    # Not `On`: where nothing is said, nothing is looked at.
    on: Annotated[
        str, typer.Option("--on", envvar="CNETSH_ON", help="Mark what each step finds there.")
    ] = "",
    verbose: Unsure = False,
) -> None:
    """Show a lab's commands, each with its reason and its undo. Runs nothing."""


@_command("diff")
def _diff(
    lab: Lab,
    settings: Set,
    other: Annotated[
        str, typer.Argument(help="Another lab or plan: how they differ, without a target.")
    ] = "",
    on: On = "sandbox",
    form: Form = Format.table,
    output: Output = None,
    sudo: Sudo = True,
) -> None:
    """Show what `up` would change, or how two plans differ. Exit code 1 where they do."""


@_command("up")
def _up(
    lab: Lab,
    settings: Set,
    on: On = "sandbox",
    dry_run: DryRun = False,
    yes: Yes = False,
    trial: Annotated[
        int, typer.Option("--try", metavar="SECONDS", help="Undo unless confirmed in time.", min=0)
    ] = 0,
    allow_overlap: Annotated[
        bool, typer.Option("--allow-overlap", help="Accept routes that overlap the host's.")
    ] = False,
    kill: Kill = False,
    allow_cut_off: Annotated[
        bool,
        typer.Option("--allow-cut-off", help="Cut off the way to you or the Internet, with --try."),
    ] = False,
    trust: Annotated[
        bool, typer.Option("--trust", help="Run commands that only the template can undo.")
    ] = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
    log: Log = None,
) -> None:
    """Run a lab's plan; when a step fails, undo what was done."""


@_command("down")
def _down(
    lab: Up = "",
    on: On = "sandbox",
    every: Annotated[bool, typer.Option("--all", help="All that are up.")] = False,
    dry_run: DryRun = False,
    kill: Kill = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
    log: Log = None,
) -> None:
    """Undo a lab that is up, and compare the kernel with before."""


@_command("repair")
def _repair(
    lab: Up = "",
    on: On = "sandbox",
    dry_run: DryRun = False,
    yes: Yes = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
    log: Log = None,
) -> None:
    """Put back what of a lab that is up has drifted."""


@_command("check")
def _check(
    settings: Set,
    lab: Up = "",
    on: On = "sandbox",
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Each command, and its answer.")
    ] = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Check what must work, what must fail, and that all is in place."""


@_command("why")
def _why(
    ends: Annotated[
        list[str],
        typer.Argument(
            metavar="[FROM] TO",
            autocompletion=_offer("containers"),
            help="FROM: a container, or host. TO: NAME or ADDRESS, with :PORT or :PORT/udp.",
        ),
    ],
    ns: Annotated[
        list[str] | None,
        typer.Option(
            "--ns",
            metavar="NAME|PID",
            help="The namespace of a process: FROM, or where FROM is given, looked into as well.",
        ),
    ] = None,
    size: Annotated[int, typer.Option("--size", help="Bytes of the packet, not to be cut.")] = 0,
    six: Annotated[bool, typer.Option("-6", help="By IPv6.")] = False,
    on: On = "sandbox",
    probe: Annotated[
        bool, typer.Option("--probe/--no-probe", help="Send a packet, and see where it goes.")
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Follow a packet, and name the first thing that stops it."""


@_command("recover")
def _recover(
    on: On = "sandbox",
    dry_run: DryRun = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
    log: Log = None,
) -> None:
    """Undo what an interrupted run left."""


@_command("status")
def _status(
    # Not `On`: where nothing is said, all are looked at.
    on: Annotated[str | None, typer.Option("--on", help="This target alone.")] = None,
    drift: Annotated[bool, typer.Option("--drift", help="Look for what has drifted.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the labs that are up, or were interrupted, on all targets."""


@_command("show")
def _show(
    name: Annotated[
        str,
        typer.Argument(
            autocompletion=_offer("containers"), help="A container, host, or a lab that is up."
        ),
    ] = "",
    on: On = "sandbox",
    as_json: AsJson = False,
) -> None:
    """Show what the kernel has in containers, and what it means."""


@_command("capture")
def _capture(
    name: ContainerName,
    link: Annotated[str, typer.Argument(help="One of its links.")],
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[FILTER]", help="arp, icmp, tcp, host ADDRESS, port N, and."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-w", "--write", help="Write a pcap file instead.")
    ] = None,
    count: Annotated[
        int, typer.Option("-c", "--count", metavar="N", help="End after so many.", min=0)
    ] = 0,
    on: On = "sandbox",
) -> None:
    """Show a link's packets as they pass, or keep them in a file."""


# What looks like an option may be one of the command that is run.
@_command("exec", context_settings={"ignore_unknown_options": True})
def _exec(
    name: ContainerName,
    command: Annotated[list[str], typer.Argument(help="The command, after --.")],
    on: On = "sandbox",
) -> None:
    """Run a command inside a container."""


@_command("shell")
def _shell(name: ContainerName = "host", on: On = "sandbox") -> None:
    """Open a shell inside a container."""


@_command("script")
def _script(
    lab: Lab, settings: Set, output: Output = None, sudo: Sudo = True, on: On = "sandbox"
) -> None:
    """Write the lab as a bash script, add|delete|check|step."""


@_command("graph")
def _graph(
    settings: Set,
    lab: Annotated[
        str,
        typer.Argument(autocompletion=_offer("labs"), help="A lab; may be left out with --live."),
    ] = "",
    form: Annotated[
        Drawing | None, typer.Option("--format", help="How; else as the file's name ends, or text.")
    ] = None,
    live: Annotated[bool, typer.Option("--live", help="What the kernel has.")] = False,
    on: On = "sandbox",
    output: Output = None,
    width: Annotated[
        int | None, typer.Option("--width", min=20, help="Columns, if not the terminal's.")
    ] = None,
) -> None:
    """Draw a lab, or what a target has."""


@_command("doctor")
def _doctor(
    settings: Set,
    lab: Annotated[
        str,
        typer.Argument(autocompletion=_offer("labs"), help="The lab that you mean to bring up."),
    ] = "",
    on: On = "sandbox",
    verbose: Unsure = False,
    as_json: AsJson = False,
) -> None:
    """Look for what would break a lab, or what a lab would break. Changes nothing."""


@_command("explain")
def _explain(
    thing: Annotated[
        str,
        typer.Argument(
            autocompletion=_offer("things"),
            help="A step in quotes, a word like drift, a kind like route, a finding like P01.",
        ),
    ],
) -> None:
    """Say what a step does, or what a word or a finding means."""


@_command("schema")
def _schema() -> None:
    """Print the JSON Schema of lab files."""


@_command("new")
def _new(
    name: Annotated[str, typer.Argument(help="The lab's name.")], output: Output = None
) -> None:
    """Write a commented lab file to start from."""


@_command("examples")
def _examples(
    name: Annotated[str, typer.Argument(help="One of them; without, they are listed.")] = "",
    output: Output = None,
) -> None:
    """List the example lab files, or print one."""


@_command("demo")
def _demo() -> None:
    """Read, run, check and undo the article's labs in a sandbox."""


_group("sandbox", "Start, stop and list sandboxes.")


@_command("sandbox", "start")
def _start(name: Annotated[str, typer.Argument()] = "default") -> None:
    """Start a sandbox that stays until it is stopped."""


@_command("sandbox", "stop")
def _stop(name: Annotated[str, typer.Argument()] = "default") -> None:
    """End a sandbox with all that is in it."""


@_command("sandbox", "list")
def _list(as_json: AsJson = False) -> None:
    """List the sandboxes that run."""


_group("vm", "Start, stop and list VMs, or run a command in one.")
Kernel = Annotated[
    str,
    typer.Option(
        "--kernel", help="A version, as 6.1, or kernel packages: a .deb, or a folder with some."
    ),
]
Memory = Annotated[int, typer.Option("--memory", metavar="MIB", help="Its memory.", min=320)]


Copy = Annotated[
    list[Path],
    typer.Option(
        "--copy",
        metavar="PATH",
        help="A file or folder of this machine that it has besides, at the same place.",
        default_factory=list,
        show_default=False,
    ),
]


@_command("vm", "start")
def _start_vm(
    name: Annotated[str, typer.Argument()] = "default", kernel: Kernel = "", memory: Memory = 384
) -> None:
    """Start a VM that stays until it is stopped."""


@_command("vm", "stop")
def _stop_vm(name: Annotated[str, typer.Argument()] = "default") -> None:
    """End a VM with all that is in it."""


@_command("vm", "list")
def _list_vms(as_json: AsJson = False) -> None:
    """List the VMs that run."""


@_command("vm", "run", context_settings={"ignore_unknown_options": True})
def _run_in_vm(
    command: Annotated[list[str], typer.Argument(help="The command, after --.")],
    copy: Copy,
    kernel: Kernel = "",
    memory: Memory = 384,
    deadline: Annotated[
        int, typer.Option("--deadline", metavar="SECONDS", help="End it after that.", min=1)
    ] = 600,
) -> None:
    """Run a command in a VM of its own; give the command's exit code, 124 after the deadline."""


def main() -> NoReturn:
    """Run the command line; an error that a user can act on is one message, not a traceback."""
    debug = _take_debug()
    sys.exit(exit_code_of(app, debug))


def _take_debug() -> bool:
    """Say whether --debug was given, and take it out; what stands after -- is not for us."""
    # Anywhere, for it is put behind a line that has just failed; so it is no option of typer's.
    end = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    ours = [word for word in sys.argv[:end] if word != "--debug"]
    sys.argv[:end] = ours
    return len(ours) < end
