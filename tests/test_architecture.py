"""The house: rooms with one-way doors, each with a sentence, libraries where they belong, words."""

import ast
import re
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent / "cnetsh"
MODULES = sorted(PACKAGE.rglob("*.py"))
BANNED = {"manager", "handler", "engine", "context", "service", "task", "util", "helper"}
BANNED |= {"misc", "common", "needed", "derived", "mark", "fact", "shared", "planned", "segment"}

# Which rooms a room may use; a file beside them is a room of its own. What is not here is refused.
ROOMS = {
    "errors": "",
    "names": "errors",
    "system": "errors names",
    "kinds": "errors names system",
    "plan": "errors names kinds",
    "forwarding": "kinds plan",
    "labs": "errors names system plan forwarding",
    "compare": "errors names system kinds plan",
    "probes": "system kinds plan compare",
    "apply": "errors names system kinds plan compare",
    "targets": "errors names system",
    "doctor": "errors names system kinds plan compare forwarding",
    "views": "errors names system kinds plan compare labs",
    "commands": (
        "errors names system kinds plan forwarding labs compare probes apply targets doctor views"
    ),
    "cli": "commands",
    "__main__": "cli system",
    "__init__": "",
}
# Who may use a library that decides how a module looks; nobody else may.
ALLOWED = {
    "typer": {"cli"},
    "click": {"cli"},
    "jinja2": {"labs"},
    "yaml": {"labs"},
    "sh": {"system", "apply"},
}


@cache
def imports(path: Path) -> set[str]:
    """All that a module imports, anywhere in it; `from cnetsh.plan import steps` is both."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: imports are absolute"
            found |= {str(node.module)} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def uses(path: Path, name: str) -> bool:
    return any(each == name or each.startswith(f"{name}.") for each in imports(path))


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def of(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts)


def test_nobody_uses_what_a_library_keeps_to_itself() -> None:
    """The next version of it, or the oldest that is allowed, has it elsewhere.

    Its scripts of completion stand nowhere else.
    """
    hidden = {of(path) for path in MODULES for name in imports(path)
              if any(name.startswith(f"{one}._") for one in ALLOWED)}  # fmt: skip
    assert hidden == {"cli.completion"}


def test_every_room_uses_only_those_that_the_table_allows() -> None:
    strays = {
        f"{of(path)} uses {other}"
        for path in MODULES
        for other in ROOMS
        if other != room(path) and uses(path, f"cnetsh.{other}")
        if other not in ROOMS.get(room(path), "").split()
    }
    assert strays == set()


def test_the_table_of_rooms_has_no_circle() -> None:
    waiting = {one: set(others.split()) for one, others in ROOMS.items()}
    while free := [one for one, others in waiting.items() if not others & waiting.keys()]:
        for one in free:
            del waiting[one]
    assert waiting == {}


def test_modules_of_a_room_do_not_import_each_other_in_a_circle() -> None:
    names = {of(path): path for path in MODULES if path.name != "__init__.py"}
    waiting = {
        name: {other for other in names if other != name and uses(path, f"cnetsh.{other}")}
        for name, path in names.items()
    }
    while free := [name for name, others in waiting.items() if not others & waiting.keys()]:
        for name in free:
            del waiting[name]
    assert waiting == {}


def test_every_room_says_in_a_sentence_what_it_is_for() -> None:
    for path in MODULES:
        if path.name == "__init__.py":
            module = ast.parse(path.read_text(encoding="utf-8"))
            assert len(ast.get_docstring(module) or "") > 30, path
            alone = len(module.body) == 1 or room(path) in ("kinds", "__init__")
            assert alone, f"{path}: nothing else is in it"


def test_every_name_of_a_module_says_something() -> None:
    words = {
        (of(path), word.rstrip("s"))
        for path in MODULES
        for word in of(path).replace(".", "_").split("_")
    }
    assert {name for name, word in words if word in BANNED} == set()


def test_a_library_is_used_only_where_it_belongs() -> None:
    strays = {
        f"{of(path)} uses {library}"
        for path in MODULES
        for library, users in ALLOWED.items()
        if uses(path, library) and room(path) not in users
    }
    assert strays == set()


def test_the_page_on_architecture_names_what_there_is() -> None:
    page = (PACKAGE.parent / "docs/architecture.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([a-z_]+(?:/[a-z_]+)*/?)`", page))
    assert {room(path) for path in MODULES} - {name.strip("/") for name in named} == {"__init__"}
    paths = {name for name in named if "/" in name}
    there = {name for name in paths if (PACKAGE / name).is_dir() or module(name).is_file()}
    assert paths - there == set()
    for line in page.splitlines():
        if line.startswith("| `") and "all of the above" not in line:
            _, one, _, others, _ = (cell.strip() for cell in line.split("|"))
            assert others == ROOMS[one.strip("`/")], line


def module(name: str) -> Path:
    return PACKAGE / f"{name.strip('/')}.py"
