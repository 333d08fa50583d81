"""`--on ssh:HOST`: each command does there what it does on the host."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import oracle
import pytest
from hosts import (
    NOBODY,
    PATIENCE,
    Ordinary,
    Private,
    end_host,
    host_env,
    report,
    start_holder,
    wait_for,
)
from machines import FAR, NEAR, Machines, connected
from others import template
from terminals import in_front
from test_guides import CHECKOUT, assert_shown, lines_of, sessions

from cnetsh import __version__
from cnetsh.targets.ssh import session

LAB = """
name: own
bridges:
  br1: {address: 10.31.0.1/24, nat: true}
containers:
  a: {bridge: br1, count: 2}
"""
CODE = "/run/cnetsh/code"
CABLE = "ip link add v7 type veth peer name w7\nip link set v7 up\nip link set w7 up\n"
CUTS = {
    "network": (f"{CABLE}ip address add 192.0.2.9/24 dev v7\n", "address 192.0.2.2/24 on eth0"),
    "route": (f"{CABLE}ip route add {NEAR}/32 dev v7\n", f"the ssh session from {NEAR}: "),
    "link": ("ip link set eth0 down\n", f"the ssh session from {NEAR}: "),
}
REACHED = ("root", "ann")


@pytest.fixture(scope="module")
def machines() -> Iterator[Machines]:
    """Two that all tests here share: each leaves them as they were."""
    holders = [start_holder(), start_holder()]
    try:
        for holder in holders:
            if holder.stdout is None or holder.stdout.readline() != "ready\n":
                pytest.skip("no private namespaces here")
        yield connected(*(Private(holder.pid, host_env()) for holder in holders))
    finally:
        for holder in holders:
            end_host(holder)


@pytest.fixture
def own(new_private: Callable[[], Private]) -> Machines:
    """Two for one test."""
    return connected(new_private(), new_private())


@pytest.fixture
def lab(tmp_path: Path) -> str:
    path = tmp_path / "own.yaml"
    path.write_text(LAB)
    return str(path)


@pytest.mark.parametrize("user", REACHED)
def test_a_lab_file_of_here_is_up_there(machines: Machines, lab: str, user: str) -> None:
    on, before, untouched = f"ssh:{user}@vm", machines.there.snapshot(), machines.here.snapshot()
    assert "own is up: " in machines.cnetsh("up", lab, on=on).stderr
    assert machines.cnetsh("status", on=on).stdout.split()[:2] == ["own", "up"]
    assert machines.there.sh("ip netns list").split()[::3] == ["a1", "a0"]
    assert "0 failed" in machines.cnetsh("check", lab, on=on).stderr
    assert "10.31.0.3" in machines.cnetsh("exec", "a1", "--", "ip", "address", on=on).stdout
    assert "br1" in machines.cnetsh("graph", "--live", on=on).stdout
    assert "own is up already" in machines.cnetsh("up", lab, on=on).stderr
    assert "own is down, as before" in machines.cnetsh("down", lab, on=on).stderr
    assert machines.cnetsh("recover", on=on).stderr == "nothing to recover\n"
    assert oracle.diff(before, machines.there.snapshot()) == []
    assert oracle.diff(untouched, machines.here.snapshot()) == []


def test_files_are_of_here(machines: Machines, lab: str, tmp_path: Path) -> None:
    log, picture, plan = tmp_path / "log", tmp_path / "live.svg", tmp_path / "plan.json"
    packets = tmp_path / "a0.pcap"
    assert f"wrote {plan}" in machines.cnetsh("plan", lab, "-o", str(plan)).stderr
    assert json.loads(plan.read_text())["relied_on"]
    machines.cnetsh("up", str(plan), "--log", str(log))
    steps = [json.loads(line)["step"] for line in log.read_text().splitlines()]
    assert steps == [*range(1, len(steps) + 1)] and len(steps) > 5
    machines.cnetsh("graph", "--live", "--format", "svg", "-o", str(picture))
    assert "10.31.0.1" in picture.read_text()
    capture = machines.start("capture", "a0", "ceth0", "-w", str(packets), "-c", "2", stderr=-1)
    assert capture.stderr and capture.stderr.readline().startswith("capturing on ceth0 in a0")
    machines.cnetsh("exec", "a1", "--", "ping", "-c1", "10.31.0.2")
    assert capture.wait(timeout=PATIENCE) == 0
    # By pcap-savefile(5): its mark in either order, and packets with a head of 16 bytes each.
    assert sorted(packets.read_bytes()[:4])[1:] in ([0xB2, 0xC3, 0xD4], [0x4D, 0xA1, 0xB2])
    assert packets.stat().st_size >= 24 + 2 * (16 + 28)
    machines.cnetsh("down", "own")
    found = machines.there.sh("find /run -newer /run/sshd/key -name plan.json -o -name live.svg")
    assert found == ""


def test_what_cannot_be_a_lab_is_told_without_going_there(machines: Machines) -> None:
    done = machines.cnetsh("up", "nosuch", on="ssh:nowhere.invalid", check=False)
    assert done.returncode == 2 and "unknown lab" in done.stderr


def test_a_command_has_the_callers_input_and_its_own_exit_code(machines: Machines) -> None:
    done = machines.cnetsh(
        "exec", "host", "--", "sh", "-c", "cat; exit 255", input="x\0\n", check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (255, "x\0\n", "")
    # One that does not read leaves it to others.
    script = f"for i in 1 2; do {sys.executable} -m cnetsh status 2>&1; done; cat"
    env = {**machines.here.env, "CNETSH_ON": "ssh:vm"}
    done = machines.here.run(["sh", "-c", script], input="left\n", env=env)
    assert done.stdout == "no lab is up\nno lab is up\nleft\n"


SOAK = pytest.mark.soak


@pytest.mark.parametrize(
    "way, user",
    [
        ("network", "root"), ("route", "ann"), ("link", "root"),
        *(pytest.param(*one, marks=SOAK)
          for one in (("network", "ann"), ("route", "root"), ("link", "ann"))),
    ],
)  # fmt: skip
def test_what_cuts_the_connection_off_is_refused(
    machines: Machines, tmp_path: Path, user: str, way: str
) -> None:
    before = machines.there.snapshot()
    words = ("up", template(tmp_path, "cut", CUTS[way][0]))
    done = machines.cnetsh(*words, on=f"ssh:{user}@vm", check=False)
    assert done.returncode == 2 and CUTS[way][1] in done.stderr, report(done)
    assert oracle.diff(before, machines.there.snapshot()) == []
    assert machines.cnetsh("status").stderr == "no lab is up\n"


def test_no_connection_is_told(machines: Machines) -> None:
    done = machines.cnetsh("up", "veth", on=f"ssh:{FAR}:2222", check=False)
    assert done.returncode == 2 and "Connection refused" in done.stderr
    assert f"no connection to {FAR}: nothing was executed" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user in the private host")
def test_a_long_folder_of_the_users_is_not_in_the_way(private: Private, ordinary: Ordinary) -> None:
    """A socket's path has 107 bytes."""
    folder = ordinary.home / ("long" * 20)
    folder.mkdir(mode=0o700)
    os.chown(folder, NOBODY, NOBODY)
    argv = [*ordinary.become, str(ordinary.program), "status", "--on", "ssh:192.0.2.9"]
    done = private.run(argv, env=ordinary.env | {"XDG_RUNTIME_DIR": str(folder)}, cwd="/")
    assert done.returncode == 2 and "Network is unreachable" in done.stderr, report(done)


def test_sudo_that_wants_a_password_is_told(own: Machines) -> None:
    own.there.sh("sed -i 's/NOPASSWD: //' /etc/sudoers")
    done = own.cnetsh("up", "veth", on="ssh:ann@vm", check=False)
    assert done.returncode == 2 and "a password is required: nothing was executed" in done.stderr


@pytest.mark.parametrize("mode", ["644", "755"], ids=["missing", "too old"])
def test_a_machine_without_python_is_told_of_scripts(own: Machines, mode: str) -> None:
    # One that is too old leaves with the same number.
    own.there.sh(
        f"printf '#!/bin/sh\\nexit 96\\n' > /run/python; chmod {mode} /run/python\n"
        "for each in /usr/bin/python3 /usr/bin/python3.1[0-9]; do\n"
        "  if [ -e $each ]; then mount --bind /run/python $each; fi; done"
    )
    done = own.cnetsh("up", "veth", check=False)
    assert done.returncode == 2 and "vm has no Python 3.11 or newer" in done.stderr, report(done)
    assert "cnetsh script LAB" in done.stderr


def greeted_by(machines: Machines, lines: str) -> None:
    """Has bash say and do something at each start there, as sshd's has it read .bashrc."""
    machines.there.sh(
        f"cat > /run/home/.bashrc <<'END'\n{lines}\nEND\n"
        "sed -i 's#^root:.*#root:x:0:0::/run/home:/bin/bash#' /etc/passwd"
    )


def test_what_a_shell_says_at_its_start_is_no_answer(own: Machines) -> None:
    greeted_by(own, "echo welcome; echo >&2; seq 1 9999; printf 'x\\0\\0\\0\\001'")
    assert own.cnetsh("exec", "host", "--", "echo", "done").stdout == "done\n"
    greeted_by(own, "echo this account is closed; exit 1")
    own.here.cnetsh("up", "veth")
    done = own.cnetsh("status", check=False)
    assert done.stdout.split()[:3] == ["veth", "up", "host"]
    told = "cnetsh does not start on vm: this account is closed"
    assert done.returncode == 2 and told in done.stderr, report(done)


def test_a_machine_that_does_not_answer_is_left_by_ctrl_c(own: Machines) -> None:
    greeted_by(own, "sleep 1000")
    process = own.start("up", "veth", stderr=subprocess.PIPE)
    assert wait_for(lambda: any("sleep 1000" in one for one in own.processes().values()))
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 130


def test_it_is_begun_by_any_shell_that_a_person_has() -> None:
    """csh ends a word with the line, and fish takes a backslash for its own."""
    assert not {*"\n\\!"} & {*session.START}


DAMAGE = {
    "changed": "echo >> {code}/cnetsh/errors.py",
    "more": "echo > {code}/json.py",
    "less": "rm {code}/cnetsh/names.py",
    "somebody's": "chown 4242 {code}",
    "open": "chmod 777 {code}",
    "a link": "mv {code} /run/elsewhere; ln -s /run/elsewhere {code}",
    "somebody's above": "chown 4242 /run/cnetsh/code",
}


@pytest.mark.parametrize(
    "how",
    [
        "changed", "somebody's",
        *(pytest.param(one, marks=SOAK)
          for one in DAMAGE if one not in ("changed", "somebody's")),
    ],
)  # fmt: skip
def test_code_that_is_not_as_it_was_sent_is_refused(own: Machines, how: str) -> None:
    own.cnetsh("status")
    (code,) = own.there.sh(f"ls -d {CODE}/*").split()
    own.there.sh(DAMAGE[how].format(code=code))
    done = own.cnetsh("up", "veth", check=False)
    assert done.returncode == 2 and CODE in done.stderr, report(done)
    assert own.there.run(["ip", "link", "show", "veth0"]).returncode


@pytest.mark.parametrize(
    "how, why",
    [("size=100k", "No space left on device"), ("ro", "Read-only file system"),
     ("size=100k,nr_inodes=9", "No space left on device")],
)  # fmt: skip
def test_a_machine_without_room_is_told_and_nothing_stays(
    own: Machines, how: str, why: str
) -> None:
    own.there.sh(f"mkdir -pm 700 /run/cnetsh {CODE}; mount -t tmpfs -o {how},mode=700 no {CODE}")
    done = own.cnetsh("up", "veth", check=False)
    assert done.returncode == 2 and "remove" not in done.stderr, report(done)
    assert f"cnetsh cannot be kept there: {CODE}" in done.stderr and why in done.stderr
    assert own.there.sh(f"find {CODE} -type f") == ""
    own.there.sh(f"umount {CODE}")
    assert own.cnetsh("status").stderr == "no lab is up\n"


def test_the_guide(machines: Machines) -> None:
    guide = CHECKOUT / "docs/virtual-machine.md"
    env = machines.here.env | {"PATH": f"{Path(sys.executable).parent}:{os.defpath}"}
    del env["CNETSH_ON"]
    for command, shown in sessions(guide):
        if "--on ssh:" in command:
            merged = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
            argv = ["bash", "-c", command]
            done = machines.here.run(argv, env=env, capture_output=False, **merged)
            assert_shown(command, lines_of(shown), lines_of(done.stdout))


def test_two_versions_that_meet_one_journal_say_so(machines: Machines) -> None:
    code = (
        "import sys; import cnetsh; cnetsh.__version__ = '9.9'\n"
        "from cnetsh.__main__ import begin; begin()"
    )
    other = [sys.executable, "-c", code]
    meets = f"veth was brought up by cnetsh 9.9; this is {__version__}\n"
    assert machines.there.run([*other, "up", "veth"]).returncode == 0
    for words in (["status"], ["check", "veth"], ["up", "veth"], ["down", "veth"]):
        assert meets in machines.cnetsh(*words).stderr
    machines.cnetsh("up", "veth")
    meets = f"veth was brought up by cnetsh {__version__}; this is 9.9\n"
    assert meets in machines.there.run([*other, "down", "veth"]).stderr


def test_the_wheel_does_it_from_any_folder(machines: Machines, installed: Path) -> None:
    before = machines.there.snapshot()
    for words in (["up", "routing"], ["check", "routing"], ["down", "routing"]):
        env = {**machines.here.env, "CNETSH_ON": "ssh:ann@vm"}
        done = machines.here.run([str(installed), *words], cwd="/", env=env)
        assert done.returncode == 0, report(done)
    assert oracle.diff(before, machines.there.snapshot()) == []


def test_ctrl_c_ends_what_exec_has_begun_there(machines: Machines) -> None:
    script = "sleep 100; echo ended"
    process = machines.start("exec", "host", "--", "sh", "-c", script, stdout=subprocess.PIPE)

    def sleeping() -> bool:
        return any(words.startswith("sleep") for words in machines.processes().values())

    # A shell may miss what comes while it starts something.
    assert wait_for(sleeping)
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=PATIENCE)[0] == "" and process.returncode == 130
    assert not sleeping()


def test_a_shell_has_the_callers_terminal(machines: Machines) -> None:
    env = {**machines.here.env, "CNETSH_ON": "ssh:vm", "TERM": "xterm"}
    argv = machines.here.enter([sys.executable, "-m", "cnetsh", "shell"])
    start = partial(subprocess.Popen, env=env)
    exit_code, said = in_front(start, argv, "ip -br address show eth0")
    assert exit_code == 7 and FAR in said, said
