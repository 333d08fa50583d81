"""A VM as an ordinary user has it: the first `up` boots it, the last `down` powers it off.

Only where QEMU is installed, and a kernel in the cache or to be had.
"""

import dataclasses
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hosts import NOBODY, ROOT, Ordinary, Private, kill, report, wait_for
from terminals import in_front

pytestmark = pytest.mark.long

QEMU = shutil.which("qemu-system-x86_64", path="/usr/bin")
# Kept between runs, for a kernel is fetched only once.
CACHE = Path("/var/tmp/cnetsh-tests")


@pytest.fixture
def user(ordinary: Ordinary) -> Ordinary:
    if not QEMU:
        pytest.skip("no VM is taken along: QEMU is not installed")
    CACHE.mkdir(mode=0o755, exist_ok=True)
    own = CACHE / str(NOBODY if ROOT else os.getuid())
    own.mkdir(mode=0o700, exist_ok=True)
    if ROOT:
        os.chown(own, NOBODY, NOBODY)
    return dataclasses.replace(ordinary, env=ordinary.env | {"XDG_CACHE_HOME": str(own)})


def test_a_lab_up_checked_broken_and_down(user: Ordinary) -> None:
    up = user.cnetsh("up", "routing", "--on", "vm", check=False, timeout=600)
    if up.returncode and ("no kernel" in up.stderr or "apt" in up.stderr):
        pytest.skip(f"no VM is taken along: {up.stderr}")
    assert up.returncode == 0 and "starting vm default: Linux " in up.stderr, report(up)
    assert "routing is up: " in up.stderr
    assert user.cnetsh("vm", "list").stdout.startswith("default ")
    assert user.cnetsh("status").stdout.split()[:3] == ["routing", "up", "vm"]
    checked = user.cnetsh("check", "routing", "--on", "vm")
    assert " 0 failed, 0 not tried, 0 changed" in checked.stderr, report(checked)
    broken = user.cnetsh("exec", "net0", "--on", "vm", "--", "ip", "link", "set", "ceth0", "down")
    assert not broken.stdout, report(broken)
    assert user.cnetsh("check", "routing", "--on", "vm", check=False).returncode == 1
    told = user.cnetsh("exec", "host", "--on", "vm", "--", "sh", "-c", "cat; exit 7", input="in",
                       check=False)  # fmt: skip
    assert (told.stdout, told.returncode) == ("in", 7), report(told)
    # Whoever is killed while he says something leaves the way free for others.
    words = [str(user.program), "exec", "host", "--on", "vm", "--", "sleep", "60"]
    with Path("/dev/zero").open() as endless:
        gone = user.start(words, stdin=endless)
    asked = ["exec", "host", "--on", "vm", "--", "ps"]
    assert wait_for(lambda: "sleep" in user.cnetsh(*asked, check=False).stdout)
    kill(gone.pid)
    gone.wait()
    assert wait_for(lambda: "sleep" not in user.cnetsh(*asked, check=False).stdout)
    shell = [str(user.program), "shell", "--on", "vm"]
    exit_code, said = in_front(user.start, shell, "ip -br address show eth0")
    assert exit_code == 7 and "10.0.2.15" in said, said
    down = user.cnetsh("down", "routing", "--on", "vm")
    assert "routing is down, as before" in down.stderr, report(down)
    assert "no vm runs" in user.cnetsh("vm", "list").stderr
    assert wait_for(lambda: not user.processes()), user.processes()


def test_it_has_the_memory_for_what_it_takes_along(user: Ordinary) -> None:
    large = user.home / "large"
    large.write_bytes(bytes(90 << 20))
    words = ("vm", "run", "--copy", str(large), "--", "stat", "-c%s", str(large))
    done = user.cnetsh(*words, check=False, timeout=600)
    if done.returncode and ("no kernel" in done.stderr or "apt" in done.stderr):
        pytest.skip(f"no VM is taken along: {done.stderr}")
    assert int(done.stdout) == large.stat().st_size, report(done)


def test_one_that_nobody_can_reach_any_more_ends(user: Ordinary) -> None:
    folder = user.home / ("long" * 20)
    folder.mkdir(mode=0o700)
    if ROOT:
        os.chown(folder, NOBODY, NOBODY)
    # A socket's path has 107 bytes.
    env = user.env | {"XDG_RUNTIME_DIR": str(folder)}
    words = ("vm", "run", "--", "sh", "-c", "kill -9 $PPID")
    ran = user.cnetsh(*words, check=False, timeout=600, env=env)
    if "has ended meanwhile" not in ran.stderr and "starting vm" not in ran.stderr:
        pytest.skip(f"no VM is taken along: {ran.stderr}")
    assert ran.returncode == 1 and "has ended meanwhile" in ran.stderr, report(ran)
    assert wait_for(lambda: not user.processes()), user.processes()


def test_one_whose_starter_is_killed_is_not_left(user: Ordinary) -> None:
    start = user.start([str(user.program), "vm", "start", "half"], stderr=subprocess.PIPE)

    def machines() -> list[int]:
        return [pid for pid, words in user.processes().items() if QEMU in words.split()]

    assert wait_for(lambda: machines() or start.poll() is not None)
    if not machines():
        pytest.skip(f"no VM is taken along: {start.communicate()[1]}")
    assert wait_for(lambda: any("read -r over" in each for each in user.processes().values()))
    kill(start.pid)
    start.communicate()
    assert wait_for(lambda: not user.processes()), user.processes()


def test_what_is_run_in_each_of_four_vms_runs(private: Private) -> None:
    """Of `make vm-test` just the VM is missing here."""
    tests = Path(__file__).parents[1]
    words = [str(tests / "vm/in_vm.py"), str(tests), "veth", "ip link set dev p0 mtu 1400"]
    ran = private.run([sys.executable, *words])
    assert "2 of 2 well" in ran.stdout, report(ran)
