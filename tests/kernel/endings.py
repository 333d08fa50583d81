"""How `down` and a rollback end, in cnetsh's words: the one place of the tests that knows them."""

import re
from dataclasses import dataclass
from subprocess import CompletedProcess

from hosts import report

OTHERS = "as before, but for what others changed meanwhile:"
LEFT = "left behind:"
NOT_KNOWN = "not known"
KEPT = "not this lab's, kept"
LEFT_BEHIND = 3
# A verdict of somebody else's doing, in today's words and in those of before.
BLAME = ("others changed", "changed meanwhile", "not by this lab")


@dataclass(frozen=True)
class Ending:
    """What is said at the end: its first line, and the lines below each heading."""

    head: str
    others: list[str]
    left: list[str]
    advice: list[str]


def ending(done: CompletedProcess[str]) -> Ending:
    head, below, found = "", "", {OTHERS: list[str](), LEFT: [], "advice": []}
    for line in done.stderr.splitlines():
        if not line.startswith(" "):
            below = next((each for each in (OTHERS, LEFT) if line.endswith(each)), "")
            head = line if re.match(r"\S+ is down, |undone, ", line) else head
        elif below and line.strip().startswith("sudo "):
            found["advice"].append(line.strip().removeprefix("sudo "))
        elif below:
            found[below].append(line.strip())
    return Ending(head, found[OTHERS], found[LEFT], found["advice"])


def assert_as_before(done: CompletedProcess[str], name: str) -> None:
    """The lab is down and nothing at all differs."""
    said = ending(done)
    assert done.returncode == 0, report(done)
    assert said.head.startswith(f"{name} is down, as before"), report(done)
    assert not said.others and not said.left, report(done)
    assert not any(word in done.stderr for word in (*BLAME, LEFT, NOT_KNOWN)), report(done)


def assert_others_named(done: CompletedProcess[str], name: str, *named: str) -> list[str]:
    """The lab is down, and a line names each thing that others changed; gives the lines."""
    said = ending(done)
    assert done.returncode == 0, report(done)
    assert said.head == f"{name} is down, {OTHERS}", report(done)
    lacking = [each for each in named if not any(each in line for line in said.others)]
    assert lacking == [] and not said.left, report(done)
    return said.others


def assert_left(done: CompletedProcess[str], *named: str) -> list[str]:
    """Each thing is named as left behind, and no other word claims more; gives the advice."""
    said = ending(done)
    assert done.returncode == LEFT_BEHIND, report(done)
    lacking = [each for each in named if not any(each in line for line in said.left)]
    assert said.left and lacking == [], report(done)
    assert not any(each in line for each in named for line in said.others), report(done)
    return said.advice


def assert_not_known(done: CompletedProcess[str], *named: str) -> None:
    """What could not be read is said to be not known, and no word claims more."""
    assert done.returncode == LEFT_BEHIND, report(done)
    lines = [line for line in done.stderr.splitlines() if NOT_KNOWN in line]
    assert lines and all(any(each in line for line in lines) for each in named), report(done)
    assert not ending(done).head, report(done)


def assert_undone(done: CompletedProcess[str], code: int = 1) -> None:
    """A failed run is rolled back, and nothing at all differs."""
    assert done.returncode == code, report(done)
    said = ending(done)
    assert re.match(r"undone, as before", said.head), report(done)
    assert not any(word in done.stderr for word in (*BLAME, LEFT, NOT_KNOWN)), report(done)


def assert_not_blamed(done: CompletedProcess[str], *own: str) -> None:
    """Nothing of the lab's own (of any, if none is given) is said to be of others' doing.

    And nobody says "as before" of what is left.
    """
    said = ending(done)
    lines = [*said.others, *(line for line in done.stderr.splitlines() if BLAME[-1] in line)]
    assert not any(each in line for each in own or ("",) for line in lines), report(done)
    assert done.returncode != LEFT_BEHIND or not said.head, report(done)
