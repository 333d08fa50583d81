"""`check` names each single thing that has changed since `up`, and nothing where nothing has."""

from pathlib import Path

import pytest
from hosts import Private, report
from others import template

# Only the drift: the pings of `check` cost a second each where a lab is broken.
DRIFT = """
import json, sys
from cnetsh.system import process
from cnetsh.compare import drift
from cnetsh.apply import journal
record = journal.find(sys.argv[1])
steps = journal.plan_of(record, "up").steps
in_force = record.in_force(steps)
run = process.runner()
print(json.dumps([one.text for one in drift.drift(in_force, record.made, run)[0]]))
"""
FORWARD = "/proc/sys/net/ipv4/ip_forward"
NAT = "POSTROUTING -s 172.18.0.0/12 ! -o br0 -j MASQUERADE"

# What breaks it, what names it, and what mends it ("" for what stays so to the end).
DRIFTS = {
    "setting": (f"echo 0 > {FORWARD}", "ip_forward is 0", f"echo 1 > {FORWARD}"),
    "rule": (f"iptables -t nat -D {NAT}", "MASQUERADE", f"iptables -t nat -A {NAT}"),
    "address": (
        "ip address del 172.18.0.1/12 dev br0",
        "172.18.0.1/12 on br0 is missing",
        "ip address add 172.18.0.1/12 dev br0",
    ),
    "address inside": (
        "ip -n net1 address del 172.18.0.20/12 dev ceth1",
        "172.18.0.20/12 on ceth1 is missing",
        "ip -n net1 address add 172.18.0.20/12 dev ceth1;"
        "ip -n net1 route add default via 172.18.0.1",
    ),
    "route": (
        "ip -n net0 route del default",
        "route default via 172.18.0.1 is missing",
        "ip -n net0 route add default via 172.18.0.1",
    ),
    "route by another gateway": (
        "ip -n net0 route replace default via 172.18.0.20",
        "route default via 172.18.0.1 is missing",
        "ip -n net0 route replace default via 172.18.0.1",
    ),
    "bridge down": ("ip link set br0 down", "link br0 is not up", "ip link set br0 up"),
    "link down inside": (
        "ip -n net0 link set ceth0 down",
        "link ceth0 is not up",
        "ip -n net0 link set ceth0 up; ip -n net0 route add default via 172.18.0.1",
    ),
    "host end down": ("ip link set veth1 down", "link veth1 is not up", "ip link set veth1 up"),
    "no port": (
        "ip link set veth0 nomaster",
        "link veth0 is not a port of br0",
        "ip link set veth0 master br0",
    ),
    "port of another": (
        "ip link add br8 type bridge; ip link set veth0 master br8",
        "link veth0 is not a port of br0",
        "ip link set veth0 master br0; ip link del br8",
    ),
    "pair": ("ip link del veth1", "link veth1 is missing", ""),
    "bridge": ("ip link del br0", "link br0 is missing", ""),
    "namespace": ("ip netns delete net0", "net0 is missing", ""),
    "another namespace": (
        "ip netns delete net1; ip netns add net1",
        "namespace net1 is another one than the lab made",
        "",
    ),
}


# Two in succession change the same.
COMMON = ("route default via 172.18.0.1 is missing", "link veth0 is not a port of br0")


def drift(private: Private, lab: str = "routing") -> list[str]:
    return list(private.rows("-c", DRIFT, lab)[0])


def test_every_single_change_is_named(private: Private) -> None:
    private.cnetsh("up", "routing")
    mended_before = ""
    for name, (broken, named, mended) in DRIFTS.items():
        private.sh(broken)
        lines = drift(private)
        assert [line for line in lines if named in line], (name, lines)
        assert [line for line in lines if mended_before and mended_before in line] == []
        private.sh(mended or "true")
        mended_before = named if mended and named not in COMMON else ""


@pytest.mark.parametrize("lab", ["veth", "container", "conflict", "bridge", "routing"])
def test_no_false_alarm_right_after_up(private: Private, lab: str) -> None:
    private.cnetsh("up", lab)
    assert drift(private, lab) == []


def test_check_ends_with_1_and_names_it(private: Private) -> None:
    private.cnetsh("up", "veth")
    private.sh("ip address del 172.18.0.20/12 dev ceth0")
    done = private.cnetsh("check", "veth", check=False)
    assert done.returncode == 1
    assert "changed   address 172.18.0.20/12 on ceth0 is missing" in done.stderr
    assert "1 changed" in done.stderr
    assert "to put it right:\n  cnetsh repair veth --on host\n" in done.stderr


WALL = """
ip netns add fw
ip netns exec fw iptables -N OWN
ip netns exec fw iptables -A OWN -s 10.9.0.0/24 -j RETURN
ip netns exec fw iptables -A OWN -j DROP
ip netns exec fw iptables -A FORWARD -m state --state ESTABLISHED -j ACCEPT
ip netns exec fw iptables -A FORWARD -i in -j ACCEPT
ip netns exec fw iptables -A FORWARD -j DROP
ip netns exec fw iptables -I FORWARD -i out -j OWN
ip netns exec fw ip6tables -t nat -A POSTROUTING -o out -j MASQUERADE
"""
BREACHES = {
    "all": ("iptables -F FORWARD", 4),
    "inserted": ("iptables -D FORWARD 1", 1),
    "in the middle": ("iptables -D FORWARD 3", 1),
    "of its own chain": ("iptables -D OWN 1", 1),
    "its own chain": ("iptables -F FORWARD; iptables -F OWN; iptables -X OWN", 7),
    "of IPv6": ("ip6tables -t nat -F", 1),
}


def test_rules_inside_a_container_are_named_and_put_back_in_their_place(
    private: Private, tmp_path: Path
) -> None:
    private.cnetsh("up", template(tmp_path, "t", WALL))
    rules = "ip netns exec fw sh -c 'iptables -S; ip6tables -t nat -S'"
    as_made = private.sh(rules)
    assert drift(private, "t") == []
    for name, (breach, lost) in BREACHES.items():
        private.sh(f"ip netns exec fw sh -c '{breach}'")
        assert len(drift(private, "t")) == lost, (name, drift(private, "t"))
        private.cnetsh("repair", "t", "--yes")
        assert private.sh(rules) == as_made, name


@pytest.mark.parametrize("inside", ["ip netns exec fw ", ""], ids=["inside", "own chain"])
def test_equal_rules_are_put_back_as_often_as_they_were(
    private: Private, tmp_path: Path, inside: str
) -> None:
    rule = f"{inside}iptables -{{}} OWN -i a -j ACCEPT\n"
    up = f"ip netns add fw\n{inside}iptables -N OWN\n{rule.format('A')}{rule.format('I')}"
    private.cnetsh("up", template(tmp_path, "t", f"{up}{inside}iptables -I OWN -j DROP"))
    as_made = private.sh(f"{inside}iptables -S OWN")
    for breach in ("-F OWN", "-D OWN 3; {0}iptables -D OWN 2"):
        private.sh(f"{inside}iptables {breach.format(inside)}")
        private.cnetsh("repair", "t", "--yes")
        assert private.sh(f"{inside}iptables -S OWN") == as_made


BETWEEN = """
ip netns add a
ip netns add b
ip link add name br1 type bridge
ip link add v0 type veth peer name e0 netns a
ip link set dev v0 master br1
ip link set v0 up
ip link add w0 netns a type veth peer name w1 netns b
ip netns exec a ip address add 10.9.1.1/24 dev w0
ip netns exec a ip link set w0 up
"""
RENAMED = {
    "host end": "ip link set v0 name x0",
    "bridge": "ip link set br1 name x0",
    "an end inside": "ip -n a link set e0 name x0",
    "between two containers": "ip -n b link set w1 name x1",
}


@pytest.mark.parametrize("renamed", RENAMED.values(), ids=RENAMED)
def test_what_others_have_renamed_of_the_labs_own_is_made_again(
    private: Private, tmp_path: Path, renamed: str
) -> None:
    before = private.snapshot(settled=0.2)
    private.cnetsh("up", template(tmp_path, "t", BETWEEN))
    private.sh(renamed)
    private.cnetsh("repair", "t", "--yes")
    assert drift(private, "t") == []
    links = "ip -br link; ip -n a -br link; ip -n b -br link"
    assert " x" not in private.sh(links).replace("\n", " ")
    private.cnetsh("down", "t")
    assert private.snapshot(settled=0.2) == before


def test_a_renamed_bridge_with_a_port_of_others_is_not_made_again(
    private: Private, tmp_path: Path
) -> None:
    private.cnetsh("up", template(tmp_path, "t", BETWEEN))
    private.sh("ip link set br1 name x0; ip link add o0 type veth peer name o1 mtu 1400;"
               "ip link set o0 master x0; ip link set v0 name x1")  # fmt: skip
    done = private.cnetsh("repair", "t", "--yes", check=False)
    assert done.returncode == 2, report(done)
    assert "bridge x0 has to go, but o0 is a port of it and not of this lab" in done.stderr
    private.sh(done.stderr.strip().split("\n  ")[-1])
    private.cnetsh("repair", "t", "--yes")
    assert drift(private, "t") == []


@pytest.mark.parametrize("six", ["", "-6 "], ids=["4", "6"])
def test_a_route_of_others_in_the_place_of_the_labs_is_named_with_what_removes_it(
    private: Private, tmp_path: Path, six: str
) -> None:
    to, one, other = ("10.7.0.0/24", "10.9.0.2", "10.9.0.3")
    if six:
        to, one, other = ("fd07::/64", "fd09::2", "fd09::3")
    more = " nodad" if six else ""
    address = f"ip address add {one[:-1]}1/{64 if six else 24} dev br1{more}"
    up = f"ip link add name br1 type bridge\nip link set br1 up\n{address}\n"
    private.cnetsh("up", template(tmp_path, "t", f"{up}ip {six}route add {to} via {one}"))
    private.sh(
        f"ip {six}route replace {to} via {other}; ip {six}route add {to} via {other} metric 7"
    )
    for dry in ((), ("--dry-run",)):
        done = private.cnetsh("repair", "t", "--yes", *dry, check=False)
        assert done.returncode == 2, report(done)
        assert done.stderr.startswith(f"cnetsh: t cannot be repaired: route {to} via {one} is miss")
        asked = done.stderr.strip().split("remove it: ")[1]
    private.sh(asked)
    private.cnetsh("repair", "t", "--yes")
    assert drift(private, "t") == []
    assert "metric 7" in private.sh(f"ip {six}route show {to}")


def test_a_route_that_leaves_room_for_the_labs_is_not_in_its_place(
    private: Private, tmp_path: Path
) -> None:
    # A default without a gateway does not tell its version of IP, but for the option of ip.
    up = """
    ip link add name br1 type bridge
    ip link set br1 up
    ip address add 10.9.0.1/24 dev br1
    ip address add fd09::1/64 dev br1
    ip -6 route add default dev br1
    ip route add 10.7.0.0/24 via 10.9.0.2
    """
    private.cnetsh("up", template(tmp_path, "t", up))
    private.sh("ip -6 route delete default; ip route delete 10.7.0.0/24; ip route add default dev "
               "br1; ip route add 10.7.0.0/24 via 10.9.0.3 tos 0x10")  # fmt: skip
    private.cnetsh("repair", "t", "--yes")
    assert drift(private, "t") == []


def test_what_a_failed_repair_has_removed_is_told(private: Private, tmp_path: Path) -> None:
    more = "ip link set br1 mtu 1300\nip link set br1 alias mine\n"
    up = BETWEEN.replace("ip link add v0", f"{more}ip link add v0")
    private.cnetsh("up", template(tmp_path, "t", up))
    values = "ip link set br1 mtu 1400; ip link set br1 alias theirs"
    private.sh(f"{values}; ip link set v0 name x0; ip link property add dev lo altname v0")
    done = private.cnetsh("repair", "t", "--yes", check=False)
    assert done.returncode == 3, report(done)
    told = [line for line in done.stderr.split("\n") if line.startswith("undo ")]
    assert told == ["undo [1/2] ip link set dev br1 alias theirs",
                    "undo [2/2] ip link set dev br1 mtu 1400"]  # fmt: skip
    assert "the repair is undone, but now of t also:\n  link e0 is missing" in done.stderr
    private.sh("ip link property del dev lo altname v0")
    private.cnetsh("repair", "t", "--yes")
    assert drift(private, "t") == []
