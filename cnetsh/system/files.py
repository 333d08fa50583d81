"""Folders and files of cnetsh's own: only their owner can read them, and no link is followed."""

import os
import stat
import sys
from pathlib import Path

from cnetsh.errors import CnetshError

FLAGS = os.O_NOFOLLOW | os.O_CLOEXEC
# statx(2), which Python 3.11 does not have: struct statx and the place of the birth time in it.
AT_FDCWD, AT_SYMLINK_NOFOLLOW, STATX_BTIME = -100, 0x100, 0x800
_STATX, _BTIME = 256, slice(80, 92)


def fill_streams() -> None:
    """Have something be standard input, output and errors where the caller has closed them.

    Otherwise the next file that is opened would get the number, and what is printed.
    """
    for name, mode in {"stdin": "r", "stdout": "w", "stderr": "w"}.items():
        if getattr(sys, name) is None:
            # Read-only, so that what is written there still fails.
            fd = os.open(os.devnull, os.O_RDONLY)
            setattr(sys, name, os.fdopen(fd, mode, errors="backslashreplace"))


def labs_below(root: Path, network: str = "*") -> list[str]:
    """Give the labs with a journal below a root folder: of one network namespace, or of all."""
    return sorted(path.stem for path in root.glob(f"run/cnetsh/{network}/*.journal"))


def private_folder(path: Path) -> Path:
    """Make a folder 0700 with its parents, or check what is there; give it. Raises CnetshError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            path.mkdir(mode=0o700)
        except FileExistsError:
            # It may be somebody's trap: lstat, for a link must not be followed.
            _refuse_foreign(path, path.lstat())
        if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
            raise PermissionError
    except OSError as error:
        raise CnetshError(
            f"the state folder {path} cannot be used: {error.strerror or 'no permission'}",
            "it has to be yours, mode 0700; XDG_RUNTIME_DIR and XDG_CACHE_HOME say where else",
        ) from None
    return path


def runtime_folder() -> Path:
    """Give this user's folder for what lives no longer than the machine runs, made when missing."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if os.geteuid() == 0:
        return private_folder(Path("/run/cnetsh"))
    if runtime.startswith("/") and Path(runtime).is_dir():
        return private_folder(Path(runtime, "cnetsh"))
    return private_folder(Path(f"/tmp/cnetsh-{os.geteuid()}"))


def _refuse_foreign(path: Path, found: os.stat_result) -> None:
    mine = stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()
    if not mine or found.st_mode & 0o077:
        raise CnetshError(
            f"the state folder {path} is not a folder of user {os.geteuid()} with mode 0700",
            "somebody else made it: look at it, and remove it if it is not needed",
        )


def open_private(path: Path, flags: int) -> int:
    """Open one's own file, or make it 0600 if flags say so; give its fd. Raises CnetshError."""
    try:
        fd = os.open(path, flags | FLAGS, 0o600)
    except OSError as error:
        raise CnetshError(f"the state file {path} cannot be opened: {error.strerror}") from None
    found = os.fstat(fd)
    # Of a pipe nobody would ever write to, a read has no end.
    if found.st_uid != os.geteuid() or not stat.S_ISREG(found.st_mode):
        os.close(fd)
        raise CnetshError(f"the state file {path} is not a file of user {os.geteuid()}")
    return fd


def read_inside(folder: Path, name: str, most: int) -> bytes | None:
    """Give the first bytes of a file in a folder, None where there is none of that name in it.

    By what is opened: a link may lead anywhere, and be another one between a look and the opening.
    """
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    try:
        root = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fd = os.open(name, flags, dir_fd=root)
            inside = _opened(fd).is_relative_to(_opened(root))
        finally:
            os.close(root)
    except OSError:
        return None
    with os.fdopen(fd, "rb") as file:
        # A FIFO or a device would never end.
        regular = stat.S_ISREG(os.fstat(fd).st_mode)
        return file.read(most) if inside and regular else None


def _opened(fd: int) -> Path:
    return Path(f"/proc/self/fd/{fd}").readlink()


def file_mark(path: str) -> list[int]:
    """Give what tells a file from later ones at its path: its inode and its birth, 0 if unknown.

    A number that is free is given to the next file at once (ext4). Raises OSError.
    """
    # Every start loads this file, and few mark another one.
    import ctypes

    inode, answer = os.lstat(path).st_ino, ctypes.create_string_buffer(_STATX)
    libc = ctypes.CDLL(None)
    refused = libc.statx(AT_FDCWD, os.fsencode(path), AT_SYMLINK_NOFOLLOW, STATX_BTIME, answer)
    return [inode, 0 if refused else int.from_bytes(answer.raw[_BTIME], sys.byteorder)]
