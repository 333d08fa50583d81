"""Traps in names: P11 to P13, a name that is taken (P26), and one that is not there (P27)."""

from collections.abc import Iterator

from cnetsh.compare import preview
from cnetsh.doctor.finding import Case, Sign, few
from cnetsh.kinds.change import Ref, namespace_ref
from cnetsh.kinds.name_server import HOME

_LONGEST = 15  # bytes of a link's name: IFNAMSIZ of linux/if.h, less 1


def long_names(case: Case) -> Iterator[Sign]:
    """P11: names of links that the kernel refuses, or does not keep as they are typed."""
    for (_, name), text in case.asked.links.items():
        if len(name.encode()) > _LONGEST or "%" in name or "/" in name:
            reason = f"a link's name has at most {_LONGEST} bytes, without / and %"
            yield Sign("lacks", text, f"the kernel refuses {name}: {reason}", "a shorter name")


def netns_files(case: Case) -> Iterator[Sign]:
    """P12: `ip netns exec` puts files of /etc/netns/NAME in the place of those in /etc."""
    for name in sorted(_namespaces(case)):
        path = f"{HOME}/{name}"
        if Ref("folder", "", path) in case.seen.now and path not in case.asked.folders:
            instead = "its files instead of those in /etc; nsenter does not"
            effect = f"in {name}, ip netns exec shows {instead}"
            yield Sign("note", f"{path} exists", effect, "remove it, unless it is wanted")


def _namespaces(case: Case) -> set[str]:
    return {*case.asked.netns, *case.asked.entered}


def kept_alive(case: Case) -> Iterator[Sign]:
    """P13: processes that keep a namespace alive, and files that are no namespace any more."""
    names = _namespaces(case)
    for name in sorted(names & case.seen.inside.keys()) if not case.is_up else ():
        effect = f"what the lab does in {name} happens to them, and they outlive its deletion"
        seen, advice = few(case.seen.inside[name], ", "), "end them first, or take another name:"
        yield Sign("warn", f"in {name}: {seen}", effect, advice, (f"ip netns pids {name}",))
    ghosts = [name for name, facts in case.seen.all_of("netns") if not facts["mark"]]
    for name in sorted(ghosts):
        if case.plan is None or name in names:
            effect = "ip netns add refuses the name, and nothing can be run in it"
            evidence = f"/run/netns/{name} is a file without a namespace"
            yield Sign("warn", evidence, effect, "remove it:", (f"ip netns delete {name}",))


def name_taken(case: Case) -> Iterator[Sign]:
    """P26: a link, namespace or folder that the plan makes is there, and is not this lab's."""
    refs = [Ref("link", "", name) for name in sorted(case.asked.own_links)]
    refs += map(namespace_ref, sorted(case.asked.netns))
    refs += [Ref("folder", "", path) for path in sorted(case.asked.folders)]
    found = [text for ref in refs if (text := preview.taken(ref, case.seen.now))]
    if found and not case.is_up:
        effect = "File exists: the lab cannot come up, and nothing is tried"
        names = [ref.name for ref in refs if ref.kind == "link" and ref in case.seen.now]
        yield Sign("lacks", few(found), effect, "; ".join(_instead(names, case)))


def _instead(names: list[str], case: Case) -> Iterator[str]:
    """Give what to do about names that are there: what is in use is not to be removed."""
    asked, used = case.asked, sorted(_used_links(case).intersection(names))
    for lab in sorted(case.seen.labs):
        yield f"take down {lab}, which is up, if what is there is of that lab"
    for name in names:
        if name in asked.moved and asked.pairs.get(name, name) not in names:
            made = f"type veth peer name {name} netns {asked.moved[name]}"
            yield f"make it where it goes: ip link add {asked.pairs[name]} {made}"
    other = "another name (in the lab file, else with --set)"
    yield other if used else f"{other}, or remove what is there"
    if used:
        stays = "is in use and stays" if len(used) == 1 else "are in use and stay"
        yield f"{few(used, ', ')} {stays}"


def _used_links(case: Case) -> set[str]:
    """Give the links that have an address or a route of somebody's, or carry the ssh session."""
    found = [*case.seen.all_of("address"), *case.seen.all_of("route")]
    # Those that every link has of IPv6 are nobody's.
    used = {facts.get("dev", "") for name, facts in found if not name.startswith(("fe80:", "ff"))}
    return used | ({case.seen.ssh.link} if case.seen.ssh else set())


def absent(case: Case) -> Iterator[Sign]:
    """P27: the plan uses a link or namespace that it does not make and that is not there."""
    asked, seen = case.asked, case.seen
    links = {"lo", *asked.own_links, *(name for name, _ in seen.all_of("link"))}
    netns = {*asked.netns, *(name for name, facts in seen.all_of("netns") if facts["mark"])}
    first = {other: name for name, facts in seen.all_of("link") for other in facts["names"]}
    lines = [f"{text}: {name} is another name of {first[name]}: say {first[name]}"
             if name in first else text
             for name, text in asked.uses.items() if name not in links]  # fmt: skip
    lines += [text for name, text in asked.entered.items() if name not in netns]
    if lines and not case.is_up:
        effect = "the first of these commands fails, so the lab cannot come up"
        yield Sign("lacks", few(lines), effect, "make it first, or name another")
