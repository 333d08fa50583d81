"""Named network namespaces: /run/netns/NAME (ip-netns(8))."""

from cnetsh.kinds.change import (
    Answers,
    Change,
    Changes,
    Command,
    Make,
    Ref,
    Remove,
    Seen,
    typed_in,
)

TOOLS = ("ip netns",)
SAMPLES = ("ip netns add n0",)


def read(command: Command) -> Changes | None:
    """Give what a command does to a namespace; () for one that looks, None if not allowed."""
    match command.rest:
        # Inside another namespace it would be made for all: /run/netns is the mount namespace's.
        case ("add", name) if not command.netns:
            return (Make(Ref("netns", "", name), {}),)
        case ("delete" | "del", name) if not command.netns:
            return (Remove(Ref("netns", "", name)),)
        case () | ("list" | "show",) | ("pids", _):
            return ()
    return None


def write(change: Change, typed: Command | None = None) -> tuple[str, ...]:
    """Give the command that does a change."""
    verb = "delete" if isinstance(change, Remove) else "add"
    return (typed_in("", "ip", "netns", verb, change.ref.name),)


def see(answers: Answers, netns: str) -> Seen:
    """Give the namespaces by their names, each with what tells it from a later one."""
    for name, mark in answers.namespaces.items():
        yield Ref("netns", "", name), {"mark": mark}


EXPLAINED = "A network namespace has links, addresses, routes and rules of its own: a container."
