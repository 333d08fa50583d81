"""Networks that are hard to draw, and how tests come by their pictures."""

from pathlib import Path

from cnetsh.kinds.change import after
from cnetsh.labs.choose import part
from cnetsh.plan.steps import Plan, parse
from cnetsh.views.picture.draw import picture_of
from cnetsh.views.picture.fold import folded
from cnetsh.views.picture.network import DrawnNetwork, drawn_network
from cnetsh.views.picture.shapes import Picture

LABS = ["veth", "container", "conflict", "bridge", "routing"]
EXAMPLES = sorted((Path(__file__).resolve().parent.parent / "examples").glob("*.yaml"))
WIDTHS = (40, 48, 80, 123)

FILE = """\
name: facts
bridges:
  br1: {address: [10.31.0.1/24, "fd00:31::1/64"], nat: true, mtu: 1400}
  br2: {address: 10.32.0.1/24, isolated: true}
containers:
  a: {bridge: br1, rate: 10mbit, delay: 20ms, loss: 1%, publish: ["8080:80"], dns: 9.9.9.9}
  b: {bridge: br2, sysctls: {net.ipv4.ip_default_ttl: 33}}
  r:
    forward: true
    interfaces: [{bridge: br2, address: 10.32.0.9/24}, {container: s, address: 10.9.0.1/30}]
    routes: [{to: 10.77.0.0/24, via: 10.9.0.2}]
  s: {interfaces: [{container: r, address: 10.9.0.2/30}]}
  lan: {interfaces: [{macvlan: eth0, name: mv0, address: 10.0.2.50/24}]}
"""
RING = """\
name: ring
containers:
  r1: {forward: true, interfaces: [
    {container: r2, address: 10.1.12.1/30, name: to-r2, delay: 20ms},
    {container: r3, address: 10.1.13.1/30, name: to-r3}]}
  r2: {forward: true, interfaces: [
    {container: r1, address: 10.1.12.2/30, name: to-r1},
    {container: r3, address: 10.1.23.1/30, name: to-r3}]}
  r3: {forward: true, interfaces: [
    {container: r1, address: 10.1.13.2/30, name: to-r1},
    {container: r2, address: 10.1.23.2/30, name: to-r2}]}
"""
BOTH = """\
name: both
bridges: {br0: {address: 10.1.0.1/24}, br1: {address: 10.2.0.1/24}}
containers:
  one: {count: 2, bridge: br0}
  two: {count: 7, interfaces: [{bridge: br0, rate: 10mbit}, {bridge: br1, delay: 5ms}]}
"""
SHARED = """\
name: shared
bridges: {br0: {address: 10.1.0.1/24, isolated: true}}
containers:
  web: {bridge: br0}
  lan: {count: 3, interfaces: [{macvlan: eth0, name: mv0, address: 10.0.2.50/24}]}
"""
# What a plan may have besides: both ends of a cable in the host, links of others.
ODD = """\
ip link add br0 type bridge
ip link add br1 type bridge
ip link add v0 type veth peer name w0
ip link set v0 master br0
ip link set w0 master br1
ip link add v1 type veth peer name w1
ip link add v2 type veth peer name w2
ip link set w2 netns theirs
ip link add v3 type veth peer name w3
ip link set v3 master docker0
ip netns add own
ip link set w3 netns own
ip netns add alone
"""


def of_plan(up: Plan) -> DrawnNetwork:
    start = part("sandbox", (), "up")
    return drawn_network(up.title, after([*start.changes, *up.changes]))


def of_text(text: str, title: str = "") -> DrawnNetwork:
    return of_plan(parse(text, "x", title, "up", "x"))


def of_lab(lab: Path | str) -> DrawnNetwork:
    return of_plan(part(str(lab), (), "up"))


def pictures(network: DrawnNetwork) -> list[Picture]:
    return [picture_of(folded(network), width) for width in WIDTHS]
