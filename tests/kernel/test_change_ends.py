"""A live change ends as a fresh `up` would, asks what `down` asks, and survives every signal."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from endings import assert_as_before, assert_left, assert_not_blamed
from hosts import PATIENCE, Private, report, wait_for
from others import BRIDGE as BORROWED
from others import NO_IPV6, UPLINK, Hosts, lab_file, not_as, not_shaped_as, often, template

HOME = "containers:\n  a: {bridge: br1}\n"
MACVLAN = (
    "containers: {m0: {gateway: none,"
    " interfaces: [{macvlan: eth7, name: lan0, address: 10.66.0.77/24}]}}"
)
CABLE = """
containers:
  a: {interfaces: [{container: b, name: ab, address: 10.9.0.1/30}]}
  b: {interfaces: [{container: a, name: ba, address: 10.9.0.2/30}]}
  c: {}
"""
BRIDGE = "bridges: {br1: {address: 10.31.0.1/24}}\ncontainers: {a: {bridge: br1}, b: {bridge: br1}}"
NAT = """
bridges:
  br1: {address: 10.31.0.1/24, nat: true}
  br2: {address: 10.32.0.1/24, isolated: true}
containers:
  a: {bridge: br1}
"""
# Lab files before and after.
CHANGES = {
    "macvlan renamed": (MACVLAN, MACVLAN.replace("lan0", "lan1")),
    "macvlan on another link": (MACVLAN, MACVLAN.replace("eth7", "eth7x")),
    "one macvlan less": (
        MACVLAN.replace("}]", "}, {macvlan: eth7, name: lan1, address: 10.66.0.78/24}]"),
        MACVLAN,
    ),
    "cable to another container": (
        CABLE.replace("c: {}", "c: {interfaces: []}"),
        CABLE.replace("container: b", "container: c").replace("  b: {int", "  B: {int")
        .replace("  c: {}", "  b: {interfaces: []}").replace("  B:", "  c:"),
    ),
    "cable renamed": (CABLE, CABLE.replace("ab,", "far,")),
    "bridge renamed": (BRIDGE, BRIDGE.replace("br1", "br2")),
    "bridge with rules renamed": (NAT, NAT.replace("br1", "br7")),
    "bridges' names swapped": (
        NAT + "  b: {bridge: br2}\n",
        NAT.replace("br1", "x").replace("br2", "br1").replace("x", "br2") + "  b: {bridge: br1}\n",
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    "what", often(CHANGES, ("macvlan renamed", "cable renamed", "bridge renamed"))
)
def test_a_change_gives_what_a_fresh_up_gives(
    new_private: Hosts, tmp_path: Path, what: str
) -> None:
    host, twin = new_private(), new_private()
    for each in (host, twin):
        each.sh(UPLINK)
    before = host.snapshot()
    # Only a macvlan has an address in a network of the host's.
    options = ["--allow-overlap"] if "macvlan" in what else []
    for text in CHANGES[what]:
        host.cnetsh("up", lab_file(tmp_path, "mv", text), "--yes", *options)
    twin.cnetsh("up", str(tmp_path / "mv.yaml"), "--yes", *options)
    assert not_shaped_as(host, twin) == []
    done = host.cnetsh("down", "mv")
    assert not_as(host, before) == [], report(done)


class TestInUse:
    """A change that deletes a container asks what `down` asks."""

    ONE = BRIDGE.replace(", b: {bridge: br1}", "")

    def test_it_is_refused(self, private: Private, tmp_path: Path) -> None:
        private.cnetsh("up", lab_file(tmp_path, "n", BRIDGE))
        inside = start_inside(private, "b")
        up = private.snapshot(settled=0.2)
        lab = lab_file(tmp_path, "n", self.ONE)
        done = private.cnetsh("up", lab, "--yes", check=False)
        assert done.returncode == 2 and f"{inside.pid} (sleep) in b" in done.stderr, report(done)
        assert "--kill" in done.stderr and "undo [" not in done.stderr, report(done)
        assert not_as(private, up) == [] and inside.poll() is None
        done = private.cnetsh("up", lab, "--yes", "--kill", check=False)
        assert done.returncode == 0 and inside.wait(PATIENCE), report(done)
        assert "\nb " not in private.sh("ip netns list; echo")

    def test_where_another_container_is_it_is_not(self, private: Private, tmp_path: Path) -> None:
        private.cnetsh("up", lab_file(tmp_path, "n", BRIDGE))
        inside = start_inside(private, "a")
        done = private.cnetsh("up", lab_file(tmp_path, "n", self.ONE), "--yes", check=False)
        assert done.returncode == 0 and inside.poll() is None, report(done)

    def test_a_bridge_that_others_have_a_port_of(self, private: Private, tmp_path: Path) -> None:
        two = BRIDGE.replace("24}}", "24}, br2: {address: 10.32.0.1/24}}")
        private.cnetsh("up", lab_file(tmp_path, "n", two))
        private.sh("ip link add p7 type veth peer name q7; ip link set p7 master br2")
        up = private.snapshot(settled=0.2)
        done = private.cnetsh("up", lab_file(tmp_path, "n", BRIDGE), "--yes", check=False)
        assert done.returncode in (2, 3) and "p7" in done.stderr, report(done)
        assert done.returncode == 3 or not_as(private, up) == [], report(done)
        assert "master br2" in private.sh("ip link show p7")


def start_inside(private: Private, name: str) -> "subprocess.Popen[str]":
    process = private.start(["ip", "netns", "exec", name, "sleep", "600"])
    assert wait_for(lambda: f"{process.pid}\n" in private.sh(f"ip netns pids {name}"))
    assert wait_for(lambda: Path(f"/proc/{process.pid}/comm").read_text() == "sleep\n")
    return process


class TestSignals:
    """The lab is as it was or as it shall be; if not, `recover` takes all of it."""

    # Of 8 containers the steps run side by side, of one they do not.
    COUNTS, MOMENTS = (1, 8), (0, 0.01, 0.03)
    LAB = """
bridges: {br1: {address: 10.31.0.1/16}}
containers: {a: {bridge: br1, count: COUNT, dns: 1.1.1.1,
  sysctls: {net.ipv6.conf.all.disable_ipv6: 1}}}
"""

    @pytest.mark.parametrize(
        "number",
        [signal.SIGINT, signal.SIGKILL, pytest.param(signal.SIGTERM, marks=pytest.mark.soak)],
    )
    def test_in_a_change(self, private: Private, tmp_path: Path, number: signal.Signals) -> None:
        private.sh(NO_IPV6)
        before, states = private.snapshot(), {}
        for count in self.COUNTS:
            private.cnetsh("down", "s")
            private.cnetsh("up", self.lab(tmp_path, count), "--yes")
            # A bridge has no carrier yet when its lab has just come up.
            states[count] = private.snapshot(settled=0.2)
        now, other = count, 1
        for moment in self.MOMENTS:
            done = signalled(private, self.lab(tmp_path, other), number, moment)
            if done.returncode == 0:
                now, other = other, now
            if done.returncode in (0, 128 + number):
                assert not_shaped_as(private, states[now]) == [], (moment, report(done))
                continue
            assert done.returncode in (3, -number), (moment, report(done))
            recovered = private.cnetsh("recover", check=False)
            assert_not_blamed(recovered)
            assert recovered.returncode == 0, report(recovered)
            assert private.cnetsh("down", "s", check=False).returncode == 0
            assert not_as(private, before) == [], (moment, report(done), report(recovered))
            private.cnetsh("up", self.lab(tmp_path, now), "--yes")
        down = private.cnetsh("down", "s")
        assert_not_blamed(down)
        assert not_as(private, before) == [], report(down)

    def lab(self, folder: Path, count: int) -> str:
        return lab_file(folder, "s", self.LAB.replace("COUNT", str(count)))


def signalled(
    private: Private, lab: str, number: signal.Signals, seconds: float
) -> "subprocess.CompletedProcess[str]":
    """How a change ended that got a signal so long after it said that there is one."""
    argv = [sys.executable, "-m", "cnetsh", "up", lab, "--yes"]
    process = private.start(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr
    said = ""
    for line in process.stderr:
        said += line
        if "has changed" in line:
            break
    time.sleep(seconds)
    process.send_signal(number)
    said += process.stderr.read()
    return subprocess.CompletedProcess(argv, process.wait(PATIENCE), "", said)


# A template before and after, and what others do that keeps some of it from being undone.
KEPT = {
    "the way back is barred": (
        "ip link set eth7 down\nip link set eth7 up\nip link set eth7 alias lab",
        "ip link set eth7 alias lab",
        "ip route add blackhole 203.0.113.0/24",
        "route 203.0.113.0/24 via 10.66.0.254",
        "ip route delete blackhole 203.0.113.0/24",
    ),
    "a namespace is mounted again and again": (
        "ip netns add x7\nip netns exec x7 ip link set lo up\nip link set eth7 alias lab",
        "ip link set eth7 alias lab",
        "cd /run/netns; mount --make-rprivate .\nfor n in 1 2; do mount --bind x7 x7; done",
        "namespace x7 is still there",
        "umount /run/netns/x7",
    ),
    "an undo of the template fails": (
        "#: undo ip link delete nowhere\nip link set eth7 alias lab\nip link set eth7x alias lab",
        "ip link set eth7x alias lab",
        "true",
        "step 1 is not undone",
        "true",
    ),
}


@pytest.mark.parametrize("what", often(KEPT, tuple(KEPT)[:2]))
def test_what_a_change_leaves_behind_is_named_and_goes_with_the_lab(
    private: Private, tmp_path: Path, what: str
) -> None:
    old, new, meanwhile, named, again = KEPT[what]
    private.sh(UPLINK + "ip route add 203.0.113.0/24 via 10.66.0.254")
    before = private.snapshot()
    private.cnetsh("up", template(tmp_path, "k", old))
    private.sh(meanwhile)
    done = private.cnetsh("up", template(tmp_path, "k", new), "--yes", check=False)
    assert_left(done, named)
    assert "as planned" not in done.stderr, report(done)
    private.sh(again)
    done = private.cnetsh("down", "k", check=False)
    assert_as_before(done, "k")
    assert not_as(private, before) == []


LATE = "ip link add v7 type veth peer name v8\nip link set dev v7 master br9"
FAILS = "ip route add 203.0.113.0/24 via 10.5.0.254 dev br9"


@pytest.mark.parametrize("new", [f"{LATE}\n{FAILS}", f"{FAILS}\n{LATE}"], ids=["run", "not run"])
def test_what_others_had_taken_before_a_change_that_fails_stays_gone(
    private: Private, tmp_path: Path, new: str
) -> None:
    """Whether the change had come to the step that could have cost it or not."""
    known = "ip neigh add 10.5.0.9 lladdr 02:00:00:00:00:59 nud permanent dev br9"
    private.sh(f"{BORROWED}{known}")
    private.cnetsh("up", template(tmp_path, "k", "ip link set p9 alias lab"))
    private.sh("ip address delete 10.5.0.1/24 dev br9; ip address add 10.6.0.1/24 dev br9")
    meanwhile = private.snapshot()
    done = private.cnetsh("up", template(tmp_path, "k", new), "--yes", check=False)
    assert done.returncode == 1 and not_as(private, meanwhile) == [], report(done)
    private.cnetsh("down", "k")
    assert "10.5.0.9" not in private.sh("ip neigh show nud permanent")
