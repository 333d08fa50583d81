import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import pytest

from cnetsh.kinds.change import after
from cnetsh.labs import builtin as labs
from cnetsh.labs import render
from cnetsh.labs.builtin import Lab
from cnetsh.labs.file import load_file
from cnetsh.plan.steps import parse
from cnetsh.views.picture.draw import draw
from cnetsh.views.picture.network import Drop, Graph, graph_of

CHECKOUT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted((CHECKOUT / "examples").glob("*.yaml"))
FORMS = ["ascii", "mermaid", "dot", "svg"]


def of(lab: Lab) -> Graph:
    up = parse(render.render(lab, "up"), lab.name, lab.title, "up", "up.sh.j2")
    return graph_of(up.title, after(up.changes))


def of_text(text: str) -> Graph:
    return graph_of("", after(parse(text, "x", "", "up", "x").changes))


class TestAPlan:
    @pytest.mark.parametrize("name", labs.LABS)
    def test_of_the_article_can_be_drawn(
        self, name: str, golden: Callable[[str, str], None]
    ) -> None:
        golden(f"graph/{name}.txt", draw(of(labs.builtin_lab(name, [])), "ascii"))

    @pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
    @pytest.mark.parametrize("form", FORMS)
    def test_of_an_example_can_be_drawn(
        self, file: Path, form: str, golden: Callable[[str, str], None]
    ) -> None:
        golden(f"graph/{file.stem}.{form}", draw(of(load_file(file, [])), form))

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

    @pytest.mark.parametrize("form", FORMS)
    @pytest.mark.parametrize(
        ("text", "shown"),
        [
            ("ip link add br0 type bridge\nip link add v0 type veth peer name w0\n"
             "ip link set v0 master br0\n", "w0"),
            ("ip link add v0 type veth peer name w0\nip link set w0 netns theirs\n", "theirs"),
        ],
        ids=["both ends on the host", "a namespace of somebody else"],
    )  # fmt: skip
    def test_with_ends_in_no_container_of_its_own_is_drawn(
        self, text: str, shown: str, form: str
    ) -> None:
        assert shown in draw(of_text(text), form)


class TestPictures:
    @pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
    def test_in_svg_are_xml_with_every_container(self, file: Path) -> None:
        found = of(load_file(file, []))
        root = ET.fromstring(draw(found, "svg"))
        texts = {text.text for text in root.iter("{http://www.w3.org/2000/svg}text")}
        assert set(found.namespaces[1:]) <= texts

    @pytest.mark.parametrize("form", FORMS)
    def test_show_strange_titles_as_text(self, form: str) -> None:
        drawn = draw(Graph('<b>"x"\x1b[31m', ("",), (), {}, {}), form)
        assert "\x1b" not in drawn and "<b>" not in drawn.replace('<b>"x"\\x1b[31m\n\nhost', "")

    @pytest.mark.parametrize("form", FORMS)
    def test_of_many_containers_are_quick_enough_to_draw(self, form: str) -> None:
        lines = [f"ip netns add n{number}" for number in range(2000)]
        lines += [f"ip link add v{n} type veth peer name c{n} netns n{n}" for n in range(2000)]
        assert "n1999" in draw(of_text("\n".join(lines) + "\n"), form)
