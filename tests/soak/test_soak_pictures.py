"""Pictures of hundreds of networks by their cells, and some as a real browser lays them out."""

import json
import re
import subprocess
from collections.abc import Callable
from html import unescape
from pathlib import Path
from shutil import which

import pytest
from generated import lab_file
from networks import BOTH, EXAMPLES, FILE, LABS, RING, SHARED, of_lab, pictures
from overlaps import faults

from cnetsh.errors import CnetshError
from cnetsh.views.picture.draw import draw
from cnetsh.views.picture.drawing import as_unicode

pytestmark = pytest.mark.soak
Figure = Callable[[str, int, int], None]
CHROMIUM = which("chromium") or which("chromium-browser") or ""
SEEDS = range(60, 560)
# Every frame and label with the box that the browser gives it, in the units of the picture.
MEASURE = """
const svg = document.querySelector("svg"), page = svg.getBoundingClientRect();
const found = [];
for (const one of svg.querySelectorAll("rect, text")) {
  const box = one.getBoundingClientRect(), name = one.getAttribute("class");
  found.push([one.tagName, name, one.textContent, box.left - page.left, box.top - page.top,
              box.right - page.left, box.bottom - page.top]);
}
document.title = "@" + JSON.stringify([page.width, page.height, found]) + "@";
"""


def test_nothing_overlaps_in_hundreds_of_networks(tmp_path: Path, figure: Figure) -> None:
    file, drawn, good = tmp_path / "lab.yaml", 0, 0
    for seed in SEEDS:
        file.write_text(lab_file(seed), encoding="utf-8")
        try:
            network = of_lab(file)
        except CnetshError:
            continue
        for one in pictures(network):
            assert faults(one) == [], f"seed {seed}\n{as_unicode(one)}"
            drawn, good = drawn + 1, good + 1
    figure("pictures of generated networks without a fault", good, drawn)
    assert drawn > 1000


@pytest.mark.skipif(not CHROMIUM, reason="there is no chromium here")
@pytest.mark.parametrize("width", [42, 80, 123])
def test_a_browser_sees_every_label_whole(tmp_path: Path, width: int, figure: Figure) -> None:
    (tmp_path / "home").mkdir()
    labs = [*LABS, *EXAMPLES]
    for number, text in enumerate((RING, BOTH, SHARED, FILE)):
        labs.append(tmp_path / f"{number}.yaml")
        labs[-1].write_text(text, encoding="utf-8")
    for lab in labs:
        seen = measured(draw(of_lab(lab), "svg", width), tmp_path)
        assert clipped(*seen) == [], lab
    figure(f"pictures at {width} columns in a browser", len(labs), len(labs))


def measured(svg: str, folder: Path) -> tuple[float, float, list[list]]:
    page = folder / "page.html"
    page.write_text(
        "<!doctype html><meta charset=utf-8><body style='margin:0'>"
        f"{svg}<script>{MEASURE}</script>",
        encoding="utf-8",
    )
    argv = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--window-size=1400,1400"]
    argv += [f"--user-data-dir={folder / 'home'}", "--dump-dom", page.as_uri()]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120)
    found = re.search(r"<title>@(.*)@</title>", done.stdout, re.DOTALL)
    assert found, done.stderr
    width, height, boxes = json.loads(unescape(found[1]))
    return width, height, boxes


def clipped(width: float, height: float, boxes: list[list]) -> list[str]:
    """Labels and frames that are outside or over another, and labels wider than their frame."""
    texts = [box for box in boxes if box[0] == "text"]
    frames = [box for box in boxes if box[0] == "rect" and box[1] != "paper"]
    sockets = [box for box in frames if box[1] in ("up", "nocarrier", "isdown", "tag", "no")]
    bad = [f"outside: {box}" for box in boxes
           if box[3] < 0 or box[4] < 0 or box[5] > width or box[6] > height]  # fmt: skip
    for some in (texts, sockets):
        bad += [f"over one another: {one} {other}" for at, one in enumerate(some)
                for other in some[at + 1 :] if meet(one, other)]  # fmt: skip
    for text in texts:
        x, y = (text[3] + text[5]) / 2, (text[4] + text[6]) / 2
        around = [box for box in frames if box[3] < x < box[5] and box[4] < y < box[6]]
        home = min(around, key=lambda box: (box[5] - box[3]) * (box[6] - box[4]), default=None)
        if home and not (home[3] - 1 <= text[3] and text[5] <= home[5] + 1):
            bad.append(f"leaves its frame: {text} {home}")
    return bad


def meet(one: list, other: list) -> bool:
    """Whether two boxes overlap by more than the space that a font leaves above and below."""
    return (one[3] + 1 < other[5] and other[3] + 1 < one[5]
            and one[4] + 3 < other[6] and other[4] + 3 < one[6])  # fmt: skip
