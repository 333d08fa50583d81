"""What begins cnetsh on another machine: it is sent there each time, ahead of what is to be done.

It stands alone, because it decides whether the cnetsh that is there, of an earlier time, is the one
that is meant: nobody else's, and unchanged. It reads a line of JSON (`code`, `content`, `streams`,
`argv`, `environment`) and, where it asks for it, one with the files. Its answers go to standard
error, marked by NUL, among what the action says there.
"""

import contextlib
import gc
import hashlib
import io
import json
import os
import shutil
import signal
import stat
import sys
import threading
import zlib
from base64 import b64decode, b64encode
from pathlib import Path
from typing import Any, NoReturn

FOLDER = Path("/run/cnetsh/code")
BEGUN, WANTS, REFUSED = "begun", "wants", "refused"
# What comes later, a line each: what was typed, that no more is, or the number of a signal.
TYPED, END = b":", b".\n"
# As the caller opens a log; at once, for this process may be killed.
TEXT: dict[str, Any] = {
    "encoding": "utf-8", "errors": "backslashreplace", "newline": "\n", "write_through": True,
}  # fmt: skip
Files = dict[str, str]


def digest(files: Files) -> str:
    """Give what tells these files from all others."""
    whole = hashlib.sha256()
    for name, text in sorted(files.items()):
        whole.update(f"{name}\0{len(text)}\0{text}".encode("utf-8", "surrogateescape"))
    return whole.hexdigest()


def read_folder(folder: Path) -> Files:
    """Give the files of a folder by their path in it, without what Python has compiled."""
    found = {}
    for top, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name != "__pycache__"]
        for name in names:
            file = Path(top, name)
            found[str(file.relative_to(folder))] = file.read_bytes().decode(
                "utf-8", "surrogateescape"
            )
    return found


class Stream(io.BufferedIOBase):
    """A stream of the caller's beside the three: what is written goes back by its number."""

    name = "of the caller's"

    def __init__(self, number: int) -> None:
        self.number = number

    def writable(self) -> bool:
        """Say that it is there to be written."""
        return True

    def write(self, content: Any) -> int:
        """Send some bytes back."""
        _answer(self.number, b64encode(content).decode())
        return len(content)


def _answer(*words: object) -> None:
    # One write, for others may print at the same time.
    sys.stderr.buffer.write("\0{}\n".format(" ".join(map(str, words))).encode())
    sys.stderr.buffer.flush()


def _refuse(what: str) -> NoReturn:
    _answer(REFUSED, what)
    sys.exit(2)


def start(given: dict[str, Any]) -> NoReturn:
    """Do an action by the cnetsh that is here or comes now, and end with its exit code."""
    code, folder = given["code"], FOLDER / given["code"]
    try:
        for each in (FOLDER.parent, FOLDER, folder):
            _make_private(each)
        if not any(folder.iterdir()):
            _unpack(folder, code)
        elif digest(read_folder(folder)) != code:
            _refuse(f"{folder} is not as cnetsh was sent: somebody has changed it")
    except OSError as error:
        _refuse(f"{error.filename}: {error.strerror}")
    sys.path.insert(0, str(folder))
    sys.argv = given["argv"]
    os.environ.update(given["environment"])
    (_act if given["terminal"] else _act_for)(given)


def _make_private(folder: Path) -> None:
    """Make a folder 0700, or refuse the one that is there."""
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        # It may be somebody's trap: lstat, for a link must not be followed.
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
            _refuse(f"{folder} is not a folder of user {os.geteuid()} with mode 0700")


def _unpack(folder: Path, code: str) -> None:
    """Fill an empty folder with the files that are sent now: with all of them, or none."""
    _answer(WANTS)
    files = json.loads(zlib.decompress(b64decode(sys.stdin.buffer.readline())))
    if digest(files) != code:
        _refuse("cnetsh did not arrive as it was sent")
    new = folder.with_suffix(f".{os.getpid()}")
    new.mkdir(mode=0o700)
    for name, text in files.items():
        (new / name).parent.mkdir(parents=True, exist_ok=True)
        (new / name).write_bytes(text.encode("utf-8", "surrogateescape"))
    try:
        new.rename(folder)
    except OSError:
        # Another one, started at the same time, was first.
        shutil.rmtree(new)


def _act(given: dict[str, Any]) -> NoReturn:
    from cnetsh.system.signals import end_at_once
    from cnetsh.targets.travel import unpacked

    end_at_once()
    gc.disable()
    streams = [sys.stdin, sys.stdout, sys.stderr]
    for number in range(3, given["streams"]):
        streams.append(io.TextIOWrapper(Stream(number), **TEXT))
    action = unpacked(zlib.decompress(b64decode(given["content"])), streams)
    if not given["terminal"]:
        _answer(BEGUN, sys.executable)
    sys.exit(action())


def _act_for(given: dict[str, Any]) -> NoReturn:
    """Have a child do the action, and pass on to it what is typed and the signals at the caller's.

    A terminal would do both, but it makes one stream of output and errors.
    """
    from cnetsh.system.namespace import die_with_parent
    from cnetsh.system.signals import hold_back, release, wait_for

    theirs, ours = os.pipe()
    hold_back()
    child = os.fork()
    if not child:
        die_with_parent(signal.SIGKILL)
        # A signal is for all that it starts, as at a terminal.
        os.setpgrp()
        os.dup2(theirs, 0)
        os.close(ours)
        sys.stdin = open(0, closefd=False)  # noqa: SIM115 (what was read of the old one is not its)
        release()
        _act(given)
    os.close(theirs)
    threading.Thread(target=_pass_on, args=(child, ours), daemon=True).start()
    os._exit(wait_for(child))


def _pass_on(child: int, to: int) -> None:
    # When the connection breaks there is no more to come, and nobody is told to stop.
    for line in sys.stdin.buffer:
        with contextlib.suppress(OSError):
            if line[:1] == TYPED:
                os.write(to, b64decode(line[1:]))
            elif line == END:
                os.close(to)
                to = -1
            else:
                os.killpg(child, int(line))
    with contextlib.suppress(OSError):
        os.close(to)


if __name__ == "__main__":
    start(json.loads(b64decode(sys.argv[1]) if sys.argv[1:] else sys.stdin.buffer.readline()))
