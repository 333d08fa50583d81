"""What stops a packet that the model would let pass: what the kernel says, remembers and traces."""

import re
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path

from cnetsh.checks import no_room
from cnetsh.compare.snapshot import within
from cnetsh.forwarding.blame import by_rule
from cnetsh.forwarding.netfilter import Fate, target_of
from cnetsh.forwarding.network import Network, address
from cnetsh.forwarding.route import own
from cnetsh.forwarding.stop import Stop, named
from cnetsh.forwarding.trip import Hop, Verdict, dropped
from cnetsh.forwarding.wire import flood
from cnetsh.kinds.change import Ref, Remove, Set, typed_in
from cnetsh.kinds.queue import TYPES as KINDS_OF_QUEUES
from cnetsh.kinds.setting import ROOT, dotted
from cnetsh.system.process import ask
from cnetsh.trial import REFUSED, TOO_LONG, Asked, Drop, Tried, traced

MOST_TRACED = 6  # namespaces
_QUEUES = re.compile(r"qdisc (\S+) \S+ dev (\S+) .*\n Sent .*\(dropped (\d+),")
_NEIGHBOURS = re.compile(r"^(\S+) .*?(?:lladdr (\S+)|(FAILED|INCOMPLETE))", re.M)
_TABLES = {"ip": "iptables", "ip6": "ip6tables"}


def suspect(
    network: Network,
    verdict: Verdict,
    asked: Asked,
    trial: Tried,
    step_of: Callable[[Stop], str],
) -> Stop | None:
    """Give what stops a packet that was sent, None where nothing says so.

    step_of: gives the step of a plan that made something so, "" where none did.
    """
    if trial.error == REFUSED and trial.seen:
        return _nobody_listens(asked, trial, verdict, step_of)
    found = _by_queue(trial) or _by_error(network, asked, trial) or _by_memory(network, verdict)
    return found or _by_trace(network, verdict, asked, trial)


def _ask(space: str, *words: str) -> str:
    return within(space, partial(ask, words)).stdout


def _nobody_listens(
    asked: Asked, trial: Tried, verdict: Verdict, step_of: Callable[[Stop], str]
) -> Stop:
    """Give the stop at a namespace that took the packet in and says that nobody wants it."""
    turn = verdict.turn
    if turn and not step_of(turn):
        return turn
    came = [one for one in trial.seen if (one.leg, one.direction) == ("request", "in")]
    last = (came or trial.seen)[-1]
    port = turn.words["port"] if turn else str(asked.port)
    words = {"proto": asked.proto, "port": port, "letter": asked.proto[0], "but": ""}
    return Stop("nobody_listens", "request", last.space, last.link, words)


def _by_queue(trial: Tried) -> Stop | None:
    """Give the queue that has dropped packets, near where one was last seen."""
    for space in dict.fromkeys(one.space for one in reversed(trial.seen)):
        for kind, link, lost in _QUEUES.findall(_ask(space, "tc", "-s", "qdisc", "show")):
            if kind in KINDS_OF_QUEUES and int(lost):
                ref = Ref("queue", space, link)
                return Stop("queue", "request", space, link, {"queue": kind}, ref,
                            mend=(Remove(ref),))  # fmt: skip
    return None


def _by_error(network: Network, asked: Asked, trial: Tried) -> Stop | None:
    """Give what the sender's system said, or a router on the way (RFC 792, RFC 4443)."""
    sender, to = asked.sender, asked.to
    if trial.error == TOO_LONG and "expires" in _ask(sender, "ip", "route", "get", to):
        words = {"to": to, "help": typed_in(sender, "ip", "route", "flush", "cache")}
        return Stop("remembered_mtu", "request", sender, "", words)
    for space, says in trial.said:
        if says == "time exceeded":
            return _expired(network, asked, space)
    return None


def _expired(network: Network, asked: Asked, space: str) -> Stop:
    """Say what makes a packet's TTL too short: a rule on the way, or what its sender begins with.

    A router counts it down, and drops what would leave with none (ip_forward).
    """
    for one in network.spaces.values():
        for key, rules in one.chains.items():
            for rule in rules:
                if target_of(rule) in ("TTL", "HL"):
                    fate = Fate("TTL", rule, key)
                    return by_rule("ttl_rule", "request", one.name, fate, {"at": named(space)})
    path = "ipv6/conf/all/hop_limit" if asked.version == 6 else "ipv4/ip_default_ttl"
    ref = Ref("setting", asked.sender, ROOT + path)
    words = {"dotted": dotted(path), "at": named(space)}
    return Stop("ttl", "request", asked.sender, "", words, ref, "value", (Set(ref, "value", "64"),))


def _by_memory(network: Network, verdict: Verdict) -> Stop | None:
    """Give what a namespace remembers of how it was: a redirect, or where a neighbour was.

    Both outlive a repair: a redirect for five minutes (ip_rt_redirect_silence …, route.c), a
    neighbour until somebody doubts it (arp(7)).
    """
    for out, into in pairwise(one for one in verdict.path if one.how in ("out", "in")):
        told = (out.how, into.how) == ("out", "in")
        if told and (found := _redirected(out) or _outdated(network, out, into)):
            return found
    return None


def _redirected(out: Hop) -> Stop | None:
    text = _ask(out.space, "ip", "route", "get", out.to)
    if "redirected" not in text:
        return None
    via = re.search(r"via (\S+)", text)
    words = {"to": out.to, "via": via[1] if via else "a neighbour",
             "help": typed_in(out.space, "ip", "route", "flush", "cache")}  # fmt: skip
    return Stop("remembered_redirect", out.leg, out.space, out.link, words)


def _outdated(network: Network, out: Hop, into: Hop) -> Stop | None:
    link = network.spaces[out.space].links[out.link]
    there = {end.link.mac for end in flood(network, link)[0]}
    theirs = own(network.spaces[into.space])
    for to, mac, state in _NEIGHBOURS.findall(_ask(out.space, "ip", "neigh", "show", "dev",
                                                   out.link)):  # fmt: skip
        if address(to) not in theirs:
            continue
        if mac and mac not in there:
            flush = typed_in(out.space, "ip", "neigh", "flush", "to", to, "dev", out.link)
            words = {"to": to, "mac": mac, "help": flush}
            return Stop("old_neighbour", out.leg, out.space, out.link, words)
        path = f"ipv{address(to).version}/neigh/{out.link}/mcast_solicit"
        if state and within(out.space, Path(ROOT + path).read_text).strip() == "0":
            ref = Ref("setting", out.space, ROOT + path)
            words = {"to": to, "dotted": dotted(path)}
            return Stop("never_asks", out.leg, out.space, out.link, words, ref, "value",
                        (Set(ref, "value", "3"),))  # fmt: skip
    return None


def _by_trace(network: Network, verdict: Verdict, asked: Asked, trial: Tried) -> Stop | None:
    """Give what nftables says that it does with another packet, or the table of neighbours."""
    near = [*(one.space for one in reversed(trial.seen)), asked.sender, "",
            *(hop.space for hop in verdict.path), *network.spaces]  # fmt: skip
    spaces = [*dict.fromkeys(near)][:MOST_TRACED]
    before = no_room(ask, asked.sender)
    again, drops = traced(asked, {name: [*network.spaces[name].links] for name in spaces})
    if again.answered:
        return None
    leg = (*(one.leg for one in reversed(again.seen)), "request")[0]
    if drops:
        return _said_by_nft(network, min(drops, key=lambda one: spaces.index(one.space)), leg)
    if no_room(ask, asked.sender) != before:
        last = again.seen[-1].space if again.seen else asked.sender
        return Stop("neighbours_full", leg, last, "", {"to": asked.to})
    return None


def _said_by_nft(network: Network, drop: Drop, leg: str) -> Stop:
    """Give the rule that drops it, which iptables may know as one of its own."""
    family, name = drop.table.split()
    key = f"{_TABLES.get(family)} {name} {drop.chain}"
    rules = network.spaces[drop.space].chains.get(key, [])
    text = _ask(drop.space, "nft", "-a", "list", "chain", family, name, drop.chain)
    handles = re.findall(r"# handle (\d+)$", text, re.M)[1:]
    if drop.handle in handles and len(handles) == len(rules):
        target = "REJECT" if "reject" in drop.rule else "DROP"
        return dropped(leg, drop.space, Fate(target, rules[handles.index(drop.handle)], key))
    words = {"chain": drop.chain, "table": drop.table, "rule": drop.rule}
    where = (family, name, drop.chain)
    if drop.rule:
        words["help"] = typed_in(drop.space, "nft", "delete", "rule", *where, "handle", drop.handle)
        return Stop("nft_rule", leg, drop.space, "", words)
    words["help"] = typed_in(drop.space, "nft", "chain", *where, "{ policy accept ; }")
    return Stop("nft", leg, drop.space, "", words)
