"""What a name on the command line stands for, as the plans of a lab."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from cnetsh.errors import CnetshError
from cnetsh.labs import builtin, render
from cnetsh.labs.builtin import Lab
from cnetsh.labs.expected import NO_WAY, with_reasons
from cnetsh.plan.settings import refuse_unfit
from cnetsh.plan.steps import Plan, Plans, commands_of, parse
from cnetsh.plan.undo import down_plan

LAB_FILES = (".yaml", ".yml")
FILES = (*LAB_FILES, ".json")


def plans(name: str, settings: Sequence[str] = ()) -> Plans:
    """Give the plans of a built-in lab, lab file, folder or saved plan. Raises CnetshError."""
    if name.endswith(".json"):
        return _saved(name, settings)
    found = _lab(name, settings)
    source = str(Path(name).resolve()) if is_file(name) else "cnetsh"
    up, check, down = _parts(found)
    return Plans(up, check, down, found.teaches, source)


def parts(name: str, settings: Sequence[str]) -> Iterator[Plan]:
    """Give up, check and down of a lab, each read when it is asked for. Raises as plans does."""
    if name.endswith(".json"):
        found = _saved(name, settings)
        return iter((found.up, found.check, found.down))
    return _parts(_lab(name, settings))


def part(name: str, settings: Sequence[str], which: str) -> Plan:
    """Give one of the plans of a lab: up, check or down. Raises CnetshError as plans does."""
    if name.endswith(".json"):
        found: Plan = getattr(_saved(name, settings), which)
        return found
    lab = _lab(name, settings)
    chosen = _part(lab, which)
    if which == "check":
        return _reasoned(chosen, _part(lab, "up"))
    if which == "down" and not chosen.steps:
        return down_plan(_part(lab, "up"), chosen)
    return chosen


def commands(name: str, settings: Sequence[str], which: str) -> list[str]:
    """Give the commands of one of the plans of a lab as they are typed. Raises as plans does.

    Of cnetsh's own templates they are not read: that no plan of theirs is refused is tested.
    """
    if not name.endswith(".json"):
        lab = _lab(name, settings)
        if lab.trusted and (text := render.render(lab, which)):
            return commands_of(text)
    return [step.text for step in part(name, settings, which).steps]


def name_of(name: str, settings: Sequence[str] = ()) -> str:
    """Give the name under which a lab is up: a file's or folder's own, else the word itself."""
    if name.endswith(".json"):
        return _saved(name, settings).up.lab
    if name.endswith(LAB_FILES):
        from cnetsh.labs import file

        return file.name_in(Path(name), settings)
    return _lab(name, settings).name if is_file(name) else name


def is_known(name: str) -> bool:
    """Say whether a name stands for a lab, whether it is up or not."""
    return is_file(name) or builtin.is_lab(name)


def what_up_takes(name: str) -> str:
    """Give what stands for a lab that is not up: the name, a lab file here of that name, or ""."""
    if not name or is_known(name):
        return name
    for path in sorted(Path().glob("*.y*ml")):
        # Not each of them is a lab's.
        with contextlib.suppress(CnetshError):
            if name_of(str(path)) == name:
                return str(path)
    return ""


def unknown(name: str, up: Sequence[str] = ()) -> CnetshError:
    """Give the refusal of a name that no lab has; up: labs that are."""
    return builtin.unknown_lab(name, up, what_up_takes(name))


def is_file(name: str) -> bool:
    """Say whether a name is a file's or a folder's, and not that of a lab."""
    return name.endswith(FILES) or "/" in name


def _saved(name: str, settings: Sequence[str]) -> Plans:
    from cnetsh.plan import saved

    if settings:
        raise CnetshError("a saved plan is run as it is, so --set cannot change it")
    return saved.read_saved(Path(name)).plans


def _lab(name: str, settings: Sequence[str]) -> Lab:
    if name.endswith(LAB_FILES):
        from cnetsh.labs import file

        return file.load_file(Path(name), settings)
    if what_up_takes(name) not in ("", name):
        raise unknown(name)
    return builtin.builtin_lab(name, settings)


def _parts(chosen: Lab) -> Iterator[Plan]:
    up = _part(chosen, "up")
    yield up
    yield _reasoned(_part(chosen, "check"), up)
    yield _part(chosen, "down")


def _part(chosen: Lab, which: str) -> Plan:
    origin = f"{chosen.folder.name}/{which}.sh.j2"
    plan = parse(render.render(chosen, which), chosen.name, chosen.title, which, origin)
    return refuse_unfit(plan, origin)


def _reasoned(check: Plan, up: Plan) -> Plan:
    if any(step.said.expect == NO_WAY for step in check.steps):
        return with_reasons(check, up, part(builtin.SANDBOX, (), "up"))
    return check
