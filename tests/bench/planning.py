"""What starting and planning cost: whole processes, their time and their most memory.

`plan --format shell` prints the bare commands; a table and JSON also say how each step is undone.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from private import ENVIRONMENT, BrokenError
from rows import Row
from ways import write_lab

PORTS = 1023
# How many containers are planned, and in which forms.
SHELL, TABLE, JSON = "shell", "rich", "json"
PLANS = ((1_000, SHELL), (10_000, SHELL), (10_000, TABLE), (10_000, JSON), (100_000, SHELL))
QUICK = PLANS[:4]
# What a plan of a built-in lab cannot do without.
IMPORTS = "import typer, jinja2, yaml"
CNETSH = str(Path(sys.executable).with_name("cnetsh"))
STARTS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    IMPORTS: [sys.executable, "-c", IMPORTS],
    "cnetsh --help": [CNETSH, "--help"],
    "cnetsh plan bridge": [CNETSH, "plan", "bridge"],
}


def process(argv: Sequence[str]) -> dict[str, float]:
    """Give the seconds and the MiB of one process with its output thrown away."""
    began = time.perf_counter()
    with tempfile.TemporaryFile("w+") as errors:
        child = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=errors, env=ENVIRONMENT)
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        errors.seek(0)
        if child.returncode:
            raise BrokenError(f"ended with {child.returncode}: {errors.read()[-500:].strip()}")
    return {"seconds": time.perf_counter() - began, "MiB": used.ru_maxrss / 1024}


def letters(number: int) -> str:
    """Give a name without digits, so that no container's number can run into it."""
    return "c" + chr(97 + number // 26) + chr(97 + number % 26)


def groups(n: int) -> list[tuple[str, int]]:
    """Spread n containers evenly over as few bridges as their ports allow."""
    bridges = -(-n // PORTS)
    sizes = [n // bridges + (number < n % bridges) for number in range(bridges)]
    return [(letters(number), size) for number, size in enumerate(sizes)]


def starts(rounds: int) -> list[Row]:
    """Measure starts side by side."""
    rows = [Row(what, 0, "start") for what in STARTS]
    for command in STARTS.values():
        # The first start reads the files from the disk.
        process(command)
    for _ in range(rounds):
        for row in rows:
            row.take(lambda command=STARTS[row.what]: process(command))
    return rows


def named(form: str) -> str:
    """Give what a row is called."""
    return "cnetsh plan LAB.yaml" + (f" --format {form}" if form != SHELL else "")


def plans(wanted: Sequence[tuple[int, str]], rounds: int) -> list[Row]:
    """Measure `plan LAB.yaml` for labs of these sizes in these forms, by turns."""
    rows = [(form, Row(named(form), n, "plan")) for n, form in wanted]
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(rounds):
            for form, row in rows:
                lab = Path(folder, f"{row.n}.yaml")
                write_lab(lab, groups(row.n))
                command = [CNETSH, "plan", str(lab), "--format", form]
                row.take(lambda command=command: process(command))
    return [row for _, row in rows]
