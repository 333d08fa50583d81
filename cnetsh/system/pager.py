"""The caller's pager, for what is longer than the terminal."""

import os
import shutil
import signal
import subprocess
import sys


def paged(text: str) -> bool:
    """Show a text in the pager, PAGER for sh; say whether there is one, and it is needed."""
    pager = os.environ.get("PAGER", "less")
    if not sys.stdout.isatty() or pager in ("", "cat") or not shutil.which(pager.split()[0]):
        return False
    if text.count("\n") < os.get_terminal_size(sys.stdout.fileno()).lines:
        return False
    sys.stdout.flush()
    # Ends where all fits, shows colours, and leaves what it has shown: as git has it.
    env = {"LESS": "FRX", **os.environ}
    child = subprocess.Popen(["/bin/sh", "-c", pager], env=env, stdin=subprocess.PIPE)
    # Ctrl-C is the pager's, which would stay behind without its reader.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        child.communicate(text.encode(errors="replace"))
    finally:
        signal.signal(signal.SIGINT, before)
    return True
