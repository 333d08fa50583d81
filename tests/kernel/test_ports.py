"""Calls of ports: cnetsh listens where nothing does, and says who has answered and who has not."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hosts import PATIENCE, Ordinary, Private, living_in, namespaces_of, wait_for

LAB = """\
name: ports
bridges:
  br0: {address: [172.18.0.1/16, "fd18::1/64"]}
  br1: {address: 172.19.0.1/16}
  br2: {address: 172.20.0.1/16, isolated: true}
containers:
  web:
    bridge: br0
    address: [172.18.0.10/16, "fd18::10/64"]
    publish: ["8080:80/tcp", "5353:53/udp"]
  near: {bridge: br0}
  far: {bridge: br1}
  shut: {bridge: br2}
checks:
  - {from: near, to: "web:443/tcp"}
  - {from: near, to: "[fd18::10]:443/udp"}
  - {from: near, to: "br0:81/tcp", expect: fail, because: nothing is published there}
"""
NEAR = "ip netns exec near timeout 1 bash -c '</dev/tcp/172.18.0.1/8080'"
UDP = "exec 3<>/dev/udp/172.18.0.1/5353 && echo cnetsh >&3 && read -n1 -u3"
# A server of the user's own: it answers nobody.
DUMB = """
import socket, sys, time
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind(("", int(sys.argv[1])))
t = socket.create_server(("", int(sys.argv[2])))
print("ready", flush=True); time.sleep(600)
"""


def told(text: str) -> dict[str, tuple[str, str]]:
    """What check says of each command: the verdict and the detail."""
    lines = text.splitlines()
    pairs = zip(lines[::2], lines[1::2], strict=True)
    return {line[10:]: (line[:10].strip(), detail.strip()) for line, detail in pairs}


SMALL = """\
name: ports
bridges: {br0: {address: 172.18.0.1/16}}
containers:
  web: {bridge: br0, address: 172.18.0.10/16, publish: ["8080:80/tcp", "5353:53/udp"]}
  near: {bridge: br0}
checks: [{from: near, to: "web:443/tcp"}]
"""


def lab(host: Private | Ordinary, folder: Path, text: str) -> None:
    (folder / "ports.yaml").write_text(text, encoding="utf-8")
    host.cnetsh("up", str(folder / "ports.yaml"))


@pytest.fixture
def small(private: Private, tmp_path: Path) -> Private:
    lab(private, tmp_path, SMALL)
    return private


def serving(host: Private, netns: str, udp: int, tcp: int) -> "subprocess.Popen[str]":
    into = ["ip", "netns", "exec", netns] if netns else []
    argv = [*into, sys.executable, "-c", DUMB, str(udp), str(tcp)]
    server = host.start(argv, stdout=subprocess.PIPE)
    assert server.stdout and server.stdout.readline() == "ready\n"
    return server


def test_every_call_on_a_host(private: Private, tmp_path: Path) -> None:
    lab(private, tmp_path, LAB)
    done = private.cnetsh("check", "-v", "ports")
    found = told(done.stdout)
    calls = {text: said for text, said in found.items() if "timeout" in text}
    assert len(calls) == 21 and found[NEAR] == ("ok", "answered")
    outside = [said for text, said in calls.items() if "internet" in text]
    assert outside == [("not tried", "the target has no namespace internet")] * 2
    shut = [said for text, said in calls.items() if "exec shut" in text]
    assert shut == [("ok", "fails, as it must: br2 is isolated (no answer)")] * 2
    assert {verdict for verdict, _ in calls.values()} == {"ok", "not tried"}
    # What listened for the checks is gone with them.
    assert private.sh("ip netns exec web ss -Hlntu") == ""


def test_a_rule_that_is_gone(small: Private) -> None:
    small.sh("iptables -t nat -F CNETSH-ports-DNAT")
    found = told(small.cnetsh("check", "-v", "ports", check=False).stdout)
    assert found[NEAR][0] == "failed" and "Connection refused" in found[NEAR][1]
    assert found["ip netns exec near timeout 1 bash -c '</dev/tcp/172.18.0.10/443'"][0] == "ok"
    # Somebody else may answer then.
    server = serving(small, "", 9, 8080)
    assert told(small.cnetsh("check", "-v", "ports", check=False).stdout)[NEAR] == (
        "failed", "somebody else than web answered"
    )  # fmt: skip
    server.kill()
    server.wait()


def test_a_server_of_ones_own_is_asked_itself(small: Private) -> None:
    server = serving(small, "web", 53, 80)
    found = told(small.cnetsh("check", "-v", "ports").stdout)
    assert found[NEAR] == ("ok", "answered")
    assert found[f"ip netns exec near timeout 1 bash -c '{UDP}'"] == (
        "not tried", "what listens at 53/udp in web answers no stranger"
    )  # fmt: skip
    server.kill()
    server.wait()


def test_an_answer_that_is_lost(small: Private) -> None:
    small.sh("ip netns exec web iptables -A OUTPUT -p udp -j DROP")
    found = told(small.cnetsh("check", "-v", "ports", check=False).stdout)
    assert found[f"ip netns exec near timeout 1 bash -c '{UDP}'"] == (
        "failed", "web has heard it, and its answer is lost"
    )  # fmt: skip


def test_ended_by_a_signal_leaves_nobody_in_the_containers(small: Private) -> None:
    small.sh("ip netns exec web iptables -A INPUT -p tcp -j DROP")
    check = small.start(
        [sys.executable, "-m", "cnetsh", "check", "-v", "ports"], stdout=subprocess.DEVNULL
    )
    inside = namespaces_of(small.pid)
    assert wait_for(lambda: any(calling(pid) for pid in living_in(inside)))
    check.send_signal(signal.SIGINT)
    assert check.wait(PATIENCE) == 130
    assert wait_for(lambda: not any(calling(pid) for pid in living_in(inside)), 1.0)


def calling(pid: int) -> bool:
    try:
        return b"/dev/tcp/" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def test_from_outside_in_the_sandbox(ordinary: Ordinary) -> None:
    lab(ordinary, ordinary.home, SMALL)
    done = ordinary.cnetsh("check", "-v", "ports")
    assert ", 0 failed, 0 not tried, 0 changed" in done.stderr
    outside = "ip netns exec internet timeout 1 bash -c '</dev/tcp/10.0.2.15/8080'"
    assert told(done.stdout)[outside] == ("ok", "answered")
    ordinary.cnetsh("down", "ports")
