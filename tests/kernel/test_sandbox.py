"""The sandbox of an ordinary user: it starts and ends by itself, and nothing outlives it."""

import fcntl
import json
import os
import signal
import subprocess
from pathlib import Path

import oracle
import pytest
from hosts import NOBODY, PATIENCE, ROOT, Ordinary, Private, report, wait_for

SLEEP = ("sh", "-c", "sleep 300 & sleep 301 & wait")


def boxes(ordinary: Ordinary) -> list[dict[str, object]]:
    return list(json.loads(ordinary.cnetsh("sandbox", "list", "--json").stdout))


@pytest.mark.parametrize("victim", ["holder", "init"])
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM], ids=["kill", "term"])
def test_nothing_outlives_the_sandbox(ordinary: Ordinary, victim: str, how: signal.Signals) -> None:
    machine = oracle.outline()
    ordinary.cnetsh("up", "container")
    argv = [str(ordinary.program), "exec", "net0", "--", *SLEEP]
    inside = ordinary.start(argv, stderr=subprocess.DEVNULL)
    assert wait_for(lambda: "sleep 300" in ordinary.processes().values())
    (box,) = boxes(ordinary)
    os.kill(int(str(box[victim])), how)
    assert inside.wait(PATIENCE) != 0
    assert wait_for(lambda: not ordinary.processes()), ordinary.processes()
    assert boxes(ordinary) == []
    assert oracle.diff(machine, oracle.outline()) == []
    # What the killed one left in the registry is not in the way of the next.
    assert ordinary.cnetsh("down", "container").stderr == "container is not up\n"


def test_what_is_done_in_a_sandbox_that_ends_is_told_so(ordinary: Ordinary) -> None:
    """Its process 1 ends, and with it all; who holds it is told of that a little later."""
    ordinary.cnetsh("up", "veth")
    ended = ordinary.cnetsh("exec", "host", "--", "sh", "-c", "kill 1; sleep 300", check=False)
    assert ended.returncode == 1, report(ended)
    assert ended.stderr == "cnetsh: sandbox has ended meanwhile, with all that was in it\n"


@pytest.mark.skipif(not ROOT, reason="only root has a folder that an ordinary user cannot write")
def test_has_name_servers_also_where_root_has_some(private: Private, ordinary: Ordinary) -> None:
    """A lab with `dns` of root's leaves /etc/netns behind, which is root's alone."""
    private.sh("mkdir -p /etc/netns/other")
    lab = ordinary.home / "named.yaml"
    bridges, containers = "{br1: {address: 10.31.0.1/24}}", "{a: {bridge: br1, dns: 10.31.0.1}}"
    lab.write_text(f"name: n\nbridges: {bridges}\ncontainers: {containers}\n", encoding="utf-8")
    as_user = [*ordinary.become, str(ordinary.program)]
    for verb in ("up", "down"):
        done = private.run([*as_user, verb, str(lab)], env=ordinary.env, cwd=ordinary.home)
        assert done.returncode == 0, report(done)
    assert private.sh("ls /etc/netns") == "other\n"


def test_starts_by_itself_and_ends_with_its_last_lab(ordinary: Ordinary) -> None:
    assert boxes(ordinary) == []
    ordinary.cnetsh("up", "veth")
    assert boxes(ordinary)[0]["labs"] == ["veth"]
    ordinary.cnetsh("up", "container", "--set", "host_end=v7", "--set", "peer=c7")
    ordinary.cnetsh("down", "veth")
    assert boxes(ordinary)[0]["labs"] == ["container"]
    ordinary.cnetsh("down", "container")
    assert boxes(ordinary) == []
    assert wait_for(lambda: not ordinary.processes()), ordinary.processes()


def test_started_by_hand_it_stays_until_it_is_stopped(ordinary: Ordinary) -> None:
    ordinary.cnetsh("sandbox", "start")
    assert ordinary.cnetsh("sandbox", "start").returncode == 0
    ordinary.cnetsh("up", "veth")
    ordinary.cnetsh("down", "veth")
    assert boxes(ordinary)[0]["kept"] is True
    assert ordinary.cnetsh("sandbox", "list").stdout.startswith("default ")
    ordinary.cnetsh("sandbox", "stop")
    assert boxes(ordinary) == []
    assert "does not run" in ordinary.cnetsh("sandbox", "stop").stderr
    assert wait_for(lambda: not ordinary.processes()), ordinary.processes()


def test_what_is_stopped_but_does_not_run_is_told_with_what_does(ordinary: Ordinary) -> None:
    ordinary.cnetsh("sandbox", "start", "lesson")
    done = ordinary.cnetsh("sandbox", "stop", "leson", check=False)
    said = "cnetsh: sandbox leson does not run\n  did you mean lesson, which does?\n"
    assert (done.returncode, done.stderr) == (2, said)
    said = "sandbox default does not run\n  those that do: lesson\n"
    assert ordinary.cnetsh("sandbox", "stop").stderr == said
    ordinary.cnetsh("sandbox", "stop", "lesson")
    assert ordinary.cnetsh("sandbox", "stop").stderr == "sandbox default does not run\n"


def test_what_is_shown_of_it_may_be_cut_or_written_to_a_file(ordinary: Ordinary) -> None:
    ordinary.cnetsh("up", "bridge")
    for words in ("check bridge", "graph --live", "status"):
        done = ordinary.run(["bash", "-c", f"{ordinary.program} {words} | true"])
        assert "Traceback" not in done.stderr and "Errno" not in done.stderr, report(done)
    path = ordinary.home / "picture.txt"
    ordinary.cnetsh("graph", "--live", "-o", str(path))
    assert path.read_text() == ordinary.cnetsh("graph", "--live").stdout
    ordinary.cnetsh("down", "bridge")


def test_two_sandboxes_know_nothing_of_each_other(ordinary: Ordinary) -> None:
    ordinary.cnetsh("up", "veth", "--on", "sandbox:one")
    ordinary.cnetsh("up", "veth", "--on", "sandbox:two")
    assert [box["name"] for box in boxes(ordinary)] == ["one", "two"]
    ordinary.cnetsh("down", "veth", "--on", "sandbox:one")
    shown = ordinary.cnetsh("exec", "host", "--on", "sandbox:two", "--", "ip", "-br", "link")
    assert "veth0" in shown.stdout
    ordinary.cnetsh("down", "veth", "--on", "sandbox:two")
    assert boxes(ordinary) == []


def test_several_commands_at_once(ordinary: Ordinary) -> None:
    up = [str(ordinary.program), "up", "container"]
    racers = [ordinary.start(up, stderr=subprocess.PIPE) for _ in range(5)]
    texts = [racer.communicate(timeout=PATIENCE)[1] for racer in racers]
    assert [racer.returncode for racer in racers] == [0] * 5, texts
    assert sum("is up: 8 steps" in text for text in texts) == 1
    assert len(boxes(ordinary)) == 1
    down = [str(ordinary.program), "down", "container"]
    racers = [ordinary.start(down, stderr=subprocess.PIPE) for _ in range(5)]
    texts = [racer.communicate(timeout=PATIENCE)[1] for racer in racers]
    assert [racer.returncode for racer in racers] == [0] * 5, texts
    assert wait_for(lambda: not ordinary.processes()), ordinary.processes()


def waits_for_a_lock(pid: int) -> bool:
    lines = Path("/proc/locks").read_text().splitlines()
    return any("->" in line and str(pid) in line.split() for line in lines)


@pytest.mark.parametrize(
    ("line", "end"),
    [
        ("down container", "container is not up\n"),
        ("recover", "nothing to recover\n"),
        ("check container", "cnetsh: container is not up\n  cnetsh up container\n"),
        ("up container", "container is up: 8 steps"),
    ],
)
def test_a_sandbox_that_ends_before_it_is_entered(ordinary: Ordinary, line: str, end: str) -> None:
    ordinary.cnetsh("sandbox", "start")
    (lock,) = Path(ordinary.env["XDG_RUNTIME_DIR"]).glob("cnetsh/sandboxes/default.use")
    with lock.open("rb") as held:
        # As the last command in it does, which waits here for nobody.
        fcntl.flock(held, fcntl.LOCK_EX)
        waiting = ordinary.start([str(ordinary.program), *line.split()], stderr=subprocess.PIPE)
        assert wait_for(lambda: waits_for_a_lock(waiting.pid))
        ordinary.cnetsh("sandbox", "stop")
    text = waiting.communicate(timeout=PATIENCE)[1]
    assert text.startswith(end) or end in text.splitlines()[-1], text
    assert waiting.returncode == (2 if line.startswith("check") else 0), text


def spoil_mode(folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0)


def spoil_link(folder: Path) -> None:
    folder.symlink_to("/tmp")


def spoil_open(folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o777)


def spoil_file(folder: Path) -> None:
    folder.write_text("", encoding="utf-8")


@pytest.mark.parametrize("spoil", [spoil_mode, spoil_link, spoil_open, spoil_file])
def test_a_state_folder_that_cannot_be_trusted(ordinary: Ordinary, spoil: object) -> None:
    folder = Path(ordinary.env["XDG_RUNTIME_DIR"], "cnetsh")
    assert callable(spoil)
    spoil(folder)
    if ROOT:
        os.chown(folder, NOBODY, NOBODY, follow_symlinks=False)
    refused_at(ordinary, folder)


@pytest.mark.skipif(not ROOT, reason="only root can make a folder of another user")
def test_a_state_folder_of_somebody_else(ordinary: Ordinary) -> None:
    folder = Path(ordinary.env["XDG_RUNTIME_DIR"], "cnetsh")
    folder.mkdir(mode=0o755)
    refused_at(ordinary, folder)


def refused_at(ordinary: Ordinary, folder: Path) -> None:
    for command in (["up", "veth"], ["status"], ["sandbox", "list"]):
        done = ordinary.cnetsh(*command, check=False)
        assert done.returncode == 2, report(done)
        assert str(folder) in done.stderr and "Traceback" not in done.stderr
        assert len(done.stderr.splitlines()) == 2
    assert not ordinary.processes()


def test_user_namespaces_that_are_refused(ordinary: Ordinary) -> None:
    """Inside a user namespace whose limit for more of them is 0."""
    limit = "mount -t tmpfs tmpfs /run; echo 0 > /proc/sys/user/max_user_namespaces"
    script = f"{limit}; exec {ordinary.program} up veth"
    done = ordinary.run(["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script])
    assert done.returncode == 2, report(done)
    assert "refuses a user namespace" in done.stderr and "max_user_namespaces" in done.stderr
    assert "--on host" in done.stderr and "Traceback" not in done.stderr
