"""The generated script and `up` leave equal kernels; its `delete` takes what its `add` made."""

import re
import shutil
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import oracle
import pytest
from hosts import HERE, Private, report, wait_for
from others import template

from cnetsh.labs.choose import plans
from cnetsh.plan.steps import Plan, Step, made_by

LABS = ["veth", "container", "conflict", "bridge", "routing"]
STARTS = {
    "plain": "echo 0 > /proc/sys/net/ipv4/ip_forward",
    "forwarding": "echo 1 > /proc/sys/net/ipv4/ip_forward",
    "hardened": "echo 0 > /proc/sys/net/ipv4/conf/all/accept_redirects;"
    "echo 1 > /proc/sys/net/ipv4/conf/lo/forwarding",
}
# IPv6 takes two seconds to find that nobody else has an address; one lab is enough for that.
WITHOUT_IPV6 = """
for each in all default; do echo 1 > /proc/sys/net/ipv6/conf/$each/disable_ipv6; done
"""
SUDO = '#!/bin/sh\nexec "$@"\n'
WEB = str(HERE.parent.parent / "examples/published-web-server.yaml")
# Notes what it runs. At one command it fails, is preceded by somebody else, or is interrupted.
TAMPERED = """#!/bin/sh
printf '%s\\n' "$*" >> "$RECORD"
[ "$(wc -l < "$RECORD")" = "${AT:-0}" ] || exec "$@"
eval "$MEANWHILE"
"$@" || exit
[ "$HOW" != interrupted ] || kill -INT $PPID
"""
# Each with what no later one of its name gets.
SEEN = """
ip -o link | sed 's/<.*//'
stat -c '%n %i %z' /run/netns/* 2>/dev/null || :
iptables-save | grep '^-A\\|^:CNETSH' || :
grep '' /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv4/conf/*/forwarding
"""
OTHERS = {"netns": "ip netns add {}", "link": "ip link add name {} type bridge"}


@pytest.fixture
def passing(tmp_path: Path) -> str:
    """A PATH whose sudo runs the command: inside the private host everybody is root."""
    sudo = tmp_path / "bin/sudo"
    sudo.parent.mkdir()
    sudo.write_text(SUDO, encoding="utf-8")
    sudo.chmod(0o755)
    return f"{sudo.parent}:{oracle.PATH}"


def written(private: Private, lab: str, folder: Path, *options: str) -> Path:
    script = folder / f"{lab}.sh"
    private.cnetsh("script", lab, *options, "-o", str(script))
    return script


def bash(private: Private, script: Path, verb: str, path: str) -> None:
    # What it remembers is its own: others' scripts may run at the same time.
    env = private.env | {"PATH": path, "XDG_RUNTIME_DIR": str(script.parent)}
    done = private.run(["bash", str(script), verb], env=env)
    assert done.returncode == 0, report(done)


@pytest.mark.parametrize(
    ("lab", "start"),
    [*((lab, "plain") for lab in LABS), ("routing", "forwarding"), ("routing", "hardened")],
)
def test_the_script_and_up_leave_equal_kernels(
    new_private: Callable[[], Private], tmp_path: Path, passing: str, lab: str, start: str
) -> None:
    by_script, by_up = new_private(), new_private()
    ipv6 = (lab, start) == ("routing", "plain")
    for host in (by_script, by_up):
        host.sh(STARTS[start] + ("" if ipv6 else WITHOUT_IPV6))
    before = by_script.snapshot()
    script = written(by_script, lab, tmp_path, *([] if start == "plain" else ["--no-sudo"]))
    with ThreadPoolExecutor() as both:
        adding = both.submit(bash, by_script, script, "add", passing)
        by_up.cnetsh("up", lab)
        adding.result()
        one, other = both.map(lambda host: host.snapshot(settled=0.2), (by_script, by_up))
        assert oracle.diff(oracle.shape(one), oracle.shape(other)) == []
        deleting = both.submit(bash, by_script, script, "delete", passing)
        by_up.cnetsh("down", lab)
        deleting.result()
    assert oracle.diff(before, by_up.snapshot()) == []
    assert wait_for(lambda: oracle.diff(before, by_script.snapshot()) == [])


class Page:
    """A lab's script on a host of its own, and a sudo in which things happen."""

    def __init__(self, private: Private, lab: str, folder: Path) -> None:
        self.private, self.folder = private, folder
        self.plans = plans(lab)
        self.script = folder / "page.sh"
        private.cnetsh("script", lab, "-o", str(self.script))
        sudo = folder / "tampered/sudo"
        sudo.parent.mkdir()
        sudo.write_text(TAMPERED, encoding="utf-8")
        sudo.chmod(0o755)
        self.record = folder / "record"

    def run(self, verb: str, **env: str) -> "subprocess.CompletedProcess[str]":
        self.record.write_text("", encoding="utf-8")
        path = {"PATH": f"{self.folder}/tampered:{oracle.PATH}", "RECORD": str(self.record)}
        own = {"XDG_RUNTIME_DIR": str(self.folder), "MEANWHILE": "", "HOW": ""}
        argv = ["bash", str(self.script), *verb.split()]
        return self.private.run(argv, env=self.private.env | own | path | env)

    def ends(self, verb: str, status: int, **env: str) -> str:
        """What it says when it ends as it must."""
        done = self.run(verb, **env)
        assert done.returncode == status, report(done)
        return done.stdout + done.stderr

    def ran(self) -> list[str]:
        return self.record.read_text(encoding="utf-8").splitlines()

    def seen(self) -> list[str]:
        return self.private.sh(SEEN).splitlines()

    def comes_to(self, seen: list[str]) -> None:
        """What goes with a namespace goes a moment later."""
        assert wait_for(lambda: self.seen() == seen), (seen, self.seen())

    def notes(self) -> list[Path]:
        return list(self.folder.glob("cnetsh-scripts-*"))


def recorded(plan: Plan) -> list[str]:
    return [" ".join(step.argv) for step in plan.steps]


def others(step: Step) -> list[str]:
    """Commands of somebody else, who takes a name that a step gives on the host."""
    refs = [ref for ref in made_by(step) if not ref.netns and ref.kind in OTHERS]
    return [OTHERS[ref.kind].format(ref.name) for ref in refs]


@pytest.mark.parametrize("lab", [*LABS, WEB], ids=[*LABS, "web"])
class TestOwning:
    def test_twice_and_what_sudo_is_given(self, private: Private, tmp_path: Path, lab: str) -> None:
        page = Page(private, lab, tmp_path)
        before = page.seen()
        page.ends("add", 0)
        assert page.ran() == recorded(page.plans.up)
        there = page.seen()
        assert "added already" in page.ends("add", 2)
        assert page.ran() == [] and page.seen() == there
        assert page.ends("delete", 0) == ""
        ran = page.ran()
        # Links that came and went had their own share of the settings.
        assert [line for line in ran if "/conf/" not in line] == recorded(page.plans.down)
        page.comes_to(before)
        assert "nothing is noted as added" in page.ends("delete", 2)
        assert page.ran() == [] and page.notes() == []

    def test_somebody_was_there_before(self, private: Private, tmp_path: Path, lab: str) -> None:
        page = Page(private, lab, tmp_path)
        taken = [line for step in page.plans.up.steps for line in others(step)]
        private.sh("\n".join(taken))
        before = page.seen()
        said = page.ends("add", 2)
        names = {line.split()[4 if " link " in line else 3] for line in taken}
        assert names <= {word.rpartition("/")[2] for word in said.split()}, said
        page.ends("delete", 2)
        assert page.ran() == [] and page.seen() == before and page.notes() == []

    def test_somebody_came_between(self, private: Private, tmp_path: Path, lab: str) -> None:
        """All that `add` has made is gone, and others' things have its names."""
        page = Page(private, lab, tmp_path)
        page.ends("add", 0)
        # Rules, chains and settings are there still.
        gone = [line for line in recorded(page.plans.down) if line.startswith("ip ")]
        private.sh("\n".join(gone))
        taken = [line for step in page.plans.up.steps for line in others(step)]
        links = "ls /proc/sys/net/ipv4/conf"
        assert wait_for(lambda: not re.search("^(veth|web-)", private.sh(links), re.M))
        private.sh("\n".join(taken))
        theirs = [line for line in page.seen() if "/netns/" in line or ": " in line]
        assert "no longer what was added, and stays" in page.ends("delete", 0)
        assert not [line for line in page.ran() if line.startswith("ip ")]
        left = page.seen()
        assert [line for line in left if "/netns/" in line or ": " in line] == theirs
        assert not [line for line in left if line[:1] == "-" or line[:2] == ":C"], left
        assert "/proc/sys/net/ipv4/ip_forward:0" in left and page.notes() == []

    @pytest.mark.parametrize(
        "every", [pytest.param(1, marks=pytest.mark.soak), 11], ids=["each", "some"]
    )
    def test_stopped_at_a_step(
        self, private: Private, tmp_path: Path, lab: str, every: int
    ) -> None:
        page = Page(private, lab, tmp_path)
        before = page.seen()
        steps = page.plans.up.steps
        # The offset moves with lab and way, so that most kinds of step are met by one of them.
        for way, how in enumerate(("failed", "taken", "interrupted")):
            for number in range((len(lab) + 2 * way) % every, len(steps), every):
                stopped(page, number, how)
                page.comes_to(before)


def stopped(page: Page, number: int, how: str) -> None:
    """Runs an `add` that is stopped at a step, and takes back what others did."""
    step, commands = page.plans.up.steps[number], recorded(page.plans.up)[: number + 1]
    taken = others(step) if how == "taken" else []
    if how == "taken" and not taken:
        return
    meanwhile = "exit 1" if how == "failed" else "; ".join(taken)
    status = 130 if how == "interrupted" else 1
    said = page.ends("add", status, AT=str(number + 1), MEANWHILE=meanwhile, HOW=how)
    assert "stopped halfway, so what was added is deleted" in said
    assert page.ran()[: number + 1] == commands and page.notes() == []
    for line in taken:
        # Fails if it is not there any more.
        page.private.sh(line.replace(" add ", " delete ").replace(" name ", " "))


def test_one_lab_after_the_other(new_private: Callable[[], Private], tmp_path: Path) -> None:
    """Two labs with the same usual names, and what was made by hand before (F1 of the field)."""
    host, pages = new_private(), []
    for name, net in (("monday", 31), ("tuesday", 32)):
        file = tmp_path / name / "lab.yaml"
        file.parent.mkdir()
        file.write_text(USUAL.format(name, net), encoding="utf-8")
        pages.append(Page(host, str(file), file.parent))
    monday, tuesday = pages
    host.sh("ip netns add net1")
    before = monday.seen()
    assert "somebody else has: netns/net1\n" in monday.ends("add", 2)
    monday.ends("delete", 2)
    assert monday.seen() == before
    host.sh("ip netns delete net1")
    monday.ends("add", 0)
    there = monday.seen()
    said = tuesday.ends("add", 2)
    assert "somebody else has: link/br0 netns/net0 netns/net1" in said
    assert "nothing is noted as added" in tuesday.ends("delete", 2)
    assert monday.seen() == there
    monday.ends("delete", 0)
    tuesday.ends("add", 0)
    tuesday.ends("delete", 0)
    tuesday.comes_to([line for line in before if "net1" not in line])


USUAL = """
name: {}
bridges: {{br0: {{address: 10.{}.0.1/24}}}}
containers: {{net: {{count: 2, bridge: br0}}}}
"""


def test_check_tells_what_works(private: Private, tmp_path: Path) -> None:
    page = Page(private, "container", tmp_path)
    page.ends("check", 2)
    page.ends("add", 0)
    said = page.ends("check", 0)
    assert said.count("\nok  ") == 5 and "failed" not in said
    assert "172.16.0.0/12 dev ceth0 proto kernel" in said
    assert page.ends("--quiet check", 0).startswith("172.16.0.0/12 dev ceth0")
    private.sh("ip link set veth0 down")
    said = page.ends("check", 1)
    assert "\nfailed  ping -c1 -W1 172.18.0.20\n" in said
    assert page.ends("--quiet delete", 0) == ""


ALONE = """
ip link add name br7 type bridge
ip address add 10.9.0.1/24 dev br7
ip link set br7 up
"""
ASKED = """
#: expect failure: nobody has it
#: control ping -c1 -W1 10.9.0.1
ping -c1 -W1 10.9.0.9
#: expect failure: nobody has it
#: control ping -c1 -W1 10.9.0.8
ping -c1 -W1 10.9.0.9
#: expect failure: the reason is $HOME and `nothing`
#: control none: there is one host alone
ping -c1 -W1 10.9.0.9
#: needs route 1.1.1.1
ping -c1 -W1 1.1.1.1
#: needs address 10.0.2.15
ping -c1 -W1 10.0.2.15
"""
TOLD = """\
ok      ping -c1 -W1 10.9.0.9  # fails, as it must: nobody has it
not tried, for this fails too: ping -c1 -W1 10.9.0.8
not tried, for there is no control: there is one host alone
not tried, for there is no route 1.1.1.1
not tried, for there is no address 10.0.2.15
"""


def test_check_tries_only_what_shows_something(private: Private, tmp_path: Path) -> None:
    page = Page(private, template(tmp_path, "lab", ALONE, check=ASKED), tmp_path)
    assert "ping 10.9.0.9  # fails: the reason is $HOME and `nothing`\n" in page.ends("add", 0)
    assert page.ends("check", 0) == TOLD
    private.sh("ip address delete 10.9.0.1/24 dev br7")
    assert page.ends("check", 1).endswith("\nfailed  none of the checks was tried\n")


def test_root_needs_no_sudo(private: Private, tmp_path: Path) -> None:
    page = Page(private, "container", tmp_path)
    tools = tmp_path / "tools"
    tools.mkdir()
    for tool in (
        "nsenter",
        "bash",
        "ip",
        "stat",
        "cat",
        "head",
        "mkdir",
        "rm",
        "rmdir",
        "sed",
        "sleep",
    ):
        (tools / tool).symlink_to(str(shutil.which(tool, path=oracle.PATH)))
    before = page.seen()
    told = page.ends("add", 0, PATH=str(tools))
    assert page.seen() != before
    # What it says to try can be typed here.
    assert "\nip netns exec net0 ping " in told and "\nsudo" not in told
    page.ends("delete", 0, PATH=str(tools))
    page.comes_to(before)


def test_what_others_have_set_since_stays(private: Private, tmp_path: Path) -> None:
    private.sh(EIGHT_AND_NINE)
    page = Page(private, "routing", tmp_path)
    page.ends("add", 0)
    private.sh("cd /proc/sys/net/ipv4/conf; echo 0 > eth9/forwarding")
    before = "/proc/sys/net/ipv4/conf/eth9/forwarding is no longer what was added, and stays\n"
    assert page.ends("delete", 0) == before
    told = [line.rpartition("/proc/sys/net/ipv4/")[2] for line in page.seen()]
    assert {"ip_forward:0", "conf/eth8/forwarding:1", "conf/eth9/forwarding:0"} <= set(told)


EIGHT_AND_NINE = """
ip link add eth8 type veth peer name eth9
for each in eth8 eth9; do echo 1 > /proc/sys/net/ipv4/conf/$each/forwarding; done
"""
ON_OTHERS = """
ip link set eth8 up
ip link set eth9 up
ip address add 192.0.2.1/24 dev eth8
ip link set dev eth9 mtu 1400
"""


def test_on_a_link_of_others(private: Private, tmp_path: Path) -> None:
    private.sh(EIGHT_AND_NINE + "ip link set eth9 up")
    page = Page(private, template(tmp_path, "lab", ON_OTHERS), tmp_path)
    page.ends("add", 0)
    assert page.ends("delete", 0) == "stays as add left it: ip link set dev eth9 mtu 1400\n"
    # eth9 was up before.
    assert page.ran() == ["ip address delete 192.0.2.1/24 dev eth8", "ip link set eth8 down"]


@pytest.mark.soak
def test_a_process_that_stays_inside_keeps_no_cable(private: Private, tmp_path: Path) -> None:
    page = Page(private, "container", tmp_path)
    before = page.seen()
    page.ends("add", 0)
    sleeper = private.start(["ip", "netns", "exec", "net0", "sleep", "600"])
    assert wait_for(lambda: "sleep" in private.sh(f"cat /proc/{sleeper.pid}/comm"))
    page.ends("delete", 0)
    assert page.ran() == ["ip netns delete net0", "ip link delete dev veth0"]
    assert page.seen() == before and sleeper.poll() is None
    sleeper.kill()
    sleeper.wait()


def test_ends_that_are_called_like_words_of_ip(private: Private, tmp_path: Path) -> None:
    """It stopped before one was moved, so that nothing took the cable along."""
    commands = """ip netns add n0
ip link add name group type veth peer name up
ip link set dev up netns n0"""
    page = Page(private, template(tmp_path, "lab", commands), tmp_path)
    page.ends("add", 1, AT="3", MEANWHILE="exit 1")
    assert page.notes() == [] and "group" not in private.sh("ip -br link")
