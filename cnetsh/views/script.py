"""The stand-alone teaching script of a lab: its commands as a bash script with `add` and `delete`.

The commands and their order are the plan's. Narration becomes comments, and kernel settings of the
host are noted by `add`, so that `delete` puts back what they were.
"""

import re
import shlex
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from cnetsh.kinds.change import Set
from cnetsh.labs.builtin import templates_folder
from cnetsh.plan.steps import Plan, Step, changes_of
from cnetsh.plan.undo import undos
from cnetsh.views.text import printable, typed

WIDTH = 88
TRIED = 12
FORWARDING = {
    "/proc/sys/net/ipv4/ip_forward": "ipv4",
    "/proc/sys/net/ipv4/conf/all/forwarding": "ipv4",
    "/proc/sys/net/ipv6/conf/all/forwarding": "ipv6",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One command of the script with what stands above it.

    setting: the path that it writes in the host's kernel, or "", and value, what it writes, quoted.
    put_back: afterwards the other settings get their old values.
    """

    command: str
    section: str = ""
    comments: Sequence[str] = ()
    setting: str = ""
    value: str = ""
    put_back: bool = False


def script(up: Plan, down: Plan, check: Plan, sudo: bool = True, *, teaches: str = "") -> str:
    """Give the bash script of a lab; it ends with 0, or 1 when a command failed, or on bad usage.

    A lab without a down plan is undone by its steps' own undos, the last first.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(templates_folder()),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    template = environment.get_template("script.sh.j2")
    add = list(_lines(up.steps, sudo))
    settings = _settings([line.setting for line in add if line.setting])
    return template.render(
        lab=re.sub(r"[^A-Za-z0-9_.-]", "-", up.lab),
        title=printable(up.title),
        teaches=_wrapped(teaches),
        settings=settings,
        sudo="sudo " if sudo else "",
        add=add,
        delete=_delete(up, down, bool(settings), sudo),
        next=[_try(step, sudo) for step in islice(check.steps, TRIED)],
    )


def _lines(steps: Sequence[Step], sudo: bool) -> Iterator[Line]:
    section = ""
    for step in steps:
        title = printable(step.section) if step.section != section else ""
        section = step.section
        yield Line(_command(step.text, sudo), title, _wrapped(step.why), *_written(step.text))


def _undoing(up: Plan, sudo: bool) -> Iterator[Line]:
    for undo in reversed(undos(up.steps)):
        for text in undo.texts:
            yield Line(_command(text, sudo), "", (), *_written(text))


def _delete(up: Plan, down: Plan, put_back: bool, sudo: bool) -> list[Line]:
    """Settings are put back while the lab's links are still there, or else at the end."""
    lines = list(_lines(down.steps, sudo) if down.steps else _undoing(up, sudo))
    if put_back and lines:
        at = ([at for at, line in enumerate(lines) if line.setting] or [-1])[-1]
        lines[at] = replace(lines[at], put_back=True)
    return lines


def _command(text: str, sudo: bool) -> str:
    # tee repeats what it writes.
    return typed(text, sudo) + (" >/dev/null" if text.startswith("echo ") else "")


def _written(text: str) -> tuple[str, str]:
    """Give the setting of the host's kernel that a command writes; a container's go with it."""
    for change in changes_of(text):
        kind, netns, path = change.ref
        if isinstance(change, Set) and kind == "setting" and not netns:
            return path, shlex.quote(change.value)
    return "", ""


def _settings(written: Sequence[str]) -> list[str]:
    """Give the paths to note, as patterns: forwarding sets others besides (ip-sysctl.rst)."""
    paths = list(dict.fromkeys(written))
    for family in dict.fromkeys(FORWARDING[path] for path in paths if path in FORWARDING):
        paths.append(f"/proc/sys/net/{family}/conf/*/forwarding")
        if family == "ipv4":
            paths.append("/proc/sys/net/ipv4/conf/all/accept_redirects")
    return paths


def _try(step: Step, sudo: bool) -> str:
    """Give a check's command as one would type it: a ping goes on until it is stopped."""
    needs_root = step.text.startswith(("ip netns ", "ip -n", "iptables ", "ip6tables "))
    text = typed(step.text, sudo and needs_root).replace("ping -c1 -W1 ", "ping ")
    return f"{text}  # fails: {printable(step.said.expect)}" if step.said.expect else text


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(printable(text), WIDTH, break_long_words=False, break_on_hyphens=False)
