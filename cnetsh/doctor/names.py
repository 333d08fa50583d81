"""Traps in names: P11 to P13, a name that is taken (P26), and one that is not there (P27)."""

from collections.abc import Iterator

from cnetsh.doctor.finding import Case, Sign, few
from cnetsh.kinds.name_server import HOME

LONGEST = 15  # bytes of a link's name: IFNAMSIZ of linux/if.h, less 1


def long_names(case: Case) -> Iterator[Sign]:
    """P11: names of links that the kernel refuses, or does not keep as they are typed."""
    for (_, name), text in case.asked.links.items():
        if len(name.encode()) > LONGEST or "%" in name or "/" in name:
            reason = f"a link's name has at most {LONGEST} bytes, without / and %"
            yield Sign("lacks", text, f"the kernel refuses {name}: {reason}", "a shorter name")


def netns_files(case: Case) -> Iterator[Sign]:
    """P12: `ip netns exec` puts files of /etc/netns/NAME in the place of those in /etc."""
    for name in sorted({*case.asked.netns, *case.asked.entered}):
        path = f"{HOME}/{name}"
        if path not in case.facts.snapshot.folders or path in case.asked.folders:
            continue
        effect = (
            f"in {name}, ip netns exec shows its files instead of those in /etc; nsenter does not"
        )
        yield Sign("note", f"{path} exists", effect, "remove it, unless it is wanted")


def inside(case: Case) -> Iterator[Sign]:
    """P13: processes that keep a namespace alive, and files that are no namespace any more."""
    names = {*case.asked.netns, *case.asked.entered}
    for name in sorted(names & case.facts.inside.keys()) if not case.is_up else ():
        effect = f"what the lab does in {name} happens to them, and they outlive its deletion"
        yield Sign(
            "warn", f"in {name}: {few(case.facts.inside[name], ', ')}", effect,
            f"ip netns pids {name} names them; end them first, or take another name",
        )  # fmt: skip
    for name, inode in sorted(case.facts.snapshot.namespaces.items()):
        if not inode and (case.plan is None or name in names):
            effect = "ip netns add refuses the name, and nothing can be run in it"
            evidence = f"/run/netns/{name} is a file without a namespace"
            yield Sign("warn", evidence, effect, f"ip netns delete {name}")


def taken(case: Case) -> Iterator[Sign]:
    """P26: a link, namespace or folder that the plan makes is there, and is not this lab's."""
    if case.is_up:
        return
    seen = case.facts.snapshot
    found = [
        f"{seen.links[name].get('kind') or 'link'} {name}"
        for name in sorted(case.asked.own_links & seen.links.keys())
    ]
    found += [
        f"namespace {name}" for name in sorted(case.asked.netns.keys() & seen.namespaces.keys())
    ]
    found += [f"folder {path}" for path in sorted(case.asked.folders.keys() & seen.folders.keys())]
    if found:
        effect = "File exists: the lab cannot come up, and nothing is tried"
        advice = "another name (in the lab file, else with --set), or remove what is there"
        yield Sign("lacks", few(found), effect, advice)


def absent(case: Case) -> Iterator[Sign]:
    """P27: the plan uses a link or namespace that it does not make and that is not there."""
    if case.is_up:
        return
    asked, seen = case.asked, case.facts.snapshot
    known = {"lo", *asked.own_links, *seen.links}
    lines = [text for name, text in asked.uses.items() if name not in known]
    homes = {*asked.netns, *(name for name, inode in seen.namespaces.items() if inode)}
    lines += [text for name, text in asked.entered.items() if name not in homes]
    if lines:
        effect = "the first of these commands fails, so the lab cannot come up"
        yield Sign("lacks", few(lines), effect, "make it first, or name another")
