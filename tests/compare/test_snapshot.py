"""What the kernel said, read from the tools' answers, and how two such answers differ."""

import json
import shlex
from collections.abc import Sequence
from typing import Any, ClassVar

import pytest

from cnetsh.commands.output import visible_lines
from cnetsh.compare import differences, snapshot
from cnetsh.compare.differences import Difference
from cnetsh.compare.snapshot import Snapshot
from cnetsh.errors import CnetshError
from cnetsh.system.process import Result

FORWARD = "/proc/sys/net/ipv4/ip_forward"
CONF = "/proc/sys/net/ipv4/conf/all/forwarding"
NAT = '-A POSTROUTING -m comment --comment "it is mine" -j MASQUERADE'


def link(index: int = 7, **facts: Any) -> dict[str, Any]:
    return {"ifindex": index, "kind": "veth", "up": False, "mtu": 1500, **facts}


def differ(before: Snapshot, now: Snapshot) -> list[Difference]:
    return differences.differences(before, now)


def only(before: Snapshot, now: Snapshot) -> Difference:
    (found,) = differ(before, now)
    return found


def command(before: Snapshot, now: Snapshot) -> str:
    return shlex.join(only(before, now).command)


class TestLinks:
    def test_new_and_gone(self) -> None:
        one, none = Snapshot(links={"p0": link()}), Snapshot()
        assert only(none, one) == (
            "link",
            "p0",
            "link p0 is new",
            ("ip", "link", "delete", "p0"),
            "",
        )
        assert only(one, none) == ("link", "p0", "link p0 is gone", (), "")

    def test_are_told_in_their_order(self) -> None:
        names = [f"p{number}" for number in range(9)]
        many = Snapshot(links={name: link() for name in reversed(names)})
        assert [one.name for one in differ(Snapshot(), many)] == names
        assert [one.name for one in differ(many, Snapshot())] == names

    def test_another_one_cannot_be_mended(self) -> None:
        before = Snapshot(links={"p0": link(7)})
        for other in (link(8), {**link(7), "kind": "bridge"}):
            found = only(before, Snapshot(links={"p0": other}))
            assert (found.text, found.command) == ("link p0 is another one than before", ())

    @pytest.mark.parametrize(
        ("was", "now", "mended"),
        [
            ({"up": True}, {"up": False}, "ip link set p0 up"),
            ({"up": False}, {"up": True}, "ip link set p0 down"),
            ({"master": "br9"}, {}, "ip link set dev p0 master br9"),
            ({}, {"master": "br0"}, "ip link set dev p0 nomaster"),
            ({"master": "br9"}, {"master": "br0"}, "ip link set dev p0 master br9"),
            ({"mtu": 1400}, {"mtu": 1300}, "ip link set dev p0 mtu 1400"),
            ({"address": "02:00:00:00:00:01"}, {"address": "02:00:00:00:00:02"},
             "ip link set dev p0 address 02:00:00:00:00:01"),
            ({"ifalias": "what it is"}, {"ifalias": "x"},
             "ip link set dev p0 alias 'what it is'"),
            ({}, {"ifalias": "x"}, "ip link set dev p0 alias ''"),
            ({"txqlen": 1000}, {"txqlen": 7}, "ip link set dev p0 txqueuelen 1000"),
        ],
    )  # fmt: skip
    def test_changed(self, was: dict[str, Any], now: dict[str, Any], mended: str) -> None:
        before, after = Snapshot(links={"p0": link(**was)}), Snapshot(links={"p0": link(**now)})
        found = only(before, after)
        assert shlex.join(found.command) == mended
        assert found.text.startswith("link p0: ") and found.name == "p0"

    def test_a_queue(self) -> None:
        none, one = Snapshot(links={"p0": link()}), Snapshot(links={"p0": link(qdisc="tbf")})
        assert command(none, one) == "tc qdisc delete dev p0 root"
        assert (only(one, none).text, command(one, none)) == ("queue p0 is gone", "")

    def test_what_went_with_a_link_is_not_told(self) -> None:
        address = {"dev": "p0", "address": "10.0.0.1/8", "scope": "global"}
        route = {"dst": "10.0.0.0/8", "dev": "p0"}
        whole = Snapshot(links={"p0": link()}, addresses=[address], routes=[route])
        assert [one.text for one in differ(whole, Snapshot())] == ["link p0 is gone"]
        assert [one.text for one in differ(Snapshot(), whole)] == ["link p0 is new"]


class TestAddressesAndRoutes:
    LINKS: ClassVar[Any] = {"links": {"p0": link()}}
    ADDRESS: ClassVar[Any] = {"dev": "p0", "address": "10.0.0.1/8", "scope": "global"}

    def test_addresses(self) -> None:
        none, one = Snapshot(**self.LINKS), Snapshot(**self.LINKS, addresses=[self.ADDRESS])
        assert command(none, one) == "ip address delete 10.0.0.1/8 dev p0"
        assert command(one, none) == "ip address add 10.0.0.1/8 dev p0"
        assert only(one, none).text == "address 10.0.0.1/8 on p0 is gone"

    @pytest.mark.parametrize(
        ("route", "words"),
        [
            ({"type": "unicast", "dst": "default", "gateway": "10.0.0.9"}, "default via 10.0.0.9"),
            (
                {"type": "unicast", "dst": "10.0.0.0/8", "dev": "p0", "protocol": "kernel",
                 "scope": "link", "prefsrc": "10.0.0.1", "metric": 5, "table": "77"},
                "10.0.0.0/8 dev p0 table 77 proto kernel scope link src 10.0.0.1 metric 5",
            ),
            ({"type": "blackhole", "dst": "10.9.0.0/16", "dev": "p0"},
             "blackhole 10.9.0.0/16 dev p0"),
        ],
    )  # fmt: skip
    def test_routes(self, route: dict[str, Any], words: str) -> None:
        none, one = Snapshot(**self.LINKS), Snapshot(**self.LINKS, routes=[route])
        assert command(none, one) == f"ip route delete {words}"
        assert command(one, none) == f"ip route add {words}"

    def test_routes_of_ipv6(self) -> None:
        none = Snapshot(**self.LINKS)
        for keys in ({"dst": "fd00::/64", "dev": "p0"}, {"dst": "default", "gateway": "fd00::1"}):
            one = Snapshot(**self.LINKS, routes=[{"type": "unicast", **keys}])
            assert command(one, none).startswith("ip -6 route add ")


class TestRules:
    @staticmethod
    def of(*lines: str) -> Snapshot:
        return Snapshot(rules={"iptables nat": list(lines)})

    def test_new_and_gone(self) -> None:
        words = "POSTROUTING -m comment --comment 'it is mine' -j MASQUERADE"
        assert command(self.of(), self.of(NAT)) == f"iptables -t nat -D {words}"
        assert command(self.of(NAT), self.of()) == f"iptables -t nat -A {words}"
        assert command(Snapshot(), self.of(NAT)) == f"iptables -t nat -D {words}"

    def test_as_often_as_they_are_there(self) -> None:
        assert len(differ(self.of(NAT), self.of(NAT, NAT, NAT))) == 2
        assert differ(self.of(NAT, NAT), self.of(NAT, NAT)) == []

    def test_rules_go_before_their_chain(self) -> None:
        found = differ(self.of(), self.of(":LAB -", "-A LAB -j RETURN"))
        assert [shlex.join(one.command) for one in found] == [
            "iptables -t nat -D LAB -j RETURN",
            "iptables -t nat -X LAB",
        ]
        assert command(self.of(":LAB -"), self.of()) == "iptables -t nat -N LAB"

    def test_another_order_cannot_be_mended(self) -> None:
        other = "-A POSTROUTING -j RETURN"
        found = only(self.of(NAT, other), self.of(other, NAT))
        assert (found.kind, found.command) == ("rule", ())
        assert found.text == "iptables nat: the order of the rules is another one"


class TestSettings:
    def test_ip_forward_is_first_for_it_sets_others(self) -> None:
        before = Snapshot(settings={CONF: "0", FORWARD: "0"})
        found = differ(before, Snapshot(settings={CONF: "1", FORWARD: "1"}))
        assert [(one.name, one.command, one.stdin) for one in found] == [
            (FORWARD, ("tee", FORWARD), "0\n"),
            (CONF, ("tee", CONF), "0\n"),
        ]
        assert found[0].text == f"{FORWARD} was 0, is 1"

    def test_of_a_link_that_came_or_went_are_not_told(self) -> None:
        one, none = Snapshot(settings={FORWARD: "1"}), Snapshot()
        assert differ(one, none) == differ(none, one) == []


class TestNamespaces:
    def test_new_gone_ghost_and_another_one(self) -> None:
        none, one = Snapshot(), Snapshot(namespaces={"n0": 7})
        assert command(none, one) == "ip netns delete n0"
        assert only(none, one).text == "namespace n0 is new"
        assert (
            only(none, Snapshot(namespaces={"n0": 0})).text == "/run/netns/n0 is a file without one"
        )
        assert only(one, none) == ("netns", "n0", "namespace n0 is gone", (), "")
        found = only(one, Snapshot(namespaces={"n0": 8}))
        assert (found.text, found.command) == ("namespace n0 is another one than before", ())


def test_policy_rules_are_told() -> None:
    rule = {"priority": 7, "table": "77"}
    assert only(Snapshot(), Snapshot(policy=[rule])).text.endswith("is new")
    assert only(Snapshot(policy=[rule]), Snapshot()).text.endswith("is gone")


def test_of_equals_there_are_none() -> None:
    some = Snapshot(
        links={"p0": link()},
        addresses=[{"dev": "p0", "address": "10.0.0.1/8", "scope": "global"}],
        routes=[{"dst": "default", "dev": "p0"}],
        policy=[{"priority": 0}],
        rules={"iptables nat": [NAT]},
        settings={FORWARD: "1"},
        namespaces={"n0": 7},
    )
    again = Snapshot(**json.loads(json.dumps(some.to_json())))
    assert again == some and differ(some, again) == []


def test_a_name_with_an_escape_is_an_argument_of_its_own_and_is_shown() -> None:
    name = "p\x1b[2J;reboot"
    before = Snapshot(links={name: link()}, namespaces={name: 7})
    now = Snapshot(links={name: link(up=True)})
    told = differ(before, now)
    assert told[0].command == ("ip", "link", "set", name, "down")
    for one in told:
        assert "\x1b" not in visible_lines(one.text) and "\\x1b[2J;reboot" in visible_lines(
            one.text
        )


class Tools:
    """Answers what the tools would, and records what they were asked."""

    def __init__(self, addresses: Any = (), exit_code: int = 0, cut: bool = False) -> None:
        self.asked: list[tuple[tuple[str, ...], str]] = []
        self._addresses, self._exit_code, self._cut = addresses, exit_code, cut

    def __call__(self, argv: Sequence[str], stdin: str = "", timeout: float = 60.0) -> Result:
        self.asked.append((tuple(argv), stdin))
        if argv[0] == "ip":
            answers = ["[]"] * stdin.count("\n")
            if "address" in stdin:
                answers[0] = json.dumps(self._addresses, ensure_ascii=False)
            return Result(self._exit_code, "\n".join(answers[: 1 if self._cut else None]), "no")
        lines = ["*nat", ":INPUT ACCEPT [0:0]", ":FORWARD DROP [7:9]", ":LAB - [0:0]"]
        lines += ["-A LAB -j RETURN", "COMMIT", ""]
        return Result(0, "\n".join(lines), "")


class TestTake:
    def test_keeps_what_a_plan_can_change_and_no_counters(self) -> None:
        answer = [
            {
                **{"ifname": "p0", "ifindex": 7, "mtu": 1500, "flags": ["UP", "LOWER_UP"]},
                **{"linkinfo": {"info_kind": "veth"}, "qdisc": "fq", "carrier_changes": 4},
                "addr_info": [{"local": "10.0.0.1", "prefixlen": 8, "scope": "global", "ttl": 5}],
            },
            {"ifname": "p1", "ifindex": 8, "flags": [], "qdisc": "tbf"},
            {},
        ]
        found = snapshot.take(Tools(answer))
        assert found.links == {
            "p0": {"ifindex": 7, "mtu": 1500, "kind": "veth", "up": True},
            "p1": {"ifindex": 8, "kind": "", "up": False, "qdisc": "tbf"},
        }
        assert found.addresses == [{"dev": "p0", "address": "10.0.0.1/8", "scope": "global"}]

    def test_keeps_rules_chains_and_policies_other_than_accept(self) -> None:
        found = snapshot.take(Tools()).rules
        assert {tuple(lines) for lines in found.values()} == {
            (":FORWARD DROP", ":LAB -", "-A LAB -j RETURN")
        }

    def test_only_reads(self) -> None:
        tools = Tools()
        snapshot.take(tools)
        for argv, stdin in tools.asked:
            assert argv[0].endswith("-save") or (argv[0] == "ip" and "-batch" in argv)
            assert all(" show" in line for line in stdin.splitlines())

    def test_a_name_with_a_control_character(self) -> None:
        tools = Tools()
        raw = '[{"ifname": "p\x1b0", "ifindex": 7, "flags": []}]'

        def run(argv: Sequence[str], stdin: str = "", timeout: float = 60.0) -> Result:
            found = tools(argv, stdin)
            return (
                Result(0, found.stdout.replace("[]", raw, 1), "") if "address" in stdin else found
            )

        assert list(snapshot.take(run).links) == ["p\x1b0"]

    @pytest.mark.parametrize("tools", [Tools(exit_code=1), Tools(cut=True)], ids=["failed", "cut"])
    def test_an_answer_that_is_none_is_an_error(self, tools: Tools) -> None:
        with pytest.raises(CnetshError, match="the kernel's state cannot be read"):
            snapshot.take(tools)

    def test_of_settings_that_cannot_be_read_there_are_none(self) -> None:
        assert snapshot.readable(["/proc/sys/net/nosuch", "/proc/sys/net"]) == {}
        assert snapshot.readable([FORWARD])[FORWARD] in ("0", "1")
