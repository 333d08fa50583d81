"""Undoing what a journal says was done: a revert on what is there now.

What a lab made is deleted as a whole; what it did to others' is taken back where it is still so.
Undoing has a cost of its own, on facts of others that neither it nor they have named: it looks
again, and goes on until nothing moves. What is then not as it should be is left, and named.
"""

import os
import shlex
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from cnetsh import kinds
from cnetsh.apply.ending import Ending, Left, Mend, Taken, Undone
from cnetsh.apply.journal import Journal, plan_of, rows
from cnetsh.apply.run import Means, identities, link_index
from cnetsh.apply.sharing import Handed, Other, hand_over, handed, others, pass_on
from cnetsh.apply.sight import Sight, done_by
from cnetsh.apply.units import run_steps
from cnetsh.compare.revert import Aim, aim, is_a_ports, lost, same
from cnetsh.compare.scope import is_named_by
from cnetsh.compare.snapshot import link_mark, readable
from cnetsh.errors import CnetshError
from cnetsh.kinds import rule
from cnetsh.kinds.address import is_local
from cnetsh.kinds.change import (
    OWNED,
    Change,
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
from cnetsh.kinds.link import LINKS
from cnetsh.kinds.setting import NO_LOCALS
from cnetsh.plan.lines import Line, mark_of
from cnetsh.plan.steps import Step, as_step, made_by
from cnetsh.plan.undo import Undo, down_order, undos
from cnetsh.system.process import never
from cnetsh.system.processes import found_in

# After so long without a link that goes it is a process inside that keeps them. The kernel takes
# thousands away together, and on a busy machine each that is deleted by hand takes 0.4 s instead.
GONE_TIMEOUT, GONE_EACH = 5.0, 0.01
# Seconds in which the kernel makes IPv6's own addresses again, after a look for duplicates.
LOCAL_TIMEOUT = 1.2
ROUNDS = 5
# In this order where no step says one: what needs another is taken first and put back last.
_TAKEN = ("rule", "route", "neighbour", "fdb", "address", "queue", "home")
_PUT = ("setting", "link", "fdb", "address", "neighbour", "route", "queue", "rule")
_VALUES = ("master", "mtu", "address", "alias", "txqueuelen", "up")


class Todo(NamedTuple):
    """What takes steps back: where that goes, what others use, commands in order, and the rest.

    cost: how far the commands reach besides what they name.
    """

    aimed: Aim
    blocked: Mapping[Ref, list[Left]]
    ordered: list[Mend]
    rest: list[Mend]
    cost: frozenset[Reach]


def _todo(sight: Sight, numbers: Collection[int], done: Patch) -> Todo:
    aimed = aim(done, sight.journal.before, sight.now, sight.scope)
    # What a killed undo has cost others meanwhile.
    aimed.wanted.update({fact: was for fact, (was, _) in sight.journal.aim.items()
                         if fact not in done})  # fmt: skip
    # A folder that was made on the way stays where others have put something below it.
    aimed.wanted.update({fact: sight.now[fact] for fact in done if _keeps_others(fact, sight)})
    blocked: dict[Ref, list[Left]] = {}
    going = {ref for number in numbers for ref in made_by(sight.steps[number])}
    for ref, line in _blocked(sight, aimed.wanted):
        if ref in going:
            blocked.setdefault(ref, []).append(line)
    ordered, rest = _in_order(sight, numbers, aimed.wanted, blocked)
    # What undoing a step reaches, the step has reached too.
    cost = _cost([*ordered, *rest], sight) | sight.scope.reach
    return Todo(aimed, blocked, ordered, [one for one in rest if not _follows(one, cost)], cost)


def _keeps_others(fact: Fact, sight: Sight) -> bool:
    below = (name for name in sight.inside if name.startswith(f"{fact.ref.name}/"))
    folders = (Ref("folder", "", name) for name in below)
    there = fact.ref.kind == "home" and fact in sight.now
    return there and any(map(sight.foreign_in, folders))


def _follows(one: Mend, cost: frozenset[Reach]) -> bool:
    """Say whether a setting may follow what is undone: it is written only where it did not."""
    if not one.change or one.change.ref.kind != "setting":
        return False
    return not cost.isdisjoint(kinds.places(Fact(one.change.ref, "value"), None))


@dataclass(frozen=True, slots=True)
class Undoing:
    """What takes steps of a lab back, worked out before the first of them is touched.

    done: what they have done to things of others; handed: what other labs are to know of it.
    """

    sight: Sight
    numbers: Collection[int]
    done: Patch
    beside: Sequence[Other]
    handed: Handed
    todo: Todo

    @classmethod
    def of(cls, sight: Sight, numbers: Collection[int], done: Patch) -> "Undoing":
        """Work out what takes steps back, and what they have done to things of others."""
        beside = others(sight)
        known = handed(done, beside, sight)
        todo = _todo(sight, numbers, {f: v for f, v in done.items() if f not in known.stays})
        return cls(sight, numbers, done, beside, known, todo)

    @property
    def free(self) -> Patch:
        """What does not stay for another lab."""
        return {fact: both for fact, both in self.done.items() if fact not in self.handed.stays}

    @property
    def lines(self) -> tuple[Line, ...]:
        """The commands that run, in their order."""
        return tuple(map(self._line, (*self.todo.ordered, *self.todo.rest)))

    @property
    def changes(self) -> Iterator[Change]:
        """What the commands change; not all that the kernel prints could be typed."""
        for one in (*self.todo.ordered, *self.todo.rest):
            yield from one.changes

    @property
    def at_stake(self) -> Patch:
        """What of others' the commands may cost besides, which is then put back as it is now."""
        wanted, done, cost = self.todo.aimed.wanted, self.free, self.todo.cost
        return {fact: (value, value) for fact, value in wanted.items()
                if fact not in done and not cost.isdisjoint(kinds.places(fact, value))}  # fmt: skip

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


def roll_back(all_of_it: Undoing) -> Undone:
    """Undo a whole lab; give what is left.

    The journal stays when something is left, so that a later `recover` can go on.
    """
    sight, beside, journal = all_of_it.sight, all_of_it.beside, all_of_it.sight.journal
    begun, stays = sight.now, all_of_it.handed.stays
    held = found_in(journal.homes, journal.held)
    hand_over(all_of_it.handed)
    mine = {"pid": os.getpid()}
    journal.write(undoing=True, held=held, made=_adopted(sight), left=[], header=mine)
    taken = take_back(all_of_it)
    wanted, now = taken.aimed.wanted, sight.now
    left = taken.missed(now)
    passed = pass_on(left, wanted, beside, now)
    rest = {fact: values for fact, values in left.items() if fact not in passed}
    rest |= {fact: both for fact, both in all_of_it.free.items() if sight.is_unread(fact.ref)}
    if any(other.journal.unwritten for other in beside):
        rest |= {fact: all_of_it.done[fact] for fact in (*stays, *passed)}
    journal.write(patch=rows(rest), aim=[])
    steps = sight.in_force
    undone = Ending(sight, steps, taken, begun, beside, {**stays, **passed}).undone
    journal.write(left=[one.text for one in undone.left])
    for other in beside:
        other.journal.close()
    return undone


def _adopted(sight: Sight) -> dict[str, list[object]]:
    """Give the identities of what was made by steps of which nobody wrote down the end."""
    uncertain = [sight.steps[number] for number in sight.journal.uncertain]
    return identities(ref for step in uncertain for ref in made_by(step) if sight.ours(ref))


def take_back(what: Undoing) -> Taken:
    """Take steps back, and what they have done to things of others."""
    sight, numbers, done = what.sight, what.numbers, what.free
    aimed, blocked, ordered, rest, cost = what.todo
    # Before the first of them runs, so that whoever goes on after a crash knows what this one knew.
    sight.journal.write(aim=rows(what.at_stake))
    failed = run_mends([*ordered, *rest], sight, "undo ")
    if ordered:
        going = [sight.steps[number] for number in numbers]
        wait_until_gone(going, blocked, sight)
    cost |= _settle(sight, aimed.wanted, done, cost)
    # A command of which somebody ended the process has done nothing.
    if again := _still_there(sight, numbers, blocked):
        run_mends(again, sight)
        _look(sight, aimed.wanted, done)
    _settle_locals(sight, aimed.wanted, done, cost)
    return Taken(aimed, done, cost, blocked, tuple(failed))


def _cost(mends: Iterable[Mend], sight: Sight) -> frozenset[Reach]:
    """Give how far commands reach besides what they name."""
    changes, known = [one.change for one in mends if one.change], sight.known
    return frozenset(place for one in changes for place in kinds.reach(one, known))


def _blocked(sight: Sight, wanted: Found) -> Iterator[tuple[Ref, Left]]:
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
    sight: Sight, numbers: Collection[int], wanted: Found, blocked: Collection[Ref]
) -> tuple[list[Mend], list[Mend]]:
    """Give what takes steps back, in the order of the lab's `down`, and what the rest needs."""
    now, found = sight.now, []
    facts = [fact for fact in {**now, **wanted} if not is_local(fact) and not sight.holds(fact)]
    left = {fact for fact in facts if not same(now.get(fact), wanted.get(fact))}
    # What a port is in its bridge shows when it is there again.
    moved = {fact.ref for fact in left if fact.key == "master"}
    later = {fact for fact in left if fact.key != "master"
             and kinds.link_of(fact, wanted.get(fact)) in moved
             and is_a_ports(fact, _value(fact, wanted, now))}  # fmt: skip
    left -= later
    for one in _ordered(sight, numbers):
        step = sight.steps[one.step]
        if step.said.undo is not None or _is_unseen(step, sight):
            untouched = one.step not in sight.journal.undone
            found += [Mend(text, one.step) for text in one.texts if untouched]
            continue
        for change in reversed(step.changes):
            if isinstance(change, Make) and change.ref.kind in OWNED:
                found += _removal(change, one, sight, blocked)
            for fact in [
                each for each in left if is_named_by(change, each, _value(each, now, wanted))
            ]:
                left.remove(fact)
                found += _mends(fact, wanted, sight, one.step)
    return found, _sorted(left, wanted, sight)


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


def _still_there(sight: Sight, numbers: Collection[int], blocked: Collection[Ref]) -> list[Mend]:
    """Give what removes those of the lab's objects that should be gone by now."""
    return [mend for one in _ordered(sight, numbers) for change in sight.steps[one.step].changes
            if isinstance(change, Make) and change.ref.kind in OWNED
            for mend in _removal(change, one, sight, blocked)
            if not (change.ref.kind == "folder" and sight.foreign_in(change.ref))]  # fmt: skip


def _removal(change: Make, undo: Undo, sight: Sight, blocked: Collection[Ref]) -> Iterator[Mend]:
    """Give the commands that remove what a step made, where it is there and still the lab's."""
    there = [ref for ref in refs_of(change) if sight.ours(ref) and ref not in blocked]
    if not there:
        return
    if change.ref.kind == "folder":
        texts: Sequence[str] = _emptied(change.ref, sight)
    else:
        # As the plan shows it, unless it has another name by now.
        texts = sight.write(Remove(there[0])) if sight.names else undo.texts
    for text in texts:
        yield Mend(text, undo.step, Remove(there[0]))


def _emptied(folder: Ref, sight: Sight) -> list[str]:
    """Give what removes a folder and what the lab put into it; the files of others stay."""
    inside = sight.inside.get(folder.name, ())
    foreign = sight.foreign_in(folder)
    texts = [f"rm -f {ref.name}" for ref in inside if ref not in foreign]
    return texts if foreign else [*texts, f"rmdir {folder.name}"]


def _mends(fact: Fact, wanted: Found, sight: Sight, step: int | None = None) -> list[Mend]:
    changes = kinds.turned(fact, sight.now.get(fact), wanted.get(fact))
    return [Mend(text, step, change) for change in changes for text in sight.write(change)]


def _sorted(facts: Iterable[Fact], wanted: Found, sight: Sight) -> list[Mend]:
    ordered = sorted(facts, key=lambda fact: _phase(fact, wanted.get(fact)))
    return [mend for fact in ordered for mend in _mends(fact, wanted, sight)]


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
        everywhere = name.endswith("/ip_forward") or "/all/" in name
        return 1, order, f"{0 if everywhere else 1 if '/default/' in name else 2}{name}"
    if kind == "link":
        # A port's options come when it is a port again.
        return 1, order, f"{_VALUES.index(fact.key) if fact.key in _VALUES else 9}{name}"
    far = isinstance(value, dict) and ("via" in value or "next" in value)
    return 1, order, f"{int(far)}{name}"


def run_mends(todo: Sequence[Mend], sight: Sight, verb: str = "mend ") -> list[Mend]:
    """Run commands in their order, past every failure; give those that failed.

    A name of the kernel's may be one that nobody can type: those run first, one by one.
    """
    steps, mends, failed = [], [], []
    for one in todo:
        try:
            steps.append(as_step(one.text))
            mends.append(one)
        except CnetshError:
            # No step can hold it, and none has to.
            failed += [one] if sight.means.run(shlex.split(one.text)).exit_code else []
    sight.means.watch.expect(len(steps), verb)
    start = 0
    while start < len(steps):

        def note(first: int = start, **record: Any) -> None:
            ended = [mends[first + at].step for at in record.get("end", ())]
            if known := [number for number in ended if number is not None]:
                sight.journal.write(undone=known)

        outcome = run_steps(steps[start:], note, sight.means)
        if outcome.well:
            break
        # One that failed without a step, as where the journal could not be written, is the next.
        start += outcome.failed or 0
        failed.append(mends[start])
        start += 1
    return failed


def _one_by_one(mends: Sequence[Mend], sight: Sight) -> list[Mend]:
    """Run commands each after a look: a setting may have followed one that was written before."""
    failed = []
    for one in mends:
        match one.change:
            case Set(Ref("setting", "", path), _, value) if readable([path]).get(path) == value:
                continue
        failed += run_mends([one], sight)
    return failed


def wait_until_gone(steps: Sequence[Step], blocked: Collection[Ref], sight: Sight) -> None:
    """Wait until the links that went with their namespaces are gone, then delete survivors.

    `ip netns delete` is asynchronous (moby #48749), and a process inside keeps all of it alive.
    """
    made = {ref for step in steps for ref in made_by(step) if ref.kind == "link" and not ref.netns}
    marks = {ref: sight.journal.made.get(f"link {ref.name}") for ref in made - set(blocked)}
    there = [(sight.names.get(ref, ref.name), mark) for ref, mark in marks.items() if mark]
    patience = GONE_TIMEOUT + GONE_EACH * len(there)
    links, deadline = _count_links(), time.monotonic() + patience
    while there:
        if not _is_link(*there[-1]):
            there.pop()
        elif time.monotonic() < deadline:
            # A namespace that nobody is in is gone within some milliseconds.
            time.sleep(0.002)
        elif (fewer := _count_links()) < links:
            links, deadline = fewer, time.monotonic() + patience
        else:
            break
    left = (name for name, mark in there if _is_link(name, mark))
    gone = (kinds.write(Remove(Ref("link", "", name))) for name in left)
    run_mends([Mend(text) for texts in gone for text in texts], sight)


def _count_links() -> int:
    return len(list(Path(LINKS).iterdir()))


def _is_link(name: str, mark: Sequence[Any]) -> bool:
    # The version before has written down the MAC address, where the number of /sys stands now.
    same_number = isinstance(mark[1], str) or link_mark(name) == mark[1]
    return link_index(name) == mark[0] and same_number


def _settle(sight: Sight, wanted: Found, done: Patch, cost: frozenset[Reach]) -> frozenset[Reach]:
    """Look, and mend what undoing has cost, until nothing moves; give how far that reached."""
    last: list[Mend] = []
    for _ in range(ROUNDS):
        now = _look(sight, wanted, done)
        moved = [fact for fact in {**done, **wanted}
                 if not same(now.get(fact), wanted.get(fact)) and not is_local(fact)
                 and (fact in done or lost(fact, wanted, now, cost))]  # fmt: skip
        mends = _sorted(moved, wanted, sight)
        if mends == last:
            mends = [*_by_number(mends, sight)]
        if not mends:
            break
        last = mends
        _one_by_one(mends, sight)
        cost |= _cost(mends, sight)
    return cost


def _by_number(mends: Iterable[Mend], sight: Sight) -> Iterator[Mend]:
    """Give what removes rules whose words iptables did not take: by the places just seen."""
    for one in mends:
        match one.change:
            case Remove(Ref("rule")) as gone if "number" not in gone.facts:
                texts = sight.write(rule.by_number(gone))
                yield from (Mend(text, one.step, one.change) for text in texts)


def _settle_locals(sight: Sight, wanted: Found, done: Patch, cost: frozenset[Reach]) -> None:
    """Put back the addresses that the kernel makes of a MAC address: of that moment's, once.

    Take away those that a link got through a cable of the lab's, and keeps without it.
    """
    gone = list(_lost_locals(sight, wanted, done, cost))
    deadline = time.monotonic() + LOCAL_TIMEOUT
    while gone and time.monotonic() < deadline:
        time.sleep(0.1)
        _look(sight, wanted, done)
        gone = list(_lost_locals(sight, wanted, done, cost))
    mends = _sorted(gone, wanted, sight)
    links = {wanted[fact]["dev"] for fact in gone}
    for fact, value in sight.now.items():
        if is_local(fact) and fact not in sight.journal.before and not sight.holds(fact):
            reached = not sight.scope.reach.isdisjoint(kinds.places(fact, value))
            came = fact not in wanted and _has_no_locals(value["dev"], wanted)
            if value["dev"] in links or (reached and (came or not _carrier(value["dev"], sight))):
                wanted.pop(fact, None)
                mends += _mends(fact, wanted, sight)
    if mends:
        _one_by_one(mends, sight)
        _look(sight, wanted, done)


def _look(sight: Sight, wanted: Found, done: Patch) -> Found:
    """See the target anew; rules that others made or deleted meanwhile stay as they left them."""
    before = sight.now
    now = sight.look()
    for fact in done:
        if fact.key == "rules":
            chain = [some.get(fact) or [] for some in (before, wanted, now)]
            wanted.pop(fact, None)
            wanted |= {fact: left} if (left := rule.merged(*chain)) else {}
    return now


def _lost_locals(
    sight: Sight, wanted: Found, done: Patch, cost: frozenset[Reach]
) -> Iterator[Fact]:
    for fact, value in wanted.items():
        if is_local(fact) and fact not in sight.now:
            link = Ref("link", fact.ref.netns, value["dev"])
            known = fact in done or not cost.isdisjoint(kinds.places(fact, value))
            if known and sight.now.get(Fact(link, "up")):
                yield fact


def _has_no_locals(link: str, wanted: Found) -> bool:
    # As IPv6 comes again on a link, the kernel makes one before anybody can tell it not to.
    mode = Ref("setting", "", f"/proc/sys/net/ipv6/conf/{link}/addr_gen_mode")
    return wanted.get(Fact(mode, "value")) == NO_LOCALS


def _carrier(link: str, sight: Sight) -> bool:
    path = f"{LINKS}/{sight.names.get(Ref('link', '', link), link)}/carrier"
    return readable([path]).get(path) == "1"
