"""A saved plan runs what was reviewed, or is refused: whatever happened to the file."""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from answers import seen

from cnetsh.compare.preview import refuse_changed, relied_on
from cnetsh.errors import CnetshError
from cnetsh.labs import choose
from cnetsh.plan import saved
from cnetsh.plan.lines import Line
from cnetsh.plan.steps import Plans, parse

CHECKOUT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted(str(file) for file in (CHECKOUT / "examples").glob("*.yaml"))
RELIED_ON = {"link br0": "absent", "routes": "default 10.0.2.2 eth0"}


def written(folder: Path, plans: Plans) -> Path:
    path = folder / "plan.json"
    path.write_text(saved.as_saved(plans, relied_on=RELIED_ON), encoding="utf-8")
    return path


def what_runs(plans: Plans) -> list[tuple[object, ...]]:
    """All of a plan that has an effect: commands, how they are undone, what they must not do."""
    parts = (plans.up, plans.check, plans.down)
    return [
        (part.lab, part.part, step.text, step.argv, step.stdin, step.kind, step.said)
        for part in parts
        for step in part.steps
    ]


def edited(path: Path, edit: Callable[[dict[str, Any]], object]) -> Path:
    """The file after an edit by somebody who knows how to make the digest fit."""
    content = json.loads(path.read_text(encoding="utf-8"))
    content.pop("sha256")
    edit(content)
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    path.write_text(json.dumps(content | {"sha256": digest}), encoding="utf-8")
    return path


@pytest.mark.parametrize("lab", ["veth", "container", "conflict", "bridge", "routing", *EXAMPLES])
def test_is_read_back_as_it_was(tmp_path: Path, lab: str) -> None:
    plans = choose.plans(lab)
    found = saved.read_saved(written(tmp_path, plans))
    assert what_runs(found.plans) == what_runs(plans)
    assert [one.why for one in found.plans.up.steps] == [one.why for one in plans.up.steps]
    assert found.relied_on == RELIED_ON
    assert found.plans.teaches == plans.teaches and found.plans.up.title == plans.up.title


def test_of_a_lab_that_is_called_as_a_word_of_ip_is_read(tmp_path: Path) -> None:
    file = tmp_path / "lab.yaml"
    file.write_text("name: all\ncontainers: {a: }\n")
    plans = choose.plans(str(file))
    assert saved.read_saved(written(tmp_path, plans)).plans.up.lab == "all"


def test_is_as_expected(golden: Callable[[str, str], None]) -> None:
    golden("plans/routing.json", saved.as_saved(choose.plans("routing")))


def test_of_the_version_before_is_read(tmp_path: Path) -> None:
    plans = choose.plans("veth")

    def old(plan: dict[str, Any]) -> None:
        for key in ("verb", "does", "warnings"):
            plan.pop(key)
        for entry in plan["up"]:
            for key in {"undone_by", "covered_by"} & entry.keys():
                del entry[key]
        plan["cnetsh_plan"] = 1

    found = saved.read_saved(edited(written(tmp_path, plans), old))
    assert what_runs(found.plans) == what_runs(plans) and found.verb == "up"


def test_says_of_each_step_how_it_is_undone() -> None:
    steps = json.loads(saved.as_saved(choose.plans("bridge")))["up"]
    for step in steps:
        assert ("covered_by" in step) != ("undone_by" in step)
        assert "covered_by" not in step or "undone_by" in steps[step["covered_by"] - 1]


def test_has_a_line_for_each_step_whatever_that_says() -> None:
    text = """# It is '}, {"command": "b"}'.\nip link set br0 alias '}, {"command": "'\n"""
    plan = parse(text * 3, "own", "Own", "up", "own")
    lines = saved.as_saved(Plans(plan, plan, plan)).splitlines()
    steps = [json.loads(line.strip().rstrip(",")) for line in lines if line.startswith(" {")]
    assert [step["command"] for step in steps] == [step.text for step in plan.steps]


def test_that_does_something_else_now_is_stale() -> None:
    one, other = (Line("-", step) for step in choose.plans("veth").up.steps[:2])
    plan = saved.Saved(choose.plans("veth"), "up", {}, (("-", one.step.text),))
    plan.refuse_stale([one])
    plan.refuse_stale([])
    with pytest.raises(CnetshError) as caught:
        plan.refuse_stale([other])
    assert f"would not run any more: {one.step.text}" in caught.value.message
    assert f"would run now: {other.step.text}" in caught.value.message


def test_with_any_byte_flipped_runs_nothing_else(tmp_path: Path) -> None:
    plans = choose.plans("veth")
    path = written(tmp_path, plans)
    good, reviewed = path.read_bytes(), what_runs(plans)
    refused = 0
    for place, byte in enumerate(good):
        path.write_bytes(good[:place] + bytes([byte ^ 1 << place % 8]) + good[place + 1 :])
        try:
            found = saved.read_saved(path)
        except CnetshError:
            refused += 1
        else:
            assert what_runs(found.plans) == reviewed and found.relied_on == RELIED_ON
    # What is left are blanks between the parts of the JSON text.
    assert refused > 0.95 * len(good)


def test_cut_anywhere_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, choose.plans("veth"))
    good = path.read_bytes()
    for length in range(0, len(good) - 2, 7):
        path.write_bytes(good[:length])
        with pytest.raises(CnetshError):
            saved.read_saved(path)


@pytest.mark.parametrize(
    "entry",
    [
        {"command": "rm -rf /"},
        {"command": "ip netns exec net0 sh -c reboot"},
        {"command": "ip link set eth0 netns 1"},
        {"command": "ip link delete eth0"},
        {"command": "iptables -F"},
        {"command": "ip -batch /tmp/lines"},
        {"command": "echo 1 | tee /proc/sys/kernel/panic"},
        {"command": "echo 1 | tee /proc/sys/net/../kernel/panic"},
        {"command": "ip link show; reboot"},
        {"command": "ip link show\nreboot"},
        {"command": "ip link show\u2028reboot"},
        {"command": "ip link show $(reboot)"},
        {"command": "# ip link show"},
        {"command": ""},
        {"command": 1},
        {"command": "ip netns add x", "undo": "rm -rf /"},
        {"command": "ip netns add x", "undo": "ip link show\nrm -rf /"},
        {"command": "ip netns add x", "why": "because\nip netns add y"},
        {"command": "ip netns add x", "section": "s\nip netns add y"},
        {"command": "ip netns add x", "expect_failure": "s\nip netns add y"},
        {"command": "ip netns add x", "needs": "route 1.1.1.1\nip netns add y"},
        {"command": "ip netns add x", "needs": "money"},
        {"why": "no command"},
        "ip netns add x",
    ],
    ids=str,
)
@pytest.mark.parametrize("part", ["up", "down"])
def test_with_a_step_more_and_a_fitting_digest_is_refused(
    tmp_path: Path, part: str, entry: object
) -> None:
    if (part, entry) == ("down", {"command": "ip link delete eth0"}):
        pytest.skip("the way down is made of such")
    path = edited(written(tmp_path, choose.plans("veth")), lambda plan: plan[part].append(entry))
    with pytest.raises(CnetshError):
        saved.read_saved(path)


@pytest.mark.parametrize(
    "edit",
    [
        lambda plan: plan.pop("up"),
        lambda plan: plan.pop("relied_on"),
        lambda plan: plan.update(up={"command": "ip link show"}),
        lambda plan: plan.update(up="ip link show"),
        lambda plan: plan.update(up=[[]]),
        lambda plan: plan.update(relied_on=[]),
        lambda plan: plan.update(cnetsh_plan=3),
        lambda plan: plan.update(verb="recover"),
        lambda plan: plan["up"][0].update(undone_by=["ip link delete eth0"]),
        lambda plan: plan.update(lab="../../etc/passwd"),
        lambda plan: plan.update(lab=["x"]),
        lambda plan: plan.update(lab="x\ny"),
        lambda plan: plan.update(title="x\nip netns add y"),
    ],
)
def test_of_another_form_is_refused(
    tmp_path: Path, edit: Callable[[dict[str, Any]], object]
) -> None:
    with pytest.raises(CnetshError):
        saved.read_saved(edited(written(tmp_path, choose.plans("veth")), edit))


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", "null", "[" * 100_000, '{"a": 1e999}', "\xff", "{", '{"up": []}']
)
def test_that_is_no_plan_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "plan.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(CnetshError):
        saved.read_saved(path)


def test_that_is_not_there_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.json"):
        with pytest.raises(CnetshError):
            saved.read_saved(path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_of_another_user_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, choose.plans("veth"))
    os.chown(path, 65534, 65534)
    with pytest.raises(CnetshError, match="belongs to user 65534"):
        saved.read_saved(path)


class TestWhatIsReliedOn:
    LINKS = {"lo": {"up": True}, "eth0": {"kind": "veth", "up": True}}  # noqa: RUF012
    FORWARD = "/proc/sys/net/ipv4/ip_forward"

    def changes(self, lab: str, **now: Any) -> list[str]:
        plan, facts = choose.plans(lab).up, {"links": self.LINKS, "settings": {self.FORWARD: "0"}}
        before = seen(**facts)
        known = relied_on(plan, before)
        try:
            refuse_changed(known, plan, seen(**facts | now))
        except CnetshError as error:
            return [line.strip() for line in error.message.splitlines()[1:]]
        return []

    def test_is_there_unchanged(self) -> None:
        assert self.changes("routing") == []

    def test_are_names_that_are_free(self) -> None:
        taken = {**self.LINKS, "br0": {"kind": "bridge"}}
        assert self.changes("routing", links=taken) == ["link br0: was absent, is there"]
        found = self.changes("routing", namespaces={"net0": 4})
        assert found == ["netns net0: was absent, is there"]

    def test_are_settings_that_it_writes(self) -> None:
        found = self.changes("routing", settings={self.FORWARD: "1"})
        assert found == [f"setting {self.FORWARD}: was 0, is 1"]
        assert self.changes("veth", settings={self.FORWARD: "1"}) == []

    def test_are_routes(self) -> None:
        route = {"dst": "default", "gateway": "10.0.2.2", "dev": "eth0"}
        assert self.changes("veth", routes=[route]) == ["routes: was , is default 10.0.2.2 eth0"]

    def test_are_rules_that_it_adds(self) -> None:
        rule = "-A POSTROUTING -s 172.16.0.0/12 ! -o br0 -j MASQUERADE"
        (found,) = self.changes("routing", rules={"iptables nat": [rule]})
        assert found.startswith("rule ") and found.endswith(": was 0 times, is 1 times")
