"""What `explain` says comes from the kinds, the words, the traps, the labs and each undo."""

import pytest

from cnetsh import kinds
from cnetsh.commands import explain
from cnetsh.commands.words import WORDS
from cnetsh.doctor.table import TRAPS
from cnetsh.errors import CnetshError
from cnetsh.labs import builtin


@pytest.fixture(autouse=True)
def piped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)


def said(thing: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert explain.run([thing]) == 0
    return capsys.readouterr().out


def test_all_that_has_a_name_is_known(capsys: pytest.CaptureFixture[str]) -> None:
    for kind in kinds.ALL:
        assert said(kind, capsys) == f"{kind}: {kinds.explained(kind)}\n"
    for word, sentence in WORDS.items():
        assert f"{word}: {sentence}\n" in said(f" {word.title()} ", capsys)
    for lab in builtin.LABS:
        assert f"\ncnetsh plan {lab}\n" in f"\n{said(lab, capsys)}"
    for trap in TRAPS:
        shown = said(trap.id, capsys)
        assert f"{trap.id}: {trap.title}\n  seen    " in shown
        assert f"  done    {trap.done}\n  source  {trap.source}\n" in shown
        assert "seen    \n" not in shown
    assert said("p01", capsys) == said("P01", capsys)


# As plans, pictures, checks and `why` print them.
PRINTED = (
    "covered", "not tried", "layer", "namespace", "router", "NAT", "cable", "published port",
    "isolated", "drift", "gateway", "host", "patch",
)  # fmt: skip


@pytest.mark.parametrize("word", PRINTED)
def test_a_word_that_is_printed_is_explained(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert said(word, capsys).startswith(f"{word.lower()}: ")


def test_no_kind_is_explained_as_another_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert "VLAN" in said("vlan", capsys) and "group" in said("group", capsys)


@pytest.mark.parametrize(
    "step", ["ip link set a0 up", "echo 1 | tee /proc/sys/net/ipv4/ip_forward"]
)
def test_a_line_of_a_script_is_explained_with_its_sudo(
    step: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before, pipe, last = step.rpartition("| ")
    assert said(f"{before}{pipe}sudo {last}", capsys) == said(step, capsys)


def test_a_step_says_what_it_changes_why_and_its_undo(capsys: pytest.CaptureFixture[str]) -> None:
    lines = said("ip netns exec net0 ip  route add default via 172.18.0.1", capsys).splitlines()
    assert lines[:3] == [
        "makes route default via 172.18.0.1 in net0",
        f"  {kinds.explained('route')}",
        "  as in bridge: ip netns exec net0 ip route add default via 172.18.0.1",
    ]
    assert lines[3].startswith("    Everything outside 172.16.0.0/12 goes to br0.")
    assert lines[4:] == ["undo: ip netns exec net0 ip route delete default via 172.18.0.1"]


@pytest.mark.parametrize(
    ("step", "first", "last"),
    [
        ("ip link set a0 up", "sets link a0 up", "undo: ip link set a0 down"),
        (
            "ip link set veth0 netns net0",
            "moves link veth0 to namespace net0",
            "undo: no command of its own: it goes with the step that made the link",
        ),
        (
            "ip link add a0 type veth peer name b netns c",
            "makes link a0, and link b in c",
            "undo: ip link delete a0",
        ),
        (
            "ip link set p nomaster",
            "sets link p to have no master",
            "undo: no command of its own: put back from the snapshot",
        ),
        (
            "ip route delete default",
            "removes route default",
            "undo: no command of its own: what it removes cannot be put back",
        ),
        (
            "echo 1 | tee /proc/sys/net/ipv4/ip_forward",
            "sets setting /proc/sys/net/ipv4/ip_forward to 1",
            "undo: echo 0 | tee /proc/sys/net/ipv4/ip_forward",
        ),
        ("ping -c1 1.1.1.1", *2 * ["changes nothing: it looks, or checks"]),
    ],
)
def test_each_verb_has_its_words(
    step: str, first: str, last: str, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = said(step, capsys).splitlines()
    assert (lines[0], lines[-1]) == (first, last)


@pytest.mark.parametrize(
    ("thing", "told"),
    [
        ("nosuch", "nothing is known of 'nosuch'"),
        ("rout", "nothing is known of 'rout' (did you mean route?)"),
        ("snapshoot", "nothing is known of 'snapshoot' (did you mean snapshot?)"),
        ("routin", "nothing is known of 'routin' (did you mean routing?)"),
        ("P99", "nothing is known of 'P99'"),
        ("", "nothing is known of ''"),
        ("rm -rf /", "explain: line 1: rm -rf /: not an allowed command"),
        ("ip lnk set a0 up", "not an allowed command; say: ip link set a0 up"),
    ],
)
def test_what_is_unknown_is_refused_with_what_was_meant(thing: str, told: str) -> None:
    with pytest.raises(CnetshError) as refused:
        explain.run([thing])
    assert told in refused.value.message
