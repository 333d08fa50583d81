"""What `graph` writes: the form by the file's name, the width, the lab that is meant."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


def graph(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
    """`cnetsh graph` as a process of its own, in a UTF-8 locale unless env says another."""
    whole = {**os.environ, "LC_ALL": "C.UTF-8", "CNETSH_ON": "sandbox", "COLUMNS": "80", **env}
    argv = [sys.executable, "-m", "cnetsh", "graph", *words]
    return subprocess.run(argv, capture_output=True, text=True, encoding="utf-8", env=whole)


@pytest.mark.parametrize(
    ("name", "begins"),
    [
        ("v.svg", "<svg "),
        ("v.SVG", "<svg "),
        ("v.dot", "graph lab {"),
        ("v.gv", "graph lab {"),
        ("v.mmd", "---\ntitle:"),
        ("v.mermaid", "---\ntitle:"),
        ("v.txt", "A veth pair\n"),
    ],
)
def test_a_file_gets_the_form_that_its_name_says(tmp_path: Path, name: str, begins: str) -> None:
    done = graph("veth", "-o", str(tmp_path / name))
    assert done.returncode == 0 and done.stderr == f"wrote {tmp_path / name}\n"
    assert (tmp_path / name).read_text(encoding="utf-8").startswith(begins)


def test_a_form_that_is_asked_for_goes_before_the_name(tmp_path: Path) -> None:
    graph("veth", "-o", str(tmp_path / "v.svg"), "--format", "ascii")
    text = (tmp_path / "v.svg").read_text(encoding="utf-8")
    assert text.isascii() and "[veth0]" in text


def test_text_is_plain_where_the_locale_is() -> None:
    assert "┌" in graph("veth").stdout
    for env in ({"LC_ALL": "C"}, {"LC_ALL": "", "LANG": "POSIX"}):
        assert graph("veth", **env).stdout.isascii()


@pytest.mark.parametrize("columns", [44, 80, 120])
def test_text_is_as_wide_as_the_terminal(columns: int) -> None:
    for drawn in (
        graph("routing", COLUMNS=str(columns)).stdout,
        graph("routing", "--width", str(columns)).stdout,
    ):
        assert max(map(len, drawn.splitlines())) <= columns
        # In a narrow one the second container hangs below the first.
        assert ("┗━━ br0" in drawn) == (columns == 44)


def test_another_target_than_a_sandbox_is_not_told_of_what_is_in_one() -> None:
    assert "( elsewhere )" in graph("routing", "--on", "host").stdout
    assert "10.0.2.15" not in graph("routing", "--on", "host").stdout


def test_without_a_lab_it_is_told_what_to_type() -> None:
    done = graph()
    assert done.returncode == 2 and "name one, or --live draws all that is there" in done.stderr
