"""`plan LAB` against a live target says of each step what it would find there."""

import json
from pathlib import Path

import oracle
from hosts import Private
from others import template

FORWARD = "/proc/sys/net/ipv4/ip_forward"
RULE = "iptables -t nat -A POSTROUTING -s 172.18.0.0/12 ! -o br0 -j MASQUERADE"


def states(private: Private, lab: str, *options: str) -> dict[str, str]:
    shown = private.cnetsh("plan", lab, "--format", "json", *options).stdout
    made = {"+": "create", "~": "change"}
    return {
        one["command"]: one.get("found") or made[one["mark"]] for one in json.loads(shown)["does"]
    }


def test_on_an_empty_host_all_is_made(private: Private) -> None:
    found = states(private, "routing")
    number = {command: str(at) for at, command in enumerate(found, 1)}
    assert found["ip netns add net0"] == "create"
    assert found["ip link add name br0 type bridge"] == "create"
    bridge = number["ip link add name br0 type bridge"]
    assert found["ip address add 172.18.0.1/12 dev br0"] == f"depends on step {bridge}"
    netns = number["ip netns add net0"]
    inside = [state for command, state in found.items() if "exec net0" in command]
    assert set(inside) == {f"depends on step {netns}"}
    assert found[f"echo 1 | tee {FORWARD}"] == "change"
    assert set(found.values()) <= {"create", "change", *(f"depends on step {n}" for n in range(30))}


def test_what_is_there_already(private: Private) -> None:
    private.sh(f"echo 1 > {FORWARD}; {RULE}")
    found = states(private, "routing")
    assert found[f"echo 1 | tee {FORWARD}"] == "already there"
    assert found[RULE] == "already there"
    assert found["ip netns add net0"] == "create"


def test_what_is_in_the_way_and_what_is_the_labs_own(private: Private, tmp_path: Path) -> None:
    private.sh("ip netns add net0; ip link add br0 type bridge; ip link add ceth1 type bridge")
    before = private.snapshot()
    found = states(private, "routing")
    taken = {command for command, state in found.items() if state == "in the way"}
    assert taken == {
        "ip netns add net0",
        "ip link add name br0 type bridge",
        "ip link add veth1 type veth peer name ceth1",
    }
    shown = private.cnetsh("plan", "routing").stdout
    assert shown.count("(in the way)") == 3 and "(depends on step " in shown
    assert oracle.diff(before, private.snapshot()) == []
    private.sh("ip netns delete net0; ip link delete br0; ip link delete ceth1")
    private.cnetsh("up", "routing")
    assert states(private, "routing") == {}
    shown = private.cnetsh("plan", "routing").stdout
    assert shown.count("(already there)") == 21 and "(in the way)" not in shown
    private.sh("ip netns delete net1; ip netns add net1")
    shown = private.cnetsh("plan", "routing", "--format", "markdown").stdout
    assert "| `!` | `ip netns add net1` |" in shown and "| `!` | `ip netns add net0` |" not in shown


def test_a_link_of_the_host_that_a_template_changes(private: Private, tmp_path: Path) -> None:
    private.sh("ip link add br9 type bridge; ip address add 10.9.0.1/24 dev br9")
    lines = "ip address add 10.9.0.1/24 dev br9\nip address add 10.9.0.2/24 dev br9"
    lab = template(tmp_path, "links", lines)
    assert list(states(private, lab).values()) == ["already there", "change"]
