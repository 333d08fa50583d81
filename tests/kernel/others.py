"""A host's own things that labs borrow, and a twin of the host that never has the lab."""

import time
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from subprocess import CompletedProcess

import oracle
import pytest
from _pytest.mark import ParameterSet
from hosts import Private

Hosts = Callable[[], Private]

# All MAC addresses are given, so that twins are equal; the wait for duplicates costs a second.
STILL = """
cd /proc/sys/net/ipv6/conf
for each in all default; do echo 0 > $each/accept_dad; echo 0 > $each/router_solicitations; done
cd /
"""
NO_IPV6 = """
for each in all default; do echo 1 > /proc/sys/net/ipv6/conf/$each/disable_ipv6; done
"""
UPLINK = f"""{STILL}
ip link add eth7 address 02:00:00:00:07:01 type veth peer name eth7x address 02:00:00:00:07:02
ip link set eth7x up; ip link set eth7 up; ip address add 10.66.0.1/24 dev eth7
ip -6 address add 2001:db8::1/64 dev eth7 nodad
until ip -6 address show dev eth7 | grep -q fe80; do sleep 0.01; done
until ip -6 address show dev eth7x | grep -q fe80; do sleep 0.01; done
"""
# Its MAC address is its port's; one that a lab makes at random is higher.
BRIDGE = f"""{STILL}
ip link add br9 type bridge
ip link add p9 address 02:00:00:00:00:01 type veth peer name q9 address 02:00:00:00:00:02
ip link set p9 master br9; ip link set p9 up; ip link set q9 up
ip address add 10.5.0.1/24 dev br9; ip link set br9 up
until ip -6 address show dev br9 | grep -q fe80; do sleep 0.01; done
"""


def often(cases: Iterable[str], chosen: Collection[str]) -> list[ParameterSet]:
    """The cases for parametrize; those that are not chosen are for `make soak`."""
    return [
        pytest.param(case, id=case, marks=() if case in chosen else pytest.mark.soak)
        for case in cases
    ]


def template(folder: Path, name: str, commands: str, **parts: str) -> str:
    """A template folder of these commands, or of others now; gives what `up` takes."""
    (at := folder / name).mkdir(exist_ok=True)
    (at / "lab.yaml").write_text("title: t\n", encoding="utf-8")
    for part, text in {"up": commands, **parts}.items():
        (at / f"{part}.sh.j2").write_text(text.strip() + "\n", encoding="utf-8")
    return str(at)


def lab_file(folder: Path, name: str, text: str) -> str:
    """A lab file of that name; gives its path."""
    path = folder / f"{name}.yaml"
    path.write_text(f"name: {name}\n{text.strip()}\n", encoding="utf-8")
    return str(path)


def nat(folder: Path, more: str = "") -> str:
    """A bridge with a container; more: further keys of the container."""
    text = "bridges:\n  br1: {address: 10.31.0.1/24, nat: true}\n"
    return lab_file(folder, "n1", f"{text}containers:\n  a: {{bridge: br1{more}}}")


def differences(take: Callable[[], oracle.Facts], other: Callable[[], oracle.Facts]) -> list[str]:
    """What differs when both have come to rest: the kernel tells of carriers once a second."""
    end = time.monotonic() + 10
    while (found := oracle.diff(other(), take())) and time.monotonic() < end:
        time.sleep(0.5)
    return found


def not_as(host: Private, before: oracle.Facts) -> list[str]:
    """What differs on the host from what was before, when it has come to rest."""
    return differences(host.snapshot, lambda: before)


def not_as_twin(host: Private, twin: Private) -> list[str]:
    return differences(host.snapshot, twin.snapshot)


def not_shaped_as(host: Private, other: oracle.Facts | Private) -> list[str]:
    """The same but for the MAC addresses that the kernel makes at random."""
    seen = other.snapshot if isinstance(other, Private) else lambda: other
    return differences(lambda: oracle.shape(host.snapshot()), lambda: oracle.shape(seen()))


def beside_twin(
    hosts: Hosts, prepared: str, lab: str, name: str, meanwhile: str
) -> tuple[CompletedProcess[str], list[str]]:
    """How `down` ended, and what then differs from a host that never had the lab."""
    host, twin = hosts(), hosts()
    for each in (host, twin):
        each.sh(prepared)
    host.cnetsh("up", lab, "--allow-overlap")
    for each in (host, twin):
        each.sh(meanwhile)
    done = host.cnetsh("down", name, check=False)
    return done, not_as_twin(host, twin)
