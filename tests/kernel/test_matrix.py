"""The model of forwarding against the kernel: every address from everybody, taps as the witness."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from generated import lab_file
from hosts import Private
from mutants import mutant

from cnetsh.errors import CnetshError
from cnetsh.labs import builtin, choose

HERE = Path(__file__).resolve().parent
EXAMPLES = sorted(map(str, (HERE.parents[1] / "examples").glob("*.yaml")))
MATRIX = [sys.executable, str(HERE / "matrix.py")]
SANDBOX = [step.text for step in choose.part("sandbox", (), "up").steps]


def lines_of(lab: str) -> list[str]:
    """A lab's steps, but for what this kernel may lack, and files, which all would share."""
    texts = [step.text for step in choose.part(lab, (), "up").steps]
    return [text for text in texts if "netem" not in text and "/etc/netns" not in text]


def tried(private: Private, labs: dict[str, list[str]]) -> list[dict[str, Any]]:
    asked = [{"name": name, "before": SANDBOX, "lines": lines} for name, lines in labs.items()]
    text = "".join(json.dumps(one) + "\n" for one in asked)
    done = private.run(MATRIX, input=text, timeout=20 * len(labs) + 60)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def wrong(found: dict[str, Any]) -> list[str]:
    """What the model said otherwise than the kernel did."""
    assert "trace" not in found, found["trace"]
    if found["full"]:
        return []  # the machine's one table of neighbours was full, so this says nothing
    lines = []
    if not found["unread"] and {*map(int, found["refused"])} != {*found["failed"]}:
        lines = [f"refused {found['refused']}, but {found['failed']} failed"]
    for row in found["rows"]:
        for said in (row[way] for way in ("plan", "seen") if way in row):
            place = row["works"] or said["place"] == row["place"]
            if said["works"] is not None and (said["works"] is not row["works"] or not place):
                lines.append(f"{row['sender'] or 'host'} to {row['to']}: {row} {said}")
    return [f"{found['name']}: {line}" for line in lines]


def unknown(found: dict[str, Any]) -> int:
    return sum(row["seen"]["works"] is None for row in found["rows"])


def test_what_is_said_of_every_pair_is_so(private: Private) -> None:
    labs = {name: lines_of(name) for name in ("conflict", "routing", EXAMPLES[-1])}
    results = tried(private, labs)
    assert [line for one in results for line in wrong(one)] == []
    assert sum(len(one["rows"]) for one in results) > 60
    assert not any(map(unknown, results))


@pytest.mark.soak
@pytest.mark.parametrize("lab", [*builtin.LABS, *EXAMPLES])
def test_labs_and_examples(private: Private, lab: str) -> None:
    (found,) = tried(private, {lab: lines_of(lab)})
    assert wrong(found) == []
    assert not unknown(found)


@pytest.mark.soak
@pytest.mark.parametrize("first", range(0, 130, 10))
def test_generated_labs(private: Private, tmp_path: Path, first: int) -> None:
    results = tried(private, dict(_generated(tmp_path, first, first + 10)))
    assert [line for one in results for line in wrong(one)] == []


@pytest.mark.soak
@pytest.mark.parametrize("read", [True, False], ids=["plan", "seen"])
@pytest.mark.parametrize("first", range(0, 250, 10))
def test_mutants(private: Private, tmp_path: Path, first: int, read: bool) -> None:
    known = {lab: lines_of(lab) for lab in (*builtin.LABS, *EXAMPLES)}
    known |= dict(_generated(tmp_path, 0, 30))
    bases = list(known.items())
    labs = {}
    for seed in range(first, first + 10):
        name, lines = bases[seed * 7 % len(bases)]
        what, changed = mutant(lines, seed, read)
        labs[f"{seed} {name} {what}"] = changed
    results = tried(private, labs)
    assert [line for one in results for line in wrong(one)] == []


def _generated(folder: Path, first: int, last: int) -> Any:
    for seed in range(first, last):
        path = folder / f"g{seed}.yaml"
        path.write_text(lab_file(seed))
        try:
            yield f"g{seed}", lines_of(str(path))
        except CnetshError:
            continue
