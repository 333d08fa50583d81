"""The one kind of error that a user can act on."""

DONE, FAILED, REFUSED, LEFT_BEHIND, STOPPED = 0, 1, 2, 3, 4


class CnetshError(Exception):
    """What happened and where, what to do now, and the exit code that says how far it got."""

    def __init__(self, message: str, hint: str = "", code: int = REFUSED) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.code = code
