"""Commands that only look, and checks: they change no object of the kernel."""

import re
from typing import NamedTuple

from cnetsh.kinds.change import Changes, Command, Facts, Ref, Seen, Words

# Options of ping that end it: so many packets, so many seconds; and those that have a value.
_ENDS, _VALUED = frozenset("cw"), frozenset("WiIsStQpmMlFTe")
TOOLS = ("ip neigh", "ip neighbour", "ip rule", "ip maddress", "bridge", "ping", "timeout")
SAMPLES = (
    "ip neigh", "ip rule show", "bridge fdb show dev p0", "ping -c1 -W1 10.0.0.1",
    "timeout 1 bash -c '</dev/tcp/10.0.0.1/80'",
    "timeout 1 bash -c 'exec 3<>/dev/udp/10.0.0.1/53 && echo cnetsh >&3 && read -n1 -u3'",
)  # fmt: skip
# What a call tries: a connection, or a packet and one that comes back (bash(1), REDIRECTION).
_CALLS = {
    "tcp": re.compile(r"</dev/tcp/([0-9A-Fa-f:.]+)/([0-9]{1,5})"),
    "udp": re.compile(
        r"exec 3<>/dev/udp/([0-9A-Fa-f:.]+)/([0-9]{1,5}) && echo cnetsh >&3 && read -n1 -u3"
    ),
}
_SECONDS = re.compile("[1-9][0-9]?")
_BRIDGE = ("link", "fdb", "vlan", "mdb")


def shows(rest: Words) -> bool:
    """Say whether the words after an object ask to see it: a look is one only by its own verb."""
    return not rest or rest[0] in ("show", "list", "ls")


class Call(NamedTuple):
    """What a check calls: a port at an address, by tcp or udp."""

    protocol: str
    address: str
    port: int


def call(words: Words) -> Call | None:
    """Give what a command calls, None for one that is no such check."""
    match words:
        case ("timeout", seconds, "bash", "-c", script) if _SECONDS.fullmatch(seconds):
            for protocol, pattern in _CALLS.items():
                if found := pattern.fullmatch(script):
                    return Call(protocol, found[1], int(found[2]))
    return None


def is_check(words: Words) -> bool:
    """Say whether a command is a check: a ping or a call that must be answered, or must not."""
    return words[0] in ("ping", "timeout")


def read(command: Command) -> Changes | None:
    """Give () for a command that looks, None for any other, and for a ping that floods."""
    match command.words:
        # -f sends as fast as it can, and a check needs one answer.
        case ("ping", *options):
            return None if any(map(_floods, options)) else ()
        case ("bridge", what, *rest):
            return () if what in _BRIDGE and shows(tuple(rest)) else None
        case ("timeout", *_):
            return () if call(command.words) else None
    return () if shows(command.rest) else None


def _floods(word: str) -> bool:
    return word[:1] == "-" and word[1:2] != "-" and "f" in word


def endless(words: Words) -> bool:
    """Say whether a command would go on until somebody stops it: a ping that counts nothing."""
    if words[:1] != ("ping",):
        return False
    for word in words[1:]:
        # In one word may stand several: -nc1; what follows one with a value is that value.
        for letter in word[1:] if word[:1] == "-" else "":
            if letter in _ENDS:
                return False
            if letter in _VALUED:
                break
    return True


def spelled(command: Command) -> str:
    """Give the spelling of a ping that is accepted: one packet, and no flood."""
    match command.words:
        case ("ping", *options):
            calm = [word for word in options if not _floods(word)]
            return " ".join(("ping", "-c1", *calm) if endless(command.words) else ("ping", *calm))
    return ""


EXPLAINED = "A socket that listens is called at its address and port; others are refused."


def sockets(netns: str, listed: str) -> Seen:
    """Give the sockets that wait for callers, as `ss -Htulnp` lists them."""
    for line in listed.splitlines():
        protocol, _, _, _, at, _, *process = line.split(maxsplit=6)
        found = re.search(r'"([^"]+)",pid=([0-9]+)', " ".join(process))
        program = f"{found[1]} ({found[2]})" if found else ""
        yield Ref("socket", netns, f"{protocol} {at}"), {"process": program}


def explain(ref: Ref, facts: Facts) -> str:
    """Say who is answered by a socket."""
    host = ref.name.split()[1].rpartition(":")[0].partition("%")[0]
    if host in ("0.0.0.0", "[::]", "*"):
        return "answers at every address"
    return "answers inside alone" if host in ("127.0.0.1", "[::1]") else f"answers at {host} alone"
