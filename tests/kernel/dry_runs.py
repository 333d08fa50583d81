"""What a dry run prints, held against what the same command without it then runs.

What is up and what others did comes from sequences by a seed; what is asked for are the commands of
cnetsh in them, and `recover` after one that was killed. Each is asked first with --dry-run.

A script for the inside of a private host: `python dry_runs.py SEEDS`, as JSON; one line of JSON for
each question.
"""

import json
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import meanwhile
import sequences

LOG = Path("/run/log")


def questions(seed: int) -> list[dict[str, Any]]:
    """What came of each question of a sequence."""
    one = sequences.sequence(seed)
    host = meanwhile.Host(one.start)
    try:
        host.answer()
        return list(_played(one, host))
    finally:
        host.end()


def _played(one: sequences.Sequence, host: meanwhile.Host) -> Iterator[dict[str, Any]]:
    dice = random.Random(one.seed)

    def do(*words: Any) -> Any:
        host.ask(*words)
        return host.answer()

    def twice(*words: str) -> dict[str, Any]:
        return {"seed": one.seed, "asked": " ".join(words)} | do("twice", *words)

    for event in one.events:
        lab = one.labs[event.lab]
        up = ("up", lab.given, "--allow-overlap", "--yes")
        if event.what == "others":
            do("typed", event.command.text)
        elif event.what == "down":
            if dice.random() < 0.4:
                yield twice(*up)
            yield twice("down", lab.name)
        else:
            do("written", lab.changed if event.what == "change" else lab.files)
            if dice.random() < 0.3:
                do("killed", dice.uniform(0.05, 0.3), *up)
                yield twice("recover")
            yield twice(*up)


def _twice(*words: str) -> dict[str, Any]:
    """Asks for a command first with --dry-run; gives what was printed, and what then ran."""
    dry_code, printed, dry_said = answered(*words, "--dry-run")
    LOG.write_text("")
    code, _, said = answered(*words, "--log", str(LOG))
    records = [json.loads(line) for line in LOG.read_text().splitlines()]
    return {
        "codes": [dry_code, code],
        "printed": [line[2:] for line in printed.splitlines()],
        "said": [dry_said, said],
        "ran": [[one["verb"], one["command"], one["exit_code"]] for one in records],
    }


def answered(*words: str) -> tuple[int, str, str]:
    """The exit code of cnetsh, and what it printed to each of its outputs."""
    with tempfile.TemporaryFile("w+") as printed, tempfile.TemporaryFile("w+") as said:
        pid = os.fork()
        if not pid:
            meanwhile.become(printed.fileno(), said.fileno(), words)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        printed.seek(0)
        said.seek(0)
        return code, printed.read(), said.read()


def killed(seconds: float, *words: str) -> int:
    """A command of cnetsh that is killed after so long, if it has not ended by then."""
    pid = os.fork()
    if not pid:
        null = os.open(os.devnull, os.O_RDWR)
        meanwhile.become(null, null, words)
    time.sleep(seconds)
    os.kill(pid, signal.SIGKILL)
    return os.waitpid(pid, 0)[1]


meanwhile.DO |= {"twice": _twice, "killed": killed}


def wrong(one: dict[str, Any]) -> str:
    """Why a run is not what its dry run had printed, nothing where it is."""
    dry, code = one["codes"]
    if "Traceback" in "".join(one["said"]):
        return "a traceback"
    if dry or code == 2:
        same = dry == code and not one["printed"] and not one["ran"]
        return "" if same else f"refused by one: {dry} and {code}"
    ran, printed = [text for verb, text, _ in one["ran"] if verb != "mend"], one["printed"]
    if code == 1:
        # A command failed: what had begun is as printed, and then that is undone.
        at = next((n for n, (_, _, failed) in enumerate(one["ran"]) if failed), len(ran))
        ran, printed = ran[: at + 1], printed[: at + 1]
    if len(ran) > 50:
        # Of those in different namespaces nobody knows which ends first.
        ran, printed = sorted(ran), sorted(printed)
    if ran != printed:
        return "other commands"
    mended = len(ran) != len(one["ran"])
    said = "then what" in one["said"][0]
    return "mended without a word" if mended and code != 1 and not said else ""


def main(seeds: list[int]) -> None:
    for found in meanwhile.many(questions, seeds):
        for one in found:
            print(json.dumps(one | {"wrong": wrong(one)}), flush=True)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
