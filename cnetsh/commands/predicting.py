"""What commands say of a plan's checks before anything runs: only what will surprise."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from cnetsh.commands.output import say
from cnetsh.forwarding.network import Network
from cnetsh.forwarding.predict import BEGINS, Surprise, alike, foretold, surprise_lines
from cnetsh.forwarding.seen import OF_ALL, OF_LINKS, network_of, new_machine
from cnetsh.forwarding.settle import settle
from cnetsh.kinds.change import Answers, Change
from cnetsh.labs import choose
from cnetsh.labs.expected import MOST_STEPS
from cnetsh.plan.steps import Plan, Plans, Step

MOST_TRIED = 30  # networks of one look; one of a thousand namespaces takes a tenth of a second
_LEFT = f"more than {MOST_STEPS:,} steps: doctor tells how the checks will end"


def is_long(up: Plan) -> bool:
    """Say whether a plan is too long for a look at its checks, and that is left to doctor."""
    return len(up.steps) > MOST_STEPS


def foretell_in_sandbox(up: Plan, check: Plan | None, verbose: bool) -> None:
    """Tell what will surprise in a sandbox of a plan's own; check: None of one that is too long."""
    if check is None or is_long(up):
        say(_LEFT)
        return
    network = new_machine(_beginnings())
    settle(choose.part("sandbox", (), "up").changes, network)
    tell_surprises(foretold(up, check, network), verbose)


def _beginnings() -> dict[str, str]:
    """Give what a new namespace begins with, as far as it can be told from this process's own.

    Settings of links of IPv4 are those of the machine's first one (devinet_init_net), a bridge asks
    iptables wherever br_netfilter is loaded.
    """
    found = {}
    for path in BEGINS:
        with suppress(OSError):
            if "/bridge/" in path or "/ipv4/conf/" in path:
                found[path] = "1" if "/bridge/" in path else Path(path).read_text().strip()
    return found


def surprises_before(plans: Plans, seen: Answers) -> list[Surprise]:
    """Give what will surprise, or tell that only doctor looks for it; seen: as tools just said."""
    if is_long(plans.up):
        say(_LEFT)
        return []
    return surprises_here(plans, seen)


def surprises_here(plans: Plans, seen: Answers) -> list[Surprise]:
    """Give what will surprise whoever runs a plan in the target that this process is in."""
    return foretold(plans.up, plans.check, network_here(seen=seen))


def surprises_of_change(
    plans: Plans, undone: Iterable[Change], new: Sequence[Step], seen: Answers
) -> list[Surprise]:
    """Give what will surprise whoever makes a lab that is up a plan's: undone goes, new runs."""
    if is_long(plans.up):
        # Of a lab that is up doctor does not tell it either.
        return []
    network = network_here(seen=seen)
    settle(undone, network)
    return foretold(plans.up, plans.check, network, frozenset(new))


def network_here(more: Collection[str] = (), seen: Answers | None = None) -> Network:
    """Give what forwards packets in the target that this process is in."""
    return next(networks_here(more, seen))


def networks_here(more: Collection[str] = (), seen: Answers | None = None) -> Iterator[Network]:
    """Give what forwards packets here, of one look, again and again; more: nameless, by path."""
    # A plan that is only shown goes without it.
    from cnetsh.compare import snapshot
    from cnetsh.system.process import ask

    state = snapshot.look_through(ask, OF_ALL, OF_LINKS, more, seen)
    begins = snapshot.beginnings(BEGINS)
    for _ in range(MOST_TRIED):
        yield network_of(state, begins)


def tell_surprises(surprises: Sequence[Surprise], verbose: bool) -> None:
    """Tell how steps and checks end otherwise than they say; verbose: and what is not known."""
    # Of pairs that nobody tries doctor tells.
    for several in alike(surprises, "step", "check"):
        for line in surprise_lines(several):
            say(line)
    if verbose:
        tell_unknown(surprises)


def tell_unknown(surprises: Sequence[Surprise]) -> None:
    """Tell of the checks that may end either way, and why."""
    for one in surprises:
        if one.part == "unknown":
            say(f"check {one.number} {one.says}: {one.text}")
