"""A lab's templates, filled in with its values.

Built-in templates are part of cnetsh. A template that somebody brings along is rendered in Jinja's
immutable sandbox, into so much text and no more, and can read only its own folder and the built-in
templates.
"""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnetsh.errors import CnetshError
from cnetsh.labs.builtin import Lab, shipped
from cnetsh.names import visible
from cnetsh.system.files import read_inside

if TYPE_CHECKING:
    from jinja2 import Environment

_LARGEST = 4 << 20
ROOM = 1 << 29  # bytes of memory that a template may take while it is filled in
PARTS = ("up", "check", "down")


def render(lab: Lab, part: str) -> str:
    """Give the text of a lab's part, "" where it has none. Raises CnetshError with the place."""
    name = f"{part}.sh.j2"
    if part not in PARTS:
        raise CnetshError(f"{lab.name}: no part {visible(part)}", f"known: {', '.join(PARTS)}")
    if part != "up" and not (lab.folder / name).exists():
        return ""
    try:
        return _filled(lab, name)
    except Exception as error:
        what = _words(error)
        if lab.trusted and not what:
            raise
        what = what or f"{type(error).__name__}: {error}"
        where = f"{visible(lab.name)}/{visible(_place(error, name))}"
        raise CnetshError(f"{where}: {visible(what)}") from error


def _words(error: Exception) -> str:
    """Give what is wrong with a template, "" for what Jinja does not know."""
    from jinja2 import TemplateError, TemplateNotFound

    if isinstance(error, TemplateNotFound):
        return f"no template {error.name} here"
    if isinstance(error, MemoryError):
        return "needs more memory than a template may take"
    return str(error.message) if isinstance(error, TemplateError | CnetshError) else ""


def _filled(lab: Lab, name: str) -> str:
    if lab.trusted:
        return _environment(lab.folder).get_template(name).render(dict(lab.values))
    # The templates of cnetsh's own go without it.
    from cnetsh.system.process import room_for

    pieces, size = [], 0
    # What is constant in it, Jinja works out as it reads it.
    with room_for(ROOM):
        template = _sandboxed(lab.folder).get_template(name)
        for piece in template.generate(dict(lab.values)):
            size += len(piece)
            if size > _LARGEST:
                raise CnetshError(f"more than {_LARGEST >> 20} MiB of text")
            pieces.append(piece)
    return "".join(pieces)


def _options(folder: Path) -> dict[str, Any]:
    from jinja2 import FunctionLoader, StrictUndefined

    return {
        "loader": FunctionLoader(lambda name: _source(folder, name)),
        "undefined": StrictUndefined,
        "trim_blocks": True,
        "lstrip_blocks": True,
        "keep_trailing_newline": True,
        "autoescape": False,
        # A lab's expressions are names, of which nothing can be worked out beforehand.
        "optimized": False,
    }


@cache
def _environment(folder: Path) -> "Environment":
    from jinja2 import Environment

    return Environment(**_options(folder))


@cache
def _sandboxed(folder: Path) -> "Environment":
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(**_options(folder))
    # `{{ "a" * 300000000 }}` is worked out when it is printed; compiled in, it would take 10 s.
    environment.intercepted_binops = frozenset(("*", "**", "%"))
    # The same lab must give the same plan each time, so nothing random is left.
    del environment.globals["lipsum"], environment.filters["random"]
    return environment


def _source(folder: Path, name: str) -> tuple[str, str, None] | None:
    for root in (folder, shipped("templates")):
        text = read_inside(root, name, _LARGEST + 1)
        if text is not None and len(text) <= _LARGEST:
            return text.decode(), name, None
    return None


def _place(error: BaseException, name: str) -> str:
    """Give `template:line` of the innermost template, as Jinja writes it into the traceback."""
    if line := getattr(error, "lineno", None):
        return f"{getattr(error, 'name', None) or name}:{line}"
    place, trace = name, error.__traceback__
    while trace:
        if "__jinja_exception__" in trace.tb_frame.f_globals:
            place = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place


def rendered(template: str, **values: object) -> str:
    """Give one of cnetsh's own texts: a template of its own, filled in with values."""
    return _environment(shipped("templates")).get_template(template).render(values)
