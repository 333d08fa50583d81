"""Which end of a cable leads where, and what is made on what, over several namespaces."""

from collections.abc import Collection, Iterator, Mapping
from functools import partial
from typing import Any

from cnetsh.compare import kernel
from cnetsh.kinds.change import Facts, Ref, State
from cnetsh.system.process import Run


def all_paired(state: State, run: Run, more: Collection[str] = ()) -> State:
    """Give a state with the cables that have no end in the target's own namespace paired too."""
    lead_elsewhere = dict.fromkeys(
        ref.netns
        for ref, (facts, *_) in state.items()
        if ref.kind == "link" and "peer" not in facts and isinstance(facts.get("far", "-")[0], int)
    )
    for count, netns in enumerate(lead_elsewhere):
        # Each knows all others: asking everywhere takes the square of their number.
        asked = count < kernel.MOST_LINKS
        ids = kernel.within(netns, partial(kernel.ids, run, more)) if asked else {}
        state |= _named(state, netns, ids)
    return paired(state)


def _named(state: State, netns: str, ids: Mapping[int, str]) -> State:
    """Give a state with what one namespace's links lead to, by the names that it knows others by.

    What else a link there is made on is of the target's own: it has no name.
    """
    found: State = {}
    for ref, (facts, *_) in _links(state):
        home, index = facts.get("far", ("", 0))
        if ref.netns == netns and isinstance(home, int) and "peer" not in facts:
            home = ids.get(home, home if facts["kind"] == "veth" else "")
            found[ref] = [{**facts, "far": (home, index)}]
    return found


def paired(state: State) -> State:
    """Give what several namespaces have, with the other end of every cable where it is known."""
    # ip tells the other end by name in the same namespace, else by its number there.
    ends: dict[Any, Ref] = {(ref.netns, ref.name): ref for ref, _ in _links(state)}
    ends |= {(ref.netns, found[0]["ifindex"]): ref for ref, found in _links(state)}
    more: dict[Ref, dict[str, Any]] = {}
    for ref, found in _links(state):
        if far := ends.get(found[0].get("far")):
            one, other = more.setdefault(ref, {}), more.setdefault(far, {})
            if found[0]["kind"] == "veth":
                one["peer"], other["peer"] = far, ref
                continue
            one["on"] = far
            if far.netns == ref.netns:
                one["below"] = far.name
                other.setdefault("above", []).append(ref.name)
    return state | {ref: [{**state[ref][0], **known}] for ref, known in more.items()}


def _links(state: State) -> Iterator[tuple[Ref, list[Facts]]]:
    return ((ref, found) for ref, found in state.items() if ref.kind == "link")
