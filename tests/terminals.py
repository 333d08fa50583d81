"""What a program writes to a terminal."""

import os


def read_to_its_end(ours: int) -> bytes:
    """All that comes from a terminal until its other end is closed; then this one is, too."""
    text = b""
    try:
        while piece := os.read(ours, 65536):
            text += piece
    except OSError:
        pass  # as a terminal says that nobody is at its other end
    os.close(ours)
    return text
