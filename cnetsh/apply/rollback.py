"""Undoing what a journal says was done, and proving it: the kernel must equal the snapshot before.

Reverse order, past every failure; then what the undone steps changed besides is put back; what is
still different is residue, and is named with the command that removes it.
"""

import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from cnetsh.apply.journal import Journal, beside, plan_of
from cnetsh.apply.run import Means, identities, link_index
from cnetsh.apply.units import run_steps
from cnetsh.compare import snapshot
from cnetsh.compare.differences import Difference, differences
from cnetsh.compare.remaining import Sight, remaining
from cnetsh.compare.scope import Others, Scope, concerns, handed_over, scope_of
from cnetsh.compare.snapshot import Snapshot
from cnetsh.errors import CnetshError
from cnetsh.kinds.change import Make
from cnetsh.plan.steps import Step, made_by, parse, split
from cnetsh.plan.undo import Undo, down_order, undos
from cnetsh.system.processes import found_in

# After that it is a process inside that keeps them, and waiting longer would not help.
GONE_TIMEOUT = 5.0


@dataclass(frozen=True, slots=True)
class Undone:
    """What an undo left: residue of the lab's own, and what others changed meanwhile.

    kept: a line for each thing that stays because another lab needs it, which puts it back.
    """

    residue: tuple[Difference, ...]
    others: tuple[Difference, ...]
    kept: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Lab:
    """A lab as it is found: its steps, how far it and others reach, and what is there of it."""

    steps: Sequence[Step]
    ours: Scope
    others: Others
    sight: Sight

    def undos(self, numbers: Collection[int]) -> list[Undo]:
        """Give the undos of steps, in plan order, that change something no other lab needs."""
        # Most steps are covered, and their changes need not be read.
        free = (
            one
            for one in undos(self.steps, numbers)
            if one.texts and not self.others.keep_from(self.steps[one.step])
        )
        left = (remaining(one, self.steps[one.step], self.sight) for one in free)
        return [one for one in left if one]


def _found(journal: Journal, means: Means) -> _Lab:
    # Read once: 8,000 steps take 0.08 s.
    steps, before = plan_of(journal, "up").steps, Snapshot(**journal.header["before"])
    ours = scope_of(journal.in_force(steps))
    now = snapshot.take(means.ask, ours.settings, journal.links)
    sight = Sight(before, now, journal.made)
    return _Lab(steps, ours, neighbours(journal), sight)


def neighbours(journal: Journal) -> Others:
    """Give what the other labs of the target touch."""
    found = beside(journal)
    for one in found:
        one.close()
    return Others({one.lab: scope_of(one.in_force(plan_of(one, "up").steps)) for one in found})


def undos_left(numbers: Collection[int], journal: Journal, means: Means) -> list[Undo]:
    """Give the undos of some steps that still have something to do, in the order in which they run.

    The values in them are those from before the lab.
    """
    return _found(journal, means).undos(numbers)[::-1]


def roll_back(journal: Journal, means: Means) -> Undone:
    """Undo what the journal says was done and still is there; give what is left.

    The journal stays when something is left, so that a later `recover` can go on.
    """
    lab = _found(journal, means)
    before = lab.sight.before
    todo, refused = _in_order(lab, journal)
    # Before the first of them runs, so that a later recover knows what this one knew.
    held, adopted = found_in(journal.homes, journal.held), _adopted(lab, journal)
    journal.write(undoing=[one.step for one in todo], held=held, made=adopted)
    unread = run_undos(todo, journal, means)
    stay = {line.name for line in refused}
    going = [step for step in lab.steps if not stay & {ref.name for ref in made_by(step)}]
    wait_until_gone(going, journal, means)
    now = put_back(before, lab.ours, lab.others, means)
    seen, left = Sight(before, now, journal.made), differences(before, now)
    untold = _hand_over(left, lab, journal, seen)
    more = (*refused, *_failed(todo, unread, lab, journal, seen), *untold, *_still_inside(journal))
    return _undone(left, more, seen, lab)


def _in_order(lab: _Lab, journal: Journal) -> tuple[list[Undo], list[Difference]]:
    """Give the undos to run, in order, and what is refused because others use it."""
    todo = lab.undos(journal.applied)
    refused = [line for one in todo for line in _foreign_ports(lab.steps[one.step], lab)]
    stay = {line.name for line in refused}
    todo = [one for one in todo if not stay & {ref.name for ref in made_by(lab.steps[one.step])}]
    if journal.up:
        return down_order(todo, plan_of(journal, "down").steps), refused
    return todo[::-1], refused


def _foreign_ports(step: Step, lab: _Lab) -> Iterator[Difference]:
    """Name the ports of a bridge to be deleted that are not ours: they would lose their bridge."""
    made = [one for one in step.changes if isinstance(one, Make)]
    if not made or made[0].facts.get("kind") != "bridge":
        return
    bridge = made[0].ref.name
    own = {ref.name for one in lab.steps for ref in made_by(one) if lab.sight.ours(ref)}
    for port, link in lab.sight.now.links.items():
        if link.get("master") == bridge and port not in own:
            text = f"bridge {bridge} stays: {port} is a port of it and not of this lab"
            yield Difference("link", bridge, text, ("ip", "link", "set", "dev", port, "nomaster"))


def _adopted(lab: _Lab, journal: Journal) -> dict[str, list[Any]]:
    """Give the identities of what was made by steps of which nobody wrote down the end."""
    makes = [ref for number in journal.uncertain for ref in made_by(lab.steps[number])]
    return identities(ref for ref in makes if not ref.netns and lab.sight.ours(ref))


def _hand_over(
    left: Sequence[Difference], lab: _Lab, journal: Journal, seen: Sight
) -> list[Difference]:
    """Have the other labs put back what stays for them; tell what their journals did not take."""
    kept = [one for one in left if concerns(one, lab.ours) and lab.others.keep(one)]
    untold = []
    for one in beside(journal):
        theirs = Snapshot(**one.header["before"])
        mine = [each for each in kept if one.lab in lab.others.keep(each)]
        before = handed_over(theirs, mine, seen.before, seen.now)
        if before != one.header["before"]:
            one.write(header={"before": before})
        if one.unwritten:
            untold.append(Difference("journal", one.lab, one.unwritten))
        one.close()
    return untold


def _undone(
    left: Sequence[Difference], more: Sequence[Difference], seen: Sight, lab: _Lab
) -> Undone:
    """Sort what is left: the lab's own residue, what other labs need, and what others changed."""
    ours, others = lab.ours, lab.others
    mine = [one for one in left if concerns(one, ours) and not seen.replaced(one)]
    kept = [one for one in mine if others.keep(one)]
    # A rule that another lab has too may be that one's: nothing tells the two apart.
    residue = [
        one for one in mine if one not in kept and not (one.kind == "rule" and others.touch(one))
    ]
    lines = [
        f"{one.text}: stays for {' and '.join(others.keep(one))}"
        for one in kept
        if one.kind != "setting" or one.name in ours.settings
    ]
    meanwhile = [one for one in left if one not in mine and not others.touch(one)]
    return Undone((*more, *residue), tuple(meanwhile), tuple(lines))


def run_undos(todo: Sequence[Undo], journal: Journal, means: Means) -> list[Undo]:
    """Run the undos in their order; one that fails does not stop the others.

    Gives those that cannot be read: a name of the kernel's may be one that nobody can type.
    """
    steps: list[Step] = []
    numbers: list[int] = []
    unread = []
    for one in todo:
        try:
            steps += parse("\n".join(one.texts), "", "", "undo", "").steps
            numbers += [one.step] * (len(steps) - len(numbers))
        except CnetshError:
            unread.append(one)
    means.watch.expect(len(steps), "undo ")
    start = 0
    while start < len(steps):

        def note(first: int = start, **record: Any) -> None:
            if ended := [numbers[first + at] for at in record.get("end", ())]:
                journal.write(undone=ended)

        outcome = run_steps(steps[start:], note, means)
        start = len(steps) if outcome.failed is None else start + outcome.failed + 1
    return unread


def _failed(
    todo: Sequence[Undo], unread: Sequence[Undo], lab: _Lab, journal: Journal, seen: Sight
) -> Iterator[Difference]:
    """Tell which undos have not run, and which failed where no snapshot looks."""
    for one in unread:
        if remaining(one, lab.steps[one.step], seen):
            texts = "; ".join(one.texts)
            text = f"step {one.step + 1} is not undone, its undo cannot be read: {texts}"
            yield Difference("undo", "", text)
    for one in todo:
        # In a namespace of somebody else's: one of the lab's own is gone by now.
        if lab.steps[one.step].netns in seen.now.namespaces and one.step not in journal.undone:
            text = f"step {one.step + 1} is not undone"
            yield Difference("undo", "", text, *split(one.texts[-1]))


def wait_until_gone(steps: Sequence[Step], journal: Journal, means: Means) -> None:
    """Wait until the links that went with their namespaces are gone, then delete survivors.

    `ip netns delete` is asynchronous (moby #48749), and a process inside keeps all of it alive.
    """
    made = [ref for step in steps for ref in made_by(step) if ref.kind == "link"]
    marks = {ref: journal.made.get(f"link {ref.name}", []) for ref in made if not ref.netns}
    deadline = time.monotonic() + GONE_TIMEOUT
    there = [(ref.name, mark[0]) for ref, mark in marks.items() if mark]
    while there and time.monotonic() < deadline:
        there = [one for one in there if link_index(one[0]) == one[1]]
        # A namespace that nobody is in is gone within some milliseconds.
        time.sleep(0.002 if there else 0)
    run_undos([Undo(0, (f"ip link delete {name}",)) for name, _ in there], journal, means)


def put_back(before: Snapshot, ours: Scope, others: Others, means: Means) -> Snapshot:
    """Put back what the steps changed besides: other settings of forwarding, a bridge's MAC.

    Gives the snapshot after it.
    """
    now = snapshot.take(means.ask, ours.settings)
    todo = [
        one
        for one in differences(before, now)
        if one.command and concerns(one, ours) and not others.keep(one)
        if one.kind not in ("netns", "rule", "folder")
        and one.command[:3] != ("ip", "link", "delete")
    ]
    for one in todo:
        means.run(one.command, stdin=one.stdin)
    return snapshot.take(means.ask, ours.settings) if todo else now


def _still_inside(journal: Journal) -> Iterator[Difference]:
    for one in found_in(journal.homes, journal.held):
        text = f"process {one.pid} ({one.name}) still runs in what was {one.netns}"
        yield Difference("process", str(one.pid), text, ("kill", str(one.pid)))
