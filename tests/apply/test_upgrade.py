"""What a journal of the version before knows of the target, and what can be compared with it."""

import json
from pathlib import Path
from typing import Any

import pytest

from cnetsh import kinds
from cnetsh.apply import journal
from cnetsh.apply.upgrade import before_of
from cnetsh.kinds.change import Fact, Found, Ref

RECORDED = Path(__file__).resolve().parents[1] / "kernel/recorded"
NAT = Fact(Ref("chain", "", "iptables nat POSTROUTING"), "rules")


def header(lab: str) -> dict[str, Any]:
    first, _, _ = (RECORDED / f"{lab}.jsonl").read_text(encoding="utf-8").partition("\n")
    return dict(json.loads(first))


def of(name: str, found: Found) -> dict[str, Any]:
    return {fact.key: value for fact, value in found.items() if fact.ref == Ref("link", "", name)}


def test_links_have_what_it_has_seen_of_them() -> None:
    found = before_of(header("routing")["before"])
    eth7 = of("eth7", found)
    assert eth7 | {"": [0]} == {
        "": [0], "up": True, "mtu": 1500, "master": None, "address": "02:00:00:00:07:01",
        "alias": None, "txqueuelen": 1000, "hairpin": False,
    }  # fmt: skip
    # The ifindex alone, for it knew no other number.
    assert len(eth7[""]) == 1


def test_addresses_routes_and_rules() -> None:
    found = before_of(header("routing")["before"])
    names = {(fact.ref.kind, fact.ref.name) for fact in found}
    assert {("address", "10.66.0.1/24"), ("address", "2001:db8::1/64")} <= names
    assert found[Fact(Ref("address", "", "10.66.0.1/24"), "eth7")] == {
        "dev": "eth7", "scope": "global",
    }  # fmt: skip
    assert found[NAT] == ["-o eth7 -j MASQUERADE"]
    assert [fact.ref.name for fact in found if fact.ref.kind == "route"].count("default") == 1


def test_a_journal_of_it_is_known_and_read(tmp_path: Path) -> None:
    lines = (RECORDED / "two.jsonl").read_text(encoding="utf-8").splitlines()
    path = tmp_path / "two.journal"
    path.write_bytes(b"".join(journal.as_line(json.loads(line)) for line in lines))
    one = journal.read_journal(path)
    one.close()
    assert (one.lab, one.old, one.up, one.stands) == ("two", True, True, True)
    assert one.patch is None and len(one.applied) == len(journal.plan_of(one, "up").steps) == 22
    assert one.before[NAT] == ["-o eth7 -j MASQUERADE"]


def test_a_ping_that_it_let_go_on_sends_one_packet(tmp_path: Path) -> None:
    lines = (RECORDED / "routing.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    rows[0]["check"] = rows[0]["check"].replace("ping -c1 -W1", "ping -W1")
    path = tmp_path / "routing.journal"
    path.write_bytes(b"".join(journal.as_line(row) for row in rows))
    one = journal.read_journal(path)
    one.close()
    texts = [step.text for step in journal.plan_of(one, "check").steps]
    pings = [text for text in texts if "ping" in text]
    assert "ip netns exec net0 ping -c1 -W1 172.18.0.1" in pings
    assert all(" ping -c" in f" {text}" for text in pings), pings


@pytest.mark.parametrize("kind", ["neighbour", "fdb", "queue", "policy"])
def test_what_it_has_not_seen_is_not_taken_for_absent(kind: str) -> None:
    found = before_of(header("two")["before"])
    assert kind in kinds.ALL and not any(fact.ref.kind == kind for fact in found)
