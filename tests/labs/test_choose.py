"""What is read of a lab, and when."""

from pathlib import Path

import pytest

from cnetsh.errors import CnetshError
from cnetsh.labs.choose import commands, parts


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    own = tmp_path / "own"
    own.mkdir()
    (own / "lab.yaml").write_text("title: Own\n")
    (own / "up.sh.j2").write_text("  ip netns add a\n\n# why\nip netns add b\n")
    return own


def test_the_commands_of_somebodys_template_are_read_before_they_are_shown(folder: Path) -> None:
    (folder / "down.sh.j2").write_text("reboot\n")
    assert commands(str(folder), (), "up") == ["ip netns add a", "ip netns add b"]
    with pytest.raises(CnetshError, match="not an allowed command"):
        commands(str(folder), (), "down")


def test_the_commands_of_a_down_that_is_not_typed_are_the_undos(folder: Path) -> None:
    assert commands(str(folder), (), "down") == ["ip netns delete b", "ip netns delete a"]


def test_a_part_is_read_when_it_is_asked_for(folder: Path) -> None:
    (folder / "check.sh.j2").write_text("reboot\n")
    found = parts(str(folder), ())
    assert [step.text for step in next(found).steps] == ["ip netns add a", "ip netns add b"]
    with pytest.raises(CnetshError, match="not an allowed command"):
        next(found)
