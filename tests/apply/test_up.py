"""What is refused before anything runs: names that are taken, and undo that would be a guess."""

import pytest
from samples import plan

from cnetsh.apply import up
from cnetsh.compare.preview import refuse_taken
from cnetsh.errors import CnetshError
from cnetsh.kinds.change import Facts, Ref, State
from cnetsh.labs import choose
from cnetsh.labs.builtin import LABS


def link(name: str, kind: str) -> State:
    facts: Facts = {"mark": [7, 70], "names": [], "kind": kind, "up": True}
    return {Ref("link", "", name): [facts]}


def namespace(mark: int) -> State:
    return {Ref("netns", "", "net0"): [{"mark": mark}]}


@pytest.mark.parametrize("name", LABS)
def test_no_lab_needs_what_it_does_not_make(name: str) -> None:
    found = choose.part(name, (), "up")
    up.refuse_foreign(found)
    refuse_taken(found, {})


@pytest.mark.parametrize(
    ("text", "step", "named"),
    [
        ("ip netns exec f0 ip link set lo up", 1, "namespace f0"),
        ("ip netns add n0\nip -n f0 link set lo up", 2, "namespace f0"),
        ("ip link set eth0 netns n0", 1, "link eth0"),
        ("ip netns add n0\nip link set eth0 netns n0", 2, "link eth0"),
        # Nothing in the target's own namespace would tell that these are still there.
        ("ip link add a0 netns f0 type veth peer name b0 netns f1", 1, "namespace f0"),
        ("ip link add link p name m netns f0 type macvlan mode bridge", 1, "namespace f0"),
    ],
)
def test_what_others_made_is_not_changed_without_a_sure_undo(
    text: str, step: int, named: str
) -> None:
    with pytest.raises(CnetshError) as caught:
        up.refuse_foreign(plan(text))
    assert caught.value.message.startswith(f"own: step {step}: ")
    assert f"{named} is not made by this plan" in caught.value.message
    *before, last = text.splitlines()
    up.refuse_foreign(plan("\n".join([*before, "#: undo ip link show", last])))


@pytest.mark.parametrize(
    "text",
    [
        "ip netns add n0\nip netns exec n0 ip link set lo up",
        "ip link add a0 type veth peer name b0\nip link set b0 netns f0",
        "ip link add a0 type veth peer name b0 netns f0",
        "ip netns add n0\nip link add a0 type veth peer name b0\nip link set b0 netns n0\n"
        "ip netns exec n0 ip link set b0 up",
        "ip netns add n0\nip link add link p name m netns n0 type macvlan mode bridge",
        "ip netns exec f0 ip link show",
        "ip netns add n0\nip link add a0 netns f0 type veth peer name b0 netns n0",
        "iptables -N LAB",
    ],
)
def test_the_plans_own_may_be_changed(text: str) -> None:
    up.refuse_foreign(plan(text))


@pytest.mark.parametrize(
    ("before", "named"),
    [
        (link("br0", "bridge"), "bridge br0"),
        (link("br0", ""), "link br0"),
        (namespace(7), "namespace net0"),
        (namespace(0), "namespace net0 (a file that is no namespace)"),
    ],
)
def test_a_name_that_is_taken_is_named(before: State, named: str) -> None:
    with pytest.raises(CnetshError, match="is in the way and is not this lab's") as caught:
        refuse_taken(choose.part("bridge", (), "up"), before)
    assert named in caught.value.message and "--set" in caught.value.hint


def test_a_name_inside_a_namespace_is_not_taken_by_the_hosts() -> None:
    text = "ip netns add n0\nip netns exec n0 ip link add a0 type veth peer name b0"
    refuse_taken(plan(text), link("a", "veth"))
