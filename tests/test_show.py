import dataclasses
import io
import json
import re
import subprocess
import sys
import time

import pytest

from cnetsh import plan, show, undo
from cnetsh.lab import builtin_names
from cnetsh.load import part

LABS = builtin_names()
PARTS = ["up", "check", "down"]
HOSTILE = """## [bold]A[/bold] `b` | <i> & *c* \x1b[31m
# Why [red]not[/red]: `a|b` costs <b>1|2</b> & a_b \u202e backwards, \x07 bell
ip link add veth0 type veth peer name ceth0
ip link set veth0 alias '[link=x]y|`z`[/link]'
"""


def load(name, which, *settings):
    """A lab's part as the command line makes it."""
    return part(name, settings, which)


def typed_in(text, part="up", title="A lab of our own"):
    return plan.parse(text, "own", title, part, "own")


def with_undos(found):
    return found, undo.undos(found.steps)


def printed(found, width, **options):
    from rich.console import Console

    file = io.StringIO()
    show.table(*with_undos(found), Console(file=file, width=width, **options))
    return file.getvalue()


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("name", LABS)
class TestEveryPlan:
    def test_shell_is_as_expected(self, golden, name, part):
        golden(f"plans/{name}_{part}.sh", show.shell(load(name, part)))

    def test_shell_without_sudo_is_the_templates_commands(self, name, part):
        found = load(name, part)
        assert show.shell(found, sudo=False).splitlines() == [step.text for step in found.steps]

    @pytest.mark.parametrize("width", [80, 132])
    def test_table_fits(self, name, part, width):
        found = load(name, part)
        lines = printed(found, width).splitlines()
        assert max(map(len, lines)) <= width
        numbers = [int(line.split()[0]) for line in lines if re.match(r" *\d+  \S", line)]
        assert numbers == list(range(1, len(found.steps) + 1))


@pytest.mark.parametrize("part", PARTS)
class TestRouting:
    def test_json_is_as_expected(self, golden, part):
        golden(f"plans/routing_{part}.json", show.as_json(*with_undos(load("routing", part))))

    def test_markdown_is_as_expected(self, golden, part):
        golden(f"plans/routing_{part}.md", show.markdown(*with_undos(load("routing", part))))

    @pytest.mark.parametrize("width", [80, 132])
    def test_table_is_as_expected(self, golden, part, width):
        lines = printed(load("routing", part), width).splitlines()
        text = "".join(f"{line.rstrip()}\n" for line in lines)
        golden(f"plans/routing_{part}_{width}.txt", text)


class TestShell:
    def test_root_writes_settings_and_the_user_echoes(self):
        text = "echo 1 | tee /proc/sys/net/ipv4/ip_forward\n"
        assert show.shell(typed_in(text)) == f"{text.replace('tee', 'sudo tee')}"

    def test_root_enters_the_namespace_where_a_setting_is_written(self):
        text = "echo 1 | ip netns exec net0 tee /proc/sys/net/ipv4/ip_forward\n"
        assert show.shell(typed_in(text)) == text.replace("ip netns", "sudo ip netns")

    def test_of_no_steps_is_nothing(self):
        assert show.shell(typed_in("# no command\n")) == ""

    def test_of_800_000_steps_takes_no_time(self):
        found = load("routing", "up")
        steps = found.steps * (800_000 // len(found.steps))
        began = time.process_time()
        show.shell(dataclasses.replace(found, steps=steps))
        assert time.process_time() - began < 2


class TestJson:
    def test_numbers_start_at_one_and_point_to_steps(self):
        steps = json.loads(show.as_json(*with_undos(load("bridge", "up"))))["steps"]
        assert [step["number"] for step in steps] == list(range(1, len(steps) + 1))
        for step in steps:
            owner = step["covered_by"]
            assert (owner is None) == bool(step["undo"])
            assert owner is None or steps[owner - 1]["undo"]

    def test_a_setting_shows_what_is_run_and_what_it_reads(self):
        steps = json.loads(show.as_json(*with_undos(load("routing", "up"))))["steps"]
        step = next(step for step in steps if step["stdin"])
        assert step["command"] == "echo 1 | tee /proc/sys/net/ipv4/ip_forward"
        assert (step["argv"], step["stdin"]) == (["tee", "/proc/sys/net/ipv4/ip_forward"], "1\n")

    def test_checks_say_what_must_fail_and_what_they_need(self):
        steps = json.loads(show.as_json(*with_undos(load("routing", "check"))))["steps"]
        assert {step["kind"] for step in steps} == {"check", "look"}
        assert [step["command"] for step in steps if step["expect_failure"]] == [
            "ip netns exec net0 ping -c1 -W1 172.18.0.10"
        ]
        assert "route 1.1.1.1" in [step["needs"] for step in steps]

    def test_is_one_step_a_line_in_ascii(self):
        text = show.as_json(*with_undos(typed_in(HOSTILE)))
        assert text.isascii() and "\x1b" not in text
        assert [line for line in text.splitlines() if line.startswith('{"number"')]
        assert json.loads(text)["steps"][0]["section"] == HOSTILE.splitlines()[0][2:].strip()

    def test_of_no_steps(self):
        whole = json.loads(show.as_json(*with_undos(typed_in(""))))
        assert whole == {"lab": "own", "title": "A lab of our own", "part": "up", "steps": []}


class TestMarkdown:
    def test_markup_of_a_lab_stays_text(self):
        text = show.markdown(*with_undos(typed_in(HOSTILE, title="<script>*x*")))
        assert "\x1b" not in text and "\u202e" not in text and "\x07" not in text
        assert r"# \<script\>\*x\*" in text
        assert r"`a\|b` costs \<b\>1\|2\</b\> &amp; a\_b" in text

    def test_every_row_has_the_cells_of_its_heading(self):
        for line in show.markdown(*with_undos(typed_in(HOSTILE))).splitlines():
            if line.startswith("|"):
                assert len(re.findall(r"(?<!\\)\|", line)) == 5

    def test_a_command_with_backticks_is_one_code_span(self):
        assert r"`` ip link set veth0 alias '[link=x]y\|`z`[/link]' ``" in show.markdown(
            *with_undos(typed_in(HOSTILE))
        )


class TestTable:
    def test_markup_of_a_lab_stays_text(self):
        text = printed(typed_in(HOSTILE, title="[bold]T[/bold] :smile:"), 200)
        assert "[bold]T[/bold] :smile: (up)" in text
        assert "Why [red]not[/red]: `a|b`" in text and "[link=x]y|`z`[/link]" in text
        assert "\\x1b" in text and "\\u202e" in text and "\\x07" in text
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f\u202e]", text)

    def test_has_no_colour_off_a_terminal(self):
        assert "\x1b" not in printed(load("bridge", "up"), 80)

    def test_has_no_colour_where_none_is_wanted(self, monkeypatch):
        monkeypatch.setenv("NO_COLOR", "1")
        text = printed(load("bridge", "up"), 80, force_terminal=True, color_system="truecolor")
        assert not re.search(r"\x1b\[[0-9;]*[349][0-9]", text)

    @pytest.mark.parametrize("width", [40, 60])
    def test_can_be_printed_however_narrow(self, width):
        assert "172.18" in printed(load("routing", "up"), width).replace("\n", "")


def test_only_the_table_imports_rich():
    code = (
        "import sys; from cnetsh import plan, show, undo\n"
        "p = plan.parse('ip netns add a\\n', 'l', 't', 'up', 'o'); u = undo.undos(p.steps)\n"
        "show.shell(p); show.as_json(p, u); show.markdown(p, u); print('rich' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
