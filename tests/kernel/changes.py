"""Changes labs that are up; after each it says how the kernel differs from what it should be.

A script for the inside of a private host: `python changes.py ACTION JSON`, one line of JSON for
each run. What comes by itself a moment later (carrier, IPv6's own addresses) is not compared, so
that nobody has to wait for it.
"""

import re
import signal
from collections.abc import Iterator
from typing import Any

import oracle
from crash import Deadly, down, in_child, means, recover, tell, up

from cnetsh.apply import change, journal
from cnetsh.apply.lock import held
from cnetsh.commands import check
from cnetsh.labs import choose

SOON = re.compile(
    r'LINK-LOCAL|SOLICITED|"(dst|local)": "(ff|fe80)|"dst": "[^"]*:.*"type": "(local|anycast)"'
)
FLAGS = re.compile(r'"flags": \[[^]]*\],? ?|, "tentative": true')
CARRIER = {"LOWER_UP", "NO-CARRIER"}


def seen() -> oracle.Facts:
    """What the kernel has, without MAC addresses and what comes by itself."""
    found = oracle.shape(oracle.snapshot())
    for facts in (found, *found["namespaces"].values()):
        # A namespace that is a file only has nothing in it.
        for link in facts.get("links", {}).values():
            link["flags"] = [flag for flag in link["flags"] if flag not in CARRIER]
        for part in ("addresses", "routes"):
            lines = [line for line in facts.get(part, ()) if not SOON.search(line)]
            facts[part] = sorted(FLAGS.sub("", line) for line in lines)
    return found


def did(action: str, lab: str) -> str:
    """Nothing when the command ended well, else all that it said."""
    code, said = in_child({
        "up": lambda: up(lab),
        "down": lambda: down(lab),
        "check": lambda: check.run(lab, [], "host", False, False, True),
    }[action])  # fmt: skip
    return "" if code == 0 else f"{action} {lab}: exit {code}\n{said}"


def pairs(labs: list[tuple[str, str]], checked: bool = True) -> Iterator[dict[str, Any]]:
    """Changes each lab into another and back, against the kernel that each leaves by itself."""
    checks = ["check"] if checked else []
    for one, other in labs:
        before = seen()
        said = [did("up", other)]
        wanted = seen()
        said += [did("down", other), did("up", one)]
        first = seen()
        said += [did(action, other) for action in ("up", *checks)]
        there = oracle.diff(wanted, seen())
        said += [did(action, one) for action in ("up", *checks)]
        back = oracle.diff(first, seen())
        said.append(did("down", one))
        left = oracle.diff(before, seen())
        yield {"run": other, "said": "".join(said), "there": there, "back": back, "left": left}


def failing(lab: str, others: list[str]) -> Iterator[dict[str, Any]]:
    """Changes a lab into others that cannot come up, and takes it down."""
    before = seen()
    said = did("up", lab)
    first = seen()
    for other in others:
        code, text = in_child(lambda other=other: up(other))
        left = oracle.diff(first, seen())
        yield {"run": other, "exit": code, "said": text + did("check", lab), "left": left}
    said += did("down", lab)
    yield {"run": "down", "exit": 1, "said": said, "left": oracle.diff(before, seen())}


def killed_change(name: str, lab: str, countdown: int) -> int:
    """A change whose process ends at a write of the journal."""
    with held(["changes"]) as lock:
        found = journal.find(name)
        assert found
        record = Deadly.of(found, [countdown])
        known = change.Changing.of(record, choose.plans(lab), means(lock))
        assert known
        change.apply(known, means(lock))
    return 0


def killed(name: str, lab: str, other: str, every: int) -> Iterator[dict[str, Any]]:
    """Kills a change at every so many writes of its journal, then recovers."""
    before = seen()
    code, countdown = -signal.SIGKILL, 0
    while code == -signal.SIGKILL:
        said = did("up", lab)
        code, text = in_child(lambda n=countdown: killed_change(name, other, n))
        recovered, more = in_child(recover)
        # Killed before it had begun or after its end, the change leaves a lab that is up.
        more += did("down", name)
        left = oracle.diff(before, seen())
        yield {"run": countdown, "exit": recovered, "said": said + text + more, "left": left}
        countdown += every


ACTIONS = {"pairs": pairs, "failing": failing, "killed": killed}

if __name__ == "__main__":
    tell(ACTIONS)
