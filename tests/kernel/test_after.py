"""What changes leave behind is what the kernel then has: this licenses the laws in test_laws.py."""

import json
from pathlib import Path

import battery
import pytest
from hosts import HERE, Private

from cnetsh.labs.builtin import LABS

EXAMPLES = sorted((HERE.parent.parent / "examples").glob("*.yaml"))
# Says what is missing of what the commands, or a lab's plan, leave behind.
PROGRAM = """
import json, sys
from cnetsh.compare.drift import missing
from cnetsh.compare.snapshot import look_everywhere, take
from cnetsh.kinds.change import after
from cnetsh.labs.choose import plans
from cnetsh.plan.steps import changes_of
from cnetsh.system.process import ask

lab, lines = json.load(sys.stdin)
changes = list(plans(lab).up.changes) if lab else []
changes += [change for line in lines for change in changes_of(line)]
wanted = after(changes)
paths = {ref.name for ref in wanted if ref.kind == "setting"}
now = look_everywhere(ask, (), ()) | take(ask, paths)
seen = {ref: facts for ref, facts in wanted.items()
        if ref.kind != "home" and not (ref.netns and ref.kind in ("rule", "chain", "setting"))}
print(json.dumps([text for _, _, text in missing(seen, now)] + [len(seen)]))
"""


def missing_of(private: Private, lab: str, lines: list[str]) -> list[object]:
    asked = json.dumps([lab, lines])
    return list(private.rows("-c", PROGRAM, input=asked)[0])


@pytest.mark.parametrize("lab", [*LABS, *map(str, EXAMPLES)], ids=lambda lab: Path(lab).stem)
def test_of_a_lab_all_is_there(private: Private, lab: str) -> None:
    private.cnetsh("up", lab)
    *texts, count = missing_of(private, lab, [])
    assert texts == [] and isinstance(count, int) and count > 3


@pytest.mark.parametrize("text", battery.SAMPLES)
def test_of_a_sample_all_is_there(private: Private, text: str) -> None:
    if battery.lacks(text):
        pytest.skip("this kernel has no such link: make vm-test")
    others, own = battery.around(text)
    private.sh(f"{others}{own}{text}")
    *texts, count = missing_of(private, "", [text])
    assert (texts, count) == ([], count) and count
