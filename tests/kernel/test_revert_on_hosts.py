"""`down` takes back what the lab did, and not one thing that somebody else did meanwhile."""

import re
import sys
from pathlib import Path

import oracle
import pytest
from endings import KEPT, assert_as_before, assert_others_named
from hosts import PATIENCE, Private, report, wait_for
from others import (
    BRIDGE,
    UPLINK,
    Hosts,
    beside_twin,
    lab_file,
    not_as,
    not_as_twin,
    often,
    template,
)

# What somebody does to a link, and how it is named afterwards.
BY_HAND = {
    "MAC": ("ip link set {link} address 02:00:00:00:00:77", "02:00:00:00:00:77"),
    "mtu": ("ip link set {link} mtu 1300", "1300"),
    "alias": ("ip link set {link} alias mine", "mine"),
    "queue length": ("ip link set {link} txqueuelen 77", "77"),
    "queue": ("tc qdisc add dev {link} root pfifo limit 7", "pfifo"),
    "address": ("ip address add 192.168.7.1/24 dev {link}", "192.168.7.1/24"),
    "address v6": ("ip -6 address add fd00:7::1/64 dev {link} nodad", "fd00:7::1/64"),
    "route": ("ip route add 203.0.113.0/24 via 192.168.7.9", "203.0.113.0/24"),
    "route v6": ("ip -6 route add fd00:8::/64 via fd00:7::9", "fd00:8::/64"),
    "neighbour": (
        "ip neigh add 192.168.7.5 lladdr 02:00:00:00:00:05 nud permanent dev {link}",
        "192.168.7.5",
    ),
    "proxied neighbour": ("ip neigh add proxy 192.168.7.6 dev {link}", "192.168.7.6"),
    "setting": ("echo 1 > /proc/sys/net/ipv4/conf/{link}/proxy_arp", "proxy_arp"),
}
EVERYTHING = tuple(BY_HAND)


PORT = """
bridges: {br9: {external: true}}
containers: {c1: {bridge: br9, address: 10.5.0.7/24}}
"""
ONE_VALUE = {
    "mtu": "ip link set eth7 mtu 1400",
    "address": "ip address add 10.9.0.1/24 dev eth7",
    "alias": "ip link set eth7 alias lab txqueuelen 500",
    "queue": "tc qdisc add dev eth7 root tbf rate 1mbit burst 10kb latency 10ms",
    "neighbour": "ip neigh add 10.66.0.7 lladdr 02:00:00:00:00:07 nud permanent dev eth7",
    "setting": "echo 1 | tee /proc/sys/net/ipv4/conf/eth7/arp_ignore",
}
# A MAC address that changes takes permanent neighbours along, whoever made them.
NOT_BESIDE: dict[str, set[str]] = {
    "address": set(),
    "alias": {"alias", "queue length"},
    "neighbour": {"MAC"},
}


def by_hand(link: str, kinds: tuple[str, ...]) -> tuple[str, list[str]]:
    lines, named = zip(*(BY_HAND[kind] for kind in kinds), strict=True)
    return "\n".join(lines).format(link=link), list(named)


def assert_down_as_before(private: Private, before: oracle.Facts, *names: str) -> None:
    """Each lab goes down, in this order, and says that all is as before; in the end it is."""
    for name in names:
        assert_as_before(private.cnetsh("down", name, check=False), name)
    assert not_as(private, before) == []


class TestBorrowedBridge:
    """The lab has a port of a bridge of the host's, and nothing else of it."""

    LAB = (
        "bridges:\n  br9: {external: true}\ncontainers:\n  c1: {bridge: br9, address: 10.5.0.7/24}"
    )

    @pytest.mark.parametrize(
        ("meanwhile", "named"),
        [
            by_hand("br9", EVERYTHING),
            ("ip link set br9 down", ["br9"]),
            ("ip link set br9 down; ip link set br9 up; ip address del 10.5.0.1/24 dev br9",
             ["10.5.0.1/24"]),
        ],
        ids=["everything", "down", "down and up, without its address"],
    )  # fmt: skip
    def test_what_others_did_to_it_stays(
        self, new_private: Hosts, tmp_path: Path, meanwhile: str, named: list[str]
    ) -> None:
        lab = lab_file(tmp_path, "ext", PORT)
        done, differs = beside_twin(new_private, BRIDGE, lab, "ext", meanwhile)
        assert differs == [], report(done)
        assert_others_named(done, "ext", *named)

    def test_of_two_labs_one_after_the_other(self, new_private: Hosts, tmp_path: Path) -> None:
        """What others do between the two downs stays as well."""
        host, twin = new_private(), new_private()
        labs = [
            lab_file(tmp_path, name, PORT.replace("c1", f"c{name}").replace("0.7", f"0.{at}"))
            for at, name in enumerate("xy", 7)
        ]
        for each in (host, twin):
            each.sh(BRIDGE)
        for lab in labs:
            host.cnetsh("up", lab)
        for name, kind in (("x", "address"), ("y", "neighbour")):
            for each in (host, twin):
                each.sh(BY_HAND[kind][0].format(link="br9"))
            done = host.cnetsh("down", name)
        assert not_as_twin(host, twin) == []
        assert_others_named(done, "y", "192.168.7.1/24", "192.168.7.5")


class TestOneValueOfALink:
    """A template sets one thing of the host's uplink."""

    @pytest.mark.parametrize("lab", often(ONE_VALUE, ("mtu", "address")))
    def test_the_others_stay(self, new_private: Hosts, tmp_path: Path, lab: str) -> None:
        left_out = NOT_BESIDE.get(lab, {lab})
        kinds = tuple(kind for kind in BY_HAND if kind not in left_out)
        meanwhile, named = by_hand("eth7", kinds)
        folder = template(tmp_path, "t1", ONE_VALUE[lab])
        done, differs = beside_twin(new_private, UPLINK, folder, "t1", meanwhile)
        assert differs == [], report(done)
        assert_others_named(done, "t1", *named)

    def test_a_second_value_of_the_same_stays(self, new_private: Hosts, tmp_path: Path) -> None:
        """Somebody wants it his way since: neither the lab's value nor the one before is his."""
        folder = template(
            tmp_path,
            "t2",
            """
ip link set eth7 mtu 1400
ip link set eth7 alias lab
ip link set eth7 txqueuelen 500
tc qdisc add dev eth7 root tbf rate 1mbit burst 10kb latency 10ms
ip route add 203.0.113.0/24 via 10.66.0.254
ip neigh add 10.66.0.7 lladdr 02:00:00:00:00:07 nud permanent dev eth7
echo 1 | tee /proc/sys/net/ipv4/conf/eth7/rp_filter
""",
        )
        meanwhile = """
ip link set eth7 mtu 1300
ip link set eth7 alias mine
ip link set eth7 txqueuelen 77
tc qdisc replace dev eth7 root tbf rate 5mbit burst 20kb latency 20ms
ip route replace 203.0.113.0/24 via 10.66.0.253
ip neigh replace 10.66.0.7 lladdr 02:00:00:00:00:08 nud permanent dev eth7
echo 2 > /proc/sys/net/ipv4/conf/eth7/rp_filter
"""
        done, differs = beside_twin(new_private, UPLINK, folder, "t2", meanwhile)
        assert differs == [], report(done)
        named = ("1300", "mine", "77", "tbf", "203.0.113.0/24", "10.66.0.7", "rp_filter")
        lines = assert_others_named(done, "t2", *named)
        # The way of a route is a part of what it is: his is another one than the lab's.
        values = [line for line in lines if "203.0.113.0/24" not in line]
        assert all(KEPT in line for line in values if any(each in line for each in named)), lines

    def test_what_somebody_put_back_is_as_before(self, private: Private, tmp_path: Path) -> None:
        private.sh(UPLINK)
        before = private.snapshot()
        lines = "ip link set eth7 mtu 1400\nip address add 10.9.0.1/24 dev eth7"
        private.cnetsh("up", template(tmp_path, "t3", lines))
        private.sh("ip link set eth7 mtu 1500; ip address del 10.9.0.1/24 dev eth7")
        done = private.cnetsh("down", "t3", check=False)
        assert not_as(private, before) == []
        assert_as_before(done, "t3")


# What others do between two labs, what the second one does, and what the first has to name.
BETWEEN = {
    "the same": ("ip link set eth7 mtu 1300", "ip link set eth7 mtu 1300", "is 1300"),
    "another value": ("ip link set eth7 mtu 1300", "ip link set eth7 mtu 1400", "is 1400"),
    "the same setting": (
        "echo 1 > /proc/sys/net/ipv4/conf/eth7/arp_ignore",
        ONE_VALUE["setting"],
        "arp_ignore was 0, is 1",
    ),
    "a rule each": ("iptables -A INPUT -j DROP", "iptables -A INPUT -j ACCEPT", "-j DROP is new"),
    "nothing": ("true", "ip link set eth7 mtu 1400", ""),
    "nothing to a chain": ("true", "iptables -A INPUT -j ACCEPT", ""),
}


class TestTwoLabs:
    """The second lab is about what others have changed after the first one came up."""

    @pytest.mark.parametrize("what", often(BETWEEN, ("the same", "another value", "nothing")))
    def test_the_first_names_what_others_did_the_second_has_it_before(
        self, new_private: Hosts, tmp_path: Path, what: str
    ) -> None:
        meanwhile, second, named = BETWEEN[what]
        host, twin = new_private(), new_private()
        labs = [template(tmp_path, "t1", ONE_VALUE["address"]), template(tmp_path, "t2", second)]
        for each, up in ((host, lambda lab: host.cnetsh("up", lab)), (twin, lambda lab: None)):
            each.sh(UPLINK)
            up(labs[0])
            each.sh(meanwhile)
            up(labs[1])
        done = host.cnetsh("down", "t1", check=False)
        if named:
            assert len(assert_others_named(done, "t1", named)) == 1, report(done)
        else:
            assert_as_before(done, "t1")
        assert_as_before(host.cnetsh("down", "t2", check=False), "t2")
        assert not_as_twin(host, twin) == []

    @pytest.mark.parametrize("downs", often(("t1 t2", "t2 t1"), ("t2 t1",)))
    def test_what_the_other_lab_has_done_before_is_nobodys(
        self, private: Private, tmp_path: Path, downs: str
    ) -> None:
        private.sh(UPLINK)
        private.cnetsh("up", template(tmp_path, "t1", ONE_VALUE["mtu"]))
        private.cnetsh("up", template(tmp_path, "t2", ONE_VALUE["address"]))
        for name in downs.split():
            assert_as_before(private.cnetsh("down", name, check=False), name)

    @pytest.mark.parametrize("downs", often(("t1 t2", "t2 t1"), ("t2 t1",)))
    def test_what_the_first_is_changed_to_lies_on_the_second(
        self, private: Private, tmp_path: Path, downs: str
    ) -> None:
        private.sh(f"{UPLINK}\necho 0 > /proc/sys/net/ipv4/ip_forward")
        before = private.snapshot()
        private.cnetsh("up", template(tmp_path, "t1", ONE_VALUE["mtu"]))
        text = "echo {} | tee /proc/sys/net/ipv4/ip_forward\n"
        private.cnetsh("up", template(tmp_path, "t2", text.format(1)))
        private.cnetsh("up", template(tmp_path, "t1", text.format(0)), "--yes")
        done = [private.cnetsh("down", name, check=False) for name in downs.split()]
        assert not_as(private, before) == [], "".join(map(report, done))
        assert_as_before(done[1], downs.split()[1])

    @pytest.mark.parametrize("last", ["b", "a"])
    def test_what_two_others_have_done_one_on_the_other_is_theirs(
        self, private: Private, tmp_path: Path, last: str
    ) -> None:
        """Whichever of them came first, and whatever they are called."""
        private.sh(f"{BRIDGE}{BR8}; ip link add p7 type veth peer name q7; ip link set p7 up")
        before = private.snapshot()
        first = "b" if last == "a" else "a"
        for name, text in (
            (last, "ip link set dev q7 alias q"),
            (first, "ip link set dev p7 master br9"),
            ("c", "echo 1 | tee /proc/sys/net/ipv4/conf/all/log_martians"),
            (last, "ip link set dev p7 master br8"),
        ):
            private.cnetsh("up", template(tmp_path, name, text), "--yes")
        assert_as_before(private.cnetsh("down", "c", check=False), "c")
        assert_down_as_before(private, before, first, last)

    @pytest.mark.parametrize("downs", often(("t1 t2", "t2 t1"), ("t1 t2",)))
    def test_what_a_bridge_has_by_the_first_is_not_what_the_second_found(
        self, private: Private, tmp_path: Path, downs: str
    ) -> None:
        private.sh(BRIDGE)
        before = private.snapshot()
        private.cnetsh("up", template(tmp_path, "t1", "ip link set dev p9 mtu 1450"))
        private.cnetsh("up", template(tmp_path, "t2", "ip link set dev br9 mtu 1400"))
        done = [private.cnetsh("down", name, check=False) for name in downs.split()]
        assert not_as(private, before) == [], "".join(map(report, done))
        assert_as_before(done[1], downs.split()[1])

    def test_what_the_second_costs_the_first_comes_again(
        self, private: Private, tmp_path: Path
    ) -> None:
        private.sh(UPLINK)
        before = private.snapshot()
        kept = "ip neigh add 10.66.0.31 lladdr 02:00:00:00:00:31 nud permanent dev eth7"
        private.cnetsh("up", template(tmp_path, "t1", kept))
        taking = template(tmp_path, "t2", "ip link set dev eth7 address 02:00:00:00:07:03")
        private.cnetsh("up", taking)
        assert_down_as_before(private, before, "t2", "t1")

    @pytest.mark.parametrize("downs", often(("t1 t2", "t2 t1"), ("t1 t2",)))
    @pytest.mark.parametrize("at_first", ["nomaster", "master br9"])
    def test_each_has_the_same_port_in_a_bridge_of_its_own(
        self, private: Private, tmp_path: Path, at_first: str, downs: str
    ) -> None:
        private.sh(f"{BRIDGE}\nbridge link set dev p9 cost 77 isolated on")
        private.sh(f"ip link set p9 {at_first}")
        before = private.snapshot()
        for name in ("t1", "t2"):
            port = f"ip link add name b{name} type bridge\nip link set dev p9 master b{name}"
            private.cnetsh("up", template(tmp_path, name, port), "--allow-overlap")
        done = [private.cnetsh("down", name, check=False) for name in downs.split()]
        assert not_as(private, before) == [], "".join(map(report, done))
        assert "cost" not in done[0].stderr, report(done[0])
        assert_as_before(done[1], downs.split()[1])

    @pytest.mark.parametrize(
        ("prepared", "first", "second", "downs"),
        [
            pytest.param(
                f"{BRIDGE}\nip neigh add 10.5.0.9 lladdr 02:aa:00:00:00:09 nud permanent dev br9",
                "ip link set dev p9 nomaster",
                "ip link set dev p9 address 02:cc:00:00:00:42",
                "t1 t2",
                id="the MAC address of a port that comes again",
            ),
            pytest.param(
                f"{UPLINK}\necho 0 > /proc/sys/net/ipv4/ip_forward",
                "echo 1 | tee /proc/sys/net/ipv4/ip_forward",
                "echo 1 | tee /proc/sys/net/ipv4/ip_forward\n"
                "echo 0 | tee /proc/sys/net/ipv4/ip_forward",
                "t2 t1",
                id="a default to and fro",
            ),
            pytest.param(
                f"{BRIDGE}\nip link add br8 address 02:00:00:00:00:88 type bridge\n"
                "ip link set p9 master br8 type bridge_slave hairpin on",
                "ip link set dev p9 master br9",
                "ip link set dev p9 type bridge_slave hairpin on",
                "t1 t2",
                id="what a port has in both bridges",
            ),
            pytest.param(
                f"{BRIDGE}\nip link add link br9 name m9 address 02:00:00:00:02:09 type macvlan",
                "ip link set dev p9 nomaster",
                "ip link set dev p9 mtu 1300",
                "t1 t2",
                id="the MTU of a port that comes again",
            ),
        ],
    )
    def test_nothing_of_the_one_is_said_to_be_by_others(
        self, private: Private, tmp_path: Path, prepared: str, first: str, second: str, downs: str
    ) -> None:
        private.sh(prepared)
        before = private.snapshot()
        for name, lines in (("t1", first), ("t2", second)):
            private.cnetsh("up", template(tmp_path, name, lines), "--allow-overlap")
        assert_down_as_before(private, before, *downs.split())

    def test_a_change_that_takes_nothing_away_is_nothing_to_the_second(
        self, private: Private, tmp_path: Path
    ) -> None:
        private.sh(BRIDGE)
        before = private.snapshot()
        first = "ip link set dev p9 mtu 1400"
        private.cnetsh("up", template(tmp_path, "t1", first))
        private.cnetsh("up", template(tmp_path, "t2", "ip link set dev q9 alias lab"))
        more = f"{first}\nip link set dev p9 alias lab"
        private.cnetsh("up", template(tmp_path, "t1", more), "--yes")
        assert_down_as_before(private, before, "t2", "t1")

    def test_what_the_first_is_changed_to_found_of_a_second_that_changes_then(
        self, private: Private, tmp_path: Path
    ) -> None:
        private.sh(UPLINK)
        before = private.snapshot()
        first, alias = "ip link set eth7 txqueuelen 500", "ip link set eth7 alias {}"
        steps = (("t1", first), ("t2", alias.format(1)), ("t1", f"{first}\n{alias.format(1)}"),
                 ("t2", f"{alias.format(1)}\n{alias.format(2)}"))  # fmt: skip
        for name, lines in steps:
            private.cnetsh("up", template(tmp_path, name, lines), "--yes", "--allow-overlap")
        assert_down_as_before(private, before, "t2", "t1")

    def test_what_the_first_is_changed_to_found_a_port_of_the_second(
        self, private: Private, tmp_path: Path
    ) -> None:
        private.sh(UPLINK)
        before = private.snapshot()
        private.cnetsh("up", template(tmp_path, "t1", "ip link set eth7 alias lab"))
        port = "ip link add name b{0} type bridge\nip link set dev eth7x master b{0}\n"
        private.cnetsh("up", template(tmp_path, "t2", port.format(2)))
        moved = template(tmp_path, "t1", port.format(1))
        private.cnetsh("up", moved, "--yes", "--allow-overlap")
        assert_down_as_before(private, before, "t2", "t1")


class TestLabsOnOneBridge:
    """A bridge has the lowest MAC address of its ports, as long as nobody sets it."""

    PREPARED = BRIDGE.replace("02:00:00:00:00:01", "82:00:00:00:00:01")
    LOOK = "cat /sys/class/net/br9/address /sys/class/net/br9/addr_assign_type"

    @pytest.mark.parametrize("ups", often(("abc", "bac"), ("abc",)))
    def test_it_follows_its_own_port_again(
        self, private: Private, tmp_path: Path, ups: str
    ) -> None:
        private.sh(self.PREPARED)
        before, look = private.snapshot(), private.sh(self.LOOK)
        labs = {name: self.lab(tmp_path, name) for name in "abc"}
        for downs in (ups[:2], ups[1::-1], ups[1] + ups[2] + ups[0]):
            for name in sorted(downs, key=ups.index):
                private.cnetsh("up", labs[name])
            for name in downs:
                done = private.cnetsh("down", f"l{name}", check=False)
                assert done.returncode == 0, report(done)
            assert private.sh(self.LOOK) == look, (downs, report(done))
            assert "the kernel makes it" not in done.stderr, (downs, report(done))
        assert not_as(private, before) == []
        assert_as_before(done, f"l{downs[-1]}")

    def test_it_does_under_another_name(self, private: Private, tmp_path: Path) -> None:
        private.sh(self.PREPARED)
        before, look = private.snapshot(), private.sh(self.LOOK)
        for name in "ab":
            private.cnetsh("up", self.lab(tmp_path, name))
        private.sh("ip link set br9 name brz")
        for name in "ab":
            done = private.cnetsh("down", f"l{name}", check=False)
            assert done.returncode == 0, report(done)
        private.sh("ip link set brz name br9")
        assert private.sh(self.LOOK) == look, report(done)
        assert not_as(private, before) == []

    @staticmethod
    def lab(folder: Path, name: str) -> str:
        first = {"a": "22", "b": "92", "c": "62"}[name]
        lines = f"ip link add y{name} address {first}:00:00:00:00:01 type veth peer name z{name}"
        lines += f"\nip link set dev y{name} master br9\nip link set y{name} up"
        return template(folder, f"l{name}", lines)


@pytest.mark.parametrize("order", [("ta", "tb"), ("tb", "ta")])
def test_what_is_lost_by_two_labs_comes_again_with_the_last(
    private: Private, tmp_path: Path, order: tuple[str, str]
) -> None:
    private.sh(f"{UPLINK}\nip -6 route add fd00:8::/64 via 2001:db8::9")
    before = private.snapshot()
    for name in ("ta", "tb"):
        off = "echo 1 | tee /proc/sys/net/ipv6/conf/eth7/disable_ipv6"
        private.cnetsh("up", template(tmp_path, name, off))
    assert_down_as_before(private, before, *order)


def test_what_went_with_another_labs_link_is_nobodys(private: Private, tmp_path: Path) -> None:
    """The second lab has cost the first one's link an address, and then that went."""
    cable = "ip link add v7 type veth peer name v8\nip link set v7 up\nip link set v8 up"
    private.cnetsh("up", template(tmp_path, "ta", cable))
    local = "ip -6 -o address show dev v7 scope link -tentative"
    assert wait_for(lambda: private.sh(local) != "")
    off = "echo 1 | tee /proc/sys/net/ipv6/conf/all/disable_ipv6"
    private.cnetsh("up", template(tmp_path, "tb", off))
    for name in ("ta", "tb"):
        assert_as_before(private.cnetsh("down", name), name)


def test_a_port_of_a_labs_that_another_took_out_was_no_port_before(
    private: Private, tmp_path: Path
) -> None:
    private.sh(UPLINK)
    before = private.snapshot()
    joins = "ip link add name b7 type bridge\nip link set dev eth7x master b7"
    private.cnetsh("up", template(tmp_path, "ta", joins))
    private.cnetsh("up", template(tmp_path, "tb", "ip link set dev eth7x nomaster"))
    assert_down_as_before(private, before, "tb", "ta")


BR8 = "ip link add br8 address 02:00:00:00:00:88 type bridge"


@pytest.mark.parametrize("another", ["", f"; {BR8}"])
def test_a_port_whose_bridge_others_have_deleted_is_of_none(
    new_private: Hosts, tmp_path: Path, another: str
) -> None:
    lab = template(tmp_path, "t", "ip link set dev p9 master br9")
    prepared = f"{BRIDGE}{BR8}; ip link set p9 master br8 type bridge_slave hairpin on"
    done, differs = beside_twin(new_private, prepared, lab, "t", f"ip link delete br8{another}")
    assert_others_named(done, "t", "master was br8, is None")
    assert differs == []


def test_a_port_goes_back_where_others_have_deleted_the_bridge_that_the_lab_moved_it_to(
    new_private: Hosts, tmp_path: Path
) -> None:
    lab = template(tmp_path, "t", "ip link set dev p9 master br8")
    prepared = f"{BRIDGE}{BR8}; bridge link set dev p9 cost 77 isolated on"
    done, differs = beside_twin(new_private, prepared, lab, "t", "ip link delete br8")
    assert_others_named(done, "t", "link br8 is gone")
    assert differs == [], report(done)


def test_what_a_port_is_in_a_bridge_of_the_labs_was_not_before_its_change(
    private: Private, tmp_path: Path
) -> None:
    private.sh(f"{BRIDGE}{BR8}")
    before = private.snapshot()
    first = "ip link add b1 type bridge\nip link set dev q9 master b1"
    private.cnetsh("up", template(tmp_path, "t", first))
    moved = f"{first}\nip link set dev q9 master br8"
    private.cnetsh("up", template(tmp_path, "t", moved), "--yes")
    private.sh("ip link delete b1")
    assert_as_before(private.cnetsh("down", "t", check=False), "t")
    assert not_as(private, before) == []


@pytest.mark.parametrize("name", ["disable_ipv6", "forwarding"])
def test_what_others_set_all_to_holds_for_a_link_without_ipv6_by_the_lab(
    new_private: Hosts, tmp_path: Path, name: str
) -> None:
    lab = template(tmp_path, "t", "ip link set eth7 mtu 1200")
    meanwhile = f"echo 1 > /proc/sys/net/ipv6/conf/all/{name}"
    done, differs = beside_twin(new_private, UPLINK, lab, "t", meanwhile)
    assert_others_named(done, "t", f"all/{name} was 0, is 1")
    assert differs == []


@pytest.mark.parametrize("name", ["disable_ipv6", "forwarding"])
def test_what_the_lab_itself_sets_all_to_holds_for_no_link_when_it_is_gone(
    private: Private, tmp_path: Path, name: str
) -> None:
    private.sh(UPLINK)
    before = private.snapshot()
    every = f"echo 1 | tee /proc/sys/net/ipv6/conf/all/{name}"
    private.cnetsh("up", template(tmp_path, "t", f"ip link set eth7 mtu 1200\n{every}"))
    assert_as_before(private.cnetsh("down", "t", check=False), "t")
    assert not_as(private, before) == []


def test_what_is_the_default_for_the_second_lab_keeps_the_first_from_nothing(
    private: Private, tmp_path: Path
) -> None:
    private.sh(
        f"{UPLINK}\ncd /proc/sys/net/ipv4; echo 0 > ip_forward; echo 1 > conf/eth7/forwarding"
    )
    before = private.snapshot()
    for name, path in (("t1", "ip_forward"), ("t2", "conf/default/forwarding")):
        lab = template(tmp_path, name, f"echo 1 | tee /proc/sys/net/ipv4/{path}")
        private.cnetsh("up", lab)
    assert_down_as_before(private, before, "t1", "t2")


# Below 1280 the bridge has no IPv6; when it comes again, it begins with the defaults.
NO_LOCALS = f"""{BRIDGE}
ip link add link br9 name m9 address 02:00:00:00:02:09 type macvlan mode bridge
echo 1 > /proc/sys/net/ipv6/conf/br9/addr_gen_mode
ip link set m9 up; until ip -6 address show dev m9 | grep -q fe80; do sleep 0.01; done
"""


@pytest.mark.parametrize("downs", ["t1 t2", "t2 t1"])
@pytest.mark.parametrize("then", ["br9 mtu 1300", "p9 mtu 1500"])
def test_ipv6_that_the_first_costs_a_bridge_and_the_second_gives_it_anew(
    private: Private, tmp_path: Path, then: str, downs: str
) -> None:
    private.sh(NO_LOCALS)
    before = private.snapshot()
    for name, size in (("t1", "p9 mtu 1200"), ("t2", then)):
        private.cnetsh("up", template(tmp_path, name, f"ip link set dev {size}"))
    done = [private.cnetsh("down", name, check=False) for name in downs.split()]
    assert not_as(private, before) == [], "".join(map(report, done))
    assert_as_before(done[1], downs.split()[1])


@pytest.mark.parametrize("name", ["disable_ipv6", "forwarding"])
@pytest.mark.parametrize("downs", ["t1 t2", "t2 t1"])
@pytest.mark.parametrize("ups", often(("t1 t2", "t2 t1"), ("t1 t2",)))
def test_what_one_sets_all_to_and_a_link_that_the_other_costs_ipv6(
    private: Private, tmp_path: Path, ups: str, downs: str, name: str
) -> None:
    private.sh(UPLINK)
    before = private.snapshot()
    every = f"echo 1 | tee /proc/sys/net/ipv6/conf/all/{name}"
    labs = {"t1": template(tmp_path, "t1", "ip link set eth7 mtu 1200")}
    labs["t2"] = template(tmp_path, "t2", every)
    for lab in ups.split():
        private.cnetsh("up", labs[lab], "--allow-overlap")
    assert_down_as_before(private, before, *downs.split())


def test_ipv6_that_the_first_costs_a_bridge_and_a_change_gives_back(
    private: Private, tmp_path: Path
) -> None:
    private.sh(NO_LOCALS)
    before = private.snapshot()
    alias = "ip link set q9 alias lab"
    first = template(tmp_path, "t1", f"ip link set dev p9 mtu 1200\n{alias}")
    private.cnetsh("up", first)
    private.cnetsh("up", template(tmp_path, "t2", "ip link set dev br9 mtu 1300"))
    private.cnetsh("up", template(tmp_path, "t1", alias), "--yes")
    done = [private.cnetsh("down", name, check=False) for name in ("t1", "t2")]
    assert not_as(private, before) == [], "".join(map(report, done))
    assert_as_before(done[1], "t2")


def test_ipv6_that_others_give_anew_to_a_link_that_the_lab_cost_it(
    new_private: Hosts, tmp_path: Path
) -> None:
    lab = template(tmp_path, "t", "ip link set dev p9 mtu 1200")
    done, differs = beside_twin(new_private, NO_LOCALS, lab, "t", "ip link set br9 mtu 1400")
    assert_others_named(done, "t", "br9", "1400")
    assert differs == [], report(done)


def test_what_others_make_on_a_bridge_that_is_small_by_the_lab(
    new_private: Hosts, tmp_path: Path
) -> None:
    lab = template(tmp_path, "t", "ip link set dev p9 mtu 1400")
    made = "ip link add link br9 name m8 address 02:00:00:00:02:08 type macvlan mode bridge"
    done, differs = beside_twin(new_private, BRIDGE, lab, "t", made)
    assert_others_named(done, "t", "m8")
    assert differs == [], report(done)


MOVED = "ip netns add away; ip link set eth7 netns away"
TAKEN_ALONG = {
    "mtu": "ip link set eth7 mtu 1400",
    "address": "ip link set eth7 address 02:00:00:00:07:77",
    "alias": "ip link set eth7 alias lab txqueuelen 500",
}


@pytest.mark.parametrize("value", TAKEN_ALONG)
def test_a_link_that_others_move_away_goes_there_as_it_was(
    new_private: Hosts, tmp_path: Path, value: str
) -> None:
    lab = template(tmp_path, "t", TAKEN_ALONG[value])
    done, differs = beside_twin(new_private, UPLINK, lab, "t", MOVED)
    assert_others_named(done, "t", "link eth7 is gone")
    assert differs == [], report(done)


def test_what_others_have_set_of_a_link_that_they_moved_away_stays(
    new_private: Hosts, tmp_path: Path
) -> None:
    lab = template(tmp_path, "t", TAKEN_ALONG["alias"])
    meanwhile = f"{MOVED} name e9; ip -n away link set e9 alias theirs"
    done, differs = beside_twin(new_private, UPLINK, lab, "t", meanwhile)
    assert_others_named(done, "t", "link eth7 is gone")
    assert differs == [], report(done)


def test_a_link_that_others_take_where_nobody_can_look_goes_with_what_was_set_of_it(
    private: Private, tmp_path: Path
) -> None:
    private.sh(UPLINK)
    private.cnetsh("up", template(tmp_path, "t", TAKEN_ALONG["mtu"]))
    private.sh(f"{MOVED}; ip netns delete away")
    done = private.cnetsh("down", "t", check=False)
    assert_others_named(done, "t", "link eth7 is gone, with what this lab had set of it")


def test_a_link_that_others_move_away_and_back_may_have_a_default_of_the_labs(
    private: Private, tmp_path: Path
) -> None:
    private.sh(UPLINK)
    default = "echo 0 | tee /proc/sys/net/ipv4/conf/default/accept_redirects"
    private.cnetsh("up", template(tmp_path, "t", default))
    private.sh(f"{MOVED}; ip netns exec away ip link set eth7 netns $$; ip link set eth7 up")
    done = private.cnetsh("down", "t", check=False)
    path = "/proc/sys/net/ipv4/conf/eth7/accept_redirects"
    told = f"{path} was 1, is 0, as this lab had the default: not known whether others have set it"
    assert told in done.stderr, report(done)
    assert done.returncode == 3, report(done)


CHAIN = "iptables -N {0}\niptables -A {0} -s 10.80.0.0/16 -j DROP"
RENAMED = {
    "chain": (CHAIN, "iptables -E {} c3"),
    "link": ("ip link add {} type bridge", "ip link set {} name c3"),
}


@pytest.mark.parametrize("what", RENAMED)
def test_what_others_called_something_of_the_first_lab_the_second_has_not_found(
    private: Private, tmp_path: Path, what: str
) -> None:
    made, renamed = RENAMED[what]
    before = private.snapshot()
    private.cnetsh("up", template(tmp_path, "t1", made.format("c1")))
    private.sh(renamed.format("c1"))
    private.cnetsh("up", template(tmp_path, "t2", made.format("c2")))
    assert_as_before(private.cnetsh("down", "t1", check=False), "t1")
    private.sh(renamed.format("c2"))
    assert_as_before(private.cnetsh("down", "t2", check=False), "t2")
    assert not_as(private, before) == []


def test_a_port_moved_by_a_change_goes_back_as_others_had_it_then(
    new_private: Hosts, tmp_path: Path
) -> None:
    host, twin = new_private(), new_private()
    for each in (host, twin):
        each.sh(f"{BRIDGE}{BR8}; ip link set p9 type bridge_slave hairpin on")
    first = "ip link add br7 type bridge"
    host.cnetsh("up", template(tmp_path, "t", first))
    for each in (host, twin):
        each.sh("ip link set p9 type bridge_slave hairpin off")
    moved = f"{first}\nip link set dev p9 master br8"
    host.cnetsh("up", template(tmp_path, "t", moved), "--yes")
    assert_others_named(host.cnetsh("down", "t", check=False), "t", "hairpin was True, is False")
    assert not_as_twin(host, twin) == []


@pytest.mark.parametrize("bridge", often(("br9", "br8"), ("br9",)))
def test_what_a_port_was_comes_again_where_a_change_has_put_it_back(
    private: Private, tmp_path: Path, bridge: str
) -> None:
    private.sh(f"{BRIDGE}{BR8}; bridge link set dev p9 cost 77 isolated on")
    before = private.snapshot()
    first = "ip link set dev p9 nomaster"
    private.cnetsh("up", template(tmp_path, "t", first))
    more = f"{first}\nip link set dev p9 master {bridge}"
    private.cnetsh("up", template(tmp_path, "t", more), "--yes")
    assert_down_as_before(private, before, "t")


def test_a_value_changed_by_the_first_lab_is_none_that_the_second_found(
    private: Private, tmp_path: Path
) -> None:
    kept = "ip neigh add 10.5.0.9 lladdr 02:00:00:00:00:59 nud permanent dev br9"
    port = "ip link add p8 address 02:00:00:00:00:03 type veth peer name q8; ip link set p8 up"
    private.sh(f"{BRIDGE}ip link set p9 address 02:00:00:00:00:05; {port}; {kept}")
    before = private.snapshot()
    first = "ip link set dev p9 address 02:00:00:00:00:75"
    private.cnetsh("up", template(tmp_path, "t1", first))
    private.cnetsh("up", template(tmp_path, "t2", "ip link set dev p8 master br9"))
    more = f"{first}\nip link set dev p9 address 02:00:00:00:00:53"
    private.cnetsh("up", template(tmp_path, "t1", more), "--yes")
    private.cnetsh("down", "t1")
    assert_as_before(private.cnetsh("down", "t2", check=False), "t2")
    assert not_as(private, before) == []


def test_an_undo_counts_on_after_a_failure(private: Private, tmp_path: Path) -> None:
    failing = "ip netns add t1\n#: undo ip netns delete other\nip netns add t2\nip netns add t3"
    private.cnetsh("up", template(tmp_path, "ta", failing))
    done = private.cnetsh("down", "ta", check=False)
    assert re.findall(r"^undo \[(\d)/3\]", done.stderr, re.MULTILINE) == ["1", "2", "3"], report(
        done
    )


def test_a_namespace_that_goes_while_a_link_is_put_back_there(
    private: Private, tmp_path: Path
) -> None:
    private.sh(UPLINK)
    slow = "#: undo ping -c 2 127.0.0.1\nip link set eth7 txqueuelen 500"
    private.cnetsh("up", template(tmp_path, "t", f"{TAKEN_ALONG['mtu']}\n{slow}"))
    private.sh(f"{MOVED}; ip link set lo up")
    down = private.start([sys.executable, "-m", "cnetsh", "down", "t"], stderr=-1)
    assert wait_for(lambda: "ping" in private.sh("ps -eo comm"))
    private.sh("ip netns delete away")
    _, said = down.communicate(timeout=PATIENCE)
    assert "Traceback" not in said, said
    assert down.returncode == 0, said
