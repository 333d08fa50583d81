"""cnetsh is killed, stopped or unplugged at any point: `recover` makes the kernel as it was."""

import json
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import oracle
import pytest
from endings import assert_left
from hosts import PATIENCE, Private, report, wait_for
from others import BRIDGE, template
from runs import KILLED, POINTS, crash, unequal
from test_foreign import NAT_LAB, lab_file

from cnetsh.apply import journal
from cnetsh.labs import choose

STEPS = len(choose.plans("routing").up.steps)
CNETSH = [sys.executable, "-m", "cnetsh"]
SIGNALS = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}
FOREIGN = """
ip link add br9 type bridge && ip link add p9 type veth peer name q9 && ip link set p9 master br9
echo 1 > /proc/sys/net/ipv4/ip_forward
echo 1 > /proc/sys/net/ipv4/conf/all/accept_redirects
iptables -t nat -A POSTROUTING -s 172.18.0.0/12 ! -o br0 -j MASQUERADE
"""
SLOW = """
ip netns add slow0
ip netns exec slow0 ip link set lo up
ip netns exec slow0 ping -i 0.5 -w SECONDS 127.0.0.1
"""


class TestKilledUp:
    def test_at_the_points_of_its_steps(self, private: Private) -> None:
        """Each point, of five steps; `make soak` takes all points of all steps of all labs.

        That each kind of step is undone after a kill: test_inverse.py, with samples of all kinds.
        """
        grid = list(zip(range(0, STEPS, 5), POINTS, strict=True))
        rows = crash(private, "killed", lab="routing", settings=[], grid=grid)
        assert unequal(rows) == []
        assert [row["exit"] for row in rows] == [KILLED] * len(grid)

    def test_of_a_long_plan_side_by_side(self, private: Private) -> None:
        settings = ["containers=8"]
        steps = len(choose.plans("bridge", settings).up.steps)
        grid = list(zip(range(4, steps, steps // 5), POINTS, strict=False))
        rows = crash(private, "killed", lab="bridge", settings=settings, grid=grid, long=True)
        assert unequal(rows) == []
        assert [row["exit"] for row in rows] == [KILLED] * len(grid)

    def test_of_a_long_plan_whose_namespaces_live_on(self, private: Private) -> None:
        """Nobody wrote down which links were made, and they do not go with their namespaces."""
        settings = ["containers=8"]
        (row,) = crash(private, "killed_and_held", lab="bridge", settings=settings, step=4)
        assert row["held"] and unequal([row]) == []

    @pytest.mark.soak
    def test_where_others_have_things(self, private: Private) -> None:
        private.sh(FOREIGN)
        grid = [(step, "before outcome") for step in (1, 6, STEPS - 2, STEPS - 1)]
        assert unequal(crash(private, "killed", lab="routing", settings=[], grid=grid)) == []

    def test_at_random(self, private: Private) -> None:
        before, chance = private.snapshot(), random.Random(7)
        for _ in range(2):
            killed_at_random(private, before, chance.uniform(0.1, 0.7))


def killed_at_random(private: Private, before: oracle.Facts, seconds: float) -> None:
    process = private.start([*CNETSH, "up", "routing"], stderr=-3, stdout=-3)
    time.sleep(seconds)
    process.kill()
    process.wait()
    if private.cnetsh("status", "--json").stdout.count('"up"'):
        private.cnetsh("down", "routing")
    private.cnetsh("recover")
    assert "nothing to recover" in private.cnetsh("recover").stderr
    assert oracle.diff(before, private.snapshot()) == [], f"killed after {seconds:.3f} s"


class TestKilledRecover:
    def test_at_each_of_its_writes(self, private: Private) -> None:
        rows = crash(private, "recover_killed", lab="routing", steps=[STEPS // 2], seed=3)
        assert unequal(rows) == []
        assert rows[-1]["exit"] == 0 and {row["exit"] for row in rows[:-1]} == {KILLED}
        assert len(rows) > 6

    # Five at a time, so that before a write and after one take turns.
    @pytest.mark.parametrize("every", [5, pytest.param(1, marks=pytest.mark.soak)])
    def test_beside_a_lab_that_shares_a_setting(
        self, private: Private, tmp_path: Path, every: int
    ) -> None:
        private.sh("echo 0 > /proc/sys/net/ipv4/conf/all/accept_redirects")
        other = lab_file(tmp_path, NAT_LAB, "b", 62)
        lab = {"lab": "routing", "settings": ["containers=1"]}
        rows = crash(private, "beside_killed", **lab, other=other, name="b", every=every)
        assert_each_well(rows)
        assert len(rows) > 10 // every

    @pytest.mark.parametrize("every", [3, pytest.param(1, marks=pytest.mark.soak)])
    def test_beside_a_lab_that_made_the_same_of_a_link(
        self, private: Private, tmp_path: Path, every: int
    ) -> None:
        private.sh(f"{BRIDGE}\nip link add link br9 name m9 type macvlan; ip link set m9 up")
        lab = template(tmp_path, "t1", "ip link set dev p9 mtu 1200")
        other = template(tmp_path, "t2", "ip link set dev br9 mtu 1200")
        options = {"lab": lab, "settings": [], "other": other, "name": "t2", "every": every}
        assert_each_well(crash(private, "beside_killed", **options))


def assert_each_well(rows: list[dict[str, Any]]) -> None:
    assert [row for row in rows if row["left"] or row["codes"] != [0, 0, 0]] == []
    assert {row["exit"] for row in rows} == {KILLED, 0}
    # The last of them was not killed.
    assert len({row["checked"] for row in rows if "checked" in row}) == 1
    assert [row["said"] for row in rows if "changed meanwhile" in row["said"]] == []


class TestSignals:
    @pytest.mark.parametrize(("number", "code"), SIGNALS.items())
    def test_stop_and_undo(
        self, private: Private, tmp_path: Path, number: signal.Signals, code: int
    ) -> None:
        before = private.snapshot()
        process = start_slow(private, tmp_path, 4)
        process.send_signal(number)
        process.send_signal(number)
        _, said = process.communicate(timeout=PATIENCE)
        assert process.returncode == code, said
        assert "Traceback" not in said and "undone" in said
        assert oracle.diff(before, private.snapshot()) == []

    @pytest.mark.parametrize("times", [3, pytest.param(12, marks=pytest.mark.soak)])
    def test_at_random_points(self, private: Private, times: int) -> None:
        before, chance, numbers = private.snapshot(), random.Random(11), list(SIGNALS)
        for at in range(times):
            seconds, number = chance.uniform(0.05, 0.6), numbers[at % 3]
            process = private.start([*CNETSH, "up", "routing"], stderr=-1)
            time.sleep(seconds)
            process.send_signal(number)
            _, said = process.communicate(timeout=PATIENCE)
            where = f"signal {number} after {seconds:.3f} s, exit {process.returncode}\n{said}"
            # Before cnetsh has begun a signal just ends Python; after its end it comes too late.
            assert process.returncode in (0, SIGNALS[number], -number), where
            assert "Traceback" not in said or process.returncode == -number, where
            # A signal after the last word ends only the exit: the lab is up then, as it said.
            if process.returncode == 0 or "routing is up:" in said:
                private.cnetsh("down", "routing")
            assert "nothing to recover" in private.cnetsh("recover").stderr, where
            assert oracle.diff(before, private.snapshot()) == [], where


def start_slow(private: Private, folder: Path, seconds: int) -> "subprocess.Popen[str]":
    """A lab that is at its last step, which takes some seconds."""
    lab = template(folder, "slow", SLOW.replace("SECONDS", str(seconds)))
    process = private.start([*CNETSH, "up", lab], stderr=-1)
    assert wait_for(lambda: "slow0" in private.sh("ls /run/netns || true"))
    assert wait_for(lambda: "ping" in inside_slow(private))
    return process


def inside_slow(private: Private) -> str:
    """The names of the processes in the slow lab's namespace."""
    return private.sh("for pid in $(ip netns pids slow0); do cat /proc/$pid/comm || true; done")


def test_a_rule_of_others_in_place_of_the_labs_is_theirs(private: Private, tmp_path: Path) -> None:
    """Nobody saw what the killed `up` did to the chain: its words tell which rule is the lab's."""
    ours, theirs = "FORWARD -i eth9 -j ACCEPT", "FORWARD -p tcp --dport 80 -j ACCEPT"
    lab = template(tmp_path, "slow", f"iptables -A {ours}\nping -w 3 127.0.0.1")
    process = private.start([*CNETSH, "up", lab], stderr=-1)
    assert wait_for(lambda: "-i eth9" in private.sh("iptables -S FORWARD"))
    process.kill()
    process.wait()
    private.sh(f"iptables -D {ours}; iptables -A {theirs}")
    done = private.cnetsh("recover")
    assert "--dport 80" in private.sh("iptables -S FORWARD"), report(done)
    assert "--dport 80 -j ACCEPT is new" in done.stderr, report(done)


class TestOutput:
    def test_that_nobody_reads_stops_nothing(self, private: Private) -> None:
        before = private.snapshot()
        script = f"{' '.join(CNETSH)} up routing 2>&1 | head -1; {' '.join(CNETSH)} status"
        done = private.run(["sh", "-c", script])
        assert re.search("routing +up", done.stdout), report(done)
        done = private.run(["sh", "-c", f"{' '.join(CNETSH)} down routing 2>&1 | head -1"])
        assert "Traceback" not in done.stderr
        assert oracle.diff(before, private.snapshot()) == []

    def test_that_is_closed_stops_nothing(self, private: Private) -> None:
        before = private.snapshot()
        for words in ("up routing", "down routing"):
            done = private.run(["sh", "-c", f"{' '.join(CNETSH)} {words} >&- 2>&- <&-"])
            assert done.returncode == 0, report(done)
        assert oracle.diff(before, private.snapshot()) == []

    @pytest.mark.parametrize("words", ["plan routing", "labs", "plan routing --format json"])
    def test_of_a_page_may_be_cut(self, private: Private, words: str) -> None:
        done = private.run(["sh", "-c", f"{' '.join(CNETSH)} {words} | head -1"])
        assert "Traceback" not in done.stderr and "Exception" not in done.stderr, report(done)


class TestOrphan:
    def test_is_waited_for(self, private: Private, tmp_path: Path) -> None:
        """A command outlives its cnetsh: it holds the lock until it ends."""
        before = private.snapshot()
        process = start_slow(private, tmp_path, 5)
        process.kill()
        process.wait()
        assert "ping" in inside_slow(private)
        done = private.cnetsh("recover")
        assert "slow is down" in done.stderr
        assert oracle.diff(before, private.snapshot()) == []

    def test_holds_the_lock_however_it_was_started(self, private: Private) -> None:
        rows = crash(private, "holders")
        assert [(row["run"], row["held"], row["after"]) for row in rows] == [
            ("sh", True, False),
            ("posix_spawn", True, False),
        ]


def interrupted(private: Private) -> Path:
    """The journal of a `routing` that was killed after its last step."""
    private.cnetsh("up", "routing")
    private.sh("sed -i '$d' /run/cnetsh/*/routing.journal")
    # The private host's /run is seen through its process.
    return next(Path(f"/proc/{private.pid}/root/run/cnetsh").glob("*/routing.journal"))


class TestJournal:
    def test_of_another_boot_is_not_executed(self, private: Private) -> None:
        before = private.snapshot()
        path = interrupted(private)
        there = private.snapshot(settled=0.2)
        whole = path.read_text()
        head, _, rest = whole.partition("\n")
        header = json.loads(head[9:]) | {"boot": "11111111-2222-3333-4444-555555555555"}
        path.write_text(journal.as_line(header).decode() + rest)
        done = private.cnetsh("recover")
        assert "nothing was executed" in done.stderr
        assert oracle.diff(there, private.snapshot()) == []
        path.write_text(whole)
        private.cnetsh("recover")
        assert oracle.diff(before, private.snapshot()) == []

    @pytest.mark.parametrize("every", [7, pytest.param(1, marks=pytest.mark.soak)])
    def test_may_be_cut_at_any_byte_of_its_tail(
        self, private: Private, tmp_path: Path, every: int
    ) -> None:
        before = private.snapshot()
        path = interrupted(private)
        whole = path.read_bytes()
        first = whole.index(b"\n") + 1
        for end in range(first, len(whole), every):
            (cut := tmp_path / "cut.journal").write_bytes(whole[:end])
            record = journal.read_journal(cut)
            record.close()
            complete = whole[: whole.rindex(b"\n", 0, end) + 1]
            assert cut.read_bytes() == complete
            # Nothing that was announced is forgotten.
            assert record.applied == announced(complete)
        path.write_bytes(whole[:-7])
        private.cnetsh("recover")
        assert oracle.diff(before, private.snapshot()) == []

    def test_that_is_damaged_in_its_header_stops_everything(self, private: Private) -> None:
        before = private.snapshot()
        path = interrupted(private)
        there = private.snapshot(settled=0.2)
        whole = path.read_bytes()
        header = whole.index(b"\n")
        joined = whole[: header - 5] + whole[header + 5 :]
        at = whole.index(journal.boot_id().encode())
        other_boot = whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]
        for damage in (joined, other_boot, b"\n"):
            path.write_bytes(damage)
            for command in ("recover", "down", "up"):
                words = [command] if command == "recover" else [command, "routing"]
                done = private.cnetsh(*words, check=False)
                assert done.returncode == (3 if command == "recover" else 2), report(done)
                assert "is damaged, so nothing is undone by it" in done.stderr, report(done)
        assert oracle.diff(there, private.snapshot()) == []
        path.write_bytes(whole)
        private.cnetsh("recover")
        assert oracle.diff(before, private.snapshot()) == []

    def test_that_is_damaged_later_undoes_what_stands_before(self, private: Private) -> None:
        before = private.snapshot()
        path = interrupted(private)
        whole = path.read_bytes()
        # The last that is known: net0 may have been made.
        number = next(
            at for at, line in enumerate(whole.split(b"\n"), 1) if b'"netns net0"' in line
        )
        path.write_bytes(whole.replace(b'"netns net0"', b'"netns net9"'))
        done = private.cnetsh("recover", check=False)
        assert_left(done, f"is damaged from line {number} on")
        # What is not known to be the lab's is spared, and what it uses.
        assert private.sh("ip netns list").split()[:1] == ["net1"]
        assert "br0 stays: veth1 is a port of it" in done.stderr, report(done)
        path.write_bytes(whole)
        private.cnetsh("recover")
        assert oracle.diff(before, private.snapshot()) == []

    def test_of_a_namespace_that_is_gone_is_not_another_ones(self, private: Private) -> None:
        """The kernel gives the inode's number of a namespace again at once."""
        up = " ".join([*CNETSH, "up", "veth"])
        said = private.sh(f"for i in 1 2 3; do unshare --net {up} 2>&1; sleep 0.3; done")
        assert said.count("veth is up: ") == 3 and "already" not in said

    def test_that_is_interrupted_is_said(self, private: Private) -> None:
        interrupted(private)
        done = private.cnetsh("up", "routing", check=False)
        assert done.returncode == 2 and "cnetsh recover" in done.stderr
        assert private.cnetsh("status").stdout.split()[1:2] == ["interrupted"]
        assert private.cnetsh("status").stdout.endswith("\n  cnetsh recover --on host undoes it\n")
        private.sh("ip netns delete net1")
        done = private.cnetsh("check", check=False)
        assert "routing is not whole; why: cnetsh status --on host\n" in done.stderr
        assert "it is not known what is in the namespace net1, which is not seen" in done.stderr
        private.cnetsh("recover")


def announced(lines: bytes) -> set[int]:
    records = [json.loads(line[9:]) for line in lines.splitlines()[1:]]
    return {number for record in records for number in record.get("start", ())}


class TestHeld:
    def test_processes_are_named_until_they_end(self, private: Private) -> None:
        """`recover` cannot end what others run inside, and says so each time."""
        before = private.snapshot()
        interrupted(private)
        process = private.start(["ip", "netns", "exec", "net0", "sleep", "600"])
        assert wait_for(lambda: private.sh("ip netns pids net0") != "")
        for _ in range(2):
            done = private.cnetsh("recover", check=False)
            assert done.returncode == 3 and f"process {process.pid} (sleep)" in done.stderr
        process.kill()
        process.wait()
        private.cnetsh("recover")
        assert oracle.diff(before, private.snapshot()) == []
