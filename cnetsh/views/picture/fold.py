"""Containers of a kind drawn as one: a thousand are then three boxes."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby

from cnetsh.views.picture.network import BoxLine, DrawnContainer, DrawnNetwork, DrawnPort, Rail

DRAWN_ALL = 12  # so many containers are drawn each for itself
ALIKE = 4  # so many in a row are worth folding
_ADDRESS = re.compile(r"[\d.:a-f]+/")


def folded(network: DrawnNetwork) -> DrawnNetwork:
    """Give a network in which runs alike but for numbers are first, several in one, and last."""
    if len(network.containers) <= DRAWN_ALL:
        return network
    # A link of the host in no bridge is a container's own.
    own = {rail.name: rail for rail in network.rails if rail.kind == "link"}
    runs = [list(run) for _, run in groupby(network.containers, lambda one: _likeness(one, own))]
    inner = [run[1:-1] for run in runs if len(run) >= ALIKE]
    gone = {port.rail for run in inner for one in run for port in one.ports} & own.keys()
    rails = [rail for rail in network.rails if rail.name not in gone]
    for run in inner:
        ends = zip(run[0].ports, run[-1].ports, strict=True)
        rails += [_rail(own[one.rail], own[other.rail]) for one, other in ends if one.rail in own]
    containers = tuple(one for run in runs for one in _run(run))
    return replace(network, containers=containers, rails=tuple(rails))


def _likeness(one: DrawnContainer, own: dict[str, Rail]) -> object:
    ports = [
        (bool(port.host) if port.rail in own else port.rail, port.tag, port.state, port.host_state)
        for port in one.ports
    ]
    # A cable that leads to another container, or has both ends in the host, is alone.
    alone = any(port.other or not one.name for port in one.ports) and id(one)
    stem = re.sub(r"\d+$", "", one.name)
    return stem, alone, one.router, ports, [_kept(line) for line in one.lines]


def _kept(line: BoxLine) -> str:
    return line.text if "→" in line.text or "←" in line.text else _ADDRESS.sub("/", line.text)


def _run(run: list[DrawnContainer]) -> Iterable[DrawnContainer]:
    if len(run) < ALIKE:
        return run
    first, last = run[1], run[-2]
    lines = [BoxLine(f"{len(run) - 2:,} containers", "strong"), *_lines(first.lines, last.lines)]
    ports = tuple(map(_port, first.ports, last.ports))
    name = _span(first.name, last.name)
    return run[0], DrawnContainer(name, tuple(lines), ports, first.router, len(run) - 2), run[-1]


def _span(one: str, other: str) -> str:
    return one if one == other else f"{one} … {other}"


def _rail(one: Rail, other: Rail) -> Rail:
    return one._replace(name=_span(one.name, other.name), label=_span(one.label, other.label))


def _port(one: DrawnPort, other: DrawnPort) -> DrawnPort:
    return one._replace(
        link=_span(one.link, other.link),
        host=_span(one.host, other.host),
        rail=_span(one.rail, other.rail),
    )


def _lines(some: Sequence[BoxLine], others: Sequence[BoxLine]) -> Iterator[BoxLine]:
    for one, other in zip(some, others, strict=True):
        if one != other:
            yield BoxLine(f"{one.text.partition('/')[0]} …", one.kind)
        yield other
