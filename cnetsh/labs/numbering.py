"""The values that follow from a lab's parameters: one entry a container, addresses, who is checked.

All arithmetic of names and addresses is here, so that templates only print.
"""

from collections.abc import Mapping
from typing import Any

from cnetsh import names
from cnetsh.errors import CnetshError

NAMES = ("network", "checked", "gateway_address")
_BASE = {
    "first": 10,
    "step": 10,
    "host_step": 1,
    "netns": "net",
    "host_end": "veth",
    "peer": "ceth",
}


def lab_values(typed: Mapping[str, Any]) -> dict[str, object]:
    """Give the plain values of a lab, with all that follows from them."""
    found: dict[str, object] = {
        key: value if isinstance(value, int | str) else str(value) for key, value in typed.items()
    }
    for key, value in typed.items():
        if isinstance(value, names.Inet) and key != "subnet":
            found[f"{key.removesuffix('_address')}_ip"] = str(value.ip)
    subnet = typed.get("subnet", typed.get("host_address"))
    if subnet:
        found["network"] = str(subnet.network)
        _apart(typed, subnet)
    if "subnet" in typed and "gateway" in typed:
        _inside("gateway", typed["gateway"], subnet)
        found["gateway_address"] = f"{typed['gateway']}/{subnet.length}"
    if "subnet" in typed and "containers" in typed:
        containers = _containers(typed, subnet)
        found |= {"containers": containers, "checked": _checked(containers)}
    _no_name_twice(found)
    return found


def _apart(typed: Mapping[str, Any], subnet: names.Inet) -> None:
    if "host_address" in typed and "peer_address" in typed:
        host, peer = typed["host_address"], typed["peer_address"]
        if host.ip == peer.ip:
            raise CnetshError(f"host_address and peer_address are both {host.ip}")
        if host.network != peer.network:
            subnet_of = f"host_address's subnet {host.network}"
            raise CnetshError(f"peer_address: {peer} is not in {subnet_of}")
    for key in ("eth0_ip", "outside_ip"):
        if key in typed and subnet.holds(typed[key]):
            hint = f"choose another subnet, or --set {key}=ADDRESS"
            what = f"{key}: {typed[key]} is outside the lab, but in {subnet.network}"
            raise CnetshError(what, hint)


def _inside(what: str, ip: names.Ip, subnet: names.Inet) -> None:
    low, high = subnet.hosts
    if ip.version != subnet.version or not low <= ip.number <= high:
        message = f"{what}: {ip} is no host's address in the subnet {subnet}"
        raise CnetshError(message, f"--set {what}=ADDRESS, or another subnet")


def _containers(typed: Mapping[str, Any], subnet: names.Inet) -> list[dict[str, str]]:
    own = {**_BASE, **typed}
    number = own["containers"]
    inside = _addresses("container", number, own["first"], own["step"], own, subnet)
    outside = range(0)
    if "host_first" in own:
        outside = _addresses("host end", number, own["host_first"], own["host_step"], own, subnet)
    for address in outside:
        if address in inside:
            both = names.Ip(subnet.version, address)
            raise CnetshError(f"a container and a host end would both get {both}")
    netns, host_end, peer = own["netns"], own["host_end"], own["peer"]
    last = max(number - 1, 0)
    names.netns_name(f"{netns}{last}", f"netns: container {last}")
    names.interface_name(f"{host_end}{last}", f"host_end: container {last}")
    names.interface_name(f"{peer}{last}", f"peer: container {last}")
    version, _, length = subnet
    listed = []
    for index, address in enumerate(inside):
        ip = str(names.Ip(version, address))
        container = {
            "netns": f"{netns}{index}",
            "host_end": f"{host_end}{index}",
            "peer": f"{peer}{index}",
            "address": f"{ip}/{length}",
            "ip": ip,
        }
        if outside:
            container["host_ip"] = str(names.Ip(version, outside[index]))
            container["host_address"] = f"{container['host_ip']}/{length}"
        listed.append(container)
    return listed


def _addresses(
    what: str, number: int, first: int, step: int, own: Mapping[str, Any], subnet: names.Inet
) -> range:
    """Give the addresses as numbers. Raises CnetshError when they do not fit into the subnet."""
    low, high = subnet.hosts
    start = subnet.number + first
    if step < 1 or start < low:
        raise CnetshError(f"{what}s: first={first} and step={step} give no addresses in {subnet}")
    addresses = range(start, start + step * number, step)
    if number and addresses[-1] > high:
        message = f"subnet: {subnet} is too small for {number} {what}s {step} apart"
        raise CnetshError(message, _room_hint(number, first, subnet))
    if "gateway" in own and own["gateway"].number in addresses:
        index = addresses.index(own["gateway"].number)
        message = f"{what} {index} would get {own['gateway']}, the address of the gateway"
        raise CnetshError(message, "set another gateway, first or step")
    return addresses


def _room_hint(number: int, first: int, subnet: names.Inet) -> str:
    _, high = subnet.hosts
    base = subnet.number
    if base + first + number - 1 <= high:
        return "--set step=1"
    if base + 2 + number - 1 <= high:
        return "--set first=2 --set step=1"
    needed = base - subnet.network.number + number + 3
    return f"a subnet of /{subnet.length + subnet.host_bits - (needed - 1).bit_length()} holds them"


def _checked(containers: list[dict[str, str]]) -> list[dict[str, object]]:
    """Give the first containers and the last, each with the next one as its neighbour."""
    number = len(containers)
    indexes = range(number) if number <= 5 else (0, 1, 2, 3, number - 1)
    return [
        {**containers[index], "neighbour": containers[(index + 1) % number] if number > 1 else {}}
        for index in indexes
    ]


def _no_name_twice(found: Mapping[str, Any]) -> None:
    """The peers start in the host's namespace too, so all names of links must differ."""
    names = [found["bridge"]] if "bridge" in found else []
    if isinstance(found.get("containers"), list):
        names += [c[end] for c in found["containers"] for end in ("host_end", "peer")]
    else:
        names += [found[end] for end in ("host_end", "peer") if end in found]
    if len(set(names)) < len(names):
        twice = next(name for index, name in enumerate(names) if name in names[:index])
        hint = "set another bridge, host_end or peer"
        raise CnetshError(f"two links would be called {twice}", hint)
