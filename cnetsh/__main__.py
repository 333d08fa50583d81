"""Where the program begins: `cnetsh`, and `python -m cnetsh`."""

import atexit
import gc

from cnetsh.system.signals import end_at_once


def begin() -> None:
    """Run the command line; a signal ends it without a traceback, from the first import on."""
    end_at_once()
    from cnetsh.system.files import fill_streams

    fill_streams()
    # Imports and plans are many objects without cycles: walking them costs a tenth of the start.
    gc.disable()
    # At its end Python walks and frees each of them, which takes another tenth.
    atexit.register(gc.freeze)
    from cnetsh.cli import main

    main.main()


if __name__ == "__main__":
    begin()
