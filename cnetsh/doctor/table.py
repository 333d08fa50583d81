"""The table of traps: what goes wrong with container networks, and where that is known from.

P01 to P25 are those of the article's own commands. Each row ends with what cnetsh does about it
wherever it runs, whether doctor sees it or not.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from cnetsh.doctor import addresses, cut_off, firewall, kernel, names, outcome
from cnetsh.doctor.finding import Case, Sign


class Trap(NamedTuple):
    """One row: what doctor calls it, the search, the source, and what cnetsh does about it."""

    id: str
    title: str
    look: Callable[[Case], Iterable[Sign]]
    source: str
    done: str


TRAPS = (
    Trap("P01", "the host drops what it forwards", firewall.forward_drop,
         "moby #39439, #28257, #50566, #50646",
         "Topology labs bring rules of their own; no lab changes a policy."),
    Trap("P02", "frames inside a bridge pass iptables", firewall.bridged_frames,
         "kernel: Documentation/networking/bridge.rst",
         "Only explained: the setting belongs to the host."),
    Trap("P03", "the lab's network is in use already", addresses.overlap,
         "moby #21170; libnetwork #2001; mininet #437",
         "Refused on the host without --allow-overlap."),
    Trap("P04", "a network typed with host bits", addresses.host_bits,
         "iptables -S after iptables -A",
         "The article's text stays, and `down` finds the rule in either form."),
    Trap("P05", "iptables -A adds a rule twice", firewall.rule_there,
         "iptables(8); CNI plugins: AppendUnique",
         "A lab that is up is not run again; `down` deletes its own rule, by number if need be."),
    Trap("P06", "a rule and forwarding left behind", firewall.leftovers,
         "the article's own delete",
         "`down` undoes both, and compares the kernel with what it was before."),
    # P07, that ip_forward sets a family of others, is no mistake: down puts back all of them.
    Trap("P08", "strict reverse path filtering", kernel.reverse_path,
         "kernel: Documentation/networking/ip-sysctl.rst; systemd 230450d4",
         "Only explained: the setting belongs to the host."),
    Trap("P09", "rules in both back ends of iptables", firewall.two_back_ends,
         "iptables-wrappers README; cilium #28260; Kathara #215, #223",
         "Both are read and compared; cnetsh writes to the one that iptables is."),
    Trap("P10", "firewalld or ufw rewrites the rules", firewall.firewall_daemons,
         "firewalld #863, #1099, #1236; moby #15254, #49528",
         "`cnetsh check` shows what a reload has removed."),
    Trap("P11", "names of links have at most 15 bytes", names.long_names,
         "iproute2 lib/utils.c; mininet #1133",
         "Checked before anything is rendered."),
    Trap("P12", "ip netns exec also changes mounts", names.netns_files,
         "iproute2 lib/namespace.c; systemd #42461; podman #11887",
         "Plans run by setns alone, the shown command is the one to type."),
    Trap("P13", "a process keeps a namespace alive", names.kept_alive,
         "ip-netns(8); moby #48749; buildbuddy #7028",
         "`down` waits until the links are gone and names who holds them."),
    Trap("P14", "a new IPv6 address is tentative", kernel.duplicate_detection,
         "ip-address(8); CNI plugins #680, #695; moby #42830",
         "Labs add theirs with nodad where nobody could object, and checks wait."),
    Trap("P15", "forwarding IPv6 loses the default route", kernel.router_advertisements,
         "moby #43466; docker/for-linux #1373; CNI plugins #21",
         "Refused on the host as P28 is."),
    Trap("P16", "NetworkManager configures new links", kernel.network_manager,
         "cni #77; nmstate #484, #558; lxd #15766",
         "`cnetsh check` shows what it has changed."),
    Trap("P17", "udev sets a MAC of its own", kernel.udev_macs,
         "systemd #21185, #3374; lxd #11399",
         "Topology labs give the MAC in the command that makes the bridge."),
    Trap("P18", "a bridge's MAC follows its ports", kernel.bridge_mac, "netavark #833; lxc #604",
         "Topology labs give every bridge a MAC."),
    # P19, that lo is down in a new namespace, P30 tells where a check goes by it.
    Trap("P20", "neighbours that do not reach each other", outcome.unreachable_neighbours,
         "the article; ip route get",
         "The lab conflict shows it, with a check that must fail."),
    # P21 cannot happen, that a second command after ip netns exec runs outside: what would need a
    # shell is refused, so no line holds two commands (the article: ip netns exec net0 ip a; ip r).
    # P22, two prefix lengths within one network, is told by P20 and P30 where it does harm.
    Trap("P23", "the name server is the host's own", kernel.local_resolver, "ip-netns(8)",
         "Labs and checks need no names; dns in a lab file gives a container its own servers."),
    Trap("P24", "namespaces are refused", kernel.user_namespaces,
         "moby #47480; user_namespaces(7)",
         "The sandbox says why it cannot start; plan and script always work."),
    Trap("P25", "a tool or a part of the kernel is missing", kernel.unsupported,
         "CNI plugins #510",
         "Tried before the first step, where a plan needs it."),
    Trap("P25", "the way out is a VPN", kernel.tunnel, "ip route get 1.1.1.1",
         "Only explained: the route belongs to the host."),
    Trap("P25", "somebody holds the lock of iptables", kernel.xtables_lock,
         "CNI plugins #510; iptables(8)",
         "Generated topology rules wait for it (-w)."),
    # That sudo asks again in the middle of a plan cannot happen either: cnetsh becomes root once,
    # before the first step (amoffat/sh #714).
    Trap("P26", "a name is taken", names.name_taken, "ip-link(8), ip-netns(8): File exists",
         "Refused before anything runs; what is not the lab's is never touched."),
    Trap("P27", "something that the plan uses is not there", names.absent,
         "ip-link(8): Cannot find device",
         "Refused before anything runs."),
    Trap("P28", "the way to you, or to the Internet, is lost", cut_off.cut_off,
         "ip-route(8): get; kernel: Documentation/networking/ip-sysctl.rst",
         "Refused on the host without --allow-cut-off and --try."),
    Trap("P29", "a bridge of others is set by hand", kernel.pinned,
         "kernel: br_set_mac_address, br_change_mtu",
         "Told again when it is undone."),
    Trap("P30", "a check will not end as the plan has it", outcome.checks,
         "the model of forwarding: docs/architecture.md",
         "Said before, and by `check` and `why` afterwards, in the same words."),
    Trap("P31", "the kernel will refuse a step", outcome.refused,
         "the model of forwarding: docs/architecture.md",
         "The step fails then, and what was done is undone."),
)  # fmt: skip
