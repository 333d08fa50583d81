"""A container's own resolv.conf: who sees it, whose it is, and that nothing is left of it."""

from pathlib import Path

import oracle
import pytest
from endings import assert_others_named
from hosts import Ordinary, Private, report
from runs import KILLED, POINTS, crash, unequal

LAB = """
name: x
bridges: {br0: {address: 10.1.0.1/24}}
containers:
  net0: {bridge: br0, dns: [1.1.1.1, "fd00::1"]}
  net1: {bridge: br0}
"""
WRITTEN = "nameserver 1.1.1.1\nnameserver fd00::1\n"
FIRST = 4  # the step that makes /etc/netns
LOCKED = "mount -t tmpfs tmpfs /run && mount --bind /etc/hosts /etc/hosts"


@pytest.fixture
def lab(tmp_path: Path) -> str:
    path = tmp_path / "lab.yaml"
    path.write_text(LAB, encoding="utf-8")
    return str(path)


def test_each_container_sees_its_own(private: Private, lab: str) -> None:
    before, host = private.snapshot(), private.sh("cat /etc/resolv.conf")
    private.cnetsh("up", lab)
    for name, seen in {"net0": WRITTEN, "net1": host, "host": host}.items():
        assert private.cnetsh("exec", name, "--", "cat", "/etc/resolv.conf").stdout == seen
    private.sh("echo nameserver 8.8.8.8 >> /etc/netns/net0/resolv.conf")
    drifted = private.cnetsh("check", lab, check=False)
    assert "/etc/netns/net0/resolv.conf is changed" in drifted.stderr, report(drifted)
    private.sh("rm /etc/netns/net0/resolv.conf")
    drifted = private.cnetsh("check", lab, check=False)
    assert "/etc/netns/net0/resolv.conf is missing" in drifted.stderr, report(drifted)
    private.cnetsh("down", lab)
    assert oracle.diff(before, private.snapshot()) == []


def test_what_is_there_is_not_touched(private: Private, lab: str) -> None:
    private.sh("mkdir -p /etc/netns/net0; echo mine > /etc/netns/net0/resolv.conf")
    before = private.snapshot()
    refused = private.cnetsh("up", lab, check=False)
    assert refused.returncode == 2 and "folder /etc/netns/net0" in refused.stderr, report(refused)
    script = private.cnetsh("script", lab, "--no-sudo").stdout
    assert private.run(["bash", "-s", "add"], input=script).returncode == 2
    assert private.snapshot()["files"] == before["files"]


@pytest.mark.parametrize("there", [True, False])
def test_another_file_in_the_folder_stays(private: Private, lab: str, there: bool) -> None:
    private.sh("mkdir -p /etc/netns" if there else "rm -rf /etc/netns")
    before = private.snapshot()
    private.cnetsh("up", lab)
    private.sh("echo mine > /etc/netns/net0/hosts")
    down = private.cnetsh("down", lab)
    folder = "/etc/netns/net0"
    assert_others_named(down, "x", f"folder {folder} stays: {folder}/hosts is not this lab's")
    assert private.sh(f"cat {folder}/*") == "mine\n"
    private.sh(f"rm {folder}/hosts; rmdir {folder}")
    if not there:
        # What stayed around it is said to have stayed, and is empty now.
        assert "folder /etc/netns stays: what is in it is not this lab's" in down.stderr
        private.sh("rmdir /etc/netns")
    assert oracle.diff(before, private.snapshot()) == []


def test_another_folder_of_that_name_stays(private: Private, lab: str) -> None:
    private.cnetsh("up", lab)
    private.sh("mkdir /etc/netns/new; echo mine > /etc/netns/new/resolv.conf")
    private.sh("rm -r /etc/netns/net0; mv /etc/netns/new /etc/netns/net0")
    down = private.cnetsh("down", lab)
    assert_others_named(down, "x", "folder /etc/netns/net0 is new")
    assert private.sh("cat /etc/netns/net0/resolv.conf") == "mine\n"


def test_two_labs_side_by_side(private: Private, lab: str, tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    text = LAB.replace("name: x", "name: y").replace("br0", "br1").replace("10.1.", "10.2.")
    other.write_text(text.replace("net", "far"), encoding="utf-8")
    before = private.snapshot()
    for command in (("up", lab), ("up", str(other)), ("down", lab), ("down", str(other))):
        done = private.cnetsh(*command)
        assert "meanwhile" not in done.stderr and "folder" not in done.stderr, report(done)
    assert oracle.diff(before, private.snapshot()) == []


@pytest.mark.parametrize("every", [3, pytest.param(1, marks=pytest.mark.soak)])
def test_killed_at_points_of_its_steps(private: Private, lab: str, every: int) -> None:
    """Three is prime to the number of steps and of points: each is met."""
    plan = private.cnetsh("plan", lab, "--format", "shell", "--no-sudo").stdout.splitlines()
    assert plan[FIRST] == "mkdir -p /etc/netns" and "fd00::1" in plan[FIRST + 3]
    grid = [(step, point) for step in range(FIRST, FIRST + 4) for point in POINTS][::every]
    rows = crash(private, "killed", lab=lab, settings=[], grid=grid)
    assert unequal(rows) == []
    assert [row["exit"] for row in rows] == [KILLED] * len(grid)


def test_of_an_ordinary_user(ordinary: Ordinary) -> None:
    (ordinary.home / "lab.yaml").write_text(LAB, encoding="utf-8")
    machine = oracle.outline()
    ordinary.cnetsh("up", "lab.yaml")
    assert ordinary.cnetsh("exec", "net0", "--", "cat", "/etc/resolv.conf").stdout == WRITTEN
    assert oracle.diff(machine, oracle.outline()) == []
    down = ordinary.cnetsh("down", "lab.yaml")
    assert "x is down, as before" in down.stderr, report(down)


def test_a_sandbox_writes_nothing_into_the_folder_of_the_machine(
    private: Private, lab: str
) -> None:
    """Also where that is a mount, so that nothing can be laid over /etc."""
    private.sh("mkdir -p /etc/netns; mount -t tmpfs tmpfs /etc/netns")
    private.cnetsh("up", lab, "--on", "sandbox")
    assert private.sh("ls /etc/netns") == ""
    shown = private.cnetsh("exec", "net0", "--on", "sandbox", "--", "cat", "/etc/resolv.conf")
    assert shown.stdout == WRITTEN
    assert "as before" in private.cnetsh("down", lab, "--on", "sandbox").stderr


def test_a_sandbox_without_an_etc_of_its_own(ordinary: Ordinary) -> None:
    """As in many containers, a file of /etc is a mount of its own, which nothing may cover.

    A folder for name servers that is there is covered alone.
    """
    (ordinary.home / "lab.yaml").write_text(LAB, encoding="utf-8")
    inside = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-euc"]
    tried = f"{LOCKED}; {ordinary.program} up lab.yaml || test $? = 2; {ordinary.program} up veth"
    done = ordinary.run([*inside, tried])
    assert done.returncode == 0 and "veth is up" in done.stderr, report(done)
    if Path("/etc/netns").exists():
        assert "x is up" in done.stderr, report(done)
    else:
        assert "nothing can be written there" in done.stderr, report(done)
        assert "x is not brought up here" in done.stderr, report(done)
