"""Whatever comes after whatever: what labs make goes with them, and what others made stays."""

import json
import signal
import sys
import time
from pathlib import Path

import oracle
from hosts import PATIENCE, Private, report
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from test_foreign import NAT_LAB, PORT_LAB, lab_file

CNETSH = [sys.executable, "-m", "cnetsh"]
BRIDGE = """
mkdir -p /run/netns
ip link add br9 type bridge; ip link add p9 type veth peer name q9; ip link set p9 master br9
"""
LOOK = "ip -br link; ls /run/netns; iptables -S INPUT"
# What others make, and how they take it away again.
THINGS = {
    "ip link add f0 type bridge": "ip link delete f0",
    "ip link add f1 type veth peer name f2": "ip link delete f1",
    "ip netns add f3": "ip netns delete f3",
    "iptables -A INPUT -s 10.99.0.1 -j DROP": "iptables -D INPUT -s 10.99.0.1 -j DROP",
}
# What others break of a lab; it may be there or not.
BREAKS = ("ip link delete br0", "ip netns delete net0", "ip link delete ah", "umount /run/netns/b")
LABS = ("routing", "a", "b")


class Host(RuleBasedStateMachine):
    """One private host; its model is the things of others, and what `status` says of the labs."""

    def __init__(self, host: Private, files: dict[str, str], before: oracle.Facts) -> None:
        super().__init__()
        self.host, self.files, self.before = host, files, before
        self.things: set[str] = set()
        self.broken: set[str] = set()

    def cnetsh(self, *words: str) -> str:
        done = self.host.cnetsh(*words, check=False)
        assert "Traceback" not in done.stderr, report(done)
        assert done.returncode == 0, report(done)
        return done.stdout + done.stderr

    def states(self) -> dict[str, str]:
        return {row["lab"]: row["state"] for row in json.loads(self.cnetsh("status", "--json"))}

    @rule(lab=st.sampled_from(LABS))
    def up(self, lab: str) -> None:
        if self.states().get(lab) == "interrupted":
            done = self.host.cnetsh("up", self.files[lab], check=False)
            assert done.returncode == 2 and "cnetsh recover" in done.stderr, report(done)
            return
        said = self.cnetsh("up", self.files[lab])
        assert "is up already" in said or "is up: " in said

    @rule(lab=st.sampled_from(LABS))
    def down(self, lab: str) -> None:
        self.cnetsh("down", lab)
        self.broken.discard(lab)
        assert lab not in self.states()

    @rule(lab=st.sampled_from(LABS))
    def check(self, lab: str) -> None:
        if self.states().get(lab) == "up" and not self.broken:
            self.cnetsh("check", lab)

    @rule(
        lab=st.sampled_from(LABS),
        verb=st.sampled_from(["up", "down"]),
        number=st.sampled_from([signal.SIGKILL, signal.SIGINT]),
        seconds=st.floats(0, 0.1),
    )
    def stop(self, lab: str, verb: str, number: signal.Signals, seconds: float) -> None:
        """After the first word, so in the middle of the work."""
        process = self.host.start([*CNETSH, verb, self.files[lab]], stderr=-1, stdout=-1)
        assert process.stderr is not None and process.stderr.readline()
        time.sleep(seconds)
        process.send_signal(number)
        _, said = process.communicate(timeout=PATIENCE)
        assert process.returncode in (0, 2, 130, -number), said
        if lab not in self.states():
            self.broken.discard(lab)

    @rule()
    def recover(self) -> None:
        self.cnetsh("recover")
        assert "interrupted" not in self.states().values()

    @rule(thing=st.sampled_from(sorted(THINGS)))
    def others_make_or_take(self, thing: str) -> None:
        self.host.sh(THINGS[thing] if thing in self.things else thing)
        self.things ^= {thing}

    @rule(text=st.sampled_from(BREAKS))
    def others_break(self, text: str) -> None:
        if self.host.run(["sh", "-c", text]).returncode == 0:
            self.broken.update(LABS)

    @invariant()
    def what_others_made_is_there(self) -> None:
        found = self.host.sh(LOOK)
        for thing in self.things:
            words = thing.split()
            assert (words[3] if words[0] == "ip" else "10.99.0.1") in found, (thing, found)
        assert "p9" in found and "br9" in found

    def teardown(self) -> None:
        for lab in LABS:
            self.cnetsh("down", lab)
        assert "nothing to recover" in self.cnetsh("recover")
        for thing in self.things:
            self.host.sh(THINGS[thing])
        assert oracle.diff(self.before, self.host.snapshot()) == []


def run_sequences(
    host: Private, folder: Path, how_many: int, length: int = 10, by_chance: bool = True
) -> None:
    host.sh(BRIDGE)
    files = {
        "routing": "routing",
        "a": lab_file(folder, PORT_LAB, "a", 2),
        "b": lab_file(folder, NAT_LAB, "b", 62),
    }
    before = host.snapshot()
    run_state_machine_as_test(
        lambda: Host(host, files, before),
        settings=settings(
            deadline=None,
            max_examples=how_many,
            stateful_step_count=length,
            database=None,
            derandomize=not by_chance,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_one_or_two(private: Private, tmp_path: Path) -> None:
    """`make soak` runs a hundred, of 25 steps."""
    run_sequences(private, tmp_path, 2, length=8, by_chance=False)
