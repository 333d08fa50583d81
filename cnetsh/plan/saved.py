"""Saved plans: a JSON file that people review, and that is then run step for step, or refused.

Besides name, title and what the lab teaches the file has

* `up`, `check` and `down`: each step with its `command`, `section`, `why`, what the template says
  (`undo`, `undo_note`, `expect_failure`, `needs`, `look`), `on_trust` where no kind knows the
  command, and how it is undone: `undone_by`, commands, or `covered_by`, the number of the step,
  from 1, whose undo takes it along;
* `verb`, what the plan is to do, and, of a target: `does`, the commands that it runs there, each
  with its mark and what it finds there (`found`), `relied_on`, what it took for granted, by fact,
  and `warnings` of doctor's.

The commands in the file are all that runs, and each is parsed and checked against the allow-list
again. The digest finds accidents; who can write the file can also write the digest, and gains no
command by it.
"""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cnetsh.errors import CnetshError
from cnetsh.kinds.change import NOTHING
from cnetsh.names import lab_name, visible
from cnetsh.plan.lines import Line, lines_of
from cnetsh.plan.steps import NO_DIRECTIVES, Directives, Plan, Plans, Step, parse, to_text
from cnetsh.plan.undo import undos

FORM = 2
LARGEST = 256 << 20
PARTS = ("up", "check", "down")
VERBS = ("up", "down")
_SAID = {"undo": "undo", "undo_note": "undo_note", "expect_failure": "expect", "needs": "needs",
         "no_control": "no_control", "listen": "listen"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Saved:
    """A plan as it was saved: what it is to do, and, where a target was looked at, how that was."""

    plans: Plans
    verb: str = "up"
    relied_on: Mapping[str, str] = field(default_factory=dict)  # what it took for granted, by fact
    does: tuple[tuple[str, str], ...] = ()  # the commands that it runs there, each after its mark
    warnings: tuple[Mapping[str, Any], ...] = ()  # doctor's

    @property
    def lines(self) -> list[Line]:
        """What it does, or, where it has seen no target, its steps."""
        plan = self.plans.down if self.verb == "down" else self.plans.up
        steps = lines_of(plan)
        known = {line.step.text: line for line in reversed(steps)}
        lines = [
            known[text]._replace(mark=mark)
            if text in known
            else Line(mark, Step(text, "", "", "", "change", 0))
            for mark, text in self.does
        ]
        return lines or steps

    def refuse_stale(self, lines: Sequence[Line]) -> None:
        """Raise CnetshError, with what is stale, unless just these lines would run now."""
        now, known = [line.step.text for line in lines], [text for _, text in self.does]
        if not known or not now or now == known:
            return
        stale = [f"would not run any more: {text}" for text in known if text not in now]
        stale += [f"would run now: {text}" for text in now if text not in known]
        stale = stale or ["the same commands would run in another order"]
        raise CnetshError(
            "\n  ".join(
                ["the plan is stale, the target is not as it was when it was saved:", *stale]
            ),
            "look at the plan again, and save it anew",
        )


def as_saved(
    plans: Plans,
    verb: str = "up",
    lines: Sequence[Line] = (),
    relied_on: Mapping[str, str] = NOTHING,
    warnings: Sequence[Mapping[str, Any]] = (),
) -> str:
    """Give the file's text, a step a line, to be compared by eye; lines: what runs, if known."""
    does = [
        {"mark": line.mark, "command": line.step.text}
        | ({"found": line.found} if line.found else {})
        for line in lines
    ]
    up, teaches = plans.up, plans.teaches
    content = {"cnetsh_plan": FORM, "lab": up.lab, "title": up.title, "teaches": teaches}
    content |= {"verb": verb, "does": does, "relied_on": dict(relied_on)}
    content |= {"warnings": [dict(one) for one in warnings]} | _steps(plans)
    text = [f"{json.dumps(key)}: {_value(key, value)}" for key, value in content.items()]
    text.append(f'"sha256": "{_digest(content)}"')
    return "{\n" + ",\n".join(text) + "\n}\n"


def _steps(plans: Plans) -> dict[str, Any]:
    ways = undos(plans.up.steps)
    parts = {part.part: list(map(_entry, part.steps))
             for part in (plans.up, plans.check, plans.down)}  # fmt: skip
    for entry, undo in zip(parts["up"], ways, strict=True):
        if undo.covered_by is not None:
            entry["covered_by"] = undo.covered_by + 1
        elif undo.texts:
            entry["undone_by"] = list(undo.texts)
    return parts


def _value(key: str, value: object) -> str:
    if key not in (*PARTS, "does") or not isinstance(value, list):
        return json.dumps(value, indent=1)
    # One call for all takes half the time. Inside a string a quote has a backslash before it.
    lines = json.dumps(value)[1:-1].replace('}, {"', '},\n {"')
    return f"[\n {lines}\n]" if lines else "[\n\n]"


def _entry(step: Step) -> dict[str, Any]:
    """Give a step without what is empty, so that a reader sees what is there."""
    entry: dict[str, Any] = {"command": step.text}
    if step.section:
        entry["section"] = step.section
    if step.why:
        entry["why"] = step.why
    # Most steps of a large plan have none.
    if step.said is not NO_DIRECTIVES:
        entry |= _directives(step.said)
    if step.kind == "trusted":
        entry["on_trust"] = True
    if step.said.undo == "":
        entry["undo"] = ""
    return entry


def _directives(said: Directives) -> dict[str, Any]:
    found = {name: getattr(said, key) for name, key in _SAID.items() if getattr(said, key)}
    looks = {"look": True} if said.look else {}
    return found | looks | ({"control": said.control} if said.control else {})


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def read_saved(path: Path) -> Saved:
    """Read a saved plan. Raises CnetshError when it is not exactly what `plan -o` wrote."""
    content = _content(path)
    digest, form = content.pop("sha256", None), content.get("cnetsh_plan")
    if form not in (1, FORM) or digest != _digest(content):
        raise _not_as_saved(path)
    try:
        up, check, down = (_plan(content, part, path) for part in PARTS)
        plans = Plans(up, check, down, str(content["teaches"]))
        relied_on = {str(key): str(value) for key, value in content["relied_on"].items()}
        verb, does = content.get("verb", "up"), content.get("does", ())
        warnings = tuple(map(_texts, content.get("warnings", ())))
        runs = tuple((_line(one["mark"]), _line(one["command"])) for one in does)
    except (KeyError, TypeError, AttributeError):
        raise CnetshError(f"{path} is not a saved plan") from None
    # What is said there of an undo is what people have read.
    said = {key: content[key] for key in PARTS}
    if verb not in VERBS or (form == FORM and said != json.loads(json.dumps(_steps(plans)))):
        raise _not_as_saved(path)
    return Saved(plans, verb, relied_on, runs, warnings)


def _texts(warning: Mapping[str, Any]) -> dict[str, Any]:
    return {str(key): [*map(str, said)] if isinstance(said, list) else str(said)
            for key, said in warning.items()}  # fmt: skip


def _not_as_saved(path: Path) -> CnetshError:
    return CnetshError(
        f"{path} is not as it was saved: its digest does not fit",
        "save it anew: cnetsh plan LAB -o FILE.json",
    )


def _content(path: Path) -> dict[str, Any]:
    try:
        with path.open(encoding="utf-8") as file:
            owner = os.fstat(file.fileno()).st_uid
            text = file.read(LARGEST)
        content = json.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        hint = "save one: cnetsh plan LAB -o FILE.json"
        raise CnetshError(f"{path} cannot be read as a saved plan: {why}", hint) from None
    if str(owner) not in (str(os.geteuid()), "0", os.environ.get("SUDO_UID")):
        raise CnetshError(f"{path} belongs to user {owner}", "a plan to run must be your own")
    if not isinstance(content, dict):
        raise CnetshError(f"{path} is not a saved plan")
    return content


def _plan(content: Mapping[str, Any], part: str, path: Path) -> Plan:
    """Give a part by way of the text that it stands for, so that there is one parser."""
    steps = tuple(_step(entry) for entry in content[part])
    lab, title = lab_name(_line(content["lab"]), f"{path}: lab"), _line(content["title"])
    written = Plan(lab, title, part, steps)
    found = parse(to_text(written), lab, title, part, str(path))
    if [one.text for one in found.steps] != [one.text for one in steps]:
        raise CnetshError(f"{path}: {part}: a step is not one command")
    return found


def _step(entry: Mapping[str, Any]) -> Step:
    said = {key: _line(entry[name]) for name, key in _SAID.items() if name in entry}
    control = tuple(_line(text) for text in entry.get("control", ()))
    directives = Directives(**said, look=entry.get("look") is True, control=control)
    section, why = _line(entry.get("section", "")), _line(entry.get("why", ""))
    return Step(_line(entry["command"]), "", section, why, "change", 0, directives)


def _line(value: object) -> str:
    """Refuse what is not one line of text: a second line would be a second command."""
    if not isinstance(value, str) or not value.isprintable():
        raise CnetshError(f"a saved plan holds '{visible(str(value))[:80]}', which is not one line")
    return value
