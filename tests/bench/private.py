"""Runs a command in namespaces of its own: the machine's network is neither seen nor changed."""

import json
import os
import subprocess
from collections.abc import Sequence
from typing import Any

_USER = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
_UNSHARE = ["unshare", *_USER, "--net", "--mount", "--propagation", "private"]
# A sysfs of the new namespace: the old one would still show the machine's links.
_PREPARE = (
    "mount -t tmpfs tmpfs /run && mount -t sysfs sysfs /sys && mkdir /run/netns"
    ' && ip link set lo up && exec "$@"'
)
# Without bytecode files, every start would compile the modules that were edited last.
_UNWANTED = {"PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED", "CNETSH_ON"}
ENVIRONMENT = {key: value for key, value in os.environ.items() if key not in _UNWANTED}


class BrokenError(Exception):
    """A run that ended with an error, or whose result is not what was asked for."""


def measured(argv: Sequence[str], seconds: float = 600) -> dict[str, Any]:
    """Run argv in a private network, and give the JSON object that it prints as its last line."""
    command = [*_UNSHARE, "sh", "-c", _PREPARE, "sh", *argv]
    try:
        ran = subprocess.run(
            command, capture_output=True, text=True, timeout=seconds, env=ENVIRONMENT
        )
    except subprocess.TimeoutExpired:
        raise BrokenError(f"no end after {seconds:.0f} s") from None
    if ran.returncode:
        raise BrokenError((ran.stderr.strip() or ran.stdout.strip())[-500:])
    return dict(json.loads(ran.stdout.splitlines()[-1]))
