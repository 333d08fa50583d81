"""What labs of one target share: who goes first hands over what the others still need.

Two labs may both switch forwarding on, or use the same bridge of the host. Their patches lie on
each other: with the lower one gone, the other's begins where that one had begun.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from cnetsh import kinds
from cnetsh.apply.journal import Journal, Rows, beside, plan_of, rows
from cnetsh.apply.sight import Sight, done_by, with_masters
from cnetsh.compare.revert import Aim, handed_over, is_a_ports, patch, rebased, same, without_lab
from cnetsh.compare.scope import Scope, scope_of
from cnetsh.kinds.change import Fact, Found, Patch, Ref
from cnetsh.kinds.mtu import least_of_ports


@dataclass(slots=True)
class Other:
    """Another lab of the target: its journal, what it has done so far, and what it names."""

    journal: Journal
    done: Patch
    scope: Scope


def others(sight: Sight) -> list[Other]:
    """Give the other labs of the target; their journals are open."""
    found = []
    for one in beside(sight.journal):
        # With this one gone a port may be in the bridge where it was before both.
        seen = with_masters(sight.state, one.before, sight.journal.before)
        scope = scope_of(one.in_force(plan_of(one, "up").steps).values(), seen)
        found.append(Other(one, done_by(one, sight.now, scope), scope))
    return found


class Handed(NamedTuple):
    """What other labs are to know of one that goes."""

    stays: dict[Fact, str]  # what stays, each fact for a lab
    # Of each what was before it, where that is otherwise now, and what it has done.
    known: Sequence[tuple[Other, Found, Patch]]


def needs(done: Patch, beside: Iterable[Other], now: Found) -> list[Patch]:
    """Give what of a lab that goes stays for each of the others."""
    return [handed_over(done, now, one.done, one.journal.found, one.scope) for one in beside]


def handed(
    sight: Sight,
    made: frozenset[Ref],
    done: Patch,
    beside: Sequence[Other],
    needed: Sequence[Patch],
    aimed: Aim,
) -> Handed:
    """Give what the other labs are to know of one that goes; asked after a crash, the same.

    made, done: what goes, of what it has made, and of what it has done to things of others.
    """
    stays: dict[Fact, str] = {}
    told = []
    scope = replace(sight.scope, own=sight.scope.own & made)
    for other, its_own in zip(beside, needed, strict=True):
        known = other.journal.found
        gone = {fact: values for fact, values in done.items() if fact not in its_own}
        without = _without(other, sight, scope, {**gone, **its_own})
        base = {fact: value for fact, value in without.items()
                if not same(value, known.get(fact))}  # fmt: skip
        below = _below(other.journal, other.done, sight.journal)
        its = without_lab(other.done, gone, other.scope, below) | its_own
        its |= _without_this(other, its, base, sight, aimed) | _pinned(other, its, gone, sight)
        # What is of neither any more nobody has done: with a link that goes goes all that it had.
        its = {fact: both for fact, both in its.items() if not same(*both)}
        told += [(other, base, its)] if base or its != other.done else []
        stays |= dict.fromkeys(its_own, other.journal.lab)
    return Handed(stays, told)


def _without_this(other: Other, its: Patch, base: Found, sight: Sight, aimed: Aim) -> Patch:
    """Give what another lab has done by itself: of what would be so before it, and is not then."""
    known, now = other.journal.found, sight.now
    begun = {fact: value for fact, value in (known | base).items() if value is not None}
    found: Patch = {}
    for fact, both in patch(begun, aimed.wanted, other.scope).items():
        moves = fact in base or not same(aimed.wanted.get(fact), now.get(fact))
        if moves and fact not in its and fact not in aimed.kept and not kinds.derived(fact, now):
            found[fact] = both
    for fact in base.keys() & its.keys():
        if kinds.derived(fact, known):
            found[fact] = base[fact], its[fact][1]
    return found


def _pinned(other: Other, its: Patch, gone: Patch, sight: Sight) -> Patch:
    """Give what a bridge that this lab has set by hand keeps of the other's port."""
    known, before = other.journal.found, sight.journal.before
    found: Patch = {}
    for fact, (was, _) in gone.items():
        reached = ("settings", *fact.ref[1:]) in other.scope.reach
        if fact.key == "mtu" and reached and kinds.derived(fact, before) and fact in known:
            later = _is_later(other.journal, sight.journal)
            found |= {} if fact in its or later else {fact: (known[fact], was)}
    return found


def hand_over(what: Handed) -> None:
    """Write into the journals of the other labs what they are to know."""
    for other, base, its in what.known:
        # In one record: half of it would read as if the other had no need of what stays.
        _rewrite(other, its, rebased=rows({fact: (None, value) for fact, value in base.items()}))


def tell_values(journal: Journal, done: Patch) -> None:
    """Have the other labs know what a lab has changed its values to; done: what it has done now.

    Of what was before them that is the lab's, and no more what it was: it may be gone, too.
    """
    first = journal.patch or {}
    changed = {fact: (then, mine) for fact, (was, then) in first.items() if fact.key != "rules"
               and not same(then, mine := done.get(fact, (was, was))[1])}  # fmt: skip
    for other in beside(journal):
        known = {fact: (None, mine) for fact, (then, mine) in changed.items()
                 if same(other.found.get(fact), then)
                 and _found_later(fact, other, journal)}  # fmt: skip
        if known:
            other.write(rebased=rows(known))
        other.close()


def _without(other: Other, sight: Sight, scope: Scope, done: Patch) -> Found:
    """Give what was before another lab where this one has made it so; None: it was not there."""
    known = other.journal.found
    below = _below(other.journal, other.done, sight.journal)
    # What others call it now it may have been called when the other came up.
    called = {ref._replace(name=now) for ref, now in sight.names.items() if ref in scope.own}
    found: Found = {fact: None for fact, value in known.items()
                    if scope.holds(fact, value) or fact.ref in called}  # fmt: skip
    for fact, (was, mine) in done.items():
        if not _found_later(fact, other.journal, sight.journal):
            continue
        to_and_fro = fact in below and other.done.get(fact) == (mine, was)
        if fact.key == "rules":
            found[fact] = rebased(was, mine, known.get(fact)) or None
        elif same(known.get(fact), mine) and not to_and_fro:
            found[fact] = was
    # What a port was in this one's bridge it was nowhere before.
    moved = {fact.ref for fact in found if fact.key == "master"}
    for fact, value in known.items():
        if is_a_ports(fact, value) and kinds.link_of(fact, value) in moved:
            found[fact] = sight.journal.before.get(fact)
    if not _is_later(other.journal, sight.journal):
        return found
    return found | _of_ports(known, found, sight.journal.before)


def _of_ports(known: Found, without: Found, before: Found) -> Found:
    """Give what bridges are by their ports where some of these are otherwise, or are not there."""
    then = {fact: value for fact, value in (known | without).items() if value is not None}
    bridges = (fact for fact in then if fact not in without and kinds.derived(fact, known))
    made = {fact: least_of_ports(fact, then) for fact in bridges if fact.key in ("mtu", "address")}
    # Without a port a bridge is what it was.
    return {fact: before.get(fact) if one is None else one for fact, one in made.items()}


def _found_later(fact: Fact, other: Journal, this: Journal) -> bool:
    """Say whether another lab found a fact when this one may have touched it: it was there before.

    What a lab that came first knows of it from its own change is later, too.
    """
    return _is_later(other, this) or fact in other.base


def _is_later(other: Journal, this: Journal) -> bool:
    return other.header["started"] > this.header["started"]


def _below(other: Journal, done: Patch, this: Journal) -> Collection[Fact]:
    """Give of what facts another lab has done it first: what a change has come to is done then."""
    return this.base.keys() if _is_later(other, this) else done.keys() - other.base.keys()


def _rewrite(other: Other, done: Patch, **besides: Rows) -> None:
    other.done = done
    other.journal.write(patch=rows(done), **besides)


def pass_on(left: Patch, beside: Sequence[Other]) -> dict[Fact, str]:
    """Have another lab put back what it keeps from going back now; give what, and which."""
    passed: dict[Fact, str] = {}
    for fact, (was, is_now) in left.items():
        for other in beside if was is not None else ():
            if other.scope.concerns(fact, was):
                _rewrite(other, {**other.done, fact: (was, is_now)})
                passed[fact] = other.journal.lab
    return passed
