"""The command line: commands, options, and which function gives the exit code."""

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cnetsh.commands.output import write

# No rich help: it would be imported for every command (typer's documented switch).
app = typer.Typer(
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
)
sandbox_app = typer.Typer(help="Start, stop and list sandboxes.", no_args_is_help=True)
app.add_typer(sandbox_app, name="sandbox")


Format = StrEnum("Format", ["rich", "shell", "json", "markdown"])
Drawing = StrEnum("Drawing", ["ascii", "mermaid", "dot", "svg"])

Lab = Annotated[
    str,
    typer.Argument(help="A built-in lab, a lab file, a folder with templates, or a saved plan."),
]
Set = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Set a parameter of the lab.")
]
On = Annotated[
    str, typer.Option("--on", envvar="CNETSH_ON", help="Where: sandbox, sandbox:NAME or host.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print facts as JSON.")]
Output = Annotated[Path | None, typer.Option("-o", "--output", help="Write to this file.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Every step, with its time.")]
Log = Annotated[Path | None, typer.Option("--log", help="Append a JSON line for every step.")]
Sudo = Annotated[bool, typer.Option("--sudo/--no-sudo", help="With or without sudo in front.")]


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        print(f"cnetsh {version('cnetsh')}")
        _end(0)


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say which it is.")
    ] = False,
) -> None:
    """Linux container networks that you can read before you run them, run, check and undo."""


@app.command()
def labs(json: AsJson = False) -> None:
    """List the built-in labs and their parameters."""
    from cnetsh.commands import pages

    sys.stdout.write(pages.labs(json))


@app.command()
def plan(
    lab: Lab,
    settings: Set = None,
    down: Annotated[bool, typer.Option("--down", help="The plan of `down`.")] = False,
    form: Annotated[Format, typer.Option("--format", help="How it is printed.")] = Format.rich,
    output: Output = None,
    sudo: Sudo = True,
    on: Annotated[
        str, typer.Option("--on", envvar="CNETSH_ON", help="Mark what each step finds there.")
    ] = "",
) -> None:
    """Show a lab's commands, each with its reason and its undo. Runs nothing."""
    from cnetsh.commands import pages

    chosen = _plan_format(form, output)
    if on and chosen not in ("shell", "markdown"):
        from cnetsh.commands import look

        _end(look.plan(lab, settings or [], down, chosen, on, output))
    text = pages.plan(lab, settings or [], down, chosen, sudo)
    write(text, output) if output else sys.stdout.write(text)


def _plan_format(form: Format, output: Path | None) -> str:
    """Give the format: that of the file's name when only a file is named."""
    by_name = {".json": "saved", ".md": "markdown", ".sh": "shell"}
    if form == Format.rich and output:
        return by_name.get(output.suffix, "shell")
    return "saved" if form == Format.json and output and output.suffix == ".json" else form


@app.command()
def up(
    lab: Lab,
    settings: Set = None,
    on: On = "sandbox",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would run.")] = False,
    trial: Annotated[
        int, typer.Option("--try", metavar="SECONDS", help="Undo unless confirmed in time.", min=0)
    ] = 0,
    allow_overlap: Annotated[
        bool, typer.Option("--allow-overlap", help="Accept routes that overlap the host's.")
    ] = False,
    verbose: Verbose = False,
    log: Log = None,
) -> None:
    """Run a lab's plan; when a step fails, undo what was done."""
    from cnetsh.commands import act

    options = act.Options(verbose, log, trial, allow_overlap)
    _end(act.up(lab, settings or [], on, dry_run, options))


@app.command()
def down(
    lab: Lab,
    on: On = "sandbox",
    kill: Annotated[bool, typer.Option("--kill", help="End the processes inside it.")] = False,
    verbose: Verbose = False,
    log: Log = None,
) -> None:
    """Undo a lab that is up, and compare the kernel with before."""
    from cnetsh.commands import act

    _end(act.down(lab, on, kill, act.Options(verbose, log)))


@app.command()
def check(lab: Lab, settings: Set = None, on: On = "sandbox", json: AsJson = False) -> None:
    """Check what must work, what must fail, and that all is in place."""
    from cnetsh.commands import look

    _end(look.check(lab, settings or [], on, json))


@app.command()
def recover(on: On = "sandbox", verbose: Verbose = False, log: Log = None) -> None:
    """Undo what an interrupted run left."""
    from cnetsh.commands import act

    _end(act.recover(on, act.Options(verbose, log)))


@app.command()
def status(on: On = "sandbox", json: AsJson = False) -> None:
    """List the labs that are up, or were interrupted."""
    from cnetsh.commands import look

    _end(look.status(on, json))


@app.command(name="exec", context_settings={"ignore_unknown_options": True})
def exec_(
    name: Annotated[str, typer.Argument(help="A container, or host for the target itself.")],
    command: Annotated[list[str], typer.Argument(help="The command, after --.")],
    on: On = "sandbox",
) -> None:
    """Run a command inside a container."""
    from cnetsh.commands import look

    _end(look.execute_in(name, command, on))


@app.command()
def shell(
    name: Annotated[
        str, typer.Argument(help="A container, or host for the target itself.")
    ] = "host",
    on: On = "sandbox",
) -> None:
    """Open a shell inside a container."""
    from cnetsh.commands import look

    _end(look.execute_in(name, [os.environ.get("SHELL", "/bin/sh")], on))


@app.command()
def script(lab: Lab, settings: Set = None, output: Output = None, sudo: Sudo = True) -> None:
    """Write the lab as a stand-alone shell script, add|delete."""
    from cnetsh.commands import pages

    text = pages.script(lab, settings or [], sudo)
    write(text, output) if output else sys.stdout.write(text)


@app.command()
def graph(
    lab: Annotated[str, typer.Argument(help="A lab; may be left out with --live.")] = "",
    settings: Set = None,
    form: Annotated[Drawing, typer.Option("--format", help="How it is drawn.")] = Drawing.ascii,
    live: Annotated[bool, typer.Option("--live", help="What the kernel has.")] = False,
    on: On = "sandbox",
    output: Output = None,
) -> None:
    """Draw namespaces, links, bridges, addresses and routes."""
    from cnetsh.commands import look, pages

    if live:
        _end(look.live_graph(on, form))
    text = pages.graph(lab, settings or [], form)
    write(text, output) if output else sys.stdout.write(text)


@app.command()
def doctor(
    lab: Annotated[str, typer.Argument(help="The lab that you mean to bring up.")] = "",
    settings: Set = None,
    on: On = "sandbox",
    json: AsJson = False,
) -> None:
    """Look for what would break a lab, or what a lab would break. Changes nothing."""
    from cnetsh.commands import look

    _end(look.doctor(lab, settings or [], on, json))


@app.command()
def schema() -> None:
    """Print the JSON Schema of lab files."""
    from cnetsh.commands import pages

    sys.stdout.write(pages.schema())


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="The lab's name.")], output: Output = None
) -> None:
    """Write a commented lab file to start from."""
    from cnetsh.commands import pages

    write(pages.starter(name), output or Path(f"{name}.yaml"))


@app.command()
def demo() -> None:
    """Read, run, check and undo the article's labs in a sandbox."""
    from cnetsh.commands import boxes

    _end(boxes.demo())


@sandbox_app.command()
def start(name: Annotated[str, typer.Argument()] = "default") -> None:
    """Start a sandbox that stays until it is stopped."""
    from cnetsh.commands import boxes

    _end(boxes.start(name))


@sandbox_app.command()
def stop(name: Annotated[str, typer.Argument()] = "default") -> None:
    """End a sandbox with all that is in it."""
    from cnetsh.commands import boxes

    _end(boxes.stop(name))


@sandbox_app.command(name="list")
def list_(json: AsJson = False) -> None:
    """List the sandboxes that run."""
    from cnetsh.commands import boxes

    _end(boxes.running(json))


def _end(code: int) -> None:
    raise typer.Exit(code)
