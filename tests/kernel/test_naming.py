"""A lab that is up is known to every command by its own name, whatever became of its file."""

import json
import sys
from pathlib import Path

import pytest
from hosts import Ordinary, Private, report

LAB = "name: tier3\nbridges: {br1: {address: 10.31.0.1/24}}\ncontainers: {a: {bridge: br1}}\n"
# What is shown of it, wherever it is: with and without its file.
SHOWING = ["plan", "plan --down", "plan --format json", "plan --format shell", "graph", "script"]


@pytest.fixture
def file(private: Private, tmp_path: Path) -> str:
    path = tmp_path / "lab.yaml"
    path.write_text(LAB, encoding="utf-8")
    private.cnetsh("up", str(path))
    return str(path)


@pytest.mark.parametrize("words", SHOWING)
def test_it_is_shown_as_its_file_is(private: Private, file: str, words: str) -> None:
    command, *options = words.split()
    shown = private.cnetsh(command, file, *options).stdout
    Path(file).unlink()
    named = private.cnetsh(command, "tier3", *options).stdout
    assert without_its_file(named) == without_its_file(shown)


def without_its_file(shown: str) -> list[str]:
    """The lines but those that tell what a file teaches, which is said of the file alone."""
    own = ("the network of lab.yaml", '"teaches"', '"sha256"')
    return [line for line in shown.splitlines() if line != "#" and not any(w in line for w in own)]


def test_it_is_looked_at_and_taken_down(private: Private, file: str) -> None:
    Path(file).unlink()
    assert "tier3: 1 check ok" in private.cnetsh("check", "tier3").stderr
    found = json.loads(private.cnetsh("doctor", "tier3", "--json").stdout)
    assert all(one["severity"] in ("note", "warn") for one in found)
    assert "tier3 is down" in private.cnetsh("down", "tier3").stderr


@pytest.mark.parametrize("command", ["plan", "script", "up", "diff"])
def test_help_says_who_knows_it_by_its_name_alone(
    private: Private, file: str, command: str
) -> None:
    Path(file).unlink()
    known = private.cnetsh(command, "tier3", check=False).returncode == 0
    assert ("one that is up" in " ".join(private.cnetsh(command, "-h").stdout.split())) == known


def test_its_file_is_as_good_as_its_name(private: Private, file: str) -> None:
    assert "tier3: 1 check ok" in private.cnetsh("check", file).stderr
    assert "tier3 is down" in private.cnetsh("down", file).stderr


@pytest.mark.parametrize("command", ["plan", "graph", "script", "doctor", "check", "down"])
def test_a_misspelt_name_is_no_success(private: Private, file: str, command: str) -> None:
    done = private.cnetsh(command, "teir3", check=False)
    assert (done.returncode, done.stdout) == (2, ""), report(done)
    assert "teir3" in done.stderr and "did you mean tier3" in done.stderr
    assert "tier3" in private.cnetsh("status").stdout


def test_down_of_what_is_down_is_done_and_says_what_was_meant(private: Private, file: str) -> None:
    private.cnetsh("down", file)
    for name, said in {
        "veth": "veth is not up\n",
        file: "tier3 is not up\n",
        "rooting": "rooting is not up\n  did you mean routing?\n",
        "foo": "foo is not up\n  cnetsh status lists those that are\n",
    }.items():
        assert private.cnetsh("down", name).stderr == said
    assert "unknown lab: 'tier3'" in private.cnetsh("plan", "tier3", check=False).stderr


def test_what_is_up_needs_no_look_at_other_files(private: Private, tmp_path: Path) -> None:
    private.cnetsh("up", "veth")
    (tmp_path / "other.yaml").write_text("name: two\n")
    code = (
        "import os, sys; os.chdir(sys.argv.pop(1))\n"
        "sys.addaudithook(lambda event, a: event == 'open' and print(a[0], file=sys.stderr))\n"
        "from cnetsh.__main__ import begin; begin()"
    )
    for name, reads in (("veth", False), ("two", True)):
        done = private.run([sys.executable, "-c", code, str(tmp_path), "check", name])
        assert ("other.yaml\n" in done.stderr) == reads, report(done)


def test_in_a_sandbox(ordinary: Ordinary) -> None:
    (ordinary.home / "lab.yaml").write_text(LAB, encoding="utf-8")
    ordinary.cnetsh("up", "lab.yaml", "--on", "sandbox:two")
    (ordinary.home / "lab.yaml").unlink()
    for words in (*SHOWING, "doctor", "check"):
        command, *options = words.split()
        done = ordinary.cnetsh(command, "tier3", *options, "--on", "sandbox:two")
        assert done.returncode == 0
    done = ordinary.cnetsh("plan", "tier3", check=False)
    assert done.returncode == 2 and "unknown lab: 'tier3'" in done.stderr


def test_what_is_up_elsewhere_is_pointed_to(ordinary: Ordinary) -> None:
    ordinary.cnetsh("up", "veth", "--on", "sandbox:two")
    there = "in sandbox\n  sandbox:two has veth: cnetsh {} veth --on sandbox:two\n"
    for prepare in ("status", "sandbox start"):
        ordinary.cnetsh(*prepare.split())
        assert ordinary.cnetsh("down", "veth").stderr == f"veth is not up {there.format('down')}"
        assert ordinary.cnetsh("down").stderr == f"no lab is up {there.format('down')}"
        assert ordinary.cnetsh("down", "bridge").stderr == "bridge is not up\n"
        done = ordinary.cnetsh("check", "bridge", "--on", "sandbox:two", check=False)
        assert done.stderr.endswith("\n  cnetsh up bridge --on sandbox:two\n"), report(done)
        for verb in ("check", "repair"):
            for words, said in ((["veth"], "veth is not up"), ([], "no lab is up")):
                done = ordinary.cnetsh(verb, *words, check=False)
                assert done.returncode == 2, report(done)
                assert done.stderr == f"cnetsh: {said} {there.format(verb)}"
    assert "veth is down" in ordinary.cnetsh("down", "veth", "--on", "sandbox:two").stderr
    assert ordinary.cnetsh("down", "veth").stderr == "veth is not up\n"


def test_advice_works_where_it_is_pasted(ordinary: Ordinary) -> None:
    there = ("--on", "sandbox:two")
    ordinary.cnetsh("up", "veth", *there)
    inside = ("exec", "host", *there, "--", "sh", "-c")
    ordinary.cnetsh(*inside, "sed -i '$d' /run/cnetsh/*/veth.journal")
    for verb in ("up", "repair"):
        done = ordinary.cnetsh(verb, "veth", *there, check=False)
        assert done.stderr.endswith("\n  cnetsh recover --on sandbox:two undoes it\n"), report(done)
    assert "veth is down" not in ordinary.cnetsh("recover").stderr
    done = ordinary.cnetsh("recover", *there)
    assert "veth is down" in done.stderr, report(done)
    # Of a name that is taken, also where the finding comes before a run.
    ordinary.cnetsh("sandbox", "start", "two")
    ordinary.cnetsh(*inside, "touch /run/netns/net0")
    for verb in ("doctor", "up", "plan"):
        done = ordinary.cnetsh(verb, "container", *there, check=False)
        said = done.stdout + done.stderr
        assert "\n          ip netns delete net0\n" in said, report(done)
        assert said.count("sandbox:two -- sh -c 'COMMAND'\n") == 1, report(done)
