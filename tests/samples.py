"""Made-up plans, samples of all kinds of kernel objects, and what can be done to their words."""

from collections.abc import Iterator

from cnetsh.plan.steps import Plan, parse

# What a pipe brings for a path that is not a setting of the kernel.
GIVEN = {
    "/etc/netns/n0/resolv.conf": "nameserver 1.1.1.1",
    "/etc/netns/n0/hosts": "nameserver 1.1.1.1",
}


def plan(text: str) -> Plan:
    """Give the plan of these lines, of a lab that is called own."""
    return parse(text, "own", "", "up", "own")


def words_changed(text: str) -> Iterator[tuple[str, str]]:
    """Give the line without each of its words, with it twice, and with one more at the end."""
    words = text.split()
    for at, word in enumerate(words):
        yield word, " ".join([*words[:at], *words[at + 1 :]])
        yield f"{word} {word}", " ".join([*words[:at], word, *words[at:]])
    yield "extra", f"{text} extra"
