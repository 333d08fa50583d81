"""The command `capture`: the packets of one link, as they pass, or in a file for other tools."""

import contextlib
import os
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TextIO

from cnetsh.commands.entering import HOST, in_container, refuse_no_container
from cnetsh.commands.output import naming_file, say
from cnetsh.compare import kernel
from cnetsh.errors import DONE, CnetshError
from cnetsh.plan.lines import amount
from cnetsh.system import namespace
from cnetsh.system.process import installed, spawn, tool
from cnetsh.system.signals import StopSignal
from cnetsh.system.taps import Taps
from cnetsh.targets import target
from cnetsh.views import packets

YEARS = 1e9
DECODER = ("tcpdump", "-n", "-l", "-r", "-")


def run(
    name: str, link: str, words: Sequence[str] | None, output: Path | None, count: int, on: str
) -> int:
    """Capture the packets of a container's link until Ctrl-C; give the exit code."""
    words = words or ()
    packets.packet_filter(words)
    # On a host this process begins anew as root, and nothing may have begun before.
    kind = target.named(on).kind
    begins = kind == "host" and os.geteuid() != 0
    with contextlib.nullcontext(sys.stdout) if begins else _written(output, kind) as into:
        raw = into is not sys.stdout
        return in_container(name, on, partial(_capture, name, link, words, count, raw, into))


@contextmanager
def _written(output: Path | None, kind: str) -> Iterator[TextIO]:
    """Give where packets go: a new file, a decoder that prints them, or standard output."""
    if output:
        try:
            file = output.open("x")
        except FileExistsError:
            hint = "remove it, or name another file"
            raise CnetshError(f"{output} is there already", hint) from None
        try:
            with file:
                yield file
        finally:
            # What was refused has not even the head of a file.
            if output.stat().st_size:
                say(f"wrote {output}")
            else:
                output.unlink()
    elif kind != "ssh" and installed(DECODER[0]):
        with _decoded() as pipe:
            yield pipe
    else:
        yield sys.stdout


@contextmanager
def _decoded() -> Iterator[TextIO]:
    """Start tcpdump on a pipe: inside of a sandbox it would not run, for it gives up its rights."""
    end, pipe = os.pipe()
    silent = os.open(os.devnull, os.O_WRONLY)
    sys.stdout.flush()
    child = spawn((tool(DECODER[0]), *DECODER[1:]), (end, sys.stdout.fileno(), silent))
    os.close(end)
    os.close(silent)
    try:
        with os.fdopen(pipe, "w") as into:
            yield into
    finally:
        child.wait()


def _capture(
    name: str, link: str, words: Sequence[str], count: int, raw: bool, into: TextIO
) -> int:
    choice, seen = packets.packet_filter(words), 0
    with StopSignal() as stop, _taps(name, link) as taps:
        say(f"capturing on {link} in {name}; Ctrl-C ends it")
        for one in taps.sightings(YEARS, stop):
            if choice(one.frame):
                with naming_file(into):
                    if raw:
                        into.buffer.write(b"" if seen else packets.head(one.ethernet))
                        into.buffer.write(packets.record(one))
                    else:
                        into.write(f"{packets.line(one)}\n")
                    into.flush()
                seen += 1
            if count and seen == count:
                break
        if raw and not seen:
            into.buffer.write(packets.head(True))
        lost = taps.lost()
        said = f"; {lost} more were lost, there was no room for them" if lost else ""
        say(f"{amount(seen, 'packet', 'packets')}{said}")
        # Ctrl-C is how it ends.
        return DONE if stop() in (0, signal.SIGINT) else 128 + stop()


def _taps(name: str, link: str) -> Taps:
    refuse_no_container(name)
    path = "/proc/thread-self/ns/net" if name == HOST else str(kernel.NETNS / name)
    links = [known for _, known in namespace.in_network(path, socket.if_nameindex)]
    if link not in links:
        raise CnetshError(f"there is no link {link} in {name}", f"there are: {', '.join(links)}")
    return Taps({name: path}, link)
