"""A lane names the very line that failed, whatever ip says of it, and stops where it is told to."""

import json
from typing import Any

import pytest
from hosts import Private, living_in, namespaces_of, wait_for

GOOD = [f"link set lo mtu {1400 + number}" for number in range(6)]

# kind of error: the line, ip's exit code in a batch, what it says; ip numbers only some of them.
ERRORS = {
    "refused by the kernel": ("link add lo type bridge", 1, "File exists"),
    "no such link": ("link set nosuch up", 1, 'Cannot find device "nosuch"'),
    "refused by the kernel in words": ("address add 127.0.0.1/8 dev lo", 1, "already assigned"),
    "an unknown object": ("frob add lo", 1, 'Object "frob" is unknown'),
    "an unknown command": ("link frobnicate lo", 255, 'Command "frobnicate" is unknown'),
    "a wrong argument": ("link set lo mtu many", 255, 'argument "many" is wrong'),
    "an argument twice": ("link set lo mtu 1400 mtu 1500", 255, 'duplicate "mtu"'),
    "a bad prefix": ("address add 10.0.0.1/99 dev lo", 1, "any valid prefix is expected"),
    "a namespace that is not there": ("netns exec nosuch true", 1, "nosuch"),
    "a request for help": ("link help", 255, "Usage: ip link"),
}

# Runs each job in a lane of its own: lines, how it is started, after how many lines to stop.
PROGRAM = """
import json, sys, time
from cnetsh.apply.batch import Lane
from cnetsh.system.process import spawn, through_sh

def lane_of(job):
    return Lane(through_sh(()) if job.get("sh") else spawn)

def answer(job):
    lane, given = lane_of(job), [0]
    def stopping():
        given[0] += 1
        return given[0] > job.get("stop", 1e9)
    began = time.monotonic()
    runs = [lane.run(lines, stopping) for lines in job["runs"]] if "runs" in job else []
    if "lines" in job:
        runs = [lane.feed(job["lines"], stopping)]
    result, taken = lane.close()
    with open("/sys/class/net/lo/mtu") as file:
        mtu = int(file.read())
    return [runs, result.exit_code, taken, result.stderr, mtu, time.monotonic() - began]

print(json.dumps([answer(job) for job in json.load(sys.stdin)]))
"""


def answers(host: Private, *jobs: dict[str, Any]) -> list[list[Any]]:
    return list(host.rows("-c", PROGRAM, input=json.dumps(jobs))[0])


@pytest.mark.parametrize("through_sh", [False, True], ids=["spawned", "through sh"])
class TestFailingLine:
    def test_is_named_for_every_kind_of_error_at_every_place(
        self, private: Private, through_sh: bool
    ) -> None:
        cases = [
            (line, code, said, place)
            for line, code, said in ERRORS.values()
            for place in (0, 3, len(GOOD))
        ]
        jobs = [
            {"sh": through_sh, "runs": [[*GOOD[:place], line, *GOOD[place:]]]}
            for line, _, _, place in cases
        ]
        mtu = 65536
        for (line, code, said, place), found in zip(cases, answers(private, *jobs), strict=True):
            runs, exit_code, taken, stderr, now, _ = found
            assert (runs, exit_code, taken) == ([False], code, place + 1), (line, place, stderr)
            assert said in stderr
            # Those before it ran, those after it did not.
            mtu = 1400 + place - 1 if place else mtu
            assert now == mtu, (line, place)

    def test_is_counted_anew_in_each_run_of_a_lane(
        self, private: Private, through_sh: bool
    ) -> None:
        runs = [GOOD[:2], GOOD[2:5], [GOOD[5], "link set nosuch up", GOOD[0]]]
        (found,) = answers(private, {"sh": through_sh, "runs": runs})
        assert found[:3] == [[True, True, False], 1, 2] and found[4] == 1405

    def test_is_none_when_all_went_well(self, private: Private, through_sh: bool) -> None:
        found = answers(
            private,
            {"sh": through_sh, "runs": [GOOD]},
            {"sh": through_sh, "lines": GOOD},
            {"sh": through_sh, "runs": [[]]},
            {"sh": through_sh, "runs": []},
            {"sh": through_sh, "runs": [["link set lo type help"]]},
        )
        assert [one[:3] for one in found] == [
            [[True], 0, 6],
            [[True], 0, 6],
            [[True], 0, 0],
            [[], 0, 0],
            # The one line that ip takes for done without doing it; the table does not have it.
            [[True], 0, 1],
        ]


class TestLong:
    COUNT = 5_000

    def test_thousands_of_lines_and_the_one_that_fails(self, private: Private) -> None:
        lines = [f"link set lo mtu {1400 + number % 100}" for number in range(self.COUNT)]
        bad = "link set lo mtu many"
        found = answers(
            private,
            {"runs": [lines]},
            {"lines": lines},
            *({"runs": [[*lines[:at], bad, *lines[at:]]]} for at in (1, 2_345, self.COUNT)),
            {"lines": [*lines[:4_321], bad, *lines[4_321:]]},
        )
        assert [one[1:3] for one in found] == [
            [0, self.COUNT],
            [0, self.COUNT],
            [255, 2],
            [255, 2_346],
            [255, self.COUNT + 1],
            [255, 4_322],
        ]

    def test_the_longest_line_is_taken_whole(self, private: Private) -> None:
        line = "link set lo mtu 1234" + " " * (4095 - 1 - 24) + "1500"
        # What is cut off would be a keyword without its value, or none: it must have been read.
        assert len(line) == 4094
        (found,) = answers(private, {"runs": [[GOOD[0], line, GOOD[1]]]})
        assert found[:3] == [[False], 255, 2] and '"1500"' in found[3]


class TestStop:
    @pytest.mark.parametrize("at", [0, 1, 4])
    def test_leaves_the_rest_undone(self, private: Private, at: int) -> None:
        (found,) = answers(private, {"runs": [GOOD], "stop": at})
        runs, exit_code, taken, _, mtu, _ = found
        assert (runs, exit_code) == ([False], 0) and taken <= at
        # All that were taken have run, and nothing else has.
        assert mtu == (1400 + taken - 1 if taken else 65536)

    @pytest.mark.parametrize("through_sh", [False, True], ids=["spawned", "through sh"])
    def test_in_the_middle_of_thousands(self, private: Private, through_sh: bool) -> None:
        """None of the lines from between those that were taken back has run."""
        lines = [f"link set lo mtu {1000 + number}" for number in range(5_000)]
        stops = (10, 100, 1_000, 3_000, 4_999, 5_000, 5_010)
        jobs = [{"sh": through_sh, "runs": [lines], "stop": stop} for stop in stops]
        for stop, found in zip(stops, answers(private, *jobs), strict=True):
            runs, exit_code, taken, _, mtu, _ = found
            assert (runs, exit_code) == ([False], 0) and 0 <= taken <= stop
            assert mtu == 1000 + taken - 1 or not taken


def test_a_lane_that_is_killed_says_how_far_it_came(private: Private) -> None:
    code = """
import json, os, signal
from cnetsh.apply.batch import Lane
from cnetsh.system.process import spawn
pids = []
def start(*given):
    child = spawn(*given)
    pids.append(child.pid)
    return child
lane = Lane(start)
assert lane.run(["link set lo mtu 1400", "link set lo mtu 1401"], lambda: False)
os.kill(pids[0], signal.SIGKILL)
os.waitid(os.P_PID, pids[0], os.WEXITED | os.WNOWAIT)
ran = lane.run(["link set lo mtu 1402"] * 3, lambda: False)
result, taken = lane.close()
print(json.dumps([ran, result.exit_code, taken]))
"""
    done = private.python("-c", code)
    assert json.loads(done.stdout or "[]") == [False, -9, 0], done.stderr
    assert private.sh("cat /sys/class/net/lo/mtu") == "1401\n"


def test_a_lane_whose_feeder_is_killed_ends_soon(private: Private) -> None:
    """It holds the lock until then, and `recover` waits for it."""
    code = """
import os, signal
from cnetsh.apply.batch import Lane
from cnetsh.system.process import spawn
lines, fed = [f"link set lo mtu {1000 + number}" for number in range(5_000)], [0]
def stopping():
    fed[0] += 1
    if fed[0] == 1_000:
        os.kill(os.getpid(), signal.SIGKILL)
Lane(spawn).feed(lines, stopping)
"""
    private.python("-c", code)
    own = namespaces_of(private.pid)
    assert wait_for(lambda: living_in(own) == {private.pid})
    assert 1900 < int(private.sh("cat /sys/class/net/lo/mtu")) < 2000
