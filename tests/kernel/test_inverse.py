"""Every row of the table of inverses, done and undone, also where it was so before."""

import json
import sys
from pathlib import Path

import pytest
from hosts import Private, end_host, host_env, start_holder

CHECKOUT = Path(__file__).resolve().parent.parent.parent
FORWARD = "/proc/sys/net/ipv4/ip_forward"
NAT = "POSTROUTING -s 172.18.0.0/12 ! -o p0 -j MASQUERADE"

# Foreign: a link p0 that is down, br0 with the port r0, br1 that is up with the port s0.
FOREIGN = """
for link in p0 r0 s0; do ip link add $link type veth peer name $link-peer; done
ip link add br0 mtu 1400 type bridge; ip link add br1 type bridge
for link in br0 br1 s0 s0-peer; do echo 1 > /proc/sys/net/ipv6/conf/$link/disable_ipv6; done
ip link set r0 master br0; ip link set s0 master br1; ip link set r0-peer alias before
for link in s0-peer s0 br1; do ip link set $link up; done
ip address add 10.3.0.1/24 dev br1; ip -6 address add fd03::1/64 dev p0 nodad
until ip link show s0 | grep -q LOWER_UP; do sleep 0.01; done; sleep 0.1
"""

# name: the steps of a plan, and what makes the last of them true before ("" where it then fails).
ROWS = {
    "veth": ("ip link add a0 type veth peer name b0", ""),
    "veth with mtu": ("ip link add a0 mtu 1400 type veth peer name b0 mtu 1400", ""),
    "veth into a namespace": (
        "ip netns add n0\nip link add a0 type veth peer name b0 netns n0",
        "",
    ),
    "veth between namespaces": (
        "ip netns add n0\nip netns add n1\nip link add a0 netns n0 type veth peer name b0 netns n1",
        "",
    ),
    "veth moved": (
        "ip netns add n0\nip link add a0 type veth peer name b0\nip link set b0 netns n0\n"
        "ip netns exec n0 ip link set lo up\nip -n n0 link set b0 up\nip link set a0 up\n"
        "ip netns exec n0 ip address add 10.4.0.2/24 dev b0\n"
        "ip netns exec n0 ip route add default via 10.4.0.1",
        "",
    ),
    "veth moved to a foreign namespace": (
        "ip link add a0 type veth peer name b0\nip link set b0 netns f0",
        "",
    ),
    "bridge": ("ip link add name br7 type bridge\nip link set br7 up", ""),
    "bridge with a MAC": ("ip link add name br7 address 02:00:00:00:00:07 type bridge", ""),
    "macvlan": (
        "ip netns add n0\nip link add link p0 name m0 netns n0 type macvlan mode bridge",
        "",
    ),
    "namespace": ("ip netns add n0", ""),
    "link up": ("ip link set br0 up", "ip link set br0 up"),
    "no master": ("ip link set dev r0 nomaster", "ip link set r0 nomaster"),
    "link down": ("ip link set dev p0 down", "ip link set p0 down"),
    "master": ("ip link set dev p0 master br0", "ip link set p0 master br0"),
    "hairpin": (
        "ip link set dev r0 type bridge_slave hairpin on",
        "ip link set r0 type bridge_slave hairpin on",
    ),
    "another master": ("ip link set dev r0 master br1", "ip link set r0 master br1"),
    "mtu": ("ip link set br1 mtu 1300", "ip link set br1 mtu 1300"),
    "MAC": (
        "ip link set br1 address 02:00:00:00:00:08",
        "ip link set br1 address 02:00:00:00:00:08",
    ),
    "alias": ("ip link set p0 alias lab", "ip link set p0 alias lab"),
    "another alias": ("ip link set r0-peer alias lab", "ip link set r0-peer alias lab"),
    "txqueuelen": ("ip link set p0 txqueuelen 77", "ip link set p0 txqueuelen 77"),
    "address": ("ip address add 10.4.0.1/24 dev p0", ""),
    "address on a link that is up": ("ip addr add 10.4.0.1/24 dev br1", ""),
    "address v6": ("ip address add fd04::1/64 dev p0 nodad", ""),
    "route": ("ip route add 10.5.0.0/16 via 10.3.0.9", ""),
    "route with all": ("ip route add 10.5.0.0/16 via 10.3.0.9 dev br1 metric 7", ""),
    "route in a table": ("ip route add default via 10.3.0.9 table 77", ""),
    "rule appended": (f"iptables -t nat -A {NAT}", f"iptables -t nat -A {NAT}"),
    "rule inserted": (
        "iptables -w -I FORWARD -i br0 -j ACCEPT",
        "iptables -A FORWARD -i br0 -j ACCEPT; iptables -A FORWARD -j DROP",
    ),
    "rule in IPv6": ("ip6tables -A FORWARD -i br0 -j DROP", "ip6tables -A FORWARD -i br0 -j DROP"),
    "chain": (
        "iptables -w -t nat -N LAB\niptables -w -t nat -A LAB -s 10.0.0.0/8 -j MASQUERADE\n"
        "iptables -w -t nat -A POSTROUTING -m comment --comment cnetsh:lab -j LAB",
        "",
    ),
    "forwarding": (f"echo 1 | tee {FORWARD}", f"echo 1 > {FORWARD}"),
    "forwarding off": (f"echo 0 | tee {FORWARD}", f"echo 1 > {FORWARD}"),
    "forwarding beside a link's own": (
        f"echo 1 | tee {FORWARD}",
        "echo 1 > /proc/sys/net/ipv4/conf/p0/forwarding;"
        "echo 0 > /proc/sys/net/ipv4/conf/all/accept_redirects",
    ),
    "forwarding v6": ("echo 1 | tee /proc/sys/net/ipv6/conf/all/forwarding", "true"),
    "another setting": (
        "echo 2 | tee /proc/sys/net/ipv4/conf/all/rp_filter",
        "echo 1 > /proc/sys/net/ipv4/conf/all/rp_filter",
    ),
    "setting of a link": (
        "echo 1 | tee /proc/sys/net/ipv4/conf/p0/proxy_arp",
        "echo 1 > /proc/sys/net/ipv4/conf/p0/proxy_arp",
    ),
    "several words": (
        "echo 1024 2048 | tee /proc/sys/net/ipv4/ip_local_port_range",
        "echo 5000 6000 > /proc/sys/net/ipv4/ip_local_port_range",
    ),
    "a list": (
        "echo 9000 | tee /proc/sys/net/ipv4/ip_local_reserved_ports",
        "echo 80,9000-9100 > /proc/sys/net/ipv4/ip_local_reserved_ports",
    ),
    "name servers": (
        "#: undo none: empty, it has no effect\nmkdir -p /etc/netns\nmkdir /etc/netns/n0\n"
        "echo nameserver 1.1.1.1 | tee /etc/netns/n0/resolv.conf\n"
        "echo nameserver fd00::1 | tee -a /etc/netns/n0/resolv.conf",
        "",
    ),
    "queue": ("tc qdisc add dev br1 root tbf rate 1mbit burst 10kb latency 10ms", ""),
}

# In one process for all rows, each in a host of its own: brings it up as a lab, undoes it, and says
# what is left; then again where it was so before, or where what it makes is there already.
PROGRAM = """
import json, os, subprocess, sys
from concurrent.futures import ThreadPoolExecutor
rows, foreign, folder = json.load(sys.stdin), sys.argv[1], sys.argv[2]
sys.path.insert(0, folder)
import oracle
from cnetsh.apply.up import bring_up, undo
from cnetsh.system import namespace
from cnetsh.plan.steps import Plan, Plans, parse
from cnetsh.compare import snapshot
from cnetsh.system.process import runner
from cnetsh.commands.progress import Quiet
from cnetsh.errors import CnetshError
from cnetsh.apply.run import Means
from cnetsh.apply.journal import find
from cnetsh.system.process import through_sh
from cnetsh.compare.scope import scope_of

def sh(text):
    return subprocess.run(["sh", "-ec", text], check=True, capture_output=True, text=True).stdout

def kernel(settings=oracle.settings):
    oracle.settings = settings
    queues = [line for line in sh("tc qdisc show").splitlines() if "tbf" in line]
    return oracle.snapshot() | {"queues": queues}

def up_and_down(text, *settings):
    before = kernel(*settings)
    try:
        undone = bring_up_and_undo(text)
    except CnetshError as error:
        return [f"refused: {error.message}", *oracle.diff(before, kernel(*settings))]
    residue = [f"residue: {one.text}" for one in undone.residue]
    return [*oracle.diff(before, kernel(*settings)), *residue]

def bring_up_and_undo(text):
    up = parse(text, "lab", "", "up", "test")
    empty = [Plan("lab", "", part, ()) for part in ("check", "down")]
    means = Means(runner(), through_sh(()), Quiet(), lambda: 0)
    before = snapshot.take(means.run, scope_of(up.steps).settings)
    ended = bring_up(Plans(up, *empty), before, means)
    return ended.undone or undo(find("lab"), means)

def row(steps, before):
    namespace.unshare(namespace.NET | namespace.MOUNT)
    namespace.mount("none", "/", "none", namespace.MS_REC | namespace.MS_PRIVATE)
    for folder in ("/run", "/etc/netns"):
        os.makedirs(folder, exist_ok=True)
        namespace.mount("tmpfs", folder, "tmpfs", 0)
    sh(foreign + "ip netns add f0" * ("f0" in steps))
    first = up_and_down(steps)
    sh(before or steps)
    # A thousand settings for each namespace are half the time, and these steps write none.
    return [first, up_and_down(steps, *([] if before else [dict]))]

def in_child(row_):
    steps, before = row_
    read, write = os.pipe()
    if not os.fork():
        try:
            os.write(write, json.dumps(row(steps, before)).encode())
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read) as answer:
        text = answer.read()
    return json.loads(text or '["crashed"]')

with ThreadPoolExecutor(2) as two:
    print(json.dumps(dict(zip(rows, two.map(in_child, rows.values())))))
"""


@pytest.fixture(scope="module")
def answers() -> dict[str, list[list[str]]]:
    """For each row what was left after it was undone, the first and the second time."""
    holder = start_holder()
    if holder.stdout is None or holder.stdout.readline() != "ready\n":
        pytest.skip("no private namespaces here")
    argv = [sys.executable, "-c", PROGRAM, FOREIGN, str(Path(__file__).parent)]
    host = Private(holder.pid, host_env())
    done = host.run(argv, cwd=CHECKOUT, input=json.dumps(ROWS))
    end_host(holder)
    assert done.returncode == 0, done.stderr
    print(done.stderr)
    return dict(json.loads(done.stdout))


@pytest.mark.parametrize("name", ROWS)
def test_undone_it_is_as_before(answers: dict[str, list[list[str]]], name: str) -> None:
    first, again = answers[name]
    assert first == []
    refused = [line for line in again if "in the way and is not this lab's" in line]
    assert [line for line in again if line not in refused] == []
    assert len(refused) <= (0 if ROWS[name][1] else 1)
