import contextlib
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_names import ADDRESSES, COUNTS, NAMES, SIXTEEN

from cnetsh.errors import REFUSED, CnetshError
from cnetsh.labs import builtin, render
from cnetsh.plan.steps import parse

KINDS = {
    "interface": [*NAMES, SIXTEEN, "br"],
    "interface prefix": [*NAMES, SIXTEEN],
    "netns": [*NAMES, "n" * 65],
    "netns prefix": [*NAMES, "n" * 64],
    "network": [*ADDRESSES, "10.0.0.0", "fd00::/64"],
    "address": [*ADDRESSES, "172.16.0.0/12", "172.31.255.255/12", "fd00::1/64"],
    "ip": [*ADDRESSES, "10.0.0.1/24", "172.18.0.0/12", "fd00::1"],
    "count": COUNTS,
    "number": ["-1", "0", "1.5", "two", "", "\u0662", "99999999"],
}
PARAMETERS = [
    (name, parameter)
    for name in builtin.LABS
    for parameter in builtin.read_sheet(builtin.shipped("templates") / name).parameters.values()
]


def refused(name, *given_settings):
    with pytest.raises(CnetshError) as caught:
        builtin.builtin_lab(name, given_settings)
    error = caught.value
    assert error.code == REFUSED
    for text in (error.message, error.hint):
        assert text.isascii() and (text == "" or text.isprintable())
    return error


def own_lab(folder, sheet, up="ip link set lo up\n"):
    folder.mkdir(exist_ok=True)
    (folder / "lab.yaml").write_text(sheet, encoding="utf-8")
    (folder / "up.sh.j2").write_text(up, encoding="utf-8")
    return str(folder)


@pytest.mark.parametrize("kind", KINDS)
def test_a_hostile_value_of_a_kind_is_refused_with_its_place(kind):
    name, parameter = next((name, one) for name, one in PARAMETERS if one.kind == kind)
    for text in KINDS[kind]:
        assert parameter.name in refused(name, f"{parameter.name}={text}").message


def test_every_parameter_is_checked():
    for name, parameter in PARAMETERS:
        for text in ("\x1b[31m", "-1 x", "0x"):
            assert parameter.name in refused(name, f"{parameter.name}={text}").message


def test_every_parameter_has_help_and_ranges_where_it_counts():
    for _, parameter in PARAMETERS:
        assert parameter.help
        assert bool(parameter.range) == (parameter.kind in ("count", "number"))


def test_the_defaults_are_the_articles():
    found = builtin.builtin_lab("bridge", []).values
    assert found["subnet"] == "172.18.0.0/12"
    assert found["network"] == "172.16.0.0/12"
    assert (found["gateway"], found["gateway_address"]) == ("172.18.0.1", "172.18.0.1/12")
    assert found["containers"] == [
        {
            "netns": f"net{index}",
            "host_end": f"veth{index}",
            "peer": f"ceth{index}",
            "address": f"172.18.0.{ip}/12",
            "ip": f"172.18.0.{ip}",
        }
        for index, ip in ((0, 10), (1, 20))
    ]


@pytest.mark.parametrize("name", ["bridge", "routing"])
def test_a_bridge_has_1023_ports(name):
    containers = builtin.builtin_lab(name, ["containers=1023"]).values["containers"]
    assert len({container["ip"] for container in containers}) == 1023
    assert "Exchange full" in refused(name, "containers=1024").message


@pytest.mark.parametrize(
    ("given_settings", "said"),
    [
        (["subnet=10.0.0.0/29"], "too small"),
        (["subnet=10.9.0.0/31"], "too small"),
        (["subnet=10.9.0.255/24"], "no host's address"),
        (["gateway=10.0.0.1"], "gateway"),
        (["gateway=172.16.0.0"], "gateway"),
        (["gateway=172.31.255.255"], "gateway"),
        (["gateway=172.18.0.20"], "address of the gateway"),
        (["first=1"], "address of the gateway"),
        (["bridge=veth1"], "two links"),
        (["peer=veth"], "two links"),
        (["host_end=v", "peer=v1", "containers=11"], "two links"),
        (["host_end=abcdefghijklmno"], "16 bytes"),
        (["netns=" + "n" * 64], "65 bytes"),
        (["subnet=10.0.0.0/8"], "eth0_ip"),
        (["outside_ip=172.18.0.99"], "outside_ip"),
        (["bridge"], "KEY=VALUE"),
        (["bridge=br1", "bridge=br2"], "twice"),
    ],
)
def test_values_that_do_not_go_together_are_refused(given_settings, said):
    assert said in refused("bridge", *given_settings).message


@pytest.mark.parametrize("number", [30, 250, 251, 252])
def test_the_hint_for_a_small_subnet_helps_when_it_is_followed(number):
    first = ["subnet=10.9.0.0/24", f"containers={number}"]
    hint = refused("bridge", *first).hint
    settings = hint.replace("--set ", "").split() if "--set" in hint else []
    if not settings:
        first[0] = "subnet=10.9.0.0/" + re.search(r"/(\d+)", hint)[1]
        settings = ["first=2", "step=1"]
    assert builtin.builtin_lab("bridge", [*first, *settings])


def test_the_two_ends_of_a_cable_share_a_subnet_but_no_address():
    assert "both" in refused("veth", "peer_address=172.18.0.10/12").message
    assert "subnet" in refused("container", "peer_address=10.9.0.1/24").message
    assert "two links" in refused("container", "peer=veth0").message


def test_a_host_end_and_a_container_cannot_share_an_address():
    assert "host end" in refused("conflict", "host_first=20", "host_step=1").message


def test_few_of_many_containers_are_checked_in_a_ring():
    checked = builtin.builtin_lab("bridge", ["containers=1000", "step=1"]).values["checked"]
    pairs = [(one["netns"], one["neighbour"]["netns"]) for one in checked]
    assert pairs == [
        ("net0", "net1"), ("net1", "net2"), ("net2", "net3"), ("net3", "net4"), ("net999", "net0"),
    ]  # fmt: skip
    assert builtin.builtin_lab("bridge", ["containers=1"]).values["checked"][0]["neighbour"] == {}


@pytest.mark.parametrize(
    ("wrong", "near"), [("brige", "bridge"), ("veht", "veth"), ("route", "routing"), ("\x1b[m", "")]
)
def test_an_unknown_lab_gets_the_nearest_name(wrong, near):
    assert near in refused(wrong).hint


@pytest.mark.parametrize("name", ["", "/", "x" * 5000, "a\0b", "/nowhere/at/all", "\udc80"])
def test_what_is_no_lab_is_refused(name):
    refused(name)


def test_an_unknown_parameter_gets_the_nearest_name():
    assert refused("bridge", "brigde=x").hint == "did you mean bridge?"
    assert "known" in refused("bridge", "\x1b=x").hint


def test_a_folder_is_a_lab_with_the_same_kinds(tmp_path):
    sheet = "parameters: {containers: {kind: count, default: 3}, subnet: {kind: network}}"
    name = own_lab(tmp_path / "rooms", sheet)
    assert "subnet" in refused(name).message
    found = builtin.builtin_lab(name, ["subnet=10.9.0.0/24"])
    assert (found.name, found.title, found.trusted) == ("rooms", "rooms", False)
    assert [one["address"] for one in found.values["containers"]] == [
        "10.9.0.10/24", "10.9.0.20/24", "10.9.0.30/24",
    ]  # fmt: skip
    assert "containers" in refused(name, "subnet=10.9.0.0/24", "containers=x").message


def test_a_folder_may_use_ipv6(tmp_path):
    sheet = """
        parameters:
          containers: {kind: count, default: 2}
          subnet: {kind: network, default: "fd00::/64"}
          gateway: {kind: ip}
    """
    found = builtin.builtin_lab(own_lab(tmp_path / "six", sheet), []).values
    assert found["gateway_address"] == "fd00::1/64"
    assert [one["ip"] for one in found["containers"]] == ["fd00::a", "fd00::14"]


@pytest.mark.parametrize(
    "sheet",
    [
        "",
        "[]",
        "titel: x",
        "title: [x]",
        "title: x\ntitle: y",
        "title: &a x\nteaches: *a",
        "parameters: x",
        "parameters: {x: y}",
        "parameters: {X: {kind: ip}}",
        "parameters: {network: {kind: ip}}",
        "parameters: {x: {kind: nope}}",
        "parameters: {x: {kind: netns, default: [a]}}",
        "parameters: {x: {kind: netns, default: 'a b'}}",
        "parameters: {x: {kind: count, default: 1, range: [1]}}",
        "parameters: {x: {kind: count, default: 1, range: [1, two]}}",
        "parameters: {x: {kind: count, default: 9, range: [1, 5]}}",
        "parameters: {x: {kind: count, default: no}}",
        "parameters: {containers: {kind: count, default: 2}, gateway: {kind: ip}}",
        "\x00",
        "[" * 5000,
    ],
)
def test_a_wrong_lab_yaml_is_refused(tmp_path, sheet):
    assert refused(own_lab(tmp_path / "rooms", sheet)).message


@pytest.mark.parametrize("most", ["", ", range: [1, 900000000]"])
def test_a_count_is_bounded_before_it_is_used(tmp_path, most):
    sheet = "parameters: {containers: {kind: count, default: 900000000%s}, subnet: {kind: network}}"
    error = refused(own_lab(tmp_path / "rooms", sheet % most), "subnet=fd00::/64")
    assert "is not between" in error.message and "100000" in error.message


DEFAULTS = {**dict.fromkeys(("interface", "netns"), "br7"), "ip": "10.8.0.5", "number": "3"}
DEFAULTS |= {"network": "10.8.0.0/24", "address": "10.8.0.5/24", "count": "3"}


@pytest.mark.parametrize("kind", DEFAULTS)
def test_a_parameter_that_others_are_worked_out_of_has_a_fitting_kind(tmp_path, kind):
    known = {"containers": "count", "subnet": "network", "gateway": "ip", "host_address": "address"}
    names = (*known, "peer_address", "eth0_ip", "outside_ip", "first", "step", "host_first")
    for name in (*names, "host_step", "netns", "host_end", "peer", "bridge"):
        rows = known | {name: kind}
        lines = [
            f"  {one}: {{kind: {rows[one]}, default: '{DEFAULTS[rows[one]]}'}}" for one in rows
        ]
        folder = own_lab(tmp_path / f"{name}{kind}", "\n".join(["parameters:", *lines]))
        # Whatever else is wrong with it is told, too.
        with contextlib.suppress(CnetshError):
            builtin.builtin_lab(folder, [])


def test_a_title_stays_on_one_line(tmp_path):
    sheet = 'title: "a\\nreboot\\e"\nteaches: "Br\u00fccken"'
    found = builtin.builtin_lab(own_lab(tmp_path / "rooms", sheet), [])
    assert (found.title, found.teaches) == (r"a reboot\x1b", "Br\u00fccken")


def test_a_folder_without_its_files_is_refused(tmp_path):
    assert "up.sh.j2" in refused(str(tmp_path)).message
    (tmp_path / "up.sh.j2").touch()
    assert "lab.yaml" in refused(str(tmp_path)).message


@settings(max_examples=300, deadline=None)
@given(
    choice=st.sampled_from(PARAMETERS),
    text=st.text(max_size=40)
    | st.from_regex(r"[a-z0-9.%_-]{1,17}", fullmatch=True)
    | st.integers(-5, 2000).map(str)
    | st.builds("{}.{}.{}.{}".format, *[st.integers(0, 256)] * 4)
    | st.builds("{}.{}.{}.{}/{}".format, *[st.integers(0, 256)] * 4, st.integers(0, 33)),
)
def test_any_text_for_any_parameter_is_refused_or_meant(choice, text):
    name, parameter = choice
    try:
        found = builtin.builtin_lab(name, [f"{parameter.name}={text}"])
    except CnetshError as error:
        assert error.message.isascii() and error.message.isprintable()
        return
    allowed = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}|[0-9.]+(/[0-9]+)?|[0-9]+")
    for value in found.values.values():
        listed = value if isinstance(value, list) else [{"": value}]
        for one in listed:
            texts = [part for part in one.values() if not isinstance(part, dict)]
            assert all(allowed.fullmatch(str(part)) for part in texts)
    steps = parse(render.render(found, "up"), name, "", "up", name).steps
    number = len(found.values.get("containers", [()]))
    shape = {"veth": (5, 0), "container": (0, 8), "conflict": (0, 8), "bridge": (3, 8)}
    fixed, each = shape.get(name, (5, 8))
    assert len(steps) == fixed + each * number
    assert all(step.argv == tuple(step.text.split()) for step in steps if not step.stdin)
