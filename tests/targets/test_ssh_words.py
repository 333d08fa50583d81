"""What is said between here and another machine, without one: places and files."""

import subprocess
import sys
from pathlib import Path

import pytest

from cnetsh.errors import CnetshError
from cnetsh.targets import code
from cnetsh.targets.ssh import starter
from cnetsh.targets.ssh.connection import Place, place
from cnetsh.targets.target import Target, named


@pytest.mark.parametrize(
    "text, found, words",
    [
        ("vm", Place("vm"), "-- vm"),
        ("ann@vm", Place("vm", "ann"), "-l ann -- vm"),
        ("192.0.2.2:2222", Place("192.0.2.2", "", "2222"), "-p 2222 -- 192.0.2.2"),
        ("[2001:db8::1]:22", Place("2001:db8::1", "", "22"), "-p 22 -- 2001:db8::1"),
        ("a@[fe80::1%eth0]", Place("fe80::1%eth0", "a"), "-l a -- fe80::1%eth0"),
    ],
)
def test_a_place_is_what_ssh_takes(text: str, found: Place, words: str) -> None:
    assert place(text) == found
    assert " ".join(found.words) == words
    assert str(found) == f"ssh:{text}"
    assert named(f"ssh:{text}") == Target("ssh", text)


@pytest.mark.parametrize(
    "text", ["", "-oProxyCommand=id", "a b", "vm:", "vm:x", "@vm", "vm;id", "$(id)", "a@-b", "::1"]
)
def test_what_ssh_would_take_for_something_else_is_refused(text: str) -> None:
    assert place(text) is None
    with pytest.raises(CnetshError, match="unknown target"):
        named(f"ssh:{text}")


def test_a_digest_tells_each_change(tmp_path: Path) -> None:
    files = {"a/b.py": "x = 1\n", "c.py": ""}
    for changed in ({**files, "c.py": "\n"}, {**files, "d": ""}, {"a/b.py": "x = 1\n"},
                    {"a/b.py": "x = 1\nc.py", "": ""}):  # fmt: skip
        assert starter.digest(changed) != starter.digest(files)
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__/c.pyc").write_bytes(b"\0")
    assert starter.digest(starter.read_folder(tmp_path)) == starter.digest(files)


def test_the_files_that_are_sent_are_all_that_every_command_needs(tmp_path: Path) -> None:
    for name, text in code.texts().items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    imports = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "import pkgutil, importlib, cnetsh.commands as room\n"
        "for one in pkgutil.iter_modules(room.__path__):\n"
        "    importlib.import_module('cnetsh.commands.' + one.name)\n"
        "from cnetsh.labs import choose\n"
        "print(len(choose.plans('routing').up.steps))\n"
    )
    # Without the folders of this machine's packages.
    argv = [sys.executable, "-I", "-S", "-c", imports]
    done = subprocess.run(argv, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("21\n", "")


def test_the_files_are_found_where_sh_is_at_work() -> None:
    """Loaded, it has put something else than a module in its own place."""
    import sh

    assert sh.__spec__ is None
    assert "sh/__init__.py" in code.texts()
