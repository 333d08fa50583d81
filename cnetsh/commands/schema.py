"""The command `schema`: what an editor or another program needs to know of lab files."""

import json

from cnetsh.labs.reference import lab_schema


def run() -> None:
    print(json.dumps(lab_schema(), indent=2))
