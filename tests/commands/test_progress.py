"""What a person sees: each step before it begins, its time, its failure, and no escapes."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from samples import plan

from cnetsh.apply.ending import Undone
from cnetsh.apply.run import SHORT
from cnetsh.apply.undoing import Left
from cnetsh.commands import output
from cnetsh.commands.progress import Echo, Telling, opened_log
from cnetsh.commands.taking_down import tell_ended
from cnetsh.errors import CnetshError
from cnetsh.plan.steps import Step
from cnetsh.system.process import Result
from cnetsh.targets.target import Target

DONE = Result(0, "", "")
HOST = Target("host")
FORWARD = "/proc/sys/net/ipv4/ip_forward"
TEXT = f"ip netns add n0\necho 1 | tee {FORWARD}\n"


def steps() -> tuple[Step, ...]:
    return plan(TEXT).steps


def watched(echo: Echo, total: int, verb: str = "") -> None:
    echo.expect(total, verb)
    for number in range(total):
        step = steps()[number % 2]
        echo.begins(number, step)
        echo.ended(number, step, DONE, 0.00123)
    echo.over()


Captured = pytest.CaptureFixture[str]


class TestEcho:
    def test_a_short_plan_shows_each_step(self, capsys: Captured) -> None:
        watched(Echo(), 2)
        watched(Echo(), 1, "undo ")
        out, err = capsys.readouterr()
        assert out == ""
        assert err.splitlines() == [
            "[1/2] ip netns add n0",
            f"[2/2] echo 1 | tee {FORWARD}",
            "undo [1/1] ip netns add n0",
        ]

    def test_a_step_is_shown_before_it_begins(self, capsys: Captured) -> None:
        echo = Echo()
        echo.expect(1)
        echo.begins(0, steps()[0])
        assert capsys.readouterr().err == "[1/1] ip netns add n0\n"

    def test_verbose_adds_the_time(self, capsys: Captured) -> None:
        watched(Echo(Telling(verbose=True)), 1)
        assert capsys.readouterr().err.splitlines()[1].strip() == "1.2 ms"

    def test_a_step_inside_a_unit_has_no_time_of_its_own(self, capsys: Captured) -> None:
        Echo(Telling(verbose=True)).ended(0, steps()[0], DONE, None)
        assert capsys.readouterr().err == ""

    def test_a_long_plan_is_silent_off_a_terminal(self, capsys: Captured) -> None:
        watched(Echo(), SHORT + 1)
        assert capsys.readouterr().err == ""

    def test_a_long_plan_is_shown_with_verbose(self, capsys: Captured) -> None:
        watched(Echo(Telling(verbose=True)), SHORT + 1)
        assert capsys.readouterr().err.count("ip netns add") == SHORT // 2 + 1

    def test_a_long_plan_draws_a_bar_on_a_terminal(self) -> None:
        code = (
            "from cnetsh.commands.progress import Echo\nfrom cnetsh.plan.steps import parse\n"
            "step = parse('ip netns add n0', '', '', 'up', '').steps[0]\n"
            "echo = Echo(); echo.expect(90)\n"
            "for number in range(90): echo.begins(number, step)\necho.over()\n"
        )
        ours, theirs = os.openpty()
        subprocess.run([sys.executable, "-c", code], stderr=theirs, check=True)
        os.close(theirs)
        seen = os.read(ours, 65536).decode()
        os.close(ours)
        assert seen.startswith("\r[") and seen.endswith(f"\r[{'#' * 30}] 90/90\r\n")
        assert "ip netns add" not in seen and "\x1b" not in seen


class TestLog:
    def test_has_a_record_for_each_step(self, tmp_path: Path) -> None:
        path, began = tmp_path / "log", time.time()
        path.write_text("before\n")
        watched(Echo(Telling(log=opened_log(path))), 2)
        before, first, second = path.read_text().splitlines()
        record = json.loads(second)
        assert before == "before" and began - 1 < record.pop("time") < began + 60
        assert record == {
            "verb": "run",
            "step": 2,
            "command": f"echo 1 | tee {FORWARD}",
            "argv": ["tee", FORWARD],
            "exit_code": 0,
            "stderr": "",
            "milliseconds": 1.23,
        }
        assert json.loads(first)["command"] == "ip netns add n0"

    def test_is_its_owners_alone_and_has_what_was_said(self, tmp_path: Path) -> None:
        echo = Echo(Telling(log=opened_log(tmp_path / "log")))
        echo.ended(0, steps()[0], Result(1, "", "no \x1b[2J \udce4\n"), None)
        # It is there at once: the process may be killed.
        record = json.loads((tmp_path / "log").read_text())
        assert (record["exit_code"], record["milliseconds"]) == (1, None)
        assert record["stderr"].startswith("no \x1b[2J ")
        assert (tmp_path / "log").stat().st_mode & 0o777 == 0o600
        echo.over()

    def test_that_cannot_be_written_is_an_error(self, tmp_path: Path) -> None:
        with pytest.raises(CnetshError, match="cannot be written: Is a directory"):
            opened_log(tmp_path)


class TestSaid:
    def test_escapes_are_visible(self, capsys: Captured) -> None:
        output.say("p\x1b[31m0\nsecond \u202e line \x07")
        assert capsys.readouterr().err == "p\\x1b[31m0\nsecond \\u202e line \\x07\n"

    def test_an_error_and_its_hint(self, capsys: Captured) -> None:
        output.show_error(CnetshError("no such lab: \x1b", "did you mean veth?"))
        output.show_error(CnetshError("alone"))
        assert capsys.readouterr().err == (
            "cnetsh: no such lab: \\x1b\n  did you mean veth?\ncnetsh: alone\n"
        )

    def test_as_before(self, capsys: Captured) -> None:
        assert tell_ended(Undone(), HOST, "own is down", "in 0.30 s") == 0
        assert tell_ended(Undone(), HOST, "undone") == 0
        assert capsys.readouterr().err == "own is down, as before, in 0.30 s\nundone, as before\n"

    def test_what_is_left_has_the_commands_that_end_it(self, capsys: Captured) -> None:
        left = (
            Left("link p\x1b0 is still there"),
            Left("link p0: alias was it's, is None", "ip link set dev p0 alias 'it'\\''s'; true"),
        )
        assert tell_ended(Undone(left), HOST, "own is down", "in 0.30 s") == 3
        lines = capsys.readouterr().err.splitlines()
        assert lines[:3] == [
            "left behind:",
            "  link p\\x1b0 is still there",
            "  link p0: alias was it's, is None",
        ]
        # What is shown is what a shell then runs.
        (shown,) = lines[3:]
        words = shown.strip().removeprefix("sudo ").replace("ip link", "printf %s+ ip link")
        done = subprocess.run(["sh", "-c", words], capture_output=True, text=True, check=True)
        assert done.stdout == "ip+link+set+dev+p0+alias+it's+"

    def test_what_others_changed_is_told_apart(self, capsys: Captured) -> None:
        undone = Undone((), ("link x\x1b is new",), ("ip_forward was 0, is 1: stays for b",))
        assert tell_ended(undone, HOST, "own is down", "in 0.30 s") == 0
        assert capsys.readouterr().err.splitlines() == [
            "  ip_forward was 0, is 1: stays for b",
            "own is down, as before, but for what others changed meanwhile:",
            "  link x\\x1b is new",
        ]

    def test_with_something_left_it_is_not_said_to_be_as_before(self, capsys: Captured) -> None:
        assert (
            tell_ended(Undone((Left("link p0 is gone"),), ("link x is new",)), HOST, "undone") == 3
        )
        assert capsys.readouterr().err.splitlines() == [
            "not as before, besides:",
            "  link x is new",
            "left behind:",
            "  link p0 is gone",
        ]

    def test_what_stays_for_another_lab_is_no_difference(self, capsys: Captured) -> None:
        assert tell_ended(Undone(notes=("br0 stays for b",)), HOST, "own is down", "in 0.30 s") == 0
        first, last = capsys.readouterr().err.splitlines()
        assert (first, last) == ("  br0 stays for b", "own is down, as before, in 0.30 s")

    def test_to_one_who_has_left_stops_nothing(self) -> None:
        code = (
            "import os, sys\nfrom cnetsh.commands import output\n"
            "output.say('one'); output.say('two'); print('went on')\n"
        )
        read, write = os.pipe()
        os.close(read)
        done = subprocess.run(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=write, text=True
        )
        os.close(write)
        assert (done.returncode, done.stdout) == (0, "went on\n")


def test_quiet_says_nothing(capsys: Captured) -> None:
    quiet = Echo(Telling(quiet=True))
    quiet.expect(1)
    quiet.begins(0, steps()[0])
    quiet.ended(0, steps()[0], DONE, 0.1)
    assert capsys.readouterr() == ("", "")
