"""Undoing what a journal says was done, and proving it: the kernel must equal the snapshot before.

Reverse order, past every failure; then what the undone steps changed besides is put back; what is
still different is residue, and is named with the command that removes it.
"""

import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cnetsh.apply.journal import Journal, beside, plan_of
from cnetsh.apply.run import SHORT, Means, identity, link_index, one_by_one
from cnetsh.apply.units import side_by_side
from cnetsh.compare import snapshot
from cnetsh.compare.differences import Difference, differences
from cnetsh.compare.remaining import Sight, remaining
from cnetsh.compare.scope import Others, Scope, concerns, handed_over, scope_of
from cnetsh.compare.snapshot import Snapshot
from cnetsh.errors import CnetshError
from cnetsh.kinds.change import Make, Ref
from cnetsh.plan.steps import Step, made_by, parse, split
from cnetsh.plan.undo import Undo, down_order, undos
from cnetsh.system.processes import found_in

GONE_TIMEOUT = 5.0


@dataclass(frozen=True, slots=True)
class Undone:
    """What an undo left: residue of the lab's own, and what others changed meanwhile.

    kept: a line for each thing that stays because another lab needs it, which puts it back.
    """

    residue: tuple[Difference, ...]
    others: tuple[Difference, ...]
    kept: tuple[str, ...] = ()


def undo(journal: Journal, means: Means) -> Undone:
    """Undo what the journal says was done and still is there; give what is left.

    The journal stays when something is left, so that a later `recover` can go on.
    """
    steps, down = plan_of(journal, "up").steps, plan_of(journal, "down").steps
    before, neighbours = Snapshot(**journal.header["before"]), beside(journal)
    ours = scope_of([steps[number] for number in journal.applied])
    others = Others({one.lab: _scope_of_lab(one) for one in neighbours})
    own = {key.removeprefix("link ") for key in journal.made}
    was = snapshot.take(means.ask, ours.settings, own)
    found = Sight(before, was, journal.made)
    todo, refused = _todo(journal, steps, down, found, others)
    adopted = _adopted(journal, steps, found)
    journal.write(
        undoing=[one.step for one in todo], held=found_in(journal.homes, journal.held), made=adopted
    )
    unread = run_undos(todo, journal, means)
    stays = {line.name for line in refused}
    going = [step for step in steps if not stays & {ref.name for ref in made_by(step)}]
    wait_until_gone(going, journal, means)
    now = put_back(before, ours, others, means)
    left = differences(before, now)
    kept = [one for one in left if concerns(one, ours) and others.keep(one)]
    for one in neighbours:
        theirs = Snapshot(**one.header["before"])
        mine = [each for each in kept if one.lab in others.keep(each)]
        facts = handed_over(theirs, mine, before, now)
        if facts != one.header["before"]:
            one.write(header={"before": facts})
        one.close()
    untold = [Difference("journal", one.lab, one.unwritten) for one in neighbours if one.unwritten]
    seen = Sight(before, now, journal.made)
    unread = [one for one in unread if remaining(one, steps[one.step], seen)]
    failed = _failed(todo, steps, journal, now)
    more = (*refused, *map(_unread, unread), *failed, *untold, *_still_inside(journal))
    return _undone(left, more, seen, ours, others)


def _adopted(journal: Journal, steps: Sequence[Step], found: Sight) -> dict[str, list[Any]]:
    """Give the identities of what was made by steps of which nobody wrote down the end."""
    makes = [ref for number in journal.uncertain for ref in made_by(steps[number])]
    ours = [ref for ref in makes if not ref.netns and found.ours(ref)]
    marks = {f"{ref.kind} {ref.name}": identity(ref) for ref in ours}
    return {key: mark for key, mark in marks.items() if mark}


def still_needed(todo: Sequence[Undo], journal: Journal, means: Means) -> list[Undo]:
    """Give those undos, with the values from before, that change something no other lab needs."""
    steps, neighbours = plan_of(journal, "up").steps, beside(journal)
    others = Others({one.lab: _scope_of_lab(one) for one in neighbours})
    for neighbour in neighbours:
        neighbour.close()
    own = {key.removeprefix("link ") for key in journal.made}
    now = snapshot.take(means.ask, scope_of(steps).settings, own)
    seen = Sight(Snapshot(**journal.header["before"]), now, journal.made)
    free = [one for one in todo if not others.keep_from(steps[one.step])]
    return [found for one in free if (found := remaining(one, steps[one.step], seen))]


def _scope_of_lab(journal: Journal) -> Scope:
    steps = plan_of(journal, "up").steps
    return scope_of([steps[number] for number in journal.applied])


def _undone(
    left: Sequence[Difference],
    more: Sequence[Difference],
    seen: Sight,
    ours: Scope,
    others: Others,
) -> Undone:
    """Sort what is left: the lab's own residue, what other labs need, and what others changed."""
    mine = [one for one in left if concerns(one, ours) and not seen.replaced(one)]
    kept = [one for one in mine if others.keep(one)]
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


def _todo(
    journal: Journal, steps: Sequence[Step], down: Sequence[Step], seen: Sight, others: Others
) -> tuple[list[Undo], list[Difference]]:
    """Give the undos to run, in order, and what is refused because others use it."""
    wanted = [
        remaining(one, steps[one.step], seen)
        for one in undos(steps, journal.applied)
        if one.texts and not others.keep_from(steps[one.step])
    ]
    todo = [one for one in wanted if one]
    refused = [line for one in todo for line in _foreign_ports(steps[one.step], steps, seen)]
    kept = {line.name for line in refused}
    todo = [one for one in todo if not kept & {ref.name for ref in made_by(steps[one.step])}]
    ordered = down_order(todo, down) if journal.up else sorted(todo, key=lambda one: -one.step)
    return ordered, refused


def _foreign_ports(step: Step, steps: Sequence[Step], seen: Sight) -> list[Difference]:
    """Name the ports of a bridge to be deleted that are not ours: they would lose their bridge."""
    made = [one for one in step.changes if isinstance(one, Make)]
    if not made or made[0].facts.get("kind") != "bridge":
        return []
    bridge = made[0].ref.name
    own = {ref.name for one in steps for ref in made_by(one) if seen.ours(ref)}
    ports = [name for name, link in seen.now.links.items() if link.get("master") == bridge]
    return [
        Difference(
            "link",
            bridge,
            f"bridge {bridge} stays: {port} is a port of it and not of this lab",
            ("ip", "link", "set", "dev", port, "nomaster"),
        )
        for port in ports
        if port not in own
    ]


def run_undos(todo: Sequence[Undo], journal: Journal, means: Means) -> list[Undo]:
    """Run the undos in their order; one that fails does not stop the others.

    Gives those that cannot be read: a name of the kernel's may be one that nobody can type.
    """
    unread: list[Undo] = []
    try:
        steps = _steps(todo)
    except CnetshError:
        unread = [one for one in todo if not _readable(one)]
        todo = [one for one in todo if one not in unread]
        steps = _steps(todo)
    numbers = [one.step for one in todo for _ in one.texts]
    means.watch.expect(len(steps), "undo ")
    start = 0
    while start < len(steps):
        rest, rest_numbers = steps[start:], numbers[start:]

        def note(numbers: Sequence[int] = rest_numbers, **record: Any) -> None:
            ended = [numbers[at] for at in record.get("end", ())]
            if ended:
                journal.write(undone=ended)

        if len(rest) > SHORT:
            outcome = side_by_side(rest, note, means)
        else:
            outcome = one_by_one(rest, note, means)
        start = len(steps) if outcome.failed is None else start + outcome.failed + 1
    return unread


def _steps(todo: Sequence[Undo]) -> tuple[Step, ...]:
    return parse("\n".join(text for one in todo for text in one.texts), "", "", "undo", "").steps


def _readable(one: Undo) -> bool:
    with contextlib.suppress(CnetshError):
        return bool(_steps([one]))
    return False


def _unread(one: Undo) -> Difference:
    text = f"step {one.step + 1} is not undone, its undo cannot be read: {'; '.join(one.texts)}"
    return Difference("undo", "", text)


def _failed(
    todo: Sequence[Undo], steps: Sequence[Step], journal: Journal, now: Snapshot
) -> list[Difference]:
    """Give the undos that failed in a namespace of somebody else's, which no snapshot covers."""
    return [
        Difference("undo", "", f"step {one.step + 1} is not undone", *split(one.texts[-1]))
        for one in todo
        if steps[one.step].netns in now.namespaces and one.step not in journal.undone
    ]


def wait_until_gone(steps: Sequence[Step], journal: Journal, means: Means) -> None:
    """Wait until the links that went with their namespaces are gone, then delete survivors.

    `ip netns delete` is asynchronous (moby #48749), and a process inside keeps all of it alive.
    """
    made = [ref for step in steps for ref in made_by(step) if ref.kind == "link"]
    marks = {ref: journal.made.get(f"link {ref.name}", []) for ref in made if not ref.netns}
    deadline = time.monotonic() + GONE_TIMEOUT
    survivors = [ref for ref, mark in marks.items() if mark and not _gone(ref, mark[0], deadline)]
    run_undos([Undo(0, (f"ip link delete {ref.name}",)) for ref in survivors], journal, means)


def _gone(ref: Ref, index: int, deadline: float) -> bool:
    """Wait until a link is gone; False when it is still there at the deadline."""
    while link_index(ref.name) == index:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.002)
    return True


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


def _still_inside(journal: Journal) -> list[Difference]:
    return [
        Difference(
            "process",
            str(one.pid),
            f"process {one.pid} ({one.name}) still runs in what was {one.netns}",
            ("kill", str(one.pid)),
        )
        for one in found_in(journal.homes, journal.held)
    ]
