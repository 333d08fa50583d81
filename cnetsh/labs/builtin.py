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

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from cnetsh import names
from cnetsh.errors import CnetshError
from cnetsh.labs import numbering

if TYPE_CHECKING:
    from cnetsh.labs.yaml import Node

PACKAGE = Path(__file__).resolve().parent.parent
LABS = ("veth", "container", "conflict", "bridge", "routing")
SANDBOX = "sandbox"
_NUMBERS = ("count", "number")
_KINDS: Mapping[str, Callable[[str, str], Any]] = {
    "interface": names.interface_name,
    "interface prefix": names.interface_prefix,
    "netns": names.netns_name,
    "netns prefix": names.netns_name,
    "network": names.network,
    "address": names.address,
    "ip": names.ip,
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
    if not _is(Path.is_dir, folder := Path(name)):
        _unknown("lab", name, LABS)
    own = names.netns_name(folder.resolve().name, f"the name of the folder {names.visible(name)}")
    return _lab(own, folder, settings, trusted=False)


def read(folder: Path) -> Sheet:
    """Give what a folder's lab.yaml says. Raises CnetshError when it is missing or wrong."""
    from cnetsh.labs import yaml

    root = _mapping(yaml.read(folder / "lab.yaml"), ("title", "teaches", "parameters"))
    listed = _mapping(root["parameters"]) if "parameters" in root else {}
    parameters = {name: _parameter(name, node) for name, node in listed.items()}
    title, teaches = (_line(root[key]) if key in root else "" for key in ("title", "teaches"))
    return Sheet(title or names.visible(folder.name), teaches, parameters)


def _is(kind: Callable[[Path], bool], path: Path) -> bool:
    try:
        return kind(path)
    except OSError:
        return False


def _lab(name: str, folder: Path, settings: Sequence[str], trusted: bool) -> Lab:
    if not _is(Path.is_file, folder / "up.sh.j2"):
        raise CnetshError(f"{names.visible(str(folder))}: no up.sh.j2 in this folder")
    sheet = read(folder)
    typed = {}
    for key, (text, what) in _texts(sheet, settings, name).items():
        typed[key] = _typed(sheet.parameters[key], text, what)
        if trusted and getattr(typed[key], "version", 4) == 6:
            hint = "a lab file (topology) can use IPv6"
            raise CnetshError(f"{what}: '{text}' is IPv6, and the article's labs are IPv4", hint)
    if "subnet" in typed and "gateway" in sheet.parameters:
        typed.setdefault("gateway", typed["subnet"].ip + 1)
    return Lab(name, sheet.title, sheet.teaches, folder, numbering.finished(typed), trusted)


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
            raise CnetshError(f"--set {names.visible(setting)}: not of the form KEY=VALUE")
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
        return names.count(text, what, parameter.low, parameter.high, parameter.limit)
    return _KINDS[parameter.kind](text, what)


def _unknown(kind: str, name: str, known: Iterable[str]) -> NoReturn:
    import difflib

    listed = list(known)
    near = difflib.get_close_matches(name, listed, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(listed) or 'none'}"
    raise CnetshError(f"unknown {kind}: '{names.visible(name)[:60]}'", hint)


def _parameter(name: str, node: "Node") -> Parameter:
    where = _where(node, f"parameters.{name}", at_key=True)
    if not re.fullmatch("[a-z][a-z0-9_]{0,31}", name) or name in numbering.NAMES:
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
    low, high = (names.count(_text(end), _where(end), 0, 999_999_999) for end in ends)
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
    return "".join(letter if letter.isprintable() else names.visible(letter) for letter in text)


def _where(node: "Node", path: str = "", *, at_key: bool = False) -> str:
    from cnetsh.labs.yaml import place

    return names.visible(place(node, path, at_key=at_key))
