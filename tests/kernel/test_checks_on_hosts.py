"""What check says of a lab that is up follows from pings that could have ended otherwise."""

import time
from pathlib import Path

from hosts import Private, report

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


def test_nothing_tried_is_not_all_well(private: Private, tmp_path: Path) -> None:
    file = up(private, tmp_path, ALONE + "checks: [{from: a, to: 192.0.2.7}]\n")
    done = private.cnetsh("check", file, check=False)
    assert done.returncode == 1
    assert "alone: none of its 1 checks could be tried, 0 changed" in done.stderr


def test_a_lab_without_checks_says_so(private: Private, tmp_path: Path) -> None:
    done = private.cnetsh("check", up(private, tmp_path, ALONE))
    assert done.stderr.endswith("alone: it has no checks, 0 changed\n")
