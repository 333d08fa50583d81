import json
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from cnetsh.errors import REFUSED, CnetshError
from cnetsh.labs import yaml as yamltext
from cnetsh.labs.builtin import builtin_lab
from cnetsh.labs.fields import Field, Mapping
from cnetsh.labs.file import describe, load_file, name_in
from cnetsh.labs.model import Topology
from cnetsh.labs.reference import MAPPINGS, lab_schema, starter_file
from cnetsh.labs.topology.values import topology_values

CHECKOUT = Path(__file__).resolve().parents[2]
ERRORS = sorted((CHECKOUT / "tests/golden/errors").glob("*.yaml"))
EXAMPLES = sorted((CHECKOUT / "examples").glob("*.yaml"))
COMMENTED = re.compile("^( *)# ([a-z]+: .*)")
SMALLEST = """\
name: big
bridges:
  br0:
    address: 172.18.0.1/12
containers:
  net0:
    bridge: br0
    address: 172.18.0.10/12
  net1:
    bridge: br0
    address: 172.18.0.11/12
"""


def described(text: str, *settings: str) -> Topology:
    return describe(yamltext.compose_document(text, "lab.yaml"), settings)


def refusal(text: str, *settings: str) -> str:
    with pytest.raises(CnetshError) as caught:
        topology_values(described(text, *settings))
    assert caught.value.code == REFUSED
    return caught.value.message


class TestTheSmallestFile:
    def test_says_what_it_says(self) -> None:
        lab = described(SMALLEST)
        assert lab.name == "big"
        assert [str(address) for address in lab.bridges["br0"].addresses] == ["172.18.0.1/12"]
        assert list(lab.containers) == ["net0", "net1"]
        (interface,) = lab.containers["net1"].interfaces
        assert (interface.bridge, str(interface.addresses[0])) == ("br0", "172.18.0.11/12")

    def test_becomes_a_lab(self, tmp_path: Path) -> None:
        file = tmp_path / "lab.yaml"
        file.write_text(SMALLEST)
        lab = load_file(file, ["bridges.br0.nat=true"])
        assert (lab.name, lab.trusted, lab.folder.name) == ("big", True, "topology")
        assert lab.values["forwarding"] == ["net/ipv4/ip_forward"]


@pytest.mark.parametrize("file", ERRORS, ids=lambda file: file.stem)
def test_an_error_says_where_and_what_was_expected(
    file: Path, golden: Callable[[str, str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(file, tmp_path / "lab.yaml")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CnetshError) as caught:
        load_file(Path("lab.yaml"), [])
    assert caught.value.code == REFUSED
    lines = caught.value.message.splitlines()
    assert all(line.isprintable() and line.isascii() for line in lines)
    assert all(line.startswith("lab.yaml:") for line in lines)
    hint = f"  {caught.value.hint}\n" if caught.value.hint else ""
    golden(f"errors/{file.stem}.txt", "".join(f"{line}\n" for line in lines) + hint)


def test_of_hundreds_of_mistakes_the_first_twenty_are_told() -> None:
    text = "name: x\ncontainers:\n" + "".join(f"  net{n}: {{rate: {n}}}\n" for n in range(300))
    lines = refusal(text).splitlines()
    assert [line.split(": ")[0] for line in lines[:2]] == ["lab.yaml:3:16", "lab.yaml:4:16"]
    assert len(lines) == 21 and lines[-1] == "and 280 more"


def test_a_lab_file_without_its_ending_is_the_hint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("bridges.yaml").write_text(SMALLEST)
    with pytest.raises(CnetshError) as caught:
        builtin_lab("bridges", [])
    assert caught.value.hint == "did you mean bridges.yaml?"


class TestScalars:
    def test_stay_the_text_that_was_written(self) -> None:
        root = yamltext.compose_document(
            "a: no\nb: 12:30:45\nc: 010\nd: 0x10\ne: 1.10\nf: 'x'\n", "f"
        )
        assert isinstance(root.value, dict)
        assert [node.value for node in root.value.values()] == [
            "no", "12:30:45", "010", "0x10", "1.10", "x",
        ]  # fmt: skip

    def test_know_their_place(self) -> None:
        root = yamltext.compose_document("a:\n  - b: c\n", "f")
        assert isinstance(root.value, dict)
        (item,) = root.value["a"].value
        assert isinstance(item, yamltext.Node) and isinstance(item.value, dict)
        assert yamltext.place_of(item.value["b"], "a[0].b") == "f:2:8: a[0].b"


class TestSettings:
    def test_replace_a_value(self) -> None:
        lab = described(SMALLEST, "bridges.br0.mtu=1400", "name=small")
        assert (lab.name, lab.bridges["br0"].mtu) == ("small", 1400)

    @pytest.mark.parametrize(
        ("setting", "expected"),
        [
            ("bridges.br0.mtu", "--set bridges.br0.mtu: no value"),
            (
                "bridges.br9.mtu=1",
                "--set bridges.br9.mtu: the file has no `br9` there (did you mean br0?)",
            ),
            ("bridges.br0.mtu=1", "--set bridges.br0.mtu: bridges.br0.mtu: 1, expected a number"),
            ("bridges.br0=x", "--set bridges.br0: more than one value"),
            ("containers.net0.bridge=x", "--set containers.net0.bridge: containers.net0.bridge:"),
            ("bridge=br7", "--set bridge: bridge: unknown key (did you mean bridges?)"),
            ("name.x=1", "--set name.x: expected a path"),
        ],
    )
    def test_that_do_not_fit_are_refused(self, setting: str, expected: str) -> None:
        assert refusal(SMALLEST, setting).startswith(expected)


class TestSize:
    def test_of_more_than_a_mebibyte_is_refused(self, tmp_path: Path) -> None:
        file = tmp_path / "lab.yaml"
        file.write_text("# " + "x" * (1 << 20))
        with pytest.raises(CnetshError, match="larger than 1 MiB"):
            load_file(file, [])

    def test_a_thousand_containers_are_read_at_once(self) -> None:
        lines = [
            f"  net{n}: {{bridge: br0, address: 10.0.{n >> 8}.{n & 255}/8}}" for n in range(2, 1002)
        ]
        text = "\n".join(
            ["name: x", "bridges: {br0: {address: 10.0.0.1/8}}", "containers:", *lines]
        )
        started = time.process_time()
        assert len(described(text).containers) == 1000
        assert time.process_time() - started < 3

    def test_a_file_that_is_not_there_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(CnetshError, match=r"missing\.yaml: no such file"):
            load_file(tmp_path / "missing.yaml", [])


class TestAnything:
    @settings(max_examples=300, deadline=None)
    @given(st.text())
    def test_written_gives_a_lab_or_a_refusal(self, text: str) -> None:
        self.tried(text)

    @settings(max_examples=300, deadline=None)
    @given(st.data())
    def test_put_into_a_lab_gives_a_lab_or_a_refusal(self, data: st.DataObject) -> None:
        at = data.draw(st.integers(0, len(SMALLEST)))
        to = data.draw(st.integers(at, min(len(SMALLEST), at + 20)))
        put = data.draw(st.text("\n :-{}[]*&!?'\"#/.0123456789abcdefnt\0\x1b\u202e", max_size=8))
        self.tried(SMALLEST[:at] + put + SMALLEST[to:])

    @settings(max_examples=200, deadline=None)
    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
            max_leaves=12,
        ),
        st.sampled_from(["bridges", "containers", "checks", "name"]),
    )
    def test_as_a_value_gives_a_lab_or_a_refusal(self, value: object, key: str) -> None:
        base = {"name": "x", "bridges": {"br0": {"address": "10.0.0.1/8"}}, "containers": {"a": {}}}
        self.tried(yaml.safe_dump(base | {key: value}, allow_unicode=True))

    def tried(self, text: str) -> None:
        try:
            topology_values(described(text))
        except CnetshError as error:
            lines = error.message.splitlines()
            assert all(line.isprintable() and line.isascii() for line in lines), lines


_INTRODUCTION = """\
# The lab file

A lab file describes a network: `cnetsh plan FILE.yaml` shows the commands that build it,
`cnetsh up FILE.yaml` runs them. `cnetsh new NAME` writes a commented one to start from,
`cnetsh schema` the JSON Schema for an editor; [`examples/`](../examples) has six to read.
Mistakes are told together, each with file, line, column and what was expected: those of single
values first, then those that several of them make.

It is YAML without anchors, aliases and tags, of at most 1 MiB. Only `name` and `containers` must be
there. This page is written by `make golden` from the same statement that reads the file.
"""


def reference_page() -> str:
    """Give docs/lab-file.md: a table of fields for each mapping of the file."""
    parts = [_INTRODUCTION]
    for what, model in MAPPINGS.items():
        rows = "".join(_row(field) for field in Mapping(model).fields.values())
        table = f"| field | holds | what it is for | example |\n|---|---|---|---|\n{rows}"
        parts.append(f"## {what.capitalize()}\n\n{model.__doc__}\n\n{table}")
    return "\n".join(parts)


def _row(field: Field) -> str:
    needed = " (must be there)" if field.required else ""
    return f"| `{field.key}` | {field.kind.expected} | {field.help}{needed} | `{field.example}` |\n"


class TestStatement:
    """What is made from the one statement of the format: schema, reference page and starter."""

    @pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
    def test_is_named_by_every_example(self, file: Path) -> None:
        first = file.read_text().splitlines()[0]
        path = first.removeprefix("# yaml-language-server: $schema=")
        assert (file.parent / path).resolve() == CHECKOUT / "docs/lab-file.schema.json"

    def test_is_the_schema_and_the_page_in_docs(self, golden: Callable[[str, str], None]) -> None:
        golden("../../docs/lab-file.schema.json", json.dumps(lab_schema(), indent=2) + "\n")
        golden("../../docs/lab-file.md", reference_page())

    def test_gives_a_starter_file_that_is_a_lab(self) -> None:
        lab = described(starter_file("first"))
        assert lab.name == "first"
        assert topology_values(lab)["namespaces"] == ["net0", "web0", "web1"]

    def test_gives_it_comments_that_are_right_one_by_one(self) -> None:
        lines = starter_file("first").splitlines()
        fields = [number for number, line in enumerate(lines) if COMMENTED.match(line)]
        assert len(fields) > 15
        for number in fields:
            line = COMMENTED.sub(r"\1\2", lines[number])
            planned = topology_values(
                described("\n".join([*lines[:number], line, *lines[number + 1 :]]))
            )
            assert planned["lab"] == "first"

    def test_gives_it_blocks_that_are_right_with_each_of_their_comments(self) -> None:
        starter = starter_file("first")
        begin = starter.index("  # router:")
        lines = [f"{line}\n" for line in starter[begin:].splitlines()]
        lines = [re.sub("^(  )?# (Besides.*)?", r"\1", line, count=1) for line in lines]
        fields = [number for number, line in enumerate(lines) if COMMENTED.match(line)]
        assert len(fields) >= 8
        for number in [-1, *fields]:
            block = [*lines]
            block[number] = COMMENTED.sub(r"\1\2", block[number])
            values = topology_values(described(starter[:begin] + "".join(block)))
            assert values["namespaces"] == ["net0", "web0", "web1", "router", "far"]

    def test_gives_a_starter_file_no_name_of_another_kind(self) -> None:
        with pytest.raises(CnetshError, match="expected a letter"):
            starter_file("a\nb: c")


def test_the_name_alone_is_read_from_a_file_that_is_broken_elsewhere(tmp_path):
    file = tmp_path / "lab.yaml"
    file.write_text("name: mine\ncontainers: 7\nnonsense: [1]\n")
    assert name_in(file) == "mine"


@pytest.mark.parametrize("text", ["name: x y\n", "names: x\n", "[name]\n", "name: [x]\n"])
def test_a_file_without_a_name_is_refused(tmp_path, text):
    file = tmp_path / "lab.yaml"
    file.write_text(text)
    with pytest.raises(CnetshError, match=rf"{file}:1:\d+: "):
        name_in(file)
