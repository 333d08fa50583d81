"""A step that fails: what was done before it is undone, and the kernel is as it was. No mocks.

The lab is a user's own folder with the text of a built-in lab, in which one command stands that the
kernel, or the tool, really refuses.
"""

import json
import sys
from collections.abc import Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

import oracle
import pytest
from hosts import Ordinary, Private, report
from others import often, template
from runs import crash, unequal

from cnetsh.labs import choose
from cnetsh.labs.builtin import LABS
from cnetsh.plan.steps import Directives, Plan, Step, made_by, to_text

# They fail for different reasons, with and without an `ip -batch`, and after different parts of it.
REFUSED = (
    "ip route add 10.250.0.0/16 via 9.9.9.9",
    "iptables -A NOSUCH -j ACCEPT",
    "echo 3000 2000 | tee /proc/sys/net/ipv4/ip_local_port_range",
    "ip link set dev lo master lo",
    "ip netns add NETNS",
    "ip netns exec NETNS ip route add 10.250.0.0/16 via 9.9.9.9",
    "ip netns exec NETNS ip link set nosuch0 up",
    "ip netns exec NETNS ping -c 1 -W 1 203.0.113.1",
)
# Of the long labs not every step; `make soak` has each of them fail.
EVERY = {"container": 2, "bridge": 6, "routing": 3, "conflict": 4}
# eth0 and its far end, br9 with a port, and a namespace with a pair are somebody else's.
FOREIGN = """
ip link add eth0 type veth peer name far0
ip link add br9 address 02:00:00:00:00:09 type bridge
ip link add p9 type veth peer name q9
for link in eth0 far0 br9 p9; do
  echo 1 > /proc/sys/net/ipv6/conf/$link/disable_ipv6; ip link set $link up
done
ip address add 10.0.2.15/24 dev eth0 && ip address add 10.9.0.1/24 dev br9
ip link set p9 master br9
ip route add default via 10.0.2.2
ip netns add other && ip link set q9 netns other
ip -n other address add 10.9.0.2/24 dev q9 && ip -n other link set q9 up
"""
RULE = "iptables -t nat -A POSTROUTING -s 172.18.0.0/12 ! -o br0 -j MASQUERADE\n"
OTHER_RULE = "iptables -t nat -A POSTROUTING -s 10.5.0.0/16 -j MASQUERADE\n"
ON = "echo 1 > /proc/sys/net/ipv4/ip_forward\n"
LINK_FORWARDS = "echo 1 > /proc/sys/net/ipv4/conf/eth0/forwarding\n"
NO_REDIRECTS = "echo 0 > /proc/sys/net/ipv4/conf/all/accept_redirects\n"
REDIRECTS = "echo 1 > /proc/sys/net/ipv4/conf/all/accept_redirects\n"
STATES = {
    "a host with a default route": FOREIGN,
    "forwards already": FOREIGN + ON + REDIRECTS + RULE,
    "the same rule, and another after it": FOREIGN + RULE + OTHER_RULE,
    "one link forwards": FOREIGN + NO_REDIRECTS + LINK_FORWARDS + OTHER_RULE + RULE + RULE,
}


def steps_of(lab: str) -> list[Step]:
    return list(choose.plans(lab).up.steps)


def folder_of(base: Path, name: str, steps: Sequence[Step]) -> str:
    """A user's lab with these steps."""
    return template(base, name, to_text(Plan(name, name, "up", tuple(steps))))


def folders_that_fail(base: Path, lab: str) -> list[str]:
    """For each place in the lab's plan a folder in which the command at that place fails."""
    steps, kinds, found = steps_of(lab), cycle(REFUSED), []
    for place in range(len(steps) + 1):
        made = [ref.name for step in steps[:place] for ref in made_by(step)]
        netns = [name for name in made if name.startswith("net")]
        command = next(each for each in kinds if netns or "NETNS" not in each)
        line = Step(command.replace("NETNS", (netns or [""])[-1]), "", "", "", "change", 0)
        found.append(folder_of(base, f"{lab}-{place}", [*steps[:place], line, *steps[place:]]))
    return found


def wrong(rows: Sequence[dict[str, Any]]) -> list[str]:
    """A line for each failing lab that did not end with exit code 1 and an equal kernel."""
    return [
        f"{row['run']}: exit {row['exit']}, left {row['left']}\n{row['said']}"
        for row in rows
        if row["exit"] != 1 or row["left"] or "undone, as before\n" not in row["said"]
    ]


class TestEveryStep:
    @pytest.mark.parametrize(
        ("lab", "every"),
        [(lab, EVERY.get(lab, 1)) for lab in LABS]
        + [pytest.param(lab, 1, marks=pytest.mark.soak) for lab in EVERY],
    )
    def test_of_every_lab_may_fail(
        self, private: Private, tmp_path: Path, lab: str, every: int
    ) -> None:
        folders = folders_that_fail(tmp_path, lab)[::every]
        rows = crash(private, "failing", folders=folders)
        assert wrong(rows) == []
        assert len(rows) == len(folders)

    @pytest.mark.parametrize("state", often(STATES, list(STATES)[1::2]))
    def test_may_fail_where_others_have_things(
        self, private: Private, tmp_path: Path, state: str
    ) -> None:
        private.sh(STATES[state])
        # Before the undo of nothing, of the bridge, of a container, of forwarding, and of the rule.
        places = (0, 3, 10, 20, 21)
        every = folders_that_fail(tmp_path, "routing")
        folders = [every[place] for place in places]
        rows = crash(private, "failing", folders=folders)
        assert wrong(rows) == []
        assert len(rows) == len(places)

    @pytest.mark.parametrize("state", STATES.values(), ids=STATES)
    def test_is_undone_where_others_have_things(self, private: Private, state: str) -> None:
        private.sh(state)
        assert crash(private, "cycles", lab="routing", number=1, settings=[])[0]["left"] == []

    @pytest.mark.parametrize("lab", ["routing"])
    def test_first_middle_and_last_may_fail_in_a_sandbox(
        self, ordinary: Ordinary, lab: str
    ) -> None:
        """On the host, above, every step fails."""
        folders = folders_that_fail(ordinary.home, lab)
        fail_in_sandbox(ordinary, [folders[0], folders[len(folders) // 2], folders[-1]])

    @pytest.mark.soak
    @pytest.mark.parametrize("lab", LABS)
    def test_may_fail_in_a_sandbox(self, ordinary: Ordinary, lab: str) -> None:
        fail_in_sandbox(ordinary, folders_that_fail(ordinary.home, lab))


def fail_in_sandbox(user: Ordinary, folders: Sequence[str]) -> None:
    """Brings up each of these labs, in which some step fails; the sandbox is as it was."""
    user.cnetsh("sandbox", "start")
    before = in_sandbox(user)
    for folder in folders:
        done = user.cnetsh("up", folder, check=False)
        assert done.returncode == 1, report(done)
        assert oracle.diff(before, in_sandbox(user)) == []


def in_sandbox(user: Ordinary) -> oracle.Facts:
    return dict(json.loads(user.cnetsh("exec", "host", "--", *user.oracle).stdout))


class TestNames:
    """What stands in the way is named, and stays; nothing is executed."""

    @pytest.mark.parametrize(
        ("command", "named"),
        [
            ("ip link add br0 type bridge", "br0"),
            ("ip netns add net1", "net1"),
            ("ip link add veth1 type veth peer name x1", "veth1"),
            ("ip link add ceth0 type bridge", "ceth0"),
        ],
    )
    def test_that_are_taken(self, private: Private, command: str, named: str) -> None:
        private.sh(command)
        before = private.snapshot()
        done = private.cnetsh("up", "routing", check=False)
        assert done.returncode == 2, report(done)
        assert named in done.stderr and "[1/21]" not in done.stderr
        assert oracle.diff(before, private.snapshot()) == []


class TestWhatIsNotOurs:
    """A step that changed nothing has no undo, and one that has no sure undo is refused.

    Killed before a step that would change nothing: test_inverse.py does it with the samples of all
    kinds, so `make soak` does it with these.
    """

    def lab(self, base: Path, *texts: str) -> str:
        return folder_of(base, "own", [Step(text, "", "", "", "change", 0) for text in texts])

    @pytest.mark.soak
    @pytest.mark.parametrize(
        "text",
        [
            "ip route add default via 10.0.2.2",
            "ip route add 0.0.0.0/0 via 10.0.2.2 dev eth0",
            "ip address add 10.0.2.15/24 dev eth0",
            "ip link set eth0 up",
            "ip link set dev p9 master br9",
            "tc qdisc add dev eth0 root tbf rate 1mbit burst 10k latency 50ms",
            "iptables -t nat -A POSTROUTING -s 172.18.0.0/12 ! -o br0 -j MASQUERADE",
            "echo 1 | tee /proc/sys/net/ipv4/ip_forward",
        ],
    )
    def test_survives_a_kill_before_the_step(
        self, private: Private, tmp_path: Path, text: str
    ) -> None:
        shaped = "tc qdisc add dev eth0 root tbf rate 9mbit burst 10k latency 50ms\n"
        private.sh(FOREIGN + ON + RULE + shaped)
        qdisc = private.sh("tc qdisc show dev eth0")
        grid = [(0, "after intent")]
        folder = self.lab(tmp_path, text)
        assert unequal(crash(private, "killed", lab=folder, settings=[], grid=grid)) == []
        assert private.sh("tc qdisc show dev eth0") == qdisc

    @pytest.mark.parametrize(
        "texts",
        [
            ("ip netns add net0", "ip link set p9 netns net0"),
            ("ip -n other link set q9 up",),
            ("ip netns exec other iptables -A INPUT -s 10.9.0.9 -j DROP",),
        ],
    )
    def test_is_refused_without_a_sure_undo(
        self, private: Private, tmp_path: Path, texts: tuple[str, ...]
    ) -> None:
        private.sh(FOREIGN)
        before = private.snapshot()
        done = private.cnetsh("up", self.lab(tmp_path, *texts), check=False)
        assert done.returncode == 2, report(done)
        assert "is not made by this plan" in done.stderr
        assert oracle.diff(before, private.snapshot()) == []


class TestUndoing:
    """R3: an undo that fails, or that nobody could type."""

    @pytest.mark.parametrize("name", ["a\\033[2Jb", "it;s"])
    def test_goes_on_past_an_undo_that_cannot_be_read(
        self, private: Private, tmp_path: Path, name: str
    ) -> None:
        made = "ip link add br8 address 02:00:00:00:00:b8 type bridge"
        made += "; ip link add p9 type veth peer name q9"
        odd = f"odd=$(printf '{name}'); ip link add name $odd type bridge"
        private.sh(f"{made}; {odd}; ip link set p9 master $odd")
        before = private.snapshot()
        texts = ("ip netns add n0", "ip link set dev p9 master br8", "ip link set br8 mtu 1400")
        steps = [Step(text, "", "", "", "change", 0) for text in texts]
        private.cnetsh("up", folder_of(tmp_path, "own", steps))
        done = private.cnetsh("down", "own")
        assert "as before" in done.stderr
        assert oracle.diff(before, private.snapshot()) == []

    def test_goes_on_past_an_undo_that_fails(self, private: Private, tmp_path: Path) -> None:
        before = private.snapshot()
        private.cnetsh("up", "routing")
        # The undo of forwarding fails: the file cannot be written.
        private.sh(
            "echo 1 > /run/one && mount --bind /run/one /proc/sys/net/ipv4/ip_forward"
            " && mount -o remount,ro,bind /proc/sys/net/ipv4/ip_forward"
        )
        done = private.cnetsh("down", "routing", check=False)
        assert done.returncode == 3, report(done)
        assert "ip_forward" in done.stderr and "br0" not in private.sh("ip -br link")
        assert private.sh("ls /run/netns") == "" and "MASQ" not in private.sh("iptables-save")
        private.sh("umount /proc/sys/net/ipv4/ip_forward; rm /run/one")
        assert private.cnetsh("down", "routing").returncode == 0
        assert oracle.diff(before, private.snapshot()) == []

    def test_in_a_foreign_namespace_is_told_until_that_is_gone(
        self, private: Private, tmp_path: Path
    ) -> None:
        private.sh(FOREIGN)
        said = Directives(undo="ip -n other route delete 10.77.0.0/16")
        step = Step("ip -n other link set q9 down", "other", "", "", "change", 0, said)
        lab = folder_of(tmp_path, "own", [step])
        private.cnetsh("up", lab)
        for _ in range(2):
            done = private.cnetsh("down", "own", check=False)
            assert done.returncode == 3, report(done)
            assert "step 1 is not undone" in done.stderr
            assert "ip -n other route delete 10.77.0.0/16" in done.stderr
        private.sh("ip netns delete other")
        assert private.cnetsh("down", "own").returncode == 0


# Kills the child of one fork, as the kernel does when memory runs out, before it can do anything.
KILLED_AT = """
import os, signal, sys
count, at = 0, int(sys.argv.pop(1))

def forks():
    global count
    count += 1

def begins():
    if count == at:
        os.kill(os.getpid(), signal.SIGKILL)

os.register_at_fork(before=forks, after_in_child=begins)
from cnetsh.__main__ import begin
begin()
"""
# More than one command at a time, and commands that no batch takes.
LONG_LAB = """
name: long
bridges: {br1: {address: 10.31.0.1/16, nat: true}}
containers: {a: {bridge: br1, count: 5, dns: 1.1.1.1}}
"""


class TestCommandsThatDoNotStart:
    @pytest.mark.parametrize("every", [{"routing": 1}, {"long.yaml": 8}], ids=["short", "long"])
    def test_are_failed_steps(
        self, private: Private, tmp_path: Path, every: dict[str, int]
    ) -> None:
        (tmp_path / "long.yaml").write_text(LONG_LAB)
        ((lab, apart),) = every.items()
        lab = str(tmp_path / lab) if "." in lab else lab
        before, killed, code = private.snapshot(), 0, 1
        while code:
            argv = [sys.executable, "-c", KILLED_AT, str(1 + killed * apart), "up", lab]
            done = private.run(argv)
            code, killed = done.returncode, killed + 1
            if code:
                assert code == 1 and "Traceback" not in done.stderr, report(done)
                assert "killed" in done.stderr and " failed: " in done.stderr, report(done)
                assert "undone, as before" in done.stderr, report(done)
                assert oracle.diff(before, private.snapshot()) == []
        assert killed > 2

    def test_do_not_stop_an_undo(self, private: Private) -> None:
        before = private.snapshot()
        for killed in (1, 2):
            private.cnetsh("up", "routing")
            done = private.run([sys.executable, "-c", KILLED_AT, str(killed), "down", "routing"])
            assert done.returncode in (0, 3) and "Traceback" not in done.stderr, report(done)
            private.cnetsh("down", "routing")
            assert oracle.diff(before, private.snapshot()) == []
