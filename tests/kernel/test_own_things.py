"""What is the lab's own goes whole, and what others hung on it is named and spared."""

import json
import subprocess
from pathlib import Path

import pytest
from endings import (
    assert_as_before,
    assert_left,
    assert_not_blamed,
    assert_others_named,
    assert_undone,
    ending,
)
from hosts import Ordinary, Private, report
from others import UPLINK, Hosts, nat, not_as, not_as_twin, often, template

DNS = ", dns: 1.1.1.1"
OWN_BRIDGE = "ip link add name brx type bridge\n"
PORTS = {
    "a port": f"{OWN_BRIDGE}ip link set dev eth7 master brx",
    "two ports": f"{OWN_BRIDGE}ip link set dev eth7 master brx\nip link set dev p8 master brx",
    "a port that comes from another bridge": f"{OWN_BRIDGE}ip link set dev p9 master brx",
    "a bridge that is up": f"{OWN_BRIDGE}ip link set dev eth7 master brx\nip link set brx up",
}
LINKS = f"""{UPLINK}
ip link add p8 address 02:00:00:00:08:01 type veth peer name q8 address 02:00:00:00:08:02
ip link add br9 type bridge
ip link add p9 address 02:00:00:00:09:01 type veth peer name q9 address 02:00:00:00:09:02
ip link set p9 master br9
"""
FAILS = "\nip route add 192.0.2.0/24 via 10.99.0.1"

HUNG = {
    "file": "echo '10.9.9.9 printer' > {a}/hosts",
    "odd file": 'echo his > "{a}/it\'s a \\$(id)"',
    "folder": "mkdir {a}/papers; echo his > {a}/papers/file",
    "link": "ln -s /etc/hostname {a}/hostname",
    "file in place of the lab's": "rm -f {a}/resolv.conf; echo his > {a}/resolv.conf",
}
HOLDS = {
    "port": (
        "ip link add p7 type veth peer name q7; ip link set p7 master br1",
        "p7",
        "ip link del p7",
    ),
    "two ports": (
        "for n in 7 8; do ip link add p$n type veth peer name q$n;"
        " ip link set p$n master br1; done",
        "p7",
        "ip link del p7; ip link del p8",
    ),
    "jump": ("iptables -A INPUT -j CNETSH-n1", "INPUT", ""),
}


class TestForeignPort:
    """The membership was the lab's and is undone by then, so one `down` is enough."""

    @pytest.mark.parametrize("what", often(PORTS, ("two ports", "a bridge that is up")))
    def test_of_the_labs_own_bridge(self, private: Private, tmp_path: Path, what: str) -> None:
        private.sh(LINKS)
        before = private.snapshot()
        private.cnetsh("up", template(tmp_path, "up1", PORTS[what]))
        done = private.cnetsh("down", "up1", check=False)
        assert not_as(private, before) == [], report(done)
        assert_as_before(done, "up1")

    @pytest.mark.parametrize("what", ["a port", "a port that comes from another bridge"])
    def test_in_an_up_that_fails(self, private: Private, tmp_path: Path, what: str) -> None:
        private.sh(LINKS)
        before = private.snapshot()
        up = private.cnetsh("up", template(tmp_path, "up1", PORTS[what] + FAILS), check=False)
        assert not_as(private, before) == [], report(up)
        assert_undone(up)


class TestAdvice:
    """What is printed below "left behind" works when it is pasted, and takes nothing of others."""

    @pytest.mark.parametrize("what", often(HUNG, ("odd file", "file in place of the lab's")))
    def test_spares_what_others_put_into_a_folder(
        self, new_private: Hosts, tmp_path: Path, what: str
    ) -> None:
        host, twin = new_private(), new_private()
        host.cnetsh("up", nat(tmp_path, DNS))
        twin.sh("mkdir -p /etc/netns/a")
        for each in (host, twin):
            each.sh(HUNG[what].format(a="/etc/netns/a"))
        first = host.cnetsh("down", "n1", check=False)
        self.name_is_said(host, first.stderr)
        rows = json.loads(host.cnetsh("status", "--json").stdout)
        assert all(row["state"] != "up" for row in rows), report(first)
        assert_pasted(host, "n1", first.returncode, ending(first).advice, report(first))
        assert not_as_twin(host, twin) == []

    @staticmethod
    def name_is_said(host: Private, said: str) -> None:
        names = host.sh("cd /etc/netns/a; ls -A").split("\n")
        assert all(name in said for name in names), (names, said)

    @pytest.mark.parametrize("what", often(HOLDS, ("port", "jump")))
    def test_frees_what_others_hung_on_it(
        self, private: Private, tmp_path: Path, what: str
    ) -> None:
        before = private.snapshot()
        private.cnetsh("up", nat(tmp_path))
        made, named, unmade = HOLDS[what]
        private.sh(made)
        done = private.cnetsh("down", "n1", check=False)
        assert named in done.stderr, report(done)
        assert_pasted(private, "n1", done.returncode, ending(done).advice, report(done))
        private.sh(unmade)
        assert not_as(private, before) == []


def test_what_others_have_made_on_the_labs_bridge_goes_with_it(
    private: Private, tmp_path: Path
) -> None:
    before = private.snapshot()
    private.cnetsh("up", nat(tmp_path))
    private.sh("ip link add link br1 name m7 type macvlan mode bridge")
    private.sh("ip link add x7 type vxlan id 7 dstport 4789 dev br1")
    done = private.cnetsh("down", "n1", check=False)
    assert not_as(private, before) == [], report(done)
    told = assert_others_named(done, "n1")
    assert [line for line in told if "gone" in line] == [
        f"link {name} is gone: it went with this lab's" for name in ("m7", "x7")
    ]


def test_a_cable_goes_whose_namespace_only_a_process_still_has(private: Private) -> None:
    before = private.snapshot()
    private.cnetsh("up", "container")
    stays = ["ip", "netns", "exec", "net0", "sh", "-c", "echo in; exec sleep 600"]
    inside = private.start(stays, stdout=subprocess.PIPE)
    try:
        assert inside.stdout and inside.stdout.readline() == "in\n"
        private.sh("ip netns delete net0")
        assert_as_before(private.cnetsh("down", "container"), "container")
        assert not_as(private, before) == []
    finally:
        inside.kill()
        inside.wait()


@pytest.mark.parametrize("on", ["sandbox", "sandbox:two"])
def test_advice_of_a_sandbox_is_typed_outside_of_it(ordinary: Ordinary, on: str) -> None:
    """A line with sudo would change what has that name in the machine's own network."""
    ordinary.cnetsh("up", "bridge", "--on", on)
    made = "ip link add zz type veth peer name zy && ip link set zz master br0"
    ordinary.cnetsh("exec", "host", "--on", on, "--", "sh", "-c", made)
    done = ordinary.cnetsh("down", "bridge", "--on", on, check=False)
    (line,) = (text.strip() for text in done.stderr.splitlines() if text.startswith("    "))
    assert done.returncode == 3 and line.startswith("cnetsh exec host"), report(done)
    env = ordinary.env | {"PATH": f"{ordinary.program.parent}:{ordinary.env['PATH']}"}
    assert ordinary.run(["sh", "-c", line], env=env).returncode == 0
    assert "bridge is down" in ordinary.cnetsh("down", "bridge", "--on", on).stderr


def assert_pasted(host: Private, name: str, code: int, advice: list[str], said: str) -> None:
    """Where something is left, the advice works, and `down` then finds nothing any more."""
    assert code in (0, 3), said
    if code == 3:
        assert advice, said
        for command in advice:
            host.sh(command)
    again = host.cnetsh("down", name, check=False)
    assert again.returncode == 0 and not ending(again).left, report(again)


class TestFolderOfNameServers:
    """/etc/netns is made on the way, and goes with the last lab that needs it."""

    NONE = "rm -rf /etc/netns"

    def test_that_was_not_there(self, private: Private, tmp_path: Path) -> None:
        private.sh(self.NONE)
        private.cnetsh("up", nat(tmp_path, DNS))
        done = private.cnetsh("down", "n1")
        assert not there(private), report(done)
        assert_as_before(done, "n1")
        private.cnetsh("up", nat(tmp_path, DNS))
        private.cnetsh("up", nat(tmp_path), "--yes")
        done = private.cnetsh("down", "n1")
        assert not there(private), report(done)

    def test_of_an_up_that_fails(self, private: Private, tmp_path: Path) -> None:
        private.sh(self.NONE)
        wrong = ", dns: 1.1.1.1, sysctls: {net.ipv4.ip_local_port_range: 3000 2000}"
        up = private.cnetsh("up", nat(tmp_path, wrong), check=False)
        assert up.returncode == 1 and not there(private), report(up)
        assert_undone(up)

    @pytest.mark.parametrize("order", ["xy", "yx"])
    def test_that_two_labs_need(self, private: Private, tmp_path: Path, order: str) -> None:
        private.sh(self.NONE)
        text = Path(nat(tmp_path, DNS)).read_text(encoding="utf-8")
        for at, name in enumerate("xy", 1):
            lab = tmp_path / f"{name}.yaml"
            mine = text.replace("n1", name).replace("br1", f"br{at}").replace("31", f"3{at}")
            lab.write_text(mine.replace("a:", f"c{name}:"), encoding="utf-8")
            private.cnetsh("up", str(lab))
        for name in order:
            assert there(private)
            done = private.cnetsh("down", name)
        assert not there(private), report(done)
        assert_as_before(done, order[-1])

    @pytest.mark.parametrize("when", ["before", "meanwhile"])
    def test_that_others_have_a_use_for(self, private: Private, tmp_path: Path, when: str) -> None:
        private.sh(f"{self.NONE}; {'mkdir /etc/netns' if when == 'before' else ''}")
        private.cnetsh("up", nat(tmp_path, DNS))
        if when == "meanwhile":
            private.sh("mkdir /etc/netns/his; echo his > /etc/netns/his/hosts")
        done = private.cnetsh("down", "n1", check=False)
        assert done.returncode == 0 and there(private), report(done)
        assert private.sh("ls /etc/netns") == ("his\n" if when == "meanwhile" else "")
        assert_not_blamed(done, "/etc/netns/a")


def there(private: Private) -> bool:
    return private.run(["test", "-d", "/etc/netns"]).returncode == 0


def test_an_undo_of_the_template_that_fails_is_told_also_where_others_are_tried_again(
    private: Private, tmp_path: Path
) -> None:
    """The chain can only be deleted in the second try, when nothing leads to it any more."""
    private.sh(UPLINK)
    lab = template(
        tmp_path,
        "again",
        """
#: undo ip link delete nowhere
ip link set eth7 alias theirs
iptables -N LAB
#: undo none: it goes with the rest
iptables -A FORWARD -j LAB
""",
    )
    private.cnetsh("up", lab)
    done = private.cnetsh("down", "again", check=False)
    assert_left(done, "step 1 is not undone")
    assert "LAB" not in private.sh("iptables-save"), report(done)
