"""Queues that hold back what a link sends: tbf and netem (tc(8), tc-tbf(8), tc-netem(8))."""

from cnetsh.kinds.change import Answers, Change, Changes, Command, Make, Ref, Remove, Seen, typed_in

TOOLS = ("tc",)
SAMPLES = ("tc qdisc add dev p0 root tbf rate 1mbit burst 10kb latency 10ms",)
TYPES = ("tbf", "netem")


def read(command: Command) -> Changes | None:
    """Give what a command does to a queue; () for one that looks, None if not allowed."""
    match command.words[1:]:
        case ("qdisc", "add", "dev", dev, "root", kind, *options) if kind in TYPES:
            # tc prints rates and times in units of its own, so only the kind can be found again.
            facts = {"kind": kind, "typed": tuple(options)}
            link = Ref("link", command.netns, dev)
            return (Make(Ref("queue", command.netns, dev), facts, on=link),)
        case ("qdisc", "delete" | "del", "dev", dev, "root"):
            return (Remove(Ref("queue", command.netns, dev)),)
        case ("qdisc" | "class" | "filter", "show", *_):
            return ()
    return None


def write(change: Change, typed: Command | None = None) -> tuple[str, ...]:
    """Give the command that does a change."""
    place = ("dev", change.ref.name, "root")
    if isinstance(change, Make):
        kind, options = change.facts["kind"], change.facts.get("typed")
        # Of a queue that was seen, only its kind is known.
        words = ("tc", "qdisc", "add", *place, kind, *(options or ()))
        return (typed_in(change.ref.netns, *words),) if options else ()
    return (typed_in(change.ref.netns, "tc", "qdisc", "delete", *place),)


def see(answers: Answers, netns: str) -> Seen:
    """Give the queues of somebody's wish; the others come and go with the link's state."""
    for link in answers.addresses:
        if (kind := link.get("qdisc")) in TYPES:
            on = Ref("link", netns, link["ifname"])
            yield Ref("queue", netns, link["ifname"]), {"kind": kind, "on": on}
