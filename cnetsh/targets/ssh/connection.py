"""The connection to another machine: OpenSSH's client, with the caller's own configuration.

One connection serves all sessions (ControlMaster of ssh_config(5)), and the commands that follow
within PERSIST seconds. Passwords, keys and unknown hosts are between ssh and the caller.
"""

import fcntl
import os
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cnetsh.errors import CnetshError
from cnetsh.system.files import open_private, private_folder, runtime_folder
from cnetsh.system.process import FOLDERS, spawn_own, tool

PERSIST = 60
# A socket's path has 107 bytes (unix(7)), of which ssh takes 57 for its name.
_LONGEST = 107 - 57 - len("/ssh/")
# A connection that says nothing for three times as long is broken.
ALIVE = 5
BROKEN = 255
# By which exit codes the start says that there is nothing to start.
OLD, NO_PYTHON, NO_SUDO = 96, 97, 98
PYTHONS = "python3 python3.14 python3.13 python3.12 python3.11"
# The system's own first: what a person has put before them may be slow, and is not root's.
FOUND = f"PATH={':'.join(FOLDERS)}:$PATH command -v"
AS_ROOT = (
    f's=; [ $(id -u) = 0 ] || {{ {FOUND} sudo >/dev/null || exit 98; s="env LC_ALL=C sudo -n"; }}; '
)


@dataclass(frozen=True, slots=True)
class Place:
    """Whom to connect to, as ssh(1) takes it; "" where the caller's configuration decides."""

    host: str
    user: str = ""
    port: str = ""

    @property
    def words(self) -> list[str]:
        """The words of ssh's command line that say it."""
        user, port = ["-l", self.user], ["-p", self.port]
        return [*(user if self.user else []), *(port if self.port else []), "--", self.host]

    def __str__(self) -> str:
        """Give it as it is typed behind `--on`."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"ssh:{self.user}{'@' * bool(self.user)}{host}{':' * bool(self.port)}{self.port}"


def place(text: str) -> Place | None:
    """Read [USER@]HOST[:PORT], an IPv6 address in brackets; None where it is none."""
    # Nothing that ssh would take for an option, or a shell for more than a word.
    name = r"[A-Za-z0-9_][A-Za-z0-9._-]*"
    found = re.fullmatch(rf"(?:({name})@)?({name}|\[[0-9A-Fa-f:.]+(?:%{name})?\])(?::(\d+))?", text)
    return found and Place(found[2].strip("[]"), found[1] or "", found[3] or "")


def command(to: Place, script: str = "", *options: str) -> list[str]:
    """Give the command line of a session on the connection: sh runs the script there."""
    settings = {
        "ControlPath": f"{_folder()}/%C",
        "RemoteCommand": "none",
        "ClearAllForwardings": "yes",
        "LogLevel": "ERROR",
    }
    given = [word for key, value in settings.items() for word in ("-o", f"{key}={value}")]
    there = [f"exec sh -c {shlex.quote(script)}"] if script else []
    return [tool("ssh"), *options, *given, *to.words, *there]


def _folder() -> Path:
    folder = runtime_folder()
    if len(os.fsencode(folder)) > _LONGEST:
        folder = private_folder(Path(f"/tmp/cnetsh-{os.geteuid()}"))
    return private_folder(folder / "ssh")


def connect(to: Place) -> None:
    """Connect, unless the connection stands. Raises CnetshError when it cannot be made."""
    name = "-".join(filter(None, (to.user, to.host, to.port)))
    lock = open_private(_folder() / f"{name}.lock", os.O_RDWR | os.O_CREAT)
    try:
        # Of two who connect at once the later would get one that nobody can use, nor ends.
        fcntl.flock(lock, fcntl.LOCK_EX)
        stands = command(to, "", "-O", "check")
        options = {"ServerAliveInterval": ALIVE, "ControlPersist": PERSIST}
        words = [word for key, value in options.items() for word in ("-o", f"{key}={value}")]
        # It may have to ask for a password, at the terminal.
        if _ended(stands, silent=True) and _ended(command(to, "", "-MNTfx", *words), silent=False):
            said = " ".join(to.words).replace("-- ", "")
            raise CnetshError(
                f"no connection to {to.host}: nothing was executed",
                f"see above; this has to work: ssh {said} true",
            )
    finally:
        os.close(lock)


def _ended(argv: Sequence[str], silent: bool) -> int:
    with Path(os.devnull).open("r+b") as null:
        fd = null.fileno()
        return spawn_own(argv, (fd, fd, fd if silent else 2), apart=silent).wait()
