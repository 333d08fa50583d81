"""The labs of the article as an ordinary user brings them up, checks them and takes them down."""

import ctypes
import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import oracle
import pytest
from hosts import PATIENCE, Ordinary, Private, report, wait_for
from others import template

from cnetsh.labs import builtin

LABS = builtin.LABS


def test_every_lab_up_checked_and_down(ordinary: Ordinary) -> None:
    """Each in a sandbox of its own, all at once: pings that must fail take a second each."""
    machine = oracle.outline()
    with ThreadPoolExecutor(3) as several:
        list(several.map(lambda name: up_checked_and_down(ordinary, name), LABS))
    assert oracle.diff(machine, oracle.outline()) == []
    assert wait_for(lambda: not ordinary.processes()), ordinary.processes()


def up_checked_and_down(ordinary: Ordinary, name: str) -> None:
    on = ("--on", f"sandbox:{name}")
    ordinary.cnetsh("up", name, *on)
    checked = ordinary.cnetsh("check", name, *on)
    assert " 0 failed, 0 not tried, 0 changed" in checked.stderr, report(checked)
    if name == "routing":
        ordinary.cnetsh("exec", "net0", *on, "--", "ping", "-c1", "-W2", "1.1.1.1")
    down = ordinary.cnetsh("down", name, *on)
    assert f"{name} is down, as before, in " in down.stderr


def test_up_twice_down_twice_and_down_without_up(private: Private) -> None:
    before = private.snapshot()
    assert "veth is not up" in private.cnetsh("down", "veth").stderr
    private.cnetsh("up", "veth")
    up = private.snapshot(settled=0.5)
    again = private.cnetsh("up", "veth")
    assert again.stderr == "veth is up already\n"
    assert oracle.diff(up, private.snapshot()) == []
    private.cnetsh("down", "veth")
    assert private.cnetsh("down", "veth").stderr == "veth is not up\n"
    assert "nothing to recover" in private.cnetsh("recover").stderr
    assert oracle.diff(before, private.snapshot()) == []


def test_the_log_has_a_line_for_each_step(private: Private, tmp_path: Path) -> None:
    log = tmp_path / "log"
    private.cnetsh("up", "routing", "--log", str(log))
    private.cnetsh("down", "routing", "--log", str(log))
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    assert [one["step"] for one in lines] == [*range(1, 22), *range(1, 6)]
    keys = {"time", "step", "command", "argv", "exit_code", "stderr", "milliseconds"}
    assert all(keys <= one.keys() for one in lines)
    assert {one["exit_code"] for one in lines} == {0}
    assert lines[19]["argv"] == ["tee", "/proc/sys/net/ipv4/ip_forward"]
    assert log.stat().st_mode & 0o777 == 0o600


def test_a_log_that_cannot_be_written(private: Private) -> None:
    before = private.snapshot()
    done = private.cnetsh("up", "veth", "--log", "/nowhere/log", check=False)
    assert done.returncode == 2 and "/nowhere/log" in done.stderr, report(done)
    assert oracle.diff(before, private.snapshot()) == []


def test_status_and_exec(private: Private) -> None:
    assert private.cnetsh("status").stderr == "no lab is up\n"
    private.cnetsh("up", "conflict")
    assert private.cnetsh("status").stdout.split() == ["conflict", "up", "host", "net0", "net1"]
    (row,) = json.loads(private.cnetsh("status", "--json").stdout)
    assert row["lab"] == "conflict" and row["containers"] == ["net0", "net1"]
    shown = private.cnetsh("exec", "net0", "--", "ip", "-br", "address")
    assert "ceth0" in shown.stdout and "veth0" not in shown.stdout
    assert "veth0" in private.cnetsh("exec", "host", "--", "ip", "-br", "link").stdout
    codes = {
        ("exec", "net1", "--", "sh", "-c", "exit 7"): 7,
        ("exec", "net9", "--", "true"): 2,
        ("exec", "host", "--", "no-such-command"): 127,
        ("exec", "net0", "--", "no-such-command"): 127,
        ("exec", "host", "--", "/etc/passwd"): 126,
        ("exec", "net0", "--", "/etc/passwd"): 126,
        ("check", "veth"): 2,
        ("up", "brigde"): 2,
        ("up", "veth", "--on", "moon"): 2,
        ("up", "container"): 2,
    }
    for command, code in codes.items():
        done = private.cnetsh(*command, check=False)
        assert done.returncode == code, (command, report(done))
        assert "Traceback" not in done.stderr


def test_a_step_that_fails_is_told_and_undone(private: Private, tmp_path: Path) -> None:
    private.sh("ip link add br9 type bridge")
    lines = "ip netns add net0\nip link add veth0 type veth peer name ceth0\n"
    lab = template(tmp_path, "broken", f"{lines}ip route add default via 10.1.2.3")
    before = private.snapshot()
    done = private.cnetsh("up", lab, check=False)
    assert done.returncode == 1, report(done)
    assert "step 3 failed: ip route add default via 10.1.2.3" in done.stderr
    assert "undone, as before\n" in done.stderr
    assert oracle.diff(before, private.snapshot()) == []


class TestTry:
    def test_confirmed_it_stays(self, private: Private) -> None:
        done = private.cnetsh("up", "veth", "--try", "20", input="\n")
        assert "veth stays up" in done.stderr
        assert "veth0" in private.sh("ip link show")

    @pytest.mark.parametrize("given", ["time passes", "input ends"])
    def test_not_confirmed_it_is_undone(self, private: Private, given: str) -> None:
        before = private.snapshot()
        read, write = os.pipe()
        options = {"stdin": read} if given == "time passes" else {"stdin": subprocess.DEVNULL}
        done = private.cnetsh("up", "veth", "--try", "1", check=False, **options)
        os.close(read)
        os.close(write)
        assert done.returncode == 1 and "not confirmed: undone" in done.stderr, report(done)
        assert oracle.diff(before, private.snapshot()) == []

    @pytest.mark.parametrize(
        "going", [signal.SIGINT, signal.SIGTERM, "terminal"], ids=["ctrl-c", "term", "hangup"]
    )
    def test_interrupted_it_is_undone(self, private: Private, going: object) -> None:
        before = private.snapshot()
        ours, theirs = pty.openpty()
        argv = private.enter([sys.executable, "-m", "cnetsh", "up", "veth", "--try", "60"])
        process = subprocess.Popen(
            ["setsid", "--ctty", "--wait", *argv] if going == "terminal" else argv,
            stdin=theirs, stdout=theirs, stderr=theirs, env=private.env,
        )  # fmt: skip
        os.close(theirs)
        assert wait_for(saying(ours, "press Enter"))
        if isinstance(going, int):
            process.send_signal(going)
            assert process.wait(PATIENCE) == 128 + going
        os.close(ours)
        process.wait(PATIENCE)
        assert oracle.diff(before, private.snapshot()) == []


SLOW = {
    "lab.yaml": "title: Slow",
    "up.sh.j2": "ip netns add far\nip netns exec far ip link set lo up\n",
    "check.sh.j2": "ip netns exec far ping -c1 127.0.0.1\n"
    "ip netns exec far ping -c99 127.0.0.1\nip netns exec far ping -c1 127.0.0.1\n",
}


def slow_lab(folder: Path) -> str:
    (folder / "slow").mkdir()
    for name, text in SLOW.items():
        (folder / "slow" / name).write_text(text, encoding="utf-8")
    return str(folder / "slow")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_check(private: Private, tmp_path: Path, number: int) -> None:
    private.cnetsh("up", slow_lab(tmp_path))
    argv = [sys.executable, "-m", "cnetsh", "check", "slow"]
    check = private.start(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert check.stdout and " ok " in check.stdout.readline()
    began = time.monotonic()
    check.send_signal(number)
    assert check.wait(PATIENCE) == 128 + number and time.monotonic() - began < 30
    assert "stopped after 1 of 3 checks" in check.communicate()[1]
    # Nothing of it is left inside, or down would refuse.
    assert "slow is down" in private.cnetsh("down", "slow").stderr


def test_a_signal_ends_a_check_whichever_thread_takes_it(private: Private, tmp_path: Path) -> None:
    private.cnetsh("up", slow_lab(tmp_path))
    argv = [sys.executable, "-m", "cnetsh", "check", "slow"]
    check = private.start(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert check.stdout and " ok " in check.stdout.readline()
    threads = {int(task.name) for task in Path(f"/proc/{check.pid}/task").iterdir()} - {check.pid}
    # The kernel gives a signal to any of them; this one is for the thread that is named.
    assert ctypes.CDLL(None).tgkill(check.pid, min(threads), signal.SIGINT) == 0
    assert check.wait(PATIENCE) == 128 + signal.SIGINT
    assert "stopped after 1 of 3 checks" in check.communicate()[1]


def test_a_signal_ends_a_check_in_the_sandbox(ordinary: Ordinary) -> None:
    ordinary.cnetsh("up", slow_lab(ordinary.home))
    argv = [str(ordinary.program), "check", "slow"]
    check = ordinary.start(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert check.stdout and " ok " in check.stdout.readline()
    check.send_signal(signal.SIGINT)
    assert check.wait(PATIENCE) == 128 + signal.SIGINT
    assert "Traceback" not in check.communicate()[1]
    ordinary.cnetsh("down", "slow")


def saying(terminal: int, text: str) -> Callable[[], bool]:
    said = bytearray()

    def says() -> bool:
        said.extend(os.read(terminal, 4096))
        return text.encode() in said

    return says
