"""The kernel that a VM boots: from the distribution's package, or what `--kernel` names.

A kernel is kept in the cache with just the modules that labs can ask for.
"""

import fcntl
import os
import re
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cnetsh.errors import FAILED, CnetshError
from cnetsh.system.files import open_private, private_folder
from cnetsh.system.process import ask, installed

# Whatever a lab may be made of, and the port that commands come in by.
MODULES = (
    "virtio_pci virtio_console overlay veth bridge br_netfilter vxlan geneve 8021q dummy macvlan "
    "ipvlan vrf wireguard bonding ifb tun sch_netem sch_tbf sch_htb sch_ingress "
    "sch_fq_codel act_police "
    "cls_matchall cls_u32 iptable_nat iptable_filter iptable_mangle iptable_raw ip6table_nat "
    "ip6table_filter ip6table_mangle ip6table_raw nf_tables nft_compat nft_chain_nat nft_counter "
    "nft_masq nft_nat nft_ct nft_limit nft_log nft_reject_inet nf_conntrack nf_log_syslog "
    "xt_MASQUERADE xt_REDIRECT xt_comment xt_conntrack xt_tcpudp xt_nat xt_addrtype xt_mark "
    "xt_limit xt_multiport xt_physdev xt_LOG xt_TCPMSS ipt_REJECT ip6t_REJECT"
)
# Debian's and Ubuntu's packages that always depend on the newest kernel for a virtual machine.
NEWEST = ("linux-image-cloud-amd64", "linux-image-virtual", "linux-image-amd64")
FLAVOURS = ("-cloud-amd64", "-virtual", "-generic", "-amd64")
DOWNLOAD_TIMEOUT = 600.0


@dataclass(frozen=True, slots=True)
class Kernel:
    """A kernel by version, and the folder that it is kept in: `vmlinuz` and `lib/modules`."""

    version: str
    folder: Path

    @property
    def image(self) -> Path:
        """The file that QEMU loads."""
        return self.folder / "vmlinuz"

    @property
    def modules(self) -> Path:
        """The folder with the modules, as depmod(8) wants it."""
        return self.folder / "lib/modules" / self.version


def cache() -> Path:
    """Give the folder of what is kept between runs, made when missing."""
    home = os.environ.get("XDG_CACHE_HOME", "")
    base = Path(home) if home.startswith("/") else Path.home() / ".cache"
    return private_folder(base / "cnetsh")


@contextmanager
def filling_cache() -> Iterator[None]:
    """Be the only one who puts something there. Raises CnetshError when it cannot be written."""
    lock = open_private(cache() / "lock", os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    except OSError as error:
        raise CnetshError(
            f"the cache {cache()} cannot be written: {error.strerror}",
            "XDG_CACHE_HOME says where else; nothing was executed",
        ) from None
    finally:
        os.close(lock)


def chosen(asked: str) -> Kernel:
    """Give the kernel of a version or of .deb files, or for "" the usual. Raises CnetshError."""
    if asked.endswith(".deb") or "/" in asked:
        return _of_packages(Path(asked))
    if found := _kept(asked or "default"):
        return found
    try:
        package = _package(asked)
        kernel = _kept(package.removeprefix("linux-image-")) or _fetched(package)
    except CnetshError as error:
        kept = [f"cnetsh vm start --kernel {name}" for name in _names_kept()]
        hints = (error.hint, f"kept here: {', '.join(kept)}" if kept else "")
        raise CnetshError(error.message, "; ".join(filter(None, hints)), error.code) from None
    if not asked:
        link = cache() / "kernels/default"
        link.unlink(missing_ok=True)
        link.symlink_to(kernel.version)
    return kernel


def _kept(asked: str) -> Kernel | None:
    """Give the newest kernel of the cache with that version, or its beginning."""
    folder = private_folder(cache() / "kernels")
    if asked == "default":
        asked = (folder / asked).readlink().name if (folder / asked).is_symlink() else "-"
    fits = re.compile(f"{re.escape(asked)}([.-]|$)").match
    found = [name for name in _names_kept() if fits(name)]
    newest = max(found, key=_in_order, default=None)
    return Kernel(newest, folder / newest) if newest else None


def _names_kept() -> list[str]:
    folder = private_folder(cache() / "kernels")
    names = [path.name for path in folder.iterdir() if not path.is_symlink()
             and (path / "loaded").read_text() == MODULES]  # fmt: skip
    return sorted(names, key=_in_order)


def _in_order(name: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", name)))


def _package(asked: str) -> str:
    """Give the package of a version's newest kernel, or of the distribution's own."""
    if not installed("apt-cache"):
        hint = "cnetsh vm start --kernel PATH takes kernel packages of Debian's"
        raise CnetshError("no apt here, so there is no kernel to boot", hint)
    if not asked:
        for name in NEWEST:
            if found := _depends(name, "linux-image-"):
                return found[0]
    names = ask(("apt-cache", "pkgnames", f"linux-image-{asked}")).stdout.split()
    for flavour in FLAVOURS:
        fit = re.compile(rf"linux-image-{re.escape(asked)}[.0-9-]*\d{flavour}").fullmatch
        if found := sorted(filter(fit, names), key=_in_order):
            return found[-1]
    every = ask(("apt-cache", "pkgnames", "linux-image-")).stdout
    offered = ", ".join(sorted({*re.findall(r"^linux-image-(\d+\.\d+)", every, re.M)}))
    hint = f"they have: {offered}" if offered else "sudo apt-get update"
    raise CnetshError(f"the package sources have no kernel {asked}".rstrip(), hint)


def _depends(package: str, prefix: str | tuple[str, ...]) -> list[str]:
    lines = ask(("apt-cache", "depends", package)).stdout.splitlines()
    words = [line.split()[-1] for line in lines if "Depends:" in line]
    return [word for word in words if word.startswith(prefix)]


def _fetched(package: str) -> Kernel:
    with _unpacked() as folder:
        # The modules are a package of their own in Ubuntu, and so is the kernel in newer Debians.
        packages = (package, *_depends(package, ("linux-modules-", "linux-binary-")))
        print(f"cnetsh: fetching {' '.join(packages)}", file=sys.stderr)
        _must("apt-get", "download", *packages, at=folder)
        return _taken(sorted(folder.glob("*.deb")), folder)


def _of_packages(path: Path) -> Kernel:
    files = sorted(path.glob("*.deb")) if path.is_dir() else [path]
    if not files or not path.exists():
        raise CnetshError(f"there is no kernel package {path}")
    name = re.match(r"linux-[a-z]+-(?:unsigned-)?([^_]+)_", files[-1].name)
    found = _kept(name[1]) if name else None
    if found and (found.folder / "source").read_text() == _names(files):
        return found
    with _unpacked() as folder:
        return _taken(files, folder)


def _names(packages: Sequence[Path]) -> str:
    return " ".join(package.name for package in packages)


@contextmanager
def _unpacked() -> Iterator[Path]:
    # The same one each time: somebody may have been killed there.
    folder = cache() / "kernel.new"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _taken(packages: Sequence[Path], folder: Path) -> Kernel:
    """Unpack packages, and keep the kernel with the modules of MODULES and what they need."""
    tree = folder / "tree"
    for package in packages:
        _must("dpkg-deb", "-x", str(package), str(tree))
    # From Debian 13 on they lie in /usr, and later the kernel among its modules.
    base = next((base for base in (tree, tree / "usr") if (base / "lib/modules").is_dir()), tree)
    images = [*tree.glob("boot/vmlinuz-*"), *base.glob("lib/modules/*/vmlinuz")]
    version = next((path.name for path in base.glob("lib/modules/*")), "")
    if not images or not version:
        raise CnetshError(f"{packages[0].name} holds no kernel with its modules")
    _must("depmod", "-b", str(base), version)
    kept = folder / "kept"
    for file in filter(Path.exists, _with_those_before(base / "lib/modules" / version)):
        to = kept / file.relative_to(base)
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, to)
    _must("depmod", "-b", str(kept), version)
    shutil.copyfile(images[0], kept / "vmlinuz")
    (kept / "loaded").write_text(MODULES)
    (kept / "source").write_text(_names(packages))
    home = cache() / "kernels" / version
    shutil.rmtree(home, ignore_errors=True)
    kept.rename(home)
    return Kernel(version, home)


def _with_those_before(modules: Path) -> Iterator[Path]:
    """Give the files of MODULES and of all that they depend on (modules.dep of depmod)."""
    needs: dict[str, list[str]] = {}
    for line in (modules / "modules.dep").read_text().splitlines():
        file, _, others = line.partition(":")
        name = Path(file).name.partition(".")[0].replace("-", "_")
        needs[name] = [file, *others.split()]
    files = {file for name in MODULES.split() for file in needs.get(name, ())}
    builtin = ("modules.builtin", "modules.builtin.modinfo", "modules.order")
    yield from (modules / name for name in (*sorted(files), *builtin))


def _must(*argv: str, at: Path = Path()) -> None:
    done = ask(("env", "-C", str(at), *argv), timeout=DOWNLOAD_TIMEOUT)
    if done.exit_code:
        said = (done.stderr or done.stdout).strip().split("\n")[-1]
        raise CnetshError(f"{argv[0]} failed: {said}", code=FAILED)
