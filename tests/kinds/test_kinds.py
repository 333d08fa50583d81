"""What each command does, how it is undone, and what is not allowed."""

import pkgutil

import pytest
from samples import GIVEN, plan, words_changed

from cnetsh import kinds
from cnetsh.errors import CnetshError
from cnetsh.kinds.change import Change, Changes, Make, Move, Ref, Remove, Set, after, refs_of
from cnetsh.kinds.setting import is_setting
from cnetsh.plan.steps import changes_of, command_in, parse
from cnetsh.plan.undo import undos

# command: its undo in the same namespace
UNDOS = {
    "ip link add a0 type veth peer name b": "ip link delete a0",
    "ip link add a0 mtu 1400 type veth peer name b mtu 1400": "ip link delete a0",
    "ip link add a0 type veth peer name b netns n0": "ip link delete a0",
    "ip link add name br0 type bridge": "ip link delete br0",
    "ip link add br0 type bridge": "ip link delete br0",
    "ip link add br0 mtu 1400 type bridge": "ip link delete br0",
    "ip link add name br0 address 02:00:00:00:00:01 type bridge": "ip link delete br0",
    "ip link set a0 up": "ip link set a0 down",
    "ip link set dev a0 up": "ip link set a0 down",
    "ip link set a0 down": "ip link set a0 up",
    "ip link set dev a0 master br0": "ip link set dev a0 nomaster",
    "ip link set dev a0 type bridge_slave hairpin on": (
        "ip link set dev a0 type bridge_slave hairpin off"
    ),
    "ip link set a0 master br0": "ip link set dev a0 nomaster",
    "ip l set a0 up": "ip link set a0 down",
    "ip address add 10.0.0.1/8 dev a0": "ip address delete 10.0.0.1/8 dev a0",
    "ip addr add fd00::1/64 dev a0 nodad": "ip address delete fd00::1/64 dev a0",
    "ip -6 a add fd00::1/64 dev a0": "ip address delete fd00::1/64 dev a0",
    "ip route add default via 10.0.0.1": "ip route delete default via 10.0.0.1",
    "ip -6 route add default via fd00::1": "ip -6 route delete default via fd00::1",
    "ip route add 10.0.0.0/8 via 10.0.0.1 dev a0 metric 7 src 10.0.0.2 table 5": (
        "ip route delete 10.0.0.0/8 via 10.0.0.1 dev a0 metric 7 src 10.0.0.2 table 5"
    ),
    "ip netns add n0": "ip netns delete n0",
    "iptables -A FORWARD -i a -j DROP": "iptables -D FORWARD -i a -j DROP",
    "iptables -I FORWARD -i a -j DROP": "iptables -D FORWARD -i a -j DROP",
    "iptables -w -t nat -A X ! -o a -j DROP": "iptables -w -t nat -D X ! -o a -j DROP",
    "ip6tables -t nat -A X -j DROP": "ip6tables -t nat -D X -j DROP",
    "iptables -t nat -N LAB": "iptables -t nat -X LAB",
    "iptables -w -N LAB": "iptables -w -X LAB",
    "tc qdisc add dev a0 root tbf rate 1mbit burst 9kb latency 10ms": "tc qdisc delete dev a0 root",
    "tc qdisc add dev a0 root netem delay 10ms": "tc qdisc delete dev a0 root",
    "mkdir /etc/netns/n0": "rmdir /etc/netns/n0",
}

PUT_BACK = [
    "ip link set a0 nomaster",
    "ip link set a0 mtu 1400",
    "ip link set a0 address 02:00:00:00:00:01",
    "ip link set dev a0 alias 'what it is for'",
    "ip link set a0 txqueuelen 7",
]

REMOVES = [
    "ip link delete a0",
    "ip link del dev a0",
    "ip address delete 10.0.0.1/8 dev a0",
    "ip route delete default",
    "ip route del 10.0.0.0/8 via 10.0.0.1",
    "ip netns delete n0",
    "ip netns del n0",
    "iptables -D FORWARD -j DROP",
    "iptables -F FORWARD",
    "iptables -t nat -X LAB",
    "tc qdisc delete dev a0 root",
    "rmdir /etc/netns/n0",
    "rm -f /etc/netns/n0/resolv.conf",
]

LOOKS = [
    *("ip link", "ip link show", "ip -d link show a", "ip -br addr", "ip addr show dev a0"),
    *("ip route", "ip route show table all", "ip route get 1.1.1.1", "ip -6 route list"),
    *("ip netns", "ip netns list", "ip netns pids n0", "ip neigh", "ip neighbour show", "ip rule"),
    *("ip maddress show", "bridge link", "bridge fdb show br br0", "tc qdisc show dev a0"),
    *("tc class show dev a", "iptables -S", "iptables -t nat -S POSTROUTING", "iptables -L -n -v"),
    "iptables -C FORWARD -j DROP",
]

# why: commands
REFUSED = {
    "would be process 1 of the caller's": ["ip link set a0 netns 1", "ip link set a0 netns 4711"],
    "a path is not a name": ["ip link set a0 netns /proc/1/ns/net", "ip link set a0 netns ../n0"],
    "another kind of link": [
        "ip link add a0 type nlmon",
        "ip link add a0 type veth",
        "ip link add link a0 name b type vlan id 5 protocol 802.1ad",
        "ip link add br0 type bridge vlan_filtering 1",
    ],
    "ip takes what follows for the port's": [
        "ip link set dev a0 type bridge_slave hairpin on up",
        "ip link set dev a0 type bridge_slave hairpin on mtu 1400",
        "ip link set type bridge_slave hairpin on dev a0",
    ],
    "a type of the far end": ["ip link add a0 type veth peer name b type"],
    "ip would guess the prefix": ["ip address add 10.0.0.1 dev a0", "ip addr add fd00::1 dev a0"],
    "another form": [
        "ip address add 10.0.0.1/8 broadcast + dev a0",
        "ip address add 10.0.0.1/8",
        "ip address replace 10.0.0.1/8 dev a0",
        "ip address flush dev a0",
        "ip link set a0 name b",
        "ip link set a0",
        "ip link set",
        "ip link set a0 xdp object x.o",
        "ip route replace default via 10.0.0.1",
        "ip route add default",
        "ip route add 10.0.0.0/8 via",
        "ip route add default via 10.0.0.1 onlink",
        "ip route add blackhole 10.0.0.0/8",
        "ip route flush table main",
        "ip rule add from 10.0.0.1 table 7",
        "ip neigh add 10.0.0.1 dev a0",
        "ip netns add",
        "ip netns attach n0 1",
        "ip netns set n0 1",
        "ip netns identify",
        "ip netns monitor",
        "ip monitor",
        "ip tuntap add dev t mode tap",
        "ip xfrm state",
        "ip -all netns delete",
        "ip -force -batch x",
        "ip -s",
    ],
    "all rules of a table": ["iptables -F", "iptables -t nat -F", "iptables -X"],
    "a policy or a place": [
        "iptables -P FORWARD DROP",
        "iptables -I FORWARD 3 -j DROP",
        "iptables -R FORWARD 1 -j DROP",
        "iptables -E A B",
        "iptables -A FORWARD",
        "iptables -Z FORWARD",
        "iptables-restore",
        "ebtables -A FORWARD -j DROP",
        "nft add table x",
    ],
    "another queue": [
        "tc qdisc add dev a0 root fq",
        "tc qdisc replace dev a0 root tbf rate 1mbit",
        "tc qdisc add dev a0 ingress",
        "tc filter add dev a parent 1: matchall action drop",
    ],
    "changes a bridge": ["bridge link set dev a cost 5", "bridge vlan add dev a vid 5"],
    "commands of a file": ["bridge -b show", "bridge -batch show", "tc -b x", "tc -batch show"],
    "floods": ["ping -f 10.0.0.1", "ping -c1 -f 10.0.0.1", "ping -qf 10.0.0.1"],
    "runs a program as root": [
        "iptables -L -M /tmp/x",
        "iptables -L -nM/tmp/x",
        "iptables -A FORWARD -j DROP --modprobe=/tmp/x",
        "iptables -A FORWARD -j DROP --modp /tmp/x",
        "iptables -A FORWARD -j DROP --mo=/tmp/x",
    ],
    "another file or folder": [
        *(
            "mkdir /etc/netns",
            "mkdir -p /etc/netns/n0",
            "mkdir /etc/netns/../x",
            "mkdir /etc/netns/..",
        ),
        *(
            "mkdir /etc/netns/a/b",
            "mkdir /etc/netns/1",
            "mkdir /etc/netnsx/a",
            "mkdir -p /etc",
            "mkdir",
        ),
        *(
            "rmdir /etc/netns",
            "rmdir /etc/netns/.",
            "rm -f /etc/netns/n0",
            "rm /etc/netns/n0/resolv.conf",
        ),
        *("rm -f /etc/netns/n0/hosts", "rm -rf /etc/netns/n0", "rm -f /etc/resolv.conf", "rm -f"),
        *("tee /etc/netns/n0/hosts", "tee /etc/netns/resolv.conf", "tee -a /proc/sys/net/ipv4/x"),
        *("tee -i /etc/netns/n0/resolv.conf", "tee /etc/netns/n0/resolv.conf /etc/passwd"),
    ],
    "another program": ["sysctl -w x=1", "sh", "tee", "tee /etc/passwd", "tee /proc/sys/net/../x"],
}


def allowed(text: str, netns: str = "") -> Changes | None:
    """What a command does inside a namespace, None if it is not allowed."""
    words = tuple(text.split(" | tee ")[-1].split())
    given = GIVEN.get(words[-1], "1") if words[:1] == ("tee",) else ""
    return kinds.read(kinds.command_of(words, netns, given)) if words else None


def changes(text: str, netns: str = "") -> Changes:
    found = allowed(text, netns)
    assert found, text
    return found


def up(text: str) -> None:
    plan(text)


@pytest.mark.parametrize("text", UNDOS)
@pytest.mark.parametrize("netns", ["", "n7"])
def test_undo(text: str, netns: str) -> None:
    if netns and ("ip netns" in text or "/etc/netns" in text):
        assert allowed(text, netns) is None
        return
    typed = f"ip netns exec {netns} {text}" if netns else text
    (undo,) = undos(plan(typed).steps)
    wanted = UNDOS[text]
    assert undo.texts[-1] == (f"ip netns exec {netns} {wanted}" if netns else wanted)
    assert all(changes_of(one) for one in undo.texts)


@pytest.mark.parametrize("text", PUT_BACK)
def test_put_back_from_the_snapshot(text: str) -> None:
    (change,) = changes_of(text)
    assert isinstance(change, Set) and change.ref == Ref("link", "", "a0")
    (undo,) = undos(plan(text).steps)
    assert (undo.texts, undo.note) == ((), "put back from the snapshot")


@pytest.mark.parametrize("text", REMOVES)
def test_what_removes_has_no_undo(text: str) -> None:
    assert isinstance(changes(text)[0], Remove)
    with pytest.raises(CnetshError, match="no undo: what it removes cannot be put back"):
        up(text)


@pytest.mark.parametrize("text", LOOKS)
def test_a_look_changes_nothing(text: str) -> None:
    for netns in ("", "n0"):
        assert allowed(text, netns) == ()


def test_a_ping_is_a_check() -> None:
    (step,) = parse("ping -c1 -W1 10.0.0.1", "own", "", "check", "own").steps
    assert (step.kind, step.changes) == ("check", ())


@pytest.mark.parametrize(
    "text", [text for texts in REFUSED.values() for text in texts], ids=lambda text: text
)
def test_is_not_allowed(text: str) -> None:
    for netns in ("", "n0"):
        assert allowed(text, netns) is None


class TestMakes:
    @pytest.mark.parametrize(
        ("text", "makes"),
        [
            ("ip netns add n0", [("netns", "", "n0")]),
            ("ip link add br0 type bridge", [("link", "n7", "br0")]),
            ("ip link add a0 type veth peer name b", [("link", "n7", "a0"), ("link", "n7", "b")]),
            (
                "ip link add a0 type veth peer name b netns n1",
                [("link", "n7", "a0"), ("link", "n1", "b")],
            ),
            (
                "ip link add a0 netns n0 type veth peer name b netns n1",
                [("link", "n0", "a0"), ("link", "n1", "b")],
            ),
            (
                "ip link add link p name m netns n1 type macvlan mode bridge",
                [("link", "n1", "m")],
            ),
            ("iptables -t nat -N LAB", [("chain", "n7", "iptables nat LAB")]),
            ("mkdir /etc/netns/n0", [("folder", "", "/etc/netns/n0")]),
        ],
    )
    def test_objects_where_they_come_to_be(
        self, text: str, makes: list[tuple[str, str, str]]
    ) -> None:
        netns = "" if "netns add" in text or "/etc/netns" in text else "n7"
        assert list(refs_of(changes(text, netns)[0])) == makes

    def test_a_peer_with_an_mtu_of_its_own(self) -> None:
        text = "ip link add a0 mtu 1400 type veth peer name b mtu 1300"
        make, size = changes(text)
        assert isinstance(make, Make) and make.facts["mtu"] == 1400
        assert size == Set(Ref("link", "", "b"), "mtu", 1300)

    def test_a_chain_is_emptied_before_it_is_removed(self) -> None:
        (undo,) = undos(plan("iptables -w -t nat -N LAB").steps)
        assert undo.texts == ("iptables -w -t nat -F LAB", "iptables -w -t nat -X LAB")

    def test_a_move_gives_the_new_place(self) -> None:
        assert changes("ip link set b0 netns n1", "n0") == (
            Move(Ref("link", "n0", "b0"), Ref("link", "n1", "b0")),
        )

    def test_name_servers_are_in_a_folder(self) -> None:
        path = "/etc/netns/n0/resolv.conf"
        for text in (f"tee {path}", f"tee -a {path}"):
            (change,) = changes(text)
            assert isinstance(change, Make) and change.on == Ref("folder", "", "/etc/netns/n0")
            assert allowed(text, "n0") is None

    def test_a_setting_is_on_its_path(self) -> None:
        path = "/proc/sys/net/ipv4/ip_forward"
        assert changes(f"tee {path}", "n0") == (Set(Ref("setting", "n0", path), "value", "1"),)

    def test_a_setting_of_a_link_goes_with_the_link(self) -> None:
        lines = "ip link add br0 type bridge\necho 1 | tee /proc/sys/net/ipv4/conf/br0/proxy_arp"
        assert undos(plan(lines).steps)[1].covered_by == 0

    def test_several_values_in_one_command(self) -> None:
        link = Ref("link", "", "p0")
        assert changes("ip link set up dev p0 mtu 1400 master br0") == (
            Set(link, "up", True), Set(link, "mtu", 1400), Set(link, "master", "br0"),
        )  # fmt: skip


SAMPLES = [text for kind in kinds.MODULES for text in kind.SAMPLES]


def test_every_kind_is_in_the_table_and_has_samples_for_the_battery() -> None:
    """tests/kernel/test_inverse.py and test_after.py try all SAMPLES on a kernel."""
    files = {each.name for each in pkgutil.iter_modules(kinds.__path__)}
    assert files - {"change", "link_words", "looks", "mtu", "port"} == {
        kind.__name__.rpartition(".")[2] for kind in kinds.MODULES
    }
    without = {
        name
        for name, kind in kinds.ALL.items()
        if not any(change.ref.kind == name for text in kind.SAMPLES for change in changes_of(text))
    }
    # Of the folder of all name servers nothing is undone, and others are only seen.
    assert without == {"home", "file", "table", "fdb", "group", "vlan", "policy"}


@pytest.mark.parametrize("text", SAMPLES)
def test_a_change_is_written_as_a_command_that_does_it(text: str) -> None:
    """Text to changes to text to the same changes."""
    for change in changes_of(text):
        written = [one for line in kinds.write(change) for one in changes_of(line)]
        assert written == [change]


@pytest.mark.parametrize(
    ("typed", "read"), [("5", "5"), ("05", "5"), ("010", "8"), ("0x10", "16"), ("0", "0")]
)
def test_a_number_is_read_as_ip_reads_it(typed: str, read: str) -> None:
    for text in (
        "ip link add link eth0 name v0 type vlan id {}",
        "ip link add name vx0 type vxlan id 7 dstport {}",
        "ip link set dev eth0 mtu {}",
    ):
        assert changes_of(text.format(typed)) == changes_of(text.format(read))
        for wrong in ("08", "1_0", "0b1", "-1", "٣"):
            assert allowed(text.format(wrong), "") is None


@pytest.mark.parametrize("text", SAMPLES)
def test_after_its_inverse_nothing_is_left(text: str) -> None:
    there = [change for change in changes_of(text) if isinstance(change, Make)]
    back = [kinds.inverse(change) for change in reversed(there)]
    typed = command_in(text)
    lines = [line for change in back if change for line in kinds.write(change, typed)]
    assert after([*there, *(one for line in lines for one in changes_of(line))]) == {}


@pytest.mark.parametrize("text", SAMPLES)
def test_no_word_is_left_unread(text: str) -> None:
    """Each word removed, doubled or added is refused or changes the meaning."""

    def meaning(line: str) -> Change | object:
        try:
            return changes_of(line)
        except CnetshError:
            return None

    same = [word for word, line in words_changed(text) if meaning(line) == meaning(text)]
    # Words that ip and iptables do not need either.
    assert set(same) <= {"name", "dev", "-6", "-6 -6", "-w"}


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/proc/sys/net/ipv4/ip_forward", True),
        ("/proc/sys/net/ipv4/conf/eth0.5/forwarding", True),
        ("/proc/sys/net/../kernel/panic", False),
        ("/proc/sys/net/ipv4/..", False),
        ("/proc/sys/net//ipv4", False),
        ("/proc/sys/network", False),
        ("/proc/sys/kernel/panic", False),
        ("proc/sys/net/ipv4/ip_forward", False),
        ("", False),
    ],
)
def test_is_setting(path: str, answer: bool) -> None:
    assert is_setting(path) is answer


def test_every_kind_says_what_its_objects_are() -> None:
    for name in [*kinds.ALL, "socket"]:
        sentence = kinds.explained(name)
        assert sentence.endswith(".") and 30 < len(sentence) <= 100, name


def test_on_lo_ipv4_has_one_neighbour_for_all_addresses() -> None:
    add = "ip netns exec a ip neigh add {} lladdr 02:00:00:00:00:07 nud permanent dev {}"
    names = [change.ref.name for address, dev in (("10.0.0.7", "lo"), ("fd00::7", "lo"),
                                                  ("10.0.0.7", "p0"))
             for change in changes_of(add.format(address, dev))]  # fmt: skip
    assert names == ["0.0.0.0", "fd00::7", "10.0.0.7"]
