"""What README and the guides show is what the program prints, one command after the other.

With --golden what differs is written anew, but where something was left out (…).
"""

import os
import re
import subprocess
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import pytest
from hosts import HERE, Ordinary

CHECKOUT = HERE.parent.parent
README = CHECKOUT / "README.md"
GUIDES = re.findall(r"\((docs/guides/[\w-]+\.md)\)", README.read_text(encoding="utf-8"))
LEFT_OUT = "…"
VARIES = re.compile(r"\d+(\.\d+)?( ?m?s\b)")
# A block that begins so is that file, in the folder that the commands are typed in.
FILE = re.compile(r"# ([\w./-]+\.(?:yaml|j2|py))\n")


def blocks(page: Path) -> Iterator[str]:
    text = page.read_text(encoding="utf-8")
    yield from re.findall(r"^```\w*\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def typed(block: str) -> Iterator[tuple[str, str]]:
    """The commands of a session, each with what is shown of its output."""
    if block.startswith("$ "):
        for each in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, shown = each.strip().partition("\n")
            yield command, shown


def sessions(page: Path) -> Iterator[tuple[str, str]]:
    for block in blocks(page):
        yield from typed(block)


def lines_of(text: str) -> list[str]:
    return [VARIES.sub(r"T\2", line.rstrip()) for line in text.strip("\n").splitlines()]


def assert_shown(command: str, shown: list[str], printed: list[str]) -> None:
    """Every run of lines between two … is there, in order, and nothing else at the ends."""
    at = 0
    runs = [list(run) for left_out, run in groupby(shown, LEFT_OUT.__eq__) if not left_out]
    for run in runs:
        places = range(at, len(printed) - len(run) + 1)
        found = next((p for p in places if printed[p : p + len(run)] == run), None)
        assert found is not None, "\n".join([command, "does not print:", *run, "but:", *printed])
        assert found == 0 or shown[0] == LEFT_OUT or run is not runs[0], printed[:found]
        at = found + len(run)
    assert at == len(printed) or shown[-1] == LEFT_OUT, (command, printed[at:])


def test_the_first_hour_of_a_user_who_types_all_of_it(
    ordinary: Ordinary, request: pytest.FixtureRequest
) -> None:
    """One user with an empty home and the wheel, page after page in the order of README."""
    env = ordinary.env | {"PATH": f"{ordinary.program.parent}:{os.defpath}"}
    golden = request.config.getoption("--golden")
    pages = [README, *(CHECKOUT / guide for guide in GUIDES)]
    assert set(pages) == {README, *(CHECKOUT / "docs/guides").glob("*.md")}
    for page in pages:
        ran = 0
        for block in blocks(page):
            if named := FILE.match(block):
                write(ordinary.home / named[1], block[named.end() :])
            for command, shown in typed(block):
                argv = ["bash", "-c", command]
                merged = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
                done = ordinary.run(argv, env=env, capture_output=False, **merged)
                if golden and LEFT_OUT not in shown:
                    renew(page, command, shown, done.stdout.strip("\n"))
                else:
                    assert_shown(command, lines_of(shown), lines_of(done.stdout))
                ran += 1
        assert ran, f"{page} has no session"


def renew(page: Path, command: str, shown: str, printed: str) -> None:
    if lines_of(shown) != lines_of(printed):
        old, new = ("\n".join(filter(None, (f"$ {command}", text))) for text in (shown, printed))
        text = page.read_text(encoding="utf-8")
        page.write_text(text.replace(f"{old}\n", f"{new}\n", 1), encoding="utf-8")


def write(file: Path, text: str) -> None:
    file.parent.mkdir(exist_ok=True)
    file.write_text(text, encoding="utf-8")
    file.chmod(0o644)
    file.parent.chmod(0o755)
