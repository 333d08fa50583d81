"""The command line: help that fits a screen, refusals of one line, exit codes, plain output."""

import inspect
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest
from test_hostile import cnetsh, is_a_clean_refusal
from typer.main import get_command

from cnetsh import commands
from cnetsh.cli import main
from cnetsh.labs.builtin import LABS

FOLDER = Path(commands.__path__[0])
APP = get_command(main.app)
GROUPS = ("sandbox", "vm")
COMMANDS = [name for name in APP.commands if name not in GROUPS]
GROUPED = [f"{group} {name}" for group in GROUPS for name in APP.get_command(None, group).commands]
# A file has the command `run`, or as start_vm each of a group; the others are what commands share.
TEXTS = {path.stem: path.read_text() for path in FOLDER.glob("*.py")}
DONE = {name for name, text in TEXTS.items() if "\ndef run(" in text}
for one in GROUPS:
    DONE |= {f"{one} {word}" for word in re.findall(r"\ndef ([a-z]+)_", TEXTS[one])}
# Says something on standard output and changes nothing.
PAGES = [
    "--version",
    "labs",
    "labs --json",
    "plan routing",
    "plan routing --down",
    "plan routing --format shell",
    "plan routing --format json",
    "plan routing --format markdown",
    "script routing",
    "graph routing",
    "graph routing --format svg",
    "schema",
]


@pytest.fixture(autouse=True)
def no_target(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CNETSH_ON", raising=False)


def process(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """cnetsh as a process of its own, whose output is a pipe."""
    whole = {key: value for key, value in os.environ.items() if key != "CNETSH_ON"} | env
    argv = [sys.executable, "-m", "cnetsh", *arguments]
    return subprocess.run(argv, capture_output=True, text=True, env=whole, timeout=120)


def shell(text: str) -> subprocess.CompletedProcess[str]:
    line = text.replace("cnetsh", f"{sys.executable} -m cnetsh")
    argv = ["bash", "-o", "pipefail", "-c", line]
    return subprocess.run(argv, capture_output=True, text=True, timeout=120)


class TestHelp:
    @pytest.mark.parametrize("command", ["", *GROUPS, *COMMANDS, *GROUPED])
    @pytest.mark.parametrize("option", ["--help", "-h"])
    def test_fits_a_screen(self, command: str, option: str) -> None:
        code, out, err = cnetsh(*command.split(), option)
        lines = out.rstrip().splitlines()
        assert (code, err) == (0, "")
        assert len(lines) <= (25 if command else 40) and max(map(len, lines)) <= 80
        assert f"cnetsh {command}".rstrip() in lines[0] and out.isascii()

    def test_lists_every_command_with_what_it_does(self) -> None:
        _, out, _ = cnetsh("--help")
        rows = dict(
            line.split(maxsplit=1) for line in out.partition("Commands:")[2].splitlines()[1:]
        )
        assert set(rows) == {*COMMANDS, *GROUPS}
        assert all(rows.values())

    def test_is_what_no_command_gives(self) -> None:
        assert "Commands:" in "".join(cnetsh()[1:])

    @pytest.mark.parametrize("command", ["", "plan", "sandbox start"])
    def test_is_given_to_who_types_help(self, command: str) -> None:
        assert cnetsh("help", *command.split()) == cnetsh(*command.split(), "--help")


class TestCompletion:
    @pytest.mark.parametrize(
        ("typed", "offered"),
        [
            ("cnetsh pl", {"plan"}),
            ("cnetsh s", {"status", "shell", "show", "script", "schema", "sandbox"}),
            ("cnetsh sandbox st", {"start", "stop"}),
            ("cnetsh graph --l", {"--live"}),
            ("cnetsh plan veth --format m", {"markdown"}),
            ("cnetsh plan b", {"bridge"}),
            ("cnetsh up bridge --set s", {"subnet=", "step="}),
            ("cnetsh graph --on s", {"sandbox", "ssh:"}),
            ("cnetsh plan veth --on h", {"host"}),
            ("cnetsh examples du", {"dual-stack-nat", "dumbbell"}),
            ("cnetsh exec h", {"host"}),
            ("cnetsh explain dr", {"drift"}),
            ("cnetsh plan docs/g", {"docs/guides/"}),
        ],
    )
    def test_offers_what_fits(self, typed: str, offered: set[str]) -> None:
        env = {"_CNETSH_COMPLETE": "complete_bash", "COMP_WORDS": typed}
        env["COMP_CWORD"] = str(typed.count(" "))
        code = "import sys; from cnetsh.__main__ import begin; sys.argv = ['cnetsh']; begin()"
        argv = [sys.executable, "-c", code]
        done = subprocess.run(argv, capture_output=True, text=True, env={**os.environ, **env})
        # Whose sandboxes run here is no matter of this test.
        words = {word for word in done.stdout.split() if not word.startswith("sandbox:")}
        assert words == offered and done.stderr == ""


class TestFilesOfCommands:
    def test_every_one_can_be_called_and_nothing_else_can(self) -> None:
        assert {*COMMANDS, *GROUPED} == DONE

    @pytest.mark.parametrize("command", [*COMMANDS, *GROUPED])
    def test_has_the_parameters_that_can_be_typed_and_their_defaults(self, command: str) -> None:
        module = import_module(f"cnetsh.commands.{command.split()[0]}")
        declaring = declared(command)
        name = declaring.__name__.removeprefix("_") if " " in command else "run"
        run = inspect.signature(getattr(module, name))
        typed, own = inspect.signature(declaring).parameters, run.parameters
        assert set(typed) == set(own) and run.return_annotation in (int, None)
        for name, ours in own.items():
            assert ours.default in (ours.empty, typed[name].default)

    @pytest.mark.parametrize(
        "words", ["--help", "--version", "sandbox --help", "up --help", "nosuch"]
    )
    def test_none_is_loaded_when_none_is_called(self, words: str) -> None:
        assert loaded(words) == set()

    @pytest.mark.parametrize("command", ["labs", "plan veth", "graph veth", "sandbox list"])
    def test_just_the_one_that_is_called_is_loaded(self, command: str) -> None:
        assert loaded(command) == {command.split()[0]}

    @pytest.mark.parametrize("command", ["plan veth", "script veth", "graph veth"])
    def test_what_only_a_target_needs_is_not_loaded(self, command: str) -> None:
        rooms = {name.split(".")[1] for name in modules(command)}
        assert rooms & {"apply", "targets", "doctor", "compare"} == set()


def declared(command: str) -> Callable[..., None]:
    """The function by which cli/main.py declares a command."""
    first, _, last = command.partition(" ")
    (function,) = [
        one.callback for one in APP.commands[first].registered_commands
        if one.name == (last or first)
    ]  # fmt: skip
    return function


def modules(words: str) -> set[str]:
    """The modules of cnetsh that a process has loaded when it ends."""
    code = """if True:
        import atexit, sys
        from cnetsh.__main__ import begin
        ours = lambda: [name for name in sys.modules if name.startswith("cnetsh.")]
        atexit.register(lambda: print(*ours(), file=sys.stderr))
        begin()"""
    argv = [sys.executable, "-c", code, *words.split()]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120)
    return set(done.stderr.splitlines()[-1].split())


def loaded(words: str) -> set[str]:
    """The commands whose files a process has loaded."""
    start = "cnetsh.commands."
    names = {one.removeprefix(start) for one in modules(words) if one.startswith(start)}
    return names & {*COMMANDS, *GROUPS}


def test_the_lines_that_labs_prints_can_be_typed() -> None:
    for name in LABS:
        (line,) = (one for one in cnetsh("labs", name)[1].splitlines() if "cnetsh plan" in one)
        _, *words = shlex.split(line)
        code, out, err = cnetsh(*words, "--format", "shell")
        assert (code, err) == (0, "") and out == cnetsh("plan", words[1], "--format", "shell")[1]


class TestRefused:
    @pytest.fixture(autouse=True)
    def no_sandbox(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A name that no lab here has is looked for in the sandbox, which may be up."""
        monkeypatch.setenv("CNETSH_ON", "sandbox:nosuch")

    @pytest.mark.parametrize("command", ["plan", "up", "script", "graph", "doctor", "up --dry-run"])
    @pytest.mark.parametrize(("lab", "nearest"), [("brigde", "bridge"), ("Routing", "routing")])
    def test_an_unknown_lab_names_the_nearest(self, command: str, lab: str, nearest: str) -> None:
        code, out, err = cnetsh(*command.split(), lab)
        is_a_clean_refusal(code, out, err)
        assert f"'{lab}'" in err and f"did you mean {nearest}?" in err

    def test_an_unknown_example_names_the_nearest(self) -> None:
        code, out, err = cnetsh("examples", "dumbel")
        assert (code, out) == (2, "") and "did you mean dumbbell?" in err

    def test_an_unknown_lab_that_is_near_none(self) -> None:
        code, out, err = cnetsh("plan", "xyzzy")
        is_a_clean_refusal(code, out, err)
        assert all(name in err for name in LABS)

    @pytest.mark.parametrize("command", ["plan", "up", "script", "graph"])
    def test_an_unknown_parameter_names_the_nearest(self, command: str) -> None:
        code, out, err = cnetsh(command, "bridge", "--set", "brigde=br1")
        is_a_clean_refusal(code, out, err)
        assert "bridge" in err.replace("brigde", "")

    @pytest.mark.parametrize("setting", ["bridge", "=br1", ""])
    def test_a_setting_without_a_value(self, setting: str) -> None:
        is_a_clean_refusal(*cnetsh("plan", "bridge", "--set", setting))

    @pytest.mark.parametrize("on", ["nowhere", "host:x", "sandbox:../x", "sandbox:-", ""])
    @pytest.mark.parametrize("command", ["up veth", "down veth", "check veth", "status", "recover"])
    def test_an_unknown_target(self, command: str, on: str) -> None:
        code, out, err = cnetsh(*command.split(), "--on", on)
        is_a_clean_refusal(code, out, err)
        assert "unknown target" in err and "sandbox[:NAME]" in err

    def test_the_target_of_the_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("CNETSH_ON", "nowhere")
        code, out, err = cnetsh("status")
        is_a_clean_refusal(code, out, err)
        assert "'nowhere'" in err

    @pytest.mark.parametrize("name", ["lab.yaml", "./lab", "plan.json", "/nosuch/lab.yaml", "lab/"])
    @pytest.mark.parametrize("command", ["plan", "up", "down", "check"])
    def test_a_file_that_is_not_there(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, name: str
    ) -> None:
        monkeypatch.chdir(tmp_path)
        code, out, err = cnetsh(command, name)
        is_a_clean_refusal(code, out, err)

    @pytest.mark.parametrize(
        "words",
        ["nosuch", "plan", "plan veth --format nosuch", "plan veth --nosuch", "up veth --try -1"],
    )
    def test_a_wrong_command_line_is_code_2(self, words: str) -> None:
        code, out, err = cnetsh(*words.split())
        assert (code, out) == (2, "") and "Traceback" not in err and "Error: " in err

    def test_a_word_that_looks_like_an_option_is_never_one_of_a_tool(self) -> None:
        is_a_clean_refusal(*cnetsh("plan", "bridge", "--set", "bridge=-force"))

    def test_debug_shows_where_it_comes_from(self) -> None:
        done = process("plan", "brigde", "--debug", "--on", "sandbox:nosuch")
        assert done.returncode == 1 and "Traceback" in done.stderr
        assert "CnetshError: unknown lab" in done.stderr

    def test_ctrl_c_is_no_traceback_from_the_first_import_on(self) -> None:
        code = """if True:
            import os, signal, sys
            from cnetsh.__main__ import begin
            class Interrupted:
                def find_spec(self, name, *_):
                    if name == "typer":
                        os.kill(os.getpid(), signal.SIGINT)
            sys.meta_path.insert(0, Interrupted())
            begin()"""
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (130, "")


class TestOutput:
    @pytest.mark.parametrize("words", PAGES)
    def test_is_text_without_escapes_and_nothing_else_is_said(self, words: str) -> None:
        code, out, err = cnetsh(*words.split())
        assert (code, err) == (0, "")
        assert out.endswith("\n") and "\x1b" not in out

    def test_piped_it_has_no_escapes_whatever_the_terminal(self) -> None:
        forced = {"TERM": "xterm-256color", "COLORTERM": "truecolor", "COLUMNS": "200"}
        for env in (forced, {"NO_COLOR": "1"}):
            done = process("plan", "routing", **env)
            assert (done.returncode, done.stderr) == (0, "")
            assert "\x1b" not in done.stdout

    @pytest.mark.parametrize("words", ["plan routing", "labs", "schema", "script routing"])
    def test_may_be_cut_by_its_reader(self, words: str) -> None:
        done = shell(f"cnetsh {words} | head -1")
        assert "Traceback" not in done.stderr and "Exception" not in done.stderr
        assert done.stdout.count("\n") == 1 and done.stderr == ""

    def test_to_a_full_disk_is_an_error(self) -> None:
        done = shell("cnetsh schema > /dev/full")
        said = "cnetsh: standard output cannot be written: No space left on device\n"
        assert (done.returncode, done.stderr) == (1, f"{said}  let it go elsewhere: > FILE\n")


class TestFiles:
    NAMES = ("plan.sh", "plan.md", "plan.json", "plan", "plan.txt")

    @pytest.mark.parametrize("name", NAMES)
    def test_a_plan_is_written_in_the_form_of_its_name(self, tmp_path: Path, name: str) -> None:
        path = tmp_path / name
        code, out, err = cnetsh("plan", "veth", "-o", str(path))
        assert (code, out, err) == (0, "", f"wrote {path}\n")
        text = path.read_text()
        if name.endswith(".json"):
            assert json.loads(text)["cnetsh_plan"] == 2
        elif name.endswith(".md"):
            assert text.startswith("# ")
        else:
            assert "sudo ip link add veth0 type veth peer name ceth0\n" in text

    def test_a_picture_is_of_a_form_that_there_is(self, tmp_path: Path) -> None:
        code, out, err = cnetsh("graph", "veth", "-o", str(tmp_path / "lab.png"))
        is_a_clean_refusal(code, out, err)
        assert ".svg" in err and not (tmp_path / "lab.png").exists()

    @pytest.mark.parametrize("command", ["plan veth", "graph veth", "new own", "examples dumbbell"])
    def test_a_hyphen_is_standard_output(self, tmp_path: Path, command: str) -> None:
        code, out, err = cnetsh(*command.split(), "-o", "-")
        assert (code, err) == (0, "") and out.count("\n") > 4
        assert not Path("-").exists()

    @pytest.mark.parametrize(
        "command", ["plan veth", "script veth", "graph veth", "new own", "plan veth --format json"]
    )
    def test_nothing_is_overwritten(self, tmp_path: Path, command: str) -> None:
        path, words = tmp_path / "file", command.split()
        code, out, _ = cnetsh(*words, "-o", str(path))
        assert (code, out) == (0, "")
        path.write_text("mine")
        code, out, err = cnetsh(*words, "-o", str(path))
        is_a_clean_refusal(code, out, err)
        assert "is there already" in err and path.read_text() == "mine"

    def test_nor_is_what_a_link_leads_to(self, tmp_path: Path) -> None:
        (tmp_path / "link").symlink_to("nosuch")
        is_a_clean_refusal(*cnetsh("plan", "veth", "-o", str(tmp_path / "link")))
        assert not (tmp_path / "nosuch").exists()

    def test_a_folder_that_is_not_there(self, tmp_path: Path) -> None:
        code, out, err = cnetsh("plan", "veth", "-o", str(tmp_path / "no/plan.sh"))
        is_a_clean_refusal(code, out, err)
        assert "No such file or directory" in err

    def test_a_saved_plan_is_shown_as_the_lab_is(self, tmp_path: Path) -> None:
        path = str(tmp_path / "plan.json")
        cnetsh("plan", "bridge", "--set", "bridge=br7", "-o", path)
        for words in (["--format", "shell"], ["--format", "json"], ["--down"]):
            lab = cnetsh("plan", "bridge", "--set", "bridge=br7", *words)
            assert cnetsh("plan", path, *words) == lab
        for words in (["plan"], ["up", "--dry-run"]):
            is_a_clean_refusal(*cnetsh(*words, path, "--set", "bridge=br8"))

    def test_new_is_a_lab_file_that_can_be_planned(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        assert cnetsh("new", "own") == (0, "", "wrote own.yaml\n")
        code, out, _ = cnetsh("plan", "own.yaml", "--format", "shell")
        assert code == 0 and "ip netns add" in out


class TestSandboxThatDoesNotRun:
    @pytest.mark.parametrize(
        ("words", "code", "said"),
        [
            ("status --on sandbox:nosuch", 0, "no lab is up"),
            ("recover", 0, "nothing to recover"),
            ("down veth", 0, "veth is not up"),
            ("check veth", 2, "cnetsh: veth is not up"),
            ("exec net0 -- ip link", 2, "sandbox:nosuch does not run"),
            ("plan veth", 0, ""),
        ],
    )
    def test_has_nothing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str, code: int, said: str
    ) -> None:
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
        monkeypatch.setenv("CNETSH_ON", "sandbox:nosuch")
        found, out, err = cnetsh(*words.split())
        assert found == code and said in err
        assert bool(out) == (words == "plan veth")

    def test_status_as_json_is_a_list(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
        assert json.loads(cnetsh("status", "--json", "--on", "sandbox:nosuch")[1]) == []


def test_no_help_line_of_a_command_is_cut() -> None:
    commands = process("--help").stdout.partition("Commands:")[2]
    assert commands.count("\n") > 15 and "..." not in commands
