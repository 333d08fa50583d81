"""What a terminal shows: lines in its width, whole commands, and a last line of its own."""

import re
import sys
from functools import partial
from pathlib import Path
from shutil import which

import pytest
from hosts import Ordinary, Private
from terminals import screen, written
from warm import served

STYLES = re.compile(r"\x1b\[[\d;]*m")

# What is typed before a tab, and what stands there after it.
COMPLETED = {
    "down ": "down container ",
    "exec net": "exec net0 ",
    "why net0 n": "why net0 net0 ",
    "up container --set host_e": "up container --set host_end=",
    "up veth --on sand": "up veth --on sandbox",
    "status --on sandbox:": "status --on sandbox:other ",
    "status --on=sandbox:o": "status --on=sandbox:other ",
    "up container --set peer=p --set ne": "up container --set peer=p --set netns=",
    "up container --set peer=": "up container --set peer=",
    "plan fo": "plan folder/",
    "plan my": r"plan my\ lab.yaml ",
    "sandbox stop o": "sandbox stop other ",
    "plan veth --format=m": "plan veth --format=markdown ",
    "graph --l": "graph --live ",
    "statu": "status ",
}  # fmt: skip

# What `why` asks leaves neighbours for some seconds, which `show` has lines of: it comes last.
LOOKS = (
    "--help", "labs", "labs bridge", "examples", "plan routing", "plan conflict --format brief",
    "graph routing", "doctor routing", "status --drift", "show net0", "show host",
    "up routing", "diff veth", "explain P02", "why net0 net1",
)  # fmt: skip
# A line that may be pasted is never broken, whatever the terminal makes of it.
PASTED = re.compile(
    r"( *|.{10}|  \w+ +|[!~+-] |undo )(\[\d+/\d+\] )?(cnetsh|sudo|ip|echo|iptables|would help:) "
)


def seen(host: Private, columns: int, words: str, **env: str) -> str:
    """What a terminal gets that is so wide, as it is sent."""
    whole = {**host.env, "TERM": "xterm", "PAGER": "cat", **env}
    # Python looks at its locale just when it starts.
    program = (
        [sys.executable, "-m", "cnetsh"] if "LC_ALL" in env else served(sys.executable).command
    )
    return written(partial(host.start, [*program, *words.split()], env=whole), columns)


def lines_of(text: str) -> list[str]:
    """The lines that were sent to a terminal, of one that was drawn again the last."""
    plain = STYLES.sub("", text).replace("\r\n", "\n")
    return [line.rpartition("\r")[2].rstrip() for line in plain.removesuffix("\n").split("\n")]


def assert_fits(text: str, columns: int) -> None:
    """The terminal broke commands alone, and shows each line from its first column on."""
    lines = lines_of(text)
    broken = [line for line in lines if len(line) > columns and not PASTED.match(line)]
    assert broken == []
    rows = [
        line[at : at + columns].rstrip()
        for line in lines
        for at in range(0, len(line) or 1, columns)
    ]
    assert screen(text, columns) == rows


def words_of(text: str) -> set[str]:
    """Words that no column is too narrow for, and that are the same each time."""
    words = (word.strip(":;,.()") for word in text.split())
    return {word for word in words if len(word) <= 12 and word.isalpha()}


def test_no_line_is_cut_and_no_word_is_lost(private: Private) -> None:
    up = seen(private, 40, "up routing")
    assert_fits(up, 40)
    assert "[20/21] echo 1 | tee /proc/sys/net/ipv4/ip_forward" in lines_of(up)
    private.sh("ip netns exec net1 ip link set ceth1 down")
    for words in LOOKS:
        piped = private.cnetsh(*words.split(), check=False)
        told = piped.stdout + piped.stderr
        assert not {"\x1b", "\r"} & set(told)
        for columns in (40, 80, 120, 200):
            text = seen(private, columns, words)
            assert_fits(text, columns)
            # The headings of a narrow table are others.
            lost = words_of(told) - words_of(STYLES.sub("", text))
            assert lost <= {"Command", "Why", "tool"}, (words, columns)
    for words in ("check", "check -v", "down -v"):
        assert_fits(seen(private, 40, words), 40)


def test_a_terminal_without_colour_and_one_without_unicode(private: Private) -> None:
    private.cnetsh("up", "bridge")
    private.sh("ip netns exec net1 ip link set ceth1 down")
    for words in ("plan routing", "status", "show net0", "doctor routing"):
        coloured = seen(private, 80, words)
        assert seen(private, 80, words, NO_COLOR="1") == STYLES.sub("", coloured)
        assert seen(private, 80, words, TERM="dumb") == STYLES.sub("", coloured)
    assert "\x1b" in seen(private, 80, "plan routing")
    for words in ("check", "graph routing", "graph --live", "labs"):
        assert seen(private, 80, words, LC_ALL="C").isascii()


def test_a_lab_in_forty_columns(private: Private) -> None:
    private.cnetsh("up", "routing")
    private.sh("ip netns exec net1 ip link set ceth1 down")
    text = seen(private, 40, "check", LC_ALL="C")
    lines = lines_of(text)
    assert re.fullmatch(r"net0 -> 172\.18\.0\.1   ok  [\d.]+ ms", lines[0])
    # What failed is red, and told again behind all checks, with the reason.
    assert "\x1b[31mnet1 -> 172.18.0.1   failed" in text
    again = lines.index("failed    net1 -> 172.18.0.1")
    assert lines[again + 1] == "          ip netns exec net1 ping -c1 -W1 172.18.0.1"
    # All three fail by the same reason, which is told once.
    assert sum(line.startswith("why       ") for line in lines[again:]) == 1
    assert lines[-2].startswith("routing: 3 checks ok, 3 failed, 3 not")
    quiet = lines_of(seen(private, 40, "check -q"))
    assert quiet[0].startswith("failed ") and not any("#" in line for line in quiet)
    assert private.cnetsh("down", "-q").stderr.count("\n") == 1


@pytest.mark.parametrize("columns", [40, 80])
def test_a_bar_leaves_the_last_line_alone(private: Private, columns: int) -> None:
    text = seen(private, columns, "up bridge --set containers=20")
    assert_fits(text, columns)
    *_, bar, last = screen(text, columns)
    assert re.match(r"\[#+\] 163/163", bar)
    assert re.fullmatch(r"bridge is up: 163 steps in [\d.]+ s", last)


def test_a_question_that_is_not_answered_has_a_line_of_its_own(
    private: Private, tmp_path: Path
) -> None:
    lab = tmp_path / "lab.yaml"
    one = "name: n\nbridges: {br1: {address: 10.31.0.1/24}}\ncontainers:\n  a: {bridge: br1}\n"
    lab.write_text(f"{one}  b: {{bridge: br1}}\n")
    private.cnetsh("up", str(lab))
    lab.write_text(one)
    argv = [*served(sys.executable).command, "up", str(lab)]
    # Ctrl-D, the end of what is typed.
    rows = screen(written(partial(private.start, argv), 80, "\x04"), 80)
    assert rows[2:4] == ["run this on host (-1)? [y/N]", "cnetsh: nothing was executed"]


def test_every_lab_goes_down_at_once(private: Private) -> None:
    private.cnetsh("up", "veth")
    other = ("host_end=h", "peer=p", "subnet=10.9.0.0/24")
    private.cnetsh("up", "bridge", *(word for one in other for word in ("--set", one)))
    refused = private.cnetsh("down", check=False)
    assert refused.returncode == 2 and "2 labs are up: bridge, veth" in refused.stderr
    done = private.cnetsh("down", "--all", "-q")
    # veth came first, and goes last.
    assert [line.split()[0] for line in done.stderr.splitlines()] == ["bridge", "veth"]
    assert private.cnetsh("down").stderr == "no lab is up\n"
    assert private.cnetsh("check", check=False).stderr.startswith("cnetsh: no lab is up")


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_a_tab_completes_what_is_there(ordinary: Ordinary, shell: str) -> None:
    if not (program := which(shell)):
        pytest.skip(f"there is no {shell} here")
    ordinary.cnetsh("up", "container", "--on", "sandbox:other")
    (ordinary.home / "my lab.yaml").touch()
    (ordinary.home / "folder").mkdir()
    path = f"{ordinary.program.parent}:{ordinary.env['PATH']}"
    env = ordinary.env | {"SHELL": program, "PATH": path, "TERM": "dumb", "INPUTRC": "/dev/null"}
    env |= {"CNETSH_ON": "sandbox:other", "ZDOTDIR": str(ordinary.home)}
    done = ordinary.run([program, "-c", "cnetsh --install-completion; exit"], env=env)
    assert done.returncode == 0, done.stderr
    # At the line's beginning, so that it prints the line instead of running it.
    typed = "".join(f"cnetsh {words}\t'\x01printf '<%s>\\n' '\n" for words in COMPLETED)
    argv = ["setsid", "--ctty", "--wait", program, "-iu"]
    text = written(partial(ordinary.start, argv, env=env), 200, f"{typed}exit\n")
    assert re.findall("^<cnetsh (.*)>\r$", text, re.M) == [*COMPLETED.values()]


@pytest.mark.parametrize("shell", ["sh", "bash", "zsh"])
def test_a_prompt_says_where_a_shell_is(private: Private, shell: str, tmp_path: Path) -> None:
    if not (program := which(shell)):
        pytest.skip(f"there is no {shell} here")
    private.cnetsh("up", "container")
    # What the user has stays, but for the prompt.
    for name in (".bashrc", ".zshrc"):
        (tmp_path / name).write_text("PS1='mine> '; alias where='ip -br link show ceth0'\n")
    env = private.env | {"SHELL": program, "HOME": str(tmp_path), "TERM": "dumb", "ENV": ""}
    argv = [sys.executable, "-m", "cnetsh", "shell", "net0"]
    typed = "ip -br link show ceth0\nexit\n" if shell == "sh" else "where\nexit\n"
    text = written(partial(private.start, argv, env=env), 80, typed)
    assert "[net0] # " in text and "mine>" not in text and "ceth0@" in text, text


@pytest.mark.parametrize("shell", ["sh", "bash", "zsh"])
def test_a_shell_in_a_sandbox_gives_the_terminal_back(ordinary: Ordinary, shell: str) -> None:
    if not (program := which(shell)):
        pytest.skip(f"there is no {shell} here")
    ordinary.cnetsh("sandbox", "start")
    (ordinary.home / ".zshrc").touch()
    env = ordinary.env | {"SHELL": program, "TERM": "dumb", "ENV": ""}
    then = f"{ordinary.program} shell; echo code $?; read -r line; echo read $line"
    argv = ["setsid", "--ctty", "--wait", "sh", "-c", then]
    text = written(partial(ordinary.start, argv, env=env), 80, "exit\nhello\n")
    assert "[host] # " in text and "code 0" in text and "read hello" in text, text
    assert "tty process group" not in text


@pytest.mark.parametrize("name", ["a$(touch no)", "a';touch no;'", "a`touch no`"])
def test_no_shell_runs_what_somebody_has_named_a_namespace(private: Private, name: str) -> None:
    private.run(["ip", "netns", "add", name])
    env = private.env | {"SHELL": "/usr/bin/env"}
    said = private.cnetsh("shell", name, env=env).stdout
    assert "CNETSH_ON=host" in said and "touch" not in said
