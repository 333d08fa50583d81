"""Rendered template text, an annotated shell script, read into a plan of steps.

Every line is a section (`##`), narration (`#`), a directive (`#:`) or one command. What would need
a shell is refused here, and so is a command that `inverse` does not know.
"""

import gc
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from cnetsh.errors import CnetshError
from cnetsh.inverse import Effect, effect, is_setting


class Directives(NamedTuple):
    """What `#:` lines say of the next command.

    undo: None means the table's. needs: "route ADDRESS" or "address ADDRESS", which the target must
    have for a check to be tried.
    """

    undo: str | None = None
    undo_note: str = ""
    expect: str = ""
    needs: str = ""
    look: bool = False


NO_DIRECTIVES = Directives()


@dataclass(frozen=True, slots=True)
class Step:
    """One command as it is shown and run, without sudo; `line` is its line in the rendered text."""

    text: str
    netns: str
    section: str
    why: str
    kind: str
    line: int
    said: Directives = NO_DIRECTIVES

    @property
    def argv(self) -> tuple[str, ...]:
        """The arguments that are executed; for the pipe those of tee."""
        return split(self.text)[0]

    @property
    def stdin(self) -> str:
        """What the command reads: the value written to a kernel setting, or nothing."""
        return split(self.text)[1]

    @property
    def inner(self) -> tuple[str, ...]:
        """The arguments as seen inside the step's own namespace."""
        return enter(self.argv)[1]

    @property
    def effect(self) -> Effect:
        """What the table says of the command."""
        found = effect(self.inner, self.netns)
        if found is None:
            raise CnetshError(f"not an allowed command: {self.text}")
        return found


@dataclass(frozen=True, slots=True)
class Plan:
    """The steps of one part (up, check or down) of a lab, in the order in which they run."""

    lab: str
    title: str
    part: str
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Plans:
    """The plans of a lab: up, check and down, and what it teaches."""

    up: Plan
    check: Plan
    down: Plan
    teaches: str = ""


_NEEDS_CARE = re.compile(r"""["'\\|<>&;$`*?\[\](){}~#\x00-\x1f\x7f]""")
_QUOTED = re.compile(r"""'[^']*'|"[^"$`\\]*\"""")
_WRITE = re.compile(
    r"echo ([\w.:-]+(?: [\w.:-]+)*) \| ((?:ip netns exec [\w.-]+ )?tee [\w./:@+-]+)"
)


def split(text: str) -> tuple[tuple[str, ...], str]:
    """Give the argument vector and standard input of a command line.

    Raises CnetshError for a line that only a shell could run.
    """
    if not _NEEDS_CARE.search(text):
        return tuple(text.split()), ""
    if write := _WRITE.fullmatch(text):
        words = tuple(write[2].split())
        if is_setting(words[-1]):
            return words, write[1] + "\n"
    if found := _NEEDS_CARE.search(_QUOTED.sub("", text)):
        raise CnetshError(
            f"{found[0]!r} needs a shell, and commands run without one",
            "one command a line; the only pipe is: echo VALUE | tee /proc/sys/net/…",
        )
    return tuple(shlex.split(text)), ""


def enter(argv: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """Give the namespace that a command runs in and the command as seen from inside it."""
    match argv:
        case ("ip", "netns", "exec", name, *inner):
            return name, tuple(inner)
        case ("ip", "-n" | "-netns", name, *inner):
            return name, ("ip", *inner)
    return "", argv


def parse(text: str, lab: str, title: str, part: str, origin: str) -> Plan:
    """Read rendered text into a plan; origin names the template in errors.

    Raises CnetshError with the line for what needs a shell, for a command that is not allowed, and,
    in the part "up", for one that has no undo.
    """
    # A plan is many small objects without cycles: the collector would walk them in vain.
    collecting = gc.isenabled()
    gc.disable()
    try:
        return Plan(lab, title, part, tuple(_steps(text, part, origin)))
    finally:
        if collecting:
            gc.enable()


def _steps(text: str, part: str, origin: str) -> Iterator[Step]:
    section, why, said = "", "", NO_DIRECTIVES
    for number, line in enumerate(text.split("\n"), 1):
        if not line or line.isspace():
            continue
        if line[0] != "#":
            try:
                yield _step(line, section, why, said, part, number)
            except CnetshError as error:
                place = f"{origin}: line {number}: {line.strip()}"
                raise CnetshError(f"{place}: {error.message}", error.hint) from None
            why, said = "", NO_DIRECTIVES
        elif line.startswith("##"):
            section = line[2:].strip()
        elif line.startswith("#:"):
            said = _directive(line[2:].strip(), said, f"{origin}: line {number}")
        elif not line.startswith("#!"):
            why = f"{why} {line[1:].strip()}" if why else line[1:].strip()


def _directive(words: str, said: Directives, place: str) -> Directives:
    name, _, value = words.partition(":")
    if words.startswith("undo none:"):
        return said._replace(undo="", undo_note=value.strip())
    if words.startswith("undo "):
        return said._replace(undo=words.removeprefix("undo ").strip())
    if name == "expect failure" and value:
        return said._replace(expect=value.strip())
    if words.startswith(("needs route ", "needs address ")) and len(words.split()) == 3:
        return said._replace(needs=words.removeprefix("needs "))
    if words == "look":
        return said._replace(look=True)
    raise CnetshError(
        f"{place}: unknown directive: {words}",
        "known: undo COMMAND, undo none: REASON, expect failure: REASON, look, "
        "needs route ADDRESS, needs address ADDRESS",
    )


def _step(line: str, section: str, why: str, said: Directives, part: str, number: int) -> Step:
    text = line.strip()
    netns, inner = enter(split(text)[0])
    does = effect(inner, netns)
    if does is None:
        raise CnetshError(
            "not an allowed command", "cnetsh runs only commands it knows the undo of"
        )
    if part == "up" and does.kind == "change" and not _undoable(does, said):
        raise CnetshError(f"no undo: {does.note}", "say it with a line before: #: undo COMMAND")
    if said.undo:
        _check_undo(said.undo)
    kind = "look" if said.look else does.kind
    return Step(text, netns, section, why, kind, number, said)


def _undoable(does: Effect, said: Directives) -> bool:
    return (
        said.undo is not None
        or bool(does.undo or does.makes or does.moves)
        or "put back" in (does.note)
    )


def _check_undo(undo: str) -> None:
    netns, inner = enter(split(undo)[0])
    if effect(inner, netns) is None:
        raise CnetshError(f"its undo is not an allowed command: {undo}")


def to_text(plan: Plan) -> str:
    """Give a plan as the annotated shell text that `parse` reads back to the same steps."""
    lines: list[str] = []
    section = ""
    for step in plan.steps:
        if step.section != section:
            section = step.section
            lines.append(f"## {section}")
        if step.why:
            lines.append(f"# {step.why}")
        lines += [f"#: {line}" for line in _directive_lines(step.said)]
        lines.append(step.text)
    return "\n".join(lines) + "\n"


def _directive_lines(said: Directives) -> Iterator[str]:
    if said.undo is not None:
        yield f"undo {said.undo}" if said.undo else f"undo none: {said.undo_note}"
    if said.expect:
        yield f"expect failure: {said.expect}"
    if said.needs:
        yield f"needs {said.needs}"
    if said.look:
        yield "look"
