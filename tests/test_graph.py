import json
import xml.etree.ElementTree as ET
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from cnetsh.labs import builtin as labs
from cnetsh.labs import render
from cnetsh.labs.builtin import Lab
from cnetsh.labs.file import load_file
from cnetsh.plan.steps import parse
from cnetsh.system.process import Result
from cnetsh.views.picture import network
from cnetsh.views.picture.segments import Drop, Graph

CHECKOUT = Path(__file__).resolve().parent.parent
EXAMPLES = sorted((CHECKOUT / "examples").glob("*.yaml"))
FORMS = ["ascii", "mermaid", "dot", "svg"]


def of(lab: Lab) -> Graph:
    up = parse(render.render(lab, "up"), lab.name, lab.title, "up", "up.sh.j2")
    return network.from_plan(up)


def of_text(text: str) -> Graph:
    return network.from_plan(parse(text, "x", "", "up", "x"))


class TestAPlan:
    @pytest.mark.parametrize("name", labs.LABS)
    def test_of_the_article_can_be_drawn(
        self, name: str, golden: Callable[[str, str], None]
    ) -> None:
        golden(f"graph/{name}.txt", network.draw(of(labs.load(name, [])), "ascii"))

    @pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
    @pytest.mark.parametrize("form", FORMS)
    def test_of_an_example_can_be_drawn(
        self, file: Path, form: str, golden: Callable[[str, str], None]
    ) -> None:
        golden(f"graph/{file.stem}.{form}", network.draw(of(load_file(file, [])), form))

    def test_that_moves_a_link_has_it_where_it_went(self) -> None:
        found = of_text("""\
ip netns add net0
ip link add veth0 type veth peer name ceth0
ip link set ceth0 netns net0
ip address add 10.0.0.1/24 dev veth0
ip netns exec net0 ip address add 10.0.0.2/24 dev ceth0
""")
        (segment,) = found.segments
        assert segment.drops == (Drop("net0", "ceth0", "veth0"),)
        assert segment.addresses == ("10.0.0.1/24",)
        assert found.addresses["net0", "ceth0"] == ("10.0.0.2/24",)

    def test_that_uses_a_bridge_of_somebody_else_has_it(self) -> None:
        found = of_text("""\
ip netns add net0
ip link add veth0 type veth peer name ceth0 netns net0
ip link set dev veth0 master docker0
""")
        assert [segment.name for segment in found.segments] == ["docker0"]


class TestPictures:
    @pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
    def test_in_svg_are_xml_with_every_container(self, file: Path) -> None:
        found = of(load_file(file, []))
        root = ET.fromstring(network.draw(found, "svg"))
        texts = {text.text for text in root.iter("{http://www.w3.org/2000/svg}text")}
        assert set(found.namespaces[1:]) <= texts

    @pytest.mark.parametrize("form", FORMS)
    def test_show_strange_titles_as_text(self, form: str) -> None:
        drawn = network.draw(Graph('<b>"x"\x1b[31m', ("",), (), {}, {}), form)
        assert "\x1b" not in drawn and "<b>" not in drawn.replace('<b>"x"\\x1b[31m\n\nhost', "")

    @pytest.mark.parametrize("form", FORMS)
    def test_of_many_containers_are_quick_enough_to_draw(self, form: str) -> None:
        lines = [f"ip netns add n{number}" for number in range(2000)]
        lines += [f"ip link add v{n} type veth peer name c{n} netns n{n}" for n in range(2000)]
        assert "n1999" in network.draw(of_text("\n".join(lines) + "\n"), form)


class TestTheKernel:
    ANSWERS = {  # noqa: RUF012
        ("ip", "-j", "netns", "list"): [{"name": "net0", "id": 0}, {"name": "net1", "id": 3}],
        ("ip", "-j", "-d", "address"): [
            {"ifindex": 1, "ifname": "lo", "addr_info": []},
            {
                "ifindex": 2,
                "ifname": "br0",
                "linkinfo": {"info_kind": "bridge"},
                "addr_info": [{"local": "10.0.0.1", "prefixlen": 24, "scope": "global"}],
            },
            {
                "ifindex": 5,
                "ifname": "veth0",
                "link_index": 2,
                "link_netnsid": 0,
                "master": "br0",
                "linkinfo": {"info_kind": "veth"},
            },
        ],
        ("ip", "-n", "net0", "-j", "-d", "address"): [
            {
                "ifindex": 2,
                "ifname": "ceth0",
                "link_index": 5,
                "link_netnsid": 7,
                "linkinfo": {"info_kind": "veth"},
                "addr_info": [
                    {"local": "10.0.0.2", "prefixlen": 24, "scope": "global"},
                    {"local": "fe80::1", "prefixlen": 64, "scope": "link"},
                ],
            },
            {
                "ifindex": 3,
                "ifname": "far",
                "link_index": 9,
                "link_netnsid": 1,
                "linkinfo": {"info_kind": "veth"},
            },
        ],
        ("ip", "-n", "net1", "-j", "-d", "address"): [
            {
                "ifindex": 9,
                "ifname": "near",
                "link_index": 3,
                "link_netnsid": 0,
                "linkinfo": {"info_kind": "veth"},
            },
        ],
        ("ip", "-n", "net0", "-j", "netns", "list"): [{"name": "net1", "id": 1}],
        ("ip", "-n", "net0", "-4", "-j", "route"): [{"dst": "default", "gateway": "10.0.0.1"}, {}],
    }

    def run(self, argv: Sequence[str], stdin: str = "", timeout: float = 60.0) -> Result:
        return Result(0, json.dumps(self.ANSWERS.get(tuple(argv), [])), "")

    def test_is_drawn_as_a_plan_is(self) -> None:
        assert network.draw(network.live(self.run), "ascii") == """\
host
+-- bridge br0  10.0.0.1/24
|    |-- veth0 -- ceth0  net0  10.0.0.2/24  default via 10.0.0.1
cable far - near
|-- far   net0    default via 10.0.0.1
|-- near  net1
"""  # fmt: skip
