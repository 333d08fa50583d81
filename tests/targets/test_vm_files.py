"""What a VM is made of: the archive of its files, and the kernels that are kept."""

import os
import resource
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cnetsh.errors import CnetshError
from cnetsh.targets import code
from cnetsh.targets.target import Target, named
from cnetsh.targets.vm import kernel, machine
from cnetsh.targets.vm.root import CODE, Root, image_of, write_archive


def unpacked(archive: bytes) -> Iterator[tuple[str, int, bytes]]:
    """The entries of a newc archive as the kernel reads them: name, mode, content."""
    at = 0
    while True:
        assert archive[at : at + 6] == b"070701" and at % 4 == 0
        fields = [int(archive[at + 6 + 8 * n : at + 14 + 8 * n], 16) for n in range(13)]
        name_at, mode, size, name_size = at + 110, fields[1], fields[6], fields[11]
        name = archive[name_at : name_at + name_size - 1].decode()
        data_at = (name_at + name_size + 3) // 4 * 4
        if name == "TRAILER!!!":
            return
        yield name, mode, archive[data_at : data_at + size]
        at = (data_at + size + 3) // 4 * 4


def archive(root: Root, folder: Path) -> dict[str, tuple[int, bytes]]:
    with (folder / "root.cpio").open("w+b") as file:
        write_archive(root, file)
        file.seek(0)
        return {name: (mode, content) for name, mode, content in unpacked(file.read())}


def test_files_links_and_folders_come_out_as_they_are(tmp_path: Path) -> None:
    home = Path(os.path.realpath(tmp_path)) / "home"
    home.mkdir()
    (home / "tool-1").write_text("program")
    (home / "tool-1").chmod(0o700)
    (home / "tool").symlink_to("tool-1")
    root = Root()
    root.take(home / "tool")
    root.text("/etc/hosts", "127.0.0.1 localhost\n")
    found = archive(root, tmp_path)
    place = str(home)[1:]
    assert found[f"{place}/tool"] == (stat.S_IFLNK | 0o777, b"tool-1")
    assert found[f"{place}/tool-1"] == (stat.S_IFREG | 0o755, b"program")
    assert found["etc/hosts"][1] == b"127.0.0.1 localhost\n"
    assert found["etc"][0] == stat.S_IFDIR | 0o755 == found["proc"][0]
    names = list(found)
    for name in names:
        assert "/" not in name or names.index(name) > names.index(name.rpartition("/")[0])


def test_what_is_missing_is_left_out(tmp_path: Path) -> None:
    root = Root()
    root.take(tmp_path / "nothing")
    assert root.files == {}


def test_the_code_is_cnetsh_all_that_comes_with_it_and_what_it_needs() -> None:
    names = {name for name, _ in code.files()}
    own = {"cnetsh/commands/inside.py", "cnetsh/cli/main.py"}
    assert own | {"jinja2/__init__.py", "yaml/__init__.py"} <= names
    for shipped in ("templates/routing/up.sh.j2", "examples/dual-stack-nat.yaml"):
        assert any(name.endswith(shipped) for name in names)
    assert not any(name.startswith(("pytest", "rich/")) for name in names)
    assert CODE.is_absolute()


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    kernels = tmp_path / "cnetsh/kernels"
    for version in ("5.10.0-9-amd64", "6.1.0-9-cloud-amd64", "6.1.0-56-cloud-amd64"):
        (kernels / version).mkdir(parents=True)
        (kernels / version / "loaded").write_text(kernel.MODULES)
    for folder in (tmp_path / "cnetsh", kernels):
        folder.chmod(0o700)
    return kernels


@pytest.mark.parametrize(
    ("asked", "version"),
    [
        ("6.1", "6.1.0-56-cloud-amd64"),
        ("6", "6.1.0-56-cloud-amd64"),
        ("5.10", "5.10.0-9-amd64"),
        ("6.1.0-9", "6.1.0-9-cloud-amd64"),
    ],
)
def test_of_the_kernels_kept_the_newest_that_fits_is_taken(
    kept: Path, asked: str, version: str
) -> None:
    found = kernel.chosen(asked)
    assert found.version == version and found.image == kept / version / "vmlinuz"


def test_a_kernel_without_all_modules_is_not_taken(kept: Path) -> None:
    (kept / "5.10.0-9-amd64/loaded").write_text("veth")
    with pytest.raises(CnetshError):
        kernel.chosen("5.10.0-9-amd64")


def test_where_none_can_be_fetched_those_that_are_kept_are_named(kept: Path) -> None:
    with pytest.raises(CnetshError) as caught:
        kernel.chosen("99.1")
    assert "kept here: cnetsh vm start --kernel 5.10.0-9-amd64, " in caught.value.hint
    assert caught.value.hint.endswith("--kernel 6.1.0-56-cloud-amd64")


def full(size: int, act: Callable[[], object]) -> str:
    """What is told where no file can be larger, in a process of its own."""
    read, write = os.pipe()
    pid = os.fork()
    if not pid:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
        try:
            act()
        except CnetshError as error:
            os.write(write, error.message.encode())
        finally:
            os._exit(0)
    os.close(write)
    os.waitpid(pid, 0)
    with os.fdopen(read) as file:
        return file.read()


def test_a_cache_without_room_is_told_and_nothing_stays(kept: Path) -> None:
    (kept / "default").symlink_to("6.1.0-56-cloud-amd64")
    before = sorted(kept.parent.rglob("*"))

    def make() -> None:
        with kernel.filling_cache():
            image_of(kernel.chosen(""))

    said = full(1_000_000, make)
    assert said == f"the cache {kept.parent} cannot be written: File too large"
    assert sorted(kept.parent.rglob("*")) == sorted([*before, kept.parent / "lock"])


def test_there_must_be_such_a_package(tmp_path: Path) -> None:
    with pytest.raises(CnetshError, match="there is no kernel package"):
        kernel.chosen(str(tmp_path / "linux-image-1_1_amd64.deb"))


def test_a_kvm_that_failed_under_this_kernel_is_not_tried_again(kept: Path) -> None:
    machine.kvm_file().write_text(f"{os.uname().release}\nit hangs\n")
    assert list(machine.accelerators()) == ["tcg"]
    machine.kvm_file().write_text("another kernel\nit hangs\n")
    usable = os.access("/dev/kvm", os.R_OK | os.W_OK)
    assert list(machine.accelerators()) == (["kvm", "tcg"] if usable else ["tcg"])


def test_a_vm_is_named_as_a_sandbox_is() -> None:
    assert (named("vm"), named("vm:old")) == (Target("vm", "default"), Target("vm", "old"))
    assert named("vm").is_private and str(named("vm:old")) == "vm:old"
    with pytest.raises(CnetshError, match="unknown target"):
        named("vm:../up")
