"""What files under /proc, /etc and /run say of the machine; a missing one says nothing."""

import contextlib
import ipaddress
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from cnetsh.system import namespace
from cnetsh.system.files import labs_below

# systemd keeps a link invocation:UNIT while the unit is active (systemd: src/core/unit.c).
SIGNS = (
    "/run/firewalld",
    "/run/systemd/units/invocation:firewalld.service",
    "/run/NetworkManager",
    "/run/udev/control",
    "/run/docker.sock",
)
UFW = "/etc/ufw/ufw.conf"
RESOLVERS = ("/etc/resolv.conf", "/run/systemd/resolve/resolv.conf")
LINK_FILES = ("/etc/systemd/network/99-default.link", "/usr/lib/systemd/network/99-default.link")
NET_ADMIN, SYS_ADMIN = 12, 21  # bits of linux/capability.h
MOST_PARENTS = 64


def _names(folder: str) -> list[str]:
    with contextlib.suppress(OSError):
        return sorted(entry.name for entry in Path(folder).iterdir())
    return []


def _found(pattern: str, path: str) -> list[str]:
    """Give what a pattern finds in a file, nothing where it cannot be read."""
    with contextlib.suppress(OSError):
        return re.findall(pattern, Path(path).read_text(errors="replace"), re.MULTILINE)
    return []


def _first(pattern: str, path: str) -> str:
    return next(iter(_found(pattern, path)), "")


def signs() -> frozenset[str]:
    """Give the paths that daemons leave while they run."""
    found = {path for path in SIGNS if os.path.lexists(path)}
    # ufw leaves its file behind, and says in it whether it is on.
    return frozenset(found | {UFW} if _first("(?i)^ENABLED=yes", UFW) else found)


def journaled_labs() -> frozenset[str]:
    """Give the labs with a journal of this namespace, without making the folder that it is in."""
    return frozenset(labs_below(Path("/"), str(namespace.own_network())))


def nameservers() -> Iterator[str]:
    """Give the name servers, and where a local one answers, those that it asks."""
    for path in RESOLVERS:
        found = _found(r"^nameserver\s+(\S+)", path)
        yield from found
        if not any(server.startswith("127.") for server in found):
            return


class SshSession(NamedTuple):
    """An ssh session: both ends, and the only link between them where that is said."""

    peer: str
    port: int
    server: str
    server_port: int
    link: str = ""


def ssh_session() -> SshSession | None:
    """Give the ssh session that this process belongs to, None where it is none."""
    connection, pid = os.environ.get("SSH_CONNECTION", ""), os.getpid()
    # sudo drops the variable, so the processes that started this one are asked too.
    for _ in range(MOST_PARENTS):
        if connection or pid <= 1:
            break
        connection = _first(r"(?:\A|\0)SSH_CONNECTION=([^\0]*)", f"/proc/{pid}/environ")
        pid = int(_first(r"^PPid:\t(\d+)", f"/proc/{pid}/status") or 0)
    with contextlib.suppress(ValueError):
        peer, port, server, server_port = connection.split()
        link = peer.partition("%")[2]
        return SshSession(_plain(peer), int(port), _plain(server), int(server_port), link)
    return None


def _plain(text: str) -> str:
    address = ipaddress.ip_address(text.partition("%")[0])
    return str(getattr(address, "ipv4_mapped", None) or address)


def arp_entries() -> Iterator[tuple[str, str, str]]:
    """Give whom a link knows by IPv4, asked or by hand: address, MAC and link."""
    for line in _found(r"^\S+ +0x1 +0x[26] .*", "/proc/net/arp"):
        address, _, _, mac, _, link = line.split()
        yield address, mac, link


def unmanaged() -> Iterator[str]:
    """Give the specs of unmanaged-devices (NetworkManager.conf(5))."""
    folders = ("/etc/NetworkManager/conf.d", "/run/NetworkManager/conf.d")
    paths = [f"{folder}/{name}" for folder in folders for name in _names(folder)]
    for path in ("/etc/NetworkManager/NetworkManager.conf", *paths):
        for line in _found(r"^unmanaged-devices\s*\+?=(.*)", path):
            yield from re.split(r"[;,\s]+", line.strip())


def persistent_macs() -> bool:
    """Say whether udev gives links a MAC of its own choice."""
    # The first file that is there decides; systemd reads no other of its name.
    path = next((path for path in LINK_FILES if Path(path).exists()), LINK_FILES[-1])
    policy = _first("^MACAddressPolicy=persistent", path)
    return bool(policy) and os.path.lexists("/run/udev/control")


def initial_user() -> bool:
    """Say whether this process is in the machine's first user namespace, where all users are."""
    return _first(r".+", "/proc/self/uid_map").split() == ["0", "0", "4294967295"]


def powers() -> tuple[str, ...]:
    """Give the capabilities that this process has not got and every lab needs."""
    # -1 has every bit: where nothing can be read, nothing is said to lack.
    held = int(_first(r"^CapEff:\t(\w+)", "/proc/self/status") or "-1", 16)
    wanted = {"CAP_NET_ADMIN": NET_ADMIN, "CAP_SYS_ADMIN": SYS_ADMIN}
    return tuple(name for name, bit in wanted.items() if not held >> bit & 1)


def xtables() -> str:
    """Give the process that holds the lock of iptables-legacy, by /proc/locks."""
    with contextlib.suppress(OSError):
        inode = Path("/run/xtables.lock").stat().st_ino
        return _first(rf"FLOCK .* (\d+) \S+:{inode} ", "/proc/locks")
    return ""
