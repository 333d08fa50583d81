"""What undoes steps of a lab, worked out before the first command: a revert on what is there now.

What a lab made is deleted as a whole; what it did to others' is taken back where it is still so.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from cnetsh import kinds
from cnetsh.apply.journal import Journal, plan_of
from cnetsh.apply.run import Means
from cnetsh.apply.sharing import Handed, Other, handed, needs, others
from cnetsh.apply.sight import Sight, done_by
from cnetsh.compare.revert import Aim, aim, inherited, is_a_ports, same
from cnetsh.compare.scope import is_named_by
from cnetsh.kinds import rule
from cnetsh.kinds.address import is_link_local
from cnetsh.kinds.change import (
    OWNED,
    Change,
    Changes,
    Fact,
    Found,
    Make,
    Patch,
    Reach,
    Ref,
    Remove,
    Set,
    refs_of,
)
from cnetsh.kinds.setting import is_of_all
from cnetsh.plan.lines import Line, mark_of
from cnetsh.plan.steps import Step, as_step, made_by
from cnetsh.plan.undo import Undo, down_order, undos
from cnetsh.system.process import never

# In this order where no step says one: what needs another is taken first and put back last.
_TAKEN = ("rule", "route", "neighbour", "fdb", "group", "vlan", "address", "queue", "home")
_PUT = ("setting", "link", "vlan", "fdb", "group", "address", "neighbour", "route", "queue", "rule")
_VALUES = ("master", "mtu", "address", "alias", "txqueuelen", "up")


class Mend(NamedTuple):
    """A command that takes something back: its text, the step that it undoes, what it changes."""

    text: str
    step: int | None = None
    change: Change | None = None

    @property
    def changes(self) -> Changes:
        """What it changes, by its words where nothing else says so."""
        return (self.change,) if self.change else as_step(self.text).changes


class Left(NamedTuple):
    """Something of the lab's that is left, and the command that ends that, where there is one."""

    text: str
    advice: str = ""
    final: bool = False  # there is no way back, so nothing more can be done about it


@dataclass(frozen=True, slots=True)
class Undoing:
    """What takes steps of a lab back, worked out before the first of them is touched."""

    sight: Sight
    begun: Found  # what was there first
    numbers: Collection[int]
    done: Patch  # to things of others
    free: Patch  # what of that does not stay for another lab
    beside: Sequence[Other]
    handed: Handed  # what other labs are to know of it
    aimed: Aim  # where it goes
    blocked: Mapping[Ref, list[Left]]  # what others use, and so stays
    undos: Sequence[Undo]  # those that are not covered
    mends: Sequence[Mend]  # the commands in their order
    cost: frozenset[Reach]  # how far they reach besides what they name

    @classmethod
    def of(cls, sight: Sight, numbers: Collection[int], done: Patch) -> "Undoing":
        """Work out what takes steps back, and what they have done to things of others."""
        done, beside = inherited(done, sight.journal.before, sight.now), others(sight)
        needed = needs(done, beside, sight.now)
        free = {fact: both for fact, both in done.items() if not any(fact in one for one in needed)}
        made = frozenset(ref for number in numbers for ref in made_by(sight.steps[number]))
        aimed = _aimed(sight, free)
        known = handed(sight, made, done, beside, needed, aimed)
        blocked = _blocked(sight, aimed.wanted, made)
        undone = _ordered(sight, numbers)
        ordered, rest = _in_order(sight, undone, free, aimed.wanted, blocked)
        ordered = [*_brought_away(sight, numbers), *_set_back_away(sight, free), *ordered]
        # What undoing a step reaches, the step has reached too.
        cost = cost_of([*ordered, *rest], sight) | sight.scope.reach
        mends = [*ordered, *(one for one in rest if not _follows(one, cost))]
        return cls(sight, sight.now, numbers, done, free, beside, known,
                   aimed, blocked, undone, mends, cost)  # fmt: skip

    @property
    def lines(self) -> tuple[Line, ...]:
        """The commands that run, in their order."""
        return tuple(map(self._line, self.mends))

    @property
    def changes(self) -> Iterator[Change]:
        """What the commands change; not all that the kernel prints could be typed."""
        return (change for one in self.mends for change in one.changes)

    @property
    def at_stake(self) -> Patch:
        """What of others' the commands may cost besides, which is then put back as it is now."""
        return {fact: (value, value) for fact, value in self.aimed.wanted.items()
                if fact not in self.free
                and not self.cost.isdisjoint(kinds.places(fact, value))}  # fmt: skip

    def _line(self, mend: Mend) -> Line:
        undone = None if mend.step is None else self.sight.steps[mend.step]
        why = f"undoes: {undone.text}" if undone else "as it was before"
        # A template's own undo may be anything: it takes away what its step did.
        mark = mark_of(mend.changes) or "-"
        return Line(mark, Step(mend.text, "", undone.section if undone else "", why, "change", 0))


def undoing(journal: Journal, means: Means) -> Undoing:
    """Work out what undoes all that the journal says was done and still is there, to its end."""
    sight = Sight.of(journal, replace(means, stopping=never), plan_of(journal, "up").steps)
    return Undoing.of(sight, journal.applied, done_by(journal, sight.now, sight.scope))


def cost_of(mends: Iterable[Mend], sight: Sight) -> frozenset[Reach]:
    """Give how far commands reach besides what they name."""
    changes, known = [one.change for one in mends if one.change], sight.known
    return frozenset(place for one in changes for place in kinds.reach(one, known))


def _aimed(sight: Sight, free: Patch) -> Aim:
    # A folder that was made on the way stays where others have put something below it.
    done = {fact: both for fact, both in free.items() if not sight.keeps_others(fact.ref)}
    aimed = aim(done, sight.journal.found, sight.now, sight.scope)
    # What a killed undo has cost others meanwhile.
    aimed.wanted.update({fact: was for fact, (was, _) in sight.journal.aim.items()
                         if fact not in free})  # fmt: skip
    return aimed


def _follows(one: Mend, cost: frozenset[Reach]) -> bool:
    """Say whether a setting may follow what is undone: it is written only where it did not."""
    if not one.change or one.change.ref.kind != "setting":
        return False
    return not cost.isdisjoint(kinds.places(Fact(one.change.ref, "value"), None))


def _blocked(sight: Sight, wanted: Found, going: Collection[Ref]) -> dict[Ref, list[Left]]:
    """Give what of that which goes others use now, each with the commands that end that."""
    blocked: dict[Ref, list[Left]] = {}
    for ref, line in _used(sight, wanted):
        if ref in going:
            blocked.setdefault(ref, []).append(line)
    return blocked


def _used(sight: Sight, wanted: Found) -> Iterator[tuple[Ref, Left]]:
    """Give what the lab made and others use now, each with the command that ends that."""
    for fact, value in wanted.items():
        ref = fact.ref
        if fact.key == "master" and value and sight.ours(bridge := Ref("link", "", value)):
            text = f"bridge {value} stays: {ref.name} is a port of it and not of this lab"
            yield bridge, Left(text, sight.write(Set(ref, "master", None))[0])
        elif fact.key == "rules":
            yield from _jumps(fact, value, sight)


def _jumps(fact: Fact, rules: list[str], sight: Sight) -> Iterator[tuple[Ref, Left]]:
    tool, table, name = fact.ref.name.split()
    for at, words in enumerate(rules, 1):
        target = words.split()[-1] if words.split()[-2:-1] in (["-j"], ["-g"]) else ""
        chain = fact.ref._replace(name=f"{tool} {table} {target}")
        if target and sight.ours(chain):
            text = f"chain {target} stays: a rule of {name} leads to it and is not of this lab"
            yield chain, Left(text, sight.write(rule.removal(fact.ref, rules, at))[0])


def _in_order(
    sight: Sight, undone: Iterable[Undo], done: Patch, wanted: Found, blocked: Collection[Ref]
) -> tuple[list[Mend], list[Mend]]:
    """Give what takes steps back, in the order of the lab's `down`, and what the rest needs."""
    now, found = sight.now, []
    # What of others' the lab alone has kept goes by itself.
    left = dict.fromkeys(fact for fact in {**done, **wanted} if not is_link_local(fact)
                         and not sight.holds(fact)
                         and not same(now.get(fact), wanted.get(fact)))  # fmt: skip
    # What a port is in its bridge shows when it is there again.
    moved = {fact.ref for fact in left if fact.key == "master"}
    left = {fact: None for fact in left if fact.key == "master"
            or kinds.link_of(fact, wanted.get(fact)) not in moved
            or not is_a_ports(fact, _value(fact, wanted, now))}  # fmt: skip
    for one in undone:
        step = sight.steps[one.step]
        by_hand = step.said.undo is not None or _is_unseen(step, sight)
        if by_hand and one.step not in sight.journal.undone:
            found += [Mend(text, one.step) for text in one.texts]
        for change in reversed(step.changes):
            named = [each for each in left if is_named_by(change, each, _value(each, now, wanted))]
            for fact in named:
                del left[fact]
            if by_hand:
                # What its own undo leaves is mended afterwards.
                continue
            if isinstance(change, Make) and change.ref.kind in OWNED:
                found += _removal(change, one, sight, blocked)
            for fact in named:
                found += mends_of(fact, wanted, sight, one.step)
    return found, in_phases(left, wanted, sight)


def _value(fact: Fact, now: Found, wanted: Found) -> object:
    return now[fact] if fact in now else wanted[fact]


def _is_unseen(step: Step, sight: Sight) -> bool:
    """Say whether a step works on what is not looked into, or is the lab's own and stays."""
    own = sight.scope.own
    inside = [change for change in step.changes
              if not (isinstance(change, Make) and change.ref.kind in OWNED)
              and (change.ref in own or getattr(change, "on", None) in own)]  # fmt: skip
    return bool(step.netns or inside) or any(change.ref.netns for change in step.changes)


def _ordered(sight: Sight, numbers: Collection[int]) -> list[Undo]:
    """Give the undos of steps that are not covered, in the order in which they run."""
    found = [one for one in undos(sight.steps, numbers) if one.covered_by is None]
    if sight.journal.patch is not None:
        return down_order(found, plan_of(sight.journal, "down").steps)
    return found[::-1]


def still_there(what: Undoing) -> list[Mend]:
    """Give what removes those of the lab's objects that should be gone by now."""
    sight = what.sight
    return [mend for one in what.undos for change in sight.steps[one.step].changes
            if isinstance(change, Make) and change.ref.kind in OWNED
            for mend in _removal(change, one, sight, what.blocked)
            if not (change.ref.kind == "folder" and sight.foreign_in(change.ref))]  # fmt: skip


def _removal(change: Make, undo: Undo, sight: Sight, blocked: Collection[Ref]) -> Iterator[Mend]:
    """Give the commands that remove what a step made, where it is there and still the lab's."""
    there = [ref for ref in refs_of(change) if sight.ours(ref) and ref not in blocked]
    if not there:
        return
    if change.ref.kind == "folder":
        texts: Sequence[str] = _emptied(change.ref, sight)
    else:
        # As the plan shows it, unless it has another name by now, or just its other end is here.
        as_planned = there[0] == change.ref and not sight.names
        texts = undo.texts if as_planned else sight.write(Remove(there[0]))
    for text in texts:
        yield Mend(text, undo.step, Remove(there[0]))


def _brought_away(sight: Sight, numbers: Iterable[int]) -> Iterator[Mend]:
    """Give what removes links of the lab where others have moved them, a cable by one end."""
    for number in numbers if sight.away else ():
        refs = made_by(sight.steps[number])
        there = [sight.away[ref] for ref in refs if ref in sight.away]
        if there and not any(map(sight.ours, refs)):
            gone = Remove(there[0])
            yield from (Mend(text, number, gone) for text in sight.write(gone))


def _set_back_away(sight: Sight, done: Patch) -> Iterator[Mend]:
    """Give what takes back what the lab has set of links that others have moved away."""
    for fact, there in sight.set_away(done).items():
        change = Set(there.ref, there.key, done[fact][0])
        yield from (Mend(text, None, change) for text in sight.write(change))


def _emptied(folder: Ref, sight: Sight) -> list[str]:
    """Give what removes a folder and what the lab put into it; the files of others stay."""
    inside = sight.inside.get(folder.name, ())
    foreign = sight.foreign_in(folder)
    texts = [f"rm -f {ref.name}" for ref in inside if ref not in foreign]
    return texts if foreign else [*texts, f"rmdir {folder.name}"]


def mends_of(fact: Fact, wanted: Found, sight: Sight, step: int | None = None) -> list[Mend]:
    changes = kinds.turned(fact, sight.now.get(fact), wanted.get(fact))
    return [Mend(text, step, change) for change in changes for text in sight.write(change)]


def in_phases(facts: Iterable[Fact], wanted: Found, sight: Sight) -> list[Mend]:
    ordered = sorted(facts, key=lambda fact: _phase(fact, wanted.get(fact)))
    return [mend for fact in ordered for mend in mends_of(fact, wanted, sight)]


def _phase(fact: Fact, value: object) -> tuple[int, int, str]:
    """Give when a fact is put right: what goes first, then values, then what needs them."""
    kind, name = fact.ref.kind, fact.ref.name
    if fact.key == "rules":
        kind = "rule"
    if value is None and kind in _TAKEN:
        return 0, _TAKEN.index(kind), name
    order = _PUT.index(kind) if kind in _PUT else len(_PUT)
    if kind == "setting":
        if name.endswith("/disable_ipv6"):
            # After MAC addresses, so that the kernel makes its own address of the right one.
            return 1, _PUT.index("link"), "~"
        return 1, order, f"{0 if is_of_all(name) else 1 if '/default/' in name else 2}{name}"
    if kind == "link":
        # A port's options come when it is a port again.
        return 1, order, f"{_VALUES.index(fact.key) if fact.key in _VALUES else 9}{name}"
    far = isinstance(value, dict) and ("via" in value or "next" in value)
    return 1, order, f"{int(far)}{name}"
