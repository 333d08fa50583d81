"""What a plan takes for granted of its target, so that a saved plan is not run on another one."""

import json
from collections.abc import Mapping

from cnetsh.compare.remaining import found
from cnetsh.compare.scope import names_of
from cnetsh.compare.snapshot import MARKED, Snapshot, state_of
from cnetsh.errors import CnetshError
from cnetsh.kinds.change import Change, Make, Ref, State, holders, refs_of
from cnetsh.plan.steps import Plan, Step

NOT_UP = "not up"


def relied_on(plan: Plan, now: Snapshot, standing: str = NOT_UP) -> dict[str, str]:
    """Give what a plan takes for granted of its target, fact by fact.

    standing: of the lab, see `journal.standing`.
    """
    facts = {f"lab {plan.lab}": standing}
    # Read once: each step is asked for several facts.
    read, state = [(step, step.changes) for step in plan.steps], state_of(now)
    made = (one for _, changes in read for one in changes if isinstance(one, Make))
    owned = {ref for change in made for ref in refs_of(change)}
    for step, changes in read:
        for change in changes:
            facts |= _relied_on(change, step, now, state, owned)
        names = {name for one in changes if not step.netns for name in names_of(one)}
        used = sorted(names & now.links.keys())
        others = [name for name in used if Ref("link", "", name) not in owned]
        facts |= {f"link {name}": _link(name, now) for name in others}
    facts["routes"] = _routes(now)
    return facts


def _relied_on(
    change: Change, step: Step, now: Snapshot, state: State, owned: set[Ref]
) -> dict[str, str]:
    kind, netns, name = change.ref
    if isinstance(change, Make) and kind in MARKED:
        refs = [ref for ref in refs_of(change) if not ref.netns]
        marks = {f"{ref.kind} {ref.name}": now.mark(ref.kind, ref.name) for ref in refs}
        return {fact: "absent" if mark is None else "there" for fact, mark in marks.items()}
    if netns or kind == "chain" or owned & set(holders(change)):
        return {}
    if kind == "setting":
        return {f"setting {name}": now.settings.get(name, "absent")}
    if isinstance(change, Make):
        return {f"{kind} {step.text}": f"{len(found(change, state))} times"}
    return {f"{kind} {name}": _link(name, now)} if kind == "link" else {}


def _link(name: str, now: Snapshot) -> str:
    link = now.links.get(name, {})
    state = {key: link.get(key) for key in ("kind", "up", "master", "mtu")}
    return json.dumps(state) if link else "absent"


def _routes(now: Snapshot) -> str:
    """Give the routes that decide where packets go; those of table local follow the addresses."""
    main = [route for route in now.routes if route.get("table", "main") == "main"]
    shown = (f"{route['dst']} {route.get('gateway', '')} {route.get('dev', '')}" for route in main)
    return "; ".join(sorted(text for text in shown if not text.startswith(("fe80:", "ff00:"))))


def refuse_changed(
    saved: Mapping[str, str], plan: Plan, now: Snapshot, standing: str = NOT_UP
) -> None:
    """Raise CnetshError, with the changes, where a fact that a saved plan relied on is another."""
    facts = relied_on(plan, now, standing) if saved else {}
    lines = [
        f"{fact}: was {value}, is {facts.get(fact, 'absent')}"
        for fact, value in saved.items()
        if facts.get(fact, "absent") != value
    ]
    if lines:
        raise CnetshError(
            "the target is not as it was when the plan was saved:\n  " + "\n  ".join(lines),
            "look at the plan again, and save it anew",
        )
