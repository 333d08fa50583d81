"""The stand-alone teaching script of a lab: its commands as a bash script that owns what it made.

The commands and their order are the plan's. Narration becomes comments. What `add` has made is
noted by name, or by the number of its step, so that `delete` deletes that and nothing else.
"""

import re
import shlex
import textwrap
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from cnetsh.kinds.change import Make, Move, Ref, Set, refs_of
from cnetsh.kinds.setting import forwards
from cnetsh.labs.render import rendered
from cnetsh.plan.steps import Plan, Step
from cnetsh.plan.undo import Undo, down_order, undos
from cnetsh.views.terminal import printable
from cnetsh.views.text import typed

WIDTH = 88  # of comments, which are indented
TRIED = 12  # more commands than one tries by hand are not shown
# Of a link of others: the file that tells what a command sets, where another command sets it back.
_VALUES = {"up": "flags", "master": "master/ifindex", "hairpin": "brport/hairpin_mode"}


class Entry(NamedTuple):
    """What stands in the script for one command."""

    commands: Sequence[str]
    section: str = ""
    comments: Sequence[str] = ()
    values: Sequence[str] = ()  # paths whose values are noted before
    made: Sequence[str] = ()  # what is noted after it, by name
    left: Sequence[str] = ()  # what is elsewhere after it
    restores: str = ""  # the setting that is written to undo it, or ""


def as_script(up: Plan, down: Plan, check: Plan, sudo: bool = True, *, teaches: str = "") -> str:
    """Give the bash script of a lab, with the verbs add, delete, check and step.

    It ends with 0; 1 when a command failed and all was taken back, or a check failed; 2 when it was
    refused and nothing was done; 3 when something of its own is left.
    """
    found = undos(up.steps)
    notes = [_noted(step, undo) for step, undo in zip(up.steps, found, strict=True)]
    ends, cables = _links(notes, found)
    return rendered(
        "script.sh.j2",
        lab=re.sub(r"[^A-Za-z0-9_.-]", "-", up.lab),
        title=printable(up.title),
        teaches=_wrapped(teaches),
        settings=any(line.restores for line in notes),
        links=any(line.values and not line.restores for line in notes),
        sudo="sudo " if sudo else "",
        names=_filled(_words(_names(up))),
        add=list(_adding(up.steps, notes, sudo)),
        delete=list(_deleting(found, notes, down, sudo)),
        ends=ends,
        cables=cables,
        kept=list(_kept(up.steps, found)),
        check=list(_checks(check.steps, sudo)),
        tried=TRIED,
    )


def _names(up: Plan) -> list[str]:
    """Give the names on the host that must be free, each once."""
    refs = [ref for change in up.changes if isinstance(change, Make) for ref in refs_of(change)]
    return [*dict.fromkeys(name for ref in refs if (name := _named(ref)))]


def _named(ref: Ref) -> str:
    """Give what an object on the host is noted by, "" where nobody but root could look at it."""
    if ref.netns:
        return ""
    if ref.kind in ("netns", "link"):
        return f"{ref.kind}/{ref.name}"
    return ref.name if ref.kind == "folder" else ""


def _noted(step: Step, undo: Undo) -> Entry:
    """Give what is noted of a step: nothing of one that is not undone."""
    made: list[str] = []
    values: list[str] = []
    left: list[str] = []
    restores = ""
    if not undo.texts and undo.covered_by is None:
        return Entry(())
    for change in step.changes:
        if isinstance(change, Make):
            made += filter(None, map(_named, refs_of(change)))
        elif isinstance(change, Move) and undo.covered_by is not None:
            left += filter(None, [_named(change.ref)])
        elif isinstance(change, Set) and undo.texts and not change.ref.netns:
            values += _values(change)
            restores = restores or (change.ref.name if change.ref.kind == "setting" else "")
    if undo.texts and not made:
        kind = step.changes[0].ref.kind if step.changes else step.kind
        made = values or [f"{kind}-{undo.step + 1}"]
    return Entry((), values=values, made=made, left=left, restores=restores)


def _values(change: Set) -> list[str]:
    """Give the paths of a value and of those that the kernel sets along with it, as patterns."""
    kind, _, name = change.ref
    if kind == "link":
        file = _VALUES.get(change.key)
        return [f"/sys/class/net/{name}/{file}"] if file else []
    if not forwards(name):
        return [name]
    family = name.split("/")[4]
    others = [f"/proc/sys/net/{family}/conf/*/forwarding"]
    others += ["/proc/sys/net/ipv4/conf/all/accept_redirects"] if family == "ipv4" else []
    return [name, *others]


def _links(notes: Sequence[Entry], found: Sequence[Undo]) -> tuple[list[str], list[str]]:
    """Give the ends that are deleted if the command for their cable has not taken them along.

    First those that may still be here because nothing took them elsewhere, then those that go along
    with a namespace.
    """
    moved = [name for line in notes for name in line.left]
    ends, cables = list(moved), []
    for line, undo in zip(notes, found, strict=True):
        if undo.covered_by is not None:
            cables += [name for name in line.made if name not in moved]
        elif line.made and line.made[0].startswith("link/"):
            ends += line.made[1:]
    bare = [[name.removeprefix("link/") for name in names] for names in (ends, cables)]
    return _words(bare[0]), _words(bare[1])


def _adding(steps: Sequence[Step], notes: Sequence[Entry], sudo: bool) -> Iterator[Entry]:
    section = ""
    for step, line in zip(steps, notes, strict=True):
        title = printable(step.section) if step.section != section else ""
        section = step.section
        yield _shown(line, [step.text], title, step.why, sudo)


def _deleting(
    found: Sequence[Undo], notes: Sequence[Entry], down: Plan, sudo: bool
) -> Iterator[Entry]:
    """Give the undos in the order of the down template, with what it says of them."""
    said, section = {step.text: step for step in down.steps}, ""
    for undo in down_order([one for one in found if one.texts], down.steps):
        steps = [said[text] for text in undo.texts if text in said]
        title = printable(steps[0].section) if steps and steps[0].section != section else ""
        section = steps[0].section if steps else section
        why = " ".join(step.why for step in steps if step.why)
        yield _shown(notes[undo.step], undo.texts, title, why, sudo)


def _shown(line: Entry, texts: Sequence[str], section: str, why: str, sudo: bool) -> Entry:
    """Give what is noted with the commands as they are typed, and what stands above them."""
    names = (_words(line.values), _words(line.made), _words(line.left), line.restores)
    return Entry([_command(text, sudo) for text in texts], section, _wrapped(why), *names)


def _words(names: Sequence[str]) -> list[str]:
    """Give names as words of bash; the patterns of settings are for bash to fill in."""
    return [name if name.startswith("/proc/") else shlex.quote(name) for name in names]


def _kept(steps: Sequence[Step], found: Sequence[Undo]) -> Iterator[str]:
    """Give words for what stays of others' things as `add` left it, quoted."""
    for step, undo in zip(steps, found, strict=True):
        undone = undo.texts or undo.covered_by is not None or step.said.undo is not None
        if step.kind == "change" and not undone:
            yield _quoted(f"stays as add left it: {step.text}")


def _checks(steps: Sequence[Step], sudo: bool) -> Iterator[Entry]:
    for step in steps:
        said, verb = step.said, "look"
        if step.kind == "check":
            verb = f"fails {_quoted(said.expect)}" if said.expect else "works"
        asked = [said.needs] if said.needs else []
        asked += [f"listen {_as_tried(_listeners(said.listen), sudo)}"] if said.listen else []
        asked += [f"control {_as_tried(text, sudo)}" for text in said.control]
        asked += [f"control: {_quoted(said.no_control)}"] if said.no_control else []
        before = "".join(f"has {what} &&\n        " for what in asked)
        words = f"{before}{verb} {_as_tried(step.text, sudo)}"
        yield Entry([words], comments=_wrapped(step.why))


def _listeners(listen: str) -> str:
    """Give the command that lists who listens at a container's port: a script does not itself."""
    netns, port, protocol = re.split("[ /]", listen)
    return f"ip netns exec {netns} ss -Hln{protocol[0]} sport = :{port}"


def _as_tried(text: str, sudo: bool) -> str:
    # As an ordinary user one pings, and looks at what is not in a namespace.
    needs_root = text.startswith(("ip netns ", "ip -n", "iptables ", "ip6tables "))
    return typed(text, sudo and needs_root)


def _command(text: str, sudo: bool) -> str:
    # tee repeats what it writes.
    return typed(text, sudo) + (" >/dev/null" if text.startswith("echo ") else "")


def _quoted(text: str) -> str:
    """Give text as one word of bash, which reads it as it stands."""
    return '"' + re.sub(r'(["$`\\])', r"\\\1", printable(text)) + '"'


def _filled(names: Sequence[str]) -> list[str]:
    return textwrap.wrap(" ".join(names), WIDTH, break_long_words=False, break_on_hyphens=False)


def _wrapped(text: str) -> list[str]:
    return _filled([printable(text)])
