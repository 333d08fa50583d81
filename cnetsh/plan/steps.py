"""Rendered template text, an annotated shell script, read into a plan of steps.

Every line is a section (`##`), narration (`#`), a directive (`#:`) or one command. What would need
a shell is refused here, and so is a command that `inverse` does not know.
"""

import gc
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from cnetsh.errors import CnetshError
from cnetsh.inverse import PUT_BACK, Effect, effect, is_setting, spelled
from cnetsh.resolvers import HOME, folder_of, names_server


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


class Step(NamedTuple):
    """One command as it is shown and run, without sudo; `line` is its line in the rendered text.

    A plan may have a million of them, so what can be worked out of the text is not kept.
    """

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
        """What the command reads: what is written to a setting or a file, or nothing."""
        return split(self.text)[1]

    @property
    def inner(self) -> tuple[str, ...]:
        """The arguments as seen inside the step's own namespace."""
        return enter(self.argv)[1]

    @property
    def words(self) -> tuple[str, ...]:
        """The same, of ip without its options and with its object in full: however it is typed."""
        return spelled(self.inner)

    @property
    def effect(self) -> Effect:
        """What the table says of the command. Raises CnetshError for one that is not allowed."""
        return _allowed(self.text)


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


# A lab of a thousand containers has eight thousand commands, each looked at several times.
CACHED = 1 << 14
# With the blanks other than a space: Python would split words at them, and a shell would not.
_NEEDS_CARE = re.compile(
    r"""["'\\|<>&;$`*?\[\](){}~#\x00-\x1f\x7f-\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]"""
)
_QUOTED = re.compile(r"""'[^'\x00-\x1f]*'|"[^"$`\\\x00-\x1f]*\"""")
# bytes.translate is twenty times as fast as that of str.
_DIGITS = bytes.maketrans(b"123456789", b"000000000")
_WRITE = re.compile(
    r"echo ([\w.:-]+(?: [\w.:-]+)*) \| ((?:ip netns exec [\w.-]+ )?tee (?:-a )?[\w./:@+-]+)"
)


@lru_cache(maxsize=CACHED)
def split(text: str) -> tuple[tuple[str, ...], str]:
    """Give the argument vector and standard input of a command line.

    Raises CnetshError for a line that only a shell could run.
    """
    if not _NEEDS_CARE.search(text):
        return tuple(text.split()), ""
    if write := _WRITE.fullmatch(text):
        words = tuple(write[2].split())
        if is_setting(words[-1]) or (folder_of(words[-1]) and names_server(write[1])):
            return words, write[1] + "\n"
    if found := _NEEDS_CARE.search(_QUOTED.sub("", text)):
        raise CnetshError(
            f"{found[0]!r} needs a shell, and commands run without one",
            "one command a line; the only pipe is: echo VALUE | tee /proc/sys/net/…, "
            "or echo nameserver ADDRESS | tee /etc/netns/NAME/resolv.conf",
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
    section, why, said, place = "", "", NO_DIRECTIVES, ""
    known: dict[bytes, tuple[str, int]] = {}
    for number, line in enumerate(text.split("\n"), 1):
        if not line or line.isspace():
            continue
        if line[0] != "#":
            # Lines that differ only in digits are one form, and a large plan has few forms; but
            # ip -4 and ip -6 are allowed where ip -1 is not, and ip6tables where ip7tables is not;
            # and an address of a name server is good or not by its digits.
            line = line.strip()
            form = line.encode()
            if "ip -" not in line and "tables " not in line and HOME not in line:
                form = form.translate(_DIGITS)
            if said is NO_DIRECTIVES and form in known:
                kind, word = known[form]
            else:
                kind = _checked(line, said, part, f"{origin}: line {number}")
                word = _typed(line)
                if said is NO_DIRECTIVES:
                    known[form] = kind, word
            netns = (line.split(" ", 4)[3] if word > 0 else _netns(line)) if word else ""
            yield Step(line, netns, section, why, kind, number, said)
            why, said = "", NO_DIRECTIVES
        elif line.startswith("##"):
            section = line[2:].strip()
        elif line.startswith("#:"):
            place = f"{origin}: line {number}"
            said = _directive(line[2:].strip(), said, place)
        elif not line.startswith("#!"):
            why = f"{why} {line[1:].strip()}".strip()
    if said is not NO_DIRECTIVES:
        raise CnetshError(f"{place}: no command follows this directive", "it says something of one")


def _netns(line: str) -> str:
    return enter(split(line)[0])[0]


def _typed(line: str) -> int:
    """Give which word of a line is its namespace: 0 for none, -1 where the line has to be read."""
    netns = _netns(line)
    usual = line.startswith("ip netns exec ") and line.split(" ", 4)[3] == netns
    return (3 if usual else -1) if netns else 0


def _directive(words: str, said: Directives, place: str) -> Directives:
    """Give what is said so far with one more directive. Raises CnetshError."""
    more = _said(words)
    if not more:
        raise CnetshError(
            f"{place}: unknown directive: {words}",
            "known: undo COMMAND, undo none: REASON, expect failure: REASON, look, "
            "needs route ADDRESS, needs address ADDRESS",
        )
    if any(getattr(said, name) != getattr(NO_DIRECTIVES, name) for name in more):
        kind = words.split()[0]
        raise CnetshError(f"{place}: a second {kind}: {words}", "one of a kind for each command")
    return said._replace(**more)


def _said(words: str) -> dict[str, Any]:
    """Give the parts of Directives that a directive says, none for an unknown one."""
    name, _, value = words.partition(":")
    if words.startswith("undo none:"):
        return {"undo": "", "undo_note": value.strip()}
    if words.startswith("undo "):
        return {"undo": words.removeprefix("undo ").strip()}
    if name == "expect failure" and value:
        return {"expect": value.strip()}
    if words.startswith(("needs route ", "needs address ")) and len(words.split()) == 3:
        return {"needs": words.removeprefix("needs ")}
    return {"look": True} if words == "look" else {}


def _checked(text: str, said: Directives, part: str, place: str) -> str:
    """Give the kind of a step that may stand in this part. Raises CnetshError."""
    try:
        does = _allowed(text)
        if part == "up" and does.kind == "change" and not _undoable(does, said):
            hint = "say it with a line before: #: undo COMMAND"
            raise CnetshError(f"no undo: {does.note}", hint)
        if (said.look or part == "check") and does.kind == "change":
            raise CnetshError("it changes something, and should only look")
        if said.undo:
            _allowed(said.undo)
    except CnetshError as error:
        raise CnetshError(f"{place}: {text}: {error.message}", error.hint) from None
    return "look" if said.look else does.kind


@lru_cache(maxsize=CACHED)
def _allowed(text: str) -> Effect:
    argv, given = split(text)
    netns, inner = enter(argv)
    does = effect(inner, netns)
    if does is None or "/" in netns or (inner[0] == "tee" and not given):
        hint = "cnetsh runs only commands that it knows the undo of"
        raise CnetshError(f"not an allowed command: {text}", hint)
    return does


def _undoable(does: Effect, said: Directives) -> bool:
    return (
        said.undo is not None
        or bool(does.undo or does.makes or does.moves)
        or does.note == PUT_BACK
    )


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
