"""What cuts the host off: whether, after a plan, the same way leads to whom one would miss."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cache, partial
from ipaddress import ip_address
from typing import NamedTuple

from cnetsh.doctor.asked import Here
from cnetsh.doctor.evidence import Evidence
from cnetsh.doctor.finding import Case, Sign
from cnetsh.doctor.packet import Flow
from cnetsh.doctor.way import Address, Host, Way
from cnetsh.kinds.change import Facts, Ref, State

# Of either half of the Internet, as VPNs divide it, and nobody's that one would ask for.
OUTSIDE = ("100.0.0.1", "200.0.0.1", "2a00::1")
EPHEMERAL = 40000  # a port that questions go out by: ip_local_port_range
ADVICE = "from a console; or with --allow-cut-off --try 60: undone, unless confirmed in time"


class Target(NamedTuple):
    """Whom one would miss: what it is called, an address that stands for it, the packets."""

    name: str
    to: Address
    flow: Flow


class Loss(NamedTuple):
    """A step after which the way to somebody is lost, whose, and why."""

    step: Here
    name: str
    why: str


def cut_off(case: Case) -> Iterator[Sign]:
    """P28: the ways to the ssh session, the gateways and the name servers, before and after."""
    here = [one for one in case.asked.here if case.runs(one.step)] if case.on_host else []
    if not here:
        return
    state, policy = case.seen.state()
    found: dict[str, dict[str, str]] = {}
    lost = losses(here, state, policy, targets(state, policy, case.seen))
    for one in sorted(lost, key=lambda one: one.step.number):
        step = f"step {one.step.number}: {one.step.step.text}"
        found.setdefault(step, {}).setdefault(one.name, one.why)
    for step, whose in found.items():
        effect = "\n".join(f"{name}: {why}" for name, why in whose.items())
        yield Sign("refuse", step, effect, ADVICE)


def targets(state: State, policy: Sequence[Facts], seen: Evidence) -> list[Target]:
    """Give whom one would miss: the ssh session, the gateways, the name servers."""
    found = []
    if ssh := seen.ssh:
        flow = Flow(ssh.server, ssh.link, "tcp", ssh.server_port, ssh.port, "in")
        found.append(Target(f"the ssh session from {ssh.peer}", ip_address(ssh.peer), flow))
    for facts in state.get(Ref("route", "", "default"), ()):
        if via := facts.get("via"):
            flow = Flow(link=facts["dev"] if via.startswith("fe80") else "")
            found.append(Target(f"the gateway {via}", ip_address(via), flow))
    host = Host(state, policy)
    for one in map(ip_address, OUTSIDE):
        if (way := host.way(one, Flow())).link:
            name = f"the gateway {way.gateway}" if way.gateway else f"the way out by {way.link}"
            found.append(Target(name, one, Flow()))
    for server in seen.nameservers:
        with suppress(ValueError):
            text, _, link = server.partition("%")
            flow = Flow(link=link, proto="udp", own_port=EPHEMERAL, far_port=53)
            found.append(Target(f"the name server {server}", ip_address(text), flow))
    return found


def losses(
    here: Sequence[Here], state: State, policy: Sequence[Facts], whom: Sequence[Target]
) -> Iterator[Loss]:
    """Give whose way is another one when all is done, and the step that made it so."""

    @cache
    def ways(count: int) -> list[Way]:
        host = Host(state, policy)
        for one in here[:count]:
            host.take(one.change)
        return [host.way(one.to, one.flow) for one in whom]

    def why(at: int, count: int) -> str:
        return lost(ways(0)[at], ways(count)[at], whom[at])

    def is_lost(at: int, place: int) -> bool:
        return bool(why(at, place + 1))

    for at, target in enumerate(whom):
        if why(at, len(here)):
            place = bisect_left(range(len(here)), True, key=partial(is_lost, at))
            yield Loss(here[place], target.name, why(at, place + 1))


def lost(before: Way, after: Way, target: Target) -> str:
    """Say why one way is not the other, "" where it is as good."""
    if not before.link:
        return ""
    silent = before.source and not after.source
    if silent and (target.flow.source or before[:2] == after[:2]):
        return f"{before.source} is no address of the host any more"
    if not after.link:
        return "no route leads there"
    if before[:2] != after[:2]:
        return f"it is looked for by {after} instead of {before}"
    if before.mac != after.mac:
        return f"neighbours may not find {after.link} by its new MAC"
    if after.neighbour not in ("", before.neighbour):
        return f"{after.gateway or target.to} may have another MAC than {after.neighbour}"
    if gone := before.below - after.below:
        return f"{after.link} may hear nothing without {', '.join(sorted(gone))}"
    worse = (
        one for one in after.troubles if one.replace("may stop", "stops") not in before.troubles
    )
    return ", ".join(sorted({*worse} - before.troubles))
