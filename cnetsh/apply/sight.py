"""A lab as it is found on its target: by the names that its objects had, whatever they are now."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from cnetsh import kinds
from cnetsh.apply import upgrade
from cnetsh.apply.journal import Journal, beside, plan_of
from cnetsh.apply.run import Means
from cnetsh.compare import kernel, snapshot
from cnetsh.compare.revert import predicted, same
from cnetsh.compare.scope import (
    NOWHERE,
    Scope,
    is_own,
    links_of,
    outside,
    scope_of,
    without_links,
    written,
)
from cnetsh.compare.telling import told
from cnetsh.errors import CnetshError
from cnetsh.kinds import rule
from cnetsh.kinds.change import Answers, Change, Fact, Facts, Found, Make, Move, Patch, Ref, State
from cnetsh.kinds.link_words import KEYS
from cnetsh.plan.steps import Step, made_by

Key = tuple[str, int]


@dataclass(slots=True)
class Sight:
    """A lab's journal and steps, and what was seen last, by the names of when it came up."""

    journal: Journal
    means: Means
    steps: Sequence[Step]
    state: State = field(default_factory=dict)
    now: Found = field(default_factory=dict)
    begun: Found = field(default_factory=dict)  # what was so before the steps that were run last
    names: Mapping[Ref, str] = field(default_factory=dict)  # now, of what others have renamed since
    paths: set[str] = field(default_factory=set)  # the settings that are looked at
    scope: Scope = NOWHERE
    servers: dict[str, list[str]] = field(default_factory=dict)  # that the lab wrote, by file
    inside: dict[str, list[Ref]] = field(default_factory=dict)  # the files in each folder
    away: dict[Ref, Ref] = field(default_factory=dict)  # where others have moved links from here
    chains: dict[Ref, str] | None = None  # what those were called that others have renamed

    @classmethod
    def of(cls, journal: Journal, means: Means, steps: Sequence[Step]) -> "Sight":
        """Give a lab as it is; steps: those of its journal, and after them those it is to get."""
        sight = cls(journal, means, steps)
        # Once, for a large plan takes a tenth of a second to be read; with those known already, for
        # a link may have lost its own meanwhile.
        known = {**journal.before, **(journal.patch or {})}
        sight.paths = written(sight.steps)
        sight.paths |= {fact.ref.name for fact in known if fact.ref.kind == "setting"}
        sight.look()
        found = scope_of(sight.in_force, sight.known)
        for change in outside(sight.in_force):
            if change.ref.kind == "name_server" and isinstance(change, Make):
                sight.servers.setdefault(change.ref.name, []).append(change.facts["server"])
        # What others have put in the place of a folder is theirs, with all that is in it.
        lost = {ref for ref in found.own if ref.kind == "folder" and not sight.is_made(ref)}
        sight.scope = replace(found, own=found.own - lost)
        sight.away = found_away(journal, [*sight._missing(), *sight._taken()])
        return sight

    @property
    def in_force(self) -> list[Step]:
        """The steps that make up the lab: a run may have been interrupted."""
        return list(self.journal.in_force(self.steps).values())

    @property
    def known(self) -> State:
        """What there is, with the bridges that links were ports of before."""
        return with_masters(self.state, self.journal.before, self.begun)

    def _chains_then(self) -> dict[Ref, list[str]]:
        """Give the rules of the lab's chains, as they were typed, and of those of others."""
        done = self.journal.patch or {}
        known = self.journal.before | {fact: mine for fact, (_, mine) in done.items()}
        found: dict[Ref, list[str]] = {}
        for change in (one for step in _on_rules(self.in_force) for one in step.changes):
            match change:
                case Make(Ref("chain") as chain):
                    found[chain] = []
                case Make(Ref("rule"), facts, _, on) if on in found:
                    place = 0 if "first" in facts else len(found[on])
                    found[on].insert(place, change.ref.name.split(" ", 3)[3])
        return found | {fact.ref: known.get(Fact(fact.ref, "rules")) or []
                        for fact, value in known.items()
                        if fact.ref.kind == "chain" and value == "own"}  # fmt: skip

    def _chains_renamed(self, seen: State) -> Iterator[tuple[Ref, str]]:
        """Give the chains that have another name now, each with the one that it had."""
        then = self._chains_then()
        gone = [ref for ref in then if ref not in seen]
        theirs = {*then, *self._chains_beside()} if gone else set()
        came = [ref for ref in seen if ref.kind == "chain" and ref not in theirs]
        rules = kinds.facts_of({ref: seen[ref] for ref in seen if gone and ref.kind == "rule"})
        for was in gone:
            tool_and_table = was.name[: was.name.rindex(" ") + 1]
            alike = [one for one in came if one.name.startswith(tool_and_table)
                     and rule.is_one(then[was], rules.get(Fact(one, "rules"), []))]  # fmt: skip
            # Of more than the lab misses each may be somebody else's.
            if alike and len(alike) <= sum(then[one] == then[was] for one in gone):
                came.remove(alike[0])
                yield alike[0], was.name

    def _chains_beside(self) -> Iterator[Ref]:
        """Give the chains of the other labs of the target."""
        for other in beside(self.journal):
            steps = _on_rules(plan_of(other, "up").steps)
            yield from (ref for step in steps for ref in made_by(step) if ref.kind == "chain")
            other.close()

    def _missing(self) -> list[Ref]:
        """Give the links that the lab made and left here, and that are not here any more."""
        made = [Ref("link", "", name) for name in self.journal.links]
        lost = [ref for ref in made if ref not in self.state]
        changes = outside(self.in_force if lost else ())
        moved = {one.ref for one in changes if isinstance(one, Move)}
        return [ref for ref in lost if ref not in moved]

    def _taken(self) -> list[Ref]:
        """Give the links of others that steps name, and that are not here any more."""
        return [ref for ref in self.scope.named
                if Fact(ref) in self.journal.before and Fact(ref) not in self.now
                and ref.kind == "link"]  # fmt: skip

    def set_away(self, done: Patch) -> dict[Fact, Fact]:
        """Give what the lab has set of links that others have moved away, and is still so there."""
        moved = {fact: fact._replace(ref=self.away[fact.ref]) for fact in done
                 if fact.ref in self.away}  # fmt: skip
        homes = {there.ref.netns for there in moved.values()}
        seen = kinds.facts_of(snapshot.look_inside(homes, self.means.ask, ())) if moved else {}
        return {fact: there for fact, there in moved.items()
                if same(seen.get(there), done[fact][1]) and fact.key in KEYS}  # fmt: skip

    def look(self) -> Found:
        """See the target anew; give what is so."""
        own = self.journal.links
        # Meanwhile they may be elsewhere, or their namespace may be gone.
        self.away = found_away(self.journal, self.away)
        seen = snapshot.take(self.means.ask, self.paths, own)
        if self.chains is None:
            # Once: what is in them changes as the lab goes.
            self.chains = dict(self._chains_renamed(seen))
        then = {**self.chains, **dict(names_then(seen, self.journal))}
        self.names = names_now(then)
        if then:
            refs = (kinds.renamed_ref(Ref("setting", "", path), self.names) for path in self.paths)
            seen |= kinds.see(Answers(settings=kernel.readable(ref.name for ref in refs)))
        self.state = kinds.renamed(seen, then) if then else seen
        # A thousand links of the lab's own have sixteen thousand facts that nobody asks for.
        found = kinds.facts_of(without_links(self.state, own)) | dict(self._ports(own))
        self.now = upgrade.reduced(found) if self.journal.old else found
        self.inside = {}
        for ref in (fact.ref for fact in found if fact.ref.kind == "file"):
            self.inside.setdefault(ref.name.rpartition("/")[0], []).append(ref)
        return self.now

    def _ports(self, own: Collection[str]) -> Iterator[tuple[Fact, Any]]:
        """Give of the lab's own links what bridges of others follow."""
        for ref in (Ref("link", "", name) for name in own):
            (facts, *_) = self.state.get(ref) or [{}]
            if facts.get("master") and facts["master"] not in own:
                yield from ((Fact(ref, key), facts[key]) for key in ("master", "mtu", "address"))

    def ours(self, ref: Ref) -> bool:
        """Say whether an object of the target's own namespace is there and is the lab's."""
        return bool(self.state.get(ref)) and ref in self.scope.own and self.is_made(ref)

    def is_made(self, ref: Ref) -> bool:
        """Say whether what has an object's name is the one that the lab made, if there is one."""
        there = self.state.get(ref)
        if not there or ref.netns:
            return not ref.netns
        if f"{ref.kind} {ref.name}" not in self.journal.made:
            # Nobody noted what a step made of which the end is not known.
            known = Fact(ref, "policy" if ref.kind == "chain" else "")
            before = self.journal.before.get(known)
            return before is None or before != self.now.get(known)
        return is_own(ref, there[0], self.journal.made)

    def is_unread(self, ref: Ref) -> bool:
        """Say whether a rule or chain is in a table that could not be read."""
        return rule.is_unread(ref, self.state)

    def told(self, fact: Fact, was: Any, is_now: Any) -> list[str]:
        """Give the lines that say how a fact differs, of things as they are called now."""
        if not self.names:
            return told(fact, was, is_now)
        values = [kinds.renamed_facts(fact.ref, one, self.names) if isinstance(one, dict) else one
                  for one in (was, is_now)]  # fmt: skip
        return told(fact._replace(ref=kinds.renamed_ref(fact.ref, self.names)), *values)

    def holds(self, fact: Fact) -> bool:
        """Say whether a fact goes with what the lab made."""
        value = self.now.get(fact, self.journal.before.get(fact))
        return self.scope.holds(fact, value)

    def foreign_in(self, folder: Ref) -> list[Ref]:
        """Give what is in a folder and is not the lab's."""
        return [ref for ref in self.inside.get(folder.name, ()) if not self.wrote(ref)]

    def keeps_others(self, home: Ref) -> bool:
        """Say whether something of others' is below a folder that was made on the way."""
        inside = (one for one in self.now if one.ref.name.startswith(f"{home.name}/"))
        return home.kind == "home" and not all(
            self.wrote(one.ref) if one.ref.kind == "file" else self.holds(one) for one in inside
        )

    def wrote(self, file: Ref) -> bool:
        """Say whether a file is as the lab wrote it, and the very file."""
        made, mark = self.journal.made.get(f"name_server {file.name}"), self.now[Fact(file)]
        lines = [f"nameserver {server}" for server in self.servers.get(file.name, ())]
        # One that is not known to have ended may have written some of its lines.
        least = 0 if self.journal.uncertain else len(lines)
        texts = ["\n".join(lines[:count]) for count in range(least, len(lines) + 1)]
        return made in (None, mark[:2]) and bool(lines) and mark[2] in texts

    def write(self, change: Change) -> tuple[str, ...]:
        """Give the commands that do a change of things as they are called now."""
        return kinds.write(kinds.renamed_change(change, self.names) if self.names else change)


def _on_rules(steps: Iterable[Step]) -> Iterator[Step]:
    """Give the steps on the target's own rules and chains: the others need not be read."""
    return (one for one in steps if "tables " in one.text and not one.netns)


def with_masters(state: State, *before: Found) -> State:
    """Give a state that knows of links also which bridges they were ports of."""
    known = dict(state)
    for fact, bridge in (item for found in before for item in found.items()):
        if fact.key == "master" and bridge:
            known[fact.ref] = [*known.get(fact.ref, ()), {"master": bridge}]
    return known


def found_away(journal: Journal, links: Iterable[Ref]) -> dict[Ref, Ref]:
    """Give those of some links that are in namespaces of others, and where."""
    marks = {ref: journal.links.get(ref.name) or journal.before[Fact(ref)] for ref in links}
    # Where /sys has not shown one it has none, and cannot be found; nor did the version before.
    numbers = {mark[-1]: ref for ref, mark in marks.items() if isinstance(mark[-1], int)}
    numbers.pop(0, None)
    found = kernel.links_elsewhere(numbers.keys(), journal.homes) if numbers else {}
    return {numbers[number]: there for number, there in found.items()}


def names_now(then: Mapping[Ref, str]) -> dict[Ref, str]:
    """Give the names of things by those that they had, of which these are known."""
    return {ref._replace(name=name): ref.name for ref, name in then.items()}


def refuse_others(
    journal: Journal, names: Mapping[Ref, str], steps: Iterable[Step], anew: str
) -> None:
    """Raise CnetshError where a step speaks of another link than it did when the lab came up."""
    links = {ref.name for ref in names if ref.kind == "link"}
    links |= {name for ref, name in names.items() if ref.kind == "link"}
    for step in steps if links else ():
        for ref in (ref for change in step.changes for ref in links_of(change)):
            if ref.name in links:
                why = f"{ref.name} is not the link that it was when {journal.lab} came up"
                raise CnetshError(f"{step.text}: {why}", anew)


def names_then(seen: State, journal: Journal) -> Iterator[tuple[Ref, str]]:
    """Give the names that links and namespaces had, of those that have another one now."""
    known = dict(_marks(journal))
    names = {(kind[0], name) for kind, name in known.items()}
    keys = {ref: _key(ref.kind, _mark(some[0], journal.old)) for ref, some in seen.items()
            if ref.kind in ("link", "netns") and not ref.netns}  # fmt: skip
    for ref, key in keys.items():
        name = known.get(key)
        # A namespace without a mark is what is left of the one of that name.
        if name is None and key[1] and (ref.kind, ref.name) in names:
            # What has the name of one that was renamed, or is gone, is another thing.
            name = f"{ref.name}%{seen[ref][0].get('ifindex', '')}"
        # One that has several names is known by the one that it had.
        if name and name != ref.name and keys.get(ref._replace(name=name)) != key:
            yield ref, name


def _mark(facts: Facts, old: bool) -> Any:
    # The version before knew no number of /sys.
    mark = facts["mark"]
    return mark[:1] if old and isinstance(mark, list) else mark


def _marks(journal: Journal) -> Iterator[tuple[Key, str]]:
    """Give the names of what was there before the lab and of what it made, by their marks."""
    for fact, mark in journal.before.items():
        if fact.ref.kind in ("link", "netns") and not fact.key and mark:
            yield _key(fact.ref.kind, mark), fact.ref.name
    for key, made in journal.made.items():
        kind, _, name = key.partition(" ")
        if kind == "link":
            yield _key(kind, made[:1] if journal.old else made), name
        elif kind == "netns":
            yield _key(kind, made[0]), name


def _key(kind: str, mark: Any) -> Key:
    if not isinstance(mark, list):
        return kind, mark
    # The number of /sys alone where it is known: an ifindex can be asked for again.
    number = mark[1] if len(mark) > 1 and isinstance(mark[1], int) else 0
    return kind, number or -mark[0]


def done_by(journal: Journal, now: Found, scope: Scope) -> Patch:
    """Give what a lab has done to what is not its own, as it was seen or as its steps foretell."""
    if journal.patch is not None and journal.up:
        return journal.patch
    done = predicted(journal.found, now, scope)
    for fact, (was, mine) in (journal.patch or {}).items():
        # Of what an interrupted change did anew, what is there now tells.
        if fact not in done or done[fact][1] != now.get(fact):
            done[fact] = was, mine
    return done
