"""What a plan would find, by what is there and what the lab itself made."""

from typing import Any

import pytest
from answers import seen
from samples import plan

from cnetsh.compare.preview import preview, refuse_changed, refuse_taken, relied_on
from cnetsh.compare.scope import is_own
from cnetsh.errors import CnetshError
from cnetsh.kinds.change import Ref
from cnetsh.labs import choose
from cnetsh.labs.builtin import LABS

FORWARD = "/proc/sys/net/ipv4/ip_forward"
RANGE = "/proc/sys/net/ipv4/ip_local_port_range"
RULE = "iptables -t nat -A POSTROUTING -s 172.18.0.0/12 ! -o br0 -j MASQUERADE"
SAVED = "-A POSTROUTING -s 172.16.0.0/12 ! -o br0 -j MASQUERADE"
BR0, NET0 = Ref("link", "", "br0"), Ref("netns", "", "net0")


@pytest.mark.parametrize(
    ("text", "verdicts"),
    [
        ("ip link add br0 type bridge\nip link set br0 up", ["create", "depends on step 1"]),
        ("ip netns add net0\nip netns exec net0 ip link", ["create", "look"]),
        ("ip netns add n0\nip netns exec n0 ip link set lo up", ["create", "depends on step 1"]),
        (
            "ip netns add net1\nip link add a0 type veth peer name b0\nip link set b0 netns net1\n"
            "ip netns exec net1 ip link set b0 up\nip link set a0 up",
            ["create", "create", "depends on step 2", "depends on step 1", "depends on step 2"],
        ),
        ("ip link add a0 type veth peer name eth0", ["in the way"]),
        ("ip link set eth0 up\nip link set eth0 mtu 1400", ["already there", "change"]),
        ("ip address add 10.9.0.1/24 dev eth0", ["already there"]),
        ("ip address add 10.9.0.2/24 dev eth0", ["change"]),
        (f"{RULE}\n{RULE.replace('br0', 'br1')}", ["already there", "change"]),
        (f"echo 1 | tee {FORWARD}\necho 0 | tee {FORWARD}", ["already there", "change"]),
        ("mkdir /etc/netns/n0\nmkdir /etc/netns/n1", ["in the way", "create"]),
    ],
)  # fmt: skip
def test_verdicts(text: str, verdicts: list[str]) -> None:
    there = seen(
        {"eth0": {"up": True, "mtu": 1500}},
        [{"dev": "eth0", "address": "10.9.0.1/24"}],
        {"iptables nat": [SAVED]},
        settings={FORWARD: "1"},
        folders={"/etc/netns": [1, 5], "/etc/netns/n0": [2, 6]},
    )
    assert [one.verdict for one in preview(plan(text).steps, there)] == verdicts


def test_what_the_lab_made_is_there_and_not_in_the_way() -> None:
    steps = plan("ip link add br0 type bridge\nip netns add net0").steps
    there = seen({"br0": {"kind": "bridge"}}, marks={"br0": 77}, namespaces={"net0": 5})
    made = {"link br0": [7, 77], "netns net0": [5]}
    assert {one.verdict for one in preview(steps, there, made)} == {"already there"}
    refuse_taken(plan("ip link add br0 type bridge"), there, made)
    others = {"link br0": [7, 78], "netns net0": [6]}
    assert {one.verdict for one in preview(steps, there, others)} == {"in the way"}


@pytest.mark.parametrize(
    ("ref", "mark", "known", "own"),
    [
        (BR0, [7, 77], [7, 77], True),
        (BR0, [7, 77], [7, 78], False),
        (BR0, [8, 77], [7, 77], False),
        # Of journals of the version before: a link's MAC, and of a folder no birth.
        (BR0, [7, 77], [7, "02:00:00:00:00:01"], True),
        (BR0, [8, 77], [7, "02:00:00:00:00:01"], False),
        (Ref("folder", "", "/etc/netns/n0"), [4, 9], [4, 9], True),
        (Ref("folder", "", "/etc/netns/n0"), [4, 9], [4, 8], False),
        (Ref("folder", "", "/etc/netns/n0"), [4, 9], [4], True),
        (NET0, 5, [5], True),
        (NET0, 5, [6], False),
        # What is left of a namespace: a file that nobody can use.
        (NET0, 0, [6], True),
        (NET0, 0, None, False),
        (BR0, [7, 77], None, False),
    ],
)
def test_whose_an_object_is(ref: Ref, mark: Any, known: Any, own: bool) -> None:
    made = {f"{ref.kind} {ref.name}": known} if known else {}
    assert is_own(ref, {"mark": mark}, made) is own


@pytest.mark.parametrize("name", LABS)
def test_no_name_of_a_lab_is_taken_where_nothing_is(name: str) -> None:
    refuse_taken(choose.part(name, (), "up"), {})


@pytest.mark.parametrize(
    ("there", "named"),
    [
        ({"links": {"br0": {"kind": "bridge"}}}, "bridge br0"),
        ({"links": {"br0": {}}}, "link br0"),
        ({"namespaces": {"net0": 7}}, "namespace net0"),
        ({"namespaces": {"net0": 0}}, "namespace net0 (a file that is no namespace)"),
    ],
)
def test_a_name_that_is_taken_is_named(there: dict[str, Any], named: str) -> None:
    with pytest.raises(CnetshError, match="is in the way and is not this lab's") as caught:
        refuse_taken(choose.part("bridge", (), "up"), seen(**there))
    assert f"come up: {named} is in" in caught.value.message and "--set" in caught.value.hint


def test_a_name_inside_a_namespace_is_not_taken_by_the_hosts() -> None:
    text = "ip netns add n0\nip netns exec n0 ip link add a0 type veth peer name b0"
    refuse_taken(plan(text), seen({"a": {"kind": "veth"}}))


USES = (
    f"ip link set eth0 mtu 1400\necho 1 2 | tee {RANGE}\n"
    "ip route add 10.9.0.0/16 via 10.0.0.7 dev eth1"
)


def test_what_a_saved_plan_relies_on() -> None:
    there = seen({"eth0": {"up": True, "mtu": 1500}}, settings={RANGE: "1\t2"})
    assert relied_on(plan(USES), there) == {
        "lab own": "not up",
        "routes": "",
        "link eth0": '{"kind": "", "up": true, "master": null, "mtu": 1500}',
        f"setting {RANGE}": "1 2",
        "link eth1": "absent",
        "route ip route add 10.9.0.0/16 via 10.0.0.7 dev eth1": "0 times",
    }


def test_plans_of_the_version_before_are_still_read() -> None:
    there = seen({"eth0": {"up": True, "mtu": 1500}}, settings={RANGE: "1\t2"})
    before = {f"setting {RANGE}": "1\t2", "home mkdir -p /etc/netns": "0 times"}
    refuse_changed(before, plan(USES), there)
    with pytest.raises(CnetshError, match="was 3 4, is 1 2"):
        refuse_changed({f"setting {RANGE}": "3 4"}, plan(USES), there)
