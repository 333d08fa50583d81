"""Undoing what a journal says was done, to its end.

Undoing has a cost of its own, on facts of others that neither it nor they have named: it looks
again, and goes on until nothing moves. What is then not as it should be is left, and named.
"""

import os
import shlex
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cnetsh import kinds
from cnetsh.apply.ending import Ending, Undone
from cnetsh.apply.journal import rows
from cnetsh.apply.run import identities, link_index
from cnetsh.apply.sharing import hand_over, pass_on
from cnetsh.apply.sight import Sight
from cnetsh.apply.undoing import Mend, Undoing, cost_of, in_phases, mends_of, still_there
from cnetsh.apply.units import run_steps
from cnetsh.compare.kernel import LINKS, link_mark, readable
from cnetsh.compare.revert import is_amiss, put
from cnetsh.errors import CnetshError
from cnetsh.kinds import rule
from cnetsh.kinds.address import is_link_local
from cnetsh.kinds.change import Fact, Found, Patch, Reach, Ref, Remove, Set
from cnetsh.kinds.setting import NO_LOCALS
from cnetsh.plan.steps import as_step, made_by
from cnetsh.system.processes import found_in

# After so long without a link that goes it is a process inside that keeps them. The kernel takes
# thousands away together, and on a busy machine each that is deleted by hand takes 0.4 s instead.
GONE_TIMEOUT, GONE_EACH = 5.0, 0.01
# Seconds in which the kernel makes IPv6's own addresses again, after a look for duplicates.
LOCAL_TIMEOUT = 1.2
ROUNDS = 5


def roll_back(what: Undoing) -> Undone:
    """Undo a whole lab; give what is left, with which the journal stays, for `recover`."""
    sight, beside, journal, stays = what.sight, what.beside, what.sight.journal, what.handed.stays
    held = found_in(journal.homes, journal.held)
    hand_over(what.handed)
    mine = {"pid": os.getpid()}
    journal.write(undoing=True, held=held, made=_adopted(sight), left=[], header=mine)
    ending = take_back(what)
    left = ending.missed
    passed = pass_on(left, beside)
    rest = {fact: values for fact, values in left.items() if fact not in passed}
    rest |= {fact: both for fact, both in what.free.items() if sight.is_unread(fact.ref)}
    if any(other.journal.unwritten for other in beside):
        rest |= {fact: what.done[fact] for fact in (*stays, *passed)}
    journal.write(patch=rows(rest), aim=[])
    undone = replace(ending, stays={**stays, **passed}).undone
    journal.write(left=[one.text for one in undone.left])
    for other in beside:
        other.journal.close()
    return undone


def _adopted(sight: Sight) -> dict[str, list[object]]:
    """Give the identities of what was made by steps of which nobody wrote down the end."""
    uncertain = [sight.steps[number] for number in sight.journal.uncertain]
    return identities(ref for step in uncertain for ref in made_by(step) if sight.ours(ref))


def take_back(what: Undoing) -> Ending:
    """Take steps back, and what they have done to things of others."""
    sight = what.sight
    # Before the first of them runs, so that whoever goes on after a crash knows what this one knew.
    sight.journal.write(aim=rows(what.at_stake))
    failed = run_mends(what.mends, sight, "undo ")
    # Also without a command: whoever deleted their namespace before was killed, or somebody else.
    wait_until_gone(what)
    cost = _settle(what)
    # A command of which somebody ended the process has done nothing.
    if again := still_there(what):
        run_mends(again, sight)
        _look(what)
    _settle_locals(what, cost)
    return Ending(what, cost, failed, what.handed.stays)


def run_mends(todo: Sequence[Mend], sight: Sight, verb: str = "mend ") -> list[Mend]:
    """Run commands in their order, past every failure; give those that failed."""
    steps, mends, failed = [], [], []
    for one in todo:
        try:
            steps.append(as_step(one.text))
            mends.append(one)
        except CnetshError:
            # A name of the kernel's may be one that nobody can type: it runs first, by itself.
            failed += [one] if sight.means.run(shlex.split(one.text)).exit_code else []
    sight.means.watch.expect(len(steps), verb)
    left = [*range(len(steps))]
    while left:
        over: set[int] = set()

        def note(over: set[int] = over, **record: Any) -> None:
            over.update(record.get("end", ()))
            undone = [mends[number].step for number in record.get("end", ())]
            if known := [step for step in undone if step is not None]:
                sight.journal.write(undone=known)

        outcome = run_steps([steps[number] for number in left], note, sight.means, left)
        if outcome.well:
            break
        # One that failed without a step, as where the journal could not be written, is the next.
        over.add(bad := left[0] if outcome.failed is None else outcome.failed)
        failed.append(mends[bad])
        left = [number for number in left if number not in over]
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


def wait_until_gone(what: Undoing) -> None:
    """Wait until the links that went with their namespaces are gone, then delete survivors.

    `ip netns delete` is asynchronous (moby #48749), and a process inside keeps all of it alive.
    """
    sight, steps = what.sight, (what.sight.steps[number] for number in what.numbers)
    made = {ref for step in steps for ref in made_by(step) if ref.kind == "link" and not ref.netns}
    marks = {ref: sight.journal.made.get(f"link {ref.name}") for ref in made - set(what.blocked)}
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
    return bool(same_number and link_index(name) == mark[0])


def _settle(what: Undoing) -> frozenset[Reach]:
    """Look, and mend what undoing has cost, until nothing moves; give how far all that reached."""
    sight, wanted, done, cost = what.sight, what.aimed.wanted, what.free, what.cost
    last: list[Mend] = []
    for _ in range(ROUNDS):
        now = _look(what)
        moved = [fact for fact in {**done, **wanted}
                 if not is_link_local(fact)
                 and is_amiss(fact, done, wanted, now, cost)]  # fmt: skip
        mends = in_phases([*moved, *_joined(now, wanted, done)], wanted, sight)
        if mends == last:
            mends = [*_by_number(mends, sight)]
        if not mends:
            break
        last = mends
        _one_by_one(mends, sight)
        cost |= cost_of(mends, sight)
    return cost


def _joined(now: Found, wanted: Found, done: Patch) -> Iterator[Fact]:
    """Give the VLAN that a bridge gives each new port, of one that is back and had not kept it."""
    for fact, value in now.items():
        if fact.ref.kind == "vlan" and fact not in wanted:
            link = kinds.link_of(fact, value)
            yield from [fact] if link and Fact(link, "master") in done else []


def _by_number(mends: Iterable[Mend], sight: Sight) -> Iterator[Mend]:
    """Give what removes rules whose words iptables did not take: by the places just seen."""
    for one in mends:
        match one.change:
            case Remove(Ref("rule")) as gone if "number" not in gone.facts:
                texts = sight.write(rule.by_number(gone))
                yield from (Mend(text, one.step, one.change) for text in texts)


def _settle_locals(what: Undoing, cost: frozenset[Reach]) -> None:
    """Put back the addresses that the kernel makes of a MAC address: of that moment's, once.

    Take away those that a link got through a cable of the lab's, and keeps without it.
    """
    sight, wanted = what.sight, what.aimed.wanted
    deadline = time.monotonic() + LOCAL_TIMEOUT
    while (gone := list(_lost_locals(what, cost))) and time.monotonic() < deadline:
        time.sleep(0.1)
        _look(what)
    mends = in_phases(gone, wanted, sight)
    links = {wanted[fact]["dev"] for fact in gone}
    for fact, value in sight.now.items():
        if is_link_local(fact) and fact not in sight.journal.before and not sight.holds(fact):
            reached = not sight.scope.reach.isdisjoint(kinds.places(fact, value))
            came = fact not in wanted and _has_no_locals(value["dev"], wanted)
            if value["dev"] in links or (reached and (came or not _carrier(value["dev"], sight))):
                wanted.pop(fact, None)
                mends += mends_of(fact, wanted, sight)
    if mends:
        _one_by_one(mends, sight)
        _look(what)


def _look(what: Undoing) -> Found:
    """See the target anew; rules that others made or deleted meanwhile stay as they left them."""
    wanted, before = what.aimed.wanted, what.sight.now
    now = what.sight.look()
    for fact in what.free:
        if fact.key == "rules":
            chain = [some.get(fact) or [] for some in (before, wanted, now)]
            put(wanted, fact, rule.merged(*chain) or None)
    return now


def _lost_locals(what: Undoing, cost: frozenset[Reach]) -> Iterator[Fact]:
    now = what.sight.now
    for fact, value in what.aimed.wanted.items():
        if is_link_local(fact) and fact not in now:
            link = Ref("link", fact.ref.netns, value["dev"])
            known = fact in what.free or not cost.isdisjoint(kinds.places(fact, value))
            if known and now.get(Fact(link, "up")):
                yield fact


def _has_no_locals(link: str, wanted: Found) -> bool:
    # As IPv6 comes again on a link, the kernel makes one before anybody can tell it not to.
    mode = Ref("setting", "", f"/proc/sys/net/ipv6/conf/{link}/addr_gen_mode")
    return wanted.get(Fact(mode, "value")) == NO_LOCALS


def _carrier(link: str, sight: Sight) -> bool:
    path = f"{LINKS}/{sight.names.get(Ref('link', '', link), link)}/carrier"
    return readable([path]).get(path) == "1"
