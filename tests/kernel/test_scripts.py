"""The generated script and `up` leave equal kernels; the script's `delete` leads back to the start."""

from collections.abc import Callable
from pathlib import Path

import oracle
import pytest
from hosts import Private, report

LABS = ["veth", "container", "conflict", "bridge", "routing"]
STARTS = {
    "plain": "echo 0 > /proc/sys/net/ipv4/ip_forward",
    "forwarding": "echo 1 > /proc/sys/net/ipv4/ip_forward",
    "hardened": "echo 0 > /proc/sys/net/ipv4/conf/all/accept_redirects;"
    "echo 1 > /proc/sys/net/ipv4/conf/lo/forwarding",
}
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
    done = private.run(["bash", str(script), verb], env=private.env | {"PATH": path})
    assert done.returncode == 0, report(done)


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("lab", LABS)
def test_the_script_and_up_leave_equal_kernels(
    new_private: Callable[[], Private], tmp_path: Path, passing: str, lab: str, start: str
) -> None:
    if start != "plain" and lab != "routing":
        pytest.skip("only routing touches forwarding")
    by_script, by_up = new_private(), new_private()
    for host in (by_script, by_up):
        host.sh(STARTS[start])
    before = by_script.snapshot()
    script = written(by_script, lab, tmp_path, *([] if start == "plain" else ["--no-sudo"]))
    bash(by_script, script, "add", passing)
    by_up.cnetsh("up", lab)
    one, other = (oracle.shape(host.snapshot(settled=1.0)) for host in (by_script, by_up))
    assert oracle.diff(one, other) == []
    bash(by_script, script, "delete", passing)
    by_up.cnetsh("down", lab)
    assert oracle.diff(before, by_script.snapshot(settled=0.2)) == []
    assert oracle.diff(before, by_up.snapshot()) == []
