"""Network settings of the kernel, /proc/sys/net/…, of which there is always one value."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from cnetsh.kinds.change import (
    Answers,
    Change,
    Changes,
    Command,
    Fact,
    Facts,
    Found,
    Reach,
    Ref,
    Seen,
    Set,
    State,
    placed,
)
from cnetsh.names import nearest

TOOLS = ("tee",)
SAMPLES = (
    "echo 1 | tee /proc/sys/net/ipv4/ip_forward",
    "echo 1 | tee /proc/sys/net/ipv4/conf/p0/proxy_arp",
)
ROOT = "/proc/sys/net/"
# Of addr_gen_mode: the kernel makes no address of a MAC address.
NO_LOCALS = "1"
# What ip-sysctl.rst says of values; of those above the kernel refuses some, and reads others as
# what they are not.
_RANGES = {
    name: (low, high)
    for (low, high), names in {
        (0, 1): "ip_forward forwarding proxy_arp accept_redirects send_redirects secure_redirects"
        " shared_media log_martians route_localnet accept_local arp_filter arp_notify"
        " promote_secondaries disable_ipv6 autoconf proxy_ndp icmp_echo_ignore_all"
        " icmp_echo_ignore_broadcasts bridge-nf-call-iptables bridge-nf-call-ip6tables"
        " bridge-nf-call-arptables",
        (0, 2): "rp_filter arp_announce arp_accept accept_ra",
        (0, 3): "addr_gen_mode",
        (0, 8): "arp_ignore",
        (1, 255): "ip_default_ttl hop_limit",
    }.items()
    for name in names.split()
}
_NUMBER = re.compile(r"0|-?[1-9]\d*", re.ASCII)
_OF_A_NUMBER = re.compile(r"/(conf|neigh)/[^/]+/(?!stable_secret$)[^/]+$")
_SYSCTL = re.compile(r"(?:-\w+ )*(net\.[\w./-]+) ?= ?([\w.:,-]+(?: [\w.:,-]+)*)")
_DERIVED = re.compile(
    r"/conf/[^/]+/mtu$|/neigh/[^/]+/(base_reachable_time|retrans_time)$|/stable_secret$"
    r"|/tcp_fastopen_key$|/mc_forwarding$|_congestion_control$|/fib_multipath_hash_seed$"
)


def read(command: Command) -> Changes | None:
    """Give what a command writes to a setting, None if it is none of the network's."""
    match command.words:
        case ("tee", path) if is_setting(path) and command.given:
            ref = Ref("setting", command.netns, path)
            return (Set(ref, "value", " ".join(command.given.split()), link_of(ref)),)
    return None


def spelled(command: Command) -> str:
    """Give the spelling of a `sysctl -w net.…=VALUE` that is accepted."""
    match command.words:
        case ("sysctl", *words) if found := _SYSCTL.fullmatch(" ".join(words)):
            return f"echo {found[2]} | tee /proc/sys/{found[1].replace('.', '/')}"
    return ""


def is_setting(path: str) -> bool:
    """Say whether a path is a network setting of the kernel, /proc/sys/net/…, with no way out."""
    return path.startswith(ROOT) and ".." not in path and "//" not in path


def unfit(path: str, value: str) -> str:
    """Say what a setting wants instead of a value, "" where it fits or only the kernel can say."""
    ends = _RANGES.get(path.rpartition("/")[2])
    if not ends:
        # The kernel takes 010 for 8, and of two numbers the first.
        fits = _NUMBER.fullmatch(value) or not _OF_A_NUMBER.search(path)
        return "" if fits else "a whole number"
    if _NUMBER.fullmatch(value) and ends[0] <= int(value) <= ends[1]:
        return ""
    return "0 or 1" if ends == (0, 1) else f"a whole number from {ends[0]} to {ends[1]}"


def nearest_setting(path: Path) -> str:
    """Give the name of the setting that was probably meant by one that this kernel has not."""
    # A link that a plan makes has the settings of default.
    folder = path.parent if path.parent.is_dir() else path.parent.parent / "default"
    known = [one.name for one in folder.iterdir()] if folder.is_dir() else []
    return "" if path.name in known else nearest(path.name, known)


def write(change: Change, typed: Command | None = None) -> tuple[str, ...]:
    """Give the command that does a change."""
    assert isinstance(change, Set)
    value = change.value or "''"
    return (placed(change.ref.netns, f"echo {value} | tee {change.ref.name}"),)


def inverse(change: Change) -> Change | None:
    """Give what undoes a change of which nobody noted the value before: a switch is turned."""
    assert isinstance(change, Set)
    return change._replace(value="1" if change.value == "0" else "0")


def link_of(ref: Ref) -> Ref | None:
    """Give the link whose setting it is: /proc/sys/net/ipv4/conf/LINK/… goes with the link."""
    # all and default are no links: what is written there stays when every link has gone.
    match ref.name.removeprefix(ROOT).split("/"):
        case (_, "conf" | "neigh", link, _) if link not in ("all", "default"):
            return Ref("link", ref.netns, link)
    return None


def default_of(ref: Ref) -> Ref:
    """Give the setting that one of a link follows until it is set by hand, itself if none."""
    return born_as(ref) if ref.name.startswith(f"{ROOT}ipv4/conf/") else ref


def born_as(ref: Ref) -> Ref:
    """Give the setting that one of a link begins with, itself if none (addrconf_add_dev)."""
    if ref.kind != "setting" or not link_of(ref):
        return ref
    place, _, name = ref.name.rsplit("/", 2)
    return ref._replace(name=f"{place}/default/{name}")


def all_of(ref: Ref) -> Ref:
    """Give the setting of all that sets one of a link, itself if none (addrconf_disable_ipv6)."""
    place, _, name = ref.name.rpartition("/")
    sets = name in ("disable_ipv6", "forwarding") and place.startswith(f"{ROOT}ipv6/conf/")
    return ref._replace(name=f"{ROOT}ipv6/conf/all/{name}") if sets else ref


def family(path: str) -> tuple[str, str]:
    """Give the version of IP that a setting is of, and its name: ipv4 and rp_filter."""
    version, *_, name = path.removeprefix(ROOT).split("/")
    return version, name


def forwards(path: str) -> bool:
    """Say whether a setting sets the forwarding of every interface."""
    return path.endswith(("/ip_forward", "/conf/all/forwarding"))


def is_of_all(path: str) -> bool:
    """Say whether a setting is that of the whole namespace."""
    return path.endswith("/ip_forward") or "/all/" in path


def reach(change: Change, before: State) -> Iterator[Reach]:
    """Give what a setting sets besides itself (ip-sysctl.rst; measured).

    One of all or default sets that of the links; ip_forward every interface's forwarding, and turns
    accept_redirects; disable_ipv6 takes all of IPv6 away, addr_gen_mode the addresses made by it.
    """
    ref = change.ref
    (version, name), link = family(ref.name), link_of(ref)
    names = ("ip_forward", "forwarding", "accept_redirects") if forwards(ref.name) else ()
    for one in names or (() if link else (name,)):
        yield "setting", version, one
    if name in ("disable_ipv6", "addr_gen_mode"):
        at = link.name if link else ""
        yield "six" if name == "disable_ipv6" else "local", ref.netns, at
        yield "local", ref.netns, at


def places(fact: Fact, value: Any) -> Iterator[Reach]:
    """Give what sets a setting besides: its family, its link."""
    version, name = family(fact.ref.name)
    yield "setting", version, name
    if version == "ipv6" and (link := link_of(fact.ref)):
        yield "settings", link.netns, link.name


def reached(change: Change) -> Iterator[str]:
    """Give the settings that a change sets besides its own, as far as there are some now."""
    if isinstance(change, Set) and change.ref.kind == "setting" and not change.ref.netns:
        for _, version, name in reach(change, {}):
            yield from map(str, Path(ROOT, version, "conf").glob(f"*/{name}"))


def dotted(path: str) -> str:
    """Give a path below /proc/sys/net as sysctl(8) has it."""
    return "net." + path.replace("/", ".")


def of_six(links: Iterable[str]) -> Iterator[str]:
    """Give the settings of IPv6 that links have now: below an MTU of 1280 all of it goes."""
    for link in links:
        for place in ("ipv6/conf", "ipv6/neigh"):
            yield from map(str, Path(ROOT, place, link).glob("*"))


def derived(fact: Fact, found: Found) -> bool:
    """Say whether a setting changes by itself: keys made on first use, what follows the MTU."""
    return bool(_DERIVED.search(fact.ref.name))


def see(answers: Answers, netns: str) -> Seen:
    """Give the values that could be read, words apart by one space."""
    for path, value in answers.settings.items():
        yield Ref("setting", netns, path), {"value": " ".join(value.split())}


EXPLAINED = "A setting of the kernel, by its path under /proc/sys."


def explain(ref: Ref, facts: Facts) -> str:
    """Say what forwarding means, of others nothing."""
    if not forwards(ref.name):
        return ""
    return (
        "packets for others are passed on"
        if facts["value"] == "1"
        else "packets for others are dropped"
    )
