"""The command `why`: a packet's way to somebody, and the first thing that stops it."""

import json
import re
from collections.abc import Callable, Mapping
from functools import partial
from ipaddress import ip_address
from typing import NamedTuple

from cnetsh import names
from cnetsh.commands.entering import HOST, entered, refuse_asleep
from cnetsh.commands.output import tell
from cnetsh.commands.predicting import networks_here
from cnetsh.commands.progress import tell_where_typed
from cnetsh.commands.reasons import Reason, Sending, planned_here, reason_of, restored
from cnetsh.compare import kernel
from cnetsh.errors import CnetshError
from cnetsh.forwarding.neighbour import no_address
from cnetsh.forwarding.netfilter import Packet
from cnetsh.forwarding.network import Address, Netns, Network
from cnetsh.forwarding.stop import evidence, sentence
from cnetsh.probes.trial import Probe, tried
from cnetsh.targets import target
from cnetsh.targets.target import Target

_PROCESS = "by the number of a process any (--ns PID)"
_ALL = ip_address("255.255.255.255")  # of a link
PING = 84  # bytes of the IP packet of a plain ping
_TO = re.compile(r"(?:\[([^\]]+)\]|([^:/]+|[0-9a-fA-F]*:[0-9a-fA-F:]*:[0-9a-fA-F.:]*))"
                 r"(?::(\d+))?(?:/(tcp|udp))?")  # fmt: skip


class Query(NamedTuple):
    """What was typed: whom, and how to ask it."""

    sender: str
    to: str
    others: tuple[str, ...]  # more namespaces, or processes in them
    port: int
    proto: str
    size: int
    six: bool
    probe: bool
    as_json: bool
    where: Target


def run(
    ends: list[str], ns: list[str] | None, size: int, six: bool, on: str, probe: bool, as_json: bool
) -> int:
    """Tell whether a packet arrives and why not; give the exit code."""
    *senders, to = ends
    others = tuple(ns or ())
    if len(senders) > 1:
        raise CnetshError(f"one packet goes from one namespace, not from {' and '.join(senders)}",
                          "say: why FROM TO")  # fmt: skip
    # Without a FROM it goes from the first --ns; where none is said, who could be FROM is told.
    sender = (*senders, *others, "")[0]
    found = _TO.fullmatch(to)
    if found is None:
        raise CnetshError(f"{to} is nobody that a packet goes to", "NAME, ADDRESS, NAME:PORT, "
                          "ADDRESS:PORT/udp, [ADDRESS]:PORT")  # fmt: skip
    name = found[1] or found[2]
    port = names.count(found[3], "port", 1, 65535) if found[3] else 0
    proto = (found[4] or "tcp") if port else "icmp"
    where = target.named(on)
    wanted = Query(sender, name, others, port, proto, size, six, probe, as_json, where)
    return entered(where, partial(_why, wanted), partial(refuse_asleep, where))


def _why(wanted: Query) -> int:
    said = dict.fromkeys([wanted.sender, wanted.to, *wanted.others])
    homes = {text: home for text in said if (home := kernel.home_of(text)) is not None}
    for text in wanted.others:
        if text not in homes:
            raise CnetshError(f"there is no namespace {text}", _PROCESS)
    more = {home for home in homes.values() if home.startswith("/")}
    networks, planned = networks_here(more), planned_here()
    network = next(networks)
    space = _space(network, homes, wanted.sender)

    def sending(to: Address) -> Sending:
        packet = Packet(to, proto=wanted.proto, port=wanted.port, size=wanted.size or PING,
                        whole=bool(wanted.size))  # fmt: skip
        return Sending(network, networks, space.name, packet)

    to = _address(network, homes, space, wanted, partial(restored, network, planned, sending))
    if isinstance(to, Reason):
        return _tell(wanted, to)
    asked = Probe(space.name, str(to), wanted.proto, wanted.port, wanted.size)
    trial = tried(asked, list(network.spaces)) if wanted.probe else None
    return _tell(wanted, reason_of(sending(to), planned, trial))


def _space(network: Network, homes: Mapping[str, str], name: str) -> Netns:
    found = network.spaces.get("" if name == HOST else homes.get(name, name))
    if found is None or not name:
        known = ", ".join(each or HOST for each in network.spaces)
        what = f"there is no namespace {name}" if name else "FROM is missing"
        raise CnetshError(what, f"there are: {known}; {_PROCESS}")
    return found


def _address(
    network: Network, homes: Mapping[str, str], space: Netns, wanted: Query,
    restored: Callable[[str, int], tuple[str, ...]],
) -> Address | Reason:  # fmt: skip
    """Give the address that is meant: of a namespace one on a network of the sender's, if any."""
    try:
        asked = ip_address(wanted.to)
    except ValueError:
        owner = _space(network, homes, wanted.to)
    else:
        if asked.is_multicast or asked.is_unspecified or asked == _ALL:
            raise CnetshError(f"{asked} is no address of one host's")
        return asked
    version = 6 if wanted.six else 4
    theirs = [one.ip for one, link in owner.addresses if one.version == version and
              link.kind != "lo"]  # fmt: skip
    near = [ip for ip in theirs if any(ip in one.network for one, _ in space.addresses)]
    if near or theirs:
        return (near or theirs)[0]
    stop = no_address(owner, version)
    fix = restored(owner.name, version)
    return Reason(False, (), stop.layer, sentence(stop), evidence(stop), "", fix)


def _ending(wanted: Query, found: Reason) -> str:
    """Say how it ended, or would end where nothing was sent."""
    if found.arrives is None:
        return "is not known to arrive"
    if wanted.probe:
        return "arrives" if found.arrives else "does not arrive"
    listens = ", where somebody listens" if wanted.port else ""
    return f"would arrive{listens}" if found.arrives else "would not arrive"


def _tell(wanted: Query, found: Reason) -> int:
    if wanted.as_json:
        print(json.dumps(found._asdict(), indent=1))
        return found.code
    port = f" port {wanted.port}/{wanted.proto}" if wanted.port else ""
    tell(f"{wanted.sender} to {wanted.to}{port}: {_ending(wanted, found)}")
    for line in found.hops:
        tell(f"  {line}")
    for head, texts in (("stops", [found.reason]), ("layer", [found.layer]),
                        ("shows", [found.evidence]), ("step", [found.step]),
                        ("fix", list(found.fix))):  # fmt: skip
        for text in filter(None, texts):
            # A line to be typed stays one.
            tell(f"  {head:<6} {text}", whole=head in ("shows", "fix"))
    if found.evidence or found.fix:
        tell_where_typed(wanted.where, tell)
    return found.code
