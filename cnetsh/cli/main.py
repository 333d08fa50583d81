"""The command line: what can be typed, and what the program ends with.

A function here only declares a command: its parameters are what can be typed, its docstring is the
help. The file of that name in commands/ does it, and is loaded when the command is called: `run`,
or run_NAME for a command of a group, takes the same parameters and gives the exit code or None.
"""

import os
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from cnetsh import __version__
from cnetsh.cli.declaring import app, declares, group
from cnetsh.cli.parameters import (
    VM,
    AsJson,
    Box,
    ContainerName,
    Copy,
    Drawing,
    DryRun,
    Form,
    Format,
    Kernel,
    Kill,
    Lab,
    Log,
    Memory,
    On,
    Output,
    Quiet,
    Set,
    Sudo,
    Unsure,
    Up,
    Verbose,
    Wanted,
    Yes,
    argument,
    option,
)
from cnetsh.commands.output import exit_code_of


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
        bool, option("--version", "Say which it is.", callback=_version, is_eager=True)
    ] = False,
    no_pager: Annotated[
        bool, option("--no-pager", "Print long plans at once.", callback=_unpaged)
    ] = False,
) -> None:
    """Linux container networks that you can read before you run them, run, check and undo."""


@declares("labs")
def _labs(
    lab: Annotated[str, argument("One of them, or a folder with templates.", "labs")] = "",
    as_json: AsJson = False,
) -> None:
    """List the built-in labs, or explain the parameters of one."""


@declares("plan")
def _plan(
    lab: Lab,
    settings: Set,
    down: Annotated[bool, option("--down", "The plan of `down`.")] = False,
    form: Form = Format.table,
    output: Output = None,
    sudo: Sudo = True,
    # Not `On`: where nothing is said, nothing is looked at.
    on: Annotated[
        str, option("--on", "Mark what each step finds there.", "targets", envvar="CNETSH_ON")
    ] = "",
    verbose: Unsure = False,
) -> None:
    """Show a lab's commands, each with its reason and its undo. Runs nothing."""


@declares("diff")
def _diff(
    lab: Wanted,
    settings: Set,
    other: Annotated[
        str, argument("Another lab or plan: how they differ, without a target.", "wanted")
    ] = "",
    on: On = "sandbox",
    form: Form = Format.table,
    output: Output = None,
    sudo: Sudo = True,
) -> None:
    """Show what `up` would change, or how two plans differ. Exit code 1 where they do."""


@declares("up")
def _up(
    lab: Wanted,
    settings: Set,
    on: On = "sandbox",
    dry_run: DryRun = False,
    yes: Yes = False,
    trial: Annotated[
        int, option("--try", "Undo unless confirmed in time.", metavar="SECONDS", min=0)
    ] = 0,
    allow_overlap: Annotated[
        bool, option("--allow-overlap", "Accept routes that overlap the host's.")
    ] = False,
    kill: Kill = False,
    allow_cut_off: Annotated[
        bool, option("--allow-cut-off", "Cut off the way to you or the Internet, with --try.")
    ] = False,
    trust: Annotated[
        bool, option("--trust", "Run commands that only the template can undo.")
    ] = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
    log: Log = None,
) -> None:
    """Run a lab's plan; when a step fails, undo what was done."""


@declares("down")
def _down(
    lab: Up = "",
    on: On = "sandbox",
    every: Annotated[bool, option("--all", "All that are up.")] = False,
    dry_run: DryRun = False,
    kill: Kill = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
    log: Log = None,
) -> None:
    """Undo a lab that is up, and compare the kernel with before."""


@declares("repair")
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


@declares("check")
def _check(
    settings: Set,
    lab: Up = "",
    on: On = "sandbox",
    verbose: Annotated[bool, option("--verbose -v", "Each command, and its answer.")] = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Check what must work, what must fail, and that all is in place."""


@declares("why")
def _why(
    ends: Annotated[
        list[str],
        argument(
            "FROM: a container, or host. TO: NAME or ADDRESS, with :PORT or :PORT/udp.",
            "containers",
            metavar="[FROM] TO",
        ),
    ],
    ns: Annotated[
        list[str] | None,
        option(
            "--ns",
            "The namespace of a process: FROM, or where FROM is given, looked into as well.",
            metavar="NAME|PID",
        ),
    ] = None,
    size: Annotated[int, option("--size", "Bytes of the packet, not to be cut.", min=0)] = 0,
    six: Annotated[bool, option("-6", "By IPv6.")] = False,
    on: On = "sandbox",
    probe: Annotated[
        bool, option("--probe/--no-probe", "Send a packet, and see where it goes.")
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Follow a packet, and name the first thing that stops it."""


@declares("recover")
def _recover(
    on: On = "sandbox",
    dry_run: DryRun = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
    log: Log = None,
) -> None:
    """Undo what an interrupted run left."""


@declares("status")
def _status(
    # Not `On`: where nothing is said, all are looked at.
    on: Annotated[str | None, option("--on", "This target alone.", "targets")] = None,
    drift: Annotated[bool, option("--drift", "Look for what has drifted.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the labs that are up, or were interrupted, on all targets."""


@declares("show")
def _show(
    name: Annotated[str, argument("A container, host, or a lab that is up.", "containers")] = "",
    on: On = "sandbox",
    as_json: AsJson = False,
) -> None:
    """Show what the kernel has in containers, and what it means."""


@declares("capture")
def _capture(
    name: ContainerName,
    link: Annotated[str, argument("One of its links.")],
    words: Annotated[
        list[str] | None, argument("arp, icmp, tcp, host ADDRESS, port N, and.", metavar="[FILTER]")
    ] = None,
    output: Annotated[Path | None, option("-w --write", "Write a pcap file instead.")] = None,
    count: Annotated[int, option("-c --count", "End after so many.", metavar="N", min=0)] = 0,
    on: On = "sandbox",
) -> None:
    """Show a link's packets as they pass, or keep them in a file."""


# What looks like an option may be one of the command that is run.
@declares("exec", context_settings={"ignore_unknown_options": True})
def _exec(
    name: ContainerName,
    command: Annotated[list[str], argument("The command, after --.")],
    on: On = "sandbox",
) -> None:
    """Run a command inside a container."""


@declares("shell")
def _shell(name: ContainerName = "host", on: On = "sandbox") -> None:
    """Open a shell inside a container."""


@declares("script")
def _script(
    lab: Lab, settings: Set, output: Output = None, sudo: Sudo = True, on: On = "sandbox"
) -> None:
    """Write the lab as a bash script, add|delete|check|step."""


@declares("graph")
def _graph(
    settings: Set,
    lab: Annotated[str, argument("A lab; may be left out with --live.", "labs")] = "",
    form: Annotated[
        Drawing | None, option("--format", "How; else as the file's name ends, or text.")
    ] = None,
    live: Annotated[bool, option("--live", "What the kernel has.")] = False,
    on: On = "sandbox",
    output: Output = None,
    width: Annotated[
        int | None, option("--width", "Columns, if not the terminal's.", min=20)
    ] = None,
) -> None:
    """Draw a lab, or what a target has."""


@declares("doctor")
def _doctor(
    settings: Set,
    lab: Annotated[str, argument("The lab that you mean to bring up.", "labs")] = "",
    on: On = "sandbox",
    verbose: Unsure = False,
    as_json: AsJson = False,
) -> None:
    """Look for what would break a lab, or what a lab would break. Changes nothing."""


# A step has options of its own.
@declares("explain", context_settings={"ignore_unknown_options": True})
def _explain(
    words: Annotated[
        list[str],
        argument(
            "A step, a word like drift, a kind like route, a finding like P01.",
            "things",
            metavar="THING...",
        ),
    ],
) -> None:
    """Say what a step does, or what a word or a finding means."""


@declares("schema")
def _schema() -> None:
    """Print the JSON Schema of lab files."""


@declares("new")
def _new(name: Annotated[str, argument("The lab's name.")], output: Output = None) -> None:
    """Write a commented lab file to start from."""


@declares("examples")
def _examples(
    name: Annotated[str, argument("One of them; without, they are listed.", "examples")] = "",
    output: Output = None,
) -> None:
    """List the example lab files, or print one."""


@declares("demo")
def _demo() -> None:
    """Read, run, check and undo the article's labs in a sandbox."""


group("sandbox", "Start, stop and list sandboxes.")


@declares("sandbox", "start")
def _start_sandbox(name: Box = "default") -> None:
    """Start a sandbox that stays until it is stopped."""


@declares("sandbox", "stop")
def _stop_sandbox(name: Box = "default") -> None:
    """End a sandbox with all that is in it."""


@declares("sandbox", "list")
def _list_sandboxes(as_json: AsJson = False) -> None:
    """List the sandboxes that run."""


group("vm", "Start, stop and list VMs, or run a command in one.")


@declares("vm", "start")
def _start_vm(name: VM = "default", kernel: Kernel = "", memory: Memory = 384) -> None:
    """Start a VM that stays until it is stopped."""


@declares("vm", "stop")
def _stop_vm(name: VM = "default") -> None:
    """End a VM with all that is in it."""


@declares("vm", "list")
def _list_vms(as_json: AsJson = False) -> None:
    """List the VMs that run."""


@declares("vm", "run", context_settings={"ignore_unknown_options": True})
def _run_in_vm(
    command: Annotated[list[str], argument("The command, after --.")],
    copy: Copy,
    kernel: Kernel = "",
    memory: Memory = 384,
    deadline: Annotated[
        int, option("--deadline", "End it after that.", metavar="SECONDS", min=1)
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
