"""What was planned is found however it was typed, and what is missing is said."""

from collections.abc import Sequence

import pytest
from answers import seen
from samples import plan

from cnetsh.compare.drift import drift_from
from cnetsh.kinds.change import State
from cnetsh.system.process import Result

RANGE = "/proc/sys/net/ipv4/ip_local_port_range"
LINK = {"links": {"p0": {"kind": "veth", "up": True}}}


def off(text: str, now: State, exit_code: int = 1) -> list[str]:
    """What drift says of a plan; iptables -C answers with the exit code."""

    def run(argv: Sequence[str], stdin: str = "", timeout: float = 60.0) -> Result:
        assert argv[0] == "iptables" and "-C" in argv and "-A" not in argv
        return Result(exit_code, "", "")

    steps = dict(enumerate(plan(text).steps))
    return [one.text for one in drift_from(steps, now, {}, run)[0]]


@pytest.mark.parametrize("add", ["ip -6 route add", "ip -6 r add", "ip route add"])
def test_routes_of_the_second_family(add: str) -> None:
    text = f"{add} FD01:0::/64 via fd00::9"
    route = {"dst": "fd01::/64", "gateway": "fd00::9", "dev": "p0"}
    assert off(text, seen(**LINK, routes=[route])) == []
    assert off(text, seen(**LINK)) != []


@pytest.mark.parametrize(
    "text", ["ip -4 link set p0 up", "ip l set p0 up", "ip -4 a add 10.5/16 dev p0"]
)
def test_however_it_is_typed(text: str) -> None:
    there = [{"dev": "p0", "address": "10.5.0.0/16"}]
    assert off(text, seen(**LINK, addresses=there)) == []
    assert off(text, seen(links={"p0": {"kind": "veth", "up": False}})) != []


@pytest.mark.parametrize("typed", ["fd00::a/64", "FD00:0::A/64", "fd00:0:0:0:0:0:0:a/64"])
def test_addresses(typed: str) -> None:
    text = f"ip address add {typed} dev p0 nodad"
    there = [{"dev": "p0", "address": "fd00::a/64"}]
    assert off(text, seen(**LINK, addresses=there)) == []
    assert off(text, seen(**LINK)) == [f"address fd00::a/64 on p0 is missing (planned: {text})"]


@pytest.mark.parametrize("add", ["ip route add", "ip -4 route add", "ip r add"])
@pytest.mark.parametrize(
    ("typed", "dst"),
    [
        ("default via 10.0.0.9", "default"),
        ("0.0.0.0/0 via 10.0.0.9", "default"),
        ("10.5.1.1 via 10.0.0.9", "10.5.1.1"),
        ("10.5.1.1/32 via 10.0.0.9", "10.5.1.1"),
        ("10.5.0.0/16 via 10.0.0.9 dev p0", "10.5.0.0/16"),
        ("10.88/16 via 10.0.0.9", "10.88.0.0/16"),
        ("10/8 via 10.0.0.9", "10.0.0.0/8"),
    ],
)
def test_routes(typed: str, dst: str, add: str) -> None:
    route = {"dst": dst, "gateway": "10.0.0.9", "dev": "p0"}
    text = f"{add} {typed}"
    assert off(text, seen(**LINK, routes=[route])) == []
    assert len(off(text, seen(**LINK, routes=[{**route, "gateway": "10.0.0.8"}]))) == 1
    assert len(off(text, seen(**LINK))) == 1


def test_settings_of_several_words() -> None:
    text = f"echo 1024 2048 | tee {RANGE}"
    assert off(text, seen(settings={RANGE: "1024\t2048"})) == []
    assert off(text, seen(settings={RANGE: "1024\t4096"}))[0].startswith(f"{RANGE} is 1024")


def test_rules_that_iptables_words_otherwise() -> None:
    text = "iptables -A FORWARD -p tcp --dport 80 -j ACCEPT"
    line = "-A FORWARD -p tcp -m tcp --dport 80 -j ACCEPT"
    there = seen(rules={"iptables filter": [line]})
    assert off(text, there, exit_code=0) == []
    assert len(off(text, {}, exit_code=1)) == 1


def test_of_two_routes_to_default_the_one_that_is_missing_is_named_with_its_step() -> None:
    four, six = "ip route add default via 10.0.0.9", "ip route add default via fd00::9"
    route = {"dst": "default", "gateway": "fd00::9", "dev": "p0"}
    told = f"route default via 10.0.0.9 is missing (planned: {four})"
    assert off(f"{four}\n{six}", seen(**LINK, routes=[route])) == [told]


def test_a_link_that_is_missing_is_named_with_the_step_that_made_it() -> None:
    made = "ip link add p0 type veth peer name p1"
    told = [f"link {name} is missing (planned: {made})" for name in ("p0", "p1")]
    assert off(f"{made}\nip link set p1 up", {}) == told
