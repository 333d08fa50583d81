"""A signal ends every command, whenever it comes and whichever of its processes it comes to."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hosts import Ordinary, Private, ignored_if_gone, report, wait_for

from cnetsh.system.process import ask

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.mark.parametrize("command", ["status", "exec host -- true", "up veth"])
def test_while_somebody_else_starts_or_stops_the_sandbox(ordinary: Ordinary, command: str) -> None:
    ordinary.cnetsh("sandbox", "start")
    (use,) = Path(ordinary.env["XDG_RUNTIME_DIR"]).glob("cnetsh/sandboxes/default.use")
    somebody = ordinary.start(
        ["flock", str(use), "sh", "-c", "echo locked; exec sleep 60"], stdout=subprocess.PIPE
    )
    assert somebody.stdout and somebody.stdout.readline() == "locked\n"
    for number in SIGNALS:
        process = ordinary.start([str(ordinary.program), *command.split()], stderr=-1)
        pid = str(process.pid)
        assert wait_for(lambda pid=pid: pid in waiting_for_a_lock())  # type: ignore[misc]
        process.send_signal(number)
        assert process.communicate(timeout=5)[1] == ""
        assert process.returncode == 128 + number


def waiting_for_a_lock() -> set[str]:
    lines = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
    return {line[5] for line in lines if line[1] == "->"}


@pytest.mark.parametrize("number", [*SIGNALS, signal.SIGKILL])
def test_that_ends_the_command_of_exec_gives_the_code_of_a_shell(
    ordinary: Ordinary, number: signal.Signals
) -> None:
    ordinary.cnetsh("sandbox", "start")
    suicide = ("sh", "-c", f"kill -{int(number)} $$")
    done = ordinary.cnetsh("exec", "host", "--", *suicide, check=False)
    assert (done.returncode, done.stderr) == (128 + number, "")


def test_that_the_caller_ignores_stays_ignored(ordinary: Ordinary) -> None:
    ordinary.cnetsh("sandbox", "start")
    script = "kill -HUP $$; echo lives"
    argv = ["nohup", str(ordinary.program), "exec", "host", "--", "sh", "-c", script]
    done = ordinary.run(argv, stdin=subprocess.DEVNULL)
    assert done.stdout == "lives\n", report(done)


def test_never_comes_to_a_command_that_cnetsh_itself_starts() -> None:
    """A Ctrl-C would, in the moment before the command has a session of its own."""
    assert ask(("sh", "-c", "kill -INT $$; kill -TERM $$; kill -HUP $$; echo lives")).exit_code == 0


def begun(pid: int) -> bool:
    """Whether cnetsh takes signals; until then Python has a traceback of its own for Ctrl-C."""
    with ignored_if_gone():
        status = Path(f"/proc/{pid}/status").read_text()
        caught = int(status.split("SigCgt:")[1].split()[0], 16)
        return bool(caught >> (signal.SIGHUP - 1) & 1)
    return False


@pytest.mark.parametrize(
    "command", ["status", "doctor routing", "graph --live", "plan routing --on host"]
)
def test_in_the_first_moment(private: Private, command: str) -> None:
    for number in SIGNALS:
        argv = [sys.executable, "-m", "cnetsh", *command.split()]
        process = private.start(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert wait_for(lambda pid=process.pid: begun(pid))  # type: ignore[misc]
        process.send_signal(number)
        said = process.communicate(timeout=5)[0]
        assert process.returncode in (0, 128 + number), said
        assert process.returncode == 0 or said == ""


def ctrl_c(ordinary: Ordinary, seconds: float, *arguments: str) -> int:
    """The exit code of a cnetsh to all of whose processes a SIGINT goes, some time after begin."""
    argv = [str(ordinary.program), *arguments]
    process = ordinary.start(argv, stderr=subprocess.PIPE, start_new_session=True)
    assert wait_for(lambda: begun(process.pid))
    time.sleep(seconds)
    os.killpg(process.pid, signal.SIGINT)
    said = process.communicate(timeout=20)[1]
    assert process.returncode in (0, 128 + signal.SIGINT), said
    assert not any(word in said for word in ("Traceback", "Exception ignored", "Errno")), said
    return process.returncode


def test_ctrl_c_in_exec(ordinary: Ordinary) -> None:
    """At all points of the way into the sandbox."""
    ordinary.cnetsh("sandbox", "start")
    for at in range(20):
        assert ctrl_c(ordinary, 0.01 * at, "exec", "host", "--", "sleep", "60")
    assert wait_for(lambda: "sleep 60" not in ordinary.processes().values())


def test_ctrl_c_in_the_first_up_of_a_sandbox(ordinary: Ordinary) -> None:
    """Either the lab is up, and the exit code says so, or there is no lab and no sandbox."""
    for at in range(12):
        if ctrl_c(ordinary, 0.04 * at, "up", "container") == 0:
            ordinary.cnetsh("down", "container")
        assert wait_for(lambda: not ordinary.processes()), (at, ordinary.processes())
