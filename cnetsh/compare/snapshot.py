"""What the kernel says of the target: of its own namespace, and of others where they are asked for.

Only what can be changed is read; counters, timers and carrier are not. The cost follows what is in
these namespaces, a few milliseconds on an ordinary host.
"""

import contextlib
import json
import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any, TypeVar

from cnetsh import kinds
from cnetsh.compare.scope import without_links
from cnetsh.errors import CnetshError
from cnetsh.kinds import fdb, looks
from cnetsh.kinds.change import Answers, Facts, Ref, State
from cnetsh.kinds.link import LINKS, named, paired
from cnetsh.kinds.name_server import FILE, HOME
from cnetsh.kinds.setting import link_of
from cnetsh.system import files, namespace
from cnetsh.system.process import Run, installed, real

NETNS = Path("/run/netns")
SYSCTL = Path("/proc/sys/net")
LEGACY = {"iptables-legacy-save": "ip_tables_names", "ip6tables-legacy-save": "ip6_tables_names"}
# Whoever gives a link another one wants it so: these the kernel chooses (tc(8)).
QUEUES = frozenset({"noqueue", "noop", "mq", "pfifo_fast", "fq_codel"})
MOST_LINKS = 50
MOST_TABLES = 50
LANES = 4  # namespaces that are asked at the same time
FORWARDING = {"inet": f"{SYSCTL}/ipv4/ip_forward", "inet6": f"{SYSCTL}/ipv6/conf/all/forwarding"}
_QUESTIONS = "address show\nroute show table all\nneigh show nud permanent\nneigh show proxy"
SOCKETS = ("ss", "-Htulnp")
_AROUND = "address show\nroute show table all\nnetconf show"
Answer = list[Facts]
Answered = TypeVar("Answered")


def take(run: Run, written: Iterable[str] = (), own: Collection[str] = ()) -> State:
    """Read the target's own namespace, with the settings at the paths written.

    The settings of a lab's own links are left out: they go with them. Raises CnetshError when a
    tool answers nothing usable.
    """
    addresses, routes, *neighbours, policy = _ask(run, ("ip",), f"{_QUESTIONS}\nrule show")
    (policy6,) = _ask(run, ("ip", "-6"), "rule show")
    foreign = [link for link in addresses if link.get("ifname", own) not in own]
    marks = {link["ifname"]: link_mark(link["ifname"]) for link in addresses if "ifname" in link}
    folders, inside = folders_of_namespaces()
    answers = Answers(
        addresses=addresses,
        routes=routes,
        neighbours=[one for some in neighbours for one in some],
        policy=policy + [{"family": 6, **rule} for rule in policy6],
        entries=_entries(run, foreign),
        queues=_queues(run, foreign),
        saved=_tables(run),
        settings=_settings(own, written),
        namespaces=namespaces(),
        folders=folders,
        files=inside,
        texts=readable(path for path in inside if path.endswith(f"/{FILE}")),
        marks=marks,
        assigned={name: text for link in foreign for name, text in _assigned(link)},
    )
    state = paired(kinds.see(answers))
    unknown = [name for name, number in marks.items() if not number]
    return without_links(state, _gone(run, unknown)) if unknown else state


def _gone(run: Run, names: Iterable[str]) -> set[str]:
    """Give the links that are not there any more: a namespace takes its cables along in its time.

    Without its number one that went just now would be another thing than the lab's.
    """
    (there,) = _ask(run, ("ip",), "address show")
    return set(names) - {link.get("ifname") for link in there}


def _settings(own: Collection[str], written: Iterable[str]) -> dict[str, str]:
    found = settings(own)
    more = (path for path in written if path not in found and not _is_of(path, own))
    return found | readable(more)


# Of these no link has to be asked for.
TABLES = frozenset({"chain", "rule", "table", "setting", "home", "folder", "file"})


def take_tables(run: Run, paths: Iterable[str]) -> State:
    """Read just the rules, the settings at paths and the folders of name servers: TABLES."""
    folders, inside = folders_of_namespaces()
    answers = Answers(saved=_tables(run), settings=readable(paths), folders=folders, files=inside)
    return kinds.see(answers)


def _tables(run: Run) -> dict[str, str | None]:
    return {name.removesuffix("-save"): _saved(run, name) for name in _savers()}


def _is_of(setting: str, links: Collection[str]) -> bool:
    link = link_of(Ref("setting", "", setting))
    return link is not None and link.name in links


def _entries(run: Run, links: Answer) -> Answer:
    """Give what bridges know of MAC addresses, asked only where a link of others is a port."""
    ports = any("info_slave_data" in link.get("linkinfo", {}) for link in links)
    return _as_json(run(("bridge", "-j", "fdb", "show")).stdout or "[]") if ports else []


def _queues(run: Run, links: Answer) -> str:
    chosen = all(link.get("qdisc", "noop") in QUEUES for link in links)
    return "" if chosen else run(("tc", "qdisc", "show")).stdout


def look_inside(names: Collection[str], run: Run, paths: Iterable[Ref] = ()) -> State:
    """Give what is in named namespaces, with the settings at paths.

    Raises OSError where there is none, and CnetshError as `take` does.
    """
    read = _by_namespace(names, paths)
    return _in_each(names, lambda name: _look(name, run, read[name]))


def _by_namespace(names: Iterable[str], paths: Iterable[Ref]) -> dict[str, list[str]]:
    read: dict[str, list[str]] = {name: [] for name in names}
    for ref in paths:
        read.get(ref.netns, []).append(ref.name)
    return read


def _in_each(names: Iterable[str], look: Callable[[str], State]) -> State:
    """Give what is seen in named namespaces, some of which are looked into at the same time."""

    def enter(name: str) -> State:
        # These threads need no way back: they only go from one namespace to the next.
        namespace.enter_network(str(NETNS / name))
        return look(name)

    with ThreadPoolExecutor(LANES) as pool:
        return {ref: facts for found in pool.map(enter, names) for ref, facts in found.items()}


def look_everywhere(
    run: Run, paths: Iterable[Ref] = (), only: Collection[str] = frozenset()
) -> State:
    """Give what is in the target's own namespace and in the named ones, ends of cables paired.

    paths: the settings to be read besides forwarding; only: the namespaces to look into, all where
    none is said. Of more than MOST_TABLES no firewall rules are read: they take the longest.
    """
    marks = {name: mark for name, mark in namespaces().items() if not only or name in only}
    names = sorted((name for name, mark in marks.items() if mark), key=_in_order)
    few = len(names) <= MOST_TABLES
    read = _by_namespace(("", *names), paths)
    state = _look_at_files(marks) | _look_around("", run, read[""], _ids(run), True)
    state |= _in_each(names, lambda name: _look_around(name, run, read[name], {}, few))
    return _all_paired(paired(state), run)


def _in_order(name: str) -> list[tuple[str, int]]:
    """Have net2 come before net10."""
    parts = re.findall(r"(\D*)(\d*)", name)
    return [(text, int(number or 0)) for text, number in parts]


def _look_at_files(marks: dict[str, int]) -> State:
    _, inside = folders_of_namespaces()
    texts = readable(path for path in inside if path.endswith(f"/{FILE}"))
    return kinds.see(Answers(namespaces=dict(sorted(marks.items())), texts=texts))


def within(netns: str, action: Callable[[], Answered]) -> Answered:
    """Give what an action gives in a namespace of the target, "" being the target's own.

    Raises OSError where there is none.
    """
    return namespace.in_network(str(NETNS / netns), action) if netns else action()


def _all_paired(state: State, run: Run, more: Collection[str] = ()) -> State:
    """Give a state with the cables that have no end in the target's own namespace paired too."""
    lead_elsewhere = dict.fromkeys(
        ref.netns
        for ref, (facts, *_) in state.items()
        if ref.kind == "link" and "peer" not in facts and isinstance(facts.get("far", "-")[0], int)
    )
    for count, netns in enumerate(lead_elsewhere):
        # Each knows all others: asking everywhere takes the square of their number.
        ids = within(netns, partial(_ids, run, more)) if count < MOST_LINKS else {}
        state |= named(state, netns, ids)
    return paired(state)


def look_through(
    run: Run, settings: Iterable[str], of_links: Iterable[str], more: Collection[str] = ()
) -> State:
    """Give what packets pass in all namespaces: links and routes, rules, settings by their names.

    settings: paths below /proc/sys/net; of_links: names in the folders conf of both versions of IP;
    more: namespaces without a name, by their paths.
    """
    marks = namespaces()
    inside = partial(_look_deep, run=run, settings=tuple(settings), of_links=tuple(of_links))
    state = kinds.see(Answers(namespaces=marks)) | inside("", ids=_ids(run, more))
    names = [*more, *(name for name, mark in sorted(marks.items()) if mark)]
    state |= _in_each(names, partial(inside, ids={}))
    return _all_paired(paired(state), run, more)


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


def beginnings(paths: Iterable[str]) -> dict[str, str]:
    """Give the settings that a new namespace begins with: one is made, read and gone.

    Nothing where none can be made.
    """
    with contextlib.suppress(OSError):
        return namespace.in_new_network(lambda: readable(paths))
    return {}


def _look_deep(
    netns: str, run: Run, settings: Iterable[str], of_links: Iterable[str], ids: dict[int, str]
) -> State:
    addresses, routes, *neighbours, policy = _ask(run, ("ip",), f"{_QUESTIONS}\nrule show")
    (policy6,) = _ask(run, ("ip", "-6"), "rule show")
    folders = [folder for version in ("ipv4", "ipv6") for folder in _folders_of(version)]
    paths = [*(f"{SYSCTL}/{name}" for name in settings),
             *(f"{folder}/{name}" for folder in folders for name in of_links)]  # fmt: skip
    answers = Answers(
        addresses, routes, [one for some in neighbours for one in some],
        policy=policy + [{"family": 6, **rule} for rule in policy6],
        entries=_entries(run, addresses), queues=_queues(run, addresses), saved=_tables(run),
        settings=readable(paths), ids=ids,
    )  # fmt: skip
    return kinds.see(answers, netns)


def _folders_of(version: str) -> list[str]:
    with contextlib.suppress(OSError):
        return [str(folder) for folder in (SYSCTL / version / "conf").iterdir()]
    return []


def _look(netns: str, run: Run, paths: Iterable[str]) -> State:
    addresses, routes, *neighbours = _ask(run, ("ip",), _QUESTIONS)
    known = [one for some in neighbours for one in some]
    answers = Answers(addresses, routes, known, settings=readable(paths),
                      queues=_queues(run, addresses))  # fmt: skip
    return kinds.see(answers, netns)


def _look_around(
    netns: str, run: Run, paths: Iterable[str], ids: dict[int, str], tables: bool
) -> State:
    # In each namespace anew, a file below /proc/sys takes as long as ip does for everything.
    addresses, routes, switches = _ask(run, ("ip",), _AROUND)
    forwarding = {FORWARDING[one["family"]]: str(int(one["forwarding"])) for one in switches
                  if one["interface"] == "all" and one["family"] in FORWARDING}  # fmt: skip
    answers = Answers(
        addresses,
        routes,
        settings=forwarding | readable(paths),
        ids=ids,
        queues=_queues(run, addresses),
        saved=_tables(run) if tables else {"iptables": None},
    )
    return kinds.see(answers, netns)


def look_closely(netns: str, run: Run) -> State:
    """Give all that a namespace has, "" being the target's own: what comes and goes, too.

    That is whether links have a carrier, the neighbours and bridges' entries that were learned, and
    sockets. Raises OSError where there is none, and CnetshError as `take` does.
    """
    return within(netns, partial(_look_closely, netns, run))


def _look_closely(netns: str, run: Run) -> State:
    asked = "address show\nroute show table all\nneigh show\nneigh show proxy\nrule show"
    addresses, routes, known, proxies, policy = _ask(run, ("ip",), asked)
    (policy6,) = _ask(run, ("ip", "-6"), "rule show")
    answers = Answers(
        addresses=addresses,
        routes=routes,
        neighbours=[*known, *proxies],
        policy=policy + [{"family": 6, **rule} for rule in policy6],
        entries=_as_json(run(("bridge", "-j", "fdb", "show")).stdout or "[]"),
        queues=run(("tc", "qdisc", "show")).stdout,
        saved=_tables(run),
        settings=readable(FORWARDING.values()),
        ids=_ids(run),
    )
    state = kinds.see(answers, netns)
    for link in addresses:
        ref, flags = Ref("link", netns, link.get("ifname", "")), link.get("flags", ())
        if ref in state:
            port = link.get("linkinfo", {}).get("info_slave_data", {}).get("state", "")
            more = {"carrier": "LOWER_UP" in flags, "port": port}
            state[ref] = [{**state[ref][0], **more}]
    for ref, facts in [*fdb.known(answers, netns), *looks.sockets(netns, run(SOCKETS).stdout)]:
        state[ref] = [*(state.get(ref, ()) if ref.kind == "socket" else ()), facts]
    return state


def _ids(run: Run, more: Collection[str] = ()) -> dict[int, str]:
    """Give the names of namespaces, and the paths of more, by the numbers known for them here.

    Where none has a name, the answer is not even an empty list.
    """
    known = _as_json(run(("ip", "-j", "netns", "list")).stdout or "[]")
    found = {one["id"]: one["name"] for one in known if "id" in one}
    return found | {namespace.number_of(path): path for path in more}


def _ask(run: Run, tool: tuple[str, ...], questions: str) -> list[Answer]:
    """Ask several things of one process; each answer is a line of JSON."""
    answer = run((*tool, "-j", "-d", "-batch", "-"), stdin=questions + "\n")
    lines = [line for line in answer.stdout.split("\n") if line]
    asked = questions.count("\n") + 1
    if answer.exit_code or len(lines) != asked:
        raise CnetshError(f"the kernel's state cannot be read: {answer.stderr.strip()}")
    return [_as_json(line) for line in lines]


def _as_json(text: str) -> Any:
    # A name may hold a control character, which ip prints as it is: not JSON, strictly speaking.
    return json.loads(text, strict=False)


def _saved(run: Run, saver: str) -> str | None:
    """Give what a tool prints of its tables, None where it could not say."""
    answer = run((saver,))
    whole = answer.stdout.count("\nCOMMIT") == len(re.findall(r"^\*", answer.stdout, re.M))
    # Where the legacy tables are in use too, it warns of them: they are asked for themselves.
    trouble = [line for line in answer.stderr.splitlines() if not line.startswith("# Warning: ")]
    silent = not answer.stdout and trouble
    return answer.stdout if whole and not silent and not answer.exit_code else None


def _savers() -> Iterator[str]:
    """Give the tools that list rules; a machine without iptables has none."""
    main = [name for name in ("iptables-save", "ip6tables-save") if installed(name)]
    yield from main
    for name, tables in LEGACY.items():
        # Asking the legacy tools makes their tables, so they are asked only where some are in use.
        with contextlib.suppress(OSError):
            used = Path("/proc/net", tables).read_text().strip()
            if used and installed(name) and not any("legacy" in real(one) for one in main):
                yield name


def settings(own: Collection[str] = ()) -> dict[str, str]:
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
        return Path(LINKS, name).stat().st_ino
    return 0


def _assigned(link: Facts) -> Iterator[tuple[str, str]]:
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
    paths = [HOME, *_listed(HOME)]
    inside = [path for folder in paths[1:] for path in _listed(folder)]
    return _marks(paths), _marks(inside)


def _listed(folder: str) -> list[str]:
    # What somebody made a link there leads elsewhere, and is not looked into.
    with contextlib.suppress(OSError):
        return [] if Path(folder).is_symlink() else sorted(map(str, Path(folder).iterdir()))
    return []


def _marks(paths: Iterable[str]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for path in paths:
        with contextlib.suppress(OSError):
            found[path] = files.mark(path)
    return found
