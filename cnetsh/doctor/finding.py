"""What doctor says: a finding, and the question that every trap of the table is asked."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from cnetsh.doctor.asked import Requirements
from cnetsh.kinds.change import unquoted
from cnetsh.plan.steps import Step

if TYPE_CHECKING:
    # Whoever only tells a finding goes without loading what it came of.
    from cnetsh.doctor.evidence import Evidence
    from cnetsh.forwarding.predict import Surprise

Severity: TypeAlias = Literal["lacks", "refuse", "warn", "note"]
SEVERITIES: tuple[Severity, ...] = ("lacks", "refuse", "warn", "note")  # the gravest first
MOST = 6  # lines of evidence; a host may have thousands of routes


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that stands in a lab's way, or is good to know.

    severity: "lacks", the plan cannot work here; "refuse", it would damage the host or end the ssh
    session; "warn", the lab will not work as it says; "note".
    """

    id: str
    severity: Severity
    title: str
    evidence: str  # lines of what was seen
    effect: str
    advice: str
    commands: tuple[str, ...]  # what can be typed in the target, after what the advice says of it
    source: str

    @property
    def keeps_down(self) -> bool:
        """Whether a lab does not come up for it, or not unless that is accepted."""
        return self.severity in ("lacks", "refuse")


class Sign(NamedTuple):
    """What a trap saw; the table knows the rest of the finding."""

    severity: Severity
    evidence: str
    effect: str
    advice: str
    commands: tuple[str, ...] = ()


@dataclass(frozen=True)
class Case:
    """What is asked: the plan, if any, what was seen, and whether the target is the host."""

    plan: Requirements | None
    seen: "Evidence"
    on_host: bool
    new: frozenset[Step] = frozenset()  # the steps to run of a lab that is up
    surprises: "tuple[Surprise, ...]" = ()  # what the model of forwarding says

    @cached_property
    def tables(self) -> dict[str, list[str]]:
        """Give rules and chains by "tool table", as iptables-save prints them.

        Not those that the kernel has by itself and that accept.
        """
        found: dict[str, list[str]] = {}
        chains = ((name, facts.get("policy", "-")) for name, facts in self.seen.all_of("chain"))
        lines = [(name, f":{{}} {kept}") for name, kept in chains if kept != "ACCEPT"]
        lines += [(name, "-A {}") for name, _ in self.seen.all_of("rule")]
        for name, line in lines:
            tool, table, words = name.split(" ", 2)
            found.setdefault(f"{tool} {table}", []).append(line.format(unquoted(words)))
        return found

    @property
    def asked(self) -> Requirements:
        """Give what the plan asks, nothing where there is no plan."""
        return self.plan or Requirements()

    @property
    def bridge(self) -> str:
        """Give a bridge's name for advice."""
        return next(iter(self.asked.bridges), "BRIDGE")

    @property
    def is_up(self) -> bool:
        """Say whether the lab is up already, so that what the plan makes is there and its own."""
        return self.asked.lab in self.seen.labs

    def runs(self, step: Step) -> bool:
        """Say whether a step of the plan is still to run."""
        return not self.is_up or step in self.new

    @property
    def ours(self) -> set[str]:
        """Give the names of the links of the target's own namespace that are this lab's."""
        return self.asked.own_links if self.is_up else set()


def few(lines: Iterable[str], separator: str = "\n") -> str:
    """Give the first of some lines, each once, and how many more there are."""
    found = list(dict.fromkeys(lines))
    more = [f"and {len(found) - MOST} more"] if len(found) > MOST else []
    return separator.join([*found[:MOST], *more])


def finding_lines(finding: Finding) -> Iterator[tuple[str, bool]]:
    """Give a finding as lines for a person, and whether each is a command, to be pasted."""
    yield f"{finding.severity} {finding.id} {finding.title}", False
    for head, text, commands in (
        ("seen", finding.evidence, ()),
        ("means", finding.effect, ()),
        ("do", finding.advice, finding.commands),
        ("source", finding.source, ()),
    ):
        lines = [(line, False) for line in text.split("\n") if line]
        for at, (line, whole) in enumerate([*lines, *((one, True) for one in commands)]):
            yield f"  {'' if at else head:<8}{line}", whole


def findings_as_json(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """Give the findings as plain data."""
    return [asdict(one) for one in findings]
