"""doctor on private hosts in the states that it warns of, against what the kernel then does."""

import json
import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import oracle
import pytest
from hosts import Private, report, wait_for
from others import template

CHECKOUT = Path(__file__).resolve().parent.parent.parent

# Prints the findings for a lab ("" for none): TARGET is host or sandbox.
DOCTOR = """
import json, sys
from cnetsh.system import process
from cnetsh.compare import snapshot
from cnetsh.doctor import diagnose, evidence, finding
from cnetsh.labs import builtin
from cnetsh.plan import steps
from cnetsh.labs import render
name, target = sys.argv[1:3]
up = None
if name:
    loaded = builtin.builtin_lab(name, sys.argv[3:])
    up = steps.parse(render.render(loaded, "up"), loaded.name, loaded.title, "up", name)
run = process.runner()
facts = evidence.gather(run, snapshot.take(run), up)
print(json.dumps(finding.findings_as_json(diagnose.diagnose(target == "host", facts))))
"""
BRIDGE = """
ip link add br0 type bridge; ip address add 172.18.0.1/12 dev br0; ip link set br0 up
for n in 0 1; do
ip netns add net$n; ip link add veth$n type veth peer name ceth$n; ip link set veth$n up
ip link set veth$n master br0; ip link set ceth$n netns net$n
ip -n net$n address add 172.18.0.1$n/12 dev ceth$n; ip -n net$n link set ceth$n up
done
"""
UPLINK = """
ip link add eth0 type veth peer name up0; ip link set eth0 up; ip link set up0 up
ip address add 10.0.2.15/24 dev eth0; ip route add default via 10.0.2.2
"""
GATEWAY = """
ip netns add out; ip link add eth0 type veth peer name up0 netns out
ip address add 10.0.2.15/24 dev eth0; ip link set eth0 up
ip -n out address add 10.0.2.2/24 dev up0; ip -n out link set up0 up
ip route add default via 10.0.2.2
"""
ROUTED = """
ip -n net0 route add default via 172.18.0.1; echo 1 > /proc/sys/net/ipv4/ip_forward
iptables -t nat -A POSTROUTING -s 172.16.0.0/12 ! -o br0 -j MASQUERADE
"""
NF_CALL = "/proc/sys/net/bridge/bridge-nf-call-iptables"

Findings = list[dict[str, Any]]


def findings(
    private: Private, lab: str, *settings: str, target: str = "host", **env: str
) -> Findings:
    there = replace(private, env=private.env | env)
    return list(there.rows("-c", DOCTOR, lab, target, *settings)[0])


def foretold(private: Private, lab: str) -> list[tuple[str, str, list[str]]]:
    """What doctor says by the model of forwarding: the finding, its effect, commands."""
    found = json.loads(private.cnetsh("doctor", lab, "--json").stdout)
    return [(one["id"], one["effect"], one["commands"]) for one in found
            if one["id"] in ("P01", "P20", "P30", "P31")]  # fmt: skip


def severities(found: Findings, number: str) -> list[str]:
    return [one["severity"] for one in found if one["id"] == number]


def evidence(found: Findings, number: str) -> str:
    return "\n".join(one["evidence"] for one in found if one["id"] == number)


def pings(private: Private, netns: str, address: str) -> bool:
    argv = ["ip", "netns", "exec", netns, "ping", "-c1", "-W1", address]
    return private.run(argv).returncode == 0


def test_changes_nothing_and_leaves_nothing(private: Private) -> None:
    private.sh(UPLINK)
    before = private.snapshot(settled=0.2)
    files = private.sh("find /run | sort")
    findings(private, "routing")
    assert private.snapshot(settled=0.2) == before
    assert private.sh("find /run | sort") == files


def test_an_ordinary_host_has_only_notes(private: Private) -> None:
    private.sh(UPLINK)
    for lab in ("veth", "container", "conflict", "bridge", "routing"):
        assert {one["severity"] for one in findings(private, lab)} <= {"note"}, lab


def test_policy_drop_and_what_it_does(private: Private) -> None:
    private.sh(f"{GATEWAY}iptables -P FORWARD DROP")
    if Path(NF_CALL).exists():
        private.sh(f"echo 0 > {NF_CALL}")
    assert foretold(private, "bridge") == []
    assert severities(findings(private, ""), "P01") == ["warn"]
    # Once, though each container has a check that fails.
    ((number, effect, commands),) = foretold(private, "routing")
    assert (number, effect) == ("P30", "will fail: the host drops it: policy FORWARD DROP")
    private.sh(BRIDGE + ROUTED)
    assert pings(private, "net0", "172.18.0.11")
    assert not pings(private, "net0", "10.0.2.2")
    private.sh("\n".join(commands))
    assert pings(private, "net0", "10.0.2.2")


@pytest.mark.skipif(not Path(NF_CALL).exists(), reason="this kernel has no br_netfilter")
def test_br_netfilter_with_and_without_rules_and_what_it_does(private: Private) -> None:
    private.sh(f"echo 1 > {NF_CALL}")
    assert severities(findings(private, ""), "P02") == ["note"]
    assert foretold(private, "bridge") == []
    private.sh("iptables -P FORWARD DROP")
    found = findings(private, "")
    assert severities(found, "P02") == ["warn"] and severities(found, "P01") == ["warn"]
    assert "-P FORWARD DROP" in evidence(found, "P02")
    told = foretold(private, "bridge")
    assert {one[0] for one in told} == {"P30"}
    assert all("bridge-nf-call-iptables is 1" in effect for _, effect, _ in told)
    commands = told[0][2]
    private.sh(BRIDGE)
    assert not pings(private, "net0", "172.18.0.11")
    private.sh("\n".join(commands))
    assert pings(private, "net0", "172.18.0.11")


@pytest.mark.parametrize(
    ("command", "seen"),
    [
        ("ip route add 172.17.0.0/16 dev eth0", "route 172.17.0.0/16 dev eth0"),
        ("ip route add 172.0.0.0/8 dev eth0 table 52", "table 52"),
        ("ip route add blackhole 172.16.0.0/12", "blackhole 172.16.0.0/12"),
        ("ip address add 172.31.0.9/32 dev eth0", "address 172.31.0.9/32 on eth0"),
        (
            "ip link add other0 type bridge; ip address add 172.20.0.1/16 dev other0",
            "address 172.20.0.1/16 on other0",
        ),
    ],
)
def test_overlap(private: Private, command: str, seen: str) -> None:
    private.sh(f"{UPLINK}\n{command}")
    found = findings(private, "bridge")
    assert severities(found, "P03") == ["refuse"] and seen in evidence(found, "P03")
    assert severities(findings(private, "bridge", target="sandbox"), "P03") == ["warn"]
    assert severities(findings(private, "bridge", "subnet=10.9.0.0/16"), "P03") == []


def test_overlap_with_the_gateway_and_the_ssh_session(private: Private) -> None:
    private.sh(UPLINK)
    found = findings(
        private,
        "bridge",
        "subnet=10.0.0.0/12",
        "eth0_ip=192.0.2.1",
        SSH_CONNECTION="10.9.0.1 50000 10.0.2.15 22",
    )
    assert severities(found, "P03") == severities(found, "P28") == ["refuse"]
    assert evidence(found, "P03") == "address 10.0.2.15/24 on eth0"
    # The gateway is not lost: the host's own network is the longer one.
    (effect,) = (one["effect"] for one in found if one["id"] == "P28")
    assert effect == (
        "the ssh session from 10.9.0.1: it is looked for by br0 instead of eth0 via 10.0.2.2"
    )


@pytest.mark.parametrize(
    "sudo",
    [
        ["env", "-u", "SSH_CONNECTION"],
        ["env", "-i", f"PATH={os.environ['PATH']}"],
        ["sh", "-c", 'unset SSH_CONNECTION; env -i "$@"; exit $?', "sh"],
        ["setsid", "--wait", "env", "-i"],
    ],
    ids=["dropped", "all dropped", "by a monitor", "in a session of its own"],
)
def test_the_ssh_session_is_found_where_sudo_has_dropped_the_variable(
    private: Private, sudo: list[str]
) -> None:
    private.sh(UPLINK)
    argv = [*sudo, sys.executable, "-c", DOCTOR, "bridge", "host"]
    script = ["sh", "-c", '"$@"; exit $?', "sh", *argv]
    env = private.env | {"SSH_CONNECTION": "172.18.9.9 50000 10.0.2.15 22"}
    done = private.run(script, cwd=CHECKOUT, env=env)
    (effect,) = (one["effect"] for one in json.loads(done.stdout) if one["id"] == "P28")
    assert effect.startswith("the ssh session from 172.18.9.9: ")


def test_strict_reverse_path_filtering_and_what_it_does(private: Private) -> None:
    private.sh("for one in all default; do echo 1 > /proc/sys/net/ipv4/conf/$one/rp_filter; done")
    assert severities(findings(private, ""), "P08") == ["note"]
    private.sh(BRIDGE)
    assert pings(private, "net0", "172.18.0.11")


def test_rules_in_both_back_ends(private: Private) -> None:
    if private.run(["iptables-legacy", "-S"]).returncode:
        pytest.skip("iptables has no legacy back end here")
    private.sh("iptables -A INPUT -s 10.0.0.8 -j DROP")
    assert severities(findings(private, "routing"), "P09") == []
    private.sh("iptables-legacy -A INPUT -s 10.0.0.7 -j DROP")
    found = findings(private, "routing")
    assert severities(found, "P09") == ["warn"] and "10.0.0.7" in evidence(found, "P09")


def test_a_policy_of_nftables_that_iptables_does_not_show(private: Private) -> None:
    if private.run(["nft", "list", "tables"]).returncode:
        pytest.skip("no nft here")
    private.sh(
        "nft 'add table inet mine; add chain inet mine f "
        "{ type filter hook forward priority 0; policy drop; }'"
    )
    found = findings(private, "routing")
    assert severities(found, "P01") == ["warn"] and "table inet mine" in evidence(found, "P01")


def test_names_that_are_taken_and_processes_inside(private: Private) -> None:
    private.sh("ip netns add net0; ip link add br0 type bridge; touch /run/netns/net1")
    with private.start(["ip", "netns", "exec", "net0", "sleep", "600"]) as sleeper:
        try:
            assert wait_for(lambda: "sleep" in private.sh(f"cat /proc/{sleeper.pid}/comm"))
            found = findings(private, "bridge")
        finally:
            sleeper.kill()
    ghost = "namespace net1 (a file that is no namespace)"
    assert evidence(found, "P26") == f"bridge br0\nnamespace net0\n{ghost}"
    assert severities(found, "P26") == ["lacks"]
    assert f"in net0: {sleeper.pid} (sleep)" in evidence(found, "P13")
    assert "/run/netns/net1 is a file without a namespace" in evidence(found, "P13")


def test_router_advertisement(private: Private) -> None:
    private.sh(f"{UPLINK}\nip -6 route add default via fe80::1 dev eth0 proto ra")
    settings = "/proc/sys/net/ipv6/conf"
    lab = f"""
from cnetsh.system import process
from cnetsh.compare import snapshot
from cnetsh.doctor import diagnose, evidence, finding
from cnetsh.plan import steps
up = steps.parse("echo 1 | tee {settings}/all/forwarding", "x", "", "up", "x")
run = process.runner()
facts = evidence.gather(run, snapshot.take(run), up)
import json; print(json.dumps(finding.findings_as_json(diagnose.diagnose(True, facts))))
"""
    for value, expected in (("1", ["refuse"]), ("0", ["warn"]), ("2", [])):
        private.sh(f"echo {value} > {settings}/eth0/accept_ra")
        assert severities(private.rows("-c", lab)[0], "P15") == expected, value


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("echo 1 | tee /proc/sys/net/ipv4/ip_forwrd", "there is no such setting, but ip_forward"),
        ("echo 1 | ip netns exec a tee /proc/sys/net/ipv6/conf/all/forwardin", "but forwarding"),
        ("echo 1 | tee /proc/sys/net/core/somax", "there is no such setting"),
        ("echo 0 | ip netns exec a tee /proc/sys/net/ipv4/conf/y/rp_filter", ""),
        ("echo 0 | tee /proc/sys/net/ipv4/conf/x/rp_filter", ""),
        ("echo 0 | tee /proc/sys/net/ipv6/conf/default/accept_ra", ""),
    ],
)
def test_a_setting_that_no_kernel_has_is_refused_beforehand(
    private: Private, tmp_path: Path, line: str, said: str
) -> None:
    made = "ip netns add a\nip link add x type veth peer name y netns a\n"
    done = private.cnetsh("up", template(tmp_path, "lab", made + line), check=False)
    assert done.returncode == (2 if said else 0) and said in done.stderr, report(done)
    assert ("nothing was executed" in done.stderr) == bool(said)


def test_what_the_kernel_lacks_is_found_before_the_first_step(private: Private) -> None:
    private.sh(UPLINK)
    netem = private.run(["unshare", "--net", "tc", "qdisc", "add", "dev", "lo", "root", "netem"])
    lab = """
from cnetsh.system import process
from cnetsh.compare import snapshot
from cnetsh.doctor import diagnose, evidence, finding
from cnetsh.plan import steps
text = ("ip link add x type veth peer name y\\ntc qdisc add dev x root netem delay 1ms\\n"
        "ip netns add a\\nip link add link eth0 name m netns a type macvlan mode bridge\\n"
        "iptables -t nat -A POSTROUTING ! -o x -m comment --comment cnetsh:x -j MASQUERADE")
up = steps.parse(text, "x", "", "up", "x")
run = process.runner()
facts = evidence.gather(run, snapshot.take(run), up)
import json; print(json.dumps(finding.findings_as_json(diagnose.diagnose(True, facts))))
"""
    said = evidence(private.rows("-c", lab)[0], "P25")
    assert ("netem: " in said) == bool(netem.returncode), said
    assert "veth: " not in said and "iptables" not in said


def test_user_namespaces_refused(private: Private) -> None:
    inside = 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"'
    argv = ["unshare", "--user", "--map-root-user", "--net", "sh", "-c", inside, "sh"]
    doctor = [sys.executable, "-c", DOCTOR, "", "host"]
    probe = private.run([*argv, "unshare", "--user", "true"])
    assert probe.returncode, "the kernel still gives user namespaces"
    done = private.run([*argv, *doctor], cwd=CHECKOUT)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert severities(found, "P24") == ["note"]
    assert "max_user_namespaces is 0" in evidence(found, "P24")


def test_root_of_a_container_without_powers(private: Private) -> None:
    if os.geteuid():
        pytest.skip("only root can drop a capability")
    drop = ["setpriv", "--bounding-set", "-net_admin", "--inh-caps", "-net_admin", "--"]
    done = private.run([*drop, sys.executable, "-c", DOCTOR, "veth", "host"], cwd=CHECKOUT)
    if done.returncode:
        pytest.skip(f"the snapshot cannot be taken then: {done.stderr.splitlines()[-1]}")
    assert "lacks" in severities(json.loads(done.stdout), "P24")


def test_a_foreign_interface_with_control_characters(private: Private) -> None:
    private.run(["ip", "link", "add", "name", "a\033[2Jb", "type", "bridge"], check=True)
    private.run(["ip", "address", "add", "172.20.0.1/16", "dev", "a\033[2Jb"], check=True)
    found = findings(private, "bridge")
    assert "a\\x1b[2Jb" in evidence(found, "P03")


def test_is_quick(private: Private) -> None:
    private.sh(UPLINK)
    script = """
import os
from cnetsh.system import process
from cnetsh.compare import snapshot
from cnetsh.doctor import diagnose, evidence, finding
from cnetsh.labs import builtin
from cnetsh.plan import steps
from cnetsh.labs import render
loaded = builtin.builtin_lab("routing", [])
up = steps.parse(render.render(loaded, "up"), "routing", "", "up", "")
run = process.runner()
seen = snapshot.take(run)
began = sum(os.times()[:4])
for _ in range(10):
    diagnose.diagnose(True, evidence.gather(run, seen, up))
print((sum(os.times()[:4]) - began) / 10)
"""
    done = private.python("-c", script)
    # Seconds of the processor's, with those of the tools it asks: others may be busy, too.
    assert float(done.stdout) < 0.4, done


COUNTED = """#!/bin/sh
echo "$*" >> {folder}/asked
exec {folder}/ip "$@"
"""


@pytest.mark.parametrize("words", ["doctor bridge", "plan bridge --on host"])
def test_tools_are_asked_once(private: Private, tmp_path: Path, words: str) -> None:
    ip = Path(str(shutil.which("ip", path=oracle.PATH))).resolve()
    shutil.copy(ip, tmp_path / "ip")
    counted = tmp_path / "counted"
    counted.write_text(COUNTED.format(folder=tmp_path))
    counted.chmod(0o755)
    private.sh(f"mount --bind {counted} {ip}")
    assert private.cnetsh(*words.split()).returncode == 0
    private.sh(f"umount {ip}")
    asked = (tmp_path / "asked").read_text().splitlines()
    assert asked.count("-j -d -batch -") == 1, asked
