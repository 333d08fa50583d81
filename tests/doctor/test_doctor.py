"""doctor on made-up facts: every trap of the table where it holds, and where it does not."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from answers import diagnosed, seen
from samples import plan

from cnetsh.doctor import machine
from cnetsh.doctor.asked import requirements_of
from cnetsh.doctor.evidence import BaseChain, Evidence, gather
from cnetsh.doctor.finding import Finding, findings_as_json
from cnetsh.doctor.probe import lacking
from cnetsh.doctor.table import TRAPS
from cnetsh.errors import CnetshError
from cnetsh.forwarding.predict import Surprise
from cnetsh.labs import builtin, choose
from cnetsh.plan.steps import Plan
from cnetsh.system import namespace
from cnetsh.system.process import Result

IPV4, IPV6 = "/proc/sys/net/ipv4", "/proc/sys/net/ipv6"
NF_CALL = "/proc/sys/net/bridge/bridge-nf-call-iptables"
ETH0 = {"ifindex": 2, "kind": "", "up": True}
BR0 = {"ifindex": 9, "kind": "bridge", "up": True}
DEFAULT = {"type": "unicast", "dst": "default", "gateway": "10.0.2.2", "dev": "eth0"}
RA = {"type": "unicast", "dst": "default", "gateway": "fe80::1", "dev": "eth0", "protocol": "ra"}
NAT_LINE = "-A POSTROUTING -s 172.16.0.0/12 ! -o br0 -j MASQUERADE"


def lab_plan(name: str, *settings: str) -> Plan:
    return choose.part(name, settings, "up")


RESOLVING = plan(
    "\n".join(step.text for step in lab_plan("routing").steps)
    + "\nmkdir /etc/netns/net0\nmkdir /etc/netns/net1"
)


def host(facts: Evidence | None = None, **more: Any) -> Evidence:
    """A host with eth0 10.0.2.15/24 and a default route by it, and what the test adds to it."""
    there: dict[str, Any] = {
        "links": {"lo": {"up": True}, "eth0": {"up": True}},
        "addresses": [
            {"dev": "lo", "address": "127.0.0.1/8"},
            {"dev": "eth0", "address": "10.0.2.15/24"},
            {"dev": "eth0", "address": "fe80::5/64"},
        ],
        "routes": [
            DEFAULT,
            {"type": "unicast", "dst": "10.0.2.0/24", "dev": "eth0", "protocol": "kernel"},
            {"type": "local", "dst": "10.0.2.15", "dev": "eth0", "table": "local"},
            {"type": "multicast", "dst": "ff00::/8", "dev": "eth0", "table": "local"},
        ],
        "settings": {f"{IPV4}/ip_forward": "0", f"{IPV6}/conf/all/forwarding": "0"},
    }
    for key, value in more.items():
        known = there.get(key)
        there[key] = [*known, *value] if isinstance(known, list) else {**(known or {}), **value}
    return replace(facts or Evidence(), now=seen(**there))


def found(plan: Plan | None, facts: Evidence, number: str, on_host: bool = True) -> list[Finding]:
    return [one for one in diagnosed(plan, on_host, facts) if one.id == number]


def route(dst: str, dev: str = "tun0", **more: str) -> dict[str, str]:
    return {"type": "unicast", "dst": dst, "dev": dev, "table": "main", **more}


DROP = {"iptables filter": [":FORWARD DROP"]}
LEGACY = {"iptables-legacy filter": ["-A INPUT -s 10.0.0.7/32 -j DROP"]}
BRIDGED = MappingProxyType({NF_CALL: "1"})
STRICT = {f"{IPV4}/conf/all/rp_filter": "1", f"{IPV4}/conf/default/rp_filter": "0"}
SSH = machine.SshSession("172.18.9.9", 50000, "10.0.2.15", 22)
FORWARD6 = "echo 1 | tee /proc/sys/net/ipv6/conf/all/forwarding"
BRIDGE6 = "ip link add name br0 type bridge\nip address add fd00:9::1/64 dev br0\n"

# id, plan, facts, severity on the host
HITS = {
    "FORWARD policy, no lab": ("P01", None, host(rules=DROP), "warn"),
    "policy of a table of nftables": (
        "P01", "routing",
        host(Evidence(chains=(BaseChain("inet filter", "forward", "forward", "drop"),))), "warn",
    ),
    "br_netfilter alone": ("P02", None, host(Evidence(settings=BRIDGED)), "note"),
    "br_netfilter with rules": ("P02", None, host(Evidence(settings=BRIDGED), rules=DROP), "warn"),
    "narrower route": ("P03", "bridge", host(routes=[route("172.17.0.0/16", "docker0")]), "refuse"),
    "wider route": ("P03", "bridge", host(routes=[route("172.0.0.0/8")]), "refuse"),
    "route in another table": (
        "P03", "bridge", host(routes=[route("172.20.0.0/16", table="52")]), "refuse",
    ),
    "blackhole": (
        "P03", "bridge", host(routes=[route("172.16.0.0/12", type="blackhole")]), "refuse",
    ),
    "address": (
        "P03", "veth",
        host(addresses=[{"dev": "eth1", "address": "172.31.0.1/32", "scope": "global"}]), "refuse",
    ),
    "gateway": (
        "P28", "veth", host(routes=[{**DEFAULT, "gateway": "172.20.0.1"}]), "refuse",
    ),
    "DNS server": ("P28", "container", host(Evidence(nameservers=("172.18.0.53",))), "refuse"),
    "ssh peer": ("P28", "container", host(Evidence(ssh=SSH)), "refuse"),
    "a container's own network": (
        "P03",
        plan(
            "ip netns add a\nip netns add b\n"
            "ip link add x netns a type veth peer name y netns b\n"
            "ip netns exec a ip address add 10.0.2.7/24 dev x"
        ),
        host(), "warn",
    ),
    "host bits": ("P04", "routing", host(), "note"),
    "the rule is there": ("P05", "routing", host(rules={"iptables nat": [NAT_LINE]}), "warn"),
    "a rule left behind": ("P06", None, host(rules={"iptables nat": [NAT_LINE]}), "note"),
    "strict": ("P08", None, host(settings=STRICT), "note"),
    "legacy rules": ("P09", "routing", host(Evidence(backend="nft"), rules=LEGACY), "warn"),
    "nft rules beside legacy": (
        "P09", "routing",
        host(Evidence(backend="legacy", other_rules=("-A INPUT -j DROP",))), "warn",
    ),
    "legacy rules, only a cable": (
        "P09", "veth", host(Evidence(backend="nft"), rules=LEGACY), "note",
    ),
    "firewalld": ("P10", "bridge", host(Evidence(signs=frozenset({"/run/firewalld"}))), "warn"),
    "firewalld's table": (
        "P10", "bridge", host(Evidence(nft_tables=frozenset({"inet firewalld"}))), "warn",
    ),
    "ufw's chains": (
        "P10", "routing", host(rules={"iptables filter": [":ufw-user-input -"]}), "warn",
    ),
    "a long name": ("P11", plan("ip link add name a234567890123456 type bridge"), host(), "lacks"),
    "files for a namespace": ("P12", "bridge", host(folders={"/etc/netns/net1": 7}), "note"),
    "a process inside": (
        "P13", "container",
        host(Evidence(inside={"net0": ("7 (sleep)",)}), namespaces={"net0": 5}), "warn",
    ),
    "a ghost": ("P13", None, host(namespaces={"old": 0}), "warn"),
    "a tentative address": ("P14", plan(BRIDGE6), host(), "note"),
    "router advertisement": (
        "P15", plan(FORWARD6),
        host(Evidence(settings={f"{IPV6}/conf/eth0/accept_ra": "1"}), routes=[RA]), "refuse",
    ),
    "router advertisement read by a daemon": (
        "P15", plan(FORWARD6),
        host(Evidence(settings={f"{IPV6}/conf/eth0/accept_ra": "0"}), routes=[RA]), "warn",
    ),
    "NetworkManager and a bridge": (
        "P16", "bridge", host(Evidence(signs=frozenset({"/run/NetworkManager"}))), "warn",
    ),
    "NetworkManager and a cable": (
        "P16", "veth", host(Evidence(signs=frozenset({"/run/NetworkManager"}))), "note",
    ),
    "udev and the plan both give a MAC": (
        "P17",
        plan(
            "ip link add name br0 type bridge\n"
            "#: undo none: it goes with br0\nip link set br0 address 02:00:00:00:00:01"
        ),
        host(Evidence(persistent_macs=True)), "note",
    ),
    "a bridge without a MAC": ("P18", "bridge", host(), "note"),
    "a local resolver": ("P23", "routing", host(Evidence(nameservers=("127.0.0.53",))), "warn"),
    "no user namespaces": (
        "P24", None, host(Evidence(settings={"/proc/sys/user/max_user_namespaces": "0"})), "note",
    ),
    "no capability": ("P24", "veth", host(Evidence(powers=("CAP_NET_ADMIN",))), "lacks"),
    "a tool": ("P25", "routing", host(Evidence(missing={"iptables": "install it"})), "lacks"),
    "a tool for checks": ("P25", "veth", host(Evidence(missing={"ping": "install it"})), "warn"),
    "the kernel": (
        "P25", "veth", host(Evidence(lacking={"veth": "Unknown device type."})), "lacks",
    ),
    "limit of namespaces": (
        "P25", "bridge",
        host(Evidence(settings={"/proc/sys/user/max_net_namespaces": "1"})), "lacks",
    ),
    "IPv6 is off": (
        "P25", plan(BRIDGE6), host(settings={f"{IPV6}/conf/all/disable_ipv6": "1"}), "lacks",
    ),
    "VPN": ("P25", "routing", host(routes=[route("0.0.0.0/1")]), "warn"),
    "WireGuard": (
        "P25", "routing",
        host(
            links={"office": {**BR0, "kind": "wireguard"}},
            routes=[route("default", "office", table="9")],
        ),
        "warn",
    ),
    "the lock of xtables": ("P25", "routing", host(Evidence(xtables="7")), "warn"),
    "a link is there": ("P26", "bridge", host(links={"br0": BR0}), "lacks"),
    "a namespace is there": ("P26", "bridge", host(namespaces={"net1": 5}), "lacks"),
    "a folder is there": (
        "P26", plan("mkdir /etc/netns/n0"), host(folders={"/etc/netns/n0": 5}), "lacks",
    ),
    "no such link": ("P27", plan("ip link set eth9 up"), host(), "lacks"),
    "a bridge's MTU": ("P29", plan("ip link set br0 mtu 1400"), host(links={"br0": BR0}), "warn"),
    "a bridge's MAC": (
        "P29", plan("ip link set br0 address 02:00:00:00:00:01"), host(links={"br0": BR0}), "warn",
    ),
    "no such namespace": ("P27", plan("ip netns exec old ip link set lo up"), host(), "lacks"),
}  # fmt: skip


def as_plan(what: str | Plan | None) -> Plan | None:
    return lab_plan(what) if isinstance(what, str) else what


@pytest.mark.parametrize(("number", "what", "facts", "severity"), HITS.values(), ids=HITS)
def test_finds(number: str, what: str | Plan | None, facts: Evidence, severity: str) -> None:
    findings = found(as_plan(what), facts, number)
    assert [one.severity for one in findings] == [severity], diagnosed(as_plan(what), True, facts)
    assert all((one.title, one.evidence, one.effect, one.advice, one.source) for one in findings)


POD = plan(
    "ip netns add pod\nip link add eth0 type veth peer name vhost\nip link set eth0 netns pod"
)


def test_advice_for_a_name_that_is_taken_fits_what_is_there() -> None:
    (one,) = found(POD, host(), "P26")
    assert "ip link add vhost type veth peer name eth0 netns pod" in one.advice
    assert "eth0 is in use and stays" in one.advice and "remove" not in one.advice
    taken = {"eth0": {"link_type": "ether"}, "vhost": {"link_type": "ether"}}
    (one,) = found(POD, host(links=taken), "P26")
    assert "make it where it goes" not in one.advice
    (one,) = found(lab_plan("bridge"), host(links={"br0": BR0}), "P26")
    assert one.advice.endswith(", or remove what is there")
    for used in (
        {"addresses": [{"dev": "br0", "address": "10.7.0.1/24"}]},
        {"routes": [route("10.7.0.0/16", "br0")]},
    ):
        (one,) = found(lab_plan("bridge"), host(links={"br0": BR0}, **used), "P26")
        assert "br0 is in use and stays" in one.advice and "remove" not in one.advice
    idle = {"addresses": [{"dev": "br0", "address": "fe80::7/64"}]}
    (one,) = found(lab_plan("bridge"), host(links={"br0": BR0}, **idle), "P26")
    assert "remove what is there" in one.advice
    up = replace(host(links={"br0": BR0}), labs=frozenset({"veth"}))
    (one,) = found(lab_plan("bridge"), up, "P26")
    assert one.advice.startswith("take down veth, which is up, if what is there is of that lab; ")


MISSES = {
    "default route": ("P03", "bridge", host()),
    "default route in halves": (
        "P03", "bridge", host(routes=[route("0.0.0.0/1"), route("128.0.0.0/1")]),
    ),
    "another network": ("P03", "bridge", host(routes=[route("172.32.0.0/16")])),
    "link-local and multicast": ("P03", plan(BRIDGE6), host()),
    "a macvlan is meant to be there": (
        "P03",
        plan(
            "ip netns add a\nip link add link eth0 name m netns a type macvlan mode bridge\n"
            "ip netns exec a ip address add 10.0.2.7/24 dev m"
        ),
        host(),
    ),
    "a bridge of the host's is meant to be joined": (
        "P03",
        plan(
            "ip netns add a\nip link add v0 type veth peer name c0 netns a\n"
            "ip link set dev v0 master br0\nip netns exec a ip address add 172.18.0.9/12 dev c0"
        ),
        host(
            links={"br0": BR0},
            addresses=[{"dev": "br0", "address": "172.18.0.1/12", "scope": "global"}],
            routes=[route("172.16.0.0/12", "br0")],
        ),
    ),
    "the lab itself": (
        "P03", "bridge",
        host(
            Evidence(labs=frozenset({"bridge"})),
            links={"br0": BR0},
            addresses=[{"dev": "br0", "address": "172.18.0.1/12", "scope": "global"}],
            routes=[route("172.16.0.0/12", "br0")],
        ),
    ),
    "names of the lab itself": (
        "P26", "bridge",
        host(Evidence(labs=frozenset({"bridge"})), links={"br0": BR0}, namespaces={"net0": 5}),
    ),
    "no host bits": ("P04", lab_plan("routing", "subnet=10.9.0.0/16"), host()),
    "another rule": (
        "P05", "routing", host(rules={"iptables nat": [NAT_LINE.replace("br0", "br1")]}),
    ),
    "the rule of a bridge that is there": (
        "P06", None, host(links={"br0": BR0}, rules={"iptables nat": [NAT_LINE]}),
    ),
    "strict, which a plan's checks are asked of": ("P08", "conflict", host(settings=STRICT)),
    "loose": ("P08", None, host(settings={**STRICT, f"{IPV4}/conf/default/rp_filter": "2"})),
    "legacy policies that accept": (
        "P09", "routing", host(rules={"iptables-legacy filter": [":INPUT ACCEPT"]}),
    ),
    "iptables is legacy and read twice": (
        "P09", "routing", host(Evidence(backend="legacy"), rules=LEGACY),
    ),
    "nodad": ("P14", plan(BRIDGE6.replace("dev br0", "dev br0 nodad")), host()),
    "accept_ra 2": (
        "P15", plan(FORWARD6),
        host(Evidence(settings={f"{IPV6}/conf/eth0/accept_ra": "2"}), routes=[RA]),
    ),
    "a router already": (
        "P15", plan(FORWARD6), host(routes=[RA], settings={f"{IPV6}/conf/all/forwarding": "1"}),
    ),
    "NetworkManager was told": (
        "P16", plan("ip link add name br0 type bridge"),
        host(
            Evidence(signs=frozenset({"/run/NetworkManager"}), unmanaged=("interface-name:br*",))
        ),
    ),
    "a bridge with a MAC": (
        "P18", plan("ip link add name br0 address 02:00:00:00:00:01 type bridge"), host(),
    ),
    "a resolver of its own": (
        "P23", "routing",
        host(
            Evidence(nameservers=("127.0.0.53",)),
            folders={"/etc/netns/net0": 7, "/etc/netns/net1": 8},
        ),
    ),
    "a resolver that the plan writes": (
        "P23", RESOLVING, host(Evidence(nameservers=("127.0.0.53",))),
    ),
    "AppArmor, but inside a user namespace": (
        "P24", None,
        host(
            Evidence(
                initial_user=False,
                settings={"/proc/sys/kernel/apparmor_restrict_unprivileged_userns": "1"},
            )
        ),
    ),
    "MTU of a bridge of its own": (
        "P29", plan("ip link add br0 type bridge\nip link set br0 mtu 1400"), host(),
    ),
    "MTU of another link": ("P29", plan("ip link set eth0 mtu 1400"), host()),
    "VPN, no NAT": ("P25", "bridge", host(routes=[route("0.0.0.0/1")])),
    "a tool that is not needed": (
        "P25", "veth", host(Evidence(missing={"iptables": "install it"})),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("number", "what", "facts"), MISSES.values(), ids=MISSES)
def test_does_not_find(number: str, what: str | Plan | None, facts: Evidence) -> None:
    assert found(as_plan(what), facts, number) == []


@pytest.mark.parametrize("name", builtin.LABS)
def test_the_articles_labs_have_nothing_against_an_ordinary_machine(name: str) -> None:
    assert {one.severity for one in diagnosed(lab_plan(name), True, host())} <= {"note"}


def test_the_table_has_every_row() -> None:
    # P21 cannot happen: what would need a shell is refused. P07 is no mistake, P30 tells the rest.
    gone = {"P07", "P19", "P21", "P22"}
    assert {trap.id for trap in TRAPS} == {f"P{n:02}" for n in range(1, 32)} - gone


def test_says_what_the_model_of_forwarding_says() -> None:
    known = [
        Surprise("check", 7, "ping -c1 10.2.0.2", "will fail: b has no route back to 10.1.0.2",
                 "", ("ip netns exec b ip route add default via 10.2.0.1",)),
        Surprise("step", 3, "ip route add 10.9.0.0/16 via 10.1.0.9", "will be refused: no"),
        Surprise("pair", 1, "r1 and 192.168.5.2, neighbours by their addresses", "will not …"),
        Surprise("way", 1, "net0 to the outside", "will not …", "", ("iptables …",)),
    ]  # fmt: skip
    findings = diagnosed(lab_plan("routing"), True, host(), (), known)
    told = {one.id: one for one in findings if one.id in ("P01", "P20", "P30", "P31")}
    assert {number: one.severity for number, one in told.items()} == {
        "P01": "warn", "P20": "note", "P30": "warn", "P31": "warn"
    }  # fmt: skip
    assert told["P30"].evidence == "check 7: ping -c1 10.2.0.2"
    assert told["P30"].commands == ("ip netns exec b ip route add default via 10.2.0.1",)
    again = [known[0]._replace(number=number, text=f"ping {number}") for number in range(8, 20)]
    (one,) = (one for one in diagnosed(lab_plan("routing"), True, host(), (), [*known, *again])
              if one.id == "P30")  # fmt: skip
    first, second, *_, last = one.evidence.split("\n")
    assert (first, second, last) == ("check 7: ping -c1 10.2.0.2", "check 8: ping 8", "and 7 more")
    # Whoever took an address meanwhile, the plan is not mistaken.
    assert told["P31"].advice.endswith("change the plan, or what others have done here")


def test_a_name_that_is_taken_is_told_once() -> None:
    known = [
        Surprise("step", 1, "ip link add name br0 type bridge", "will be refused: it is there")
    ]
    findings = diagnosed(lab_plan("bridge"), True, host(links={"br0": BR0}), (), known)
    assert {"P26", "P31"} & {one.id for one in findings} == {"P26"}
    assert len({trap.title for trap in TRAPS}) == len(TRAPS)
    assert all(trap.source for trap in TRAPS)


def test_nothing_is_found_without_a_plan_on_an_ordinary_machine() -> None:
    assert diagnosed(None, True, host()) == []


class TestOverlap:
    def test_is_one_finding_for_a_network_with_all_that_is_in_it(self) -> None:
        routes = [route("172.17.0.0/16", "docker0"), route("172.20.0.0/16")]
        (one,) = found(lab_plan("routing"), host(routes=routes), "P03")
        assert one.evidence.split("\n") == [
            "route 172.17.0.0/16 dev docker0",
            "route 172.20.0.0/16 dev tun0",
        ]

    def test_only_warns_in_a_sandbox(self) -> None:
        facts = host(routes=[route("172.17.0.0/16", "docker0")])
        (one,) = found(lab_plan("bridge"), facts, "P03", on_host=False)
        assert (one.severity, one.evidence) == ("warn", "route 172.17.0.0/16 dev docker0")

    def test_offers_a_network_that_is_free(self) -> None:
        (one,) = found(
            lab_plan("bridge"), host(routes=[route("172.16.0.0/12"), route("10.77.0.0/16")]), "P03"
        )
        assert "10.78.0.0/24 is free" in one.advice

    def test_of_thousands_of_routes_names_a_few(self) -> None:
        routes = [route(f"172.17.{number}.0/24") for number in range(200)]
        (one,) = found(lab_plan("bridge"), host(routes=routes), "P03")
        assert one.evidence.split("\n")[-1] == "and 194 more"


class TestAdvice:
    def test_names_dockers_chain_where_there_is_one(self) -> None:
        rules = {
            "iptables filter": [":DOCKER-USER -", ":FORWARD DROP", "-A FORWARD -j DOCKER-USER"]
        }
        (one,) = found(None, host(rules=rules), "P01")
        assert "iptables -I DOCKER-USER -i BRIDGE -j ACCEPT" in one.commands

    def test_names_it_only_where_something_leads_to_it(self) -> None:
        rules = {"iptables filter": [":DOCKER-USER -", ":FORWARD DROP"]}
        (one,) = found(None, host(rules=rules), "P01")
        assert "iptables -I FORWARD -i BRIDGE -j ACCEPT" in one.commands


def test_gravest_first_and_names_of_the_kernel_made_visible() -> None:
    facts = host(
        links={"br0": {**BR0, "kind": "br\033[2J"}},
        routes=[route("172.17.0.0/16", "do\033cker")],
        rules={"iptables nat": [NAT_LINE]},
    )
    findings = diagnosed(lab_plan("routing"), True, facts)
    assert [one.severity for one in findings][:3] == ["lacks", "refuse", "warn"]
    assert not any("\033" in text for one in findings_as_json(findings) for text in one.values())
    assert "do\\x1bcker" in findings[1].evidence


def test_an_address_that_ip_would_read_as_another_is_refused() -> None:
    with pytest.raises(CnetshError, match=r"010\.0\.0\.1/8 is not an address"):
        diagnosed(plan("ip address add 010.0.0.1/8 dev eth0"), True, host())


def test_a_large_plan_is_read_once() -> None:
    facts = host(rules={"iptables nat": [NAT_LINE]})
    assert diagnosed(lab_plan("routing", "containers=1000"), True, facts)[0].severity == "warn"


class TestProbe:
    ASKED = plan(
        "ip netns add a\nip link add x type veth peer name y\n"
        "ip link add link eth0 name m netns a type macvlan mode bridge\n"
        "tc qdisc add dev x root netem delay 1ms\n"
        "iptables -w -t nat -A POSTROUTING -m comment --comment cnetsh:x -j MASQUERADE\n"
        "iptables -t nat -A THEIRS -j RETURN\niptables -t nat -A NOWHERE -j RETURN\n"
        "echo 1 | tee /proc/sys/net/ipv4/no_such_setting\n"
    )

    def test_tries_what_the_plan_needs_and_nothing_else(self) -> None:
        asked = []

        def run(argv, stdin="", timeout=60.0):
            asked.append((argv, stdin))
            if argv[2] == "tc":
                return Result(
                    1, "", "Error: Specified qdisc kind is unknown.\nCommand failed -:1\n"
                )
            if argv[2] == "ip":
                return Result(
                    2, "", "RTNETLINK answers: Operation not supported\nCommand failed -:2\n"
                )
            return Result(2, "", "iptables-restore v1: \nline 3: RULE_APPEND failed\n")

        there = seen({"br7": {"kind": "bridge"}}, rules={"iptables nat": [":THEIRS -"]})
        assert lacking(run, requirements_of(self.ASKED), there) == {
            "macvlan": "RTNETLINK answers: Operation not supported",
            "netem": "Specified qdisc kind is unknown.",
            "iptables -A POSTROUTING -m comment --comment cnetsh:x -j MASQUERADE": (
                "line 3: RULE_APPEND failed"
            ),
            "/proc/sys/net/ipv4/no_such_setting": "there is no such setting",
        }
        assert {argv[:2] for argv, _ in asked} == {("unshare", "--net")}
        assert asked[-1][1].split("\n") == [
            "*nat", ":THEIRS - [0:0]",
            "-A POSTROUTING -m comment --comment cnetsh:x -j MASQUERADE",
            "-A THEIRS -j RETURN", "COMMIT", "",
        ]  # fmt: skip

    def test_says_nothing_where_nothing_can_be_tried(self) -> None:
        def run(argv, stdin="", timeout=60.0):
            return Result(1, "", "unshare: unshare failed: Operation not permitted\n")

        asked = plan("ip link add x type veth peer name y\niptables -A FORWARD -j ACCEPT")
        assert lacking(run, requirements_of(asked), {}) == {}


class TestGather:
    def test_reads_chains_of_nftables(self) -> None:
        text = (
            "table inet filter {\n\tchain forward {\n"
            "\t\ttype filter hook forward priority filter; policy drop;\n\t}\n}\n"
            "table ip nat {\n\tchain own {\n\t}\n}\n"
        )
        facts = gather(lambda argv, stdin="", timeout=60.0: Result(0, text, ""), {})
        assert facts.nft_tables == {"inet filter", "ip nat"}
        assert facts.chains == (BaseChain("inet filter", "forward", "forward", "drop"),)

    def test_names_whoever_is_in_a_namespace_whatever_their_names(self) -> None:
        name = "import ctypes, time; ctypes.CDLL(None).prctl(15, b'\\xffx', 0, 0, 0)"
        argv = [sys.executable, "-c", f"{name}; print(flush=True); time.sleep(9)"]
        own = Path("/proc/self/ns/net")
        # Its mark stays as long as somebody holds it, as a named namespace is held by its mount.
        with own.open(), subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as started:
            assert started.stdout and started.stdout.readline()
            here = namespace.mark(own.stat())
            there = seen(namespaces={"here": here, "ghost": 0})
            found = gather(lambda argv, stdin="", timeout=60.0: Result(0, "", ""), there).inside
            started.kill()
        assert f"{started.pid} (\ufffdx)" in found["here"] and "ghost" not in found
