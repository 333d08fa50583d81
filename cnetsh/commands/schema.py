"""The command `schema`: what an editor or another program needs to know of lab files."""

import json
import sys

from cnetsh.errors import DONE
from cnetsh.labs.reference import lab_schema


def run() -> int:
    """Print the JSON Schema of lab files; give the exit code."""
    sys.stdout.write(json.dumps(lab_schema(), indent=2) + "\n")
    return DONE
