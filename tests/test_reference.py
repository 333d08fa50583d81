"""docs/reference.md is what the program says of itself; with --golden it is written anew."""

import re
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

import cnetsh
from cnetsh import errors
from cnetsh.cli.main import app
from cnetsh.commands.words import WORDS

PACKAGE = Path(cnetsh.__file__).parent
PAGES = [*PACKAGE.parent.glob("*.md"), *sorted((PACKAGE.parent / "docs").rglob("*.md"))]
# By what the constants of errors.py are, then what comes from elsewhere.
EXITS = {
    "DONE": "done, or nothing to do",
    "FAILED": "failed, and what was done is undone again; or a check failed, `diff` found "
    "differences, a packet of `why` does not arrive",
    "REFUSED": "bad usage, a bad lab or plan, something that is not met, or a question that "
    "nobody answers: nothing was run",
    "LEFT_BEHIND": "something was left behind or could not be read: each thing is named",
    "STOPPED": "`why`: it stops at a named place for a reason that is not known",
}
MORE = {
    "124": "`vm run`: the command did not end before `--deadline`",
    "129, 130, 143": "hung up, interrupted (Ctrl-C) or ended, and what was done is undone again",
    "141": "a command that only looks, whose output nobody reads any more",
    "any": "`exec`, `shell` and `vm run`: that of the command",
}
ENVIRONMENT = {
    "CNETSH_ON": "the target where `--on` is not given",
    "NO_COLOR": "no colours",
    "COLUMNS": "how wide what is printed is, rather than as the terminal is",
    "PAGER": "what shows a plan that is longer than the terminal; `cat` or nothing: none does",
    "LESS": "options of `less`, else `FRX`",
    "TERM": "`dumb` is no colours",
    "LC_ALL": "whether `graph` and `check` print more than ASCII, else `LANG`",
    "SHELL": "what `shell` opens",
    "ZDOTDIR": "where the files are that `shell` has zsh read, else `HOME`",
    "PATH": "where `exec` finds the command",
    "XDG_RUNTIME_DIR": "where sandboxes, VMs and connections are noted while they run",
    "XDG_CACHE_HOME": "where kernels and files of VMs are kept, else `~/.cache`",
    "SSH_CONNECTION": "who is connected by ssh, whom a lab on the host must not cut off",
    "SUDO_UID": "who called `sudo`, whose saved plan may be run",
}
TITLE = "Linux container networks that you can read before you run them"
HEAD = """\
# Reference

Made from the program by `make golden`.

## Commands

LAB is a built-in lab, a lab file (`.yaml`), a folder with templates, a saved plan (`.json`), or,
but for `up` and `diff`, the name of a lab that is up.
"""


def commands(group: Any, context: Any) -> Iterator[str]:
    for name in group.list_commands(context):
        one = group.get_command(context, name)
        own = typer.Context(one, parent=context, info_name=name, terminal_width=100)
        if hasattr(one, "list_commands"):
            yield from commands(one, own)
        else:
            yield f"### {own.command_path}\n\n```\n{one.get_help(own)}\n```\n"


def table(title: str, head: str, rows: dict[str, str]) -> str:
    lines = [f"| {key} | {text} |" for key, text in rows.items()]
    return "\n".join([f"## {title}\n", f"| {head} | |", "|---|---|", *lines, ""])


def test_it_is_what_the_program_says(golden: Callable[[str, str], None]) -> None:
    group: Any = typer.main.get_command(app)
    context = typer.Context(group, info_name="cnetsh", help_option_names=["-h", "--help"])
    exits = {str(getattr(errors, name)): text for name, text in EXITS.items()} | MORE
    variables = {f"`{name}`": text for name, text in ENVIRONMENT.items()}
    parts = [HEAD, *commands(group, context), table("Exit codes", "Code", exits)]
    parts += [table("Environment", "Name", variables), table("Words", "Word", WORDS)]
    page = "\n".join(parts)
    golden("../../docs/reference.md", page)
    golden("../../docs/cnetsh.1", "".join(f"{line}\n" for line in man_page(page)))


def man_page(page: str) -> Iterator[str]:
    """The same in the language of man(7)."""
    yield '.TH CNETSH 1 "" cnetsh "User Commands"'
    yield from (".SH NAME", f"cnetsh \\- {TITLE}", ".SH SYNOPSIS", ".B cnetsh", "COMMAND ...")
    verbatim = False
    # The page's own title is not one of its parts.
    for line in page[page.index("## ") :].splitlines():
        text = re.sub(r"^([.'])", r"\\&\1", line.replace("\\", "\\e").replace("-", "\\-"))
        if line == "```":
            verbatim = not verbatim
            yield ".nf" if verbatim else ".fi"
        elif line.startswith("| ") and not line.endswith("| |"):
            yield from (".TP", *text.strip("| ").replace("`", "").split(" | ", 1))
        elif line.startswith("#"):
            yield f".{'SS' if line[:3] == '###' else 'SH'} {text.strip('# ')}"
        elif line and not line.startswith("|"):
            yield text
        elif verbatim:
            yield ".sp"


def test_the_man_page_can_be_set_without_a_warning() -> None:
    if not shutil.which("groff"):
        pytest.skip("groff is not installed")
    argv = ["groff", "-man", "-Tutf8", "-ww", "-wall", str(PACKAGE.parent / "docs/cnetsh.1")]
    done = subprocess.run(argv, capture_output=True, text=True)
    assert done.stderr == "" and "cnetsh capture" in done.stdout


def words_of(page: Path) -> Iterator[list[str]]:
    """What a page would have one type of cnetsh, in a sentence or in a session."""
    text = page.read_text(encoding="utf-8")
    for typed in re.findall(r"`cnetsh ([^`]+)`|^\$ cnetsh (.+)$", text, re.MULTILINE):
        # One of several words may be typed, and what stands in brackets need not be.
        said = re.sub(r"\w+(\|\w+)+", lambda found: found[0].split("|")[0], "".join(typed))
        yield shlex.split(re.sub(r"\[[^]]*\]|…", "", said))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_a_page_names_is_there(page: Path) -> None:
    group: Any = typer.main.get_command(app)
    for words in words_of(page):
        context, rest = group, words
        while hasattr(context, "list_commands") and rest and rest[0][0] != "-":
            context, rest = context.get_command(None, rest[0]), rest[1:]
            assert context, words
        options = {opt for one in context.params for opt in (*one.opts, *one.secondary_opts)}
        own = rest[: rest.index("--")] if "--" in rest else rest
        named = {word for word in own if re.match("--?[a-z]", word)}
        assert named <= options | {"--help"}, words
    for link in re.findall(r"\]\(([^):#]+)\)", page.read_text(encoding="utf-8")):
        assert (page.parent / link).exists(), link


def test_the_readme_is_two_screens_for_a_newcomer() -> None:
    text = (PACKAGE.parent / "README.md").read_text(encoding="utf-8")
    assert text.count("\n") <= 110
    assert (
        "$ cnetsh graph routing\n" in text and "    make demo " in text and "    make test " in text
    )


def test_no_exit_code_and_no_variable_is_missing() -> None:
    texts = [file.read_text(encoding="utf-8") for file in PACKAGE.rglob("*.py")]
    asked = {name for text in texts for name in re.findall(r'environ\.get\(\s*"(\w+)"', text)}
    assert asked <= {*ENVIRONMENT, "LANG", "COMP_WORDS", "_TYPER_COMPLETE_ARGS"}
    codes = {name for name, value in vars(errors).items() if isinstance(value, int)}
    assert codes == set(EXITS)
