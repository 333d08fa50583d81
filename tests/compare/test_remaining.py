"""Undo by what the kernel says: only what is still as the lab made it, back to what it was."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import pytest

from cnetsh.compare.differences import Difference
from cnetsh.compare.remaining import Sight, remaining
from cnetsh.compare.scope import concerns, scope_of
from cnetsh.compare.snapshot import Snapshot
from cnetsh.kinds.change import Ref
from cnetsh.plan.steps import Step, parse
from cnetsh.plan.undo import undos

FORWARD = "/proc/sys/net/ipv4/ip_forward"
RANGE = "/proc/sys/net/ipv4/ip_local_port_range"
NAT = "-A POSTROUTING -s 172.16.0.0/12 ! -o br0 -j MASQUERADE"
OTHER = "-A POSTROUTING -s 10.0.0.0/8 -j MASQUERADE"
TYPED = "iptables -t nat -A POSTROUTING -s 172.18.0.0/12 ! -o br0 -j MASQUERADE"
EMPTY = Snapshot()


def steps(text: str) -> tuple[Step, ...]:
    return parse(text, "own", "", "up", "own").steps


def left(
    text: str,
    before: Snapshot = EMPTY,
    now: Snapshot = EMPTY,
    made: Mapping[str, Sequence[Any]] = {},
) -> tuple[str, ...] | None:
    """What has still to run to undo the last step."""
    every = steps(text)
    one = remaining(undos(every)[-1], every[-1], Sight(before, now, made))
    return one.texts if one else None


def link(index: int = 7, **facts: Any) -> dict[str, Any]:
    return {"ifindex": index, "kind": "veth", "up": False, **facts}


def links(**found: dict[str, Any]) -> Snapshot:
    return Snapshot(links=found)


def nat(*lines: str) -> Snapshot:
    return Snapshot(rules={"iptables nat": list(lines)})


def setting(value: str, path: str = FORWARD) -> Snapshot:
    return Snapshot(settings={path: value})


class TestSetting:
    def test_that_was_so_before_stays(self) -> None:
        assert left(f"echo 1 | tee {FORWARD}", setting("1"), setting("1")) is None

    def test_that_is_as_before_again_stays(self) -> None:
        assert left(f"echo 1 | tee {FORWARD}", setting("0"), setting("0")) is None

    def test_gets_its_old_value_back(self) -> None:
        assert left(f"echo 2 | tee {FORWARD}", setting("7"), setting("2")) == (
            f"echo 7 | tee {FORWARD}",
        )

    def test_that_somebody_changed_since_gets_its_old_value_too(self) -> None:
        assert left(f"echo 1 | tee {FORWARD}", setting("0"), setting("2")) == (
            f"echo 0 | tee {FORWARD}",
        )

    def test_of_several_words(self) -> None:
        before, now = setting("32768\t60999", RANGE), setting("1024\t2048", RANGE)
        assert left(f"echo 1024 2048 | tee {RANGE}", before, now) == (
            f"echo 32768 60999 | tee {RANGE}",
        )

    def test_with_a_value_that_cannot_be_typed_is_left_to_the_snapshot(self) -> None:
        assert left(f"echo 1 | tee {RANGE}", setting("a;b", RANGE), setting("1", RANGE)) is None

    def test_that_could_not_be_read_stays(self) -> None:
        assert left(f"echo 1 | tee {FORWARD}") is None


class TestRule:
    def test_is_deleted_by_its_text(self) -> None:
        (text,) = left(TYPED, nat(), nat(NAT)) or ("",)
        assert text == TYPED.replace("-A", "-D")

    def test_that_is_gone_stays_gone(self) -> None:
        assert left(TYPED, nat(), nat()) is None
        assert left(TYPED, nat(), nat(OTHER)) is not None  # it may be worded otherwise
        assert left(TYPED, nat(NAT), nat(NAT)) is None
        assert left(TYPED, nat(NAT, NAT), nat(NAT)) is None

    @pytest.mark.parametrize(
        ("before", "now", "number"),
        [
            ([NAT], [NAT, NAT], 2),
            ([NAT, OTHER], [NAT, OTHER, NAT], 3),
            ([NAT, NAT], [NAT, NAT, NAT], 3),
            ([OTHER, NAT], [OTHER, NAT, OTHER, NAT, OTHER], 4),
        ],
    )
    def test_is_deleted_by_its_number_where_it_was_there_before(
        self, before: list[str], now: list[str], number: int
    ) -> None:
        assert left(TYPED, nat(*before), nat(*now)) == (f"iptables -t nat -D POSTROUTING {number}",)

    def test_that_was_inserted_is_the_first_of_the_same(self) -> None:
        typed = TYPED.replace("-A", "-I")
        assert left(typed, nat(OTHER, NAT), nat(NAT, OTHER, NAT)) == (
            "iptables -t nat -D POSTROUTING 1",
        )
        assert left(typed, nat(NAT), nat(OTHER, NAT, NAT)) == ("iptables -t nat -D POSTROUTING 2",)

    def test_keeps_w_and_the_other_tool(self) -> None:
        line = "-A FORWARD -i br0 -j ACCEPT"
        before = Snapshot(rules={"ip6tables filter": [line]})
        now = Snapshot(rules={"ip6tables filter": [line, line]})
        assert left("ip6tables -w -A FORWARD -i br0 -j ACCEPT", before, now) == (
            "ip6tables -w -D FORWARD 2",
        )
        assert left("iptables -w -A FORWARD -i br0 -j ACCEPT", before, now) is None

    def test_of_another_chain_does_not_count(self) -> None:
        now = nat(NAT.replace("POSTROUTING", "PREROUTING"))
        assert left(TYPED, nat(), now) is None

    def test_of_one_ip_address_or_everywhere(self) -> None:
        for typed, saved in (("10.0.0.1", "10.0.0.1/32"), ("10.0.0.9/8", "10.0.0.0/8")):
            line = f"-A FORWARD -s {saved} -j DROP"
            now = Snapshot(rules={"iptables filter": [line]})
            assert left(f"iptables -A FORWARD -s {typed} -j DROP", EMPTY, now)
            assert left(f"iptables -A FORWARD -s {typed} -j DROP", now, now) is None

    def test_that_iptables_words_otherwise_is_deleted_by_its_text(self) -> None:
        typed = "iptables -A FORWARD -p tcp --dport 80 -j ACCEPT"
        line = "-A FORWARD -p tcp -m tcp --dport 80 -j ACCEPT"
        before, now = Snapshot(), Snapshot(rules={"iptables filter": [line]})
        assert left(typed, before, now) == (typed.replace("-A", "-D"),)
        assert left(typed, now, now) is None
        assert left(typed, now, before) is None

    def test_with_quotes(self) -> None:
        typed = "iptables -t nat -A POSTROUTING -m comment --comment 'it is mine' -j RETURN"
        saved = '-A POSTROUTING -m comment --comment "it is mine" -j RETURN'
        assert left(typed, nat(saved), nat(saved, saved)) == ("iptables -t nat -D POSTROUTING 2",)


class TestChain:
    def test_is_emptied_and_removed(self) -> None:
        assert left("iptables -t nat -N LAB", nat(), nat(":LAB -")) == (
            "iptables -t nat -F LAB",
            "iptables -t nat -X LAB",
        )

    def test_that_is_gone_or_was_there_before_stays(self) -> None:
        assert left("iptables -t nat -N LAB", nat(), nat()) is None
        assert left("iptables -t nat -N LAB", nat(), nat(":LABEL -")) is None
        assert left("iptables -t nat -N LAB", nat(":LAB -"), nat(":LAB -")) is None


class TestLink:
    @pytest.mark.parametrize(("was", "undone"), [(True, None), (False, "ip link set p0 down")])
    def test_up(self, was: bool, undone: str | None) -> None:
        found = left("ip link set p0 up", links(p0=link(up=was)), links(p0=link(up=True)))
        assert found == ((undone,) if undone else None)

    def test_master_is_the_one_before(self) -> None:
        text, now = "ip link set dev p0 master br0", links(p0=link(master="br0"))
        assert left(text, links(p0=link()), now) == ("ip link set dev p0 nomaster",)
        assert left(text, links(p0=link(master="br9")), now) == ("ip link set dev p0 master br9",)
        assert left(text, links(p0=link(master="br0")), now) is None

    def test_that_is_gone_or_another_one_stays(self) -> None:
        before = links(p0=link(7))
        assert left("ip link set p0 up", before, EMPTY) is None
        assert left("ip link set p0 up", before, links(p0=link(9, up=True))) is None

    def test_made_by_the_lab_is_deleted_while_it_is_that_one(self) -> None:
        text, made = "ip link add name br0 type bridge", {"link br0": [7, "02:00:00:00:00:01"]}
        deleted = ("ip link delete br0",)
        assert left(text, EMPTY, links(br0=link(7)), made) == deleted
        assert left(text, EMPTY, links(br0=link(8)), made) is None
        assert left(text, EMPTY, EMPTY, made) is None
        # Killed before its identity was written down: it was not there before, so it is ours.
        assert left(text, EMPTY, links(br0=link(7))) == deleted
        assert left(text, links(br0=link(7)), links(br0=link(7))) is None

    def test_of_a_pair_either_end_is_enough(self) -> None:
        text = "ip link add v0 type veth peer name c0"
        assert left(text, EMPTY, links(c0=link(8)), {"link v0": [7], "link c0": [8]})
        assert left(text, EMPTY, links(c0=link(9)), {"link v0": [7], "link c0": [8]}) is None


class TestNamespace:
    def test_is_deleted_while_it_is_the_one_made(self) -> None:
        text, made = "ip netns add n0", {"netns n0": [4711]}
        deleted = ("ip netns delete n0",)
        assert left(text, EMPTY, Snapshot(namespaces={"n0": 4711}), made) == deleted
        assert left(text, EMPTY, Snapshot(namespaces={"n0": 4712}), made) is None
        assert left(text, EMPTY, EMPTY, made) is None

    def test_that_became_a_ghost_is_still_ours(self) -> None:
        ghost = Snapshot(namespaces={"n0": 0})
        deleted, made = ("ip netns delete n0",), {"netns n0": [4711]}
        assert left("ip netns add n0", EMPTY, ghost, made) == deleted
        # A killed `ip netns add` leaves a file; there was none before, so it is ours.
        assert left("ip netns add n0", EMPTY, ghost) == deleted
        assert left("ip netns add n0", ghost, ghost) is None

    def test_of_somebody_else_is_changed_back_without_a_look(self) -> None:
        text = "ip netns exec n9 ip link set lo up"
        assert left(text) == ("ip netns exec n9 ip link set lo down",)


class TestAddress:
    @pytest.mark.parametrize("typed", ["fd00::1/64", "FD00:0::1/64", "fd00:0:0:0:0:0:0:1/64"])
    def test_is_the_same_however_it_is_typed(self, typed: str) -> None:
        here = [{"dev": "p0", "address": "fd00::1/64", "scope": "global"}]
        there = Snapshot(links={"p0": link()}, addresses=here)
        text = f"ip address add {typed} dev p0"
        assert left(text, EMPTY, there) == (f"ip address delete {typed} dev p0",)
        assert left(text, there, there) is None
        assert left(text, EMPTY, EMPTY) is None

    def test_on_another_link_or_with_another_prefix_is_another_one(self) -> None:
        for dev, address in (("p1", "10.0.0.1/8"), ("p0", "10.0.0.1/16")):
            there = Snapshot(addresses=[{"dev": dev, "address": address, "scope": "global"}])
            assert left("ip addr add 10.0.0.1/8 dev p0", EMPTY, there) is None


class TestRoute:
    ROUTE: ClassVar = {"dst": "10.5.0.0/16", "gateway": "10.0.0.9", "dev": "p0"}

    @pytest.mark.parametrize(
        "text",
        ["10.5.0.0/16 via 10.0.0.9", "10.5.0.0/16 via 10.0.0.9 dev p0", "10.5.0.0/16 dev p0"],
    )
    def test_that_was_there_before_stays(self, text: str) -> None:
        there = Snapshot(routes=[self.ROUTE])
        assert left(f"ip route add {text}", there, there) is None
        assert left(f"ip route add {text}", EMPTY, there) == (f"ip route delete {text}",)

    def test_of_another_gateway_is_another_one(self) -> None:
        there, text = Snapshot(routes=[{**self.ROUTE, "gateway": "10.0.0.8"}]), "10.5.0.0/16 via"
        assert left(f"ip route add {text} 10.0.0.9", there, there) is None
        assert left(f"ip route add {text} 10.0.0.8", EMPTY, there)


def test_a_queue_is_deleted_where_there_was_none() -> None:
    text = "tc qdisc add dev p0 root tbf rate 1mbit burst 10kb latency 10ms"
    shaped = links(p0=link(qdisc="tbf"))
    assert left(text, links(p0=link()), shaped) == ("tc qdisc delete dev p0 root",)
    assert left(text, shaped, shaped) is None


def test_a_directive_is_obeyed_whatever_the_kernel_says() -> None:
    assert left("#: undo ip link set p0 mtu 1500\nip link set p0 mtu 9") == (
        "ip link set p0 mtu 1500",
    )
    assert left("#: undo none: so\nip link set p0 mtu 9") is None


class TestSight:
    def test_another_object_of_the_same_name_is_foreign(self) -> None:
        seen = Sight(EMPTY, links(br0=link(8)), {"link br0": [7]})
        ref = Ref("link", "", "br0")
        assert seen.foreign(ref) and not seen.ours(ref)
        assert seen.replaced(Difference("link", "br0", "link br0 is new"))
        assert not seen.replaced(Difference("rule", "br0", ""))

    def test_a_ghost_is_not_called_replaced(self) -> None:
        seen = Sight(EMPTY, Snapshot(namespaces={"n0": 0}), {"netns n0": [4711]})
        assert not seen.replaced(Difference("netns", "n0", ""))


class TestConcerns:
    SCOPE = scope_of(
        steps(
            f"ip netns add n0\nip link add br0 type bridge\nip link set dev p0 master br9\n"
            f"echo 1 | tee {FORWARD}\n{TYPED}\niptables -t nat -N LAB\n"
            "ip netns exec n0 ip link add inner0 type bridge\n"
        )
    )

    @pytest.mark.parametrize(
        ("kind", "name"),
        [
            ("netns", "n0"),
            ("link", "br0"),
            ("link", "p0"),
            ("link", "br9"),
            ("setting", FORWARD),
            ("setting", "/proc/sys/net/ipv4/conf/eth0/forwarding"),
            ("setting", "/proc/sys/net/ipv4/conf/all/accept_redirects"),
            ("rule", "iptables nat POSTROUTING -s 172.16.0.0/12 '!' -o br0 -j MASQUERADE"),
            ("chain", "iptables nat LAB"),
            ("rule", "iptables nat LAB -j RETURN"),
        ],
    )
    def test_what_the_plan_makes_or_changes(self, kind: str, name: str) -> None:
        assert concerns(Difference(kind, name, ""), self.SCOPE)

    @pytest.mark.parametrize(
        ("kind", "name"),
        [
            ("netns", "n1"),
            ("link", "eth0"),
            ("link", "inner0"),
            ("setting", "/proc/sys/net/ipv4/tcp_mem"),
            ("setting", "/proc/sys/net/ipv6/conf/all/forwarding"),
            ("rule", "iptables nat POSTROUTING -s 10.0.0.0/8 -j MASQUERADE"),
            ("rule", "iptables filter POSTROUTING -s 172.16.0.0/12 '!' -o br0 -j MASQUERADE"),
            ("chain", "iptables nat LABEL"),
            ("chain", "ip6tables nat LAB"),
            ("rule", "iptables nat LABEL -j LAB"),
            ("policy", ""),
        ],
    )
    def test_nothing_else(self, kind: str, name: str) -> None:
        assert not concerns(Difference(kind, name, ""), self.SCOPE)
