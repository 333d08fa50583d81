"""The directions in which modules may depend on each other, and their size and names."""

import ast
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "cnetsh"
MODULES = sorted(PACKAGE.rglob("*.py"))
LINES = 300
BANNED = {"manager", "handler", "engine", "context", "service", "task", "util", "helper"}

# Who may use a library that decides how a module looks; nobody else may.
ALLOWED = {
    "typer": {"cli", "start"},
    "sh": {"commands", "lanes", "target", "execute"},
}
# What a module must know nothing about.
FORBIDDEN = {
    "plan": {"jinja2", "typer", "sh"},
    "inverse": {"jinja2", "typer", "sh"},
    "target": {"cnetsh.plan", "cnetsh.inverse", "cnetsh.lab", "cnetsh.cli"},
    "sandbox": {"cnetsh.plan", "cnetsh.inverse", "cnetsh.cli"},
    "errors": {"cnetsh"},
}


@cache
def imports(path: Path) -> set[str]:
    """All that a module imports, anywhere in it; `from cnetsh import plan` is cnetsh.plan."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = ".".join(filter(None, ["cnetsh" if node.level else "", node.module]))
            found |= {module} | {f"{module}.{alias.name}" for alias in node.names}
    return found


def uses(path: Path, name: str) -> bool:
    return any(each == name or each.startswith(f"{name}.") for each in imports(path))


def of(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts)


@pytest.mark.parametrize("path", MODULES, ids=of)
class TestEveryModule:
    def test_is_short(self, path: Path) -> None:
        lines = path.read_text(encoding="utf-8").count("\n")
        assert lines <= LINES

    def test_has_a_name_that_says_something(self, path: Path) -> None:
        words = {word.rstrip("s") for word in of(path).replace(".", "_").split("_")}
        assert not words & BANNED

    def test_uses_a_library_only_where_it_belongs(self, path: Path) -> None:
        strays = [
            lib for lib, users in ALLOWED.items() if uses(path, lib) and of(path) not in users
        ]
        assert strays == []

    def test_knows_nothing_about_what_comes_later(self, path: Path) -> None:
        assert [name for name in FORBIDDEN.get(of(path), ()) if uses(path, name)] == []


def test_modules_depend_in_one_direction_only() -> None:
    names = {of(path): path for path in MODULES if of(path) != "__init__"}
    waiting = {
        name: {other for other in names if other != name and uses(path, f"cnetsh.{other}")}
        for name, path in names.items()
    }
    while free := [name for name, others in waiting.items() if not others & waiting.keys()]:
        for name in free:
            del waiting[name]
    assert waiting == {}, "these modules import each other in a circle"
