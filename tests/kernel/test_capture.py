"""`capture` writes what passes a link: as lines, and as a file that tcpdump reads."""

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hosts import PATIENCE, Ordinary, Private, wait_for

TWO = """
ip netns add a; ip netns add b; ip link add x netns a type veth peer name y netns b
for one in a:x:1 b:y:2; do
  n=${one%%:*}; rest=${one#*:}; l=${rest%:*}; i=${rest#*:}
  ip netns exec $n sysctl -qw net.ipv6.conf.all.disable_ipv6=1
  ip -n $n address add 10.0.0.$i/24 dev $l; ip -n $n link set $l up
done
"""
PING = ["ip", "netns", "exec", "a", "ping", "-c3", "-i0.2", "-W1", "10.0.0.2"]
TCPDUMP = shutil.which("tcpdump", path="/usr/sbin:/usr/bin")


@pytest.fixture
def two(private: Private) -> Private:
    private.sh(TWO)
    return private


def capturing(host: Private, *words: str) -> "subprocess.Popen[str]":
    """A capture of b's link that has begun."""
    argv = [sys.executable, "-m", "cnetsh", "capture", "b", "y", *words]
    running = host.start(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert running.stderr
    assert running.stderr.readline() == "capturing on y in b; Ctrl-C ends it\n"
    return running


def test_into_a_file_that_tcpdump_reads(two: Private, tmp_path: Path) -> None:
    file = tmp_path / "seen.pcap"
    running = capturing(two, "icmp", "and", "host", "10.0.0.1", "-w", str(file))
    two.run(PING)
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=PATIENCE)
    assert (running.returncode, said) == (0, f"6 packets\nwrote {file}\n")
    # The head of 24 bytes, then each with 16 before it: Ethernet, IPv4, ICMP and 56 more.
    assert len(file.read_bytes()) == 24 + 6 * (16 + 98)
    if TCPDUMP:
        read = subprocess.run([TCPDUMP, "-nr", str(file)], capture_output=True, text=True)
        lines = [line.partition(" ")[2] for line in read.stdout.splitlines()]
        assert len(lines) == 6 and read.returncode == 0, read.stderr
        assert lines[0].startswith("IP 10.0.0.1 > 10.0.0.2: ICMP echo request, id ")
        assert "ICMP echo reply" in lines[1] and "length 64" in lines[5]
    again = two.cnetsh("capture", "b", "y", "-w", str(file), check=False)
    assert again.returncode == 2 and "is there already" in again.stderr


def test_as_lines_until_enough_are_seen(two: Private) -> None:
    running = capturing(two, "arp", "-c", "1")
    two.run(PING)
    lines, said = running.communicate(timeout=PATIENCE)
    assert running.returncode == 0 and said == "1 packet\n"
    assert "who" in lines and "10.0.0.2" in lines and len(lines.splitlines()) == 1


def test_what_is_not_understood_or_not_there_is_refused(two: Private) -> None:
    for words, said in {
        ("b", "y", "icmp", "or", "arp"): "not a filter: or arp",
        ("b", "y", "port", "http"): "'http' is not a whole number",
        ("b", "y", "vlan"): "not a filter: vlan",
        ("b", "y", "icmp", "and"): "not a filter: and",
        ("b", "z"): "there is no link z in b",
        ("c", "y"): "there is no container c\n  there are: host, a, b\n",
    }.items():
        done = two.cnetsh("capture", *words, check=False)
        assert done.returncode == 2 and said in done.stderr, done.stderr


def test_what_is_refused_leaves_no_file(two: Private, tmp_path: Path) -> None:
    done = two.cnetsh("capture", "b", "z", "-w", str(tmp_path / "seen.pcap"), check=False)
    assert done.returncode == 2 and "wrote" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_an_ordinary_user_in_a_sandbox(ordinary: Ordinary) -> None:
    ordinary.cnetsh("up", "bridge")
    argv = [str(ordinary.program), "capture", "net1", "ceth1", "icmp", "-w", "seen.pcap"]
    running = ordinary.start(argv, stderr=subprocess.PIPE)
    assert running.stderr and "Ctrl-C" in running.stderr.readline()
    ordinary.cnetsh("exec", "net0", "--", "ping", "-c1", "-W1", "172.18.0.20")
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=PATIENCE)
    assert (running.returncode, said) == (0, "2 packets\nwrote seen.pcap\n")
    assert wait_for(lambda: (ordinary.home / "seen.pcap").stat().st_size == 24 + 2 * (16 + 98))
    ordinary.cnetsh("down", "bridge")
