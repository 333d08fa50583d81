"""The write-ahead record of what a lab did to a target: one file for each lab.

A line is a JSON record with a checksum before it, so that what is damaged is never believed. The
file lives in /run, where it dies with the kernel's state, in a folder named by the number of the
target's network namespace. A step's start is written before it runs and its end after it, so that
after a crash a step is either known or uncertain, never forgotten.
"""

import contextlib
import hashlib
import json
import os
import time
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypedDict, cast

from cnetsh import __version__
from cnetsh.apply import upgrade
from cnetsh.compare.preview import NOT_UP
from cnetsh.compare.revert import put
from cnetsh.errors import FAILED, CnetshError
from cnetsh.kinds.change import Fact, Found, Patch, Ref
from cnetsh.plan.steps import Plan, Plans, Step, parse, to_text
from cnetsh.system import namespace
from cnetsh.system.files import open_private, private_folder

ROOT = Path("/run/cnetsh")
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
SUFFIX = ".journal"


# A fact and its values: kind, namespace and name of the object, the key, and what it was and is.
Rows = list[list[Any]]


class Header(TypedDict, total=False):
    """What a journal begins with."""

    lab: str
    title: str
    version: str
    source: str  # the lab's file or folder
    boot: str
    pid: int
    started: float
    up: str
    check: str
    down: str
    before: Any  # what was there, as Rows


class Record(TypedDict, total=False):
    """What a line may say, by the numbers of steps."""

    start: Sequence[int]
    end: Sequence[int]
    over: Sequence[int]
    undone: Sequence[int]
    dropped: Sequence[int]
    made: Mapping[str, list[Any]]  # identities by kind and name, [] = no more
    held: Sequence[Sequence[Any]]
    patch: Rows  # what the lab has done to what is not its own
    base: Rows  # what was there before a change, where it is not as before the lab
    rebased: Rows  # what was before the lab, with another lab that is gone never there
    aim: Rows  # what an undo may cost others, as it was
    header: Header
    up: bool
    undoing: bool  # its undo has begun
    left: Sequence[str]  # behind by an undo that has ended, in words


@dataclass(slots=True)
class Journal:
    """An open journal: the header's facts, and what the lines, as in Record, have said so far."""

    path: Path
    header: Header
    before: Found = field(default_factory=dict)
    done: set[int] = field(default_factory=set)  # ended well
    uncertain: set[int] = field(default_factory=set)  # started, end unknown
    undone: set[int] = field(default_factory=set)  # their undo ended
    dropped: set[int] = field(default_factory=set)  # no part of the lab since it was changed
    made: dict[str, list[Any]] = field(default_factory=dict)  # identity by "kind name"
    held: Sequence[Sequence[Any]] = ()  # processes in its namespaces as undoing began
    patch: Patch | None = None  # None: nobody has seen what the steps did
    aim: Patch = field(default_factory=dict)
    base: Found = field(default_factory=dict)
    up: bool = False  # the lab is complete
    undoing: bool = False
    left: Sequence[str] = ()
    unwritten: str = ""  # why the file says less
    damaged: str = ""  # the same
    old: bool = False  # of the version before, which has seen less
    fd: int = -1

    @property
    def lab(self) -> str:
        return self.header["lab"]

    @property
    def found(self) -> Found:
        """How all was before a step of the lab first touched it."""
        return {fact: was for fact, was in (self.before | self.base).items() if was is not None}

    @property
    def links(self) -> dict[str, list[Any]]:
        """The links that the lab has made: identities by their names."""
        return {key[5:]: mark for key, mark in self.made.items() if key.startswith("link ")}

    @property
    def homes(self) -> dict[int, str]:
        """The names of the lab's namespaces by their marks."""
        made = self.made.items()
        return {mark[0]: key[6:] for key, mark in made if key.startswith("netns ")}

    def homes_among(self, refs: Iterable[Ref]) -> dict[int, str]:
        """Give those of the lab's namespaces that are among some objects, by their marks."""
        names = {ref.name for ref in refs if ref.kind == "netns"}
        return {mark: name for mark, name in self.homes.items() if name in names}

    @property
    def applied(self) -> set[int]:
        """The steps that were run, or may have been, and belong to the lab."""
        return (self.done | self.uncertain) - self.dropped

    @property
    def same_boot(self) -> bool:
        """Whether the kernel is still the one that the lab ran on."""
        return bool(self.header["boot"] == boot_id())

    @property
    def other_version(self) -> str:
        """The version of the cnetsh that wrote it, "" where it is this one."""
        written = self.header.get("version", "before 0.1")
        return "" if written == __version__ else written

    @property
    def stands(self) -> bool:
        """Whether the lab is whole: neither its run nor its undo was interrupted."""
        return self.up and not self.undoing

    def in_force(self, steps: Sequence[Step]) -> dict[int, Step]:
        """Give those of its plan's steps that make up the lab, by their numbers."""
        return {number: steps[number] for number in sorted(self.applied)}

    def write(self, **record: Any) -> None:
        """Append a record and take it in; the file survives the death of this process.

        What cannot be written is taken in all the same, so that it can be undone. But the file has
        to know what begins, and whether the lab is up: else CnetshError is raised from then on.
        """
        # What was torn has to stay the last line, so nothing is written after it.
        if not self.unwritten:
            try:
                _write_all(self.fd, as_line(record))
            except OSError as error:
                self.unwritten = f"the journal {self.path} cannot be written: {error.strerror}"
        if self.unwritten and (record.get("start") or "up" in record):
            raise CnetshError(self.unwritten, "make room there", FAILED)
        self.take(cast(Record, record))

    def take(self, record: Record) -> None:
        """Take a record in."""
        self.uncertain.update(record.get("start", ()))
        self.done.update(record.get("end", ()))
        self.uncertain.difference_update(record.get("end", ()), record.get("over", ()))
        self.undone.update(record.get("undone", ()))
        self.dropped.update(record.get("dropped", ()))
        for key, mark in record.get("made", {}).items():
            self.made[key] = mark
            if not mark:
                del self.made[key]
        self.held = record.get("held", self.held)
        if "patch" in record:
            self.patch = as_patch(record["patch"])
        if "aim" in record:
            self.aim = as_patch(record["aim"])
        self.base |= {fact: value for fact, (_, value) in as_patch(record.get("base", [])).items()}
        for fact, (_, value) in as_patch(record.get("rebased", [])).items():
            if fact in self.base:
                self.base[fact] = value
            else:
                put(self.before, fact, value)
        self.header.update(record.get("header", {}))
        self.up = record.get("up", self.up)
        self.undoing = record.get("undoing", self.undoing)
        self.left = record.get("left", self.left)

    def remove(self) -> None:
        """Remove the file: nothing is left to undo."""
        self.path.unlink(missing_ok=True)
        self.close()

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


def boot_id() -> str:
    """Give the id of the running boot; a reboot leaves nothing of a journal in the kernel."""
    return BOOT_ID.read_text().strip()


def folder() -> Path:
    """Give the journal folder of the network namespace that this process is in, made if missing."""
    return private_folder(private_folder(ROOT) / str(namespace.own_network()))


def rows(changed: Patch) -> Rows:
    """Give a patch as plain data."""
    return [[*fact.ref, fact.key, was, is_now] for fact, (was, is_now) in changed.items()]


def as_patch(some: Rows) -> Patch:
    """Give back what `rows` gave."""
    return {Fact(Ref(*ref), key): (was, is_now) for *ref, key, was, is_now in some}


def create(plans: Plans, before: Found) -> Journal:
    """Start a lab's journal with its header. Raises CnetshError when it exists."""
    lab = plans.up.lab
    path = folder() / f"{lab}{SUFFIX}"
    header = Header(
        lab=lab,
        title=plans.up.title,
        version=__version__,
        source=plans.source,
        boot=boot_id(),
        pid=os.getpid(),
        started=time.time(),
        before=rows({fact: (None, value) for fact, value in before.items()}),
        up=to_text(plans.up),
        check=to_text(plans.check),
        down=to_text(plans.down),
    )
    # The header is made complete under another name: a journal without one could not be undone.
    temporary = path.with_suffix(".new")
    temporary.unlink(missing_ok=True)
    fd = open_private(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND)
    try:
        _write_all(fd, as_line(header))
        os.link(temporary, path)
    except OSError as error:
        os.close(fd)
        raise CnetshError(
            f"the journal {path} cannot be made: {error.strerror}", "nothing was executed"
        ) from None
    finally:
        temporary.unlink()
    return Journal(path, header, dict(before), fd=fd)


def _write_all(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]


def as_line(record: Mapping[str, Any]) -> bytes:
    """Give a record as a line of the file."""
    text = json.dumps(record, separators=(",", ":")).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def _of_line(line: bytes) -> Any:
    """Give the record of a line. Raises ValueError when it is not as it was written."""
    check, _, text = line.partition(b" ")
    if check != b"%08x" % zlib.crc32(text):
        raise ValueError(check)
    return json.loads(text)


def read_journal(path: Path) -> Journal:
    """Read a journal, to be written on but for a torn last line. Raises CnetshError if damaged."""
    fd = open_private(path, os.O_RDWR | os.O_APPEND)
    with os.fdopen(os.dup(fd), "rb") as file:
        header, *lines = file.read().split(b"\n")
    try:
        torn = lines.pop()
        found = _begun(path, _of_line(header), fd)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        os.close(fd)
        raise CnetshError(
            f"the journal {path} is damaged, so nothing is undone by it",
            "compare `ip link`, `ip netns` and `iptables-save` by hand, then remove the file",
        ) from None
    # Its writer was killed, and what it announced had not begun.
    if torn:
        os.ftruncate(fd, os.fstat(fd).st_size - len(torn))
    _take_lines(found, lines)
    return found


def _begun(path: Path, header: Header, fd: int) -> Journal:
    old = isinstance(header["before"], dict)
    if old:
        before = upgrade.before_of(header["before"])
    else:
        before = {fact: value for fact, (_, value) in as_patch(header["before"]).items()}
    _ = header["lab"], header["boot"], header["up"], header["started"]
    return Journal(path, header, before, fd=fd, old=old)


def _take_lines(found: Journal, lines: Iterable[bytes]) -> None:
    for number, line in enumerate(lines, 2):
        try:
            found.take(_of_line(line))
        except (ValueError, KeyError, TypeError, AttributeError):
            # What came after it is not known, so the lab counts as interrupted.
            found.damaged = f"the journal {found.path} is damaged from line {number} on"
            found.up = False
            return


def find(lab: str) -> Journal | None:
    """Give the lab's journal in this namespace, if there is one."""
    path = folder() / f"{lab}{SUFFIX}"
    return read_journal(path) if path.exists() else None


def all_here() -> tuple[list[Journal], list[CnetshError]]:
    """Give every journal of this namespace, the newest first, and why others cannot be read."""
    found, unreadable = [], []
    for path in _files():
        try:
            found.append(read_journal(path))
        except CnetshError as error:
            unreadable.append(error)
    return sorted(found, key=lambda one: -one.header["started"]), unreadable


def labs_here() -> list[str]:
    """Give the names of the labs of this namespace that are up, or were interrupted."""
    return [path.name.removesuffix(SUFFIX) for path in _files()]


def _files() -> list[Path]:
    # Who only looks makes no folder.
    return sorted((ROOT / str(namespace.own_network())).glob(f"*{SUFFIX}"))


def beside(one: Journal) -> list[Journal]:
    """Give the other journals of a journal's namespace and boot, the latest first.

    A damaged one tells nothing.
    """
    found = []
    for path in set(one.path.parent.glob(f"*{SUFFIX}")) - {one.path}:
        with contextlib.suppress(CnetshError):
            other = read_journal(path)
            if other.same_boot:
                found.append(other)
            else:
                other.close()
    return sorted(found, key=lambda other: other.header["started"], reverse=True)


def plan_of(record: Journal, part: str) -> Plan:
    """Give the plan that a journal's lab was run by, whatever became of its files."""
    text: str = record.header[part]  # type: ignore[literal-required]
    text = upgrade.ending(text) if part == "check" else text
    return parse(text, record.lab, record.header["title"], part, str(record.path))


def standing(record: Journal | None) -> str:
    """Tell a lab that is up from every other form of it: what goes depends on what is there."""
    if record is None:
        return NOT_UP
    in_force = record.in_force(plan_of(record, "up").steps)
    texts = sorted(step.text for step in in_force.values())
    digest = hashlib.sha256("\n".join(texts).encode()).hexdigest()
    return f"up, {len(texts)} steps ({digest[:12]})"
