"""The article's scripts 1, 2 and 4: what they hand to sudo is what the labs plan and run."""

import shlex

import pytest
from test_script import recorded, written
from test_text import LABS, load

from cnetsh.labs.choose import commands
from cnetsh.views import text

ADD = {
    "veth": [
        "sudo ip link add veth0 type veth peer name ceth0",
        "sudo ip link set veth0 up",
        "sudo ip link set ceth0 up",
        "sudo ip addr add 172.18.0.10/12 dev veth0",
        "sudo ip addr add 172.18.0.20/12 dev ceth0",
    ],
    "container": [
        "sudo ip netns add net0",
        "sudo ip link add veth0 type veth peer name ceth0",
        "sudo ip link set veth0 up",
        "sudo ip addr add 172.18.0.10/12 dev veth0",
        "sudo ip link set ceth0 netns net0",
        "sudo ip netns exec net0 ip addr add 172.18.0.20/12 dev ceth0",
        "sudo ip netns exec net0 ip link set ceth0 up",
        "sudo ip netns exec net0 ip link set lo up",
    ],
    "bridge": [
        "sudo ip link add name br0 type bridge",
        "sudo ip address add 172.18.0.1/12 dev br0",
        "sudo ip link set br0 up",
        "sudo ip netns add net0",
        "sudo ip link add veth0 type veth peer name ceth0",
        "sudo ip link set veth0 up",
        "sudo ip link set dev veth0 master br0",
        "sudo ip link set ceth0 netns net0",
        "sudo ip netns exec net0 ip address add 172.18.0.10/12 dev ceth0",
        "sudo ip netns exec net0 ip link set ceth0 up",
        "sudo ip netns exec net0 ip route add default via 172.18.0.1",
        "sudo ip netns add net1",
        "sudo ip link add veth1 type veth peer name ceth1",
        "sudo ip link set veth1 up",
        "sudo ip link set dev veth1 master br0",
        "sudo ip link set ceth1 netns net1",
        "sudo ip netns exec net1 ip address add 172.18.0.20/12 dev ceth1",
        "sudo ip netns exec net1 ip link set ceth1 up",
        "sudo ip netns exec net1 ip route add default via 172.18.0.1",
    ],
}
DELETE = {
    "veth": ["sudo ip link delete veth0"],
    "container": ["sudo ip netns delete net0"],
    "bridge": [
        "sudo ip link delete br0",
        "sudo ip netns delete net0",
        "sudo ip netns delete net1",
    ],
}
ROUTING = [
    "echo 1 | sudo tee /proc/sys/net/ipv4/ip_forward",
    "sudo iptables -t nat -A POSTROUTING -s 172.18.0.0/12 ! -o br0 -j MASQUERADE",
]


@pytest.mark.parametrize("name", ADD)
def test_the_plan_is_the_articles_script(name):
    assert text.as_shell(commands(name, (), "up")).splitlines() == ADD[name]
    assert text.as_shell(commands(name, (), "down")).splitlines() == DELETE[name]


def test_routing_is_the_bridge_and_the_articles_two_commands():
    assert text.as_shell(commands("routing", (), "up")).splitlines() == ADD["bridge"] + ROUTING


def test_conflict_is_the_container_twice():
    lines = text.as_shell(commands("conflict", (), "up")).splitlines()
    again = [line.replace("th0", "th1").replace("net0", "net1") for line in ADD["container"]]
    again = [line.replace("0.10/", "0.101/") for line in again]
    assert lines == [line.replace("0.20/", "0.10/") for line in _hundred(ADD["container"])] + again


def _hundred(lines):
    return [line.replace("0.10/", "0.100/") for line in lines]


@pytest.mark.parametrize("name", ADD)
def test_the_script_hands_sudo_what_the_articles_script_does(name, tmp_path):
    text = written(name)
    assert recorded(text, "add", tmp_path)[1] == [shlex.split(line)[1:] for line in ADD[name]]
    assert recorded(text, "delete", tmp_path)[1] == [shlex.split(line)[1:] for line in DELETE[name]]


@pytest.mark.parametrize("name", LABS)
def test_the_script_hands_sudo_what_the_plan_shows(name, tmp_path):
    text = written(name)
    for verb, part in (("add", "up"), ("delete", "down")):
        done, commands = recorded(text, verb, tmp_path)
        assert commands == [list(step.argv) for step in load(name, part).steps]
        assert (done.returncode, done.stderr) == (0, "")
