"""The commands of VMs where none runs, and what is refused before anything is started."""

from functools import partial
from pathlib import Path

import pytest

from cnetsh.commands import vm
from cnetsh.errors import CnetshError
from cnetsh.system.files import private_folder
from cnetsh.targets.registry import Registry
from cnetsh.targets.vm import machine


@pytest.fixture(autouse=True)
def own_runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A registry of its own, where the user is not root."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))


def test_one_that_does_not_run_is_not_stopped(capsys: pytest.CaptureFixture[str]) -> None:
    vm.stop_vm("none-of-that-name")
    assert capsys.readouterr().err.startswith("vm none-of-that-name does not run\n")


@pytest.mark.parametrize("name", ["../up", "a b", "-", "x" * 40])
def test_a_name_is_no_path(name: str) -> None:
    with pytest.raises(CnetshError, match="unknown target"):
        vm.stop_vm(name)


def test_one_with_another_cnetsh_in_it_is_not_asked() -> None:
    """They would not understand each other."""
    old = machine.Machine("old", 1, "6.1", "tcg", "0.0")
    with pytest.raises(CnetshError, match=r"was started by cnetsh 0[.]0; this is ") as caught:
        machine.run_in(old, partial(int))
    assert caught.value.hint == "cnetsh vm stop old"


def test_what_has_a_file_alone_does_not_run(tmp_path: Path) -> None:
    class Own(Registry[machine.Machine]):
        def folder(self) -> Path:
            return private_folder(tmp_path / self.plural)

    own = Own("thing", "things", machine.Machine)
    assert own.running() == [] and own.running_as("one") is None
    own.file("one", "holder").touch(mode=0o600)
    assert own.running() == [] and own.running_as("one") is None
    own.keep("one")
    assert own.kept("one") and not own.kept("two")
    # It was killed; the next of that name is not kept.
    own.ensure("one", lambda: None)
    assert not own.kept("one")
