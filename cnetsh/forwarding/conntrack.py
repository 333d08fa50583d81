"""Addresses that iptables has translated: once a flow, which conntrack remembers."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from cnetsh.forwarding.netfilter import (
    REPLY,
    REQUEST,
    TRANSLATING,
    Fate,
    Packet,
    chain_called,
    chains,
    value_of,
    verdict,
)
from cnetsh.forwarding.network import Address, Link, Netns, Unknown, address, prefix
from cnetsh.forwarding.route import lent

# 10.0.0.7:80, [fd00::7]:80, or an address alone.
_PLACE = re.compile(r"(?:\[?([0-9a-fA-F]*:[0-9a-fA-F:]*)\]?|([\d.]+))(?:(?<=[\].\d]):(\d+))?")


@dataclass(slots=True)
class Flow:
    """What conntrack remembers of a flow: how it came, what became of it, and by which rules."""

    source: Address | None
    to: Address
    port: int
    now_source: Address | None
    now_to: Address
    now_port: int
    done: bool = False
    turned: Fate | None = None
    hidden: Fate | None = None


class Tracker:
    """What the namespaces remember of one exchange: each translates a flow once (conntrack)."""

    def __init__(self) -> None:
        """Begin with nothing known."""
        self.flows: dict[str, list[Flow]] = {}

    def _known(self, space: Netns, packet: Packet) -> Flow | None:
        for one in self.flows.setdefault(space.name, []):
            if packet.leg == REPLY:
                if (packet.source, packet.to) == (one.now_to, one.now_source):
                    return one
            elif (packet.source, packet.to, packet.port) == (one.source, one.to, one.port):
                return one
        return None

    def enter(self, space: Netns, packet: Packet, chain: str) -> Flow | None:
        """Translate the target where a packet comes in, or begins (PREROUTING, OUTPUT).

        An answer is translated back only where its request was translated; without such a flow it
        belongs to none, which conntrack calls INVALID.
        """
        if packet.untracked:
            packet.state = "UNTRACKED"
            return None
        flow, packet.turned = self._known(space, packet), False
        if flow and packet.leg == REPLY:
            packet.state, packet.turned = "ESTABLISHED", flow.to != flow.now_to
            if flow.source is not None:
                packet.to = flow.source
            return flow
        packet.state = "NEW" if packet.leg == REQUEST else "INVALID"
        if packet.leg == REPLY:
            return None
        if flow is None:
            flow = Flow(packet.source, packet.to, packet.port, packet.source, packet.to,
                        packet.port)  # fmt: skip
            self.flows[space.name].append(flow)
            _turn(space, packet, flow, chain)
        packet.to, packet.port = flow.now_to, flow.now_port
        packet.turned = flow.to != flow.now_to
        return flow

    def leave(self, space: Netns, packet: Packet, flow: Flow | None, link: Link) -> None:
        """Translate the source where a packet leaves (POSTROUTING): once a flow."""
        if flow is None:
            return
        if packet.leg == REPLY:
            packet.source, packet.port = flow.to, flow.port
            return
        if not flow.done:
            flow.done = True
            _hide(space, packet, flow, link)
        packet.source = flow.now_source

    def arrive(self, packet: Packet, flow: Flow | None) -> None:
        """Have a packet arrive at home: an answer comes from whom the request went to."""
        if flow and packet.leg == REPLY:
            packet.source, packet.port = flow.to, flow.port
        elif flow:
            flow.done = True


def _turn(space: Netns, packet: Packet, flow: Flow, chain: str) -> None:
    for key in chains(space, packet, chain, "nat"):
        fate = verdict(space, key, packet)
        if fate.target in _LEADS:
            flow.turned = fate
            with _leading(fate.rule):
                flow.now_to, flow.now_port = _LEADS[fate.target](space, packet, fate.rule)
            return


@contextmanager
def _leading(rule: str) -> Iterator[None]:
    try:
        yield
    except ValueError:
        raise Unknown(f"where {rule} leads") from None


def _place(text: str) -> tuple[Address, str]:
    found = _PLACE.fullmatch(text)
    if found is None:
        raise ValueError(text)
    return address(found[1] or found[2]), found[3] or ""


def _destination(space: Netns, packet: Packet, rule: str) -> tuple[Address, int]:
    to, port = _place(value_of(rule, "--to-destination"))
    return to, int(port or packet.port)


def _redirected(space: Netns, packet: Packet, rule: str) -> tuple[Address, int]:
    """REDIRECT leads to an address of the link that it came in by (nf_nat_redirect_ipv4).

    What the namespace itself sends is led to lo.
    """
    port, came = value_of(rule, "--to-ports") or str(packet.port), space.links.get(packet.came)
    here = address("127.0.0.1" if packet.to.version == 4 else "::1")
    own = lent(space, came, None, packet.to.version) if came else here
    if own is None:
        raise Unknown(f"where {rule} leads")
    return own, int(port)


def _mapped(space: Netns, packet: Packet, rule: str) -> tuple[Address, int]:
    """NETMAP puts another network before an address (iptables-extensions(8))."""
    net = prefix(value_of(rule, "--to"))
    return net[int(packet.to) & int(net.hostmask)], packet.port


_LEADS = {"DNAT": _destination, "REDIRECT": _redirected, "NETMAP": _mapped}


def _hide(space: Netns, packet: Packet, flow: Flow, link: Link) -> None:
    for key in chains(space, packet, "POSTROUTING", "nat"):
        fate = verdict(space, key, packet)
        if fate.target == "MASQUERADE":
            flow.now_source = lent(space, link, packet.to, packet.to.version)
            if flow.now_source is None:
                raise Unknown(f"which address {fate.rule} gives it")
        elif fate.target == "SNAT":
            # Of several addresses, or ports, the first.
            with _leading(fate.rule):
                flow.now_source, _ = _place(value_of(fate.rule, "--to-source").partition("-")[0])
        elif fate.target in TRANSLATING:
            raise Unknown(f"what {fate.rule} does in {chain_called(space, fate.chain)}")
        if fate.target in TRANSLATING:
            flow.hidden = fate
            return
