"""The names that labs go by: one that is up is known everywhere by the name that status shows."""

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, NoReturn, TextIO

from cnetsh.commands.output import collected, naming_file
from cnetsh.errors import DONE, CnetshError
from cnetsh.labs import builtin, choose
from cnetsh.names import nearest

if TYPE_CHECKING:
    from cnetsh.apply.journal import Journal
    from cnetsh.targets.target import Target


@contextmanager
def resolved(lab: str, on: str) -> Iterator[str]:
    """Give a name that `choose` knows: of a lab that is only up, a file's. Raises CnetshError."""
    if choose.is_known(lab):
        yield lab
        return
    # A target is looked at, and takes long to load, for none but these names.
    from tempfile import NamedTemporaryFile

    from cnetsh.commands.entering import entered
    from cnetsh.targets import target

    def missing() -> NoReturn:
        raise choose.unknown(lab)

    into = collected(Path(lab))
    # What it is not found for has been told where that was seen.
    code = entered(target.named(on or "sandbox"), partial(_save, lab, into), missing)
    if code != DONE:
        raise SystemExit(code)
    into.seek(0)
    with NamedTemporaryFile("w", encoding="utf-8", suffix=".json") as file:
        with naming_file(file):
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
        raise choose.unknown(lab, journal.labs_here())
    record.close()
    up, check, down = (journal.plan_of(record, part) for part in saved.PARTS)
    into.write(saved.as_saved(Plans(up, check, down)))
    into.flush()
    return DONE


class Sought(NamedTuple):
    """A lab that is asked for, "" being the only one that is up."""

    name: str
    elsewhere: str = ""  # where else it is
    up: str = ""  # what is typed to have it up there, "" where nobody knows

    @classmethod
    def typed_here(cls, lab: str, on: str, verb: str, settings: Sequence[str] = ()) -> "Sought":
        """Give the lab that a word of the command line means, before a target is entered."""
        from cnetsh.targets import target

        # The name alone: the journal knows the rest, however the lab was edited since.
        name = choose.name_of(lab, settings) if lab else ""
        here, labs = target.named(on), _labs_seen()
        # What is up needs no look at the files of the current folder.
        source = "" if name in labs.get(here, ()) else choose.what_up_takes(lab)
        up = here.command("up", source or "LAB") if source or not lab else ""
        return cls(name, _elsewhere(name, here, labs, verb), up)

    def only(self) -> "Sought":
        """Give the lab, or the only one that is up here. Raises CnetshError where it is not one."""
        from cnetsh.apply import journal

        up = [] if self.name else journal.labs_here()
        if not self.name and len(up) != 1:
            several = f"{len(up)} labs are up: {', '.join(up)}"
            raise CnetshError(several, "name one") if up else self.not_up()
        return self._replace(name=self.name or up[0])

    def up_here(self) -> "Journal":
        """Give the journal of the lab. Raises CnetshError where it is not up here."""
        from cnetsh.apply import journal

        lab = self.only()
        record = journal.find(lab.name)
        if record is None or not record.same_boot:
            raise lab.not_up(journal.labs_here())
        return record

    def refuse(self) -> NoReturn:
        """Raise CnetshError: the lab is not up, or none is."""
        raise self.not_up()

    def not_up(self, up: Sequence[str] = ()) -> CnetshError:
        """Give the refusal of a lab that is not up, with where it is or what was probably meant."""
        lab = self.name
        said = f"{lab} is not up" if lab else "no lab is up"
        if self.elsewhere:
            return CnetshError(f"{said}{self.elsewhere}")
        if not lab:
            return CnetshError(said, self.up)
        if near := nearest(lab, up):
            hint = f"did you mean {near}, which is up?"
        elif self.up:
            hint = self.up
        elif near := nearest(lab, builtin.LABS):
            hint = f"did you mean {near}?"
        else:
            hint = f"up are: {', '.join(up)}" if up else "cnetsh status lists those that are"
        return CnetshError(said, hint)


def _labs_seen() -> dict["Target", list[str]]:
    """Give the labs that are up on the targets that this user may see."""
    from cnetsh.apply import journal
    from cnetsh.targets import target
    from cnetsh.targets.sandbox import SANDBOXES

    labs = dict[target.Target, list[str]]()
    # What is asked for can be done without.
    with contextlib.suppress(CnetshError):
        labs |= {target.Target("sandbox", box.name): box.labs for box in SANDBOXES.running()}
    return labs | ({} if os.geteuid() else {target.Target("host"): journal.labs_here()})


def _elsewhere(lab: str, here: "Target", labs: Mapping["Target", Sequence[str]], verb: str) -> str:
    """Say, after `is not up`, where else a lab is, or any where no name was typed."""
    lines = [f"\n  {where} has {one}: {where.command(verb, one)}"
             for where, several in labs.items() if where != here
             for one in several if lab in ("", one)]  # fmt: skip
    return f" in {here}{''.join(lines)}" if lines else ""
