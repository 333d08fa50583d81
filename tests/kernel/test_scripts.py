"""The generated script and `up` leave equal kernels; its `delete` leads back to the start."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import oracle
import pytest
from hosts import Private, report, wait_for

LABS = ["veth", "container", "conflict", "bridge", "routing"]
STARTS = {
    "plain": "echo 0 > /proc/sys/net/ipv4/ip_forward",
    "forwarding": "echo 1 > /proc/sys/net/ipv4/ip_forward",
    "hardened": "echo 0 > /proc/sys/net/ipv4/conf/all/accept_redirects;"
    "echo 1 > /proc/sys/net/ipv4/conf/lo/forwarding",
}
# IPv6 takes two seconds to find that nobody else has an address; one lab is enough for that.
WITHOUT_IPV6 = """
for each in all default; do echo 1 > /proc/sys/net/ipv6/conf/$each/disable_ipv6; done
"""
SUDO = '#!/bin/sh\nexec "$@"\n'


@pytest.fixture
def passing(tmp_path: Path) -> str:
    """A PATH whose sudo runs the command: inside the private host everybody is root."""
    sudo = tmp_path / "bin/sudo"
    sudo.parent.mkdir()
    sudo.write_text(SUDO, encoding="utf-8")
    sudo.chmod(0o755)
    return f"{sudo.parent}:{oracle.PATH}"


def written(private: Private, lab: str, folder: Path, *options: str) -> Path:
    script = folder / f"{lab}.sh"
    private.cnetsh("script", lab, *options, "-o", str(script))
    return script


def bash(private: Private, script: Path, verb: str, path: str) -> None:
    # What it remembers is its own: others' scripts may run at the same time.
    env = private.env | {"PATH": path, "XDG_RUNTIME_DIR": str(script.parent)}
    done = private.run(["bash", str(script), verb], env=env)
    assert done.returncode == 0, report(done)


@pytest.mark.parametrize(
    ("lab", "start"),
    [*((lab, "plain") for lab in LABS), ("routing", "forwarding"), ("routing", "hardened")],
)
def test_the_script_and_up_leave_equal_kernels(
    new_private: Callable[[], Private], tmp_path: Path, passing: str, lab: str, start: str
) -> None:
    by_script, by_up = new_private(), new_private()
    ipv6 = (lab, start) == ("routing", "plain")
    for host in (by_script, by_up):
        host.sh(STARTS[start] + ("" if ipv6 else WITHOUT_IPV6))
    before = by_script.snapshot()
    script = written(by_script, lab, tmp_path, *([] if start == "plain" else ["--no-sudo"]))
    with ThreadPoolExecutor() as both:
        adding = both.submit(bash, by_script, script, "add", passing)
        by_up.cnetsh("up", lab)
        adding.result()
        settled = 1.5 if ipv6 else 0.3
        one, other = both.map(lambda host: host.snapshot(settled=settled), (by_script, by_up))
        assert oracle.diff(oracle.shape(one), oracle.shape(other)) == []
        deleting = both.submit(bash, by_script, script, "delete", passing)
        by_up.cnetsh("down", lab)
        deleting.result()
    assert oracle.diff(before, by_up.snapshot()) == []
    # The script does not wait for the cables that go with their namespaces; cnetsh does.
    assert wait_for(lambda: oracle.diff(before, by_script.snapshot()) == [])
