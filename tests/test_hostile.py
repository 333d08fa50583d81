"""Hostile input at the command line: a clean refusal with one line and exit 2, or a sound plan."""

import contextlib
import io
import re
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_names import ADDRESSES, COUNTS, NAMES, SIXTEEN

from cnetsh.cli import main
from cnetsh.kinds.change import OWNED, Make, refs_of
from cnetsh.labs import builtin
from cnetsh.plan import steps

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
HOSTILE = {
    "interface": ("bridge", "bridge", [*NAMES, SIXTEEN, "lo"]),
    "netns": ("container", "netns", [*NAMES, "n" * 65, "1", "host"]),
    "address": ("veth", "host_address", ADDRESSES),
    "network": ("routing", "subnet", ADDRESSES),
    "count": ("routing", "containers", COUNTS),
}
UNFIT = [
    ("bridge", "subnet", "10.0.0.0/30"),
    ("bridge", "gateway", "10.9.9.9"),
    ("bridge", "gateway", "172.18.0.10"),
    ("veth", "peer_address", "172.18.0.10/12"),
    ("veth", "peer", "veth0"),
    ("bridge", "nosuch", "1"),
    ("brigde", "bridge", "br0"),
    ("", "bridge", "br0"),
    ("../veth", "peer", "x"),
    ("/etc/passwd", "peer", "x"),
]


def cnetsh(*arguments: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of the command line, in this process."""
    out, err, argv = io.StringIO(), io.StringIO(), sys.argv
    sys.argv = ["cnetsh", *arguments]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main.main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    finally:
        sys.argv = argv
    return code, out.getvalue(), err.getvalue()


def is_a_clean_refusal(code: int, out: str, err: str) -> None:
    assert (code, out) == (2, "")
    first, *more = err.splitlines()
    assert first.startswith("cnetsh: ") and err.isascii() and "Traceback" not in err
    # One line for each mistake of a lab file, and at most one hint.
    assert all(line.isprintable() for line in (first, *more))
    assert sum(line.startswith("  ") for line in more) <= 1


def is_refused_or_sound(*arguments: str) -> bool:
    """Checks one input; says whether it was taken."""
    code, out, err = cnetsh("plan", *arguments, "--format", "shell", "--no-sudo")
    if code:
        is_a_clean_refusal(code, out, err)
        return False
    for line in out.splitlines():
        made = (one for one in steps.changes_of(line) if isinstance(one, Make))
        for ref in (ref for one in made if one.ref.kind in OWNED for ref in refs_of(one)):
            name = ref.name.removeprefix("/etc/netns/") if ref.kind == "folder" else ref.name
            assert ref.kind == "chain" or re.fullmatch(r"[A-Za-z][A-Za-z0-9_.-]{0,63}", name)
            assert ref.kind != "link" or len(ref.name) <= 15
    return True


@pytest.fixture(autouse=True)
def no_target(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CNETSH_ON", raising=False)


COMMANDS = pytest.mark.parametrize("command", [["plan"], ["up", "--dry-run"]], ids=["plan", "up"])


def is_refused_with_its_place(command: list[str], name: str, key: str, text: str) -> None:
    code, out, err = cnetsh(*command, name, "--set", f"{key}={text}")
    is_a_clean_refusal(code, out, err)
    assert key in err or name in err


@COMMANDS
@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_text_is_refused_for_each_kind(command: list[str], kind: str) -> None:
    name, key, texts = HOSTILE[kind]
    for text in texts:
        is_refused_with_its_place(command, name, key, text)


@COMMANDS
@pytest.mark.parametrize(("name", "key", "text"), UNFIT)
def test_what_does_not_fit_is_refused(command: list[str], name: str, key: str, text: str) -> None:
    is_refused_with_its_place(command, name, key, text)


TEXTS = st.one_of(
    st.sampled_from([*NAMES, *ADDRESSES, *COUNTS]),
    st.text(st.characters(exclude_characters="\0"), max_size=20),
    st.text("abc019-_.:/ ", max_size=17),
    st.from_regex(r"[a-z][a-z0-9]{0,9}", fullmatch=True),
    st.from_regex(r"10\.[0-9]{1,3}\.0\.[0-9]{1,3}/(8|16|24|30|31|32)", fullmatch=True),
    st.integers(-3, 40).map(str),
)
SETTINGS = st.sampled_from(builtin.LABS).flatmap(
    lambda name: st.tuples(
        st.just(name),
        st.lists(
            st.tuples(
                st.sampled_from(
                    sorted(builtin.read_sheet(builtin.shipped("templates") / name).parameters)
                ),
                TEXTS,
            ).map("=".join),
            max_size=3,
        ),
    )
)
FILES = [path.read_text(encoding="utf-8") for path in sorted(EXAMPLES.glob("*.yaml"))]


@st.composite
def lab_files(draw: st.DrawFn) -> str:
    """A lab file with a few of its words or lines replaced, or any text at all."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.text(st.characters(codec="utf-8"), max_size=200))
    words = re.split(r"([\s,:{}\[\]]+)", draw(st.sampled_from(FILES)))
    for _ in range(draw(st.integers(0, 4))):
        words[draw(st.integers(0, len(words) - 1))] = draw(TEXTS)
    return "".join(words)


def takes_any_settings(example: tuple[str, list[str]]) -> bool:
    name, given_ = example
    return is_refused_or_sound(name, *(word for one in given_ for word in ("--set", one)))


def takes_any_file(text: str) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "lab.yaml")
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        return is_refused_or_sound(str(path))


CALM = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@settings(CALM, max_examples=100)
@given(SETTINGS)
def test_any_settings(example: tuple[str, list[str]]) -> None:
    takes_any_settings(example)


@settings(CALM, max_examples=100)
@given(lab_files())
def test_any_lab_file(text: str) -> None:
    takes_any_file(text)
