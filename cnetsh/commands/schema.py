"""The command `schema`: what an editor or another program needs to know of lab files."""

import json

from cnetsh.labs import schema


def run() -> None:
    """Print the JSON Schema of lab files."""
    print(json.dumps(schema.load(), indent=2))
