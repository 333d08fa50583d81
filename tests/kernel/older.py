"""Brings up what a recorded journal of the version before says, and leaves that journal.

A script for the inside of a private host: `python older.py RECORDING LINES`. The recording has what
that version wrote, a record a line; what no two hosts have alike (identities, settings, the boot)
is read anew where that version read it. Of its lines only the first LINES are done and written.
"""

import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from cnetsh.apply import journal
from cnetsh.plan.steps import parse
from cnetsh.system import namespace

SYSCTL = Path("/proc/sys/net")


def settings() -> dict[str, str]:
    """The settings that it read: of IP, of all and default, and the forwarding of each link."""
    paths: list[Path] = []
    for conf in (SYSCTL / "ipv4/conf", SYSCTL / "ipv6/conf"):
        for folder in (conf.parent, conf / "all", conf / "default"):
            paths += [path for path in folder.iterdir() if path.is_file()]
        paths += conf.glob("*/forwarding")
    found = {}
    for path in paths:
        try:
            found[str(path)] = path.read_text().strip()
        except OSError:
            continue  # some can only be written
    return found


def identity(kind: str, name: str) -> list[Any]:
    """What it wrote down of a thing that a step had just made."""
    if kind == "netns":
        return [namespace.mark(Path("/run/netns", name).stat())]
    if kind == "link":
        mac = Path("/sys/class/net", name, "address").read_text().strip()
        return [socket.if_nametoindex(name), mac]
    return [Path(name).lstat().st_ino]


def run(recording: Path, lines: int) -> None:
    header, *records = map(json.loads, recording.read_text(encoding="utf-8").splitlines())
    header["boot"], header["before"]["settings"] = journal.boot_id(), settings()
    for name, link in header["before"]["links"].items():
        link["ifindex"] = socket.if_nametoindex(name)
    path = journal.folder() / f"{header['lab']}.journal"
    steps = parse(header["up"], header["lab"], "", "up", str(recording)).steps
    with path.open("wb") as file:
        file.write(journal.as_line(header))
        for record in records[:lines]:
            for number in record.get("start", ()):
                subprocess.run(["sh", "-ec", steps[number].text], check=True, capture_output=True)
            if "made" in record:
                record["made"] = {key: identity(*key.split(" ", 1)) for key in record["made"]}
            file.write(journal.as_line(record))


if __name__ == "__main__":
    run(Path(sys.argv[1]), int(sys.argv[2]))
