"""Whatever breaks between here and another machine: what is left there is known, and goes whole."""

import os
import signal
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import oracle
import pytest
from hosts import PATIENCE, Private, ignored_if_gone, kill, wait_for
from machines import Machines, connected

from cnetsh.labs import choose

STEPS = len(choose.plans("routing").up.steps)
NewPrivate = Callable[[], Private]


@pytest.fixture
def own(new_private: NewPrivate) -> Machines:
    return connected(new_private(), new_private())


def far_python(machines: Machines, _: int) -> None:
    for pid, words in machines.processes().items():
        if words.split()[0].endswith("python3"):
            kill(pid)


def far_sshd(machines: Machines, _: int) -> None:
    for pid, words in machines.processes().items():
        if words.startswith("sshd: "):
            kill(pid)


def local_ssh(_: Machines, cnetsh: int) -> None:
    """The session of this command, not the connection."""
    for child in children(cnetsh):
        kill(int(child))


def local_connection(machines: Machines, _: int) -> None:
    for pid, words in machines.processes(machines.here).items():
        if "-MNTfx" in words:
            kill(pid)


def link(machines: Machines, _: int) -> None:
    machines.here.sh("ip link set far down")


def interrupt(_: Machines, cnetsh: int) -> None:
    os.kill(cnetsh, signal.SIGINT)


def interrupt_what_has_begun(machines: Machines, cnetsh: int) -> None:
    """As soon as it has started ssh; before, the far side has nothing of it."""
    assert wait_for(lambda: bool(children(cnetsh)))
    interrupt(machines, cnetsh)


def children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


Strike = Callable[[Machines, int], None]
BREAKS: list[Strike] = [far_python, far_sshd, local_ssh, local_connection, link]


def struck(machines: Machines, strike: Strike, step: int, *words: str) -> tuple[int, str]:
    """How `up` of routing ends, struck when that step begins, and what it said."""
    up = machines.start("up", "routing", *words, stderr=subprocess.PIPE, stdin=subprocess.PIPE)
    assert up.stderr
    said = ""
    while step and not said.rpartition("\n")[2].startswith(f"[{step}/"):
        piece = up.stderr.readline()
        assert piece, said
        said += f"\n{piece.strip()}"
    strike(machines, up.pid)
    said += up.stderr.read()
    return up.wait(), said


def broken(machines: Machines, strike: Strike, step: int) -> list[str]:
    """What is wrong after a break at a step, all things looked at that a person would."""
    before = machines.there.snapshot()
    code, said = struck(machines, strike, step)
    told = "killed: cnetsh recover --on ssh:" if strike is far_python else "broke"
    # It may have been over just before.
    well = (code == 3 and told in said) or (code == 0 and "routing is up" in said)
    wrong = [] if well else [f"exit {code}: {said}"]
    machines.here.sh("ip link set far up")
    for words in (["status"], ["recover"], ["down", "routing"]):
        done = machines.cnetsh(*words, check=False)
        if done.returncode:
            wrong.append(f"{words}: exit {done.returncode}: {done.stderr}")
    wrong += oracle.diff(before, machines.there.snapshot())
    return [f"{strike.__name__} at {step}: {line}" for line in wrong]


@pytest.mark.parametrize("strike, step", [(far_python, 7), (far_sshd, 12)])
def test_a_break_at_a_step(own: Machines, strike: Strike, step: int) -> None:
    assert broken(own, strike, step) == []


@pytest.mark.soak
def test_every_break_at_every_step(new_private: NewPrivate) -> None:
    worlds = [connected(new_private(), new_private()) for _ in range(4)]

    def some(number: int) -> list[str]:
        cases = [(strike, step) for step in range(1, STEPS + 1) for strike in BREAKS]
        return [line for case in cases[number::4] for line in broken(worlds[number], *case)]

    with ThreadPoolExecutor(4) as pool:
        wrong = [line for lines in pool.map(some, range(4)) for line in lines]
    print(f"{len(BREAKS)} breaks at {STEPS} steps: {len(wrong)} lines wrong", *wrong, sep="\n")
    assert wrong == []


@pytest.mark.parametrize(
    "step",
    [
        0,
        4,
        15,
        *(pytest.param(one, marks=pytest.mark.soak) for one in (1, 2, 4, 7, 10, 13, 18, 20)),
    ],
)
def test_ctrl_c_undoes_it_there(own: Machines, step: int) -> None:
    before = own.there.snapshot()
    if step:
        code, said = struck(own, interrupt, step)
    else:
        own.cnetsh("status")
        code, said = struck(own, interrupt_what_has_begun, 0)
    assert code == 130, said
    assert own.cnetsh("status").stderr == "no lab is up\n"
    assert oracle.diff(before, own.there.snapshot()) == []


@pytest.mark.parametrize(
    "number", [signal.SIGHUP, pytest.param(signal.SIGTERM, marks=pytest.mark.soak)]
)
def test_other_signals_do_too(own: Machines, number: signal.Signals) -> None:
    code, said = struck(own, lambda _, pid: os.kill(pid, number), 9)
    assert code == 128 + number, said
    assert own.cnetsh("status").stderr == "no lab is up\n"


def test_a_trial_that_nobody_can_confirm_is_undone(own: Machines) -> None:
    before = own.there.snapshot()
    up = own.start("up", "routing", "--try", "4", stderr=subprocess.PIPE, stdin=subprocess.PIPE)
    assert up.stderr
    while "press Enter within 4 s" not in up.stderr.readline():
        pass
    own.here.sh("ip link set far down")
    lab = "ls -A /run/netns; ls /run/cnetsh/*/*.journal; ip -o link show type bridge"
    assert wait_for(lambda: not own.there.run(["sh", "-c", lab]).stdout)
    own.here.sh("ip link set far up")
    assert wait_for(lambda: oracle.diff(before, own.there.snapshot()) == [])
    up.kill()
    up.communicate()


def test_a_trial_is_confirmed_from_here(own: Machines) -> None:
    up = own.start("up", "routing", "--try", "60", stderr=subprocess.PIPE, stdin=subprocess.PIPE)
    assert up.stderr
    while "press Enter within 60 s" not in up.stderr.readline():
        pass
    assert "routing stays up" in up.communicate("\n", timeout=PATIENCE)[1] and up.returncode == 0
    own.cnetsh("down", "routing")


def test_who_waits_for_nothing_is_told_what_becomes_of_it(own: Machines) -> None:
    code, said = struck(own, local_ssh, 9, "--try", "2")
    assert code == 3 and "is undone, for nobody can confirm it any more" in said
    with ignored_if_gone():
        assert wait_for(lambda: own.cnetsh("status").stderr == "no lab is up\n")
