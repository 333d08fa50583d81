"""The ratios as bars: how many times as fast as the article's script each way is."""

from collections.abc import Iterator, Sequence
from html import escape

from rows import WAYS, Row, find
from targets import ratio

WIDTH, LEFT, BAR, GAP, HEAD = 760, 290, 18, 6, 44
STYLE = (
    "text{font:13px sans-serif;fill:#1f2328}.h{font-weight:bold}.s{fill:#59636e;font-size:12px}"
    ".b{fill:#afb8c1}.c{fill:#0969da}"
)


def draw(rows: Sequence[Row], footer: str) -> str:
    """Give the SVG: `up` and `down` of the largest number that was measured, and `up` of 100."""
    most = max((row.n for row in rows if row.what == "article"), default=0)
    panels = dict.fromkeys([("up", most), ("up", 100), ("down", most)])
    body: list[str] = []
    top = 10
    for unit, n in panels:
        bars = _bars(rows, unit, n)
        body += _panel(top, f"{unit} of {n:,} containers", bars) if bars else []
        top += HEAD + len(bars) * (BAR + GAP) if bars else 0
    body.append(f'<text class="s" x="16" y="{top + 14}">{escape(footer)}</text>')
    return _document(top + 28, body)


def _bars(rows: Sequence[Row], unit: str, n: int) -> list[tuple[str, str, float]]:
    script = find(rows, "article", n, unit)
    found = ((way, ratio(script, find(rows, way, n, unit))) for way in WAYS)
    bars = [(way, WAYS[way].replace("`", ""), times) for way, times in found if times]
    return sorted(bars, key=lambda bar: -bar[2])


def _panel(top: int, title: str, bars: Sequence[tuple[str, str, float]]) -> Iterator[str]:
    longest = max(times for _, _, times in bars)
    yield f'<text class="h" x="16" y="{top + 20}">{title}: times as fast as the script</text>'
    for number, (way, name, times) in enumerate(bars):
        y = top + 32 + number * (BAR + GAP)
        width = max(1, round(times / longest * (WIDTH - LEFT - 80)))
        style = "c" if way in ("lab", "bridge") else "b"
        yield f'<text x="{LEFT - 8}" y="{y + 14}" text-anchor="end">{escape(name)}</text>'
        yield f'<rect class="{style}" x="{LEFT}" y="{y}" width="{width}" height="{BAR}" rx="2"/>'
        yield f'<text x="{LEFT + width + 6}" y="{y + 14}">{times:.3g}x</text>'


def _document(height: int, body: Sequence[str]) -> str:
    size = f'width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}"'
    ground = f'<rect width="{WIDTH}" height="{height}" rx="6" fill="#ffffff"/>'
    lines = [f"<style>{STYLE}</style>", ground, *body, "</svg>"]
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">\n' + "\n".join(lines) + "\n"
