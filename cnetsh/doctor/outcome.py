"""What the model of forwarding says of a plan: P01, P20, P30 and P31."""

from collections.abc import Iterator

from cnetsh.doctor import names
from cnetsh.doctor.finding import MOST, Case, Severity, Sign, few
from cnetsh.forwarding.predict import Surprise, alike


def checks(case: Case) -> Iterator[Sign]:
    """P30: a check that must work and will not, or must fail and will work."""
    yield from _signs(case, "check", "warn")


def refused(case: Case) -> Iterator[Sign]:
    """P31: a step that the kernel refuses, but for names, which P26 and P27 tell."""
    if not any([*names.name_taken(case), *names.absent(case), *names.long_names(case)]):
        yield from _signs(case, "step", "warn")


def unreachable_neighbours(case: Case) -> Iterator[Sign]:
    """P20: two that take each other for neighbours, on one wire, and no check tries them."""
    yield from [*_signs(case, "pair", "note")][:MOST]


def walled(case: Case) -> Iterator[Sign]:
    """P01: a firewall of the target's closes a way of the plan's that no check tries."""
    yield from _signs(case, "way", "warn")


def _signs(case: Case, part: str, severity: Severity) -> Iterator[Sign]:
    for several in alike(case.surprises, part):
        one = several[0]
        advice = "would help:" if one.fix else _ADVICE[part]
        seen = "\n".join(filter(None, [few(map(_evidence, several)), one.step]))
        yield Sign(severity, seen, one.says, advice, one.fix)


def _evidence(one: Surprise) -> str:
    return one.text if one.part in ("pair", "way") else f"{one.part} {one.number}: {one.text}"


_ADVICE = {
    "check": "the plan or the check is mistaken: change one of them",
    # Others may have put it there, or taken it, meanwhile.
    "step": "what a step needs is to be there before it, and what it makes is not:"
    " change the plan, or what others have done here",
    "pair": "nothing, where it is meant so",
}
