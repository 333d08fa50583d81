"""What may stop a packet on a wire, which only a packet that is sent can tell."""

from collections.abc import Iterator
from typing import TypeAlias

from cnetsh.forwarding.netfilter import REQUEST, Packet
from cnetsh.forwarding.network import Link, Network
from cnetsh.forwarding.seen import PLAIN
from cnetsh.forwarding.stop import Stop, by_value, in_words
from cnetsh.forwarding.wire import Crossing, End, flood, macs
from cnetsh.kinds.change import Ref, Remove

_Doubts: TypeAlias = Iterator[tuple[Stop, tuple[str, str] | None]]


def doubted(network: Network, link: Link, end: End, packet: Packet) -> _Doubts:
    """Give what may stop a packet on a wire, each with where it is seen then instead."""
    yield from _lossy(link, end)
    yield from _shared(network, link, end)
    for held in flood(network, end.through[0].bridge)[1] if end.through else ():
        if held.code == "ring" and held.link.master:
            words = {"bridge": held.link.master.name}
            yield by_value("ring", held.link.ref, "up", False, words), None
    for one in end.through:
        yield from _given(one, end)
        yield from _odd(one, packet)


def _lossy(link: Link, end: End) -> _Doubts:
    """Give a queue on the way that may drop what it gets."""
    ways = [link, *(one.goes for one in end.through)]
    ways += [one.peer for one in ways if one.peer]
    for one in ways:
        if one.queue or one.slow:
            ref, code = Ref("queue", one.netns, one.name), "slow" if one.slow else "queue"
            words = {"queue": one.queue, "time": one.slow}
            yield Stop(code, one.netns, one.name, words, ref, "", (Remove(ref),), leg=REQUEST), None


def _odd(crossing: Crossing, packet: Packet) -> _Doubts:
    # IPv6 asks for a neighbour in a group (RFC 4861).
    of_groups = ("mcast_flood",) if packet.to.version == 6 else ()
    for link in filter(None, (crossing.bridge, crossing.come, crossing.goes)):
        for key in ("flood", "neigh_suppress", "locked", "vlan_filtering", *of_groups):
            if key in link.options and crossing.come:
                words = {"what": "bridge" if link.kind == "bridge" else "port",
                         "key": f"{key} off" if PLAIN[key] is True else key}  # fmt: skip
                yield by_value("odd_port", link.ref, key, PLAIN[key], words), None


def _given(crossing: Crossing, end: End) -> _Doubts:
    """A bridge sends a MAC address to the port that an entry by hand says (bridge(8): fdb)."""
    bridge, mac = crossing.bridge, end.link.mac
    port = bridge.fdb.get(mac)
    if port and port != crossing.goes.name:
        words = {"bridge": bridge.name, "mac": mac, "near": crossing.goes.name}
        ref = Ref("fdb", bridge.netns, mac)
        gone = (Remove(ref, {"dev": port, "by": "master"}),)
        back = crossing.come and crossing.come.name == port
        stop = Stop("fdb", bridge.netns, port, words, ref, mend=gone)
        yield stop, None if back else (bridge.netns, port)


def _shared(network: Network, link: Link, end: End) -> _Doubts:
    """A bridge knows one port for a MAC address, and sends to whoever used it last (bridge(8))."""
    for one in (end.link, link) if end.through else ():
        for twin in macs(network).get(one.mac, ()):
            wire = [link, *(other.link for other in flood(network, link)[0])]
            if twin is not one and twin in wire:
                words = {"near": f"{twin.name} in {in_words(twin.netns)}", "mac": one.mac}
                new = f"02:{one.mac[3:-2]}{(int(one.mac[-2:], 16) + 1) % 256:02x}"
                stop = by_value("same_mac", one.ref, "address", new, words)
                yield stop, None if twin in (link, end.link) else (twin.netns, twin.name)
