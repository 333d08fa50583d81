"""A lab file as a checked model: names, addresses and numbers are typed, messages have a place."""

import difflib
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from cnetsh import names
from cnetsh.errors import CnetshError
from cnetsh.labs import schema
from cnetsh.labs.builtin import Lab, templates_folder
from cnetsh.labs.model import Address, Bridge, Check, Container, Interface, Publish, Route, Topology
from cnetsh.labs.topology import values
from cnetsh.labs.yaml import Node, place, read

Read = TypeVar("Read")
NAMESERVERS = 3  # MAXNS of the C library's resolv.h
_NO_ENTRIES: dict[str, Node] = {}


def load_file(path: Path, settings: Sequence[str]) -> Lab:
    """Give the lab that the file describes; `settings` (KEY=VALUE) replace single values in it."""
    described = describe(read(path), settings)
    return Lab(
        name=described.name,
        title=described.title,
        teaches=f"the network of {path.name}",
        folder=templates_folder() / "topology",
        values=values.finished(described),
        trusted=True,
    )


def name_in(path: Path, settings: Sequence[str] = ()) -> str:
    """Give the lab's name alone: a lab that is up can be taken down by a file broken since."""
    root = read(path)
    for setting in settings:
        _override(root, setting)
    rules = schema.load()
    only = {"name": rules["properties"]["name"]}
    named = {key: node for key, node in _entries(root).items() if key in only}
    schema.check(root._replace(value=named), {**rules, "properties": only, "required": ["name"]})
    return _text(named, "name")


def describe(root: Node, settings: Sequence[str] = ()) -> Topology:
    """Give the model of a document. Raise CnetshError naming the place and what was expected."""
    for setting in settings:
        _override(root, setting)
    schema.check(root, schema.load())
    entries = _entries(root)
    name = _text(entries, "name")
    bridges = {key: _bridge(key, node) for key, node in _entries(entries.get("bridges")).items()}
    containers = {
        key: _container(key, node) for key, node in _entries(entries["containers"]).items()
    }
    checks = [
        _check(f"checks[{number}]", node)
        for number, node in enumerate(_items(entries.get("checks")))
    ]
    title = _text(entries, "title") or f"The network {name}"
    firewall = _firewall(entries.get("firewall"), bridges, containers)
    where = place(entries["containers"], "containers", at_key=True)
    return Topology(name, title, bridges, containers, tuple(checks), firewall, where)


def starter(name: str) -> str:
    """Give a commented lab file of that name. Raises CnetshError for a name no lab can have."""
    from jinja2 import StrictUndefined, Template

    rule = schema.load()["properties"]["name"]
    if not re.fullmatch(rule["pattern"], name):
        raise CnetshError(f"{names.visible(name)!r}: expected {rule['expected']}")
    text = (templates_folder() / "starter.yaml.j2").read_text(encoding="utf-8")
    template = Template(text, undefined=StrictUndefined, keep_trailing_newline=True)
    return str(template.render(name=name))


def _override(root: Node, setting: str) -> None:
    key, equals, text = setting.partition("=")
    where = f"--set {names.visible(key)}"
    if not equals:
        raise CnetshError(f"{where}: no value, expected KEY=VALUE", "--set bridges.br0.mtu=1400")
    *path, last = key.split(".")
    node = root
    for step in path:
        node = _step(node, step, where)
    entries = _entries(node)
    if last in entries and not isinstance(entries[last].value, str):
        raise CnetshError(f"{where}: more than one value, change it in the file")
    if not isinstance(node.value, dict):
        raise CnetshError(f"{where}: expected a path like bridges.br0.mtu=1400")
    entries[last] = Node(text, where, 0, 0, (0, 0))


def _step(node: Node, step: str, where: str) -> Node:
    entries = _entries(node)
    if step not in entries:
        near = difflib.get_close_matches(step, entries, 1)
        hint = f"did you mean `{near[0]}`?" if near else ""
        raise CnetshError(f"{where}: the file has no `{names.visible(step)}` there", hint)
    return entries[step]


def _entries(node: Node | None) -> dict[str, Node]:
    return node.value if node and isinstance(node.value, dict) else _NO_ENTRIES


def _items(node: Node | None) -> list[Node]:
    return node.value if node and isinstance(node.value, list) else []


def _text(entries: dict[str, Node], key: str) -> str:
    node = entries.get(key)
    return node.value if node and isinstance(node.value, str) else ""


def _flag(entries: dict[str, Node], key: str) -> bool:
    return _text(entries, key) == "true"


def _interface_name(entries: dict[str, Node], key: str, path: str) -> str:
    node, text = entries.get(key), _text(entries, key)
    return names.interface_name(text, place(node, f"{path}.{key}")) if node else ""


def _addresses(node: Node | None, path: str) -> tuple[Address, ...]:
    return _each(node, path, names.address)


def _each(node: Node | None, path: str, read: Callable[[str, str], Read]) -> tuple[Read, ...]:
    """Give what one text, or each text of a list, says."""
    if node is None:
        return ()
    if isinstance(node.value, str):
        return (read(node.value, place(node, path)),)
    return tuple(
        read(str(item.value), place(item, f"{path}[{number}]"))
        for number, item in enumerate(_items(node))
    )


def _bridge(name: str, node: Node) -> Bridge:
    path, entries = f"bridges.{name}", _entries(node)
    names.interface_name(name, place(node, path, at_key=True))
    external = _flag(entries, "external")
    for key in ("nat", "isolated"):
        if external and _flag(entries, key):
            found = place(entries[key], f"{path}.{key}")
            raise CnetshError(f"{found}: true, expected false: an external bridge is not the lab's")
    return Bridge(
        name,
        _addresses(entries.get("address"), f"{path}.address"),
        _flag(entries, "nat"),
        _flag(entries, "isolated"),
        external,
        int(_text(entries, "mtu") or 0),
        place(node, path, at_key=True),
    )


def _firewall(
    node: Node | None, bridges: dict[str, Bridge], containers: dict[str, Container]
) -> bool | None:
    if node is None or node.value == "true":
        return None if node is None else True
    asking = [name for name, bridge in bridges.items() if bridge.nat or bridge.isolated]
    asking += [name for name, container in containers.items() if container.publish]
    if asking:
        found = place(node, "firewall")
        raise CnetshError(f"{found}: false, expected true: {asking[0]} needs rules")
    return False


def _container(name: str, node: Node) -> Container:
    path, entries = f"containers.{name}", _entries(node)
    names.netns_name(name, place(node, path, at_key=True))
    return Container(
        name,
        int(_text(entries, "count") or 0),
        _interfaces(node, entries, path),
        _gateway(entries.get("gateway"), path),
        _routes(entries, path),
        _flag(entries, "forward"),
        _published(entries, path),
        _sysctls(entries),
        _dns(entries.get("dns"), f"{path}.dns"),
        place(node, path, at_key=True),
    )


def _dns(node: Node | None, path: str) -> tuple[str, ...]:
    servers = _each(node, path, names.ip)
    if node and len(servers) > NAMESERVERS:
        found = f"{place(node, path)}: {len(servers)} name servers"
        raise CnetshError(f"{found}, expected at most {NAMESERVERS}: more are never asked")
    return tuple(map(str, servers))


def _interfaces(node: Node, entries: dict[str, Node], path: str) -> tuple[Interface, ...]:
    short = [key for key in ("bridge", "address", "rate", "delay", "loss") if key in entries]
    if "interfaces" not in entries:
        return (_interface(node, entries, path),) if short else ()
    if short:
        found = place(entries[short[0]], f"{path}.{short[0]}", at_key=True)
        raise CnetshError(f"{found}: beside `interfaces`, expected it in one of them")
    return tuple(
        _interface(item, _entries(item), f"{path}.interfaces[{number}]")
        for number, item in enumerate(_items(entries["interfaces"]))
    )


def _interface(node: Node, entries: dict[str, Node], path: str) -> Interface:
    ends = [key for key in ("bridge", "container", "macvlan") if key in entries]
    if len(ends) != 1:
        found = " and ".join(f"`{end}`" for end in ends) or "no other end"
        expected = "expected one of `bridge`, `container` and `macvlan`"
        raise CnetshError(f"{place(node, path)}: {found}, {expected}")
    return Interface(
        _interface_name(entries, "name", path),
        _interface_name(entries, "host", path),
        _text(entries, "bridge"),
        _text(entries, "container"),
        _interface_name(entries, "macvlan", path),
        _addresses(entries.get("address"), f"{path}.address"),
        _text(entries, "rate"),
        _text(entries, "delay"),
        _text(entries, "loss"),
        place(entries[ends[0]], f"{path}.{ends[0]}"),
        place(entries["address"], f"{path}.address") if "address" in entries else "",
    )


def _gateway(node: Node | None, path: str) -> Route | None:
    return Route("default", str(node.value), place(node, f"{path}.gateway")) if node else None


def _routes(entries: dict[str, Node], path: str) -> tuple[Route, ...]:
    routes = []
    for number, node in enumerate(_items(entries.get("routes"))):
        inner, here = _entries(node), f"{path}.routes[{number}]"
        network = names.network(_text(inner, "to"), place(inner["to"], f"{here}.to")).network
        routes.append(Route(str(network), _text(inner, "via"), place(inner["via"], f"{here}.via")))
    return tuple(routes)


def _published(entries: dict[str, Node], path: str) -> tuple[Publish, ...]:
    published = []
    for number, node in enumerate(_items(entries.get("publish"))):
        where = place(node, f"{path}.publish[{number}]")
        ports, _, protocol = str(node.value).partition("/")
        port, _, target = ports.partition(":")
        published.append(
            Publish(
                names.count(port, where, 1, 65535),
                names.count(target, where, 1, 65535),
                protocol or "tcp",
                where,
            )
        )
    return tuple(published)


def _sysctls(entries: dict[str, Node]) -> tuple[tuple[str, str], ...]:
    settings = _entries(entries.get("sysctls"))
    return tuple((key.replace(".", "/"), _text(settings, key)) for key in settings)


def _check(path: str, node: Node) -> Check:
    entries = _entries(node)
    because = entries.get("because")
    if because and not _text(entries, "because").isprintable():
        raise CnetshError(f"{place(because, f'{path}.because')}: expected one line of plain text")
    return Check(
        _text(entries, "from"),
        _text(entries, "to"),
        _text(entries, "expect") != "fail",
        _text(entries, "because"),
        place(node, path),
    )
