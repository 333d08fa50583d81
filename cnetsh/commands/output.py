"""Files that the user asked for."""

import sys
from pathlib import Path

from cnetsh.errors import CnetshError


def write(text: str, path: Path) -> None:
    """Write a new file. Raises CnetshError when there is one: nothing is overwritten."""
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise CnetshError(f"{path} is there already", "remove it, or name another file") from None
    except OSError as error:
        raise CnetshError(f"{path} cannot be written: {error.strerror}") from None
    print(f"wrote {path}", file=sys.stderr)
