import re
import time

import pytest

from cnetsh.labs.builtin import LABS
from cnetsh.labs.choose import commands, part
from cnetsh.plan import steps as steps_of
from cnetsh.plan.lines import Line, lines_of, over_plan
from cnetsh.views import table, terminal
from cnetsh.views.text import Sheet, as_markdown, as_shell

LABS = LABS
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
    return steps_of.parse(text, "own", title, part, "own")


def texts_of(found):
    return [step.text for step in found.steps]


def sheet(found, **more):
    return Sheet(found.title, found.part, lines_of(found), **more)


def printed(found, width, paint=terminal.unpainted):
    return "".join(f"{line}\n" for line in table.table(sheet(found), width, paint))


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("name", LABS)
class TestEveryPlan:
    def test_shell_is_as_expected(self, golden, name, part):
        golden(f"plans/{name}_{part}.sh", as_shell(commands(name, (), part)))

    def test_shell_without_sudo_is_the_templates_commands(self, name, part):
        found = as_shell(commands(name, (), part), sudo=False).splitlines()
        assert found == texts_of(load(name, part))

    @pytest.mark.parametrize("width", [80, 132])
    def test_table_fits(self, name, part, width):
        found = load(name, part)
        lines = printed(found, width).splitlines()
        assert max(map(len, lines)) <= width
        numbers = [int(line.split()[0]) for line in lines if re.match(r" *\d+  \S", line)]
        assert numbers == list(range(1, len(found.steps) + 1))


@pytest.mark.parametrize("part", PARTS)
class TestRouting:
    def test_markdown_is_as_expected(self, golden, part):
        golden(f"plans/routing_{part}.md", as_markdown(sheet(load("routing", part))))

    @pytest.mark.parametrize("width", [80, 132])
    def test_table_is_as_expected(self, golden, part, width):
        golden(f"plans/routing_{part}_{width}.txt", printed(load("routing", part), width))


class TestShell:
    def test_root_writes_settings_and_the_user_echoes(self):
        text = "echo 1 | tee /proc/sys/net/ipv4/ip_forward\n"
        assert as_shell(texts_of(typed_in(text))) == f"{text.replace('tee', 'sudo tee')}"

    def test_root_enters_the_namespace_where_a_setting_is_written(self):
        text = "echo 1 | ip netns exec net0 tee /proc/sys/net/ipv4/ip_forward\n"
        assert as_shell(texts_of(typed_in(text))) == text.replace("ip netns", "sudo ip netns")

    def test_of_no_steps_is_nothing(self):
        assert as_shell(texts_of(typed_in("# no command\n"))) == ""

    def test_of_800_000_steps_takes_no_time(self):
        found = load("routing", "up")
        texts = texts_of(found) * (800_000 // len(found.steps))
        began = time.process_time()
        as_shell(texts)
        assert time.process_time() - began < 2


class TestMarkdown:
    def test_markup_of_a_lab_stays_text(self):
        text = as_markdown(sheet(typed_in(HOSTILE, title="<script>*x*")))
        assert "\x1b" not in text and "\u202e" not in text and "\x07" not in text
        assert r"# \<script\>\*x\*" in text
        assert r"`a\|b` costs \<b\>1\|2\</b\> &amp; a\_b" in text

    def test_every_row_has_the_cells_of_its_heading(self):
        for line in as_markdown(sheet(typed_in(HOSTILE))).splitlines():
            if line.startswith("|"):
                assert len(re.findall(r"(?<!\\)\|", line)) == 5

    def test_a_command_with_backticks_is_one_code_span(self):
        assert r"`` ip link set veth0 alias '[link=x]y\|`z`[/link]' ``" in as_markdown(
            sheet(typed_in(HOSTILE))
        )

    def test_of_a_change_has_marks_their_number_and_what_doctor_warns_of(self):
        found = typed_in("ip netns add a\nip link set eth0 mtu 1400")
        add, change = found.steps
        lines = [Line("-", add._replace(text="ip netns delete b")), Line("+", add)]
        said = {"evidence": "eth0|x", "effect": "e", "advice": "a", "commands": ["c | d"]}
        warning = {"severity": "warn", "id": "P01", "title": "t"} | said
        text = as_markdown(Sheet("x", "up", [*lines, Line("~", change)], [warning]))
        assert "\n`+1 ~1 -1`\n" in text and "> **warn P01** t\n> - eth0\\|x\n" in text
        assert "\n> - a\n> - `c \\| d`\n" in text
        assert "|  | `-` | `ip netns delete b` |  |  |\n" in text

    def test_of_a_long_plan_goes_through_its_lines_a_few_times_only(self):
        class Counted(list):
            gone_through = 0

            def __iter__(self):
                self.gone_through += 1
                return super().__iter__()

        lines = Counted(lines_of(typed_in("ip netns add a\n" * 50)))
        as_markdown(Sheet("x", "up", lines))
        assert lines.gone_through < 10

    def test_of_nothing_says_so(self):
        assert as_markdown(Sheet("x", "up", [])) == "# x\n\nNothing to do.\n"


class TestTable:
    def test_markup_of_a_lab_stays_text(self):
        text = printed(typed_in(HOSTILE, title="[bold]T[/bold] :smile:"), 200)
        assert "[bold]T[/bold] :smile: (up)" in text
        assert "Why [red]not[/red]: `a|b`" in text and "[link=x]y|`z`[/link]" in text
        assert "\\x1b" in text and "\\u202e" in text and "\\x07" in text
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f\u202e]", text)

    def test_styles_change_no_letter(self):
        styled = printed(typed_in(HOSTILE), 80, terminal.ansi)
        assert "\x1b[1mip link add veth0" in styled
        assert re.sub(r"\x1b\[[0-9;]*m", "", styled) == printed(typed_in(HOSTILE), 80)

    def test_what_is_found_stands_below_its_command_and_its_mark_before_it(self):
        found = load("bridge", "up")
        add = next(step for step in found.steps if step.text == "ip netns add net0")
        lines = over_plan(found, [Line("+", add, "in the way")])
        shown = list(table.table(Sheet("", "up", lines), 120))
        at = next(n for n, line in enumerate(shown) if "ip netns add net0" in line)
        assert shown[at].startswith(" 4  +  ip netns add net0")
        assert shown[at + 1].split("  ")[3].strip() == "(in the way)"
        assert shown[-1] == "+1" and "(already there)" in shown[5]

    def test_of_8_000_steps_takes_no_time(self):
        found = load("bridge", "up", "containers=1000")
        began = time.process_time()
        assert printed(found, 120).count("ip netns add") == 1000
        assert time.process_time() - began < 2

    @pytest.mark.parametrize("width", [40, 60])
    def test_can_be_printed_however_narrow(self, width):
        assert "172.18" in printed(load("routing", "up"), width).replace("\n", "")


WIDE = "\u7f51\u7edc"  # two letters, each two columns wide


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", [""]),
        ("as wide as", ["as wide as"]),
        ("one word after another", ["one word", "after", "another"]),
        ("before/a/long/word after", ["before/a/l", "ong/word", "after"]),
        (f"{WIDE * 2} {WIDE}", [WIDE * 2, WIDE]),
        (WIDE * 3, [WIDE * 2 + WIDE[0], WIDE[1]]),
        ("e\u0301" * 10, ["e\u0301" * 10]),
    ],
)
def test_text_is_cut_where_it_has_to_be(text, lines):
    assert terminal.wrapped(text, 10) == lines
    assert all(terminal.columns_of(line) <= 10 for line in lines)
