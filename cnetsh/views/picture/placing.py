"""Containers on their way to a place: how large a box is, and where its sockets are."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from cnetsh.views.picture.network import DrawnContainer, DrawnPort
from cnetsh.views.picture.shapes import Box, Label, Picture

BETWEEN = 2  # columns from one socket to the next


@dataclass(slots=True)
class Plug:
    """A port on its way: its column, whether it is in the lower edge, and not below its bar."""

    port: DrawnPort
    x: int = 0
    low: bool = False
    aside: bool = False
    least: int = 0  # columns that it takes at least

    @property
    def width(self) -> int:
        """How many columns its sockets and its tag need."""
        port = self.port
        return max(len(port.socket), len(port.host_socket), len(port.tag) + 2, self.least)

    @property
    def left(self) -> int:
        return self.x - self.width // 2

    @property
    def right(self) -> int:
        return self.x + self.width // 2


@dataclass(slots=True)
class Placed:
    """A container on its way to a place."""

    it: DrawnContainer
    x: int = 0
    y: int = 0
    w: int = 0
    row: int = 0  # of those on the host, 0 is the first
    least: int = 0  # rows that it takes at least
    plugs: list[Plug] = field(default_factory=list)

    @property
    def h(self) -> int:
        return max(self.least, len(self.it.lines) + 3) if self.it.name else 1

    @property
    def several(self) -> bool:
        return self.it.several > 1

    @property
    def bottom(self) -> int:
        return self.y + self.h - 1

    @property
    def middle(self) -> int:
        return self.x + self.w // 2

    def grow(self) -> None:
        """Make the box as wide as its text, and as its sockets side by side."""
        self.fit()
        for low in (False, True):
            widths = [plug.width for plug in self.plugs if plug.low == low]
            self.w = max(self.w, sum(widths) + BETWEEN * len(widths) + 2)
        # An odd width has a middle.
        self.w += self.w % 2 == 0

    def fit(self) -> None:
        texts = [len(self.it.name), *(len(line.text) for line in self.it.lines)]
        self.w = max(self.w, *(length + 4 for length in texts))

    def place_plugs(self, key: Callable[[Plug], Any]) -> None:
        """Put the sockets of each edge side by side, in an order, around the box's middle."""
        for low in (False, True):
            plugs = sorted((plug for plug in self.plugs if plug.low == low), key=key)
            x = self.x + (self.w - sum(plug.width + BETWEEN for plug in plugs) + BETWEEN) // 2
            for plug in plugs:
                plug.x = x + plug.width // 2
                x += plug.width + BETWEEN

    def draw(self, picture: Picture) -> None:
        """Draw box, text and sockets; a cable with both ends in the host is a line."""
        if not self.it.name:
            return
        kind = "router" if self.it.router else "box"
        picture.boxes.append(Box(self.x, self.y, self.w, self.h, kind, self.several))
        picture.texts.append(Label(self.x + 2, self.y + 1, self.it.name, "name"))
        for number, line in enumerate(self.it.lines):
            picture.texts.append(Label(self.x + 2, self.y + 2 + number, line.text, line.kind))


def unplaced(one: DrawnContainer) -> Placed:
    """Give a container that has no place yet."""
    return Placed(one, plugs=[Plug(port) for port in one.ports])
