"""Undo follows ownership: what takes what along, and which command undoes the rest."""

import pytest
from samples import plan

from cnetsh.labs import choose
from cnetsh.labs.builtin import LABS
from cnetsh.plan import undo
from cnetsh.plan.steps import Step, parse
from cnetsh.plan.undo import Undo, undos

MOVED = """ip netns add n0
ip link add v0 type veth peer name c0
ip link set v0 up
ip link set c0 netns n0
ip netns exec n0 ip link set c0 up
ip netns exec n0 ip address add 10.0.0.2/8 dev c0
"""
FORWARD = "/proc/sys/net/ipv4/ip_forward"


def steps(text: str) -> tuple[Step, ...]:
    return plan(text).steps


def of(text: str, *applied: int) -> list[Undo]:
    return undos(steps(text), applied or None)


def covers(text: str, *applied: int) -> dict[int, int | None]:
    return {one.step: one.covered_by for one in of(text, *applied)}


def texts(text: str) -> list[str]:
    return [line for one in of(text) for line in one.texts]


class TestOwnership:
    def test_a_namespace_takes_all_that_is_in_it(self) -> None:
        assert covers(MOVED) == {0: None, 1: 0, 2: 0, 3: 0, 4: 0, 5: 0}
        assert texts(MOVED) == ["ip netns delete n0"]

    def test_a_link_takes_its_state_and_addresses(self) -> None:
        text = "ip link add name br0 type bridge\nip address add 10.0.0.1/8 dev br0\n"
        text += "ip link set br0 up\nip link set br0 mtu 1400\n"
        assert covers(text) == {0: None, 1: 0, 2: 0, 3: 0}
        assert texts(text) == ["ip link delete br0"]

    def test_what_is_not_the_plans_own_is_put_back(self) -> None:
        text = "ip link set eth0 up\nip address add 10.0.0.1/8 dev eth0\n"
        text += "ip link add v0 type veth peer name c0\nip link set dev eth0 master br9\n"
        assert covers(text) == {0: None, 1: None, 2: None, 3: None}
        assert texts(text) == [
            "ip link set eth0 down",
            "ip address delete 10.0.0.1/8 dev eth0",
            "ip link delete v0",
            "ip link set dev eth0 nomaster",
        ]

    def test_a_port_of_the_plans_bridge_goes_with_its_own_maker(self) -> None:
        text = "ip link add br0 type bridge\nip link add v0 type veth peer name c0\n"
        text += "ip link set dev v0 master br0\n"
        assert covers(text) == {0: None, 1: None, 2: 1}

    def test_a_pair_between_two_namespaces_goes_with_one(self) -> None:
        text = "ip netns add n0\nip netns add n1\n"
        text += "ip link add a0 netns n0 type veth peer name b netns n1\n"
        assert covers(text)[2] in (0, 1)
        assert texts(text) == ["ip netns delete n0", "ip netns delete n1"]

    def test_a_macvlan_goes_with_its_namespace_and_not_with_its_parent(self) -> None:
        text = "ip netns add n0\nip link add link eth0 name m0 netns n0 type macvlan mode bridge\n"
        assert covers(text) == {0: None, 1: 0}

    def test_a_rule_of_the_plans_own_chain_goes_with_it(self) -> None:
        text = "iptables -t nat -N LAB\niptables -t nat -A LAB -j RETURN\n"
        text += "iptables -t nat -A POSTROUTING -j LAB\n"
        assert covers(text) == {0: None, 1: 0, 2: None}
        assert texts(text) == [
            "iptables -t nat -F LAB",
            "iptables -t nat -X LAB",
            "iptables -t nat -D POSTROUTING -j LAB",
        ]

    def test_a_link_of_the_same_name_in_a_namespace_is_another_one(self) -> None:
        text = "ip netns add n0\nip link add v0 type veth peer name c0\n"
        text += "ip netns exec n0 ip link set v0 up\nip link set v0 up\n"
        assert covers(text) == {0: None, 1: None, 2: 0, 3: 1}

    def test_a_link_made_inside_goes_with_the_namespace(self) -> None:
        text = "ip netns add n0\nip netns exec n0 ip link add a0 type veth peer name b\n"
        assert covers(text) == {0: None, 1: 0}


class TestApplied:
    def test_nothing_applied_is_nothing_to_undo(self) -> None:
        assert undos(steps(MOVED), ()) == []

    @pytest.mark.parametrize("number", range(7))
    def test_a_prefix_has_an_undo_for_each_of_its_steps(self, number: int) -> None:
        found = undos(steps(MOVED), range(number))
        assert [one.step for one in found] == list(range(number))
        for one in found:
            assert one.texts or one.covered_by is not None
            assert one.covered_by is None or found[one.covered_by].texts

    def test_a_pair_that_was_not_moved_yet_is_deleted_itself(self) -> None:
        assert covers(MOVED, 0, 1, 2) == {0: None, 1: None, 2: 1}
        assert [one.texts for one in of(MOVED, 0, 1, 2)] == [
            ("ip netns delete n0",),
            ("ip link delete v0",),
            (),
        ]

    def test_of_a_namespace_that_was_not_made_nothing_is_taken_along(self) -> None:
        (found,) = of("ip netns add n0\nip netns exec n0 ip link set lo up\n", 1)
        assert (found.covered_by, found.texts) == (
            None,
            ("ip netns exec n0 ip link set lo down",),
        )

    @pytest.mark.parametrize("name", LABS)
    def test_every_subset_of_every_lab_points_to_applied_steps(self, name: str) -> None:
        plan = choose.part(name, (), "up").steps
        for left_out in range(len(plan)):
            applied = set(range(len(plan))) - {left_out}
            for one in undos(plan, applied):
                assert one.covered_by is None or one.covered_by in applied
                assert one.covered_by is None or not one.texts


class TestTexts:
    @pytest.mark.parametrize(
        ("text", "undone"),
        [
            (f"echo 1 | tee {FORWARD}", f"echo 0 | tee {FORWARD}"),
            (f"echo 0 | tee {FORWARD}", f"echo 1 | tee {FORWARD}"),
            (
                f"echo 1 | ip netns exec n9 tee {FORWARD}",
                f"echo 0 | ip netns exec n9 tee {FORWARD}",
            ),
            (
                "iptables -t nat -A POSTROUTING -s 172.18.0.0/12 ! -o br0 -j MASQUERADE",
                "iptables -t nat -D POSTROUTING -s 172.18.0.0/12 ! -o br0 -j MASQUERADE",
            ),
            ("ip -n n9 link set lo up", "ip netns exec n9 ip link set lo down"),
            (
                "iptables -A FORWARD -m comment --comment 'two words' -j DROP",
                "iptables -D FORWARD -m comment --comment 'two words' -j DROP",
            ),
            ("#: undo ip link set a0 down\nip link set a0 mtu 9", "ip link set a0 down"),
        ],
    )
    def test_are_typed_as_the_step_was(self, text: str, undone: str) -> None:
        (found,) = of(text)
        assert found.texts == (undone,)
        assert parse(undone, "own", "", "down", "own").steps[0].netns == steps(text)[0].netns

    def test_of_a_directive_without_a_command_there_is_none(self) -> None:
        (found,) = of("#: undo none: the kernel forgets it\nip link set a0 up")
        assert (found.texts, found.note) == ((), "the kernel forgets it")

    def test_of_what_the_snapshot_puts_back_there_is_none(self) -> None:
        (found,) = of("ip link set eth0 mtu 1400")
        assert (found.texts, found.note) == ((), "put back from the snapshot")

    def test_of_a_look_there_is_none(self) -> None:
        (found,) = of("ip link show")
        assert (found.texts, found.note) == ((), "it changes nothing")


class TestOrder:
    def test_is_that_of_the_down_template(self) -> None:
        plan = choose.plans("routing")
        todo = [one for one in undos(plan.up.steps) if one.texts]
        ordered = [text for one in undo.down_order(todo, plan.down.steps) for text in one.texts]
        typed = [step.text for step in plan.down.steps]
        assert ordered == typed

    def test_what_it_does_not_name_comes_after_in_reverse(self) -> None:
        todo = [Undo(number, (f"ip netns delete n{number}",)) for number in range(4)]
        down = parse("ip netns delete n1\nip netns delete n3\n", "own", "", "down", "").steps
        assert [one.step for one in undo.down_order(todo, down)] == [1, 3, 2, 0]

    def test_without_one_is_the_reverse(self) -> None:
        todo = [Undo(number, (f"ip netns delete n{number}",)) for number in range(4)]
        assert [one.step for one in undo.down_order(todo, ())] == [3, 2, 1, 0]

    def test_without_one_it_is_the_plan_of_down(self) -> None:
        up, none = plan(MOVED), parse("", "own", "", "down", "")
        assert [step.text for step in undo.down_plan(up, none).steps] == ["ip netns delete n0"]
        typed = parse("ip link delete v0\n", "own", "", "down", "")
        assert undo.down_plan(up, typed) == typed
