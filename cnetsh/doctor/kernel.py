"""Traps in the target's kernel, settings and daemons: P07, P08, P14 to P19 and P23 to P25."""

import fnmatch
import re
from collections.abc import Iterator

from cnetsh.doctor.addresses import is_default, route_text
from cnetsh.doctor.finding import Case, Severity, Sign, few
from cnetsh.doctor.firewall import forwards
from cnetsh.kinds.name_server import HOME

IPV4, IPV6 = "/proc/sys/net/ipv4/conf", "/proc/sys/net/ipv6/conf"
TUNNELS = re.compile(r"(tun|wg|ppp|tailscale|zt|nordlynx|proton).*")
TUNNEL_KINDS = ("wireguard", "tun", "ppp", "ipsec", "xfrm")


def forwarding_family(case: Case) -> Iterator[Sign]:
    """P07: ip_forward is not one value; writing it sets a family of others."""
    if not case.asked.writes("/ipv4/ip_forward") or case.is_up:
        return
    if case.facts.setting("/proc/sys/net/ipv4/ip_forward") != "0":
        return
    redirects = f"{IPV4}/all/accept_redirects"
    kept = [redirects] if case.facts.setting(redirects) == "0" else []
    settings = case.facts.snapshot.settings.items()
    kept += [
        path
        for path, value in settings
        if path.startswith(IPV4) and path.endswith("/forwarding") and value == "1"
    ]
    if kept:
        lines = [f"{path} is {case.facts.setting(path)}" for path in kept]
        effect = "turning ip_forward on and off again sets these to the kernel's defaults"
        yield Sign("note", few(lines), effect, "nothing: cnetsh down puts back each of them")


def reverse_path(case: Case) -> Iterator[Sign]:
    """P08: strict reverse path filtering drops a packet that comes in by an unexpected link."""
    default, everywhere = (
        case.facts.setting(f"{IPV4}/{one}/rp_filter") for one in ("default", "all")
    )
    if "1" not in (default, everywhere) or "2" in (default, everywhere):
        return
    networks = [one.ip.network for one in case.asked.addresses if not one.netns]
    # Both ends in one namespace talk over lo, which is not filtered.
    hit = bool(case.asked.netns) and len(networks) != len(set(networks))
    evidence = (
        f"{IPV4}/all/rp_filter is {everywhere or 0}, default {default or 0}: the larger counts"
    )
    if case.plan is None:
        effect = "a lab whose answers come back by another link loses them"
    elif hit:
        effect = "two links share a network here: what comes in by the second one is dropped"
    else:
        effect = "no harm: in this lab every answer comes back by the link that the request left by"
    loose = "for a link LINK: echo 2 | tee /proc/sys/net/ipv4/conf/LINK/rp_filter"
    yield Sign("warn" if hit else "note", evidence, effect, loose)


def duplicate_detection(case: Case) -> Iterator[Sign]:
    """P14: a new IPv6 address is not usable until nobody has objected to it."""
    lines = [one.text for one in case.asked.addresses if one.ip.version == 6]
    waiting = [line for line in lines if not line.endswith(" nodad")]
    if waiting:
        effect = "the address is tentative for one to three seconds: a ping or bind fails at first"
        yield Sign("note", few(waiting), effect, "wait, or add the address with nodad")


def router_advertisements(case: Case) -> Iterator[Sign]:
    """P15: a host that forwards IPv6 no longer learns its default route from a router."""
    path = f"{IPV6}/all/forwarding"
    writes = case.asked.writes("/ipv6/conf/all/forwarding")
    if case.facts.setting(path) == "1" or not (writes or case.plan is None):
        return
    for route in case.facts.snapshot.routes:
        accept = f"{IPV6}/{route.get('dev')}/accept_ra"
        value = case.facts.setting(accept)
        if route.get("protocol") == "ra" and is_default(route) and value != "2":
            # With 0 the kernel did not make the route: a daemon did, and goes on doing so.
            severity: Severity = "warn" if value == "0" else "refuse"
            effect = "with forwarding on, the kernel forgets this route and ignores the router"
            evidence = f"{route_text(route)}\n{accept} is {value or 'unknown'}"
            advice = f"first: echo 2 | tee {accept}"
            yield Sign("note" if case.plan is None else severity, evidence, effect, advice)


def network_manager(case: Case) -> Iterator[Sign]:
    """P16: NetworkManager may configure new links; veth has been left alone since 1.20."""
    signs = [sign for sign in case.facts.signs if "NetworkManager" in sign]
    left = case.facts.unmanaged
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
    if case.facts.persistent_macs and case.asked.renumbered:
        effect = "whoever is later wins: the plan's MAC may be overwritten"
        advice = "give the MAC when the link is made: ip link add name NAME address MAC type bridge"
        yield Sign("note", few(case.asked.renumbered.values()), effect, advice)


def bridge_mac(case: Case) -> Iterator[Sign]:
    """P18: a bridge without a MAC of its own takes that of its ports, which come and go."""
    # A MAC that udev sets is one of its own for the bridge.
    free = (
        []
        if case.facts.persistent_macs
        else [n for n, fixed in case.asked.bridges.items() if not fixed]
    )
    if free:
        effect = "its MAC is the lowest of its ports: when one comes or goes, ARP entries are stale"
        advice = "for a bridge that stays: ip link add name NAME address MAC type bridge"
        yield Sign("note", few(case.asked.links["", name] for name in free), effect, advice)


def loopback(case: Case) -> Iterator[Sign]:
    """P19: lo starts down in a new namespace."""
    down = [name for name in case.asked.netns if name not in case.asked.looped]
    if down:
        effect = f"no container can ping its own address: {few(down, ', ')}"
        advice = f"ip netns exec {down[0]} ip link set lo up"
        yield Sign("note", "no command brings lo up in them", effect, advice)


def local_resolver(case: Case) -> Iterator[Sign]:
    """P23: a name server at 127.x is the host's; in a namespace that address is its own."""
    local = [server for server in case.facts.nameservers if server.startswith("127.")]
    known = case.facts.snapshot.folders.keys() | case.asked.folders.keys()
    inner = sorted(n for n in case.asked.routed if n and f"{HOME}/{n}" not in known)
    if local and case.on_host and (case.plan is None or (inner and forwards(case))):
        name = inner[0] if inner else "NAME"
        effect = "in a container ping 1.1.1.1 works and names do not"
        advice = f"dns: in a lab file, or a reachable name server in {HOME}/{name}/resolv.conf"
        severity: Severity = "note" if case.plan is None else "warn"
        yield Sign(severity, f"nameserver {local[0]} in /etc/resolv.conf", effect, advice)


def user_namespaces(case: Case) -> Iterator[Sign]:
    """P24: an ordinary user gets no namespaces, or root in a container lacks what a lab needs."""
    facts, refused = case.facts, []
    if facts.setting("/proc/sys/user/max_user_namespaces") == "0":
        refused.append("/proc/sys/user/max_user_namespaces is 0")
    # Who is inside a user namespace got one in spite of these.
    if facts.initial_user and facts.setting("/proc/sys/kernel/unprivileged_userns_clone") == "0":
        refused.append("/proc/sys/kernel/unprivileged_userns_clone is 0")
    apparmor = "/proc/sys/kernel/apparmor_restrict_unprivileged_userns"
    if facts.initial_user and facts.setting(apparmor) == "1":
        refused.append(f"{apparmor} is 1")
    if refused:
        effect = "no sandbox for an ordinary user here"
        advice = (
            "--on host as root in a virtual machine; plan and script run nothing and always work"
        )
        yield Sign("note" if case.on_host else "warn", "\n".join(refused), effect, advice)
    if facts.powers and (case.plan is not None or case.on_host):
        effect = "no link, namespace or rule can be made"
        advice = "sudo; a container needs these capabilities given from outside"
        severity: Severity = "warn" if case.plan is None else "lacks"
        yield Sign(severity, f"this process has no {' and no '.join(facts.powers)}", effect, advice)


def missing(case: Case) -> Iterator[Sign]:
    """P25: tools and parts of the kernel that the plan needs and this target has not."""
    for name, advice in case.facts.missing.items():
        needed = name in case.asked.tools
        if needed or case.plan is None or name == "ping":
            effect = "the plan cannot run" if needed else "labs or checks that need it cannot run"
            yield Sign(
                "lacks" if needed else "warn",
                f"{name} is in none of the system's folders",
                effect,
                advice,
            )
    for what, said in case.facts.lacking.items():
        effect = "the plan would fail in the middle"
        advice = "another kernel, or its module: modprobe; or a lab without it"
        yield Sign("lacks", f"{what}: {said}", effect, advice)
    yield from _limits(case)


def _limits(case: Case) -> Iterator[Sign]:
    limit = case.facts.setting("/proc/sys/user/max_net_namespaces")
    if limit.isdigit() and len(case.asked.netns) > int(limit):
        effect = f"the plan makes {len(case.asked.netns)} namespaces"
        advice = "fewer containers, or a higher limit"
        yield Sign("lacks", f"/proc/sys/user/max_net_namespaces is {limit}", effect, advice)
    off = [f"{IPV6}/{one}/disable_ipv6" for one in ("all", "default")]
    dead = [f"{path} is 1" for path in off if case.facts.setting(path) == "1"]
    here = [one.text for one in case.asked.addresses if one.ip.version == 6 and not one.netns]
    settings = case.facts.snapshot.settings
    if settings and not any(path.startswith(IPV6) for path in settings):
        dead = ["the kernel has no IPv6"]
        here = [one.text for one in case.asked.addresses if one.ip.version == 6]
    if dead and here:
        yield Sign(
            "lacks", "\n".join(dead), f"refused: {here[0]}", "turn IPv6 on, or a lab without it"
        )


def tunnel(case: Case) -> Iterator[Sign]:
    """P25: with a VPN as the way out, what leaves by `! -o br0` goes through it."""
    nat = any("MASQUERADE" in rule.words for rule in case.asked.rules)
    for route in case.facts.snapshot.routes:
        dev = str(route.get("dev", ""))
        kind = case.facts.snapshot.links.get(dev, {}).get("kind", "")
        if (
            is_default(route)
            and (kind in TUNNEL_KINDS or TUNNELS.fullmatch(dev))
            and dev not in case.ours
        ):
            effect = f"what the containers send to the Internet goes through {dev}"
            if nat or case.plan is None:
                severity: Severity = "warn" if nat else "note"
                yield Sign(severity, route_text(route), effect, "take the VPN down, or accept it")


def xtables_lock(case: Case) -> Iterator[Sign]:
    """P25: another process holds the lock that iptables-legacy takes."""
    if case.facts.xtables and case.asked.rules:
        effect = "iptables-legacy without -w fails while it is held"
        evidence = f"process {case.facts.xtables} holds /run/xtables.lock"
        yield Sign("warn", evidence, effect, "wait until it has ended")
