"""What a name on the command line stands for, as the three plans of a lab."""

from collections.abc import Sequence
from pathlib import Path

from cnetsh.errors import CnetshError
from cnetsh.plan import Plans, parse


def plans(name: str, settings: Sequence[str]) -> Plans:
    """Give the plans of a built-in lab, a lab file, a folder or a saved plan (.json).

    Raises CnetshError, with the place, for anything that cannot be a plan.
    """
    if name.endswith(".json"):
        from cnetsh import saved

        if settings:
            raise CnetshError("a saved plan is run as it is, so --set cannot change it")
        return saved.read(Path(name)).plans
    from cnetsh import lab, render

    chosen = lab.load(name, settings)
    up, check, down = (
        parse(
            render.render(chosen, part),
            chosen.name,
            chosen.title,
            part,
            f"{chosen.folder.name}/{part}.sh.j2",
        )
        for part in ("up", "check", "down")
    )
    return Plans(up, check, down, chosen.teaches)
