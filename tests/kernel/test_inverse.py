"""Every row of the table of inverses, done and undone, also where it was so before."""

import fcntl
import json
import os
from itertools import filterfalse

import battery
import pytest
from hosts import HERE, Private, end_host, host_env, start_holder
from others import often

pytestmark = pytest.mark.long

FORWARD = "/proc/sys/net/ipv4/ip_forward"
NAT = "POSTROUTING -s 172.18.0.0/12 ! -o p0 -j MASQUERADE"


def foreign(link: str = "p0", bridge: str = "br0") -> str:
    """A link that is down, a bridge with the port r0, and br1 that is up with the port s0."""
    return f"""
ip -batch - <<'END'
link add {link} type veth peer name {link}-peer
link add r0 type veth peer name r0-peer
link add s0 type veth peer name s0-peer
link add {bridge} mtu 1400 type bridge
link add br1 type bridge
link set r0 master {bridge}
link set s0 master br1
link set r0-peer alias before
END
for link in {bridge} br1 s0 s0-peer; do
  echo 1 > /proc/sys/net/ipv6/conf/$link/disable_ipv6
done
ip -batch - <<'END'
link set s0-peer up
link set s0 up
link set br1 up
address add 10.3.0.1/24 dev br1
address add fd03::1/64 dev {link} nodad
END
until ip -6 route show table local | grep -q fd03::1; do sleep 0.01; done
"""


# Beside the samples of the kinds, by name: the steps of a plan, and what makes the last of them
# true before ("" where it then fails).
ROWS = {
    "veth with mtu": ("ip link add a0 mtu 1400 type veth peer name b0 mtu 1400", ""),
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
}

# Of these a sample of the kinds does the same among the same things; `make soak` has them too.
SAMPLED = (
    *("veth with mtu", "bridge", "bridge with a MAC", "link up", "no master", "master", "hairpin"),
    *("txqueuelen", "address", "address v6", "route", "route with all", "rule in IPv6"),
    *("forwarding", "setting of a link", "name servers"),
)
Rows = dict[str, dict[str, object]]
Answers = dict[str, dict[str, list[str]]]


def once(tmp_path_factory: pytest.TempPathFactory, name: str, rows: Rows) -> Answers:
    """The answers that one of several workers of pytest gets for all of them."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID")
    if not run:
        return in_host(rows)
    path = tmp_path_factory.getbasetemp().parent / f"{run}-{name}.json"
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            path.write_text(json.dumps(in_host(rows)))
    return dict(json.loads(path.read_text()))


def in_host(rows: Rows) -> Answers:
    """What inverse.py tells of each row, from a private host."""
    holder = start_holder()
    if holder.stdout is None or holder.stdout.readline() != "ready\n":
        pytest.skip("no private namespaces here")
    host = Private(holder.pid, host_env())
    done = host.python(str(HERE / "inverse.py"), input=json.dumps(rows), timeout=600)
    end_host(holder)
    assert done.returncode == 0, done.stderr
    print(done.stderr)
    return dict(json.loads(done.stdout))


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Answers:
    """For each row that is asked for what was left after it was undone, twice."""
    rows = {}
    asked = {item.name.partition("[")[2].rstrip("]") for item in request.session.items}
    for name, (steps, before) in ((name, ROWS[name]) for name in ROWS if name in asked):
        others = foreign() + "ip netns add f0" * ("f0" in steps)
        rows[name] = {"others": others, "steps": steps, "before": before, "kill": False}
    return once(tmp_path_factory, "rows", rows)


@pytest.mark.parametrize("name", often(ROWS, ROWS.keys() - set(SAMPLED)))
def test_undone_it_is_as_before(answers: Answers, name: str) -> None:
    first, again = answers[name]["first"], answers[name]["again"]
    assert first == []
    assert unlike(again) == []
    assert len(again) <= (0 if ROWS[name][1] else 1)


def unlike(lines: list[str]) -> list[str]:
    """The lines but that what a plan makes is there already."""
    return [line for line in lines if "in the way and is not this lab's" not in line]


@pytest.fixture(scope="module")
def among_others(tmp_path_factory: pytest.TempPathFactory) -> Answers:
    """The samples of all kinds where others have things, undone and killed."""
    rows = {}
    for text in filterfalse(battery.lacks, battery.SAMPLES):
        others, own = battery.around(text)
        others += foreign("x0", "br9")
        before = text if battery.sets_only(text) and not own else ""
        rows[text] = {"others": others, "steps": own + text, "before": before, "kill": True}
    return once(tmp_path_factory, "among", rows)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Answers:
    """The samples of all kinds alone on a host, undone."""
    rows = {}
    for text in filterfalse(battery.lacks, battery.SAMPLES):
        others, own = battery.around(text)
        rows[text] = {"others": others, "steps": own + text}
    return once(tmp_path_factory, "alone", rows)


@pytest.fixture(scope="module")
def by_hand(tmp_path_factory: pytest.TempPathFactory) -> Answers:
    """The samples of all kinds alone on a host, taken back by hand, repaired and undone."""
    rows = {}
    for text in filterfalse(battery.lacks, battery.SAMPLES):
        others, own = battery.around(text)
        rows[text] = {"others": others, "steps": own + text, "hand": battery.by_hand(text)}
    return once(tmp_path_factory, "by hand", rows)


@pytest.fixture
def here(text: str) -> None:
    if battery.lacks(text):
        pytest.skip("this kernel has no such link: make vm-test")


@pytest.mark.parametrize("text", battery.SAMPLES)
@pytest.mark.usefixtures("here")
class TestSample:
    @pytest.mark.soak
    def test_alone_is_undone(self, alone: Answers, text: str) -> None:
        assert alone[text]["alone"] == []

    def test_among_others_is_undone(self, among_others: Answers, text: str) -> None:
        found = among_others[text]
        assert found["first"] == []
        assert unlike(found["again"]) == []
        assert len(found["again"]) <= (0 if battery.sets_only(text) else 1)

    def test_killed_is_undone(self, among_others: Answers, text: str) -> None:
        found = among_others[text]
        assert (found["killed"], found.get("killed again", [])) == ([], [])

    def test_taken_back_by_hand_is_told(self, by_hand: Answers, text: str) -> None:
        said = "\n".join(by_hand[text]["check"])
        assert f"(planned: {text})" in said and said.startswith("exit 1\n"), said
        assert "Traceback" not in said

    def test_taken_back_by_hand_is_repaired(self, by_hand: Answers, text: str) -> None:
        """And then undone, alone on a host."""
        assert by_hand[text]["repair"] == []
