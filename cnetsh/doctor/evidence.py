"""What doctor looks at besides the plan. All of it is only read; few processes are started."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from cnetsh.compare.kernel import readable
from cnetsh.doctor import machine
from cnetsh.doctor.asked import Requirements, requirements_of
from cnetsh.doctor.probe import lacking
from cnetsh.errors import CnetshError
from cnetsh.kinds.change import Facts, Ref, State
from cnetsh.plan.steps import Plan
from cnetsh.system import processes
from cnetsh.system.process import Run, real, tool

SETTINGS = (
    "/proc/sys/net/bridge/bridge-nf-call-iptables",
    "/proc/sys/net/bridge/bridge-nf-call-ip6tables",
    "/proc/sys/user/max_user_namespaces",
    "/proc/sys/user/max_net_namespaces",
    "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
    "/proc/sys/kernel/unprivileged_userns_clone",
)
# ping too, which no plan needs: without it no check can be made.
TOOLS = ("ip", "iptables", "ip6tables", "tc", "ping")


class BaseChain(NamedTuple):
    """A chain of nftables that the kernel enters by itself."""

    table: str
    name: str
    hook: str
    policy: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is so in the target; the default of each says nothing unusual."""

    now: State = field(default_factory=dict)  # what is there
    labs: frozenset[str] = frozenset()  # those with a journal here
    settings: Mapping[str, str] = field(default_factory=dict)  # more values by path
    signs: frozenset[str] = frozenset()  # paths that exist
    backend: str = ""  # what `iptables` is, nft or legacy
    other_rules: tuple[str, ...] = ()  # nft ones beside the legacy
    chains: tuple[BaseChain, ...] = ()
    nft_tables: frozenset[str] = frozenset()
    nameservers: tuple[str, ...] = ()
    ssh: machine.SshSession | None = None
    unmanaged: tuple[str, ...] = ()  # what NetworkManager leaves alone
    persistent_macs: bool = False
    initial_user: bool = True
    inside: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # processes by namespace
    missing: Mapping[str, str] = field(default_factory=dict)  # tools, and what to do
    lacking: Mapping[str, str] = field(default_factory=dict)  # what the kernel refused, and how
    powers: tuple[str, ...] = ()  # what root may not do here
    xtables: str = ""  # who holds that lock
    neighbours: tuple[tuple[str, str, str], ...] = ()  # address, MAC, link
    asked: Requirements | None = None  # what the plan wants

    def setting(self, path: str) -> str:
        """Give the value of a kernel setting by its path, "" where there is none."""
        known = self.now.get(Ref("setting", "", path), [{"value": ""}])[0]["value"]
        return self.settings.get(path, str(known))

    def all_of(self, kind: str) -> Iterator[tuple[str, Facts]]:
        """Give the objects of a kind in the target's own namespace: name and facts."""
        of_kind = (ref for ref in self.now if ref.kind == kind)
        return ((ref.name, facts) for ref in of_kind for facts in self.now[ref])

    def state(self) -> tuple[State, list[Facts]]:
        """Give what is in the target's own namespace as one state, and its rules of `ip rule`."""
        state = dict(self.now)
        for path, value in self.settings.items():
            state[Ref("setting", "", path)] = [{"value": value}]
        for address, mac, link in self.neighbours:
            ref = Ref("neighbour", "", address)
            if Ref("link", "", link) in state:
                state[ref] = [*state.get(ref, ()), {"dev": link, "lladdr": mac}]
        return state, [
            facts for ref, some in state.items() if ref.kind == "policy" for facts in some
        ]


def gather(run: Run, now: State, plan: Plan | None = None) -> Evidence:
    """Read the target that this process is in; with a plan, what that needs of the kernel, too.

    Raises CnetshError for a plan with an address that is none.
    """
    tables, chains = nftables(run)
    backend, asked = _backend(), requirements_of(plan) if plan else None
    return Evidence(
        now=now,
        labs=machine.journaled_labs(),
        settings=readable([*SETTINGS, *_of_the_way_out(now)]),
        signs=machine.signs(),
        backend=backend,
        other_rules=_other_rules(run, backend),
        chains=chains,
        nft_tables=tables,
        nameservers=tuple(machine.nameservers()),
        ssh=machine.ssh_session(),
        neighbours=tuple(machine.arp_entries()),
        unmanaged=tuple(machine.unmanaged()),
        persistent_macs=machine.persistent_macs(),
        initial_user=machine.initial_user(),
        inside=_inside(now),
        missing=dict(_missing()),
        lacking=lacking(run, asked, now) if asked else {},
        powers=machine.powers(),
        xtables=machine.xtables(),
        asked=asked,
    )


def _of_the_way_out(now: State) -> Iterator[str]:
    for facts in now.get(Ref("route", "", "default"), ()):
        yield f"/proc/sys/net/ipv6/conf/{facts.get('dev')}/accept_ra"
        yield f"/proc/sys/net/ipv4/conf/{facts.get('dev')}/rp_filter"


def _backend() -> str:
    """Give what `iptables` is here, nft or legacy, by the program that its name leads to."""
    with contextlib.suppress(CnetshError):
        return "nft" if "nft" in real("iptables").rpartition("/")[2] else "legacy"
    return ""


def _other_rules(run: Run, backend: str) -> tuple[str, ...]:
    """Give the nft rules where `iptables` is the legacy one; `take` has the opposite case."""
    with contextlib.suppress(CnetshError):
        text = run(("iptables-nft-save",)).stdout if backend == "legacy" else ""
        return tuple(line for line in text.split("\n") if line.startswith("-A"))
    return ()


def nftables(run: Run) -> tuple[frozenset[str], tuple[BaseChain, ...]]:
    """Give the tables of nftables, and the chains that the kernel enters by itself."""
    try:
        text = run(("nft", "list", "chains")).stdout
    except CnetshError:
        return frozenset(), ()
    tables, chains = set(), []
    table = chain = ""
    for words in map(str.split, text.split("\n")):
        match words:
            case ["table", family, name, "{"]:
                table = f"{family} {name}"
                tables.add(table)
            case ["chain", name, "{"]:
                chain = name
            case ["type", _, "hook", hook, *_]:
                policy = words[-1].rstrip(";") if "policy" in words else "accept"
                chains.append(BaseChain(table, chain, hook, policy))
    return frozenset(tables), tuple(chains)


def _inside(now: State) -> dict[str, tuple[str, ...]]:
    """Give the processes in each named namespace as "123 (sleep)"."""
    # A file that is no namespace has no mark, and nobody is in it.
    marks = {ref.name: now[ref][0]["mark"] for ref in now if ref.kind == "netns"}
    homes = {mark: name for name, mark in marks.items() if mark}
    found: dict[str, tuple[str, ...]] = {}
    for one in processes.found_in(homes) if homes else ():
        found[one.netns] = (*found.get(one.netns, ()), f"{one.pid} ({one.name})")
    return found


def _missing() -> Iterator[tuple[str, str]]:
    for name in TOOLS:
        try:
            tool(name)
        except CnetshError as error:
            yield name, f"{error.message}: {error.hint}"
