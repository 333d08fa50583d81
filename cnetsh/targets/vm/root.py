"""What a VM finds in its memory: an initramfs of this machine's own files, as a cpio archive.

The format: kernel, Documentation/driver-api/early-userspace/buffer-format.rst ("newc").
"""

import contextlib
import hashlib
import os
import re
import shutil
import stat
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO

from cnetsh.system.process import FOLDERS, ask
from cnetsh.targets import code as own
from cnetsh.targets.vm.kernel import Kernel, cache

# What commands and scripts of labs are made of; which of iptables' back ends is the machine's.
TOOLS = (
    "ip tc bridge ping tracepath ss sysctl modprobe lsmod unshare nsenter setpriv nft sh bash "
    "dash cat ls ps sleep mkdir rmdir touch rm cp mv ln readlink tee cut head tail sort uniq wc tr "
    "grep sed awk xargs find env id uname true false test seq date timeout mount umount df free "
    "kill cmp diff chmod basename dirname expr mktemp stat stty hostname getent python3 tcpdump nc"
)
_MANY = ("sbin/*tables*", "lib/*/xtables/*.so", "lib*/xtables/*.so", "lib/*/libnss_files.so.2")
DATA = (
    "/etc/alternatives/*tables*", "/etc/iproute2", "/usr/share/iproute2", "/usr/lib/iproute2",
    "/etc/protocols", "/etc/services", "/etc/nsswitch.conf", "/etc/ethertypes", "/etc/ld.so.cache",
    "/usr/lib/tc", "/usr/lib/locale/C.utf8",
)  # fmt: skip
# The largest parts of Python's own library that nothing here uses.
LEFT_OUT = {"test", "tests", "idlelib", "tkinter", "turtledemo", "ensurepip", "lib2to3",
            "pydoc_data", "dist-packages", "site-packages",
            Path(str(sysconfig.get_config_var("LIBPL"))).name}  # fmt: skip
FOLDERS_OF_ITS_OWN = "proc sys dev run tmp root etc/netns var/lib var/log"
CODE = Path("/usr/lib/cnetsh")
# What process 1 and the program `cnetsh` of a VM begin by.
BEGIN = f"import sys\nsys.path.insert(0, '{CODE}')\nfrom cnetsh.{{0}} import {{1}}\n{{1}}()\n"
USERS = {
    "/etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
    "/etc/group": "root:x:0:\nnogroup:x:65534:\n",
    "/etc/hosts": "127.0.0.1 localhost\n",
    # Of themselves these would come with links.
    "/etc/modprobe.d/cnetsh.conf": "options bonding max_bonds=0\noptions dummy numdummies=0\n"
    "options ifb numifbs=0\n",
}


def image_of(kernel: Kernel, more: Sequence[Path] = ()) -> Path:
    """Give a VM's archive, kept while nothing changes; more: paths here that it has besides."""
    code = list(own.files())
    key = _key(kernel, [file for _, file in code], more)
    image = cache() / f"root-{kernel.version}-{key}.cpio"
    if not image.exists():
        for old in cache().glob(f"root-{kernel.version}-*"):
            old.unlink()
        root = root_of(kernel, code, more)
        new = cache() / "root.new"
        try:
            with new.open("wb") as file:
                write_archive(root, file)
            new.rename(image)
        finally:
            new.unlink(missing_ok=True)
    return image


def _key(kernel: Kernel, code: Sequence[Path], more: Sequence[Path]) -> str:
    """Give what changes with the files: of the machine's own only when a package was changed."""
    folders = [Path(folder) for folder in (*FOLDERS, "/etc/alternatives", "/var/lib/dpkg")]
    below = [file for path in more for file in (path.rglob("*") if path.is_dir() else [path])]
    parts: list[object] = [sys.version, sys.executable, kernel.folder.stat().st_mtime_ns]
    for path in (*folders, *code, *below):
        with contextlib.suppress(OSError):
            parts.append((str(path), path.stat().st_mtime_ns, path.stat().st_size))
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


class Root:
    """The files of a VM by their path in it: a file of this machine, a text, or a link's words."""

    def __init__(self) -> None:
        self.files: dict[str, Path | bytes] = {}

    def text(self, path: str, content: str) -> None:
        self.files[path] = content.encode()

    def take(self, path: Path, to: str = "") -> None:
        """Take a file of this machine, or a link and what it leads to, to the same place."""
        # A folder may be a link itself, as /bin is.
        path = Path(os.path.realpath(path.parent), path.name)
        if (to or str(path)) not in self.files and path.exists():
            self.files[to or str(path)] = path
            if path.is_symlink():
                self.take(Path(os.path.normpath(path.parent / path.readlink())))

    def tree(self, folder: Path, to: str = "", left_out: Iterable[str] = ()) -> None:
        """Take a folder with all that is in it, but for folders of the names left_out."""
        for top, folders, files in os.walk(folder):
            folders[:] = [name for name in folders if name not in left_out]
            for name in files:
                file = Path(top, name)
                self.take(file, f"{to}/{file.relative_to(folder)}" if to else "")


def root_of(kernel: Kernel, code: Iterable[tuple[str, Path]], more: Iterable[Path]) -> Root:
    """Give the files of a VM; code goes to CODE; more: programs and paths that it has besides."""
    root = Root()
    python, library = Path(os.path.realpath(sys.executable)), Path(sysconfig.get_path("stdlib"))
    for tool in TOOLS.split():
        if found := shutil.which(tool, path=":".join(FOLDERS)):
            root.take(Path(found))
    for pattern in _MANY:
        for file in Path("/usr").glob(pattern):
            root.take(file)
    root.take(python)
    root.tree(library, left_out=LEFT_OUT)
    for name, file in code:
        root.take(file, str(CODE / name))
    for path in more:
        root.tree(path) if path.is_dir() else root.take(path)
    for library_file in _libraries(root):
        root.take(library_file)
    for pattern in DATA:
        for path in Path("/").glob(pattern[1:]):
            root.tree(path) if path.is_dir() else root.take(path)
    root.tree(kernel.modules, f"/lib/modules/{kernel.version}")
    root.take(kernel.folder / "loaded", f"/lib/modules/{kernel.version}/loaded")
    programs = {"/init": ("commands.inside", "be_init"), "/usr/bin/cnetsh": ("__main__", "begin")}
    texts = {path: f"#!{python} -I\n{BEGIN.format(*place)}" for path, place in programs.items()}
    for path_inside, content in (USERS | texts).items():
        root.text(path_inside, content)
    for link in ("bin", "sbin", "lib", "lib32", "lib64"):
        if Path("/", link).is_symlink():
            root.files[f"/{link}"] = Path("/", link)
    return root


def _libraries(root: Root) -> Iterator[Path]:
    """Give the libraries that programs and libraries of a root need, as ldd(1) finds them."""
    files = [path for path in root.files.values() if isinstance(path, Path)]
    programs = [str(path) for path in files if not path.is_symlink()
                and (".so" in path.name or os.access(path, os.X_OK))]  # fmt: skip
    said = ask(("ldd", *programs)).stdout
    for found in {one[0] or one[1] for one in re.findall(r"=> (/\S+)|^\s*(/\S+) \(", said, re.M)}:
        yield Path(found)


def write_archive(root: Root, file: IO[bytes]) -> None:
    """Write a root as the archive that the kernel unpacks at its start."""
    linked = {path for path, found in root.files.items()
              if isinstance(found, Path) and found.is_symlink()}  # fmt: skip
    entries: dict[str, Path | bytes | None] = {}
    for path, found in sorted(root.files.items()):
        # What lies below a folder that is a link in the VM goes where the link leads.
        top = f"/{path.split('/')[1]}"
        path = f"/usr{path}" if top in linked and path != top else path
        for parent in reversed(Path(path).parents[:-1]):
            entries.setdefault(str(parent), None)
        entries[path] = found
    for folder in FOLDERS_OF_ITS_OWN.split():
        for parent in (*reversed(Path("/", folder).parents[:-1]), Path("/", folder)):
            entries.setdefault(str(parent), None)
    for number, (path, content) in enumerate(entries.items(), 1):
        _entry(file, number, path[1:], content)
    _entry(file, 0, "TRAILER!!!", b"")
    file.flush()


def _entry(file: IO[bytes], number: int, name: str, content: Path | bytes | None) -> None:
    mode, data, age = stat.S_IFDIR | 0o755, b"", 0
    if isinstance(content, bytes):
        mode, data = stat.S_IFREG | 0o755, content
    elif content and content.is_symlink():
        mode, data = stat.S_IFLNK | 0o777, os.fsencode(content.readlink())
    elif content:
        found = content.stat()
        mode = stat.S_IFREG | (0o755 if found.st_mode & 0o100 else 0o644)
        # A compiled file is taken for the one that its source had this age.
        data, age = content.read_bytes(), int(found.st_mtime)
    path = os.fsencode(name) + b"\0"
    fields = (number, mode, 0, 0, 1, age, len(data), 0, 0, 0, 0, len(path), 0)
    header = b"070701" + b"".join(b"%08X" % field for field in fields) + path
    file.write(header + bytes(-len(header) % 4) + data + bytes(-len(data) % 4))
