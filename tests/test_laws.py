"""The laws of states, over labs, examples and generated lab files: no kernel is asked.

tests/kernel/test_after.py licenses them: what changes leave behind is what the kernel then has.
"""

from collections.abc import Sequence
from itertools import pairwise, permutations
from pathlib import Path

import pytest
from generated import lab_file

from cnetsh import kinds
from cnetsh.compare.drift import missing
from cnetsh.compare.plans import between
from cnetsh.errors import CnetshError
from cnetsh.kinds.change import Change, State, after
from cnetsh.labs.choose import commands, plans
from cnetsh.labs.choose import part as part_of
from cnetsh.plan.steps import Plan, Plans, changes_of, parse, to_text
from cnetsh.plan.undo import undos
from cnetsh.views.script import as_script

LABS = ("veth", "container", "conflict", "bridge", "routing")
EXAMPLES = sorted((Path(__file__).resolve().parent.parent / "examples").glob("*.yaml"))
GENERATED = 120
PARTS = ("up", "check", "down")


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> list[Plans]:
    """The plans of all labs and examples, and of generated lab files that are labs."""
    return plans_of(range(GENERATED), tmp_path_factory.mktemp("laws"))


def plans_of(seeds: Sequence[int], folder: Path) -> list[Plans]:
    """The plans of all labs and examples, then of the lab files of these seeds that are labs."""
    path = folder / "lab.yaml"
    found = [plans(name) for name in (*LABS, *map(str, EXAMPLES))]
    for seed in seeds:
        path.write_text(lab_file(seed), encoding="utf-8")
        try:
            found.append(plans(str(path)))
        except CnetshError:
            continue
    assert len(found) > len(seeds) / 2, "too few of the generated files are labs"
    return found


def test_after_a_plan_and_its_undos_nothing_is_left(known: list[Plans]) -> None:
    for plan in (one.up for one in known):
        # What a template keeps on purpose is no part of the law.
        steps = [step for step in plan.steps if step.said.undo != ""]
        back = [text for undo in reversed(undos(steps)) for text in undo.texts]
        changes = [change for step in steps for change in step.changes]
        left = after([*changes, *(change for text in back for change in changes_of(text))])
        # A setting always has a value, and what is only spoken of is not the plan's.
        assert [ref for ref in left if ref.kind != "setting" and left[ref][0].get("kind")] == []
        assert {ref.kind for ref in left} <= {"setting", "link"}


def test_bare_commands_are_those_that_a_plan_may_have(tmp_path: Path) -> None:
    path = tmp_path / "lab.yaml"
    for name in (*LABS, "sandbox", *map(str, EXAMPLES)):
        assert typed(name, bare=True) == typed(name, bare=False)
    for seed in range(GENERATED):
        path.write_text(lab_file(seed), encoding="utf-8")
        assert typed(str(path), bare=True) == typed(str(path), bare=False)


def typed(name: str, bare: bool) -> list[str]:
    """The commands of a lab, bare or by way of its steps, or why there are none."""
    try:
        if bare:
            return [text for which in PARTS for text in commands(name, (), which)]
        return [step.text for which in PARTS for step in part_of(name, (), which).steps]
    except CnetshError as error:
        return [error.message]


def test_text_to_steps_to_text(known: list[Plans]) -> None:
    for plan in (part for one in known for part in (one.up, one.check, one.down)):
        again = parse(to_text(plan), plan.lab, plan.title, plan.part, "again")
        assert [step._replace(line=0) for step in again.steps] == [
            step._replace(line=0) for step in plan.steps
        ]


def test_changes_to_text_to_changes(known: list[Plans]) -> None:
    every = {repr(change): change for one in known for change in one.up.changes}
    assert len(every) > 10 * GENERATED
    for change in every.values():
        assert [one for text in kinds.write(change) for one in changes_of(text)] == [change]


def test_nothing_is_missing_of_what_is_there(known: list[Plans]) -> None:
    for one in known:
        state = after(one.up.changes)
        assert list(missing(state, state)) == []
        for ref in list(state)[:3]:
            less = {other: facts for other, facts in state.items() if other != ref}
            assert [lost for lost, _, _ in missing(state, less)] == [ref] * len(state[ref])


def test_a_scripts_commands_fold_to_the_plans_state(known: list[Plans]) -> None:
    for one in known:
        text = as_script(one.up, one.down, one.check, sudo=False)
        body = text.partition("\nadd() {")[2].partition("\n}\n")[0].partition("<<'NEXT'")[0]
        lines = [line.strip().removesuffix(" >/dev/null") for line in body.splitlines()]
        commands = [line for line in lines if line.startswith(_TOOLS)]
        assert after(change for line in commands for change in changes_of(line)) == after(
            one.up.changes
        )


_TOOLS = ("ip ", "echo ", "iptables ", "ip6tables ", "tc ", "mkdir ")


def test_a_live_change_ends_in_the_state_of_the_new_plan(known: list[Plans]) -> None:
    few, many = known[: len(LABS) + len(EXAMPLES)], known[len(LABS) + len(EXAMPLES) :]
    pairs = [*permutations(few, 2), *pairwise(many)]
    assert len(pairs) > 170
    for old, new in pairs:
        kept, added = changed(old.up, new.up)
        assert in_any_order(after([*kept, *added])) == in_any_order(after(new.up.changes))


def changed(old: Plan, new: Plan) -> tuple[list[Change], list[Change]]:
    """What stays of a lab that is up, and what is run, when it is changed into another plan."""
    change = between(dict(enumerate(old.steps)), new)
    kept = [step for number, step in enumerate(old.steps) if number not in change.gone]
    return (
        [one for step in kept for one in step.changes],
        [one for step in change.new for one in step.changes],
    )


def in_any_order(state: State) -> dict[object, list[str]]:
    return {ref: sorted(map(repr, facts)) for ref, facts in state.items() if facts != [{}]}


def test_of_three_equal_steps_two_go_when_the_new_plan_has_one(tmp_path: Path) -> None:
    rule = "iptables -I FORWARD -j ACCEPT\n"
    old, new = (parse(text, "own", "", "up", "own") for text in (3 * rule, rule))
    kept, added = changed(old, new)
    assert after([*kept, *added]) == after(new.changes)
