"""What cannot be written stops no transaction, and ends a command that only looks."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import oracle
import pytest
from broken import CODES, WAYS, broken
from hosts import PATIENCE, Ordinary, Private, report, wait_for
from others import often
from test_failures import REFUSED, folder_of, steps_of
from test_labs import slow_lab

from cnetsh.plan.steps import Step

OFTEN = often(WAYS, ("a closed pipe", "a terminal that is gone"))
NOT_SEEN = "what is up on the host, root can see: cnetsh status --on host\n"
LOGS = {
    "a full disk": ("/dev/full", "No space left on device"),
    "one that fills up": ("/run/small/log", "No space left on device"),
    "a closed pipe": ("/run/fifo", "Broken pipe"),
}


def failing_lab(folder: Path) -> str:
    bad = Step(REFUSED[0], "", "", "", "change", 0)
    return folder_of(folder, "failing", [*steps_of("routing"), bad])


def interrupt(host: Private, lab: str) -> None:
    """Leaves an interrupted run: the journal of a lab that is up, without its end."""
    host.cnetsh("up", lab)
    host.sh(f"sed -i '$d' /run/cnetsh/*/{lab}.journal")
    assert "interrupted" in host.cnetsh("status").stdout


class TestTransactions:
    @pytest.mark.parametrize("way", OFTEN)
    def test_end_as_if_somebody_were_there(
        self, private: Private, tmp_path: Path, way: str
    ) -> None:
        before = private.snapshot()

        def code(*words: str) -> int:
            with broken(way, "stdout", "stderr") as options:
                options["capture_output"] = False
                return private.cnetsh(*words, check=False, **options).returncode

        assert code("up", "bridge") == 0
        assert code("up", "bridge", "--set", "containers=3", "--verbose", "--yes") == 0
        assert "net2" in private.cnetsh("status").stdout
        assert code("down", "bridge", "--verbose") == 0
        assert oracle.diff(before, private.snapshot()) == []
        assert code("up", failing_lab(tmp_path)) == 1
        assert oracle.diff(before, private.snapshot()) == []
        interrupt(private, "routing")
        assert code("up", "routing") == 2
        assert code("recover") == 0
        assert oracle.diff(before, private.snapshot()) == []

    @pytest.mark.parametrize("way", OFTEN)
    def test_in_a_sandbox(self, ordinary: Ordinary, way: str) -> None:
        ordinary.cnetsh("sandbox", "start")
        for words, code in {"up veth": 0, "up veth --set host=v9": 2, "down veth": 0}.items():
            with broken(way, "stdout", "stderr") as options:
                options["capture_output"] = False
                done = ordinary.cnetsh(*words.split(), check=False, **options)
            assert done.returncode == code, words

    @pytest.mark.parametrize("way", OFTEN)
    def test_end_without_a_bar(self, private: Private, way: str) -> None:
        before = private.snapshot()
        for words in ("up bridge --set containers=12", "down bridge"):
            with broken(way, "stderr") as options:
                options["capture_output"] = False
                done = private.cnetsh(*words.split(), check=False, **options)
            assert (done.returncode, done.stdout) == (0, "")
        assert oracle.diff(before, private.snapshot()) == []

    def test_that_nobody_can_confirm_are_undone(self, private: Private) -> None:
        before = private.snapshot()
        ways: list[dict[str, Any]] = [{"preexec_fn": lambda: os.close(0)}]
        # A terminal that is gone, and one that is no input.
        with broken("a terminal that is gone", "stdin") as gone, broken("a full disk", "stdin"):
            ways.append({"stdin": gone["stdin"]})
            for way in ways:
                done = private.cnetsh("up", "veth", "--try", "1", check=False, **way)
                assert done.returncode == 1 and "not confirmed: undone" in done.stderr, report(done)
                assert oracle.diff(before, private.snapshot()) == []


class TestLog:
    @pytest.mark.parametrize("log", LOGS)
    def test_is_warned_of_once_and_is_gone_without(
        self, private: Private, tmp_path: Path, log: str
    ) -> None:
        before, (path, why) = private.snapshot(), LOGS[log]
        private.sh("mkdir /run/small; mount -t tmpfs -o size=4k tmpfs /run/small; mkfifo /run/fifo")

        def said(*words: str, code: int = 0) -> str:
            private.sh("head -c 3700 /dev/zero > /run/small/log")
            # It reads the first line, in which there is no end yet.
            reader = private.start(["head", "-c1", "/run/fifo"], stdout=subprocess.DEVNULL)
            done = private.cnetsh(*words, "--log", path, check=False)
            reader.kill()
            reader.wait()
            assert done.returncode == code, report(done)
            assert done.stderr.count(f"the log {path} cannot be written: {why}") == 1, done.stderr
            assert done.stderr.count(path) == 1 and "Traceback" not in done.stderr
            return done.stderr

        assert "[21/21]" in said("up", "routing")
        assert "as planned now" in said("up", "routing", "--yes", "--set", "containers=4")
        assert "routing is down, as before" in said("down", "routing")
        assert oracle.diff(before, private.snapshot()) == []
        assert "undone, as before" in said("up", failing_lab(tmp_path), code=1)
        interrupt(private, "routing")
        said("recover")
        assert oracle.diff(before, private.snapshot()) == []

    def test_of_a_long_plan(self, private: Private) -> None:
        before = private.snapshot()
        for words in ("up bridge --set containers=20", "down bridge"):
            done = private.cnetsh(*words.split(), "--log", "/dev/full")
            assert done.stderr.count("the log /dev/full cannot be written") == 1
        assert oracle.diff(before, private.snapshot()) == []

    def test_that_nobody_opens_does_not_keep_others_waiting(self, private: Private) -> None:
        private.sh("mkfifo /run/fifo")
        argv = [sys.executable, "-m", "cnetsh", "up", "veth", "--log", "/run/fifo"]
        waiting = private.start(argv, stderr=subprocess.PIPE)
        stuck = Path(f"/proc/{waiting.pid}/wchan")
        assert wait_for(lambda: "wait_for_partner" in stuck.read_text())
        private.cnetsh("up", "container")
        waiting.send_signal(signal.SIGINT)
        assert waiting.wait(PATIENCE) == 128 + signal.SIGINT
        assert "veth" not in private.cnetsh("status").stdout


class TestLooking:
    COMMANDS = ("check veth", "status", "doctor --json", "graph --live", "plan veth --on host")

    @pytest.mark.parametrize("way", OFTEN)
    def test_ends_with_its_output(self, private: Private, way: str) -> None:
        private.cnetsh("up", "veth")
        for words in self.COMMANDS:
            with broken(way, "stdout") as options:
                options["capture_output"] = False
                done = private.cnetsh(*words.split(), check=False, **options)
            assert "Traceback" not in done.stderr and "Exception" not in done.stderr, words
            assert done.returncode == CODES[way], (words, report(done))
            assert WAYS[way] in done.stderr and done.stderr.count("\n") == 2 * bool(WAYS[way])

    @pytest.mark.parametrize("way", OFTEN)
    def test_in_a_sandbox(self, ordinary: Ordinary, way: str) -> None:
        ordinary.cnetsh("up", "veth")
        for words in ("check veth", "status", "graph --live", "plan veth --on sandbox"):
            with broken(way, "stdout") as options:
                options["capture_output"] = False
                done = ordinary.cnetsh(*words.split(), check=False, **options)
            assert done.returncode == CODES[way], (words, report(done))
            said = done.stderr.replace(NOT_SEEN, "")
            assert WAYS[way] in said and said.count("\n") == 2 * bool(WAYS[way])

    @pytest.mark.parametrize("way", OFTEN)
    def test_ends_a_check_early(self, private: Private, tmp_path: Path, way: str) -> None:
        private.cnetsh("up", slow_lab(tmp_path))
        with broken(way, "stdout") as options:
            options["capture_output"] = False
            done = private.cnetsh("check", "slow", check=False, timeout=60, **options)
        assert done.returncode == CODES[way], report(done)
        # Nothing of it is left inside, or down would refuse.
        private.cnetsh("down", "slow")
