"""Mistakes of the kinds that public reports tell of: each is named before it is made."""

import pytest
from mistaken import MISTAKES

from cnetsh.forwarding.predict import foretold
from cnetsh.forwarding.seen import new_machine
from cnetsh.forwarding.settle import settle
from cnetsh.labs import choose
from cnetsh.plan.steps import parse

# New namespaces take it from the machine's first one.
FORWARDING = {f"/proc/sys/net/ipv4/conf/{name}/forwarding": "1" for name in ("all", "default")}


@pytest.mark.parametrize("fresh", [{}, FORWARDING], ids=["", "forwarding"])
@pytest.mark.parametrize(("up", "check", "says"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_named_before_it_is_made(
    up: str, check: str, says: str, fresh: dict[str, str]
) -> None:
    network = new_machine(fresh)
    settle(choose.part("sandbox", (), "up").changes, network)
    plans = [parse(text, "t", "", part, "t") for text, part in ((up, "down"), (check, "check"))]
    found = [one for one in foretold(*plans, network) if one.part != "pair"]
    assert [one.says for one in found] == [f"will fail: {says}"]
