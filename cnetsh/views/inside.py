"""What namespaces have, as tables with what each thing means, or as JSON with the same columns."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from cnetsh import kinds
from cnetsh.kinds import policy, port
from cnetsh.kinds.change import Facts, Ref, State
from cnetsh.views.table import GAP
from cnetsh.views.terminal import BOLD, DIM, HEADING, Paint, columns_of, printable, wrapped

_MEANS, _PORTS = "means", "Bridge ports"
_Row = dict[str, str]


class Table(NamedTuple):
    """One table: its title, what its things are, and its rows, each with the same columns."""

    title: str
    explained: str
    rows: list[_Row]


def tables(state: State, netns: str) -> list[Table]:
    """Give the tables of one namespace, as `look_closely` has found it; empty ones are left out."""
    found = []
    for title, (kind, shown) in _TABLES.items():
        is_port = title == _PORTS
        say = port.explain if is_port else kinds.explain
        objects = [(ref, facts) for ref, several in state.items() for facts in several
                   if ref.kind == kind and ref.netns == netns]  # fmt: skip
        rows = [row | {_MEANS: printable(say(ref, facts))} for ref, facts in objects
                if (row := shown(ref, facts))]  # fmt: skip
        explained = port.EXPLAINED if is_port else kinds.explained(kind)
        found += [Table(title, explained, rows)] if rows else []
    return found


def tables_as_text(name: str, found: Sequence[Table], width: int, paint: Paint) -> Iterator[str]:
    """Give the lines of a namespace's tables; what a row means stands below if there is no room."""
    yield paint(name, HEADING)
    for number, table in enumerate(found):
        yield from [""] if number else []
        yield from _headed(table, width, paint)
        yield from _lines(table.rows, width, paint)


def _headed(table: Table, width: int, paint: Paint) -> Iterator[str]:
    title, explained = paint(table.title, BOLD), table.explained
    if columns_of(table.title) + len(GAP) + columns_of(explained) <= width:
        yield f"{title}{GAP}{paint(explained, DIM)}"
    else:
        yield title
        yield from (paint(f"{GAP}{text}", DIM) for text in wrapped(explained, width - len(GAP)))


def _lines(rows: Sequence[_Row], width: int, paint: Paint) -> Iterator[str]:
    columns = [key for key in rows[0] if any(row[key] for row in rows) and key != _MEANS]
    widths = {key: max(columns_of(key), *(columns_of(row[key]) for row in rows)) for key in columns}
    table = sum(widths.values()) + len(GAP) * len(columns)
    if table <= width:
        yield paint(_line({key: key for key in columns}, widths).rstrip(), DIM)
    for row in rows:
        line = _line(row, widths)
        if table > width:
            yield from _listed(row, columns, width)
        elif table + len(GAP) + 30 > width or not row[_MEANS]:
            yield line.rstrip()
            yield from _below(row[_MEANS], width)
        else:
            indent = columns_of(line) + len(GAP)
            first, *others = wrapped(row[_MEANS], width - indent)
            yield f"{line}{GAP}{first}"
            yield from (" " * indent + text for text in others)


def _listed(row: _Row, columns: Sequence[str], width: int) -> Iterator[str]:
    """Give a row whose columns have no room beside each other."""
    first, *others = columns
    yield from (f"{GAP}{text}" for text in wrapped(row[first], width - len(GAP)))
    yield from _below(", ".join(f"{key} {row[key]}" for key in others if row[key]), width)
    yield from _below(row[_MEANS], width)


def _below(text: str, width: int) -> Iterator[str]:
    indent = GAP * 2
    return (f"{indent}{line}" for line in wrapped(text, width - len(indent)) if line)


def _line(row: _Row, widths: Mapping[str, int]) -> str:
    cells = (row[key] + " " * (widths[key] - columns_of(row[key])) for key in widths)
    return GAP + GAP.join(cells)


def _row(**cells: Any) -> _Row:
    return {
        key.replace("_", " "): printable("" if cell is None else str(cell))
        for key, cell in cells.items()
    }


def _link(ref: Ref, facts: Facts) -> _Row:
    carrier = "up" if facts["carrier"] else "no carrier"
    far = facts.get("peer") or facts.get("on") or Ref("", "", "")
    end = f"{far.name} in {far.netns or 'host'}" if far.name else ""
    # Of another namespace that was not looked at, at least its name is known.
    if not end and (home := (facts.get("far") or ("",))[0]):
        end = f"in {home}"
    state = carrier if facts["up"] else "down"
    return _row(link=ref.name, kind=facts["kind"], state=state, mac=facts["address"],
                mtu=facts["mtu"], other_end=end, bridge=facts["master"])  # fmt: skip


def _port(ref: Ref, facts: Facts) -> _Row:
    if not facts["port"]:
        return {}
    options = [key for key in ("hairpin", "isolated", "locked") if facts.get(key)]
    options += [f"no {key}" for key in ("learning", "flood") if facts.get(key) is False]
    return _row(port=ref.name, bridge=facts["master"], state=facts["port"],
                options=" ".join(options))  # fmt: skip


def _address(ref: Ref, facts: Facts) -> _Row:
    return _row(address=ref.name, link=facts["dev"], scope=facts["scope"])


def _route(ref: Ref, facts: Facts) -> _Row:
    # What the kernel keeps for its own addresses is no way to others.
    if facts["table"] == "local" or facts.get("type") == "multicast":
        return {}
    kind = facts.get("type", "unicast")
    to = ref.name if kind == "unicast" else f"{kind} {ref.name}"
    return _row(to=to, via=facts.get("via"), link=facts.get("dev"), source=facts.get("src"),
                metric=facts.get("metric"), table=facts["table"])  # fmt: skip


def _neighbour(ref: Ref, facts: Facts) -> _Row:
    state = "" if facts.get("proxy") else facts.get("state", "PERMANENT")
    return _row(neighbour=ref.name, mac=facts.get("lladdr"), link=facts["dev"], state=state)


def _entry(ref: Ref, facts: Facts) -> _Row:
    how = facts["state"] or "learned"
    return _row(mac=ref.name, port=facts["dev"], vlan=facts.get("vlan"), how=how)


def _chain(ref: Ref, facts: Facts) -> _Row:
    tool, table, chain = ref.name.split(" ", 2)
    policy = facts.get("policy", "ACCEPT")
    return _row(tool=tool, table=table, chain=chain, policy=policy) if policy != "ACCEPT" else {}


def _rule(ref: Ref, facts: Facts) -> _Row:
    tool, table, chain, *words = ref.name.split(" ", 3)
    return _row(tool=tool, table=table, chain=chain, rule=" ".join(words))


def _policy(ref: Ref, facts: Facts) -> _Row:
    # These three are everywhere (ip-rule(8)).
    if (facts["priority"], facts.get("table")) in _ALWAYS:
        return {}
    said = policy.said(facts, "priority", "table", "family")
    version = facts.get("family", 4)
    return _row(priority=facts["priority"], ip=version, rule=said, table=facts.get("table"))


def _queue(ref: Ref, facts: Facts) -> _Row:
    known = facts["kind"] in ("noqueue", "noop")
    return {} if known else _row(link=ref.name, queue=facts["kind"], said=facts["said"])


def _setting(ref: Ref, facts: Facts) -> _Row:
    return _row(setting=ref.name.removeprefix("/proc/sys/"), value=facts["value"])


def _socket(ref: Ref, facts: Facts) -> _Row:
    protocol, at = ref.name.split(" ", 1)
    return _row(protocol=protocol, at=at, program=facts["process"])


_ALWAYS = {(0, "local"), (32766, "main"), (32767, "default")}
# By title: the kind of the objects, and the row of one of them; an empty one is not shown.
_TABLES: dict[str, tuple[str, Callable[[Ref, Facts], _Row]]] = {
    "Links": ("link", _link),
    _PORTS: ("link", _port),
    "MAC addresses that bridges know": ("fdb", _entry),
    "Addresses": ("address", _address),
    "Routes": ("route", _route),
    "Routing rules": ("policy", _policy),
    "Neighbours": ("neighbour", _neighbour),
    "Forwarding": ("setting", _setting),
    "Chains that drop": ("chain", _chain),
    "Rules": ("rule", _rule),
    "Queues": ("queue", _queue),
    "Sockets": ("socket", _socket),
}
