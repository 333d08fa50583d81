"""Advice as it is typed: what is pasted works on the target that it was told of."""

import ast
import re
from pathlib import Path

import pytest

import cnetsh
from cnetsh.targets.target import named

PACKAGE = Path(cnetsh.__path__[0])
# Commands that work on one target, which is the sandbox where none is said.
AT_A_TARGET = "up|down|recover|repair|check|why|exec|shell|show|capture|diff|doctor"


@pytest.mark.parametrize(
    "target, usual, command",
    [
        ("sandbox", "", "cnetsh down 'my lab.yaml'"),
        ("sandbox:default", "sandbox", "cnetsh down 'my lab.yaml'"),
        ("sandbox", "host", "cnetsh down 'my lab.yaml' --on sandbox"),
        ("sandbox:two", "sandbox:two", "cnetsh down 'my lab.yaml' --on sandbox:two"),
        ("vm", "", "cnetsh down 'my lab.yaml' --on vm"),
        ("host", "host", "cnetsh down 'my lab.yaml' --on host"),
        ("ssh:ann@h:22", "", "cnetsh down 'my lab.yaml' --on ssh:ann@h:22"),
    ],
)
def test_a_command_says_where(
    target: str, usual: str, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CNETSH_ON", usual)
    assert named(target).command("down", "my lab.yaml") == command


def said(path: Path) -> list[str]:
    """The texts of a module but those that describe it."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    described = {ast.get_docstring(node, clean=False) for node in ast.walk(tree)
                 if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)}  # fmt: skip
    texts = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    return [text for text in texts if isinstance(text, str) and text not in described]


def test_no_other_advice_forgets_where() -> None:
    forgetful = {
        (path.name, text)
        for path in PACKAGE.rglob("*.py")
        for text in said(path)
        if re.search(rf"(?<!`)\bcnetsh ({AT_A_TARGET})\b(?!.*--on )", text)
    }
    assert forgetful == set()
