"""A state that was seen, made into what forwards packets."""

import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from cnetsh.forwarding.netfilter import take_rule
from cnetsh.forwarding.network import (
    DEFAULTS,
    LOCAL,
    MAIN,
    Address,
    Link,
    Netns,
    Network,
    Prefix,
    Route,
    address,
    below_net,
    interface,
    plug,
    prefix,
    put_on,
)
from cnetsh.kinds.change import NOTHING, Facts, Ref, State

# What the model asks of a link's settings, by their folder; only these are read.
OF_LINKS = {
    "ipv4/conf": ("forwarding", "rp_filter", "arp_ignore", "arp_filter", "arp_announce",
                  "proxy_arp", "accept_local"),
    "ipv6/conf": ("forwarding", "disable_ipv6", "hop_limit"),
    "ipv4/neigh": ("mcast_solicit",),
    "ipv6/neigh": ("mcast_solicit",),
}  # fmt: skip
OF_ALL = (
    "ipv4/ip_default_ttl",
    "ipv4/icmp_echo_ignore_all",
    "ipv6/icmp/echo_ignore_all",
    "bridge/bridge-nf-call-iptables",
    "bridge/bridge-nf-call-ip6tables",
)
# Of a port, and of a bridge: what nobody has turned, and what is not kept.
PLAIN: Facts = {
    "hairpin": False, "isolated": False, "learning": True, "flood": True, "bcast_flood": True,
    "neigh_suppress": False, "locked": False, "vlan_filtering": 0, "state": "forwarding",
    "stp_state": 0, "mcast_flood": True, "nf_call_iptables": 0, "nf_call_ip6tables": 0,
}  # fmt: skip
WAITED = 1.0  # seconds, by ping -W1 and by what why sends
_DELAY = re.compile(r"\bdelay (([\d.]+)(m?)s)")
# Of these tables the kernel alone is the author.
_KERNELS = frozenset({"local", "broadcast", "multicast", "anycast"})


def network_of(state: State, fresh: Mapping[str, str] = NOTHING) -> Network:
    """Give what forwards packets in a state. fresh: settings of a new namespace, by path."""
    found = Network(fresh={below_net(path): value for path, value in fresh.items()})
    for name in {"": None} | {ref.netns: None for ref in state if ref.kind == "link"}:
        found.spaces[name] = Netns(name)
    in_order = sorted(state.items(), key=lambda one: one[1][0].get("ifindex", 0))
    for ref, several in in_order:
        if ref.kind == "link":
            found.spaces[ref.netns].links[ref.name] = _link(ref, several[0])
    for space in found.spaces.values():
        space.links.setdefault("lo", Link(space.name, "lo", "lo", mtu=65536))
    for ref, several in in_order:
        if ref.kind == "link":
            _join(found, ref, several[0])
    # Of all that was seen, only rules have a place.
    rest = [(ref, facts) for ref, several in state.items() for facts in several]
    for ref, facts in sorted(rest, key=lambda one: one[1].get("at", 0)):
        if ref.netns in found.spaces:
            _know(found.spaces[ref.netns], ref, facts)
    for space in found.spaces.values():
        own = {one.ip for one, _ in space.addresses}
        # Through one's own address means: on the wire (fib_check_nh, RT_SCOPE_HOST).
        for route in space.routes:
            route.via = None if route.via in own else route.via
        if any(map(partial(_begins_otherwise, space.policy or ()), (4, 6))):
            space.dark = space.dark or "ip rule without its rule 0"
    return found


def _begins_otherwise(policy: Sequence[Facts], version: int) -> bool:
    """Say whether own addresses are not looked for first, as they are by rule 0 (ip-rule(8))."""
    rules = [rule for rule in policy if (rule.get("family") == 6) == (version == 6)]
    first = {(rule.get("priority"), rule.get("table")) for rule in rules}
    return bool(rules) and (0, LOCAL) not in first


def new_machine(fresh: Mapping[str, str]) -> Network:
    """Give a machine with nothing in it, as a sandbox begins. fresh: as above."""
    network = Network(fresh={below_net(path): value for path, value in fresh.items()})
    network.add("")
    return network


def _link(ref: Ref, facts: Facts) -> Link:
    link = Link(ref.netns, ref.name, "lo" if ref.name == "lo" else facts.get("kind", ""))
    link.up, link.mtu = bool(facts.get("up")), facts.get("mtu") or link.mtu
    link.mac, link.made = facts.get("address") or "", facts
    # A dummy does none by itself, and there is nobody to do it with.
    link.arp = facts.get("arp", True) or link.kind == "dummy"
    link.far_seen = link.kind in ("lo", "bridge", "dummy") or "peer" in facts
    return link


def _join(network: Network, ref: Ref, facts: Facts) -> None:
    links = network.spaces[ref.netns].links
    link, far, under = links[ref.name], facts.get("peer"), facts.get("on")
    if far and far.netns in network.spaces:
        link.peer = network.spaces[far.netns].links.get(far.name)
    elif under and under.netns in network.spaces:
        link.far_seen = True
        put_on(link, network.spaces[under.netns].links[under.name])
    if facts.get("master") in links:
        plug(link, links[facts["master"]])
    link.options = {key: facts[key] for key, plain in PLAIN.items()
                    if facts.get(key, plain) != plain}  # fmt: skip


def _know(space: Netns, ref: Ref, facts: Facts) -> None:
    """Take an object of a namespace that is no link."""
    match ref.kind:
        case "address":
            _have(space.links[facts["dev"]], ref.name, facts)
        case "route" if (facts.get("type"), facts.get("table")) == (LOCAL, LOCAL):
            space.given += [] if facts.get("proto") == "kernel" else [_to(ref.name, None, facts)]
        # What is asked here has no TOS.
        case "route" if not (facts.get("type") in _KERNELS or facts.get("table") == LOCAL
                             or "tos" in facts):  # fmt: skip
            space.routes += [route_of(space, ref.name, facts)]
        case "neighbour" if "lladdr" in facts:
            link = space.links[facts["dev"]]
            # What asks nobody has all its neighbours at its own address (arp_constructor).
            if "state" not in facts or facts["lladdr"] != link.mac:
                link.neighbours[address(ref.name)] = facts["lladdr"]
        case "neighbour" if ":" not in ref.name:
            space.links[facts["dev"]].proxied.add(address(ref.name))
        case "neighbour":
            space.dark = space.dark or f"a proxy for {ref.name} on {facts['dev']}"
        case "fdb" if facts.get("by") == "master" and facts["dev"] in space.links:
            bridge = space.links[facts["dev"]].master
            if bridge:
                bridge.fdb[ref.name] = facts["dev"]
        case "setting":
            space.settings[below_net(ref.name)] = facts["value"]
        case "queue":
            take_queue(space.links[facts["dev"]], facts)
        case "policy":
            space.policy = [*(space.policy or ()), facts]
        case "rule" | "chain":
            take_rule(space, ref, facts)
        case "table":
            space.dark = space.dark or f"the table {ref.name}, which could not be read"


def _have(link: Link, text: str, facts: Facts) -> None:
    one = interface(text)
    taken = facts.get("unusable")
    # With a carrier the kernel knows in a second whether there is another.
    if taken or (taken is False and not link.made.get("carrier")):
        link.unusable[one.ip] = text, taken
    if facts.get("left", ("", ""))[1] == 0:
        link.old.add(one.ip)
    if one.version == 6 and one.ip.is_link_local:
        link.local.append(one.ip)
    else:
        link.addresses.append(one)


def route_of(space: Netns, name: str, facts: Facts) -> Route:
    """Give a route from what is said of it; one to several next hops has none that is known."""
    via = facts.get("via")
    hop = address(str(via).split()[-1]) if via else None
    link = space.links.get(facts.get("dev", ""))
    kind = "several" if facts.get("next") else facts.get("type", "unicast")
    source, metrics = facts.get("src"), facts.get("metrics", NOTHING)
    return Route(_to(name, hop, facts), link, hop, int(facts.get("metric") or 0), type=kind,
                 source=address(source) if source else None, table=str(facts.get("table", MAIN)),
                 connected=facts.get("proto") == "kernel", advertised=facts.get("proto") == "ra",
                 name=name, mtu=int(metrics.get("mtu", 0)), hops=int(metrics.get("hoplimit", 0)),
                 ways=tuple(one["dev"] for one in facts.get("next", ())))  # fmt: skip


def _to(name: str, via: Address | None, facts: Facts) -> Prefix:
    if name != "default":
        return prefix(name)
    # Only routes of IPv6 have a preference (RFC 4191).
    return DEFAULTS[via.version if via else 6 if "pref" in facts else 4]


def take_queue(link: Link, facts: Facts) -> None:
    """Note a queue that may drop what it gets (tc-netem(8): loss, delay; tc-tbf(8): limit)."""
    words: Any = facts.get("typed") or str(facts.get("said", "")).split()
    if delay := _DELAY.search(" ".join(words)):
        time, number, thousandth = delay.groups()
        link.slow = time if float(number) >= WAITED * (1000 if thousandth else 1) else ""
    if facts.get("kind") not in ("tbf", "netem") or {"loss", "corrupt", "limit"} & {*words}:
        # A netem that was seen always has its limit, of a thousand packets when nobody said one.
        plain = facts.get("kind") == "netem" and not {"loss", "corrupt"} & {*words}
        link.queue = "" if plain else str(facts.get("kind"))
