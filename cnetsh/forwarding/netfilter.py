"""What iptables does with a packet: which rules fit it, and what they say becomes of it."""

import re
import shlex
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

from cnetsh.forwarding.network import Address, Link, Netns, Refusal, Unknown, address, prefix
from cnetsh.forwarding.route import is_local
from cnetsh.kinds.change import Facts, Ref

EPHEMERAL = (32768, 60999)  # ip_local_port_range, from which the sender's own port is taken
REQUEST, REPLY = "request", "reply"
# Nobody remembers what fits such a rule (iptables-extensions(8): CT --notrack).
UNTRACKED = frozenset({"CT", "NOTRACK"})
TRANSLATING = frozenset({"DNAT", "SNAT", "MASQUERADE", "NETMAP", "REDIRECT"})
# What the model knows of what becomes of a packet; a chain that is left accepts it.
KNOWN = frozenset({"ACCEPT", "DROP", "REJECT", "RETURN"}) | TRANSLATING | UNTRACKED
LASTING = KNOWN | {"NFQUEUE", "QUEUE", "SYNPROXY", "TPROXY"}
# These look at a packet, and pass it on.
PASSING = frozenset({
    "", "AUDIT", "CHECKSUM", "CLASSIFY", "CONNMARK", "DSCP", "LOG", "MARK", "NFLOG", "RATEEST",
    "SET", "TCPMSS", "TEE", "TOS", "TRACE", "TTL", "HL",
})  # fmt: skip
_BUILT_IN = frozenset({"PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"})
_TARGETS = LASTING | PASSING
_ALONE = re.compile(r"(?<=[\d.]{7})/32(?= |$)|(?<=:)/128|(?<=[\da-f])/128(?= |$)")
_TYPES = {
    "8": "echo-request", "128": "echo-request", "0": "echo-reply", "129": "echo-reply",
    "135": "neighbour-solicitation", "136": "neighbour-advertisement",
}  # fmt: skip
_PROTOCOLS = {"1": "icmp", "58": "icmpv6", "ipv6-icmp": "icmpv6", "6": "tcp", "17": "udp"}


@dataclass(slots=True)
class Packet:
    """One packet as it is now. came, goes: the links that rules see; state: what conntrack says."""

    to: Address
    source: Address | None = None
    proto: str = "icmp"
    port: int = 0
    size: int = 84
    whole: bool = False  # it must not be cut
    leg: str = REQUEST
    kind: str = "echo-request"
    came: str = ""
    goes: str = ""
    state: str = "NEW"
    turned: bool = False  # its target was translated
    mark: int | None = 0  # None: nobody knows which
    at: str = ""  # the namespace where it is
    untracked: str = ""  # the rule that says that nobody remembers it
    ttl: int | None = 64  # how many more may pass it on, itself counted; None: nobody knows
    aged: "tuple[str, Fate] | None" = None  # where a rule gave it that, and which

    @property
    def tool(self) -> str:
        """The program whose rules it passes."""
        return "iptables" if self.to.version == 4 else "ip6tables"

    def enter(self, space: str) -> None:
        """Take it to a namespace: from another one it comes without its mark (skb_scrub_packet)."""
        self.mark, self.at = self.mark if space == self.at else 0, space


class Fate(NamedTuple):
    """What becomes of a packet: the target, the rule that says so, "" for a policy, its chain."""

    target: str
    rule: str
    chain: str


def filters(space: Netns, packet: Packet, chain: str) -> list[str]:
    """Give what a packet is asked by in a chain, as "tool table chain", in that order."""
    return chains(space, packet, chain, "raw", "mangle", "filter", "security")


def chains(space: Netns, packet: Packet, chain: str, *tables: str) -> list[str]:
    """Give a chain of some tables where it is asked, as "tool table chain"."""
    tools = (packet.tool, f"{packet.tool}-legacy") if chain in _asked(space) else ()
    return [f"{tool} {table} {chain}" for tool in tools for table in tables]


def _asked(space: Netns) -> frozenset[str]:
    """Give the names of the chains that hold a rule, or end in another way than accepting."""
    if space.asked is None:
        keys = {*space.endings, *(key for key, rules in space.chains.items() if rules)}
        space.asked = frozenset(key.split(" ")[2] for key in keys)
    return space.asked


def bridge_calls(space: Netns, bridge: Link, packet: Packet) -> str:
    """Give what has the frames of a bridge pass the chains of IP, of all or its own (bridge.rst).

    Nothing where they do not.
    """
    every, own_one = f"bridge-nf-call-{packet.tool}", f"nf_call_{packet.tool}"
    if space.value(f"bridge/{every}"):
        return every
    return f"{own_one} of {bridge.name}" if bridge.options.get(own_one) else ""


def verdict(space: Netns, key: str, packet: Packet) -> Fate:
    """Give what becomes of a packet in a chain.

    A rule that cannot be decided does not matter where the same becomes of it either way.
    """
    found = ends(space, key, packet)
    last = found[-1].target
    sure = {each.target for each in found} <= {last} <= KNOWN
    if not sure or (last in TRANSLATING and len(found) > 1):
        odd = next(each.rule for each in found if each.rule)
        raise Unknown(f"what {odd} does in {chain_called(space, key)}")
    return found[-1]


def ends(
    space: Netns, key: str, packet: Packet, inner: bool = False, sure: bool = True
) -> list[Fate]:
    """Give all that may become of a packet in a chain, and mark it.

    More than one where a rule cannot be decided; inner: the chain goes on where it was left; sure:
    it is known that the packet comes here.
    """
    found: list[Fate] = []
    last = Fate("RETURN" if inner else space.endings.get(key, "ACCEPT"), "", key)
    for rule in space.chains.get(key, ()):
        fit, target = fits(space, rule, packet), target_of(rule)
        reached = sure and not found and fit is True
        if fit is not False and target in ("MARK", "CONNMARK"):
            packet.mark = _marked(rule, packet.mark) if reached else None
        if fit is not False and target in ("TTL", "HL"):
            packet.ttl = _aged(rule, packet.ttl) if reached else None
            packet.aged = (space.name, Fate(target, rule, key))
        if fit is False or target in PASSING:
            continue
        if target == "RETURN":
            some = [last]
        elif _own(key, target) in space.chains:
            some = ends(space, _own(key, target), packet, True, reached)
        else:
            some = [Fate(target, rule, key)]
        left = any(one.target == "RETURN" for one in some)
        goes_on = fit is None or (target != "RETURN" and left)
        found += some if target == "RETURN" else [one for one in some if one.target != "RETURN"]
        # Of what is not modelled nobody knows whether it ends here.
        if not goes_on and some[-1].target in LASTING | {"RETURN"}:
            return found
    return [*found, last]


def _marked(rule: str, mark: int | None) -> int | None:
    """Give the mark that a rule makes of another (iptables-extensions(8): MARK, CONNMARK)."""
    if target_of(rule) == "CONNMARK":
        return None if "--restore-mark" in _words(rule) else mark
    value, _, mask = value_of(rule, "--set-mark", "--set-xmark").partition("/")
    if mark is None:
        return None
    with suppress(ValueError):
        bits, kept = _number(value), mark & ~_number(mask or "0xffffffff")
        return kept | bits if "--set-mark" in _words(rule) else kept ^ bits
    return None


def _aged(rule: str, ttl: int | None) -> int | None:
    """Give the TTL that a rule makes of another (iptables-extensions(8): TTL, HL)."""
    given, more, less = (value_of(rule, f"--ttl-{one}", f"--hl-{one}")
                         for one in ("set", "inc", "dec"))  # fmt: skip
    with suppress(ValueError):
        if given or ttl is None:
            return _number(given)
        return min(max(ttl + _number(more or "0") - _number(less or "0"), 0), 255)
    return None


def _number(text: str) -> int:
    """Read a number as iptables does, in strtoul(3)'s way. Raises ValueError."""
    return int(text, 8 if text.startswith("0") and text.isdigit() else 0)


def chain_called(space: Netns, key: str) -> str:
    """Give a chain in words."""
    return f"{key.split()[-1]} of {space.name or 'the host'}"


def _own(key: str, target: str) -> str:
    return f"{key.rpartition(' ')[0]} {target}"


@lru_cache(4096)
def _words(rule: str) -> tuple[str, ...]:
    return tuple(shlex.split(rule))


def value_of(rule: str, *options: str) -> str:
    """Give what a rule says behind one of some options, "" where it says none."""
    words = _words(rule)
    found = [words[at + 1] for at, word in enumerate(words[:-1]) if word in options]
    return found[0] if found else ""


def target_of(rule: str) -> str:
    """Give what a rule does with a packet that fits: a target, or a chain."""
    return value_of(rule, "-j", "-g", "--jump", "--goto")


def fits(space: Netns, rule: str, packet: Packet) -> bool | None:
    """Say whether a packet fits a rule, None where that cannot be told."""
    sure: bool | None = True
    turned = False
    for option, value in _matches(_words(rule)):
        if option == "!":
            turned = True
            continue
        one = None
        # What is no number or address is a name, which iptables looks up when the rule is added.
        with suppress(ValueError):
            one = _fit(space, option, value, packet)
        if one is None:
            sure = None
        elif one == turned:
            return False
        turned = False
    return sure


def _matches(words: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Give the options of a rule with their values, up to the target."""
    at, match_ = 0, ""
    while at < len(words) and words[at] not in ("-j", "-g", "--jump", "--goto"):
        word = words[at]
        if word == "!":
            yield word, ""
            at += 1
            continue
        value = words[at + 1] if at + 1 < len(words) else ""
        if word in ("-m", "--match"):
            match_ = value
        elif word != "--comment":
            yield (f"{match_} {word}" if word == "--mark" else word), value
        at += 2


def _fit(space: Netns, option: str, value: str, packet: Packet) -> bool | None:
    request = packet.leg == REQUEST
    match option:
        case "-s" | "-d":
            one = packet.source if option == "-s" else packet.to
            return one is not None and any(one in prefix(each) for each in value.split(","))
        case "-i" | "-o":
            has = packet.came if option == "-i" else packet.goes
            return has.startswith(value[:-1]) if value[-1:] == "+" else has == value
        case "-p":
            own = "icmpv6" if packet.proto == "icmp" and packet.to.version == 6 else packet.proto
            return value in ("all", "0") or _PROTOCOLS.get(value, value) == own
        case "--dport" | "--dports":
            return _port(value, packet, request)
        case "--sport" | "--sports":
            return _port(value, packet, not request)
        case "--ctstate" | "--state":
            states = value.split(",")
            return packet.state in states or ("DNAT" in states and packet.turned)
        case "--icmp-type" | "--icmpv6-type":
            return packet.proto == "icmp" and _TYPES.get(value, value) == packet.kind
        case "mark --mark" if packet.mark is not None:
            bits, _, mask = value.partition("/")
            return packet.mark & _number(mask or "0xffffffff") == _number(bits)
        case "--src-range" | "--dst-range":
            one = packet.source if option == "--src-range" else packet.to
            return one is not None and _between(one, *value.split("-"))
        case "--dst-type":
            return (value == "LOCAL") == is_local(space, packet.to)
    return None


def _between(one: Address, first: str, last: str = "") -> bool:
    return int(address(first)) <= int(one) <= int(address(last or first))


def _port(value: str, packet: Packet, is_ours: bool) -> bool | None:
    """Say whether a port is within what a rule asks; the sender's own could be any."""
    if packet.proto == "icmp":
        return False
    for one in value.split(","):
        low, colon, high = one.partition(":")
        first, last = int(low or 0), int(high or (65535 if colon else low))
        if is_ours and first <= packet.port <= last:
            return True
        if not is_ours and first <= EPHEMERAL[1] and last >= EPHEMERAL[0]:
            return None
    return False


def as_question(packet: Packet, kind: str, source: Address | None, to: Address) -> Packet:
    """Give IPv6's question for a neighbour, or its answer, which rules see as any other packet."""
    return replace(packet, proto="icmp", kind=kind, state="UNTRACKED", port=0, source=source,
                   to=to, mark=0, ttl=255, aged=None)  # fmt: skip


def take_rule(space: Netns, ref: Ref, facts: Facts) -> None:
    """Take a chain or a rule of iptables."""
    tool, table, chain, *rule = ref.name.split(" ", 3)
    key = f"{tool} {table} {chain}"
    if ref.kind == "chain":
        space.chains.setdefault(key, [])
        if facts.get("policy", "ACCEPT") != "ACCEPT":
            space.endings[key] = facts["policy"]
    else:
        there = space.chains.setdefault(key, [])
        there.insert(0 if facts.get("first") else len(there), "".join(rule))


def refuse_chain(space: Netns, ref: Ref) -> None:
    """A rule is in a chain that is there, and leads to one, or to a target (iptables(8))."""
    tool, table, chain, rule = ref.name.split(" ", 3)
    target = target_of(rule)
    for name in (chain, target):
        known = name in _BUILT_IN or name in _TARGETS or not name
        if not known and f"{tool} {table} {name}" not in space.chains:
            raise Refusal(f"there is no chain {name} in the table {table} at this point")


def remove_rule(space: Netns, ref: Ref) -> None:
    tool, table, chain, *rule = ref.name.split(" ", 3)
    key = f"{tool} {table} {chain}"
    if ref.kind == "chain":
        space.chains[key] = []
        return
    there = space.chains.get(key, [])
    wanted = _plain("".join(rule))
    found = next((one for one in there if _plain(one) == wanted), None)
    if found is None:
        raise Refusal(f"there is no such rule in {chain} at this point")
    there.remove(found)


def _plain(rule: str) -> str:
    """Give a rule without what iptables-save says besides."""
    for text in ("-m tcp ", "-m udp ", "-m icmp "):
        rule = rule.replace(text, "")
    return _ALONE.sub("", rule)
