"""What changes leave behind is what the kernel then has: this licenses the laws in test_laws.py."""

import json
import sys
from pathlib import Path

import pytest
from hosts import HERE, Private, report

from cnetsh import kinds
from cnetsh.labs.builtin import LABS

EXAMPLES = sorted((HERE.parent.parent / "examples").glob("*.yaml"))
# Says what is missing of what the commands, or a lab's plan, leave behind.
PROGRAM = """
import json, sys
from cnetsh.compare.drift import missing
from cnetsh.compare.snapshot import look_everywhere, state_of, take
from cnetsh.kinds import see
from cnetsh.kinds.change import Answers, after
from cnetsh.labs.choose import plans
from cnetsh.plan.steps import changes_of
from cnetsh.system.process import ask

lab, lines = json.load(sys.stdin)
changes = list(plans(lab).up.changes) if lab else []
changes += [change for line in lines for change in changes_of(line)]
wanted = after(changes)
paths = {ref.name for ref in wanted if ref.kind == "setting"}
files = {ref.name: open(ref.name).read() for ref in wanted if ref.kind == "name_server"}
now = look_everywhere(ask) | state_of(take(ask, paths)) | see(Answers(files=files))
seen = {ref: facts for ref, facts in wanted.items()
        if ref.kind != "home" and not (ref.netns and ref.kind in ("rule", "chain", "setting"))}
print(json.dumps([text for _, _, text in missing(seen, now)] + [len(seen)]))
"""
# What the samples need: two namespaces, a cable between two bridges' worth of addresses.
BEFORE = """
ip netns add n0; ip netns add n1
ip link add p0 type veth peer name p1; ip link add br0 type bridge
ip link set p0 up; ip link set p1 up; ip link set br0 up
ip address add 10.0.0.9/8 dev p0; ip address add fd00::9/64 dev p0 nodad
"""


def missing_of(private: Private, lab: str, lines: list[str]) -> list[object]:
    asked = json.dumps([lab, lines])
    done = private.run([sys.executable, "-c", PROGRAM], cwd=HERE.parent.parent, input=asked)
    assert done.returncode == 0, report(done)
    return list(json.loads(done.stdout))


@pytest.mark.parametrize("lab", [*LABS, *map(str, EXAMPLES)], ids=lambda lab: Path(lab).stem)
def test_of_a_lab_all_is_there(private: Private, lab: str) -> None:
    private.cnetsh("up", lab)
    *texts, count = missing_of(private, lab, [])
    assert texts == [] and isinstance(count, int) and count > 3


SAMPLES = [(text, kind.SAMPLES) for kind in kinds.MODULES for text in kind.SAMPLES]


@pytest.mark.parametrize(("text", "beside"), SAMPLES, ids=[text for text, _ in SAMPLES])
def test_of_a_sample_all_is_there(private: Private, text: str, beside: tuple[str, ...]) -> None:
    made = text.partition(" add ")[2].startswith(("p0 type", "p0 netns", "name br0"))
    private.sh(BEFORE + ("ip link delete p0; ip link delete br0" if made else ""))
    private.sh("ip netns delete n0" if text == "ip netns add n0" else "true")
    if "resolv.conf" in text or "hairpin" in text or "nomaster" in text:
        private.sh("mkdir -p /etc/netns/n0; ip link set p0 master br0")
    if "mkdir" in text:
        private.sh("mkdir -p /etc/netns")
    private.sh(text)
    *texts, count = missing_of(private, "", [text])
    assert (texts, count) == ([], count) and count
