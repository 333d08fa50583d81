"""Taps: sockets that get a copy of every packet as a link takes it in or sends it (packet(7)).

They change nothing, and whoever may make namespaces may open them: no rights outside are needed.
"""

import errno
import select
import socket
import struct
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

from cnetsh.system import frame, namespace
from cnetsh.system.process import POLL, never

ALL = 0x0003  # ETH_P_ALL of linux/if_ether.h
TIMESTAMP = 35  # SO_TIMESTAMPNS of asm-generic/socket.h
PACKET, STATISTICS, AUXDATA = 263, 6, 8  # SOL_PACKET and its options, linux/if_packet.h
OTHERHOST, OUTGOING, TAGGED, TYPED = 3, 4, 1 << 4, 1 << 6
ETHERNET = (1, 772)  # ARPHRD_ETHER and ARPHRD_LOOPBACK of linux/if_arp.h
LARGEST = 1 << 17
BUFFER = 1 << 22
AT_ONCE = 256
_AUXDATA = struct.Struct("=IIIHHHH")
_ROOM = socket.CMSG_SPACE(16) + socket.CMSG_SPACE(_AUXDATA.size)


class Sighting(NamedTuple):
    """A packet as one link saw it."""

    when: int  # nanoseconds since 1970, of the kernel's clock
    netns: str  # as it was given to Taps
    link: str  # "" where it has gone since
    direction: str  # in or out
    data: bytes  # its bytes, with the tag of a VLAN put back
    ethernet: bool  # whether they begin with that header
    length: int  # in bytes, where data was cut
    aside: bool = False  # whether it came for another MAC address than the link's

    @property
    def frame(self) -> frame.Frame:
        """What the bytes say, read anew each time."""
        return frame.read_frame(self.data, self.ethernet)


class Taps:
    """Taps in some namespaces, by `with`: what comes waits in the kernel, to be looked for then."""

    def __init__(self, paths: Mapping[str, str], link: str = "") -> None:
        """Open one tap for each namespace, given by name with its path, or for one link in it.

        The path "" is the caller's own namespace. Raises OSError where there is no such namespace
        or link, no right, or no descriptor left.
        """
        self._taps: dict[socket.socket, str] = {}
        try:
            for netns, path in paths.items():
                opened = partial(_opened, link)
                tap = namespace.in_network(path, opened) if path else opened()
                self._taps[tap] = netns
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "Taps":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all; what nobody has read is gone.

        Side by side, as each waits until no processor is at it (packet_release, synchronize_net).
        """
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for one in [pool.submit(tap.close) for tap in self._taps]:
                one.result()

    def sightings(
        self, seconds: float = 0.0, stopping: Callable[[], int] = never
    ) -> Iterator[Sighting]:
        """Give what was seen, and what is seen for so many seconds more, until stopping says so.

        In order for each namespace; between them in that of the clock, as far as it came at once.
        """
        until, taps = time.time_ns() + int(seconds * 1e9), select.poll()
        for tap in self._taps:
            taps.register(tap, select.POLLIN)
        waiting = True
        while waiting and not stopping():
            left = until - time.time_ns()
            taps.poll(max(0.0, min(left / 1e6, POLL * 1000)))
            found = [seen for tap in self._taps for seen in self._taken(tap)]
            yield from sorted(found, key=lambda seen: seen.when)
            # What the kernel's clock was late for has the time at which it was read.
            waiting = left > 0 or any(seen.when <= until for seen in found)

    def lost(self) -> int:
        """Give how many packets since the last call were not kept, for want of room."""
        return sum(
            struct.unpack("=II", tap.getsockopt(PACKET, STATISTICS, 8))[1] for tap in self._taps
        )

    def _taken(self, tap: socket.socket) -> Iterator[Sighting]:
        # Not all at once: of a link that is busy there would be no end.
        for _ in range(AT_ONCE):
            try:
                yield _sighting(tap, self._taps[tap])
            except BlockingIOError:
                return
            except OSError as error:
                # What a tap on one link says, once, when the link goes down.
                if error.errno != errno.ENETDOWN:
                    raise


def _opened(link: str) -> socket.socket:
    # For one link it is of no protocol at first: until it is bound, it would see the others.
    kind, protocol = socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0 if link else socket.htons(ALL)
    tap = socket.socket(socket.AF_PACKET, kind, protocol)
    try:
        tap.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        tap.setsockopt(socket.SOL_SOCKET, TIMESTAMP, 1)
        tap.setsockopt(PACKET, AUXDATA, 1)
        if link:
            tap.bind((link, ALL))
    except BaseException:
        tap.close()
        raise
    return tap


def _sighting(tap: socket.socket, netns: str) -> Sighting:
    data, beside, _, (link, _, kind, hardware, _) = tap.recvmsg(LARGEST, _ROOM)
    when, length = 0, len(data)
    for _, name, value in beside:
        if name == TIMESTAMP:
            seconds, rest = struct.unpack("@ll", value[:16])
            when = seconds * 10**9 + rest
        elif name == AUXDATA:
            status, length, _, _, _, tag, kind_of_tag = _AUXDATA.unpack(value[:20])
            if status & TAGGED:
                # The kernel takes the tag out of what comes in, and says it beside.
                known = kind_of_tag if status & TYPED else frame.TAG
                data = data[:12] + struct.pack("!HH", known, tag) + data[12:]
                length += 4
    direction = "out" if kind == OUTGOING else "in"
    ethernet, aside = hardware in ETHERNET, kind == OTHERHOST
    return Sighting(when, netns, link, direction, data, ethernet, length, aside)
