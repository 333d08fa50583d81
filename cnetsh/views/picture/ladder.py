"""The narrow picture, which is always possible: bars go down on the left, boxes hang on them.

Each socket is a rung: bar, host end, link, box.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from cnetsh.views.picture import hosting
from cnetsh.views.picture.hosting import LONE
from cnetsh.views.picture.links import Place
from cnetsh.views.picture.network import BoxLine, DrawnContainer, DrawnNetwork, DrawnPort, Rail
from cnetsh.views.picture.placing import Placed, unplaced
from cnetsh.views.picture.shapes import Bar, Box, Label, Picture, line_kind
from cnetsh.views.picture.wide import NO_WAY

LANE = 3  # columns from one upright to the next
_LEAST = 36  # columns of a host


def ladder(network: DrawnNetwork, width: int) -> Picture:
    """Give the picture in at most so many columns, or in as few as it needs."""
    beside = _Ladder(network, width, under=False)
    drawn = beside if beside.width <= width else _Ladder(network, width, under=True)
    drawn.draw()
    return drawn.picture


class _Rung(NamedTuple):
    """A port, the row of its rung, and how many of its box come after it."""

    one: Placed
    port: DrawnPort
    y: int
    after: int

    @property
    def place(self) -> Place:
        return self.one.it.name, self.port.link

    @property
    def host(self) -> str:
        # A link of the host in no bridge is itself the bar.
        return self.port.host_socket if self.port.host != self.port.rail else ""

    @property
    def length(self) -> int:
        return len(self.host) + len(self.port.socket) + 1 + bool(self.host)


@dataclass(slots=True)
class _Ladder:
    """A narrow picture as it grows; under: boxes stand below their rungs, and not beside them."""

    network: DrawnNetwork
    most: int
    under: bool
    picture: Picture = field(init=False)
    nodes: list[Placed] = field(init=False)
    rungs: list[_Rung] = field(init=False)
    left: int = 0  # column of the host's edge
    lanes: dict[str, int] = field(init=False)  # of rails
    ends: dict[Place, int] = field(default_factory=dict)  # columns of cables between containers
    start: int = 0  # column of the sockets
    boxes: int = 0  # column of the boxes
    begin: int = 0  # row below the title

    def __post_init__(self) -> None:
        self.picture = Picture(self.network.title)
        self.nodes = [unplaced(_with_tags(one)) for one in self.network.containers]
        self.rungs = list(self._in_rows())
        names = [rail.name for rail in self.network.rails]
        # What goes round the host has the column beside it.
        on = {port.rail for one in self.network.containers for port in one.ports}
        self.left = LANE if on - {"", *names} else 0
        self.lanes = {name: self.left + 2 + LANE * number for number, name in enumerate(names)}
        self.start = self.left + 2 + LANE * (len(names) + self._lead_cables())
        longest = max((rung.length for rung in self.rungs), default=0)
        self.boxes = self.start if self.under else self.start + longest + 1
        for rung in self.rungs:
            if self.under and rung.one.it.name:
                rung.one.w = max(rung.one.w, self._turn(rung) - self.boxes + 2)

    def _in_rows(self) -> Iterator[_Rung]:
        """Put boxes and rungs one below the other, from row 0 on."""
        y = 0
        for one in self.nodes:
            ports = one.it.ports
            if one.it.name:
                one.fit()
                one.least = 0 if self.under else 2 * len(ports) + 1
            first = y if self.under or not one.it.name else y + 1
            for number, port in enumerate(ports):
                yield _Rung(one, port, first + 2 * number, len(ports) - 1 - number)
            one.y = y + 2 * len(ports) if self.under and one.it.name else y
            y = one.bottom + 2 + one.several if one.it.name else y + 2 * len(ports)

    def _lead_cables(self) -> int:
        """Give each cable between containers the first column that is free; give how many."""
        rows = {rung.place: rung.y for rung in self.rungs}
        lanes: list[list[tuple[int, int]]] = []
        for rung in self.rungs:
            near, far = rung.place, rung.port.other
            if far and near not in self.ends:
                low, high = sorted((rows[near], rows[far]))
                free = (all(high < start or end < low for start, end in lane) for lane in lanes)
                number = next((at for at, one in enumerate(free) if one), len(lanes))
                lanes += [[]] if number == len(lanes) else []
                lanes[number].append((low, high))
                at = self.left + 2 + LANE * (len(self.network.rails) + number)
                self.ends[near] = self.ends[far] = at
        return len(lanes)

    def _turn(self, rung: _Rung) -> int:
        """Give the column where a rung turns down to the box below it."""
        longest = max(each.length for each in self.rungs if each.one is rung.one)
        return self.start + longest + 1 + 2 * rung.after

    @property
    def width(self) -> int:
        """How many columns it needs, the host's lines aside, for they can be broken."""
        rails = self.network.rails
        wanted = [self.boxes + one.w + one.several for one in self.nodes]
        wanted += [self.lanes[rail.name] + len(_label(rail)) + 9 + LANE * (len(rails) - number)
                   for number, rail in enumerate(rails)]  # fmt: skip
        wanted += [self.left + _LEAST] if self.network.hosted else [len(LONE)]
        return max(wanted)

    def draw(self) -> None:
        width = max(self.width, min(self.most, hosting.width_wanted(self.network, self.left)))
        self.picture.width = width
        self.begin = hosting.draw_title(self.picture, width)
        if self.network.hosted:
            y = self._host(width)
        else:
            y = self.begin + 1
            hosting.draw_no_host(self.network, self.picture, self.begin - 1)
        self.picture.tight = y
        self.rungs = [rung._replace(y=rung.y + y) for rung in self.rungs]
        for one in self.nodes:
            one.x, one.y = self.boxes, one.y + y
            one.draw(self.picture)
        for rung in self.rungs:
            self._rung(rung)
        self._uprights()

    def _host(self, width: int) -> int:
        """Draw the host with its bars; give the row where containers begin."""
        rails = self.network.rails
        room, picture = width - self.left, self.picture
        top, stack = hosting.draw_host(self.network, picture, self.left, room, self.begin)
        for number, rail in enumerate(rails):
            y = stack + 2 + 2 * number
            right = width - 4 - LANE * (len(rails) - 1 - number)
            at = self.lanes[rail.name]
            self.picture.bars.append(Bar(at, y, right, y, _label(rail), rail.bar_kind, at + 2))
            if rail.wired:
                self.picture.wire(rail.wire_kind, (right - 1, stack), (right - 1, y))
                if rail.isolated:
                    no_way = Label(right + 1 - len(NO_WAY), y - 1, NO_WAY, "no")
                    self.picture.sockets.append(no_way)
        bottom = stack + 2 * len(rails) + 2
        picture.boxes.insert(0, Box(self.left, top, room, bottom - top + 1, "host"))
        return bottom + 2

    def _rung(self, rung: _Rung) -> None:
        """Draw a rung with its sockets, from its upright to its box."""
        at = self.lanes.get(rung.port.rail, self.ends.get(rung.place, 0))
        kind = rung.port.wire_kind
        if not rung.one.it.name:
            end = self.start + max(each.length for each in self.rungs if each.one is rung.one)
            # Of a cable with both ends in the host, one rung leads on to the other.
            self.picture.wire(kind, (at, rung.y), (end, rung.y))
            if rung.after:
                self.picture.wire(kind, (end, rung.y), (end, rung.y + 2))
        elif self.under:
            turn = self._turn(rung)
            self.picture.wire(kind, (at, rung.y), (turn, rung.y), (turn, rung.one.y))
        else:
            self.picture.wire(kind, (at, rung.y), (self.boxes, rung.y))
        self._sockets(rung)

    def _sockets(self, rung: _Rung) -> None:
        port, found = rung.port, []
        if rung.host:
            found.append(Label(self.start, rung.y, rung.host, port.host_state or "up"))
        if port.socket:
            end = self._turn(rung) - 1 - 2 * rung.after if self.under else self.boxes
            at = end - len(port.socket)
            found.append(Label(at, rung.y, port.socket, port.state or "up"))
        self.picture.sockets += found

    def _uprights(self) -> None:
        """Draw what the rungs hang on: bars, cables between containers, the way round the host."""
        bars = {bar.label: bar for bar in self.picture.bars}
        rails = {rail.name: rail for rail in self.network.rails}
        for name, rail in rails.items():
            rows = [rung.y for rung in self.rungs if rung.port.rail == name]
            if rows:
                y = bars[_label(rail)].y0
                at = self.lanes[name]
                self.picture.bars.append(Bar(at, y, at, max(rows), "", rail.bar_kind))
        for rung in self.rungs:
            far = next(filter(lambda each: each.place == rung.port.other, self.rungs), None)
            if far and rung.y < far.y:
                at = self.ends[rung.place]
                kind = line_kind(rung.port.state, far.port.state)
                self.picture.wire(kind, (at, rung.y), (at, far.y))
        round_it = [rung.y for rung in self.rungs if rung.port.rail and rung.port.rail not in rails]
        if round_it:
            middle = self.left + (self.picture.width - self.left) // 2
            dot = (middle, self.begin + 1)
            self.picture.wire("up", dot, (0, dot[1]), (0, max(round_it)))
            self.picture.dots += [dot, *((0, y) for y in round_it[:-1])]


def _label(rail: Rail) -> str:
    own = f"{rail.name} {rail.state}".strip()
    return rail.label if rail.kind == "bridge" else f"{own}  {rail.label}"


def _with_tags(one: DrawnContainer) -> DrawnContainer:
    """Give a container with what is done to packets on its links as lines of its box."""
    tags = [BoxLine(f"{port.link}: {port.tag}") for port in one.ports if port.tag and one.name]
    return one._replace(lines=(*one.lines, *tags))
