"""Inside a VM: labs, examples and the samples of all kinds, up, changed, checked and down again.

Networks are broken too, and `why` has to name what does it, and to mend it; of others it is
foretold who reaches whom.

`in_vm.py FOLDER PART...`: FOLDER is the tests' own, PART a lab, an example's name, a sample, the id
of a breakage, `links` for the samples of links, or N/M for each M-th sample, breakage and network
from the N-th on. A line for each of them, and exit code 1 when one of them went wrong.
"""

import csv
import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

TESTS = Path(sys.argv[1])
sys.path[:0] = ["/usr/lib/cnetsh", str(TESTS / "kernel")]

import battery  # noqa: E402
import crash  # noqa: E402
import inverse  # noqa: E402
import matrix  # noqa: E402
import oracle  # noqa: E402
import warm  # noqa: E402

from cnetsh.kinds import link  # noqa: E402
from cnetsh.labs import choose  # noqa: E402
from cnetsh.labs.builtin import LABS, shipped  # noqa: E402
from cnetsh.plan import saved  # noqa: E402

EXAMPLES = shipped("examples")
# What stays in the lab that a sample is taken out of.
REST = "ip netns add rest\n"
SANDBOX = "\n".join(step.text for step in choose.part("sandbox", (), "up").steps)
with (TESTS / "vm/breakages.tsv").open(newline="") as file:
    BREAKAGES = {row["id"]: row for row in csv.DictReader(file, delimiter="\t", quoting=3)}
NETWORKS = ("vlans",)
# Of these what was meant is not known, or there is no way.
UNMENDED = {"vlan-of-two-numbers", "ipvlan-of-the-host-itself", "vxlan-of-two-ports"}


def cnetsh(*words: str) -> tuple[int, str]:
    return crash.in_child(lambda: inverse.cnetsh(*words))


def expect(code: int, *words: str) -> Iterator[str]:
    found, said = cnetsh(*words)
    if found != code:
        yield f"{' '.join(words)}: exit {found}\n{said}"


def lab(name: str) -> Iterator[str]:
    """A lab, or a lab file: up, all checks well, down, and the kernel is as it was before."""
    before = inverse.kernel(dict)
    yield from expect(0, "up", name)
    yield from expect(0, "check", name)
    yield from expect(0, "down", name)
    yield from oracle.diff(before, inverse.kernel(dict))


def sample(text: str) -> Iterator[str]:
    """A sample: up, out of the lab and in again, taken back by hand and repaired, down."""
    others, own = battery.around(text)
    inverse.host(others)
    before = inverse.kernel(dict)
    with tempfile.TemporaryDirectory() as folder:
        files = {"with": REST + own + text, "without": REST + own}
        for name, steps in files.items():
            plan = saved.as_saved(inverse.plans(steps))
            Path(folder, f"{name}.json").write_text(plan, encoding="utf-8")
        whole, rest = f"{folder}/with.json", f"{folder}/without.json"
        for file in (whole, rest, whole):
            yield from expect(0, "up", file, "--yes", "--allow-overlap")
        inverse.sh(battery.by_hand(text))
        yield from expect(1, "check", "lab")
        yield from expect(0, "repair", "lab", "--yes")
        yield from expect(0, "down", "lab")
        yield from oracle.diff(before, inverse.kernel(dict))


def breakage(name: str) -> Iterator[str]:
    """A network that one command breaks: `why` names what does it, and what it prints mends it."""
    row = BREAKAGES[name]
    inverse.host(SANDBOX)
    yield from expect(0, "up", row["lab"])
    inverse.sh(row["command"])
    before, found = inverse.kernel(dict), why(row)
    yield from oracle.diff(before, inverse.kernel(dict))
    if found["layer"] != row["layer"]:
        yield f"not {row['layer']}: {found}"
    inverse.sh("\n".join(found["fix"]))
    if name not in UNMENDED and not (still := why(row))["arrives"]:
        yield f"not mended by {found['fix']}: {still}"


def why(row: dict[str, str]) -> dict[str, Any]:
    said = cnetsh("why", *row["asked"].split(), "--json")[1]
    return dict(json.loads(said))


def foretold(name: str) -> Iterator[str]:
    """A network of which the model says of everybody and every address what the kernel does."""
    inverse.host("")
    lines = (TESTS / f"vm/hard/{name}.sh").read_text().splitlines()[1:]
    before = SANDBOX.splitlines()
    found = matrix.one_lab({"name": name, "before": before, "lines": lines})
    yield from matrix.wrong(found)
    if count := matrix.unknown(found):
        yield f"not known of {count} pairs"


def tried(name: str, action: Callable[[], Iterator[str]]) -> bool:
    """Do it in a process of its own, which may go into other namespaces, and tell of it."""
    began = time.monotonic()

    def told() -> int:
        lines = list(action())
        print("\n".join(lines))
        return bool(lines)

    code, said = crash.in_child(told)
    print(
        f"{'ok' if not code else 'FAILED':<7}{time.monotonic() - began:5.1f} s  {name}", flush=True
    )
    if code:
        print("        " + said.strip().replace("\n", "\n        "), flush=True)
    return not code


def chosen(parts: list[str], names: Iterable[str]) -> Iterator[str]:
    """Those of the names that the parts name."""
    for number, text in enumerate(names):
        nth = [map(int, part.split("/")) for part in parts if re.fullmatch(r"\d+/\d+", part)]
        of_links = "links" in parts and text in link.SAMPLES
        if text in parts or of_links or any(number % every == first for first, every in nth):
            yield text


def main() -> int:
    parts = sys.argv[2:]
    labs = [one for one in LABS if one in parts]
    labs += [str(EXAMPLES / f"{one}.yaml") for one in parts if (EXAMPLES / f"{one}.yaml").exists()]
    warm.load()
    well = [tried(Path(one).stem, partial(lab, one)) for one in labs]
    well += [tried(text, partial(sample, text)) for text in chosen(parts, battery.SAMPLES)]
    well += [tried(one, partial(breakage, one)) for one in chosen(parts, BREAKAGES)]
    well += [tried(one, partial(foretold, one)) for one in chosen(parts, NETWORKS)]
    print(f"{sum(well)} of {len(well)} well on Linux {os.uname().release}", flush=True)
    return not all(well)


sys.exit(main())
