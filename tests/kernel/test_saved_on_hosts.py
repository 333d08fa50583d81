"""Saved plans on a real kernel: exactly those steps, on the host that they were reviewed for."""

import hashlib
import json
from pathlib import Path

import oracle
from hosts import Private, report
from others import template

from cnetsh.plan import saved

FORWARD = "/proc/sys/net/ipv4/ip_forward"
LAB = """
name: small
bridges: {br0: {address: 10.1.0.1/24, nat: true}, br9: {external: true}}
containers:
  net0: {bridge: br0, dns: [1.1.1.1, "fd00::1"]}
  net1: {gateway: none, interfaces: [{bridge: br9, address: 10.9.0.2/24}]}
"""
# With a port of its own: a bridge that loses its last port also loses the carrier.
FOREIGN = """
ip link add br9 type bridge; ip link add p9 type veth peer name q9; ip link set p9 master br9
ip link set br9 up; ip link set p9 up; ip link set q9 up; ip address add 10.9.0.1/24 dev br9
"""


def plan_of(private: Private, folder: Path) -> str:
    lab, path = folder / "lab.yaml", folder / "plan.json"
    lab.write_text(LAB, encoding="utf-8")
    private.sh(FOREIGN)
    private.cnetsh("plan", str(lab), "--on", "host", "-o", str(path))
    return str(path)


def test_runs_exactly_the_steps_that_were_saved(private: Private, tmp_path: Path) -> None:
    path = plan_of(private, tmp_path)
    before, log = private.snapshot(settled=0.2), tmp_path / "log"
    private.cnetsh("up", path, "--log", str(log))
    ran = [json.loads(line)["command"] for line in log.read_text(encoding="utf-8").splitlines()]
    assert ran == [step.text for step in saved.read_saved(Path(path)).plans.up.steps]
    assert private.cnetsh("up", path).stderr == "small is up already\n"
    private.cnetsh("check", path)
    private.cnetsh("down", path)
    assert oracle.diff(before, private.snapshot()) == []


# What changes the host, what changes it back, and what is said of it.
RULE = "POSTROUTING -m comment --comment cnetsh:small -j CNETSH-small"
CHANGED = [
    ("ip link add br0 type bridge", "ip link del br0", "link br0: was absent, is there"),
    ("ip netns add net0", "ip netns del net0", "netns net0: was absent, is there"),
    (
        "mkdir -p /etc/netns/net0",
        "rmdir /etc/netns/net0",
        "folder /etc/netns/net0: was absent, is there",
    ),
    (f"echo 1 > {FORWARD}", f"echo 0 > {FORWARD}", f"setting {FORWARD}: was 0, is 1"),
    ("ip link set br9 mtu 1400", "ip link set br9 mtu 1500", 'link br9: was {"kind": "bridge"'),
    (
        "ip route add 10.8.0.0/16 via 10.9.0.7",
        "ip route del 10.8.0.0/16",
        "10.8.0.0/16 10.9.0.7 br9",
    ),
    (
        f"iptables -t nat -N CNETSH-small; iptables -t nat -A {RULE}",
        f"iptables -t nat -D {RULE}; iptables -t nat -X CNETSH-small",
        "was 0 times, is 1 times",
    ),
    ("ip link delete br9", "true", "link br9: was {"),
]


def test_is_refused_on_a_host_that_changed(private: Private, tmp_path: Path) -> None:
    private.sh(f"echo 0 > {FORWARD}")
    path = plan_of(private, tmp_path)
    for change, back, said in CHANGED:
        private.sh(change)
        before = private.snapshot()
        done = private.cnetsh("up", path, check=False)
        assert done.returncode == 2, report(done)
        assert "the target is not as it was when the plan was saved" in done.stderr
        assert said in done.stderr, report(done)
        assert oracle.diff(before, private.snapshot()) == []
        private.sh(back)


def test_for_a_lab_that_is_up_is_of_what_was_up(private: Private, tmp_path: Path) -> None:
    whole = plan_of(private, tmp_path)
    lab, path = tmp_path / "lab.yaml", str(tmp_path / "change.json")

    def without(*names: str) -> None:
        kept = [line for line in LAB.splitlines() if not line.strip().startswith(names)]
        lab.write_text("\n".join(kept), encoding="utf-8")

    def refused(path: str, said: str) -> None:
        before = private.snapshot()
        done = private.cnetsh("up", path, check=False)
        assert done.returncode == 2 and said in done.stderr, report(done)
        assert oracle.diff(before, private.snapshot()) == []

    without("net1")
    private.cnetsh("up", str(lab))
    refused(whole, "lab small: was not up, is up")
    lab.write_text(LAB, encoding="utf-8")
    private.cnetsh("plan", str(lab), "--on", "host", "-o", path)
    private.cnetsh("up", path)
    assert private.sh("ip netns list").count("net") == 2
    assert private.cnetsh("up", path).stderr == "small is up already\n"
    without("net0")
    private.cnetsh("up", str(lab), "--yes")
    refused(path, "lab small: was up")
    private.cnetsh("down", "small")
    refused(path, "is not up")


def test_knows_every_setting_that_it_writes(private: Private, tmp_path: Path) -> None:
    setting, path = "/proc/sys/net/core/somaxconn", str(tmp_path / "plan.json")
    lab = template(tmp_path, "queue", f"echo 99 | tee {setting}")
    private.sh(f"echo 50 > {setting}")
    private.cnetsh("plan", lab, "--on", "host", "-o", path)
    private.sh(f"echo 60 > {setting}")
    done = private.cnetsh("up", path, check=False)
    assert done.returncode == 2 and f"setting {setting}: was 50, is 60" in done.stderr, report(done)
    private.sh(f"echo 50 > {setting}")
    private.cnetsh("up", path)
    assert private.sh(f"cat {setting}") == "99\n"
    private.cnetsh("down", "queue")
    assert private.sh(f"cat {setting}") == "50\n"


def test_with_a_command_added_is_refused(private: Private, tmp_path: Path) -> None:
    path = plan_of(private, tmp_path)
    content = json.loads(Path(path).read_text(encoding="utf-8"))
    content.pop("sha256")
    content["up"].insert(0, {"command": "ip link delete br9"})
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    Path(path).write_text(json.dumps(content | {"sha256": digest}), encoding="utf-8")
    before = private.snapshot()
    for command in ("up", "check"):
        done = private.cnetsh(command, path, check=False)
        assert done.returncode == 2 and "Traceback" not in done.stderr, report(done)
    assert oracle.diff(before, private.snapshot()) == []
