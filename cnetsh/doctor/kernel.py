"""Traps in the target's kernel, settings and daemons: P08, P14 to P18 and P23 to P25."""

import fnmatch
import re
from collections.abc import Iterator

from cnetsh.doctor.addresses import is_default, route_text
from cnetsh.doctor.finding import Case, Severity, Sign, few
from cnetsh.doctor.firewall import host_forwards
from cnetsh.kinds.name_server import HOME

_IPV4, _IPV6 = "/proc/sys/net/ipv4/conf", "/proc/sys/net/ipv6/conf"
# By its name where the kernel tells no kind: what a VPN calls its link.
TUNNELS = re.compile(r"(tun|wg|ppp|tailscale|zt|nordlynx|proton).*")
TUNNEL_KINDS = ("wireguard", "tun", "ppp", "ipsec", "xfrm")


def reverse_path(case: Case) -> Iterator[Sign]:
    """P08: strict reverse path filtering drops a packet that comes in by an unexpected link.

    Whether it meets a plan, the model of forwarding tells (P30).
    """
    default, everywhere = (
        case.seen.setting(f"{_IPV4}/{one}/rp_filter") for one in ("default", "all")
    )
    # 2 is loose, and the larger of the two counts.
    if case.plan or "1" not in (default, everywhere) or "2" in (default, everywhere):
        return
    values = f"rp_filter is {everywhere or 0}, default {default or 0}: the larger counts"
    effect = "a lab whose answers come back by another link loses them"
    loose = ("echo 2 | tee /proc/sys/net/ipv4/conf/LINK/rp_filter",)
    yield Sign("note", f"{_IPV4}/all/{values}", effect, "for a link LINK:", loose)


def duplicate_detection(case: Case) -> Iterator[Sign]:
    """P14: a new IPv6 address is not usable until nobody has objected to it."""
    lines = [one.text for one in case.asked.addresses if one.ip.version == 6]
    waiting = [line for line in lines if not line.endswith(" nodad")]
    if waiting:
        effect = "the address is tentative for one to three seconds: a ping or bind fails at first"
        yield Sign("note", few(waiting), effect, "wait, or add the address with nodad")


def router_advertisements(case: Case) -> Iterator[Sign]:
    """P15: a host that forwards IPv6 no longer learns its default route from a router."""
    wanted = case.plan is None or case.asked.turns_on("/ipv6/conf/all/forwarding")
    if not wanted or case.seen.setting(f"{_IPV6}/all/forwarding") == "1":
        return
    for to, facts in case.seen.all_of("route"):
        accept = f"{_IPV6}/{facts.get('dev')}/accept_ra"
        value = case.seen.setting(accept)
        if facts.get("proto") == "ra" and is_default(to) and value != "2":
            # With 0 the kernel did not make the route: a daemon did, and goes on doing so.
            severity: Severity = "warn" if value == "0" else "refuse"
            effect = "with forwarding on, the kernel forgets this route and ignores the router"
            evidence = f"{route_text(to, facts)}\n{accept} is {value or 'unknown'}"
            severity = "note" if case.plan is None else severity
            yield Sign(severity, evidence, effect, "first:", (f"echo 2 | tee {accept}",))


def network_manager(case: Case) -> Iterator[Sign]:
    """P16: NetworkManager may configure new links; veth has been left alone since 1.20."""
    signs = [sign for sign in case.seen.signs if "NetworkManager" in sign]
    left = case.seen.unmanaged
    bridges = [name for name in case.asked.bridges if not _unmanaged(name, left)]
    if signs and (bridges or case.plan is None or case.asked.own_links - {*case.asked.bridges}):
        effect = "it may ask for addresses on the lab's bridge, or take the lab's away"
        names = ";".join(f"interface-name:{name}" for name in bridges or ["br0"])
        advice = f"in /etc/NetworkManager/conf.d/cnetsh.conf: [keyfile] unmanaged-devices={names}"
        yield Sign("warn" if bridges else "note", "\n".join(sorted(signs)), effect, advice)


def _unmanaged(name: str, specs: tuple[str, ...]) -> bool:
    patterns = [spec.removeprefix("interface-name:").removeprefix("=") for spec in specs]
    everything = {"*", "type:bridge", "driver:bridge"} & {*specs}
    return bool(everything) or any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def udev_macs(case: Case) -> Iterator[Sign]:
    """P17: udev gives a new link a MAC of its own choice while the plan sets another."""
    if case.seen.persistent_macs and case.asked.renumbered:
        effect = "whoever is later wins: the plan's MAC may be overwritten"
        advice = "give the MAC when the link is made: ip link add name NAME address MAC type bridge"
        yield Sign("note", few(case.asked.renumbered.values()), effect, advice)


def bridge_mac(case: Case) -> Iterator[Sign]:
    """P18: a bridge without a MAC of its own takes that of its ports, which come and go."""
    free = [name for name, fixed in case.asked.bridges.items() if not fixed]
    # A MAC that udev sets is one of its own for the bridge.
    if free and not case.seen.persistent_macs:
        effect = "its MAC is the lowest of its ports: when one comes or goes, ARP entries are stale"
        advice = "for a bridge that stays: ip link add name NAME address MAC type bridge"
        yield Sign("note", few(case.asked.links["", name] for name in free), effect, advice)


def pinned(case: Case) -> Iterator[Sign]:
    """P29: a bridge of others gets a MAC address or an MTU by hand, which nothing takes back."""
    bridges = {name for name, facts in case.seen.all_of("link") if facts["kind"] == "bridge"}
    given = {**case.asked.renumbered, **case.asked.resized}
    lines = [given[name] for name in given if name in bridges - case.asked.own_links]
    if lines:
        effect = "the value is put back, but the bridge does not follow its ports any more"
        yield Sign("warn", few(lines), effect, "set it on the bridge's ports instead")


def local_resolver(case: Case) -> Iterator[Sign]:
    """P23: a name server at 127.x is the host's; in a namespace that address is its own."""
    local = [server for server in case.seen.nameservers if server.startswith("127.")]
    known = {path for path, _ in case.seen.all_of("folder")} | case.asked.folders.keys()
    inner = sorted(name for name in case.asked.routed if name and f"{HOME}/{name}" not in known)
    if local and case.on_host and (case.plan is None or (inner and host_forwards(case))):
        name = inner[0] if inner else "NAME"
        effect = "in a container ping 1.1.1.1 works and names do not"
        advice = f"dns: in a lab file, or a reachable name server in {HOME}/{name}/resolv.conf"
        severity: Severity = "note" if case.plan is None else "warn"
        yield Sign(severity, f"nameserver {local[0]} in /etc/resolv.conf", effect, advice)


def user_namespaces(case: Case) -> Iterator[Sign]:
    """P24: an ordinary user gets no namespaces, or root in a container lacks what a lab needs."""
    refusals = {"/proc/sys/user/max_user_namespaces": "0"}
    # Who is inside a user namespace got one in spite of these.
    if case.seen.initial_user:
        refusals["/proc/sys/kernel/unprivileged_userns_clone"] = "0"
        refusals["/proc/sys/kernel/apparmor_restrict_unprivileged_userns"] = "1"
    lines = [f"{path} is {no}" for path, no in refusals.items() if case.seen.setting(path) == no]
    if lines:
        effect = "no sandbox for an ordinary user here"
        works = "plan and script run nothing and always work"
        advice = f"--on host as root in a virtual machine; {works}"
        yield Sign("note" if case.on_host else "warn", "\n".join(lines), effect, advice)
    powers = " and no ".join(case.seen.powers)
    if powers and (case.plan is not None or case.on_host):
        effect = "no link, namespace or rule can be made"
        advice = "sudo; a container needs these capabilities given from outside"
        severity: Severity = "warn" if case.plan is None else "lacks"
        yield Sign(severity, f"this process has no {powers}", effect, advice)


def unsupported(case: Case) -> Iterator[Sign]:
    """P25: tools and parts of the kernel that the plan needs and this target has not."""
    for name, advice in case.seen.missing.items():
        evidence = f"{name} is in none of the system's folders"
        if name in case.asked.tools:
            yield Sign("lacks", evidence, "the plan cannot run", advice)
        elif case.plan is None or name == "ping":
            yield Sign("warn", evidence, "labs or checks that need it cannot run", advice)
    for what, said in case.seen.lacking.items():
        advice = "another kernel, or its module: modprobe; or a lab without it"
        yield Sign("lacks", f"{what}: {said}", "the plan would fail in the middle", advice)
    limit = case.seen.setting("/proc/sys/user/max_net_namespaces")
    if limit.isdigit() and len(case.asked.netns) > int(limit):
        evidence = f"/proc/sys/user/max_net_namespaces is {limit}"
        effect = f"the plan makes {len(case.asked.netns)} namespaces"
        yield Sign("lacks", evidence, effect, "fewer containers, or a higher limit")
    yield from _without_ipv6(case)


def _without_ipv6(case: Case) -> Iterator[Sign]:
    paths = [f"{_IPV6}/{one}/disable_ipv6" for one in ("all", "default")]
    off = [f"{path} is 1" for path in paths if case.seen.setting(path) == "1"]
    asked = [one for one in case.asked.addresses if one.ip.version == 6]
    # What is off here is on again in a new namespace, but for a kernel that has none at all.
    refused = [one.text for one in asked if not one.netns]
    settings = [path for path, _ in case.seen.all_of("setting")]
    if settings and not any(path.startswith(_IPV6) for path in settings):
        off, refused = ["the kernel has no IPv6"], [one.text for one in asked]
    if off and refused:
        advice = "turn IPv6 on, or a lab without it"
        yield Sign("lacks", "\n".join(off), f"refused: {refused[0]}", advice)


def tunnel(case: Case) -> Iterator[Sign]:
    """P25: with a VPN as the way out, what leaves by `! -o br0` goes through it."""
    nat = any("MASQUERADE" in rule.words for rule in case.asked.rules)
    kinds = {name: facts["kind"] for name, facts in case.seen.all_of("link")}
    for to, facts in case.seen.all_of("route") if nat or case.plan is None else ():
        dev = facts.get("dev", "")
        is_tunnel = kinds.get(dev) in TUNNEL_KINDS or TUNNELS.fullmatch(dev)
        if is_default(to) and is_tunnel and dev not in case.ours:
            effect = f"what the containers send to the Internet goes through {dev}"
            severity: Severity = "warn" if nat else "note"
            yield Sign(severity, route_text(to, facts), effect, "take the VPN down, or accept it")


def xtables_lock(case: Case) -> Iterator[Sign]:
    """P25: another process holds the lock that iptables-legacy takes."""
    if case.seen.xtables and case.asked.rules:
        effect = "iptables-legacy without -w fails while it is held"
        evidence = f"process {case.seen.xtables} holds /run/xtables.lock"
        yield Sign("warn", evidence, effect, "wait until it has ended")
