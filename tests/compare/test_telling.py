"""Each difference in words."""

from typing import Any

import pytest

from cnetsh.compare.telling import told
from cnetsh.kinds.change import Fact, Ref

ETH0 = Ref("link", "", "eth0")
MTU = Fact(ETH0, "mtu")
FORWARD = Fact(Ref("setting", "", "/proc/sys/net/ipv4/ip_forward"), "value")
NAT = Fact(Ref("chain", "", "iptables nat POSTROUTING"), "rules")
ROUTE = Fact(Ref("route", "", "10.5.0.0/16"), "eth0")
VIA = {"dev": "eth0", "table": "main", "type": "unicast", "via": "10.0.0.9"}


@pytest.mark.parametrize(
    ("fact", "was", "is_now", "lines"),
    [
        (MTU, 1500, 1400, ["link eth0: mtu was 1500, is 1400"]),
        (FORWARD, "0", "1", ["/proc/sys/net/ipv4/ip_forward was 0, is 1"]),
        (Fact(ETH0), [1, 70], None, ["link eth0 is gone"]),
        (Fact(ETH0), None, [1, 70], ["link eth0 is new"]),
        (Fact(ETH0), [1, 70], [2, 71], ["link eth0 is another one than before"]),
        (NAT, ["a", "b"], ["b", "a"],
         ["iptables nat: the order of the rules of POSTROUTING is another one"]),
        (NAT, ["a"], ["x '!' y"], ["iptables nat: -A POSTROUTING x ! y is new",
                                  "iptables nat: -A POSTROUTING a is gone"]),
        (ROUTE, VIA, None,
         ["route 10.5.0.0/16 dev eth0 via 10.0.0.9 is gone"]),
        (Fact(Ref("address", "", "10.0.0.9/8"), "eth0"), {"dev": "eth0"},
         {"dev": "eth0", "label": "eth0:1"},
         ["address 10.0.0.9/8 on eth0: label was none, is eth0:1"]),
    ],
)  # fmt: skip
def test_a_difference_in_words(fact: Fact, was: Any, is_now: Any, lines: list[str]) -> None:
    assert told(fact, was, is_now) == lines
