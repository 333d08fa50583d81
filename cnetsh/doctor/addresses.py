"""Traps in a plan's addresses: P03 an overlap with the target, and P04 within the plan."""

import ipaddress
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple, TypeAlias

from cnetsh.doctor.finding import Case, Sign, few
from cnetsh.kinds.change import Facts

_Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

# VPNs halve the default route to win over it (0.0.0.0/1) and divide it in IPv6 (2000::/3).
WIDEST = {4: 1, 6: 3}
FREE = {4: "10.{}.0.0/24", 6: "fd00:{}::/64"}


class There(NamedTuple):
    """A network that the target knows, the link it is on, and the address or route that says so."""

    network: _Network
    dev: str | None
    text: str


def overlap(case: Case) -> Iterator[Sign]:
    """P03: the plan's networks against the target's addresses and routes."""
    if not case.asked.addresses:
        return
    there, here = list(_there(case)), _networks(case, inside=False)
    for network, dev in here.items():
        if lines := _meeting(network, there):
            effect = f"{dev} gets a route to {network}, beside or instead of what is there"
            yield Sign("refuse", few(lines), effect, _another(network, there))
    # In a bridge of the host's own a container is in its network, and is meant to be.
    apart = [one for one in there if one.dev not in case.asked.masters]
    for network, name in _networks(case, inside=True).items():
        lines = _meeting(network, apart)
        if lines and not any(_meets(network, one) for one in here):
            effect = f"{name} looks for {network} on its own link and cannot reach the host's"
            yield Sign("warn", few(lines), effect, _another(network, there))


def _networks(case: Case, inside: bool) -> dict[_Network, str]:
    """Give the plan's networks with the link, or the namespace, that they are for."""
    found: dict[_Network, str] = {}
    for one in case.asked.addresses:
        # Behind one a container is in the network of the host's own link, and is meant to be.
        macvlan = " type macvlan" in case.asked.links.get((one.netns, one.dev), "")
        if bool(one.netns) == inside and not macvlan:
            found.setdefault(one.ip.network, one.netns or one.dev)
    return found


def _there(case: Case) -> Iterator[There]:
    """Give the addresses and routes of the target, each network of a link once."""
    seen = set()
    for name, facts in case.seen.all_of("address"):
        network, dev = ipaddress.ip_interface(name).network, facts["dev"]
        seen.add((dev, network))
        if dev not in case.ours:
            yield There(network, dev, f"address {name} on {dev}")
    for to, facts in case.seen.all_of("route"):
        dev, kind = facts.get("dev"), facts.get("type")
        of_address = facts["table"] == "local" or kind in ("local", "broadcast", "multicast")
        if is_default(to) or dev in case.ours or of_address:
            continue
        if (dev, network := ipaddress.ip_network(to)) not in seen:
            yield There(network, dev, f"route {route_text(to, facts)}")


def is_default(to: str) -> bool:
    """Say whether a route is the default one, or a part of it as VPNs divide it."""
    if to == "default":
        return True
    network = ipaddress.ip_network(to)
    return network.prefixlen <= WIDEST[network.version]


def _meeting(network: _Network, there: Sequence[There]) -> list[str]:
    return [one.text for one in there if _meets(one.network, network)]


def _meets(one: _Network, other: _Network) -> bool:
    everywhere = one.is_loopback or one.is_link_local or one.is_multicast
    return one.version == other.version and not everywhere and one.overlaps(other)


def route_text(to: str, facts: Facts) -> str:
    """Give a route as `ip route` prints it."""
    kind = facts.get("type", "unicast")
    words = [*([] if kind == "unicast" else [kind]), to]
    for key in ("via", "dev", "proto", "table"):
        if key in facts and (key, facts[key]) != ("table", "main"):
            words += [key, facts[key]]
    return " ".join(words)


def _another(network: _Network, there: Sequence[There]) -> str:
    """Give the advice, with a network that overlaps nothing here."""
    tried = (ipaddress.ip_network(FREE[network.version].format(one)) for one in range(77, 256))
    free = next((f"; {one} is free here" for one in tried if not _meeting(one, there)), "")
    return f"another network with --set or in the lab file{free}"


def host_bits(case: Case) -> Iterator[Sign]:
    """P04: a rule's network typed with host bits, which the kernel cuts off."""
    for rule in dict.fromkeys(case.asked.rules):
        for option, word in pairwise(rule.words):
            network = _cut(word) if option in ("-s", "-d") and "/" in word else None
            if network:
                effect = f"the rule is for {network}, {network.num_addresses:,} addresses"
                yield Sign("note", rule.text, effect, f"read {word} as {network}")


def _cut(word: str) -> _Network | None:
    try:
        interface = ipaddress.ip_interface(word)
    except ValueError:
        return None
    return interface.network if interface.ip != interface.network.network_address else None
