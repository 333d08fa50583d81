"""What a dry run prints is what the same command without it then runs, or refuses."""

import json
from pathlib import Path

import oracle
import pytest
from hosts import HERE, Private, report

pytestmark = pytest.mark.long

# Seeds, from the first on, and how many: over sixty questions, and three hundred in `make soak`.
PARTS = [(0, 6), (6, 6), (12, 6), pytest.param(18, 80, marks=pytest.mark.soak)]

ROUTING_DOWN = """\
- iptables -w -t nat -D POSTROUTING -s 172.16.0.0/12 ! -o br0 -j MASQUERADE
~ echo 0 | tee /proc/sys/net/ipv4/ip_forward
- ip link delete br0
- ip netns delete net0
- ip netns delete net1
"""


def dry(private: Private, *words: str, code: int = 0) -> str:
    """What a dry run prints, which changes nothing and ends with the code."""
    before = private.snapshot()
    done = private.cnetsh(*words, "--dry-run", check=False)
    assert done.returncode == code, report(done)
    assert oracle.diff(before, private.snapshot()) == []
    return done.stdout


def ran(private: Private, log: Path, *words: str) -> list[str]:
    """The commands that ran."""
    private.cnetsh(*words, "--log", str(log))
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    log.unlink()
    return [one["command"] for one in lines if one["verb"] != "mend"]


def test_up_and_down(private: Private, tmp_path: Path) -> None:
    private.sh("echo 0 > /proc/sys/net/ipv4/ip_forward")
    log = tmp_path / "log"
    printed = dry(private, "up", "routing").splitlines()
    assert [line[2:] for line in printed] == ran(private, log, "up", "routing")
    assert {line[:2] for line in printed} == {"+ ", "~ "} and len(printed) == 21
    assert dry(private, "up", "routing") == ""
    assert dry(private, "down", "routing") == ROUTING_DOWN
    assert ran(private, log, "down", "routing") == [line[2:] for line in ROUTING_DOWN.splitlines()]
    assert dry(private, "down", "routing") == ""
    assert dry(private, "recover") == ""


def test_what_is_refused_is_refused(private: Private) -> None:
    private.sh("ip link add br0 type bridge")
    assert dry(private, "up", "routing", code=2) == ""
    private.sh("ip link del br0")
    private.cnetsh("up", "container")
    inside = private.start(["ip", "netns", "exec", "net0", "sleep", "600"])
    try:
        assert dry(private, "down", "container", code=2) == ""
        assert "- ip netns delete net0" in dry(private, "down", "container", "--kill")
        assert inside.poll() is None
    finally:
        inside.kill()
        inside.wait()


def test_a_change_is_seen_before_it_is_made(private: Private, tmp_path: Path) -> None:
    lab, log = tmp_path / "lab.yaml", tmp_path / "log"
    text = (
        "name: n1\nbridges:\n  br1: {address: 10.31.0.1/24}\n"
        "containers:\n  a: {bridge: br1}\n  b: {bridge: br1}\n"
    )
    lab.write_text(text, encoding="utf-8")
    private.cnetsh("up", str(lab))
    lab.write_text(text.replace("  b: {bridge: br1}\n", ""), encoding="utf-8")
    assert dry(private, "up", str(lab)) == "- ip netns delete b\n"
    assert ran(private, log, "up", str(lab), "--yes") == ["ip netns delete b"]


@pytest.mark.parametrize("first, number", PARTS)
def test_whatever_is_up_and_others_did(private: Private, first: int, number: int) -> None:
    """What is up, what others did and what is asked, by a seed."""
    seeds = json.dumps(list(range(first, first + number)))
    answers = private.rows(str(HERE / "dry_runs.py"), seeds, timeout=1200)
    assert len(answers) > 3 * number
    assert [one for one in answers if one["wrong"]] == []
