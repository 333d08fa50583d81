"""What is asked of a kernel, by questions alone, and what is kept of its answers."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from cnetsh.compare import kernel, snapshot
from cnetsh.errors import CnetshError
from cnetsh.kinds.change import Ref, State
from cnetsh.system.process import Result

FORWARD = "/proc/sys/net/ipv4/ip_forward"
LO = "/proc/sys/net/ipv4/conf/lo"


def names(state: State, kind: str) -> list[str]:
    return [ref.name for ref in state if ref.kind == kind]


class Tools:
    """Answers what the tools would, and records what they were asked."""

    def __init__(
        self, addresses: Any = (), exit_code: int = 0, cut: bool = False, warned: str = ""
    ) -> None:
        self.asked: list[tuple[tuple[str, ...], str]] = []
        self._addresses, self._exit_code, self._cut = addresses, exit_code, cut
        self._warned = warned

    def __call__(self, argv: Sequence[str], stdin: str = "", timeout: float = 60.0) -> Result:
        self.asked.append((tuple(argv), stdin))
        if argv[0] == "ip":
            answers = ["[]"] * stdin.count("\n")
            if "address" in stdin:
                answers[0] = json.dumps(self._addresses, ensure_ascii=False)
            return Result(self._exit_code, "\n".join(answers[: 1 if self._cut else None]), "no")
        return Result(0, "", self._warned)


class TestTake:
    def test_gives_what_is_there_with_its_number(self) -> None:
        link = {"ifname": "p0", "ifindex": 7, "mtu": 1500, "flags": ["UP", "LOWER_UP"]}
        info = [{"local": "10.0.0.1", "prefixlen": 8, "scope": "global"}]
        answer = [link | {"linkinfo": {"info_kind": "veth"}, "addr_info": info}, {}]
        found = snapshot.take(Tools(answer))
        (facts,) = found[Ref("link", "", "p0")]
        assert (facts["kind"], facts["up"], facts["mark"]) == ("veth", True, [7, 0])
        assert names(found, "link") == ["p0"] and names(found, "address") == ["10.0.0.1/8"]

    def test_has_no_link_that_went_while_it_was_read(self) -> None:
        """`ip` has named it, and /sys does not show it any more."""
        link = {"ifname": "p0", "ifindex": 7, "mtu": 1500, "flags": []}
        answers = iter([Tools([link]), *[Tools()] * 9])
        found = snapshot.take(lambda argv, stdin="", _=0: next(answers)(argv, stdin))
        assert names(found, "link") == []

    def test_has_settings_but_those_of_own_links(self) -> None:
        found = names(snapshot.take(Tools()), "setting")
        assert {FORWARD, f"{LO}/forwarding", f"{LO}/proxy_arp"} <= set(found)
        own = names(snapshot.take(Tools(), made={"lo": [1, kernel.link_mark("lo")]}), "setting")
        left_out = set(found) - set(own)
        assert left_out == {name for name in found if "/conf/lo/" in name} and len(left_out) > 50

    def test_of_very_many_links_has_what_forwarding_sets_and_what_is_written(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(kernel, "MOST_LINKS", 0)
        found = names(snapshot.take(Tools()), "setting")
        assert f"{LO}/forwarding" in found and f"{LO}/proxy_arp" not in found
        assert f"{LO}/proxy_arp" in names(snapshot.take(Tools(), [f"{LO}/proxy_arp"]), "setting")

    def test_asks_for_queues_where_somebody_has_chosen_one_and_for_entries_of_ports(self) -> None:
        port = {"info_kind": "veth", "info_slave_data": {}}
        link = {"ifname": "lo", "ifindex": 7, "qdisc": "tbf", "linkinfo": port}
        its, others = kernel.link_mark("lo"), {"bridge", "tc"}
        # The last is one that others have put in the place of the lab's.
        for mark, asked in ((its, set()), ("02:aa", set()), (its + 1, others)):
            tools = Tools([link])
            snapshot.take(tools, made={"lo": [7, mark]})
            assert {argv[0] for argv, _ in tools.asked} & {"bridge", "tc"} == asked

    def test_only_reads(self) -> None:
        tools = Tools()
        snapshot.take(tools)
        for argv, stdin in tools.asked:
            assert argv[0].endswith("-save") or (argv[0] == "ip" and "-batch" in argv)
            assert all(" show" in line for line in stdin.splitlines())

    @pytest.mark.parametrize(
        "warned, unread",
        [
            ("# Warning: iptables-legacy tables present, use iptables-legacy-save to see them", 0),
            ("# Warning: a\nCould not fetch rule set generation id", 2),
        ],
    )
    def test_no_rules_and_a_warning_that_others_have_some(self, warned: str, unread: int) -> None:
        found = snapshot.take(Tools(warned=warned + "\n"))
        assert len(names(found, "table")) == unread

    def test_a_name_with_a_control_character(self) -> None:
        tools = Tools()
        raw = '[{"ifname": "p\x1b0", "ifindex": 7, "flags": []}]'

        def run(argv: Sequence[str], stdin: str = "", timeout: float = 60.0) -> Result:
            found = tools(argv, stdin)
            return (
                Result(0, found.stdout.replace("[]", raw, 1), "") if "address" in stdin else found
            )

        assert names(snapshot.take(run), "link") == ["p\x1b0"]

    @pytest.mark.parametrize("tools", [Tools(exit_code=1), Tools(cut=True)], ids=["failed", "cut"])
    def test_an_answer_that_is_none_is_an_error(self, tools: Tools) -> None:
        with pytest.raises(CnetshError, match="the kernel's state cannot be read"):
            snapshot.take(tools)

    def test_of_settings_that_cannot_be_read_there_are_none(self) -> None:
        assert kernel.readable(["/proc/sys/net/nosuch", "/proc/sys/net"]) == {}
        assert kernel.readable([FORWARD])[FORWARD] in ("0", "1")
