"""What `explain` says comes from the kinds, the traps and the undo of each command."""

import pytest

from cnetsh import kinds
from cnetsh.commands import explain
from cnetsh.doctor.table import TRAPS
from cnetsh.errors import CnetshError


@pytest.fixture(autouse=True)
def piped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)


def said(thing: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert explain.run(thing) == 0
    return capsys.readouterr().out


def test_every_kind_and_every_trap_is_known(capsys: pytest.CaptureFixture[str]) -> None:
    for kind in kinds.ALL:
        assert said(kind, capsys) == f"{kind}: {kinds.explained(kind)}\n"
    for trap in TRAPS:
        assert f"{trap.id}: {trap.title}\n  known from: {trap.source}" in said(trap.id, capsys)
    assert said("p01", capsys) == said("P01", capsys)


def test_a_command_says_what_it_changes_and_its_undo(capsys: pytest.CaptureFixture[str]) -> None:
    lines = said("ip netns exec a ip route add default via 10.0.0.1", capsys).splitlines()
    assert lines == [
        "makes route default via 10.0.0.1",
        f"  {kinds.explained('route')}",
        "undo: ip netns exec a ip route delete default via 10.0.0.1",
    ]
    assert "sets link a" in said("ip link set a up", capsys)


@pytest.mark.parametrize("thing", ["nosuch", "P99", "", "rm -rf /", "ip link frob a"])
def test_what_is_unknown_is_refused(thing: str) -> None:
    with pytest.raises(CnetshError):
        explain.run(thing)
