"""What the samples of all kinds need around them, and what is done to them by hand.

The battery of a new kind is its SAMPLES; what they need that is not here is a line of WORLD.
"""

import subprocess
from collections.abc import Iterator
from functools import cache

from cnetsh import kinds
from cnetsh.kinds.change import Change, Make, Move, Ref, Set, namespace_ref, refs_of
from cnetsh.plan.steps import changes_of

SAMPLES = [text for kind in kinds.MODULES for text in kind.SAMPLES]
# Types of links that many kernels come without; in a VM all are tried (make vm-test).
RARE = ("dummy", "ipvlan", "vlan")
# IPv6 would need seconds to come to rest.
STILL = """
cd /proc/sys/net/ipv6/conf/default
echo 1 > addr_gen_mode; echo 0 > accept_dad; echo 0 > router_solicitations; cd /
"""
# By the objects that they make, the commands that make them: in a shell, or as steps of a plan.
WORLD = {
    ("netns n0",): "ip netns add n0",
    ("netns n1",): "ip netns add n1",
    ("link p0", "link p1"): (
        "ip link add p0 type veth peer name p1\nip link set p0 up\nip link set p1 up\n"
        "ip address add 10.0.0.9/8 dev p0\nip address add fd00::9/64 dev p0 nodad"
    ),
    # Down: one that is up and had no port before loses its carrier with its last port. Without a
    # MAC address of its own it would lose that too (test_foreign.py).
    ("link br0",): "ip link add br0 address 02:00:00:00:00:b0 type bridge",
    ("home /etc/netns",): "#: undo none: empty, it has no effect\nmkdir -p /etc/netns",
    ("folder /etc/netns/n0",): "mkdir /etc/netns/n0",
}
# By the value that a sample sets: what makes another one of it before.
ANOTHER = {
    ("up", True): "ip link set p0 down",
    ("master", None): "ip link set p0 master br0",
    ("hairpin", True): "ip link set p0 master br0",
}
# By key: another value than a sample sets, where a kind knows no opposite.
BY_HAND = {"mtu": 1300, "master": "br0"}


def lacks(text: str) -> bool:
    """Whether this kernel has no such type of link as a sample makes."""
    kind = next((one.facts.get("kind") for one in changes_of(text) if isinstance(one, Make)), "")
    return kind in RARE and _unknown(kind)


@cache
def _unknown(kind: str) -> bool:
    # Without what it is on, one that is known is refused for that.
    make = ["ip", "link", "add", "probe0", "type", kind]
    argv = ["unshare", "--user", "--map-root-user", "--net", *make]
    return "Unknown device type" in subprocess.run(argv, capture_output=True, text=True).stderr


def around(text: str) -> tuple[str, str]:
    """What is there before a sample, as a shell script, and what its own plan makes before it."""
    changes = changes_of(text)
    made = {_called(ref) for one in changes if isinstance(one, Make) for ref in refs_of(one)}
    own = {each for one in changes for each in _own(one)}
    parts = {key: lines for key, lines in WORLD.items() if made.isdisjoint(key)}
    mine = [lines for key, lines in parts.items() if not own.isdisjoint(key)]
    others = [lines for key, lines in parts.items() if own.isdisjoint(key)]
    others += [ANOTHER[_value(one)] for one in changes if _value(one) in ANOTHER]
    return "\n".join([STILL, *others, ""]), "".join(f"{lines}\n" for lines in mine)


def _own(change: Change) -> Iterator[str]:
    """What a plan must have made itself, or its undo would be a guess: namespaces, and so on."""
    places = [*refs_of(change), *([change.to] if isinstance(change, Move) else [])]
    for ref in places:
        if ref.netns:
            yield _called(namespace_ref(ref.netns))
    if isinstance(change, Move):
        yield _called(change.ref)
    if isinstance(change, Make) and change.on and change.on.kind == "folder":
        yield _called(change.on)


def _called(ref: Ref) -> str:
    return f"{ref.kind} {ref.name}"


def _value(change: Change) -> object:
    return (change.key, change.value) if isinstance(change, Set) else None


def sets_only(text: str) -> bool:
    """Whether a sample sets values of what others have, so that it works where they are so."""
    changes = changes_of(text)
    return all(isinstance(one, Set) for one in changes)


def by_hand(text: str) -> str:
    """The commands by which somebody takes a sample back behind the lab's back."""
    change = changes_of(text)[0]
    if isinstance(change, Move):
        change = Make(change.to, {})
    opposite = kinds.inverse(change)
    if opposite is None and isinstance(change, Set) and change.key in BY_HAND:
        opposite = change._replace(value=BY_HAND[change.key])
    assert opposite, f"{text}: say in BY_HAND to what somebody else sets it"
    return "\n".join(kinds.write(opposite))
