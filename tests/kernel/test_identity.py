"""Whose an object is does not hang on a name or on a number that is used again."""

from pathlib import Path

import pytest
from endings import assert_as_before, assert_left, assert_not_blamed, assert_others_named
from hosts import Private, report
from others import BRIDGE, UPLINK, Hosts, beside_twin, nat, not_as, often, template

MOVES = {
    "bridge": ("ip link set br1 name brz", "brz"),
    "host end": ("ip link set n1-0 name his", "his"),
    "both": ("ip link set br1 name brz; ip link set n1-0 name br1", "br1"),
    "host end in another namespace": ("ip link set n1-0 netns other", "n1-0"),
    "bridge's name for somebody else's": (
        "ip link set br1 name brz; ip link add br1 type bridge", "brz",
    ),
    "other end, in another namespace": (
        "ip -n a link set $(ip -n a -br link show type veth |"
        " cut -d@ -f1) netns other",
        "ceth0",
    ),
    "both ends, in another namespace": (
        "ip link set n1-0 netns other; ip -n a link set $(ip -n a -br link show type veth |"
        " cut -d@ -f1) netns other; ip -n other link set n1-0 name his",
        "his",
    ),
    "namespace": ("touch /run/netns/zz; mount --bind /run/netns/a /run/netns/zz; rm_a", "zz"),
    "namespace with two names": (
        "touch /run/netns/zz; mount --bind /run/netns/a /run/netns/zz", "zz",
    ),
}  # fmt: skip

LINES = {
    "mtu": "ip link set enp7s0 mtu 1400",
    "up": "ip link set dev bridge-nine down",
    "address": "ip addr add 10.9.0.1/24 dev enp7s0",
    "route": "ip route add 203.0.113.0/24 via 10.66.0.254 dev enp7s0",
    "master": "ip link set dev p8 master bridge-nine",
    "neighbour": "ip neigh add 10.66.0.7 lladdr 02:00:00:00:00:07 nud permanent dev enp7s0",
    "queue": "tc qdisc add dev enp7s0 root tbf rate 1mbit burst 10kb latency 10ms",
    "macvlan": "ip link add link enp7s0 name m0 type macvlan mode bridge",
}


class TestReusedNumbers:
    """Another object has the number of one of the lab's."""

    @pytest.mark.parametrize(
        "content", often(("keep", "nameserver 1.1.1.1"), ("nameserver 1.1.1.1",))
    )
    def test_of_a_folder(self, private: Private, tmp_path: Path, content: str) -> None:
        (tmp_path / "netns").mkdir()
        private.sh(f"mkdir -p /etc/netns; mount --bind {tmp_path}/netns /etc/netns")
        private.cnetsh("up", nat(tmp_path, ", dns: 1.1.1.1"))
        numbers = "ls -di /etc/netns/a /etc/netns/a/resolv.conf"
        before = private.sh(numbers)
        private.sh("rm -r /etc/netns/a; mkdir /etc/netns/a")
        private.sh(f"echo {content} > /etc/netns/a/resolv.conf")
        if private.sh(numbers) != before:
            pytest.skip("the file system here uses no number again")
        done = private.cnetsh("down", "n1", check=False)
        assert private.sh("cat /etc/netns/a/resolv.conf") == f"{content}\n", report(done)
        assert_others_named(done, "n1", "/etc/netns/a")

    @pytest.mark.parametrize("place", ["/etc/netns/a", "/etc/netns/a/resolv.conf"])
    def test_a_link_to_somewhere_else_is_not_followed(
        self, private: Private, tmp_path: Path, place: str
    ) -> None:
        private.cnetsh("up", nat(tmp_path, ", dns: 1.1.1.1"))
        private.sh("mkdir /run/his; echo nameserver 1.1.1.1 > /run/his/resolv.conf")
        his = "/run/his" if place.endswith("/a") else "/run/his/resolv.conf"
        private.sh(f"rm -r {place}; ln -s {his} {place}")
        private.cnetsh("down", "n1", check=False)
        assert private.sh("cat /run/his/resolv.conf") == "nameserver 1.1.1.1\n"
        assert private.sh(f"readlink {place}") == f"{his}\n"

    def test_of_a_namespace_with_the_same_name(self, private: Private, tmp_path: Path) -> None:
        """The kernel gives its number to one of the next on a quiet host."""
        private.cnetsh("up", nat(tmp_path))
        number = private.sh("stat -c %i /run/netns/a").strip()
        private.sh(f"""
ip netns delete a; ip netns add a; n=0
until test $n = 40 || test $(stat -c %i /run/netns/a) = {number}; do
    n=$((n + 1)); ip netns delete a; ip netns add a
done
ip -n a link add precious type bridge""")
        done = private.cnetsh("down", "n1", check=False)
        assert "precious" in private.sh("ip -n a link show"), report(done)
        assert_others_named(done, "n1", "namespace a")

    @pytest.mark.parametrize("link", ["br1", "n1-0"])
    def test_of_a_link_with_the_same_name(
        self, new_private: Hosts, tmp_path: Path, link: str
    ) -> None:
        made = f"""
number=$(cat /sys/class/net/{link}/ifindex 2>/dev/null || echo 77); ip link del {link} || :
ip link add {link} index $number address 02:00:00:00:00:07 type bridge
ip address add 10.77.0.1/24 dev {link}; ip link set {link} up"""
        done, differs = beside_twin(new_private, "", nat(tmp_path), "n1", made)
        assert differs == [], report(done)
        assert_others_named(done, "n1", link)


class TestRenamed:
    """What the lab made is the lab's under another name, and in another place."""

    @pytest.mark.parametrize("what", often(MOVES, ("bridge", "both", "namespace")))
    def test_it_is_deleted_or_left_with_the_command(
        self, private: Private, tmp_path: Path, what: str
    ) -> None:
        """Never is it said to be somebody else's."""
        private.sh("ip netns add other")
        before = private.snapshot()
        private.cnetsh("up", nat(tmp_path))
        script, now = MOVES[what]
        private.sh(script.replace("rm_a", "umount /run/netns/a; rm /run/netns/a"))
        done = private.cnetsh("down", "n1", check=False)
        assert_not_blamed(done, now)
        if done.returncode == 3:
            for command in assert_left(done, now):
                private.sh(command)
            done = private.cnetsh("down", "n1", check=False)
        left = not_as(private, before)
        assert done.returncode == 0, report(done)
        if "somebody" in what:
            assert left and all("br1" in line or "brd ::" in line for line in left), report(done)
        else:
            assert left == [], report(done)

    @pytest.mark.parametrize("there", ["other", "$(cat /run/its)"])
    def test_both_ends_of_a_cable_are_deleted_in_another_namespace(
        self, private: Private, tmp_path: Path, there: str
    ) -> None:
        """Also where that has no name, but a process; another link of its name is not touched."""
        private.sh(
            "ip netns add other; unshare --net sleep 600 >/dev/null 2>&1 & echo $! >/run/its"
        )
        before = private.snapshot()
        private.cnetsh("up", template(tmp_path, "cb", "ip link add v0 type veth peer name v1"))
        private.sh(f"""
            ip link set v0 netns {there}; ip link set v1 netns {there}
            ip link add v0 type veth peer name v1""")
        dry = private.cnetsh("down", "cb", "--dry-run")
        assert dry.stdout.count("ip link delete v") == 1, report(dry)
        done = private.cnetsh("down", "cb")
        assert_others_named(done, "cb", "link v0 is new", "link v1 is new")
        private.sh("ip link delete v0")
        assert not_as(private, before) == [], report(done)
        private.sh("! nsenter --net=/proc/$(cat /run/its)/ns/net ip link show v0 2>/dev/null")
        private.sh("kill $(cat /run/its)")

    def test_both_ends_of_a_cable_elsewhere_are_not_made_again(
        self, private: Private, tmp_path: Path
    ) -> None:
        """By a repair: the first cable would be nobody's."""
        private.sh("ip netns add other")
        before = private.snapshot()
        private.cnetsh("up", template(tmp_path, "cb", "ip link add v0 type veth peer name v1"))
        private.sh("ip link set v0 netns other; ip link set v1 netns other")
        done = private.cnetsh("repair", "cb", "--yes", check=False)
        said = "is in namespace other\n  cnetsh down cb --on host, then up\n"
        assert done.returncode == 2 and done.stderr.endswith(said), report(done)
        assert_as_before(private.cnetsh("down", "cb"), "cb")
        assert not_as(private, before) == []

    @pytest.mark.parametrize("kind", ["macvlan mode bridge", "vxlan id 5 dstport 4789 dev eth7"])
    def test_what_is_made_on_another_link_is_deleted_in_another_namespace(
        self, new_private: Hosts, tmp_path: Path, kind: str
    ) -> None:
        on = "" if "dev" in kind else "link eth7 "
        lab = template(tmp_path, "on", f"ip link add {on}name m0 type {kind}\nip link set m0 up")
        away = "ip link set m0 name his netns other 2>/dev/null || :"
        done, differs = beside_twin(new_private, f"{UPLINK}ip netns add other", lab, "on", away)
        assert differs == [], report(done)
        assert_as_before(done, "on")

    @pytest.mark.parametrize("tool", ["iptables", "ip6tables"])
    def test_a_chain_goes_with_the_rules_that_lead_to_it(
        self, new_private: Hosts, tmp_path: Path, tool: str
    ) -> None:
        """Its rules tell it: the kernel names it anew where it is named, and gives no number."""
        words = ("-N LAB", "-A LAB -p tcp --dport 80 -j DROP", "-I LAB -i lo -j RETURN",
                 "-I INPUT -i lo -j LAB")  # fmt: skip
        lab = template(tmp_path, "ch", "\n".join(f"{tool} {each}" for each in words))
        there = f"{tool} -A INPUT -p udp -j ACCEPT; {tool} -N THEIRS; {tool} -A THEIRS -j DROP"
        meanwhile = f"{tool} -E LAB HIS 2>/dev/null || :; {tool} -I INPUT -p tcp -j ACCEPT"
        done, differs = beside_twin(new_private, there, lab, "ch", meanwhile)
        assert differs == [], report(done)
        assert_others_named(done, "ch", "-p tcp -j ACCEPT is new")
        assert_not_blamed(done, "HIS")

    def test_a_chain_of_others_with_a_rule_of_the_labs_stays(
        self, new_private: Hosts, tmp_path: Path
    ) -> None:
        there = "iptables -N THEIRS; iptables -A THEIRS -s 10.7.0.0/16 -j DROP"
        lab = template(tmp_path, "ch", "iptables -A THEIRS -s 10.9.0.0/16 -j DROP\n"
                       "iptables -A FORWARD -j THEIRS")  # fmt: skip
        done, differs = beside_twin(new_private, there, lab, "ch", "iptables -E THEIRS HIS")
        assert differs == [], report(done)
        lines = assert_others_named(done, "ch")
        assert lines == ["chain iptables filter THEIRS is called iptables filter HIS now"]

    def test_two_chains_with_the_same_rules_are_two(
        self, new_private: Hosts, tmp_path: Path
    ) -> None:
        words = [f"iptables -{each}" for name in ("ONE", "TWO")
                 for each in (f"N {name}", f"A {name} -p udp -j DROP")]  # fmt: skip
        lab = template(tmp_path, "ch", "\n".join(words))
        both = "iptables -E ONE HIS 2>/dev/null && iptables -E TWO HERS || :"
        done, differs = beside_twin(new_private, UPLINK, lab, "ch", both)
        assert differs == [], report(done)
        assert_as_before(done, "ch")

    def test_of_two_that_may_be_the_labs_neither_is_touched(
        self, private: Private, tmp_path: Path
    ) -> None:
        lab = template(tmp_path, "ch", "iptables -N LAB\niptables -A LAB -p udp -j DROP")
        private.cnetsh("up", lab)
        private.sh("iptables -E LAB HIS; iptables -N HERS; iptables -A HERS -p udp -j DROP")
        done = private.cnetsh("down", "ch", check=False)
        assert_others_named(done, "ch", "-A HERS -p udp -j DROP is new")
        assert private.sh("iptables -S").count("-p udp -j DROP") == 2

    def test_what_others_call_own_is_no_chain(self, private: Private, tmp_path: Path) -> None:
        private.sh("ip link add p8 type bridge; ip link set p8 alias own")
        private.cnetsh("up", template(tmp_path, "al", "ip link add name b5 type bridge"))
        assert_as_before(private.cnetsh("down", "al", check=False), "al")

    def test_what_others_have_renamed_of_theirs_is_told(
        self, private: Private, tmp_path: Path
    ) -> None:
        # The kernel renames the labels of its addresses too.
        private.sh("ip link add p8 type bridge; ip address add 10.8.0.1/24 dev p8")
        private.sh("ip address add 10.9.0.1/24 dev p8 label p8:lan")
        private.cnetsh("up", template(tmp_path, "al", "ip link add name b5 type bridge"))
        private.sh("ip link set p8 name zp8")
        done = private.cnetsh("down", "al")
        assert assert_others_named(done, "al") == ["link p8 is called zp8 now"]


class TestAlternativeName:
    """The kernel takes it wherever it takes the first name."""

    PREPARED = f"""{UPLINK}{BRIDGE}
ip link property add dev eth7 altname enp7s0; ip link property add dev br9 altname bridge-nine
ip link add p8 type veth peer name q8
"""

    @pytest.mark.parametrize("what", often(LINES, ("mtu", "address", "master")))
    def test_is_resolved_or_refused_with_the_first_name(
        self, private: Private, tmp_path: Path, what: str
    ) -> None:
        private.sh(self.PREPARED)
        before = private.snapshot()
        line = LINES[what]
        up = private.cnetsh("up", template(tmp_path, "al", line), check=False)
        if up.returncode == 2:
            alternative, first = next(
                each for each in (("enp7s0", "eth7"), ("bridge-nine", "br9")) if each[0] in line
            )
            assert f"{alternative} is another name of {first}" in up.stderr, report(up)
        else:
            assert up.returncode == 0 and not_as(private, before) != [], report(up)
            done = private.cnetsh("down", "al", check=False)
            assert not_as(private, before) == [], report(done)
            assert_as_before(done, "al")

    def test_of_what_is_taken(self, private: Private, tmp_path: Path) -> None:
        """A link of that name cannot be made."""
        private.sh(self.PREPARED)
        lab = template(tmp_path, "al", "ip link add name enp7s0 type bridge")
        before = private.snapshot()
        up = private.cnetsh("up", lab, check=False)
        assert up.returncode == 2 and "enp7s0" in up.stderr and "[1/1]" not in up.stderr, report(up)
        assert not_as(private, before) == []


MADE_ANEW = "ip link delete eth7; ip link add eth7 type veth peer name eth7x; ip link set eth7 up"
RENAMED = "ip link set eth7 down; ip link set eth7 name zeth7; ip link set zeth7 up"


@pytest.mark.parametrize("meanwhile", [MADE_ANEW, RENAMED])
@pytest.mark.parametrize("asked", ["repair", "change"])
def test_a_link_of_others_that_is_another_one_now_is_left_alone(
    private: Private, tmp_path: Path, asked: str, meanwhile: str
) -> None:
    """What is done to it would be nobody's, and no `down` would take it back."""
    private.sh(UPLINK)
    steps = "ip link set eth7 mtu 1400\nip address add 10.9.0.1/24 dev eth7\n"
    lab = template(tmp_path, "t", steps)
    private.cnetsh("up", lab)
    private.sh(meanwhile)
    if asked == "change":
        template(tmp_path, "t", steps.replace("1400", "1300"))
    before = private.snapshot()
    words = ("repair", "t") if asked == "repair" else ("up", lab)
    done = private.cnetsh(*words, "--yes", check=False)
    assert done.returncode == 2, report(done)
    assert "eth7 is not the link that it was when t came up" in done.stderr
    assert not_as(private, before) == []
