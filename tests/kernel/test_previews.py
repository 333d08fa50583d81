"""What would be done is shown before, in one form, and is then done or refused as stale."""

import json
import sys
from pathlib import Path

import oracle
from hosts import Ordinary, Private, report, wait_for

LAB = """
name: n1
bridges:
  br1: {address: 10.31.0.1/24}
containers:
  a: {bridge: br1}
  b: {bridge: br1}
"""
LESS = LAB.replace("  b: {bridge: br1}\n", "")


def lab(folder: Path, name: str, text: str) -> str:
    path = folder / f"{name}.yaml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_a_removal_is_shown_and_asked_for(private: Private, tmp_path: Path) -> None:
    path = lab(tmp_path, "lab", LAB)
    assert private.cnetsh("diff", path, check=False).returncode == 1
    private.cnetsh("up", path)
    same = private.cnetsh("diff", path)
    assert "nothing to do" in same.stdout, report(same)
    lab(tmp_path, "lab", LESS)
    before = private.snapshot()
    shown = private.cnetsh("diff", path, "--format", "shell", check=False)
    assert (shown.returncode, shown.stdout) == (1, "sudo ip netns delete b\n"), report(shown)
    done = private.cnetsh("up", path, check=False)
    assert done.returncode == 2 and "  - ip netns delete b\n" in done.stderr, report(done)
    assert f"cnetsh up {path} --yes" in done.stderr and "undo [" not in done.stderr
    assert oracle.diff(before, private.snapshot()) == []
    private.cnetsh("up", path, "--yes")
    assert "b" not in private.sh("ip netns list").split()


def test_another_file_of_the_same_name_is_told_apart(private: Private, tmp_path: Path) -> None:
    one, other = lab(tmp_path, "one", LAB), lab(tmp_path, "other", LESS)
    private.cnetsh("up", one)
    done = private.cnetsh("up", other, check=False)
    assert done.returncode == 2 and f"from {one}; this is {other}:" in done.stderr, report(done)
    assert "into another file's lab of that name?" in done.stderr, report(done)


def test_a_change_has_the_same_marks_with_a_target_and_without(
    private: Private, tmp_path: Path
) -> None:
    both = LAB.replace("bridges:\n", "bridges:\n  br2: {address: 10.32.0.1/24}\n")
    one = lab(tmp_path, "one", both)
    other = lab(tmp_path, "other", both.replace("a: {bridge: br1}", "a: {bridge: br2}"))
    private.cnetsh("up", one)
    there, without = (
        json.loads(private.cnetsh("diff", *words, "--format", "json", check=False).stdout)["does"]
        for words in ((other,), (one, other))
    )
    assert there == without
    assert {line["mark"] for line in there} == set("+~-")


def test_a_sandbox_is_asked_only_for_what_goes(ordinary: Ordinary) -> None:
    path = ordinary.home / "lab.yaml"
    for text, code in ((LESS, 0), (LAB, 0), (LESS, 2)):
        path.write_text(text, encoding="utf-8")
        done = ordinary.cnetsh("up", "lab.yaml", check=False)
        assert done.returncode == code, report(done)
    ordinary.cnetsh("down", "n1")


def test_a_saved_plan_of_down_takes_down(private: Private, tmp_path: Path) -> None:
    path, before = str(tmp_path / "down.json"), private.snapshot()
    private.cnetsh("up", "routing")
    private.cnetsh("plan", "routing", "--down", "-o", path)
    up = private.cnetsh("up", path, check=False)
    assert up.returncode == 2 and f"cnetsh down {path}" in up.stderr, report(up)
    private.sh("ip netns delete net1")
    stale = private.cnetsh("down", path, check=False)
    assert stale.returncode == 2, report(stale)
    assert "would not run any more: ip netns delete net1" in stale.stderr, report(stale)
    private.cnetsh("repair", "routing", "--yes")
    done = private.cnetsh("down", path)
    assert "routing is down, as before" in done.stderr, report(done)
    assert oracle.diff(before, private.snapshot()) == []


def test_a_saved_plan_of_a_change_is_applied_step_for_step(
    private: Private, tmp_path: Path
) -> None:
    path, plan, log = lab(tmp_path, "lab", LAB), str(tmp_path / "change.json"), tmp_path / "log"
    private.cnetsh("up", path)
    lab(tmp_path, "lab", LESS.replace(".1/24}", ".1/24, mtu: 1400}"))
    private.cnetsh("plan", path, "-o", plan)
    does = [one["command"] for one in json.loads(Path(plan).read_text(encoding="utf-8"))["does"]]
    assert "ip netns delete b" in does and len(does) == 3
    # What was reviewed is not asked for again.
    private.cnetsh("up", plan, "--log", str(log))
    lines = log.read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["command"] for line in lines] == does


def test_a_lab_that_has_drifted_says_so_and_is_repaired(private: Private) -> None:
    before = private.snapshot()
    private.cnetsh("up", "routing")
    private.sh("ip -n net0 route del default; ip addr del 172.18.0.1/12 dev br0")
    again = private.cnetsh("up", "routing")
    assert "\nto put it right:\n  cnetsh repair routing --on host\n" in again.stderr, report(again)
    assert "drifted" in private.cnetsh("status", "--drift").stdout
    shown = private.cnetsh("repair", "routing", "--dry-run").stdout
    assert shown == (
        "! ip address add 172.18.0.1/12 dev br0\n"
        "! ip netns exec net0 ip route add default via 172.18.0.1\n"
    )
    assert private.cnetsh("repair", "routing", check=False).returncode == 2
    private.cnetsh("repair", "routing", "--yes")
    assert private.cnetsh("repair").stderr == "routing is as planned\n"
    assert "routing is down, as before" in private.cnetsh("down", "routing").stderr
    assert oracle.diff(before, private.snapshot()) == []


def test_a_repair_that_fails_is_undone(private: Private) -> None:
    private.cnetsh("up", "bridge")
    # One of the steps cannot be run again: others have a link of that name inside.
    private.sh("ip link delete veth1; ip -n net1 link add ceth1 type bridge")
    drifted = private.snapshot()
    done = private.cnetsh("repair", "bridge", "--yes", check=False)
    assert done.returncode == 1 and "the repair is undone" in done.stderr, report(done)
    assert oracle.diff(drifted, private.snapshot()) == []
    private.cnetsh("down", "bridge")


def test_what_others_put_in_its_place_is_not_touched(private: Private) -> None:
    private.cnetsh("up", "bridge")
    private.sh("ip link delete br0; ip link add br0 type bridge")
    before = private.snapshot()
    done = private.cnetsh("repair", "bridge", "--yes", check=False)
    assert done.returncode == 2 and "is another one than the lab made" in done.stderr, report(done)
    assert oracle.diff(before, private.snapshot()) == []


def test_one_form_of_json_and_marks_in_every_form(private: Private, tmp_path: Path) -> None:
    path = tmp_path / "q.json"
    path.write_text(private.cnetsh("plan", "veth", "--format", "json").stdout, encoding="utf-8")
    assert "ip link set veth0 up" in private.cnetsh("plan", str(path)).stdout
    assert [one["mark"] for one in json.loads(path.read_text(encoding="utf-8"))["does"]] == [
        "+"
    ] * 5
    private.cnetsh("up", "veth")
    for form in ("table", "rich", "markdown"):
        shown = private.cnetsh("plan", "veth", "--format", form).stdout
        assert shown.count("already there") == 5, shown
    assert "already" not in private.cnetsh("plan", "veth", "--format", "shell").stdout
    private.cnetsh("up", str(path))


def test_status_is_of_all_targets(ordinary: Ordinary) -> None:
    ordinary.cnetsh("up", "veth")
    ordinary.cnetsh("up", "container", "--on", "sandbox:other")
    rows = json.loads(ordinary.cnetsh("status", "--json").stdout)
    assert {(one["lab"], one["target"], one["state"]) for one in rows} == {
        ("veth", "sandbox", "up"),
        ("container", "sandbox:other", "up"),
    }
    alone = json.loads(ordinary.cnetsh("status", "--json", "--on", "sandbox").stdout)
    assert [one["lab"] for one in alone] == ["veth"]
    ordinary.cnetsh("down", "veth")
    ordinary.cnetsh("down", "container", "--on", "sandbox:other")


def test_status_of_a_lab_that_comes_up(private: Private, tmp_path: Path) -> None:
    path = lab(tmp_path, "lab", LESS.replace("24}", "16}").replace("br1}", "br1, count: 150}"))
    seen = set()

    def state() -> bool:
        rows = json.loads(private.cnetsh("status", "--json").stdout)
        seen.update(row["state"] for row in rows)
        return "up" in seen

    process = private.start([sys.executable, "-m", "cnetsh", "up", path], stderr=-3)
    assert wait_for(state)
    assert process.wait() == 0 and seen == {"coming up", "up"}


def test_status_of_what_is_left(private: Private, tmp_path: Path) -> None:
    private.cnetsh("up", lab(tmp_path, "lab", LESS))
    private.sh("ip link add p9 type veth peer name q9; ip link set p9 master br1")
    assert private.cnetsh("down", "n1", check=False).returncode == 3
    said = private.cnetsh("status").stdout.splitlines()
    assert said[0].split() == ["n1", "left", "behind", "host"] and "bridge br1 stays" in said[1]
    private.sh("ip link delete p9")
    private.cnetsh("down", "n1")
    assert private.cnetsh("status").stderr == "no lab is up\n"
