"""What begins cnetsh on another machine: it is sent there each time, ahead of what is to be done.

It stands alone, because it decides whether the cnetsh that is there, of an earlier time, is the one
that is meant: nobody else's, and unchanged. It reads a line of JSON (`code`, `content`, `streams`,
`argv`, `environment`) and, where it asks for it, one with the files. Its answers go to standard
error, marked by NUL, among what the action says there.
"""

import gc
import hashlib
import io
import json
import os
import shutil
import stat
import sys
import zlib
from base64 import b64decode, b64encode
from pathlib import Path
from typing import Any, NoReturn

FOLDER = Path("/run/cnetsh/code")
BEGUN, WANTS, REFUSED = "begun", "wants", "refused"
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


class Stream(io.TextIOBase):
    """A stream of the caller's beside the three: what is written goes back by its number."""

    def __init__(self, number: int) -> None:
        self.number = number

    def write(self, text: str) -> int:
        """Send a text back."""
        _answer(self.number, b64encode(text.encode("utf-8", "backslashreplace")).decode())
        return len(text)


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
    _do(zlib.decompress(b64decode(given["content"])), given["streams"], given["terminal"])


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


def _do(content: bytes, count: int, terminal: bool) -> NoReturn:
    from cnetsh.system.signals import end_at_once
    from cnetsh.targets.travel import unpacked

    end_at_once()
    gc.disable()
    own = [Stream(number) for number in range(3, count)]
    action = unpacked(content, [sys.stdin, sys.stdout, sys.stderr, *own])  # type: ignore[list-item]
    if not terminal:
        # Who passes a signal on means all that it starts.
        os.setpgrp()
        _answer(BEGUN, os.getpid(), _since(os.getpid()), sys.executable)
    sys.exit(action())


def _stop(pid: int, since: str, number: int) -> None:
    """Send a signal to the process of a session and what it has started, and to no other."""
    if _since(pid) == since:
        os.killpg(pid, number)


def _since(pid: int) -> str:
    # The 20th word behind the name is when it started: no later process of its number has that.
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]


if __name__ == "__main__":
    given = json.loads(b64decode(sys.argv[1]) if sys.argv[1:] else sys.stdin.buffer.readline())
    if "signal" in given:
        _stop(given["pid"], given["since"], given["signal"])
    else:
        start(given)
