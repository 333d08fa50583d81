"""What a shell is offered for a word that is begun: labs, containers, targets, parameters.

It has to answer at once, and so reads names in files, enters nothing, and loads what it needs for
that word.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cnetsh.commands.words import WORDS
from cnetsh.system.files import labs_below

SHIPPED = Path(__file__).resolve().parents[1:3]
# As every lab.yaml has them; a YAML reader would take longer than all else.
PARAMETER = re.compile(r"^  ([a-z]\w*):", re.MULTILINE)
_ENDINGS = (".yaml", ".yml", ".json")


def labs(begun: str, given: Mapping[str, Any]) -> Iterator[str]:
    """Give what a plan is made of, and the labs that are up."""
    yield from wanted(begun, given)
    yield from up(begun, given)


def wanted(begun: str, given: Mapping[str, Any]) -> Iterator[str]:
    """Give the built-in labs, lab files, saved plans and folders."""
    yield from _built_in()
    folder, _, _ = begun.rpartition("/")
    for path in _in(Path(folder or ("/" if begun[:1] == "/" else "."))):
        if path.suffix in _ENDINGS or (path / "up.sh.j2").is_file():
            yield str(path)
        elif folder and path.is_dir():
            yield f"{path}/"


def up(_: str, given: Mapping[str, Any]) -> Iterator[str]:
    """Give the labs that are up on the target."""
    for root in _roots(given):
        yield from labs_below(root)


def containers(_: str, given: Mapping[str, Any]) -> Iterator[str]:
    """Give the containers of the target, and the target itself."""
    yield "host"
    for root in _roots(given):
        yield from (path.name for path in _in(root / "run/netns"))


def targets(_: str, given: Mapping[str, Any]) -> Iterator[str]:
    """Give the kinds of targets, and the sandboxes and VMs that run."""
    from cnetsh.targets.target import PRIVATE

    yield from (*PRIVATE, "host", "ssh:")
    yield from (f"sandbox:{name}" for name in sandboxes("", given))
    yield from (f"vm:{name}" for name in vms("", given))


def sandboxes(_: str, given: Mapping[str, Any]) -> Iterator[str]:
    from cnetsh.targets.sandbox import SANDBOXES

    yield from SANDBOXES.names()


def vms(_: str, given: Mapping[str, Any]) -> Iterator[str]:
    from cnetsh.targets.vm.machine import VMS

    yield from VMS.names()


def examples(_: str, given: Mapping[str, Any]) -> Iterator[str]:
    for folder in SHIPPED:
        yield from (path.stem for path in _in(folder / "examples") if path.suffix in _ENDINGS)


def settings(_: str, given: Mapping[str, Any]) -> Iterator[str]:
    """Give the parameters of the lab that is named before."""
    # What stands before an option without its value yet is not among what is given.
    typed = os.environ.get("COMP_WORDS") or os.environ.get("_TYPER_COMPLETE_ARGS", "")
    for name in typed.split():
        shipped = name in _built_in()
        folders = [here / "templates" / name for here in SHIPPED] if shipped else [Path(name)]
        for sheet in (folder / "lab.yaml" for folder in folders):
            if sheet.is_file():
                _, _, rows = sheet.read_text(encoding="utf-8").partition("\nparameters:")
                yield from (f"{key}=" for key in PARAMETER.findall(rows))


def things(_: str, given: Mapping[str, Any]) -> Iterator[str]:
    yield from WORDS
    yield from _built_in()


def _built_in() -> Sequence[str]:
    from cnetsh.labs.builtin import LABS

    return LABS


def _roots(given: Mapping[str, Any]) -> Iterator[Path]:
    """Give the folders in which the target has its files; of another machine nothing is known."""
    kind, _, name = str(given.get("on") or os.environ.get("CNETSH_ON") or "sandbox").partition(":")
    if kind == "host":
        yield Path("/")
    elif kind == "sandbox":
        from cnetsh.targets.sandbox import SANDBOXES

        if box := SANDBOXES.running_as(name or "default"):
            yield Path(f"/proc/{box.init}/root")


def _in(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []
