"""What a plan's checks will find, and what will be refused, from the plan and the target alone.

What a check expects stands in the plan; here is only asked whether the kernel will do so.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import islice, pairwise, permutations
from typing import NamedTuple

from cnetsh.forwarding.netfilter import Packet
from cnetsh.forwarding.network import DEFAULTS, MAIN, Address, Network, Prefix, Unknown, address
from cnetsh.forwarding.route import decide, is_local, own
from cnetsh.forwarding.seen import OF_ALL, OF_LINKS
from cnetsh.forwarding.settle import settle
from cnetsh.forwarding.stop import Layer, Stop, fix, in_words, sentence
from cnetsh.forwarding.trip import Verdict, follow
from cnetsh.kinds import looks
from cnetsh.kinds.change import Change, Make, Ref, Remove, Set, refs_of
from cnetsh.kinds.setting import ROOT
from cnetsh.plan.steps import Plan, Step

# Nobody's that one would ask for, but of the Internet.
OUTSIDE = {4: address("100.0.0.1"), 6: address("2a00::1")}
MOST = 6  # that are named of those of which the same is said
HEADERS = 28  # bytes of IPv4 and ICMP, which ping adds to -s
_USUAL = {"type": "unicast", "table": MAIN}  # of a route
# Of new namespaces: what each begins with.
BEGINS = tuple(
    [f"{ROOT}{folder}/{place}/{name}" for folder, names in OF_LINKS.items() for name in names
     for place in ("all", "default")] + [f"{ROOT}{name}" for name in OF_ALL]
)  # fmt: skip


class Asked(NamedTuple):
    """What a check sends: from where, which packet, by which link alone."""

    sender: str
    packet: Packet
    only: str = ""


class Surprise(NamedTuple):
    """Something that will not be as the plan has it.

    part: "check", "unknown" for one that may end either way, "step", "pair" of neighbours that no
    check tries, or "way" that a firewall closes.
    """

    part: str
    number: int  # which, from 1
    text: str
    says: str  # what will happen, and why
    step: str = ""  # what makes it so
    fix: tuple[str, ...] = ()  # commands that would mend it


def asked_by(step: Step) -> Asked | None:
    """Give what a check sends, None for one that is not modelled."""
    words = step.inner
    # Where cnetsh does not listen, who listens at a port is not known.
    if step.said.listen and (call := looks.call(words)):
        packet = Packet(address(call.address), proto=call.protocol, port=call.port)
        return Asked(step.netns, packet)
    if step.kind != "check" or words[:1] != ("ping",):
        return None
    said = dict(pairwise(words))
    text, _, only = words[-1].partition("%")
    try:
        packet = Packet(address(text))
        if "-s" in said:
            packet.size = int(said["-s"]) + HEADERS + 20 * (packet.to.version == 6)
    except ValueError:
        return None
    packet.whole = said.get("-M") == "do"
    return Asked(step.netns, packet, said.get("-I", only))


def foretold(
    up: Plan, check: Plan, network: Network, runs: Collection[Step] | None = None
) -> list[Surprise]:
    """Give what will surprise whoever runs a plan: steps that the kernel refuses, or checks.

    network: the target before, which becomes what the plan makes of it; runs: the steps that run of
    a lab that is up, None for all.
    """
    steps = up.steps
    owners = [(number, change) for number, step in enumerate(steps, 1)
              if runs is None or step in runs for change in step.changes]  # fmt: skip
    refused = settle([change for _, change in owners], network)
    first = owners[refused[0].at][0] if refused else len(steps)
    trusted = next((step for step in steps[:first] if step.kind == "trusted"
                    and (runs is None or step in runs)), None)  # fmt: skip
    if trusted:
        return [*_open(check, trusted)]
    if refused:
        # The plan ends there, and nobody checks anything.
        says = f"will be refused: {refused[0].why}"
        return [Surprise("step", first, steps[first - 1].text, says)]
    checked = [*_checks(steps, check.steps, network)]
    known = {line for one in checked for line in one.fix}
    beyond = [one for one in _beyond(up, network) if known.isdisjoint(one.fix)]
    return [*checked, *beyond, *_neighbours(up, check, network)]


def verdicts(checks: Iterable[Step], network: Network) -> Iterator[tuple[int, Step, Verdict]]:
    """Give what becomes of each check that will be tried, with its number from 1."""
    for number, step in enumerate(checks, 1):
        asked = asked_by(step)
        try:
            if asked and _tried(step, network):
                yield number, step, follow(network, asked.sender, asked.packet, asked.only)
            elif step.kind == "check" and _tried(step, network):
                yield number, step, Verdict(None, unknown="who is asked there, or listens")
        except Unknown as what:
            yield number, step, Verdict(None, unknown=str(what))


def _tried(step: Step, network: Network) -> bool:
    if not step.said.needs:
        return True
    kind, text = step.said.needs.split()
    if kind == "netns":
        return text in network.spaces
    space, wanted = network.spaces[""], address(text)
    if kind == "address":
        return is_local(space, wanted)
    route = decide(space, wanted, None, None)
    return route is not None and route.type in ("unicast", "local")


def _open(check: Plan, trusted: Step) -> Iterator[Surprise]:
    """Tell that each check may end either way after a step of which no kind knows what it does."""
    for number, step in enumerate(check.steps, 1):
        if step.kind == "check":
            says = f"may end either way: it is not known what {trusted.text} does"
            yield Surprise("unknown", number, step.text, says)


def _checks(steps: Sequence[Step], checks: Sequence[Step], network: Network) -> Iterator[Surprise]:
    for number, step, verdict in verdicts(checks, network):
        if verdict.works and step.said.expect:
            says = f"will work, and must fail: {step.said.expect}"
            yield Surprise("check", number, step.text, says)
        elif verdict.stop and verdict.works is False and not step.said.expect:
            says = f"will fail: {sentence(verdict.stop)}"
            maker = maker_of(steps, verdict.stop)
            yield Surprise("check", number, step.text, says, maker, fix(verdict.stop))
        elif verdict.works is None:
            says = f"may end either way: it is not known {verdict.open}"
            yield Surprise("unknown", number, step.text, says)


MOST_PAIRS = 400


def _neighbours(up: Plan, check: Plan, network: Network) -> Iterator[Surprise]:
    """Tell of neighbours by their addresses, one of them the plan's, that no check wants together.

    Nor are those told of whom somebody wants apart, for a reason of his own or by rules of a plan.
    """
    apart = {(step.netns, step.inner[-1]): step.said.expect for step in check.steps}
    together = _together(check, network)
    made = {ref for change in up.changes if isinstance(change, Make) for ref in refs_of(change)}
    said: list[Stop] = []
    for number, (sender, owner, to) in enumerate(islice(_pairs(network, made), MOST_PAIRS), 1):
        if frozenset((sender, owner)) in together:
            continue
        expect = apart.get((sender, str(to)), "untried")
        verdict = follow(network, sender, Packet(to))
        stop = None if verdict.works is None else verdict.stop
        if stop is None or stop.layer == Layer.RECEIVER or stop.code == "isolated" or stop in said:
            continue
        if expect not in ("untried", sentence(stop)):
            continue
        said.append(stop)
        maker, walled = maker_of(up.steps, stop), stop.layer == Layer.FIREWALL
        if not (walled and maker):
            text = f"{in_words(sender)} and {to}, neighbours by their addresses"
            says = f"will not reach each other: {sentence(stop)}"
            yield Surprise("way" if walled else "pair", number, text, says, maker, fix(stop))


def _beyond(up: Plan, network: Network) -> Iterator[Surprise]:
    """Tell where rules that are no plan's keep its namespaces from all beyond their gateway."""
    made = {change.ref.name for change in up.changes if change.ref.kind == "netns"}
    # Of several behind one gateway the first.
    gates = {(route.via, route.to.version): name
             for name, space in reversed(network.spaces.items()) if name in made
             for route in space.routes if route.to in DEFAULTS.values()}  # fmt: skip
    said: set[Ref | None] = set()
    for number, ((_, version), sender) in enumerate(gates.items(), 1):
        stop = follow(network, sender, Packet(OUTSIDE[version])).stop
        walled = stop and stop.layer == Layer.FIREWALL and not maker_of(up.steps, stop)
        if stop and walled and stop.cause not in said:
            said.add(stop.cause)
            says = f"will not get through: {sentence(stop)}"
            yield Surprise("way", number, f"{sender} to the outside", says, "", fix(stop))


def _together(check: Plan, network: Network) -> set[frozenset[str]]:
    """Give the namespaces of which a check expects that the one reaches the other."""
    homes = {to: space.name for space in network.spaces.values() for to in own(space)}
    asked = [asked_by(step) for step in check.steps if not step.said.expect]
    return {frozenset((one.sender, homes.get(one.packet.to, ""))) for one in asked if one}


def _pairs(network: Network, made: set[Ref]) -> Iterator[tuple[str, str, Address]]:
    homes: dict[Prefix, list[tuple[str, Address, bool]]] = {}
    for space in network.spaces.values():
        for one, _link in space.addresses:
            own = Ref("address", space.name, str(one)) in made
            homes.setdefault(one.network, []).append((space.name, one.ip, own))
    for several in homes.values():
        for (sender, _, ours), (owner, to, theirs) in permutations(several, 2):
            if sender != owner and (ours or theirs):
                yield sender, owner, to


def maker_of(steps: Sequence[Step], stop: Stop) -> str:
    """Give the last step that made what stops a packet so, "" where none did."""
    if stop.cause is None:
        return ""
    found, word = "", stop.cause.name.split("/")[-1].split(" ")[-1]
    for number, step in enumerate(steps, 1):
        # Most steps do not name it, and need not be read.
        if word in step.text and any(_makes(change, stop) for change in step.changes):
            found = f"step {number}: {step.text}"
    return found


def _makes(change: Change, stop: Stop) -> bool:
    if isinstance(change, Set):
        return (change.ref, change.key) == (stop.cause, stop.key) and change not in stop.mend
    if stop.key or not isinstance(change, Make):
        return False
    # Both versions of IP have a route to default.
    to = stop.words.get("to", "")
    same = (":" in change.facts.get("via", to)) == (":" in to)
    # Of one network there may be another kind of route, or one in another table.
    gone = [one.facts for one in stop.mend if isinstance(one, Remove) and one.ref == stop.cause]
    same &= all(change.facts.get(key, usual) == facts.get(key, usual)
                for facts in gone for key, usual in _USUAL.items())  # fmt: skip
    return same and stop.cause in refs_of(change)


def alike(surprises: Iterable[Surprise], *parts: str) -> list[list[Surprise]]:
    """Give those of some parts, together where the same is said of them."""
    found: dict[Surprise, list[Surprise]] = {}
    for one in surprises:
        if one.part in parts:
            found.setdefault(one._replace(number=0, text=""), []).append(one)
    return list(found.values())


def surprise_lines(several: Sequence[Surprise]) -> list[str]:
    """Give surprises of which the same is said as lines for a person."""
    one, told = several[0], several[:MOST]
    part = one.part + "s" * (len(several) > 1)
    lines = [f"{part} {', '.join(str(each.number) for each in told)} {one.says}"]
    lines += [f"  {each.text}" for each in told]
    lines += [f"  and {len(several) - MOST} more"] if len(several) > MOST else []
    lines += [f"  made so by {one.step}"] if one.step else []
    head = "  would help: "
    return lines + [f"{head if not at else ' ' * len(head)}{command}"
                    for at, command in enumerate(one.fix)]  # fmt: skip
