"""Prediction against the kernel: a lab is built, everybody pings everybody, and taps are witness.

Run inside a private host: reads labs as JSON lines, each with `before` and `lines` (shell), and
prints for each what the kernel did and what the model said, by the plan and by what is there.
"""

import errno
import json
import os
import random
import re
import select
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from typing import Any, NamedTuple

from cnetsh.compare.kernel import NETNS
from cnetsh.compare.snapshot import look_through
from cnetsh.errors import CnetshError
from cnetsh.forwarding.netfilter import Packet
from cnetsh.forwarding.network import Network
from cnetsh.forwarding.predict import BEGINS
from cnetsh.forwarding.seen import OF_ALL, OF_LINKS, network_of
from cnetsh.forwarding.settle import settle
from cnetsh.forwarding.stop import sentence
from cnetsh.forwarding.trip import Verdict, follow
from cnetsh.kinds.change import State
from cnetsh.plan.steps import changes_of
from cnetsh.system import namespace
from cnetsh.system.process import ask

MOST = 400  # pairs of a lab
ECHO = {4: (8, 0), 6: (128, 129)}
WAITS = (0.3, 0.9)  # seconds for an answer, try by try


class Pair(NamedTuple):
    """Somebody, and an address that is pinged from there."""

    sender: str
    to: str


def inside(netns: str, action: Callable[[], Any]) -> Any:
    return namespace.in_network(str(NETNS / netns), action) if netns else action()


def pairs_of(network: Network) -> list[Pair]:
    """Everybody and every address, a fixed choice of them where there are many."""
    addresses = sorted({str(one.ip) for space in network.spaces.values()
                        for one, _ in space.addresses if not one.ip.is_loopback})  # fmt: skip
    found = [Pair(space, to) for space in sorted(network.spaces) for to in addresses]
    return sorted(random.Random(1).sample(found, MOST)) if len(found) > MOST else found


class Exchange:
    """One pair's echo requests, known by eight bytes of their own."""

    def __init__(self, number: int, pair: Pair, size: int, whole: bool) -> None:
        self.number, self.pair, self.answered, self.error = number, pair, False, ""
        self.sign = struct.pack("!II", 0x5EED0000 | number, random.SystemRandom().getrandbits(32))
        self.seen: dict[str, set[str]] = {"request": set(), "reply": set()}
        six = ":" in pair.to
        self.types = ECHO[6 if six else 4]
        self.filling = bytes(size - (64 if six else 44))
        kind = (socket.AF_INET6, socket.SOCK_RAW, 58) if six else (
            socket.AF_INET, socket.SOCK_RAW, 1)  # fmt: skip
        self.socket = inside(pair.sender, lambda: socket.socket(*kind))
        if not six:
            # IP_MTU_DISCOVER: IP_PMTUDISC_DO, or IP_PMTUDISC_DONT
            self.socket.setsockopt(socket.SOL_IP, 10, 2 if whole else 0)
        self.socket.setblocking(False)

    def send(self) -> None:
        head = struct.pack("!BBHHH", self.types[0], 0, 0, self.number + 1, 1)
        body = head + self.sign + self.filling
        if self.types[0] == 8:
            words = struct.unpack(f"!{len(body) // 2}H", body)
            total = sum(words)
            total = (total & 0xFFFF) + (total >> 16)
            total = (total & 0xFFFF) + (total >> 16)
            body = body[:2] + struct.pack("!H", ~total & 0xFFFF) + body[4:]
        try:
            self.socket.connect((self.pair.to, 0))
            self.socket.send(body)
        except OSError as error:
            self.error = errno.errorcode.get(error.errno or 0, str(error))

    def hear(self) -> None:
        while True:
            try:
                data = self.socket.recv(4096)
            except BlockingIOError:
                return
            except OSError as error:
                self.error = errno.errorcode.get(error.errno or 0, str(error))
                continue
            start = 0 if self.types[0] == 128 else (data[0] & 15) * 4
            if data[start] == self.types[1] and self.sign in data:
                self.answered = True


def try_all(
    pairs: list[Pair], spaces: list[str], size: int = 84, whole: bool = False
) -> list[Exchange]:
    """Ping all pairs at once, twice, with a tap in every namespace."""
    taps = {}
    for name in spaces:
        tap = inside(
            name, lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        )
        tap.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        tap.setblocking(False)
        taps[tap] = name
    exchanges = [Exchange(number, pair, size, whole) for number, pair in enumerate(pairs)]
    by_sign = {one.sign: one for one in exchanges}
    for wait in WAITS:
        waiting = [one for one in exchanges if not one.answered]
        for at in range(0, len(waiting), 40):
            for one in waiting[at : at + 40]:
                one.send()
            _listen(taps, waiting, by_sign, 0.01)
        end = time.monotonic() + wait
        while time.monotonic() < end and not all(one.answered for one in waiting):
            _listen(taps, waiting, by_sign, 0.05)
    _listen(taps, exchanges, by_sign, 0.05)
    for each in (*taps, *(one.socket for one in exchanges)):
        each.close()
    return exchanges


def _listen(taps: dict[socket.socket, str], exchanges: list[Exchange],
            by_sign: dict[bytes, Exchange], seconds: float) -> None:  # fmt: skip
    time.sleep(seconds)
    for tap, name in taps.items():
        for frame in _frames(tap):
            at = frame.find(b"\x5e\xed")
            one = by_sign.get(frame[at : at + 8]) if at > 0 else None
            kind = _icmp_type(frame)
            if one and kind in one.types:
                one.seen["request" if kind == one.types[0] else "reply"].add(name)
    for one in exchanges:
        one.hear()


def _frames(tap: socket.socket) -> Iterator[bytes]:
    while select.select([tap], [], [], 0)[0]:
        try:
            yield tap.recv(2048)
        except OSError:
            return


def _icmp_type(frame: bytes) -> int:
    ether = frame[12:14]
    if ether == b"\x08\x00" and len(frame) > 34:
        return frame[14 + (frame[14] & 15) * 4]
    return frame[54] if ether == b"\x86\xdd" and len(frame) > 54 else -1


def look() -> State:
    return look_through(ask, OF_ALL, OF_LINKS)


def run_lines(lines: list[str]) -> list[int]:
    """The lines that the shell could not do, by number."""
    failed = []
    for at, line in enumerate(lines):
        done = subprocess.run(["sh", "-c", line], capture_output=True, text=True)
        if done.returncode:
            failed.append(at)
    return failed


def fresh() -> dict[str, str]:
    """The settings of a new namespace."""
    from cnetsh.compare.kernel import readable

    def read() -> dict[str, str]:
        return readable(BEGINS)

    subprocess.run(["ip", "netns", "add", "fresh-one"], check=True)
    found: dict[str, str] = inside("fresh-one", read)
    subprocess.run(["ip", "netns", "delete", "fresh-one"], check=True)
    return found


def settled() -> None:
    """Wait until no address of IPv6 is tentative, and for ports that have not heard of a carrier.

    Ten seconds at most for the former, three for the latter, which somebody may have switched off.
    """
    begin = time.monotonic()
    while time.monotonic() < begin + 3 and "state disabled" in _output(["bridge", "link"]):
        time.sleep(0.1)
    end = time.monotonic() + 10
    names = sorted(os.listdir(NETNS)) if NETNS.is_dir() else []  # noqa: PTH208
    while time.monotonic() < end:
        prefixes: list[list[str]] = [[], *(["-n", name] for name in names)]
        show = ["-6", "addr", "show", "tentative"]
        texts = [_output(["ip", *one, *show]) for one in prefixes]
        if not any(texts):
            return
        time.sleep(0.1)


def full() -> list[str]:
    """How often the machine had no room for a neighbour."""
    return re.findall(r"table_fulls (\d+)", _output(["ip", "-s", "ntable"]))


def _output(argv: list[str]) -> str:
    return subprocess.run(argv, capture_output=True, text=True).stdout


def told(verdict: Verdict) -> dict[str, Any]:
    # What may stop it may do so, and then it is seen no further.
    ways = [verdict.path, *(verdict.path[: verdict.path.index(doubt.out)]
                            for doubt in verdict.doubts if doubt.out in verdict.path)]  # fmt: skip
    places = [{leg: sorted({hop.space for hop in way if hop.leg == leg})
               for leg in ("request", "reply")} for way in ways]  # fmt: skip
    said = f"{verdict.stop.code}: {sentence(verdict.stop)}" if verdict.stop else ""
    # Whoever has asked before is known: its question is not refused, but the packet itself is.
    stop = verdict.stop
    asked = stop and (stop.code in ("own_address", "rp_filter")
                      or stop.words.get("tool") == "ip6tables")  # fmt: skip
    early = stop.space if stop and asked else None
    return {"works": verdict.works, "places": places, "said": said, "unknown": verdict.unknown,
            "refused": early, "leg": stop.leg if stop else ""}  # fmt: skip


def one_lab(lab: dict[str, Any]) -> dict[str, Any]:
    run_lines(lab["before"])
    new, before = fresh(), look()
    failed = run_lines(lab["lines"])
    changes, owners, unread = [], [], []
    for at, line in enumerate(lab["lines"]):
        try:
            several = changes_of(line)
        except CnetshError:
            unread.append(at)
            continue
        changes += several
        owners += [at] * len(several)
    network = network_of(before, new)
    refused = settle(changes, network)
    settled()
    fulls = full()
    now = network_of(look())
    pairs = pairs_of(now)
    size, whole = lab.get("size", 84), lab.get("whole", False)
    exchanges = try_all(pairs, sorted(now.spaces), size, whole)
    rows = []
    for one in exchanges:
        sender, to = one.pair
        packet = Packet(ip_address(to), size=size, whole=whole)
        row = {"sender": sender, "to": to, "works": one.answered, "error": one.error,
               "place": {leg: sorted(seen) for leg, seen in one.seen.items()},
               "seen": told(follow(now, sender, packet))}  # fmt: skip
        if not unread:
            row["plan"] = told(follow(network, sender, packet))
        rows.append(row)
    return {"name": lab["name"], "failed": failed, "unread": unread,
            "refused": {owners[one.at]: one.why for one in refused},
            "full": full() != fulls, "rows": rows}  # fmt: skip


def wrong(found: dict[str, Any]) -> list[str]:
    """What the model said otherwise than the kernel did."""
    if found["full"]:
        return []  # the machine's one table of neighbours was full, so this says nothing
    lines = []
    if not found["unread"] and {*map(int, found["refused"])} != {*found["failed"]}:
        lines = [f"refused {found['refused']}, but {found['failed']} failed"]
    for row in found["rows"]:
        for said in (row[way] for way in ("plan", "seen") if way in row):
            place = row["works"] or row["place"] in said["places"] or _known(said, row)
            if said["works"] is not None and (said["works"] is not row["works"] or not place):
                lines.append(f"{row['sender'] or 'host'} to {row['to']}: {row} {said}")
    return [f"{found['name']}: {line}" for line in lines]


def _known(said: dict[str, Any], row: dict[str, Any]) -> bool:
    """Say whether who refuses a source was known, so that the packet got there unasked."""
    return said["refused"] is not None and said["refused"] in row["place"][said["leg"]]


def unknown(found: dict[str, Any]) -> int:
    return sum(row["seen"]["works"] is None for row in found["rows"])


def main() -> None:
    for line in sys.stdin:
        lab = json.loads(line)
        reader, writer = os.pipe()
        child = os.fork()
        if not child:
            os.close(reader)
            namespace.unshare(namespace.NET | namespace.MOUNT)
            namespace.mount("tmpfs", "/run", "tmpfs", 0)
            namespace.mount("sysfs", "/sys", "sysfs", 0)
            code = 0
            try:
                text = json.dumps(one_lab(lab))
            except BaseException as error:
                import traceback

                text, code = json.dumps({"name": lab["name"], "error": repr(error), "trace":
                                         traceback.format_exc()}), 1  # fmt: skip
            with os.fdopen(writer, "w") as out:
                out.write(text)
            os._exit(code)
        os.close(writer)
        with os.fdopen(reader) as back:
            print(back.read(), flush=True)
        os.waitpid(child, 0)


if __name__ == "__main__":
    main()
