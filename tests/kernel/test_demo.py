"""The demo starts afresh whatever another one left, and whatever ends it leaves nothing."""

import os
import signal
import subprocess
from collections.abc import Iterator

import pytest
from hosts import PATIENCE, Ordinary, wait_for


def started(ordinary: Ordinary) -> "subprocess.Popen[str]":
    argv = [str(ordinary.program), "demo"]
    pipe = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return ordinary.start(argv, start_new_session=True, **pipe)


def read_to(process: "subprocess.Popen[str]", words: str) -> Iterator[str]:
    assert process.stdout
    said = ""
    for line in process.stdout:
        said += line
        yield line
        if words in line:
            return
    raise AssertionError(f"no {words!r} before it ended with {process.wait()}:\n{said}")


@pytest.mark.parametrize(
    "at",
    ["brief veth", "$ cnetsh up -q container", "$ cnetsh check -q veth", "$ cnetsh down -q veth"],
)
def test_ctrl_c_ends_it_with_130_and_nothing_left(ordinary: Ordinary, at: str) -> None:
    demo = started(ordinary)
    list(read_to(demo, at))
    os.killpg(demo.pid, signal.SIGINT)
    said = demo.communicate(timeout=PATIENCE)[0]
    assert demo.returncode == 130, said
    assert said.count("$ cnetsh") <= 1 and "Traceback" not in said, said
    assert ordinary.cnetsh("sandbox", "list").stderr == "no sandbox runs\n"
    assert wait_for(lambda: not ordinary.processes())


def test_a_killed_one_is_in_nobodys_way(ordinary: Ordinary) -> None:
    killed = started(ordinary)
    list(read_to(killed, "$ cnetsh check -q veth"))
    os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate()
    assert "veth" in ordinary.cnetsh("sandbox", "list").stdout
    demo = started(ordinary)
    # Between two labs no sandbox runs: each ends with the `down` of its lab.
    said = list(read_to(demo, "$ cnetsh check -q container"))
    assert "veth: 2 checks ok, 0 failed, 0 not tried, 0 changed\n" in said
    assert str(demo.pid) in (only := ordinary.cnetsh("sandbox", "list").stdout)
    assert len(only.splitlines()) == 1
    os.killpg(demo.pid, signal.SIGTERM)
    demo.communicate(timeout=PATIENCE)
    assert demo.returncode == 143


@pytest.mark.soak
def test_of_all_labs_works(ordinary: Ordinary) -> None:
    done = ordinary.cnetsh("demo")
    assert done.stderr.endswith("the demo worked\n") and done.stdout.count("$ cnetsh") == 20
    assert ordinary.cnetsh("sandbox", "list").stderr == "no sandbox runs\n"
