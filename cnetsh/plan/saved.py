"""Saved plans: a JSON file that people review and `up` then runs, step for step, without asking.

The commands in the file are all that runs, and each is parsed and checked against the allow-list
again. The digest finds accidents; who can write the file can also write the digest, and gains no
command by it. `relied_on` is what the plan took for granted of its target.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cnetsh.errors import CnetshError
from cnetsh.names import lab_name, visible
from cnetsh.plan.steps import Directives, Plan, Plans, Step, parse, to_text

FORM = 1
LARGEST = 256 << 20
PARTS = ("up", "check", "down")
_SAID = {"undo": "undo", "undo_note": "undo_note", "expect_failure": "expect", "needs": "needs",
         "no_control": "no_control", "listen": "listen"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Saved:
    """A plan as it was saved, and what it relied on, by fact; empty when none was seen."""

    plans: Plans
    relied_on: Mapping[str, str]


def as_saved(plans: Plans, relied_on: Mapping[str, str]) -> str:
    """Give the file's text, one step a line, so that two of them can be compared by eye."""
    parts = {part.part: [_entry(step) for step in part.steps] for part in _parts(plans)}
    head = {
        "cnetsh_plan": FORM,
        "lab": plans.up.lab,
        "title": plans.up.title,
        "teaches": plans.teaches,
    }
    content = head | {"relied_on": dict(relied_on)} | parts
    lines = [f"{json.dumps(key)}: {_value(key, value)}" for key, value in content.items()]
    lines.append(f'"sha256": "{_digest(content)}"')
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _parts(plans: Plans) -> tuple[Plan, Plan, Plan]:
    return plans.up, plans.check, plans.down


def _value(key: str, value: object) -> str:
    if key not in PARTS or not isinstance(value, list):
        return json.dumps(value, indent=1)
    return "[\n" + ",\n".join(" " + json.dumps(entry) for entry in value) + "\n]"


def _entry(step: Step) -> dict[str, Any]:
    """Give a step without what is empty, so that a reader sees what is there."""
    said = {name: getattr(step.said, key) for name, key in _SAID.items()}
    facts = {"command": step.text, "section": step.section, "why": step.why, **said}
    looks: dict[str, Any] = {"look": True} if step.said.look else {}
    looks |= {"control": step.said.control} if step.said.control else {}
    return (
        {name: value for name, value in facts.items() if value not in ("", None)}
        | looks
        | ({"undo": ""} if step.said.undo == "" else {})
    )


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def read_saved(path: Path) -> Saved:
    """Read a saved plan. Raises CnetshError when it is not exactly what `plan -o` wrote."""
    content = _content(path)
    digest = content.pop("sha256", None)
    if content.get("cnetsh_plan") != FORM or digest != _digest(content):
        raise CnetshError(
            f"{path} is not as it was saved: its digest does not fit",
            "save it anew: cnetsh plan LAB -o FILE.json",
        )
    try:
        up, check, down = (_plan(content, part, path) for part in PARTS)
        relied_on = {str(key): str(value) for key, value in content["relied_on"].items()}
        return Saved(Plans(up, check, down, str(content["teaches"])), relied_on)
    except (KeyError, TypeError, AttributeError):
        raise CnetshError(f"{path} is not a saved plan") from None


def _content(path: Path) -> dict[str, Any]:
    try:
        with path.open(encoding="utf-8") as file:
            owner = os.fstat(file.fileno()).st_uid
            text = file.read(LARGEST)
        content = json.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        raise CnetshError(f"{path} cannot be read as a saved plan: {error}") from None
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
        raise CnetshError(f"a saved plan holds {visible(str(value))[:80]!r}, which is not one line")
    return value
