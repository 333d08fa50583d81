"""The stand-alone teaching script of a lab: its commands as a bash script with `add` and `delete`.

The commands and their order are the plan's. Narration becomes comments, and kernel settings of the
host are noted by `add`, so that `delete` puts back what they were.
"""

import re
import shlex
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from cnetsh.kinds.change import Set
from cnetsh.kinds.setting import forwards
from cnetsh.labs.render import rendered
from cnetsh.plan.steps import Plan, Step, changes_of
from cnetsh.plan.undo import undos
from cnetsh.views.text import printable, typed

WIDTH = 88  # of comments, which are indented
TRIED = 12  # more commands than one tries by hand are not shown


class Line(NamedTuple):
    """One command of the script with what stands above it.

    setting: the path that it writes in the host's kernel, or "", and value, what it writes, quoted.
    """

    command: str
    setting: str
    value: str
    section: str = ""
    comments: Sequence[str] = ()


def as_script(up: Plan, down: Plan, check: Plan, sudo: bool = True, *, teaches: str = "") -> str:
    """Give the bash script of a lab; it ends with 0, or 1 when a command failed, or on bad usage.

    A lab without a down plan is undone by its steps' own undos, the last first.
    """
    add = list(_lines(up.steps, sudo))
    delete = list(_lines(down.steps, sudo) if down.steps else _undoing(up, sudo))
    settings = _settings(line.setting for line in add if line.setting)
    return rendered(
        "script.sh.j2",
        lab=re.sub(r"[^A-Za-z0-9_.-]", "-", up.lab),
        title=printable(up.title),
        teaches=_wrapped(teaches),
        settings=settings,
        sudo="sudo " if sudo else "",
        add=add,
        delete=delete,
        # The others are put back while the lab's links are still there, or else at the end.
        put_back=max(
            (at for at, line in enumerate(delete) if line.setting), default=len(delete) - 1
        ),
        next=[_try(step, sudo) for step in check.steps[:TRIED]],
    )


def _lines(steps: Sequence[Step], sudo: bool) -> Iterator[Line]:
    section = ""
    for step in steps:
        title = printable(step.section) if step.section != section else ""
        section = step.section
        yield _line(step.text, sudo)._replace(section=title, comments=_wrapped(step.why))


def _undoing(up: Plan, sudo: bool) -> Iterator[Line]:
    return (_line(text, sudo) for undo in reversed(undos(up.steps)) for text in undo.texts)


def _line(text: str, sudo: bool) -> Line:
    # tee repeats what it writes.
    command = typed(text, sudo) + (" >/dev/null" if text.startswith("echo ") else "")
    for change in changes_of(text):
        kind, netns, path = change.ref
        # A container's settings go with it.
        if isinstance(change, Set) and kind == "setting" and not netns:
            return Line(command, path, shlex.quote(change.value))
    return Line(command, "", "")


def _settings(written: Iterable[str]) -> list[str]:
    """Give the paths to note, as patterns: forwarding sets others besides."""
    paths = list(dict.fromkeys(written))
    for family in dict.fromkeys(path.split("/")[4] for path in paths if forwards(path)):
        paths.append(f"/proc/sys/net/{family}/conf/*/forwarding")
        if family == "ipv4":
            paths.append("/proc/sys/net/ipv4/conf/all/accept_redirects")
    return paths


def _try(step: Step, sudo: bool) -> str:
    # As one types it: a ping goes on until it is stopped, and needs no root.
    needs_root = step.text.startswith(("ip netns ", "ip -n", "iptables ", "ip6tables "))
    text = typed(step.text, sudo and needs_root).replace("ping -c1 -W1 ", "ping ")
    return f"{text}  # fails: {printable(step.said.expect)}" if step.said.expect else text


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(printable(text), WIDTH, break_long_words=False, break_on_hyphens=False)
