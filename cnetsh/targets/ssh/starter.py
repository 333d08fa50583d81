"""What begins cnetsh on another machine: it is sent there each time, ahead of what is to be done.

It stands alone, because it decides whether the cnetsh that is there, of an earlier time, is the one
that is meant: nobody else's, and unchanged. What it hears and says are frames, as `targets/frames`
has them: a word, the request, and the files where it asks for them.
"""

import contextlib
import hashlib
import json
import os
import shutil
import stat
import struct
import sys
import zlib
from pathlib import Path
from typing import NoReturn

FOLDER = Path("/run/cnetsh/code")
_HEAD = struct.Struct(">cI")
_CODE, _REFUSED = b"c", b"n"
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


def _frame() -> bytes:
    """Give the content of the next frame, and read no byte more."""
    return _read(_HEAD.unpack(_read(_HEAD.size))[1])


def _read(size: int) -> bytes:
    content = b""
    while len(content) < size:
        content += os.read(0, size - len(content)) or sys.exit(1)
    return content


def _answer(letter: bytes, text: str = "") -> None:
    os.write(1, _HEAD.pack(letter, len(text.encode())) + text.encode())


def _refuse(what: str) -> NoReturn:
    _answer(_REFUSED, f"{what}\nlook at it there, and remove it if nobody needs it")
    sys.exit(2)


def start(code: str) -> None:
    """Do what is asked for by the cnetsh that is here or comes now."""
    word, request, folder = _frame(), _frame(), FOLDER / code
    os.write(1, word)
    try:
        for each in (FOLDER.parent, FOLDER, folder):
            _make_private(each)
        if not any(folder.iterdir()):
            _unpack(folder, code)
        elif digest(read_folder(folder)) != code:
            _refuse(f"{folder} is not as cnetsh was sent: somebody has changed it")
    except OSError as error:
        where = error.filename or folder
        _answer(_REFUSED, f"cnetsh cannot be kept there: {where}: {error.strerror}")
        sys.exit(2)
    sys.path.insert(0, str(folder))
    from cnetsh.targets import far

    far.act(far.Streams(), request)


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
    _answer(_CODE)
    files = json.loads(zlib.decompress(_frame()))
    if digest(files) != code:
        _refuse("cnetsh did not arrive as it was sent")
    new = folder.with_suffix(f".{os.getpid()}")
    new.mkdir(mode=0o700)
    try:
        for name, text in files.items():
            (new / name).parent.mkdir(parents=True, exist_ok=True)
            (new / name).write_bytes(text.encode("utf-8", "surrogateescape"))
        # Another one, started at the same time, may have been first.
        with contextlib.suppress(OSError):
            new.rename(folder)
    finally:
        shutil.rmtree(new, ignore_errors=True)


if __name__ == "__main__":
    start(sys.argv[1])
