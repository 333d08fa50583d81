"""Queues that hold back what a link sends: tbf and netem (tc(8), tc-tbf(8), tc-netem(8))."""

import re
from collections.abc import Iterator
from typing import Any

from cnetsh.kinds.change import (
    Answers,
    Change,
    Changes,
    Command,
    Fact,
    Facts,
    Make,
    Reach,
    Ref,
    Remove,
    Seen,
    typed_in,
)

TOOLS = ("tc",)
SAMPLES = ("tc qdisc add dev p0 root tbf rate 1mbit burst 10kb latency 10ms",)
TYPES = ("tbf", "netem")
# One with a number is somebody's; those that the kernel chose have none.
_QUEUE = re.compile(r"qdisc (\S+) (?!0:)\S+ dev (\S+) root refcnt \d+ ?(.*)")


def read(command: Command) -> Changes | None:
    """Give what a command does to a queue; () for one that looks, None if not allowed."""
    match command.words[1:]:
        case ("qdisc", "add", "dev", dev, "root", kind, *options) if kind in TYPES:
            # tc prints rates and times in units of its own, so only the kind can be found again.
            facts = {"dev": dev, "kind": kind, "typed": tuple(options)}
            link = Ref("link", command.netns, dev)
            return (Make(Ref("queue", command.netns, dev), facts, on=link),)
        case ("qdisc", "delete" | "del", "dev", dev, "root"):
            return (Remove(Ref("queue", command.netns, dev)),)
        case ("qdisc" | "class" | "filter", "show", *_):
            return ()
    return None


def write(change: Change, typed: Command | None = None) -> tuple[str, ...]:
    """Give the command that does a change, with what tc printed where nothing was typed."""
    place = ("dev", change.ref.name, "root")
    if isinstance(change, Make):
        facts = change.facts
        verb = "replace" if "was" in facts or "said" in facts else "add"
        options = facts.get("typed") or facts.get("said", "").split()
        words = ("tc", "qdisc", verb, *place, facts["kind"], *options)
        return (typed_in(change.ref.netns, *words),)
    return (typed_in(change.ref.netns, "tc", "qdisc", "delete", *place),)


def see(answers: Answers, netns: str) -> Seen:
    """Give the queues of somebody's wish; the others come and go with the link's state."""
    for line in answers.queues.split("\n"):
        if found := _QUEUE.match(line):
            kind, dev, said = found.groups()
            on = Ref("link", netns, dev)
            yield (
                Ref("queue", netns, dev),
                {"dev": dev, "kind": kind, "said": said.strip(), "on": on},
            )


def places(fact: Fact, value: Any) -> Iterator[Reach]:
    """Give the link whose end takes a queue along."""
    yield "queue", fact.ref.netns, value["dev"]


EXPLAINED = "A queue decides when a link sends what waits for it, and what is thrown away."
_SHOWN = {
    "netem": "holds packets back, or loses them, as it says",
    "tbf": "sends no faster than its rate",
}


def explain(ref: Ref, facts: Facts) -> str:
    """Say what a queue does with what is sent."""
    return _SHOWN.get(facts["kind"], "")
