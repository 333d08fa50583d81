"""Checks: what must work does, what must fail fails for its reason, and nothing is guessed."""

import re
import time
from collections.abc import Sequence
from itertools import chain, repeat
from threading import Event

import pytest

from cnetsh.errors import CnetshError
from cnetsh.kinds.change import Ref, State
from cnetsh.labs import choose
from cnetsh.labs.builtin import LABS
from cnetsh.plan.steps import parse
from cnetsh.probes import checks
from cnetsh.probes.checks import TRIES, CheckResult
from cnetsh.system.process import Result

OK = Result(0, "1 packets transmitted, 1 received, 0% packet loss\nrtt = 0.1 ms\n", "")
REPLY = Result(0, "64 bytes from 10.0.0.1: icmp_seq=1 ttl=64 time=0.04 ms\n1 packets\n", "")
SILENCE = Result(1, "1 packets transmitted, 0 received, 100% packet loss, time 0ms\n", "")
NO_WAY = Result(2, "", "ping: connect: Network is unreachable\n")
NO_NAMESPACE = Result(1, "", 'Cannot open network namespace "net0": No such file or directory\n')
NO_TOOL = Result(255, "", 'exec of "ping" failed: No such file or directory\n')
TIMED_OUT = Result(124, "", "no answer within 60 s, so it was ended")
PING = "ip netns exec net0 ping -c1 -W1 10.0.0.1"


class Answers:
    """Gives its answers one after the other, the last one again and again, and records."""

    def __init__(self, *answers: Result) -> None:
        self.asked: list[tuple[str, ...]] = []
        self._answers = list(answers)

    def __call__(self, argv: Sequence[str], stdin: str = "", timeout: float = 60.0) -> Result:
        self.asked.append(tuple(argv))
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


def found(text: str, *answers: Result) -> tuple[CheckResult, list[tuple[str, ...]]]:
    run = Answers(*answers)
    (one,) = checks.run_checks(parse(text, "own", "", "check", "own"), run, lambda _: None)
    return one, run.asked


class TestMustWork:
    def test_works(self) -> None:
        one, asked = found(PING, REPLY)
        assert (one.verdict, asked) == ("ok", [tuple(PING.split())])
        assert one.detail == "64 bytes from 10.0.0.1: icmp_seq=1 ttl=64 time=0.04 ms"

    @pytest.mark.parametrize("lost", range(TRIES))
    def test_may_lose_its_first_packets(self, lost: int) -> None:
        one, asked = found(PING, *[SILENCE] * lost, OK)
        assert (one.verdict, len(asked)) == ("ok", lost + 1)

    @pytest.mark.parametrize("answer", [SILENCE, NO_WAY, NO_NAMESPACE, NO_TOOL, TIMED_OUT])
    def test_fails_after_its_last_try(self, answer: Result) -> None:
        one, asked = found(PING, answer)
        assert (one.verdict, len(asked)) == ("failed", TRIES)
        assert one.detail and one.detail in answer.stdout + answer.stderr

    def test_that_says_nothing_tells_its_exit_code(self) -> None:
        assert found(PING, Result(7, "", "\n"))[0].detail == "exit code 7"


class TestMustFail:
    TEXT = f"#: expect failure: nobody is there\n{PING}"

    @pytest.mark.parametrize(
        ("answer", "said"),
        [(SILENCE, "100% packet loss"), (NO_WAY, "Network is unreachable")],
    )
    def test_fails(self, answer: Result, said: str) -> None:
        one, asked = found(self.TEXT, answer)
        assert (one.verdict, len(asked)) == ("ok", 1)
        assert one.detail.startswith("fails, as it must: nobody is there (") and said in one.detail

    def test_works(self) -> None:
        one, asked = found(self.TEXT, OK)
        assert (one.verdict, len(asked)) == ("failed", 1)
        assert one.detail == "it works and must not: nobody is there"

    @pytest.mark.parametrize(
        "answer", [NO_NAMESPACE, NO_TOOL, TIMED_OUT, Result(-9, "", ""), Result(127, "", "sh: no")]
    )
    def test_fails_for_another_reason(self, answer: Result) -> None:
        one, _ = found(self.TEXT, answer)
        assert one.verdict == "failed" and one.detail.startswith("it could not be tried: ")


class TestControl:
    """A failure counts only where the same ends are reached otherwise."""

    CONTROL = "ip netns exec net0 ping -c1 -W1 10.0.0.254"
    TEXT = f"#: expect failure: br0 is isolated\n#: control {CONTROL}\n{PING}"

    def test_that_works_has_the_failure_count(self) -> None:
        one, asked = found(self.TEXT, SILENCE, OK)
        assert one.verdict == "ok" and "br0 is isolated" in one.detail
        assert asked == [tuple(PING.split()), tuple(self.CONTROL.split())]

    @pytest.mark.parametrize("lost", range(TRIES))
    def test_may_lose_its_first_packets(self, lost: int) -> None:
        assert found(self.TEXT, SILENCE, *[SILENCE] * lost, OK)[0].verdict == "ok"

    def test_that_fails_too_has_it_show_nothing(self) -> None:
        one, asked = found(self.TEXT, SILENCE, NO_WAY)
        said = "it would show nothing: {} fails too (ping: connect: Network is unreachable)"
        assert (one.verdict, one.detail) == ("not tried", said.format(self.CONTROL))
        assert len(asked) == 1 + TRIES

    def test_of_which_one_fails_is_none(self) -> None:
        text = f"#: expect failure: no\n#: control {self.CONTROL}\n#: control {PING}\n{PING}"
        assert found(text, SILENCE, OK, NO_WAY)[0].verdict == "not tried"

    def test_is_not_asked_where_the_ping_works(self) -> None:
        one, asked = found(self.TEXT, OK)
        assert (one.verdict, len(asked)) == ("failed", 1)

    def test_that_there_is_none_of_is_said(self) -> None:
        text = f"#: expect failure: no\n#: control none: b is alone\n{PING}"
        one, _ = found(text, SILENCE)
        assert (one.verdict, one.detail) == ("not tried", "it would show nothing: b is alone")
        assert found(text, OK)[0].verdict == "failed"


class TestNeeds:
    ROUTE = "#: needs route 1.1.1.1\nping -c1 -W1 1.1.1.1"
    ADDRESS = "#: needs address 10.0.2.15\nping -c1 -W1 10.0.2.15"
    HERE = Result(0, "local 10.0.2.15 dev lo src 10.0.2.15 uid 0\n", "")
    THERE = Result(0, "1.1.1.1 via 10.0.2.2 dev eth0 src 10.0.2.15 uid 0\n", "")
    NOWHERE = Result(2, "", "RTNETLINK answers: Network is unreachable\n")

    def test_is_asked_first(self) -> None:
        one, asked = found(self.ROUTE, self.THERE, OK)
        assert one.verdict == "ok"
        assert asked[0] == ("ip", "route", "get", "1.1.1.1") and asked[1][0] == "ping"
        assert found(self.ADDRESS, self.HERE, OK)[0].verdict == "ok"

    @pytest.mark.parametrize(
        ("text", "answer", "detail"),
        [
            (ROUTE, NOWHERE, "the target has no route to 1.1.1.1"),
            (ADDRESS, NOWHERE, "the target does not have the address 10.0.2.15"),
            (ADDRESS, THERE, "the target does not have the address 10.0.2.15"),
        ],
    )
    def test_lacking_it_is_not_tried(self, text: str, answer: Result, detail: str) -> None:
        one, asked = found(text, answer)
        assert (one.verdict, one.detail, len(asked)) == ("not tried", detail, 1)

    def test_lacking_it_even_a_failure_is_not_tried(self) -> None:
        one, _ = found(f"#: expect failure: no\n{self.ROUTE}", self.NOWHERE)
        assert one.verdict == "not tried"


class TestCalls:
    """A call is silent: it ends with 0, with 1 and what bash says, or with 124 (timeout(1))."""

    TEXT = "ip netns exec net0 timeout 1 bash -c '</dev/tcp/10.0.0.1/80'"
    REFUSED = Result(1, "", "bash: connect: Connection refused\nbash: x: Connection refused\n")

    def test_are_answered_or_not(self) -> None:
        assert found(self.TEXT, Result(0, "", ""))[0].detail == "answered"
        one, asked = found(self.TEXT, self.REFUSED)
        assert (one.verdict, one.detail) == ("failed", "bash: x: Connection refused")
        one, asked = found(self.TEXT, Result(124, "", ""))
        assert (one.verdict, one.detail, len(asked)) == ("failed", "no answer", TRIES)

    @pytest.mark.parametrize("answer", [REFUSED, Result(124, "", "")])
    def test_must_fail(self, answer: Result) -> None:
        one, asked = found(f"#: expect failure: nobody is there\n{self.TEXT}", answer)
        assert (one.verdict, len(asked)) == ("ok", 1)

    def test_could_not_be_tried(self) -> None:
        one, _ = found(f"#: expect failure: no\n{self.TEXT}", Result(127, "", "timeout: no bash"))
        assert one.verdict == "failed" and "could not be tried" in one.detail


@pytest.mark.parametrize(
    "text",
    [
        "timeout 0 bash -c '</dev/tcp/10.0.0.1/80'",
        "timeout 1 bash -c '</dev/tcp/10.0.0.1/80; reboot'",
        "timeout 1 bash -c '</dev/tcp/$(reboot)/80'",
        "timeout 1 bash -c '</dev/sda/10.0.0.1/80'",
        "timeout 1 bash -c 'cat </dev/tcp/10.0.0.1/80'",
        "timeout 1 bash '</dev/tcp/10.0.0.1/80'",
        "timeout 1 reboot",
        "bash -c '</dev/tcp/10.0.0.1/80'",
    ],
)
def test_of_what_a_shell_could_run_only_calls_are_allowed(text: str) -> None:
    with pytest.raises(CnetshError, match="not an allowed command"):
        parse(text, "own", "", "check", "own")


def test_a_look_is_shown_whatever_it_answers() -> None:
    assert found("ip route", Result(0, "default via x\n", "")) == (
        CheckResult(
            parse("ip route", "own", "", "check", "own").steps[0], "look", "default via x\n"
        ),
        [("ip", "route")],
    )
    one, asked = found("#: look\nping -c1 10.0.0.1", SILENCE)
    assert (one.verdict, one.detail, len(asked)) == ("look", SILENCE.stdout, 1)
    assert found("bridge link", Result(1, "", "no\n"))[0].detail == "no\n"


@pytest.mark.parametrize("name", LABS)
def test_every_check_of_a_lab_is_told_as_it_ends(name: str) -> None:
    plan, told = choose.part(name, (), "check"), list[CheckResult]()
    run = Answers(OK)

    def tell(one: CheckResult) -> None:
        told.append(one)
        assert run.asked

    findings = checks.run_checks(plan, run, tell)
    assert told == findings and [one.step for one in findings] == list(plan.steps)
    # Where everything answers, just what must not work is wrong.
    for one in findings:
        needs = one.step.said.needs.startswith("address ")
        wrong = "not tried" if needs else "failed" if one.step.said.expect else "ok"
        assert one.verdict == ("look" if one.step.kind == "look" else wrong)


def test_checks_run_side_by_side_and_are_told_in_order() -> None:
    """The first waits for the last: one after the other, nothing would ever end."""
    text = "\n".join(f"ip netns exec n{number} ping -c1 -W1 10.0.0.1" for number in range(9))
    last, told = Event(), list[str]()

    def run(argv: Sequence[str], stdin: str = "", timeout: float = 60.0) -> Result:
        if argv[3] == "n8":
            last.set()
        return OK if last.wait(10) else SILENCE

    plan = parse(text, "own", "", "check", "own")
    found = checks.run_checks(plan, run, lambda one: told.append(one.step.text))
    assert told == text.splitlines() and {one.verdict for one in found} == {"ok"}


def test_a_look_sees_what_the_checks_before_it_did() -> None:
    text = f"{PING}\n{PING}\nip neigh show\n{PING}"
    ended: list[str] = []

    def run(argv: Sequence[str], stdin: str = "", timeout: float = 60.0) -> Result:
        time.sleep(0.02 if "ping" in argv else 0)
        ended.append(argv[0])
        return OK if "ping" in argv else Result(0, f"after {len(ended) - 1}", "")

    findings = checks.run_checks(parse(text, "own", "", "check", "own"), run, lambda _: None)
    assert findings[2].detail == "after 2"


def test_a_signal_ends_the_checks_with_those_that_were_told() -> None:
    told: list[CheckResult] = []
    text = "\n".join([PING] * 100)
    run = Answers(OK)
    plan = parse(text, "own", "", "check", "own")
    found_ = checks.run_checks(plan, run, told.append, lambda: 2 if len(told) == 3 else 0)
    assert found_ == told and len(told) == 3


class TestForgotten:
    """Many pings leave no neighbour behind, and none is forgotten that was not theirs."""

    STATE: State = {
        Ref("address", netns, name): [{"dev": dev}]
        for netns, name, dev in (
            ("", "10.0.0.1/24", "br0"), ("", "10.1.0.1/24", "br1"), ("", "fe80::1/64", "br0"),
            ("a", "10.0.0.2/24", "e"), ("b", "10.0.0.3/24", "e"), ("c", "10.1.0.2/24", "e"),
        )
    } | {Ref("route", netns, "default"): [{"via": via, "dev": "e"}]
         for netns, via in (("a", "10.0.0.1"), ("c", "10.1.0.1"))}  # fmt: skip

    def forgotten(self, netns: str, far: str, pings: int) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}

        def run(argv: Sequence[str], stdin: str = "", timeout: float = 60.0) -> Result:
            if argv[-1] == "show":
                return Result(0, "10.0.0.3 dev br0 lladdr 02:00:00:00:00:01 STALE\n", "")
            if argv[-1] == "-":
                place = argv[3] if argv[1] == "netns" else ""
                lines = stdin.replace("neigh flush to ", "").split()
                found.setdefault(place, set()).update(lines)
            return OK

        with checks.forgetting(run, self.STATE, pings) as ping:
            for _ in range(pings):
                ping(("ip", "-s", "ntable", "show"))
                ping(("ip", "netns", "exec", netns, "ping", "-c1", "-W1", far))
        return found

    def test_at_both_ends(self) -> None:
        assert self.forgotten("a", "10.0.0.3", 201) == {"a": {"10.0.0.3"}, "b": {"10.0.0.2"}}
        assert self.forgotten("a", "10.0.0.1", 201) == {"a": {"10.0.0.1"}, "": {"10.0.0.2"}}

    def test_at_gateways_between(self) -> None:
        ways = {"a": "10.1.0.2 10.0.0.1 10.1.0.1", "c": "10.0.0.2 10.0.0.1 10.1.0.1",
                "": "10.0.0.2 10.1.0.2"}  # fmt: skip
        wanted = {netns: set(text.split()) for netns, text in ways.items()}
        assert self.forgotten("a", "10.1.0.2", 201) == wanted

    def test_by_one_process_for_both_pings_of_a_container(self) -> None:
        numbers, pings, flushed = range(1, 201), list[str](), list[str]()
        names = {f"n{number}": f"10.0.0.{number}/24" for number in numbers}
        state: State = {
            Ref("address", netns, name): [{"dev": "e"}] for netns, name in names.items()
        }
        for far in ([1] * 200, [*numbers[1:], 1]):
            pings += [f"ip netns exec n{number} ping -c1 -W1 10.0.0.{other}"
                      for number, other in zip(numbers, far, strict=True)]  # fmt: skip

        def run(argv: Sequence[str], stdin: str = "", timeout: float = 60.0) -> Result:
            flushed.extend(argv[3:4] if argv[-1] == "-" else ())
            return OK

        plan = parse("\n".join(pings), "own", "", "check", "own")
        with checks.forgetting(run, state, len(pings)) as ping:
            found = checks.run_checks(plan, ping, lambda _: None)
        assert [one.step.text for one in found] == pings
        assert set(flushed) == {f"n{number}" for number in numbers} and len(flushed) < 300

    def test_but_for_what_the_target_knew(self) -> None:
        assert self.forgotten("b", "10.0.0.1", 201) == {"b": {"10.0.0.1"}, "": set()}

    def test_and_not_after_a_few(self) -> None:
        assert not self.forgotten("a", "10.0.0.3", 200)


class TestLost:
    def answer(
        self,
        losses: list[str],
        *answers: Result,
        dropped: Sequence[int] = (0,),
        seconds: float = 60.0,
    ) -> tuple[Result, int]:
        ping, counts = Answers(*answers), iter(losses)

        def run(argv: Sequence[str], stdin: str = "", timeout: float = 60.0) -> Result:
            if "ping" in argv:
                return ping(argv)
            return Result(0, f"inet arp_cache\n table_fulls {next(counts)}\n", "")

        drops = chain(dropped, repeat(dropped[-1]))
        patient = checks.patient(run, lambda: 0, lambda: next(drops), seconds)
        return patient(PING.split()), len(ping.asked)

    def test_packets_are_no_failure(self) -> None:
        assert self.answer(["7"] * 9, SILENCE, SILENCE, OK, dropped=[1, 2, 2, 3]) == (OK, 3)

    def test_neighbours_are_no_failure(self) -> None:
        assert self.answer(["7", "8", "9"], SILENCE, SILENCE, OK) == (OK, 3)

    def test_long_ago_is_no_excuse(self) -> None:
        assert self.answer(["7", "7"], SILENCE, OK) == (SILENCE, 1)

    def test_excuses_for_a_while_only(self) -> None:
        lost = [str(number) for number in range(99)]
        assert self.answer(lost, SILENCE) == (SILENCE, checks.PATIENCE)

    def test_excuses_for_some_seconds_of_the_whole(self) -> None:
        lost = [str(number) for number in range(99)]
        assert self.answer(lost, SILENCE, seconds=0) == (SILENCE, 1)

    def test_is_what_the_kernel_counts(self) -> None:
        said = checks.entering(lambda: 0)(("ip", "-s", "ntable", "show")).stdout
        assert len(re.findall(r"table_fulls \d+", said)) == 2
        assert checks.packets_dropped() >= 0
