"""The two additions that proved the house: all that cnetsh does with a lab knows them."""

from pathlib import Path

import oracle
from hosts import Private
from others import template

UP = """\
ip netns add n0
ip link add v0 type veth peer name c0 netns n0
ip link set v0 up
ip address add 10.7.0.1/24 dev v0
ip neigh add 10.7.0.2 lladdr 02:00:00:00:00:02 nud permanent dev v0
ip link add name vx0 type vxlan id 42 dstport 4789 local 10.7.0.1 dev v0
ip netns exec n0 ip link set c0 address 02:00:00:00:00:02
ip netns exec n0 ip address add 10.7.0.2/24 dev c0
ip netns exec n0 ip link set c0 up
ip netns exec n0 ip neigh add 10.7.0.1 lladdr 02:00:00:00:00:01 nud permanent dev c0
"""
SHOWN = "ip neigh show nud permanent dev v0; ip -d link show vx0 | grep -o 'id [0-9]*'"


def test_from_plan_to_down(private: Private, tmp_path: Path) -> None:
    own, before = template(tmp_path, "two", UP), private.snapshot()
    saved = str(tmp_path / "two.json")
    private.cnetsh("plan", own, "--on", "host", "-o", saved)
    assert '"link vx0": "absent"' in Path(saved).read_text(encoding="utf-8")
    private.cnetsh("up", saved)
    assert "v0" in private.cnetsh("graph", "--live").stdout
    assert private.cnetsh("check", "two").returncode == 0
    private.sh("ip neigh delete 10.7.0.2 dev v0; ip link delete vx0")
    drifted = private.cnetsh("check", "two", check=False)
    assert "neighbour 10.7.0.2 lladdr 02:00:00:00:00:02 on v0 is missing" in drifted.stderr
    assert "link vx0 is missing" in drifted.stderr and drifted.returncode == 1
    private.cnetsh("down", "two")
    assert oracle.diff(before, private.snapshot()) == []


def test_a_live_change_and_the_script(private: Private, tmp_path: Path) -> None:
    own, before = template(tmp_path, "two", UP), private.snapshot()
    private.cnetsh("up", own)
    first = private.sh(SHOWN)
    other = UP.replace("00:02 nud", "00:09 nud").replace("id 42", "id 43")
    changed = private.cnetsh("up", template(tmp_path, "two", other), "--yes").stderr
    assert "- ip neigh delete 10.7.0.2 dev v0" in changed and "- ip link delete vx0" in changed
    assert private.sh(SHOWN) == first.replace("00:02 ", "00:09 ").replace("id 42", "id 43")
    private.cnetsh("down", "two")
    script = tmp_path / "two.sh"
    private.cnetsh("script", own, "--no-sudo", "-o", str(script))
    for verb in ("add", "delete"):
        private.sh(f"bash {script} {verb}")
    private.sh("while ip link show v0 2>/dev/null; do sleep 0.05; done")
    assert oracle.diff(before, private.snapshot()) == []
