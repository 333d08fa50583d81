"""A container's resolv.conf, which `ip netns exec` shows in the place of /etc's (ip-netns(8))."""

from contextlib import suppress

from cnetsh import names
from cnetsh.errors import CnetshError

HOME = "/etc/netns"
FILE = "resolv.conf"


def folder_of(path: str) -> str:
    """Give the folder of a container's resolv.conf, "" for any other path."""
    folder, _, name = path.rpartition("/")
    return folder if name == FILE and is_folder(folder) else ""


def is_folder(path: str) -> bool:
    """Say whether a path is the folder of a container's files, /etc/netns/NAME."""
    home, _, name = path.rpartition("/")
    with suppress(CnetshError):
        return home == HOME and bool(names.netns_name(name, ""))
    return False


def names_server(line: str) -> bool:
    """Say whether a line is one of resolv.conf(5) that names a server, and nothing else."""
    word, _, address = line.partition(" ")
    with suppress(CnetshError):
        return word == "nameserver" and bool(names.ip(address, ""))
    return False
