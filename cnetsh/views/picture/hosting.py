"""The upper part of the host: the Internet, the host's link to it, translation, the IP stack."""

from textwrap import wrap

from cnetsh.views.picture.network import DrawnNetwork, broken
from cnetsh.views.picture.shapes import Box, Label, Picture, line_kind, socket_of

INSET = 4  # columns of the host beside the boxes in it
_LEAST = 24
_WIDER = 1.25  # a letter of the title beside one of the rest
LONE = "not connected to the host or the Internet"
EMPTY = "no container and no bridge is there"
_PROMPT = "NAT "


def width_wanted(network: DrawnNetwork, left: int = 0) -> int:
    """Give how wide a picture has to be for its title, and for the longest lines of its host.

    left: columns beside the host.
    """
    title = int(len(network.title) * _WIDER) + 1
    if not network.hosted:
        return title
    lengths = [len(text) + len(_PROMPT) + 8 for text in network.translated]
    lengths += [len(text) + 8 for text in (*network.ways, f"IP stack  {network.heading}")]
    outside = network.outside
    lengths += [2 * len(outside.address) + 10] if outside else []
    return max(title, left + max([40, *lengths]))


def draw_title(picture: Picture, width: int) -> int:
    """Draw the title in as many lines as it needs; give the row where the picture begins."""
    rows = wrap(picture.title, int(width / _WIDER)) or [""]
    for y, row in enumerate(rows):
        picture.texts.append(Label(0, y, row, "title"))
    return len(rows) + 1


def draw_no_host(network: DrawnNetwork, picture: Picture, y: int) -> None:
    """Say in a row why the host is not drawn."""
    picture.texts.append(Label(0, y, LONE if network.containers else EMPTY, "faint"))


def draw_host(
    network: DrawnNetwork, picture: Picture, left: int, width: int, y: int
) -> tuple[int, int]:
    """Draw it from row y but for its box; give the rows of its upper edge and the stack's end."""
    middle, outside = left + width // 2, network.outside
    if outside:
        picture.socket(middle, y, f"( {outside.name} )", "net")
        picture.wire(line_kind(outside.state), (middle, y), (middle, y + 3))
        y += 3
    top = y
    picture.texts.append(Label(left + 2, y + 1, "host", "name"))
    # Below its upper edge comes a line for the host's name.
    y += 2
    if outside and outside.link:
        picture.socket(middle, top, socket_of(outside.link, outside.state), outside.state or "up")
        picture.texts.append(Label(middle + 2, top + 1, outside.address, "line"))
    if network.translated:
        below = _draw_translation(network, picture, middle, left, width, y)
        picture.wire("up", (middle, top), (middle, y))
        picture.wire("up", (middle, below), (middle, below + 2))
        y = below + 2
    elif outside:
        picture.wire(line_kind(outside.state), (middle, top), (middle, y))
    return top, _draw_stack(network, picture, left, width, y)


def _draw_translation(
    network: DrawnNetwork, picture: Picture, middle: int, left: int, width: int, y: int
) -> int:
    """Draw what is done to addresses on the wire; give the row where the box ends."""
    rows = [row for text in network.translated
            for row in broken(text, width - INSET - 4 - len(_PROMPT))]  # fmt: skip
    wide = max(_LEAST, *(len(row) + len(_PROMPT) + 4 for row in rows))
    x = max(left + 2, middle - wide // 2)
    picture.boxes.append(Box(x, y, wide, len(rows) + 2, "nat"))
    picture.texts.append(Label(x + 2, y + 1, _PROMPT.strip(), "strong"))
    for number, row in enumerate(rows):
        picture.texts.append(Label(x + 2 + len(_PROMPT), y + 1 + number, row, "line"))
    return y + len(rows) + 1


def _draw_stack(network: DrawnNetwork, picture: Picture, left: int, width: int, y: int) -> int:
    rows = _rows(network.ways, width - 8)
    picture.boxes.append(Box(left + 2, y, width - INSET, len(rows) + 3, "stack"))
    head = "IP stack"
    picture.texts.append(Label(left + 4, y + 1, head, "strong"))
    picture.texts.append(Label(left + 6 + len(head), y + 1, network.heading, "line"))
    for number, row in enumerate(rows):
        picture.texts.append(Label(left + 4, y + 2 + number, row, "line"))
    return y + len(rows) + 2


def _rows(ways: tuple[str, ...], width: int) -> list[str]:
    """Give the texts side by side as far as they fit."""
    rows: list[str] = []
    for text in ways:
        if rows and len(rows[-1]) + 3 + len(text) <= width:
            rows[-1] += f"   {text}"
        else:
            rows += broken(text, width)
    return rows
