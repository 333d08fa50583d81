"""The one kind of error that a user can act on, and all such errors of a file at once."""

import re
from types import TracebackType

NO_PROCESS = "there can be no more processes: ulimit -u, or pids.max of the control group"
DONE, FAILED, REFUSED, LEFT_BEHIND, STOPPED = 0, 1, 2, 3, 4


class CnetshError(Exception):
    """What happened and where, what to do now, and the exit code that says how far it got."""

    def __init__(self, message: str, hint: str = "", code: int = REFUSED) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.code = code


class Mistakes:
    """The refusals of one file; `with mistakes:` keeps the one that ends its block."""

    MOST = 20  # told at once; more would push the first ones off the screen

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
        more = [f"and {len(lines) - self.MOST} more"] if len(lines) > self.MOST else []
        hints = dict.fromkeys(error.hint for error in found if error.hint)
        raise CnetshError("\n".join(lines[: self.MOST] + more), "; ".join(hints))


def _line_and_column(message: str) -> tuple[int, ...]:
    # Messages begin with their place, and it is the one thing that all of them have.
    place = re.search(r":(\d+):(\d+): ", message)
    return tuple(map(int, place.groups())) if place else ()
