"""The first `up` starts a sandbox: whenever it is stopped or killed, that is whole or not there."""

import os
import random
import signal
import subprocess
import time
from itertools import cycle, product
from pathlib import Path

from hosts import PATIENCE, Ordinary, ignored_if_gone, report, wait_for
from test_signals import SIGNALS, begun

PING = "exec host -- ping -n -c1 -W1 1.1.1.1"
ANOTHER = "up container --set host_end=v7 --set peer=c7"
# Of two and of five, so that all pairs come in turn.
NEXT = ("sandbox start", ANOTHER)
KILLED = ("program", "holder", "group", "builder", "group")
ODD = ("Traceback", "Exception ignored", "Errno")


def start(ordinary: Ordinary, line: str) -> "subprocess.Popen[str]":
    argv = [str(ordinary.program), *line.split()]
    program = ordinary.start(argv, stderr=subprocess.PIPE, start_new_session=True)
    assert wait_for(lambda: begun(program.pid))
    return program


def run(ordinary: Ordinary, line: str) -> "subprocess.CompletedProcess[str]":
    return ordinary.cnetsh(*line.split(), check=False)


def duration(ordinary: Ordinary) -> float:
    """Of the first `up`, from where it takes signals."""
    program, since = start(ordinary, "up veth"), time.monotonic()
    assert program.wait(PATIENCE) == 0
    seconds = time.monotonic() - since
    assert ended(ordinary) == ""
    return seconds


def moments(seconds: float, number: int, seed: int) -> list[float]:
    """One in each of so many equal parts of the time."""
    chance = random.Random(seed)
    return [(part + chance.random()) * seconds / number for part in range(number)]


def victims(program: int, whom: str) -> list[int]:
    """Their pids as kill(2) takes them, negative for a group; none before they are born."""
    holders = {each for each in children_of(program) if is_holder(each)}
    if whom == "holder":
        return list(holders)
    if whom == "builder":
        # The child that enters the sandbox, or its own, which is inside.
        children = set(children_of(program)) - holders
        return [(children_of(each) or [each])[0] for each in children]
    return [-program if whom == "group" else program]


def children_of(pid: int) -> list[int]:
    with ignored_if_gone():
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def is_holder(pid: int) -> bool:
    with ignored_if_gone():
        return b"holder.py" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False


def struck(ordinary: Ordinary, seconds: float, whom: str, number: int) -> tuple[int, str]:
    """The exit code of a first `up` that a signal strikes at a moment, and what it said."""
    program = start(ordinary, "up veth")
    time.sleep(seconds)
    for pid in victims(program.pid, whom):
        with ignored_if_gone():
            os.kill(pid, number)
    said = program.communicate(timeout=PATIENCE)[1]
    return program.returncode, said


def ended(ordinary: Ordinary) -> str:
    """Stops the sandbox; what outlives it."""
    run(ordinary, "sandbox stop")
    gone = wait_for(lambda: not ordinary.processes())
    return "" if gone else f"left: {ordinary.processes()}\n"


def wrong_when_killed(ordinary: Ordinary, tries: int, seed: int = 1) -> list[str]:
    found, following, victim = [], cycle(NEXT), cycle(KILLED)
    for moment in moments(duration(ordinary), tries, seed):
        line, whom = next(following), next(victim)
        code, said = struck(ordinary, moment, whom, signal.SIGKILL)
        after, ping = run(ordinary, line), run(ordinary, PING)
        whole = after.returncode == ping.returncode == 0
        wrong = ended(ordinary) + ("" if whole else f"half a sandbox\n{report(after)}")
        if wrong or code not in (-9, 0, 1, 2, 3) or any(word in said for word in ODD):
            found.append(f"{whom} after {moment:.3f} s, exit {code}, {line}: {wrong}\n{said}")
    return found


def wrong_when_stopped(ordinary: Ordinary, tries: int, seed: int = 1) -> list[str]:
    found = []
    how = cycle(product(SIGNALS, ("group", "program")))
    for moment in moments(duration(ordinary), tries, seed):
        number, whom = next(how)
        code, said = struck(ordinary, moment, whom, number)
        up = bool(ordinary.processes()) and "veth" in run(ordinary, "status").stdout
        wrong = (
            "" if up or wait_for(lambda: not ordinary.processes()) else "no lab, but a sandbox\n"
        )
        wrong += ended(ordinary)
        if wrong or code != (0 if up else 128 + number) or any(word in said for word in ODD):
            found.append(f"{number!r} {whom} {moment:.3f} s, exit {code}, up {up}: {wrong}\n{said}")
    return found


def wrong_beside_the_last_down(ordinary: Ordinary, tries: int, seed: int = 1) -> list[str]:
    found = []
    for moment in moments(duration(ordinary), tries, seed):
        run(ordinary, "up veth")
        down = start(ordinary, "down veth")
        time.sleep(moment)
        after = run(ordinary, ANOTHER)
        codes = [down.wait(PATIENCE), after.returncode, run(ordinary, PING).returncode]
        if wrong := ended(ordinary) + ("" if codes == [0, 0, 0] else f"{codes}\n{report(after)}"):
            found.append(f"{moment:.3f} s: {wrong}")
    return found


def test_killed_it_leaves_no_half_of_a_sandbox(ordinary: Ordinary) -> None:
    assert wrong_when_killed(ordinary, 5) == []


def test_stopped_it_says_whether_the_lab_is_up(ordinary: Ordinary) -> None:
    assert wrong_when_stopped(ordinary, 6) == []


def test_the_last_down_ends_no_sandbox_that_another_up_enters(ordinary: Ordinary) -> None:
    assert wrong_beside_the_last_down(ordinary, 2) == []
