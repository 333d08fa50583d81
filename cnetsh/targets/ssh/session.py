"""What is done on another machine, seen from here: what goes there, what comes back, how it ends.

Ctrl-C and the like are told to cnetsh over there, on its standard input: the end of the connection
does not stop it, and is not meant to.
"""

import contextlib
import json
import os
import sys
import threading
import zlib
from base64 import b64decode, b64encode
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any, NoReturn

from cnetsh.errors import LEFT_BEHIND, CnetshError
from cnetsh.system.process import spawn_own
from cnetsh.system.signals import followed, hold_back, release
from cnetsh.targets import travel
from cnetsh.targets.ssh import code, connection, starter
from cnetsh.targets.ssh.connection import AS_ROOT, BROKEN, NO_PYTHON, NO_SUDO, OLD, Place

STARTER = Path(starter.__file__).read_bytes()
# Whichever Python of the machine is new enough; its exit code stays that of the shell around it.
START = (
    f"{AS_ROOT}for p in {connection.PYTHONS}; do p=$({connection.FOUND} $p) || continue; "
    f'$s $p -X utf8 -I -S -c "import sys;sys.version_info<(3,11)and sys.exit({OLD});'
    f'exec(sys.stdin.buffer.read({len(STARTER)}))"; c=$?; [ $c = {OLD} ] || exit $c; done; '
    f"exit {NO_PYTHON}"
)
# What the action prints there depends on these of the caller's.
ENVIRONMENT = ("NO_COLOR", "TERM")
PIECE = 1 << 16


def do(name: str, action: Callable[[], int]) -> int:
    """Do an action on another machine, given as it is typed, as root; give its exit code.

    Raises CnetshError when it cannot begin, and when the connection breaks.
    """
    to, parcel = connection.place(name), travel.packed(action)
    assert to
    # Meanwhile, for both take their time.
    reading = threading.Thread(target=_code)
    reading.start()
    connection.connect(to)
    reading.join()
    if parcel.terminal:
        _in_terminal(to, parcel)
    return Session(to, parcel).run()


@cache
def _code() -> tuple[str, starter.Files]:
    files = code.files()
    return starter.digest(files), files


def _request(parcel: travel.Parcel) -> dict[str, Any]:
    return {
        "code": _code()[0],
        "content": b64encode(zlib.compress(parcel.content)).decode(),
        "streams": len(parcel.streams),
        "argv": sys.argv,
        "terminal": parcel.terminal,
        "environment": {key: os.environ[key] for key in ENVIRONMENT if key in os.environ},
    }


def _in_terminal(to: Place, parcel: travel.Parcel) -> NoReturn:
    """Be a session that has the caller's terminal: what is typed goes there, Ctrl-C too."""
    # Another session sees to it that cnetsh is there: beside what is typed there is no room for it.
    before = Session(to, travel.packed(partial(int)))
    before.run()
    release()
    program = starter.FOLDER / _code()[0] / "cnetsh/targets/ssh/starter.py"
    given = b64encode(json.dumps(_request(parcel)).encode()).decode()
    script = f"{AS_ROOT}$s {before.python} -X utf8 -I -S {program} {given}; exit $?"
    argv = connection.command(to, script, "-t")
    os.execve(argv[0], argv, os.environ)


class Session:
    """One action on another machine, from its request to its exit code."""

    def __init__(self, to: Place, parcel: travel.Parcel) -> None:
        self.to, self.parcel = to, parcel
        # What came before the action began, and why it did not.
        self.said, self.refused = b"", ""
        # Which Python has begun it there.
        self.python = ""
        self.signal = 0
        self.sending = threading.Lock()

    def run(self) -> int:
        """Do it, its streams the caller's; give its exit code. Raises CnetshError."""
        (theirs, self.input), (answers, to_us) = os.pipe(), os.pipe()
        for stream in self.parcel.streams[1:]:
            stream.flush()
        hold_back()
        argv = connection.command(self.to, START, "-T")
        streams = (theirs, self.parcel.streams[1].fileno(), to_us)
        ssh = spawn_own(argv, streams, apart=True)
        os.close(theirs)
        os.close(to_us)
        listening = threading.Thread(target=self._listen, args=(answers,))
        listening.start()
        exit_code = followed(ssh.pid, self._stop)
        listening.join()
        os.close(answers)
        return self._ended(exit_code)

    def _listen(self, answers: int) -> None:
        self._send(STARTER + json.dumps(_request(self.parcel)).encode() + b"\n")
        waiting = b""
        while piece := os.read(answers, PIECE):
            waiting = self._heard(waiting + piece)

    def _send(self, content: bytes) -> None:
        # Where ssh has ended, its exit code says why.
        with self.sending, contextlib.suppress(OSError):
            while content:
                content = content[os.write(self.input, content) :]

    def _heard(self, text: bytes) -> bytes:
        """Take what came, and what is said there tell here; give the beginning of an answer."""
        while text:
            said, mark, text = text.partition(b"\0")
            self._tell(said)
            answer, end, text = text.partition(b"\n")
            if mark and not end:
                return mark + answer
            if mark:
                self._take(answer.decode(errors="replace"))
        return b""

    def _tell(self, said: bytes) -> None:
        if not self.python:
            self.said += said
            return
        with contextlib.suppress(OSError):
            while said:
                said = said[os.write(2, said) :]

    def _take(self, answer: str) -> None:
        match answer.split(" "):
            case [starter.WANTS]:
                archive = zlib.compress(json.dumps(_code()[1]).encode())
                self._send(b64encode(archive) + b"\n")
            case [starter.BEGUN, python]:
                self.python = python
                self._begun()
            case [starter.REFUSED, *words]:
                self.refused = " ".join(words)
            case [number, content] if number.isdecimal():
                self._write(int(number), b64decode(content))
            case _:
                self._tell(f"\0{answer}\n".encode())

    def _begun(self) -> None:
        if self.signal:
            self._stop(self.signal)
        if self.parcel.reads:
            threading.Thread(target=self._pass_input, daemon=True).start()

    def _pass_input(self) -> None:
        with contextlib.suppress(OSError):
            while piece := os.read(self.parcel.streams[0].fileno(), PIECE):
                self._send(starter.TYPED + b64encode(piece) + b"\n")
        self._send(starter.END)

    def _write(self, number: int, content: bytes) -> None:
        stream = self.parcel.streams[number]
        try:
            stream.buffer.write(content)
            stream.buffer.flush()
        except OSError as error:
            self._tell(f"{stream.name} cannot be written: {error.strerror}\n".encode())

    def _stop(self, number: int) -> None:
        """Pass a signal on; before the action has begun, when it has."""
        self.signal = self.signal or number
        if self.python:
            self._send(b"%d\n" % number)

    def _ended(self, exit_code: int) -> int:
        """Give the exit code of the action. Raises CnetshError where it is not known, or none."""
        if exit_code < 0 or (exit_code == BROKEN and not connection.is_open(self.to)):
            raise CnetshError(
                f"the connection to {self.to.host} broke", self._goes_on(), LEFT_BEHIND
            )
        if self.python:
            return exit_code
        raise CnetshError(*self._not_begun(exit_code))

    def _goes_on(self) -> str:
        look = f"to look again: cnetsh status --on {self.to}"
        if self.parcel.reads and self.parcel.streams[1] not in self.parcel.taken:
            return f"what is tried there is undone, for nobody can confirm it any more; {look}"
        return f"what has begun there goes on to its end; {look}"

    def _not_begun(self, exit_code: int) -> tuple[str, str]:
        host, said = self.to.host, self.said.decode(errors="replace").strip()
        if self.refused:
            return f"{host}: {self.refused}", "look at it there, and remove it if nobody needs it"
        if exit_code in (OLD, NO_PYTHON):
            hint = "without it: cnetsh script LAB writes a script that runs there"
            return f"{host} has no Python 3.11 or newer: nothing was executed", hint
        if exit_code == NO_SUDO or "sudo:" in said:
            why = said.rpartition("sudo: ")[2] or "there is no sudo"
            hint = "let sudo work there without a password, or connect as root: --on ssh:root@HOST"
            return f"{host}: the network needs root, and {why}: nothing was executed", hint
        return f"cnetsh does not start on {host}: {said or f'exit code {exit_code}'}", ""
