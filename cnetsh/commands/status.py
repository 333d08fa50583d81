"""The command `status`: the labs of a target that are up, or were interrupted."""

import json
from collections.abc import Sequence
from functools import partial
from typing import Any

from cnetsh.apply import journal
from cnetsh.apply.journal import Journal
from cnetsh.commands.changing import tell_version
from cnetsh.commands.entering import entered
from cnetsh.commands.output import say, show_error
from cnetsh.errors import DONE, LEFT_BEHIND
from cnetsh.targets import target

MOST_NAMES = 6  # containers named in a line


def run(on: str, as_json: bool) -> int:
    """List the labs of a target; give the exit code."""
    return entered(target.named(on), partial(_here, as_json), lambda: _show([], as_json))


def _here(as_json: bool) -> int:
    here, unreadable = journal.all_here()
    for record in here:
        tell_version(record)
    for error in unreadable:
        show_error(error)
    return _show([_row(one) for one in here], as_json) or (LEFT_BEHIND if unreadable else DONE)


def _row(record: Journal) -> dict[str, Any]:
    record.close()
    state = "up" if record.stands else "interrupted"
    return {
        "lab": record.lab,
        "title": record.header["title"],
        "state": state if record.same_boot else "gone by reboot",
        "version": record.header.get("version", ""),
        "started": record.header["started"],
        # The marks of what was made are kept by kind and name.
        "containers": [key[6:] for key in record.made if key.startswith("netns ")],
    }


def _show(rows: Sequence[dict[str, Any]], as_json: bool) -> int:
    if as_json:
        print(json.dumps(rows, indent=1))
        return DONE
    for row in rows:
        names = row["containers"]
        more = f" ... {len(names)} in all" if len(names) > MOST_NAMES else ""
        print(f"{row['lab']:<12} {row['state']:<12} {' '.join(names[:MOST_NAMES])}{more}")
    if not rows:
        say("no lab is up")
    return DONE
