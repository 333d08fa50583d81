"""A lab: a folder with templates and a lab.yaml, and the finished values that its templates get.

Your own lab is a folder with `up.sh.j2` and `lab.yaml`; `check.sh.j2` and `down.sh.j2` are
optional, and `{% include "bridge/up.sh.j2" %}` takes in a built-in lab.

    title: Two rooms
    teaches: what the lab is about
    parameters:
      bridge: {kind: interface, default: br7, help: the switch}
      containers: {kind: count, default: 3, range: [1, 50], help: how many}
      subnet: {kind: network, default: 10.9.0.0/24}
      gateway: {kind: ip}

Kinds: count, number, interface, interface prefix, netns, netns prefix, network (10.9.0.0/24),
address (10.9.0.5/24) and ip (10.9.0.5). A parameter without a default must be set; only `gateway`
is then the first address after `subnet`. Templates get each parameter by its name, checked, and:

* for an address `peer_address`: `peer_ip`, the same without the prefix length;
* `network`, the normalised form of `subnet` (or of `host_address`);
* for a `gateway` in a `subnet`: `gateway_address`, with the prefix length;
* for `containers` in a `subnet`: `containers` as a list, each with `netns`, `host_end`, `peer`,
  `address` and `ip` (named by the parameters `netns`, `host_end`, `peer` and numbered by `first`
  and `step`, or as in the article), with `host_address` and `host_ip` where `host_first` is a
  parameter; and `checked`, the few that checks look at, each with its `neighbour`.
"""

import difflib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from cnetsh import values
from cnetsh.errors import CnetshError

if TYPE_CHECKING:
    from cnetsh.yamltext import Node

PACKAGE = Path(__file__).parent
LABS = ("veth", "container", "conflict", "bridge", "routing")
SANDBOX = "sandbox"
_DERIVED = ("network", "checked", "gateway_address")
_BASE = {
    "first": 10,
    "step": 10,
    "host_step": 1,
    "netns": "net",
    "host_end": "veth",
    "peer": "ceth",
}
_NUMBERS = ("count", "number")
_KINDS: Mapping[str, Callable[[str, str], Any]] = {
    "interface": values.interface_name,
    "interface prefix": values.interface_prefix,
    "netns": values.netns_name,
    "netns prefix": values.netns_name,
    "network": values.network,
    "address": values.address,
    "ip": values.ip,
}
_KEYS = ("kind", "default", "range", "limit", "help")


@dataclass(frozen=True, slots=True)
class Parameter:
    """What may be set with --set: its kind, default (None: worked out or required) and range."""

    name: str
    kind: str
    default: str | None
    low: int = 0
    high: int = 999_999_999
    limit: str = ""
    help: str = ""
    place: str = ""


@dataclass(frozen=True, slots=True)
class Sheet:
    """What a lab.yaml says."""

    title: str
    teaches: str
    parameters: Mapping[str, Parameter]


@dataclass(frozen=True, slots=True)
class Lab:
    """A lab with its finished values; one that is not trusted renders in Jinja's sandbox."""

    name: str
    title: str
    teaches: str
    folder: Path
    values: Mapping[str, object]
    trusted: bool


def builtin_names() -> list[str]:
    """Give the names of the built-in labs in the article's order."""
    return list(LABS)


def templates_folder() -> Path:
    """Give the folder of the built-in labs: in an installed package, else in the checkout."""
    for folder in (PACKAGE / "templates", PACKAGE.parent / "templates"):
        if folder.is_dir():
            return folder
    raise CnetshError("the templates are missing", "install cnetsh again")


def load(name: str, settings: Sequence[str]) -> Lab:
    """Give a lab by its name or folder, with settings (KEY=VALUE) in place of defaults.

    Raises CnetshError for what is unknown (the nearest name is the hint) or not allowed.
    """
    if name in (*LABS, SANDBOX):
        return _lab(name, templates_folder() / name, settings, trusted=True)
    if name.endswith((".yaml", ".yml")):
        from cnetsh import labfile

        return labfile.load_file(Path(name), settings)
    if not _is(Path.is_dir, folder := Path(name)):
        _unknown("lab", name, LABS)
    own = values.netns_name(folder.resolve().name, f"the name of the folder {values.visible(name)}")
    return _lab(own, folder, settings, trusted=False)


def read(folder: Path) -> Sheet:
    """Give what a folder's lab.yaml says. Raises CnetshError when it is missing or wrong."""
    from cnetsh import yamltext

    root = _mapping(yamltext.read(folder / "lab.yaml"), ("title", "teaches", "parameters"))
    listed = _mapping(root["parameters"]) if "parameters" in root else {}
    parameters = {name: _parameter(name, node) for name, node in listed.items()}
    title, teaches = (_line(root[key]) if key in root else "" for key in ("title", "teaches"))
    return Sheet(title or values.visible(folder.name), teaches, parameters)


def _is(kind: Callable[[Path], bool], path: Path) -> bool:
    try:
        return kind(path)
    except OSError:
        return False


def _lab(name: str, folder: Path, settings: Sequence[str], trusted: bool) -> Lab:
    if not _is(Path.is_file, folder / "up.sh.j2"):
        raise CnetshError(f"{values.visible(str(folder))}: no up.sh.j2 in this folder")
    sheet = read(folder)
    typed = {}
    for key, (text, what) in _texts(sheet, settings, name).items():
        typed[key] = _typed(sheet.parameters[key], text, what)
        if trusted and getattr(typed[key], "version", 4) == 6:
            hint = "a lab file (topology) can use IPv6"
            raise CnetshError(f"{what}: '{text}' is IPv6, and the article's labs are IPv4", hint)
    if "subnet" in typed and "gateway" in sheet.parameters:
        typed.setdefault("gateway", typed["subnet"].ip + 1)
    return Lab(name, sheet.title, sheet.teaches, folder, _finished(typed), trusted)


def _texts(sheet: Sheet, settings: Sequence[str], lab: str) -> dict[str, tuple[str, str]]:
    """Give for each parameter the text to use and the place that it comes from."""
    texts = {
        key: (parameter.default, f"{parameter.place}.default")
        for key, parameter in sheet.parameters.items()
        if parameter.default is not None
    }
    given = set()
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals:
            raise CnetshError(f"--set {values.visible(setting)}: not of the form KEY=VALUE")
        if key not in sheet.parameters:
            _unknown(f"parameter of {lab}", key, sheet.parameters)
        if key in given:
            raise CnetshError(f"--set {key}: given twice")
        given.add(key)
        texts[key] = (text, f"--set {key}")
    for key in sheet.parameters:
        if key not in texts and not (key == "gateway" and "subnet" in sheet.parameters):
            raise CnetshError(f"{lab}: the parameter {key} has no default", f"--set {key}=...")
    return texts


def _typed(parameter: Parameter, text: str, what: str) -> Any:
    if parameter.kind in _NUMBERS:
        return values.count(text, what, parameter.low, parameter.high, parameter.limit)
    return _KINDS[parameter.kind](text, what)


def _unknown(kind: str, name: str, known: Iterable[str]) -> NoReturn:
    listed = list(known)
    near = difflib.get_close_matches(name, listed, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(listed) or 'none'}"
    raise CnetshError(f"unknown {kind}: '{values.visible(name)[:60]}'", hint)


def _finished(typed: Mapping[str, Any]) -> dict[str, object]:
    """Give the plain values of a lab, with all that follows from them."""
    found: dict[str, object] = {
        key: value if isinstance(value, int | str) else str(value) for key, value in typed.items()
    }
    for key, value in typed.items():
        if isinstance(value, values.Interface) and key != "subnet":
            found[f"{key.removesuffix('_address')}_ip"] = str(value.ip)
    subnet = typed.get("subnet", typed.get("host_address"))
    if subnet:
        found["network"] = str(subnet.network)
        _apart(typed, subnet)
    if "subnet" in typed and "gateway" in typed:
        _inside("gateway", typed["gateway"], subnet)
        found["gateway_address"] = f"{typed['gateway']}/{subnet.network.prefixlen}"
    if "subnet" in typed and "containers" in typed:
        containers = _containers(typed, subnet)
        found |= {"containers": containers, "checked": _checked(containers)}
    _no_name_twice(found)
    return found


def _apart(typed: Mapping[str, Any], subnet: values.Interface) -> None:
    if "host_address" in typed and "peer_address" in typed:
        host, peer = typed["host_address"], typed["peer_address"]
        if host.ip == peer.ip:
            raise CnetshError(f"host_address and peer_address are both {host.ip}")
        if host.network != peer.network:
            raise CnetshError(
                f"peer_address: {peer} is not in host_address's subnet {host.network}"
            )
    for key in ("eth0_ip", "outside_ip"):
        if key in typed and typed[key] in subnet.network:
            hint = f"choose another subnet, or --set {key}=ADDRESS"
            raise CnetshError(
                f"{key}: {typed[key]} is outside the lab, but in {subnet.network}", hint
            )


def _inside(what: str, ip: values.Ip, subnet: values.Interface) -> None:
    low, high = _room(subnet)
    if ip.version != subnet.version or not low <= int(ip) <= high:
        message = f"{what}: {ip} is no host's address in the subnet {subnet}"
        raise CnetshError(message, f"--set {what}=ADDRESS, or another subnet")


def _room(subnet: values.Interface) -> tuple[int, int]:
    """Give the first and last address that a host can have, as numbers."""
    low, high = int(subnet.network.network_address), int(subnet.network.broadcast_address)
    if high - low > 1:
        return low + 1, high - (1 if subnet.version == 4 else 0)
    return low, high


def _containers(typed: Mapping[str, Any], subnet: values.Interface) -> list[dict[str, str]]:
    own = {**_BASE, **typed}
    number = own["containers"]
    inside = _addresses("container", number, own["first"], own["step"], own, subnet)
    outside = range(0)
    if "host_first" in own:
        outside = _addresses("host end", number, own["host_first"], own["host_step"], own, subnet)
    for address in outside:
        if address in inside:
            text = _text_of(address, subnet)
            raise CnetshError(f"a container and a host end would both get {text}")
    netns, host_end, peer = own["netns"], own["host_end"], own["peer"]
    last = max(number - 1, 0)
    values.netns_name(f"{netns}{last}", f"netns: container {last}")
    values.interface_name(f"{host_end}{last}", f"host_end: container {last}")
    values.interface_name(f"{peer}{last}", f"peer: container {last}")
    length = subnet.network.prefixlen
    listed = []
    for index, address in enumerate(inside):
        ip = _text_of(address, subnet)
        container = {
            "netns": f"{netns}{index}",
            "host_end": f"{host_end}{index}",
            "peer": f"{peer}{index}",
            "address": f"{ip}/{length}",
            "ip": ip,
        }
        if outside:
            container["host_ip"] = _text_of(outside[index], subnet)
            container["host_address"] = f"{container['host_ip']}/{length}"
        listed.append(container)
    return listed


def _addresses(
    what: str, number: int, first: int, step: int, own: Mapping[str, Any], subnet: values.Interface
) -> range:
    """Give the addresses as numbers. Raises CnetshError when they do not fit into the subnet."""
    low, high = _room(subnet)
    start = int(subnet.ip) + first
    if step < 1 or start < low:
        raise CnetshError(f"{what}s: first={first} and step={step} give no addresses in {subnet}")
    addresses = range(start, start + step * number, step)
    if number and addresses[-1] > high:
        message = f"subnet: {subnet} is too small for {number} {what}s {step} apart"
        raise CnetshError(message, _room_hint(number, first, subnet))
    if "gateway" in own and int(own["gateway"]) in addresses:
        index = addresses.index(int(own["gateway"]))
        message = f"{what} {index} would get {own['gateway']}, the address of the gateway"
        raise CnetshError(message, "set another gateway, first or step")
    return addresses


def _room_hint(number: int, first: int, subnet: values.Interface) -> str:
    _, high = _room(subnet)
    base = int(subnet.ip)
    if base + first + number - 1 <= high:
        return "--set step=1"
    if base + 2 + number - 1 <= high:
        return "--set first=2 --set step=1"
    needed = base - int(subnet.network.network_address) + number + 3
    return f"a subnet of /{subnet.max_prefixlen - (needed - 1).bit_length()} holds them"


def _text_of(address: int, subnet: values.Interface) -> str:
    if subnet.version == 6:
        return str(subnet.network[address - int(subnet.network.network_address)])
    # With a thousand containers, an ipaddress object for each would cost more than all the rest.
    return f"{address >> 24}.{address >> 16 & 255}.{address >> 8 & 255}.{address & 255}"


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
        raise CnetshError(
            f"two links would be called {twice}", "set another bridge, host_end or peer"
        )


def _parameter(name: str, node: "Node") -> Parameter:
    where = _where(node, f"parameters.{name}", at_key=True)
    if not re.fullmatch("[a-z][a-z0-9_]{0,31}", name) or name in _DERIVED:
        raise CnetshError(f"{where}: not a name for a parameter", "small letters, digits and _")
    said = _mapping(node, _KEYS)
    kind = _text(said["kind"]) if "kind" in said else ""
    if kind not in (*_NUMBERS, *_KINDS):
        _unknown(f"kind ({where})", kind, (*_NUMBERS, *_KINDS))
    low, high = _range(said["range"]) if "range" in said else (0, 999_999_999)
    default = _text(said["default"]) if "default" in said else None
    limit, help = (_text(said[key]) if key in said else "" for key in ("limit", "help"))
    return Parameter(name, kind, default, low, high, limit, help, where)


def _range(node: "Node") -> tuple[int, int]:
    ends = node.value if isinstance(node.value, list) else []
    if len(ends) != 2:
        raise CnetshError(f"{_where(node)}: expected two numbers, as in [1, 50]")
    low, high = (values.count(_text(end), _where(end), 0, 999_999_999) for end in ends)
    return low, high


def _mapping(node: "Node", known: Sequence[str] = ()) -> "dict[str, Node]":
    if not isinstance(node.value, dict):
        raise CnetshError(f"{_where(node)}: expected a mapping, as in `key: value`")
    for key, entry in node.value.items():
        if known and key not in known:
            _unknown(f"key ({_where(entry, at_key=True)})", key, known)
    return node.value


def _text(node: "Node") -> str:
    if not isinstance(node.value, str):
        raise CnetshError(f"{_where(node)}: expected text")
    return node.value


def _line(node: "Node") -> str:
    """Titles end up in comments of scripts, where a second line would be a command."""
    text = " ".join(_text(node).split())
    return "".join(letter if letter.isprintable() else values.visible(letter) for letter in text)


def _where(node: "Node", path: str = "", *, at_key: bool = False) -> str:
    from cnetsh.yamltext import place

    return values.visible(place(node, path, at_key=at_key))
