"""The spelling of a refused command that is accepted: what was probably meant, and does it."""

import re
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from pathlib import Path
from re import Match

from cnetsh import kinds
from cnetsh.kinds import setting
from cnetsh.kinds.change import Words, placed

MOST = 400  # spellings that are tried of one command
_NEAR = 0.6
# What a script types around a command of ours.
_PLAIN = re.compile(r"[\w ./:@%=,+!-]+", re.ASCII)
_SUDO = re.compile(r"(^|\| *|exec \S+ )sudo (?:-\S+ )*")
_SHELL = re.compile(r"""^(|ip netns exec \S+ )(?:ba)?sh -c (['"])(.*)\2$""")
_WRITTEN = re.compile(r"""echo ['"]?([^'"]*?)['"]? *(?:>|\|) *(?:tee )?(/proc/sys/net/\S+)""")
_SETTING = re.compile(rf"{setting.ROOT}\S+")


def accepted(text: str, fits: Callable[[str], bool]) -> str:
    """Give the spelling of a command for which fits holds, "" where none is near."""
    for number, spelling in enumerate(_spellings(text)):
        if number > MOST:
            break
        if spelling != text and fits(spelling):
            return _SETTING.sub(_as_known, spelling)
    return ""


def _as_known(path: Match[str]) -> str:
    """Give a setting's path, by another name where only that is one of this kernel's."""
    name = setting.nearest_setting(Path(path[0]))
    return str(Path(path[0]).with_name(name)) if name else path[0]


def _spellings(text: str) -> Iterator[str]:
    bare = _SUDO.sub(r"\1", text)
    bare = _SHELL.sub(r"\1\3", bare)
    bare = _WRITTEN.sub(r"echo \1 | tee \2", bare)
    yield bare
    # In quotes, what a shell would do something with would be a word.
    if not _PLAIN.fullmatch(bare):
        return
    words = tuple(bare.split())
    place, inner = _parts(words)
    kept = " ".join((*place, *inner))
    yield kept
    meant = kinds.spelled(kinds.command_of(inner))
    if meant:
        # What is written comes through the pipe, and only tee enters the namespace.
        yield placed(place[-1] if place else "", meant)
        return
    once = list(_respelled(inner))
    twice = (second for first in once for second in _respelled(first))
    yield from (" ".join((*place, *words)) for words in (*once, *twice))


def _parts(words: Words) -> tuple[Words, Words]:
    """Give how a command enters its namespace, and the rest, with the options of ip after it."""
    if words[:3] == ("ip", "netns", "exec") and len(words) > 4:
        return words[:4], words[4:]
    for at, word in enumerate(words[:6]):
        if words[0] == "ip" and word in ("-n", "-netns") and len(words) > at + 2:
            return ("ip", "-n", words[at + 1]), (*words[1:at], *words[at + 2 :])
    return (), words


def _respelled(words: Words) -> Iterator[Words]:
    """Give the command with one word in place of another that it is near to, or begins."""
    known = kinds.known_words()
    for at, word in enumerate(words):
        # What has a digit in it is a name, and so is a letter.
        if not word.isalpha() or len(word) < 2:
            continue
        begun = sorted(one for one in known if one.startswith(word))
        for near in dict.fromkeys([*get_close_matches(word, known, 3, _NEAR), *begun[:5]]):
            if near != word:
                yield (*words[:at], near, *words[at + 1 :])
