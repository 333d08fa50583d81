"""What iptables does with a packet: filters, and addresses that are translated once a flow."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

from cnetsh.forwarding.network import Address, Link, Netns, Unknown, address, prefix
from cnetsh.forwarding.route import is_local, lent

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
    "SET", "TCPMSS", "TEE", "TOS", "TRACE",
})  # fmt: skip
TARGETS = LASTING | PASSING | {"HL", "TTL"}
# 10.0.0.7:80, [fd00::7]:80, or an address alone.
_PLACE = re.compile(r"(?:\[?([0-9a-fA-F]*:[0-9a-fA-F:]*)\]?|([\d.]+))(?:(?<=[\].\d]):(\d+))?")
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
    turned: "Fate | None" = None
    hidden: "Fate | None" = None


@dataclass(frozen=True, slots=True)
class Dropped(Exception):
    """A rule, or the policy of a chain, drops or refuses a packet."""

    by: Fate


def filtered(space: Netns, packet: Packet, chain: str) -> None:
    """Ask the tables of a chain in their order. Raises Dropped, or Unknown."""
    for key in filters(space, packet, chain):
        fate = _verdict(space, key, packet)
        if fate.target in UNTRACKED:
            packet.untracked = fate.rule
        if fate.target in ("DROP", "REJECT"):
            raise Dropped(fate)


def filters(space: Netns, packet: Packet, chain: str) -> list[str]:
    """Give what a packet is asked by in a chain, as "tool table chain", in that order."""
    tables = ("raw", "mangle", "filter") if chain in _asked(space) else ()
    return [f"{tool} {table} {chain}" for tool in _tools(packet) for table in tables]


def _asked(space: Netns) -> frozenset[str]:
    """Give the names of the chains that hold a rule, or end in another way than accepting."""
    if space.asked is None:
        keys = {*space.endings, *(key for key, rules in space.chains.items() if rules)}
        space.asked = frozenset(key.split(" ")[2] for key in keys)
    return space.asked


def _verdict(space: Netns, key: str, packet: Packet) -> Fate:
    """Give what becomes of a packet in a chain.

    A rule that cannot be decided does not matter where the same becomes of it either way.
    """
    found = ends(space, key, packet)
    last = found[-1].target
    sure = {each.target for each in found} <= {last} <= KNOWN
    if not sure or (last in TRANSLATING and len(found) > 1):
        odd = next(each.rule for each in found if each.rule)
        raise Unknown(f"what {odd} does in {named(space, key)}")
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
    value, _, mask = _after(rule, "--set-mark", "--set-xmark").partition("/")
    if not value or mark is None:
        return None
    bits, kept = int(value, 0), mark & ~int(mask or "0xffffffff", 0)
    return kept | bits if "--set-mark" in _words(rule) else kept ^ bits


def named(space: Netns, key: str) -> str:
    """Give a chain in words."""
    return f"{key.split()[-1]} of {space.name or 'the host'}"


def _own(key: str, target: str) -> str:
    return f"{key.rpartition(' ')[0]} {target}"


@lru_cache(4096)
def _words(rule: str) -> tuple[str, ...]:
    return tuple(shlex.split(rule))


def _after(rule: str, *options: str) -> str:
    words = _words(rule)
    found = [words[at + 1] for at, word in enumerate(words[:-1]) if word in options]
    return found[0] if found else ""


def target_of(rule: str) -> str:
    """Give what a rule does with a packet that fits: a target, or a chain."""
    return _after(rule, "-j", "-g", "--jump", "--goto")


def fits(space: Netns, rule: str, packet: Packet) -> bool | None:
    """Say whether a packet fits a rule, None where that cannot be told."""
    sure: bool | None = True
    turned = False
    for option, value in _matches(_words(rule)):
        if option == "!":
            turned = True
            continue
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
            return one is not None and _within(one, value)
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
            return packet.mark & int(mask or "0xffffffff", 0) == int(bits, 0)
        case "--src-range" | "--dst-range":
            one = packet.source if option == "--src-range" else packet.to
            return one is not None and _between(one, *value.split("-"))
        case "--dst-type":
            return (value == "LOCAL") == is_local(space, packet.to)
    return None


def _within(one: Address, value: str) -> bool | None:
    try:
        return any(one in prefix(each) for each in value.split(","))
    except ValueError:
        # A name, which iptables looks up when the rule is added.
        return None


def _between(one: Address, first: str, last: str = "") -> bool:
    return int(address(first)) <= int(one) <= int(address(last or first))


def _port(value: str, packet: Packet, is_ours: bool) -> bool | None:
    """Say whether a port is within what a rule asks; the sender's own could be any."""
    if packet.proto == "icmp":
        return False
    for one in value.split(","):
        low, colon, high = one.partition(":")
        if not (low + high).isdigit():
            return None
        first, last = int(low or 0), int(high or (65535 if colon else low))
        if is_ours and first <= packet.port <= last:
            return True
        if not is_ours and first <= EPHEMERAL[1] and last >= EPHEMERAL[0]:
            return None
    return False


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


def _tools(packet: Packet) -> tuple[str, str]:
    return packet.tool, f"{packet.tool}-legacy"


def _turn(space: Netns, packet: Packet, flow: Flow, chain: str) -> None:
    for tool in _tools(packet) if chain in _asked(space) else ():
        fate = _verdict(space, f"{tool} nat {chain}", packet)
        if fate.target in _LEADS:
            flow.turned = fate
            flow.now_to, flow.now_port = _LEADS[fate.target](space, packet, fate.rule)
            return


def _destination(space: Netns, packet: Packet, rule: str) -> tuple[Address, int]:
    found = _PLACE.fullmatch(_after(rule, "--to-destination"))
    if found is None:
        raise Unknown(f"where {rule} leads")
    return address(found[1] or found[2]), int(found[3] or packet.port)


def _redirected(space: Netns, packet: Packet, rule: str) -> tuple[Address, int]:
    """REDIRECT leads to an address of the link that it came in by (nf_nat_redirect_ipv4).

    What the namespace itself sends is led to lo.
    """
    port, came = _after(rule, "--to-ports") or str(packet.port), space.links.get(packet.came)
    here = address("127.0.0.1" if packet.to.version == 4 else "::1")
    own = lent(space, came, None, packet.to.version) if came else here
    if own is None or not port.isdigit():
        raise Unknown(f"where {rule} leads")
    return own, int(port)


def _mapped(space: Netns, packet: Packet, rule: str) -> tuple[Address, int]:
    """NETMAP puts another network before an address (iptables-extensions(8))."""
    net = prefix(_after(rule, "--to"))
    return net[int(packet.to) & int(net.hostmask)], packet.port


_LEADS = {"DNAT": _destination, "REDIRECT": _redirected, "NETMAP": _mapped}


def _hide(space: Netns, packet: Packet, flow: Flow, link: Link) -> None:
    for tool in _tools(packet) if "POSTROUTING" in _asked(space) else ():
        fate = _verdict(space, f"{tool} nat POSTROUTING", packet)
        if fate.target == "MASQUERADE":
            flow.now_source = lent(space, link, packet.to, packet.to.version)
        elif fate.target == "SNAT":
            to = _after(fate.rule, "--to-source").partition("-")[0].strip("[]")
            flow.now_source = address(to)
        elif fate.target in TRANSLATING:
            raise Unknown(f"what {fate.rule} does in {named(space, fate.chain)}")
        if fate.target in TRANSLATING:
            flow.hidden = fate
            return


def as_question(packet: Packet, kind: str, source: Address | None, to: Address) -> Packet:
    """Give IPv6's question for a neighbour, or its answer, which rules see as any other packet."""
    return replace(packet, proto="icmp", kind=kind, state="UNTRACKED", port=0, source=source,
                   to=to, mark=0)  # fmt: skip
