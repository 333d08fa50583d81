"""What the kernel says of the target: of its own namespace, and of others where they are asked for.

Only what can be changed is read; counters, timers and carrier are not. The cost follows what is in
these namespaces, a few milliseconds on an ordinary host.
"""

import contextlib
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeAlias

from cnetsh import kinds
from cnetsh.compare import kernel
from cnetsh.compare.kernel import FORWARDING
from cnetsh.compare.pairing import all_paired, paired
from cnetsh.compare.scope import without_links
from cnetsh.errors import CnetshError
from cnetsh.kinds import fdb, looks, rule
from cnetsh.kinds.change import NOTHING, Answers, Ref, State
from cnetsh.kinds.name_server import FILE
from cnetsh.system import namespace
from cnetsh.system.process import Run

MOST_TABLES = 50
LANES = 4  # namespaces that are asked at the same time
SOCKETS = ("ss", "-Htulnp")
# Of these no link has to be asked for.
TABLES = frozenset({"chain", "rule", "table", "setting", "home", "folder", "file"})
_AROUND = "address show\nroute show table all\nnetconf show"
Marks: TypeAlias = Mapping[str, Sequence[Any]]


def take(
    run: Run, written: Iterable[str] = (), made: Marks = NOTHING, seen: Answers | None = None
) -> State:
    """Read the target's own namespace, with the settings at the paths written.

    The settings of a lab's own links, made, are left out: they go with them. seen: what the tools
    have said, where they were asked just now. Raises CnetshError when one answers nothing usable.
    """
    # Not those that others have put in their place; the version before knew no number.
    own = {name for name, mark in made.items()
           if isinstance(mark[1], str) or kernel.link_mark(name) in (0, mark[1])}  # fmt: skip
    answers = seen or kernel.whole(run, own)
    links = [link for link in answers.addresses if "ifname" in link]
    marks = {link["ifname"]: kernel.link_mark(link["ifname"]) for link in links}
    foreign = [link for link in links if link["ifname"] not in own]
    folders, inside = kernel.folders_of_namespaces()
    answers = answers._replace(
        settings=kernel.foreign_settings(own, written),
        namespaces=kernel.namespaces(),
        folders=folders,
        files=inside,
        texts=_texts(inside),
        marks=marks,
        assigned={name: text for link in foreign for name, text in kernel.assigned(link)},
    )
    state = paired(kinds.see(answers))
    unknown = [name for name, number in marks.items() if not number]
    return without_links(state, _gone(run, unknown)) if unknown else state


def _gone(run: Run, names: Iterable[str]) -> set[str]:
    """Give the links that are not there any more: a namespace takes its cables along in its time.

    Without its number one that went just now would be another thing than the lab's.
    """
    (there,) = kernel.ip_answers(run, "address show")
    return set(names) - {link.get("ifname") for link in there}


def refuse_unread(refs: Iterable[Ref], seen: State) -> None:
    """Raise CnetshError for a rule or chain in a table that could not be read: it may be there."""
    # Nearly always all can be read, and what a large plan makes need not be asked for.
    unread = any(ref.kind == "table" for ref in seen)
    for ref in refs if unread else ():
        if rule.is_unread(ref, seen):
            tool, table, *_ = ref.name.split(" ", 2)
            family = "ip6" if tool.startswith("ip6") else "ip"
            raise CnetshError(
                f"{tool} cannot read its table {table}, so it cannot be seen whether the lab's "
                "rules are there, or are gone again",
                f"in the target, nft list table {family} {table} shows what others use there",
            )


def take_tables(run: Run, paths: Iterable[str]) -> State:
    """Read just the rules, the settings at paths and the folders of name servers: TABLES."""
    folders, inside = kernel.folders_of_namespaces()
    settings = kernel.readable(paths)
    return kinds.see(Answers(saved=kernel.saved_rules(run), settings=settings, folders=folders,
                             files=inside))  # fmt: skip


def look_inside(
    names: Collection[str], run: Run, paths: Iterable[Ref], tables: Collection[str] = ()
) -> State:
    """Give what is in named namespaces, with settings. Raises OSError, CnetshError as `take`.

    tables: those of which the firewall rules are read, too.
    """
    read = _by_namespace(names, paths)
    return _in_each(names, lambda name: _look(name, run, read[name], name in tables))


def _by_namespace(names: Iterable[str], paths: Iterable[Ref]) -> dict[str, list[str]]:
    read: dict[str, list[str]] = {name: [] for name in names}
    for ref in paths:
        read.get(ref.netns, []).append(ref.name)
    return read


def _in_each(names: Iterable[str], look: Callable[[str], State]) -> State:
    """Give what is seen in named namespaces, some of which are looked into at the same time."""

    def enter(name: str) -> State:
        # These threads need no way back: they only go from one namespace to the next.
        namespace.enter_network(str(kernel.NETNS / name))
        return look(name)

    with ThreadPoolExecutor(LANES) as pool:
        return {ref: facts for found in pool.map(enter, names) for ref, facts in found.items()}


def look_everywhere(run: Run, paths: Iterable[Ref], only: Collection[str]) -> State:
    """Give what is in the target's own namespace and in the named ones, ends of cables paired.

    paths: the settings to be read besides forwarding; only: the namespaces to look into, all where
    none is said. Of more than MOST_TABLES no firewall rules are read: they take the longest.
    """
    marks = {name: mark for name, mark in kernel.namespaces().items() if not only or name in only}
    names = sorted((name for name, mark in marks.items() if mark), key=_in_order)
    few = len(names) <= MOST_TABLES
    read = _by_namespace(("", *names), paths)
    texts = _texts(kernel.folders_of_namespaces()[1])
    state = kinds.see(Answers(namespaces=dict(sorted(marks.items())), texts=texts))
    state |= _look_around("", run, read[""], kernel.ids(run), True)
    state |= _in_each(names, lambda name: _look_around(name, run, read[name], {}, few))
    return all_paired(paired(state), run)


def _in_order(name: str) -> list[tuple[str, int]]:
    """Have net2 come before net10."""
    parts = re.findall(r"(\D*)(\d*)", name)
    return [(text, int(number or 0)) for text, number in parts]


def _texts(paths: Iterable[str]) -> dict[str, str]:
    return kernel.readable(path for path in paths if path.endswith(f"/{FILE}"))


def look_through(
    run: Run,
    settings: Iterable[str],
    of_links: Mapping[str, Iterable[str]],
    more: Collection[str] = (),
    seen: Answers | None = None,
) -> State:
    """Give what packets pass in all namespaces: links and routes, rules, settings by their names.

    settings: paths below /proc/sys/net; of_links: names in a folder there with one for each link;
    more: namespaces without a name, by their paths; seen: what the tools have said of the target's
    own, where they were asked just now.
    """
    marks = kernel.namespaces()
    ids = kernel.ids(run, more) if marks or more else {}
    inside = partial(_look_deep, run=run, settings=tuple(settings), of_links=of_links)
    state = kinds.see(Answers(namespaces=marks)) | inside("", ids=ids, seen=seen)
    names = [*more, *(name for name, mark in sorted(marks.items()) if mark)]
    state |= _in_each(names, partial(inside, ids={}))
    return all_paired(paired(state), run, more)


def beginnings(paths: Iterable[str]) -> dict[str, str]:
    """Give the settings of a new namespace, made for it and gone; none where none can be made."""
    with contextlib.suppress(OSError):
        return namespace.in_new_network(lambda: kernel.readable(paths))
    return {}


def _look_deep(
    netns: str,
    run: Run,
    settings: Iterable[str],
    of_links: Mapping[str, Iterable[str]],
    ids: dict[int, str],
    seen: Answers | None = None,
) -> State:
    each = [f"{folder}/{name}" for place, names in of_links.items()
            for folder in kernel.listed(f"{kernel.SYSCTL}/{place}") for name in names]  # fmt: skip
    paths = [*(f"{kernel.SYSCTL}/{name}" for name in settings), *each]
    answers = seen or kernel.whole(run, known=f"{kernel.PERMANENT} nud noarp")
    answers = answers._replace(settings=kernel.readable(paths), ids=ids)
    return kinds.see(answers, netns)


def _look(netns: str, run: Run, paths: Iterable[str], tables: bool) -> State:
    questions = f"address show\nroute show table all\n{kernel.PERMANENT}\nneigh show proxy"
    addresses, routes, known, proxies = kernel.ip_answers(run, questions)
    answers = Answers(addresses, routes, [*known, *proxies], settings=kernel.readable(paths),
                      queues=kernel.queues(run, addresses),
                      saved=kernel.saved_rules(run) if tables else {})  # fmt: skip
    return kinds.see(answers, netns)


def _look_around(
    netns: str, run: Run, paths: Iterable[str], ids: dict[int, str], tables: bool
) -> State:
    # In each namespace anew, a file below /proc/sys takes as long as ip does for everything.
    addresses, routes, switches = kernel.ip_answers(run, _AROUND)
    forwarding = {FORWARDING[one["family"]]: str(int(one["forwarding"])) for one in switches
                  if one["interface"] == "all" and one["family"] in FORWARDING}  # fmt: skip
    answers = Answers(
        addresses,
        routes,
        settings=forwarding | kernel.readable(paths),
        ids=ids,
        queues=kernel.queues(run, addresses),
        saved=kernel.saved_rules(run) if tables else {"iptables": None},
    )
    return kinds.see(answers, netns)


def look_closely(netns: str, run: Run) -> State:
    """Give all that a namespace has, "" being the target's own: what comes and goes, too.

    That is whether links have a carrier, the neighbours and bridges' entries that were learned, and
    sockets. Raises OSError where there is none, and CnetshError as `take` does.
    """
    return kernel.within(netns, partial(_look_closely, netns, run))


def _look_closely(netns: str, run: Run) -> State:
    answers = kernel.whole(run, known="neigh show")._replace(
        entries=kernel.all_entries(run),
        queues=run(kernel.ALL_QUEUES).stdout,
        settings=kernel.readable(FORWARDING.values()),
        ids=kernel.ids(run),
    )
    state = kinds.see(answers, netns)
    for link in answers.addresses:
        ref, flags = Ref("link", netns, link.get("ifname", "")), link.get("flags", ())
        if ref in state:
            port = link.get("linkinfo", {}).get("info_slave_data", {}).get("state", "")
            more = {"carrier": "LOWER_UP" in flags, "port": port}
            state[ref] = [{**state[ref][0], **more}]
    for ref, facts in [*fdb.known(answers, netns), *looks.sockets(netns, run(SOCKETS).stdout)]:
        state[ref] = [*(state.get(ref, ()) if ref.kind == "socket" else ()), facts]
    return state
