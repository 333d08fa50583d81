"""The lab file, each field stated once: what it may hold, what it is for, and an example.

The reader, the JSON Schema, `cnetsh new` and docs/lab-file.md are made from these dataclasses, and
a lab file that was read is one `Topology` of them.
"""

import re
from dataclasses import field, fields
from typing import NamedTuple

from cnetsh import names
from cnetsh.errors import CnetshError
from cnetsh.labs.fields import (
    ListOf,
    Mapping,
    Named,
    Stated,
    Text,
    choice,
    number,
    stated,
    statement,
)
from cnetsh.names import Inet, Ip
from cnetsh.plan.settings import wanted_value

NAMESERVERS = 3  # MAXNS of the C library's resolv.h


class Publish(NamedTuple):
    """A port of the host that leads into a container."""

    port: int
    target: int
    protocol: str
    where: str


class Called(NamedTuple):
    """Whom a check asks, a name or an address, and at which port; 0 is a ping."""

    name: str
    port: int = 0
    protocol: str = ""


def _called(text: str, where: str) -> Called:
    found = re.fullmatch(r"(?:\[(.+)\]|([^:]+)):([^:/]+)(?:/(.+))?", text)
    if not found:
        return Called(text)
    six, name, port, protocol = found.groups()
    if protocol not in (None, "tcp", "udp"):
        raise CnetshError(f"{where}: '{protocol}', expected tcp or udp")
    return Called(six or name, names.count(port, where, 1, 65535), protocol or "tcp")


def _published(text: str, where: str) -> Publish:
    ports, _, protocol = text.partition("/")
    port, target = (names.count(one, where, 1, 65535) for one in ports.split(":"))
    return Publish(port, target, protocol or "tcp", where)


def _destination(text: str, where: str) -> Inet:
    if text in ("default", "0.0.0.0/0", "::/0"):
        raise CnetshError(f"{where}: '{text}', expected a network: a default route is `gateway`")
    return names.subnet(text, where).network


def _one_line(text: str, where: str) -> str:
    if not text.isprintable():
        raise CnetshError(f"{where}: expected one line of plain text")
    return text


def _rate(text: str, where: str) -> str:
    bits = float(text.rstrip("kmgbit")) * {"k": 1e3, "m": 1e6, "g": 1e9}.get(text[-4], 1)
    # tc counts whole bytes, and takes a rate of none for one that is not said.
    if bits < 8:
        raise CnetshError(f"{where}: '{text}', expected at least 8bit")
    return text


TRUE_OR_FALSE = {"true": True, "false": False}
TEXT = Text()
FLAG = choice(TRUE_OR_FALSE, empty=False)
LINK = Text("the name of an interface", means=names.interface_name)
ADDRESSES = ListOf(Text("an address like 172.18.0.1/12", means=names.inet), alone=True)
SERVER = Text("an address like 1.1.1.1", means=names.ip)
LAB = Text(
    "a letter, then letters, digits, _ and -, at most 40 characters", "[A-Za-z][A-Za-z0-9_-]{0,39}"
)
RATE = Text("a rate like 10mbit", r"[0-9]+(\.[0-9]+)?[kmg]?bit", means=_rate)
DELAY = Text("a time like 20ms", r"[0-9]+(\.[0-9]+)?(us|ms|s)")
LOSS = Text("a share like 1%", r"([0-9]|[1-9][0-9]|100)(\.[0-9]+)?%")
CALLED = Text(means=_called, empty=Called(""))
PUBLISH = Text(
    "HOST:CONTAINER/PROTOCOL like 8080:80/tcp",
    "[0-9]{1,5}:[0-9]{1,5}(/(tcp|udp))?",
    means=_published,
)
SETTING = Text("a setting under net., like net.ipv4.conf.all.rp_filter", r"net(\.[A-Za-z0-9_-]+)+")
WORDS = Text(
    "numbers or words", "[A-Za-z0-9_.:-]+( [A-Za-z0-9_.:-]+)*", json={"type": ["string", "integer"]}
)


@statement
class Bridge(Stated):
    """A bridge of the target's own namespace."""

    addresses: tuple[Inet, ...] = stated(
        ADDRESSES,
        "Its address, the containers' gateway; or a list.",
        "172.18.0.1/16",
        key="address",
    )
    nat: bool = stated(FLAG, "Packets that leave for elsewhere get the host's address.", "true")
    isolated: bool = stated(FLAG, "Nothing is forwarded into this bridge or out of it.", "true")
    external: bool = stated(FLAG, "It exists already: only the ports are the lab's.", "true")
    mtu: int = stated(
        number(576, 65535), "The largest packet, in bytes; its cables get it too.", "1400"
    )

    def agree(self) -> None:
        for key in ("nat", "isolated"):
            if self.external and getattr(self, key):
                found = f"{self.place(key)}: true, expected false"
                raise CnetshError(f"{found}: an external bridge is not the lab's")
        if self.nat and self.isolated:
            found = f"{self.place('nat')}: true, expected false"
            raise CnetshError(f"{found}: nothing leaves an isolated bridge")


@statement
class Cable(Stated):
    """What an interface may say, and a container with one interface may say of itself."""

    bridge: str = stated(TEXT, "The bridge at the other end of its cable.", "br0")
    addresses: tuple[Inet, ...] = stated(
        ADDRESSES, "Left out: the bridge's next free one.", "172.18.0.10/16", key="address"
    )
    rate: str = stated(RATE, "The highest rate of the link, each way (tc tbf).", "10mbit")
    delay: str = stated(DELAY, "The delay of the link, each way (tc netem).", "20ms")
    loss: str = stated(LOSS, "The share of packets that it loses, each way (tc netem).", "1%")


# With these a container says its one interface itself, in place of `interfaces`.
_SHORT = tuple(Mapping(Cable).fields)


@statement
class Interface(Cable):
    """One of several interfaces; exactly one of bridge, container and macvlan is said."""

    container: str = stated(
        TEXT, "The container at the other end, which lists an interface to this one.", "far"
    )
    macvlan: str = stated(
        LINK, "An interface of the host that this one shares (macvlan, mode bridge).", "eth0"
    )
    name: str = stated(LINK, "Its name in the container.", "lan")
    host: str = stated(LINK, "The name of the cable's host end.", "veth7")

    @property
    def end(self) -> str:
        """Which of bridge, container and macvlan is said."""
        return next(iter(self.says("bridge", "container", "macvlan")), "")

    def agree(self) -> None:
        ends = self.says("bridge", "container", "macvlan")
        if len(ends) != 1:
            found = " and ".join(f"`{end}`" for end in ends) or "no other end"
            expected = "expected one of `bridge`, `container` and `macvlan`"
            raise CnetshError(f"{self.place()}: {found}, {expected}")


@statement
class ContainerRoute(Stated):
    """A route of a container."""

    to: Inet = stated(
        Text("a network", means=_destination), "A network.", "10.2.0.0/24", required=True
    )
    via: str = stated(
        TEXT, "The next hop: an address or a container's name.", "172.18.0.2", required=True
    )


@statement
class Container(Cable):
    """A container (network namespace), or several of a kind."""

    count: int = stated(
        number(1, 100000), "So many containers of this kind: NAME0, NAME1 and so on.", "2"
    )
    listed: tuple[Interface, ...] = stated(
        ListOf(Mapping(Interface)), "Several interfaces.", "[{bridge: br0}]", key="interfaces"
    )
    gateway: str = stated(
        TEXT,
        "The default route's next hop: an address, a container's name, or `none`."
        " Left out: the bridge's address.",
        "none",
    )
    routes: tuple[ContainerRoute, ...] = stated(
        ListOf(Mapping(ContainerRoute)), "More routes.", "[{to: 10.2.0.0/24, via: 172.18.0.1}]"
    )
    forward: bool = stated(FLAG, "It is a router: it passes packets on.", "true")
    publish: tuple[Publish, ...] = stated(
        ListOf(PUBLISH), "Ports of the host that lead into the container.", '["8080:80/tcp"]'
    )
    sysctls: dict[str, str] = stated(
        Named(WORDS, SETTING, wants=wanted_value),
        "Its settings, only under net.",
        "{net.ipv4.conf.all.rp_filter: 1}",
    )
    dns: tuple[Ip, ...] = stated(
        ListOf(SERVER, alone=True),
        "Its name servers, at most three: `ip netns exec` shows them as /etc/resolv.conf.",
        "[1.1.1.1, 9.9.9.9]",
    )
    interfaces: tuple[Interface, ...] = field(init=False)

    def __post_init__(self) -> None:
        """Make the one interface of a container that says its cable itself."""
        # A dataclass that is frozen sets its own fields in the same way.
        own = {one.name: getattr(self, one.name) for one in fields(Cable)}
        short = (Interface(**own | {"name": ""}),) if self.says(*_SHORT) else ()
        object.__setattr__(self, "interfaces", self.listed or short)

    def agree(self) -> None:
        if self.says("interfaces") and (short := self.says(*_SHORT)):
            where = self.place(short[0], at_key=True)
            raise CnetshError(f"{where}: beside `interfaces`, expected it in one of them")
        for interface in self.interfaces if not self.says("interfaces") else ():
            interface.agree()
        if len(self.dns) > NAMESERVERS:
            found = f"{self.place('dns')}: {len(self.dns)} name servers"
            raise CnetshError(f"{found}, expected at most {NAMESERVERS}: more are never asked")


@statement
class Check(Stated):
    """A ping or the call of a port, and whether it must be answered."""

    source: str = stated(TEXT, "A container's name, or `host`.", "net0", key="from", required=True)
    target: Called = stated(
        CALLED,
        "A container's or bridge's name, or an address; a port behind it is called, by tcp or udp."
        " Where nothing listens at it in a container, cnetsh does meanwhile.",
        "web0:80/tcp",
        key="to",
        required=True,
    )
    works: bool = stated(
        choice({"ok": True, "fail": False}, empty=True),
        "Whether it must be answered.",
        "ok",
        key="expect",
    )
    because: str = stated(
        Text(means=_one_line),
        "The reason: `check` shows why it must fail, a script each.",
        "they are neighbours",
    )


@statement
class Topology(Stated):
    """A lab file."""

    name: str = stated(
        LAB,
        "The lab's name: `cnetsh status` shows it, every firewall rule carries it.",
        "first",
        required=True,
    )
    title: str = stated(TEXT, "One line that says what the lab shows.", "Two rooms and a switch")
    firewall: bool | None = stated(
        choice(TRUE_OR_FALSE, empty=None),
        "Whether it has firewall rules of its own, so that it works where FORWARD drops."
        " Left out: when something is forwarded or kept apart.",
        "true",
    )
    bridges: dict[str, Bridge] = stated(
        Named(Mapping(Bridge, optional=True), LINK),
        "The bridges of the target's own namespace, by name.",
        "{br0: {address: 172.18.0.1/16}}",
    )
    containers: dict[str, Container] = stated(
        Named(Mapping(Container, optional=True), Text(means=names.netns_name)),
        "The containers (network namespaces), by name.",
        "{net0: {bridge: br0}}",
        required=True,
    )
    checks: tuple[Check, ...] = stated(
        ListOf(Mapping(Check)),
        "What must work and what must not, besides what `cnetsh check` works out itself.",
        "[{from: net0, to: web0}]",
    )

    @property
    def own_bridges(self) -> list[Bridge]:
        """The bridges that are the lab's own."""
        return [bridge for bridge in self.bridges.values() if not bridge.external]

    def agree(self) -> None:
        asking = [one.name for one in self.bridges.values() if one.nat or one.isolated]
        asking += [one.name for one in self.containers.values() if one.publish]
        if self.firewall is False and asking:
            found = self.place("firewall")
            raise CnetshError(f"{found}: false, expected true: {asking[0]} needs rules")
