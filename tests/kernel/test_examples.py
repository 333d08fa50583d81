"""The six examples: built, checked and undone by cnetsh, by its script, and past any failure."""

import json
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import oracle
import pytest
from hosts import HERE, PATIENCE, Ordinary, Private, report, wait_for
from others import template
from runs import crash

from cnetsh.labs import render
from cnetsh.labs.file import load_file
from cnetsh.plan.steps import Plan, parse, to_text

CHECKOUT = HERE.parent.parent
EXAMPLES = sorted((CHECKOUT / "examples").glob("*.yaml"))
WEB = str(CHECKOUT / "examples/published-web-server.yaml")
EVERY = 30
NOWHERE = "192.0.2.99"
INTERNET = """
ip netns add internet; ip link add eth0 type veth peer name uplink netns internet
ip address add 10.0.2.15/24 dev eth0; ip link set eth0 up; ip route add default via 10.0.2.2
ip -n internet address add 10.0.2.2/24 dev uplink; ip -n internet link set uplink up
"""
DOCKER = """
iptables -P FORWARD DROP
test ! -e /proc/sys/net/bridge || echo 1 > /proc/sys/net/bridge/bridge-nf-call-iptables
"""
GET = "import sys, urllib.request as u; print(u.urlopen(sys.argv[1], timeout=10).status)"


def test_there_are_six() -> None:
    assert len(EXAMPLES) == 6


def up_and_script(hosts: tuple[Private, Private], folder: Path, file: Path) -> list[str]:
    """How the kernels differ: by script and by up, and after each from before."""
    by_script, by_up = hosts
    before = by_script.snapshot()
    script = str(folder / f"{file.stem}.sh")
    by_script.cnetsh("script", str(file), "--no-sudo", "-o", script)
    by_up.cnetsh("up", str(file))
    added = by_script.run(["bash", script, "add"])
    assert added.returncode == 0, report(added)
    checked = by_up.cnetsh("check", str(file))
    assert " 0 failed, " in checked.stderr and " 0 changed" in checked.stderr, report(checked)
    one, other = (oracle.shape(host.snapshot(settled=0.3)) for host in hosts)
    lines = oracle.diff(one, other)
    deleted = by_script.run(["bash", script, "delete"])
    assert deleted.returncode == 0, report(deleted)
    by_up.cnetsh("down", str(file))
    lines += oracle.diff(before, by_up.snapshot())
    # The script does not wait for the cables that go with their namespaces; cnetsh does.
    wait_for(lambda: oracle.diff(before, by_script.snapshot()) == [])
    return lines + oracle.diff(before, by_script.snapshot())


@pytest.mark.parametrize(
    "files", [EXAMPLES[::5], pytest.param(EXAMPLES, marks=pytest.mark.soak)], ids=["two", "all"]
)
def test_up_and_its_script_leave_equal_kernels(
    new_private: Callable[[], Private], tmp_path: Path, files: list[Path]
) -> None:
    """Of two; that every script has its plan's commands is one of the laws (test_laws.py)."""
    # IPv6 needs seconds to come to rest, in which the others can go on.
    hosts = [(new_private(), new_private()) for _ in files]
    with ThreadPoolExecutor(3) as pool:
        found = pool.map(lambda pair, file: up_and_script(pair, tmp_path, file), hosts, files)
        assert dict(zip(files, found, strict=True)) == {file: [] for file in files}


LAB = """
name: {0}
bridges: {{{1}: {{address: 10.{2}.0.1/24, nat: true}}}}
containers:
  {3}: {{bridge: {1}, count: 2}}
"""


def test_two_lab_files_are_up_side_by_side(private: Private, tmp_path: Path) -> None:
    files = [tmp_path / f"{name}.yaml" for name in ("a", "b", "bridge", "netns")]
    for file, words in zip(
        files, ("a br1 1 x", "b br2 2 y", "c br1 3 z", "d br4 4 x"), strict=True
    ):
        file.write_text(LAB.format(*words.split()), encoding="utf-8")
    before = private.snapshot()
    for file in files[:2]:
        private.cnetsh("up", str(file))
    for file, taken in zip(files[2:], ("bridge br1", "namespace x0"), strict=True):
        refused = private.cnetsh("up", str(file), check=False)
        assert refused.returncode == 2, report(refused)
        assert taken in refused.stderr and "in the lab file" in refused.stderr, report(refused)
    for name in "ab":
        assert " 0 failed, " in private.cnetsh("check", name).stderr
        private.cnetsh("down", name)
    assert oracle.diff(before, private.snapshot()) == []


@pytest.mark.parametrize(
    "examples", [EXAMPLES[3:4], pytest.param(EXAMPLES, marks=pytest.mark.soak)], ids=["one", "all"]
)
def test_as_an_ordinary_user(ordinary: Ordinary, examples: list[Path]) -> None:
    def up_checked_and_down(file: Path) -> list[str]:
        name = load_file(file, []).name
        on = ("--on", f"sandbox:{name}")

        def snapshot() -> oracle.Facts:
            shown = ordinary.cnetsh("exec", "host", *on, "--", *ordinary.oracle)
            return dict(json.loads(shown.stdout))

        (ordinary.home / file.name).write_text(file.read_text(encoding="utf-8"), encoding="utf-8")
        ordinary.cnetsh("sandbox", "start", name)
        before = snapshot()
        ordinary.cnetsh("up", file.name, *on)
        checked = ordinary.cnetsh("check", name, *on)
        assert " 0 failed, 0 not tried, 0 changed" in checked.stderr, report(checked)
        down = ordinary.cnetsh("down", file.name, *on)
        assert f"{name} is down, as before" in down.stderr
        left = oracle.diff(before, snapshot())
        ordinary.cnetsh("sandbox", "stop", name)
        return left

    machine = oracle.outline()
    with ThreadPoolExecutor(3) as pool:
        found = pool.map(up_checked_and_down, examples)
        assert dict(zip(examples, found, strict=True)) == {file: [] for file in examples}
    assert oracle.diff(machine, oracle.outline()) == []


def failing_folders(file: Path, folder: Path, every: int) -> list[str]:
    """Folders with the example's own commands, of which one more at position k really fails."""
    lab = load_file(file, [])
    steps = parse(render.render(lab, "up"), lab.name, "", "up", file.name).steps
    folders = []
    # The offset moves with the example, so that every kind of step is met by one of them.
    for number in range(EXAMPLES.index(file) % every, len(steps) + 1, every):
        lines = [to_text(Plan("", "", "up", (step,))) for step in steps]
        inside = steps[number - 1].netns if number else ""
        broken = f"ip route add 198.51.100.0/24 via {NOWHERE}"
        lines.insert(number, f"ip netns exec {inside} {broken}" if inside else broken)
        folders.append(template(folder, f"fails-{lab.name}-{number}", "\n".join(lines)))
    return folders


def assert_equal_after_failures(private: Private, folders: list[str]) -> None:
    runs = crash(private, "failing", folders=folders)
    bad = [one for one in runs if one["left"] or one["exit"] != 1]
    assert not bad, (bad[0]["run"], bad[0]["left"], bad[0]["said"])
    assert [one["run"] for one in runs] == folders
    assert all(NOWHERE in one["said"] for one in runs)


def test_a_failure_at_some_steps_leaves_nothing(
    new_private: Callable[[], Private], tmp_path: Path
) -> None:
    folders = [failing_folders(file, tmp_path, EVERY) for file in EXAMPLES]
    hosts = [new_private() for _ in EXAMPLES]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(assert_equal_after_failures, hosts, folders))


@pytest.mark.soak
@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_a_failure_at_every_step_leaves_nothing(
    private: Private, tmp_path: Path, file: Path
) -> None:
    assert_equal_after_failures(private, failing_folders(file, tmp_path, 1))


@pytest.mark.parametrize("host", ["plain", "docker"])
def test_a_published_port_answers_everybody(private: Private, tmp_path: Path, host: str) -> None:
    private.sh(INTERNET + (DOCKER if host == "docker" else ""))
    private.cnetsh("up", WEB)
    serve = [sys.executable, "-m", "http.server", "80", "--directory", str(tmp_path)]
    server = private.start(["ip", "netns", "exec", "web", *serve], stderr=subprocess.DEVNULL)

    def answers(netns: str, url: str) -> bool:
        into = ["ip", "netns", "exec", netns] if netns else []
        done = private.run([*into, sys.executable, "-c", GET, url])
        return done.stdout == "200\n"

    assert wait_for(lambda: answers("", "http://172.18.0.10/"))
    assert answers("internet", "http://10.0.2.15:8080/")
    assert answers("", "http://10.0.2.15:8080/")
    assert answers("", "http://172.18.0.1:8080/")
    assert answers("client", "http://10.0.2.15:8080/")
    assert answers("web", "http://10.0.2.15:8080/")
    assert answers("client", "http://172.18.0.10/")
    assert not answers("internet", "http://10.0.2.15/")
    server.kill()
    server.wait()
    private.cnetsh("down", WEB)
    policy = "DROP" if host == "docker" else "ACCEPT"
    assert private.sh("iptables -S FORWARD") == f"-P FORWARD {policy}\n"


def test_a_published_port_answers_in_the_sandbox(ordinary: Ordinary) -> None:
    lab = ordinary.home / "web.yaml"
    lab.write_text(Path(WEB).read_text(encoding="utf-8"), encoding="utf-8")
    ordinary.cnetsh("up", "web.yaml")
    python = str(ordinary.program.parent / "python")
    argv = [str(ordinary.program), "exec", "web", "--", python, "-m", "http.server", "80"]
    server = ordinary.start(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def answers(where: str) -> bool:
        get = (python, "-c", GET, "http://10.0.2.15:8080/")
        return ordinary.cnetsh("exec", where, "--", *get, check=False).stdout == "200\n"

    assert wait_for(lambda: answers("host"))
    assert answers("internet") and answers("client")
    refused = ordinary.cnetsh("down", "web", check=False)
    assert refused.returncode == 2 and "--kill" in refused.stderr
    ordinary.cnetsh("down", "web", "--kill")
    server.wait(PATIENCE)
