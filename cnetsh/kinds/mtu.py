"""What follows from the MTU of a link: the MTU of a bridge, of what is made on it, and IPv6."""

from collections.abc import Iterator
from typing import Any

from cnetsh.kinds.change import Change, Fact, Found, Reach, Ref, Set, State, values_of

ETHERNET = 1500
# No MTU below has IPv6 on a link (RFC 8200).
LEAST_OF_SIX = 1280
TOO_SMALL = f": its MTU is below {LEAST_OF_SIX}"


def resized(change: Change) -> str:
    """Give the link of the target's own namespace whose MTU a change sets, or may make smaller."""
    match change:
        case Set(Ref("link", "", name), "mtu") | Set(Ref("link", ""), "master", str(name)):
            return name
    return ""


def six_of(link: Ref) -> tuple[Reach, Reach]:
    """Give what goes with IPv6 of a link: all that needs it, and its settings."""
    return ("six", *link[1:]), ("settings", *link[1:])


def reach(link: Ref, state: State) -> Iterator[Reach]:
    """Give what another MTU costs a link and those that follow it: its bridge, what is on it."""
    names = [link.name]
    for name in names:
        ref = link._replace(name=name)
        yield from six_of(ref)
        above = [up for several in values_of(ref, "above", state) for up in several]
        # What is on it keeps the small one, a bridge does not.
        yield from (("mtu", link.netns, up) for up in above)
        names += {*above, *values_of(ref, "master", state)}.difference(names)


def least_of_ports(fact: Fact, found: Found) -> Any:
    """Give the MTU, or the MAC address, of a bridge that follows its ports: the least of theirs.

    Of one without ports that is None (kernel: br_mtu_auto_adjust, br_stp_recalculate_bridge_id).
    """
    ports = [found.get(fact._replace(ref=port.ref)) for port, master in found.items()
             if port.key == "master" and master == fact.ref.name]  # fmt: skip
    known = [one for one in ports if one is not None]
    return min(known, default=ETHERNET if fact.key == "mtu" else None)
