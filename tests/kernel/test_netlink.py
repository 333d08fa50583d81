"""What the kernel tells is what ip tells, or it is left to ip: of all that a namespace may have."""

import json
import sys

import pytest
from hosts import Private

BOTH = """
import sys
from cnetsh.compare import snapshot
from cnetsh.kinds import see
from cnetsh.kinds.change import Answers
from cnetsh.system import netlink
from cnetsh.system.process import ask
told = netlink.here()
addresses, routes, switches = snapshot._ask(ask, ("ip",), snapshot._AROUND)
if told is not None:
    assert see(Answers(*told[:2]), "n0") == see(Answers(addresses, routes), "n0")
    kept = ("family", "interface", "forwarding")
    known = [{key: one[key] for key in kept} for one in switches if one["interface"] == "all"]
    assert list(told.switches) == [one for one in known if one["family"] != "mpls"], known
print("told" if told else "left to ip")
"""
# What makes a container another one; c0 is its end of a cable, with 10.0.0.2/24 and fd00::2/64.
TOLD = [
    "ip link show",
    "ip link set c0 mtu 1300 address 02:00:00:00:00:09 txqueuelen 7 arp off",
    "ip link set c0 promisc on; ip link set c0 allmulticast on",
    "ip link set c0 down",
    "ip link add p0 type veth peer name p1; ip address add 10.1.1.1/32 dev p0; ip link set p0 up",
    "ip address add 10.3.3.3/24 brd + dev c0 metric 50 label c0:1",
    "ip address add 10.4.4.4/24 dev c0 scope link",
    "ip address add fd02::1/48 dev c0 nodad",
    "ip route add default via 10.0.0.1; ip -6 route add default via fd00::1",
    "ip route add 10.9.0.0/16 via 10.0.0.9 dev c0 metric 7 src 10.0.0.2",
    "ip route add 10.9.9.9 via 10.0.0.9 proto static",
    "sysctl -qw net.ipv4.ip_forward=1",
    "sysctl -qw net.ipv6.conf.all.forwarding=1",
]
LEFT = [
    "ip link add br0 type bridge",
    "ip link set c0 alias mine",
    "ip link property add dev c0 altname other",
    "ip address add 10.5.5.5 peer 10.6.6.6/24 dev c0",
    "ip address add 10.5.5.5/24 dev c0 noprefixroute",
    "ip address add 10.5.5.5/24 dev c0 valid_lft 500 preferred_lft 300",
    "ip route add 10.9.0.0/16 nexthop via 10.0.0.8 nexthop via 10.0.0.9",
    "ip route add 10.9.0.0/16 via 10.9.9.9 dev c0 onlink",
    "ip route add 10.9.0.0/16 via 10.0.0.9 mtu 1300",
    "ip route add 10.9.0.0/16 via 10.0.0.9 table 7",
    "ip route add 10.9.0.0/16 via 10.0.0.9 tos 4",
    "ip route add 10.9.0.0/16 via 10.0.0.9 proto 99",
    "ip route add unreachable 10.9.0.0/16",
    "ip -6 route add fd09::/64 via fd00::9 pref high",
    "ip neigh add 10.0.0.7 lladdr 02:00:00:00:00:01 dev c0",
    "ip neigh add proxy 10.0.0.7 dev c0",
]


@pytest.mark.parametrize(
    ("commands", "known"),
    [*((one, "told") for one in TOLD), *((one, "left to ip") for one in LEFT)],
)
def test_the_kernel_tells_what_ip_does(private: Private, commands: str, known: str) -> None:
    private.sh("ip netns add n0; ip link add v0 type veth peer name c0 netns n0; ip link set v0 up")
    inside = ("ip link set lo up; ip link set c0 up; ip address add 10.0.0.2/24 dev c0;"
              " ip address add fd00::2/64 dev c0 nodad")  # fmt: skip
    private.sh(f"ip netns exec n0 sh -ec {json.dumps(f'{inside}; {commands}')}")
    found = private.run(["ip", "netns", "exec", "n0", sys.executable, "-c", BOTH])
    assert (found.stdout.strip(), found.stderr) == (known, "")
