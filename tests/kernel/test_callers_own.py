"""Paths of the command line are the caller's, and modes are the plan's, wherever a plan runs."""

import sys
from pathlib import Path

import pytest
from hosts import Private, report

RESOLVER = """\
name: named
bridges: {br1: {address: 10.31.0.1/24}}
containers: {a: {bridge: br1, dns: 10.31.0.1}}
"""
# Below /run a sandbox has nothing of the caller's.
WRITTEN = {
    "plan container -o": "ip netns add net0",
    "graph --live -o": "as it is now",
    "up container --log": "ip netns add net0",
}


@pytest.mark.parametrize("words", WRITTEN)
@pytest.mark.parametrize("path", ["/run/own/file", "file"])
def test_a_file_is_written_where_the_caller_named_it(
    private: Private, words: str, path: str
) -> None:
    private.sh("mkdir /run/own")
    private.cnetsh("sandbox", "start")
    argv = [sys.executable, "-m", "cnetsh", *words.split(), path, "--on", "sandbox"]
    paths = f"PYTHONPATH={Path(__file__).resolve().parents[2]}"
    done = private.run(["env", "--chdir=/run/own", paths, *argv])
    assert done.returncode == 0, report(done)
    assert WRITTEN[words] in private.sh("cat /run/own/file")
    private.cnetsh("sandbox", "stop")


def test_a_current_folder_that_is_not_there_inside_is_no_hindrance(private: Private) -> None:
    private.sh("mkdir /run/own")
    paths = f"PYTHONPATH={Path(__file__).resolve().parents[2]}"
    cnetsh = f"exec env {paths} {sys.executable} -m cnetsh"
    for script in ("cd /run/own", "mkdir /run/gone; cd /run/gone; rmdir /run/gone"):
        inside = f"{script}; {cnetsh} exec host --on sandbox -- pwd"
        private.cnetsh("sandbox", "start")
        done = private.run(["sh", "-c", inside])
        assert (done.returncode, done.stdout) == (0, "/\n"), report(done)
    private.cnetsh("sandbox", "stop")


def test_what_a_plan_makes_can_be_read_whatever_the_callers_umask(
    private: Private, tmp_path: Path
) -> None:
    file = tmp_path / "lab.yaml"
    file.write_text(RESOLVER, encoding="utf-8")
    cnetsh = f"umask 077; exec {sys.executable} -m cnetsh up {file} --log {tmp_path}/log"
    done = private.run(["sh", "-c", cnetsh])
    assert done.returncode == 0, report(done)
    modes = private.sh("stat -c %a /run/netns /etc/netns/a /etc/netns/a/resolv.conf")
    assert modes.split() == ["755", "755", "644"]
    # His own files are as he wants them.
    assert (tmp_path / "log").stat().st_mode & 0o777 == 0o600


def test_where_there_is_nothing_to_draw_no_file_is_written(private: Private) -> None:
    for words in (["graph", "--live", "-o", "/run/graph"], ["show"], ["show", "--json"]):
        done = private.cnetsh(*words, "--on", "sandbox", check=False)
        assert (done.returncode, done.stdout) == (2, ""), report(done)
        assert "cnetsh: sandbox does not run\n" in done.stderr
    assert private.sh("ls /run | grep graph || true") == ""


@pytest.mark.parametrize("word", ["", "\udcff", "a\nb", "/nosuch/x"])
def test_no_word_of_the_command_line_is_a_traceback(private: Private, word: str) -> None:
    codes = {("down", word): (0, 2), ("exec", "host", "--", word): (127,)}
    codes |= {("up", "veth", "--log", f"/run/{word}"): (0, 2), ("down", "veth"): (0,)}
    for words, fine in codes.items():
        done = private.cnetsh(*words, check=False, errors="replace")
        assert done.returncode in fine and "Traceback" not in done.stderr, report(done)


@pytest.mark.parametrize("said", ["x", "", "0"])
def test_a_saved_plan_is_read_whatever_the_environment_says(private: Private, said: str) -> None:
    private.cnetsh("plan", "veth", "-o", "/run/plan.json")
    env = private.env | {"SUDO_UID": said, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    assert "veth0" in private.cnetsh("plan", "/run/plan.json", env=env).stdout
