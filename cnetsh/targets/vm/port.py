"""A command in a VM, seen from outside: what goes in, what comes back, and how it ends."""

import base64
import json
import math
import os
import select
import shutil
import socket
import sys
import termios
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from cnetsh.errors import FAILED, CnetshError
from cnetsh.system.process import TIMED_OUT
from cnetsh.system.signals import StopSignal
from cnetsh.targets import travel
from cnetsh.targets.vm import frames
from cnetsh.targets.vm.frames import Exit, Request
from cnetsh.targets.vm.machine import Machine, free_port, say_hello, why_ended

POLL = 0.2
# What a program prints depends on these of the caller's.
ENVIRONMENT = ("NO_COLOR", "TERM")


def run_in(machine: Machine, action: Callable[[], int], seconds: float = math.inf) -> Exit:
    """Do an action in a VM, its streams the caller's; signals are passed on to it.

    After so many seconds it has ended with 124, whatever it does.

    Raises CnetshError when the VM ends meanwhile.
    """
    parcel = travel.packed(action)
    streams = parcel.streams
    kept = {key: os.environ[key] for key in ENVIRONMENT if key in os.environ}
    text = base64.b64encode(parcel.content).decode()
    request = Request(text, len(streams) - 1, sys.argv, kept, parcel.terminal)
    for one in streams[1:]:
        one.flush()
    with free_port(machine.name) as port, StopSignal() as stopping:
        try:
            say_hello(port, lambda: bool(stopping()))
            port.sendall(frames.framed(frames.REQUEST, frames.as_bytes(request)))
            with _raw(parcel.terminal):
                return _followed(port, parcel, stopping, time.monotonic() + seconds)
        except TimeoutError:
            sys.exit(128 + stopping())
        except ConnectionError as error:
            if error.filename is not None:
                raise
            raise CnetshError(*why_ended(machine), code=FAILED) from None


def _followed(
    port: socket.socket, parcel: travel.Parcel, stopping: StopSignal, deadline: float
) -> Exit:
    """Pass on what comes from either side until the command has ended."""
    reader, passed_on, size = frames.Reader(), False, os.terminal_size((0, 0))
    given = parcel.streams[0].fileno() if parcel.reads else -1
    watched = [port.fileno(), *([given] if parcel.reads else [])]
    while time.monotonic() < deadline:
        ready = select.select(watched, [], [], POLL)[0]
        if stopping() and not passed_on:
            port.sendall(frames.framed(frames.SIGNAL, str(stopping()).encode()))
            passed_on = True
        if parcel.terminal and size != shutil.get_terminal_size():
            size = shutil.get_terminal_size()
            port.sendall(frames.framed(frames.SIZE, f"{size.lines} {size.columns}".encode()))
        if given in ready:
            piece = os.read(given, frames.PIECE)
            port.sendall(frames.framed(frames.INPUT, piece))
            watched = watched if piece else watched[:1]
        if port.fileno() in ready:
            piece = port.recv(frames.PIECE)
            if not piece:
                raise BrokenPipeError
            for letter, content in reader.frames(piece):
                if letter == frames.ENDED:
                    return Exit(**json.loads(content))
                _write(parcel.streams[content[0]], content[1:])
    return Exit(TIMED_OUT, [])


def _write(stream: TextIO, content: bytes) -> None:
    while content:
        content = content[os.write(stream.fileno(), content) :]


@contextmanager
def _raw(terminal: bool) -> Iterator[None]:
    """Have what is typed go to the VM as it is: the terminal there makes signals of it."""
    if not terminal:
        yield
        return
    before = termios.tcgetattr(sys.stdin)
    tty.setraw(sys.stdin)
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
