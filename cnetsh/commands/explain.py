"""The command `explain`: what a step does, or a word, a kind, a finding or a lab is about."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from cnetsh import kinds
from cnetsh.commands.output import tell
from cnetsh.commands.words import WORDS
from cnetsh.doctor.table import TRAPS
from cnetsh.errors import DONE, CnetshError
from cnetsh.kinds.change import NOTHING, Change, Changes, Facts, Make, Move, Ref, Remove, Set
from cnetsh.labs import builtin, choose
from cnetsh.names import meant, visible
from cnetsh.plan.steps import parse
from cnetsh.plan.undo import undos

KINDS = (*kinds.ALL, "socket")


def run(words: Sequence[str]) -> int:
    """Explain a thing in some lines; give the exit code."""
    thing = " ".join(" ".join(words).split())
    lines = list(_named(thing)) or list(_step(thing) if " " in thing else ())
    if not lines:
        traps = (trap.id for trap in TRAPS)
        near = meant(thing, [*WORDS, *KINDS, *builtin.LABS, *traps])
        named = ", ".join([*WORDS, *KINDS])
        hint = f'known: a step, as "ip link set br0 up"; a lab; {TRAPS[0].id} to {TRAPS[-1].id}'
        raise CnetshError(f"nothing is known of '{visible(thing)}'{near}", f"{hint}; {named}")
    for line in lines:
        tell(line)
    return DONE


def _named(thing: str) -> Iterator[str]:
    """Give what all say that have this name: bridge is a word and a lab."""
    word = thing.lower()
    if word in WORDS:
        yield f"{word}: {WORDS[word]}"
    if word in KINDS:
        yield f"{word}: {kinds.explained(word)}"
    if word in builtin.LABS:
        lab = builtin.builtin_lab(word, ())
        yield f"{word}: {lab.title}. {lab.teaches}"
        yield f"cnetsh plan {word}"
    for trap in TRAPS:
        if trap.id == thing.upper():
            # What a search says of itself, without its number.
            seen = (trap.look.__doc__ or "").partition("\n")[0].partition(": ")[2]
            yield f"{trap.id}: {trap.title}"
            yield f"  seen    {seen}"
            yield f"  done    {trap.done}"
            yield f"  source  {trap.source}"


def _step(text: str) -> Iterator[str]:
    """Give what a step changes, why labs have one like it, and how it is undone."""
    # As a script has it; it belongs to the target.
    text = re.sub(r"(^|\| )sudo ", r"\1", text)
    plan = parse(text, "", "", "down", "explain")
    changes = tuple(plan.changes)
    if not changes:
        yield "changes nothing: it looks, or checks"
        return
    yield from map(_done, changes)
    for kind in dict.fromkeys(change.ref.kind for change in changes):
        yield f"  {kinds.explained(kind)}"
    yield from _as_in_a_lab(text, changes)
    for undo in undos(plan.steps):
        yield f"undo: {'; '.join(undo.texts) or f'no command of its own: {undo.note}'}"


def _done(change: Change) -> str:
    """Give a change in words."""
    what = _called(change.ref, getattr(change, "facts", {}))
    match change:
        case Make():
            return f"makes {', and '.join([what, *map(_called, change.also)])}"
        case Remove():
            return f"removes {what}"
        case Move(ref, to) if to.netns == ref.netns:
            return f"gives {what} the name {to.name}"
        case Move(_, to):
            return f"moves {what} to {f'namespace {to.netns}' if to.netns else 'the host'}"
        case Set(_, "up", value):
            return f"sets {what} {'up' if value else 'down'}"
        case Set(_, "value", value):
            return f"sets {what} to {value}"
        case Set(_, key, None):
            return f"sets {what} to have no {key}"
    return f"sets {what}: {change.key} {change.value}"


def _called(ref: Ref, facts: Facts = NOTHING) -> str:
    return kinds.called(ref, facts) + (f" in {ref.netns}" if ref.netns else "")


def _as_in_a_lab(text: str, changes: Changes) -> Iterator[str]:
    """Give the reason that a built-in lab has for the same step, or else for one like it."""
    found = [
        (step.text != text, f"  as in {lab}: {step.text}", step.why)
        for lab in builtin.LABS
        for step in choose.part(lab, (), "up").steps
        if _shape(step.changes) == _shape(changes)
    ]
    if found:
        _, *lines = min(found, key=lambda one: one[0])
        yield from (lines[0], f"    {lines[1]}")


def _shape(changes: Changes) -> list[Any]:
    """Give what of changes is the same whatever the names are."""
    return [
        (type(one), one.ref.kind, getattr(one, "key", ""), getattr(one, "facts", {}).get("kind"))
        for one in changes
    ]
