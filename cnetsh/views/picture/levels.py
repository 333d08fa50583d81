"""How far from the host each container is drawn: one row for each cable on the way."""

from collections.abc import Iterable, Mapping

from cnetsh.views.picture.placing import Placed


def levels(nodes: Iterable[Placed], on_host: Iterable[str]) -> dict[str, int]:
    """Give each container's level: 0 on the host, then by distance.

    Without a host between them the end points are at the bottom, routers above by their distance.
    """
    known = {one.it.name: one for one in nodes}
    near = {name: _neighbours(one, known) for name, one in known.items()}
    first = list(on_host)
    found = _distances(near, first)
    for name in known:
        if name not in found:
            part = _lone(near, known, name)
            found |= {one: level + bool(first) for one, level in part.items()}
    return found


def _neighbours(one: Placed, known: Mapping[str, Placed]) -> list[str]:
    others = {plug.port.other[0] for plug in one.plugs if plug.port.other}
    return sorted(others & known.keys())


def _distances(near: Mapping[str, list[str]], roots: Iterable[str]) -> dict[str, int]:
    found = dict.fromkeys(roots, 0)
    waiting = list(found)
    for name in waiting:
        for other in near[name]:
            if other not in found:
                found[other] = found[name] + 1
                waiting.append(other)
    return found


def _lone(near: Mapping[str, list[str]], known: Mapping[str, Placed], name: str) -> dict[str, int]:
    """Give the levels of what a container is connected with, none of which is on the host."""
    part = _distances(near, [name])
    ends = [one for one in part if not known[one].it.router]
    if ends and len(ends) < len(part):
        part = _distances(near, ends)
        deepest = max(part.values())
        return {one: deepest - level for one, level in part.items()}
    if sum(len(near[one]) for one in part) // 2 > len(part):
        # More cables than containers: two rows, the smaller half above.
        even = [one for one in part if part[one] % 2 == 0]
        odd = [one for one in part if part[one] % 2]
        return {one: int(one not in min(even, odd, key=len)) for one in part}
    return part
