"""Strikes commands at random moments, and says after each what is not as it was told or should be.

A script for the inside of a private host: `python deaths.py JSON`, one line of JSON for each run.
Each run has a network, /run and /etc/netns of its own, and a twin to which the administrator does
the same, but which never has a lab. A run's choices follow from its seed; its moment, from how long
the command takes here. cnetsh is called by its command line, in a forked process, so that Python
starts once for all.
"""

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import oracle
from changes import seen as calm

import cnetsh.cli.main
from cnetsh.__main__ import begin
from cnetsh.system import namespace

WORLD = """
mount -t tmpfs tmpfs /run && mkdir -p -m 700 /run/netns /run/cnetsh /etc/netns
mount -t tmpfs -o size=256k,mode=700 tmpfs /run/cnetsh && mount -t tmpfs tmpfs /etc/netns
mount -t sysfs sysfs /sys
cd /proc/sys/net/ipv6/conf
echo 0 | tee all/accept_dad default/accept_dad all/router_solicitations >/dev/null
ip link set lo up
ip link add eth7 type veth peer name eth7x && ip link set eth7x up && ip link set eth7 up
ip addr add 10.66.0.1/24 dev eth7
ip link add br9 type bridge && ip link add p9 type veth peer name q9 && ip link set p9 master br9
ip link set p9 up && ip link set q9 up && ip link set br9 up && ip addr add 10.5.0.1/24 dev br9
"""
NAT = "name: d\nbridges:\n  br1: {address: 10.31.0.1/24, nat: true}\ncontainers:\n"
LABS = {
    "small": NAT + "  a: {bridge: br1}\n",
    "named": NAT
    + "  a: {bridge: br1, count: 2, dns: 1.1.1.1}\n  w: {bridge: br1, publish: [8080:80]}\n",
    "plain": "name: d\nbridges:\n  br1: {address: 10.32.0.1/24}\ncontainers:\n  b: {bridge: br1}\n",
    "guest": "name: d\nbridges:\n  br9: {external: true}\ncontainers:\n"
    "  c: {gateway: none, interfaces: [{bridge: br9, address: 10.5.0.7/24}]}\n",
}
ADMINISTRATOR = (
    "ip addr add 192.168.7.1/24 dev eth7",
    "ip addr add 192.168.8.1/24 dev br9",
    "ip route add 203.0.113.0/24 via 10.66.0.254",
    "ip route add 198.51.100.0/24 via 10.5.0.9",
    "ip link set eth7 mtu 1400",
    "ip link set br9 alias mine",
    "ip link set p9 mtu 1450",
    "iptables -A FORWARD -p tcp --dport 80 -j ACCEPT",
    "iptables -t nat -I POSTROUTING -s 10.77.0.0/24 -j MASQUERADE",
    "iptables -I INPUT -s 192.0.2.1 -j DROP",
    "ip rule add from 10.99.0.0/16 lookup main pref 1000",
    "echo 2 > /proc/sys/net/ipv4/conf/eth7/rp_filter",
    "ip link add adm0 type veth peer name adm1 && ip link set adm1 up && ip link set adm0 up",
    "ip link add adm9 type bridge && ip addr add 10.88.0.1/24 dev adm9 && ip link set adm9 up",
)
COMMANDS = {
    "first": "up {lab} --on sandbox",
    "up": "up {lab} --allow-overlap --yes",
    "change": "up {other} --allow-overlap --yes",
    "down": "down d",
    "check": "check d",
    "recover": "recover",
}
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
HOWS = (*(one.name for one in SIGNALS), "SIGKILL", "child", "child", "full")
TOLD = ("left behind", "recover", "killed")
FILLER = Path("/run/cnetsh/filler")
PATIENCE = 120.0
# Seconds in which the last of what was ended has gone.
GONE = 5.0
Row = dict[str, Any]


class Run:
    """A run's choices, all by its seed."""

    def __init__(self, seed: int) -> None:
        chance = self.chance = random.Random(seed)
        self.seed = seed
        self.command = list(COMMANDS)[seed % len(COMMANDS)]
        hows = HOWS[:-1] if self.command == "first" else HOWS
        self.how = chance.choice(hows)
        self.lab, self.other = chance.sample(sorted(LABS), 2)
        # Before the lab, while it is up, and after the death.
        foreign = chance.sample(ADMINISTRATOR, 6) if seed // len(COMMANDS) % 2 else []
        self.before, self.between, self.after = foreign[:2], foreign[2:4], foreign[4:]
        self.part = chance.random()

    def line(self, command: str) -> list[str]:
        """The command line of one of COMMANDS."""
        files = {"lab": f"/run/{self.lab}.yaml", "other": f"/run/{self.other}.yaml"}
        return COMMANDS[command].format(**files).split()

    def __str__(self) -> str:
        foreign = "with the administrator" if self.before else "alone"
        labs = f"{self.lab} to {self.other}" if self.command == "change" else self.lab
        return f"{self.seed} {self.command} {labs}, {self.how} at {self.part:.3f}, {foreign}"


def in_world(action: Callable[[], Row]) -> Row:
    """What the action gives in a host of its own, which ends with it."""
    with tempfile.TemporaryFile("w+") as answer:
        pid = os.fork()
        if not pid:
            try:
                namespace.unshare(namespace.NET | namespace.MOUNT)
                namespace.mount("none", "/", "none", namespace.MS_REC | namespace.MS_PRIVATE)
                shell(WORLD)
                for name, text in LABS.items():
                    Path(f"/run/{name}.yaml").write_text(text, encoding="utf-8")
                answer.write(json.dumps(action()))
                answer.flush()
            except BaseException:
                traceback.print_exc()
            os._exit(0)
        os.waitpid(pid, 0)
        answer.seek(0)
        return dict(json.loads(answer.read()))


def shell(script: str) -> None:
    subprocess.run(["sh", "-ec", script], check=True, env={"PATH": oracle.PATH})


class Command:
    """A cnetsh that runs, in a session of its own."""

    def __init__(self, argv: list[str]) -> None:
        self.said = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the process)
        self.pid = os.fork()
        if not self.pid:
            os.setsid()
            for stream in (1, 2):
                os.dup2(self.said.fileno(), stream)
            sys.argv = ["cnetsh", *argv]
            code = 70
            try:
                begin()
            except SystemExit as ended:
                code = int(ended.code or 0)
            except BaseException:
                traceback.print_exc()
            sys.stdout.flush()
            os._exit(code)

    @property
    def says_up(self) -> bool:
        """Whether it has said by now that its lab is up."""
        # It goes on writing where it is in the file.
        return b"d is up: " in os.pread(self.said.fileno(), 1 << 20, 0)

    def end(self) -> tuple[int, str]:
        """Its exit code, negative for a signal, and what it said; 99 when it does not end."""
        deadline = time.monotonic() + PATIENCE
        while not (ended := os.waitpid(self.pid, os.WNOHANG))[0]:
            if time.monotonic() > deadline:
                os.killpg(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
                return 99, "it does not end"
            time.sleep(0.002)
        self.said.seek(0)
        return os.waitstatus_to_exitcode(ended[1]), self.said.read().decode(errors="replace")


def cnetsh(*argv: str) -> tuple[int, str]:
    return Command(list(argv)).end()


def descendants(pid: int) -> list[int]:
    found = []
    with suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208
            for child in Path(f"/proc/{pid}/task/{thread}/children").read_text().split():
                found += [int(child), *descendants(int(child))]
    return found


def strike(run: Run, command: Command) -> bool:
    """Strikes it; whether that ended the sandbox of a lab that had been said to be up by then."""
    if run.how == "full":
        with suppress(OSError), FILLER.open("wb", buffering=0) as filler:
            while True:
                filler.write(bytes(4096))
    elif run.how == "child":
        if found := descendants(command.pid):
            victim = run.chance.choice(found)
            last = command.says_up and holds_a_sandbox(victim)
            with suppress(ProcessLookupError):
                os.kill(victim, signal.SIGKILL)
                return last
    else:
        os.kill(command.pid, signal.Signals[run.how])
    return False


def holds_a_sandbox(pid: int) -> bool:
    """Whether it is the sandbox's holder or its process 1."""
    with suppress(OSError):
        return b"/holder.py\0" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False


def prepare(run: Run) -> str:
    """Brings up what the command needs; nothing, or what went wrong."""
    if run.command in ("change", "down", "check"):
        code, said = cnetsh(*run.line("up"))
        return f"up: exit {code}\n{said}" if code else ""
    if run.command == "recover":
        dying = Command(run.line("up"))
        time.sleep(run.chance.uniform(0.3, 0.9) * duration("up", run.lab))
        os.kill(dying.pid, signal.SIGKILL)
        dying.end()
    return ""


@cache
def duration(command: str, lab: str) -> float:
    """How long a command takes that nothing strikes."""

    def measured() -> Row:
        run = Run(0)
        run.command, run.lab, run.other = command, lab, next(one for one in LABS if one != lab)
        prepare(run)
        since = time.monotonic()
        cnetsh(*run.line(command))
        took = time.monotonic() - since
        cnetsh("sandbox", "stop")
        return {"seconds": took}

    return float(in_world(measured)["seconds"])


def seen() -> oracle.Facts:
    return oracle.shape(oracle.at_rest())


def differs(wanted: oracle.Facts) -> list[str]:
    """How the kernel differs, when what goes with what was ended is gone."""
    deadline = time.monotonic() + GONE
    while (lines := oracle.diff(wanted, seen())) and time.monotonic() < deadline:
        time.sleep(0.3)
    return lines


def struck(run: Run, seconds: float, wanted: oracle.Facts) -> Row:
    """One run; wanted is what the kernel has to be after it."""
    administer(run.before)
    wrong = {"prepare": said} if (said := prepare(run)) else {}
    administer(run.between)
    before, command = calm(), Command(run.line(run.command))
    time.sleep(run.part * seconds)
    last = strike(run, command)
    code, said = command.end()
    FILLER.unlink(missing_ok=True)
    wrong |= untrue(run, code, said, before)
    # A sandbox that is ended once its lab is up takes that along: what was said was so.
    gone = last and code == 0 and bool(wrong.pop("status", ""))
    administer(run.after)
    ends = [cnetsh(*line.split()) for line in endings(run)]
    if any(each[0] for each in ends) or any("Traceback" in each[1] for each in ends):
        wrong["recover"] = "".join(f"exit {one}\n{text}" for one, text in ends)
    if lines := differs(wanted):
        wrong["not the twin"] = "\n".join(lines)
    told = {"said": said, "ends": [text for _, text in ends]}
    return {"exit": code, "wrong": wrong, "gone": gone} | told


def endings(run: Run) -> list[str]:
    if run.command == "first":
        return ["recover --on sandbox", "down d --on sandbox", "sandbox stop"]
    return ["recover", "down d"]


def administer(commands: list[str]) -> None:
    if commands:
        shell("\n".join(commands))


def untrue(run: Run, code: int, said: str, before: oracle.Facts) -> dict[str, str]:
    """What the exit code says, and is not so."""
    wrong = {"traceback": said} if "Traceback" in said else {}
    if code not in allowed(run):
        wrong["code"] = str(code)
    elif code == 3 and not any(word in said for word in TOLD):
        wrong["not told"] = said
    elif (rolled_back(code) or run.command == "check") and (lines := oracle.diff(before, calm())):
        wrong["not as before"] = "\n".join(lines)
    elif run.command in ("first", "up", "change") and code >= 0 and code != 3:
        target = ["--on", "sandbox"] if run.command == "first" else []
        up = " up " in cnetsh("status", *target)[1]
        if up != (code == 0 or run.command == "change"):
            wrong["status"] = f"up is {up}"
    return wrong


def rolled_back(code: int) -> bool:
    return code in (1, 2, *(128 + number for number in SIGNALS))


def allowed(run: Run) -> set[int]:
    # A new sandbox has no bridge to be a guest of.
    refused = {2} if (run.command, run.lab) == ("first", "guest") else set()
    if run.how == "SIGKILL":
        return {0, -signal.SIGKILL} | refused
    if run.how in ("child", "full"):
        return {0, 1, 2, 3}
    number = signal.Signals[run.how]
    # Before cnetsh has begun, a signal just ends Python.
    return {0, 3, 128 + number, -number} | refused


@cache
def twin(*foreign: str) -> oracle.Facts:
    """The kernel of a host to which only this was done."""

    def administered() -> Row:
        administer(list(foreign))
        return seen()

    return in_world(administered)


def row_of(run: Run) -> Row:
    like = run.lab if run.lab == "named" or run.command == "first" else "small"
    seconds, wanted = duration(run.command, like), twin(*run.before, *run.between, *run.after)
    row = in_world(lambda: struck(run, seconds, wanted))
    return {"run": str(run), "command": run.command, "how": run.how} | row


def main(seeds: list[int]) -> Iterator[Row]:
    for seed in seeds:
        yield row_of(Run(seed))


if __name__ == "__main__":
    os.environ["CNETSH_ON"] = "host"
    for line in main(**json.loads(sys.argv[1])):
        print(json.dumps(line), flush=True)
