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

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from cnetsh import names
from cnetsh.errors import CnetshError, Mistakes
from cnetsh.labs import fields, numbering, yaml
from cnetsh.labs.fields import ListOf, Named, Stated, Text, choice, number, stated, statement
from cnetsh.names import nearest

_PACKAGE = Path(__file__).resolve().parent.parent
LABS = ("veth", "container", "conflict", "bridge", "routing")
SANDBOX = "sandbox"
_MOST = 999_999_999
CONTAINERS = 100_000
_NUMBERS = ("count", "number")
# Of these parameters values are worked out, so they must be of one of these kinds.
_WORKED_OUT: Mapping[str, Sequence[str]] = {
    "containers": ("count",),
    "subnet": ("network",),
    "host_address": ("address", "network"),
    "peer_address": ("address", "network"),
    **dict.fromkeys(("gateway", "eth0_ip", "outside_ip"), ("ip",)),
    **dict.fromkeys(("first", "step", "host_first", "host_step"), _NUMBERS),
}
_KINDS: Mapping[str, Callable[[str, str], Any]] = {
    "interface": names.interface_name,
    "interface prefix": names.interface_prefix,
    "netns": names.netns_name,
    "netns prefix": names.netns_name,
    "network": names.subnet,
    "address": names.inet,
    "ip": names.ip,
}


def _line(text: str, where: str) -> str:
    """Titles end up in comments of scripts, where a second line would be a command."""
    words = " ".join(text.split())
    return "".join(letter if letter.isprintable() else names.visible(letter) for letter in words)


def _own_name(text: str, where: str) -> str:
    if text in numbering.NAMES:
        raise CnetshError(f"{where}: not a name for a parameter, templates get it anyway")
    return text


@statement
class Parameter(Stated):
    """What may be set with --set."""

    kind: str = stated(
        choice({kind: kind for kind in (*_NUMBERS, *_KINDS)}, ""), "Its kind.", "ip", required=True
    )
    default: str | None = stated(Text(empty=None), "Left out: worked out or required.", "br0")
    range: tuple[int, ...] = stated(ListOf(number(0, _MOST)), "Of numbers.", "[1, 50]")
    limit: str = stated(Text(), "Why there are no more.", "a bridge has 1,023 ports")
    help: str = stated(Text(), "What it is.", "the bridge")

    def agree(self) -> None:
        """Refuse a range of other than two numbers."""
        if len(self.range) not in (0, 2):
            raise CnetshError(f"{self.place('range')}: expected two numbers, as in [1, 50]")

    def typed(self, text: str, what: str) -> Any:
        """Give the value that a text means. Raises CnetshError, with `what` as the place."""
        if self.kind in _NUMBERS:
            low, high = self.range or (0, _MOST)
            if self.kind == "count" and high > CONTAINERS:
                return names.count(text, what, low, CONTAINERS, "cnetsh plans no more containers")
            return names.count(text, what, low, high, self.limit)
        return _KINDS[self.kind](text, what)


@statement
class LabSheet(Stated):
    """What a lab.yaml says."""

    title: str = stated(Text(means=_line), "The lab in a few words.", "Two rooms")
    teaches: str = stated(Text(means=_line), "What the lab is about.", "what a bridge is")
    parameters: dict[str, Parameter] = stated(
        Named(
            fields.Mapping(Parameter),
            Text("small letters, digits and _", "[a-z][a-z0-9_]{0,31}", _own_name),
        ),
        "What may be set.",
        "{bridge: {kind: interface}}",
    )

    @property
    def to_be_set(self) -> list[str]:
        """Give the parameters that have no default, and follow from no other."""
        follows = "gateway" if "subnet" in self.parameters else ""
        return [key for key, one in self.parameters.items() if one.default is None
                and key != follows]  # fmt: skip

    def agree(self) -> None:
        """Refuse a parameter that others are worked out of, and that is of no fitting kind."""
        for name, parameter in self.parameters.items():
            expected = _WORKED_OUT.get(name, (parameter.kind,))
            if parameter.kind not in expected:
                found = f"{parameter.place('kind')}: {parameter.kind}"
                raise CnetshError(f"{found}, expected {' or '.join(expected)} for {name}")


class Lab(NamedTuple):
    """A lab with its finished values; one that is not trusted renders in Jinja's sandbox."""

    name: str
    title: str
    teaches: str
    folder: Path
    values: Mapping[str, object]
    trusted: bool


def shipped(name: str) -> Path:
    """Give a folder that comes with cnetsh: in an installed package, else in the checkout."""
    for folder in (_PACKAGE / name, _PACKAGE.parent / name):
        if folder.is_dir():
            return folder
    raise CnetshError(f"the {name} are missing", "install cnetsh again")


def builtin_lab(name: str, settings: Sequence[str]) -> Lab:
    """Give a lab by its name or folder, with settings (KEY=VALUE) in it. Raises CnetshError."""
    if name in (*LABS, SANDBOX):
        return _lab(name, shipped("templates") / name, settings, trusted=True)
    if not _is(Path.is_dir, folder := Path(name)):
        raise unknown_lab(name)
    own = names.netns_name(folder.resolve().name, f"the name of the folder {names.visible(name)}")
    return _lab(own, folder, settings, trusted=False)


def is_lab(name: str) -> bool:
    """Say whether a name is that of a built-in lab, or of a folder with templates."""
    return name in (*LABS, SANDBOX) or _is(Path.is_file, Path(name, "up.sh.j2"))


def unknown_lab(name: str, up: Iterable[str] = (), file: str = "") -> CnetshError:
    """Give the refusal of a name that no lab has, with the nearest.

    up: labs that are; file: one here whose lab has the name.
    """
    if _is(Path.is_file, Path(name)):
        hint = "the name of a lab file ends in .yaml or .yml, that of a saved plan in .json"
        return CnetshError(f"unknown lab: '{names.visible(name)[:60]}'", hint)
    if "/" in name:
        return CnetshError(f"{names.visible(name)[:60]}: no such file or directory")
    files = (name + ending for ending in (".yaml", ".yml"))
    near = file or next((one for one in files if _is(Path.is_file, Path(one))), "")
    return _unknown("lab", name, (*up, *LABS), near)


def read_sheet(folder: Path) -> LabSheet:
    """Give what a folder's lab.yaml says. Raises CnetshError when it is missing or wrong."""
    mistakes = Mistakes()
    root = yaml.compose_inside(folder, "lab.yaml")
    with mistakes:
        sheet: LabSheet = fields.Mapping(LabSheet).read(root, "", mistakes)
    mistakes.tell()
    return replace(sheet, title=sheet.title or names.visible(folder.name))


def _is(kind: Callable[[Path], bool], path: Path) -> bool:
    try:
        return kind(path)
    except OSError:
        return False


def _lab(name: str, folder: Path, settings: Sequence[str], trusted: bool) -> Lab:
    if not _is(Path.is_file, folder / "up.sh.j2"):
        files = sorted(names.visible(path.name) for path in folder.glob("*.y*ml"))
        hint = "a folder with templates has one" + (
            f"; files: {', '.join(files[:5])}" if files else ""
        )
        raise CnetshError(f"{names.visible(str(folder))}: no up.sh.j2 in this folder", hint)
    sheet = read_sheet(folder)
    typed = {}
    for key, (text, what) in _texts(sheet, settings, name).items():
        typed[key] = sheet.parameters[key].typed(text, what)
        if trusted and getattr(typed[key], "version", 4) == 6:
            hint = "a lab file (topology) can use IPv6"
            raise CnetshError(f"{what}: '{text}' is IPv6, and the article's labs are IPv4", hint)
    if "subnet" in typed and "gateway" in sheet.parameters:
        version, number, _ = typed["subnet"]
        typed.setdefault("gateway", names.Ip(version, number + 1))
    return Lab(name, sheet.title, sheet.teaches, folder, numbering.lab_values(typed), trusted)


def _texts(sheet: LabSheet, settings: Sequence[str], lab: str) -> dict[str, tuple[str, str]]:
    """Give for each parameter the text to use and the place that it comes from."""
    texts = {
        key: (parameter.default, parameter.place("default"))
        for key, parameter in sheet.parameters.items()
        if parameter.default is not None
    }
    given = set()
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals:
            raise CnetshError(f"--set {names.visible(setting)}: not of the form KEY=VALUE")
        if key not in sheet.parameters:
            raise _unknown(f"parameter of {lab}", key, sheet.parameters)
        if key in given:
            raise CnetshError(f"--set {key}: given twice")
        given.add(key)
        texts[key] = (text, f"--set {key}")
    for key in sheet.to_be_set:
        if key not in texts:
            raise CnetshError(f"{lab}: the parameter {key} has no default", f"--set {key}=...")
    return texts


def _unknown(kind: str, name: str, known: Iterable[str], near: str = "") -> CnetshError:
    listed = list(known)
    near = names.visible(near or nearest(name, listed, cutoff=0.5))
    hint = f"did you mean {near}?" if near else f"known: {', '.join(listed) or 'none'}"
    return CnetshError(f"unknown {kind}: '{names.visible(name)[:60]}'", hint)
