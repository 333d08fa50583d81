"""Rendered template text, an annotated shell script, read into a plan of steps.

Every line is a section (`##`), narration (`#`), a directive (`#:`) or one command. What would need
a shell is refused here, and so is a command that no kind of object knows.
"""

import re
import shlex
from collections.abc import Collection, Iterable, Iterator
from functools import lru_cache
from typing import Any, NamedTuple

from cnetsh import kinds
from cnetsh.errors import CnetshError, Mistakes
from cnetsh.kinds import link_words, looks
from cnetsh.kinds.change import OWNED, Change, Changes, Command, Make, Move, Ref, Remove, refs_of


class Directives(NamedTuple):
    """What `#:` lines say of the next command."""

    undo: str | None = None  # None: as its kinds say
    undo_note: str = ""
    expect: str = ""
    needs: str = ""  # "route ADDRESS", "address ADDRESS" or "netns NAME": to be there for a check
    listen: str = ""  # "NAME PORT/PROTOCOL", which a check calls: cnetsh listens where nobody does
    look: bool = False
    control: tuple[str, ...] = ()  # pings that must work for an expected failure to count
    no_control: str = ""  # why there is none, and so it cannot


NO_DIRECTIVES = Directives()
CHANGING = ("change", "trusted")
_NEEDS = ("needs route ", "needs address ", "needs netns ")
_LISTEN = re.compile(r"listen [\w.-]+ [0-9]{1,5}/(tcp|udp)")


class Step(NamedTuple):
    """One command as it is shown and run, without sudo; `line` is its line in the rendered text.

    A plan may have a million of them, so what can be worked out of the text is not kept. kind is
    change, check or look, or trusted for a command that no kind of object knows.
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
    def command(self) -> Command:
        """The command as the kinds of objects read it."""
        return command_in(self.text)

    @property
    def changes(self) -> Changes:
        """What the command changes. Raises CnetshError if not allowed."""
        return () if self.said.look or self.kind == "trusted" else changes_of(self.text)


class Plan(NamedTuple):
    """The steps of one part (up, check or down) of a lab, in the order in which they run."""

    lab: str
    title: str
    part: str
    steps: tuple[Step, ...]

    @property
    def changes(self) -> Iterator[Change]:
        """What all steps change, one after the other."""
        return (change for step in self.steps for change in step.changes)


class Plans(NamedTuple):
    """The plans of a lab: up, check and down, what it teaches, and its file or folder, if known."""

    up: Plan
    check: Plan
    down: Plan
    teaches: str = ""
    source: str = ""


_NEEDED = (
    "cnetsh runs only commands that it knows the undo of; in up.sh.j2 a line before, "
    "#: undo COMMAND, and up --trust admit any other"
)
# With the blanks other than a space: Python would split words at them, and a shell would not.
_NEEDS_CARE = re.compile(
    r"""["'\\|<>&;$`*?\[\](){}~#\x00-\x1f\x7f-\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]"""
)
_NO_CHARACTER = re.compile("[\ud800-\udfff]")
_QUOTED = re.compile(r"""'[^'\x00-\x1f]*'|"[^"$`\\\x00-\x1f]*\"""")
_WRITE = re.compile(
    r"echo ([\w.:,-]+(?: [\w.:,-]+)*|'') \| ((?:ip netns exec [\w.-]+ )?tee (?:-a )?[\w./:@+-]+)"
)


def split(text: str) -> tuple[tuple[str, ...], str]:
    """Give a line's arguments and standard input. Raises CnetshError if only a shell can run it."""
    if not _NEEDS_CARE.search(text):
        return tuple(text.split()), ""
    # The one pipe there is; what it brings is no word of the command.
    if write := _WRITE.fullmatch(text):
        words, given = tuple(write[2].split()), write[1].strip("'") + "\n"
        if kinds.read(Command(*enter(words), (), given)) is not None:
            return words, given
    if found := _NEEDS_CARE.search(_QUOTED.sub("", text)):
        raise CnetshError(
            f"{found[0]!r} needs a shell, and commands run without one",
            "one command a line; the only pipe is: echo VALUE | tee /proc/sys/net/…, "
            "or echo nameserver ADDRESS | tee /etc/netns/NAME/resolv.conf",
        )
    return tuple(shlex.split(text)), ""


def as_step(text: str) -> Step:
    """Give a command of cnetsh's own, allowed or not, as a step. Raises CnetshError as `split`."""
    command = command_in(text)
    said = NO_DIRECTIVES._replace(look=kinds.read(command) is None)
    return Step(text, command.netns, "", "", "change", 0, said)


def enter(argv: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """Give the namespace that a command runs in and the command as seen from inside it."""
    if len(argv) < 4 or argv[0] != "ip":
        return "", argv
    if argv[1] == "netns" and argv[2] == "exec":
        return argv[3], argv[4:]
    return (argv[2], ("ip", *argv[3:])) if argv[1] in ("-n", "-netns") else ("", argv)


def parse(text: str, lab: str, title: str, part: str, origin: str) -> Plan:
    """Read rendered text into a plan; origin: its template. Raises CnetshError, a line a fault."""
    if found := _NO_CHARACTER.search(text):
        line = text.count("\n", 0, found.start()) + 1
        raise CnetshError(f"{origin}: line {line}: {found[0]!r} is no character")
    return Plan(lab, title, part, tuple(_steps(text, part, origin)))


def commands_of(text: str) -> list[str]:
    """Give the commands of rendered text as they stand there, allowed or not."""
    lines = [line.strip() for line in text.split("\n") if line[:1] != "#"]
    return [line for line in lines if line]


def _steps(text: str, part: str, origin: str) -> Iterator[Step]:
    section, why, said, place, mistakes = "", "", NO_DIRECTIVES, "", Mistakes()
    for number, line in enumerate(text.split("\n"), 1):
        if not line or line.isspace():
            continue
        if line[0] != "#":
            line = line.strip()
            try:
                kind, netns = _checked(line, said, part)
                yield Step(line, netns, section, why, kind, number, said)
            except CnetshError as error:
                # Looking for what was meant takes milliseconds, and only so many are told.
                meant = _meant(line, said, part) if len(mistakes) < Mistakes.MOST else ""
                mistakes.keep(_refusal(error, f"{origin}: line {number}: {line}", meant))
            why, said = "", NO_DIRECTIVES
        elif line.startswith("##"):
            section = line[2:].strip()
        elif line.startswith("#:"):
            place = f"{origin}: line {number}"
            with mistakes:
                said = _directive(line[2:].strip(), said, place)
        elif not line.startswith("#!"):
            why = f"{why} {line[1:].strip()}".strip()
    if said is not NO_DIRECTIVES:
        hint = "it says something of one"
        mistakes.keep(CnetshError(f"{place}: no command follows this directive", hint))
    mistakes.tell()


def _meant(line: str, said: Directives, part: str) -> str:
    """Give the spelling of a refused line that may stand here, "" where none is near."""
    # Only what is refused needs it.
    from cnetsh.plan.spelling import accepted

    def fits(text: str) -> bool:
        try:
            return _checked(text, said, part)[0] != "trusted"
        except CnetshError:
            return False

    return accepted(line, fits)


def _refusal(error: CnetshError, line: str, meant: str) -> CnetshError:
    if not meant:
        return CnetshError(f"{line}: {error.message}", error.hint)
    hint = "sudo: cnetsh asks for it itself, where it is needed" if "sudo " in line else ""
    return CnetshError(f"{line}: {error.message}; say: {meant}", hint)


def _directive(words: str, said: Directives, place: str) -> Directives:
    """Give what is said so far with one more directive. Raises CnetshError."""
    more = _said(words)
    if not more:
        raise CnetshError(
            f"{place}: unknown directive: {words}",
            "known: undo COMMAND, undo none: REASON, expect failure: REASON, control PING, "
            "control none: REASON, look, needs route ADDRESS, needs address ADDRESS, "
            "needs netns NAME, listen NAME PORT/PROTOCOL",
        )
    if "control" in more:
        return said._replace(control=(*said.control, *more["control"]))
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
    if words.startswith("control none:"):
        return {"no_control": value.strip()}
    if words.startswith("control "):
        return {"control": (words.removeprefix("control ").strip(),)}
    if name == "expect failure" and value:
        return {"expect": value.strip()}
    if words.startswith(_NEEDS) and len(words.split()) == 3:
        return {"needs": words.removeprefix("needs ")}
    if _LISTEN.fullmatch(words):
        return {"listen": words.removeprefix("listen ")}
    return {"look": True} if words == "look" else {}


def _checked(text: str, said: Directives, part: str) -> tuple[str, str]:
    """Give kind and namespace of a step that may stand in this part. Raises CnetshError."""
    kind, netns, changes = _read(text)
    if kind == "trusted":
        if not said.undo or part != "up":
            why = link_words.misread(command_in(text)) or "not an allowed command"
            raise CnetshError(why, _NEEDED)
        split(said.undo)
        return kind, netns
    # An undo of the template's own is run as it stands, so it must be allowed too.
    if said.undo:
        changes_of(said.undo)
    for control in said.control:
        if not said.expect or _read(control)[0] != "check":
            hint = "#: control PING stands beside #: expect failure: REASON"
            raise CnetshError(f"no control of an expected failure: {control}", hint)
    if changes:
        _refuse_misplaced(changes, said, part)
    return "look" if said.look else kind, netns


def _refuse_misplaced(changes: Changes, said: Directives, part: str) -> None:
    if said.look or part == "check":
        raise CnetshError("it changes something, and should only look")
    for change in changes if part == "up" and said.undo is None else ():
        if type(change) is Remove or change.ref.kind == "home":
            hint = "say it with a line before: #: undo COMMAND"
            raise CnetshError(f"no undo: {why_no_undo(change)}", hint)


def why_no_undo(change: Change) -> str:
    """Say why no command undoes a change."""
    match change:
        case Remove():
            return "what it removes cannot be put back"
        case Make(Ref("home")):
            return "the files of others may be in it"
        case Make():
            return "it goes with its namespace"
        case Move():
            return "it goes with the step that made the link"
    return "put back from the snapshot"


def command_in(text: str) -> Command:
    """Give a line's command as it is seen inside its namespace. Raises CnetshError."""
    argv, given = split(text)
    netns, words = enter(argv)
    return kinds.command_of(words, netns, given)


# Whoever asks for the changes of a step has the same text; the largest lab that can run has fewer.
@lru_cache(1 << 17)
def _read(text: str) -> tuple[str, str, Changes]:
    """Give a line's kind as a step, its namespace, and what it changes. Raises CnetshError."""
    command = command_in(text)
    changes = kinds.read(command)
    if changes:
        return "change", command.netns, changes
    if changes is None:
        return "trusted", command.netns, ()
    if looks.endless(command.words):
        raise CnetshError("it would never end", "-c1 sends one packet")
    return "check" if looks.is_check(command.words) else "look", command.netns, ()


def changes_of(text: str) -> Changes:
    """Give what a line changes, () if it looks or checks. Raises CnetshError for one not known."""
    kind, _, changes = _read(text)
    if kind == "trusted":
        raise CnetshError(f"not an allowed command: {text}", _NEEDED)
    return changes


def made_by(step: Step) -> tuple[Ref, ...]:
    """Give the links, namespaces, folders and chains that a step makes: what others hang on."""
    return tuple(made_in(step.changes))


def made_in(changes: Iterable[Change], of: Collection[str] = OWNED) -> list[Ref]:
    """Give what changes make of some kinds of objects."""
    made = [one for one in changes if isinstance(one, Make) and one.ref.kind in of]
    return [ref for one in made for ref in refs_of(one)]


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
    yield from (f"control {text}" for text in said.control)
    if said.no_control:
        yield f"control none: {said.no_control}"
    if said.needs:
        yield f"needs {said.needs}"
    if said.listen:
        yield f"listen {said.listen}"
    if said.look:
        yield "look"
