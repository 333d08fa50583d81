"""The record of what was done: whatever a crash leaves of it, nothing is forgotten or invented."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cnetsh.apply import journal
from cnetsh.apply.journal import Journal
from cnetsh.errors import CnetshError
from cnetsh.kinds.change import Fact, Found, Patch, Ref
from cnetsh.system import files

FORWARD = Fact(Ref("setting", "", "/proc/sys/net/ipv4/ip_forward"), "value")
LINK = Fact(Ref("link", "", "p\u2028\x1b0"))
BEFORE: Found = {LINK: [7, 70], FORWARD: "0"}
PATCH: Patch = {
    FORWARD: ("0", "1"),
    Fact(Ref("chain", "", "iptables nat LAB"), "rules"): ([], ["x"]),
}
RECORDS: list[dict[str, Any]] = [
    {"start": [0]},
    {"end": [0], "made": {"netns n0": [4711]}},
    {"start": [1, 2, 3]},
    {"end": [1], "over": [3], "made": {"link v0": [7, 77]}},
    {"header": {"up": "ip netns add n0\n"}, "up": True, "patch": journal.rows(PATCH)},
    {"dropped": [1], "made": {"link v0": []}, "base": [[*LINK.ref, "", None, None]]},
    {"undoing": True, "held": [[7, "sh\n", "n0", 9]], "aim": journal.rows(PATCH)},
    {"undone": [0], "up": False},
]


def header(**facts: Any) -> dict[str, Any]:
    known = {"lab": "own", "boot": journal.boot_id(), "started": 1.5, "pid": 1, "title": ""}
    before = journal.rows({fact: (None, value) for fact, value in BEFORE.items()})
    return known | {"up": "", "check": "", "down": "", "before": before} | facts


def as_lines(*records: dict[str, Any]) -> bytes:
    return b"".join(journal.as_line(one) for one in records)


def opened(folder: Path, *records: dict[str, Any], name: str = "own.journal") -> Journal:
    path = folder / name
    path.write_bytes(as_lines(header(), *records))
    return journal.read_journal(path)


def known(one: Journal) -> dict[str, Any]:
    keys = ("header", "before", "done", "uncertain", "undone", "dropped", "made", "held")
    keys += ("patch", "aim", "up", "undoing", "applied", "stands")
    return {key: getattr(one, key) for key in keys}


def taken(number: int) -> dict[str, Any]:
    """What is known after the first so many records."""
    one = Journal(Path("own"), header(), dict(BEFORE))
    for record in RECORDS[:number]:
        one.take(json.loads(json.dumps(record)))
    return known(one)


def lines() -> list[bytes]:
    return as_lines(header(), *RECORDS).split(b"\n")[:-1]


class TestRead:
    def test_what_was_written_is_read(self, tmp_path: Path) -> None:
        one = opened(tmp_path)
        for record in RECORDS:
            one.write(**record)
        one.close()
        assert known(journal.read_journal(one.path)) == known(one) == taken(len(RECORDS))
        assert one.path.read_bytes() == as_lines(header(), *RECORDS)

    def test_facts(self, tmp_path: Path) -> None:
        one = opened(tmp_path, *RECORDS[:4])
        assert (one.lab, one.same_boot, one.up) == ("own", True, False)
        assert (one.done, one.uncertain, one.applied) == ({0, 1}, {2}, {0, 1, 2})
        assert one.made == {"netns n0": [4711], "link v0": [7, 77]}

    def test_a_dropped_step_is_not_of_the_lab(self, tmp_path: Path) -> None:
        one = opened(tmp_path, *RECORDS[:6])
        assert (one.applied, one.made, one.up) == ({0, 2}, {"netns n0": [4711]}, True)

    def test_another_boot(self, tmp_path: Path) -> None:
        (tmp_path / "own.journal").write_bytes(as_lines(header(boot="another")))
        assert not journal.read_journal(tmp_path / "own.journal").same_boot


class TestTorn:
    """Its writer was killed in the middle of the last line."""

    def test_at_every_byte(self, tmp_path: Path) -> None:
        path = tmp_path / "own.journal"
        first, whole = as_lines(header()), as_lines(header(), *RECORDS)
        for length in range(len(first), len(whole) + 1):
            path.write_bytes(whole[:length])
            one = journal.read_journal(path)
            assert known(one) == taken(whole[len(first) : length].count(b"\n"))
            # What is written next must not stick to the torn line.
            one.write(start=[99])
            one.close()
            again = journal.read_journal(path)
            assert 99 in again.uncertain
            again.close()

    def test_in_the_header_is_damage(self, tmp_path: Path) -> None:
        path, first = tmp_path / "own.journal", as_lines(header())
        for length in range(len(first)):
            path.write_bytes(first[:length])
            with pytest.raises(CnetshError, match="is damaged"):
                journal.read_journal(path)


class TestDamaged:
    @pytest.mark.parametrize(
        "spoil",
        [
            lambda lines: lines[1:],
            lambda lines: [b"[]", *lines[1:]],
            lambda lines: [b"{}", *lines[1:]],
            lambda lines: [lines[0].replace(b"own", b"OWN"), *lines[1:]],
            lambda lines: [as_lines(header(before=[["link"]]))[:-1], *lines[1:]],
            lambda lines: [],
        ],
    )
    def test_in_the_header_nothing_is_read(
        self, tmp_path: Path, spoil: Callable[[list[bytes]], list[bytes]]
    ) -> None:
        path = tmp_path / "own.journal"
        bad = b"".join(line + b"\n" for line in spoil(lines()))
        path.write_bytes(bad)
        before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
        with pytest.raises(CnetshError, match="is damaged, so nothing is undone by it") as caught:
            journal.read_journal(path)
        assert "ip link" in caught.value.hint and path.read_bytes() == bad
        assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208

    @pytest.mark.parametrize(
        "line",
        [
            b"{", b"\0" * 40, b"[]", b"7", b"", b"\xff", b'{"start": [7]}',
            *(journal.as_line(one)[:-1] for one in ({"start": 7}, {"made": []}, {"patch": [1]})),
            journal.as_line({"start": [0]})[:-1].replace(b"[0]", b"[1]"),
        ],
    )  # fmt: skip
    def test_later_what_stands_before_it_is_known(self, tmp_path: Path, line: bytes) -> None:
        path = tmp_path / "own.journal"
        path.write_bytes(b"".join(one + b"\n" for one in [*lines()[:6], line, *lines()[6:]]))
        one = journal.read_journal(path)
        # The lab was up there, but nobody knows what came then.
        assert known(one) == taken(5) | {"up": False, "stands": False}
        assert one.damaged == f"the journal {path} is damaged from line 7 on"
        one.close()

    def test_a_bit_that_is_another_one_is_noticed_wherever_it_is(self, tmp_path: Path) -> None:
        """In the header, too: a lab must not be taken for one of another boot and be forgotten."""
        path, whole = tmp_path / "own.journal", as_lines(header(), *RECORDS)
        first = whole.index(b"\n") + 1
        for at in range(len(whole) - 1):
            path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
            if at < first:
                with pytest.raises(CnetshError, match="is damaged"):
                    journal.read_journal(path)
                continue
            one = journal.read_journal(path)
            number = whole[first:at].count(b"\n")
            assert known(one) == taken(number) | {"up": False, "stands": False}
            assert one.damaged.endswith(f" from line {number + 2} on")
            one.close()

    @pytest.mark.parametrize("make", ["link", "folder", "nothing"])
    def test_what_is_no_file_of_ours_is_not_followed(self, tmp_path: Path, make: str) -> None:
        path = tmp_path / "own.journal"
        if make == "link":
            (tmp_path / "other").write_bytes(as_lines(header()))
            path.symlink_to("other")
        elif make == "folder":
            path.mkdir()
        with pytest.raises(CnetshError, match="cannot be opened"):
            journal.read_journal(path)


class TestFull:
    """What cannot be written begins nothing, and what has happened is known all the same."""

    def test_nothing_begins_and_nothing_is_forgotten(self, tmp_path: Path) -> None:
        one = Journal(
            tmp_path / "own.journal", header(), done={0}, fd=os.open("/dev/full", os.O_WRONLY)
        )
        one.write(end=[1], made={"netns n0": [4711]})
        assert one.applied == {0, 1} and one.made == {"netns n0": [4711]}
        for record in ({"start": [2]}, {"up": True}):
            with pytest.raises(CnetshError, match="cannot be written: No space left") as caught:
                one.write(**record)
            assert caught.value.code == 1
        one.write(undone=[1])
        assert (one.applied, one.undone, one.up) == ({0, 1}, {1}, False)
        one.close()

    def test_what_there_is_room_for_later_does_not_follow_a_torn_line(self, tmp_path: Path) -> None:
        one = opened(tmp_path)
        whole = one.path.read_bytes()
        one.unwritten = "full"
        one.write(end=[0])
        one.close()
        assert one.path.read_bytes() == whole


class TestBeside:
    def test_gives_the_others_of_this_boot(self, tmp_path: Path) -> None:
        one = opened(tmp_path)
        (tmp_path / "b.journal").write_bytes(as_lines(header(lab="b")))
        (tmp_path / "old.journal").write_bytes(as_lines(header(lab="old", boot="another")))
        (tmp_path / "bad.journal").write_bytes(b"{\n")
        (tmp_path / "lock").write_bytes(b"process 1")
        (tmp_path / "c.new").write_bytes(as_lines(header(lab="c")))
        assert [other.lab for other in journal.beside(one)] == ["b"]

    def test_gives_the_latest_first(self, tmp_path: Path) -> None:
        one = opened(tmp_path)
        for started, name in enumerate("ecdbf"):
            text = as_lines(header(lab=name, started=float(started)))
            (tmp_path / f"{name}.journal").write_bytes(text)
        assert [other.lab for other in journal.beside(one)] == list("fbdce")


def test_removed_and_closed_twice(tmp_path: Path) -> None:
    one = opened(tmp_path)
    one.remove()
    one.remove()
    assert not one.path.exists()


class TestFolder:
    def test_is_made_for_its_owner_alone(self, tmp_path: Path) -> None:
        path = files.private_folder(tmp_path / "new")
        assert path.stat().st_mode & 0o777 == 0o700
        assert files.private_folder(path) == path

    @pytest.mark.parametrize("mode", [0o755, 0o770, 0o701, 0o1777])
    def test_open_to_others_is_refused(self, tmp_path: Path, mode: int) -> None:
        path = tmp_path / "open"
        path.mkdir()
        path.chmod(mode)
        with pytest.raises(CnetshError, match="is not a folder of user"):
            files.private_folder(path)

    def test_a_link_or_a_file_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "real").mkdir(mode=0o700)
        (tmp_path / "link").symlink_to("real")
        (tmp_path / "file").touch()
        for name in ("link", "file"):
            with pytest.raises(CnetshError, match="is not a folder of user"):
                files.private_folder(tmp_path / name)

    def test_that_cannot_be_made_says_why(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(CnetshError, match="file/state cannot be used: "):
            files.private_folder(tmp_path / "file/state")

    def test_its_files_are_private_and_no_links(self, tmp_path: Path) -> None:
        fd = files.open_private(tmp_path / "new", os.O_RDWR | os.O_CREAT)
        assert os.fstat(fd).st_mode & 0o777 == 0o600 and not os.get_inheritable(fd)
        os.close(fd)
        (tmp_path / "link").symlink_to("new")
        with pytest.raises(CnetshError, match="cannot be opened"):
            files.open_private(tmp_path / "link", os.O_RDWR)
