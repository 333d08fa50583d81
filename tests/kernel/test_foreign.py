"""What is not the lab's own stays as it is: shared, foreign, replaced or hostile objects."""

import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import oracle
import pytest
from endings import assert_as_before, assert_others_named
from hosts import PATIENCE, Private, report, wait_for
from others import template

from cnetsh.system import namespace

FORWARD = "/proc/sys/net/ipv4/ip_forward"
REDIRECTS = "/proc/sys/net/ipv4/conf/all/accept_redirects"
NAT_LAB = """
name: {name}
bridges:
  {name}br: {{address: 10.{number}.0.1/24, nat: true}}
containers:
  {name}:
    interfaces:
      - {{bridge: {name}br, host: {name}h}}
"""
PORT_LAB = """
name: {name}
bridges:
  br9: {{external: true}}
containers:
  {name}:
    gateway: none
    interfaces:
      - {{bridge: br9, host: {name}h, address: 10.9.0.{number}/24}}
"""
# With a port of its own: a bridge that loses its last port also loses the carrier, for good.
NO_IPV6 = "for each in all default; do echo 1 > /proc/sys/net/ipv6/conf/$each/disable_ipv6; done;"
FOREIGN_BRIDGE = f"""
{NO_IPV6}
ip link add br9 mtu 9000 type bridge
ip link add p9 mtu 9000 type veth peer name q9 mtu 9000
ip link set p9 master br9; ip link set br9 up; ip link set p9 up; ip link set q9 up
until ip link show br9 | grep -q LOWER_UP; do sleep 0.01; done
"""
PORTLESS = "ip link add br9 mtu 9000 type bridge; ip link set br9 address 02:00:00:00:00:99"
RULE = "POSTROUTING -s 172.18.0.0/12 ! -o br0 -j MASQUERADE"


def lab_file(folder: Path, text: str, name: str, number: int) -> str:
    path = folder / f"{name}.yaml"
    path.write_text(text.format(name=name, number=number), encoding="utf-8")
    return str(path)


def value(private: Private, path: str) -> str:
    return private.sh(f"cat {path}").strip()


def what_is_left(private: Private, lab: str) -> list[str]:
    """The differences that `up` and `down` leave."""
    before = private.snapshot()
    private.cnetsh("up", lab)
    private.cnetsh("down", lab)
    return oracle.diff(before, private.snapshot())


class TestShared:
    @pytest.mark.parametrize("order", [("routing", "b", "c"), ("c", "routing", "b")])
    def test_the_last_of_three_labs_turns_forwarding_off(
        self, private: Private, tmp_path: Path, order: tuple[str, ...]
    ) -> None:
        private.sh(f"echo 0 > {REDIRECTS}")
        before = private.snapshot()
        files = [lab_file(tmp_path, NAT_LAB, name, at) for at, name in enumerate("bc", 61)]
        for lab in ("routing", *files):
            private.cnetsh("up", lab)
        for name in order:
            assert value(private, FORWARD) == "1"
            done = private.cnetsh("down", name)
            assert "changed meanwhile" not in done.stderr, report(done)
        assert oracle.diff(before, private.snapshot()) == []

    @pytest.mark.parametrize("holder", ["the admin", "another lab"])
    def test_a_lab_that_changes_leaves_forwarding_to_who_needs_it(
        self, private: Private, tmp_path: Path, holder: str
    ) -> None:
        if holder == "the admin":
            private.sh(f"echo 1 > {FORWARD}")
        before = private.snapshot()
        lab = Path(lab_file(tmp_path, NAT_LAB, "a", 61))
        private.cnetsh("up", str(lab))
        if holder == "another lab":
            private.cnetsh("up", lab_file(tmp_path, NAT_LAB, "b", 62))
        lab.write_text(lab.read_text(encoding="utf-8").replace(", nat: true", ""), encoding="utf-8")
        changed = private.cnetsh("up", str(lab), "--yes")
        assert "a is up as planned now" in changed.stderr, report(changed)
        assert value(private, FORWARD) == "1"
        for name in "ab":
            private.cnetsh("down", name)
        assert oracle.diff(before, private.snapshot()) == []

    @pytest.mark.parametrize("order", ["ab", "ba"])
    def test_the_last_of_two_labs_leaves_a_foreign_bridge_as_it_was(
        self, private: Private, tmp_path: Path, order: str
    ) -> None:
        private.sh(FOREIGN_BRIDGE)
        before = private.snapshot(settled=0.2)
        for number, name in enumerate("ab", 2):
            private.cnetsh("up", lab_file(tmp_path, PORT_LAB, name, number))
        for name in order:
            done = private.cnetsh("down", name)
            assert "changed meanwhile" not in done.stderr, report(done)
        assert oracle.diff(before, private.snapshot()) == []

    def test_one_of_eight_at_once_brings_it_up(self, private: Private) -> None:
        before = private.snapshot()
        race_for_one_lab(private)
        assert oracle.diff(before, private.snapshot()) == []

    def test_labs_that_come_up_at_once(self, private: Private, tmp_path: Path) -> None:
        before = private.snapshot()
        race_of_labs(private, nat_labs(tmp_path, "abc"))
        assert oracle.diff(before, private.snapshot()) == []


def race_for_one_lab(host: Private) -> None:
    """Eight bring one lab up at once: one does, and seven say that it is up."""
    argv = [sys.executable, "-m", "cnetsh", "up", "container"]
    racers = [host.start(argv, stderr=subprocess.PIPE) for _ in range(8)]
    texts = [racer.communicate(timeout=PATIENCE)[1] for racer in racers]
    assert [racer.returncode for racer in racers] == [0] * 8, texts
    assert sum("container is up: 8 steps" in text for text in texts) == 1
    assert sum("container is up already" in text for text in texts) == 7
    host.cnetsh("down", "container")


def nat_labs(folder: Path, names: str) -> list[str]:
    """Lab files that all switch forwarding on."""
    return [lab_file(folder, NAT_LAB, name, at) for at, name in enumerate(names, 61)]


def race_of_labs(host: Private, files: list[str]) -> None:
    """Labs that share forwarding come up at once and go at once; the last one switches it off."""
    for verb, expected in (("up", "1"), ("down", "0")):
        argv = [sys.executable, "-m", "cnetsh", verb]
        racers = [host.start([*argv, file], stderr=subprocess.PIPE) for file in files]
        texts = [racer.communicate(timeout=PATIENCE)[1] for racer in racers]
        assert [racer.returncode for racer in racers] == [0] * len(files), texts
        assert value(host, FORWARD) == expected


class TestWhatWasThereBefore:
    def test_a_foreign_bridge_gains_a_port_for_a_while(
        self, private: Private, tmp_path: Path
    ) -> None:
        private.sh(f"{FOREIGN_BRIDGE} ip address add 10.9.0.1/24 dev br9")
        lab = lab_file(tmp_path, PORT_LAB, "a", 2)
        before = private.snapshot(settled=0.2)
        private.cnetsh("up", lab)
        assert "master br9" in private.sh("ip link show ah")
        private.cnetsh("check", "a")
        private.cnetsh("down", "a")
        assert oracle.diff(before, private.snapshot()) == []

    @pytest.mark.parametrize("by_hand", [True, False])
    def test_a_bridge_without_ports_keeps_its_mac_and_an_mtu_set_by_hand(
        self, private: Private, tmp_path: Path, by_hand: bool
    ) -> None:
        """One that it got when it was made follows its ports: set anew it never would again."""
        private.sh(PORTLESS + "; ip link set br9 mtu 8000; ip link set br9 mtu 9000" * by_hand)
        before = private.snapshot()
        private.cnetsh("up", lab_file(tmp_path, PORT_LAB, "a", 2))
        done = private.cnetsh("down", "a")
        assert_as_before(done, "a")
        told = done.stderr.partition("a is down")[0]
        assert ("link br9: mtu was 9000, is 1500" in told) != by_hand, report(done)
        found = oracle.diff(before, private.snapshot())
        assert all("mtu" in line for line in found) and bool(found) != by_hand, found

    def test_a_bridge_that_had_no_port_is_said_to_follow_the_next_one(
        self, private: Private, tmp_path: Path
    ) -> None:
        """It has no MAC address any more: to give it the old one would pin it for ever."""
        private.sh(f"{NO_IPV6} ip link add br9 type bridge")
        before = private.snapshot()
        private.cnetsh("up", lab_file(tmp_path, PORT_LAB, "a", 2))
        done = private.cnetsh("down", "a")
        assert_as_before(done, "a")
        assert "br9" in done.stderr.partition("a is down")[0], report(done)
        left = oracle.diff(before, private.snapshot())
        assert len(left) == 1 and left[0].startswith("links/br9/address"), left

    def test_a_bridge_without_ports_keeps_all_but_its_carrier(
        self, private: Private, tmp_path: Path
    ) -> None:
        """The kernel takes it with the last port, and `down` does not speak of it."""
        private.sh(f"{NO_IPV6} {PORTLESS} mtu 1400; ip address add 10.9.0.1/24 dev br9")
        private.sh("ip link set br9 up")
        before = private.snapshot(settled=0.2)
        private.cnetsh("up", lab_file(tmp_path, PORT_LAB, "a", 2))
        done = private.cnetsh("down", "a")
        assert_as_before(done, "a")
        left = oracle.diff(before, private.snapshot(settled=0.2))
        assert [line for line in left if "flags" not in line and "linkdown" not in line] == []

    def test_settings_rule_and_links(self, private: Private) -> None:
        """Forwarding on, redirects refused, the same rule there, lo up and a link down."""
        private.sh(f"echo 1 > {FORWARD}; echo 0 > {REDIRECTS}")
        private.sh(f"iptables -t nat -A {RULE}; ip link add dummy9 type bridge")
        assert what_is_left(private, "routing") == []
        assert private.sh("iptables -t nat -S").count("MASQUERADE") == 1

    def test_redirects_stay_refused(self, private: Private) -> None:
        private.sh(f"echo 0 > {REDIRECTS}; echo 1 > /proc/sys/net/ipv4/conf/lo/forwarding")
        assert what_is_left(private, "routing") == []
        assert value(private, REDIRECTS) == "0"

    @pytest.mark.parametrize("was_up", ["up", "down"])
    def test_a_link_that_a_template_sets_up(
        self, private: Private, tmp_path: Path, was_up: str
    ) -> None:
        private.sh(f"ip link add br9 type bridge; ip link set br9 {was_up}; ip link set lo down")
        lines = "ip link set br9 up\nip link set lo up\nip address add 10.9.0.1/24 dev br9\n"
        lab, before = template(tmp_path, "links", lines), private.snapshot(settled=0.2)
        private.cnetsh("up", lab)
        assert ",UP" in private.sh("ip link show br9")
        private.cnetsh("down", lab)
        left = oracle.diff(before, private.snapshot(settled=0.2))
        # The kernel gives lo its address when it comes up and keeps it afterwards.
        assert [line for line in left if "lo" not in line and "127.0.0" not in line] == []

    @pytest.mark.parametrize(
        ("made", "named"),
        [
            ("ip link add br0 type bridge", "br0"),
            ("ip netns add net1", "net1"),
            ("ip link add veth1 type bridge", "veth1"),
            ("mkdir -p /run/netns; : > /run/netns/net0", "net0"),
        ],
        ids=["bridge", "namespace", "link", "ghost"],
    )
    def test_a_name_that_is_taken(self, private: Private, made: str, named: str) -> None:
        private.sh(made)
        before = private.snapshot()
        done = private.cnetsh("up", "routing", check=False)
        assert done.returncode == 2 and named in done.stderr, report(done)
        assert oracle.diff(before, private.snapshot()) == []


class TestReplaced:
    """What bears the name of a lab's object, but is another one, is not touched."""

    def test_foreign_link_bridge_and_namespace(self, private: Private) -> None:
        private.cnetsh("up", "routing")
        private.sh("ip link del br0; ip netns del net0; ip netns del net1")
        assert wait_for(lambda: "veth" not in private.sh("ip link show"))
        private.sh(
            "ip link add br0 type bridge; ip address add 10.9.0.1/24 dev br0; ip netns add net0"
        )
        private.sh("ip link add veth0 type bridge; ip link set veth0 up; ip link set br0 up")
        checked = private.cnetsh("check", "routing", check=False)
        assert checked.returncode == 1 and "another one than the lab made" in checked.stderr
        before = private.snapshot(settled=0.2)
        done = private.cnetsh("down", "routing")
        left = oracle.diff(before, private.snapshot(settled=0.2))
        assert all("forward" in line or "rules" in line or "redirects" in line for line in left)
        assert value(private, FORWARD) == "0" and "MASQ" not in private.sh("iptables -t nat -S")
        for name in ("link br0", "link veth0", "namespace net0"):
            assert f"\n  {name} is new\n" in done.stderr

    def test_another_namespace_of_the_same_name(self, private: Private) -> None:
        private.cnetsh("up", "container")
        private.sh("ip netns delete net0")
        assert wait_for(lambda: "veth0" not in private.sh("ip link show"))
        private.sh("ip netns add net0; ip -n net0 link add precious type bridge")
        done = private.cnetsh("down", "container")
        assert_others_named(done, "container", "namespace net0 is new")
        assert "precious" in private.sh("ip -n net0 link show")

    def test_the_inode_alone_does_not_tell_a_namespace(self) -> None:
        """The kernel gives the number of one that is gone to another; on a quiet host at once."""
        ours, other = (SimpleNamespace(st_ino=4026532247, st_ctime_ns=at) for at in (1, 2))
        assert namespace.mark(ours) != namespace.mark(other)

    def test_a_foreign_port_of_our_bridge(self, private: Private) -> None:
        before = private.snapshot()
        private.cnetsh("up", "bridge")
        private.sh("ip link add eth7 type bridge; ip link add p7 type veth peer name q7")
        private.sh("ip link set p7 master br0")
        done = private.cnetsh("down", "bridge", check=False)
        assert done.returncode == 3, report(done)
        assert "bridge br0 stays: p7 is a port of it and not of this lab" in done.stderr
        assert "ip link set dev p7 nomaster" in done.stderr
        assert "master br0" in private.sh("ip link show p7")
        private.sh("ip link set dev p7 nomaster; ip link del p7; ip link del eth7")
        private.cnetsh("down", "bridge")
        assert oracle.diff(before, private.snapshot()) == []


class TestInUse:
    def test_a_process_inside_is_named_and_killed_alone(self, private: Private) -> None:
        before = private.snapshot()
        private.cnetsh("up", "container")
        inside = private.start(["ip", "netns", "exec", "net0", "sleep", "600"])
        outside = private.start(["sleep", "600"])
        up = private.snapshot(settled=0.2)
        done = private.cnetsh("down", "container", check=False)
        assert done.returncode == 2, report(done)
        assert f"{inside.pid} (sleep) in net0" in done.stderr and "--kill" in done.stderr
        assert "ends process" not in done.stderr
        assert oracle.diff(up, private.snapshot()) == []
        private.cnetsh("down", "container", "--kill")
        assert inside.wait(PATIENCE) and outside.poll() is None
        assert oracle.diff(before, private.snapshot()) == []
        outside.kill()
        outside.wait()

    def test_a_namespace_that_lives_on(self, new_private: Callable[[], Private]) -> None:
        """By a second mount or a descriptor: `down` waits for the cable, then deletes it."""
        hosts = [new_private(), new_private()]
        with ThreadPoolExecutor() as both:
            list(both.map(stays_alive, hosts, ("mount --bind ", "exec 9<")))

    def test_a_namespace_that_became_a_ghost(self, private: Private) -> None:
        before = private.snapshot()
        private.cnetsh("up", "container")
        private.sh("umount /run/netns/net0")
        assert private.cnetsh("check", "container", check=False).returncode == 1
        done = private.cnetsh("down", "container")
        assert "ip netns delete net0" in done.stderr, report(done)
        assert oracle.diff(before, private.snapshot()) == []


def stays_alive(private: Private, how: str) -> None:
    before = private.snapshot()
    private.cnetsh("up", "container")
    words = "/run/netns/net0" if how.endswith("<") else "/run/netns/net0 /run/netns/net0"
    keeper = private.start(
        ["sh", "-c", f"{how}{words}; echo; exec sleep 600"], stdout=subprocess.PIPE
    )
    assert keeper.stdout is not None and keeper.stdout.readline() == "\n"
    began = time.monotonic()
    done = private.cnetsh("down", "container", check=False)
    assert time.monotonic() - began < 60
    if done.returncode:
        assert done.returncode == 3 and "net0" in done.stderr, report(done)
        done = private.cnetsh("down", "container")
    assert oracle.diff(before, private.snapshot()) == []
    keeper.kill()
    keeper.communicate()


HOSTILE = """
ip link add name "$(printf 'a\\033[2Jb')" type bridge
ip link add name 'c'\\''d"e' type bridge
ip netns add 1
mkdir -p /run/netns; : > /run/netns/ghost
iptables -A INPUT -s 10.9.9.9 -m comment --comment 'odd "two" -A X \\ $(id) [/x]' -j DROP
iptables -t nat -A POSTROUTING -s 10.8.8.8 -m comment --comment "it's" -j MASQUERADE
"""


def test_a_cable_to_a_namespace_without_a_name(new_private: Callable[[], Private]) -> None:
    # As every container has one: its other end is nowhere that has a name here.
    host, other = new_private(), new_private()
    host.sh(f"ip link add far type veth peer name eth0 netns {other.pid}; ip link set far up")
    for words in ("doctor veth", "up veth", "why host 10.0.0.2", "show host", "down veth"):
        done = host.cnetsh(*words.split(), check=False)
        assert "No such file" not in done.stderr and "Traceback" not in done.stderr, report(done)
        assert done.returncode in ((0, 1, 4) if "why" in words else (0,)), report(done)


def test_every_command_beside_hostile_objects(private: Private) -> None:
    private.sh(HOSTILE)
    before = private.snapshot()
    commands = (
        ["doctor", "routing"],
        ["plan", "routing", "--on", "host"],
        ["up", "routing"],
        ["status"],
        ["check", "routing"],
        ["exec", "net0", "--", "true"],
        ["graph", "--live"],
        ["recover"],
        ["down", "routing"],
    )
    for command in commands:
        done = private.cnetsh(*command, check=False)
        assert done.returncode == 0, (command, report(done))
        assert "\033" not in done.stdout + done.stderr and "Traceback" not in done.stderr
    assert oracle.diff(before, private.snapshot()) == []
