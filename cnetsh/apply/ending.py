"""How an undo ended, by the last comparison: what is left, what others did, what others need."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from cnetsh import kinds
from cnetsh.apply.sight import Sight
from cnetsh.apply.undoing import Left, Mend, Undoing
from cnetsh.compare.revert import is_a_ports, is_amiss, rebased, same
from cnetsh.compare.scope import outside
from cnetsh.kinds import setting
from cnetsh.kinds.address import is_four, is_link_local
from cnetsh.kinds.change import (
    Change,
    Fact,
    Make,
    Patch,
    Reach,
    Ref,
    Remove,
    Set,
    namespace_ref,
)
from cnetsh.plan.steps import Step, as_step, made_in
from cnetsh.system.processes import found_in


@dataclass(frozen=True, slots=True)
class Undone:
    """What is left, and lines of what others changed meanwhile."""

    left: tuple[Left, ...] = ()
    others: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()  # of what stays for other labs, or the kernel makes otherwise now


@dataclass(frozen=True)
class Ending:
    """What is compared in the end: what an undo was to come to, and what is there now."""

    what: Undoing
    cost: frozenset[Reach]  # how far it reached
    failed: Sequence[Mend]  # the commands that did not end well
    stays: Mapping[Fact, str]  # each for a lab

    @cached_property
    def sight(self) -> Sight:
        """The lab as it is found now."""
        return self.what.sight

    @cached_property
    def steps(self) -> list[Step]:
        """The steps that are undone."""
        return [self.sight.steps[number] for number in sorted(self.what.numbers)]

    @property
    def missed(self) -> Patch:
        """What of the patch is not as it should be: what it should be, and what it is."""
        done, wanted, now = self.what.free, self.what.aimed.wanted, self.sight.now
        return {fact: (wanted.get(fact), now.get(fact)) for fact in done
                if is_amiss(fact, done, wanted, now, self.cost)}  # fmt: skip

    @property
    def undone(self) -> Undone:
        """How the undo of a whole lab ended."""
        # Nobody has seen what these did, nor that it is undone.
        trusted = (f"taken on trust, and not looked at: {step.text}"
                   for step in self.steps if step.kind == "trusted")  # fmt: skip
        notes = (*self._kept(), *self.pinned, *self._follows(), *trusted)
        return Undone(self.left, tuple(self._others()), notes)

    @property
    def left(self) -> tuple[Left, ...]:
        """What is not as it should be."""
        blocked = (line for lines in self.what.blocked.values() for line in lines)
        facts = (*self._facts(), *self._unfollowed(), *self._perhaps_followed())
        left = (*blocked, *self._objects(), *facts, *self._unread(), *self._record())
        return tuple(dict.fromkeys(left))

    @cached_property
    def _made(self) -> list[Ref]:
        """What the steps made of what others hang on, but for what goes with a namespace."""
        return made_in(outside(self.steps))

    @cached_property
    def _homes(self) -> dict[int, str]:
        """The names of the namespaces that the steps made, by their marks."""
        return self.sight.journal.homes_among(self._made)

    def _objects(self) -> Iterator[Left]:
        """Give what the lab made and is still there."""
        for ref in self._made:
            used = ref.kind == "folder" and self.sight.foreign_in(ref)
            if self.sight.ours(ref) and ref not in self.what.blocked and not used:
                yield Left(f"{self._called(ref)} is still there", self._command(Remove(ref)))
        for ref, there in self.sight.away.items():
            if ref in self.sight.scope.own:
                text = f"{kinds.called(ref)} is in namespace {there.netns}"
                yield Left(text, self._command(Remove(there)))
        yield from self._values_away()
        homes = self._homes
        for ref, facts in self.sight.state.items():
            name = homes.get(facts[0]["mark"]) if ref.kind == "netns" else None
            if name not in (None, ref.name):
                text = f"{kinds.called(ref)} is what {name} was"
                yield Left(text, self._command(Remove(ref)))

    def _values_away(self) -> Iterator[Left]:
        """Give what the lab has set of links that others have moved away, and is still so."""
        for fact, there in self.sight.set_away(self.what.free).items():
            was, mine = self.what.free[fact]
            text = f"{kinds.called(fact.ref)} in namespace {there.ref.netns}"
            back = self._command(Set(there.ref, there.key, was))
            yield Left(f"{text}: {fact.key} was {was}, is {mine}", back)

    def _called(self, ref: Ref) -> str:
        return kinds.called(kinds.renamed_ref(ref, self.sight.names))

    def _command(self, *changes: Change) -> str:
        return "; ".join(text for change in changes for text in self.sight.write(change))

    def _facts(self) -> Iterator[Left]:
        """Give what is not as it should be: what the lab did, and what undoing it has cost."""
        done, wanted, now = self.what.free, self.what.aimed.wanted, self.sight.now
        for fact in {**done, **wanted}:
            was, is_now = wanted.get(fact), now.get(fact)
            if fact in self.stays or not is_amiss(fact, done, wanted, now, self.cost):
                continue
            changes = kinds.turned(fact, is_now, was)
            for line in self.sight.told(fact, was, is_now):
                more = "" if changes else ": the kernel has no way back"
                yield Left(line + more, self._command(*changes), final=not changes)

    def _unfollowed(self) -> Iterator[Left]:
        """Give settings that are not what others have made the default, perhaps by the lab.

        What is set by hand follows no default, and nobody can see or end that.
        """
        before, now = self.sight.journal.before, self.sight.now
        for fact, was in before.items():
            default = fact._replace(ref=setting.default_of(fact.ref))
            as_then = was == before.get(default) == now.get(fact)
            if default == fact or not as_then or now.get(default) == was:
                continue
            theirs = self._without_labs(default, now.get(default, was))
            # A lab that is changed may keep the default that it has set itself.
            base, mine = (self.sight.journal.patch or {}).get(default, (theirs, theirs))
            theirs = base if same(theirs, mine) else theirs
            link = kinds.link_of(fact, was)
            by_hand = fact in self.what.free or (link and link.name in self._got_four)
            if by_hand and theirs != was:
                text = f"{self._called(fact.ref)} is {was}, and the default {theirs} now"
                unknown = f"{text}: not known whether it would have followed"
                yield Left(unknown, self._command(Set(fact.ref, "value", theirs)), final=True)

    def _perhaps_followed(self) -> Iterator[Left]:
        """Give settings that are what the lab had made the default, of links that may have it anew.

        A link that others move away and back begins with the default; they may have typed it, too.
        """
        for fact in self._begun_anew:
            was, is_now = self.sight.journal.before[fact], self.sight.now[fact]
            text = f"{self._called(fact.ref)} was {was}, is {is_now}, as this lab had the default"
            unknown = f"{text}: not known whether others have set it"
            yield Left(unknown, self._command(Set(fact.ref, "value", was)), final=True)

    @cached_property
    def _begun_anew(self) -> set[Fact]:
        """The settings that links which have lost all of their addresses may have begun anew."""
        before, now, done = self.sight.journal.before, self.sight.now, self.what.free
        addresses = {fact: was["dev"] for fact, was in before.items()
                     if fact.ref.kind == "address" and not is_link_local(fact)}  # fmt: skip
        lost = set(addresses.values()) - {dev for fact, dev in addresses.items() if fact in now}
        found: set[Fact] = set()
        for fact, was in before.items() if lost else ():
            default = fact._replace(ref=setting.born_as(fact.ref))
            link = kinds.link_of(fact, was)
            if default in done and default != fact not in done and link and link.name in lost:
                found |= {fact} if was != now.get(fact) == done[default][1] else set()
        return found

    @cached_property
    def _set(self) -> set[Ref]:
        """The objects of others of which the lab has set something."""
        return {fact.ref for fact, (_, mine) in self.what.free.items() if fact.key and mine}

    @cached_property
    def _got_four(self) -> set[str]:
        """The links whose first IPv4 address was the lab's: set by hand (ipv4_devconf_setall)."""
        had = {was["dev"] for fact, was in self.sight.journal.before.items() if is_four(fact)}
        got = {mine["dev"] for fact, (_, mine) in self.what.free.items() if is_four(fact) and mine}
        return {name for name in got - had if Fact(Ref("link", "", name)) in self.sight.now}

    def _unread(self) -> Iterator[Left]:
        """Give what could not be read: that is not the same as not there."""
        unread = any(ref.kind == "table" for ref in self.sight.state)
        for step in self.steps if unread else ():
            for change in step.changes:
                if self.sight.is_unread(change.ref) and isinstance(change, Make):
                    text = f"{kinds.called(change.ref)}: not known, for its table cannot be read"
                    yield Left(text, "; ".join(kinds.write(Remove(change.ref))))

    def _record(self) -> Iterator[Left]:
        for one in self.failed:
            if one.change is None and one.step is not None and self._is_there(one.text):
                yield Left(f"step {one.step + 1} is not undone", one.text)
        journals = [self.sight.journal, *(other.journal for other in self.what.beside)]
        yield from (Left(one.damaged, f"rm {one.path}") for one in journals[:1] if one.damaged)
        yield from (Left(one.unwritten) for one in journals[1:] if one.unwritten)
        for process in found_in(self._homes, self.sight.journal.held):
            text = f"process {process.pid} ({process.name}) still runs in what was {process.netns}"
            yield Left(text, f"kill {process.pid}")

    def _is_there(self, text: str) -> bool:
        """Say whether the namespace that a command is for is there."""
        netns = as_step(text).netns
        return not netns or namespace_ref(netns) in self.sight.state

    def _others(self) -> Iterator[str]:
        """Tell what is not as before, and not by the lab."""
        before, now, kept = self.sight.journal.before, self.sight.now, self.what.aimed.kept
        homes = self.sight.journal.homes
        for fact, (was, mine, is_now) in kept.items():
            if same(self._without_labs(fact, is_now), was):
                continue
            (line, *_) = self.sight.told(fact, was, is_now)
            made = kinds.called(fact.ref, mine) if isinstance(mine, dict) else mine
            yield f"{line}; this lab had made it {made}: not this lab's, kept"
        for ref, name in self.sight.names.items():
            fact = Fact(ref, "policy" if ref.kind == "chain" else "")
            mark = before.get(fact)
            if mark and self._is_foreign(fact, mark, mark):
                yield f"{kinds.called(ref)} is called {name} now"
        for fact in {**before, **now}:
            was, is_now = before.get(fact), now.get(fact)
            alone = [self._without_labs(fact, value) for value in (was, is_now)]
            if same(*alone) or fact in kept or fact in self._begun_anew:
                continue
            if self._is_foreign(fact, was, is_now):
                shown = alone if fact.key == "rules" else (was, is_now)
                end = self._along(fact) if is_now is None and not fact.key else ""
                yield from (line + end for line in self.sight.told(fact, *shown))
        for fact, value in self.what.begun.items():
            gone = fact not in now and fact not in before and not is_a_ports(fact, value)
            gone = gone and not (fact.ref.kind == "netns" and value in homes)
            gone = gone and not any(fact in one.done for one in self.what.beside)
            if gone and self._is_foreign(fact, value, None):
                yield f"{self.sight.told(fact, value, None)[0]}: it went with this lab's"
        yield from self._of_ports()
        yield from self._folders()

    def _along(self, fact: Fact) -> str:
        """Say of a link of others that is gone where it is, or what went with it of the lab's."""
        if there := self.sight.away.get(fact.ref):
            return f": it is in namespace {there.netns}"
        return ", with what this lab had set of it" if fact.ref in self._set else ""

    def _of_ports(self) -> Iterator[str]:
        """Tell what others set of a port in the bridge that the lab had moved it to."""
        before, begun, now = self.sight.journal.before, self.what.begun, self.sight.now
        for fact, value in begun.items():
            link = kinds.link_of(fact, value)
            if not link or not is_a_ports(fact, value) or kinds.derived(fact, begun):
                continue
            was, there, is_now = (one.get(Fact(link, "master")) for one in (before, begun, now))
            _, mine = self.what.free.get(fact, (None, self.sight.journal.found.get(fact)))
            named = any(one.scope.names(fact, value) for one in self.what.beside)
            theirs = not same(value, mine) and not named
            if there != was == is_now and was and theirs:
                (line, *_) = self.sight.told(fact, value, now.get(fact))
                yield f"{line}: it went with {there}"

    def _is_foreign(self, fact: Fact, was: object, is_now: object) -> bool:
        """Say whether a difference is by others, and is told by itself."""
        sight, value = self.sight, was if is_now is None else is_now
        back = same(self.what.aimed.wanted.get(fact), sight.journal.before.get(fact))
        if fact in self.stays or (back and fact in self.what.free) or sight.holds(fact):
            return False
        if sight.is_unread(fact.ref):
            return False
        seen = [some for some in (sight.now, sight.journal.before, self.what.begun) if fact in some]
        if (
            fact.ref.kind in ("home", "table")
            or self._is_made_of_ports(fact)
            or all(kinds.derived(fact, some) for some in seen)
        ):
            return False
        # A host may have so many links that their settings are not all read.
        if fact.ref.kind == "setting" and (was is None or is_now is None):
            return False
        # What a port is in one bridge tells nothing of what it is in another.
        masters = [some.get(Fact(fact.ref, "master")) for some in (sight.journal.before, sight.now)]
        if fact.ref.kind == "link" and is_a_ports(fact, value) and masters[0] != masters[1]:
            return False
        # What goes with its link, or comes with it, is told with the link alone.
        home = fact.ref if fact.key and fact.ref.kind == "link" else kinds.holder(fact, value)
        stays = Fact(home) in sight.journal.before and Fact(home) in sight.now if home else True
        if home and home.kind == "link" and not stays:
            return False
        return not any(one.scope.holds(fact, value) for one in self.what.beside)

    def _without_labs(self, fact: Fact, value: Any) -> Any:
        """Give what would be, or have been, so if the other labs had done nothing to it."""
        theirs = [one.done[fact] for one in self.what.beside if fact in one.done]
        if fact.key == "rules":
            for base, mine in theirs:
                value = rebased(base, mine, value) or None
            return value
        # They lie on each other in any order: a lab that came first may have been changed last.
        while upper := next((both for both in theirs if same(value, both[1])), None):
            theirs.remove(upper)
            value = upper[0]
        return value

    def _folders(self) -> Iterator[str]:
        for fact in self.what.free:
            if fact.ref.kind == "home" and fact in self.sight.now and fact not in self.stays:
                yield f"folder {fact.ref.name} stays: what is in it is not this lab's"
        for ref in self._made:
            if ref.kind == "folder" and self.sight.ours(ref):
                names = ", ".join(one.name for one in self.sight.foreign_in(ref))
                if names:
                    yield f"folder {ref.name} stays: {names} is not this lab's"

    def _kept(self) -> Iterator[str]:
        for fact, lab in self.stays.items():
            if fact.ref.kind != "setting" or fact.ref in self.sight.scope.named:
                was, is_now = self.sight.journal.before.get(fact), self.sight.now.get(fact)
                yield from (
                    f"{line}: stays for {lab}" for line in self.sight.told(fact, was, is_now)
                )

    @property
    def pinned(self) -> tuple[str, ...]:
        """What is told of what was set by hand, which nothing takes back."""
        bridges = (fact.ref for fact in self.what.free if fact.key == "mtu"
                   and self.sight.now.get(Fact(fact.ref, "kind")) == "bridge")  # fmt: skip
        links = (self._called(Ref("link", "", name)) for name in sorted(self._got_four))
        return (
            *(f"{one.name} does not follow the MTU of its ports any more" for one in bridges),
            *(
                f"{one} had an address, so it does not follow net.ipv4.conf.default"
                for one in links
            ),
        )

    def _follows(self) -> Iterator[str]:
        """Tell what the kernel makes of bridges now, which nothing takes back."""
        before, now = self.sight.journal.before, self.sight.now
        for fact, was in before.items():
            if self._is_made_of_ports(fact) and not same(was, now.get(fact, was)):
                lines = self.sight.told(fact, was, now[fact])
                yield from (f"{line}: the kernel makes it of its ports" for line in lines)

    def _is_made_of_ports(self, fact: Fact) -> bool:
        """Say whether it is of a bridge that the lab had a port of, and follows its ports."""
        reached = ("local", fact.ref.netns, fact.ref.name) in self.sight.scope.reach
        of_ports = fact.ref.kind == "link" and fact.key in ("mtu", "address") and reached
        return of_ports and kinds.derived(fact, self.sight.now)
