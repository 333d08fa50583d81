import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from test_text import LABS, load, typed_in

from cnetsh.labs.choose import plans
from cnetsh.views import script

CHECKOUT = Path(__file__).resolve().parents[2]
EXAMPLE = CHECKOUT / "examples/published-web-server.yaml"
SHELLCHECK = Path(sys.executable).with_name("shellcheck")
# What stands in no command ends a word and a command.
WORD, COMMAND = "\037", "\036"
RECORDER = """#!/bin/sh
case " $* " in *" tee "*) while read -r _; do :; done ;; esac
{ printf '%s\\037' "$@"; printf '\\036'; } >> "$RECORD"
[ "$*" != "$FAIL" ]
"""
OWN = """## Settings
# Every $(touch made) `touch made` "quote' \\ \r touch made
echo 4096 131072 6291456 | tee /proc/sys/net/ipv4/tcp_rmem
# In a namespace nothing has to be put back.
ip netns add net0
echo 1 | ip netns exec net0 tee /proc/sys/net/ipv4/ip_forward
echo 1 | tee /proc/sys/net/ipv6/conf/all/forwarding
"""
OWN_CHECK = """#: expect failure: it's $(touch made) `touch made`
ping -c1 -W1 10.0.0.1
"""


def written(name, *settings, sudo=True):
    """The script of a built-in lab as `cnetsh script` writes it."""
    parts = (load(name, part, *settings) for part in ("up", "down", "check"))
    return script.as_script(*parts, sudo, teaches=plans(name, settings).teaches)


def own(up=OWN, down="", check=OWN_CHECK, sudo=True):
    return script.as_script(
        typed_in(up, title="Own\n\ntouch made"),
        typed_in(down, "down"),
        typed_in(check, "check"),
        sudo,
        teaches="First\ntouch made",
    )


def recorded(text, verb, folder, fail="", enter=0):
    """What bash did with a script, and the commands that it handed to sudo, which ran none."""
    file, record, sudo = folder / "lab.sh", folder / "record", folder / "bin/sudo"
    file.write_text(text, encoding="utf-8", newline="")
    sudo.parent.mkdir(exist_ok=True)
    sudo.write_text(RECORDER, encoding="utf-8")
    sudo.chmod(0o755)
    record.write_text("", encoding="utf-8")
    env = {
        "PATH": f"{sudo.parent}:{os.environ['PATH']}",
        "HOME": str(folder),
        "XDG_RUNTIME_DIR": str(folder),
        "RECORD": str(record),
        "FAIL": fail,
    }
    argv = ["bash", str(file), *verb.split()]
    done = subprocess.run(
        argv, env=env, cwd=folder, input="\n" * enter, capture_output=True, text=True, timeout=60
    )
    commands = record.read_text(encoding="utf-8").split(COMMAND)[:-1]
    return done, [command.split(WORD)[:-1] for command in commands]


def complaints(text):
    argv = [str(SHELLCHECK), "-s", "bash", "-"]
    return subprocess.run(argv, input=text, capture_output=True, text=True).stdout


def notes(folder):
    """The names of what scripts have noted, of all labs."""
    return sorted(path.name for path in folder.glob("cnetsh-scripts-*/*/*"))


@pytest.mark.parametrize(("number", "name"), list(enumerate(LABS, 1)))
def test_committed_script_is_what_the_templates_give(number, name):
    file = CHECKOUT / f"scripts/{number}_{name}.sh"
    assert file.read_text(encoding="utf-8") == written(name), f"{file} is stale: make scripts"


def test_no_other_script_is_committed():
    names = [f"{number}_{name}.sh" for number, name in enumerate(LABS, 1)]
    assert sorted(path.name for path in (CHECKOUT / "scripts").iterdir()) == sorted(names)


def test_variants_are_as_expected(golden):
    golden("scripts/bridge_1_without_sudo.sh", written("bridge", "containers=1", sudo=False))
    golden("scripts/own.sh", own())
    golden("scripts/own_without_sudo.sh", own(sudo=False))


# Without sudo the others have no line that these have not.
PLAIN = ["routing", "own"]


@pytest.mark.parametrize(
    ("name", "sudo"),
    [
        *((name, True) for name in (*LABS, "own")),
        *((name, False) for name in PLAIN),
        *(pytest.param(name, False, marks=pytest.mark.soak) for name in LABS if name not in PLAIN),
    ],
)
def test_shellcheck_finds_nothing(name, sudo):
    assert complaints(own(sudo=sudo) if name == "own" else written(name, sudo=sudo)) == ""


@pytest.mark.parametrize(
    "file", sorted((CHECKOUT / "examples").glob("*.yaml")), ids=lambda file: file.name
)
def test_shellcheck_finds_nothing_in_labs_from_files(file):
    assert complaints(written(str(file))) == ""


@pytest.mark.parametrize("name", LABS)
def test_without_sudo_there_is_none(name):
    assert "sudo" not in written(name, sudo=False)


@pytest.mark.parametrize("verb", ["", "remove", "add now", "delete add", "ADD", "--help"])
def test_anything_else_gives_usage_and_runs_nothing(verb, tmp_path):
    done, commands = recorded(written("routing"), verb, tmp_path)
    assert (done.returncode, done.stdout, commands) == (2, "", [])
    assert done.stderr == f"Usage: {tmp_path}/lab.sh [--quiet] add|delete|check|step\n"


def test_usage_is_given_before_sudo_is_asked_for():
    with TemporaryDirectory() as folder:
        # All that anybody has there.
        Path(folder, "stat").symlink_to(shutil.which("stat"))
        Path(folder).chmod(0o755)
        bash, user = shutil.which("bash"), os.geteuid() or 65534
        done = subprocess.run(
            [bash, "-s", "bogus"], env={"PATH": folder}, input=written("routing"), user=user,
            capture_output=True, text=True, timeout=60,
        )  # fmt: skip
    assert (done.returncode, done.stderr[:6]) == (2, "Usage:"), done.stderr


def test_another_shell_says_that_it_is_none(tmp_path):
    file = tmp_path / "lab.sh"
    file.write_text(written("veth"), encoding="utf-8")
    env = {"PATH": "", "BASH_VERSION": ""}
    # dash, where there is one, reads no further than this either.
    for shell in filter(None, map(shutil.which, ("dash", "busybox"))):
        argv = [shell, *(["sh"] if shell.endswith("busybox") else []), str(file), "add"]
        done = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=120)
        said = f"This script is written for bash: type bash {file}, not sh {file}.\n"
        assert (done.returncode, done.stdout, done.stderr) == (2, "", said)


def test_looking_and_noting_is_one_block_without_a_command_of_the_labs():
    blocks = {looking(written(name)) for name in (*LABS, str(EXAMPLE))} | {looking(own())}
    (block,) = blocks
    assert len(block.splitlines()) <= 40
    code = re.sub(r"(^| )#.*$", "", block, flags=re.M)
    assert not re.search(r"\b(sudo|ip|iptables|tee)\b", code.replace("ipv4", ""))


def looking(text):
    return text.partition("lab=")[2].partition("\n")[2].partition("# `made` notes")[0].strip()


def test_add_takes_back_what_it_did_when_a_command_fails(tmp_path):
    fail = "ip link set dev veth0 master br0"
    done, commands = recorded(written("bridge"), "add", tmp_path, fail)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "bridge: stopped halfway, so what was added is deleted\n"
    at = commands.index(fail.split())
    back = ["ip link delete br0", "ip netns delete net0", "ip link delete dev ceth0"]
    assert [" ".join(command) for command in commands[at + 1 :]] == back
    assert notes(tmp_path) == []


def test_a_second_add_is_refused(tmp_path):
    recorded(written("bridge"), "add", tmp_path)
    before = notes(tmp_path)
    done, commands = recorded(written("bridge"), "add", tmp_path)
    assert (done.returncode, done.stdout, commands) == (2, "", [])
    assert done.stderr.startswith("bridge: it is added already; 'delete' deletes it")
    assert notes(tmp_path) == before != []


@pytest.mark.parametrize("verb", ["delete", "check"])
def test_without_notes_nothing_is_done(verb, tmp_path):
    done, commands = recorded(written("bridge"), verb, tmp_path)
    assert (done.returncode, done.stdout, commands) == (2, "", [])
    assert done.stderr.startswith("bridge: nothing is noted as added, so nothing is done: see ")


@pytest.mark.parametrize("way", ["mode", "link", "file"])
def test_a_folder_that_others_could_use_is_refused(way, tmp_path):
    folder, other = tmp_path / f"cnetsh-scripts-{os.getuid()}", tmp_path / "other"
    other.mkdir(mode=0o700)
    if way == "mode":
        folder.mkdir()
        folder.chmod(0o770)
    elif way == "link":
        folder.symlink_to(other)
    else:
        folder.write_text("", encoding="utf-8")
    done, commands = recorded(written("bridge"), "add", tmp_path)
    assert (done.returncode, commands) == (2, [])
    assert done.stderr == f"bridge: {folder} is not yours alone\n"


def test_notes_are_for_the_user_alone_and_gone_in_the_end(tmp_path):
    recorded(written("bridge"), "add", tmp_path)
    (folder,) = tmp_path.glob("cnetsh-scripts-*")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert notes(tmp_path) == ["link:br0", "link:veth0", "link:veth1", "netns:net0", "netns:net1"]
    recorded(written("bridge"), "delete", tmp_path)
    assert list(tmp_path.glob("cnetsh-scripts-*")) == []


@pytest.mark.parametrize("failing", [step.text for step in load("bridge", "down").steps])
def test_delete_goes_on_when_a_command_fails_and_says_what_is_left(failing, tmp_path):
    recorded(written("bridge"), "add", tmp_path)
    done, commands = recorded(written("bridge"), "delete", tmp_path, failing)
    assert done.returncode == 3
    assert commands == [list(step.argv) for step in load("bridge", "down").steps]
    (left,) = notes(tmp_path)
    assert f"bridge: still here: {left}\n" in done.stderr
    done, commands = recorded(written("bridge"), "delete", tmp_path)
    assert (done.returncode, commands) == (0, [failing.split()])


def test_add_ends_with_what_to_try(tmp_path):
    done, _ = recorded(written("veth"), "add", tmp_path)
    assert done.stdout.splitlines()[-2:] == ["ping 172.18.0.10", "ping 172.18.0.20"]
    done, _ = recorded(written("container"), "add", tmp_path)
    assert "sudo ip netns exec net0 ping 172.18.0.10\n" in done.stdout
    assert re.search(r"^sudo ip netns exec net0 ping 10.0.2.15  # fails: ", done.stdout, re.M)
    done, _ = recorded(written("conflict"), "--quiet add", tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_step_shows_the_page_and_waits_before_each_command(tmp_path):
    text = written("container")
    commands = [list(step.argv) for step in load("container", "up").steps]
    done, run = recorded(text, "step", tmp_path, enter=3)
    assert (done.returncode, run[:3]) == (1, commands[:3])
    assert [command[2] for command in run[3:]] == ["delete", "delete"]
    done, run = recorded(text, "step", tmp_path, enter=len(commands))
    assert done.returncode == 0
    # The rest are looks into the namespace.
    assert [command for command in run if command in commands] == commands
    looks = {" ".join(command[4:]) for command in run if command not in commands}
    assert looks == {"ip -brief address", "ip route"}
    page = text.partition("\n    ## The namespace")[2].partition("\n}\n")[0].splitlines()
    shown = [line for line in page if line and not line.startswith(("    made", "    gone"))]
    lines = iter(done.stdout.splitlines())
    assert [line for line in shown if line not in lines] == []


@pytest.mark.parametrize("name", LABS)
def test_lines_are_short_and_blank_lines_single(name):
    text = written(name)
    comments = [line for line in text.splitlines() if line.lstrip().startswith("#")]
    assert max(map(len, comments)) <= 100
    assert "\n\n\n" not in text and " \n" not in text and text.endswith("esac\n")


def test_only_what_writes_settings_has_a_word_of_them():
    assert "put_back" not in written("bridge")
    assert "put_back" in written("routing")


class TestOwnLab:
    def test_nothing_in_a_lab_is_run_but_its_steps(self, tmp_path):
        done, commands = recorded(own(), "add", tmp_path)
        assert commands == [list(step.argv) for step in typed_in(OWN).steps]
        assert done.stdout.endswith("\nping 10.0.0.1  # fails: it's $(touch made) `touch made`\n")
        recorded(own(), "delete", tmp_path)
        assert not (tmp_path / "made").exists()

    def test_without_a_down_part_is_undone_by_the_steps_own_undos(self, tmp_path):
        recorded(own(), "add", tmp_path)
        done, commands = recorded(own(), "delete", tmp_path)
        assert (done.returncode, done.stdout) == (0, "")
        assert commands == [
            ["tee", "/proc/sys/net/ipv6/conf/all/forwarding"],
            ["ip", "netns", "delete", "net0"],
            ["tee", "/proc/sys/net/ipv4/tcp_rmem"],
        ]

    def test_of_no_steps_is_a_script_that_runs(self, tmp_path):
        text = own(up="", check="")
        assert complaints(text) == ""
        for verb in ("add", "check", "delete"):
            assert recorded(text, verb, tmp_path)[0].returncode == 0


FORWARDING = """
set -eu
mount -t tmpfs tmpfs /run
ip link add eth8 type veth peer name eth9
cd /proc/sys/net/ipv4
echo {forward} >ip_forward
echo {redirects} >conf/all/accept_redirects
echo {eth9} >conf/eth9/forwarding
facts() {{ grep '' ip_forward conf/all/accept_redirects conf/{{default,lo,eth8,eth9}}/forwarding; }}
facts
bash {script} add >/dev/null
[ "$(cat ip_forward conf/eth8/forwarding)" = "1
1" ]
echo ---
bash {script} delete
facts
iptables-save -t nat | grep MASQUERADE || true
ls /run/netns
"""


@pytest.mark.kernel
@pytest.mark.parametrize(
    ("forward", "redirects", "eth9"),
    [
        # Each two of them in every way; `make soak` has all three.
        *((0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 0)),
        *(
            pytest.param(*bits, marks=pytest.mark.soak)
            for bits in ((0, 0, 1), (0, 1, 0), (1, 0, 0), (1, 1, 1))
        ),
    ],
)
def test_delete_restores_forwarding_as_it_was(forward, redirects, eth9, tmp_path):
    file = tmp_path / "routing.sh"
    file.write_text(written("routing", sudo=False), encoding="utf-8")
    lines = FORWARDING.format(forward=forward, redirects=redirects, eth9=eth9, script=file)
    argv = ["unshare", "--user", "--map-root-user", "--net", "--mount", "bash", "-c", lines]
    env = os.environ | {"XDG_RUNTIME_DIR": str(tmp_path)}
    if subprocess.run([*argv[:-3], "true"], capture_output=True).returncode:
        pytest.skip("no user namespaces here")
    done = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=120)
    before, _, after = done.stdout.partition("---\n")
    assert (done.returncode, done.stderr) == (0, "")
    assert before == after != ""
