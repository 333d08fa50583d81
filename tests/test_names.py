import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cnetsh import names
from cnetsh.errors import REFUSED, CnetshError

NAMES = [
    "-h",
    "--",
    "$(id)",
    ";id",
    "br 0",
    "a/b",
    "..",
    ".",
    "../x",
    "x%d",
    "a@b",
    "a:b",
    "a+b",
    'a"b',
    "0",
    "12345",
    "lo",
    "all",
    "default",
    "none",
    "up",
    "dev",
    "help",
    "host",
    "bonding_masters",
]
NAMES += [
    "",
    " ",
    "br0\n",
    "br0\nip link delete eth0",
    "\x1b[31m",
    "br\u0430",
    "b\u200br",
    "\u202ebr",
]
SIXTEEN = "abcdefghijklmnop"

ADDRESSES = [
    "10.1",
    "10.1/8",
    "010.0.0.1/8",
    "10.0.0.010/24",
    "10.0.0.256/24",
    "10.0.0.1.2/24",
    "0x0a000001/24",
    "167772161",
    "127.0.0.1/8",
    "224.0.0.1/24",
    "239.1.1.1/24",
    "255.255.255.255/24",
    "240.0.0.1/8",
    "0.0.0.0/0",
    "0.0.0.0/8",
    "10.0.0.1/0",
    "10.0.0.1/7",
    "10.0.0.1/33",
    "10.0.0.1/-1",
    "10.0.0.1/08",
    "10.0.0.1/24/24",
    "10.0.0.1/255.255.255.0",
    "10.0.0.1/0.0.255.255",
    "fe80::1%eth0/64",
    "fe80::1/64",
    "::1/128",
    "::/64",
    "ff02::1/64",
    "::ffff:10.0.0.1/96",
    "fd00::1/129",
    "fd00:::1/64",
    "hello",
    "-h",
]
ADDRESSES += [
    "",
    "10.0.0.1/24\n",
    "10.0.0.1 /24",
    "\u0661\u0660.0.0.1/24",
    "10.0.0.1/\u0662\u0664",
    "\x1b",
]
EDGES = ["172.16.0.0/12", "172.31.255.255/12", "10.0.0.0/24", "10.0.0.255/24", "10.0.0.1"]
COUNTS = [
    "-1",
    "0",
    "1024",
    "1.5",
    "2e3",
    "two",
    "",
    " 2",
    "2\n",
    "+2",
    "02",
    "0x2",
    "\u0662",
    "9" * 5000,
]


def refused(function, *arguments):
    with pytest.raises(CnetshError) as caught:
        function(*arguments)
    error = caught.value
    assert error.code == REFUSED
    assert error.message.startswith("--set x: ")
    assert error.message.isascii() and error.message.isprintable()
    return error


@pytest.mark.parametrize("text", [*NAMES, SIXTEEN])
@pytest.mark.parametrize("check", [names.interface_name, names.interface_prefix])
def test_a_hostile_name_of_an_interface_is_refused(check, text):
    refused(check, text, "--set x")


@pytest.mark.parametrize("text", [*NAMES, "n" * 65, "host"])
def test_a_hostile_name_of_a_namespace_is_refused(text):
    refused(names.netns_name, text, "--set x")


@pytest.mark.parametrize("text", ["a", "br", "l", "li", "mas", "ty", "tx", "link-n", "d"])
def test_what_ip_would_complete_to_a_keyword_is_no_interface(text):
    assert "keyword" in refused(names.interface_name, text, "--set x").message
    assert names.interface_prefix(text, "--set x") == text


@pytest.mark.parametrize("text", ["br0", "veth1023", "abcdefghijklmno", "A-b_c"])
def test_a_good_name_is_given_back(text):
    assert names.interface_name(text, "--set x") == text
    assert names.netns_name(f"{text}.x", "--set x") == f"{text}.x"


@pytest.mark.parametrize("text", ADDRESSES)
@pytest.mark.parametrize("check", [names.subnet, names.inet])
def test_a_bad_address_is_refused(check, text):
    refused(check, text, "--set x")


@pytest.mark.parametrize("text", EDGES)
def test_a_container_cannot_have_the_networks_own_addresses(text):
    refused(names.inet, text, "--set x")


@pytest.mark.parametrize("text", [*(text for text in ADDRESSES if "/" in text), "10.0.0.1/24", "0"])
def test_a_bad_address_without_prefix_length_is_refused(text):
    refused(names.ip, text, "--set x")


def test_host_bits_stay_as_typed():
    subnet = names.subnet("172.18.0.0/12", "--set x")
    assert (str(subnet), str(subnet.network)) == ("172.18.0.0/12", "172.16.0.0/12")


@pytest.mark.parametrize("text", ["10.0.0.0/31", "10.0.0.1/31", "10.0.0.0/32", "fd00::1/64"])
def test_an_address_may_stand_in_the_smallest_subnets_and_in_ipv6(text):
    assert str(names.inet(text, "--set x")) == text


@pytest.mark.parametrize("text", COUNTS)
def test_a_bad_count_is_refused(text):
    refused(names.count, text, "--set x", 1, 1023)


def test_a_count_past_its_limit_says_why():
    message = refused(names.count, "1024", "--set x", 1, 1023, "a bridge has 1,023 ports").message
    assert "1023" in message and "a bridge has 1,023 ports" in message


def test_escapes_are_visible():
    assert names.visible("a\x1b\n\u0430\U0001f600b") == r"a\x1b\x0a\u0430\U0001f600b"


FORMS = {
    names.interface_name: r"[A-Za-z][A-Za-z0-9_-]{0,14}",
    names.interface_prefix: r"[A-Za-z][A-Za-z0-9_-]{0,14}",
    names.netns_name: r"[A-Za-z][A-Za-z0-9_.-]{0,63}",
    names.subnet: r"[0-9a-f.:]+/[0-9]+",
    names.inet: r"[0-9a-f.:]+/[0-9]+",
    names.ip: r"[0-9a-f.:]+",
}


@pytest.mark.parametrize("check", FORMS, ids=lambda check: check.__name__)
@settings(max_examples=300, deadline=None)
@given(text=st.text(max_size=70) | st.from_regex(r"[0-9a-fx.:/ -]{1,20}|[a-z0-9%@ .-]{1,17}"))
def test_any_text_is_refused_or_has_the_allowed_form(check, text):
    try:
        found = check(text, "--set x")
    except CnetshError as error:
        assert error.message.isascii() and error.message.isprintable()
    else:
        assert re.fullmatch(FORMS[check], str(found))
