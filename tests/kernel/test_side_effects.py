"""What a command does to the host besides what it names is put back with it."""

from pathlib import Path

import oracle
import pytest
from endings import assert_as_before, assert_not_known, assert_others_named, assert_undone
from hosts import Private, report
from others import UPLINK, Hosts, beside_twin, not_as, not_as_twin, often, template

TWO_LINKS = f"""{UPLINK}
cd /proc/sys/net
ip -6 route add fd00:8::/64 via 2001:db8::9; ip -6 route add fd00:9::/64 via 2001:db8::9 mtu 1400
ip -6 neigh add proxy 2001:db8::7 dev eth7
ip -6 neigh add 2001:db8::9 lladdr 02:00:00:00:00:09 nud permanent dev eth7
ip link add eth8 address 02:00:00:00:08:01 type veth peer name eth8x address 02:00:00:00:08:02
echo 1 > ipv6/conf/eth8/disable_ipv6; ip link set eth8 up; ip link set eth8x up
echo 1 > ipv6/conf/eth8x/forwarding; echo 1 > ipv4/conf/eth8x/forwarding
echo 0 > ipv4/conf/eth7/accept_redirects; echo 2 > ipv6/conf/eth7/accept_ra
echo 1 > ipv4/conf/eth8/proxy_arp; echo 77 > ipv6/conf/eth7/hop_limit
until ip -6 address show dev eth8x | grep -q fe80; do sleep 0.01; done
"""
SETTINGS = (
    *("ipv6/conf/all/disable_ipv6", "ipv6/conf/eth7/disable_ipv6"),
    *("ipv6/conf/default/disable_ipv6", "ipv6/conf/all/forwarding"),
    *("ipv6/conf/default/forwarding", "ipv6/conf/eth7/forwarding"),
    *("ipv6/conf/eth7/addr_gen_mode", "ipv6/conf/default/addr_gen_mode"),
    *("ipv4/ip_forward", "ipv4/conf/default/forwarding", "ipv4/conf/all/proxy_arp"),
)
IPV4, FORWARDS = "/proc/sys/net/ipv4", "echo 1 | tee IPV4/ip_forward"
DEFAULT = "echo 1 > /proc/sys/net/ipv4/conf/default/log_martians"
# An address that comes just before forwarding joins its anycast group twice on a busy machine, and
# then never again: the kernel counts who joined (dev_forward_change, addrconf_dad_work).
MUCH = f"""{UPLINK}
cd /proc/sys/net
ip neigh add 10.66.0.9 lladdr 02:00:00:00:00:09 nud permanent dev eth7
ip -6 neigh add 2001:db8::9 lladdr 02:00:00:00:00:09 nud permanent dev eth7
ip neigh add proxy 10.66.0.8 dev eth7; ip -6 neigh add proxy 2001:db8::8 dev eth7
ip address add 10.67.0.1/24 dev eth7 noprefixroute metric 77
ip address add 10.68.0.1/24 dev eth7 label eth7:lan valid_lft 3000 preferred_lft 2000
ip address add 10.69.0.1 peer 10.69.0.2 dev eth7
ip -6 address add fd00:7::1/64 dev eth7 nodad noprefixroute
ip -6 address add fd00:6::1/64 dev eth7 nodad metric 55 valid_lft 3000 preferred_lft 2000
ip route add 198.51.100.0/24 via 10.66.0.254 mtu 1100 metric 7
ip route add 198.51.101.0/24 via 10.66.0.254 src 10.66.0.1 proto static
ip route add 198.51.102.0/24 dev eth7 table 7; ip rule add from 10.68.0.0/16 table 7
ip route add blackhole 198.51.103.0/24; ip route add 198.51.104.0/24 via 10.66.0.254 metric 900
ip -6 route add fd00:8::/64 via 2001:db8::9 mtu 1300 metric 8
ip -6 route add fd00:9::/64 via 2001:db8::9 expires 900
ip link add br8 type bridge; ip link add bx address 02:00:00:00:00:0b type bridge
ip link add p8 address 02:00:00:00:08:01 type veth peer name p8x address 02:00:00:00:08:02
ip link set p8 master br8; ip link set p8x up; ip link set p8 up; ip link set br8 up
ip address add 10.8.0.1/24 dev br8
ip neigh add 10.8.0.9 lladdr 02:00:00:00:00:09 nud permanent dev br8
bridge link set dev p8 isolated on; bridge link set dev p8 cost 77
bridge link set dev p8 hairpin on
bridge link set dev p8 learning off; bridge link set dev p8 priority 9
bridge link set dev p8 neigh_suppress on
bridge fdb add 02:00:00:00:00:99 dev p8 master static
tc qdisc add dev eth7 root pfifo limit 7
echo 77 > ipv6/conf/br8/hop_limit; echo 1 > ipv6/conf/br8/forwarding
ip -6 address add fd00:5::1/64 dev br8 nodad; ip -6 route add fd00:4::/64 via fd00:5::9
ip -6 neigh add fd00:5::9 lladdr 02:00:00:00:00:09 nud permanent dev br8
until ip -6 address show dev br8 | grep -q fe80; do sleep 0.01; done
"""
# What ip prints and takes again, and few have.
RARE = f"""{MUCH}
ip -6 route add fd00:a::/64 from fd00:b::/64 via 2001:db8::9
ip route add 198.51.105.0/24 via 10.66.0.254 realms 5 rtt 50ms rto_min 2s congctl cubic features ecn
ip route add 198.51.107.0/24 via 10.66.0.254 hoplimit lock 7 mtu 1400 rtt lock 50ms
ip -6 route add fd00:d::/64 via 2001:db8::9 mtu lock 1400
ip route add 198.51.106.0/24 via inet6 fe80::5 dev eth7
ip -6 address add fd00:3::1/64 dev eth7 nodad home mngtmpaddr
ip neigh add 10.66.0.7 lladdr 02:00:00:00:00:07 nud permanent protocol static dev eth7
ip -6 route add fd00:c::/64 nexthop via 2001:db8::9 dev eth7 nexthop via fd00:5::8 dev br8
bridge link set dev p8 mcast_router 2
bridge mdb add dev br8 port p8 grp 239.1.1.1 permanent
bridge fdb add 02:00:00:00:00:98 dev p8 master static sticky
"""
# The kernel makes its own address again where IPv6 comes again, before it is told not to.
NO_LOCAL = f"""{MUCH}
echo 1 > ipv6/conf/br8/addr_gen_mode; ip -6 address flush dev br8 scope link
echo 1 > ipv6/conf/eth7/addr_gen_mode; ip -6 address flush dev eth7 scope link
"""
TAKING = {
    "down": "ip link set eth7 down",
    "down and up": "ip link set eth7 down\nip link set eth7 up",
    "no bridge": "ip link set dev p8 nomaster",
    "another bridge": "ip link set dev p8 master bx",
    "a bridge": "ip link set dev eth7 master bx",
    "too small for IPv6": "ip link set eth7 mtu 1200",
    "another MAC": "ip link set eth7 address 02:00:00:00:00:70",
    "a port too small for IPv6 of its bridge": "ip link set p8 mtu 1200",
    "a port of its own too small for it": "ip link add v0 type veth peer name v1\n"
    "ip link set dev v0 mtu 1200\nip link set dev v0 master br8",
    "a port of its own made small": "ip link add v0 type veth peer name v1\n"
    "ip link set dev v0 master br8\nip link set dev v0 mtu 1200",
    "down and no bridge": "ip link set p8 down\nip link set dev p8 nomaster",
}
# What is made on another link has no larger MTU than that, and keeps the small one.
STACKED = f"""{MUCH}
for on in eth7 br8; do
    ip link add link $on name m-$on address 02:00:00:00:09:0${{#on}} type macvlan mode bridge
    ip link set m-$on up; ip address add 10.7${{#on}}.0.1/24 dev m-$on
    ip -6 address add fd00:7${{#on}}::1/64 dev m-$on nodad
    ip -6 route add fd00:8${{#on}}::/64 via fd00:7${{#on}}::9
    ip -6 neigh add fd00:7${{#on}}::9 lladdr 02:00:00:00:00:09 nud permanent dev m-$on
    echo 77 > ipv6/conf/m-$on/hop_limit
    until ip -6 address show dev m-$on | grep -q fe80; do sleep 0.01; done
done
"""
PORT = "ip link add v0 type veth peer name v1\nip link set dev v0 master br8"
BELOW = {
    "smaller": "ip link set eth7 mtu 1400",
    "too small for IPv6": "ip link set eth7 mtu 1200",
    "a port's too small for IPv6": "ip link set p8 mtu 1200",
    "a port's of its own too small": TAKING["a port of its own too small for it"],
}
# What a lab does, and what others do, who take along what the lab has taken already.
BOTH = {
    "a link down and its IPv6 off": (
        "ip link set eth7 down\nip link set eth7 up",
        "echo 1 > ipv6/conf/eth7/disable_ipv6",
    ),
    "all of IPv6 off": (
        "echo 1 | tee /proc/sys/net/ipv6/conf/eth7/disable_ipv6",
        "ip link set eth7 mtu 1200",
    ),
    "all of IPv6 off, and the link down in between": (
        "echo 1 | tee /proc/sys/net/ipv6/conf/all/disable_ipv6",
        "ip link set eth7 down; ip link set eth7 name zeth7; ip link set zeth7 up",
    ),
    "a link down twice": ("ip link set eth7 down\nip link set eth7 up", "ip link set eth7 down"),
    "a link too small for IPv6": ("ip link set eth7 mtu 1200", "ip link set eth7 mtu 1250"),
    "a link too small for IPv6 that has another name then": (
        "ip link set eth7 mtu 1200",
        "ip link set eth7 down; ip link set eth7 name zeth7; ip link set zeth7 up",
    ),
    "a bridge too small for IPv6 twice": (
        "ip link set p8 mtu 1200",
        "ip link set p8 mtu 1250",
    ),
    "neighbours of a bridge, its last address": (
        "ip link set p8 address 02:00:00:00:00:70",
        "ip address delete 10.8.0.1/24 dev br8",
    ),
    "routes, their last address": (
        "ip link set eth7 down\nip link set eth7 up",
        "ip -4 address flush dev eth7",
    ),
    "neighbours, kept by an address of the lab's": (
        "ip address add 10.12.0.1/24 dev br8",
        "ip address delete 10.8.0.1/24 dev br8",
    ),
    "neighbours of a bridge without its port": (
        "ip link set dev p8 master bx",
        "ip link set p8 address 02:00:00:00:00:70",
    ),
    "IPv6 of a bridge without its port": (
        "ip link set dev p8 master bx",
        "ip link set p8 mtu 1200",
    ),
}
# What a lab does, and what others do, who take along what they would not without the lab.
WITH_THE_LAB = {
    "IPv6 of a bridge, by a port": (
        "ip link set dev q8 master br8",
        "ip link set q8 mtu 1200",
    ),
    "neighbours, by the MAC address of the lab's port": (
        PORT,
        "! test -e /sys/class/net/v0 || ip link set v0 address 02:00:00:00:00:01",
    ),
}


def assert_back_or_refused(host: Private, lab: str, name: str) -> None:
    """After `up` and `down` all is as before, and said to be; or `up` was refused at once."""
    before = host.snapshot()
    up = host.cnetsh("up", lab, check=False)
    if up.returncode == 2:
        assert oracle.diff(before, host.snapshot()) == []
        return
    assert up.returncode == 0, report(up)
    done = host.cnetsh("down", name, check=False)
    assert not_as(host, before) == [], report(done)
    assert_as_before(done, name)


class TestSideEffects:
    """A command does more than what it names, and all of it is put back."""

    @pytest.mark.parametrize("setting", often(SETTINGS, SETTINGS[:7:3]))
    def test_of_a_setting(self, private: Private, tmp_path: Path, setting: str) -> None:
        private.sh(TWO_LINKS)
        lab = template(tmp_path, "v6", f"echo 1 | tee /proc/sys/net/{setting}")
        assert_back_or_refused(private, lab, "v6")

    def test_of_several_settings(self, private: Private, tmp_path: Path) -> None:
        private.sh(TWO_LINKS)
        paths = ("ipv6/conf/all/forwarding", "ipv6/conf/eth8/disable_ipv6", "ipv4/ip_forward")
        paths += ("ipv6/conf/all/disable_ipv6",)
        lines = [f"echo {int('eth8' not in p)} | tee /proc/sys/net/{p}" for p in paths]
        assert_back_or_refused(private, template(tmp_path, "v6", "\n".join(lines)), "v6")

    @pytest.mark.parametrize(
        "setting", ["ipv6/conf/default/disable_ipv6", "ipv4/conf/default/forwarding"]
    )
    def test_on_a_link_that_others_make_meanwhile(
        self, new_private: Hosts, tmp_path: Path, setting: str
    ) -> None:
        """It takes the defaults that the lab has set."""
        lab = template(tmp_path, "v6", f"echo 1 | tee /proc/sys/net/{setting}")
        made = "ip link add br7 address 02:00:00:00:00:07 type bridge"
        done, differs = beside_twin(new_private, TWO_LINKS, lab, "v6", made)
        assert differs == [], report(done)
        assert_others_named(done, "v6", "br7")

    @pytest.mark.parametrize(
        "new",
        ["echo 0 | tee IPV4/ip_forward", f"{FORWARDS}\necho 0 | tee IPV4/conf/br7/forwarding"],
    )
    def test_on_a_link_that_others_make_before_the_lab_is_changed(
        self, new_private: Hosts, tmp_path: Path, new: str
    ) -> None:
        """What it took from the lab's default, and another lab's, is not what it has without."""
        host, twin = new_private(), new_private()
        labs = [template(tmp_path, name, FORWARDS.replace("IPV4", IPV4)) for name in ("v4", "w4")]
        host.cnetsh("up", labs[0])
        for each in (host, twin):
            each.sh("ip link add br7 address 02:00:00:00:00:07 type bridge")
        host.cnetsh("up", labs[1], "--yes")
        host.cnetsh("up", template(tmp_path, "v4", new.replace("IPV4", IPV4)), "--yes")
        host.cnetsh("down", "w4", check=False)
        done = host.cnetsh("down", "v4", check=False)
        assert not_as_twin(host, twin) == [], report(done)
        assert_others_named(done, "v4", "br7")

    def test_on_a_link_that_others_make_in_the_place_of_the_labs(
        self, new_private: Hosts, tmp_path: Path
    ) -> None:
        default = "echo 1 | tee /proc/sys/net/ipv6/conf/default/disable_ipv6"
        lab = template(tmp_path, "v6", f"{default}\nip link add br7 type bridge")
        made = "ip link delete br7 2>/dev/null || :\n"
        made += "ip link add br7 address 02:00:00:00:00:07 type bridge"
        done, differs = beside_twin(new_private, TWO_LINKS, lab, "v6", made)
        assert differs == [], report(done)
        assert_others_named(done, "v6", "br7")

    @pytest.mark.parametrize(
        "command",
        [
            "ip address add 10.9.0.1/24 dev eth8",
            "echo 1 | tee /proc/sys/net/ipv4/conf/eth8/log_martians",
        ],
    )
    def test_whether_a_default_of_others_would_have_reached_a_link_is_not_known(
        self, new_private: Hosts, tmp_path: Path, command: str
    ) -> None:
        """What was set by hand follows no default, and nobody can see whether it did before."""
        lab = template(tmp_path, "v4", command)
        done, differs = beside_twin(new_private, TWO_LINKS, lab, "v4", DEFAULT)
        assert len(differs) == 1 and "ipv4/conf/eth8/log_martians" in differs[0], report(done)
        assert_not_known(done, "/conf/eth8/log_martians is 0, and the default 1 now")
        assert "sudo sh -c 'echo 1 | tee /proc/sys/net/ipv4/conf/eth8/log_martians'" in done.stderr

    @pytest.mark.parametrize(
        ("link", "told"), [("eth7", ""), ("eth8", "it does not follow net.ipv4.conf.default")]
    )
    def test_a_link_that_follows_no_default_after_its_first_address_is_told(
        self, private: Private, tmp_path: Path, link: str, told: str
    ) -> None:
        private.sh(TWO_LINKS)
        lab = template(tmp_path, "v4", f"ip address add 10.9.0.1/24 dev {link}")
        private.cnetsh("up", lab)
        assert_as_before(done := private.cnetsh("down", "v4"), "v4")
        assert told in done.stderr and ("follow" in done.stderr) == bool(told)
        private.cnetsh("up", lab)
        private.sh(DEFAULT)
        done = private.cnetsh("down", "v4", check=False)
        assert done.returncode == (3 if told else 0), report(done)


class TestTakenAlong:
    """What a link loses when it goes down, leaves its bridge or becomes too small for IPv6."""

    @pytest.mark.parametrize(
        "what",
        often(
            TAKING, ("down", "another bridge", "too small for IPv6", "a port of its own made small")
        ),
    )
    def test_is_put_back(self, private: Private, tmp_path: Path, what: str) -> None:
        private.sh(RARE)
        assert_back_or_refused(private, template(tmp_path, "dn", TAKING[what]), "dn")

    def test_by_what_has_no_way_back_is_told(self, private: Private, tmp_path: Path) -> None:
        private.sh(f"""{UPLINK}
            ip nexthop add id 7 via 10.66.0.254 dev eth7; ip route add 198.51.100.0/24 nhid 7
            ip route add 198.51.101.0/24 encap ip id 1 dst 10.66.0.9 dev eth7""")
        private.cnetsh("up", template(tmp_path, "dn", "ip link set eth7 down"))
        done = private.cnetsh("down", "dn", check=False)
        assert done.returncode == 3, report(done)
        told = "198.51.100.0/24 via 10.66.0.254 dev eth7: the kernel has no way back"
        assert told in done.stderr and "encap ip is gone: the kernel has no way back" in done.stderr

    @pytest.mark.parametrize(
        "what", often(BELOW, ("too small for IPv6", "a port's too small for IPv6"))
    )
    def test_is_put_back_of_what_is_made_on_the_link_too(
        self, private: Private, tmp_path: Path, what: str
    ) -> None:
        private.sh(STACKED)
        assert_back_or_refused(private, template(tmp_path, "dn", BELOW[what]), "dn")

    @pytest.mark.parametrize(
        "what", often([one for one in TAKING if "small" in one], ("a port of its own made small",))
    )
    def test_without_an_address_that_it_had_not(
        self, private: Private, tmp_path: Path, what: str
    ) -> None:
        private.sh(NO_LOCAL)
        assert_back_or_refused(private, template(tmp_path, "dn", TAKING[what]), "dn")

    @pytest.mark.parametrize(
        "what",
        often(
            BOTH,
            ("a bridge too small for IPv6 twice", "neighbours, kept by an address of the lab's"),
        ),
    )
    def test_is_not_put_back_where_others_would_have_taken_it_too(
        self, new_private: Hosts, tmp_path: Path, what: str
    ) -> None:
        steps, meanwhile = BOTH[what]
        lab = template(tmp_path, "dn", steps)
        done, differs = beside_twin(new_private, MUCH, lab, "dn", f"cd /proc/sys/net; {meanwhile}")
        assert differs == [], report(done)
        assert done.returncode == 0, report(done)

    @pytest.mark.parametrize("what", often(WITH_THE_LAB, ("IPv6 of a bridge, by a port",)))
    def test_is_put_back_where_others_have_taken_it_by_what_the_lab_did(
        self, new_private: Hosts, tmp_path: Path, what: str
    ) -> None:
        steps, meanwhile = WITH_THE_LAB[what]
        there = "ip link add q8 address 02:00:00:00:08:03 type veth peer name q8x"
        there = f"{there} address 02:00:00:00:08:04; ip link set q8 up"
        lab = template(tmp_path, "dn", steps)
        done, differs = beside_twin(new_private, f"{STACKED}\n{there}", lab, "dn", meanwhile)
        assert differs == [], report(done)
        assert done.returncode == 0, report(done)

    @pytest.mark.parametrize("size", often(map(str, (1400, 1250, 1100)), ("1400",)))
    def test_has_the_mtu_that_what_it_is_made_on_has_by_others_now(
        self, new_private: Hosts, tmp_path: Path, size: str
    ) -> None:
        lab = template(tmp_path, "dn", BELOW["too small for IPv6"])
        meanwhile = f"ip link set eth7 mtu {size}"
        done, differs = beside_twin(new_private, STACKED, lab, "dn", meanwhile)
        assert differs == [], report(done)
        assert done.returncode == 0, report(done)

    def test_follows_a_bridge_with_a_port_of_the_labs_that_others_made_small(
        self, new_private: Hosts, tmp_path: Path
    ) -> None:
        lab = template(tmp_path, "dn", PORT)
        done, differs = beside_twin(new_private, STACKED, lab, "dn", "ip link set br8 mtu 1400")
        assert differs == [], report(done)
        assert_others_named(done, "dn", "link br8: mtu was 1500, is 1400")

    def test_fell_with_a_port_of_the_labs_that_others_made_small(
        self, new_private: Hosts, tmp_path: Path
    ) -> None:
        meanwhile = "! test -e /sys/class/net/v0 || ip link set v0 mtu 1400"
        lab = template(tmp_path, "dn", PORT)
        done, differs = beside_twin(new_private, STACKED, lab, "dn", meanwhile)
        assert differs == [], report(done)
        assert_as_before(done, "dn")

    @pytest.mark.parametrize(
        "meanwhile, told",
        [
            ("true", ()),
            (
                "ip address add 10.12.0.13/24 dev bx; ip route add 198.51.105.0/24 via 10.12.0.9",
                (
                    "address 10.12.0.13/24 on bx is new",
                    "route 198.51.105.0/24 via 10.12.0.9 dev bx is new",
                ),
            ),
        ],
        ids=["neighbours", "an address of others in its network"],
    )
    def test_by_the_last_address_is_put_back(
        self, new_private: Hosts, tmp_path: Path, meanwhile: str, told: tuple[str, ...]
    ) -> None:
        """Which is the lab's; it is the first of its network too, which takes the others along."""
        lab = template(tmp_path, "dn", "ip address add 10.12.0.1/24 dev bx")
        mac = "02:00:00:00:00:09"
        there = f"ip link set bx up; ip neigh add 10.5.0.9 lladdr {mac} nud permanent dev bx"
        done, differs = beside_twin(new_private, f"{MUCH}\n{there}", lab, "dn", meanwhile)
        assert differs == [], report(done)
        if told:
            assert_others_named(done, "dn", *told)
        else:
            assert_as_before(done, "dn")

    def test_is_told_of_a_port_that_others_set_anew_in_the_bridge_of_the_lab(
        self, private: Private, tmp_path: Path
    ) -> None:
        """Nobody can see whether that was for the port or for its place there: it goes with it."""
        private.sh(MUCH)
        before = private.snapshot()
        private.cnetsh("up", template(tmp_path, "dn", TAKING["another bridge"]))
        private.sh("bridge link set dev p8 cost 17; bridge link set dev p8 guard on")
        private.sh("bridge fdb add 02:00:00:00:00:98 dev p8 master static")
        done = private.cnetsh("down", "dn")
        assert not_as(private, before) == [], report(done)
        lines = ("link p8: cost was 17, is 77", "link p8: guard was True, is False",
                 "fdb 02:00:00:00:00:98 by master state static on p8 is gone")  # fmt: skip
        told = assert_others_named(done, "dn")
        assert sorted(told) == sorted(f"{line}: it went with bx" for line in lines)

    @pytest.mark.parametrize("what", ["down", "another bridge"])
    def test_is_put_back_by_the_rollback_of_a_failed_up(
        self, private: Private, tmp_path: Path, what: str
    ) -> None:
        private.sh(MUCH)
        before = private.snapshot()
        fails = "\nip link add name brx type bridge\nip address add 10.7.0.1/24 dev brx\n"
        fails += "ip route add 192.0.2.0/24 via 10.99.0.1"
        done = private.cnetsh("up", template(tmp_path, "dn", TAKING[what] + fails), check=False)
        assert not_as(private, before) == [], report(done)
        if done.returncode != 2:
            assert_undone(done)
