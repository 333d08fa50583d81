"""All mistakes of a file at once: each is kept, reading goes on, and in the end they are told."""

import re
from collections.abc import Iterable
from types import TracebackType

from cnetsh.errors import CnetshError
from cnetsh.names import visible

MOST = 20  # told at once; more would push the first ones off the screen
_NAMES = 2000  # that are compared with a misspelt one, which takes 20 µs each


class Mistakes:
    """The refusals of one file; `with mistakes:` keeps the one that ends its block."""

    def __init__(self) -> None:
        self._found: list[CnetshError] = []

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> bool:
        if isinstance(error, CnetshError):
            self._found.append(error)
        return isinstance(error, CnetshError)

    def keep(self, mistake: CnetshError) -> None:
        """Keep a refusal that was caught elsewhere."""
        self._found.append(mistake)

    def __len__(self) -> int:
        return len(self._found)

    def tell(self) -> None:
        """Raise one CnetshError with a line for each mistake in the file's order, if any."""
        if not self._found:
            return
        found = sorted(self._found, key=lambda error: _line_and_column(error.message))
        lines = [error.message for error in found]
        more = [f"and {len(lines) - MOST} more"] if len(lines) > MOST else []
        hints = dict.fromkeys(error.hint for error in found if error.hint)
        raise CnetshError("\n".join(lines[:MOST] + more), "; ".join(hints))


def nearest(name: str, known: Iterable[str], cutoff: float = 0.65) -> str:
    """Give the known name that was probably meant, or nothing."""
    from difflib import get_close_matches

    return next(iter(get_close_matches(name, list(known)[:_NAMES], 1, cutoff)), "")


def meant(name: str, known: Iterable[str]) -> str:
    """Give ` (did you mean br0?)` for a message about a name that is not there, or nothing."""
    near = nearest(name, known)
    return f" (did you mean {visible(near)}?)" if near else ""


def _line_and_column(message: str) -> tuple[int, ...]:
    # Messages begin with their place, and it is the one thing that all of them have.
    place = re.search(r":(\d+):(\d+): ", message)
    return tuple(map(int, place.groups())) if place else ()
