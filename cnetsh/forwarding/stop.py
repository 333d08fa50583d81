"""Where a packet stops and why: the codes, the layers, and the only place with words for them."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from cnetsh import kinds
from cnetsh.kinds.change import NOTHING, Change, Ref, Set, typed_in
from cnetsh.kinds.setting import ROOT, dotted


class Layer(StrEnum):
    """Where in the way of a packet a cause lies; the list is closed."""

    LINK = "link"
    ADDRESS = "address"
    ROUTE = "route"
    POLICY = "policy rule"
    NEIGHBOUR = "neighbour"
    CABLE = "cable"
    BRIDGE = "bridge"
    SOURCE = "reverse path"
    FORWARDING = "forwarding"
    FIREWALL = "firewall"
    NAT = "translation"
    MTU = "mtu"
    RECEIVER = "receiver"
    QUEUE = "queue"
    UNKNOWN = "unknown"


class Stop(NamedTuple):
    """The first thing that does not hold, and where."""

    code: str
    space: str
    link: str = ""
    words: Mapping[str, str] = NOTHING  # what the sentence says, by the names in it
    cause: Ref | None = None  # the object that made it so
    key: str = ""
    mend: tuple[Change, ...] = ()  # what helps
    layer_: Layer | None = None  # where it differs from the code's own
    leg: str = ""  # "" until it is known of which packet

    @property
    def layer(self) -> Layer:
        """Where the cause lies."""
        return self.layer_ or SAID[self.code][0]

    def on(self, leg: str) -> "Stop":
        """Give it as that of a packet on a leg, if it is not of another already."""
        return self if self.leg else self._replace(leg=leg)


def by_value(
    code: str, cause: Ref, key: str, value: Any, words: Mapping[str, str] = NOTHING, link: str = ""
) -> Stop:
    """Give the stop that a value of an object makes, which is mended by another value.

    link: where it is, if the object is not that link itself.
    """
    where = cause.name if cause.kind == "link" else link
    return Stop(code, cause.netns, where, words, cause, key, (Set(cause, key, value),))


def by_setting(
    code: str, space: str, path: str, value: str, words: Mapping[str, str] = NOTHING, link: str = ""
) -> Stop:
    """Give the stop that a setting makes, by its path below /proc/sys/net."""
    ref = Ref("setting", space, f"{ROOT}{path}")
    return by_value(code, ref, "value", value, {**words, "dotted": dotted(path)}, link)


# By code: the layer, the sentence, the command that shows it, run where the packet stopped.
SAID: dict[str, tuple[Layer, str, str]] = {
    "lo_down": (Layer.LINK, "{to} is {who}'s own address, which goes through lo, and lo is down",
                "ip link show lo"),
    "no_link": (Layer.LINK, "{who} has no link but lo", "ip link show"),
    "no_address": (Layer.ADDRESS, "{who} has no address of IPv{version}{beside}",
                   "ip address show"),
    "prefix": (Layer.ADDRESS, "{own} in {who} does not cover {to}, whose own prefix is /{length}: "
               "the two do not agree on who is a neighbour", "ip address show"),
    "no_route": (Layer.ROUTE, "{who} has no route {back}to {to}{gone}", "ip route get {to}"),
    "refusing_route": (Layer.ROUTE, "{who} has a {kind} route to {net}",
                       "ip {six} route show table all {net}"),
    "no_network": (Layer.ROUTE, "{who} has {own} on {link}, but no route to {net}",
                   "ip route get {to}"),
    "no_rule": (Layer.POLICY, "{who} has a route to {to} in its table main, but no rule of ip rule "
                "leads there", "ip {six} rule show"),
    "refusing_rule": (Layer.POLICY, "{who} refuses {to} by its {rule} of ip rule: {kind}",
                      "ip {six} rule show"),
    "broadcast": (Layer.ADDRESS, "{to} is the broadcast address of {net}, nobody's own",
                  "ip route get {to}"),
    "wrong_turn": (Layer.ROUTE, "{who} sends {to} by {link}, after {by}, though it is behind "
                   "{near}{without}", "ip route get {to}"),
    "neighbour_by_router": (Layer.ROUTE, "{who} sends {to} to {via}, after {by}, though it is a "
                            "neighbour on {link}", "ip route get {to}"),
    "first_of_equals": (Layer.ROUTE, "{who} has {count} equal routes to {net} and takes the first, "
                        "by {link}, but {to} is behind {near}", "ip route show {net}"),
    "gateway_no_router": (Layer.ROUTE, "{who} sends {to} to {via}, which is {other} and passes "
                          "nothing on", "ip route get {to}"),
    "link_down": (Layer.LINK, "{link} in {who}{having} is down", "ip link show {link}"),
    "no_carrier": (Layer.CABLE, "{link} in {who} has no carrier: its other end {far} is down",
                   "ip link show {link}"),
    "no_end": (Layer.CABLE, "{link} in {who} has no other end", "ip -d link show {link}"),
    "bridge_down": (Layer.BRIDGE, "the bridge {link} in {who} is down, so {to} gets no frames of "
                    "{asker}", "ip link show {link}"),
    "port_down": (Layer.BRIDGE, "the port {link} of {bridge} in {who} is down",
                  "ip link show {link}"),
    "port_state": (Layer.BRIDGE, "the port {link} of {bridge} in {who} is {state}",
                   "bridge link show dev {link}"),
    "ring": (Layer.BRIDGE, "{link} in {who} is a second way to the bridge {bridge}, so frames go "
             "round for ever", "bridge link show"),
    "isolated": (Layer.BRIDGE, "the ports {other} and {link} of {bridge} in {who} are isolated "
                 "from each other", "bridge -d link show"),
    "flooding": (Layer.BRIDGE, "the port {link} of {bridge} in {who} gets no broadcasts "
                 "(bcast_flood off), so no question for {to} arrives", "bridge -d link show"),
    "not_a_port": (Layer.BRIDGE, "{link} in {who}, the cable to {far}, is {whose}",
                   "ip -d link show {link}"),
    "fdb": (Layer.BRIDGE, "the bridge {bridge} in {who} sends {mac} to {link}, by an entry given "
            "by hand, but it is behind {near}", "bridge fdb show br {bridge}"),
    "hairpin": (Layer.BRIDGE, "{who} turns {was} into {to}, which is back out of {link}, where it "
                "came in; a bridge does that only with hairpin on", "bridge -d link show"),
    "another_wire": (Layer.NEIGHBOUR, "{who} looks for {to}{gate} on {link}, but it is on another "
                     "wire: {near}", "ip neigh show {to}"),
    "nobody": (Layer.NEIGHBOUR, "nobody has {to}{gate}: {who} asks for it on {link} and gets no "
               "answer", "ip neigh show {to}"),
    "arp_off": (Layer.NEIGHBOUR, "{link} in {who} does no ARP, so it knows nobody, and nobody "
                "finds it", "ip link show {link}"),
    "arp_ignored": (Layer.NEIGHBOUR, "{who} does not answer who has {to} on {link}: {name} is "
                    "{value}", "sysctl net.ipv4.conf.all.{name} net.ipv4.conf.{link}.{name}"),
    "unusable": (Layer.ADDRESS, "{who} may not use {to} on {link}: {why}",
                 "ip -6 address show dev {link}"),
    "fixed_neighbour": (Layer.NEIGHBOUR, "{who} has the fixed neighbour {to} at {mac}, which "
                        "{whose} has", "ip neigh show {to}"),
    "macvlan": (Layer.CABLE, "{a_kind} and its own host never reach each other through {link}",
                "ip -d link show {link}"),
    "macvlan_mode": (Layer.CABLE, "{link} in {who} and {near} are both made on {under}, and only "
                     "macvlans in mode bridge reach each other", "ip -d link show {link}"),
    "apart": (Layer.CABLE, "{link} in {who} has {key} {value}, and {near} has {key} {other}, so "
              "they do not hear each other", "ip -d link show {link}"),
    "port_address": (Layer.BRIDGE, "{who} sends {to} by {link}, a port of {bridge}; what comes "
                     "back to a port belongs to the bridge", "ip -d address show dev {link}"),
    "own_address": (Layer.ADDRESS, "{who} gets a packet on {link} from {source}, which is an "
                    "address of its own, and drops it", "ip address show to {source}"),
    "rp_filter": (Layer.SOURCE, "{who} drops what comes from {source} on {link}: {way}, and "
                  "rp_filter is {value}", "sysctl net.ipv4.conf.all.rp_filter net.ipv4.conf."
                  "{link}.rp_filter"),
    "not_forwarding": (Layer.FORWARDING, "{who} does not pass on {to}, which comes in by {link}: "
                       "{dotted} is 0", "sysctl {dotted}"),
    "firewall": (Layer.FIREWALL, "{who} {verb} it: {rule}{bridged}", "{tool} -t {table} -vnL "
                 "{chain}"),
    "no_nat": (Layer.NAT, "it left as {source}, an address that nobody outside can answer{why}",
               "iptables -t nat -S POSTROUTING"),
    "dnat": (Layer.NAT, "{who} turns {was} into {to}, {then}: {rule}", "iptables -t nat -S"),
    "snat": (Layer.NAT, "{who} has it come from {to} instead of {was}, {then}: {rule}",
             "iptables -t nat -S"),
    "past": (Layer.NAT, "{who} turns {was} into {to}, whose answer does not come back through it, "
             "so {asker} does not take it", "iptables -t nat -S"),
    "bridge_nat": (Layer.NAT, "{who} translates what its bridge {link} passes on "
                   "(bridge-nf-call-iptables is 1), and has no way to {to} by {link}",
                   "iptables -t nat -S POSTROUTING"),
    "answer_to_another": (Layer.ADDRESS, "the answer goes to {other}, which has {to} too",
                          "ip address show to {to}"),
    "loop": (Layer.ROUTE, "{to} goes round in circles at {who}", "ip route get {to}"),
    "mtu": (Layer.MTU, "{link} in {who} takes {mtu} bytes, the packet has {size} and must not be "
            "cut", "ip link show {link}"),
    "remembered_mtu": (Layer.MTU, "{who} remembers for ten minutes that a link on the way to {to} "
                       "takes less", "ip route get {to}"),
    "mtu_route": (Layer.MTU, "{who} has {mtu} bytes for its route to {net}, the packet has {size} "
                  "and must not be cut", "ip route get {to}"),
    "mtu_wire": (Layer.MTU, "{link} in {who} takes {mtu} bytes, the frame has {size}; on one wire "
                 "nobody cuts it or says so", "ip link show {link}"),
    "old_neighbour": (Layer.NEIGHBOUR, "{who} still knows {to} at {mac}, which nobody on {link} "
                      "has", "ip neigh show {to}"),
    "never_asks": (Layer.NEIGHBOUR, "{who} asks nobody for {to} on {link}: {dotted} is 0",
                   "sysctl {dotted}"),
    "neighbours_full": (Layer.NEIGHBOUR, "the machine's table of neighbours, which all namespaces "
                        "share, was full while it was sent (net.ipv4.neigh.default.gc_thresh3)",
                        "ip -s ntable show"),
    "remembered_redirect": (Layer.ROUTE, "{who} was told by a redirect to send {to} to {via}, and "
                            "remembers it for five minutes", "ip route get {to}"),
    "ttl": (Layer.FORWARDING, "{who} sends it with a TTL that is over at {at}", "sysctl {dotted}"),
    "ttl_route": (Layer.FORWARDING, "{who} sends it over {hops} routers at most, by its route to "
                  "{net}, which is over at {at}", "ip route get {to}"),
    "ttl_rule": (Layer.FIREWALL, "{who} gives it a TTL that is over at {at}: {rule}",
                 "iptables -t mangle -S"),
    "odd_port": (Layer.BRIDGE, "the {what} {link} in {who} has {key}, which holds it up",
                 "ip -d link show dev {link}"),
    "ping_off": (Layer.RECEIVER, "{who} ignores pings", "sysctl {dotted}"),
    "link_local": (Layer.ADDRESS, "{to} is of one link alone, and {who} does not pass it on",
                   "ip -6 address show"),
    "six_off": (Layer.ADDRESS, "IPv6 is off on {link} in {who}",
                "sysctl net.ipv6.conf.{link}.disable_ipv6"),
    "nft": (Layer.FIREWALL, "{who} drops it: the policy of the chain {chain} of the nft table "
            "{table}", "nft list chain {table} {chain}"),
    "nft_rule": (Layer.FIREWALL, "{who} drops it: the rule {rule} in the chain {chain} of the nft "
                 "table {table}", "nft -a list chain {table} {chain}"),
    "queue": (Layer.QUEUE, "the queue {queue} of {link} in {who} drops it",
              "tc -s qdisc show dev {link}"),
    "slow": (Layer.QUEUE, "the queue netem of {link} in {who} holds it back for {time}, longer "
             "than anybody waits", "tc -s qdisc show dev {link}"),
    "twice": (Layer.ADDRESS, "{to} is there twice, in {both}; whoever answers last gets the "
              "packets", "ip address show to {to}"),
    "same_mac": (Layer.BRIDGE, "{link} in {who} and {near} have the same MAC address {mac}",
                 "ip link show {link}"),
    "nobody_listens": (Layer.RECEIVER, "nobody listens on {proto} port {port} in {who}{but}",
                       "ss -Hln{letter}"),
}  # fmt: skip


def in_words(space: str) -> str:
    """Give a namespace's name in a sentence; what has none is called by a process in it."""
    return f"process {space.split('/')[2]}" if space.startswith("/") else space or "the host"


def sentence(stop: Stop) -> str:
    """Give the reason in a sentence, the only words that are said of it."""
    words = {"who": in_words(stop.space), "link": stop.link, **stop.words}
    text = SAID[stop.code][1].format_map(words)
    # "has no route back" says already on which way.
    if stop.leg == "reply" and " back to " not in text:
        return f"on the way back {text}"
    return text


# Of what may stop a packet: what is not known, where it is not whether its sentence is so.
_UNSURE = {"twice": "who of {both} gets it",
           "arp_ignored": "whether {to} is known from a question of its own",
           "never_asks": "whether {to} is known from a question of its own",
           "unusable": "whether {to} is known from a question of its own",
           "flooding": "whether {to} is known from a question of its own"}  # fmt: skip


def unsure(stop: Stop) -> str:
    """Say what is not known of something that may stop a packet."""
    text = _UNSURE.get(stop.code)
    return text.format_map(stop.words) if text else f"whether {sentence(stop)}"


def evidence(stop: Stop) -> str:
    """Give a command that shows what the reason says."""
    words = {"link": stop.link, **stop.words}
    return typed_in(stop.space, *SAID[stop.code][2].format_map(words).split())


def fix(stop: Stop) -> tuple[str, ...]:
    """Give the commands that mend it, none where nobody can know them."""
    found: list[str] = []
    for change in stop.mend:
        found += kinds.write(change)
    return (*found, stop.words["help"]) if "help" in stop.words else tuple(found)


class Stopped(Exception):
    """A packet goes no further."""

    def __init__(self, stop: Stop) -> None:
        """Say where and why."""
        super().__init__(stop.code)
        self.stop = stop
