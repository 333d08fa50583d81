"""What stops a packet that the model would let pass, or may stop: what the kernel shows of it."""

import re
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from typing import NamedTuple

from cnetsh.compare.kernel import within
from cnetsh.doctor.evidence import BaseChain, nftables
from cnetsh.forwarding.netfilter import REQUEST, Fate, Packet
from cnetsh.forwarding.network import Network, address
from cnetsh.forwarding.refusing import dropped
from cnetsh.forwarding.route import is_local, own
from cnetsh.forwarding.stop import Layer, Stop, in_words
from cnetsh.forwarding.trip import Doubt, Hop, Verdict, follow
from cnetsh.forwarding.wire import flood
from cnetsh.kinds.change import Ref, Remove, typed_in
from cnetsh.kinds.queue import TYPES as KINDS_OF_QUEUES
from cnetsh.probes.checks import no_room
from cnetsh.probes.trial import (
    ANSWERS,
    ASKS,
    REFUSED,
    TOO_LONG,
    Drop,
    Probe,
    ProbeResult,
    Seen,
    traced,
)
from cnetsh.system.process import ask

MOST_TRACED = 6  # namespaces
_QUEUES = re.compile(r"qdisc (\S+) \S+ dev (\S+) .*\n Sent .*\(dropped (\d+),")
_NEIGHBOURS = re.compile(r"^(\S+) .*?lladdr (\S+)", re.M)
# No queues but places for filters, whose drops they count (tc-filter of what comes in).
_FILTERING = ("ingress", "clsact")
_OF_IPTABLES = re.compile(r"ip6? (raw|mangle|nat|filter|security)")
_TABLES = {"ip": "iptables", "ip6": "ip6tables"}


class Answered(Exception):
    """One that is sent once more is answered: how that trial ended."""

    def __init__(self, trial: ProbeResult) -> None:
        super().__init__("answered")
        self.trial = trial


def suspect(
    network: Network,
    verdict: Verdict,
    asked: Probe,
    trial: ProbeResult,
    step_of: Callable[[Stop], str],  # of a plan, "" where none made it so
) -> Stop | None:
    """Give what stops a packet that was sent, None if nothing says so. Raises Answered."""
    if trial.error == REFUSED and (found := _nobody_listens(network, asked, trial, verdict)):
        turn = verdict.turn
        return turn if turn and not step_of(turn) else found
    gap = gap_of(verdict, trial)
    found = _by_error(asked, trial) or (gap and _by_memory(network, gap))
    found = found or _by_tunnel(network, trial) or _by_trace(network, verdict, asked, trial)
    if found or gap is None:
        return found
    # What may stop a packet on the wire where it was seen to get lost.
    here = [one for one in verdict.doubts if one.out == gap.out]
    return next((one.stop for one in here if _shown(one, gap, trial)), None)


class Gap(NamedTuple):
    """The wire on which a packet got lost, or before which; into: where it should have come in."""

    out: Hop
    into: Hop | None

    @property
    def asked(self) -> str:
        """Who is asked for on it."""
        via = self.out.by.via if self.out.by else None
        return str(via or self.out.to)


def gap_of(verdict: Verdict, trial: ProbeResult) -> Gap | None:
    """Give the first wire whose far end has not seen the packet, on the way that the model has."""
    hops = [one for one in verdict.path if one.how in ("out", "in")]
    wires = [Gap(one, next(iter(hops[at : at + 1]), None))
             for at, one in enumerate(hops, 1) if one.how == "out"]  # fmt: skip
    passed = [at for at, one in enumerate(wires, 1)
              if one.into and _sighted(trial, one.into.leg, one.into)]  # fmt: skip
    return next(iter(wires[max(passed, default=0) :]), None)


def passed(verdict: Verdict, trial: ProbeResult) -> tuple[Hop, ...]:
    """Give the hops of the way that the model has, as far as the packet was seen on it."""
    gap = gap_of(verdict, trial)
    if gap is None:
        return verdict.path
    at = verdict.path.index(gap.out)
    return verdict.path[: at + _sighted(trial, gap.out.leg, gap.out)]


def _sighted(trial: ProbeResult, leg: str, hop: Hop, direction: str = "") -> bool:
    """Say whether a packet of a leg was seen at a hop."""
    one = Seen(leg, hop.space, hop.link, direction or hop.how)
    return one in trial.seen or one in trial.asked


def is_possible(doubt: Doubt, gap: Gap | None, trial: ProbeResult) -> bool:
    """Say whether something may have stopped a packet of which nothing shows that it did.

    A queue drops the one and not the next; of two who have an address one took the packet in.
    """
    stop = doubt.stop
    if stop.code == "twice":
        return Seen(doubt.out.leg, stop.space, stop.link, "in") in trial.seen
    return stop.code == "queue" and gap is not None and doubt.out == gap.out


def _shown(doubt: Doubt, gap: Gap, trial: ProbeResult) -> bool:
    """Say whether a packet, or the question for its neighbour, got lost as it would by a doubt."""
    out, into = gap
    asks, answers = ASKS.format(gap.asked), ANSWERS.format(gap.asked)
    asked = into is not None and _sighted(trial, asks, into)
    answered = into is not None and _sighted(trial, answers, into, "out")
    match doubt.stop.code:
        case "arp_ignored":
            return asked and not answered
        case "never_asks" | "unusable":
            return not _sighted(trial, out.leg, out)
        case "twice" | "queue":
            return False
    if doubt.astray and not any(one[1:3] == doubt.astray for one in (*trial.seen, *trial.asked)):
        return False
    question, gone = _sighted(trial, asks, out) and not asked, _sighted(trial, out.leg, out)
    if doubt.stop.code == "flooding":
        return question and not gone
    answer = answered and not _sighted(trial, answers, out, "in")
    return gone or question or answer


def _forget(space: str, to: str) -> str:
    """Give what has a namespace forget all that it was told of ways (ip-route(8): flush cache)."""
    six = ["-6"] if ":" in to else []
    return typed_in(space, "ip", *six, "route", "flush", "cache")


def _ask(space: str, *words: str) -> str:
    return within(space, partial(ask, words)).stdout


def _nobody_listens(
    network: Network, asked: Probe, trial: ProbeResult, verdict: Verdict
) -> Stop | None:
    """Give the stop at the namespace that a packet is for, where it came in and nobody listens."""
    turn = verdict.turn
    to, port = (turn.words["to"].split()[0], turn.words["port"]) if turn else (asked.to, asked.port)
    came = [one for one in trial.seen if one.leg == "request" and one.direction == "in"]
    # Not the last: of several namespaces the order may be that in which their taps were read.
    last = next((one for one in came or trial.seen
                 if is_local(network.spaces[one.space], address(to))), None)  # fmt: skip
    if last is None:
        return None
    letter = asked.proto[0]
    listens = _ask(last.space, "ss", f"-Hln{letter}", f"sport = :{port}").splitlines()
    # Who listens for its own namespace alone does not listen here.
    if any(not line.split()[3].startswith(("127.", "[::1]")) for line in listens):
        return None
    words = {"proto": asked.proto, "port": str(port), "letter": letter, "but": ""}
    return Stop("nobody_listens", last.space, last.link, words)


def _dropped(spaces: Iterable[str]) -> Counter[tuple[str, str, str]]:
    """Give how many packets each queue has dropped, by namespace, link and kind."""
    return Counter({(space, link, kind): int(lost) for space in spaces for kind, link, lost in
                    _QUEUES.findall(_ask(space, "tc", "-s", "qdisc", "show"))
                    if kind in (*KINDS_OF_QUEUES, *_FILTERING)})  # fmt: skip


def _by_error(asked: Probe, trial: ProbeResult) -> Stop | None:
    """Give what the sender's system said (ip(7))."""
    sender, to = asked.sender, asked.to
    if trial.error == TOO_LONG and "expires" in _ask(sender, "ip", "route", "get", to):
        words = {"to": to, "help": _forget(sender, to)}
        return Stop("remembered_mtu", sender, "", words)
    return None


def _by_memory(network: Network, gap: Gap) -> Stop | None:
    """Give what the namespace before a gap remembers: a redirect, or where a neighbour was.

    Both outlive a repair: a redirect for five minutes (ip_rt_redirect_silence …, route.c), a
    neighbour until somebody doubts it (arp(7)).
    """
    told = _redirected(gap.out)
    return told or (_outdated(network, gap.out, gap.into) if gap.into else None)


def _by_tunnel(network: Network, trial: ProbeResult) -> Stop | None:
    """Give what stops the packets of UDP that a VXLAN makes of what was seen to leave by it alone.

    Nobody answers them; who does not listen for them drops them silently (vxlan_rcv).
    """
    sightings = (*trial.asked, *trial.seen)
    came = {one.leg for one in sightings if one.direction == "in"}
    for one in reversed(sightings):
        link = network.spaces[one.space].links.get(one.link)
        remote = link.made.get("remote") if link and link.kind == "vxlan" else None
        if link is None or remote is None or one.direction == "in" or one.leg in came:
            continue
        packet = Packet(address(remote), proto="udp", port=int(link.made["dstport"]))
        stop = follow(network, one.space, packet).stop
        if stop and stop.leg == REQUEST:
            # Where nobody is, the tunnel has no other end.
            return stop._replace(layer_=Layer.CABLE) if stop.code == "nobody" else stop
    return None


def _redirected(out: Hop) -> Stop | None:
    text = _ask(out.space, "ip", "route", "get", out.to)
    if "redirected" not in text:
        return None
    via = re.search(r"via (\S+)", text)
    words = {"to": out.to, "via": via[1] if via else "a neighbour",
             "help": _forget(out.space, out.to)}  # fmt: skip
    return Stop("remembered_redirect", out.space, out.link, words, leg=out.leg)


def _outdated(network: Network, out: Hop, into: Hop) -> Stop | None:
    link = network.spaces[out.space].links[out.link]
    there = {end.link.mac for end in flood(network, link)[0]}
    theirs = own(network.spaces[into.space])
    for to, mac in _NEIGHBOURS.findall(_ask(out.space, "ip", "neigh", "show", "dev",
                                                   out.link)):  # fmt: skip
        if address(to) not in theirs:
            continue
        if mac not in there:
            flush = typed_in(out.space, "ip", "neigh", "flush", "to", to, "dev", out.link)
            words = {"to": to, "mac": mac, "help": flush}
            return Stop("old_neighbour", out.space, out.link, words, leg=out.leg)
    return None


def unmodelled(spaces: Iterable[str]) -> str:
    """Give what is not known of a way, for the model does not read it, "" where nothing is."""
    for space in spaces:
        for one in within(space, partial(nftables, ask))[1]:
            if not _OF_IPTABLES.fullmatch(one.table) and not _is_empty(space, one):
                return f"what the chain {one.name} of the nft table {one.table} does"
        for _, link, kind in _dropped([space]):
            if kind in _FILTERING:
                return f"what the filters of {link} in {in_words(space)} do"
        if _ask(space, "ip", "xfrm", "policy"):
            return f"what the policies of IPsec in {in_words(space)} do"
    return ""


def _is_empty(space: str, chain: BaseChain) -> bool:
    """Say whether a chain of nftables has no rules and lets all pass."""
    text = _ask(space, "nft", "list", "chain", *chain.table.split(), chain.name)
    said = [line.split()[0] for line in text.split("\n") if line.startswith("\t\t")]
    return chain.policy == "accept" and said == ["type"]


def _by_trace(network: Network, verdict: Verdict, asked: Probe, trial: ProbeResult) -> Stop | None:
    """Give what nftables says that it does with another packet, or the table of neighbours."""
    near = [*(one.space for one in reversed(trial.seen)), asked.sender, "",
            *(hop.space for hop in verdict.path), *network.spaces]  # fmt: skip
    spaces = [*dict.fromkeys(near)][:MOST_TRACED]
    before, lost = no_room(ask, asked.sender), _dropped(spaces)
    again, drops = traced(asked, {name: [*network.spaces[name].links] for name in spaces})
    if again.answered:
        raise Answered(again)
    leg = (*(one.leg for one in reversed(again.seen)), "request")[0]
    if drops:
        said = _said_by_nft(network, min(drops, key=lambda one: spaces.index(one.space)))
        return said.on(leg)
    for (space, link, kind), more in (_dropped(spaces) - lost).items():
        if more and space in (*(one.space for one in (*again.seen, *again.asked)), asked.sender):
            ref, words = Ref("queue", space, link), {"queue": kind}
            if kind not in _FILTERING:
                return Stop("queue", space, link, words, ref, mend=(Remove(ref),), leg=leg)
            words["help"] = typed_in(space, "tc", "qdisc", "delete", "dev", link, kind)
            return Stop("queue", space, link, words, ref, leg=leg)
    if no_room(ask, asked.sender) != before:
        last = again.seen[-1].space if again.seen else asked.sender
        return Stop("neighbours_full", last, "", {"to": asked.to}, leg=leg)
    return None


def _said_by_nft(network: Network, drop: Drop) -> Stop:
    """Give the rule that drops it, which iptables may know as one of its own."""
    family, name = drop.table.split()
    key = f"{_TABLES.get(family)} {name} {drop.chain}"
    rules = network.spaces[drop.space].chains.get(key, [])
    text = _ask(drop.space, "nft", "-a", "list", "chain", family, name, drop.chain)
    handles = re.findall(r"# handle (\d+)$", text, re.M)[1:]
    if drop.handle in handles and len(handles) == len(rules):
        target = "REJECT" if "reject" in drop.rule else "DROP"
        return dropped(drop.space, Fate(target, rules[handles.index(drop.handle)], key))
    words = {"chain": drop.chain, "table": drop.table, "rule": drop.rule}
    where = (family, name, drop.chain)
    if drop.rule:
        words["help"] = typed_in(drop.space, "nft", "delete", "rule", *where, "handle", drop.handle)
        return Stop("nft_rule", drop.space, "", words)
    words["help"] = typed_in(drop.space, "nft", "chain", *where, "{ policy accept ; }")
    return Stop("nft", drop.space, "", words)
