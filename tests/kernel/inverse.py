"""Brings rows of steps up as labs and undoes them; says for each how the kernel then differs.

A script for the inside of a private host: rows by name as JSON on standard input, one JSON object
of answers at the end. Each row has a host of its own within it, and all of them one process.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import crash
import oracle

from cnetsh.apply.journal import find
from cnetsh.apply.repair import Repairing
from cnetsh.apply.run import Means
from cnetsh.apply.up import bring_up, refuse, to_undo, undo
from cnetsh.cli import main
from cnetsh.commands.progress import Echo, Telling
from cnetsh.compare import snapshot
from cnetsh.compare.scope import written
from cnetsh.errors import CnetshError
from cnetsh.plan.steps import Plan, Plans, parse
from cnetsh.system import namespace
from cnetsh.system.process import runner, through_sh
from cnetsh.targets.target import named

Settings = Callable[[], dict[str, str]]
EVERY = oracle.settings


def sh(text: str) -> str:
    done = subprocess.run(["sh", "-ec", text], check=True, capture_output=True, text=True)
    return done.stdout


def kernel(settings: Settings) -> oracle.Facts:
    oracle.settings = settings
    return oracle.at_rest()


def plans(text: str) -> Plans:
    empty = [Plan("lab", "", part, ()) for part in ("check", "down")]
    return Plans(parse(text, "lab", "", "up", "test"), *empty)


def means() -> Means:
    watch = Echo(Telling(quiet=True))
    return Means(runner(), through_sh(()), watch, lambda: 0, named("host"))


def up(text: str) -> list[str]:
    """Brings the steps up; what a rollback left, if one was needed."""
    wanted, how = plans(text), means()
    before = snapshot.take(how.run, written(wanted.up.steps))
    refuse(wanted.up, before)
    ended = bring_up(wanted, before, how)
    return ["rolled back", *residue(ended.undone)] if ended.undone else []


def residue(undone: Any) -> list[str]:
    return [f"residue: {one.text}" for one in undone.left]


def without_settings(facts: oracle.Facts) -> oracle.Facts:
    """The facts as they are when no settings are asked for."""
    inside = {name: one | {"settings": {}} for name, one in facts["namespaces"].items()}
    return facts | {"settings": {}, "namespaces": inside}


def up_and_down(text: str, before: oracle.Facts, settings: Settings) -> list[str]:
    """What differs after the steps were brought up and undone, and why it was refused."""
    try:
        said = up(text)
        said = said or residue(undo(to_undo(find("lab"), means())))
    except CnetshError as error:
        said = [f"refused: {error.message}"]
    said = [line for line in said if line != "rolled back"]
    return [*said, *oracle.diff(before, kernel(settings))]


def killed(text: str, point: str, before: oracle.Facts) -> list[str]:
    """What differs after an `up` that was killed at a point of its last step, and `recover`."""
    wanted = plans(text)
    last = len(wanted.up.steps) - 1
    code, said = crash.in_child(lambda: crash.killed_up(wanted, last, point, 0, long=False))
    if code != -9:
        return [f"not killed, but exit {code}: {said}"]
    found = crash.recovered(without_settings(before), lambda: kernel(dict))
    ends = [] if found["recover"] == [0, 0] else [f"{found['recover']}: {found['recovered']}"]
    return [*ends, *found["left"]]


def checked(text: str, hand: str) -> list[str]:
    """What `check` says when somebody has taken the last step of a lab back by hand."""
    said = up(text)
    sh(hand)
    code, lines = crash.in_child(lambda: cnetsh("check", "lab"))
    return [*said, f"exit {code}", *lines.splitlines()]


def repaired(before: oracle.Facts) -> list[str]:
    """What is wrong after a repair of that lab, and after its `down`."""
    code, said = crash.in_child(lambda: cnetsh("repair", "lab", "--yes"))
    drifted = Repairing.of(find("lab"), means().ask).drifted
    ended, more = crash.in_child(lambda: cnetsh("down", "lab"))
    bad = [f"repair: exit {code}", *said.splitlines()] if code or "Traceback" in said else []
    bad += [f"still: {one.text}" for one in drifted]
    bad += [f"down: exit {ended}", *more.splitlines()] if ended or "as before" not in more else []
    return [*bad, *oracle.diff(before, kernel(dict))]


def cnetsh(*words: str) -> int:
    """A command as it is typed, without the start of another Python."""
    sys.argv = ["cnetsh", *words]
    try:
        main.main()
    except SystemExit as ended:
        return int(ended.code or 0)


def host(script: str) -> None:
    """Goes into a host of its own, and prepares what is there."""
    namespace.unshare(namespace.NET | namespace.MOUNT)
    namespace.mount("none", "/", "none", namespace.MS_REC | namespace.MS_PRIVATE)
    for folder in ("/run", "/etc/netns"):
        os.makedirs(folder, exist_ok=True)  # noqa: PTH103
        namespace.mount("tmpfs", folder, "tmpfs", 0)
    sh(script)


def undone(row: dict[str, Any]) -> dict[str, list[str]]:
    """Up and down, then again where it was so before, or where what it makes is there already."""
    host(row["others"])
    steps, before = row["steps"], row["before"]
    # A thousand settings for each namespace are half the time, and some steps write none.
    now, settings = kernel(EVERY), EVERY if before else dict
    found = {"first": up_and_down(steps, now, EVERY)}
    if row["kill"]:
        found["killed"] = killed(steps, "before outcome", now)
    sh(before or steps)
    now = kernel(settings)
    found["again"] = up_and_down(steps, now, settings)
    if row["kill"] and not any("refused" in line for line in found["again"]):
        found["killed again"] = killed(steps, "after intent", now)
    return found


def seen(row: dict[str, Any]) -> dict[str, list[str]]:
    """What `check` tells of a change by hand where nobody else has things; then repair and down."""
    host(row["others"])
    before = kernel(dict)
    told = checked(row["steps"], row["hand"])
    return {"check": told, "repair": repaired(before)}


def alone(row: dict[str, Any]) -> dict[str, list[str]]:
    """Up and down with nobody else's things around."""
    host(row["others"])
    return {"alone": up_and_down(row["steps"], kernel(dict), dict)}


def in_child(row: dict[str, Any]) -> dict[str, list[str]]:
    """The answers of a row, from a process that may go into other namespaces."""
    read, write = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            action = seen if "hand" in row else undone if "kill" in row else alone
            os.write(write, json.dumps(action(row)).encode())
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read) as answer:
        text = answer.read()
    os.waitpid(pid, 0)
    return json.loads(text or '{"first": ["crashed"]}')


if __name__ == "__main__":
    rows = json.load(sys.stdin)
    with ThreadPoolExecutor(2) as two:
        print(json.dumps(dict(zip(rows, two.map(in_child, rows.values()), strict=True))))
