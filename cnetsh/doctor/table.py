"""The table of traps: what goes wrong with container networks, and where that is known from.

P01 to P25 are those of the article's own commands; each has its answer, here or in cnetsh itself.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from cnetsh.doctor import addresses, firewall, kernel, names
from cnetsh.doctor.finding import Case, Sign


def _never(case: Case) -> Iterable[Sign]:
    """Cannot happen: the answer is built in."""
    return ()


class Trap(NamedTuple):
    """One row: what cnetsh does about it wherever it runs, the source, and the search."""

    id: str
    title: str
    answer: str
    source: str
    look: Callable[[Case], Iterable[Sign]]


TRAPS = (
    Trap(
        "P01", "the host drops what it forwards",
        "topology labs bring rules of their own; no lab changes a policy",
        "moby #39439, #28257, #50566, #50646", firewall.forward_drop,
    ),
    Trap(
        "P02", "frames inside a bridge pass iptables",
        "only explained: the setting belongs to the host",
        "kernel: Documentation/networking/bridge.rst", firewall.bridged_frames,
    ),
    Trap(
        "P03", "the lab's network is in use already",
        "refused on the host without --allow-overlap",
        "moby #21170; libnetwork #2001; mininet #437", addresses.overlap,
    ),
    Trap(
        "P04", "a network typed with host bits",
        "the article's text stays, and down finds the rule in either form",
        "iptables -S after iptables -A", addresses.host_bits,
    ),
    Trap(
        "P05", "iptables -A adds a rule twice",
        "a lab that is up is not run again, and down deletes its own rule, by number if need be",
        "iptables(8); CNI plugins: AppendUnique", firewall.rule_there,
    ),
    Trap(
        "P06", "a rule and forwarding left behind",
        "down undoes both, and compares the kernel with what it was before",
        "the article's own delete", firewall.leftovers,
    ),
    Trap(
        "P07", "ip_forward is a family of settings",
        "all of them are recorded before and put back",
        "kernel: Documentation/networking/ip-sysctl.rst; moby #12990, #47966",
        kernel.forwarding_family,
    ),
    Trap(
        "P08", "strict reverse path filtering",
        "only explained: the setting belongs to the host",
        "kernel: Documentation/networking/ip-sysctl.rst; systemd 230450d4",
        kernel.reverse_path,
    ),
    Trap(
        "P09", "rules in both back ends of iptables",
        "both are read and compared; cnetsh writes to the one that iptables is",
        "iptables-wrappers README; cilium #28260; Kathara #215, #223",
        firewall.two_back_ends,
    ),
    Trap(
        "P10", "firewalld or ufw rewrites the rules",
        "cnetsh check shows what a reload has removed",
        "firewalld #863, #1099, #1236; moby #15254, #49528", firewall.firewall_daemons,
    ),
    Trap(
        "P11", "names of links have at most 15 bytes",
        "checked before anything is rendered",
        "iproute2 lib/utils.c; mininet #1133", names.long_names,
    ),
    Trap(
        "P12", "ip netns exec also changes mounts",
        "plans run by setns alone, the shown command is the one to type",
        "iproute2 lib/namespace.c; systemd #42461; podman #11887", names.netns_files,
    ),
    Trap(
        "P13", "a process keeps a namespace alive",
        "down waits until the links are gone and names who holds them",
        "ip-netns(8); moby #48749; buildbuddy #7028", names.inside,
    ),
    Trap(
        "P14", "a new IPv6 address is tentative",
        "labs add theirs with nodad where nobody could object, and checks wait",
        "ip-address(8); CNI plugins #680, #695; moby #42830", kernel.duplicate_detection,
    ),
    Trap(
        "P15", "forwarding IPv6 loses the default route",
        "refused on the host without --allow-overlap",
        "moby #43466; docker/for-linux #1373; CNI plugins #21",
        kernel.router_advertisements,
    ),
    Trap(
        "P16", "NetworkManager configures new links",
        "cnetsh check shows what it has changed",
        "cni #77; nmstate #484, #558; lxd #15766", kernel.network_manager,
    ),
    Trap(
        "P17", "udev sets a MAC of its own",
        "topology labs give the MAC in the command that makes the bridge",
        "systemd #21185, #3374; lxd #11399", kernel.udev_macs,
    ),
    Trap(
        "P18", "a bridge's MAC follows its ports",
        "topology labs give every bridge a MAC",
        "netavark #833; lxc #604", kernel.bridge_mac,
    ),
    Trap(
        "P19", "lo is down in a new namespace",
        "a note where a lab leaves it so, as the article does",
        "measured: ping to oneself 100 % lost, then 0 %", kernel.loopback,
    ),
    Trap(
        "P20", "two links in one network",
        "the lab conflict shows it, with a check that must fail",
        "the article; ip route get", addresses.same_network_twice,
    ),
    Trap(
        "P21", "a second command after ip netns exec runs outside",
        "what would need a shell is refused, so no line holds two commands",
        "the article: ip netns exec net0 ip a; echo; ip r", _never,
    ),
    Trap(
        "P22", "prefix lengths mixed within one network",
        "labs count their addresses in one network, and down goes on past a failure",
        "the article's scripts 2 and 4", addresses.prefix_lengths,
    ),
    Trap(
        "P23", "the name server is the host's own",
        "labs and checks need no names; dns in a lab file gives a container its own servers",
        "ip-netns(8)", kernel.local_resolver,
    ),
    Trap(
        "P24", "namespaces are refused",
        "the sandbox says why it cannot start; plan and script always work",
        "moby #47480; user_namespaces(7)", kernel.user_namespaces,
    ),
    Trap(
        "P25", "a tool or a part of the kernel is missing",
        "tried before the first step, where a plan needs it",
        "CNI plugins #510", kernel.missing,
    ),
    Trap(
        "P25", "the way out is a VPN",
        "only explained: the route belongs to the host",
        "ip route get 1.1.1.1", kernel.tunnel,
    ),
    Trap(
        "P25", "somebody holds the lock of iptables",
        "generated topology rules wait for it (-w)",
        "CNI plugins #510; iptables(8)", kernel.xtables_lock,
    ),
    Trap(
        "P25", "sudo asks again in the middle of a plan",
        "cnetsh becomes root once, before the first step",
        "amoffat/sh #714", _never,
    ),
    Trap(
        "P26", "a name is taken",
        "refused before anything runs; what is not the lab's is never touched",
        "ip-link(8), ip-netns(8): File exists", names.taken,
    ),
    Trap(
        "P27", "something that the plan uses is not there",
        "refused before anything runs",
        "ip-link(8): Cannot find device", names.absent,
    ),
)  # fmt: skip
