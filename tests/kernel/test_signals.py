"""A signal ends every command, whenever it comes and whichever of its processes it comes to."""

import fcntl
import os
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path

import oracle
import pytest
from hosts import PATIENCE, Ordinary, Private, ignored_if_gone, report, wait_for

from cnetsh.system.process import ask

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.mark.parametrize("command", ["status", "exec host -- true", "up veth"])
def test_while_somebody_else_starts_or_stops_the_sandbox(ordinary: Ordinary, command: str) -> None:
    ordinary.cnetsh("sandbox", "start")
    (use,) = Path(ordinary.env["XDG_RUNTIME_DIR"]).glob("cnetsh/sandboxes/default.use")
    somebody = ordinary.start(
        ["flock", str(use), "sh", "-c", "echo locked; exec sleep 600"], stdout=subprocess.PIPE
    )
    assert somebody.stdout and somebody.stdout.readline() == "locked\n"
    for number in SIGNALS:
        process = ordinary.start([str(ordinary.program), *command.split()], stderr=-1)
        pid = str(process.pid)
        assert wait_for(lambda pid=pid: pid in waiting_for_a_lock())  # type: ignore[misc]
        process.send_signal(number)
        assert process.communicate(timeout=PATIENCE)[1] == ""
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
        said = process.communicate(timeout=PATIENCE)[0]
        assert process.returncode in (0, 128 + number), said
        assert process.returncode == 0 or said == ""


def ctrl_c(ordinary: Ordinary, seconds: float, *arguments: str) -> int:
    """The exit code of a cnetsh to all of whose processes a SIGINT goes, some time after begin."""
    argv = [str(ordinary.program), *arguments]
    process = ordinary.start(argv, stderr=subprocess.PIPE, start_new_session=True)
    assert wait_for(lambda: begun(process.pid))
    time.sleep(seconds)
    os.killpg(process.pid, signal.SIGINT)
    said = process.communicate(timeout=PATIENCE)[1]
    assert process.returncode in (0, 128 + signal.SIGINT), said
    assert not any(word in said for word in ("Traceback", "Exception ignored", "Errno")), said
    return process.returncode


def test_ctrl_c_in_exec(ordinary: Ordinary) -> None:
    """At all points of the way into the sandbox."""
    ordinary.cnetsh("sandbox", "start")
    for at in range(20):
        assert ctrl_c(ordinary, 0.01 * at, "exec", "host", "--", "sleep", "600")
    assert wait_for(lambda: "sleep 600" not in ordinary.processes().values())


def in_the_middle(
    host: Private, words: str, stop: Callable[["subprocess.Popen[str]"], None]
) -> str:
    """What a cnetsh said that was stopped while it ran steps, and its exit code in the end.

    Its standard error is nearly full, so that it waits there until somebody reads on.
    """
    read, write = os.pipe()
    room = fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, 4096)
    os.write(write, b"." * (room - 100))
    process = host.start([sys.executable, "-m", "cnetsh", *words.split()], stderr=write)
    os.close(write)
    stuck = Path(f"/proc/{process.pid}/wchan")
    assert wait_for(lambda: "pipe_write" in stuck.read_text())
    stop(process)
    with os.fdopen(read) as said:
        text = said.read().lstrip(".")
    return f"{text}exit {process.wait(PATIENCE)}"


@pytest.mark.parametrize("number", SIGNALS)
class TestInTheMiddle:
    def test_of_an_up_undoes_it(self, private: Private, number: signal.Signals) -> None:
        before = private.snapshot()
        said = in_the_middle(private, "up routing", lambda process: process.send_signal(number))
        assert "undone, as before" in said and "[21/21]" not in said
        assert said.endswith(f"exit {128 + number}")
        assert oracle.diff(before, private.snapshot()) == []

    def test_of_a_change_undoes_the_change(self, private: Private, number: signal.Signals) -> None:
        private.cnetsh("up", "bridge", "--set", "containers=3")
        before = private.snapshot(settled=0.2)
        words = "up bridge --set containers=5 --verbose --yes"
        said = in_the_middle(private, words, lambda process: process.send_signal(number))
        assert said.endswith(f"the lab is as it was before\nexit {128 + number}")
        assert oracle.diff(before, private.snapshot(settled=0.2)) == []

    @pytest.mark.parametrize("words", ["down routing", "recover"])
    def test_of_an_undo_does_not_stop_it(
        self, private: Private, number: signal.Signals, words: str
    ) -> None:
        before = private.snapshot()
        private.cnetsh("up", "routing")
        if words == "recover":
            private.sh("sed -i '$d' /run/cnetsh/*/routing.journal")
        said = in_the_middle(private, words, lambda process: process.send_signal(number))
        assert "routing is down, as before" in said and said.endswith("exit 0")
        assert oracle.diff(before, private.snapshot()) == []


class TestTerminal:
    """That goes away: a SIGHUP, and nothing more can be written or read."""

    def hung_up(self, host: Private, *words: str) -> int:
        ours, theirs = os.openpty()
        process = host.start(
            [sys.executable, "-m", "cnetsh", *words],
            **dict.fromkeys(("stdin", "stdout", "stderr"), theirs),
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(theirs)
        os.read(ours, 1)
        os.close(ours)
        return process.wait(PATIENCE)

    def test_ends_an_up_and_a_check_but_no_down(self, private: Private) -> None:
        before = private.snapshot()
        assert self.hung_up(private, "up", "routing", "--try", "30") == 128 + signal.SIGHUP
        assert oracle.diff(before, private.snapshot()) == []
        private.cnetsh("up", "routing")
        assert self.hung_up(private, "check", "routing") == 128 + signal.SIGHUP
        assert self.hung_up(private, "down", "routing") == 0
        assert oracle.diff(before, private.snapshot()) == []
