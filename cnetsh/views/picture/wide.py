"""The wide picture: the host's bars lie above rows of boxes."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from cnetsh.views.picture import hosting
from cnetsh.views.picture.columns import Columns, Group, in_columns, rail_number
from cnetsh.views.picture.hosting import INSET, LONE
from cnetsh.views.picture.levels import levels
from cnetsh.views.picture.network import DrawnNetwork, Rail
from cnetsh.views.picture.placing import Placed, Plug, unplaced
from cnetsh.views.picture.shapes import Bar, Box, Label, Picture, line_kind, socket_of
from cnetsh.views.picture.wiring import DOWN, RIGHT, UP, Grid, Job

NO_WAY = "(no forwarding)"
ROUND = 5  # columns beside the host, for what goes round it
MOST_ENDS = 60  # of cables between containers: more are a tangle, and take long to lead
APART = 5  # columns between containers that are not on the host


def wide(network: DrawnNetwork, width: int) -> Picture | None:
    """Give the picture in at most so many columns, None where it does not fit."""
    drawn = _Wide(network, width, [unplaced(one) for one in network.containers])
    return drawn.picture if drawn.draw() else None


@dataclass(slots=True)
class _Wide:
    """A wide picture as it grows."""

    network: DrawnNetwork
    most: int
    nodes: list[Placed]
    picture: Picture = field(init=False)
    columns: Columns = field(init=False)
    numbers: dict[str, int] = field(init=False)
    spare: list[tuple[int, int]] = field(default_factory=list)  # rows that may go
    jobs: list[Job] = field(default_factory=list)
    taken: list[Label] = field(default_factory=list)  # sockets in the host's lower edge
    inner: int = 0  # columns inside the host
    begin: int = 0  # row below the title
    stack: int = 0  # row where the IP stack ends
    bars: int = 0  # row of the bars
    edge: int = 0  # row of the host's lower edge

    def __post_init__(self) -> None:
        self.picture = Picture(self.network.title)
        self.numbers = {rail.name: at for at, rail in enumerate(self.network.rails)}

    def draw(self) -> bool:
        """Draw all; say whether it fits."""
        hosted = [one for one in self.nodes if any(plug.port.rail for plug in one.plugs)]
        if sum(plug.port.other is not None for one in self.nodes for plug in one.plugs) > MOST_ENDS:
            return False
        level = levels(self.nodes, [one.it.name for one in hosted])
        for one in self.nodes:
            for plug in one.plugs:
                other = plug.port.other
                plug.low = other is not None and level[other[0]] >= level[one.it.name]
            one.grow()
        columns = in_columns(self.network.rails, hosted, self.most - INSET - self._beside())
        rows = self._packed([one for one in self.nodes if one not in hosted], level)
        if columns is None or rows is None:
            return False
        self.columns = columns
        self._widen(rows)
        for one in hosted:
            one.place_plugs(lambda plug: rail_number(plug, self.numbers))
        if self.network.hosted:
            y = self._host()
        else:
            y = self.begin - 2
            hosting.draw_no_host(self.network, self.picture, self.begin - 1)
        y = self._hosted(hosted, y)
        if not self._lead_aside(hosted):
            return False
        self._others(rows, level, y)
        return self._finish()

    def _beside(self) -> int:
        return ROUND if self._rounds() else 0

    def _rounds(self) -> list[tuple[Placed, Plug]]:
        """Give what goes round the host: what is made on its own link to the outside."""
        return [(one, plug) for one in self.nodes for plug in one.plugs
                if plug.port.rail and plug.port.rail not in self.numbers]  # fmt: skip

    def _packed(self, lone: list[Placed], level: dict[str, int]) -> list[list[Placed]] | None:
        """Give the rows of containers that are not on the host, None where one is too wide."""
        rows: list[list[Placed]] = []
        last = None
        for one in sorted(lone, key=lambda one: level[one.it.name]):
            wanted = sum(each.w + APART for each in rows[-1]) + one.w if rows else 0
            if last != level[one.it.name] or wanted > self.most - INSET:
                rows.append([])
            rows[-1].append(one)
            last = level[one.it.name]
            if one.w > self.most - INSET:
                return None
        return rows

    def _widen(self, rows: list[list[Placed]]) -> None:
        lengths = [sum(one.w + APART for one in row) - APART for row in rows]
        lengths += [self.columns.width, hosting.width_wanted(self.network) - INSET]
        lengths += [] if self.network.hosted else [len(LONE)]
        self.inner = min(max(lengths), self.most - INSET - self._beside())
        self.columns.shift(2 + max(0, (self.inner - self.columns.width) // 2))
        self.picture.width = self.inner + INSET + self._beside()
        self.begin = hosting.draw_title(self.picture, self.picture.width)

    # ── the host ──
    def _host(self) -> int:
        """Draw the host with its bars; give the row of its lower edge."""
        width = self.inner + INSET
        top, self.stack = hosting.draw_host(self.network, self.picture, 0, width, self.begin)
        rails = self.network.rails
        self.bars = self.stack + 2 + any(rail.isolated and rail.wired for rail in rails)
        self.edge = self.bars + 2
        self.picture.boxes.insert(0, Box(0, top, width, self.edge - top + 1, "host"))
        for number, rail in enumerate(rails):
            self._rail(number, rail)
        return self.edge

    def _rail(self, number: int, rail: Rail) -> None:
        low, high = self.columns.reach[number]
        plugs = [plug for one in self._row(0) for plug in one.plugs if plug.port.rail == rail.name]
        straight = [plug for plug in plugs if not plug.low and not plug.aside]
        if rail.kind == "link":
            self._own_link(rail, straight[0].x if straight else (low + high) // 2)
            return
        bar = Bar(low, self.bars, high, self.bars, rail.label, rail.bar_kind, low + 4)
        self.picture.bars.append(bar)
        if rail.wired:
            at = low + 9 if rail.isolated else low + 2
            self.picture.wire(rail.wire_kind, (at, self.stack), (at, self.bars))
            if rail.isolated:
                self.picture.socket(at, self.bars - 1, NO_WAY, "no")
        for plug in straight:
            self._host_end(plug, plug.x)

    def _own_link(self, rail: Rail, at: int) -> None:
        """Draw a link of the host in no bridge: its address lies on its wire."""
        self.picture.wire(rail.wire_kind, (at, self.stack), (at, self.edge))
        self.picture.socket(at, self.bars, rail.label, "addr")
        socket = socket_of(rail.name, rail.state)
        self.taken.append(self.picture.socket(at, self.edge, socket, rail.state or "up"))

    def _host_end(self, plug: Plug, at: int) -> None:
        port = plug.port
        self.picture.wire(line_kind(port.host_state), (at, self.bars), (at, self.edge))
        if port.host:
            kind = port.host_state or "up"
            self.taken.append(self.picture.socket(at, self.edge, port.host_socket, kind))

    def _row(self, row: int) -> list[Placed]:
        return [one for group in self.columns.groups for one in group.members if one.row == row]

    # ── rows of boxes on the host ──
    def _hosted(self, hosted: list[Placed], y: int) -> int:
        """Draw the containers on the host row by row; give the row where they end."""
        aside = sum(plug.aside for one in hosted for plug in one.plugs)
        ends: dict[int, int] = {}
        for row in range(1 + max((one.row for one in hosted), default=-1)):
            nodes = self._row(row)
            tagged = any(plug.port.tag and not plug.low for one in nodes for plug in one.plugs)
            extra = aside + 2 * len(self._rounds()) if row == 0 else 0
            self.spare.append((y + 1, y + 2 + extra))
            top = y + 3 + extra + tagged + (3 if row else 0)
            for one in nodes:
                one.y = top
            for group in self.columns.groups:
                self._above(group, row, top - tagged, ends)
            y = self._below(nodes, row, max(one.bottom + one.several for one in nodes), ends)
        return y

    def _above(self, group: Group, row: int, top: int, ends: dict[int, int]) -> None:
        """Draw what leads to a group's row from above, from the second on by a bar of its own."""
        plugs = [(one, plug) for one in group.members for plug in one.plugs
                 if one.row == row and not plug.low and plug.port.rail in self.numbers]  # fmt: skip
        if row and plugs:
            rail = self.network.rails[group.rails[0]]
            last = max(plug.right for _, plug in plugs) + 1
            self._lead_on(rail, group.x0, ends, top - 4, (group.x0, last))
        for one, plug in plugs:
            kind = plug.port.wire_kind
            if row:
                self.picture.wire(kind, (plug.x, top - 4), (plug.x, one.y))
                self._socket_of_host(plug, top - 2)
            elif not plug.aside:
                self.picture.wire(kind, (plug.x, self.edge), (plug.x, one.y))

    def _lead_on(
        self, rail: Rail, at: int, ends: dict[int, int], y: int, reach: tuple[int, int]
    ) -> None:
        """Draw a bar's way on along a column, and the bar anew."""
        self.picture.bars.append(Bar(at, ends.get(at, self.bars), at, y, "", rail.bar_kind))
        ends[at] = y
        self.picture.bars.append(
            Bar(reach[0], y, reach[1], y, rail.name, rail.bar_kind, reach[0] + 4)
        )

    def _socket_of_host(self, plug: Plug, y: int) -> None:
        if plug.port.host:
            kind = plug.port.host_state or "up"
            self.picture.socket(plug.x, y, plug.port.host_socket, kind)

    def _below(self, nodes: list[Placed], row: int, bottom: int, ends: dict[int, int]) -> int:
        """Draw the second bar of two, below their boxes; give the row where all of a row ends."""
        low = [(one, plug) for one in nodes for plug in one.plugs if plug.low]
        tagged = any(plug.port.tag for _, plug in low)
        bar = bottom + 4 + tagged
        between = [group for group in self.columns.groups if group.between]
        drawn = False
        for group in between:
            plugs = [(one, plug) for one, plug in low if one in group.members]
            if not plugs:
                continue
            first = min(plug.left for _, plug in plugs) - 1
            rail = self.network.rails[group.rails[1]]
            self._lead_on(
                rail, group.x1, ends, bar, (min(first, group.x1 - 5 - len(rail.name)), group.x1)
            )
            drawn = True
            for one, plug in plugs:
                kind = plug.port.wire_kind
                self.picture.wire(kind, (plug.x, one.bottom), (plug.x, bar))
                self._socket_of_host(plug, bar - 2)
        cables = sum(plug.port.other is not None for _, plug in low)
        if cables:
            self.spare.append((bottom + 1, bottom + cables + 2))
            bottom += cables + 2 + tagged
        return max(bottom, bar) if drawn else bottom

    def _lead_aside(self, hosted: list[Placed]) -> bool:
        """Give the cables that are not below their bar a free spot of it; say whether all have."""
        aside = [(one, plug) for one in hosted for plug in one.plugs if plug.aside]
        for one, plug in aside:
            low, high = self.columns.reach[self.numbers[plug.port.rail]]
            half = len(socket_of(plug.port.host, plug.port.host_state)) // 2 + 1
            spots = [at for at in range(low + half, high - half + 1)
                     if all(at + half < text.x - 1 or text.right + 1 < at - half
                            for text in self.taken)]  # fmt: skip
            if not spots:
                return False
            at = min(spots, key=lambda at: (abs(at - plug.x), at))
            self._host_end(plug, at)
            kind = plug.port.wire_kind
            self.jobs.append(Job((at, self.edge), DOWN, (plug.x, one.y), DOWN, kind))
        return True

    # ── containers that are not on the host ──
    def _others(self, rows: list[list[Placed]], level: dict[str, int], y: int) -> None:
        placed = {one.it.name: one for group in self.columns.groups for one in group.members}
        for row in rows:
            self._spread(row, placed)
            cables = sum(len(one.plugs) for one in row) + 2
            self.spare.append((y + 1, y + 2 + cables))
            y += 3 + cables
            for one in row:
                one.y = y
                placed[one.it.name] = one
            y = max(one.bottom for one in row) + 2
            others = [(one.it.name, plug.port.other[0]) for one in row for plug in one.plugs
                      if plug.low and plug.port.other]  # fmt: skip
            if any(level[name] == level[other] for name, other in others):
                self.spare.append((y, y + 6))
                y += 7

    def _spread(self, row: list[Placed], placed: dict[str, Placed]) -> None:
        """Put a row's boxes under the mean of their neighbours above, as far as there is room."""
        wanted = {}
        for one in row:
            above = [placed[plug.port.other[0]].middle for plug in one.plugs
                     if plug.port.other and plug.port.other[0] in placed]  # fmt: skip
            wanted[one.it.name] = sum(above) // len(above) if above else 2 + self.inner // 2
        row.sort(key=lambda one: wanted[one.it.name])
        gap = APART
        if len(row) > 1 and len(set(wanted.values())) == 1:
            gap += min(
                4, (self.inner - sum(one.w + APART for one in row) + APART) // (len(row) - 1)
            )
        at = 2
        for one in row:
            one.x = max(at, wanted[one.it.name] - one.w // 2)
            at = one.x + one.w + gap
        at = 2 + self.inner
        for one in reversed(row):
            one.x = min(one.x, at - one.w)
            at = one.x - gap
        off = sum(wanted[one.it.name] - one.middle for one in row) // len(row)
        off = max(2 - row[0].x, min(off, 2 + self.inner - row[-1].x - row[-1].w))
        for one in row:
            one.x += off

    # ── what is not straight ──
    def _finish(self) -> bool:
        """Draw boxes, their sockets, and the wires that turn; say whether each found a way."""
        known = {one.it.name: one for one in self.nodes}
        for one in self.nodes:
            one.place_plugs(lambda plug: self._order(plug, known))
            one.draw(self.picture)
            if one.it.name:
                self._sockets(one)
            else:
                left, right = (plug.x for plug in one.plugs)
                states = [plug.port.host_state for plug in one.plugs]
                self.picture.wire(line_kind(*states), (left, one.y), (right, one.y))
        jobs = [*self.jobs, *self._cables(known)]
        height = self.picture.height + 3
        grid = Grid(self.picture, [*jobs, *self._round_jobs()], self.picture.width, height)
        found = all(map(grid.draw, sorted(jobs, key=lambda job: (job.length, job.start, job.end))))
        found = found and self._round(grid)
        self.picture.without_idle_rows(self.spare)
        return found

    def _order(self, plug: Plug, known: dict[str, Placed]) -> tuple[float, str]:
        other = plug.port.other
        if other:
            return known[other[0]].middle, plug.port.link
        return rail_number(plug, self.numbers), ""

    def _sockets(self, one: Placed) -> None:
        for plug in one.plugs:
            y = one.bottom if plug.low else one.y
            self.picture.socket(plug.x, y, plug.port.socket, plug.port.state or "up")
            if plug.port.tag:
                beside = y + 1 if plug.low else y - 1
                self.picture.socket(plug.x, beside, f" {plug.port.tag} ", "tag")

    def _cables(self, known: dict[str, Placed]) -> Iterator[Job]:
        for one in self.nodes:
            for plug in one.plugs:
                other = plug.port.other
                if other and (one.it.name, plug.port.link) < other:
                    far = known[other[0]]
                    end = next(each for each in far.plugs if each.port.link == other[1])
                    kind = line_kind(plug.port.state, end.port.state)
                    start = (plug.x, one.bottom if plug.low else one.y)
                    goal = (end.x, far.bottom if end.low else far.y)
                    out, into = (DOWN if plug.low else UP), (UP if end.low else DOWN)
                    yield Job(start, out, goal, into, kind)

    def _round_jobs(self) -> list[Job]:
        dot = (2 + self.inner // 2, self.begin + 1)
        return [Job(dot, RIGHT, (plug.x, one.y), DOWN, line_kind(plug.port.state))
                for one, plug in self._rounds()]  # fmt: skip

    def _round(self, grid: Grid) -> bool:
        """Lead what is made on the host's own link round it; others leave the first one's wire."""
        tap = None
        for job in sorted(self._round_jobs(), key=lambda job: -job.end[0]):
            if tap:
                job = job._replace(start=tap, out=DOWN)
            if not grid.draw(job):
                return False
            self.picture.dots.append(job.start)
            tap = tap or self.picture.wires[-1].points[3]
        return True
