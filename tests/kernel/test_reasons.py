"""What may stop a packet is told as the reason only where the packet was seen to get no further.

Each row has something that may stop it and does not, and a drop elsewhere that nobody reads: it is
done before nftables begins to tell of a packet.
"""

from pathlib import Path

import pytest
from hosts import Private, report
from others import template
from test_why_on_hosts import SANDBOX, broken, why

NFT = "nft 'add table {0}; add chain {0} p {{ {1} }}; add rule {0} p {2}'"


def unread(device: str = "ceth1", netns: str = "net1") -> str:
    hook = f"type filter hook ingress device {device} priority -600;"
    inside = f"ip netns exec {netns} " if netns else ""
    return inside + NFT.format("netdev u", hook, "ip protocol icmp drop")


MAC = "$(ip netns exec net1 cat /sys/class/net/ceth1/address)"
KNOWN = "ip netns exec net0 ping -c1 -W1 172.18.0.20"
FORGET = "ip netns exec net0 ip neigh flush all"
# The lab, what may stop it, what does, and where it is last seen.
ROWS = {
    "a MAC address of another wire": (
        "bridge",
        f"ip netns add other; ip link add x0 up type veth peer name x1 address {MAC} netns other; "
        "ip -n other link set x1 up",
        unread(), "net1: in by ceth1",
    ),
    "an entry by hand that moves": (
        "bridge", f"{FORGET}; bridge fdb replace {MAC} dev veth0 master static",
        unread(), "net1: in by ceth1",
    ),
    "an address twice": (
        "bridge --set containers=3",
        f"{FORGET}; ip netns exec net2 ip address add 172.18.0.20/12 dev ceth2",
        unread("veth0", ""), "the host: in by veth0",
    ),
    "a port that does not flood": (
        "bridge", f"{KNOWN}; bridge link set dev veth1 flood off", unread(), "net1: in by ceth1",
    ),
    "a port that gets no broadcasts": (
        "bridge", f"{KNOWN}; bridge link set dev veth1 bcast_flood off", unread(),
        "net1: in by ceth1",
    ),
    "a neighbour that answers no more": (
        "bridge", f"{KNOWN}; ip netns exec net1 sysctl -qw net.ipv4.conf.all.arp_ignore=8",
        unread(), "net1: in by ceth1",
    ),
    "a queue that has dropped before": (
        "bridge",
        f"{KNOWN}; tc qdisc add dev veth1 root tbf rate 8kbit burst 2000 limit 2000; "
        "ip netns exec net0 ping -q -c20 -i0.01 -s 1000 -W1 172.18.0.20; sleep 4",
        unread(), "net1: in by ceth1",
    ),
    "a redirect that is right": (
        "bridge",
        f"sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.send_redirects=1; "
        "ip -n net0 route add 172.18.0.20 via 172.18.0.1; "
        f"for n in 1 2 3; do {KNOWN}; done",
        unread(), "net1: in by ceth1",
    ),
}  # fmt: skip
FEW = ("a MAC address of another wire", "an address twice")


def is_not_told_as_the_reason(private: Private, name: str) -> None:
    lab, may, does, last = ROWS[name]
    with broken(private, {"lab": lab, "before": "", "command": f"{may}; {does}"}):
        found = why(private, "net0 net1", 4)
        assert (found["layer"], found["arrives"]) == ("unknown", False), found
        told = f"it was last seen here: {last}; what stops it there is not known"
        # No packet passes a queue of which it could be known that it drops none.
        queue = "; possible: the queue tbf of veth1 in the host drops it"
        assert found["reason"].removesuffix(queue) == told
        assert found["hops"][-1] == last


@pytest.mark.parametrize("name", FEW)
def test_what_may_stop_a_packet_and_does_not(private: Private, name: str) -> None:
    is_not_told_as_the_reason(private, name)


@pytest.mark.soak
@pytest.mark.parametrize("name", [name for name in ROWS if name not in FEW])
def test_what_else_may_stop_a_packet_and_does_not(private: Private, name: str) -> None:
    is_not_told_as_the_reason(private, name)


def test_what_arrives_in_the_end_is_not_said_to_be_stopped(private: Private) -> None:
    """Of three packets two are lost, and the third is sent while nftables tells of it."""
    nth = "-m statistic --mode nth --every 3 --packet 2"
    icmp = "ip netns exec net1 iptables -A INPUT -p icmp"
    lost = f"{icmp} {nth} -j ACCEPT; {icmp} -j DROP"
    with broken(private, {"lab": "bridge", "before": "", "command": lost}):
        found = why(private, "net0 net1", 0)
        assert found["reason"] == "it arrives, but another that was sent before it did not"
        assert found["hops"][-1] == "back: net0: in by ceth0" and found["fix"] == []


def test_who_does_not_answer_is_named_whenever_it_is_asked(private: Private) -> None:
    """Who has asked three times for a neighbour asks no more for a second."""
    silent = "ip netns exec net1 sysctl -qw net.ipv4.conf.all.arp_ignore=8"
    before = f"{FORGET}; {silent}; {KNOWN} & sleep 2"
    with broken(private, {"lab": "bridge", "before": "", "command": before}):
        found = why(private, "net0 net1", 1)
        assert found["reason"].endswith("on ceth1: arp_ignore is 8"), found
        # No packet has left, and no way is told.
        assert found["hops"] == []


def test_what_nobody_reads_is_not_said_to_let_a_packet_pass(private: Private) -> None:
    block = "ip -n net0 xfrm policy add dir out src 172.18.0.10 dst 172.18.0.20 action block"
    with broken(private, {"lab": "bridge", "before": "", "command": block}):
        assert "the policies of IPsec in net0" in why(private, "net0 net1 --no-probe", 4)["reason"]
        assert why(private, "net0 net1", 4)["layer"] == "unknown"
        why(private, "host net0 --no-probe", 4)


@pytest.mark.soak
def test_of_two_who_have_an_address_and_fail_the_other_is_possible(private: Private) -> None:
    lab, may, _, _ = ROWS["an address twice"]
    does = f"{unread()}; {unread('ceth2', 'net2')}"
    with broken(private, {"lab": lab, "before": "", "command": f"{may}; {does}"}):
        found = why(private, "net0 net1", 4)
        possible = "possible: 172.18.0.20 is there twice, in net1 and net2"
        assert found["layer"] == "unknown" and possible in found["reason"], found


@pytest.mark.soak
@pytest.mark.parametrize("priority", [0, -600])
def test_a_server_behind_a_rule_that_refuses_is_not_said_to_be_away(
    private: Private, priority: int
) -> None:
    hook = f"type filter hook input priority {priority};"
    does = "ip netns exec net1 " + NFT.format("inet u", hook, "tcp dport 80 reject with tcp reset")
    with broken(private, {"lab": "bridge", "before": "serve net1 80 0.0.0.0", "command": does}):
        found = why(private, "net0 net1:80")
        named = found["layer"] == "firewall" and "tcp dport 80 reject" in found["reason"]
        # On a busy machine nftables may tell nothing in time.
        assert named or found["layer"] == "unknown", found


UP = """\
ip netns add far
ip link add near type veth peer name eth0 netns far
tc qdisc add dev near root tbf rate 1mbit burst 10kb limit 60
ip address add 10.9.0.1/24 dev near
ip link set near up
ip netns exec far ip address add 10.9.0.2/24 dev eth0
ip netns exec far ip link set eth0 up
"""


def test_a_check_that_may_end_either_way_is_told_who_asks_for_it(
    private: Private, tmp_path: Path
) -> None:
    check = "ping -c1 -W1 10.9.0.2"
    lab = template(tmp_path, "t", UP, check=check)
    told = ("check 1 may end either way: it is not known whether the queue tbf of near in the host "
            f"drops it: {check}")  # fmt: skip
    for words in (["plan"], ["doctor"], ["up", "--dry-run"]):
        asked = (*words, lab)
        assert "either way" not in private.cnetsh(*asked).stderr
        assert private.cnetsh(*asked, "-v").stderr.splitlines().count(told) == 1


def test_a_macvlan_and_its_host_fail_by_the_reason_that_the_plan_gives(
    private: Private, tmp_path: Path
) -> None:
    reason = "a macvlan and its own host never reach each other through eth0"
    interface = "{macvlan: eth0, address: 10.0.2.149/24}"
    file = tmp_path / "lab.yaml"
    file.write_text(f"name: mv\ncontainers: {{app: {{interfaces: [{interface}]}}}}\n")
    private.sh(SANDBOX)
    private.cnetsh("up", str(file))
    done = private.cnetsh("check", "mv", "-v")
    assert done.stdout.count(f"fails, as it must: {reason} (") == 2, report(done)
    assert "mv: 3 checks ok, 0 failed" in done.stderr
    for asked in ("app 10.0.2.15", "host app"):
        found = why(private, asked, 1)
        assert (found["reason"], found["layer"]) == (reason, "cable")
        assert found["step"].startswith("mv, step 2: ")
        private.sh(found["evidence"])
