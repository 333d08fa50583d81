"""Taps see a packet at every link that it passes, in every namespace, as the kernel does."""

import json
import sys
from threading import Barrier
from typing import Any

import pytest
from hosts import Ordinary, Private

from cnetsh.system.taps import Taps

TWO = """\
ip link add name br0 type bridge
ip link set br0 up
for n in 0 1; do
  ip netns add n$n
  ip link add v$n type veth peer name c$n netns n$n
  ip link set v$n master br0 up
  ip netns exec n$n ip address add 10.9.0.$n/24 dev c$n
  ip netns exec n$n ip link set c$n up
done
"""
# Opens taps, runs a command and prints what they saw: where, which way, and what the frame says.
PROGRAM = """
import json, subprocess, sys
from cnetsh.system.taps import Taps

names, link, commands = json.loads(sys.argv[1])
paths = {name: f"/run/netns/{name}" if name else "" for name in names}
with Taps(paths, link) as taps:
    for command in commands:
        subprocess.run(command, shell=True, check=False, stdout=subprocess.DEVNULL)
    seen = list(taps.sightings())
    # Asked once: the second time nothing more was lost.
    lost = [taps.lost(), taps.lost()]
rows = [(one.netns, one.link, one.direction, str(one.frame), one.frame.vlan) for one in seen]
print(json.dumps({"seen": rows, "lost": lost, "length": [one.length for one in seen],
                  "when": [one.when for one in seen]}))
"""
ASKED, TOLD = "arp who has 10.9.0.1, asks 10.9.0.0", "arp 10.9.0.1 is at 02:00:00:00:00:01"
THERE, BACK = "icmp 10.9.0.0 > 10.9.0.1 echo request", "icmp 10.9.0.1 > 10.9.0.0 echo reply"


def looked(host: Private, *commands: str, names: str = " n0 n1", link: str = "") -> dict[str, Any]:
    given = json.dumps([names.split(" "), link, commands])
    return dict(host.rows("-c", PROGRAM, given)[0])


@pytest.fixture
def two(private: Private) -> Private:
    private.sh(f"sysctl -qw net.ipv6.conf.default.disable_ipv6=1\n{TWO}")
    private.sh("ip netns exec n1 ip link set c1 address 02:00:00:00:00:01")
    return private


def test_a_ping_from_end_to_end(two: Private) -> None:
    found = looked(two, "ip netns exec n0 ping -c1 -W1 10.9.0.1")
    way = {
        name: [(link, direction, says) for netns, link, direction, says, _ in found["seen"]
               if netns == name and says in (ASKED, TOLD, THERE, BACK)]
        for name in ("n0", "", "n1")
    }  # fmt: skip
    assert way["n0"] == [
        ("c0", "out", ASKED), ("c0", "in", TOLD), ("c0", "out", THERE), ("c0", "in", BACK)
    ]  # fmt: skip
    assert way["n1"] == [
        ("c1", "in", ASKED), ("c1", "out", TOLD), ("c1", "in", THERE), ("c1", "out", BACK)
    ]  # fmt: skip
    # A broadcast is for the bridge too; what follows only passes through it.
    assert ("br0", "in", ASKED) in way[""] and ("br0", "in", THERE) not in way[""]
    passed = [("v0", "in"), ("v1", "out"), ("v1", "in"), ("v0", "out")]
    assert [(*row[:2],) for row in way[""] if row[2] in (THERE, BACK)] == passed
    assert found["lost"] == [0, 0] and found["when"] == sorted(found["when"])


def test_what_is_dropped_is_last_seen_before(two: Private) -> None:
    two.sh("ip netns exec n0 ping -c1 -W1 10.9.0.1 && ip link set v1 down")
    found = looked(two, "ip netns exec n0 ping -c1 -W1 10.9.0.1")["seen"]
    assert [row[:3] for row in found if row[3] == THERE] == [["n0", "c0", "out"], ["", "v0", "in"]]


def test_one_link_alone(two: Private) -> None:
    commands = ["ip netns exec n0 ping -c1 -W1 10.9.0.1", "ping -c1 127.0.0.1"]
    found = looked(two, *commands, names="", link="v1")["seen"]
    assert {row[1] for row in found} == {"v1"} and found
    # It goes down and comes up again meanwhile.
    again = ["ip link set v1 down; ip link set v1 up", *commands]
    assert [row for row in looked(two, *again, names="", link="v1")["seen"] if row[3] == BACK]


def test_the_tag_of_a_vlan_is_put_back(two: Private) -> None:
    frame = "02" * 12 + "8100" + "0007" + "0806" + "00" * 46
    sends = "import socket as s; t = s.socket(s.AF_PACKET, s.SOCK_RAW); t.bind(('v0', 0)); "
    sends += f"t.send(bytes.fromhex('{frame}'))"
    found = looked(two, f'{sys.executable} -c "{sends}"', names="n0")
    tagged = {row[4]: (row[1], row[2], length)
              for row, length in zip(found["seen"], found["length"], strict=True)}  # fmt: skip
    assert tagged[7] == ("c0", "in", 64)


def test_what_has_no_room_is_told(two: Private) -> None:
    found = looked(two, "ping -q -f -c 20000 127.0.0.1", names="")
    # A bridge that has just come up speaks too, now and then; and a busy kernel drops packets
    # before any tap can have them (netdev_max_backlog).
    assert 20000 < len(found["seen"]) + found["lost"][0] < 80100
    assert found["lost"][0] > 0 and found["lost"][1] < 100


def test_a_link_that_is_not_there(two: Private) -> None:
    given = json.dumps([["n0"], "nosuch", []])
    done = two.python("-c", PROGRAM, given)
    assert "No such device" in done.stderr and done.returncode == 1


def test_an_ordinary_user_in_a_sandbox(ordinary: Ordinary) -> None:
    ordinary.cnetsh("up", "bridge")
    python = str(ordinary.program.parent / "python")
    ping = "ip netns exec net0 ping -c1 -W1 172.18.0.20"
    given = json.dumps([["", "net0", "net1"], "", [ping]])
    done = ordinary.cnetsh("exec", "host", "--", python, "-c", PROGRAM, given)
    rows = json.loads(done.stdout)["seen"]
    echo = [row[:3] for row in rows if row[3].endswith("echo request")]
    assert sorted(map(tuple, echo)) == [
        ("", "veth0", "in"), ("", "veth1", "out"), ("net0", "ceth0", "out"), ("net1", "ceth1", "in")
    ]  # fmt: skip
    ordinary.cnetsh("down", "bridge")


class WaitsForAnother:
    """A tap that is closed only while another one is."""

    def __init__(self, both: Barrier) -> None:
        self.both = both

    def close(self) -> None:
        self.both.wait(timeout=30)


def test_two_are_closed_at_once() -> None:
    both, taps = Barrier(2), Taps({})
    waiting: Any = {WaitsForAnother(both): "", WaitsForAnother(both): ""}
    taps._taps = waiting
    taps.close()
    assert not both.broken
