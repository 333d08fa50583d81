"""`show` has all that the kernel has, and says what it means as it stands."""

import json
import subprocess
import sys
from typing import Any

import pytest
from hosts import Ordinary, Private

ROUTED = """\
name: routed
bridges: {br0: {address: 172.18.0.1/16, nat: true}}
containers:
  web: {bridge: br0, address: 172.18.0.10/16, publish: ["8080:80/tcp"], rate: 10mbit}
  other: {bridge: br0}
"""
SERVER = (
    "import socket, time; s = socket.create_server(('', 80)); print(flush=True); time.sleep(600)"
)


@pytest.fixture
def up(private: Private, tmp_path: Any) -> Private:
    (tmp_path / "routed.yaml").write_text(ROUTED, encoding="utf-8")
    private.cnetsh("up", str(tmp_path / "routed.yaml"))
    # IPv6 gives links addresses of its own a moment later.
    private.snapshot(settled=0.2)
    return private


def shown(host: Private, name: str = "") -> dict[str, dict[str, dict[str, dict[str, str]]]]:
    """By namespace and table: the rows, each by what stands in its first column."""
    found = json.loads(host.cnetsh("show", *([name] if name else []), "--json").stdout)
    return {
        netns: {
            title: {next(iter(row.values())): row for row in rows} for title, rows in some.items()
        }
        for netns, some in found.items()
    }


def test_all_that_the_kernel_has_is_there(up: Private) -> None:
    found = shown(up)
    assert set(found) == {"host", "web", "other"}
    for netns, some in found.items():
        into = "" if netns == "host" else f"ip netns exec {netns} "
        links = json.loads(up.sh(f"{into}ip -j address"))
        assert set(some["Links"]) == {link["ifname"] for link in links}
        addresses = {f"{one['local']}/{one['prefixlen']}" for link in links
                     for one in link["addr_info"]}  # fmt: skip
        assert set(some["Addresses"]) == addresses
        routes = json.loads(up.sh(f"{into}ip -j route")) + json.loads(
            up.sh(f"{into}ip -j -6 route")
        )
        assert set(some["Routes"]) == {route["dst"] for route in routes}
    rules = up.sh("iptables-save; ip6tables-save").splitlines()
    rows = json.loads(up.cnetsh("show", "host", "--json").stdout)["host"]["Rules"]
    assert len(rows) == sum(line[:2] == "-A" for line in rules)
    assert list(found["web"]["Queues"]) == ["ceth0"]


def test_a_word_of_a_rule_that_has_no_value_stands_alone(up: Private) -> None:
    up.sh("ip rule add not from 10.9.0.0/16 table 77 pref 500; ip rule add iif x table 77 pref 600")
    rows = shown(up, "host")["host"]["Routing rules"]
    assert rows["500"]["rule"].startswith("not src 10.9.0.0 srclen 16")
    assert rows["600"]["rule"].startswith("src all iif x iif_detached")


def test_each_says_what_it_means(up: Private) -> None:
    server = up.start(["ip", "netns", "exec", "web", sys.executable, "-c", SERVER],
                      stdout=subprocess.PIPE)  # fmt: skip
    assert server.stdout and server.stdout.readline() == "\n"
    up.sh("""
        ip netns exec web ping -c1 -W1 172.18.0.1
        ip netns exec web ping -c1 -W1 172.18.0.77 || true
        bridge link set dev $(ip -br link | grep -o 'routed-1') isolated on
    """)
    web, host = shown(up, "web")["web"], shown(up, "host")["host"]
    means = {
        title: {name: row["means"] for name, row in rows.items()} for title, rows in web.items()
    }
    peer = web["Links"]["ceth0"]["other end"]
    assert peer == "routed-0 in host" and host["Links"]["routed-0"]["other end"] == "in web"
    assert means["Links"]["ceth0"] == (
        "an end of a cable: what goes in comes out of routed-0 in the host"
    )
    assert means["Routes"]["default"] == (
        "what no other route is for goes to 172.18.0.1, a neighbour on ceth0, who passes it on"
    )
    assert "asked for by ARP" in means["Routes"]["172.18.0.0/16"]
    assert means["Neighbours"]["172.18.0.77"] in (
        "asked for, and nobody answered", "being asked for; no answer so far"
    )  # fmt: skip
    assert web["Neighbours"]["172.18.0.1"]["mac"] == host["Links"]["br0"]["mac"]
    assert means["Sockets"]["tcp"] == "answers at every address"
    assert means["Forwarding"]["net/ipv4/ip_forward"] == "packets for others are dropped"
    assert host["Forwarding"]["net/ipv4/ip_forward"]["value"] == "1"
    assert "none to another isolated port" in host["Bridge ports"]["routed-1"]["means"]
    mac = web["Links"]["ceth0"]["mac"]
    entry = host["MAC addresses that bridges know"][mac]
    assert (entry["port"], entry["how"]) == ("routed-0", "learned")
    server.kill()
    server.wait()


def test_what_is_down_or_without_a_carrier(up: Private) -> None:
    up.sh("ip netns exec web ip link set ceth0 down")
    assert shown(up, "web")["web"]["Links"]["ceth0"]["state"] == "down"
    host = shown(up, "host")["host"]
    assert host["Links"]["routed-0"]["state"] == "no carrier"
    assert "nothing at its other end is up" in host["Links"]["routed-0"]["means"]
    assert "passes nothing on" in host["Bridge ports"]["routed-0"]["means"]


def test_for_people_in_any_width(up: Private) -> None:
    env = up.env
    for width in ("40", "80", "200"):
        text = up.cnetsh("show", "web", env={**env, "COLUMNS": width}).stdout
        words = " ".join(text.split())
        assert words.startswith("web Links A link sends frames")
        assert "an end of a cable: what goes in comes out of routed-0 in the host" in words
        assert max(map(len, text.splitlines())) <= int(width)
    assert "\x1b" not in text


def test_a_lab_is_its_containers_and_the_host(up: Private) -> None:
    up.sh("ip netns add foreign")
    assert set(shown(up, "routed")) == {"host", "web", "other"}
    assert set(shown(up)) == {"host", "web", "other", "foreign"}
    missing = up.cnetsh("show", "nosuch", check=False)
    assert missing.returncode == 2 and "there are: host, foreign, other, web" in missing.stderr


def test_an_ordinary_user_in_a_sandbox(ordinary: Ordinary) -> None:
    missing = ordinary.cnetsh("show", "net0", check=False)
    assert missing.returncode == 2 and "so there is no net0" in missing.stderr
    ordinary.cnetsh("up", "bridge")
    found = json.loads(ordinary.cnetsh("show", "--json").stdout)
    assert {"host", "internet", "net0", "net1"} == set(found)
    ordinary.cnetsh("down", "bridge")
