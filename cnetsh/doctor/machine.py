"""What files under /proc, /etc and /run say of the machine; a missing one says nothing."""

import contextlib
import ipaddress
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from cnetsh.system import namespace

RESOLVERS = ("/etc/resolv.conf", "/run/systemd/resolve/resolv.conf")
LINK_FILES = ("/etc/systemd/network/99-default.link", "/usr/lib/systemd/network/99-default.link")
NET_ADMIN, SYS_ADMIN = 12, 21  # bits of linux/capability.h
MOST_PARENTS = 64


def text(path: str) -> str:
    """Give what is in a file, "" where it cannot be read."""
    with contextlib.suppress(OSError):
        return Path(path).read_text(errors="replace")
    return ""


def names(folder: str) -> list[str]:
    """Give the names in a folder, none where it cannot be read."""
    with contextlib.suppress(OSError):
        return sorted(entry.name for entry in Path(folder).iterdir())
    return []


def shows(path: str) -> bool:
    """Say whether a sign is there; ufw leaves its file behind and says in it whether it is on."""
    if path.endswith("ufw.conf"):
        return bool(re.search(r"^ENABLED=yes", text(path), re.MULTILINE | re.IGNORECASE))
    return os.path.lexists(path)


def labs() -> frozenset[str]:
    """Give the labs with a journal of this namespace, without making the folder that it is in."""
    found = names(f"/run/cnetsh/{namespace.own_network()}")
    return frozenset(name.removesuffix(".journal") for name in found if name.endswith(".journal"))


def nameservers() -> Iterator[str]:
    """Give the name servers, and where a local one answers, those that it asks."""
    for path in RESOLVERS:
        found = re.findall(r"^nameserver\s+(\S+)", text(path), re.MULTILINE)
        yield from found
        if not any(server.startswith("127.") for server in found):
            return


def ssh_peer() -> str:
    """Give the other end of the ssh session that this process belongs to, "" where it is none.

    sudo drops SSH_CONNECTION, so the processes that started this one are asked too.
    """
    connection, pid = os.environ.get("SSH_CONNECTION", ""), os.getpid()
    for _ in range(MOST_PARENTS):
        if connection or pid <= 1:
            break
        found = re.search(r"(?:^|\0)SSH_CONNECTION=([^\0]*)", text(f"/proc/{pid}/environ"))
        connection = found[1] if found else ""
        parent = re.search(r"^PPid:\t(\d+)", text(f"/proc/{pid}/status"), re.MULTILINE)
        pid = int(parent[1]) if parent else 0
    with contextlib.suppress(ValueError, IndexError):
        peer = ipaddress.ip_address(connection.split()[0].partition("%")[0])
        return str(getattr(peer, "ipv4_mapped", None) or peer)
    return ""


def unmanaged() -> Iterator[str]:
    """Give the specs of unmanaged-devices (NetworkManager.conf(5))."""
    folders = ("/etc/NetworkManager/conf.d", "/run/NetworkManager/conf.d")
    paths = [f"{folder}/{name}" for folder in folders for name in names(folder)]
    for path in ("/etc/NetworkManager/NetworkManager.conf", *paths):
        for line in re.findall(r"^unmanaged-devices\s*\+?=(.*)", text(path), re.MULTILINE):
            yield from re.split(r"[;,\s]+", line.strip())


def persistent_macs() -> bool:
    """Say whether udev gives links a MAC of its own choice: the first file found decides."""
    texts = (said for path in LINK_FILES if (said := text(path)))
    policy = re.search(r"^MACAddressPolicy=persistent", next(texts, ""), re.MULTILINE)
    return bool(policy) and shows("/run/udev/control")


def inside(namespaces: Mapping[str, int]) -> dict[str, tuple[str, ...]]:
    """Give the processes in each named namespace as "123 (sleep)"."""
    homes = {number: name for name, number in namespaces.items() if number}
    found: dict[str, list[str]] = {}
    for entry in names("/proc") if homes else ():
        if entry.isdigit():
            # A process may end meanwhile, and those of other users cannot be looked into.
            with contextlib.suppress(OSError):
                number = namespace.mark(Path(f"/proc/{entry}/ns/net").stat())
                if number in homes:
                    name = text(f"/proc/{entry}/comm").strip()
                    found.setdefault(homes[number], []).append(f"{entry} ({name})")
    return {name: tuple(processes) for name, processes in found.items()}


def powers() -> tuple[str, ...]:
    """Give the capabilities that this process has not got and every lab needs."""
    line = re.search(r"^CapEff:\t(\w+)", text("/proc/self/status"), re.MULTILINE)
    held = int(line[1], 16) if line else -1
    wanted = {"CAP_NET_ADMIN": NET_ADMIN, "CAP_SYS_ADMIN": SYS_ADMIN}
    return tuple(name for name, bit in wanted.items() if not held >> bit & 1)


def xtables() -> str:
    """Give the process that holds the lock of iptables-legacy, by /proc/locks."""
    with contextlib.suppress(OSError):
        inode = Path("/run/xtables.lock").stat().st_ino
        held = re.search(rf"FLOCK .* (\d+) \S+:{inode} ", text("/proc/locks"))
        return held[1] if held else ""
    return ""
