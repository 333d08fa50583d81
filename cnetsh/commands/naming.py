"""The names that labs go by: one that is up is known everywhere by the name that status shows."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NoReturn, TextIO

from cnetsh.commands.output import collected
from cnetsh.errors import DONE, CnetshError
from cnetsh.labs import builtin, choose
from cnetsh.mistakes import nearest

NO_LAB = CnetshError("no lab is up", "cnetsh up LAB")


@contextmanager
def known(lab: str, on: str) -> Iterator[str]:
    """Give a lab's name as `choose` knows it: of one that is only up, its plan as a file.

    Raises CnetshError for a name that is neither.
    """
    if choose.is_known(lab):
        yield lab
        return
    # A target is looked at, and takes long to load, for none but these names.
    from tempfile import NamedTemporaryFile

    from cnetsh.commands.entering import entered
    from cnetsh.targets import target

    def missing() -> NoReturn:
        raise builtin.unknown_lab(lab)

    into = collected(Path(lab))
    # What it is not found for has been told where that was seen.
    code = entered(target.named(on or "sandbox"), partial(_save, lab, into), missing)
    if code != DONE:
        raise SystemExit(code)
    into.seek(0)
    with NamedTemporaryFile("w", encoding="utf-8", suffix=".json") as file:
        file.write(into.read())
        file.flush()
        yield file.name


def _save(lab: str, into: TextIO) -> int:
    """Save the plan of a lab that is up here, where this is called."""
    from cnetsh.apply import journal
    from cnetsh.plan import saved
    from cnetsh.plan.steps import Plans

    record = journal.find(lab)
    if record is None or not record.same_boot:
        raise builtin.unknown_lab(lab, journal.labs_here())
    record.close()
    up, check, down = (journal.plan_of(record, part) for part in saved.PARTS)
    into.write(saved.as_saved(Plans(up, check, down)))
    into.flush()
    return DONE


def only_one_up(name: str) -> str:
    """Give a name, where none was typed that of the only lab that is up here.

    Raises CnetshError where there are none, or several.
    """
    from cnetsh.apply import journal

    up = [] if name else journal.labs_here()
    if not name and len(up) != 1:
        several = f"{len(up)} labs are up: {', '.join(up)}"
        raise CnetshError(several, "name one") if up else NO_LAB
    return name or up[0]


def not_up(lab: str, up: Sequence[str] = ()) -> CnetshError:
    """Give the refusal of a lab that is not up, with the name that was probably meant."""
    if near := nearest(lab, up):
        hint = f"did you mean {near}, which is up?"
    elif choose.is_known(lab):
        hint = f"cnetsh up {lab}"
    elif near := nearest(lab, builtin.builtin_names()):
        hint = f"did you mean {near}?"
    else:
        hint = f"up are: {', '.join(up)}" if up else "cnetsh status lists those that are"
    return CnetshError(f"{lab} is not up", hint)
