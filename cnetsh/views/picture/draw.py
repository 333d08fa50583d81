"""A network drawn in one of the forms that people and tools read."""

from collections.abc import Iterator

from cnetsh.views.picture.chart import as_dot, as_mermaid
from cnetsh.views.picture.drawing import as_ascii, as_unicode
from cnetsh.views.picture.fold import folded
from cnetsh.views.picture.ladder import ladder
from cnetsh.views.picture.network import DrawnNetwork
from cnetsh.views.picture.shapes import Picture
from cnetsh.views.picture.svg import as_svg
from cnetsh.views.picture.wide import wide

PAGE = 123  # columns of an SVG picture where nobody says how many: 995 pixels
NAMED = 6  # so many are named in words


def draw(network: DrawnNetwork, form: str, width: int) -> str:
    """Give the network as unicode, ascii, svg, mermaid or dot; width: more where it needs more."""
    told = described(network)
    network = folded(network)
    if form == "mermaid":
        return as_mermaid(network)
    if form == "dot":
        return as_dot(network)
    picture = picture_of(network, width)
    if form == "svg":
        return as_svg(picture, told)
    return as_ascii(picture) if form == "ascii" else as_unicode(picture)


def picture_of(network: DrawnNetwork, width: int) -> Picture:
    """Give the picture of a network, the wide one where it fits."""
    return wide(network, width) or ladder(network, width)


def described(network: DrawnNetwork) -> str:
    """Give what the picture shows as sentences, for those who cannot see it."""
    return " ".join(_sentences(network))


def _sentences(network: DrawnNetwork) -> Iterator[str]:
    names = [one.name for one in network.containers if one.name]
    on_it: dict[str, list[str]] = {rail.name: [] for rail in network.rails}
    for one in network.containers:
        for name in {port.rail: None for port in one.ports if port.rail in on_it}:
            on_it[name].append(one.name or "a link of the host")
    yield f"{len(names):,} container{'' if len(names) == 1 else 's'}."
    if network.hosted:
        yield f"The host's IP stack: {network.heading}."
    for rail in network.rails[:NAMED]:
        what = "Bridge " if rail.kind == "bridge" else f"Link {rail.name} "
        yield f"{what}{rail.label}: {_listed(on_it[rail.name]) or 'nothing on it'}."
    yield from (f"{text}." for text in network.translated)
    routers = [one.name for one in network.containers if one.router]
    yield f"Routers: {_listed(routers) or 'none'}."


def _listed(names: list[str]) -> str:
    few = names if len(names) <= NAMED else [names[0], f"{len(names) - 2:,} more", names[-1]]
    return ", ".join(few)
