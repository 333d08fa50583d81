"""posix_spawn(3) for threads: Python's own keeps all others waiting until the child has begun."""

import ctypes
import os
from collections.abc import Iterable, Mapping, Sequence

from cnetsh.system.signals import SIGNALS

SETSIGMASK, SETSID = 0x08, 0x80  # POSIX_SPAWN_SETSID of glibc 2.26 and musl
# Larger than posix_spawnattr_t of both, which is 336 bytes on 64 bits, and than sigset_t.
_OPAQUE = ctypes.c_longlong * 64
_libc = ctypes.CDLL(None)


def posix_spawn(
    path: str,
    argv: Sequence[str],
    environment: Mapping[str, str],
    streams: Iterable[tuple[int, int]],
) -> int:
    """Start a program in a session of its own; give its pid. Raises OSError.

    It never takes a signal that asks cnetsh to stop: until it has its session, a Ctrl-C would end
    it. streams: descriptors of this process, each with the one that it is to the child.
    """
    actions, attributes, held, pid = _OPAQUE(), _OPAQUE(), _OPAQUE(), ctypes.c_int()
    _checked(_libc.posix_spawn_file_actions_init(actions))
    _checked(_libc.posix_spawnattr_init(attributes))
    try:
        flags = ctypes.c_short(SETSID | SETSIGMASK)
        _checked(_libc.posix_spawnattr_setflags(attributes, flags))
        _libc.sigemptyset(held)
        for number in SIGNALS:
            _libc.sigaddset(held, number)
        _checked(_libc.posix_spawnattr_setsigmask(attributes, held))
        for ours, theirs in streams:
            _checked(_libc.posix_spawn_file_actions_adddup2(actions, ours, theirs))
        words = _texts(argv), _texts([f"{key}={value}" for key, value in environment.items()])
        program = os.fsencode(path)
        _checked(_libc.posix_spawn(ctypes.byref(pid), program, actions, attributes, *words))
    finally:
        _libc.posix_spawn_file_actions_destroy(actions)
        _libc.posix_spawnattr_destroy(attributes)
    return pid.value


def _texts(words: Sequence[str]) -> "ctypes.Array[ctypes.c_char_p]":
    return (ctypes.c_char_p * (len(words) + 1))(*map(os.fsencode, words), None)


def _checked(number: int) -> None:
    if number:
        raise OSError(number, os.strerror(number))
