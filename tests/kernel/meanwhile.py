"""Labs that are up while others work on the host; then all of them go down, and a twin judges.

The twin is a host with the same start that gets the same commands of others at the same times, and
never a lab. Only the command line is used, so that it can judge whatever stands behind it.

    python tests/kernel/meanwhile.py run 7 8 9     plays these sequences, and says what differs
    python tests/kernel/meanwhile.py show 7        a sequence as commands to type
    python tests/kernel/meanwhile.py many 0 100    plays a hundred, and groups what is wrong

Inside a private host it is `python meanwhile.py play JSON`, one line of JSON for each sequence.
"""

import ctypes
import json
import multiprocessing
import os
import random
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from collections.abc import Sequence as Row
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import oracle
import sequences
import whole
from sequences import Command, Event, Sequence
from warm import load

from cnetsh.cli.main import main as cnetsh

Answer = dict[str, Any]
CRASHED = 70
# How ip ends: by the kernel's refusal, or because it knows no such link.
REFUSED, NOT_THERE = 2, 255
LIBC = ctypes.CDLL(None, use_errno=True)
NET_AND_MOUNT = 0x40000000 | 0x00020000
SETTING = re.compile(r"echo (\S+) > (/proc/sys/\S+)")
# How many at a time: they wait more than they work.
AT_ONCE = 4
# Seconds for one command of cnetsh; after them it is ended, and its code is that of the signal.
LONGEST = 180
# Of differences that are much the same: as many as are shown one by one, and how long a line is.
FEW, MANY, LONG = 4, 12, 300
EQUAL, DERIVED, EXPLAINED, DOUBTFUL, WORDS, WRONG, BROKEN = (
    "equal",
    "only derived",
    "differs, reason in the sequence",
    "equal without what reaches the same",
    "wrong words",
    "WRONG",
    "no twin",
)
CLASSES = (EQUAL, DERIVED, EXPLAINED, DOUBTFUL, WORDS, WRONG, BROKEN)
BAD = (DOUBTFUL, WORDS, WRONG, BROKEN)
# What the kernel makes by itself, and no undo can be held to (docs: what is derived).
BY_ITSELF = re.compile(
    r'"dst": "fe80:|local fe80:|"dst": "ff00::/8"|"type": "(anycast|multicast)"|"dst": "ff0[12]::'
)


# --- one host


class Host:
    """A process in a host of its own, which does what it is asked to."""

    def __init__(self, start: str) -> None:
        requests, self._requests = os.pipe()
        answers, to_write = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            os.close(self._requests)
            os.close(answers)
            serve(requests, to_write)
        os.close(requests)
        os.close(to_write)
        self._answers = os.fdopen(answers)
        self.ask("begin", start)

    def ask(self, what: str, *words: Any) -> None:
        os.write(self._requests, json.dumps([what, *words]).encode() + b"\n")

    def answer(self) -> Any:
        if not (line := self._answers.readline()):
            raise RuntimeError("a host has ended")
        found, crashed = json.loads(line)
        if crashed:
            raise RuntimeError(crashed)
        return found

    def end(self) -> None:
        os.close(self._requests)
        self._answers.close()
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


def serve(requests: int, answers: int) -> NoReturn:
    """Answer each request with a line, until there are no more."""
    try:
        with os.fdopen(requests) as lines, os.fdopen(answers, "w") as out:
            for line in lines:
                what, *words = json.loads(line)
                out.write(json.dumps(_tried(DO[what], words)) + "\n")
                out.flush()
    finally:
        os._exit(0)


def _tried(action: Callable[..., Any], words: list[Any]) -> tuple[Any, str]:
    try:
        return action(*words), ""
    except Exception:
        return None, traceback.format_exc()


def begin(start: str) -> None:
    """Goes into a host of its own, with an empty /run, and prepares what is there."""
    if LIBC.unshare(NET_AND_MOUNT):
        raise OSError(ctypes.get_errno(), "unshare")
    os.chdir("/")
    _shell(f"""
        mount -t tmpfs tmpfs /run; mount -t sysfs sysfs /sys; mkdir -p /etc/netns
        mount -t tmpfs tmpfs /etc/netns; mkdir -p /run/netns {sequences.FOLDER}""")
    os.chdir(sequences.FOLDER)
    done = _shell(start)
    if done.returncode or done.stderr:
        raise RuntimeError(f"{start}\n{done.stderr}")
    calm(0.15)


def _shell(text: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(["sh", "-ec", text], stdin=-3, capture_output=True, text=True)


def typed(text: str) -> int:
    """The exit code of a command of others, when the kernel has come to rest after it."""
    if found := SETTING.fullmatch(text):
        return _written(*found.groups())
    plain = not re.search(r"[|<>;]", text)
    code = subprocess.call(
        shlex.split(text) if plain else ["sh", "-c", text], stdin=-3, stdout=-3, stderr=-3
    )
    calm(0.02)
    return code


def _written(value: str, path: str) -> int:
    try:
        Path(path).write_text(value)
    except OSError:
        return 2
    calm(0.02)
    return 0


def calm(seconds: float, limit: float = 10.0) -> None:
    """Waits until nothing has moved for some seconds, and nothing is bound to."""
    end, since, (seen, moves) = time.monotonic() + limit, time.monotonic(), oracle.pulse()
    while (moves or time.monotonic() - since < seconds) and time.monotonic() < end:
        time.sleep(0.01 if seconds < 0.1 else 0.03)
        now, moves = oracle.pulse()
        if now != seen:
            since, seen = time.monotonic(), now


def look(seconds: float) -> oracle.Facts:
    calm(seconds)
    return whole.whole()


def written(files: dict[str, str]) -> None:
    for path, text in files.items():
        Path(path).parent.mkdir(exist_ok=True)
        Path(path).write_text(text)


def command_line(*words: str) -> tuple[int, str]:
    """The exit code of cnetsh and what it said, without the start of another Python."""
    with tempfile.TemporaryFile() as said:
        pid = os.fork()
        if not pid:
            become(said.fileno(), said.fileno(), words)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        said.seek(0)
        return code, said.read().decode(errors="replace")


def become(printed: int, said: int, words: Iterable[str]) -> NoReturn:
    """Be cnetsh, with these two outputs."""
    code: Any = CRASHED
    try:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(printed, 1)
        os.dup2(said, 2)
        os.environ["CNETSH_ON"] = "host"
        signal.alarm(LONGEST)
        sys.argv = ["cnetsh", *words]
        cnetsh()
    except SystemExit as ended:
        code = ended.code or 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 1)


DO: dict[str, Callable[..., Any]] = {
    "begin": begin,
    "typed": typed,
    "look": look,
    "written": written,
    "cnetsh": command_line,
}


# --- a sequence, played

UPS = ("up", "change")


@dataclass
class Played:
    """What came of a sequence: both hosts before and after, exit codes, what cnetsh said."""

    before: oracle.Facts = field(default_factory=dict)
    after: oracle.Facts = field(default_factory=dict)
    twin: oracle.Facts = field(default_factory=dict)
    # By the number of the event, beside the lab and on the twin; of cnetsh twice the same.
    codes: dict[int, tuple[int, int]] = field(default_factory=dict)
    said: dict[int, str] = field(default_factory=dict)

    @property
    def differs(self) -> list[str]:
        return oracle.diff(self.twin, self.after)


def play(one: Sequence, without: frozenset[int] = frozenset()) -> Played:
    hosts = Host(one.start), Host(one.start)
    try:
        for host in hosts:
            host.answer()
        return _played(one, without, hosts)
    finally:
        for host in hosts:
            host.end()


def _played(one: Sequence, without: frozenset[int], hosts: tuple[Host, Host]) -> Played:
    found = Played()
    for number, event in enumerate(one.events):
        if event.what in UPS and not _is_up(one, found):
            found.before = _before(one, without, hosts)
        if number not in without:
            _happens(one, event, number, hosts, found)
    found.after, found.twin = _both(hosts, "look", 0.1)
    if found.differs:
        # What comes by itself comes within a second or so.
        found.after, found.twin = _both(hosts, "look", 1.3)
    return found


def _is_up(one: Sequence, found: Played) -> bool:
    """Whether a lab has come up so far."""
    return any(code == (0, 0) and one.events[at].what in UPS for at, code in found.codes.items())


def _before(one: Sequence, without: frozenset[int], hosts: tuple[Host, Host]) -> oracle.Facts:
    """The facts of the host; that its twin has the same is seen now and then, and in doubt."""
    if not without and one.seed % 8:
        hosts[0].ask("look", 0.1)
        return dict(hosts[0].answer())
    before, twin = _both(hosts, "look", 0.1)
    if lines := oracle.diff(twin, before):
        raise RuntimeError("the hosts differ before any lab:\n" + "\n".join(lines))
    return dict(before)


def _both(hosts: tuple[Host, Host], *words: Any) -> tuple[Any, Any]:
    for host in hosts:
        host.ask(*words)
    return hosts[0].answer(), hosts[1].answer()


def _happens(
    one: Sequence, event: Event, number: int, hosts: tuple[Host, Host], found: Played
) -> None:
    if event.what == "others":
        found.codes[number] = _both(hosts, "typed", event.command.text)
        return
    lab = one.labs[event.lab]
    host = hosts[0]
    if event.what != "down":
        host.ask("written", lab.changed if event.what == "change" else lab.files)
        host.answer()
    words = (
        ("down", lab.name)
        if event.what == "down"
        else ("up", lab.given, "--yes", "--allow-overlap")
    )
    host.ask("cnetsh", *words)
    code, found.said[number] = host.answer()
    found.codes[number] = code, code


# --- the judgement


def judged(seed: int) -> Answer:
    """What came of the sequence of a seed, as a line to print."""
    began = time.monotonic()
    one = sequences.sequence(seed)
    try:
        answer = _judged(one)
    except Exception:
        answer = {"class": BROKEN, "differs": [], "words": [traceback.format_exc()]}
    return {"seed": seed} | answer | {"seconds": round(time.monotonic() - began, 2)}


def _judged(one: Sequence) -> Answer:
    first = play(one)
    words = wrong_words(one, first)
    kind, removed, last = _traced(one, first)
    differs = real(last.differs)
    if words and kind in (EQUAL, DERIVED, EXPLAINED):
        kind = WORDS
    codes = [first.codes[number][0] for number, each in enumerate(one.events) if each.what == "up"]
    happened = [_line(one, number, first) for number in range(len(one.events))]
    return {
        "class": kind,
        "differs": brief(differs),
        "explained": brief(line for line in real(first.differs) if line not in differs),
        "by itself": brief(line for line in first.differs if BY_ITSELF.search(line)),
        "words": words,
        "without": [one.events[number].command.text for number in sorted(removed)],
        "up": codes,
        "happened": happened,
    }


def _line(one: Sequence, number: int, run: Played) -> str:
    """An event with its exit codes where they are not 0, and what cnetsh said."""
    event, codes = one.events[number], run.codes[number]
    if event.what != "others":
        said = run.said[number].rstrip().replace("\n", "\n      ")
        return f"{event.what} {one.labs[event.lab].name}: exit {codes[0]}\n      {said}"
    return event.command.text + (f"    # exit {codes[0]}, twin {codes[1]}" if any(codes) else "")


def real(lines: Iterable[str]) -> list[str]:
    """The differences but those in what the kernel makes by itself."""
    return [line for line in lines if not BY_ITSELF.search(line)]


def _traced(one: Sequence, first: Played) -> tuple[str, frozenset[int], Played]:
    """Whether the hosts are equal without the commands that were about the same as a lab's.

    With the commands left out, and the run that shows what differs for another reason.
    """
    if not real(first.differs):
        return DERIVED if first.differs else EQUAL, frozenset(), first
    removed, run = _without(one, first, _same_facts(one))
    if not real(run.differs):
        return EXPLAINED, removed, first
    more, other = _without(one, run, _same_reach(one) | removed)
    return (WRONG, removed, run) if real(other.differs) else (DOUBTFUL, more, run)


def _without(one: Sequence, run: Played, about: frozenset[int]) -> tuple[frozenset[int], Played]:
    """The run without some commands, and without those that then do not do the same on both."""
    removed = frozenset(range(len(one.events))) - run.codes.keys()
    while real(run.differs) and (more := (about | _other_codes(one, run)) - removed):
        removed |= more
        run = play(one, removed)
    return removed, run


def _others(one: Sequence) -> Iterator[tuple[int, Command]]:
    """The commands of others that are about things that are there without a lab too."""
    for number, event in enumerate(one.events):
        if event.what == "others" and not event.command.own:
            yield number, event.command


def _other_codes(one: Sequence, run: Played) -> frozenset[int]:
    """Commands that failed beside the lab and worked without, or the other way round."""
    codes = run.codes
    others = {
        number
        for number, _ in _others(one)
        if number in codes and bool(codes[number][0]) != bool(codes[number][1])
    }
    # What hangs on an object of a lab goes with it, and on the twin there is nothing to hang it on.
    own = {
        number: event.command.text
        for number, event in enumerate(one.events)
        if event.command.own and number in codes and codes[number][0] == 0 != codes[number][1]
    }
    hung = {number for number, text in own.items() if " master " in text or _left_small(text, own)}
    # A master that the kernel refuses has cost a port its old one first (kernel: do_set_master),
    # one that is not there costs it nothing.
    hung |= {
        number
        for number, event in enumerate(one.events)
        if codes.get(number) == (REFUSED, NOT_THERE) and " master " in event.command.text
    }
    return frozenset(others | hung)


def _left_small(text: str, own: dict[int, str]) -> bool:
    """Whether it makes a lab's port small that others delete, too.

    What is made on the bridge stays small, and nothing tells any more that it was by the port.
    """
    words = text.split()
    return words[4:5] == ["mtu"] and f"ip link delete {words[3]}" in own.values()


def _same_facts(one: Sequence) -> frozenset[int]:
    names = frozenset[str]().union(*(lab.names for lab in one.labs))
    return frozenset(number for number, each in _others(one) if each.names & names)


def _same_reach(one: Sequence) -> frozenset[int]:
    about = frozenset[str]().union(*(lab.names | lab.reach for lab in one.labs))
    return frozenset(number for number, each in _others(one) if (each.names | each.reach) & about)


def alone(seed: int) -> list[str]:
    """How two hosts differ after what others do in a sequence without its labs."""
    one = sequences.sequence(seed)
    labs = frozenset(number for number, each in enumerate(one.events) if each.what != "others")
    return play(one, labs).differs


def unseen(commands: Iterable[str]) -> list[str]:
    """The commands that fail, or after which the oracle sees no difference."""
    dice = random.Random(0)
    begin(sequences.start(dice) + sequences.FOREIGN_SPACE)
    seen, found = whole.whole(), []
    for text in commands:
        code, now = typed(text), whole.whole()
        found += [text] if code or not oracle.diff(seen, now) else []
        seen = now
    return found


# --- the words of the endings: all that is known of them is here

MEANWHILE = re.compile(r"changed meanwhile")
UNSEEN = re.compile(r"tables: |links/[^/]+/altnames: ")
LEFT = 3


def wrong_words(one: Sequence, run: Played) -> list[str]:
    """What the endings of `down` say that is not so, or do not say."""
    ends = [
        (run.codes[number][0], run.said[number])
        for number, event in enumerate(one.events)
        if event.what == "down" and "is not up" not in run.said[number]
    ]
    found = [f"exit {code}" for code, _ in ends if code not in (0, LEFT)]
    found += ["traceback" for text in run.said.values() if "Traceback" in text]
    changed = _seen(one, real(oracle.diff(run.before, run.after)))
    plain = all(code == 0 and not MEANWHILE.search(text) for code, text in ends)
    if ends and plain and changed and not _late(one, run):
        found.append(f"as before, but differs: {changed[0]}")
    known = any(code == LEFT and "not known" not in text for code, text in ends)
    if known and not real(run.differs):
        found.append("left behind, but nothing is")
    told = any(code == 0 and MEANWHILE.search(text) for code, text in ends)
    if len(ends) == 1 and told and run.before == run.after and not _hung(one):
        found.append("changed meanwhile, but nothing is")
    if all(one.events[number].what != "others" for number in run.codes):
        found += [f"exit {code} alone: {text[-LONG:]}" for code, text in ends
                  if code or MEANWHILE.search(text)]  # fmt: skip
    return found


def _seen(one: Sequence, lines: list[str]) -> list[str]:
    """The differences that cnetsh may be expected to see: no inside of namespaces not its own.

    Nor what no lab changes: tables of nft, other names of links.
    """
    texts = "".join(text for lab in one.labs for text in (lab.files | lab.changed).values())
    return [
        line
        for line in lines
        if not UNSEEN.match(line)
        and (not (space := re.match(r"namespaces/([^/:]+)/", line)) or f" {space[1]} " in texts)
    ]


def _late(one: Sequence, run: Played) -> bool:
    """Whether others did something when all labs were down, which no lab has to tell."""
    ends = [number for number, said in run.said.items() if "is not up" not in said]
    return any(event.what == "others" for event in one.events[max(ends, default=0) + 1 :])


def _hung(one: Sequence) -> bool:
    return any(event.command.own for event in one.events)


# --- many of them, and their summary


def many(action: Callable[[int], Any], seeds: Iterable[int]) -> Iterator[Any]:
    load()
    oracle.settings()  # so that the names of all settings are known to every fork
    with multiprocessing.get_context("fork").Pool(AT_ONCE) as pool:
        yield from pool.imap_unordered(action, seeds)


def summary(answers: Row[Answer]) -> str:
    """How many of each class, and those that are wrong by the first fact that differs."""
    counts = Counter(each["class"] for each in answers)
    ups = [code for each in answers for code in each.get("up", ())]
    lines = [f"{len(answers)} sequences; {ups.count(0)} of {len(ups)} labs came up"]
    lines += [f"{counts[kind]:>6}  {kind}" for kind in CLASSES if counts[kind]]
    groups: dict[str, list[Answer]] = {}
    for one in answers:
        if one["class"] in BAD:
            groups.setdefault(f"{one['class']}: {_shape(one)}", []).append(one)
    for name, group in sorted(groups.items(), key=lambda found: -len(found[1])):
        seeds = " ".join(str(one["seed"]) for one in group[:15])
        example = (group[0]["differs"] or group[0]["words"])[0]
        lines += ["", f"{len(group)} x {name}", f"    seeds {seeds}", f"    {example[:300]}"]
    return "\n".join(lines)


def _shape(answer: Answer) -> str:
    """The first thing that is wrong, without what is different each time."""
    if not answer["differs"]:
        return str(answer["words"][0]).splitlines()[-1][:100]
    place, _, what = answer["differs"][0].partition(": ")
    place = re.sub(r"(ipv[46])/(conf|neigh)/[^/]+/", r"\1/\2/*/", place)
    sign = what[0] if what[0] in "+-" else "->"
    if place.startswith(("links", "ports", "addresses")):
        place = re.sub(r"^(\w+)/[^/]+", r"\1/*", place)
    return f"{place} {sign}"


OF_A_LINK = re.compile(r"(settings/ipv[46]/(?:conf|neigh)/)([^/]+)/([^:]+): (.*)")


def brief(lines: Iterable[str]) -> list[str]:
    """The differences, with one line for many settings of one link, or for one of many links."""
    lines = list(lines)
    parts = [OF_A_LINK.fullmatch(line) for line in lines]
    of_links = Counter(found[2] for found in parts if found)
    of_names = Counter(found[1] + found[3] + found[4] for found in parts if found)
    shown = []
    for line, found in zip(lines, parts, strict=True):
        if found and of_links[found[2]] > MANY:
            line = f"settings/*/{found[2]}: {of_links[found[2]]} differ"
        elif found and (number := of_names[found[1] + found[3] + found[4]]) > FEW:
            line = f"{found[1]}*/{found[3]}: {found[4]}, of {number} links"
        shown.append(line if len(line) < LONG else f"{line[:LONG]} ...")
    return list(dict.fromkeys(shown))


def whole_answer(answer: Answer) -> str:
    keys = ("differs", "words", "without", "explained", "by itself")
    lines = [f"{answer['seed']}: {answer['class']}, {answer['seconds']} s, up {answer.get('up')}"]
    for key in keys:
        lines += [f"  {key}: {line}" for line in answer.get(key, ())]
    return "\n".join([*lines, *(f"    {line}" for line in answer.get("happened", ()))])


def in_private_host(seeds: Row[int]) -> list[Answer]:
    """The answers from a private host, so that nothing of the machine is touched."""
    import hosts

    holder = hosts.start_holder()
    if holder.stdout is None or holder.stdout.readline() != "ready\n":
        raise SystemExit("no private namespaces here")
    try:
        return answers_of(hosts.Private(holder.pid, hosts.host_env()), seeds)
    finally:
        hosts.end_host(holder)


def answers_of(host: Any, seeds: Row[int], seconds: float = 86_400) -> list[Answer]:
    return list(inside(host, "play", list(seeds), seconds))


def inside(host: Any, what: str, words: Row[Any], seconds: float = 600) -> Iterator[Any]:
    """What this script prints in a private host, line by line."""
    done = host.python(__file__, what, json.dumps(words), cwd=sequences.ROOT, timeout=seconds)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return map(json.loads, done.stdout.splitlines())


PLAYED: dict[str, Callable[[int], Any]] = {"play": judged, "alone": alone}


def main(what: str, *words: str) -> None:
    if what in PLAYED:
        for answer in many(PLAYED[what], json.loads(words[0])):
            print(json.dumps(answer), flush=True)
    elif what == "unseen":
        print(json.dumps(unseen(json.loads(words[0]))))
    elif what == "show":
        print("\n".join(sequences.shown(sequences.sequence(int(words[0])))))
    elif what == "run":
        print("\n\n".join(map(whole_answer, in_private_host([int(word) for word in words]))))
    else:
        first, number = map(int, words)
        print(summary(in_private_host(range(first, first + number))))


if __name__ == "__main__":
    main(*sys.argv[1:])
