"""The command `status`: the labs that are up, or of which something is left, on every target."""

import json
import os
from collections.abc import Collection, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TextIO

from cnetsh.apply import journal
from cnetsh.apply.journal import Journal
from cnetsh.apply.lock import held_by
from cnetsh.apply.repair import Repairing
from cnetsh.commands.entering import entered, tell_version
from cnetsh.commands.output import say, scratch, show_error, tell
from cnetsh.errors import DONE, LEFT_BEHIND, CnetshError
from cnetsh.system.files import runtime_folder
from cnetsh.system.process import ask
from cnetsh.targets import target
from cnetsh.targets.sandbox import SANDBOXES
from cnetsh.targets.target import Target
from cnetsh.views.terminal import DOUBT, WRONG

MOST_NAMES = 6  # containers named in a line


def run(on: str | None, drift: bool, as_json: bool) -> int:
    """List the labs of all targets that this user may see, or of one; give the exit code."""
    rows, code, unknown = [], DONE, False
    for where in list(_visible()) if on is None else [target.named(on)]:
        into = scratch()
        try:
            code = max(code, entered(where, partial(_here, drift, into), lambda: DONE))
        except CnetshError as error:
            # The others are listed nevertheless.
            if on is not None:
                raise
            show_error(error)
            code, unknown = max(code, error.code), True
        into.seek(0)
        rows += [{"target": str(where), **json.loads(line)} for line in into]
    if as_json:
        print(json.dumps(rows, indent=1))
        return code
    for row in rows:
        _tell(row)
    if not (rows or unknown):
        say("no lab is up")
    if on is None and os.geteuid() and Path(journal.ROOT).exists():
        say(f"what is up on the host, root can see: {Target('host').command('status')}")
    return code


def _visible() -> Iterator[Target]:
    """Give this user's sandboxes and VMs that run, root's host, and the target set as default."""
    known = [Target("sandbox", box.name) for box in SANDBOXES.running()]
    if (runtime_folder() / "vms").exists():
        # It is loaded where it is used: most go without.
        from cnetsh.targets.vm.machine import VMS

        known += [Target("vm", one.name) for one in VMS.running()]
    known += [] if os.geteuid() else [Target("host")]
    yield from known
    if (usual := os.environ.get("CNETSH_ON")) and (named := target.named(usual)) not in known:
        yield from [named] if named.kind == "ssh" else []


def _here(with_drift: bool, into: TextIO) -> int:
    """Write a line of JSON for each lab of the target that this is called in."""
    # One that ends its work while this reads holds the lock before, one that begins it after.
    before = held_by()
    here, unreadable = journal.all_here()
    working = {before, held_by()}
    for record in here:
        tell_version(record)
        row = _row(record, working)
        if with_drift and row["state"] == "up":
            try:
                row["drift"] = [one.text for one in Repairing.of(record, ask).drifted]
            except CnetshError as error:
                unreadable.append(error)
        into.write(json.dumps(row) + "\n")
        record.close()
    into.flush()
    for unread in unreadable:
        show_error(unread)
    return LEFT_BEHIND if unreadable else DONE


def _row(record: Journal, working: Collection[int]) -> dict[str, Any]:
    return {
        "lab": record.lab,
        "title": record.header["title"],
        "state": _state(record, working),
        "version": record.header.get("version", ""),
        "started": record.header["started"],
        "containers": list(record.homes.values()),
        "left": list(record.left),
    }


def _state(record: Journal, working: Collection[int]) -> str:
    """Say how it is with a lab: a process that still works on it holds the lock."""
    if not record.same_boot:
        return "gone by reboot"
    if record.stands:
        return "up"
    if record.header["pid"] in working:
        return "going down" if record.undoing else "coming up"
    return "left behind" if record.left else "interrupted"


def _tell(row: dict[str, Any]) -> None:
    names: Sequence[str] = row["containers"] if row["state"] != "left behind" else ()
    more = f" ... {len(names)} in all" if len(names) > MOST_NAMES else ""
    state = "drifted" if row.get("drift") else row["state"]
    line = f"{row['lab']:<12} {state:<12} {row['target']:<12} {' '.join(names[:MOST_NAMES])}{more}"
    style = {"up": "", "drifted": DOUBT, "left behind": WRONG, "interrupted": WRONG}
    tell(line.rstrip(), style.get(state, ""))
    for text in (*row["left"], *row.get("drift", ())):
        tell(f"  {text}")
    if state == "interrupted":
        tell(f"  {target.named(row['target']).command('recover')} undoes it")
