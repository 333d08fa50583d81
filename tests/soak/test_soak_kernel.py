"""The long figures of undo and crash recovery, each on a private host of a real kernel."""

import random
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path

import oracle
import pytest
from hosts import Private
from runs import POINTS, Rows, crash, unequal
from test_crash import killed_at_random
from test_failures import STATES, folders_that_fail, wrong
from test_foreign import nat_labs, race_for_one_lab, race_of_labs
from test_repeat import load as under_load
from test_sequences import run_sequences
from test_taken import labs_taken
from test_taken import wrong as not_equal

from cnetsh.labs.builtin import LABS
from cnetsh.labs.choose import plans

pytestmark = pytest.mark.soak
Figure = Callable[[str, int, int], None]
DAY = 86_400


def steps(lab: str, settings: Sequence[str] = ()) -> int:
    return len(plans(lab, settings).up.steps)


def show(lines: Sequence[str]) -> None:
    for line in lines[:5]:
        print(line)


@pytest.mark.parametrize("lab", LABS)
def test_failure_at_every_step(private: Private, tmp_path: Path, figure: Figure, lab: str) -> None:
    folders = folders_that_fail(tmp_path, lab)
    rows = crash(private, "failing", seconds=DAY, folders=folders)
    show(wrong(rows))
    figure(f"{lab}: a step fails: kernel equal", len(rows) - len(wrong(rows)), len(folders))


@pytest.mark.parametrize("state", STATES)
def test_failure_among_foreign_things(
    private: Private, tmp_path: Path, figure: Figure, state: str
) -> None:
    private.sh(STATES[state])
    folders = folders_that_fail(tmp_path, "routing")
    rows = crash(private, "failing", seconds=DAY, folders=folders)
    show(wrong(rows))
    good = len(rows) - len(wrong(rows))
    figure(f"routing, {state}: a step fails: kernel equal", good, len(folders))


@pytest.mark.parametrize("lab", LABS)
def test_kill_at_every_point_of_every_step(private: Private, figure: Figure, lab: str) -> None:
    grid = list(product(range(steps(lab)), POINTS))
    rows = crash(private, "killed", seconds=DAY, lab=lab, settings=[], grid=grid)
    told(rows, figure, f"{lab}: SIGKILL at a point of a step, recover: equal", len(grid))


def test_kill_at_every_point_of_a_long_plan(private: Private, figure: Figure) -> None:
    settings = ["containers=8"]
    grid = list(product(range(steps("bridge", settings)), POINTS))
    options = {"lab": "bridge", "settings": settings, "grid": grid, "long": True}
    rows = crash(private, "killed", seconds=DAY, **options)
    told(rows, figure, "bridge, side by side: SIGKILL at a point, recover: equal", len(grid))


def test_kill_of_recover_at_every_write(private: Private, figure: Figure) -> None:
    places = list(range(0, steps("routing"), 4))
    rows = crash(private, "recover_killed", seconds=DAY, lab="routing", steps=places, seed=5)
    told(rows, figure, "routing: SIGKILL of recover, recover: equal", len(rows))


def told(rows: Rows, figure: Figure, what: str, wanted: int) -> None:
    show(unequal(rows))
    figure(what, len(rows) - len(unequal(rows)), wanted)


def test_sequences(private: Private, tmp_path: Path, figure: Figure) -> None:
    run_sequences(private, tmp_path, 100, length=25)
    figure("up, down, kill, recover and what others do, in any order: equal", 100, 100)


def test_random_kills_of_the_command(new_private: Callable[[], Private], figure: Figure) -> None:
    hosts = [new_private(), new_private()]
    with ThreadPoolExecutor(len(hosts)) as pool:
        list(pool.map(five_hundred_random_kills, hosts))
    figure("cnetsh up routing --on host killed at random: equal", 1000, 1000)


def five_hundred_random_kills(host: Private) -> None:
    before, chance = host.snapshot(), random.Random()
    for _ in range(500):
        killed_at_random(host, before, chance.uniform(0, 0.6))


def test_races(private: Private, tmp_path: Path, figure: Figure) -> None:
    before, files = private.snapshot(), nat_labs(tmp_path, "abcdefgh")
    for _ in range(100):
        race_for_one_lab(private)
        race_of_labs(private, files)
    assert oracle.diff(before, private.snapshot()) == []
    figure("eight at once bring up one lab, or eight that share a setting", 200, 200)


def test_labs_of_any_settings_and_any_file(
    private: Private, tmp_path: Path, figure: Figure
) -> None:
    rows = crash(private, "taken", seconds=DAY, labs=labs_taken(tmp_path, 3500))
    show(refused := not_equal(rows))
    figure("labs that hypothesis finds come up and go: equal", len(rows) - len(refused), len(rows))
    figure("of these, what this kernel can have", [row["exit"] for row in rows].count(0), 500)


def test_down_and_up_at_once_under_load(private: Private, figure: Figure) -> None:
    with under_load():
        number = cycles(private, "container", 1000)
    figure("down and up at once after it, under load, no File exists", number, 1000)


def test_ten_thousand_cycles(new_private: Callable[[], Private], figure: Figure) -> None:
    """On two hosts at a time; links, mounts, files, descriptors, rules and processes as before."""
    hosts = [new_private(), new_private()]
    with ThreadPoolExecutor(len(hosts)) as pool:
        numbers = pool.map(lambda host: cycles(host, "container", 5000), hosts)
    figure("up and down of a lab with one container, nothing gathers", sum(numbers), 10_000)


def test_cycles_of_fifty_containers(private: Private, figure: Figure) -> None:
    number = cycles(private, "routing", 500, "containers=50")
    figure("up and down of a lab with fifty containers, nothing gathers", number, 500)


def cycles(host: Private, lab: str, number: int, *settings: str) -> int:
    """How many times the lab came up and went down with nothing wrong."""
    options = {"lab": lab, "number": number, "settings": list(settings)}
    last = crash(host, "cycles", seconds=DAY, **options)[-1]
    bad = last["exit"] or last["left"]
    if bad:
        print(last["said"], last["left"])
    done = int(re.findall(r"\d+", last["run"])[-1])
    return done - 1 if bad else done
