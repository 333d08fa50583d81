"""What a lab did, as a patch of facts, and what takes it back from what is there now.

A gain is the lab's only where a step names it; a loss, or another value, also where a step reaches:
no step ever adds what it does not name, but for what the kernel makes by itself. What is no longer
the lab's value is somebody else's, and stays. Pure functions.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from cnetsh import kinds
from cnetsh.compare.scope import Scope
from cnetsh.kinds import port, rule
from cnetsh.kinds.address import is_four, is_link_local
from cnetsh.kinds.change import Change, Fact, Found, Make, Patch, Reach, Set
from cnetsh.kinds.mtu import LEAST_OF_SIX, least_of_ports, six_of
from cnetsh.kinds.setting import all_of, born_as, family, forwards, is_of_all


class Aim(NamedTuple):
    """Where an undo goes: all that is to be so in the end, and what others have changed too."""

    wanted: Found
    kept: Mapping[Fact, tuple[Any, Any, Any]]  # before, by the lab, and now


def same(one: Any, other: Any) -> bool:
    """Say whether two values of a fact are the same: seconds that run down tell nothing.

    Nor does it of a next hop whether there are others.
    """
    if isinstance(one, dict) and isinstance(other, dict):
        return {**one, "left": 0, "beside": 0} == {**other, "left": 0, "beside": 0}
    return bool(one == other)


def patch(before: Found, now: Found, scope: Scope) -> Patch:
    """Give what steps have done to what is not their own, by what was there before and is now."""
    both = before | now
    done: Patch = {}
    for fact in both:
        was, is_now = before.get(fact), now.get(fact)
        value = is_now if was is None else was
        if same(was, is_now) or scope.holds(fact, value):
            continue
        named = scope.names(fact, value)
        if not named and (was is None or not scope.takes_along(fact, value)):
            continue
        if fact.key == "rules":
            was = without_own(was or [], is_now or [], scope.named[fact.ref])
        by_itself = kinds.derived(fact, both) and not (named and fact.ref.kind == "link")
        if not same(was, is_now) and (is_link_local(fact) or not by_itself):
            done[fact] = was, is_now
    return done


def without_own(before: list[str], now: list[str], changes: Iterable[Change]) -> list[str]:
    """Give a chain without the steps' rules: others may have added some in the same time.

    The steps' are those in the words typed, where iptables-save has the same, else the last ones
    that it may print for them.
    """
    left = [one.ref.name.split(" ", 3)[3] for one in changes if isinstance(one, Make)]
    ours, others = [], []
    for at in rule.added(before, now):
        if now[at] in left:
            left.remove(now[at])
            ours.append(at)
        else:
            others.append(at)
    for typed in reversed(left):
        like = [at for at in others if rule.may_be(typed, now[at])]
        ours += like[-1:]
        others = [at for at in others if at not in ours]
    return rule.without(now, ours, now)


def predicted(before: Found, now: Found, scope: Scope) -> Patch:
    """Give the patch of steps of which nobody saw the end, by what is there now.

    A value that a step typed is the lab's only for as long as it is there.
    """
    done = patch(before, now, scope)
    for fact, (was, is_now) in list(done.items()):
        typed = [one.value for one in scope.named.get(fact.ref, ())
                 if isinstance(one, Set) and one.key == fact.key]  # fmt: skip
        if typed and not same(typed[-1], is_now):
            done[fact] = was, typed[-1]
    return done


def composed(first: Patch, then: Patch) -> Patch:
    """Give what two patches have done, one after the other."""
    done = dict(first)
    for fact, (was, is_now) in then.items():
        base, left = first.get(fact, (was, was))
        if fact.key == "rules" and fact in first:
            base = rebased(base, left, was)
        elif not same(left, was):
            # Others had changed it in between: theirs is the base.
            base = was
        done[fact] = base, is_now
        if same(base, is_now):
            del done[fact]
    return done


def rebased(was: Any, mine: Any, now: Any) -> list[str]:
    """Give a chain as it is now without the rules that came between was and mine."""
    added = rule.added(was or [], mine or [])
    return rule.without(mine or [], added, now or [])


def handed_over(done: Patch, now: Found, theirs: Patch, before: Found, claims: Scope) -> Patch:
    """Give what stays for another lab, with its values from before this lab.

    theirs: what the other did since its own before; claims: what it names.
    """
    alike = {fact: (was, mine) for fact, (was, mine) in done.items()
             if same(mine, theirs.get(fact, (None, before.get(fact)))[1])
             and same(mine, now.get(fact))}  # fmt: skip
    forwarding = any(forwards(ref.name) for ref in claims.named)
    stays: Patch = {}
    for fact, (was, mine) in alike.items():
        needs = claims.names(fact, mine)
        if fact.ref.kind == "setting" and ("setting", *family(fact.ref.name)) in claims.reach:
            # What default is sets no value of all.
            needs = needs or forwarding or not is_of_all(fact.ref.name)
        if needs and mine is not None and fact.key != "rules":
            stays[fact] = was, mine
    # What is lost by what stays comes again only with that.
    taken = {place for fact, (_, mine) in stays.items() if fact.ref.kind == "setting"
             for place in kinds.reach(Set(fact.ref, fact.key, mine), {})}  # fmt: skip
    gone = {fact: (was, mine) for fact, (was, mine) in alike.items()
            if mine is None and not taken.isdisjoint(kinds.places(fact, was))}  # fmt: skip
    return stays | gone


def without_lab(theirs: Patch, gone: Patch, claims: Scope, below: Collection[Fact] = ()) -> Patch:
    """Give another lab's patch as if a lab had never been below it; gone: what is taken back.

    below: where it is the other that came first; a value that goes to and fro does not tell.
    """
    left = dict(theirs)
    for fact in gone.keys() & theirs.keys():
        if theirs[fact] == gone[fact] or (fact in below and same(theirs[fact], gone[fact][::-1])):
            # Handed over before a crash already, or to and fro.
            continue
        (was, mine), (before, after) = gone[fact], theirs[fact]
        if fact.key == "rules":
            before, after = rebased(was, mine, before), rebased(was, mine, after)
        else:
            named = claims.names(fact, mine if was is None else was)
            before = was if same(before, mine) else before
            after = was if same(after, mine) and not named else after
        left[fact] = before, after
        if same(before, after):
            del left[fact]
    return left


def aim(done: Patch, before: Found, now: Found, scope: Scope) -> Aim:
    """Give what is there now with a patch taken back; what others changed since stays."""
    wanted = {fact: value for fact, value in now.items() if not scope.holds(fact, value)}
    kept = {}
    for fact, (was, mine) in done.items():
        is_now, value = now.get(fact), mine if was is None else was
        if fact.key == "rules":
            put(wanted, fact, rebased(was, mine, is_now) or None)
        elif not _can_be(fact, value, now) or _is_elsewhere(fact, value, done, before, now):
            continue
        elif _is_the_labs(fact, mine, before, now):
            gone = _bridge_is_gone(fact, was, before, now)
            put(wanted, fact, None if gone else was)
        elif not same(is_now, was):
            kept[fact] = was, mine, is_now
    for fact, was in _ports_before(done, before, now):
        put(wanted, fact, was)
        kept.pop(fact, None)
    wanted |= _no_larger(before, now, wanted) | _set_since(before, now, wanted)
    for fact, was in list(_taken_otherwise(before, now, wanted)):
        put(wanted, fact, was)
    wanted |= _set_since(before, now, wanted)
    small = frozenset(_without_six(before, now, wanted))
    wanted = {fact: value for fact, value in wanted.items()
              if not small or small.isdisjoint(kinds.places(fact, value))}  # fmt: skip
    return Aim(wanted, kept)


def _without_six(before: Found, now: Found, wanted: Found) -> Iterator[Reach]:
    """Give how far it reaches that links get too small for IPv6, which they have by the lab."""
    for fact in (one for one in wanted if one.key == "mtu"):
        if now.get(fact, 0) >= LEAST_OF_SIX > _made(fact, before, now, wanted):
            yield from six_of(fact.ref)


def _taken_otherwise(before: Found, now: Found, wanted: Found) -> Iterator[tuple[Fact, Any]]:
    """Give what others' doing would have taken along without the lab, None, and what only with it.

    The one the lab has taken as well, or kept by what goes now; the other comes back.
    """
    down = [*_were_down(before, wanted)]
    with_lab = frozenset((*down, *_taken_along(before, now, now)))
    without = frozenset((*down, *_taken_along(before, now, wanted)))
    for fact, was in before.items() if with_lab or without else ():
        taken, would_be = (not reached.isdisjoint(kinds.places(fact, was))
                           for reached in (with_lab, without))  # fmt: skip
        if would_be and fact in wanted and not (taken and fact in now):
            yield fact, None
        elif taken and not would_be and fact not in now and _can_be(fact, was, now):
            by_itself = kinds.derived(fact, before) and not is_link_local(fact)
            yield from () if by_itself else [(fact, was)]


def _taken_along(before: Found, now: Found, then: Found) -> Iterator[Reach]:
    """Give how far it reaches that what was so before is as it is then: now, or without the lab.

    A link that is down has no IPv6, no neighbours and no routes, one without an address of IPv4
    none of those of IPv4, and one with another MAC address no neighbours that it had (kernel:
    addrconf_ifdown, fib_disable_ip, neigh_changeaddr).
    """
    with_four = {value["dev"] for fact, value in then.items() if is_four(fact)}
    for fact, was in before.items():
        ref, is_now = fact.ref, then.get(fact)
        if is_four(fact) and was["dev"] not in with_four:
            yield "four", ref.netns, was["dev"]
        elif fact.key == "up" and was and is_now is False:
            yield from (("six", *ref[1:]), ("four", *ref[1:]))
        elif fact.key == "mtu" and fact in then:
            if was >= LEAST_OF_SIX > _made(fact, before, now, then):
                yield from six_of(ref)
        elif fact.key == "address" and fact in then:
            if _made(fact, before, now, before) != _made(fact, before, now, then):
                yield "known", *ref[1:]
        elif ref.name.endswith("/disable_ipv6") and (was, is_now) == ("0", "1"):
            link = kinds.link_of(fact, was)
            yield from [("six", *link[1:])] if link else []


def _no_larger(before: Found, now: Found, wanted: Found) -> Found:
    """Give the MTU of what is made on another link, whose MTU others may have set.

    What went down with a bridge that a port of the lab's had made small rises with it again.
    """
    sizes: Found = {}
    for (ref, _), below in (item for item in wanted.items() if item[0].key == "below"):
        size, under = Fact(ref, "mtu"), Fact(ref._replace(name=below), "mtu")
        if under in wanted:
            most, own = _made(under, before, now, wanted), wanted[size]
            fell = own == wanted[under] < most
            sizes[size] = min(before.get(size, most) if fell else own, most)
    return sizes


def _made(fact: Fact, before: Found, now: Found, then: Found) -> Any:
    """Give an MTU or a MAC address, of a bridge that follows its ports what those then make.

    One that has not what its ports make was set by others since, and follows no more.
    """
    follows = kinds.derived(fact, before) and kinds.derived(fact, now)
    return least_of_ports(fact, then) if follows else then.get(fact)


def _were_down(before: Found, wanted: Found) -> Iterator[Reach]:
    """Give what of links that others had down for a while they have taken.

    Nothing else costs a link all of its routes and neighbours of IPv4, but not its addresses.
    """
    keeps = {was["dev"] for fact, was in before.items() if is_four(fact) and fact in wanted}
    held = [(place, fact) for fact, was in before.items()
            if fact.ref.kind in ("route", "neighbour") and not kinds.derived(fact, before)
            for place in kinds.places(fact, was)
            if place[0] == "four" and place[2] in keeps]  # fmt: skip
    left = {place for place, fact in held if fact in wanted}
    lost = {(fact.ref.kind, *place[1:]) for place, fact in held if place not in left}
    for kind, netns, dev in lost:
        if kind == "route" and ("neighbour", netns, dev) in lost:
            yield from ((every, netns, dev) for every in ("address", "route", "neighbour"))


def put(wanted: Found, fact: Fact, value: Any) -> None:
    """Have a fact be so; None: it is not there."""
    wanted.pop(fact, None)
    if value is not None:
        wanted[fact] = value


def _can_be(fact: Fact, value: Any, now: Found) -> bool:
    """Say whether what a fact goes with is still there."""
    link = kinds.link_of(fact, value)
    is_port = link is None or now.get(Fact(link, "master")) is not None
    return not is_void(fact, value, now) and (is_port or not is_a_ports(fact, value))


def _is_elsewhere(fact: Fact, value: Any, done: Patch, before: Found, now: Found) -> bool:
    """Say whether it is of a port that others have moved: in another bridge it begins anew."""
    if not is_a_ports(fact, value) or not (link := kinds.link_of(fact, value)):
        return False
    master = Fact(link, "master")
    return master not in done and now.get(master) != before.get(master)


def _is_the_labs(fact: Fact, mine: Any, before: Found, now: Found) -> bool:
    """Say whether a fact is as the lab has made it, or what has become of that by itself.

    A port whose bridge goes is of none.
    """
    is_now = now.get(fact)
    alone = is_now is None and _bridge_is_gone(fact, mine, before, now)
    return same(is_now, mine) or alone or _begins_anew(fact, mine, now)


def _begins_anew(fact: Fact, mine: Any, now: Found) -> bool:
    """Say whether it is of a link that has IPv6 again, which the lab's MTU had cost it."""
    default = fact._replace(ref=born_as(fact.ref))
    return default != fact and mine is None and same(now.get(fact), now.get(default, mine))


def _set_since(before: Found, now: Found, wanted: Found) -> Found:
    """Give what others have set all to, of links that had no value while the lab's MTU was less."""
    every = {fact: Fact(all_of(fact.ref), fact.key) for fact in wanted if fact not in now}
    return {fact: wanted[one] for fact, one in every.items()
            if one in wanted and not same(before.get(one), wanted[one])}  # fmt: skip


def _bridge_is_gone(fact: Fact, master: Any, before: Found, now: Found) -> bool:
    """Say whether it was of a bridge that others have deleted; another may have its name."""
    bridge = Fact(fact.ref._replace(name=master))
    return fact.key == "master" and bridge in before and before[bridge] != now.get(bridge)


def _ports_before(done: Patch, before: Found, now: Found) -> Iterator[tuple[Fact, Any]]:
    """Give what ports that go back to their bridge, or to none, were there.

    What they are in the lab's, or was done to them in it, goes with their leaving.
    """
    left = {fact.ref for fact, (_, mine) in done.items()
            if fact.key == "master" and Fact(fact.ref) in now
            and _is_the_labs(fact, mine, before, now)}  # fmt: skip
    stays = {fact.ref for fact in done if fact.key == "master"} - left
    alone = {fact.ref for fact, (was, _) in done.items()
             if _bridge_is_gone(fact, was, before, now)}  # fmt: skip
    for fact in {**before, **now} if left or stays else ():
        value = now.get(fact, before.get(fact))
        link = kinds.link_of(fact, value)
        if is_a_ports(fact, value) and link in alone & left:
            yield fact, port.ALONE.get(fact.key)
        elif is_a_ports(fact, value) and link in left:
            yield fact, done[fact][0] if fact in done else before.get(fact)
        elif is_a_ports(fact, value) and link in stays and fact in done:
            yield fact, now.get(fact)


def is_a_ports(fact: Fact, value: Any) -> bool:
    """Say whether a fact is of a port, and goes with its leaving the bridge."""
    return any(place[0] in ("port", "fdb") for place in kinds.places(fact, value))


def is_amiss(fact: Fact, done: Patch, wanted: Found, now: Found, cost: frozenset[Reach]) -> bool:
    """Say whether an undo has to answer for a fact, which is not as it is wanted.

    done: what it takes back; cost: how far it reached besides, into facts of others.
    """
    value = wanted.get(fact)
    if same(value, now.get(fact)) or is_void(fact, value, now):
        return False
    # What came in meanwhile stays, and what follows from others comes by itself.
    gone = value is not None and not kinds.derived(fact, wanted)
    return fact in done or (gone and not cost.isdisjoint(kinds.places(fact, value)))


def is_void(fact: Fact, value: Any, now: Found) -> bool:
    """Say whether the link that a fact is of, or goes with, is gone."""
    link = kinds.link_of(fact, value)
    return link is not None and Fact(link) not in now


def inherited(done: Patch, before: Found, now: Found) -> Patch:
    """Give what a lab has done, and what links that came since took from a default of the lab's."""
    defaults = {fact: both for fact, both in done.items() if "/default/" in fact.ref.name}
    more: Patch = {}
    for fact, is_now in now.items() if defaults else ():
        link = kinds.link_of(fact, is_now)
        was, mine = defaults.get(fact._replace(ref=born_as(fact.ref)), (None, None))
        if link and Fact(link) not in before and mine is not None and same(is_now, mine):
            more[fact] = was, mine
    return more | done
