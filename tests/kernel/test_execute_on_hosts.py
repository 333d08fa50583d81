"""Steps run in the order of the plan, one by one or in units, and each is known before it runs."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hosts import Private
from others import template
from runs import Rows, crash
from test_failures import wrong

from cnetsh.apply.batch import LONGEST
from cnetsh.apply.run import batch_line
from cnetsh.apply.units import units
from cnetsh.plan.steps import Step, parse

FORWARD = "/proc/sys/net/ipv4/ip_forward"
CONTAINER = """ip netns add net{n}
ip link add veth{n} type veth peer name ceth{n} netns net{n}
ip link set veth{n} up
ip netns exec net{n} ip address add 10.9.{high}.{low}/16 dev ceth{n}
ip netns exec net{n} ip link set ceth{n} up
"""


def containers(number: int) -> list[str]:
    text = "".join(
        CONTAINER.format(n=n, high=n // 250, low=n % 250 + 1) for n in range(1, number + 1)
    )
    return text.splitlines()


def steps(lines: Sequence[str]) -> tuple[Step, ...]:
    return parse("\n".join(lines), "own", "", "up", "own").steps


class TestUnits:
    def test_are_runs_of_one_namespace_and_lone_commands(self) -> None:
        lines = [
            *("ip netns add n0", "ip link set lo up", f"echo 1 | tee {FORWARD}"),
            *("iptables -A FORWARD -j DROP", "ip link set lo mtu 1400"),
            *("ip netns exec n0 ip link set lo up", "ip -n n0 address add 10.0.0.1/8 dev lo"),
            *(f"echo 1 | ip netns exec n0 tee {FORWARD}", "ip netns exec n1 ip link set lo up"),
        ]
        cut = units(steps(lines))
        assert [(one.netns, one.numbers) for one in cut] == [
            *(("", [0, 1]), ("", [2]), ("", [3]), ("", [4])),
            *(("n0", [5, 6]), ("n0", [7]), ("n1", [8])),
        ]
        assert [one.lines for one in cut] == [
            *(["netns add n0", "link set lo up"], [], [], ["link set lo mtu 1400"]),
            *(["link set lo up", "address add 10.0.0.1/8 dev lo"], [], ["link set lo up"]),
        ]

    def test_are_cut_where_something_else_is_deleted(self) -> None:
        lines = [
            *("ip route del 10.0.0.0/8", "ip link set br0 down", "ip link delete br0"),
            *("ip link delete br1", "ip netns delete n0", "ip netns delete n1"),
            "ip netns exec n2 ip link delete br0",
        ]
        lines = [line for each in lines for line in ("#: undo none: it is gone", each)]
        cut = [one.numbers for one in units(steps(lines))]
        assert cut == [[0], [1], [2, 3], [4, 5], [6]]

    def test_of_nothing_are_none(self) -> None:
        assert units(()) == []

    @pytest.mark.parametrize(
        "text",
        [
            f"echo 1 | tee {FORWARD}",
            "iptables -A FORWARD -j DROP",
            "ip -6 route add default via fd00::1",
            "ip link show",
            "ip link set lo alias 'two words'",
            "ip link set lo alias 'a down'",
            "ip link set lo alias ''",
            "ip link set lo alias 'a#b'",
            'ip link set lo alias "it\'s"',
            "ip link set lo alias 'a\\b'",
            f"ip link set lo alias {'x' * LONGEST}",
        ],
    )
    def test_what_ip_would_read_otherwise_runs_alone(self, text: str) -> None:
        (step,) = steps([text])
        assert batch_line(step) is None
        assert [one.lines for one in units((step,))] == [[]]

    def test_a_line_may_be_just_as_long_as_ip_reads(self) -> None:
        words = "link set lo alias "
        for size, batched in ((LONGEST - 1, True), (LONGEST, False), (LONGEST + 1, False)):
            (step,) = steps([f"ip {words}{'x' * (size - len(words))}"])
            assert (batch_line(step) is not None) == batched


# Runs the lines, one by one or side by side; says what was noted and watched, and how it ended.
PROGRAM = """
import json, subprocess, sys
from cnetsh.apply.units import side_by_side
from cnetsh.system.process import runner
from cnetsh.apply.run import Means, one_by_one
from cnetsh.system.process import through_sh
from cnetsh.plan.steps import parse
from cnetsh.targets.target import named

CLEAN = "ip -all netns delete; while ip link | grep -q veth; do sleep 0.01; done"

class Recording:
    def __init__(self):
        self.begun, self.over, self.notes = [], [], []
    def expect(self, total, verb=""):
        pass
    def begins(self, number, step):
        self.begun.append(number)
    def ended(self, number, step, result, seconds):
        self.over.append([number, result.exit_code, result.stderr, seconds is not None])
    def note(self, **record):
        self.notes.append(record)

def answer(job):
    seen, left = Recording(), [job.get("stop", -1)]
    def stopping():
        if job.get("stop") is not None and len(seen.begun) >= job["stop"]:
            return 15
        return 0
    steps = parse("\\n".join(job["lines"]), "own", "", "up", "own").steps
    means = Means(runner(), through_sh(()), seen, stopping, named("host"))
    run = {"one": one_by_one, "side": side_by_side}[job["way"]]
    found = run(steps, seen.note, means)
    said = [found.failed, found.result.exit_code if found.result else None, found.signal]
    if job.get("clean"):
        subprocess.run(["sh", "-c", CLEAN], check=True)
    return {"outcome": said, "begun": seen.begun, "over": seen.over, "notes": seen.notes}

print(json.dumps([answer(job) for job in json.load(sys.stdin)]))
"""


def run(host: Private, *jobs: dict[str, Any]) -> list[dict[str, Any]]:
    return list(host.rows("-c", PROGRAM, input=json.dumps(jobs))[0])


def noted(found: dict[str, Any], key: str) -> list[int]:
    return [number for note in found["notes"] for number in note.get(key, ())]


@pytest.mark.parametrize("way", ["one", "side"])
class TestOrder:
    def test_is_that_of_the_plan_and_each_start_is_noted_before(
        self, private: Private, way: str
    ) -> None:
        lines = [*containers(12), f"echo 1 | tee {FORWARD}", "ip link add br0 type bridge"]
        (found,) = run(private, {"way": way, "lines": lines})
        every = list(range(len(lines)))
        assert found["outcome"] == [None, None, 0]
        assert found["begun"] == noted(found, "start") == every
        assert sorted(noted(found, "end")) == sorted(n for n, *_ in found["over"]) == every
        started: set[int] = set()
        for note in found["notes"]:
            started |= set(note.get("start", ()))
            assert set(note.get("end", ())) <= started

    def test_what_was_made_is_noted_with_its_identity(self, private: Private, way: str) -> None:
        (found,) = run(private, {"way": way, "lines": containers(2)})
        made = {key: mark for note in found["notes"] for key, mark in note.get("made", {}).items()}
        assert set(made) == {"netns net1", "netns net2", "link veth1", "link veth2"}
        said = private.sh("cat /sys/class/net/veth2/ifindex; stat -L -c %i /sys/class/net/veth2")
        assert made["link veth2"] == [int(number) for number in said.split()]

    def test_ends_at_the_step_that_fails(self, private: Private, way: str) -> None:
        lines = containers(6)
        errors = (
            "ip link set nosuch up",
            "ip link set lo mtu 99999999999",
            "iptables -A NO -j DROP",
        )
        cases = [(bad, place) for bad in errors for place in (0, 3, 17, len(lines))]
        jobs = [
            {"way": way, "lines": [*lines[:place], bad, *lines[place:]], "clean": True}
            for bad, place in cases
        ]
        for (_, place), found in zip(cases, run(private, *jobs), strict=True):
            assert found["outcome"][0] == place and found["outcome"][1]
            started, ended = set(noted(found, "start")), set(noted(found, "end"))
            # Units of other namespaces that were under way stop too; what did not run is said.
            assert ended <= set(range(place)) <= started
            assert started - ended - set(noted(found, "over")) == {place}
            assert way == "side" or ended == set(range(place))
            (failed,) = [one for one in found["over"] if one[1]]
            assert failed[0] == place and "Command failed -" not in failed[2]

    def test_stops_when_it_is_told_to(self, private: Private, way: str) -> None:
        lines = containers(6)
        (found,) = run(private, {"way": way, "lines": lines, "stop": 11})
        assert found["outcome"] == [None, None, 15]
        ended, over = noted(found, "end"), noted(found, "over")
        assert sorted([*ended, *over]) == sorted(noted(found, "start"))
        assert max(noted(found, "start")) < len(lines) - 1
        # What is noted as done was done, and what is over was not.
        there = private.sh("ip netns list").split()
        named = {number // 5 for number in ended if number % 5 == 0}
        assert {f"net{number + 1}" for number in named} == {n for n in there if n[:3] == "net"}


def test_the_host_waits_for_who_works_in_what_it_deletes(private: Private) -> None:
    lines = []
    for number in range(30):
        name = f"n{number}"
        inside = [f"ip netns exec {name} ip link add a{at} type bridge" for at in range(3)]
        lines += [f"ip netns add {name}", *inside, "#: undo none: ours", f"ip netns delete {name}"]
    (found,) = run(private, {"way": "side", "lines": lines})
    assert found["outcome"] == [None, None, 0]
    assert sorted(noted(found, "end")) == list(range(30 * 5))


def deleting(bridges: Sequence[str], namespaces: int) -> list[str]:
    lines = [f"ip link delete {name}" for name in bridges]
    lines += [f"ip netns delete n{number}" for number in range(namespaces)]
    return [line for each in lines for line in ("#: undo none: it is gone", each)]


def test_bridges_and_namespaces_go_side_by_side(private: Private) -> None:
    making = [f"ip link add br{number} type bridge" for number in range(3)]
    for number in range(60):
        making += [
            f"ip netns add n{number}",
            f"ip link add v{number} type veth peer name c netns n{number}",
            f"ip link set v{number} master br{number % 3}",
        ]
    gone = deleting(("br0", "br1", "br2"), 60)
    made, found = run(private, *({"way": "side", "lines": lines} for lines in (making, gone)))
    assert made["outcome"] == found["outcome"] == [None, None, 0]
    assert found["begun"] == noted(found, "start") == list(range(63))
    assert sorted(noted(found, "end")) == list(range(63))
    # The namespaces do not wait for the bridges, which have begun before.
    assert [note["start"] for note in found["notes"] if "start" in note] == [
        *([0, 1, 2], list(range(3, 63)))
    ]
    first = next(at for at, note in enumerate(found["notes"]) if "end" in note)
    assert first == 2
    assert private.sh("ip netns list; ip -br link show type bridge") == ""


def test_a_bridge_that_is_gone_fails_its_own_step_beside_namespaces(private: Private) -> None:
    making = ["ip link add br0 type bridge", *(f"ip netns add n{number}" for number in range(60))]
    gone = deleting(("br0", "br0"), 60)
    _, found = run(private, *({"way": "side", "lines": lines} for lines in (making, gone)))
    assert found["outcome"] == [1, 1, 0]
    started, ended, over = (set(noted(found, key)) for key in ("start", "end", "over"))
    assert started - ended - over == {1} and 0 in ended
    # What is noted as done was done, and what is over was not.
    assert set(private.sh("ip netns list").split()) == {
        f"n{number - 2}" for number in range(2, 62) if number not in ended
    }


def test_an_undo_goes_on_past_a_bridge_that_is_gone(private: Private, tmp_path: Path) -> None:
    lines = [
        *("#: undo ip link delete br0", "ip link add br0 type bridge"),
        *("#: undo ip link delete br0", "ip link set br0 up"),
    ]
    containers = [f"ip netns add n{number}" for number in range(60)]
    down = "\n".join(["ip link delete br0", *(f"ip netns delete n{n}" for n in range(60))])
    lab = template(tmp_path, "own", "\n".join([*containers, *lines]), down=down)
    assert private.cnetsh("up", lab).returncode == 0
    done = private.cnetsh("down", lab, check=False)
    assert done.returncode == 3 and "step 61 is not undone" in done.stderr, done.stderr
    assert private.sh("ip netns list; ip -br link show type bridge") == ""


def test_the_host_is_never_left_for_a_namespace(private: Private) -> None:
    lines = [
        *("ip netns add n0", "ip netns add n1", "ip link add v0 type veth peer name c0 netns n0"),
        *("ip netns exec n0 ip link set c0 netns n1", "iptables -N OWN"),
    ]
    (found,) = run(private, {"way": "side", "lines": lines})
    assert found["outcome"] == [None, None, 0]
    assert "-N OWN\n" in private.sh("iptables -S")


def test_a_namespace_that_is_not_there_fails_its_own_step(private: Private) -> None:
    lines = ["ip link set lo up", "ip netns exec nosuch ip link set lo up"]
    jobs = [{"way": way, "lines": lines} for way in ("one", "side")]
    for found in run(private, *jobs):
        assert found["outcome"] == [1, 255, 0]
        assert found["over"][-1][2] == "namespace nosuch: No such file or directory"


def test_a_failure_anywhere_in_300_containers_names_its_step_and_leaves_nothing(
    private: Private, tmp_path: Path
) -> None:
    lines = containers(300)
    cases = {
        4: "ip route add 10.250.0.0/16 via 9.9.9.9",
        751: "ip netns exec net150 ip link set nosuch0 up",
        len(lines): "ip link set veth300 mtu 99999999999",
    }
    folders = []
    for place, bad in cases.items():
        steps = "\n".join([*lines[:place], bad, *lines[place:]])
        folders.append(template(tmp_path, f"own{place}", steps))
    rows: Rows = crash(private, "failing", folders=folders)
    assert wrong(rows) == [] and len(rows) == len(cases)
    for (place, bad), row in zip(cases.items(), rows, strict=True):
        assert f"step {place + 1} failed: {bad}\n" in row["said"]
