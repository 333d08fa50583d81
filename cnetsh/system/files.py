"""Folders and files of cnetsh's own: only their owner can read them, and no link is followed."""

import os
import stat
from pathlib import Path

from cnetsh.errors import CnetshError

FLAGS = os.O_NOFOLLOW | os.O_CLOEXEC


def private_folder(path: Path) -> Path:
    """Make a folder 0700 with its parents, or check the one that is there; give it back.

    Raises CnetshError when it is a link, someone else's, open to others, or cannot be made.
    """
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
            "cnetsh needs it to remember how to undo; give it back to its owner, mode 0700",
        ) from None
    return path


def _refuse_foreign(path: Path, found: os.stat_result) -> None:
    mine = stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()
    if not mine or found.st_mode & 0o077:
        raise CnetshError(
            f"the state folder {path} is not a folder of user {os.geteuid()} with mode 0700",
            "somebody else made it: look at it, and remove it if it is not needed",
        )


def open_private(path: Path, flags: int) -> int:
    """Open a file of a private folder, made 0600 where flags say so, and give its descriptor.

    Raises CnetshError when it is a link or not this user's.
    """
    try:
        fd = os.open(path, flags | FLAGS, 0o600)
    except OSError as error:
        raise CnetshError(f"the state file {path} cannot be opened: {error.strerror}") from None
    if os.fstat(fd).st_uid != os.geteuid():
        os.close(fd)
        raise CnetshError(f"the state file {path} belongs to someone else")
    return fd
