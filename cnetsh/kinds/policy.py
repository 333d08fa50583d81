"""Rules that choose a routing table (ip-rule(8)); no plan makes any."""

from cnetsh.kinds.change import Answers, Change, Command, Facts, Ref, Remove, Seen, typed_in

SAMPLES = ()


def write(change: Change, typed: Command | None = None) -> tuple[str, ...]:
    """Give what takes a rule away; what no plan changes is not put back."""
    if not isinstance(change, Remove):
        return ()
    six = ("-6",) if change.facts.get("family") == 6 else ()
    at = str(change.facts["priority"])
    return (typed_in(change.ref.netns, "ip", *six, "rule", "delete", "priority", at),)


def see(answers: Answers, netns: str) -> Seen:
    """Give the rules of both versions of IP, each by all that is said of it."""
    for rule in answers.policy:
        yield Ref("policy", netns, said(rule)), rule


def said(rule: Facts, *left_out: str) -> str:
    """Give a rule in the words of `ip -j`; one that has no value, as `not`, stands alone."""
    kept = ((key, value) for key, value in rule.items() if key not in left_out)
    return " ".join(key if value is None else f"{key} {value}" for key, value in kept)


EXPLAINED = "Before a route is looked for, these say in which table: the lowest priority first."


def explain(ref: Ref, facts: Facts) -> str:
    """Say what becomes of a packet that a rule is for."""
    if "table" in facts:
        return f"looks for a route in the table {facts['table']}"
    return str(facts.get("action", ""))
