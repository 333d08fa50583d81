"""Traps in the target's firewall: P01, P02, P05, P06, P09 and P10."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from cnetsh.doctor import outcome
from cnetsh.doctor.finding import Case, Severity, Sign
from cnetsh.kinds import called
from cnetsh.kinds.change import Ref

# By tool: the version of IP, and the end of the path of its forwarding.
_FAMILIES = {"iptables": (4, "/ipv4/ip_forward"), "ip6tables": (6, "/ipv6/conf/all/forwarding")}
MARK = "cnetsh:"  # the comment in rules of labs, which only concern the lab's own links
MOST_RULES = 3
# A policy, and a last rule that does what a policy would.
_DROPS = re.compile(r":FORWARD DROP\b.*|-A FORWARD -j (DROP|REJECT)( --reject-with \S+)?")
_ADD = "leave the policy, and add:"
_LEFT = re.compile(r"-A POSTROUTING -s \S+ ! -o ([^\s+]+) .*-j MASQUERADE.*")
_BEGINS = {"firewalld": (":FWDI_", ":FORWARD_direct", ":IN_public"), "ufw": (":ufw-",)}


class Filter(NamedTuple):
    """What drops packets that are passed on: the tool of its family, where it is, and its text."""

    tool: str
    home: str
    text: str


def forward_drop(case: Case) -> Iterator[Sign]:
    """P01: packets that the host passes on are dropped unless a rule accepts them.

    Of a plan the model of forwarding tells, but for chains of nftables, which it does not read.
    """
    yield from outcome.walled(case)
    for one in _filters(case):
        evidence, rules = f"{one.home}: {one.text}", _accept(case, one)
        if case.plan is None:
            yield Sign("warn", evidence, "containers reach nothing beyond their bridge", *rules)
        elif one.home.startswith("nft") and host_forwards(case, one.tool):
            lost = f"packets between {case.asked.lab} and the outside are dropped without a word"
            yield Sign("warn", evidence, lost, *rules)


def _filters(case: Case) -> Iterator[Filter]:
    for tool in _FAMILIES:
        for home, line in _filter_lines(case, tool):
            if _DROPS.fullmatch(line):
                yield Filter(tool, home, _shown(line))
    for chain in case.seen.chains:
        # Those of iptables are read above, in its own words.
        of_iptables = chain.table in ("ip filter", "ip6 filter") and chain.name == "FORWARD"
        if chain.hook == "forward" and chain.policy == "drop" and not of_iptables:
            tool = "ip6tables" if chain.table.startswith("ip6 ") else "iptables"
            yield Filter(tool, f"nft table {chain.table}", f"chain {chain.name}: policy drop")


def _shown(line: str) -> str:
    """Give a policy of iptables-save as `iptables -S` prints it, and a rule as it is."""
    return line.replace(":", "-P ", 1) if line[0] == ":" else line


def _filter_lines(case: Case, tool: str) -> Iterator[tuple[str, str]]:
    """Give the lines of the filter tables of both back ends, and which one it is."""
    for home in (tool, f"{tool}-legacy"):
        yield from ((home, line) for line in _lines(case, f"{home} filter"))


def _lines(case: Case, key: str) -> list[str]:
    """Give the rules of a table, none of a legacy one that `iptables` itself shows already."""
    shown = "-legacy " in key and case.seen.backend == "legacy"
    return [] if shown else case.tables.get(key, [])


def host_forwards(case: Case, tool: str = "iptables") -> bool:
    """Say whether the host passes on packets of the plan's containers."""
    version, ending = _FAMILIES[tool]
    already = case.seen.setting(f"/proc/sys/net{ending}") == "1" and bool(case.asked.routed)
    here = {one.ip.version for one in case.asked.addresses if not one.netns}
    return case.asked.turns_on(ending) or (already and version in here)


def _accept(case: Case, one: Filter) -> tuple[str, tuple[str, str]]:
    """Give what to do about a filter, and the commands."""
    bridge = case.bridge
    if one.home.startswith("nft"):
        rule = f"nft insert rule {one.home.removeprefix('nft table ')} {one.text.split()[1][:-1]}"
        back = "ct state established,related accept"
        return _ADD, (f"{rule} iifname {bridge} accept", f"{rule} oifname {bridge} {back}")
    # Docker calls this chain before its own, and leaves alone what is in it.
    docker = "-A FORWARD -j DOCKER-USER" in _lines(case, f"{one.home} filter")
    rule = f"{one.home} -I {'DOCKER-USER' if docker else 'FORWARD'}"
    back = "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"
    return _ADD, (f"{rule} -i {bridge} -j ACCEPT", f"{rule} -o {bridge} {back}")


def bridged_frames(case: Case) -> Iterator[Sign]:
    """P02: frames inside a bridge pass the rules of iptables as if they were routed.

    What that does to a plan, the model of forwarding tells.
    """
    for tool in _FAMILIES:
        path, rules = f"/proc/sys/net/bridge/bridge-nf-call-{tool}", _forward_rules(case, tool)
        # The two families say the same, so the second one speaks only of rules.
        told = case.plan is None and (rules or tool == "iptables")
        if not told or case.seen.setting(path) != "1":
            continue
        evidence = "\n".join((f"{path} is 1", *rules[:MOST_RULES]))
        if rules:
            effect = "frames between containers of one bridge pass these rules and may be dropped"
            advice = f"{tool} -I FORWARD -i BRIDGE -o BRIDGE -j ACCEPT"
            yield Sign(
                "warn", evidence, effect, "accept them before, for a bridge BRIDGE:", (advice,)
            )
        else:
            effect = "frames between containers pass the chain FORWARD"
            effect += ", and nothing there stops them"
            yield Sign("note", evidence, effect, "nothing, as long as no rule is added")


def _forward_rules(case: Case, tool: str) -> list[str]:
    """Give what the chain FORWARD holds, but for the rules of labs."""
    begins = ("-A FORWARD ", ":FORWARD ")
    lines = _filter_lines(case, tool)
    own = [(home, line) for home, line in lines if line.startswith(begins) and MARK not in line]
    chains = (f"{one.home}: {one.text}" for one in _filters(case) if one.home.startswith("nft"))
    return [*(f"{home}: {_shown(line)}" for home, line in own), *chains]


def rule_there(case: Case) -> Iterator[Sign]:
    """P05: a rule of the plan is there already, and iptables -A adds it once more."""
    for rule in () if case.is_up else case.asked.rules:
        if rule.ref in case.seen.now and rule.words[0] in ("-A", "-I"):
            home, line = f"{rule.tool} -t {rule.table}", called(rule.ref).partition(": ")[2]
            effect = "it is there twice then; down takes the lab's own, and the other goes on"
            without = (_deleted(home, line),)
            yield Sign("warn", f"{home}: {line}", effect, "if nobody else needs it:", without)


def _deleted(home: str, line: str) -> str:
    return f"{home} {line.replace('-A', '-D', 1)}"


def leftovers(case: Case) -> Iterator[Sign]:
    """P06: a rule to translate what leaves by any link but one that no longer exists."""
    for tool in ("iptables", "ip6tables", "iptables-legacy"):
        home = f"{tool} -t nat"
        for line in _lines(case, f"{tool} nat"):
            found = _LEFT.fullmatch(line)
            if found and Ref("link", "", found[1]) not in case.seen.now:
                effect = f"it still translates, although there is no link {found[1]}"
                without = (_deleted(home, line),)
                yield Sign("note", f"{home}: {line}", effect, "if nobody needs it:", without)


def two_back_ends(case: Case) -> Iterator[Sign]:
    """P09: the back end that `iptables` does not show has rules too."""
    other = "nft" if case.seen.backend == "legacy" else "legacy"
    lines = list(case.seen.other_rules)
    for key in (key for key in case.tables if "-legacy " in key):
        # A chain without rules, and a policy that accepts, stop nothing.
        stops = (line for line in _lines(case, key) if line[0] != ":" or line.endswith("DROP"))
        lines += [f"{key}: {line}" for line in stops]
    if lines:
        asked = f"what is added by iptables is not asked by the {other} one"
        effect = f"a packet has to pass both; {asked}"
        advice = f"read iptables-{other}-save too, and keep the rules in one of them"
        evidence = "\n".join((f"rules in the {other} back end: {len(lines)}", *lines[:MOST_RULES]))
        yield Sign(_if_filtered(case), evidence, effect, advice)


def _if_filtered(case: Case) -> Severity:
    """Give the severity of a foreign firewall: it does not meet a plan of cables alone."""
    touched = case.plan is None or case.asked.rules or case.asked.bridges or host_forwards(case)
    return "warn" if touched else "note"


def firewall_daemons(case: Case) -> Iterator[Sign]:
    """P10: firewalld or ufw rewrite the rules, and reject in tables of their own."""
    daemons = {
        "firewalld": f"firewall-cmd --zone=trusted --add-interface={case.bridge}",
        "ufw": f"ufw route allow in on {case.bridge}",
    }
    for name, advice in daemons.items():
        if seen := list(_daemon_signs(case, name)):
            effect = f"a reload of {name} may drop the lab's rules, and its own may reject packets"
            evidence, after = "\n".join(seen[:MOST_RULES]), "check after a reload; before:"
            yield Sign(_if_filtered(case), evidence, effect, after, (advice,))


def _daemon_signs(case: Case, name: str) -> Iterator[str]:
    # In a sandbox the host's files are seen too, and its daemons do nothing there.
    yield from sorted(sign for sign in case.seen.signs if name in sign and case.on_host)
    yield from sorted(f"nft table {table}" for table in case.seen.nft_tables if name in table)
    for key, lines in case.tables.items():
        own = (line for line in lines if line.startswith(_BEGINS[name]))
        yield from (f"{key}: chain {line[1:].split()[0]}" for line in own)
