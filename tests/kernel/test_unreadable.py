"""What cannot be read is not known, never gone; and one odd thing does not hide all others."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from endings import assert_as_before, assert_not_blamed, assert_not_known, assert_others_named
from hosts import PATIENCE, Private, report
from others import UPLINK, Hosts, beside_twin, lab_file, nat, not_as, not_as_twin, often

# By table: a rule that nft takes and iptables cannot show, and the chain that it is put into.
ODD = "nft add rule {family} {chain} meter m1 '{{ {words} limit rate 1/second }}' accept"
TABLES = {
    "nat": ODD.format(family="ip", chain="nat POSTROUTING", words="ip saddr"),
    "filter": ODD.format(family="ip", chain="filter FORWARD", words="ip saddr"),
    "nat v6": ODD.format(family="ip6", chain="nat POSTROUTING", words="ip6 saddr"),
}
SIX = """
bridges: {br1: {address: [10.31.0.1/24, "fd00:31::1/64"], nat: true}}
containers: {a: {bridge: br1}}
"""
# Stands before the real program, whose folder is laid over.
LAID_OVER = """
mkdir -p /run/upper /run/work
layers=lowerdir=/usr/sbin,upperdir=/run/upper,workdir=/run/work,userxattr
mount -t overlay overlay -o $layers /usr/sbin
rm /usr/sbin/{tool}
printf '#!/bin/sh\\n%s\\n' '{script}' > /usr/sbin/{tool}; chmod 755 /usr/sbin/{tool}
"""
BROKEN = {
    "fails": "echo iptables-save: no memory >&2; exit 1",
    "is killed": "kill -9 $$",
    "shows half": "iptables-nft-save | head -n 5",
    "says nothing, and warns": 'echo "# Table `nat is incompatible, use nft tool."',
}

KILLED_ONCE = 'test -e /run/once || { : > /run/once; kill -9 $$; }; exec iptables-nft-save "$@"'

# Empty chains, that iptables makes on the way, change nothing.
RULESET = "nft list table ip nat | grep -v 'chain\\|type\\|^$\\|}'"


class TestRules:
    @pytest.mark.parametrize("table", often(TABLES, ("nat", "nat v6")))
    def test_of_a_table_that_iptables_cannot_show(
        self, private: Private, tmp_path: Path, table: str
    ) -> None:
        tool = "ip6tables" if table.endswith("v6") else "iptables"
        private.sh(f"{tool} -t {table.split()[0]} -A OUTPUT -p tcp --dport 7 -j ACCEPT")
        before = private.snapshot()
        private.cnetsh("up", lab_file(tmp_path, "n1", SIX))
        private.sh(TABLES[table])
        done = private.cnetsh("down", "n1", check=False)
        assert_not_known(done, table.split()[0])
        assert_not_blamed(done)
        assert "--dport 7" not in done.stderr, report(done)
        private.sh(unmade(TABLES[table]))
        down = private.cnetsh("down", "n1", check=False)
        assert not_as(private, before) == [], report(down)
        assert "cnetsh" not in private.sh("nft list ruleset").lower()
        assert_as_before(down, "n1")

    @pytest.mark.parametrize("how", often(BROKEN, ("fails", "shows half")))
    def test_where_iptables_save_is_broken(
        self, private: Private, tmp_path: Path, how: str
    ) -> None:
        before = private.snapshot()
        private.cnetsh("up", nat(tmp_path))
        private.sh(LAID_OVER.format(tool="iptables-save", script=BROKEN[how]))
        done = private.cnetsh("down", "n1", check=False)
        assert_not_known(done)
        assert_not_blamed(done)
        private.sh("umount /usr/sbin")
        down = private.cnetsh("down", "n1", check=False)
        assert not_as(private, before) == [], report(down)
        assert_as_before(down, "n1")

    def test_where_a_lab_is_up(self, private: Private, tmp_path: Path) -> None:
        """Nothing is said of rules that nobody has seen, and none is touched."""
        before = private.snapshot()
        private.cnetsh("up", nat(tmp_path, ", publish: ['8080:80']"))
        changed = nat(tmp_path)
        up = private.snapshot()
        private.sh(LAID_OVER.format(tool="iptables-save", script=BROKEN["fails"]))
        for words, code in {f"up {changed} --yes": 2, "check": 2, "repair": 2}.items():
            done = private.cnetsh(*words.split(), check=False)
            assert done.returncode == code and "cannot read its table" in done.stderr, report(done)
            assert "is missing" not in done.stdout + done.stderr, report(done)
        done = private.cnetsh("status", "--drift", check=False)
        assert done.returncode == 3 and "cannot read its table" in done.stderr, report(done)
        assert done.stdout.split()[:2] == ["n1", "up"], report(done)
        private.sh("umount /usr/sbin")
        assert not_as(private, up) == []
        private.cnetsh("down", "n1")
        assert not_as(private, before) == []

    @pytest.mark.parametrize("verb", ["up", "down n1"])
    def test_of_which_the_reading_is_killed_is_done_again(
        self, private: Private, tmp_path: Path, verb: str
    ) -> None:
        before = private.snapshot()
        private.cnetsh("up", nat(tmp_path, ", publish: ['8080:80']"))
        changed = nat(tmp_path)
        private.sh(LAID_OVER.format(tool="iptables-save", script=KILLED_ONCE))
        private.cnetsh(*verb.split(), *([changed, "--yes"] if verb == "up" else []))
        assert private.sh("ls /run/once")
        private.sh("umount /usr/sbin; rm /run/once")
        private.cnetsh("down", "n1")
        assert not_as(private, before) == []

    def test_before_an_up(self, private: Private, tmp_path: Path) -> None:
        """Either nothing is executed, or all that was is taken back."""
        private.sh(f"iptables -t nat -A POSTROUTING -s 10.9.9.9 -j ACCEPT; {TABLES['nat']}")
        before, ruleset = private.snapshot(), private.sh(RULESET)
        up = private.cnetsh("up", nat(tmp_path), check=False)
        if up.returncode == 0:
            assert private.cnetsh("down", "n1", check=False).returncode == 3
        else:
            assert up.returncode in (2, 3), report(up)
        assert not_as(private, before) == [] and private.sh(RULESET) == ruleset, report(up)


def unmade(odd: str) -> str:
    """Takes the rule away again that nft has added."""
    _, _, _, family, table, chain, *_ = odd.split()
    place = f"{family} {table} {chain}"
    handle = f"nft -a list chain {place} | sed -n '/meter\\|@m1/s/.*# handle //p'"
    sets = f"nft delete set {family} {table} m1 2>/dev/null || :"
    return f"nft delete rule {place} handle $({handle}); {sets}"


def two_labs(private: Private, folder: Path) -> Path:
    """x and y are up; gives the folder of their journals as the test sees it."""
    for at, name in enumerate("xy", 1):
        text = f"bridges: {{b{name}: {{address: 10.3{at}.0.1/24}}}}\n"
        text += f"containers: {{c{name}: {{bridge: b{name}}}}}"
        private.cnetsh("up", lab_file(folder, name, text))
    (journals,) = Path(f"/proc/{private.pid}/root/run/cnetsh").iterdir()
    return journals


def interrupted(journal: Path) -> None:
    """As it is when cnetsh is killed: without the line that the lab is up."""
    journal.write_bytes(b"\n".join(journal.read_bytes().splitlines()[:-1]) + b"\n")


def odd_byte(journal: Path) -> None:
    content = bytearray(journal.read_bytes())
    content[len(content) // 2] ^= 1
    journal.write_bytes(content)


def half(journal: Path) -> None:
    os.truncate(journal, journal.stat().st_size // 3)


def garbage(journal: Path) -> None:
    journal.write_bytes(b"\xff\x00garbage\n" * 9)


def empty(journal: Path) -> None:
    os.truncate(journal, 0)


def fifo(journal: Path) -> None:
    journal.unlink()
    os.mkfifo(journal)


def folder(journal: Path) -> None:
    journal.unlink()
    journal.mkdir()


def dangling(journal: Path) -> None:
    journal.unlink()
    journal.symlink_to("nowhere")


DAMAGES: dict[str, Callable[[Path], None]] = {
    "empty": empty,
    "garbage": garbage,
    "half": half,
    "odd byte": odd_byte,
    "FIFO": fifo,
    "folder": folder,
    "dangling link": dangling,
}


class TestJournals:
    """The journal of x is damaged, y was interrupted."""

    @pytest.mark.parametrize("how", often(DAMAGES, ("empty", "FIFO", "folder")))
    def test_that_is_damaged_does_not_hide_the_others(
        self, private: Private, tmp_path: Path, how: str
    ) -> None:
        journals = two_labs(private, tmp_path)
        interrupted(journals / "y.journal")
        DAMAGES[how](journals / "x.journal")
        status = private.cnetsh("status", check=False, timeout=PATIENCE)
        rows = [line.split()[:2] for line in status.stdout.splitlines()]
        assert ["y", "interrupted"] in rows and status.returncode == 3, report(status)
        assert "x" in [row[0] for row in rows] or "x.journal" in status.stderr, report(status)
        recover = private.cnetsh("recover", check=False, timeout=PATIENCE)
        assert recover.returncode == 3 and "x.journal" in recover.stderr, report(recover)
        assert " by:" not in private.sh("ip link") and "cy" not in private.sh("ip netns list; echo")
        assert not (journals / "y.journal").exists()

    def test_whose_last_line_only_is_damaged_is_undone(
        self, private: Private, tmp_path: Path
    ) -> None:
        before = private.snapshot()
        journals = two_labs(private, tmp_path)
        content = (journals / "x.journal").read_bytes()
        (journals / "x.journal").write_bytes(content[:-4] + b"####\n"[-4:])
        recover = private.cnetsh("recover", check=False)
        assert recover.returncode == 3 and "x.journal" in recover.stderr, report(recover)
        private.cnetsh("down", "y")
        assert not_as(private, before) == [], report(recover)


# Breaks lines, and looks like lines of the tools' own.
ODD_TEXT = r"a\nb\n-A INPUT -j ACCEPT\nCOMMIT\n*nat\n:X - [0:0]\r\v\f\034\035\036\302\205"
ODD_TEXT += r"\342\200\250\033[2Jz"
ODD_THINGS = f"""
text=$(printf '{ODD_TEXT}')
iptables -t nat -A POSTROUTING -s 10.7.7.7 -m comment --comment "$text" -j ACCEPT
iptables -A FORWARD -s 10.7.7.7 -m comment --comment "$text" -j ACCEPT
ip6tables -A FORWARD -s fd00:7::7 -m comment --comment "$(printf 'x\\n\\377\\001')" -j ACCEPT
ip link set eth7 alias "$text"
"""
ODD_NAMES = r"""
for name in 'x\377y' 'a\003b' 'n\302\205l' "q'\"\\\\\\" '{a}' '%%s' '$(id)'; do
    ip link add name "$(printf "$name")" address 02:00:00:00:00:0b type bridge || :
done
"""


class TestOddText:
    """In comments of rules, aliases and names."""

    ALL = ODD_THINGS + ODD_NAMES

    def test_that_is_there_before(self, private: Private, tmp_path: Path) -> None:
        private.sh(UPLINK + self.ALL)
        before = private.snapshot()
        lab = nat(tmp_path)
        commands = (
            *(["doctor", lab], ["plan", lab, "--on", "host"], ["up", lab], ["status"]),
            *(["check", lab], ["graph", "--live"], ["recover"]),
        )
        for command in commands:
            done = private.cnetsh(*command, check=False)
            assert done.returncode == 0, (command, report(done))
            assert "Traceback" not in done.stderr and "\033" not in done.stdout + done.stderr
        done = private.cnetsh("down", "n1", check=False)
        assert not_as(private, before) == [], report(done)
        assert_as_before(done, "n1")

    def test_that_comes_meanwhile(self, new_private: Hosts, tmp_path: Path) -> None:
        done, differs = beside_twin(new_private, UPLINK, nat(tmp_path), "n1", self.ALL)
        assert differs == [], report(done)
        lines = assert_others_named(done, "n1", "10.7.7.7", "fd00:7::7")
        assert not any(ord(each) < 32 for line in lines for each in line), lines

    def test_that_comes_before_a_change(self, new_private: Hosts, tmp_path: Path) -> None:
        host, twin = new_private(), new_private()
        for each in (host, twin):
            each.sh(UPLINK)
        host.cnetsh("up", nat(tmp_path))
        for each in (host, twin):
            each.sh(self.ALL)
        publishing = nat(tmp_path, ", publish: ['80:80']")
        changed = host.cnetsh("up", publishing, "--yes", check=False)
        assert changed.returncode == 0, report(changed)
        host.cnetsh("down", "n1", check=False)
        assert not_as_twin(host, twin) == []
