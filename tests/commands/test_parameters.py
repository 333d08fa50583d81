"""What `labs` says of a lab's parameters, with a line to paste."""

import shlex
from pathlib import Path

import pytest

from cnetsh.commands import labs
from cnetsh.labs import builtin, choose

SHEET = """\
title: Rooms
parameters:
  room: {kind: netns, help: the room}
  left: {kind: address, default: 10.0.0.1/24}
  subnet: {kind: network, default: 10.9.0.0/24}
  gateway: {kind: ip}
"""


def test_the_line_to_paste_has_all_that_has_to_be_set(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "rooms"
    folder.mkdir()
    (folder / "lab.yaml").write_text(SHEET)
    (folder / "up.sh.j2").write_text("ip netns add {{ room }}\n")
    labs.run(str(folder), False)
    shown = capsys.readouterr().out
    assert "netns; to be set\n" in shown and "address; 10.0.0.1/24 when left out\n" in shown
    _, plan, lab, *settings = shlex.split(shown.splitlines()[-1])
    assert (plan, settings[:2]) == ("plan", ["--set", "room=..."]) and "gateway" not in settings
    given = [text.replace("...", "a") for text in settings if text != "--set"]
    assert choose.commands(lab, given, "up") == ["ip netns add a"]


@pytest.mark.parametrize("lab", [*builtin.LABS, builtin.SANDBOX])
def test_the_line_of_a_lab_of_our_own_is_taken_as_it_stands(
    lab: str, capsys: pytest.CaptureFixture[str]
) -> None:
    labs.run(lab, False)
    _, _, lab, *settings = shlex.split(capsys.readouterr().out.splitlines()[-1])
    assert choose.commands(lab, [text for text in settings if text != "--set"], "up")
