"""posix_spawn(3) for threads: Python's own keeps all others waiting until the child has begun."""

import ctypes
import os
from collections.abc import Iterable, Mapping, Sequence

SETSID = 0x80  # POSIX_SPAWN_SETSID of glibc 2.26 and musl
# Larger than posix_spawnattr_t of both, which is 336 bytes on 64 bits.
_OPAQUE = ctypes.c_longlong * 64
_libc = ctypes.CDLL(None)


def posix_spawn(
    path: str,
    argv: Sequence[str],
    environment: Mapping[str, str],
    streams: Iterable[tuple[int, int]],
) -> int:
    """Start a program in a session of its own; give its pid. Raises OSError.

    streams: descriptors of this process, each with the one that it is to the child.
    """
    actions, attributes, pid = _OPAQUE(), _OPAQUE(), ctypes.c_int()
    _checked(_libc.posix_spawn_file_actions_init(actions))
    _checked(_libc.posix_spawnattr_init(attributes))
    try:
        _checked(_libc.posix_spawnattr_setflags(attributes, ctypes.c_short(SETSID)))
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
