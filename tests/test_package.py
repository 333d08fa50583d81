"""The wheel as users get it: in a clean environment, away from the checkout."""

import os
import subprocess
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
LABS = ("veth", "container", "conflict", "bridge", "routing")


def from_root_folder(cnetsh: Path, *arguments: str) -> str:
    env = {"PATH": os.defpath, "LC_ALL": "C.UTF-8", "HOME": "/nonexistent"}
    done = subprocess.run([cnetsh, *arguments], cwd="/", env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_wheel_lists_the_labs(installed: Path) -> None:
    output = from_root_folder(installed, "labs")
    assert [lab for lab in LABS if lab not in output] == []


def test_wheel_carries_the_templates(installed: Path) -> None:
    commands = from_root_folder(installed, "plan", "bridge", "--format", "shell").splitlines()
    assert commands[0] == "sudo ip link add name br0 type bridge"
    assert "sudo ip netns exec net0 ip route add default via 172.18.0.1" in commands


def test_wheel_carries_the_examples(installed: Path, tmp_path: Path) -> None:
    names = [line.split()[0] for line in from_root_folder(installed, "examples").splitlines()]
    assert names == sorted(file.stem for file in (CHECKOUT / "examples").glob("*.yaml"))
    for name in names:
        file = tmp_path / f"{name}.yaml"
        from_root_folder(installed, "examples", name, "-o", str(file))
        assert file.read_text() in (CHECKOUT / "examples" / file.name).read_text()
        assert from_root_folder(installed, "plan", str(file), "--format", "shell")


def test_wheel_carries_the_man_page(installed: Path) -> None:
    page = installed.parent.parent / "share/man/man1/cnetsh.1"
    assert page.read_bytes() == (CHECKOUT / "docs/cnetsh.1").read_bytes()


def test_wheel_is_not_the_checkout(installed: Path) -> None:
    python = installed.parent / "python"
    code = "import cnetsh; print(cnetsh.__file__)"
    found = subprocess.run([python, "-I", "-c", code], cwd="/", capture_output=True, text=True)
    assert Path(found.stdout).is_relative_to(installed.parent.parent)
