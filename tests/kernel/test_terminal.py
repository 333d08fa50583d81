"""What a terminal shows: lines in its width, whole commands, and a last line of its own."""

import os
import pty
import re
import struct
import sys
import termios
from fcntl import ioctl
from pathlib import Path

import pytest
from hosts import Private
from terminals import read_to_its_end

STYLES = re.compile(r"\x1b\[[\d;]*m")

# What bash does at a tab, with the completion that the program gives it.
COMPLETES = """
eval "$(_CNETSH_COMPLETE=source_bash cnetsh)"
ask() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _cnetsh_completion cnetsh
        echo "$2:" ${COMPREPLY[*]}; }
ask cnetsh down ''
ask cnetsh exec ''
ask cnetsh why net0 n
"""


def seen(host: Private, columns: int, words: str, **env: str) -> str:
    """What a terminal gets that is so wide, as it is sent."""
    ours, theirs = pty.openpty()
    ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    whole = {**host.env, "TERM": "xterm", "PAGER": "cat", **env}
    whole.pop("COLUMNS", None)
    argv = [sys.executable, "-m", "cnetsh", *words.split()]
    child = host.start(argv, stdin=theirs, stdout=theirs, stderr=theirs, env=whole)
    os.close(theirs)
    text = read_to_its_end(ours)
    child.wait()
    return text.decode().replace("\r\n", "\n")


def widest(text: str) -> int:
    return max(map(len, STYLES.sub("", text).splitlines()))


@pytest.mark.parametrize("columns", [40, 80, 120, 200])
def test_what_is_told_is_as_wide_as_the_terminal(private: Private, columns: int) -> None:
    text = seen(private, columns, "labs")
    assert widest(text) <= columns
    assert " ".join(STYLES.sub("", text).split()).count("a switch in software: containers") == 1


def test_a_lab_in_forty_columns(private: Private) -> None:
    up = seen(private, 40, "up routing").splitlines()
    # A command is one line, whatever the terminal makes of it: it may be pasted.
    assert "[20/21] echo 1 | tee /proc/sys/net/ipv4/ip_forward" in up
    private.sh("ip netns exec net1 ip link set ceth1 down")
    text = seen(private, 40, "check", LC_ALL="C")
    lines = STYLES.sub("", text).splitlines()
    assert re.fullmatch(r"net0 -> 172\.18\.0\.1   ok  [\d.]+ ms", lines[0])
    # What failed is red, and told again behind all checks, with the reason.
    assert "\x1b[31mnet1 -> 172.18.0.1   failed" in text
    again = lines.index("failed    net1 -> 172.18.0.1")
    assert lines[again + 1] == "          ip netns exec net1 ping -c1 -W1 172.18.0.1"
    assert any(line.startswith("why       ") for line in lines[again:])
    assert lines[-2].startswith("routing: 3 checks ok, 3 failed, 3 not")
    assert "\x1b" not in seen(private, 40, "status", NO_COLOR="1")
    assert private.cnetsh("down", "-q").stderr.count("\n") == 1


def test_a_bar_leaves_the_last_line_alone(private: Private) -> None:
    text = seen(private, 60, "up bridge --set containers=20")
    *_, bar, last, _ = text.split("\n")
    assert re.search(r"\r\[#+\] 163/163[^\r]*$", bar), repr(bar)
    assert re.fullmatch(r"bridge is up: 163 steps in [\d.]+ s", last)


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


def test_a_shell_says_where_it_is_and_bash_completes_what_is_there(private: Private) -> None:
    private.cnetsh("up", "container")
    path = f"{Path(sys.executable).parent}:{private.env['PATH']}"
    done = private.run(["bash", "-c", COMPLETES], env=private.env | {"PATH": path})
    assert done.stdout.splitlines() == ["down: container", "exec: host net0", "why: net0"]
    shell = private.env | {"SHELL": "/bin/sh", "ENV": ""}
    done = private.cnetsh("exec", "net0", "--", "sh", "-c", "echo ${PROMPT_COMMAND:-none}")
    assert done.stdout == "none\n"
    done = private.cnetsh("shell", "net0", input="echo $PS1 $PROMPT_COMMAND\n", env=shell)
    assert done.stdout == "[net0] # PS1='[net0] # '\n"


@pytest.mark.parametrize("name", ["a$(touch no)", "a';touch no;'", "a`touch no`"])
def test_no_shell_runs_what_somebody_has_named_a_namespace(private: Private, name: str) -> None:
    private.run(["ip", "netns", "add", name])
    env = private.env | {"SHELL": "/usr/bin/env"}
    said = private.cnetsh("shell", name, env=env).stdout
    assert "CNETSH_ON=host" in said and "touch" not in said
