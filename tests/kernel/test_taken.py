"""Any lab that is not refused comes up and goes down again, and the kernel is as it was."""

from pathlib import Path

from hosts import Private
from hypothesis import HealthCheck, Phase, given, settings
from runs import Rows, crash
from test_hostile import SETTINGS, lab_files, takes_any_file, takes_any_settings

Labs = list[tuple[str, list[str]]]


def labs_taken(folder: Path, examples: int) -> Labs:
    """Those of so many settings and as many files that are not refused; the files are written."""
    found: Labs = []
    many = settings(
        deadline=None,
        max_examples=examples,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )

    @many
    @given(SETTINGS)
    def any_settings(example: tuple[str, list[str]]) -> None:
        if takes_any_settings(example):
            found.append(example)

    @many
    @given(lab_files())
    def any_file(text: str) -> None:
        if takes_any_file(text):
            file = folder / f"{len(found)}.yaml"
            file.write_text(text)
            found.append((str(file), []))

    any_settings()
    any_file()
    return found


def wrong(rows: Rows) -> list[str]:
    """A line for each lab that failed though it was not refused, or that left something."""
    return [
        f"{row['run']}: exit {row['exit']}, left {row['left']}\n{row['said']}"
        for row in rows
        if row["exit"] not in (0, 2) or row["left"]
    ]


def test_what_is_taken_comes_up_and_goes(private: Private, tmp_path: Path) -> None:
    """`make soak` takes thousands."""
    rows = crash(private, "taken", labs=labs_taken(tmp_path, 15))
    assert wrong(rows) == []
    assert [row["exit"] for row in rows].count(0) > 0
