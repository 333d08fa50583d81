"""What a plan takes for granted of its target, so that a saved plan is not run on another one."""

import json
from collections.abc import Mapping

from cnetsh.compare.needed import count_of, touched
from cnetsh.compare.snapshot import Snapshot
from cnetsh.errors import CnetshError
from cnetsh.inverse import Ref
from cnetsh.plan.steps import Plan, Step

NOT_UP = "not up"


def relied_on(plan: Plan, now: Snapshot, standing: str = NOT_UP) -> dict[str, str]:
    """Give what a plan takes for granted of its target, fact by fact; standing: of the lab, see
    `journal.standing`."""
    facts = {f"lab {plan.lab}": standing}
    owned = {ref for step in plan.steps for ref in step.effect.makes}
    for step in plan.steps:
        does = step.effect
        for ref in does.makes:
            if not ref.netns and ref.kind != "chain":
                absent = now.mark(ref.kind, ref.name) is None
                facts[f"{ref.kind} {ref.name}"] = "absent" if absent else "there"
        if does.on and does.on not in owned and not step.netns:
            facts |= _foreign(step, now)
        if not step.netns:
            used = [name for name in sorted(touched([step]).names) if name in now.links]
            others = [name for name in used if Ref("link", "", name) not in owned]
            facts |= {f"link {name}": _link(name, now) for name in others}
    facts["routes"] = _routes(now)
    return facts


def _foreign(step: Step, now: Snapshot) -> dict[str, str]:
    on = step.effect.on
    if on is None:
        return {}
    if on.kind == "setting":
        return {f"setting {on.name}": now.settings.get(on.name, "absent")}
    if on.kind == "link":
        return {f"link {on.name}": _link(on.name, now)}
    if on.kind == "chain" and ("-A" in step.inner or "-I" in step.inner):
        return {f"rule {step.text}": f"{count_of(step.inner, now)} times"}
    return {}


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
