"""The model of forwarding against the kernel: every address from everybody, taps as the witness."""

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from generated import lab_file
from hosts import Private
from matrix import unknown, wrong
from mutants import mutant

from cnetsh.errors import CnetshError
from cnetsh.labs import builtin, choose

HERE = Path(__file__).resolve().parent
EXAMPLES = sorted(map(str, (HERE.parents[1] / "examples").glob("*.yaml")))
MATRIX = str(HERE / "matrix.py")
SANDBOX = [step.text for step in choose.part("sandbox", (), "up").steps]

FEW = ("neighbours-of-strange-links", "policy-rules")
# Pairs of the hard labs of which the model says that it does not know.
UNKNOWN = {
    "bridges-in-a-row": 7,  # a port that does not flood, behind which somebody may be known
    "hairpin": 1,  # a frame to a wrong MAC address that a bridge translates
    "marks": 8,  # connmark
    "mtu-cut": 2,  # the second of two fragments
    "proxy-arp": 1,  # arp_ignore, before who may be known
    "refused-duplicates": 5,  # who has one's own address may be known
    "rp-filter-and-rules": 10,  # several next hops
    "silent-neighbours": 9,  # who asks nobody, or is not answered, may know or be known
    "two-in-one-subnet": 7,  # an address that is there twice
    "vxlan": 2,
}


def lines_of(lab: str) -> list[str]:
    """A lab's steps, but for what this kernel may lack, and files, which all would share."""
    texts = [step.text for step in choose.part(lab, (), "up").steps]
    return [text for text in texts if "netem" not in text and "/etc/netns" not in text]


def tried(private: Private, labs: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    asked = [{"before": SANDBOX, **lab} for lab in labs]
    text = "".join(json.dumps(one) + "\n" for one in asked)
    results = private.rows(MATRIX, input=text, timeout=60 * len(asked) + 60)
    assert not any("trace" in one for one in results), results
    return results


def known(labs: dict[str, list[str]]) -> Iterator[dict[str, Any]]:
    yield from ({"name": name, "lines": lines} for name, lines in labs.items())


def hard(*names: str) -> Iterator[dict[str, Any]]:
    """Labs that were written to be hard for the model; a first line may say what is sent."""
    for path in sorted((HERE / "hard").glob("*.sh")):
        text = path.read_text()
        sent = re.match(r"# packets (\d+)( whole)?", text)
        lines = [line for line in text.splitlines() if not line.startswith("#")]
        if not names or path.stem in names:
            size, whole = (int(sent[1]), bool(sent[2])) if sent else (84, False)
            yield {"name": path.stem, "lines": lines, "size": size, "whole": whole}


def test_what_is_said_of_every_pair_is_so(private: Private) -> None:
    labs = {name: lines_of(name) for name in ("conflict", "routing", EXAMPLES[-1])}
    results = tried(private, known(labs))
    assert [line for one in results for line in wrong(one)] == []
    assert sum(len(one["rows"]) for one in results) > 60
    assert not any(map(unknown, results))


def _hard(private: Private, *names: str) -> None:
    results = tried(private, hard(*names))
    assert [line for one in results for line in wrong(one)] == []
    doubtful = {one["name"]: unknown(one) for one in results}
    assert doubtful == {name: UNKNOWN.get(name, 0) for name in doubtful}


def test_what_is_said_of_a_hard_lab_is_so(private: Private) -> None:
    _hard(private, *FEW)


@pytest.mark.soak
@pytest.mark.parametrize("lab", [one["name"] for one in hard() if one["name"] not in FEW])
def test_hard_labs(private: Private, lab: str) -> None:
    _hard(private, lab)


@pytest.mark.soak
@pytest.mark.parametrize("lab", [*builtin.LABS, *EXAMPLES])
def test_labs_and_examples(private: Private, lab: str) -> None:
    (found,) = tried(private, known({lab: lines_of(lab)}))
    assert wrong(found) == []
    assert not unknown(found)


@pytest.mark.soak
@pytest.mark.parametrize("first", range(0, 130, 10))
def test_generated_labs(private: Private, tmp_path: Path, first: int) -> None:
    results = tried(private, known(dict(_generated(tmp_path, first, first + 10))))
    assert [line for one in results for line in wrong(one)] == []


@pytest.mark.soak
@pytest.mark.parametrize("read", [True, False], ids=["plan", "seen"])
@pytest.mark.parametrize("first", range(0, 250, 10))
def test_mutants(private: Private, tmp_path: Path, first: int, read: bool) -> None:
    there = {lab: lines_of(lab) for lab in (*builtin.LABS, *EXAMPLES)}
    there |= dict(_generated(tmp_path, 0, 30))
    bases = list(there.items())
    labs = {}
    for seed in range(first, first + 10):
        name, lines = bases[seed * 7 % len(bases)]
        what, changed = mutant(lines, seed, read)
        labs[f"{seed} {name} {what}"] = changed
    results = tried(private, known(labs))
    assert [line for one in results for line in wrong(one)] == []


def _generated(folder: Path, first: int, last: int) -> Any:
    for seed in range(first, last):
        path = folder / f"g{seed}.yaml"
        path.write_text(lab_file(seed))
        try:
            yield f"g{seed}", lines_of(str(path))
        except CnetshError:
            continue
