"""A container's name servers: /etc/netns/NAME/resolv.conf, and the folder that it is in.

`ip netns exec NAME` shows the file in the place of /etc's (ip-netns(8), resolv.conf(5)).
"""

from contextlib import suppress

from cnetsh import names
from cnetsh.errors import CnetshError
from cnetsh.kinds.change import Answers, Change, Changes, Command, Make, Ref, Remove, Seen

TOOLS = ("tee", "mkdir", "rm", "rmdir")
SAMPLES = (
    "mkdir /etc/netns/n0",
    "echo nameserver 1.1.1.1 | tee /etc/netns/n0/resolv.conf",
    "echo nameserver fd00::1 | tee -a /etc/netns/n0/resolv.conf",
)
HOME = "/etc/netns"
FILE = "resolv.conf"


def read(command: Command) -> Changes | None:
    """Give what a command does to a container's name servers, None if it is about other files."""
    if command.netns:
        return None
    match command.words:
        case ("mkdir", "-p", path) if path == HOME:
            # Not a folder of the lab: those of others may be in it, so it stays.
            return (Make(Ref("home", "", path), {}),)
        case ("mkdir", path) if is_folder(path):
            return (Make(Ref("folder", "", path), {}),)
        case ("rmdir", path) if is_folder(path):
            return (Remove(Ref("folder", "", path)),)
        case ("rm", "-f", path) if folder_of(path):
            return (Remove(Ref("name_server", "", path)),)
        case ("tee", path) | ("tee", "-a", path) if folder_of(path) and names_server(command.given):
            facts: dict[str, object] = {"server": command.given.split()[1]}
            # Without -a the line is the file's first, and what was in it before is lost.
            facts |= {"first": True} if "-a" not in command.words else {}
            on = Ref("folder", "", folder_of(path))
            return (Make(Ref("name_server", "", path), facts, on=on),)
    return None


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
    word, _, address = line.strip("\n").partition(" ")
    with suppress(CnetshError):
        return word == "nameserver" and bool(names.ip(address, ""))
    return False


def write(change: Change, typed: Command | None = None) -> tuple[str, ...]:
    """Give the commands that do a change; the folder of all namespaces is not ours to remove."""
    path = change.ref.name
    match change:
        case Make(Ref("home")):
            return (f"mkdir -p {path}",)
        case Remove(Ref("home")):
            return (f"rmdir {path}",)
        case Make(Ref("folder")):
            return (f"mkdir {path}",)
        case Remove(Ref("folder")):
            return f"rm -f {path}/{FILE}", f"rmdir {path}"
        case Make(_, facts):
            append = "" if "first" in facts else "-a "
            return (f"echo nameserver {facts['server']} | tee {append}{path}",)
    return (f"rm -f {path}",)


def see(answers: Answers, netns: str) -> Seen:
    """Give the folders, the servers that their files name, in the order of the lines, and files.

    A file is known by what no other file ever gets and by what is in it.
    """
    for path, mark in answers.folders.items():
        # The folder of all is nobody's: only whether it is there counts.
        home = path == HOME
        yield Ref("home" if home else "folder", "", path), {"mark": True if home else mark}
    for path, mark in answers.files.items():
        yield Ref("file", "", path), {"mark": [*mark, answers.texts.get(path)]}
    for path, text in answers.texts.items():
        on = Ref("folder", "", folder_of(path))
        for line in filter(names_server, text.split("\n")):
            yield Ref("name_server", "", path), {"server": line.split()[1], "on": on}


EXPLAINED = "Who is asked for the addresses of names: what stands in /etc/resolv.conf."
