"""The oracle sees each single difference that a lab could make, and none where there is none."""

import oracle
import pytest
from hosts import Ordinary, Private, wait_for

# IPv6 would take two seconds in every test to find that nobody else has br0's address.
START = """
ip link add br0 type bridge && ip link add br1 type bridge
echo 1 > /proc/sys/net/ipv6/conf/br0/disable_ipv6
ip link add veth0 type veth peer name veth1
ip address add 10.0.0.1/24 dev br0 && ip link set br0 up
ip netns add net0 && ip -n net0 link add ceth0 type veth peer name ceth1
"""

DIFFERENCES = {
    "address": ("ip address add 10.0.0.2/24 dev br0", "addresses: + br0"),
    "prefix": (
        "ip address del 10.0.0.1/24 dev br0; ip address add 10.0.0.1/25 dev br0",
        "addresses: - br0",
    ),
    "address v6": ("ip address add fd00::1/64 dev veth0", "addresses: + veth0"),
    "address that ends": (
        "ip address add 10.0.0.2/24 dev br0 valid_lft 900 preferred_lft 800",
        "ends",
    ),
    "address without a route": (
        "ip address add 10.0.0.2/24 dev br0 noprefixroute",
        "noprefixroute",
    ),
    "neighbour": (
        "ip neigh add 10.0.0.9 lladdr 02:00:00:00:00:09 nud permanent dev br0",
        "neighbours: + ",
    ),
    "proxied neighbour": ("ip neigh add proxy 10.0.0.9 dev br0", "neighbours: + "),
    "proxied neighbour v6": ("ip -6 neigh add proxy fd00::9 dev veth0", "neighbours: + "),
    "route's packet size": (
        "ip route add 10.9.0.0/16 via 10.0.0.9 mtu 1400",
        '"metrics": [{"mtu": 1400}]',
    ),
    "route's packet size that is locked": (
        "ip route add 10.9.0.0/16 via 10.0.0.9 mtu lock 1400",
        "locked: + 10.9.0.0/16 via 10.0.0.9 dev br0 mtu lock 1400",
    ),
    "port of a bridge": (
        "ip link set veth0 master br1; bridge link set dev veth0 cost 77",
        "ports",
    ),
    "static entry": (
        "ip link set veth0 master br1; bridge fdb add 02:00:00:00:00:99 dev veth0 master static",
        "fdb: + ",
    ),
    "queue": ("tc qdisc add dev veth0 root pfifo limit 7", "queues: + "),
    "queue's length": ("ip link set veth0 txqueuelen 77", "links/veth0/txqlen: 1000 -> 77"),
    "route": ("ip route add 10.9.0.0/16 via 10.0.0.9", "routes: + "),
    "route in another table": ("ip route add 10.9.0.0/16 dev br0 table 7", '"table": "7"'),
    "blackhole v6": ("ip -6 route add blackhole fd01::/64", "routes: + "),
    "policy rule": ("ip rule add from 10.9.0.0/16 table 7", "policy: + "),
    "flag": ("ip link set br0 down", "links/br0/flags: - UP"),
    "mtu": ("ip link set br1 mtu 1400", "links/br1/mtu: 1500 -> 1400"),
    "master": ("ip link set veth0 master br1", "links/veth0/master: '' -> 'br1'"),
    "MAC": ("ip link set br1 address 02:00:00:00:00:07", "links/br1/address: "),
    "link": ("ip link add br7 type bridge", "links/br7: + "),
    "no link": ("ip link del veth0", "links/veth1: - "),
    "kind": ("ip link del br1; ip link add br1 type veth peer name x", "links/br1/kind: "),
    "setting": ("echo 1 > /proc/sys/net/ipv4/ip_forward", "settings/ipv4/ip_forward: '0' -> '1'"),
    "setting of a link": (
        "echo 1 > /proc/sys/net/ipv4/conf/br0/proxy_arp",
        "settings/ipv4/conf/br0/proxy_arp: ",
    ),
    "setting v6": ("echo 1 > /proc/sys/net/ipv6/conf/all/forwarding", "ipv6/conf/all/forwarding: "),
    "namespace": ("ip netns add net7", "namespaces/net7: + "),
    "no namespace": ("ip netns delete net0", "namespaces/net0: - "),
    "ghost": ("umount /run/netns/net0", "namespaces/net0/kind: 'nsfs' -> 'ghost'"),
    "link inside": ("ip -n net0 link set ceth0 up", "namespaces/net0/links/ceth0/flags: + UP"),
    "setting inside": (
        "ip netns exec net0 sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward'",
        "namespaces/net0/settings/ipv4/ip_forward: ",
    ),
    "rule inside": (
        "ip netns exec net0 iptables -A INPUT -s 10.0.0.7 -j DROP",
        "namespaces/net0/rules/",
    ),
    "NAT rule": ("iptables -t nat -A POSTROUTING -s 10.0.0.0/8 -j MASQUERADE", " nat: + "),
    "rule v6": ("ip6tables -A FORWARD -s fd00::/8 -j DROP", "rules/ip6tables"),
    "rule of the legacy back end": ("iptables-legacy -A INPUT -s 10.0.0.7 -j DROP", "legacy"),
    "chain": ("iptables -N OURS", ":OURS -"),
    "policy of a chain": ("iptables -P FORWARD DROP", ":FORWARD DROP"),
}


# One of each of the oracle's parts; the others are for `make soak`.
OFTEN = {"address", "route", "policy rule", "master", "MAC", "setting", "namespace", "ghost"}
OFTEN |= {"setting inside", "rule inside", "NAT rule", "rule of the legacy back end", "chain"}


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        pytest.param(*each, id=name, marks=() if name in OFTEN else pytest.mark.soak)
        for name, each in DIFFERENCES.items()
    ],
)
def test_sees_one_difference(private: Private, command: str, expected: str) -> None:
    if "legacy" in command and not oracle._which("iptables-legacy"):
        pytest.skip("iptables has no legacy back end here")
    private.sh(START)
    before = private.snapshot()
    private.sh(command)
    found = oracle.diff(before, private.snapshot())
    assert [line for line in found if expected in line], found


def test_sees_the_order_of_rules(private: Private) -> None:
    first, second = (f"iptables -A INPUT -s 10.0.0.{host} -j DROP" for host in (7, 8))
    private.sh(f"{first}; {second}")
    before = private.snapshot()
    private.sh(f"iptables -F INPUT; {second}; {first}")
    assert "another order" in "\n".join(oracle.diff(before, private.snapshot()))


def test_sees_nothing_where_nothing_changed(private: Private) -> None:
    private.sh(START + "ip link set veth0 up; ip link set veth1 up")
    before = private.snapshot(settled=0.2)
    assert oracle.diff(before, private.snapshot(settled=0.2)) == []


def test_sees_nothing_after_a_change_was_taken_back(private: Private) -> None:
    before = private.snapshot()
    private.sh("iptables -t nat -A POSTROUTING -s 10.0.0.0/8 -j MASQUERADE; iptables -t nat -F")
    private.sh(START + "ip netns delete net0; ip link del br0; ip link del br1; ip link del veth0")
    assert oracle.diff(before, private.snapshot()) == []


def test_waits_for_the_route_of_an_address_to_itself(private: Private) -> None:
    """On a busy machine the kernel makes it long after the address of IPv6."""
    route = "local fd00::1 dev veth0 table local proto kernel"
    private.sh(f"""
        ip link add veth0 type veth peer name veth1; ip link set veth0 up
        ip -6 address add fd00::1/64 dev veth0 nodad
        until ip -6 route show table local | grep -q fd00::1; do sleep 0.01; done
        ip -6 route delete {route}
        (sleep 1; ip -6 route add {route}) >/dev/null 2>&1 &""")
    assert any("fd00::1" in one and "local" in one for one in private.snapshot()["routes"])


def test_two_equal_hosts_differ_only_by_chance(new_private) -> None:
    hosts = [new_private(), new_private()]
    for host in hosts:
        host.sh(START + "ip link set veth0 up; ip link set veth1 up")
    one, other = (host.snapshot(settled=0.2) for host in hosts)
    assert oracle.diff(one, other) != []
    assert oracle.diff(oracle.shape(one), oracle.shape(other)) == []


def test_names_with_control_and_quote_characters(private: Private) -> None:
    names = {"a\033b", "c'd\"e"}
    for name in names:
        private.run(["ip", "link", "add", "name", name, "type", "bridge"], check=True)
    assert names <= private.snapshot()["links"].keys()


def test_private_host_sees_nothing_of_the_machine(private: Private) -> None:
    assert list(private.snapshot()["links"]) == ["lo"]
    assert private.sh("ls /sys/class/net") == "lo\n"
    assert set(private.sh("ls /run").split()) <= {"mount"}  # what mount(8) itself keeps there


def test_ordinary_user_is_one(ordinary: Ordinary) -> None:
    assert ordinary.run(["id", "-u"]).stdout != "0\n"
    assert ordinary.run(["sh", "-c", "echo > $HOME/x && echo > $XDG_RUNTIME_DIR/x"]).returncode == 0
    assert ordinary.run(["ip", "link", "add", "br7", "type", "bridge"]).returncode != 0
    assert ordinary.run(ordinary.oracle).returncode != 0 or not ordinary.processes()


def test_ordinary_user_leaves_no_process_unseen(ordinary: Ordinary) -> None:
    inside = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child"]
    with ordinary.start([*inside, "sleep", "600"]) as sleeper:
        assert wait_for(lambda: "sleep 600" in ordinary.processes().values())
        sleeper.kill()
    assert wait_for(lambda: not ordinary.processes())
