"""What a lab did, told from what others did, and taken back from what is there now."""

from typing import Any

import pytest
from samples import plan

from cnetsh.compare.revert import (
    aim,
    composed,
    handed_over,
    inherited,
    patch,
    predicted,
    same,
    without_lab,
)
from cnetsh.compare.scope import Scope, scope_of
from cnetsh.kinds.change import Fact, Found, Patch, Ref, State

ETH0, ETH1, BR9, M9, V0 = (Ref("link", "", name) for name in ("eth0", "eth1", "br9", "m9", "v0"))
MTU, MASTER, COST = Fact(ETH0, "mtu"), Fact(ETH0, "master"), Fact(ETH0, "cost")
NAT = Fact(Ref("chain", "", "iptables nat POSTROUTING"), "rules")
CONF = "/proc/sys/net/ipv4/conf"
RULE = "iptables -t nat -A POSTROUTING -j MASQUERADE"


def setting(path: str) -> Fact:
    return Fact(Ref("setting", "", path), "value")


FORWARD = setting("/proc/sys/net/ipv4/ip_forward")
REDIRECTS = setting(f"{CONF}/all/accept_redirects")


def scope(text: str, before: State | None = None) -> Scope:
    return scope_of(plan(text).steps, before or {})


def route(to: str, dev: str = "eth0", **more: Any) -> tuple[Fact, dict[str, Any]]:
    facts = {"dev": dev, "table": "main", "type": "unicast", **more}
    return Fact(Ref("route", "", to), dev), facts


def links(*names: str) -> Found:
    return {Fact(Ref("link", "", name)): [at, 70 + at] for at, name in enumerate(names, 1)}


class TestPatch:
    def test_a_gain_is_the_labs_only_where_a_step_names_it(self) -> None:
        ours, theirs = route("10.5.0.0/16"), route("10.6.0.0/16")
        now = dict((ours, theirs))
        done = patch({}, now, scope("ip route add 10.5.0.0/16 dev eth0"))
        assert done == {ours[0]: (None, ours[1])}

    def test_a_loss_or_another_value_also_where_a_step_reaches(self) -> None:
        lost, far = route("10.5.0.0/16"), route("10.6.0.0/16", "eth1")
        before: Found = {Fact(ETH0, "up"): True, REDIRECTS: "1", **dict((lost, far))}
        now: Found = {Fact(ETH0, "up"): False, REDIRECTS: "0"}
        down = patch(before, now, scope("ip link set eth0 down"))
        assert down == {Fact(ETH0, "up"): (True, False), lost[0]: (lost[1], None)}
        forwards = patch(before, now, scope(f"echo 1 | tee {FORWARD.ref.name}"))
        assert forwards == {REDIRECTS: ("1", "0")}

    def test_what_goes_with_the_labs_own_is_no_part_of_it(self) -> None:
        now: Found = dict([route("10.5.0.0/16", "v0")]) | links("v0")
        text = "ip link add v0 type veth peer name c0\nip route add 10.5.0.0/16 dev v0"
        assert patch({}, now, scope(text)) == {}

    def test_nor_what_the_kernel_makes_by_itself(self) -> None:
        kernels = route("10.0.0.0/8", proto="kernel")
        before: Found = {Fact(BR9, "kind"): "bridge", Fact(BR9, "address"): "02:aa"}
        now: Found = before | {Fact(BR9, "address"): "02:bb"} | dict([kernels])
        text = "ip link set dev eth0 master br9\nip address add 10.0.0.1/8 dev eth0"
        assert patch(before, now, scope(text)) == {}

    def test_but_its_own_address_of_a_link_that_a_step_has_cost_it(self) -> None:
        local = Fact(Ref("address", "", "fe80::1/64"), "eth0")
        facts = {"dev": "eth0", "scope": "link"}
        done = patch({local: facts}, {}, scope("ip link set eth0 down"))
        assert done == {local: (facts, None)}

    def test_a_value_that_was_named_of_a_bridge_is_the_labs(self) -> None:
        before: Found = {Fact(BR9, "kind"): "bridge", Fact(BR9, "mtu"): 1500}
        now: Found = before | {Fact(BR9, "mtu"): 1400}
        assert patch(before, now, scope("ip link set br9 mtu 1400")) == {
            Fact(BR9, "mtu"): (1500, 1400)
        }

    @pytest.mark.parametrize(
        ("before", "now", "done"),
        [
            ([], ["-j MASQUERADE"], ([], ["-j MASQUERADE"])),
            # Others' rules that came in the same time are no part of it, but are the base.
            (["a"], ["b", "a", "-j MASQUERADE"], (["b", "a"], ["b", "a", "-j MASQUERADE"])),
            # An equal one that was there is not taken for the lab's.
            (
                ["-j MASQUERADE"], ["-j MASQUERADE", "-j MASQUERADE"],
                (["-j MASQUERADE"], ["-j MASQUERADE", "-j MASQUERADE"]),
            ),
            # Otherwise worded than typed: the last that came.
            (["a"], ["a", "b", "-j MASQUERADE --random"],
             (["a", "b"], ["a", "b", "-j MASQUERADE --random"])),
        ],
    )  # fmt: skip
    def test_of_a_chain_the_rules_that_steps_added(
        self, before: list[str], now: list[str], done: tuple[list[str], list[str]]
    ) -> None:
        assert patch({NAT: before}, {NAT: now}, scope(RULE)) == {NAT: done}

    def test_a_chain_that_only_others_changed_is_theirs(self) -> None:
        drop = Fact(Ref("chain", "", "iptables filter FORWARD"), "rules")
        assert patch({drop: []}, {drop: ["-j DROP"]}, scope(RULE)) == {}

    def test_seconds_that_run_down_are_no_difference(self) -> None:
        one = {"dev": "eth0", "ends": True, "left": [500, 100]}
        assert same(one, one | {"left": [499, 99]}) and not same(one, {"dev": "eth0"})


def test_a_lab_that_sets_a_value_back_leaves_the_patch_of_the_one_below() -> None:
    below: Patch = {FORWARD: ("0", "1")}
    steps = scope(f"echo 1 | tee {FORWARD.ref.name}")
    assert without_lab(below, {FORWARD: ("1", "0")}, steps, below) == below


class TestPredicted:
    """Nobody saw the end of the steps: they tell what the lab has done."""

    def test_a_value_is_the_labs_only_while_it_is_the_typed_one(self) -> None:
        steps = scope("ip link set eth0 mtu 1400")
        assert predicted({MTU: 1500}, {MTU: 1400}, steps) == {MTU: (1500, 1400)}
        # Others have set it again: an aim with this patch keeps theirs.
        done = predicted({MTU: 1500}, {MTU: 1300}, steps)
        assert done == {MTU: (1500, 1400)}
        now: Found = {MTU: 1300} | links("eth0")
        assert aim(done, {MTU: 1500}, now, steps).kept == {MTU: (1500, 1400, 1300)}

    def test_a_rule_is_the_labs_only_where_it_may_be_printed_so(self) -> None:
        steps = scope("iptables -t nat -A POSTROUTING -s 10.0.0.0/8 -j MASQUERADE --random")
        printed = "-s 10.0.0.0/8 -j MASQUERADE --random-fully"
        assert predicted({}, {NAT: [printed]}, steps) == {NAT: ([], [printed])}
        for theirs in ("-j MASQUERADE", "-s 10.0.0.0/8 -o a -j MASQUERADE", "-s 10.0.0.0/8 -j X"):
            assert predicted({}, {NAT: [theirs]}, steps) == {}

    def test_what_is_as_before_was_not_done_or_is_undone(self) -> None:
        assert predicted({MTU: 1500}, {MTU: 1500}, scope("ip link set eth0 mtu 1400")) == {}


class TestComposed:
    @pytest.mark.parametrize(
        ("first", "then", "both"),
        [
            ((1500, 1400), (1400, 1300), (1500, 1300)),
            # Taken back by the second: nothing is left of it.
            ((1500, 1400), (1400, 1500), None),
            # Others came in between: theirs is what was before.
            ((1500, 1400), (9000, 1300), (9000, 1300)),
        ],
    )
    def test_of_a_value(
        self, first: tuple[int, int], then: tuple[int, int], both: tuple[int, int] | None
    ) -> None:
        found = composed({MTU: first}, {MTU: then})
        assert found == ({MTU: both} if both else {})

    def test_what_only_one_has_done_stays(self) -> None:
        done = composed({MTU: (1500, 1400)}, {FORWARD: ("0", "1")})
        assert done == {MTU: (1500, 1400), FORWARD: ("0", "1")}

    def test_of_a_chain_to_which_others_have_added_in_between(self) -> None:
        first: Patch = {NAT: (["a"], ["a", "ours"])}
        then: Patch = {NAT: (["b", "a", "ours"], ["b", "a", "ours", "more"])}
        assert composed(first, then) == {NAT: (["b", "a"], ["b", "a", "ours", "more"])}


class TestAim:
    def aimed(
        self, done: Patch, now: Found, before: Found, text: str = "ip link show"
    ) -> tuple[Found, dict[Fact, Any]]:
        found = aim(done, before, now | links("eth0", "eth1", "br9"), scope(text))
        return {fact: one for fact, one in found.wanted.items() if fact.key}, dict(found.kept)

    def test_what_is_still_the_labs_goes_back_and_the_rest_stays(self) -> None:
        ours, theirs = route("10.5.0.0/16"), route("10.6.0.0/16")
        done: Patch = {MTU: (1500, 1400), ours[0]: (None, ours[1])}
        now: Found = {MTU: 1400, **dict((ours, theirs))}
        assert self.aimed(done, now, {MTU: 1500}) == ({MTU: 1500, theirs[0]: theirs[1]}, {})

    def test_what_others_changed_meanwhile_is_kept_and_told(self) -> None:
        wanted, kept = self.aimed({MTU: (1500, 1400)}, {MTU: 1300}, {MTU: 1500})
        assert (wanted, kept) == ({MTU: 1300}, {MTU: (1500, 1400, 1300)})

    def test_what_somebody_has_put_back_is_no_conflict(self) -> None:
        assert self.aimed({MTU: (1500, 1400)}, {MTU: 1500}, {MTU: 1500}) == ({MTU: 1500}, {})

    def test_what_was_lost_comes_back_with_its_link_only(self) -> None:
        lost, gone = route("10.5.0.0/16"), route("10.5.0.0/16", "eth9")
        done: Patch = {lost[0]: (lost[1], None), gone[0]: (gone[1], None)}
        assert self.aimed(done, {}, dict((lost, gone))) == ({lost[0]: lost[1]}, {})

    @pytest.mark.parametrize(
        ("by_lab", "sizes", "wanted"),
        [
            # A port of the lab's goes, and it rises.
            ([], (1400, 1500, 1400), 1500),
            # Others have set it since.
            ([], (1400, 1500, 1500), 1400),
            # The lab has, and it does not follow what others have made of a port.
            ([BR9, M9], (1280, 1450, 1500), 1500),
        ],
    )
    def test_what_is_made_on_a_bridge_has_its_mtu(
        self, by_lab: list[Ref], sizes: tuple[int, int, int], wanted: int
    ) -> None:
        bridge, port, own = sizes
        there: Found = {Fact(BR9, "kind"): "bridge", MASTER: "br9", Fact(M9, "below"): "br9"}
        before: Found = there | {Fact(ref, "mtu"): 1500 for ref in (BR9, ETH0, M9)}
        now = there | links("m9") | {Fact(ref, "mtu"): bridge for ref in (BR9, M9)} | {MTU: port}
        now |= {Fact(V0, "mtu"): own, Fact(V0, "master"): "br9"}
        done: Patch = {Fact(ref, "mtu"): (1500, bridge) for ref in by_lab}
        found, _ = self.aimed(done, now, before, "ip link add v0 type veth peer name v1")
        assert found[Fact(M9, "mtu")] == wanted

    @pytest.mark.parametrize(
        ("now", "wanted"),
        [
            (["a", "ours"], ["a"]),
            # Others' before, between and behind it stay in their order, and an equal one of theirs.
            (["x", "a", "y", "ours", "z"], ["x", "a", "y", "z"]),
            (["a", "ours", "ours"], ["a", "ours"]),
            (["a"], ["a"]),
            (["ours"], None),
        ],
    )
    def test_of_a_chain_the_labs_rules_go_by_their_place(
        self, now: list[str], wanted: list[str] | None
    ) -> None:
        found, kept = self.aimed({NAT: (["a"], ["a", "ours"])}, {NAT: now}, {NAT: ["a"]})
        assert (found, kept) == ({NAT: wanted} if wanted else {}, {})

    def test_a_port_that_goes_back_is_what_it_was_in_its_bridge(self) -> None:
        before: Found = {MASTER: "br9", COST: 7}
        done: Patch = {MASTER: ("br9", "br8"), COST: (7, 100)}
        # Also where others have changed what it is in the lab's.
        for cost in (100, 50):
            now: Found = {MASTER: "br8", COST: cost}
            assert self.aimed(done, now, before) == (before, {})

    def test_a_port_that_had_no_bridge_has_no_options(self) -> None:
        now: Found = {MASTER: "br9", COST: 100}
        assert self.aimed({MASTER: (None, "br9")}, now, {}) == ({}, {})

    def test_a_port_that_others_have_moved_on_stays_as_it_is_there(self) -> None:
        done: Patch = {MASTER: ("br9", "br8"), COST: (7, 100)}
        now: Found = {MASTER: "br5", COST: 50}
        wanted, kept = self.aimed(done, now, {MASTER: "br9", COST: 7})
        assert (wanted, kept) == (now, {MASTER: ("br9", "br8", "br5")})

    def test_of_a_port_that_others_have_deleted_nothing_is_wanted(self) -> None:
        gone = Ref("link", "", "eth9")
        before: Found = {Fact(gone, "master"): "br9", Fact(gone, "cost"): 7}
        done: Patch = {fact: (was, None) for fact, was in before.items()}
        assert self.aimed(done, {}, before) == ({}, {})

    def test_a_port_that_others_have_moved_begins_anew_there(self) -> None:
        before: Found = {MASTER: "br9", COST: 7}
        now: Found = {MASTER: "br8", COST: 100}
        assert self.aimed({COST: (7, 100)}, now, before) == (now, {})

    def test_a_link_that_came_since_gets_the_default_of_before(self) -> None:
        default, new = (setting(f"{CONF}/{name}/rp_filter") for name in ("default", "eth1"))
        old, other = setting(f"{CONF}/eth0/rp_filter"), setting(f"{CONF}/br9/rp_filter")
        before: Found = {default: "0", old: "2", **links("eth0")}
        now: Found = {default: "2", old: "2", new: "2", other: "1"}
        done: Patch = {default: ("0", "2")}
        # The one of before had the value by itself, the other was given one by its owner.
        assert inherited(done, before, now | links("eth1", "br9")) == {**done, new: ("0", "2")}
        # By then the lab has changed it itself.
        assert inherited({new: ("1", "2")}, before, now) == {new: ("1", "2")}

    @pytest.mark.parametrize(
        ("left", "taken"),
        [
            ("10.0.0.1/8", True),
            # Numbered anew, cleared of its neighbours, or of its routes.
            ("10.0.0.2/8", False),
            ("10.0.0.1/8 10.5.0.0/16", False),
            ("10.0.0.1/8 10.0.0.9", False),
        ],
    )
    def test_what_others_took_who_had_a_link_down_for_a_while_stays_gone(
        self, left: str, taken: bool
    ) -> None:
        six, *others = (
            Fact(Ref(kind, "", name), "eth0")
            for kind, name in (("address", "fd00::1/64"), ("address", "10.0.0.1/8"),
                               ("address", "10.0.0.2/8"), ("neighbour", "10.0.0.9"),
                               ("route", "10.5.0.0/16"))
        )  # fmt: skip
        facts = {"dev": "eth0"}
        now: Found = {fact: facts for fact in others if fact.ref.name in left.split()}
        before: Found = {fact: facts for fact in (six, *others) if fact.ref.name != "10.0.0.2/8"}
        wanted, _ = self.aimed({six: (facts, None)}, now, before)
        assert (six not in wanted) == taken

    @pytest.mark.parametrize(
        ("own_in", "lent_to", "mac", "known", "wanted"),
        [
            # The lab has taken the port, and cost the bridge its MAC address.
            (None, None, "02:08", False, True),
            # Others have given the port another one, but put the neighbour back themselves.
            (None, None, "02:07", False, False),
            (None, None, "02:07", True, True),
            # They have given one to the port that the lab has lent the bridge.
            ("br9", "br9", "02:08", False, True),
            # The lab has nothing to do with it.
            ("br9", None, "02:07", True, True),
        ],
    )
    def test_what_others_took_is_what_they_would_have_taken_without_the_lab(
        self, own_in: str | None, lent_to: str | None, mac: str, known: bool, wanted: bool
    ) -> None:
        """A bridge has the lowest MAC address of its ports, and no neighbour survives another."""
        neighbour, facts = Fact(Ref("neighbour", "", "10.0.0.9"), "br9"), {"dev": "br9"}
        own, lent = Fact(ETH0, "address"), Fact(ETH1, "address")
        there: Found = {Fact(BR9, "kind"): "bridge", lent: "02:01", Fact(BR9, "address"): "02:08"}
        before: Found = there | {MASTER: "br9", own: "02:08", neighbour: facts}
        now = there | {own: mac, MASTER: own_in}
        now |= {Fact(ETH1, "master"): lent_to} | ({neighbour: facts} if known else {})
        done: Patch = {} if own_in else {MASTER: ("br9", None), neighbour: (facts, None)}
        done |= {Fact(ETH1, "master"): (None, "br9")} if lent_to else {}
        found, _ = self.aimed(done, now, before)
        assert (neighbour in found) == wanted

    def test_what_goes_with_the_labs_own_is_not_wanted(self) -> None:
        address = Fact(Ref("address", "", "10.0.0.1/8"), "v0")
        text = "ip link add v0 type veth peer name c0"
        found, _ = self.aimed({}, {address: {"dev": "v0"}, MTU: 1500}, {}, text)
        assert found == {MTU: 1500}


ON = f"echo 1 | tee {FORWARD.ref.name}"
LOWER: Patch = {FORWARD: ("0", "1")}


class TestTwoLabs:
    """The patches lie on each other; which of the two goes first must not matter."""

    def test_what_the_other_names_stays_and_is_handed_over(self) -> None:
        # It was 1 already when b came up, so b has done nothing to it.
        stays = handed_over(LOWER, {FORWARD: "1"}, {}, {FORWARD: "1"}, scope(ON))
        assert stays == LOWER
        assert without_lab({}, {}, scope(ON)) | stays == {FORWARD: ("0", "1")}

    @pytest.mark.parametrize(
        ("now", "its", "text"),
        [
            # Others have turned it off: nothing to hand over.
            ({FORWARD: "0"}, {}, ON),
            # The other has not asked for it.
            ({FORWARD: "1"}, {}, "ip link set eth1 up"),
            # It is another value that the other has made of it.
            ({FORWARD: "2"}, {FORWARD: ("1", "2")}, f"echo 2 | tee {FORWARD.ref.name}"),
        ],
    )
    def test_what_it_does_not_claim_goes_back(self, now: Found, its: Patch, text: str) -> None:
        assert handed_over(LOWER, now, its, {FORWARD: "1"}, scope(text)) == {}

    def test_what_is_lost_by_what_stays_stays_lost(self) -> None:
        off = setting("/proc/sys/net/ipv6/conf/eth0/disable_ipv6")
        fact, facts = Fact(Ref("address", "", "fd00::1/64"), "eth0"), {"dev": "eth0"}
        done: Patch = {off: ("0", "1"), fact: (facts, None)}
        same_step = scope(f"echo 1 | tee {off.ref.name}")
        assert handed_over(done, {off: "1"}, {}, {off: "1"}, same_step) == done
        # Asked again after a crash, when the other knows of it already.
        assert handed_over(done, {off: "1"}, done, {off: "0", fact: facts}, same_step) == done
        # The other has made it anew, or does not need what it was lost by.
        assert handed_over(done, {off: "1", fact: facts}, {}, {off: "1"}, same_step).keys() == {off}
        assert handed_over(done, {off: "1"}, {}, {off: "1"}, scope("ip link set eth1 up")) == {}

    def test_a_setting_is_claimed_by_what_reaches_it(self) -> None:
        done: Patch = {REDIRECTS: ("1", "0")}
        now: Found = {REDIRECTS: "0"}
        assert handed_over(done, now, {}, now, scope(ON)) == done

    def test_a_setting_of_a_link_is_not_claimed_by_what_may_cost_the_link_its_settings(
        self,
    ) -> None:
        off = setting("/proc/sys/net/ipv6/conf/br9/disable_ipv6")
        text = "ip link add v0 type veth peer name c0\nip link set dev v0 master br9"
        assert handed_over({off: ("0", "1")}, {off: "1"}, {}, {off: "1"}, scope(text)) == {}

    def test_the_upper_one_begins_where_the_lower_one_did(self) -> None:
        gone: Patch = {MTU: (1500, 1400), NAT: (["a"], ["a", "lower"])}
        theirs: Patch = {
            MTU: (1400, 1300), NAT: (["a", "lower"], ["a", "lower", "upper"]), FORWARD: ("0", "1"),
        }  # fmt: skip
        assert without_lab(theirs, gone, scope("ip link set eth0 mtu 1300")) == {
            MTU: (1500, 1300), NAT: (["a"], ["a", "upper"]), FORWARD: ("0", "1"),
        }  # fmt: skip

    def test_the_lower_one_keeps_what_it_named_when_the_upper_one_goes(self) -> None:
        theirs: Patch = {MTU: (1500, 1400)}
        assert without_lab(theirs, {MTU: (1400, 1300)}, scope("ip link set eth0 mtu 1400")) == (
            theirs
        )

    def test_what_was_handed_over_before_a_crash_is_the_others_after_it(self) -> None:
        lost, facts = route("10.5.0.0/16")
        theirs: Patch = {lost: (facts, None), MTU: (1500, 1200)}
        assert without_lab(theirs, dict(theirs), scope("ip link set eth1 up")) == theirs

    def test_a_loss_of_both_is_the_lower_ones(self) -> None:
        lost, facts = route("10.5.0.0/16")
        gone: Patch = {lost: (facts, None)}
        assert without_lab({lost: (None, facts)}, gone, scope("ip link set eth0 up")) == {}
