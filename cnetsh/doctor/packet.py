"""What iptables does with packets of the host's own; what cannot be decided, it may do."""

import shlex
from collections.abc import Collection, Iterator, Mapping, Sequence
from ipaddress import ip_address, ip_network
from itertools import pairwise
from typing import NamedTuple, TypeAlias

Rules: TypeAlias = Mapping[str, Sequence[str]]
# What a packet has of what a rule may ask for, by the option: -i, -s, --dport …
Packet: TypeAlias = Mapping[str, str]

_ENTERED = {
    "in": ("raw PREROUTING", "mangle PREROUTING", "mangle INPUT", "filter INPUT"),
    "out": ("raw OUTPUT", "mangle OUTPUT", "filter OUTPUT", "mangle POSTROUTING"),
}
_ENTERED_ONCE = {"in": "nat PREROUTING", "out": "nat OUTPUT"}
_STOPS = frozenset({"DROP", "REJECT", "DNAT", "REDIRECT", "NETMAP", "NFQUEUE", "TPROXY"})
_SAME = {"--state": "--ctstate", "--dports": "--dport", "--sports": "--sport"}
_JUMPS = ("-j", "-g", "--jump", "--goto")


class Flow(NamedTuple):
    """The packets between the host and somebody, as far as rules tell them apart.

    source: the host's address where it is fixed; link: the only one that leads there; proto "":
    whichever; first: whether the first packet comes in or goes out.
    """

    source: str = ""
    link: str = ""
    proto: str = ""
    own_port: int = 0
    far_port: int = 0
    first: str = "out"


def stopped(
    rules: Rules, dropping: Collection[str], flow: Flow, links: tuple[str, str], own: str, far: str
) -> Iterator[str]:
    """Give the chains that stop, or may stop, a flow.

    dropping: those with such a policy; links: the one that it comes in by, and goes out by.
    """
    tool, (inward, outward) = "ip6tables" if ":" in far else "iptables", links
    here, there = (own, str(flow.own_port)), (far, str(flow.far_port))
    for side, link, source, to in (("in", inward, there, here), ("out", outward, here, there)):
        packet = {
            "-i" if side == "in" else "-o": link, "-p": flow.proto,
            "-s": source[0], "--sport": source[1], "-d": to[0], "--dport": to[1],
            "--ctstate": "NEW,ESTABLISHED" if side == flow.first else "ESTABLISHED",
        }  # fmt: skip
        for table in _ENTERED[side]:
            ends = _ends(rules, dropping, f"{tool} {table}", packet)
            if "stops" in ends:
                yield f"{tool} {table} {'may stop' if len(ends) > 1 else 'stops'} its packets"
        # What is open stays so, for only the first packet of a connection comes here.
        first = f"{tool} {_ENTERED_ONCE[side]}" if side == flow.first else ""
        if "stops" in _ends(rules, dropping, first, packet):
            yield f"{first} may stop its packets"


def _ends(rules: Rules, dropping: Collection[str], chain: str, packet: Packet) -> set[str]:
    """Give what may become of a packet in a chain: stops, accepted, or passes on."""
    ends: set[str] = set()
    last = "stops" if chain in dropping else "passes"
    for rule in rules.get(chain, ()):
        words = shlex.split(rule)
        if (fits := _fits(words, packet)) is False:
            continue
        target = next((to for jump, to in pairwise(words) if jump in _JUMPS), "")
        own = f"{chain.rpartition(' ')[0]} {target}"
        if own in rules:
            found = _ends(rules, dropping, own, packet)
            found = found - {"passes"} | ({"next"} if "passes" in found else set())
        else:
            found = {{"ACCEPT": "accepted", "RETURN": last}.get(target, "next")}
            found = {"stops"} if target in _STOPS else found
        ends |= found - {"next"}
        if fits and "next" not in found:
            return ends
    return ends | {last}


def _fits(words: Sequence[str], packet: Packet) -> bool | None:
    """Say whether a packet fits a rule, None where that cannot be told."""
    fits: bool | None = True
    jumped = False
    for before, option, value in zip(["", *words], words, [*words[1:], ""], strict=False):
        if option[:1] != "-" or option in ("-m", "--comment"):
            continue
        jumped = jumped or option in _JUMPS
        one = _fit(option, value, packet)
        if one is None:
            # What follows the target and is nothing else is the target's.
            fits = fits if jumped else None
        elif one == (before == "!"):
            return False
    return fits


def _fit(option: str, value: str, packet: Packet) -> bool | None:
    option = _SAME.get(option, option)
    has = packet.get(option, "")
    try:
        match option:
            case "-i" | "-o":
                return has.startswith(value[:-1]) if value[-1:] == "+" else has == value
            case "-s" | "-d":
                networks = (ip_network(one, strict=False) for one in value.split(","))
                return any(ip_address(has) in network for network in networks)
            case "-p" if not value.isdigit():
                return value in ("all", has)
            case "--sport" | "--dport":
                return any(_within(int(has), *one.partition(":")) for one in value.split(","))
            case "--ctstate":
                here = {*packet["--ctstate"].split(",")}
                return here <= {*value.split(",")} or (
                    None if here & {*value.split(",")} else False
                )
    except ValueError:
        # A name, of a host or a service, which iptables looks up when the rule is added.
        return None
    return None


def _within(port: int, low: str, colon: str, high: str) -> bool:
    return int(low or 0) <= port <= int(high or (65535 if colon else low))
