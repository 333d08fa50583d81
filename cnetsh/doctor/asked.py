"""What a plan asks of its target, read from its steps in one pass: a plan may have thousands."""

import ipaddress
from dataclasses import dataclass, field
from typing import NamedTuple

from cnetsh.errors import CnetshError
from cnetsh.inverse import setting
from cnetsh.names import Interface
from cnetsh.plan.steps import Plan, Step


class Address(NamedTuple):
    """An address that a plan adds, the namespace and link it is added to, and the command."""

    netns: str
    dev: str
    ip: Interface
    text: str


class Setting(NamedTuple):
    """A value that a plan writes to a setting of the kernel."""

    netns: str
    path: str
    value: str


class Rule(NamedTuple):
    """A command to iptables or ip6tables, without -w."""

    netns: str
    words: tuple[str, ...]

    @property
    def tool(self) -> str:
        """Give iptables or ip6tables."""
        return self.words[0]

    @property
    def table(self) -> str:
        """Give the table, filter where none is said."""
        return self.words[2] if self.words[1] == "-t" else "filter"

    @property
    def rest(self) -> tuple[str, ...]:
        """Give what follows the table: -A CHAIN and so on."""
        return self.words[3:] if self.words[1] == "-t" else self.words[1:]


@dataclass(frozen=True, slots=True)
class Planned:
    """Everything that doctor looks at in one plan.

    links: the made ones, with their namespace; bridges: those of the target's own namespace, and
    whether their MAC is given; netns, folders: the made ones; entered, looped (lo is brought up),
    routed (a default route): namespaces; uses: links of the target's own namespace, with the first
    command.
    """

    lab: str = ""
    addresses: list[Address] = field(default_factory=list)
    settings: list[Setting] = field(default_factory=list)
    rules: list[Rule] = field(default_factory=list)
    links: dict[tuple[str, str], str] = field(default_factory=dict)
    bridges: dict[str, bool] = field(default_factory=dict)
    renumbered: dict[str, str] = field(default_factory=dict)
    netns: dict[str, str] = field(default_factory=dict)
    folders: dict[str, str] = field(default_factory=dict)
    entered: dict[str, str] = field(default_factory=dict)
    looped: set[str] = field(default_factory=set)
    routed: set[str] = field(default_factory=set)
    kinds: set[str] = field(default_factory=set)
    queues: set[str] = field(default_factory=set)
    tools: set[str] = field(default_factory=set)
    uses: dict[str, str] = field(default_factory=dict)

    @property
    def own_links(self) -> set[str]:
        """Give the names of the links that the plan makes in the target's own namespace."""
        return {name for netns, name in self.links if not netns}

    def writes(self, ending: str) -> bool:
        """Say whether the plan turns on a setting of the target's own whose path ends so."""
        return any(
            one.path.endswith(ending) and one.value == "1" and not one.netns
            for one in self.settings
        )


def read(plan: Plan) -> Planned:
    """Give what a plan asks of its target. Raises CnetshError for an address that is none."""
    found = Planned(plan.lab)
    for step in plan.steps:
        if step.kind == "change":
            _take(step, found)
    return found


def _take(step: Step, found: Planned) -> None:
    words = step.inner
    found.tools.add(words[0])
    if step.netns:
        found.tools.add("ip")
        found.entered.setdefault(step.netns, step.text)
    match words:
        case ("tee", path) if setting(words):
            found.settings.append(Setting(step.netns, path, step.stdin.strip()))
        case ("mkdir", path):
            found.folders[path] = step.text
        case ("iptables" | "ip6tables" as tool, *rest):
            rest = rest[1:] if rest[:1] == ["-w"] else rest
            found.rules.append(Rule(step.netns, (tool, *rest)))
        case ("tc", "qdisc", "add", "dev", dev, "root", kind, *_):
            found.queues.add(kind)
            _use(step, dev, found)
        case ("ip", *rest):
            while rest and rest[0].startswith("-"):
                rest = rest[1:]
            _take_ip(step, tuple(rest), found)


def _take_ip(step: Step, words: tuple[str, ...], found: Planned) -> None:
    match words:
        case ("netns", "add", name):
            found.netns[name] = step.text
        case ("link" | "l", "add", *rest):
            _take_link(step, tuple(rest), found)
        case ("link" | "l", "set", "dev", name, *change) | ("link" | "l", "set", name, *change):
            _take_change(step, name, tuple(change), found)
        case ("address" | "addr" | "a", "add", address, "dev", dev, *_):
            found.addresses.append(Address(step.netns, dev, _ip(address, step.text), step.text))
            _use(step, dev, found)
        case ("route" | "r", "add", "default" | "0.0.0.0/0" | "::/0", *_):
            found.routed.add(step.netns)


def _take_link(step: Step, rest: tuple[str, ...], found: Planned) -> None:
    for ref in step.effect.makes:
        found.links[ref.netns, ref.name] = step.text
    kind = rest[rest.index("type") + 1]
    found.kinds.add(kind)
    if kind == "bridge" and not step.netns:
        found.bridges[step.effect.makes[0].name] = "address" in rest
    if rest[0] == "link":
        _use(step, rest[1], found)


def _take_change(step: Step, name: str, change: tuple[str, ...], found: Planned) -> None:
    _use(step, name, found)
    match change:
        case ("up",) if name == "lo":
            found.looped.add(step.netns)
        case ("master", bridge):
            _use(step, bridge, found)
        case ("address", _) if not step.netns:
            found.renumbered[name] = step.text


def _ip(text: str, command: str) -> Interface:
    # ip reads 010.0.0.1 as 8.0.0.1 and 10.1 as 10.1.0.0, so what is not plain is not let through.
    try:
        return ipaddress.ip_interface(text)
    except ValueError:
        raise CnetshError(f"{command}: {text} is not an address like 172.18.0.10/12") from None


def _use(step: Step, link: str, found: Planned) -> None:
    if not step.netns:
        found.uses.setdefault(link, step.text)
