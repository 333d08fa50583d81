"""Checking a lab: what must work does, and what must fail fails, for the reason it gives."""

import contextlib
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_interface
from itertools import groupby
from typing import TypeAlias

from cnetsh.compare.kernel import NETNS
from cnetsh.kinds import looks
from cnetsh.kinds.change import State
from cnetsh.plan.steps import Plan, Step, enter, split
from cnetsh.system import namespace
from cnetsh.system.listener import Listeners, Socket, listening
from cnetsh.system.process import TIMED_OUT, Result, Run, attempt, never

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network
TRIES = 3
WORKERS = 16
PATIENCE, MOST_PATIENCE = 10, 60.0  # tries of one, seconds of all
# So many pings leave more neighbours than there is room for; so many more are forgotten at a time.
MANY, EVERY = 200, 100
# Seconds: a caller goes on before its last packet is there, and a slow link keeps it for a while.
HEARD_WITHIN = 1.0
# What ping says of its end, the most telling first.
TELLING = ("Unreachable", "unreachable", "packet loss", "time=")
# How long the first answer took.
_TIME = re.compile(r"time=([\d.]+ ms)")


@dataclass(frozen=True, slots=True)
class CheckResult:
    """How one check ended."""

    step: Step
    verdict: str  # "ok", "failed", "not tried" or "look"
    detail: str  # why
    took: str = ""  # the time of the way there and back, where it was told


def run_checks(
    plan: Plan, run: Run, tell: Callable[[CheckResult], None], stopping: Callable[[], int] = never
) -> list[CheckResult]:
    """Run a plan's checks side by side, tell of each in plan order, and give those that ended."""
    pool, found = ThreadPoolExecutor(WORKERS), list[CheckResult]()
    with listening(filter(None, map(_port, plan.steps))) as listeners:
        check = partial(_check, run=run, stopping=stopping, listeners=listeners)
        try:
            for kind, some in groupby(plan.steps, lambda step: step.kind):
                steps = list(some)
                for finding in _begun(pool, check, steps) if kind == "check" else map(check, steps):
                    if stopping():
                        return found
                    tell(finding)
                    found.append(finding)
        finally:
            pool.shutdown(cancel_futures=True)
    return found


def _begun(
    pool: ThreadPoolExecutor, check: Callable[[Step], CheckResult], steps: Sequence[Step]
) -> Iterator[CheckResult]:
    """Give how checks end, in plan order; those of one namespace are begun one after the other.

    One process then forgets the neighbours of all its pings, and there are half as many.
    """
    first = {step.netns: number for number, step in reversed([*enumerate(steps)])}
    order = sorted(range(len(steps)), key=lambda number: first[steps[number].netns])
    futures = {number: pool.submit(check, steps[number]) for number in order}
    return (futures[number].result() for number in range(len(steps)))


def _port(step: Step) -> Socket | None:
    """Give the port that a check calls and at which cnetsh may listen."""
    if not step.said.listen:
        return None
    netns, number, protocol = re.split("[ /]", step.said.listen)
    return Socket(str(NETNS / netns), int(number), protocol)


def entering(stopping: Callable[[], int]) -> Run:
    """Give a Run like `attempt` that enters a named namespace itself.

    `ip netns exec` mounts /sys anew each time, which takes the longer the more mounts there are.
    """

    def run(argv: Sequence[str], stdin: str = "", timeout: float = 60.0) -> Result:
        netns, inner = enter(tuple(argv))
        if not netns:
            return attempt(argv, stdin, timeout, stopping)
        try:
            path = str(NETNS / netns)
            return namespace.in_network(path, lambda: attempt(inner, stdin, timeout, stopping))
        except OSError as error:
            return Result(255, "", f'Cannot open network namespace "{netns}": {error.strerror}')

    return run


@contextmanager
def forgetting(run: Run, state: State, pings: int) -> Iterator[Run]:
    """Give a Run of which many pings leave no neighbour behind; state: all that they are between.

    All namespaces share one table of 1,024 neighbours, and an entry in use stays for half a minute
    (arp(7), gc_thresh3): without, thousands of pings wait for room, and some fail for want of it.
    """
    if pings <= MANY:
        yield run
        return
    # What the target knows already is not of these pings.
    known = run(("ip", "neigh", "show")).stdout.split()
    near, guard, ended = _Near.of(state), threading.Lock(), list[Sequence[str]]()

    def forget(some: Sequence[Sequence[str]]) -> None:
        for netns, addresses in near.left_by(some).items():
            place = ("ip", "netns", "exec", netns) if netns else ()
            left = addresses if netns else [one for one in addresses if one not in known]
            lines = "".join(f"neigh flush to {one}\n" for one in left)
            run((*place, "ip", "-force", "-batch", "-"), lines)

    def run_and_forget(argv: Sequence[str], stdin: str = "", timeout: float = 60.0) -> Result:
        result = run(argv, stdin, timeout)
        with guard:
            ended.extend([argv] if "ping" in argv else ())
            some = ended[:] if len(ended) >= EVERY else []
            del ended[: len(some)]
        forget(some)
        return result

    yield run_and_forget
    forget(ended)


@dataclass(frozen=True, slots=True)
class _Near:
    """Who is a neighbour of whom: addresses with their networks, and gateways, by namespace."""

    own: dict[str, dict[str, Network]]
    gates: dict[str, set[str]]
    home: dict[str, str]

    @classmethod
    def of(cls, state: State) -> "_Near":
        """Read it off a state of all namespaces."""
        near = cls({}, {}, {})
        for ref, several in state.items():
            if ref.kind == "address" and not ref.name.startswith("fe80:"):
                address = ref.name.partition("/")[0]
                network = ip_interface(several[0].get("to", ref.name)).network
                near.own.setdefault(ref.netns, {})[address] = network
                near.home[address] = ref.netns
            elif ref.kind == "route":
                gates = {one["via"] for one in several if "via" in one}
                near.gates.setdefault(ref.netns, set()).update(gates)
        return near

    def left_by(self, pings: Iterable[Sequence[str]]) -> dict[str, set[str]]:
        """Give the neighbours that pings leave, by namespace; what others are waiting for stays."""
        left: dict[str, set[str]] = {}
        for argv in pings:
            asker, words = enter(tuple(argv))
            # Another name than an address is looked up by ping, and not known here.
            with contextlib.suppress(ValueError):
                for netns, asked in self._left_by(asker, ip_address(words[-1])):
                    left.setdefault(netns, set()).update(asked)
        return left

    def _left_by(self, asker: str, far: Address) -> Iterator[tuple[str, set[str]]]:
        own = self.own.get(asker, {})
        there = self.home.get(str(far), asker)
        places, asked = {asker, there}, {str(far), *own}
        if not any(far in network for network in own.values()):
            gates = self.gates.get(asker, set()) | self.gates.get(there, set())
            places |= {self.home[one] for one in gates & self.home.keys()}
            asked |= gates
        for netns in places:
            yield netns, asked - self.own.get(netns, {}).keys()


def patient(
    run: Run,
    stopping: Callable[[], int],
    dropped: Callable[[], int] | None = None,
    seconds: float = MOST_PATIENCE,
) -> Run:
    """Give a Run that asks again what fails while the machine loses packets or neighbours.

    That says nothing of a lab: links that come up flood a bridge of a thousand ports for seconds.
    Frames that go round for ever do so too: after some seconds nothing is asked again.
    """
    drops = dropped or packets_dropped
    last, deadline = [no_room(run, "")], time.monotonic() + seconds

    def run_again(argv: Sequence[str], stdin: str = "", timeout: float = 60.0) -> Result:
        for _ in range(PATIENCE):
            known, before, result = last[0], drops(), run(argv, stdin, timeout)
            if not result.exit_code or stopping() or time.monotonic() >= deadline:
                break
            last[0] = no_room(run, enter(tuple(argv))[0])
            if last[0] == known and drops() == before:
                break
        return result

    return run_again


def packets_dropped() -> int:
    """Give how many packets the machine had no room for (net.core.netdev_max_backlog)."""
    # Asked before each ping, and by way of Path it would take ten times as long.
    with contextlib.suppress(OSError), open("/proc/net/softnet_stat", "rb") as counters:  # noqa: PTH123
        return sum(int(line.split()[1], 16) for line in counters)
    return 0


def no_room(run: Run, netns: str) -> str:
    """Give how often the kernel had no room for a neighbour, for IPv4 and IPv6, as text."""
    # Every namespace tells the same; one with a thousand links would take long to tell it.
    place = ("ip", "netns", "exec", netns) if netns else ()
    answer = run((*place, "ip", "-s", "ntable", "show"))
    return " ".join(re.findall(r"table_fulls (\d+)", answer.stdout))


def _check(step: Step, run: Run, stopping: Callable[[], int], listeners: Listeners) -> CheckResult:
    if missing := _lacks(step.said.needs, run):
        return CheckResult(step, "not tried", missing)
    if step.kind == "look":
        result = run(step.argv, stdin=step.stdin)
        return CheckResult(step, "look", result.stdout or result.stderr)
    attempt_it = partial(_answer, step, run, listeners)
    result = attempt_it()
    if not step.said.expect:
        result = _once_more(result, attempt_it, stopping)
    if result.exit_code == TIMED_OUT and _taken(step, listeners):
        where, at = step.said.listen.split()
        return CheckResult(
            step, "not tried", f"what listens at {at} in {where} answers no stranger"
        )
    if not step.said.expect:
        if result.exit_code:
            return CheckResult(step, "failed", _said(result))
        took = _TIME.search(result.stdout)
        return CheckResult(step, "ok", _said(result), took[1] if took else "")
    failed = _must_fail(step, result)
    unshown = _shows_nothing(step, run, stopping) if failed.verdict == "ok" else ""
    return CheckResult(step, "not tried", unshown) if unshown else failed


def _once_more(
    result: Result, attempt_it: Callable[[], Result], stopping: Callable[[], int]
) -> Result:
    """Give how a check that must work ends, which failed perhaps at first."""
    # The first packets after a link came up may be lost: addresses and bridge ports take a moment.
    for _ in range(TRIES - 1):
        if not result.exit_code or stopping():
            break
        result = attempt_it()
    return result


def _shows_nothing(step: Step, run: Run, stopping: Callable[[], int]) -> str:
    """Say why a failure is none of the obstacle's: its ends are not reached otherwise either."""
    for text in step.said.control:
        ping = partial(run, split(text)[0])
        if (result := _once_more(ping(), ping, stopping)).exit_code:
            return f"it would show nothing: {text} fails too ({_said(result)})"
    return step.said.no_control and f"it would show nothing: {step.said.no_control}"


def _answer(step: Step, run: Run, listeners: Listeners) -> Result:
    """Run a check; a call counts as answered by whom it is for, where that is a listener of ours.

    Its callers come one by one: they do not say who they are.
    """
    port = _port(step)
    listener = listeners.get(port) if port else None
    if listener is None:
        return run(step.argv)
    with listener.turn:
        known, result = listener.heard, run(step.argv)
        heard = listener.hears_more_than(known, 0.0 if result.exit_code else HEARD_WITHIN)
    if heard == (not result.exit_code):
        return result
    name = step.said.listen.split()[0]
    lost, wrong = (
        f"{name} has heard it, and its answer is lost",
        f"somebody else than {name} answered",
    )
    return Result(result.exit_code or 1, "", lost if heard else wrong)


def _taken(step: Step, listeners: Listeners) -> bool:
    """Say whether a packet without a connection went to somebody who may not answer strangers."""
    port = _port(step)
    return port is not None and port.protocol == "udp" and port not in listeners


def _must_fail(step: Step, result: Result) -> CheckResult:
    # ping answers 1 for silence and 2 for no way there, a call 124 and 1; the rest is no answer.
    told = (0, 1, TIMED_OUT) if looks.call(step.inner) else (0, 1, 2)
    if result.exit_code not in told or "network namespace" in result.stderr:
        return CheckResult(step, "failed", f"it could not be tried: {_said(result)}")
    if result.exit_code:
        return CheckResult(step, "ok", f"fails, as it must: {step.said.expect} ({_said(result)})")
    return CheckResult(step, "failed", f"it works and must not: {step.said.expect}")


def _lacks(needs: str, run: Run) -> str:
    """Say what the target lacks for a check to make sense; nothing when it has all."""
    if not needs:
        return ""
    kind, address = needs.split()
    if kind == "netns":
        return "" if (NETNS / address).exists() else f"the target has no namespace {address}"
    answer = run(("ip", "route", "get", address))
    if kind == "route" and answer.exit_code:
        return f"the target has no route to {address}"
    if kind == "address" and not answer.stdout.startswith("local "):
        return f"the target does not have the address {address}"
    return ""


def _said(result: Result) -> str:
    """Give the line of an answer that tells how a check ended; a call that works says nothing."""
    lines = [line for line in (result.stdout + "\n" + result.stderr).split("\n") if line.strip()]
    found = [line for word in TELLING for line in lines if word in line]
    ended = {0: "answered", TIMED_OUT: "no answer"}
    silent = ended.get(result.exit_code, f"exit code {result.exit_code}")
    return (found or lines[-1:] or [silent])[0].strip()
