import re
from collections.abc import Callable
from pathlib import Path

import pytest

from cnetsh import kinds
from cnetsh.errors import CnetshError
from cnetsh.kinds.change import holders
from cnetsh.labs import choose, render
from cnetsh.labs.builtin import Lab, shipped
from cnetsh.labs.expected import NO_WAY
from cnetsh.labs.file import describe, load_file
from cnetsh.labs.topology.firewall import LONGEST, SUFFIX, chain_name
from cnetsh.labs.topology.members import members as all_members
from cnetsh.labs.topology.values import mac, topology_values
from cnetsh.labs.yaml import compose_document
from cnetsh.plan.steps import Plan, Step, parse

CHECKOUT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted((CHECKOUT / "examples").glob("*.yaml"))
ONE_BRIDGE = "name: x\nbridges: {br0: {address: 10.0.0.1/24}}\ncontainers:\n"


def lab(text: str) -> Lab:
    described = describe(compose_document(text, "lab.yaml"))
    values = topology_values(described)
    return Lab(described.name, "", "", shipped("templates") / "topology", values, True)


def planned(lab: Lab, part: str) -> Plan:
    return parse(render.render(lab, part), lab.name, lab.title, part, f"{part}.sh.j2")


def commands(text: str, part: str = "up") -> list[str]:
    return [step.text for step in planned(lab(text), part).steps]


def holding(words: str, found: list[str]) -> list[str]:
    return [command for command in found if words in command]


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
class TestEveryExample:
    def test_has_these_commands(self, file: Path, golden: Callable[[str, str], None]) -> None:
        lab = load_file(file, [])
        text = "".join(f"#### {part}\n{render.render(lab, part)}" for part in render.PARTS)
        golden(f"topology/{file.stem}.sh", text)

    def test_has_only_allowed_commands_and_says_why(self, file: Path) -> None:
        lab = load_file(file, [])
        sections = {step.section for step in planned(lab, "up").steps}
        narrated = {step.section for step in planned(lab, "up").steps if step.why}
        assert all(planned(lab, part).steps for part in render.PARTS)
        assert {section for section in sections - narrated if "Inside" not in section} == set()

    def test_is_undone_in_the_order_of_the_down_part(self, file: Path) -> None:
        order = ["iptables", "tee", "ip link", "/etc/netns", "ip netns"]
        kinds = [
            max(index for index, words in enumerate(order) if words in command or index == 0)
            for command in (step.text for step in planned(load_file(file, []), "down").steps)
        ]
        assert kinds == sorted(kinds)


class TestNames:
    def test_are_those_of_the_smallest_file(self) -> None:
        found = commands(ONE_BRIDGE + "  net0: {bridge: br0}\n  net1: {bridge: br0}\n")
        assert "ip link add x-0 type veth peer name ceth0 netns net0" in found
        assert "ip link add x-1 type veth peer name ceth1 netns net1" in found

    def test_go_round_those_that_the_file_uses(self) -> None:
        text = "name: x\nbridges: {x-0: {address: 10.0.0.1/24}}\ncontainers:\n"
        text += "  a: {bridge: x-0}\n  b: {interfaces: [{bridge: x-0, name: ceth2}]}\n"
        text += "  c: {interfaces: [{bridge: x-0, host: x-3, name: eth0}]}\n"
        ports = topology_values(describe(compose_document(text, "f")))["ports"]
        assert [port[:4] for port in ports] == [
            ("a", "x-1", "ceth1", "x-0"),
            ("b", "x-4", "ceth2", "x-0"),
            ("c", "x-3", "eth0", "x-0"),
        ]

    def test_of_a_hundred_thousand_fit_and_differ(self) -> None:
        bridges = "\n".join(f"  br{n}: {{address: 10.{n}.0.1/16}}" for n in range(100))
        groups = "\n".join(f"  g{n}x: {{bridge: br{n}, count: 1000}}" for n in range(100))
        text = f"name: a-long-name\nbridges:\n{bridges}\ncontainers:\n{groups}\n"
        members = all_members(describe(compose_document(text, "f"))).values()
        names = {port.host for member in members for port in member.ports}
        assert len(names) == len({member.name for member in members}) == 100_000
        assert max(map(len, names)) <= 15

    def test_of_host_ends_are_the_labs_own(self) -> None:
        labs = [
            "a",
            "a-1",
            "a1",
            "eleven-byte",
            "a-long-lab-one",
            "a-long-lab-on",
            "a-long-lab-on-1",
        ]
        ends = [
            {words.split()[3] for words in commands(text) if " type veth " in words}
            for lab in labs
            for text in [ONE_BRIDGE.replace("x", lab, 1) + "  net: {bridge: br0, count: 12}\n"]
        ]
        assert len(set().union(*ends)) == 12 * len(labs)
        assert {"a-1", "a-1-1", "a1-1", "eleven-byte-1"} < set().union(*ends)
        assert all(re.fullmatch("a-l-[0-9a-f]{4}-[0-9]+", end) for one in ends[4:] for end in one)

    def test_of_chains_fit(self) -> None:
        assert chain_name("big") == "CNETSH-big"
        long = [chain_name("a" * 39 + end) for end in "xy"]
        assert len(set(long)) == 2
        assert all(len(name + SUFFIX) == LONGEST for name in long)

    def test_of_a_bridge_come_with_a_mac_of_its_own(self) -> None:
        assert mac("a", "br0") == mac("a", "br0") != mac("b", "br0")
        assert mac("a", "br0").startswith("02:")


class TestAddresses:
    def of(self, text: str) -> list[str]:
        described = describe(compose_document(text, "f"))
        members = all_members(described).values()
        return [str(address) for member in members for address in member.addresses]

    def test_left_out_are_the_next_free_ones(self) -> None:
        text = ONE_BRIDGE + "  a: {bridge: br0}\n  b: {bridge: br0, address: 10.0.0.3/24}\n"
        text += "  c: {bridge: br0, count: 2}\n"
        assert self.of(text) == ["10.0.0.2/24", "10.0.0.3/24", "10.0.0.4/24", "10.0.0.5/24"]

    def test_begin_again_after_the_end_of_the_subnet(self) -> None:
        text = "name: x\nbridges: {br0: {address: 10.0.0.253/24}}\ncontainers:\n"
        assert self.of(text + "  a: {bridge: br0, count: 2}\n") == ["10.0.0.254/24", "10.0.0.1/24"]

    def test_of_copies_count_from_the_one_that_is_given(self) -> None:
        text = ONE_BRIDGE + "  a: {bridge: br0, address: 10.0.0.20/24, count: 3}\n"
        assert self.of(text) == ["10.0.0.20/24", "10.0.0.21/24", "10.0.0.22/24"]

    def test_of_both_versions_come_together(self) -> None:
        text = "name: x\nbridges: {br0: {address: [10.0.0.1/24, 'fd00::1/64']}}\n"
        text += "containers: {a: {bridge: br0}}\n"
        assert self.of(text) == ["10.0.0.2/24", "fd00::2/64"]
        assert "ip netns exec a ip route add default via fd00::1" in commands(text)
        assert "ip netns exec a ip address add fd00::2/64 dev ceth0 nodad" in commands(text)


class TestRoutes:
    ROUTER = """\
name: x
bridges: {br0: , br1: }
containers:
  a: {bridge: br0, address: 10.1.0.10/24, gateway: r}
  b: {bridge: br1, address: 10.2.0.10/24, gateway: 10.2.0.1}
  c: {bridge: br0, address: 10.1.0.11/24, gateway: none}
  r:
    forward: true
    interfaces: [{bridge: br0, address: 10.1.0.1/24}, {bridge: br1, address: 10.2.0.1/24}]
"""

    def test_go_through_the_gateway_that_is_named(self) -> None:
        found = holding("route add", commands(self.ROUTER))
        assert found == [
            "ip netns exec a ip route add default via 10.1.0.1",
            "ip netns exec b ip route add default via 10.2.0.1",
        ]

    def test_decide_what_the_checks_expect(self) -> None:
        steps = planned(lab(self.ROUTER), "check").steps
        expected = {step.text: step.said.expect for step in steps}
        assert expected["ip netns exec a ping -c1 -W1 10.2.0.10"] == ""
        assert expected["ip netns exec a ping -c1 -W1 10.1.0.11"] == ""
        assert "ip netns exec c ping -c1 -W1 10.2.0.10" not in expected

    def test_of_a_network_cut_in_two_make_a_check_that_fails(self) -> None:
        text = self.ROUTER.replace("forward: true", "forward: false")
        steps = planned(lab(text), "check").steps
        expected = {step.text: step.said.expect for step in steps}
        assert expected["ip netns exec a ping -c1 -W1 10.2.0.10"] == NO_WAY

    def test_may_name_networks(self) -> None:
        text = self.ROUTER.replace("gateway: none", "routes: [{to: 10.2.0.9/24, via: r}]")
        assert "ip netns exec c ip route add 10.2.0.0/24 via 10.1.0.1" in commands(text)


class TestCables:
    TEXT = """\
name: x
containers:
  a: {interfaces: [{container: b, name: to-b, address: 10.9.0.1/30, rate: 10mbit}]}
  b: {interfaces: [{container: a, address: 10.9.0.2/30}]}
"""

    def test_lead_from_one_container_to_the_other(self) -> None:
        found = commands(self.TEXT)
        assert "ip link add to-b netns a type veth peer name ceth0 netns b" in found
        assert not holding("bridge", found)

    def test_have_their_rate_at_both_ends(self) -> None:
        words = "root tbf rate 10mbit burst 100kbit latency 400ms"
        assert holding("tc", commands(self.TEXT)) == [
            f"ip netns exec a tc qdisc add dev to-b {words}",
            f"ip netns exec b tc qdisc add dev ceth0 {words}",
        ]

    def test_of_a_bridge_are_shaped_on_the_host_too(self) -> None:
        text = ONE_BRIDGE + "  a: {bridge: br0, rate: 500kbit, delay: 20ms, loss: 1%}\n"
        words = "root netem delay 20ms loss 1% rate 500kbit"
        assert holding("tc", commands(text)) == [
            f"tc qdisc add dev x-0 {words}",
            f"ip netns exec a tc qdisc add dev ceth0 {words}",
        ]


class TestRules:
    def test_are_none_for_a_single_plain_bridge(self) -> None:
        assert not holding("tables", commands(ONE_BRIDGE + "  a: {bridge: br0}\n"))

    def test_are_there_when_the_file_asks(self) -> None:
        found = holding(
            "tables", commands("firewall: true\n" + ONE_BRIDGE + "  a: {bridge: br0}\n")
        )
        tag = "-m comment --comment cnetsh:x"
        assert found == [
            "iptables -w -t filter -N CNETSH-x",
            f"iptables -w -t filter -A CNETSH-x -i br0 -o br0 {tag} -j ACCEPT",
            f"iptables -w -t filter -I FORWARD {tag} -j CNETSH-x",
        ]

    def test_are_each_undone_by_the_down_part(self) -> None:
        text = load_file(CHECKOUT / "examples/published-web-server.yaml", [])
        up = [step.text for step in planned(text, "up").steps if "tables" in step.text]
        down = [step.text for step in planned(text, "down").steps]
        for command in up:
            if " -N " in command:
                assert command.replace(" -N ", " -X ") in down
            elif " -A CNETSH" not in command:
                assert command.replace(" -A ", " -D ").replace(" -I ", " -D ") in down

    def test_all_carry_the_name_of_the_lab(self) -> None:
        for file in EXAMPLES:
            lab = load_file(file, [])
            for step in planned(lab, "up").steps:
                if "tables" in step.text and " -N " not in step.text:
                    assert f"--comment cnetsh:{lab.name} " in step.text

    def test_of_a_published_port_exist_for_each_version(self) -> None:
        text = "name: x\nbridges: {br0: {address: [10.0.0.1/24, 'fd00::1/64']}}\n"
        text += "containers: {a: {bridge: br0, publish: ['53:5353/udp']}}\n"
        found = holding("DNAT --to", commands(text))
        assert len(found) == 2
        assert found[0].endswith("-p udp -m udp --dport 53 -m comment --comment cnetsh:x "
                                 "-j DNAT --to-destination 10.0.0.2:5353")  # fmt: skip
        assert found[1].endswith("--to-destination '[fd00::2]:5353'")

    def test_never_change_a_policy(self) -> None:
        for file in EXAMPLES:
            assert not holding(" -P ", [s.text for s in planned(load_file(file, []), "up").steps])


class TestOrder:
    def test_has_the_host_first_and_the_bridge_up_last(self) -> None:
        found = commands(ONE_BRIDGE + "  a: {bridge: br0}\n")
        assert found[0].startswith("ip link add name br0 address 02:")
        assert found[-1] == "ip link set br0 up"
        inside = [number for number, command in enumerate(found) if "netns exec" in command]
        assert inside == list(range(inside[0], len(found) - 1))

    def test_has_a_bridge_with_ipv6_up_before_its_containers_speak(self) -> None:
        text = "name: x\nbridges: {br0: {address: 'fd00::1/64'}}\ncontainers: {a: {bridge: br0}}\n"
        found = commands(text)
        speaking = next(number for number, command in enumerate(found) if "netns exec" in command)
        assert found.index("ip link set br0 up") < speaking

    def test_has_nothing_of_an_external_bridge_but_its_ports(self) -> None:
        text = "name: x\nbridges: {br7: {external: true, address: 10.0.0.1/24}}\n"
        found = commands(text + "containers: {a: {bridge: br7}}\n")
        assert holding("br7", found) == ["ip link set dev x-0 master br7"]
        assert "ip netns exec a ip route add default via 10.0.0.1" in found
        assert not holding("br7", commands(text + "containers: {a: {bridge: br7}}\n", "down"))

    def test_that_nothing_leaves_has_no_nat(self) -> None:
        text = "name: x\nbridges: {br0: {address: 10.0.0.1/24, nat: true, isolated: true}}\n"
        told = "bridges.br0.nat: true, expected false: nothing leaves an isolated bridge"
        with pytest.raises(CnetshError, match=told):
            lab(text + "containers: {a: {bridge: br0}}\n")


def failing(text: str) -> list[Step]:
    """The checks that must fail."""
    return [step for step in planned(lab(text), "check").steps if step.said.expect]


def expected(tmp_path: Path, text: str) -> dict[str, str]:
    """Each check, and why it must fail, or ""."""
    (tmp_path / "lab.yaml").write_text(text)
    found = choose.plans(str(tmp_path / "lab.yaml")).check.steps
    return {step.text: step.said.expect for step in found}


class TestChecks:
    def test_of_many_are_a_ring_and_not_every_pair(self) -> None:
        found = commands(ONE_BRIDGE + "  a: {bridge: br0, count: 100}\n", "check")
        assert len(found) == 100 + 99

    def test_of_the_file_replace_derived_ones(self) -> None:
        text = ONE_BRIDGE + "  a: {bridge: br0}\n  b: {bridge: br0}\n"
        text += "checks: [{from: a, to: b, expect: fail, because: somebody pulled the cable}]\n"
        (step,) = [s for s in planned(lab(text), "check").steps if s.text.endswith("10.0.0.3")]
        assert step.said.expect == "somebody pulled the cable"

    def test_that_fail_by_an_isolated_bridge_would_come_back_without_it(self) -> None:
        text = """\
name: x
bridges:
  br0: {address: 10.1.0.1/24}
  br1: {address: 10.2.0.1/24, isolated: true}
  br2: {address: 10.3.0.1/24, isolated: true}
containers:
  a: {bridge: br0}
  both: {interfaces: [{bridge: br0}, {bridge: br1}]}
  shut: {bridge: br1}
  apart: {bridge: br2}
  far: {interfaces: [{container: end, address: 10.9.0.1/30}]}
  end: {interfaces: [{container: far, address: 10.9.0.2/30}]}
"""
        found = {(step.netns, step.inner[-1]): step.said.expect for step in failing(text)}
        assert found["a", "10.2.0.3"] == found["shut", "10.1.0.2"] == "br1 is isolated"
        assert found["both", "10.3.0.2"] == "br2 is isolated"
        assert found["shut", "10.3.0.2"] == "br1 is isolated"
        for asked in (("both", "10.9.0.1"), ("far", "10.1.0.3"), ("far", "10.2.0.3")):
            assert found[asked] == "the lab file does not lead packets there and back"

    def test_that_must_fail_have_a_control_for_each_end(self) -> None:
        text = "name: x\nbridges:\n  br0: {address: 10.1.0.1/24, isolated: true}\n  br1:\n"
        text += "containers:\n"
        text += "  a: {bridge: br0}\n  b: {bridge: br1, address: 10.2.0.2/24}\n"
        text += "  c: {bridge: br1, address: 10.2.0.3/24}\n"
        for one in failing(text):
            ends = [control.split()[3] for control in one.said.control if "netns" in control]
            assert one.netns in ends and one.said.no_control == ""
            assert ends == [one.netns] or len(ends) == 2
        assert "ip netns exec b ping -c1 -W1 10.2.0.3" in failing(text)[0].said.control

    def test_that_must_fail_without_a_control_are_not_tried(self) -> None:
        text = "name: x\nbridges: {br0: , br1: }\ncontainers:\n"
        text += (
            "  a: {bridge: br0, address: 10.1.0.2/24}\n  b: {bridge: br1, address: 10.2.0.2/24}\n"
        )
        for one in failing(text):
            assert one.said.no_control and not one.said.control
        own = "checks:\n  - {from: a, to: 10.9.9.9, expect: fail%s}\n"
        assert failing(text + own % "")[-1].said.no_control
        # Who writes the reason knows it.
        assert not failing(text + own % ", because: there is no router")[-1].said.no_control

    def test_never_control_by_what_must_fail(self) -> None:
        text = ONE_BRIDGE + "  a: {bridge: br0}\n  b: {bridge: br0}\nchecks:\n"
        text += "".join(
            f"  - {{from: {one}, to: 10.0.0.1, expect: fail, because: no}}\n" for one in "ab"
        )
        asked = {one.text for one in failing(text)}
        for one in failing(text):
            assert one.said.control and asked.isdisjoint(one.said.control)

    @pytest.mark.parametrize(
        ("router", "reason"),
        [
            ("forward: true", "b has no route back to 10.1.0.10"),
            (
                "forward: false",
                "r does not pass on 10.2.0.10, which comes in by ceth3: net.ipv4.ip_forward is 0",
            ),
        ],
    )
    def test_that_must_fail_name_the_hop_that_is_missing(
        self, tmp_path: Path, router: str, reason: str
    ) -> None:
        text = TestRoutes.ROUTER.replace("gateway: 10.2.0.1", "gateway: none")
        found = expected(tmp_path, text.replace("forward: true", router))
        assert found["ip netns exec a ping -c1 -W1 10.2.0.10"] == reason
        assert found["ip netns exec b ping -c1 -W1 10.1.0.10"] == "b has no route to 10.1.0.10"

    def test_are_of_every_pair_also_of_those_with_several_links(self, tmp_path: Path) -> None:
        found = expected(
            tmp_path,
            "name: x\nbridges: {left: , right: }\ncontainers:\n"
            "  l: {bridge: left, address: 192.168.5.11/24}\n"
            "  r: {bridge: right, address: 192.168.5.21/24}\n"
            "  mid:\n    interfaces:\n"
            "      - {bridge: left, name: toleft, address: 192.168.5.1/24}\n"
            "      - {bridge: right, name: toright, address: 192.168.5.2/24}\n",
        )
        wire = "{} looks for {} on {}, but it is on another wire: {} in {}".format
        first = ("mid has 2 equal routes to 192.168.5.0/24 and takes the first, by toleft, but "
                 "192.168.5.21 is behind toright")  # fmt: skip
        assert found == {
            "ip netns exec l ping -c1 -W1 192.168.5.1": "",
            "ip netns exec l ping -c1 -W1 192.168.5.21":
                wire("l", "192.168.5.21", "ceth0", "ceth1", "r"),
            "ip netns exec r ping -c1 -W1 192.168.5.11":
                wire("r", "192.168.5.11", "ceth1", "ceth0", "l"),
            "ip netns exec r ping -c1 -W1 192.168.5.2": f"on the way back {first}",
            "ip netns exec mid ping -c1 -W1 192.168.5.21": first,
        }  # fmt: skip

    @pytest.mark.parametrize(
        ("slow", "options"),
        [
            ("delay: 20ms", "-c1 -W1"),
            ("delay: 600ms", "-c1 -W3"),
            ("delay: 2s", "-c1 -W9"),
            ("loss: 1%", "-c1 -i0.2 -w2"),
            ("loss: 50%", "-c1 -i0.2 -w8"),
            ("delay: 600ms, loss: 50%", "-c1 -i0.2 -w10"),
            ("rate: 1mbit", "-c1 -W1"),
        ],
    )
    def test_wait_for_delay_and_repeat_for_loss(self, slow: str, options: str) -> None:
        found = commands(
            ONE_BRIDGE + f"  a: {{bridge: br0, {slow}}}\n  b: {{bridge: br0}}\n", "check"
        )
        assert found == [
            f"ip netns exec a ping {options} 10.0.0.1",
            "ip netns exec b ping -c1 -W1 10.0.0.1",
            f"ip netns exec a ping {options} 10.0.0.3",
        ]

    def test_wait_for_the_router_on_the_way_and_not_for_others(self) -> None:
        text = TestRoutes.ROUTER.replace("10.2.0.1/24}", "10.2.0.1/24, delay: 1s}")
        found = commands(text, "check")
        assert "ip netns exec a ping -c1 -W5 10.2.0.10" in found
        assert "ip netns exec a ping -c1 -W1 10.1.0.11" in found

    @pytest.mark.parametrize("slow", ["loss: 100%", "loss: 95%", "delay: 20s"])
    def test_that_chance_alone_decides_are_not_derived(self, slow: str) -> None:
        text = ONE_BRIDGE + f"  a: {{bridge: br0, {slow}}}\n"
        assert commands(text, "check") == []
        own = commands(text + "checks: [{from: a, to: br0}]\n", "check")
        assert len(own) == 1 and "50 10.0.0.1" in own[0]

    def test_of_what_is_outside_need_a_route_to_it(self) -> None:
        text = ONE_BRIDGE + "  a: {bridge: br0}\nchecks: [{from: a, to: 192.0.2.7}]\n"
        assert planned(lab(text), "check").steps[-1].said.needs == "route 192.0.2.7"


class TestPorts:
    LAB = """\
name: x
bridges: {br0: {address: [10.0.0.1/24, "fd00::1/64"]}, br1: {address: 10.1.0.1/24}}
containers:
  web:
    bridge: br0
    address: [10.0.0.10/24, "fd00::10/64"]
    publish: ["8080:80/tcp", "53:5353/udp"]
  a: {bridge: br0}
  b: {bridge: br1}
"""
    UDP = "exec 3<>/dev/udp/{}/{} && echo cnetsh >&3 && read -n1 -u3"

    def calls(self, text: str) -> dict[tuple[str, str], tuple[str, str]]:
        """Who calls what: what listens there, and why it must fail."""
        steps = [s for s in planned(lab(text), "check").steps if s.inner[0] == "timeout"]
        return {(s.netns, s.inner[4]): (s.said.listen, s.said.expect) for s in steps}

    def test_that_are_published_are_called_from_everywhere(self) -> None:
        found = self.calls(self.LAB)
        tcp, udp = ("web 80/tcp", ""), ("web 5353/udp", "")
        assert {who: said for who, said in found.items() if "fd00" not in who[1]} == {
            ("", "</dev/tcp/10.0.0.1/8080"): tcp,
            ("web", "</dev/tcp/10.0.0.1/8080"): tcp,
            ("a", "</dev/tcp/10.0.0.1/8080"): tcp,
            ("b", "</dev/tcp/10.1.0.1/8080"): tcp,
            ("internet", "</dev/tcp/10.0.2.15/8080"): tcp,
            ("", self.UDP.format("10.0.0.1", 53)): udp,
            ("web", self.UDP.format("10.0.0.1", 53)): udp,
            ("a", self.UDP.format("10.0.0.1", 53)): udp,
            ("b", self.UDP.format("10.1.0.1", 53)): udp,
            ("internet", self.UDP.format("10.0.2.15", 53)): udp,
        }
        six = {who for who, _ in found if "fd00::1/8080" in _}
        assert six == {"", "web", "a"}

    def test_that_are_published_are_shut_off_for_an_isolated_bridge(self) -> None:
        found = self.calls(self.LAB.replace("10.1.0.1/24}", "10.1.0.1/24, isolated: true}"))
        assert found["b", "</dev/tcp/10.1.0.1/8080"] == ("web 80/tcp", "br1 is isolated")

    def test_that_are_published_without_a_way_back_are_called_by_neighbours_alone(self) -> None:
        text = self.LAB.replace("    publish", "    gateway: none\n    publish")
        assert {netns for netns, _ in self.calls(text)} == {"", "web", "a"}

    def test_of_the_file_know_who_listens(self) -> None:
        text = (
            self.LAB
            + """\
checks:
  - {from: a, to: "web:80"}
  - {from: a, to: "[fd00::10]:7/udp"}
  - {from: a, to: "br0:8080/tcp", expect: fail, because: it is shut}
  - {from: host, to: "br0:22"}
  - {from: host, to: "1.1.1.1:53/udp"}
  - {from: a, to: web}
"""
        )
        found = self.calls(text)
        assert found["a", "</dev/tcp/10.0.0.10/80"] == ("web 80/tcp", "")
        assert found["a", self.UDP.format("fd00::10", 7)] == ("web 7/udp", "")
        assert found["a", "</dev/tcp/10.0.0.1/8080"] == ("web 80/tcp", "it is shut")
        # No port of the host's own is opened, nor is that of one elsewhere.
        assert found["", "</dev/tcp/10.0.0.1/22"] == ("", "")
        assert found["", self.UDP.format("1.1.1.1", 53)] == ("", "")


def test_no_template_has_more_than_two_levels_of_blocks() -> None:
    for file in (shipped("templates") / "topology").glob("*.j2"):
        depth = deepest = 0
        for word in re.findall(r"{% (end)?(?:for|if)\b", file.read_text(encoding="utf-8")):
            depth += -1 if word else 1
            deepest = max(deepest, depth)
        assert deepest <= 2 and depth == 0, file.name


def test_every_command_has_an_undo_or_goes_with_what_has(tmp_path: Path) -> None:
    for file in EXAMPLES:
        for step in planned(load_file(file, []), "up").steps:
            back = [kinds.inverse(change) or list(holders(change)) for change in step.changes]
            assert back and all(back), step.text


def test_a_port_of_a_bridge_needs_one_of_its_numbers() -> None:
    with pytest.raises(CnetshError, match="at most 1023 ports"):
        commands(ONE_BRIDGE.replace("/24", "/8") + "  a: {bridge: br0, count: 1024}\n")


def test_cables_are_as_many_as_their_names_allow() -> None:
    cables = ", ".join(f"{{bridge: br{number}}}" for number in range(1000))
    bridges = "".join(f"  br{number}:\n" for number in range(1000))
    text = f"name: x\nbridges:\n{bridges}containers:\n"
    text += f"  a: {{count: 1001, interfaces: [{cables}]}}\n"
    with pytest.raises(CnetshError, match="1001000 cables, expected at most 1000000"):
        all_members(describe(compose_document(text, "f")))
