import resource

import pytest

from cnetsh.errors import REFUSED, CnetshError
from cnetsh.labs import builtin, render
from cnetsh.plan.steps import parse

# What the article's scripts 1, 2 and 4 hand to sudo, and its commands for routing.
VETH = """\
ip link add veth0 type veth peer name ceth0
ip link set veth0 up
ip link set ceth0 up
ip addr add 172.18.0.10/12 dev veth0
ip addr add 172.18.0.20/12 dev ceth0"""
CONTAINER = """\
ip netns add net0
ip link add veth0 type veth peer name ceth0
ip link set veth0 up
ip addr add 172.18.0.10/12 dev veth0
ip link set ceth0 netns net0
ip netns exec net0 ip addr add 172.18.0.20/12 dev ceth0
ip netns exec net0 ip link set ceth0 up
ip netns exec net0 ip link set lo up"""
BRIDGE = """\
ip link add name br0 type bridge
ip address add 172.18.0.1/12 dev br0
ip link set br0 up
ip netns add net0
ip link add veth0 type veth peer name ceth0
ip link set veth0 up
ip link set dev veth0 master br0
ip link set ceth0 netns net0
ip netns exec net0 ip address add 172.18.0.10/12 dev ceth0
ip netns exec net0 ip link set ceth0 up
ip netns exec net0 ip route add default via 172.18.0.1
ip netns add net1
ip link add veth1 type veth peer name ceth1
ip link set veth1 up
ip link set dev veth1 master br0
ip link set ceth1 netns net1
ip netns exec net1 ip address add 172.18.0.20/12 dev ceth1
ip netns exec net1 ip link set ceth1 up
ip netns exec net1 ip route add default via 172.18.0.1"""
FORWARD = "echo 1 | tee /proc/sys/net/ipv4/ip_forward"
NAT = "iptables -t nat -A POSTROUTING -s 172.18.0.0/12 ! -o br0 -j MASQUERADE"
CONFLICT = CONTAINER.replace("0.10/12", "0.100/12").replace("0.20/12", "0.10/12")
CONFLICT += "\n" + (
    CONFLICT.replace("net0", "net1").replace("eth0", "eth1")
    .replace("0.100/12", "0.101/12").replace("0.10/12", "0.20/12")
)  # fmt: skip
DOWN = "ip link delete br0\nip netns delete net0\nip netns delete net1"
EXACT = {
    ("veth", "up"): VETH,
    ("veth", "down"): "ip link delete veth0",
    ("container", "up"): CONTAINER,
    ("container", "down"): "ip netns delete net0",
    ("conflict", "up"): CONFLICT,
    ("conflict", "down"): "ip netns delete net0\nip netns delete net1",
    ("bridge", "up"): BRIDGE,
    ("bridge", "down"): DOWN,
    ("routing", "up"): f"{BRIDGE}\n{FORWARD}\n{NAT}",
    ("routing", "down"): f"{NAT.replace('-A', '-D')}\n{FORWARD.replace('1', '0', 1)}\n{DOWN}",
}


def commands(name, part, *settings):
    return [step.text for step in steps(name, part, *settings)]


def steps(name, part, *settings):
    found = builtin.builtin_lab(name, settings)
    text = render.render(found, part)
    return parse(text, name, found.title, part, f"{name}/{part}.sh.j2").steps


@pytest.mark.parametrize(("name", "part"), EXACT)
def test_the_commands_are_the_articles(name, part):
    assert commands(name, part) == EXACT[name, part].split("\n")


@pytest.mark.parametrize("name", [*builtin.LABS, builtin.SANDBOX])
@pytest.mark.parametrize("part", render.PARTS)
def test_every_command_has_a_reason_and_a_section(name, part):
    for step in steps(name, part):
        assert step.why and step.section, step
        assert "sudo" not in step.text


@pytest.mark.parametrize("name", builtin.LABS)
def test_checks_change_nothing_and_stay_few(name):
    settings = ["containers=1000", "step=1"] if name in ("bridge", "routing") else []
    checks = steps(name, "check", *settings)
    assert {step.kind for step in checks} <= {"look", "check"}
    assert len(checks) < 30


@pytest.mark.parametrize(
    ("name", "failing"),
    [
        ("veth", set()),
        ("container", {"ip netns exec net0 ping -c1 -W1 10.0.2.15"}),
        (
            "conflict",
            {
                "ip netns exec net0 ping -c1 -W1 172.18.0.20",
                "ip netns exec net1 ping -c1 -W1 172.18.0.100",
                "ip netns exec net1 ping -c1 -W1 172.18.0.101",
                "ping -c1 -W1 172.18.0.20",
                "ip netns exec net0 ping -c1 -W1 10.0.2.15",
            },
        ),
        (
            "bridge",
            {
                "ip netns exec net0 ping -c1 -W1 172.18.0.10",
                "ip netns exec net0 ping -c1 -W1 1.1.1.1",
            },
        ),
        ("routing", {"ip netns exec net0 ping -c1 -W1 172.18.0.10"}),
    ],
)
def test_what_must_fail_is_marked(name, failing):
    checks = steps(name, "check")
    assert {step.text for step in checks if step.said.expect} == failing
    if name == "routing":
        assert [step.text for step in checks[-2:]] == [
            "ip netns exec net0 ip neigh", "ip netns exec net1 ip neigh",
        ]  # fmt: skip


def test_settings_reach_every_command():
    settings = [
        "containers=3", "bridge=sw", "subnet=10.9.0.0/24", "netns=room", "host_end=out", "peer=in",
        "first=5", "step=2", "gateway=10.9.0.254",
    ]  # fmt: skip
    text = "\n".join(commands("routing", "up", *settings) + commands("routing", "down", *settings))
    for gone in ("br0", "172.", "net0", "veth0", "ceth0"):
        assert gone not in text
    assert "ip netns exec room2 ip address add 10.9.0.9/24 dev in2" in text
    assert "ip netns exec room2 ip route add default via 10.9.0.254" in text


def test_a_thousand_containers_render():
    found = builtin.builtin_lab("routing", ["containers=1000"])
    assert render.render(found, "up").count("ip netns add") == 1000


@pytest.fixture
def own(tmp_path):
    (tmp_path / "lab.yaml").write_text("parameters: {containers: {kind: count, default: 1}}")

    def write(template, part="up"):
        (tmp_path / "up.sh.j2").touch()
        (tmp_path / f"{part}.sh.j2").write_text(template, encoding="utf-8")
        return builtin.builtin_lab(str(tmp_path), [])._replace(name="own")

    return write


def refused(found, part="up"):
    with pytest.raises(CnetshError) as caught:
        render.render(found, part)
    assert caught.value.code == REFUSED
    assert caught.value.message.isascii() and caught.value.message.isprintable()
    return caught.value.message


def test_a_template_of_ones_own_may_include_a_built_in_one(own):
    found = own('{% include "veth/down.sh.j2" %}')._replace(values={"host_end": "v0"})
    assert "ip link delete v0\n" in render.render(found, "up")


def test_check_and_down_are_optional(own):
    found = own("ip link set lo up\n")
    assert render.render(found, "check") == render.render(found, "down") == ""
    assert render.render(own("ip link\n", "check"), "check") == "ip link\n"


def test_an_unknown_part_is_refused(own):
    assert "no part" in refused(own("x"), "sideways")


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("a\n{{ nope }}", "own/up.sh.j2:2: 'nope' is undefined"),
        ("a\n{% if %}", "own/up.sh.j2:2: "),
        ("\n\n{{ ''.__class__.__mro__ }}", "own/up.sh.j2:3: "),
        ("{{ cycler.__init__.__globals__.os.popen('id').read() }}", "own/up.sh.j2:1: "),
        ("{{ [].append(1) }}", "own/up.sh.j2:1: "),
        ("{{ 1 / 0 }}", "own/up.sh.j2:1: ZeroDivisionError"),
        ("{{ 1 + 'a' }}", "own/up.sh.j2:1: TypeError"),
        ("{{ lipsum() }}", "own/up.sh.j2:1: "),
        ("{{ [1, 2] | random }}", "own/up.sh.j2:1: "),
        ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "RecursionError"),
        ("{% include '../lab.yaml' %}", "no template ../lab.yaml"),
        ("{% include '/etc/passwd' %}", "no template /etc/passwd"),
        ("{{ '\x1b[31m' + nope }}", "own/up.sh.j2:1: "),
        ("{{ 'a' * 300000000 }}", "4 MiB"),
        ("{{ 'a' * 10 ** 18 }}", "own/up.sh.j2:1: needs more memory"),
        ("{% for n in range(100000) %}{{ 'a' * 100 }}{% endfor %}", "4 MiB"),
        ("{{ 'a' * 5000000 }}", "4 MiB"),
        ("{{ '%09999999999d' | format(1) }}", "needs more memory"),
        ("{{ ('a' * 999).ljust(9999999999) | length }}", "needs more memory"),
        (
            "{% set all = namespace(s='0123456789') %}{% for n in range(60) %}"
            "{% set all.s = all.s ~ all.s %}{% endfor %}",
            "own/up.sh.j2:1: needs more memory",
        ),
    ],
)
def test_a_hostile_or_wrong_template_is_refused_with_its_line(own, template, said):
    assert said in refused(own(template))


def test_a_template_sees_no_file_outside_its_folder(own, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "secret").write_text("top secret *")
    found = own("{% include 'inner/link' %}")
    (found.folder / "inner").mkdir()
    (found.folder / "inner/link").symlink_to(elsewhere / "secret")
    assert refused(found).endswith("own/up.sh.j2:1: no template inner/link here")
    (found.folder / "inner/link").unlink()
    (found.folder / "inner/link").symlink_to("../lab.yaml")
    assert "parameters:" in render.render(found, "up")


@pytest.mark.parametrize("name", ["lab.yaml", "up.sh.j2"])
def test_no_part_of_a_lab_is_a_file_outside_its_folder(own, tmp_path_factory, name):
    folder = own("ip link\n").folder
    secret = tmp_path_factory.mktemp("elsewhere") / "secret"
    secret.write_text("top secret *")
    (folder / name).unlink()
    (folder / name).symlink_to(secret)
    with pytest.raises(CnetshError) as caught:
        render.render(builtin.builtin_lab(str(folder), []), "up")
    assert "secret" not in caught.value.message and name in caught.value.message


def test_memory_that_a_template_may_take_is_given_back(own):
    before = resource.getrlimit(resource.RLIMIT_AS)
    refused(own("{{ 'a' * 10 ** 18 }}"))
    assert resource.getrlimit(resource.RLIMIT_AS) == before


def test_a_fifo_in_place_of_a_template_is_not_read(own, tmp_path):
    import os

    found = own("{% include 'pipe.j2' %}")
    os.mkfifo(tmp_path / "pipe.j2")
    assert "no template pipe.j2" in refused(found)
