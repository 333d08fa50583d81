"""What a plan asks of its target, read from its steps in one pass: a plan may have thousands."""

import ipaddress
from dataclasses import dataclass, field
from typing import NamedTuple

from cnetsh.errors import CnetshError
from cnetsh.kinds.change import Change, Make, Move, Ref, Remove, Set, refs_of
from cnetsh.plan.steps import Plan, Step

_Interface = ipaddress.IPv4Interface | ipaddress.IPv6Interface
_VERBS = ("-A", "-I", "-D", "-N", "-F", "-X")  # before them: -w and -t TABLE


class AddedAddress(NamedTuple):
    """An address that a plan adds, the namespace and link it is added to, and the command."""

    netns: str
    dev: str
    ip: _Interface
    text: str


class IptablesCommand(NamedTuple):
    """A command to iptables or ip6tables; words: what follows the table, -A CHAIN and so on."""

    ref: Ref
    tool: str
    table: str
    words: tuple[str, ...]
    text: str


class Here(NamedTuple):
    """What a step does to the target's own namespace."""

    number: int
    step: Step
    change: Change


@dataclass(frozen=True, slots=True)
class Requirements:
    """Everything that doctor looks at in one plan.

    Those with a text have it from the first command that says so.
    """

    lab: str = ""
    addresses: list[AddedAddress] = field(default_factory=list)
    settings: set[tuple[str, str]] = field(default_factory=set)  # the target's own, with values
    inside: set[str] = field(default_factory=set)  # settings of other namespaces
    rules: list[IptablesCommand] = field(default_factory=list)
    links: dict[tuple[str, str], str] = field(default_factory=dict)  # made, with their namespace
    kinds: set[str] = field(default_factory=set)  # of links and queues
    bridges: dict[str, bool] = field(default_factory=dict)  # the target's own, with a MAC or not
    renumbered: dict[str, str] = field(default_factory=dict)  # links that get a MAC later
    resized: dict[str, str] = field(default_factory=dict)  # links that get an MTU later
    netns: dict[str, str] = field(default_factory=dict)  # the made ones
    folders: dict[str, str] = field(default_factory=dict)  # the made ones
    entered: dict[str, str] = field(default_factory=dict)  # namespaces
    routed: set[str] = field(default_factory=set)  # namespaces with a default route
    tools: set[str] = field(default_factory=set)
    uses: dict[str, str] = field(default_factory=dict)  # links of the target's own namespace
    here: list[Here] = field(default_factory=list)  # to that, but not all to links that are made
    moved: dict[str, str] = field(default_factory=dict)  # links, and the namespaces they go to
    pairs: dict[str, str] = field(default_factory=dict)  # both ends of cables
    masters: set[str] = field(default_factory=set)  # bridges of the target's own that get ports

    @property
    def own_links(self) -> set[str]:
        """Give the names of the links that the plan makes in the target's own namespace."""
        return {name for netns, name in self.links if not netns}

    def turns_on(self, ending: str) -> bool:
        """Say whether the plan turns on a setting of the target's own whose path ends so."""
        return any(path.endswith(ending) and value == "1" for path, value in self.settings)


def requirements_of(plan: Plan) -> Requirements:
    """Give what a plan asks of its target. Raises CnetshError for an address that is none."""
    found = Requirements(plan.lab)
    for number, step in enumerate(plan.steps, 1):
        changes = step.changes
        if changes:
            found.tools.add(step.inner[0])
        if changes and step.netns:
            found.tools.add("ip")
            found.entered.setdefault(step.netns, step.text)
        for change in changes:
            _take(step, change, found)
            if _is_here(change, found):
                found.here.append(Here(number, step, change))
    return found


def _is_here(change: Change, found: Requirements) -> bool:
    """Say whether a change is to what the target's own namespace has, or to what it sends."""
    kind, netns, name = change.ref
    if netns or kind != "link":
        return not netns and kind not in ("netns", "home", "folder", "name_server", "queue")
    if isinstance(change, Make) or ("", name) not in found.links:
        return True
    # A large plan makes thousands of links, of which only matters that they come up, and as what.
    return not change.to.netns if isinstance(change, Move) else getattr(change, "key", "") == "up"


def _take(step: Step, change: Change, found: Requirements) -> None:
    _, netns, name = change.ref
    match change:
        case Make(Ref("link")):
            _take_link(step, change, found)
        case Make(Ref("netns")):
            found.netns[name] = step.text
        case Make(Ref("folder")):
            found.folders[name] = step.text
        case Make(Ref("queue"), facts):
            found.kinds.add(facts["kind"])
            _use(netns, name, step, found)
        case Make(Ref("address"), facts):
            ip = _ip(step.command.rest[1], step.text)
            found.addresses.append(AddedAddress(netns, facts["dev"], ip, step.text))
            _use(netns, facts["dev"], step, found)
        case Make(Ref("route" | "neighbour"), facts):
            if "dev" in facts:
                _use(netns, facts["dev"], step, found)
            if name == "default":
                found.routed.add(netns)
        case Make(Ref("rule" | "chain")) | Remove(Ref("rule" | "chain")):
            found.rules.append(_rule(step, change.ref))
        case Set(Ref("setting"), _, value) if not netns:
            found.settings.add((name, value))
        case Set(Ref("setting")):
            found.inside.add(name)
        case Set(Ref("link")):
            _take_value(step, change, found)
        case Move(to=to):
            _use(netns, name, step, found)
            if to.netns and not netns:
                found.moved[name] = to.netns


def _rule(step: Step, ref: Ref) -> IptablesCommand:
    tool, table, *_ = ref.name.split()
    words = step.inner
    verb = next(at for at, word in enumerate(words) if word in _VERBS)
    return IptablesCommand(ref, tool, table, words[verb:], step.text)


def _take_link(step: Step, change: Make, found: Requirements) -> None:
    for ref in refs_of(change):
        found.links[ref.netns, ref.name] = step.text
    kind = change.facts["kind"]
    found.kinds.add(kind)
    if kind == "veth" and len(ends := refs_of(change)) == 2:
        one, two = (end.name for end in ends)
        found.pairs.update({one: two, two: one})
    if kind == "bridge" and not change.ref.netns:
        found.bridges[change.ref.name] = "address" in change.facts
    if change.on:
        _use(change.on.netns, change.on.name, step, found)


def _take_value(step: Step, change: Set, found: Requirements) -> None:
    _, netns, name = change.ref
    _use(netns, name, step, found)
    match change.key, change.value:
        case "master", str(bridge):
            _use(netns, bridge, step, found)
            found.masters.update(() if netns else (bridge,))
        case "address", _ if not netns:
            found.renumbered[name] = step.text
        case "mtu", _ if not netns:
            found.resized[name] = step.text


def _use(netns: str, link: str, step: Step, found: Requirements) -> None:
    if not netns:
        found.uses.setdefault(link, step.text)


def _ip(text: str, command: str) -> _Interface:
    # ip reads 010.0.0.1 as 8.0.0.1 and 10.1 as 10.1.0.0, so what is not plain is not let through.
    try:
        return ipaddress.ip_interface(text)
    except ValueError:
        raise CnetshError(f"{command}: {text} is not an address like 172.18.0.10/12") from None
