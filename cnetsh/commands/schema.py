"""The command `schema`: what an editor or another program needs to know of lab files."""

import json
import sys

from cnetsh.errors import DONE
from cnetsh.labs import schema


def run() -> int:
    """Print the JSON Schema of lab files; give the exit code."""
    sys.stdout.write(json.dumps(schema.load(), indent=2) + "\n")
    return DONE
