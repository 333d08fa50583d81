"""What cuts a host off: refused, and where it runs all the same, the kernel says that it was so."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hosts import HERE, Private, report
from others import often, template

from cnetsh.labs import builtin

EXAMPLES = sorted((HERE.parent.parent / "examples").glob("*.yaml"))
PEER, GATEWAY, SERVER = "203.0.113.9", "10.66.0.254", "10.66.0.53"
SSH = {"SSH_CONNECTION": f"{PEER} 50000 10.66.0.1 22"}
UPLINK = f"""
ip netns add out; ip link add eth7 type veth peer name up7 netns out
ip address add 10.66.0.1/24 dev eth7; ip link set eth7 up; ip route add default via {GATEWAY}
ip -n out address add {GATEWAY}/24 dev up7; ip -n out address add {SERVER}/24 dev up7
ip -n out address add {PEER}/32 dev lo; ip -n out link set up7 up; ip -n out link set lo up
echo nameserver {SERVER} > /etc/resolv.conf
"""
ALL_THE_SAME = ("--allow-overlap", "--allow-cut-off", "--try", "60")
CABLE = "ip link add v0 type veth peer name v1\nip link set v0 up\nip link set v1 up\n"
# commands, the step that does it, who is lost
CUTS = {
    "cut1": ("ip link set eth7 down", 1, [PEER, GATEWAY, SERVER]),
    "cut2": (
        "ip link add name bx type bridge\nip link set dev eth7 master bx", 2,
        [PEER, GATEWAY, SERVER],
    ),
    "cut3": (f"{CABLE}ip route add {PEER}/32 dev v0", 4, [PEER]),
    "a network within the uplink's": (
        f"{CABLE}ip address add 10.66.0.250/29 dev v0", 4, [GATEWAY],
    ),
    "an own address like the server's": (f"{CABLE}ip address add {SERVER}/32 dev v0", 4, [SERVER]),
    "no default route": (
        f"#: undo ip route add default via {GATEWAY}\nip route delete default", 1, [PEER],
    ),
    "INPUT": (f"iptables -I INPUT -i eth7 ! -s {GATEWAY} -j DROP", 1, [PEER, SERVER]),
    "OUTPUT": (f"iptables -A OUTPUT -d {PEER} -j REJECT", 1, [PEER]),
    "ARP": (
        "echo 8 | tee /proc/sys/net/ipv4/conf/eth7/arp_ignore", 1, [PEER, GATEWAY, SERVER],
    ),
    "a wrong MAC": (
        f"ip neigh add {GATEWAY} lladdr 02:00:00:00:00:99 nud permanent dev eth7", 1,
        [PEER, GATEWAY],
    ),
}  # fmt: skip


@pytest.fixture
def host(private: Private) -> Private:
    private.sh(UPLINK)
    assert reached(private) == {PEER, GATEWAY, SERVER}
    return private


def reached(private: Private) -> set[str]:
    """Who reaches the host, and is reached by its way out, when all have to ask for MACs."""
    forget(private)
    return {
        one
        for one in (PEER, GATEWAY, SERVER)
        if pings(private, "10.66.0.1", one, "ip", "netns", "exec", "out")
        if pings(private, one, "10.66.0.1")
        if "dev eth7" in private.run(["ip", "route", "get", one, "from", "10.66.0.1"]).stdout
    }


def pings(private: Private, to: str, source: str, *where: str) -> bool:
    return private.run([*where, "ping", "-c1", "-W1", "-I", source, to]).returncode == 0


def forget(private: Private) -> None:
    private.sh("ip neigh flush all; ip -n out neigh flush all")


def up(private: Private, *argv: str) -> subprocess.CompletedProcess[str]:
    return private.cnetsh("up", *argv, check=False, env=private.env | SSH)


# The others are decided alike in tests/doctor, without a kernel.
OFTEN = ("cut1", "cut2", "cut3", "INPUT", "a wrong MAC")


@pytest.mark.parametrize(
    ("text", "step", "whom"),
    [pytest.param(*row, id=name, marks=() if name in OFTEN else pytest.mark.soak)
     for name, row in CUTS.items()],
)  # fmt: skip
def test_is_refused_and_is_right(
    host: Private, tmp_path: Path, text: str, step: int, whom: list[str]
) -> None:
    lab = template(tmp_path, "lab", text)
    before = host.snapshot(settled=0.3)
    done = up(host, lab)
    assert done.returncode == 2, report(done)
    assert "refuse P28" in done.stderr and f"step {step}: {text.splitlines()[-1]}" in done.stderr
    said = {one for one in (PEER, GATEWAY, SERVER) if f"{one}: " in done.stderr}
    assert {*whom} <= said, report(done)
    assert host.snapshot() == before
    # A neighbour that is known cannot be added.
    forget(host)
    assert reached_while_up(host, lab) == {PEER, GATEWAY, SERVER} - {*whom}
    assert reached(host) == {PEER, GATEWAY, SERVER}


def reached_while_up(private: Private, lab: str) -> set[str]:
    argv = [sys.executable, "-m", "cnetsh", "up", lab, *ALL_THE_SAME]
    options = {"stdin": subprocess.PIPE, "stderr": subprocess.PIPE, "env": private.env | SSH}
    with private.start(argv, **options) as started:
        assert started.stderr
        said = []
        for line in started.stderr:
            said.append(line)
            if "press Enter" in line:
                break
        found = reached(private)
        started.send_signal(signal.SIGINT)
        said += started.stderr
    assert "press Enter" in "".join(said) and "not confirmed: undone" in "".join(said), said
    return found


def test_alone_it_is_refused_with_the_line_to_type(host: Private, tmp_path: Path) -> None:
    lab = template(tmp_path, "lab", "ip link set eth7 down")
    done = up(host, lab, "--allow-cut-off")
    assert done.returncode == 2
    assert f"cnetsh up {lab} --allow-cut-off --try 60" in done.stderr, report(done)


def test_without_an_answer_it_is_undone(host: Private, tmp_path: Path) -> None:
    done = up(host, template(tmp_path, "lab", CUTS["cut3"][0]), "--allow-cut-off", "--try", "1")
    assert done.returncode == 1 and "not confirmed: undone" in done.stderr, report(done)
    assert reached(host) == {PEER, GATEWAY, SERVER}


def test_a_live_change_is_asked_for_its_new_steps(host: Private, tmp_path: Path) -> None:
    lab = template(tmp_path, "lab", CABLE)
    assert up(host, lab).returncode == 0
    done = up(host, template(tmp_path, "lab", f"{CABLE}ip route add {PEER}/32 dev v0"))
    assert done.returncode == 2 and f"step 4: ip route add {PEER}/32 dev v0" in done.stderr
    assert reached(host) == {PEER, GATEWAY, SERVER}
    done = up(host, lab, "--allow-cut-off", "--try", "1", "--yes")
    assert done.returncode == 1 and "not confirmed: undone" in done.stderr, report(done)
    assert reached(host) == {PEER, GATEWAY, SERVER} and "v0" not in host.sh("ip link")


@pytest.mark.parametrize("option", ["", "--allow-overlap"])
def test_an_allowed_overlap_does_not_allow_to_cut_off(
    host: Private, tmp_path: Path, option: str
) -> None:
    lab = template(tmp_path, "lab", f"{CABLE}ip address add 10.66.0.250/29 dev v0")
    done = up(host, lab, *[option] * bool(option))
    assert done.returncode == 2 and "--allow-cut-off --try 60" in done.stderr, report(done)


@pytest.mark.parametrize(
    "lab",
    often([*builtin.LABS, *map(str, EXAMPLES)], ["routing", *map(str, EXAMPLES[::2])]),
)
def test_no_lab_and_no_example_is_refused(host: Private, lab: str) -> None:
    done = up(host, lab)
    if "lacks P25" in done.stderr:
        pytest.skip("this kernel has not what it needs")
    assert done.returncode == 0 and "P28" not in done.stderr, report(done)
    assert reached(host) == {PEER, GATEWAY, SERVER}
