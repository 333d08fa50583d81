"""The command `exec`: a program in a container, in place of cnetsh."""

import contextlib
import os
import re
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from shutil import which
from typing import TextIO

from cnetsh.commands.entering import HOST, in_container, refuse_no_container
from cnetsh.errors import CnetshError
from cnetsh.system import signals
from cnetsh.system.process import FOLDERS, tool

# A folder with what zsh reads in place of the user's own files.
_ZSH = Path(__file__).parent / "zsh"


def run(name: str, command: Sequence[str], on: str) -> int:
    """Run a command, or a shell, in a container or the target itself; give its exit code."""
    with signals.terminal_kept():
        return in_container(name, on, partial(become, name, command, (sys.stdin, sys.stdout)))


def become(name: str, command: Sequence[str], streams: Sequence[TextIO]) -> int:
    """Be a command in a container, or here; it gives its own exit code. Raises CnetshError."""
    refuse_no_container(name)
    prompt = {} if command else _prompt(name)
    if not command:
        signals.take_terminal()
    command = command or [os.environ.get("SHELL", "/bin/sh")]
    # The user's own commands first; sbin is missing in the PATH of many.
    path = f"{os.environ.get('PATH', '')}:{':'.join(FOLDERS)}"
    # `ip netns exec` would end with 1; a shell ends so.
    if which(word := command[0], path=path) is None:
        if "/" in word and Path(word).exists():
            raise CnetshError(f"{word} cannot be run: it is no program, or not for you", code=126)
        raise _no_command(word)
    argv = list(command) if name == HOST else [tool("ip"), "netns", "exec", name, *command]
    for stream in streams:
        # What is buffered would go with this program, in whose place the other one comes.
        stream.flush()
    # A word of nothing is no command either, which execve has Python say in its own way.
    with contextlib.suppress(FileNotFoundError, ValueError):
        os.execvpe(argv[0], argv, {**os.environ, **prompt, "PATH": path})
    raise _no_command(command[0])


def _no_command(word: str) -> CnetshError:
    return CnetshError(f"there is no command {word or 'of that name'}", code=127)


def _prompt(name: str) -> dict[str, str]:
    """Give what has a shell's prompt say where it is: [net0] #."""
    # A shell runs what else may stand in its prompt, and somebody else may have named this one.
    if not re.fullmatch(r"[\w.-]+", name):
        return {}
    text = f"[{name}] {'$' if os.geteuid() else '#'} "
    said = {"PS1": text, "PROMPT_COMMAND": f"PS1='{text}'"}
    # A shell reads its own files first, and sets PS1 there; this bash does before each prompt, and
    # zsh finds what does so in the file that it is made to read.
    if Path(os.environ.get("SHELL", "")).name == "zsh":
        own = os.environ.get("ZDOTDIR", "")
        said |= {"CNETSH_PROMPT": text, "CNETSH_ZDOTDIR": own, "ZDOTDIR": str(_ZSH)}
    return said
