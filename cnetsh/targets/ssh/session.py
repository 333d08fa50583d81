"""What is done on another machine: cnetsh begun there by ssh, and why it did not or broke."""

import json
import os
import signal
import threading
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path

from cnetsh.errors import LEFT_BEHIND, CnetshError
from cnetsh.system.process import spawn_own
from cnetsh.system.signals import hold_back
from cnetsh.targets import code, travel
from cnetsh.targets.frames import Exit
from cnetsh.targets.near import Near
from cnetsh.targets.ssh import connection, starter
from cnetsh.targets.ssh.connection import AS_ROOT, BROKEN, NO_PYTHON, NO_SUDO, OLD, Place

STARTER = Path(starter.__file__).read_bytes()
# Whichever Python of the machine is new enough; its exit code stays that of the shell around it. It
# reads no byte too much: what follows the starter is for that. In one line, for csh has no longer
# words.
START = (
    f"{AS_ROOT}for p in {connection.PYTHONS}; do p=$({connection.FOUND} $p) || continue; "
    f'$s $p -X utf8 -I -S -c "import io,sys;sys.version_info<(3,11)and sys.exit({OLD});'
    f'exec(io.BufferedReader(io.FileIO(0,closefd=False),1).read({len(STARTER)}))" %s; '
    f"c=$?; [ $c = {OLD} ] || exit $c; done; exit {NO_PYTHON}"
)


def by_ssh(name: str, action: Callable[[], int]) -> int:
    """Do an action on another machine, as root; give its exit code. Raises CnetshError."""
    to, parcel = connection.place(name), travel.packed(action)
    assert to
    # Meanwhile, for both take their time.
    reading = threading.Thread(target=_code)
    reading.start()
    connection.connect(to)
    reading.join()
    near = Near(parcel, lambda: zlib.compress(json.dumps(_code()[1]).encode()))
    ended, exit_code, said = _session(to, near)
    if ended:
        return ended.code
    if exit_code < 0 or exit_code == BROKEN:
        raise CnetshError(f"the connection to {to.host} broke", _goes_on(to, parcel), LEFT_BEHIND)
    if near.begun:
        return exit_code
    raise CnetshError(*_not_begun(to.host, exit_code, near.refused, said or near.reader.noise))


@cache
def _code() -> tuple[str, starter.Files]:
    files = code.texts()
    return starter.digest(files), files


def _session(to: Place, near: Near) -> tuple[Exit | None, int, str]:
    """Give how it ended, if that is known, ssh's exit code, and what ssh and sudo have said."""
    (theirs, given), (answers, ours) = os.pipe(), os.pipe()
    errors = os.memfd_create("ssh")
    hold_back()
    argv = connection.command(to, START % _code()[0], "-T")
    ssh = spawn_own(argv, (theirs, ours, errors), apart=True)
    os.close(theirs)
    os.close(ours)
    ended = near.follow(given, answers, STARTER)
    os.close(given)
    if ended and not near.begun:
        # Nobody knows how long it would be there.
        os.kill(ssh.pid, signal.SIGTERM)
    exit_code = ssh.wait()
    os.close(answers)
    with os.fdopen(errors, "rb") as file:
        file.seek(0)
        return ended, exit_code, file.read().decode(errors="replace").strip()


def _goes_on(to: Place, parcel: travel.Parcel) -> str:
    look = f"to look again: cnetsh status --on {to}"
    if parcel.terminal:
        return f"what ran in its terminal there was hung up; {look}"
    if parcel.reads and parcel.streams[1] not in parcel.taken:
        return f"what is tried there is undone, for nobody can confirm it any more; {look}"
    return f"what has begun there goes on to its end; {look}"


def _not_begun(host: str, exit_code: int, refused: str, said: str) -> tuple[str, str]:
    if refused:
        message, _, hint = refused.partition("\n")
        return f"{host}: {message}", hint
    if exit_code in (OLD, NO_PYTHON):
        hint = "without it: cnetsh script LAB writes a script that runs there"
        return f"{host} has no Python 3.11 or newer: nothing was executed", hint
    if exit_code == NO_SUDO or "sudo:" in said:
        why = said.rpartition("sudo: ")[2] or "there is no sudo"
        hint = "let sudo work there without a password, or connect as root: --on ssh:root@HOST"
        return f"{host}: the network needs root, and {why}: nothing was executed", hint
    return f"cnetsh does not start on {host}: {said or f'exit code {exit_code}'}", ""
