"""A lab file read: as a lab with its finished values, or its name alone."""

from collections.abc import Sequence
from pathlib import Path

from cnetsh import names
from cnetsh.errors import CnetshError, Mistakes
from cnetsh.labs.builtin import Lab, shipped
from cnetsh.labs.fields import Mapping, unexpected
from cnetsh.labs.model import Topology
from cnetsh.labs.yaml import Key, Node, compose_file, place_of
from cnetsh.names import meant


def load_file(path: Path, settings: Sequence[str]) -> Lab:
    """Give a file's lab, with settings (KEY=VALUE) in it. Raises CnetshError, a line a mistake."""
    # A file is often asked for its name alone.
    from cnetsh.labs.topology import values

    described = describe(compose_file(path), settings)
    return Lab(
        name=described.name,
        title=described.title or f"The network {described.name}",
        teaches=f"the network of {path.name}",
        folder=shipped("templates") / "topology",
        values=values.topology_values(described),
        trusted=True,
    )


def name_in(path: Path, settings: Sequence[str] = ()) -> str:
    """Give the lab's name alone: a lab that is up can be taken down by a file broken since."""
    root = compose_file(path)
    for setting in settings:
        _override(root, setting)
    if not isinstance(root.value, dict):
        raise unexpected(root, "", "a mapping")
    if "name" not in root.value:
        raise CnetshError(f"{place_of(root)}: no `name`, expected one")
    kind = Mapping(Topology).fields["name"].kind
    return str(kind.read(root.value["name"], "name", Mistakes()))


def describe(root: Node, settings: Sequence[str] = ()) -> Topology:
    """Give what a document says. Raise CnetshError with place and expectation of each mistake."""
    mistakes = Mistakes()
    for setting in settings:
        with mistakes:
            _override(root, setting)
    mistakes.tell()
    with mistakes:
        topology: Topology = Mapping(Topology).read(root, "", mistakes)
        # A file with other mistakes is still asked whether its names lead somewhere.
        if mistakes:
            from cnetsh.labs.topology.members import refuse_unknown

            refuse_unknown(topology, mistakes)
    mistakes.tell()
    return topology


def _override(root: Node, setting: str) -> None:
    key, equals, text = setting.partition("=")
    where = f"--set {names.visible(key)}"
    if not equals:
        raise CnetshError(f"{where}: no value, expected KEY=VALUE", "--set bridges.br0.mtu=1400")
    *path, last = key.split(".")
    node = root
    for step in path:
        node = _step(node, step, where)
    if not isinstance(node.value, dict):
        raise CnetshError(f"{where}: expected a path like bridges.br0.mtu=1400")
    if last in node.value and not isinstance(node.value[last].value, str):
        raise CnetshError(f"{where}: more than one value, change it in the file")
    # A node without a line: messages name the option in place of the file.
    node.value[last] = Node(text, where, key=Key(last))


def _step(node: Node, step: str, where: str) -> Node:
    entries: dict[str, Node] = node.value if isinstance(node.value, dict) else {}
    if step not in entries:
        missing = f"the file has no `{names.visible(step)}` there{meant(step, entries)}"
        raise CnetshError(f"{where}: {missing}")
    return entries[step]
