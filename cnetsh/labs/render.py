"""A lab's templates, filled in with its values.

Built-in templates are part of cnetsh. A template that somebody brings along is rendered in Jinja's
immutable sandbox, in a child process with little time and memory, and can read only its own folder
and the built-in templates.
"""

import json
import os
import resource
import select
import signal
import time
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from cnetsh.errors import CnetshError
from cnetsh.labs.builtin import Lab, templates_folder
from cnetsh.names import visible
from cnetsh.system import namespace

if TYPE_CHECKING:
    from jinja2 import Environment

LARGEST = 4 << 20
SECONDS = 5
MEMORY = 256 << 20
PARTS = ("up", "check", "down")


def render(lab: Lab, part: str) -> str:
    """Give the text of a lab's part: up, check or down; a missing check or down is empty.

    Raises CnetshError with template and line for what is wrong, too slow or too large.
    """
    name = f"{part}.sh.j2"
    if part not in PARTS:
        raise CnetshError(f"{lab.name}: no part {visible(part)}", f"known: {', '.join(PARTS)}")
    if part != "up" and not (lab.folder / name).exists():
        return ""
    answer = _filled(lab, name) if lab.trusted else _in_child(lab, name)
    if "error" in answer:
        raise CnetshError(f"{visible(lab.name)}/{visible(answer['error'])}")
    return answer["text"]


def _filled(lab: Lab, name: str) -> dict[str, str]:
    """Give the text, or the error as `template:line: what`."""
    from jinja2 import TemplateError, TemplateNotFound, TemplateSyntaxError

    try:
        return {"text": _whole(lab, name) if lab.trusted else _limited(lab, name)}
    except TemplateSyntaxError as error:
        return {"error": f"{error.name or name}:{error.lineno}: {error.message}"}
    except TemplateNotFound as error:
        return {"error": f"{_place(error, name)}: no template {error.name} here"}
    except TemplateError as error:
        return {"error": f"{_place(error, name)}: {error.message}"}
    except MemoryError:
        return {"error": f"{name}: needs more than {MEMORY >> 20} MiB of memory"}
    except Exception as error:
        if lab.trusted:
            raise
        return {"error": f"{_place(error, name)}: {type(error).__name__}: {error}"}


def _whole(lab: Lab, name: str) -> str:
    return _environment(lab.folder, lab.trusted).get_template(name).render(dict(lab.values))


def _limited(lab: Lab, name: str) -> str:
    template = _environment(lab.folder, lab.trusted).get_template(name)
    pieces, size = [], 0
    for piece in template.generate(dict(lab.values)):
        size += len(piece)
        if size > LARGEST:
            raise ValueError(f"more than {LARGEST >> 20} MiB of text")
        pieces.append(piece)
    return "".join(pieces)


@cache
def _environment(folder: Path, trusted: bool) -> "Environment":
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    options: dict[str, Any] = {
        "loader": FunctionLoader(lambda name: _source(folder, name)),
        "undefined": StrictUndefined,
        "trim_blocks": True,
        "lstrip_blocks": True,
        "keep_trailing_newline": True,
        "autoescape": False,
    }
    if trusted:
        return Environment(**options)
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(**options)
    # The same lab must give the same plan each time, so nothing random is left.
    del environment.globals["lipsum"], environment.filters["random"]
    return environment


def _source(folder: Path, name: str) -> tuple[str, str, None] | None:
    if ".." in name.split("/") or name.startswith("/"):
        return None
    for path in (folder / name, templates_folder() / name):
        # A FIFO or a device would never end.
        if path.is_file() and path.stat().st_size <= LARGEST:
            return path.read_text(encoding="utf-8"), name, None
    return None


def _place(error: BaseException, name: str) -> str:
    """Give `template:line` of the innermost template, as Jinja writes it into the traceback."""
    place, trace = name, error.__traceback__
    while trace:
        if "__jinja_exception__" in trace.tb_frame.f_globals:
            place = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place


def _in_child(lab: Lab, name: str) -> dict[str, str]:
    """Render in a child that is ended when it takes too long."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read_end)
        _answer(lab, name, write_end)
    os.close(write_end)
    try:
        data = _received(read_end)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(read_end)
    if not data:
        return {"error": f"{name}: takes longer than {SECONDS} s, or too much memory"}
    found: dict[str, str] = json.loads(data)
    return found


def _answer(lab: Lab, name: str, write_end: int) -> NoReturn:
    try:
        namespace.die_with_parent(signal.SIGKILL)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
        with os.fdopen(write_end, "wb") as pipe:
            pipe.write(json.dumps(_filled(lab, name)).encode())
    finally:
        os._exit(0)


def _received(read_end: int) -> bytes:
    end, data = time.monotonic() + 2 * SECONDS, b""
    while select.select([read_end], [], [], max(0.0, end - time.monotonic()))[0]:
        piece = os.read(read_end, 1 << 16)
        if not piece:
            return data
        data += piece
    return b""
