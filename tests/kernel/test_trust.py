"""Commands that no kind knows run when they are taken on trust, and are undone as was said."""

from pathlib import Path

import oracle
import pytest
from hosts import Private, report
from others import template
from test_failures import REFUSED

LAB = """\
ip netns add far
#: undo rm /run/note
touch /run/note
#: undo ip netns exec far rm /run/note2
ip netns exec far touch /run/note2
"""


@pytest.mark.parametrize("saved", [False, True])
def test_only_when_it_is_given(private: Private, tmp_path: Path, saved: bool) -> None:
    lab = template(tmp_path, "own", LAB)
    if saved:
        lab = str(tmp_path / "plan.json")
        private.cnetsh("plan", str(tmp_path / "own"), "-o", lab)
    before = private.snapshot()
    for words in (["up", lab], ["up", lab, "--dry-run"]):
        done = private.cnetsh(*words, check=False)
        assert done.returncode == 2 and "own: step 2: touch /run/note: " in done.stderr
        assert "own: step 3: " in done.stderr and "--trust" in done.stderr
    private.cnetsh("up", lab, "--trust")
    assert private.sh("ls /run/note*") == "/run/note\n/run/note2\n"
    down = private.cnetsh("down", "own").stderr
    assert "taken on trust, and not looked at: touch /run/note\n" in down
    assert private.sh("ls /run | grep note || true") == ""
    assert oracle.diff(before, private.snapshot()) == []


def test_of_a_failed_run_are_undone(private: Private, tmp_path: Path) -> None:
    before = private.snapshot()
    done = private.cnetsh("up", template(tmp_path, "own", LAB + REFUSED[0]), "--trust", check=False)
    assert done.returncode == 1 and "undone, as before" in done.stderr, report(done)
    assert private.sh("ls /run | grep note || true") == ""
    assert oracle.diff(before, private.snapshot()) == []


def test_whose_undo_fails_are_left_behind(private: Private, tmp_path: Path) -> None:
    lab = template(tmp_path, "own", "#: undo rm /run/note\ntouch /run/note\n")
    private.cnetsh("up", lab, "--trust")
    private.sh("rm /run/note")
    done = private.cnetsh("down", "own", check=False)
    assert done.returncode == 3 and "rm /run/note" in done.stderr, report(done)


def test_are_not_weighed_in_a_change(private: Private, tmp_path: Path) -> None:
    private.cnetsh("up", template(tmp_path, "own", LAB), "--trust")
    lab = template(tmp_path, "own", LAB + "ip netns add near\n")
    done = private.cnetsh("up", lab, "--trust", check=False)
    said = "cnetsh down own --on host, then up"
    assert done.returncode == 2 and said in done.stderr, report(done)


def test_are_marked_in_every_plan(private: Private, tmp_path: Path) -> None:
    lab = template(tmp_path, "own", LAB)
    for form, mark in {"rich": "Taken on trust.", "markdown": "Taken on trust."}.items():
        assert private.cnetsh("plan", lab, "--format", form).stdout.count(mark) == 2
    assert private.cnetsh("plan", lab, "--format", "json").stdout.count('"on_trust": true') == 2
