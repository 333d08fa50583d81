"""A full disk, no descriptor, no process, no namespace: nothing runs, or all of it is undone."""

import json
import signal
import sys
from pathlib import Path
from typing import Any

import oracle
import pytest
from hosts import HERE, PATIENCE, Ordinary, Private, ignored_if_gone, report, wait_for
from runs import Rows, unequal
from test_foreign import NAT_LAB, lab_file

from cnetsh.labs import choose

STEPS = len(choose.plans("routing").up.steps)


def exhausted(host: Private, action: str, **options: Any) -> Rows:
    return host.rows(str(HERE / "exhausted.py"), action, json.dumps(options))


class TestFullDisk:
    def test_at_any_byte_of_the_journal(self, private: Private) -> None:
        """The step that is not written down is not run, and all before it is undone."""
        first, *rows = exhausted(private, "full", lab="routing", settings=[], every=131)
        assert first["exit"] == 2 and "cannot be made" in first["said"] and not first["left"]
        bad = [row for row in rows if row["exit"] != 1 or row["left"]]
        assert bad == [] and len(rows) > 8
        for row in rows:
            assert "cannot be written: File too large" in row["said"]
            assert "undone, as before\n" in row["said"]

    def test_in_a_long_plan(self, private: Private) -> None:
        settings = ["--set", "containers=40"]
        private.cnetsh("up", "bridge", *settings)
        header = int(private.sh("head -1 /run/cnetsh/*/bridge.journal | wc -c"))
        private.cnetsh("down", "bridge")
        pages = header // 4096 + 2
        private.sh(f"mount -t tmpfs -o mode=700,size={pages * 4}k tmpfs /run/cnetsh")
        before = private.snapshot()
        done = private.cnetsh("up", "bridge", *settings, check=False)
        assert done.returncode == 1, report(done)
        assert "cannot be written: No space left on device" in done.stderr
        assert "the step was not run: make room there" in done.stderr
        assert oracle.diff(before, private.snapshot()) == []
        assert private.sh("ls /run/cnetsh/*") == "lock\n"

    def test_another_labs_journal_that_cannot_be_told(
        self, private: Private, tmp_path: Path
    ) -> None:
        """What it has to put back stays known, until there is room for it."""
        before = private.snapshot()
        private.cnetsh("up", "routing")
        private.cnetsh("up", lab_file(tmp_path, NAT_LAB, "b", 62))
        size = private.sh("cat /run/cnetsh/*/b.journal | wc -c").strip()
        argv = ["prlimit", f"--fsize={size}", sys.executable, "-m", "cnetsh", "down", "routing"]
        done = private.run(argv)
        assert done.returncode == 3, report(done)
        assert "b.journal cannot be written: File too large" in done.stderr
        private.cnetsh("down", "routing")
        private.cnetsh("down", "b")
        assert oracle.diff(before, private.snapshot()) == []

    def test_in_the_middle_of_a_change(self, private: Private, tmp_path: Path) -> None:
        """Neither the new lab nor the old one can come up; what is there can still be undone."""
        before = private.snapshot()
        lab = Path(lab_file(tmp_path, NAT_LAB, "a", 61))
        private.cnetsh("up", str(lab))
        lab.write_text(lab.read_text().replace("10.61.0.1", "10.62.0.1"))
        size = int(private.sh("cat /run/cnetsh/*/a.journal | wc -c"))
        argv = [sys.executable, "-m", "cnetsh", "up", str(lab), "--yes"]
        none = private.run(["prlimit", f"--fsize={size}", *argv])
        assert none.returncode == 1 and "cannot be written" in none.stderr, report(none)
        assert '"up"' in private.cnetsh("status", "--json").stdout
        some = private.run(["prlimit", f"--fsize={size + 2000}", *argv])
        assert some.returncode == 3 and "cannot be written" in some.stderr, report(some)
        private.cnetsh("recover")
        assert oracle.diff(before, private.snapshot()) == []

    def test_a_state_folder_that_is_read_only(self, private: Private) -> None:
        private.sh("mkdir -m 700 /run/cnetsh; mount -t tmpfs -o ro,mode=700 tmpfs /run/cnetsh")
        before = private.snapshot()
        done = private.cnetsh("up", "veth", check=False)
        assert done.returncode == 2 and "/run/cnetsh" in done.stderr, report(done)
        assert "[1/" not in done.stderr
        assert oracle.diff(before, private.snapshot()) == []


class TestDescriptors:
    def test_too_few_are_refused_at_once(self, private: Private) -> None:
        argv = ["prlimit", "--nofile=60", sys.executable, "-m", "cnetsh", "up", "veth"]
        done = private.run(argv)
        assert done.returncode == 2 and "ulimit -n" in done.stderr, report(done)

    @pytest.mark.parametrize("for_good", [False, True])
    def test_that_a_step_lacks(self, private: Private, for_good: bool) -> None:
        # The first of the host, the first in a container, a setting, and a rule.
        steps = [0, 8] if for_good else [0, 8, STEPS - 2, STEPS - 1]
        options = {"lab": "routing", "settings": [], "steps": steps, "for_good": for_good}
        rows = exhausted(private, "starved", **options)
        assert unequal(rows) == []
        assert [row["exit"] for row in rows] == [3 if for_good else 1] * len(steps)
        for row in rows:
            assert f"step {row['run'] + 1} failed" in row["said"] or for_good

    def test_that_a_worker_lacks(self, private: Private) -> None:
        settings = ["containers=8"]
        steps = list(range(5, len(choose.plans("bridge", settings).up.steps), 25))
        options = {"lab": "bridge", "settings": settings, "steps": steps, "for_good": False}
        rows = exhausted(private, "starved", **options)
        assert unequal(rows) == []
        assert 1 in {row["exit"] for row in rows}


class TestProcesses:
    def test_that_an_ordinary_user_may_not_have(self, ordinary: Ordinary) -> None:
        ordinary.cnetsh("sandbox", "start")
        codes, before = [], names(ordinary)
        for most in (6, 7):
            argv = ["prlimit", f"--nproc={most}", str(ordinary.program), "up", "routing"]
            done = ordinary.run(argv)
            codes.append(done.returncode)
            assert "Traceback" not in done.stderr, report(done)
            again = ordinary.cnetsh("recover")
            assert done.returncode == 3 or "nothing to recover" in again.stderr, report(done)
            ordinary.cnetsh("down", "routing")
            assert names(ordinary) == before
        assert 1 in codes, codes
        done = ordinary.run(["prlimit", "--nproc=1", str(ordinary.program), "up", "routing"])
        said = "cnetsh: Resource temporarily unavailable\n  there can be no more processes: "
        assert done.returncode == 1 and done.stderr.startswith(said), report(done)

    def test_namespaces(self, ordinary: Ordinary) -> None:
        ordinary.cnetsh("sandbox", "start")
        limit = "echo 2 > /proc/sys/user/max_net_namespaces"
        ordinary.cnetsh("exec", "host", "--", "sh", "-c", limit)
        done = ordinary.cnetsh("up", "routing", check=False)
        assert done.returncode == 1 and "No space left on device" in done.stderr, report(done)
        assert "undone, as before\n" in done.stderr


def names(user: Ordinary) -> str:
    return user.cnetsh("exec", "host", "--", "sh", "-c", "ls /run/netns; ip -br link").stdout


def waits_for_the_lock(pid: int) -> bool:
    with ignored_if_gone():
        return any(fd.readlink().name == "lock" for fd in Path(f"/proc/{pid}/fd").iterdir())
    return False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_waiting_for_the_lock_can_be_stopped(private: Private, number: signal.Signals) -> None:
    private.cnetsh("recover")
    holder = private.start(["sh", "-c", "exec flock /run/cnetsh/*/lock sleep 600"])
    locked = ["sh", "-c", "flock -n /run/cnetsh/*/lock true"]
    assert wait_for(lambda: private.run(locked).returncode)
    process = private.start([sys.executable, "-m", "cnetsh", "up", "veth"], stderr=-1)
    assert wait_for(lambda: waits_for_the_lock(process.pid))
    process.send_signal(number)
    _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 128 + number and "stopped while waiting" in said
    assert "[1/" not in said and private.sh("ip -br link | wc -l") == "1\n"
    holder.kill()
    holder.wait()


def test_room_for_what_a_sandbox_says_of_itself(ordinary: Ordinary) -> None:
    done = ordinary.run(["prlimit", "--fsize=4", str(ordinary.program), "sandbox", "start"])
    said = "/sandboxes/default.holder cannot be written: File too large\n  make room there"
    assert done.returncode == 1 and said in done.stderr, report(done)
    assert "no sandbox runs" in ordinary.cnetsh("sandbox", "list").stderr
