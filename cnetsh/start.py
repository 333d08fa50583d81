"""The entry point of the program, which is a start of a tenth of a second and should stay one."""

import gc
from typing import NoReturn


def main() -> NoReturn:
    """Run the command line."""
    # Imports and plans are many objects without cycles: walking them costs a tenth of the start.
    gc.disable()
    from cnetsh import cli

    cli.main()
