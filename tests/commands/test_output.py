"""Output that cannot be written: silence where nobody reads on, else what to do and exit 1."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from broken import CODES, WAYS, broken, cnetsh

# Long and short output: what fits the buffer is written only at the end.
OFTEN = ["labs", "plan routing --format json --set containers=300", "graph veth", "--help"]
COMMANDS = [
    *OFTEN,
    *(
        pytest.param(words, marks=pytest.mark.soak)
        for words in (
            "labs --json",
            "plan veth",
            "plan routing --on sandbox:nosuch",
            "script routing",
            "graph routing --format svg",
            "schema",
            "status --json --on sandbox:nosuch",
            "sandbox list --json",
            "--version",
            "plan --help",
        )
    ),
]


@pytest.fixture(autouse=True)
def no_sandboxes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))


class TestStandardOutput:
    @pytest.mark.parametrize("way", [way for way in WAYS if not WAYS[way]])
    @pytest.mark.parametrize("words", COMMANDS)
    def test_to_a_reader_who_has_gone_ends_in_silence(self, words: str, way: str) -> None:
        done = cnetsh(way, words)
        assert (done.returncode, done.stderr) == (CODES[way], "")

    def test_also_where_nothing_is_buffered(self) -> None:
        done = cnetsh("a closed pipe", "labs", PYTHONUNBUFFERED="1")
        assert (done.returncode, done.stderr) == (141, "")

    @pytest.mark.parametrize("way", [way for way in WAYS if WAYS[way]])
    @pytest.mark.parametrize("words", COMMANDS)
    @pytest.mark.parametrize("unbuffered", ["", "1"])
    def test_that_cannot_be_written_says_so(self, words: str, way: str, unbuffered: str) -> None:
        done = cnetsh(way, words, PYTHONUNBUFFERED=unbuffered)
        said = f"cnetsh: standard output cannot be written: {WAYS[way]}\n"
        assert (done.returncode, done.stderr) == (1, f"{said}  let it go elsewhere: > FILE\n")

    @pytest.mark.parametrize("way", WAYS)
    def test_says_nothing_of_it_where_that_cannot_be_written_either(self, way: str) -> None:
        for words in ("schema", "labs"):
            done = cnetsh(way, words, "stdout", "stderr")
            assert done.returncode == CODES[way]

    @pytest.mark.parametrize("way", WAYS)
    def test_is_not_needed_for_a_file(self, tmp_path: Path, way: str) -> None:
        for words in ("plan veth", "script veth", "graph veth", "new own"):
            path = tmp_path / words.replace(" ", "-")
            done = cnetsh(way, f"{words} -o {path}")
            assert (done.returncode, done.stderr) == (0, f"wrote {path}\n")

    @pytest.mark.parametrize("way", WAYS)
    def test_is_not_needed_for_a_refusal(self, way: str) -> None:
        done = cnetsh(way, "plan nosuch")
        assert done.returncode == 2 and done.stderr.startswith("cnetsh: unknown lab")


class TestWhatIsSaid:
    @pytest.mark.parametrize("way", WAYS)
    def test_need_not_be_written(self, tmp_path: Path, way: str) -> None:
        """Nor does it go to standard output, or into a file that was opened meanwhile."""
        codes = {
            "plan nosuch": 2,
            f"new own -o {tmp_path / 'own'}": 0,
            "status --on sandbox:nosuch": 0,
        }
        for words, code in codes.items():
            done = cnetsh(way, words, "stderr")
            assert (done.returncode, done.stdout) == (code, "")
        assert (tmp_path / "own").read_text().startswith("#")

    def test_stands_where_it_was_said(self) -> None:
        code = "from cnetsh.commands import output; print('one'); output.say('two'); print('three')"
        env = {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"}
        argv = [sys.executable, "-c", code]
        assert subprocess.check_output(
            argv, stderr=subprocess.STDOUT, text=True, env=env
        ).split() == ["one", "two", "three"]

    @pytest.mark.parametrize("action", ["say('two')", "show('two')", "show_error(CnetshError(''))"])
    @pytest.mark.parametrize("way", WAYS)
    def test_stops_nothing(self, way: str, action: str) -> None:
        done = said(way, f"output.say('one'); output.{action}; print('went on')")
        assert (done.returncode, done.stdout) == (0, "went on\n")

    def test_is_dropped_where_no_descriptor_is_left(self) -> None:
        limit = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))"
        done = said("a full disk", f"{limit}; output.say('one'); print('went on')")
        assert done.stdout == "went on\n"


def said(way: str, code: str) -> "subprocess.CompletedProcess[str]":
    start = (
        "from cnetsh.system.files import fill_streams; fill_streams()\n"
        "from cnetsh.commands import output; from cnetsh.errors import CnetshError\n"
    )
    with broken(way, "stderr") as options:
        argv = [sys.executable, "-c", start + code]
        return subprocess.run(argv, text=True, timeout=120, **options)
