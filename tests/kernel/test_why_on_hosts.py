"""`why` names what breaks a network, and what it prints mends it: one command each breaks a lab."""

import csv
import json
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from hosts import Private, report, wait_for
from mistaken import MISTAKES
from others import lab_file, template

from cnetsh.labs import choose

HERE = Path(__file__).resolve().parent
EXAMPLES = f"{HERE.parent.parent}/examples/"
SANDBOX = "\n".join(step.text for step in choose.part("sandbox", (), "up").steps)


def table(name: str) -> dict[str, dict[str, str]]:
    with (HERE / name).open(newline="") as file:
        return {row["id"]: row for row in csv.DictReader(file, delimiter="\t", quoting=3)}


ROWS = table("breakages.tsv") | table("own_breakages.tsv")
# By which the lab itself is as it is: nothing is to be mended.
BY_DESIGN = {"conflict-by-design", "nobody-listens", "listens-on-loopback"}
ROUNDS = 3
FEW = ("host-end-down", "no-default-route", "forward-rule", "redirected-port", "no-rule-for-main")
# For this there is no room: what carries it takes as much as it takes itself. Of two numbers nobody
# knows which was meant, nor whom else a tunnel was to lead to.
UNMENDED = {"vxlan-room", "vxlan-of-two-numbers", "vxlan-to-nobody"}
ECHO = """
import socket, sys
own = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
own.bind((sys.argv[2], int(sys.argv[1])))
while True:
    own.sendto(*own.recvfrom(9000))
"""


def why(private: Private, asked: str, code: int | None = None) -> dict[str, Any]:
    done = private.cnetsh("why", *asked.split(), "--json", check=False)
    assert done.stdout and (code is None or done.returncode == code), report(done)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@contextmanager
def broken(private: Private, row: dict[str, str]) -> Iterator[None]:
    private.sh(SANDBOX)
    for lab in row["lab"].split(" + "):
        private.cnetsh("up", *lab.replace("examples/", EXAMPLES).split())
    with ExitStack() as servers:
        if row["before"]:
            kind, name, port, address = row["before"].split()
            private.sh(f"ip -n {name} link set lo up")
            serve = ["-m", "http.server", port, "--bind", address]
            program = serve if kind == "serve" else ["-c", ECHO, port, address]
            argv = ["ip", "netns", "exec", name, "python3", *program]
            server = private.start(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            servers.callback(server.wait)
            servers.callback(server.kill)
            listens = ["ip", "netns", "exec", name, "ss", "-Hltun", f"sport = :{port}"]
            assert wait_for(lambda: bool(private.run(listens).stdout))
        if row["command"]:
            # A look for duplicates goes on where the carrier is lost, with nothing to tell of it.
            private.snapshot()
            private.run(["bash", "-c", row["command"]])
        yield


def seen(private: Private, settled: float = 0.0) -> tuple[object, str]:
    """All that the kernel says, the tables of nftables of every namespace too."""
    names = private.sh("ls /run/netns").split()
    nft = "".join(f"ip netns exec {name} nft -s list ruleset\n" for name in names)
    return private.snapshot(settled), private.sh(f"nft -s list ruleset\n{nft}")


def is_named_and_mended(private: Private, row: dict[str, str]) -> None:
    with broken(private, row):
        # What has just been broken may lose its carrier only now.
        before = seen(private, settled=0.2)
        found = why(private, row["asked"], 1)
        assert seen(private) == before
        assert found["layer"] == row["layer"], found
        assert found["reason"] and found["evidence"]
        if row["id"] in UNMENDED:
            return
        if row["id"] in BY_DESIGN:
            return
        for _ in range(ROUNDS):
            assert found["fix"], found
            private.run(["sh", "-c", "\n".join(found["fix"])])
            found = why(private, row["asked"])
            if found["arrives"]:
                return
        pytest.fail(f"still not: {found}")


@pytest.mark.parametrize("name", FEW)
def test_what_breaks_a_network_is_named_and_mended(private: Private, name: str) -> None:
    is_named_and_mended(private, ROWS[name])


@pytest.mark.soak
@pytest.mark.parametrize("name", [name for name in ROWS if name not in FEW])
def test_the_other_ways_to_break_one(private: Private, name: str) -> None:
    is_named_and_mended(private, ROWS[name])


def test_a_healthy_way_is_told_hop_by_hop_and_changes_nothing(private: Private) -> None:
    private.sh(SANDBOX)
    private.cnetsh("up", "routing")
    private.cnetsh("why", "net0", "1.1.1.1")
    before = private.snapshot(settled=0.2)
    done = private.cnetsh("why", "net0", "1.1.1.1")
    assert done.stdout.splitlines()[:3] == [
        "net0 to 1.1.1.1: arrives",
        "  net0: out by ceth0 to 172.18.0.1, by the route to default",
        "  the host: in by br0",
    ]
    assert private.snapshot() == before
    done = private.cnetsh("why", "net0", "1.1.1.1:80", check=False)
    assert done.stdout.startswith("net0 to 1.1.1.1 port 80/tcp: does not arrive\n")
    for port in ("80", "80/udp"):
        refused = why(private, f"net0 1.1.1.1:{port}", 1)["reason"]
        assert refused == f"nobody listens on {port[3:] or 'tcp'} port 80 in internet"
    # Nothing was sent, and so nothing is known of who listens.
    done = private.cnetsh("why", "net0", "1.1.1.1:80", "--no-probe")
    assert done.stdout.startswith(
        "net0 to 1.1.1.1 port 80/tcp: would arrive, where somebody listens\n"
    )


def test_check_says_why_a_ping_fails(private: Private) -> None:
    private.sh(SANDBOX)
    private.cnetsh("up", "routing")
    private.sh("ip netns exec net0 ip route del default")
    done = private.cnetsh("check", "routing", check=False)
    assert done.returncode == 1
    assert "net0 has no route to 1.1.1.1" in done.stderr
    assert "would help: ip netns exec net0 ip route add default via 172.18.0.1" in done.stderr
    rows = json.loads(private.cnetsh("check", "routing", "--json", check=False).stdout)["checks"]
    why = {row["command"]: row["why"]["layer"] for row in rows if row["verdict"] == "failed"}
    assert why == {
        f"ip netns exec net0 ping -c1 -W1 {to}": "route" for to in ("10.0.2.15", "1.1.1.1")
    }


# What is lost besides, of which the first has nothing to do with the packet, and what mends it.
BESIDES = {
    "of the sender's": (
        "ip -n net0 route del default; ip addr del 172.18.0.1/12 dev br0", "net0 172.18.0.1",
        ["ip address add 172.18.0.1/12 dev br0"],
    ),
    "an address that begins alike": (
        "ip addr del 172.18.0.1/12 dev br0; ip -n net0 addr del 172.18.0.10/12 dev ceth0",
        "net1 172.18.0.1", ["ip address add 172.18.0.1/12 dev br0"],
    ),
    "a cable's other end": (
        "ip -n net0 route del default; ip link set veth1 nomaster", "net0 172.18.0.20",
        ["ip link set dev veth1 master br0"],
    ),
    "all of the target's": (
        "ip -n net1 addr flush dev ceth1", "net0 net1",
        ["ip netns exec net1 ip address add 172.18.0.20/12 dev ceth1"],
    ),
    "both are needed": (
        "ip -n net0 addr flush dev ceth0", "net0 1.1.1.1",
        ["ip netns exec net0 ip address add 172.18.0.10/12 dev ceth0",
         "ip netns exec net0 ip route add default via 172.18.0.1"],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("lost", "asked", "helps"), BESIDES.values(), ids=BESIDES)
def test_of_all_that_a_lab_has_lost_what_helps_is_told(
    private: Private, lost: str, asked: str, helps: list[str]
) -> None:
    private.sh(SANDBOX)
    private.cnetsh("up", "routing")
    private.sh(lost)
    assert why(private, asked, 1)["fix"] == helps
    private.sh("\n".join(helps))
    why(private, asked, 0)


def test_a_route_that_refuses_is_shown_in_whichever_table_it_is(private: Private) -> None:
    private.cnetsh("up", "routing")
    private.sh(
        "ip -n net0 route add blackhole default table 77; ip -n net0 rule add iif lo table 77"
    )
    found = why(private, "net0 1.1.1.1", 1)
    assert found["reason"] == "net0 has a blackhole route to default"
    assert "blackhole default table 77" in private.sh(found["evidence"])
    # The plan's own route to default is another.
    assert found["step"] == ""


@pytest.mark.parametrize(
    ("lost", "layer"), [("addr flush dev ceth1", "address"), ("link delete ceth1", "link")]
)
def test_who_had_the_address_that_nobody_has_is_named(
    private: Private, lost: str, layer: str
) -> None:
    private.cnetsh("up", "bridge")
    private.sh(f"ip -n net1 {lost}")
    found = why(private, "net0 172.18.0.20", 1)
    assert found["reason"].endswith("gets no answer; net1 had it") and found["layer"] == layer
    private.sh("\n".join(found["fix"]))
    why(private, "net0 172.18.0.20", 0)


EVERY_ETH0 = """
bridges:
  br1: {address: 10.9.0.1/24}
containers:
  a: {interfaces: [{bridge: br1, name: eth0}]}
  b: {interfaces: [{bridge: br1, name: eth0}]}
"""


@pytest.mark.parametrize(
    ("lost", "first"),
    [
        ("link delete eth0", "ip link add n1-0 type veth peer name eth0 netns a"),
        ("link set eth0 netns internet", "ip netns exec internet ip link set eth0 netns a"),
    ],
    ids=("deleted", "moved"),
)
def test_a_link_of_the_same_name_is_not_taken_for_one_that_is_lost(
    private: Private, tmp_path: Path, lost: str, first: str
) -> None:
    """Least of all the target's own eth0, the way out."""
    private.sh(SANDBOX)
    private.cnetsh("up", lab_file(tmp_path, "n1", EVERY_ETH0))
    private.sh(f"ip -n a {lost}")
    found = why(private, "a b", 1)
    assert found["fix"][0] == first
    assert lost.startswith("link delete") or not any("link add" in text for text in found["fix"])
    for _ in range(ROUNDS):
        private.run(["sh", "-c", "\n".join(found["fix"])])
        found = why(private, "a b")
    assert found["arrives"], found
    assert "eth0" in private.sh("ip route show default")


def test_a_chain_of_nftables_without_rules_is_known_to_let_all_pass(private: Private) -> None:
    private.cnetsh("up", "bridge")
    private.sh("nft add table inet z")
    private.sh("nft 'add chain inet z c { type filter hook prerouting priority 0; }'")
    why(private, "net0 net1 --no-probe", 0)
    private.sh("nft add rule inet z c counter")
    found = why(private, "net0 net1 --no-probe", 4)
    assert found["reason"] == "it is not known what the chain c of the nft table inet z does"


TUNNEL = """
ip netns add a
ip netns add b
ip link add u0 netns a type veth peer name u1 netns b
ip netns exec a ip address add 10.9.0.1/24 dev u0
ip netns exec a ip link set u0 up
ip netns exec b ip address add 10.9.0.2/24 dev u1
ip netns exec b ip link set u1 up
ip netns exec a ip link add x0 type vxlan id 42 local 10.9.0.1 remote 10.9.0.2 dstport 4789 dev u0
ip netns exec b ip link add x1 type vxlan id 42 local 10.9.0.2 remote 10.9.0.1 dstport 4789 dev u1
ip netns exec a ip address add 10.8.0.1/24 dev x0
ip netns exec b ip address add 10.8.0.2/24 dev x1
ip netns exec a ip link set x0 up
ip netns exec b ip link set x1 up
"""


def test_who_has_lost_the_address_of_a_tunnels_end_is_told_how_to_get_it_again(
    private: Private, tmp_path: Path
) -> None:
    private.cnetsh("up", template(tmp_path, "t", TUNNEL))
    private.sh("ip -n b address flush dev u1")
    found = why(private, "a 10.8.0.2", 1)
    assert found["reason"].startswith("nobody has 10.9.0.2: a asks for it on u0")
    assert found["fix"] == ["ip netns exec b ip address add 10.9.0.2/24 dev u1"]
    private.sh(found["fix"][0])
    why(private, "a 10.8.0.2", 0)


ISOLATED = """
bridges:
  back: {address: 10.9.0.1/24, isolated: true}
  front: {address: 10.8.0.1/24}
containers:
  a: {bridge: back}
  b: {bridge: front}
"""


def test_what_a_lab_keeps_apart_is_not_to_be_passed_on(private: Private, tmp_path: Path) -> None:
    private.sh(SANDBOX)
    private.cnetsh("up", lab_file(tmp_path, "n1", ISOLATED))
    for asked in ("a 1.1.1.1", "b a"):
        found = why(private, asked, 1)
        assert "ip_forward is 0; with 1, the host " in found["reason"], found
        assert found["fix"] == [] and "n1, step " in found["step"], found
    assert why(private, "b 1.1.1.1", 1)["fix"] == ["echo 1 | tee /proc/sys/net/ipv4/ip_forward"]


@pytest.mark.parametrize(
    "asked",
    [
        "--ns nobody 1.1.1.1",
        "a b 1.1.1.1",
        "nobody 1.1.1.1",
        "host nobody",
        "host 1.1.1.1:x",
        "host host:0",
        "host host:65536",
        "host 224.0.0.1",
        "host 255.255.255.255",
        "host ::",
        "host [",
    ],
)
def test_what_nobody_can_ask_is_refused(private: Private, asked: str) -> None:
    done = private.cnetsh("why", *asked.split(), check=False)
    assert done.returncode == 2 and done.stderr.startswith("cnetsh: ")


def test_a_namespace_that_has_no_name_is_called_by_a_process_in_it(private: Private) -> None:
    """As Docker's containers are: two on a bridge, known by their processes alone."""
    private.sh(
        "ip link add docker9 type bridge; ip address add 10.9.0.1/24 dev docker9; "
        "ip link set docker9 up"
    )
    with ExitStack() as inside:
        paths = []
        for at in (2, 3):
            argv = ["unshare", "--net", "sh", "-c", "echo; exec cat"]
            one = private.start(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            inside.callback(one.communicate)
            assert one.stdout and one.stdout.readline()
            paths.append(f"/proc/{one.pid}/ns/net")
            private.sh(f"ip link add v{at} type veth peer name eth0 netns {one.pid}\n"
                       f"ip link set v{at} master docker9 up\n"
                       f"nsenter --net={paths[-1]} ip address add 10.9.0.{at}/24 dev eth0"
                       )  # fmt: skip
        private.sh(f"nsenter --net={paths[0]} ip link set eth0 up")
        one, two = (path.split("/")[2] for path in paths)
        found = why(private, f"--ns {two} {one} 10.9.0.3", 1)
        assert found["layer"] == "cable", found
        assert found["fix"] == [f"nsenter --net={paths[1]} ip link set eth0 up"]
        private.sh(found["fix"][0])
        assert why(private, f"--ns {two} {one}")["hops"][:3] == [
            f"process {two}: out by eth0, by the route to 10.9.0.0/24",
            "the host: through the bridge docker9",
            f"process {one}: in by eth0",
        ]


def test_who_is_not_named_is_asked_for_with_all_names(private: Private) -> None:
    private.sh("ip netns add n9")
    done = private.cnetsh("why", "1.1.1.1", check=False)
    assert done.returncode == 2 and done.stderr.splitlines()[0] == "cnetsh: FROM is missing"
    assert "there are: host, n9; by the number of a process any (--ns PID)" in done.stderr


@pytest.mark.soak
@pytest.mark.parametrize(("up", "check", "says"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_that_was_foretold_has_the_same_reason_afterwards(
    private: Private, tmp_path: Path, up: str, check: str, says: str
) -> None:
    private.sh(SANDBOX)
    lab = template(tmp_path, "t", up, check=check)
    done = private.cnetsh("up", lab)
    assert f"will fail: {says}" in done.stderr, report(done)
    words = check.split()
    sender = words[3] if words[0] == "ip" else "host"
    assert why(private, f"{sender} {words[-1]}", 1)["reason"] == says
    done = private.cnetsh("check", lab, check=False)
    assert done.returncode == 1 and says in done.stderr, report(done)
