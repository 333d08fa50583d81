"""Inside a VM: labs, examples and the samples of all kinds, up, changed, checked and down again.

`in_vm.py FOLDER PART...`: FOLDER is the tests' own, PART a lab, an example's name, a sample,
`links` for the samples of links, or N/M for each M-th sample from the N-th on. A line for each of
them, and exit code 1 when one of them went wrong.
"""

import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

TESTS = Path(sys.argv[1])
sys.path[:0] = ["/usr/lib/cnetsh", str(TESTS / "kernel")]

import battery  # noqa: E402
import crash  # noqa: E402
import inverse  # noqa: E402
import oracle  # noqa: E402
import warm  # noqa: E402

from cnetsh.kinds import link  # noqa: E402
from cnetsh.labs.builtin import LABS, shipped  # noqa: E402
from cnetsh.plan import saved  # noqa: E402

EXAMPLES = shipped("examples")
# What stays in the lab that a sample is taken out of.
REST = "ip netns add rest\n"


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


def chosen(parts: list[str]) -> Iterator[str]:
    """The samples that the parts name."""
    for number, text in enumerate(battery.SAMPLES):
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
    well += [tried(text, partial(sample, text)) for text in chosen(parts)]
    print(f"{sum(well)} of {len(well)} well on Linux {os.uname().release}", flush=True)
    return not all(well)


sys.exit(main())
