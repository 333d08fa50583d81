"""What a lab file says, in the field's words. `where` is the place that messages name."""

from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Interface
from typing import TypeAlias

Address: TypeAlias = IPv4Interface | IPv6Interface


@dataclass(frozen=True, slots=True)
class Bridge:
    name: str
    addresses: tuple[Address, ...]
    nat: bool
    isolated: bool
    external: bool
    mtu: int  # bytes, 0 = the kernel's
    where: str


@dataclass(frozen=True, slots=True)
class Interface:
    """One end in a container; exactly one of bridge, container and macvlan is not empty."""

    name: str  # "" = from the topology's own names
    host: str
    bridge: str
    container: str
    macvlan: str
    addresses: tuple[Address, ...]  # empty on an addressed bridge = assigned
    rate: str
    delay: str
    loss: str
    where: str  # of its other end
    addressed: str  # of its address


@dataclass(frozen=True, slots=True)
class Route:
    to: str  # a network, or "default"
    via: str  # an address or a container's name
    where: str


@dataclass(frozen=True, slots=True)
class Publish:
    port: int
    target: int
    protocol: str
    where: str


@dataclass(frozen=True, slots=True)
class Container:
    name: str
    count: int  # 0 = one container of this very name
    interfaces: tuple[Interface, ...]
    gateway: Route | None  # None = the bridge's address; via is "none" where none is wanted
    routes: tuple[Route, ...]
    forward: bool
    publish: tuple[Publish, ...]
    sysctls: tuple[tuple[str, str], ...]  # path under /proc/sys, value
    dns: tuple[str, ...]
    where: str


@dataclass(frozen=True, slots=True)
class Check:
    source: str  # a container or "host"
    target: str  # a container, a bridge or an address
    works: bool
    because: str
    where: str


@dataclass(frozen=True, slots=True)
class Topology:
    name: str
    title: str
    bridges: dict[str, Bridge]
    containers: dict[str, Container]
    checks: tuple[Check, ...]
    firewall: bool | None  # None = as needed
    where: str
