"""What is refused is told once, all of it, each line with the spelling that is accepted."""

import time

import pytest

from cnetsh import kinds
from cnetsh.errors import CnetshError, Mistakes
from cnetsh.plan.steps import parse

SAMPLES = [text for kind in kinds.MODULES for text in kind.SAMPLES]
FORWARD = "/proc/sys/net/ipv4/ip_forward"
MEANT = {
    "sudo ip netns add a": "ip netns add a",
    "sudo -E ip link set eth0 up": "ip link set eth0 up",
    "ip netns exec a sudo ping -c1 10.0.0.1": "ip netns exec a ping -c1 10.0.0.1",
    "sudo ip netns exec a ping 10.0.0.1": "ip netns exec a ping -c1 10.0.0.1",
    "ping -q 10.0.0.1": "ping -c1 -q 10.0.0.1",
    "ping -f 10.0.0.1": "ping -c1 10.0.0.1",
    "sysctl -w net.ipv4.ip_forward=1": f"echo 1 | tee {FORWARD}",
    "sysctl -q -w net.ipv4.ip_forward = 1": f"echo 1 | tee {FORWARD}",
    "ip netns exec a sysctl -w net.ipv4.ip_forward=1": f"echo 1 | ip netns exec a tee {FORWARD}",
    "sysctl -w net.ipv4.ip_forwrd=1": f"echo 1 | tee {FORWARD}",
    "sysctl -w net.ipv4.conf.v0.rp_filtr=0": "echo 0 | tee /proc/sys/net/ipv4/conf/v0/rp_filter",
    "sysctl -w net.ipv4.unheard=1": "echo 1 | tee /proc/sys/net/ipv4/unheard",
    f"echo 1 > {FORWARD[:-3]}rd": f"echo 1 | tee {FORWARD}",
    f"echo 1 > {FORWARD}": f"echo 1 | tee {FORWARD}",
    f"echo 1 | sudo tee {FORWARD}": f"echo 1 | tee {FORWARD}",
    f'sudo sh -c "echo 1 > {FORWARD}"': f"echo 1 | tee {FORWARD}",
    "bash -c 'ip link set eth0 up'": "ip link set eth0 up",
    "ip -6 -n far address add fd00::1/64 dev x": "ip -n far -6 address add fd00::1/64 dev x",
    "ip adress add 10.0.0.1/24 dev eth0": "ip address add 10.0.0.1/24 dev eth0",
    "ip netns exec a ip adr add 10.0.0.1/8 dev x": "ip netns exec a ip addr add 10.0.0.1/8 dev x",
    "ip link add br0 typ bridge": "ip link add br0 type bridge",
    "ip lnk ste eth0 up": "ip link set eth0 up",
    "tc qdisc ad dev eth0 root tbf rate 1mbit burst 32kbit latency 9ms": "tc qdisc add dev eth0 "
    "root tbf rate 1mbit burst 32kbit latency 9ms",
}


def refusal(text: str, part: str = "up") -> CnetshError:
    with pytest.raises(CnetshError) as caught:
        parse(text, "own", "", part, "own/up.sh.j2")
    return caught.value


@pytest.mark.parametrize("text", MEANT)
def test_the_accepted_spelling_is_named(text: str) -> None:
    error = refusal(text)
    assert error.message.endswith(f"; say: {MEANT[text]}")
    assert error.message.count(text) == 1 + MEANT[text].count(text)
    assert ("sudo" in error.hint) == ("sudo" in text)
    parse(MEANT[text], "own", "", "up", "own/up.sh.j2")


@pytest.mark.parametrize("text", SAMPLES)
def test_of_any_sample_with_sudo_it_is_the_sample(text: str) -> None:
    if " | " not in text:
        assert refusal(f"sudo {text}", "down").message.endswith(f"; say: {text}")


@pytest.mark.parametrize(
    "text",
    [
        "ip link add name a type veth peer name a",
        "ip link add a type veth peer name a",
        "modprobe dummy",
        "set -euo pipefail",
        "ip link show; reboot",
        "ip link set $X up",
        "cd /tmp",
    ],
)
def test_where_none_is_near_what_is_needed_is_named(text: str) -> None:
    error = refusal(text)
    assert "say:" not in error.message and error.message.count(text) == 1
    assert "one command a line" in error.hint or "#: undo COMMAND" in error.hint


def test_all_lines_are_told_at_once() -> None:
    text = "#!/bin/bash\nsudo ip netns add a\nip netns add b\n#: looks\nping 10.0.0.1\n#: look"
    lines = refusal(text).message.splitlines()
    places = [line.split(": ")[1] for line in lines]
    assert places == ["line 2", "line 4", "line 5", "line 6"]


def test_of_very_many_the_first_are_told_in_no_time() -> None:
    began = time.process_time()
    lines = refusal("\n".join(f"ip adress add 10.0.0.1/24 dev eth{n}" for n in range(2000)))
    assert lines.message.splitlines()[-1] == f"and {2000 - Mistakes.MOST} more"
    assert time.process_time() - began < 5


@pytest.mark.parametrize("options", ["-c1", "-c 1", "-nc1", "-w5", "-W1 -c1", "-4qw 9", "-i.2 -w9"])
def test_a_ping_that_ends_is_taken(options: str) -> None:
    parse(f"ping {options} 10.0.0.1", "own", "", "check", "own")


@pytest.mark.parametrize("options", ["", "-W1", "-n", "-Ic1", "-I c", "-s1", "-pc1"])
@pytest.mark.parametrize("part", ["up", "check"])
def test_a_ping_without_end_is_refused(options: str, part: str) -> None:
    assert "never end" in refusal(f"ping {options} 10.0.0.1".replace("  ", " "), part).message
