import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import pytest
from generated import lab_file
from networks import BOTH, EXAMPLES, FILE, LABS, ODD, RING, SHARED, of_lab, of_text, pictures
from overlaps import faults

from cnetsh.errors import CnetshError
from cnetsh.kinds.change import State
from cnetsh.labs.choose import part
from cnetsh.views.picture.draw import draw, picture_of
from cnetsh.views.picture.drawing import as_unicode
from cnetsh.views.picture.network import DrawnNetwork, drawn_network
from cnetsh.views.picture.shapes import Picture

CHECKOUT = Path(__file__).resolve().parents[2]
FORMS = ["unicode", "ascii", "svg", "mermaid", "dot"]
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def of_file(tmp_path: Path) -> Callable[[str], DrawnNetwork]:
    def read(text: str) -> DrawnNetwork:
        (tmp_path / "lab.yaml").write_text(text, encoding="utf-8")
        return of_lab(tmp_path / "lab.yaml")

    return read


def test_of_nothing_it_says_so() -> None:
    drawn = draw(drawn_network("sandbox, as it is now", State(), True), "unicode", 80)
    assert drawn == "sandbox, as it is now\nno container and no bridge is there\n", drawn


class TestAPlan:
    @pytest.mark.parametrize("lab", [*LABS, *EXAMPLES], ids=lambda lab: Path(lab).stem)
    def test_is_drawn_at_the_width_of_a_terminal(
        self, lab: Path, golden: Callable[[str, str], None]
    ) -> None:
        golden(f"graph/{Path(lab).stem}.txt", draw(of_lab(lab), "unicode", 80))

    @pytest.mark.parametrize("lab", [*LABS[-1:], *EXAMPLES], ids=lambda lab: Path(lab).stem)
    @pytest.mark.parametrize("form", ["svg", "mermaid", "dot"])
    def test_is_drawn_for_a_page(
        self, lab: Path, form: str, golden: Callable[[str, str], None]
    ) -> None:
        golden(f"graph/{Path(lab).stem}.{form}", draw(of_lab(lab), form, 123))

    def test_is_drawn_in_docs(self, golden: Callable[[str, str], None]) -> None:
        lab = CHECKOUT / "examples/three-tier-app.yaml"
        golden("../../docs/three-tier-app.svg", draw(of_lab(lab), "svg", 123))

    def test_is_drawn_narrow_and_plain(self, golden: Callable[[str, str], None]) -> None:
        golden("graph/routing.ascii", draw(of_lab("routing"), "ascii", 80))
        narrow = draw(of_lab(EXAMPLES[-2]), "ascii", 40)
        golden("graph/narrow.ascii", narrow)
        assert narrow.isascii() and max(map(len, narrow.splitlines())) <= 48

    @pytest.mark.parametrize("lab", [*LABS, *EXAMPLES], ids=lambda lab: Path(lab).stem)
    def test_fits_into_eighty_columns(self, lab: Path) -> None:
        assert max(map(len, draw(of_lab(lab), "unicode", 80).splitlines())) <= 80


FACTS = [
    "Internet", "eth0", "10.0.2.15/24", "forwards IPv4 and IPv6", "default", "10.0.2.2",
    "br1", "10.31.0.1/24", "fd00:31::1/64", "MTU 1400", "10.31.0.0/24 leaves as 10.0.2.15",
    "fd00:31::/64 leaves as the host", "8080/tcp", "10.31.0.2:80", "port 80/tcp",
    "10mbit +20ms 1% loss", "DNS 9.9.9.9", "isolated", "no forwarding", "ip_default_ttl = 33",
    "router: forwards IPv4", "10.77.0.0/24", "10.9.0.2", "macvlan on eth0", "10.0.2.50/24",
    "facts-0", "ceth0", "FORWARD lets br1 through",
]  # fmt: skip
RULES = """\
ip netns add net0
ip netns exec net0 ip link set lo up
ip netns exec net0 iptables -A INPUT -p tcp --dport 22 -j DROP
ip link add vx0 type vxlan id 5 dstport 4789
iptables -A FORWARD -i eth9 -j REJECT
"""


class TestEveryForm:
    @pytest.mark.parametrize("form", FORMS)
    @pytest.mark.parametrize("width", [48, 123])
    def test_shows_what_a_file_says(
        self, form: str, width: int, of_file: Callable[[str], DrawnNetwork]
    ) -> None:
        drawn = draw(of_file(FILE), form, width)
        assert [fact for fact in FACTS if fact not in drawn] == []

    @pytest.mark.parametrize("form", FORMS)
    def test_shows_rules_that_stop_packets_and_links_of_the_hosts_own(self, form: str) -> None:
        drawn = draw(of_text(RULES), form, 123).replace("&gt;", ">")
        arrow = ">" if form == "ascii" else "→"
        for shown in (f"INPUT -p tcp --dport 22 {arrow} DROP", f"FORWARD -i eth9 {arrow} REJECT"):
            assert shown in drawn
        assert "link vx0 VXLAN 5 down" in drawn and "lo is down" not in drawn

    def test_tells_a_lab_with_nat_from_one_without(self) -> None:
        for form in FORMS:
            bridge, routing = (draw(of_lab(lab), form, 80) for lab in ("bridge", "routing"))
            assert bridge.replace("A bridge", "") != routing.replace("Routing and NAT", "")
            assert "forwarding not set" in bridge and "forwards IPv4" in routing

    @pytest.mark.parametrize("form", FORMS)
    def test_shows_ends_in_no_container_of_the_plans_own(self, form: str) -> None:
        drawn = draw(of_text(ODD), form, 123)
        shown = ["br0", "br1", "v0", "w0", "v1", "w1", "v2", "w2", "theirs", "docker0", "v3", "w3"]
        shown += ["own", "alone"]
        assert [name for name in shown if name not in drawn] == []

    @pytest.mark.parametrize("form", FORMS)
    def test_shows_strange_titles_as_text(self, form: str) -> None:
        drawn = draw(of_text("ip netns add n0\n", '<b>"x"\x1b[31m'), form, 80)
        assert "\x1b" not in drawn and "\\x1b[31m" in drawn.replace("\\\\", "\\")
        assert form not in ("svg", "mermaid") or "<b>" not in drawn


class TestStates:
    # The eight steps of the bridge lab after which a link has just moved.
    HALFWAY = "\n".join(step.text for step in part("bridge", (), "up").steps[:8]) + "\n"

    @pytest.mark.parametrize("form", FORMS)
    def test_are_words(self, form: str) -> None:
        drawn = draw(of_text(self.HALFWAY), form, 80)
        assert "ceth0 down" in drawn and "veth0 no carrier" in drawn
        assert re.search(r"br0  172.18.0.1/12  no carrier", drawn)

    def test_are_lines_too(self) -> None:
        assert "┆" in draw(of_text(self.HALFWAY), "unicode", 80)
        assert "┆" not in draw(of_lab("bridge"), "unicode", 80)
        drawn = draw(of_text(self.HALFWAY), "svg", 80)
        assert 'class="nocarrier"' in drawn and 'class="isdown"' in drawn


class TestManyContainers:
    MANY = """\
name: big
bridges: {br0: {address: 10.0.0.1/8}}
containers:
  c: {bridge: br0, count: %d}
"""

    def test_of_a_kind_are_three_boxes(self, of_file: Callable[[str], DrawnNetwork]) -> None:
        drawn = draw(of_file(self.MANY % 1000), "unicode", 80)
        for text in ("c0", "c1 … c998", "998 containers", "c999", "1,000 ports", "big-1 … big-998"):
            assert text in drawn
        assert len(drawn.splitlines()) < 45

    def test_that_differ_are_drawn(self, of_file: Callable[[str], DrawnNetwork]) -> None:
        own = "  own: {bridge: br0, rate: 1mbit}\n"
        drawn = draw(of_file(self.MANY % 20 + own), "unicode", 80)
        assert "1mbit" in drawn and "own" in drawn and "c1 … c18" in drawn

    @pytest.mark.parametrize("form", FORMS)
    def test_are_quick_enough_to_draw(self, form: str) -> None:
        lines = [f"ip netns add n{number}" for number in range(2000)]
        lines += [f"ip link add v{n} type veth peer name c{n} netns n{n}" for n in range(2000)]
        assert "n1999" in draw(of_text("\n".join(lines) + "\n"), form, 80)


class TestNothingOverlaps:
    @pytest.mark.parametrize("lab", [*LABS, *EXAMPLES], ids=lambda lab: Path(lab).stem)
    def test_in_labs_and_examples(self, lab: Path) -> None:
        assert [found for one in pictures(of_lab(lab)) for found in faults(one)] == []

    @pytest.mark.parametrize(
        "text", [RING, BOTH, SHARED, FILE], ids=["ring", "both", "shared", "all"]
    )
    def test_in_what_is_hard_to_lay_out(
        self, text: str, of_file: Callable[[str], DrawnNetwork]
    ) -> None:
        assert [found for one in pictures(of_file(text)) for found in faults(one)] == []

    @pytest.mark.parametrize("text", [ODD, RULES], ids=["odd", "rules"])
    def test_in_what_a_template_makes(self, text: str) -> None:
        assert [found for one in pictures(of_text(text)) for found in faults(one)] == []

    @pytest.mark.parametrize("seed", range(60))
    def test_in_generated_files(self, seed: int, of_file: Callable[[str], DrawnNetwork]) -> None:
        try:
            network = of_file(lab_file(seed))
        except CnetshError:
            pytest.skip("this seed gives no lab")
        for one in pictures(network):
            assert faults(one) == [], as_unicode(one)

    def test_containers_on_two_bridges_stand_between_the_bars(
        self, of_file: Callable[[str], DrawnNetwork]
    ) -> None:
        drawn = draw(of_file(BOTH), "unicode", 123)
        # The second bridge goes on below each row, and no wire crosses a bar.
        assert drawn.count("━━ br1 ") > 2 and "╂" not in drawn.split("[ceth")[2]


class TestTheChecker:
    """It finds each kind of fault when one is made."""

    def picture(self) -> Picture:
        return picture_of(of_lab(EXAMPLES[-2]), 123)

    def test_finds_a_box_that_was_moved(self) -> None:
        picture = self.picture()
        at = next(n for n, box in enumerate(picture.boxes) if box.kind == "box")
        picture.boxes[at] = picture.boxes[at]._replace(x=picture.boxes[at].x + 20)
        assert any("boxes overlap" in found for found in faults(picture))

    def test_finds_a_text_that_is_too_long(self) -> None:
        picture = self.picture()
        picture.texts[-1] = picture.texts[-1]._replace(text="x" * 30)
        assert any("leaves its box" in found for found in faults(picture))

    def test_finds_a_socket_over_another(self) -> None:
        picture = self.picture()
        picture.sockets[-1] = picture.sockets[-2]
        assert any("sockets overlap" in found for found in faults(picture))

    def test_finds_a_wire_through_a_box_and_one_along_another(self) -> None:
        picture = self.picture()
        box = next(box for box in picture.boxes if box.kind == "box")
        picture.wire("up", (box.x + 5, box.y - 3), (box.x + 5, box.bottom + 3))
        assert any("through a box" in found for found in faults(picture))
        picture = self.picture()
        picture.wires.append(picture.wires[0]._replace(kind="down"))
        assert any("wires are one" in found for found in faults(picture))

    def test_finds_a_picture_that_is_cut(self) -> None:
        picture = self.picture()
        picture.width -= 10
        assert any("clipped" in found or "outside" in found for found in faults(picture))


class TestAnSvg:
    def test_has_no_id_or_style_of_another_in_its_page(self) -> None:
        drawn = {draw(of_lab(lab), "svg", width) for lab in LABS for width in (48, 123)}
        ids = [name for one in drawn for name in re.findall(r' id="([^"]+)"', one)]
        assert len(set(ids)) == len(ids) == 3 * len(drawn)
        for one in drawn:
            root = ET.fromstring(one)
            style = root.find(f"{SVG}style")
            assert style is not None and style.text
            rules = re.findall(r"([^{}]+)\{[^{}]*\}", style.text)
            assert all(f"#{root.get('id')}" in part for rule in rules for part in rule.split(","))

    def test_it_has_colours_where_variables_are_not_known(self) -> None:
        drawn = draw(of_lab("routing"), "svg", 123)
        light = dict(re.findall(r"--(\w+): (#\w+)", drawn.partition("@media")[0]))
        for key, name in set(re.findall(r"(\w+): var\(--(\w+)\)", drawn)):
            both = f"{key}: {light[name]}; {key}: var(--{name})"
            assert drawn.count(f"{key}: var(--{name})") == drawn.count(both)

    def test_says_in_words_what_it_shows(self) -> None:
        root = ET.fromstring(draw(of_lab("routing"), "svg", 123))
        name, told = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
        assert name is not None and name.text == "Routing and NAT"
        assert told is not None and told.text and "br0  172.18.0.1/12: net0, net1" in told.text
        assert root.get("aria-labelledby") == f"{name.get('id')} {told.get('id')}"

    def test_has_labels_as_wide_as_their_columns(self) -> None:
        root = ET.fromstring(draw(of_lab(EXAMPLES[-2]), "svg", 123))
        labels = [one for one in root.iter(f"{SVG}text") if one.get("class") != "title"]
        assert len(labels) > 30
        for one in labels:
            assert float(one.get("textLength", "0")) == pytest.approx(7.8 * len(one.text or ""))

    def test_is_the_same_every_time(self) -> None:
        argv = [sys.executable, "-m", "cnetsh", "graph", str(EXAMPLES[-2]), "--format", "svg"]
        drawn = {
            subprocess.run(
                argv, env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True
            ).stdout
            for seed in ("1", "2")
        }
        assert len(drawn) == 1 and b"<svg" in drawn.pop()
