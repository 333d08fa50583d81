"""Where the containers on the host stand from left to right, and how far each bridge's bar reaches.

Containers are grouped by the set of rails that they are on. A group stands at the mean of its
rails, so that a container on two bridges is under both bars.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from cnetsh.views.picture.network import Rail
from cnetsh.views.picture.placing import Placed, Plug

_GAP = 3  # columns between boxes
TRUNK = _GAP + 1  # columns for a bar that leads on to further rows
LABEL = 6  # columns of a bar beside its label
_ROUNDS = 9


@dataclass(slots=True)
class Group:
    """The containers on one set of rails; a bar goes on to further rows on the left."""

    rails: tuple[int, ...]  # by their numbers
    members: list[Placed]
    wraps: bool  # of two rails the second runs below the boxes, and goes on at the right
    barred: bool = True  # they hang on bars, and are not led round the host
    spare: int = 0  # columns beside the boxes
    columns: int = 1
    x0: int = 0
    x1: int = 0
    wide: int = field(init=False)  # columns of a box

    def __post_init__(self) -> None:
        self.wide = max((one.w for one in self.members), default=0)
        self.columns = max(1, len(self.members))

    @property
    def between(self) -> bool:
        """Whether the second bridge's bar runs below the boxes."""
        return len(self.rails) == 2 and self.wraps

    @property
    def rows(self) -> int:
        return -(-len(self.members) // self.columns)

    @property
    def before(self) -> int:
        return TRUNK if self.rows > 1 and self.barred else 0

    @property
    def need(self) -> int:
        """How many columns it takes, with the gap to the next."""
        boxes = self.columns * (self.wide + _GAP) if self.members else 0
        return self.before + boxes + self.spare + (TRUNK if self.between else 0)

    def place(self, x: int) -> None:
        """Put its boxes into their columns and rows."""
        self.x0, self.x1 = x, x + self.need - _GAP - 1
        for number, one in enumerate(self.members):
            one.w, one.row = self.wide, number // self.columns
            column = number % self.columns
            one.x = x + self.before + self.spare // 2 + column * (self.wide + _GAP)


@dataclass(slots=True)
class Columns:
    """The groups from left to right, and of each rail the columns that its bar reaches over."""

    groups: list[Group]
    reach: list[tuple[int, int]]

    @property
    def width(self) -> int:
        return sum(group.need for group in self.groups) - _GAP if self.groups else 0

    def shift(self, by: int) -> None:
        """Move all to the right."""
        self.reach = [(low + by, high + by) for low, high in self.reach]
        for group in self.groups:
            group.x0, group.x1 = group.x0 + by, group.x1 + by
            for one in group.members:
                one.x += by


def in_columns(rails: Sequence[Rail], members: Sequence[Placed], room: int) -> Columns | None:
    """Give the places of the containers on the host, None where the room is too narrow."""
    numbers = {rail.name: number for number, rail in enumerate(rails)}
    lengths = [len(rail.label) + (LABEL if rail.kind == "bridge" else 2) for rail in rails]
    groups = _groups(rails, members, numbers, lengths)
    for _ in range(_ROUNDS):
        if not _fits(groups, room):
            return None
        reach = _reach(groups, numbers, len(rails))
        if reach is None:
            return None
        short = {number: wanted - (high - low + 1)
                 for number, (wanted, (low, high)) in enumerate(zip(lengths, reach, strict=True))
                 if wanted > high - low + 1}  # fmt: skip
        if not short:
            return Columns(groups, reach)
        for group in groups:
            if len(group.rails) == 1:
                group.spare += short.get(group.rails[0], 0)
    return None


def rail_number(plug: Plug, numbers: dict[str, int]) -> int:
    """Give the number of the rail that a plug is on; what goes round the host comes last."""
    return numbers.get(plug.port.rail, len(numbers))


def _groups(
    rails: Sequence[Rail],
    members: Sequence[Placed],
    numbers: dict[str, int],
    lengths: Sequence[int],
) -> list[Group]:
    found: dict[tuple[int, ...], list[Placed]] = {}
    for one in members:
        on = {rail_number(plug, numbers) for plug in one.plugs if plug.port.rail}
        found.setdefault(tuple(sorted(on)), []).append(one)
    sole = _widen(rails, members, lengths)
    groups = [
        Group(on, some, _wraps(on, some, rails), on[0] < len(rails)) for on, some in found.items()
    ]
    for group in groups:
        for plug in (plug for one in group.members for plug in one.plugs if group.between):
            plug.low = plug.port.rail == rails[group.rails[1]].name
        for one in group.members if group.between else ():
            one.w = 0
            one.grow()
        group.wide = max(one.w for one in group.members)
    single = {group.rails[0] for group in groups if len(group.rails) == 1}
    groups += [Group((number,), [], True, spare=length) for number, length in enumerate(lengths)
               if number not in single | sole]  # fmt: skip
    return sorted(groups, key=lambda group: (sum(group.rails) / len(group.rails), group.rails))


def _widen(rails: Sequence[Rail], members: Sequence[Placed], lengths: Sequence[int]) -> set[int]:
    """Have a rail's only socket be as wide as its label; give the numbers of these rails."""
    plugs = [plug for one in members for plug in one.plugs]
    many = Counter(plug.port.rail for plug in plugs)
    sole = {number for number, rail in enumerate(rails) if many[rail.name] == 1}
    for plug in plugs:
        for number in sole:
            if plug.port.rail == rails[number].name:
                plug.least = lengths[number]
    for one in members:
        one.grow()
    return sole


def _wraps(on: tuple[int, ...], members: list[Placed], rails: Sequence[Rail]) -> bool:
    """Say whether a group may stand in several rows: on one bridge, or between the bars of two."""
    kinds = {rails[number].kind for number in on if number < len(rails)}
    cabled = any(plug.port.other for one in members for plug in one.plugs)
    if len(on) == 2:
        return kinds == {"bridge"} and len(members) > 1 and max(on) < len(rails) and not cabled
    return len(on) == 1 and kinds <= {"bridge"}


def _fits(groups: list[Group], room: int) -> bool:
    """Take columns from the group that has most, until all fit; then give each as many rows."""
    able = [group for group in groups if group.wraps]
    for group in able:
        group.columns = max(1, len(group.members))
    while sum(group.need for group in groups) - _GAP > room:
        most = max(able, key=lambda group: group.columns, default=None)
        if most is None or most.columns == 1:
            return False
        fewer = -(-len(most.members) // (most.rows + 1))
        most.columns = min(most.columns - 1, fewer)
    deep = max((group.rows for group in groups), default=1) or 1
    for group in able:
        group.columns = max(1, -(-len(group.members) // deep))
    x = 0
    for group in groups:
        group.place(x)
        x += group.need
    return True


def _reach(
    groups: Sequence[Group], numbers: dict[str, int], count: int
) -> list[tuple[int, int]] | None:
    """Give what each rail's bar has to reach over, None where two would run into each other."""
    found: dict[int, tuple[int, int]] = {}
    for group in groups:
        if len(group.rails) == 1 and group.rails[0] < count:
            _stretch(found, group.rails[0], group.x0, group.x1)
        if group.between:
            _stretch(found, group.rails[0], group.x0, group.x0)
            _stretch(found, group.rails[1], group.x1, group.x1)
        for one in group.members:
            one.place_plugs(lambda plug: rail_number(plug, numbers))
    if not _apart(found.values()):
        return None
    plugs = [plug for group in groups for one in group.members for plug in one.plugs
             if one.row == 0 and not plug.low]  # fmt: skip
    for plug in sorted(plugs, key=lambda plug: plug.x):
        number = rail_number(plug, numbers)
        if number < count and plug.port.rail:
            tried = dict(found)
            _stretch(tried, number, plug.left, plug.right)
            # Straight where bars do not run into each other, else it is led there.
            plug.aside = not _apart(tried.values())
            found = found if plug.aside else tried
    return [found[number] for number in range(count)] if len(found) == count else None


def _stretch(found: dict[int, tuple[int, int]], number: int, low: int, high: int) -> None:
    before = found.get(number, (low, high))
    found[number] = min(before[0], low), max(before[1], high)


def _apart(reaches: Iterable[tuple[int, int]]) -> bool:
    order = sorted(reaches)
    return all(one[1] + 1 < other[0] for one, other in pairwise(order))
