"""What puts back what of a lab has drifted: its own steps again, as far as they are needed.

What is gone is made again with all that was done to it; a value is set, a rule goes to its place.
What the lab has found of others' when it came up stays what `down` puts back.
"""

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import takewhile
from typing import Any

from cnetsh import kinds
from cnetsh.apply.journal import Journal, plan_of
from cnetsh.apply.run import Means, Outcome
from cnetsh.apply.sight import found_away, names_now, names_then, refuse_others
from cnetsh.apply.undoing import Mend
from cnetsh.apply.units import run_steps
from cnetsh.compare.drift import Drifted, drift
from cnetsh.compare.plans import Read, leaning, makers_in
from cnetsh.compare.preview import taken
from cnetsh.compare.scope import is_own
from cnetsh.errors import CnetshError
from cnetsh.kinds import route, rule
from cnetsh.kinds.change import (
    OWNED,
    Change,
    Fact,
    Make,
    Ref,
    Remove,
    Set,
    State,
    holders,
    matches,
    namespace_ref,
    refs_of,
)
from cnetsh.plan.lines import Line
from cnetsh.plan.steps import Step, as_step, made_by
from cnetsh.system.process import Run, never

ROUNDS = 3


@dataclass(frozen=True)
class Repairing:
    """What puts a lab back as it was planned: what is not as planned, and what there was."""

    record: Journal
    steps: Mapping[int, Step]
    drifted: Sequence[Drifted]
    state: State

    @classmethod
    def of(cls, record: Journal, ask: Run, gone: Collection[int] = ()) -> "Repairing":
        """Work out what repairs the lab of a journal; gone: steps that are to go anyway."""
        known = record.in_force(plan_of(record, "up").steps)
        steps = {number: step for number, step in known.items() if number not in gone}
        return cls(record, steps, *drift(steps, record.made, ask))

    def refuse(self, anew: str) -> None:
        """Raise CnetshError where others have put something in the place of the lab's."""
        for one in self.drifted:
            if not one.key and not one.ref.netns and taken(one.ref, self.state, self.record.made):
                raise CnetshError(
                    f"{self.record.lab} cannot be repaired: {one.text}",
                    "remove it or give it another name: what is not this lab's is not touched",
                )
            if gone := self._in_its_place(one):
                raise CnetshError(
                    f"{self.record.lab} cannot be repaired: {one.text}",
                    f"another is in its place, which is not this lab's; remove it: {gone}",
                )
        for port, bridge in self._ports_of_others():
            why = f"bridge {bridge} has to go, but {port.name} is a port of it and not of this lab"
            raise CnetshError(f"{self.record.lab} cannot be repaired: {why}",
                              kinds.write(Set(port, "master", None))[0])  # fmt: skip
        made = {Ref("link", "", name) for name in self.record.links}
        lost = [[ref for ref in made_by(step) if ref in made]
                for step in {one.step: None for one in self.drifted if not one.key}]  # fmt: skip
        away = found_away(self.record, (ref for some in lost for ref in some))
        for some in lost:
            # One end that is left takes a cable along.
            if some and away.keys() >= set(some):
                where = away[some[0]].netns
                raise CnetshError(f"{kinds.called(some[0])} is in namespace {where}", anew)
        # What is made again has its own name then.
        again = {ref for number in self._again for ref in made_by(self.steps[number])}
        names = {ref: name for ref, name in self._names.items()
                 if ref.kind != "link" or ref not in again}  # fmt: skip
        refuse_others(self.record, names, (as_step(one.text) for one in self.todo), anew)

    def _in_its_place(self, one: Drifted) -> str:
        """Give what removes the route beside which the kernel takes no lost one, "" for nothing."""
        if one.key or one.ref.netns or one.ref.kind != "route":
            return ""
        made = next(change for change in one.step.changes if isinstance(change, Make))
        there = [facts for facts in self.state.get(one.ref, [])
                 if route.excludes(made, one.step.command, facts)]  # fmt: skip
        return kinds.write(Remove(one.ref, there[0]))[0] if there else ""

    def _ports_of_others(self) -> Iterator[tuple[Ref, str]]:
        """Give the ports of others in bridges that are removed, each with its bridge."""
        own = {self._now(Ref("link", "", name)) for name in self.record.links}
        gone = {ref.name for ref in self._remains if ref.kind == "link"}
        for ref, (facts, *_) in self.state.items() if gone else ():
            is_others = ref.kind == "link" and not ref.netns and ref not in own
            if is_others and facts.get("master") in gone:
                yield ref, facts["master"]

    @cached_property
    def _names(self) -> Mapping[Ref, str]:
        """What links and namespaces are called now that had another name."""
        return names_now(dict(names_then(self.state, self.record)))

    @property
    def lines(self) -> tuple[Line, ...]:
        """The commands that run, in their order."""
        return tuple(Line("!", self._step(one)) for one in self.todo)

    def again(self, one: Mend) -> Step | None:
        """Give the step that a command runs again as it stands, if it does."""
        step = None if one.step is None else self.steps[one.step]
        return step if step and step.text == one.text else None

    def _step(self, one: Mend) -> Step:
        if one.step is None:
            return Step(one.text, "", "", "what is left of it", "change", 0)
        return self.steps[one.step]._replace(text=one.text)

    @cached_property
    def todo(self) -> list[Mend]:
        """The commands in their order, of a step that is run again with its number."""
        return list(self._todo())

    @cached_property
    def _read(self) -> Read:
        return {number: step.changes for number, step in self.steps.items()}

    @property
    def _lost(self) -> list[Drifted]:
        return [one for one in self.drifted if not one.key and one.ref.kind in OWNED]

    @cached_property
    def _again(self) -> set[int]:
        """The steps that make what is gone, and all that lean on them."""
        makers = makers_in(self._read)
        return leaning(self._read, {makers.get(one.ref, one.number) for one in self._lost})

    def _todo(self) -> Iterator[Mend]:
        """Give the commands: what is left of what is gone is removed, then steps run again."""
        read, lost, again = self._read, self._lost, self._again
        makers = makers_in(read)
        for ref in self._remains:
            yield from (Mend(text) for text in kinds.write(Remove(ref)))
        todo = {number: [Mend(self.steps[number].text, number)] for number in again}
        for one in self.drifted:
            if one in lost or one.number in again:
                continue
            for mend in self._mends(one, makers, read):
                known = todo.setdefault(one.number if mend.step is None else mend.step, [])
                known += [] if mend in known else [mend]
        yield from (mend for number in sorted(todo) for mend in todo[number])

    @cached_property
    def _remains(self) -> list[Ref]:
        """What is there still of the objects that are to be made again, as it is called now."""
        found = []
        for number in sorted(self._again, reverse=True):
            for change in self._read[number]:
                refs = refs_of(change) if isinstance(change, Make) else ()
                there = [ref for ref in refs if ref.kind in OWNED and self._is_own(ref)]
                found += [self._now(ref) for ref in there[:1]]
        return found

    def _is_own(self, ref: Ref) -> bool:
        there = self.state.get(self._now(ref))
        if ref.netns:
            # Inside a namespace of the lab's what has the name of its own is its own.
            return bool(there) and ref.kind == "link" and self._is_own(namespace_ref(ref.netns))
        return bool(there) and is_own(ref, (there or [{}])[0], self.record.made)

    def _now(self, ref: Ref) -> Ref:
        """Give a link by the name that it has now. A namespace may have processes: it stays."""
        return ref._replace(name=self._names.get(ref, ref.name)) if ref.kind == "link" else ref

    def _mends(self, one: Drifted, makers: Mapping[Ref, int], read: Read) -> Iterator[Mend]:
        """Give the commands for something that is there otherwise, or is gone by itself."""
        step = self.steps[one.number]
        if one.key:
            whole = all(isinstance(change, Set) for change in step.changes)
            texts = (step.text,) if whole else kinds.write(Set(one.ref, one.key, one.wanted))
            yield from (Mend(text, one.number) for text in texts)
        elif one.ref.kind == "rule":
            yield from self._rule(one, makers, read)
        elif one.ref.kind == "name_server":
            # The first of them writes the file anew.
            yield from (Mend(self.steps[number].text, number)
                        for number, change in _made(read, one.ref))  # fmt: skip
        else:
            for number, change in _made(read, one.ref):
                there = self.state.get(one.ref, [])
                if not any(matches(change.facts, facts) for facts in there):
                    # Inside a namespace of the lab's what stands in its place is not another's.
                    other = {**change.facts, "was": there[0]} if there and one.ref.netns else None
                    texts = kinds.write(change._replace(facts=other)) if other else ()
                    yield from (Mend(text, number) for text in texts or (self.steps[number].text,))

    def _rule(self, one: Drifted, makers: Mapping[Ref, int], read: Read) -> Iterator[Mend]:
        """Give what puts a rule back into its place."""
        chain = next(change.on for _, change in _made(read, one.ref) if change.on)
        # All chains of a namespace of the lab's are its own, also those that it begins with.
        if chain in makers or chain.netns:
            # Of equal ones none is there: one that is would be found for each of them.
            for number, _ in _made(read, one.ref):
                made = Make(one.ref, {"at": self._place(number, chain, read)}, on=chain)
                texts = kinds.write(made, self.steps[number].command)
                yield from (Mend(text, number, made) for text in texts)
            return
        fact = Fact(chain, "rules")
        now = kinds.facts_of(self.state).get(fact, [])
        was, mine = (self.record.patch or {}).get(fact, ([], []))
        wanted = rule.put_back(was or [], mine or [], now)
        # At the end it is appended, as it was typed.
        changes = rule.realigned(chain, now, wanted) if wanted[: len(now)] != now else ()
        texts = tuple(text for change in changes for text in kinds.write(change))
        yield from (Mend(text, one.number) for text in texts or (self.steps[one.number].text,))

    def _place(self, step: int, chain: Ref, read: Read) -> int:
        """Give the place of a step's rule in the lab's chain, from 1, when its turn comes."""
        order: list[tuple[int, Ref]] = []
        for number, changes in read.items():
            for change in changes:
                if isinstance(change, Make) and change.on == chain and change.ref.kind == "rule":
                    order.insert(0 if change.facts.get("first") else len(order),
                                 (number, change.ref))  # fmt: skip
        gone = {one.ref for one in self.drifted}
        above = takewhile(lambda one: one[0] != step, order)
        return 1 + sum(number < step or ref not in gone for number, ref in above)


def _made(read: Read, ref: Ref) -> Iterator[tuple[int, Make]]:
    """Give the steps that make an object, each with its change."""
    for number, changes in read.items():
        for change in changes:
            if isinstance(change, Make) and change.ref == ref:
                yield number, change


def repair(known: Repairing, means: Means) -> Outcome:
    """Put the lab back as it was planned; when a command fails, put back what was found."""
    record, patient = known.record, replace(means, stopping=never)
    # After a crash `recover` undoes all of it.
    record.write(up=False, header={"pid": os.getpid()})
    outcome = _run(known, means, "")
    for _ in range(ROUNDS if outcome.well else 0):
        # What a command has cost the lab's own, as a port that has left its bridge.
        again = Repairing.of(record, patient.ask)
        if not again.todo or again.todo == known.todo:
            break
        _run(again, patient, "mend ")
    record.write(up=True, over=list(known.steps))
    return outcome


def _run(known: Repairing, means: Means, verb: str) -> Outcome:
    """Run the commands in their order; a step that is run again is noted as such."""
    again = [known.again(one) for one in known.todo]
    steps = [step or as_step(one.text) for step, one in zip(again, known.todo, strict=True)]
    ended: list[int] = []

    def note(**written: Any) -> None:
        ended.extend(written.get("end", ()))
        for key in {"start", "end", "over"} & written.keys():
            written[key] = [known.todo[at].step for at in written[key] if again[at]]
        known.record.write(**written)

    means.watch.expect(len(steps), verb)
    outcome = run_steps(steps, note, means)
    if not outcome.well:
        _put_back(known, [steps[at] for at in ended], means)
    return outcome


def _put_back(known: Repairing, done: Sequence[Step], means: Means) -> None:
    """Take back what was run: what was made is removed, and a value is what it was."""
    changes = [change for step in done for change in step.changes]
    made = {ref for change in changes if isinstance(change, Make) for ref in refs_of(change)}
    texts = []
    for change in reversed(changes):
        if made.isdisjoint(holders(change)):
            texts += [text for one in _before(change, known.state) for text in kinds.write(one)]
    means.watch.expect(len(texts), "undo ")
    for number, text in enumerate(texts):
        run_steps([as_step(text)], lambda **_: None, replace(means, stopping=never), [number])


def _before(change: Change, state: State) -> list[Change]:
    """Give what takes a change back, by what there was before it."""
    match change:
        case Make(ref, facts):
            return [Remove(ref, facts)]
        case Set(ref, key, value) if ref in state:
            return kinds.turned(Fact(ref, key), value, state[ref][0].get(key))
    return []
