"""What the kernel and its tools answer where one of them is asked, and what its files say."""

import contextlib
import json
import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Set
from itertools import chain, groupby, repeat
from pathlib import Path
from typing import Any, TypeVar

from cnetsh.errors import CnetshError
from cnetsh.kinds.change import Answers, Facts, Ref
from cnetsh.kinds.name_server import HOME
from cnetsh.kinds.setting import link_of
from cnetsh.system import files, namespace
from cnetsh.system.process import Result, Run, installed, real

NETNS = Path("/run/netns")
LINKS = "/sys/class/net"
SYSCTL = Path("/proc/sys/net")
FORWARDING = {"inet": f"{SYSCTL}/ipv4/ip_forward", "inet6": f"{SYSCTL}/ipv6/conf/all/forwarding"}
LEGACY = {"iptables-legacy-save": "ip_tables_names", "ip6tables-legacy-save": "ip6_tables_names"}
# Whoever gives a link another one wants it so: these the kernel chooses (tc(8)).
QUEUES = frozenset({"noqueue", "noop", "mq", "pfifo_fast", "fq_codel"})
MOST_LINKS = 50
PERMANENT = "neigh show nud permanent"
ALL_QUEUES = ("tc", "qdisc", "show")
Answer = list[Facts]
Answered = TypeVar("Answered")


def ids(run: Run, more: Collection[str] = ()) -> dict[int, str]:
    """Give the names of namespaces, and the paths of more, by the numbers known for them here.

    Where none has a name, the answer is not even an empty list.
    """
    known = _as_json(run(("ip", "-j", "netns", "list")).stdout or "[]")
    found = {one["id"]: one["name"] for one in known if "id" in one}
    return found | {namespace.number_of(path): path for path in more}


def whole(run: Run, own: Collection[str] = (), known: str = PERMANENT) -> Answers:
    """Give all that tools say of a namespace; known: the question for its neighbours.

    Entries and queues are asked for where a link of others, none of own, may have some.
    """
    questions = f"address show\nroute show table all\n{known}\nneigh show proxy\nrule show"
    addresses, routes, neighbours, proxies, policy = ip_answers(run, questions)
    (policy6,) = ip_answers(run, "rule show", "-6")
    policy += [{"family": 6, **rule} for rule in policy6]
    foreign = [link for link in addresses if link.get("ifname") not in own]
    return Answers(addresses, _with_locks(routes, run), [*neighbours, *proxies], policy,
                   entries(run, foreign), queues(run, foreign), saved_rules(run))  # fmt: skip


def _with_locks(routes: Answer, run: Run) -> Answer:
    """Give routes with those of their metrics that are locked: just ip's text tells that.

    A rto_min always is, and nobody types it.
    """
    if not any("metrics" in route for route in routes):
        return routes
    lines = run(("ip", "-o", "route", "show", "table", "all")).stdout.splitlines()
    # In the same order; one may have gone or come since.
    return [{**route, "locked": re.findall(r"\b(?!rto_min)(\w+) lock ", line)}
            for route, line in zip(routes, chain(lines, repeat("")), strict=False)]  # fmt: skip


def ip_answers(run: Run, questions: str, *options: str) -> list[Answer]:
    """Ask several things of one ip; each answer is a line of JSON."""
    answer = run(("ip", *options, "-j", "-d", "-batch", "-"), stdin=questions + "\n")
    lines = [line for line in answer.stdout.split("\n") if line]
    asked = questions.count("\n") + 1
    if answer.exit_code or len(lines) != asked:
        said = answer.stderr.strip() or "ip was killed, or says less than it was asked"
        raise CnetshError(f"the kernel's state cannot be read: {said}")
    return [_as_json(line) for line in lines]


def _as_json(text: str) -> Any:
    # A name may hold a control character, which ip prints as it is: not JSON, strictly speaking.
    return json.loads(text, strict=False)


def entries(run: Run, links: Answer) -> Answer:
    """Give what bridges keep of their ports, asked only where a link of others is one."""
    ports = any("info_slave_data" in link.get("linkinfo", {}) for link in links)
    return all_entries(run) if ports else []


def all_entries(run: Run) -> Answer:
    """Give all that bridges and their ports know of MAC addresses, of groups and of VLANs."""
    # Not every kernel has groups and VLANs: what is asked for first is answered all the same.
    asked = "fdb show\nmdb show\nvlan show\n"
    said = run(("bridge", "-j", "-batch", "-"), stdin=asked).stdout
    return [one for line in said.split("\n") if line for one in _as_json(line)]


def queues(run: Run, links: Answer) -> str:
    chosen = all(link.get("qdisc", "noop") in QUEUES for link in links)
    return "" if chosen else run(ALL_QUEUES).stdout


def saved_rules(run: Run) -> dict[str, str | None]:
    return {name.removesuffix("-save"): _saved(run, name) for name in _savers()}


def _saved(run: Run, saver: str) -> str | None:
    """Give what a tool prints of its tables, None where it could not say, asked once more."""
    # One that was killed would have its tables taken for such as nobody can read.
    once = _said_whole(run((saver,)))
    return _said_whole(run((saver,))) if once is None else once


def _said_whole(answer: Result) -> str | None:
    whole = answer.stdout.count("\nCOMMIT") == len(re.findall(r"^\*", answer.stdout, re.M))
    # Where the legacy tables are in use too, it warns of them: they are asked for themselves.
    trouble = [line for line in answer.stderr.splitlines() if not line.startswith("# Warning: ")]
    silent = not answer.stdout and trouble
    return answer.stdout if whole and not silent and not answer.exit_code else None


def _savers() -> Iterator[str]:
    """Give the tools that list rules; a machine without iptables has none."""
    main = [name for name in ("iptables-save", "ip6tables-save") if installed(name)]
    yield from main
    for name, used_tables in LEGACY.items():
        # Asking the legacy tools makes their tables, so they are asked only where some are in use.
        with contextlib.suppress(OSError):
            used = Path("/proc/net", used_tables).read_text().strip()
            if used and installed(name) and not any("legacy" in real(one) for one in main):
                yield name


def foreign_settings(own: Collection[str], written: Iterable[str]) -> dict[str, str]:
    found = _of_ip(own)
    more = (path for path in written if path not in found and not _is_of(path, own))
    return found | readable(more)


def _is_of(setting: str, links: Collection[str]) -> bool:
    link = link_of(Ref("setting", "", setting))
    return link is not None and link.name in links


def _of_ip(own: Collection[str]) -> dict[str, str]:
    """Give the kernel settings of IP and of its links: value by path under /proc.

    Those of the links own are left out. Of very many links only what forwarding changes is read: a
    link has ninety, which take most of a millisecond.
    """
    found: dict[str, str] = {}
    for family in ("ipv4", "ipv6"):
        conf = SYSCTL / family / "conf"
        with contextlib.suppress(OSError):
            links = [folder for folder in conf.iterdir() if folder.name not in own]
            few = len(links) <= MOST_LINKS
            always = (SYSCTL / family, conf / "all", conf / "default")
            folders = {*always, *links} if few else always
            names = [name for folder in folders for name in _files(folder)]
            found |= readable(names if few else [*names, *(f"{link}/forwarding" for link in links)])
    return found


def readable(paths: Iterable[str]) -> dict[str, str]:
    """Give what stands in those files and settings that can be read, by path."""
    found: dict[str, str] = {}
    for folder, below in groupby(paths, os.path.dirname):
        # An interface may go meanwhile.
        with contextlib.suppress(OSError), _opened(folder) as at:
            for path in below:
                # Some are write-only.
                with contextlib.suppress(OSError, UnicodeDecodeError):
                    found[path] = _read(path.removeprefix(f"{folder}/"), at)
    return found


@contextlib.contextmanager
def _opened(folder: str) -> Iterator[int]:
    """Open a folder: of the time that a name takes below /, it takes three quarters below that."""
    at = os.open(folder, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY)
    try:
        yield at
    finally:
        os.close(at)


def _read(name: str, at: int) -> str:
    """Read a setting; there are hundreds, and Path.read_text takes three times as long."""
    # Of files of others: no link is followed, and nobody is waited for.
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    fd = os.open(name, flags, dir_fd=at)
    try:
        return os.read(fd, 4096).decode().strip()
    finally:
        os.close(fd)


def _files(folder: Path) -> Iterable[str]:
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        return [entry.path for entry in entries if entry.is_file()]
    return []


def link_mark(name: str) -> int:
    """Give the number of a link of the target's own namespace, 0 where /sys does not show it.

    No other link gets it, it stays with a new name, and a link made again with the same ifindex has
    another one (measured; sysfs).
    """
    with contextlib.suppress(OSError):
        # Asked of thousands of links, of which a Path each would be half of the time.
        return os.stat(f"{LINKS}/{name}").st_ino  # noqa: PTH116
    return 0


def links_elsewhere(numbers: Set[int], own: Collection[int]) -> dict[int, Ref]:
    """Find links of these numbers in other namespaces, but for the own ones, given by mark.

    Those that can be entered are looked into: named ones, and those that processes are in.
    """
    here = Path("/proc/self/ns/net").stat()
    homes: dict[int, str] = {}
    for path in (*Path("/proc").glob("[0-9]*/ns/net"), *NETNS.glob("*")):
        with contextlib.suppress(OSError):
            status = path.stat()
            known = status.st_ino == here.st_ino or namespace.mark(status) in own
            if status.st_dev == here.st_dev and not known:
                homes[status.st_ino] = str(path).removeprefix(f"{NETNS}/")
    found: dict[int, Ref] = {}
    for netns in homes.values():
        with contextlib.suppress(OSError):
            there = within(netns, _links_by_number)
            found |= {at: Ref("link", netns, there[at]) for at in there.keys() & numbers}
    return found


def _links_by_number() -> dict[int, str]:
    namespace.show_links()
    return {link_mark(path.name): path.name for path in Path(LINKS).iterdir()}


def is_bridge(name: str) -> bool:
    """Say whether a link of the target's own namespace is a bridge that /sys shows."""
    return Path(LINKS, name, "bridge").is_dir()


def assigned(link: Facts) -> Iterator[tuple[str, str]]:
    """Give how a bridge got its MAC address: by itself, it goes on to follow its ports."""
    if link.get("linkinfo", {}).get("info_kind") == "bridge":
        for text in readable([f"{LINKS}/{link['ifname']}/addr_assign_type"]).values():
            yield link["ifname"], text


def namespaces() -> dict[str, int]:
    """Give the mark of every named network namespace, 0 for a file that is none."""
    kind = Path("/proc/self/ns/net").stat().st_dev
    found: dict[str, int] = {}
    with contextlib.suppress(OSError):
        for path in NETNS.iterdir():
            with contextlib.suppress(OSError):
                status = path.stat()
                found[path.name] = namespace.mark(status) if status.st_dev == kind else 0
    return found


def folders_of_namespaces() -> tuple[dict[str, list[int]], dict[str, list[int]]]:
    """Give the marks of /etc/netns and of what is in it, and of the files one below, by path."""
    paths = [HOME, *listed(HOME)]
    inside = [path for folder in paths[1:] for path in listed(folder)]
    return _marks(paths), _marks(inside)


def listed(folder: str) -> list[str]:
    """Give the paths of what is in a folder, none where there is no such."""
    # What somebody made a link there leads elsewhere, and is not looked into.
    with contextlib.suppress(OSError):
        return [] if Path(folder).is_symlink() else sorted(map(str, Path(folder).iterdir()))
    return []


def _marks(paths: Iterable[str]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for path in paths:
        with contextlib.suppress(OSError):
            found[path] = files.file_mark(path)
    return found


def with_uppers(names: Iterable[str]) -> list[str]:
    """Give links with those that are on them, such as their bridge: the kernel has their names."""
    found = list(names)
    for name in found:
        uppers = {path.name.removeprefix("upper_") for path in Path(LINKS, name).glob("upper_*")}
        found += uppers.difference(found)
    return found


def within(netns: str, action: Callable[[], Answered]) -> Answered:
    """Give what an action gives in a namespace, "" the target's own. Raises OSError."""
    return namespace.in_network(str(NETNS / netns), action) if netns else action()


def home_of(text: str) -> str | None:
    """Give what a namespace is called by a name of its own, or by the number of a process in it.

    One without a name is called by its path, "" is the target's own. None where there is no such.
    """
    marks = namespaces()
    if marks.get(text) or not text.isdecimal():
        return text if marks.get(text) else None
    path = f"/proc/{text}/ns/net"
    with contextlib.suppress(OSError):
        found = namespace.mark(Path(path).stat())
        if found == namespace.mark(Path("/proc/self/ns/net").stat()):
            return ""
        return next((name for name, mark in marks.items() if mark == found), path)
    return None
