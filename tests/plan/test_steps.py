"""Template text becomes a plan, or is refused with its line: nothing else decides what runs."""

import re
import string
import time
from contextlib import suppress
from ipaddress import ip_address
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cnetsh.errors import CnetshError
from cnetsh.labs import choose
from cnetsh.labs.builtin import LABS
from cnetsh.plan.steps import Directives, Plan, Step, parse, split, to_text
from cnetsh.plan.undo import undos

FORWARD = "/proc/sys/net/ipv4/ip_forward"
UP = """#!/bin/sh
## Bridge br0
# A switch,
# in the kernel.
ip link add name br0 type bridge

# The host's own address.
#: undo none: it goes with br0
ip address add 172.18.0.1/12 dev br0
## Container net0
ip netns add net0
   ip netns exec net0 ip link set lo up
"""


def parsed(text: str, part: str = "up") -> tuple[Step, ...]:
    return parse(text, "own", "A lab", part, "own/up.sh.j2").steps


def one(text: str, part: str = "down") -> Step:
    (step,) = parsed(text, part)
    return step


def refused(text: str, part: str = "up") -> CnetshError:
    with pytest.raises(CnetshError) as caught:
        parsed(text, part)
    assert "\n" not in caught.value.message
    return caught.value


class TestGrammar:
    def test_sections_narration_and_lines(self) -> None:
        steps = parsed(UP)
        assert [step.line for step in steps] == [5, 9, 11, 12]
        assert [step.section for step in steps] == ["Bridge br0"] * 2 + ["Container net0"] * 2
        whys = ["A switch, in the kernel.", "The host's own address.", "", ""]
        assert [step.why for step in steps] == whys
        assert [step.netns for step in steps] == ["", "", "", "net0"]
        assert steps[3].text == "ip netns exec net0 ip link set lo up"

    def test_an_empty_text_is_an_empty_plan(self) -> None:
        assert parsed("") == parsed("\n  \n# nothing\n## Nothing\n") == ()

    def test_kinds(self) -> None:
        text = "ip link show\nping -c1 10.0.0.1\nip link set a0 up\n#: look\nping -c1 10.0.0.2\n"
        assert [step.kind for step in parsed(text, "down")] == ["look", "check", "change", "look"]

    def test_the_namespace_is_seen_however_it_is_typed(self) -> None:
        for text in (
            "ip netns exec n0 ip link set lo up",
            "  ip netns exec n0 ip link set lo up",
            "ip  netns   exec n0 ip link set lo up",
            "ip netns exec 'n0' ip link set lo up",
            "'ip' netns exec n0 ip link set lo up",
            "ip netns 'exe'c n0 ip link set lo up",
            "ip -n n0 link set lo up",
            "ip -netns n0 link set lo up",
            "ip  -n  n0 link set lo up",
        ):
            step = one(text)
            assert (step.netns, step.inner) == ("n0", ("ip", "link", "set", "lo", "up")), text

    def test_each_line_of_one_form_has_its_own_namespace(self) -> None:
        lines = [f"ip netns exec net{n} ip link set ceth{n} up" for n in (1, 20, 3)]
        lines += [f"ip -n net{n} link set lo up" for n in (4, 50)]
        lines += [f"echo 1 | ip netns exec net{n} tee {FORWARD}" for n in (6, 7)]
        netns = [step.netns for step in parsed("\n".join(lines))]
        assert netns == ["net1", "net20", "net3", "net4", "net50", "net6", "net7"]


@pytest.mark.parametrize("line", ["ip link set {} up", "# {}", "## {}", "#: undo none: {}"])
def test_what_is_no_character_is_refused_with_its_line(line: str) -> None:
    error = refused("ip netns add a\n" + line.format("\ud800") + "\nip netns add b")
    assert error.message == "own/up.sh.j2: line 2: '\\ud800' is no character"


class TestDirectives:
    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("undo ip link set a0 down", Directives(undo="ip link set a0 down")),
            ("undo none: it goes with net0", Directives(undo="", undo_note="it goes with net0")),
            ("expect failure: no way: at all", Directives(expect="no way: at all")),
            ("needs route 1.1.1.1", Directives(needs="route 1.1.1.1")),
            ("needs address 10.0.2.15", Directives(needs="address 10.0.2.15")),
            ("look", Directives(look=True)),
        ],
    )
    def test_are_known(self, text: str, said: Directives) -> None:
        assert one(f"#: {text}\nping -c1 10.0.0.1").said == said
        assert one(f"#:{text}\nping -c1 10.0.0.1").said == said

    def test_of_controls_there_may_be_several(self) -> None:
        pings = ("ping -c1 10.0.0.2", "ip netns exec a ping -c1 10.0.0.3")
        lines = [f"#: control {text}" for text in pings]
        text = "\n".join(["#: expect failure: no", *lines, "ping -c1 10.0.0.1"])
        assert one(text, "check").said == Directives(expect="no", control=pings)
        none = "#: expect failure: no\n#: control none: b is alone\nping -c1 10.0.0.1"
        assert one(none, "check").said == Directives(expect="no", no_control="b is alone")

    @pytest.mark.parametrize(
        "text",
        [
            "#: control ping -c1 10.0.0.2\nping -c1 10.0.0.1",
            "#: expect failure: no\n#: control ip netns add a\nping -c1 10.0.0.1",
            "#: expect failure: no\n#: control ping -f 10.0.0.2\nping -c1 10.0.0.1",
        ],
    )
    def test_a_control_is_a_ping_beside_an_expected_failure(self, text: str) -> None:
        assert "line" in refused(text, "check").message

    def test_several_belong_to_the_next_command_only(self) -> None:
        first, second = parsed(
            "#: needs route 1.1.1.1\n#: expect failure: no\nping -c1 1.1.1.1\nping -c1 1.1.1.2",
            "check",
        )
        assert first.said == Directives(expect="no", needs="route 1.1.1.1")
        assert second.said == Directives()

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "undoing",
            "undo:",
            "expect failure:",
            "needs route",
            "needs money 1",
            "looks",
            "Look",
        ],
    )
    def test_others_are_refused_with_their_line(self, text: str) -> None:
        error = refused(f"ip netns add a\n#: {text}\nip netns add b")
        assert error.message.startswith("own/up.sh.j2: line 2: unknown directive")
        assert "undo COMMAND" in error.hint

    @pytest.mark.parametrize("tail", ["", "\n\n", "\n# a reason\n## A section", "\n#!no command"])
    def test_before_no_command_are_refused(self, tail: str) -> None:
        error = refused(f"ip netns add a\n\n#: undo none: it goes{tail}")
        assert error.message == "own/up.sh.j2: line 3: no command follows this directive"

    @pytest.mark.parametrize(
        ("text", "again"),
        [
            ("undo ip link set a0 up", "undo none: it goes"),
            ("undo none:", "undo none:"),
            ("expect failure: no", "expect failure: no"),
            ("needs route 1.1.1.1", "needs address 1.1.1.1"),
            ("look", "look"),
        ],
    )
    def test_two_of_a_kind_are_refused(self, text: str, again: str) -> None:
        error = refused(f"#: {text}\n# a reason\n#: {again}\nping -c1 10.0.0.1", "check")
        kind = again.split()[0]
        assert error.message == f"own/up.sh.j2: line 3: a second {kind}: {again}"

    def test_an_undo_is_a_command_like_any_other(self) -> None:
        error = refused("#: undo rm -rf /\nip netns add a")
        assert error.message.startswith("own/up.sh.j2: line 2: ip netns add a: not an allowed")
        assert "rm -rf /" in error.message
        assert (
            "needs a shell" in refused("#: undo ip link set a0 up; reboot\nip netns add a").message
        )

    def test_a_change_cannot_be_called_a_look(self) -> None:
        assert "changes something" in refused("#: look\nip link set eth0 down").message


class TestTrusted:
    """A command that no kind knows, with an undo of the template's own."""

    def test_is_taken_with_its_undo_and_does_nothing_that_is_known(self) -> None:
        step = one("#: undo rm /run/x\nip netns exec a touch /run/x", "up")
        assert (step.kind, step.netns, step.changes) == ("trusted", "a", ())
        assert undos([step])[0].texts == ("rm /run/x",)

    @pytest.mark.parametrize(
        ("text", "part"),
        [
            ("touch /run/x", "up"),
            ("#: undo none: it stays\ntouch /run/x", "up"),
            ("#: undo rm /run/x\ntouch /run/x", "check"),
            ("#: undo rm /run/x\ntouch /run/x", "down"),
            ("#: undo rm /run/*\ntouch /run/x", "up"),
            ("#: undo rm /run/x\ntouch /run/x > /dev/null", "up"),
        ],
    )
    def test_is_nothing_else(self, text: str, part: str) -> None:
        assert "/run/x" in refused(text, part).message


class TestUndoable:
    @pytest.mark.parametrize(
        "text", ["ip link delete eth0", "iptables -F FORWARD", "ip route delete default"]
    )
    def test_what_has_no_undo_is_refused_on_the_way_up(self, text: str) -> None:
        assert "no undo" in refused(f"ip netns add a\n{text}").message
        assert parsed(text, "down") and parsed(f"#: undo ip link set a0 up\n{text}")

    def test_a_directive_speaks_for_its_own_command_only(self) -> None:
        error = refused("#: undo none: mine\nip link delete eth0\nip link delete eth1")
        assert error.message.startswith("own/up.sh.j2: line 3: ip link delete eth1: no undo")
        parsed("#: undo none: mine\nip link delete eth0\n#: undo none: mine\nip link delete eth1")


class TestForms:
    """Lines that differ only in digits are looked at once, and must not hide one another."""

    @pytest.mark.parametrize(
        ("allowed", "other"),
        [
            ("ip -4 link show", "ip -1 link show"),
            ("ip netns exec n0 ip -6 route", "ip netns exec n0 ip -9 route"),
            ("ip6tables -A FORWARD -j DROP", "ip7tables -A FORWARD -j DROP"),
            ("ip netns exec n0 ip6tables -S", "ip netns exec n0 ip5tables -S"),
            ("ip link set a0 netns n1", "ip link set a0 netns 11"),
            ("echo 1 | tee /proc/sys/net/ipv4/x1", "echo 1 | tee /proc/sys/net/ipv4/../x1"),
            ("ip netns exec n1 ip link show", "ip netns exec ../1 ip link show"),
        ],
    )
    def test_a_refused_command_after_an_allowed_one(self, allowed: str, other: str) -> None:
        assert parsed(f"{allowed}\n{allowed}", "down")
        assert refused(f"{allowed}\n{other}", "down").message.startswith("own/up.sh.j2: line 2: ")

    def test_whatever_follows_is_what_it_is_alone(self) -> None:
        texts = [
            "ip -4 addr",
            "ip -6 addr",
            "ip link set a1 up",
            "ip link set a22 up",
            "ping -c1 a1",
        ]
        for first in texts:
            for second in texts:
                together = parsed(f"{first}\n{second}", "down")[1]
                assert together == one(second)._replace(line=2)


SHELL = {
    "a pipe": "ip link show | sh",
    "a pipe without blanks": "ip link show|sh",
    "output": "ip link show > /etc/passwd",
    "more output": "ip link show >> /etc/passwd",
    "input": "ip -batch - < /tmp/x",
    "background": "ping 10.0.0.1 &",
    "and": "ip link show && reboot",
    "or": "ip link show || reboot",
    "a second command": "ip link show; reboot",
    "a variable": "ip link set $X up",
    "a substitution": "ip link set $(reboot) up",
    "backticks": "ip link set `reboot` up",
    "in double quotes": 'ip link set "$(reboot)" up',
    "backticks in double quotes": 'ip link set "`reboot`" up',
    "a backslash": "ip link set \\a up",
    "a backslash in double quotes": 'ip link set "\\a" up',
    "a star": "ip link set eth* up",
    "a question mark": "ip link set eth? up",
    "a set": "ip link set eth[01] up",
    "braces": "ip link set {a,b} up",
    "a subshell": "(ip link show)",
    "home": "ip link set ~ up",
    "a comment": "ip netns add a # b",
    "an open quote": "ip link set a0 alias 'b",
    "an open double quote": 'ip link set a0 alias "b',
    "a carriage return": "ip link show\rreboot",
    "a tab": "ip\tlink show",
    "a tab in quotes": "ip link set a0 alias 'b\tc'",
    "an escape in quotes": "ip link set a0 alias '\x1b[2J'",
    "a null": "ip link set a0 alias '\0'",
    "a new line of Unicode": "ip link show\u2028reboot",
    "a blank that does not break": "ip link set a0 alias b\xa0c",
    "next line": "ip link show\x85x",
}


class TestChecks:
    @pytest.mark.parametrize("text", ["ip link set a0 up", "echo 1 | tee /proc/sys/net/ipv4/x"])
    def test_change_nothing(self, text: str) -> None:
        assert "it changes something" in refused(text, "check").message


class TestShell:
    @pytest.mark.parametrize("text", SHELL.values(), ids=SHELL)
    def test_what_needs_one_is_refused(self, text: str) -> None:
        error = refused(f"ip netns add n0\n\n{text}", "down")
        assert error.message.startswith("own/up.sh.j2: line 3: ")
        assert "needs a shell" in error.message and "tee /proc/sys/net/" in error.hint

    @pytest.mark.parametrize(
        ("text", "last"),
        [
            ("ip link set a0 alias 'two words'", "two words"),
            ('ip link set a0 alias "two words"', "two words"),
            ("ip link set a0 alias 'a $HOME; *'", "a $HOME; *"),
            ('ip link set a0 alias "it\'s"', "it's"),
            ("ip link set a0 alias ''", ""),
            ("ip link set a0 alias b'c'd", "bcd"),
        ],
    )
    def test_quotes_group_words_and_nothing_more(self, text: str, last: str) -> None:
        assert one(text).argv == ("ip", "link", "set", "a0", "alias", last)
        assert one(text).text == text

    def test_an_exclamation_mark_is_a_word(self) -> None:
        text = "iptables -t nat -A POSTROUTING -s 172.16.0.0/12 ! -o br0 -j MASQUERADE"
        assert one(text).argv == tuple(text.split())


RESOLVER = "/etc/netns/n1/resolv.conf"
SERVER = f"echo nameserver 10.0.0.1 | tee {RESOLVER}"
REST = ("own", "", "up", "own")


class TestPipe:
    def test_writes_a_setting(self) -> None:
        step = one(f"echo 1 | tee {FORWARD}")
        assert (step.argv, step.stdin, step.netns) == (("tee", FORWARD), "1\n", "")
        assert step.inner == step.argv and step.kind == "change"

    def test_writes_a_setting_of_a_namespace(self) -> None:
        step = one(f"echo 1024 2048 | ip netns exec net0 tee {FORWARD}")
        assert step.argv == ("ip", "netns", "exec", "net0", "tee", FORWARD)
        assert (step.stdin, step.netns, step.inner) == ("1024 2048\n", "net0", ("tee", FORWARD))

    def test_names_a_name_server(self) -> None:
        steps = parse(f"{SERVER}\necho nameserver fd00::1 | tee -a {RESOLVER}", *REST).steps
        assert [step.argv for step in steps] == [("tee", RESOLVER), ("tee", "-a", RESOLVER)]
        assert [step.stdin for step in steps] == ["nameserver 10.0.0.1\n", "nameserver fd00::1\n"]

    @pytest.mark.parametrize(
        ("old", "new"),
        [("10.0.0.1", "10.0.0.999"), ("10.0.0.1", "010.0.0.1"), ("n1/", "7/")],
    )
    def test_looks_at_each_name_server_by_itself(self, old: str, new: str) -> None:
        with pytest.raises(CnetshError):
            parse(f"{SERVER}\n{SERVER.replace(old, new)}", *REST)

    @pytest.mark.parametrize(
        "text", [SERVER, "mkdir /etc/netns/n1", "rmdir /etc/netns/n1", f"rm -f {RESOLVER}"]
    )
    def test_with_any_bit_flipped_is_of_name_servers_or_refused(self, text: str) -> None:
        for place, bit in product(range(len(text)), range(7)):
            flipped = text[:place] + chr(ord(text[place]) ^ 1 << bit) + text[place + 1 :]
            with suppress(CnetshError):
                (step,) = parse(flipped, "own", "", "down", "own").steps
                argv, stdin = step.argv, step.stdin
                assert argv[0] in ("tee", "mkdir", "rmdir", "rm")
                assert re.fullmatch("/etc/netns/[A-Za-z][A-Za-z0-9_.-]+(/resolv[.]conf)?", argv[-1])
                assert not stdin or ip_address(stdin.removeprefix("nameserver ").strip())

    @pytest.mark.parametrize(
        "text",
        [
            "echo 1 | tee /proc/sys/kernel/panic",
            f"echo options debug | tee {RESOLVER}",
            f"echo nameserver | tee {RESOLVER}",
            f"echo nameserver 127.0.0.1 | tee {RESOLVER}",
            f"echo nameserver 10.0.0.1 10.0.0.2 | tee {RESOLVER}",
            f"echo nameserver 10.0.0.1 | ip netns exec n1 tee {RESOLVER}",
            "echo nameserver 10.0.0.1 | tee /etc/netns/n1/hosts",
            "echo nameserver 10.0.0.1 | tee /etc/netns/../resolv.conf",
            f"tee {RESOLVER}",
            "echo 1 | tee /proc/sys/net/../kernel/panic",
            "echo 1 | tee /proc/sys/net/ipv4/conf/../../../kernel/panic",
            "echo 1 | tee /proc/sys/net//ipv4/ip_forward",
            "echo 1 | tee //proc/sys/net/ipv4/ip_forward",
            "echo 1 | tee /proc/sys/network",
            "echo 1 | tee proc/sys/net/ipv4/ip_forward",
            "echo 1 | tee /etc/passwd",
            f"echo 1 | tee -a {FORWARD}",
            f"echo 1 | tee {FORWARD} /etc/passwd",
            f"echo 1 | tee /etc/passwd {FORWARD}",
            f"echo 1 | tee {FORWARD} | sh",
            f"echo 1 | tee {FORWARD}; reboot",
            f"echo 1 | tee {FORWARD}\x00",
            f"echo 1 > {FORWARD}",
            f"echo $(id) | tee {FORWARD}",
            f"echo '1' | tee {FORWARD}",
            f"echo 1 | sudo tee {FORWARD}",
            f"echo 1 | ip netns exec ../x tee {FORWARD}",
            "echo 1 | ip netns exec n0 tee /proc/sys/kernel/panic",
            f"echo 1 | ip netns exec n0 ip netns exec n1 tee {FORWARD}",
            f"cat /etc/shadow | tee {FORWARD}",
            f"echo | tee {FORWARD}",
            f"tee {FORWARD}",
            f"ip netns exec n0 tee {FORWARD}",
            "echo 1",
        ],
    )
    def test_writes_nothing_else(self, text: str) -> None:
        for part in ("up", "check", "down"):
            assert refused(text, part).message.startswith("own/up.sh.j2: line 1: ")


@pytest.mark.parametrize(
    "text",
    [
        "rm -rf /",
        "sh -c reboot",
        "sudo ip link show",
        "ip",
        "ip -batch /tmp/x",
        "ip -n n0",
        "ip netns exec n0",
        "ip netns exec n0 sh",
        "ip netns exec n0 ip netns exec n1 ip link set lo up",
        "ip netns exec n0 ip -n n1 link set lo up",
        "ip netns exec /proc/1/ns/net ip link set lo up",
        "ip -n ../n0 link set lo up",
        "ip -all netns exec ip link show",
        "/sbin/ip link show",
        "ping -f 10.0.0.1",
    ],
)
def test_a_command_that_is_not_in_the_table_is_refused(text: str) -> None:
    assert "not an allowed command" in refused(text, "check").message


class TestAgain:
    """What `to_text` writes is what `parse` reads."""

    @staticmethod
    def facts(found: Plan) -> list[tuple[object, ...]]:
        return [step[:5] + step[6:] for step in found.steps]  # all but the line

    @pytest.mark.parametrize("part", ["up", "check", "down"])
    @pytest.mark.parametrize("name", LABS)
    def test_every_lab(self, name: str, part: str) -> None:
        found = choose.part(name, (), part)
        again = parse(to_text(found), name, found.title, part, "again")
        assert self.facts(again) == self.facts(found)
        assert to_text(again) == to_text(found)

    WORDS = st.text(
        st.characters(codec="utf-8", exclude_categories=["Zl", "Zp", "Cc", "Cs"]), max_size=30
    ).map(str.strip)
    NAMES = st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=9)
    SAID = st.builds(
        Directives,
        undo=st.sampled_from([None, "ip link set a0 down", "ip netns delete 'b'"]),
        undo_note=st.just(""),
        expect=WORDS,
        needs=st.sampled_from(["", "route 1.1.1.1", "address fe80::1", "netns internet"]),
        listen=st.sampled_from(["", "web.0 80/tcp", "net0 53/udp"]),
        look=st.booleans(),
        control=st.just(()),
        no_control=WORDS,
    ) | WORDS.map(lambda note: Directives(undo="", undo_note=note))
    TEXTS = st.one_of(
        st.sampled_from(["ping -c1 1.1.1.1", "ip link show", "bridge link show"]),
        st.builds("ip netns exec {} ping -c1 -W1 10.0.0.1".format, NAMES),
        st.builds("ip -n {} route show".format, NAMES),
    )

    @settings(max_examples=150, deadline=None)
    @given(
        st.lists(
            st.builds(Step, TEXTS, st.just(""), WORDS, WORDS, st.just(""), st.just(0), SAID),
            max_size=6,
        )
    )
    def test_any_steps(self, steps: list[Step]) -> None:
        text = to_text(Plan("own", "A lab", "down", tuple(steps)))
        found = parsed(text, "down")
        assert [(one.text, one.section, one.why, one.said) for one in found] == [
            (one.text, one.section, one.why, one.said) for one in steps
        ]

    LINES = st.one_of(
        st.builds("{}{}".format, st.sampled_from(["#", "##", "# ", "#!", "#: undo none:"]), WORDS),
        st.builds("#: expect failure:{}".format, WORDS),
        st.sampled_from(["", " ", "#: look", "#: undo ip netns delete 'b'", "#: needs route ::1"]),
        TEXTS,
    )

    @settings(max_examples=300, deadline=None)
    @given(st.lists(LINES, max_size=12))
    def test_any_lines_that_are_taken(self, lines: list[str]) -> None:
        try:
            found = parse("\n".join(lines), "own", "A lab", "down", "own")
        except CnetshError:
            return
        again = parse(to_text(found), "own", "A lab", "down", "again")
        assert self.facts(again) == self.facts(found)

    @settings(max_examples=300, deadline=None)
    @given(st.text(st.sampled_from("ipnetsxc 01|'\"-#:;$\n./") | st.characters(codec="utf-8")))
    def test_any_text_is_refused_or_is_the_words_it_shows(self, text: str) -> None:
        try:
            argv, stdin = split(text)
        except CnetshError:
            return
        assert "".join("".join(argv).split()) or not text.split() or "''" in text or '""' in text
        assert not stdin or argv[-2] == "tee"


def test_whoever_asks_for_changes_again_gets_the_same() -> None:
    first, again = parsed("ip netns add a"), parsed("ip netns add a")
    assert first[0].changes is again[0].changes


def test_of_a_thousand_forms_and_lines_takes_no_time() -> None:
    lines = [f"ip netns exec net{n} ip link set ceth{n} up" for n in range(50_000)]
    began = time.process_time()
    assert len(parsed("\n".join(lines))) == 50_000
    # A processor that others keep busy too counts up to three times as much.
    assert time.process_time() - began < 3
