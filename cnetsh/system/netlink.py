"""What a namespace has, asked of the kernel itself (rtnetlink(7)), in the words of `ip -j -d`.

Of a thousand containers, a process of ip in each takes ten times as long. Told is only what they
usually have: where there is more, ip has to be asked.
"""

import socket
from collections.abc import Iterator, Mapping
from contextlib import suppress
from struct import Struct
from typing import Any, NamedTuple

# Messages and attributes (linux/netlink.h), and what stands first in each kind of message.
_MESSAGE, _ATTRIBUTE, _NUMBER = Struct("=IHHII"), Struct("=HH"), Struct("=i")
_LINK, _ADDRESS, _ROUTE = Struct("=BxHiII"), Struct("=BBBBI"), Struct("=BBBBBBBBI")
_NEIGHBOUR, _SWITCHES = Struct("=BxxxiHBB"), Struct("=Bxxx")
_DUMP, _DONE, _INTERRUPTED = 0x301, 3, 0x10
_TYPE = 0x3FFF  # of an attribute, without the flags
_PERMANENT, _PROXY, _LEARNED, _CLONED, _NO_PREFIX_ROUTE, _ALL = 0x80, 0x08, 0x10, 0x200, 0x200, -1
_FOREVER = b"\xff" * 8
_FLAGS = {0x1: "UP", 0x80: "NOARP", 0x100: "PROMISC", 0x200: "ALLMULTI", 0x10000: "LOWER_UP"}
_SCOPES = {0: "global", 253: "link", 254: "host"}
_TABLES = {253: "default", 254: "main", 255: "local"}
_PROTOCOLS = {2: "kernel", 3: "boot", 4: "static"}
_TYPES = {1: "unicast", 2: "local", 3: "broadcast", 4: "anycast", 5: "multicast"}
_FAMILIES: dict[int, str] = {socket.AF_INET: "inet", socket.AF_INET6: "inet6"}
# A link's attributes that say more than is told here: its bridge, an alias, other names.
_MORE_OF_LINKS = frozenset({10, 20, 52})
_OF_ROUTES = frozenset({1, 4, 5, 6, 7, 12, 15, 20})
_MEDIUM = b"\0"

Attributes = dict[int, bytes]
Answer = list[Mapping[str, Any]]


class Namespace(NamedTuple):
    """What a namespace answers to `address show`, `route show table all` and `netconf show`."""

    addresses: Answer
    routes: Answer
    switches: Answer


class _MoreError(Exception):
    """There is something that only ip tells of."""


def here() -> Namespace | None:
    """Give what the calling thread's namespace has, None where ip has to be asked."""
    with (
        suppress(_MoreError, KeyError, OSError),
        socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as kernel,
    ):
        links = _links(kernel)
        for head, said in _dump(kernel, 22, _ADDRESS):
            links[head[4]].setdefault("addr_info", []).append(_address(head, said))
        routes = (_route(head, said, links) for head, said in _dump(kernel, 26, _ROUTE)
                  if not head[8] & _CLONED)  # fmt: skip
        told = Namespace([*links.values()], [*routes], [*_switches(kernel)])
        _refuse_kept_neighbours(kernel)
        return told
    return None


def _dump(
    kernel: socket.socket, kind: int, head: Struct, flags: int = 0
) -> Iterator[tuple[tuple[int, ...], Attributes]]:
    """Give all objects of a kind: what stands first in each message, and its attributes.

    flags: of neighbours, which are asked for.
    """
    body = bytearray(head.size)
    body[-2] = flags
    kernel.send(_MESSAGE.pack(_MESSAGE.size + len(body), kind, _DUMP, 1, 0) + body)
    while True:
        answer, at = kernel.recv(1 << 17), 0
        while at < len(answer):
            size, found, how, _, _ = _MESSAGE.unpack_from(answer, at)
            if found == _DONE:
                return
            # An error, or what was told is not of one moment.
            if found < 16 or how & _INTERRUPTED:
                raise _MoreError
            start = at + _MESSAGE.size
            yield head.unpack_from(answer, start), _attributes(answer, start + head.size, at + size)
            at += (size + 3) & ~3


def _attributes(message: bytes, at: int, end: int) -> Attributes:
    found = {}
    while at + 4 <= end:
        size, kind = _ATTRIBUTE.unpack_from(message, at)
        found[kind & _TYPE] = message[at + 4 : at + size]
        at += (size + 3) & ~3
    return found


def _links(kernel: socket.socket) -> dict[int, dict[str, Any]]:
    """Give the links by their numbers: a loopback and ends of cables."""
    found, lead = {}, {}
    for head, said in _dump(kernel, 18, _LINK):
        kind = _attributes(said.get(18, b""), 0, len(said.get(18, b""))).get(1, b"")
        if said.keys() & _MORE_OF_LINKS or kind not in (b"", b"veth\0"):
            raise _MoreError
        found[head[2]] = {
            "ifindex": head[2],
            "ifname": _text(said[3]),
            "flags": [name for flag, name in _FLAGS.items() if head[3] & flag],
            "mtu": _number(said[4]),
            "qdisc": _text(said[6]),
            "txqlen": _number(said[13]),
            "address": said[1].hex(":"),
        } | ({"linkinfo": {"info_kind": _text(kind)}} if kind else {})
        if 5 in said:
            lead[head[2]] = said
    for index, said in lead.items():
        found[index] |= _far_end(said, found)
    return found


def _far_end(said: Attributes, links: dict[int, dict[str, Any]]) -> dict[str, Any]:
    far = _number(said[5])
    if 37 not in said:
        return {"link": links[far]["ifname"]}
    if (home := _number(said[37])) < 0:
        raise _MoreError
    return {"link_index": far, "link_netnsid": home}


def _address(head: tuple[int, ...], said: Attributes) -> dict[str, Any]:
    family, length, _, scope, _ = head
    local = said.get(2, said[1])
    if local != said[1] or _number(said[8]) & _NO_PREFIX_ROUTE or said[6][:8] != _FOREVER:
        raise _MoreError
    found = {"local": socket.inet_ntop(family, local), "prefixlen": length}
    found |= {"scope": _SCOPES[scope]}
    found |= {"label": _text(said[3])} if 3 in said else {}
    found |= {"broadcast": socket.inet_ntop(family, said[4])} if 4 in said else {}
    return found | ({"metric": _number(said[9])} if 9 in said else {})


def _route(
    head: tuple[int, ...], said: Attributes, links: dict[int, dict[str, Any]]
) -> dict[str, Any]:
    family, length, from_length, tos, _, protocol, scope, kind, flags = head
    if said.keys() - _OF_ROUTES or from_length or tos or flags or said.get(20, _MEDIUM) != _MEDIUM:
        raise _MoreError
    to = socket.inet_ntop(family, said[1]) if 1 in said else "default"
    found = {
        "type": _TYPES[kind],
        "dst": to if length in (0, 8 * len(said.get(1, b""))) else f"{to}/{length}",
        "dev": links[_number(said[4])]["ifname"],
        "table": _TABLES[_number(said[15])],
        "protocol": _PROTOCOLS[protocol],
        "scope": _SCOPES[scope],
    }
    found |= {"gateway": socket.inet_ntop(family, said[5])} if 5 in said else {}
    found |= {"prefsrc": socket.inet_ntop(family, said[7])} if 7 in said else {}
    found |= {"metric": _number(said[6])} if 6 in said else {}
    return found | ({"pref": "medium"} if 20 in said else {})


def _refuse_kept_neighbours(kernel: socket.socket) -> None:
    """Raise where there are neighbours that somebody wants there, or proxies."""
    kept = [head for head, _ in _dump(kernel, 30, _NEIGHBOUR)
            if head[2] & _PERMANENT or head[3] & (_PROXY | _LEARNED)]  # fmt: skip
    if kept or any(head for head, _ in _dump(kernel, 30, _NEIGHBOUR, _PROXY)):
        raise _MoreError


def _switches(kernel: socket.socket) -> Iterator[dict[str, Any]]:
    """Give whether it forwards, by the family."""
    for (family,), said in _dump(kernel, 82, _SWITCHES):
        if family in _FAMILIES and _number(said[1]) == _ALL:
            on = bool(_number(said[2]))
            yield {"family": _FAMILIES[family], "interface": "all", "forwarding": on}


def _text(said: bytes) -> str:
    return said.rstrip(b"\0").decode("utf-8", "surrogateescape")


def _number(said: bytes) -> int:
    number: int = _NUMBER.unpack_from(said)[0]
    return number
