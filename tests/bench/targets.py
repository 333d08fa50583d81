"""What the figures have to be, as ratios of medians taken in one run."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from planning import IMPORTS, JSON, SHELL, TABLE, named
from rows import Row, find


@dataclass(frozen=True)
class Target:
    """One line of the table; measured is None where something it needs was not measured."""

    what: str
    measured: float | None
    wanted: float
    unit: str
    at_least: bool = False

    @property
    def ok(self) -> bool | None:
        if self.measured is None:
            return None
        return self.measured >= self.wanted if self.at_least else self.measured <= self.wanted


def ratio(above: float | None, below: float | None) -> float | None:
    """Give a quotient, or None when one of the two was not measured."""
    return above / below if above is not None and below else None


def less(whole: float | None, part: float | None) -> float | None:
    """Give a difference, or None when one of the two was not measured."""
    return whole - part if whole is not None and part is not None else None


def targets(rows: Sequence[Row]) -> list[Target]:
    """Give all lines, in the order of the requirement."""

    def get(what: str, n: int, unit: str = "up") -> float | None:
        return find(rows, what, n, unit)

    return [
        *_building(get),
        *_deleting(get),
        *_small(get),
        *_planning(get),
        *_growth(get),
        *_day(get),
    ]


Get = Callable[..., float | None]


def _faster(what: str, peer: float | None, ours: float | None, wanted: float) -> Target:
    return Target(what, ratio(peer, ours), wanted, "x faster", at_least=True)


def _building(get: Get) -> Iterator[Target]:
    whole = get("lab", 1000)
    head = "`up` of 1,000, start-up included, against"
    yield _faster(f"{head} the article's script", get("article", 1000), whole, 14)
    yield _faster(f"{head} mininet", get("mininet", 1000), whole, 7.5)
    yield _faster(f"{head} CNI bridge + host-local", get("cni", 1000), whole, 7.5)
    work = less(whole, get("lab", 2, "again"))
    against = ratio(work, get("pipeline", 1000))
    yield Target("the same less start-up, against the fastest pipeline", against, 1.15, "x")
    head = "`up` of 100, start-up included, against the article's script"
    yield _faster(head, get("article", 100), get("lab", 100), 6)


def _deleting(get: Get) -> Iterator[Target]:
    ours = get("lab", 1000, "down")
    head = "`down` of 1,000, until the links are gone, against"
    yield _faster(f"{head} the article's delete", get("article", 1000, "down"), ours, 1.8)
    yield _faster(f"{head} mininet's", get("mininet", 1000, "down"), ours, 20)


def _small(get: Get) -> Iterator[Target]:
    # Of the same run, since on a busy machine the one half is as slow as the other.
    work = get("bridge", 2, "up - again")
    head = "`up bridge` of 2 less start-up, against the article's script"
    yield Target(head, ratio(work, get("article", 2)), 1, "x")
    head = "`up bridge` of 100, against the article's script"
    yield _faster(head, get("article", 100), get("bridge", 100), 1.8)


def _planning(get: Get) -> Iterator[Target]:
    imports = get(IMPORTS, 0, "seconds")
    start = ratio(get("cnetsh plan bridge", 0, "seconds"), imports)
    yield Target('`plan bridge` against `python -c "import ..."`', start, 1.25, "x")
    for n, wanted, size in ((10_000, 0.5, 200), (100_000, 5, 700)):
        what = named(SHELL)
        yield Target(f"planning {n:,} containers", get(what, n, "seconds"), wanted, "s")
        yield Target(f"planning {n:,}: most memory", get(what, n, "MiB"), size, "MiB")
    for form, word in ((TABLE, "a table"), (JSON, "JSON")):
        seconds = get(named(form), 10_000, "seconds")
        yield Target(f"planning 10,000 containers, as {word}", seconds, 1.2, "s")


def _growth(get: Get) -> Iterator[Target]:
    start = get("lab", 2, "again")
    grown = ratio(less(get("lab", 1000), start), less(get("lab", 100), start))
    yield Target("`up` less start-up, time(1,000)/time(100)", grown, 16, "x")
    yield Target("`up` of 1,000: largest process", get("lab", 1000, "MiB"), 120, "MiB")
    together = get("lab in all", 1000, "MiB in all")
    yield Target("`up` of 1,000: all processes together", together, 120, "MiB")


def _day(get: Get) -> Iterator[Target]:
    yield Target("`check` of 100", get("a day", 100, "check"), 0.5, "s")
    yield Target("`check` of 1,000, right after `up`", get("a day", 1000, "check"), 10, "s")
    for what in ("status --drift", "diff", "graph --live"):
        yield Target(f"`{what}` of 1,000", get("a day", 1000, what), 2, "s")
    for verb in ("up", "down"):
        grown = ratio(get("five bridges", 4000, verb), get("five bridges", 1000, verb))
        head = f"`{verb}` of 4,000 over five bridges, for each container, against 1,000"
        yield Target(head, grown and grown / 4, 1.5, "x")
