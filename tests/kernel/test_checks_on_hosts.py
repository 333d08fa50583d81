"""What check says of a lab that is up follows from pings that could have ended otherwise."""

import re
import time
from pathlib import Path

from hosts import Ordinary, Private, report

from cnetsh.labs.topology.ping import Patience

TWO_ROOMS = """\
name: rooms
bridges:
  br1: {address: 10.31.0.1/24, isolated: true}
  br2: {address: 10.32.0.1/24}
containers:
  a: {bridge: br1}
  b: {bridge: br2}
"""
# Of five packets the first four are lost.
LOSSY = """\
iptables -A INPUT -p icmp -m statistic --mode nth --every 5 --packet 4 -j ACCEPT
iptables -A INPUT -p icmp --icmp-type echo-request -j DROP
"""
ALONE = "name: alone\ncontainers:\n  a:\n"


def up(host: Private, folder: Path, text: str) -> str:
    file = folder / "lab.yaml"
    file.write_text(text, encoding="utf-8")
    host.cnetsh("up", str(file))
    return str(file)


def test_a_failure_for_another_reason_is_not_tried(private: Private, tmp_path: Path) -> None:
    file = up(private, tmp_path, TWO_ROOMS)
    # Nobody answers at 1.1.1.1, isolated or not.
    assert "4 checks ok, 0 failed, 1 not tried, 0 changed" in private.cnetsh("check", file).stderr
    private.sh("ip link del rooms-1")
    done = private.cnetsh("check", file, check=False)
    assert done.returncode == 1 and "1 check ok, 1 failed, 3 not tried" in done.stderr
    assert "isolated" not in done.stdout, report(done)
    assert done.stdout.count("ip netns exec b ping -c1 -W1 10.32.0.1 fails too (") == 2


def test_where_nothing_keeps_it_apart_the_failure_fails(private: Private, tmp_path: Path) -> None:
    file = up(private, tmp_path, TWO_ROOMS)
    private.sh("iptables -F CNETSH-rooms; sysctl -qw net.ipv4.ip_forward=1")
    done = private.cnetsh("check", file, check=False)
    assert done.stdout.count("it works and must not: br1 is isolated") == 2, report(done)


def test_one_answer_to_many_packets_is_enough(private: Private) -> None:
    """The ping of a lab with losses, on a kernel that may have no netem."""
    private.sh(LOSSY)
    began = time.monotonic()
    done = private.run(["ping", *Patience(9, lossy=True).options.split(), "127.0.0.1"])
    assert done.returncode == 0 and "1 received, 80% packet loss" in done.stdout, report(done)
    assert time.monotonic() - began < 8


def test_of_a_long_look_the_first_lines_are_shown(private: Private) -> None:
    private.cnetsh("up", "bridge", "--set", "containers=60")
    done = private.cnetsh("check", "bridge")
    assert "40 more lines: -v shows all" in done.stderr, report(done)
    assert done.stdout.count("master br0") == 20
    assert private.cnetsh("check", "-v", "bridge").stdout.count("master br0") == 60


def test_in_a_sandbox_it_is_told_where_what_would_help_is_typed(ordinary: Ordinary) -> None:
    ordinary.cnetsh("up", "bridge", "--on", "sandbox:two")
    typed = ("cnetsh", "exec", "host", "--on", "sandbox:two", "--", "sh", "-c")
    ordinary.cnetsh(*typed[1:], "ip address del 172.18.0.1/12 dev br0")
    done = ordinary.cnetsh("check", "bridge", "--on", "sandbox:two", check=False)
    assert f"commands are typed so: {' '.join(typed)} 'COMMAND'" in done.stderr, report(done)
    helps = re.findall("would help: (.*)", done.stderr)
    assert set(helps) == {"ip address add 172.18.0.1/12 dev br0"}
    ordinary.cnetsh(*typed[1:], helps[0])
    ordinary.cnetsh("check", "bridge", "--on", "sandbox:two")


def test_for_an_address_that_is_lost_nobody_else_is_to_be_changed(ordinary: Ordinary) -> None:
    ordinary.cnetsh("up", "veth")
    there = ("exec", "host", "--", "sh", "-c")
    for broken in ("ip link delete veth0", "ip address del 172.18.0.20/12 dev ceth0"):
        ordinary.cnetsh(*there, broken)
        done = ordinary.cnetsh("why", "host", "172.18.0.20", check=False)
        assert "does not arrive\n" in done.stdout, report(done)
        for fix in re.findall(r"^  (?:fix|   )    (.*)", done.stdout, re.MULTILINE):
            ordinary.cnetsh(*there, fix)
        assert ": arrives\n" in ordinary.cnetsh("why", "host", "172.18.0.20").stdout


def test_doctor_tells_where_its_commands_are_typed(ordinary: Ordinary, private: Private) -> None:
    told = "commands are typed so: cnetsh exec host --on sandbox:two -- sh -c 'COMMAND'"
    done = ordinary.cnetsh("doctor", "bridge", "--on", "sandbox:two")
    # The command for a bridge's MAC address is for the plan: nothing is to be typed there.
    assert "P18" in done.stdout and told not in done.stdout, report(done)
    ordinary.cnetsh("up", "veth", "--on", "sandbox:two")
    there = ("exec", "host", "--on", "sandbox:two", "--")
    ordinary.cnetsh(*there, "iptables", "-P", "FORWARD", "DROP")
    done = ordinary.cnetsh("doctor", "--on", "sandbox:two")
    assert done.stdout.count(told) == 1, report(done)
    private.sh("iptables -P FORWARD DROP")
    assert "typed so" not in private.cnetsh("doctor", "routing").stdout


def test_nothing_tried_is_not_all_well(private: Private, tmp_path: Path) -> None:
    file = up(private, tmp_path, ALONE + "checks: [{from: a, to: 192.0.2.7}]\n")
    done = private.cnetsh("check", file, check=False)
    assert done.returncode == 1
    assert "alone: none of its 1 checks could be tried, 0 changed" in done.stderr


def test_a_lab_without_checks_says_so(private: Private, tmp_path: Path) -> None:
    done = private.cnetsh("check", up(private, tmp_path, ALONE))
    assert done.stderr.endswith("alone: it has no checks, 0 changed\n")
