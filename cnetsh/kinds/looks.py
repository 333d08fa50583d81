"""Commands that only look, and checks: they change no object of the kernel."""

from cnetsh.kinds.change import Answers, Change, Changes, Command, Seen, Words

TOOLS = ("ip neigh", "ip neighbour", "ip rule", "ip maddress", "bridge", "ping")
SAMPLES = ("ip neigh", "ip rule show", "bridge fdb show dev p0", "ping -c1 -W1 10.0.0.1")
_BRIDGE = ("link", "fdb", "vlan", "mdb")


def shows(rest: Words) -> bool:
    """Say whether the words after an object ask to see it: a look is one only by its own verb."""
    return not rest or rest[0] in ("show", "list", "ls")


def is_check(words: Words) -> bool:
    """Say whether a command is a check: a ping that must come back, or must not."""
    return words[0] == "ping"


def read(command: Command) -> Changes | None:
    """Give () for a command that looks, None for any other, and for a ping that floods."""
    match command.words:
        # -f sends as fast as it can, and a check needs one answer.
        case ("ping", *options):
            return None if any(map(_floods, options)) else ()
        case ("bridge", what, *rest):
            return () if what in _BRIDGE and shows(tuple(rest)) else None
    return () if shows(command.rest) else None


def _floods(word: str) -> bool:
    return word[:1] == "-" and word[1:2] != "-" and "f" in word


def write(change: Change, typed: Command | None = None) -> tuple[str, ...]:
    """Give nothing: what only looks does no change."""
    return ()


def see(answers: Answers, netns: str) -> Seen:
    """Give nothing: a look is no object."""
    return iter(())
